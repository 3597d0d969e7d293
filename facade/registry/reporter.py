"""Telling the registry from inside a job, without ever making the job wait.

A thread with its own connection sends whatever has queued up in one call. The receipt on disk is the lasting copy:
what does not arrive here (a dead server, a cut network) arrives when the receipt is ingested. Imports no SQLAlchemy.
"""

from __future__ import annotations

import logging
import threading
import uuid
from contextlib import closing

from facade.errors import FacadeError
from facade.registry.connection import Address, Session, StatementError, UnreachableError
from facade.registry.runs import DEADLOCK, encode
from facade.registry.values import Line

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # s between tries to reach a server that does not answer
LARGEST_CALL = 500  # lines


class Reporter:
    """Sends the lines of one receipt. ``error`` is why it gave up, if the registry refused a line for good."""

    def __init__(self, address: Address, receipt_id: uuid.UUID | str) -> None:
        # the server need not wait for its disk at every line: _settle() makes it, once, before close() says True
        self._session = Session(address, options="-c synchronous_commit=off")
        self._receipt = str(receipt_id)
        self._lines: list[str] = []
        self._sent = 0
        self._wake = threading.Condition()
        self._closing = False
        self._settled = self._given_up = False
        self.error: FacadeError | None = None
        self._thread = threading.Thread(target=self._run, name="facade-reporter", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Take the next line of the receipt; returns at once, whatever the server does."""
        text = encode(line)
        with self._wake:
            self._lines.append(text)
            self._wake.notify()

    def close(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for the rest to be sent; tell whether every line is in the registry."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        self._given_up = True
        return self._settled

    def _run(self) -> None:
        wait = FIRST_WAIT
        with closing(self._session):
            while not (self._settled or self._given_up):
                try:
                    self._step()
                except UnreachableError as error:
                    logger.warning("%s; trying again", error.message)
                    self._session.close()
                    self._sent = 0  # a server that crashed may have forgotten what it said it had; it skips the rest
                    self._pause(wait)
                    wait = min(2 * wait, LONGEST_WAIT)
                except FacadeError as error:
                    logger.error("the registry refuses: %s", error)
                    self.error = error
                    return
                else:
                    wait = FIRST_WAIT

    def _step(self) -> None:
        """Send what has queued up; once closed and all is sent, settle."""
        with self._wake:
            self._wake.wait_for(lambda: self._sent < len(self._lines) or self._closing)
            batch = self._lines[self._sent : self._sent + LARGEST_CALL]
        if batch:
            self._send(batch)
            self._sent += len(batch)
        else:
            self._settle()
            self._settled = True

    def _send(self, batch: list[str]) -> None:
        try:
            self._session.rows("select report(%s, %s)", (self._receipt, "[" + ",".join(batch) + "]"))
        except StatementError as error:
            if error.sqlstate == DEADLOCK:
                raise UnreachableError(error.message) from error
            raise

    def _settle(self) -> None:
        """Have the server write what it took to its disk."""
        if self._lines:
            self._session.rows("set synchronous_commit = on")
            self._session.rows("select txid_current()")

    def _pause(self, seconds: float) -> None:
        """Wait before the next try; a job that ends tries more often."""
        with self._wake:
            if self._closing:
                self._wake.wait(FIRST_WAIT)
            else:
                self._wake.wait_for(lambda: self._closing, seconds)
