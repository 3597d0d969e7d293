"""What most verbs need: the site, the registry behind it, and how to talk."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import click

from facade.registry import Address, Registry
from facade.site import Site

DEFINITIONS = click.option(
    "--definitions",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="WCL file with <filetype_metadata>, such as a campaign; without, those of the site.",
)


@cache
def site() -> Site:
    """Return the site of this process."""
    return Site.here()


def address(*, start: bool = True) -> Address:
    """Return where the database is; the embedded server is started if it has to be.

    Raises:
        RegistryError: the server does not start, or (``start=False``) does not run.
    """
    here = site()
    if here.database:
        return _external(here)
    from facade.registry.embedded import Embedded

    server = Embedded(here.home)
    if start and not server.ready():
        if not server.status().running:
            talk(f"starting the database in {here.home / 'db'}")
        server.start()
    return server.address()


def revive() -> None:
    """Start the embedded server again if it was killed; one that somebody stopped stays as it is.

    Raises:
        RegistryError: the server does not start.
    """
    here = site()
    if not here.database:
        from facade.registry.embedded import Embedded

        if Embedded(here.home).died():
            address()


def _external(here: Site) -> Address:
    assert here.database is not None
    found, passfile = Address.parse(here.database, here.home), os.environ.get("PGPASSFILE")
    return replace(found, passfile=Path(passfile)) if passfile and found.passfile is None else found


@contextmanager
def registry() -> Iterator[Registry]:
    """Open the registry with its tables up to date."""
    here = site()
    root = Path(here.archive_root)
    if root.is_relative_to(here.home):
        # facade's own; an archive elsewhere may be a mount that is down, and must not be made as an empty folder
        root.mkdir(parents=True, exist_ok=True)
    with Registry.open(address()) as opened:
        opened.upgrade()
        yield opened


def operator() -> str:
    """Return the login name of whoever is typing."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def talk(text: str) -> None:
    """Say something to a person: stderr, so that stdout holds data only."""
    click.echo(text, err=True)


def interactive() -> bool:
    """Tell whether a person is looking."""
    return sys.stderr.isatty()
