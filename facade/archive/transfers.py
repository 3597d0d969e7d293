"""What all transfers share: several tries with pauses between them, a bound on how many run at once, what they took.

Tried again is what may go right another time: a connection that fails, an answer of the kind "not now" (5xx), silence,
a copy that arrives short or altered. Never tried again is what would go the same way: a refusal, a missing file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from facade.archive.content import Content
from facade.errors import InputError, TransferError

T = TypeVar("T")
LONGEST_PAUSE = 30.0
"""Seconds between two tries at most, unless the other side asks for more."""
POLL = 0.02
"""Seconds between two looks for a free slot, or for a sign to stop."""


class Transient(TransferError):
    """Something that may go right if it is tried again; ``after``: seconds that the other side asks us to wait."""

    def __init__(self, message: str, *, remedy: str = "", after: float = 0.0) -> None:
        super().__init__(message, remedy=remedy)
        self.after = after


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file that is where it should be, and what it took to bring it there.

    ``moved`` bytes were copied, 0 if it was there already; ``seconds`` and ``tries`` are those of all tries together,
    without the wait for a slot.
    """

    content: Content
    moved: int = 0
    seconds: float = 0.0
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How often something is tried, how long is waited, and how many transfers run at once on one host (0: any number).

    ``check`` is called while something is waited for or transferred; what it raises ends the transfer.
    """

    tries: int = 5
    pause: float = 0.5
    timeout: float = 60.0
    limit: int = 0
    slots: Path | None = None
    check: Callable[[], None] = field(default=lambda: None)

    @classmethod
    def of(cls, options: Mapping[str, str], check: Callable[[], None] | None = None) -> Habits:
        """Return what the *options* of an archive in the site file ask for.

        Raises:
            InputError: a value is not what it should be.
        """
        plain = cls()
        return cls(
            tries=int(_number(options, "tries", plain.tries, least=1)),
            pause=_number(options, "pause", plain.pause, least=0),
            timeout=_number(options, "timeout", plain.timeout, least=0.1),
            limit=int(_number(options, "transfers", plain.limit, least=0)),
            slots=Path(options["slots"]) if options.get("slots") else None,
            check=check or plain.check,
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """How something went that was tried: seconds it took, and tries."""

    seconds: float = 0.0
    tries: int = 0


class Transfers:
    """Carries out transfers with an archive, by its habits. Safe to use from several threads."""

    def __init__(self, habits: Habits, place: str) -> None:
        """Bound together are all who use the archive at *place* on this host."""
        self.habits = habits
        self._folder = _slot_folder(habits, place) if habits.limit else None

    def run(self, action: Callable[[], T], *, small: bool = False) -> tuple[T, Tried]:
        """Call *action* until it succeeds or the tries are used up; return what it gave, and what it took.

        What is *small*, such as a question or a rename, need not wait for a slot, and is not ended in the middle.

        Raises:
            TransferError: every try failed; and whatever else *action* raises, at once.
        """
        spent, tries = 0.0, 0
        while True:
            tries += 1
            with self._slot(small):
                started = time.monotonic()
                try:
                    return action(), Tried(spent + time.monotonic() - started, tries)
                except Transient as error:
                    if tries >= self.habits.tries:
                        raise _given_up(error, tries) from error
                    after = error.after
                spent += time.monotonic() - started
            spent += self._wait(max(after, self._pause(tries)), steadily=small)

    def _pause(self, tries: int) -> float:
        """Return how long to wait after that many tries: twice as long each time, never the same for two jobs."""
        return min(LONGEST_PAUSE, self.habits.pause * float(2 ** (tries - 1))) * random.uniform(0.5, 1.5)

    def _wait(self, seconds: float, *, steadily: bool = False) -> float:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not steadily:
                self.habits.check()
            time.sleep(min(left, POLL * 5))
        return seconds

    @contextlib.contextmanager
    def _slot(self, small: bool) -> Iterator[None]:
        """Hold one of the host's slots; the kernel frees it when the holder dies."""
        if self._folder is None or small:
            yield
            return
        handle = self._taken(self._folder)
        try:
            yield
        finally:
            os.close(handle)

    def _taken(self, folder: Path) -> int:
        """Return the open file of a slot once one is free."""
        first = random.randrange(self.habits.limit)
        while True:
            for number in range(self.habits.limit):
                path = folder / f"{(first + number) % self.habits.limit:03d}"
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return handle
                except BlockingIOError:
                    os.close(handle)
            self._wait(POLL * random.uniform(0.5, 1.5))


def _slot_folder(habits: Habits, place: str) -> Path:
    """Return the folder whose locked files are the transfers that run, made if need be.

    Raises:
        InputError: it cannot be used.
    """
    import hashlib  # only where transfers are bounded

    base = habits.slots or Path("/tmp") / f"facade-{os.getuid()}"
    folder = base / "transfers" / hashlib.sha256(place.encode()).hexdigest()[:16]
    own = (folder.parent, folder) if habits.slots else (base, folder.parent, folder)
    try:
        for part in own:
            part.mkdir(mode=0o700, exist_ok=True)
            if part.lstat().st_uid != os.getuid():  # in /tmp, somebody else's could keep us waiting for ever
                raise PermissionError(1, f"{part} belongs to another user")
    except OSError as error:
        raise InputError(
            f"cannot bound transfers by {folder}: {error.strerror or error}",
            remedy="name another folder of this host as 'slots' of the archive in the site file",
        ) from error
    return folder


def _given_up(error: Transient, tries: int) -> TransferError:
    times = f" (tried {tries} times)" if tries > 1 else ""
    return TransferError(f"{error.message}{times}", remedy=error.remedy)


def _number(options: Mapping[str, str], key: str, default: float, *, least: float) -> float:
    text = options.get(key, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if not least <= value < 1e6 or (isinstance(default, int) and value != int(value)):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise InputError(f"'{key} = {text}' of an archive is not {kind} from {least:g}")
    return value
