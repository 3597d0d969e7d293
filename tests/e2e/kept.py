"""Homes that are made once and copied, with their database, for each test that needs one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from database import make_database
from e2e.world import World

from facade.registry.address import Address
from facade.registry.embedded import Embedded


@contextmanager
def copied_world(folder: Path, postgres: Embedded, database: str) -> Iterator[tuple[World, Address]]:
    """Give what was kept in *folder*/model and its *database*: both copied, the home always under one path."""
    home = folder / "home"
    shutil.copytree(folder / "model", home)
    address = make_database(postgres, database)
    yield World(home, address.environment()), address
    shutil.rmtree(home)
