"""Telling the registry from inside jobs, without ever making a job wait.

A thread with one connection for the whole process sends whatever has queued up, receipt by receipt, in one call each.
The receipts on disk are the lasting copy: what does not arrive here (a dead server, a cut network) arrives when they
are ingested. Imports no SQLAlchemy.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field

from facade.errors import FacadeError
from facade.registry.connection import DEADLOCK, Address, Session, StatementError, UnreachableError
from facade.registry.runs import encode
from facade.registry.values import Line

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # s between tries to reach a server that does not answer
LARGEST_CALL = 500  # lines
LINGER = 0.05  # s that a line waits for others to go with it: a call costs as much as a hundred lines
SETTLE_AFTER = 1.0  # s until the server is made to write to its disk what it took
MOST_RECEIPTS = 1000  # kept for a server that does not answer; older ones are left to ingestion

# the server need not wait for its disk at every line: _settle() makes it, before a receipt is forgotten here
REPORT = """set local synchronous_commit = off;
select report(%(receipts)s::uuid[], %(lines)s::jsonb[])"""
JOB_REPORT = REPORT.replace("report(", "job_report(%(token)s, ")


@dataclass(slots=True)
class _Stream:
    """The lines of one receipt; ``sent`` counts those that the server took since it was last started."""

    receipt: str
    lines: list[str] = field(default_factory=list)
    sent: int = 0
    ended: bool = False


class Reporter:
    """Sends receipts, one after the other. A ``job-started`` line begins one, ``job-ended`` ends it.

    ``error`` is what the registry said when it last refused a line for good; the rest of that receipt is left out.
    """

    def __init__(self, address: Address) -> None:
        self._session = Session(address, patience=0)  # it tries again itself
        self._token = address.token
        self._streams: deque[_Stream] = deque()
        self._wake = threading.Condition()
        self._closing = self._given_up = self._lingering = False
        self._unsettled_since: float | None = None
        self._complete = True
        self.error: FacadeError | None = None
        self._thread = threading.Thread(target=self._run, name="facade-reporter", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Take the next line; returns at once, whatever the server does."""
        text = encode(line)
        with self._wake:
            if line["kind"] == "job-started":
                self._streams.append(_Stream(str(line["receipt"])))
                if len(self._streams) > MOST_RECEIPTS:
                    self._streams.popleft()
                    self._complete = False
            stream = self._streams[-1]
            stream.lines.append(text)
            stream.ended = line["kind"] == "job-ended"
            if not self._lingering:
                self._wake.notify()

    def close(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for the rest to be sent; tell whether every line is in the registry."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        self._given_up = True
        return not self._thread.is_alive() and self._complete

    def _run(self) -> None:
        wait = FIRST_WAIT
        with closing(self._session):
            while not self._given_up:
                try:
                    if not self._step():
                        return
                    wait = FIRST_WAIT
                except UnreachableError as error:
                    logger.warning("%s; trying again", error.message)
                    self._session.close()
                    with self._wake:
                        for stream in self._streams:
                            stream.sent = 0  # a server that crashed may have forgotten; it skips what it still has
                    self._pause(wait)
                    wait = min(2 * wait, LONGEST_WAIT)

    def _step(self) -> bool:
        """Send what has queued up, or settle; return False when all is done."""
        with self._wake:
            self._wake.wait_for(lambda: self._closing or self._waiting(), self._until_settling())
            self._lingering = True
            self._wake.wait_for(lambda: self._closing, LINGER)
            self._lingering = False
            batches = self._batches()
        if batches:
            self._deliver(batches)
            self._unsettled_since = self._unsettled_since or time.monotonic()
        if self._unsettled_since and (not batches or time.monotonic() - self._unsettled_since > SETTLE_AFTER):
            self._settle()
        return bool(batches) or not self._closing

    def _waiting(self) -> bool:
        return any(stream.sent < len(stream.lines) for stream in self._streams)

    def _batches(self) -> list[tuple[_Stream, list[str]]]:
        """Return the next lines of as many receipts as fit into one call."""
        batches, room = [], LARGEST_CALL
        for stream in self._streams:
            lines = stream.lines[stream.sent : stream.sent + room]
            if lines:
                batches.append((stream, lines))
                room -= len(lines)
        return batches

    def _until_settling(self) -> float | None:
        if self._unsettled_since is None:
            return None
        return max(0.0, self._unsettled_since + SETTLE_AFTER - time.monotonic())

    def _deliver(self, batches: list[tuple[_Stream, list[str]]]) -> None:
        """Send batches of one or more receipts in one call; if one is refused, find out which."""
        try:
            self._session.rows(
                REPORT if self._token is None else JOB_REPORT,
                {
                    "token": self._token,
                    "receipts": [stream.receipt for stream, _ in batches],
                    "lines": ["[" + ",".join(lines) + "]" for _, lines in batches],
                },
            )
        except UnreachableError:
            raise
        except FacadeError as error:
            if isinstance(error, StatementError) and error.sqlstate == DEADLOCK:
                raise UnreachableError(error.message) from error
            if len(batches) > 1:
                for batch in batches:
                    self._deliver([batch])
            else:
                self._refused(batches[0][0], error)
            return
        for stream, lines in batches:
            stream.sent += len(lines)

    def _refused(self, stream: _Stream, error: FacadeError) -> None:
        """Leave the rest of a receipt out: whoever ingests it is told the same, and can act."""
        logger.error("the registry refuses: %s", error)
        with self._wake:
            self.error, self._complete = error, False
            stream.sent = len(stream.lines) + LARGEST_CALL  # nothing of it is sent any more

    def _settle(self) -> None:
        """Have the server write what it took to its disk, then forget the receipts that have ended."""
        # a transaction that writes nothing would not wait for the disk
        self._session.rows("set local synchronous_commit = on; select pg_logical_emit_message(true, 'facade', '')")
        self._unsettled_since = None
        with self._wake:
            self._streams = deque(s for s in self._streams if not (s.ended and s.sent >= len(s.lines)))

    def _pause(self, seconds: float) -> None:
        """Wait before the next try; a job that ends tries more often."""
        with self._wake:
            if self._closing:
                self._wake.wait(FIRST_WAIT)
            else:
                self._wake.wait_for(lambda: self._closing, seconds)
