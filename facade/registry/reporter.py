"""Telling the registry from inside a job, without ever making the job wait.

A thread with its own connection sends whatever has queued up in one call. The receipt on disk is the lasting copy:
what does not arrive here (a dead server, a cut network) arrives when the receipt is ingested. Imports no SQLAlchemy.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
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
        # the server need not wait for its disk: close() makes it, and the receipt has every line anyway
        self._session = Session(address, options="-c synchronous_commit=off")
        self._receipt = str(receipt_id)
        self._queue: deque[str] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self.error: FacadeError | None = None
        self._thread = threading.Thread(target=self._run, name="facade-reporter", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Take the next line of the receipt; returns at once, whatever the server does."""
        text = encode(line)
        with self._wake:
            self._queue.append(text)
            self._wake.notify()

    def close(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for the rest to be sent; tell whether every line is in the registry."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not self._queue and self.error is None

    def _run(self) -> None:
        wait = FIRST_WAIT
        with closing(self._session):
            while batch := self._next():
                try:
                    self._send(batch)
                except UnreachableError as error:
                    logger.warning("%s; trying again in %.1f s", error.message, wait)
                    self._session.close()
                    self._pause(wait)
                    wait = min(2 * wait, LONGEST_WAIT)
                except FacadeError as error:
                    logger.error("the registry refuses: %s", error)
                    self.error = error
                    return
                else:
                    wait = FIRST_WAIT

    def _next(self) -> list[str]:
        """Return what is queued, without taking it off; wait for something; nothing once closed and empty."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closing)
            return [self._queue[index] for index in range(min(len(self._queue), LARGEST_CALL))]

    def _send(self, batch: list[str]) -> None:
        params = (self._receipt, "[" + ",".join(batch) + "]")
        try:
            self._session.rows("select report(%s, %s)", params)
        except StatementError as error:
            if error.sqlstate == DEADLOCK:
                raise UnreachableError(error.message) from error
            raise
        with self._wake:
            last = self._closing and len(self._queue) == len(batch)
        if last:  # commits on disk whatever was sent before it
            self._session.rows("set synchronous_commit = on")
            self._session.rows("select txid_current()")
        with self._wake:
            for _ in batch:
                self._queue.popleft()

    def _pause(self, seconds: float) -> None:
        """Wait before the next try; a job that ends waits no longer than it must."""
        with self._wake:
            if self._closing:
                self._wake.wait(FIRST_WAIT)
            else:
                self._wake.wait_for(lambda: self._closing, seconds)
