"""Receipts: what a job says happened, appended line by line; written before anybody else is told.

One file per run of a job, beside its capsule. A line that docs/contracts.md marks is on disk when `write` returns. A
crash may tear the last line; the reader ignores it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Protocol

from facade.archive.naming import sync_folder
from facade.errors import InputError

Line = dict[str, Any]

DURABLE = frozenset({"outputs", "stored", "quantum-ended"})
_RUN = re.compile(r"\.receipt\.(\d{2,})\.jsonl$")


def now() -> str:
    """Return the time as receipts write it: UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def files(folder: Path, stem: str) -> list[Path]:
    """Return the receipts of the job whose capsule lies in *folder*, first run first.

    Runs are numbered without gaps, so they are asked for one by one: listing a folder of a thousand jobs costs more
    than running a small one.
    """
    return list(takewhile(Path.exists, (path_of(folder, stem, run) for run in count(1))))


def path_of(folder: Path, stem: str, run: int) -> Path:
    """Return the receipt of a run of a job."""
    return folder / f"{stem}.receipt.{run:02d}.jsonl"


def run_of(path: Path) -> int:
    """Return the run number in the name of a receipt."""
    match = _RUN.search(path.name)
    if match is None:
        raise InputError(f"{path} is not named like a receipt", remedy="expected j<jobnum>.receipt.<run>.jsonl")
    return int(match[1])


def read(path: Path) -> Iterator[Line]:
    """Yield the lines of a receipt; a torn last line is left out.

    Raises:
        InputError: a line before the last is no JSON object, or the file cannot be read.
    """
    try:
        texts = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"cannot read receipt {path}: {error.strerror}") from error
    texts.pop()  # what follows the last newline: nothing, or a torn line
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except ValueError as error:
            if number == len(texts):  # torn in an earlier crash, then closed by a newline
                return
            raise InputError(f"{path}:{number}: not a line of a receipt: {error}") from error
        if not isinstance(line, dict) or "kind" not in line:
            raise InputError(f"{path}:{number}: not a line of a receipt")
        yield line


class Shelf(Protocol):
    """Where receipts are kept: beside the capsule, or on the submit host (`facade.job.remote`)."""

    def files(self, folder: Path, stem: str) -> list[Path]:
        """Return the receipts of the job whose capsule lies in *folder*, first run first."""

    def create(self, folder: Path, stem: str) -> Receipt:
        """Start the receipt of the next run of a job."""


class Beside:
    """The shelf of jobs that see the run directory."""

    def files(self, folder: Path, stem: str) -> list[Path]:
        """Return the receipts of the job whose capsule lies in *folder*, first run first."""
        return files(folder, stem)

    def create(self, folder: Path, stem: str) -> Receipt:
        """Start the receipt of the next run of a job; two processes never get the same one."""
        return Receipt.create(folder, stem)


class Receipt:
    """The receipt of one run, open for appending."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self.run = path, run_of(path)
        self._handle, self._seq = handle, 0

    @classmethod
    def create(cls, folder: Path, stem: str) -> Receipt:
        """Start the receipt of the next run of a job; two processes never get the same one."""
        for run in count(1):
            path = path_of(folder, stem, run)
            try:
                handle = fresh(path)
            except FileExistsError:
                continue
            sync_folder(folder)
            return cls(path, handle)
        raise AssertionError("run numbers do not end")

    def write(self, *lines: Mapping[str, Any]) -> list[Line]:
        """Append *lines* with their ``seq`` and ``at``; return them as written. Synced if one of them must be."""
        written: list[Line] = []
        for line in lines:
            self._seq += 1
            written.append({"seq": self._seq, "at": now(), **line})
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in written)
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._handle, data) :]
        if any(line["kind"] in DURABLE for line in written):
            os.fsync(self._handle)
        return written

    def close(self) -> None:
        """Close the file; what was written stays."""
        os.close(self._handle)


def fresh(path: Path) -> int:
    """Make a file for appending, and open it.

    Raises:
        FileExistsError: there is one.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
