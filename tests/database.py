"""Fixtures with a real PostgreSQL: ``postgres`` (one embedded server for the session), ``database`` (the address of a
fresh, empty database), ``registry`` (a fresh one with all tables). Load with ``pytest_plugins = ["database"]``."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facade.registry.connection import Address, connect
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.schema import upgrade

_numbers = itertools.count(1)


def sibling(address: Address, name: str) -> Address:
    """Return the address of the database called *name* on the same server."""
    return Address(address.url.rpartition("/")[0] + f"/{name}", address.passfile)


def make_database(server: Embedded, template: str = "template1") -> Address:
    """Make a database of its own for one test."""
    name = f"test{os.getpid()}_{next(_numbers)}"
    with closing(connect(sibling(server.address(), "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"create database {name} template {template}")
    return sibling(server.address(), name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Embedded]:
    """An embedded server in a home of its own, started by the project's own code and gone at the end."""
    with tempfile.TemporaryDirectory(prefix="facade-test-") as home:
        server = Embedded(Path(home))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def template(postgres: Embedded) -> str:
    """The name of a database with all tables and no rows, to copy."""
    address = make_database(postgres)
    upgrade(address)
    return address.url.rpartition("/")[2]


@pytest.fixture
def database(postgres: Embedded) -> Address:
    """The address of a fresh database without tables."""
    return make_database(postgres)


@pytest.fixture
def registry(postgres: Embedded, template: str) -> Iterator[Registry]:
    """A registry in a fresh database."""
    with Registry.open(make_database(postgres, template)) as opened:
        yield opened
