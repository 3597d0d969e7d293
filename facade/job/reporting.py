"""Tell the registry what jobs write into their receipts, where an address of the database was handed on to us."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from facade.errors import FacadeError
from facade.job.capsule import Name

if TYPE_CHECKING:
    from facade.registry.reporter import Reporter

PATIENCE = 10.0
"""Seconds that the end of the process waits for the registry; what it has not been told by then is in the receipts."""


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
def reporting() -> Iterator[Reporter | None]:
    """Give a reporter for any number of jobs, or None if FACADE_DB is not set; wait for them in the end."""
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
    reporter = Reporter(address)
    try:
        yield reporter
    finally:
        if not reporter.close(PATIENCE):
            print("facade: the registry has not been told everything; the receipts have it", file=sys.stderr)
