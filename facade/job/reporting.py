"""Tell the registry what jobs write into their receipts, where an address of the database was handed on to us."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from facade.errors import FacadeError
from facade.job.capsule import Name

PATIENCE = 10.0
"""Seconds that the end of the process waits for the registry; what it has not been told by then is in the receipts."""
MOST_UNFINISHED = 2
"""Receipts that may still be on their way when another job starts; more, and the database is not there."""


class ReceiptReporter(Protocol):
    """Sends the lines of one receipt from a thread of its own (`facade.registry.reporter.Reporter`)."""

    @property
    def error(self) -> FacadeError | None:
        """Why it gave up, if the registry refused a line."""

    def put(self, line: dict[str, Any]) -> None:
        """Take the next line; returns at once."""

    def close(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; tell whether every line has arrived."""


class Reports:
    """Reports one job after another, each through a reporter of its own that may finish while the next job runs."""

    def __init__(self, make: Callable[[str], ReceiptReporter]) -> None:
        self._make = make
        self._current: ReceiptReporter | None = None
        self._unfinished: list[ReceiptReporter] = []
        self._complete = True

    def put(self, line: dict[str, Any]) -> None:
        """Take the next line of the running job's receipt; returns at once."""
        if line["kind"] == "job-started":
            self._end()
            self._begin(line["receipt"])
        if self._current is not None:
            self._current.put(line)
        if line["kind"] == "job-ended":
            self._end()

    def close(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for what is on its way; tell whether the registry has been told everything."""
        self._end()
        deadline = time.monotonic() + timeout
        arrived = [reporter.close(max(0.0, deadline - time.monotonic())) for reporter in self._unfinished]
        return self._complete and all(arrived)

    def _begin(self, receipt: str) -> None:
        waiting = [reporter for reporter in self._unfinished if not reporter.close(0.0)]
        self._unfinished = [reporter for reporter in waiting if reporter.error is None]
        self._complete &= len(waiting) == len(self._unfinished)
        if len(self._unfinished) < MOST_UNFINISHED:
            self._current = self._make(receipt)
        else:
            self._complete = False

    def _end(self) -> None:
        if self._current is not None:
            self._current.close(0.0)  # only tells it that nothing more comes
            self._unfinished.append(self._current)
            self._current = None


def lookup(names: list[Name]) -> dict[Name, tuple[int, str]]:
    """Ask the registry for size and checksum of files; answers nothing where FACADE_DB is not set.

    Raises:
        RegistryError: the database cannot be reached.
    """
    if not os.environ.get("FACADE_DB"):
        return {}
    from facade.registry import (  # costs SQLAlchemy; only jobs whose parents' receipts are not here pay
        Address,
        Registry,
    )

    address = Address.received(os.environ)
    if address is None:
        return {}
    with Registry.open(address) as registry:
        rows = registry.lookup(names)
    return {name: (row["filesize"], row["checksum"]) for name, row in rows.items()}


@contextlib.contextmanager
def reporting() -> Iterator[Reports | None]:
    """Give reports for any number of jobs, or None if FACADE_DB is not set; wait for them in the end."""
    if not os.environ.get("FACADE_DB"):
        yield None
        return
    from facade.registry.connection import Address  # costs psycopg2; jobs without a database do not pay
    from facade.registry.reporter import Reporter

    try:
        address = Address.received(os.environ)
    except FacadeError as error:
        print(f"facade: nothing is reported to the registry while jobs run: {error}", file=sys.stderr)
        address = None
    if address is None:
        yield None
        return
    reports = Reports(partial(Reporter, address))
    try:
        yield reports
    finally:
        if not reports.close(PATIENCE):
            print("facade: the registry has not been told everything; the receipts have it", file=sys.stderr)
