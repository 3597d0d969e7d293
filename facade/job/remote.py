"""Receipts on the submit host, for jobs that run where the run directory cannot be seen.

What a job writes goes to a file on its own host and, before anything happens that cannot be taken back, to the submit
host, by HTCondor's chirp. So nothing is renamed in the archive that the submit host does not know of; a host that dies,
or a job that is removed, takes nothing along; and a job whose host has lost its way home can wait, but not go on beside
another run of itself that HTCondor starts elsewhere.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from facade.job import receipt
from facade.job.chirp import Chirp, NoChirpError
from facade.job.receipt import DURABLE, Line, Receipt

PATIENCE = 1500.0
"""Seconds that a job waits for the way home; HTCondor itself waits 40 minutes for a host that it has lost."""
LAST_PATIENCE = 5.0
"""The same, once the job was told to end."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
CREDENTIALS = ("credentials", "token_file", "ca_file")
"""Options of an archive that name files; HTCondor may have brought them along."""

T = TypeVar("T")
_AT_ONCE = DURABLE | {"job-started", "job-ended"}


class SubmitHost:
    """Where receipts are kept for a job whose scratch directory is *top*; the folders below it are called as at home.

    *stopped* tells whether the job was told to end: then little time is left.
    """

    def __init__(self, chirp: Chirp, top: Path, stopped: Callable[[], bool], patience: float = PATIENCE) -> None:
        self._chirp, self._top, self._stopped, self._patience = chirp, top, stopped, patience
        self._given_up: OSError | None = None

    def files(self, folder: Path, stem: str) -> list[Path]:
        """Fetch the receipts of a job; return the copies, first run first."""
        found: list[Path] = []
        for run in count(1):
            path = receipt.path_of(folder, stem, run)
            data = self._insist(lambda: self._chirp.read(self._home(path)))  # noqa: B023 -- called at once
            if data is None:
                return found
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            found.append(path)
        raise AssertionError("run numbers do not end")

    def create(self, folder: Path, stem: str) -> Receipt:
        """Start the receipt of the next run of a job: the submit host says which is the next."""
        for run in count(1):
            path = receipt.path_of(folder, stem, run)
            try:
                # if the answer to the first try was lost, the second finds it taken: that one stays empty
                self._insist(lambda: self._chirp.create(self._home(path)))  # noqa: B023 -- called at once
            except FileExistsError:
                continue
            return SentReceipt(self, path)
        raise AssertionError("run numbers do not end")

    def write(self, path: Path, offset: int, data: bytes) -> None:
        """Write a part of a receipt; return when it is on the submit host's disk.

        Raises:
            OSError: that cannot be done, for all patience.
        """
        self._insist(lambda: self._chirp.write(self._home(path), offset, data))

    def _home(self, path: Path) -> str:
        return str(path.relative_to(self._top))

    def _insist(self, call: Callable[[], T]) -> T:
        """Return what *call* does, which may be made again and again, once the way home is there."""
        started, wait = time.monotonic(), FIRST_WAIT
        while True:
            if self._given_up is not None:
                raise self._given_up
            try:
                return call()
            except FileExistsError:
                raise
            except OSError as error:
                patience = min(LAST_PATIENCE, self._patience) if self._stopped() else self._patience
                if isinstance(error, NoChirpError) or time.monotonic() - started > patience:
                    self._given_up = error  # whoever asks next has waited already
                    raise
                if wait == FIRST_WAIT:
                    print(f"facade: {error}; trying again", file=sys.stderr, flush=True)
            time.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, LAST_PATIENCE if self._stopped() else LONGEST_WAIT)


class SentReceipt(Receipt):
    """A receipt that is written here and sent home."""

    def __init__(self, host: SubmitHost, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, receipt.fresh(path))
        self._host, self._sent = host, 0

    def write(self, *lines: Mapping[str, Any]) -> list[Line]:
        """Append *lines* and, if one of them must not be lost or says what runs now, have all lines on the submit host
        before returning."""
        written = super().write(*lines)
        if any(line["kind"] in _AT_ONCE or line.get("state") == "running" for line in written):
            with self.path.open("rb") as stream:
                stream.seek(self._sent)
                data = stream.read()
            self._host.write(self.path, self._sent, data)
            self._sent += len(data)
        return written


def at_hand(options: Mapping[str, str], top: Path) -> dict[str, str]:
    """Return the options of an archive with those files replaced that HTCondor has brought along."""
    brought = {key: top / Path(options[key]).name for key in CREDENTIALS if options.get(key)}
    return {**options, **{key: str(file) for key, file in brought.items() if file.is_file()}}
