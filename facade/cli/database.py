"""``facade db``: the database behind the registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import click

from facade.cli import safekeeping
from facade.cli.context import DEFINITIONS, address, site, talk
from facade.errors import DONE, FAILED, InputError
from facade.registry import Registry, binaries
from facade.registry.embedded import Embedded
from facade.registry.roles import Roles


@click.group()
def db() -> None:
    """Start, stop and look after the database."""


def _embedded() -> Embedded:
    here = site()
    if here.database:
        raise InputError("this site uses a database of its own", remedy="start and stop it where it lives")
    return Embedded(here.home)


@db.command()
def start() -> int:
    """Start the embedded server (done by itself when needed) and bring its tables up to date."""
    url = _embedded().start()
    with Registry.open(address(start=False)) as opened:
        opened.upgrade()
    talk(f"running: {url}")
    return DONE


@db.command()
def stop() -> int:
    """Stop the embedded server; also one whose registry has moved elsewhere."""
    left = Embedded(site().home)
    server = left if left.status().running else _embedded()
    talk("stopped" if server.stop() else "was not running")
    return DONE


@db.command()
def status() -> int:
    """Tell whether the database answers, and its version. Exit 1 if it does not, 4 if the registry has moved away."""
    here = site()
    if not here.database:
        state = Embedded(here.home).status()
        if not state.running:
            talk("the embedded server does not run; any facade command starts it")
            return FAILED
    where = address(start=False)
    with Registry.open(where) as opened:
        version = opened.run_sql("select version() as version").dicts()[0]["version"]
        roles = opened.roles()
        opened.ensure_here()
    click.echo(f"{where.place}: {str(version).partition(' on ')[0]}")
    _tell(roles)
    return DONE


@db.command()
@DEFINITIONS
def upgrade(definitions: Path | None) -> int:
    """Bring the tables to this facade's version, and those of metadata to the definitions of filetypes.

    Whatever is there stays: tables and columns are added, none is changed or dropped.
    """
    from facade.cli.defining import defined, recorded  # reads campaigns

    known = defined(definitions)
    wanted = recorded(known)
    with Registry.open(address()) as opened:
        talk(f"tables are at version {opened.upgrade(rights=True)}")
        _tell(opened.roles())
        for line in opened.ensure_metadata_tables(wanted):
            talk(line)
        for one in known.values():
            for line in opened.intake.ensure_table(one.contents_table, one.contents_types) if one.contents else ():
                talk(line)
        for column in opened.unclaimed_columns():
            table, _, name = column.partition(".")
            talk(
                f"{column} is in no definition any more, and stays with what is in it;"
                f" facade db psql -c 'alter table {table} drop column {name}' drops it"
            )
    return DONE


def _tell(roles: Roles) -> None:
    if not roles.problems:
        talk(
            f"jobs log in as {roles.names['job']}, questions as {roles.names['reader']};"
            f" operators may be granted {roles.names['submit']}"
        )
    for problem in roles.problems:
        talk(problem)


@db.command()
@click.option("--reader", is_flag=True, help="That of the role that may only read: for notebooks, say.")
def url(reader: bool) -> int:
    """Print the URL of the database, for psql and other programs; the password stays in a file of its own."""
    where = address()
    if reader:
        with Registry.open(where) as opened:
            found = opened.address_for_readers(site().home / "credentials")
        if found is None:
            raise InputError("this database has no role for readers that you may use", remedy="see 'facade db status'")
        where = found
    click.echo(where.with_option("passfile", str(where.passfile)) if where.passfile else where.url)
    return DONE


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> int:
    """Open psql on the database; ARGUMENTS are psql's own (facade db psql -c 'select …')."""
    beside = [found.folder / "psql" for found in binaries.find()]
    program = shutil.which("psql") or next((str(path) for path in beside if path.exists()), None)
    if program is None:
        raise InputError("psql is not on this machine", remedy="install PostgreSQL's client programs")
    where = address()
    environment = os.environ | ({"PGPASSFILE": str(where.passfile)} if where.passfile else {})
    return subprocess.run([program, where.url, *arguments], env=environment).returncode


for verb in safekeeping.VERBS:
    db.add_command(verb)
