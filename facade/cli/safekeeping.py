"""``facade db backup``, ``restore``, ``move``, ``downgrade``: a registry as a file, and in another home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facade.cli import output
from facade.cli.context import address, interactive, site, talk
from facade.errors import DONE, InputError
from facade.registry import Address
from facade.registry.address import split

if TYPE_CHECKING:
    from facade.registry.dump import Label
    from facade.registry.tally import Step

JSON = click.option("--json", "as_json", is_flag=True, help="What was done as JSON on stdout.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@JSON
def backup(file: Path, as_json: bool) -> int:
    """Save the registry as it is now into FILE, whatever jobs report meanwhile.

    FILE has its name once all of it is there and was read back; it is what pg_dump writes (custom format), for its
    owner's eyes only.
    """
    from facade.registry.backup import backup as save

    with _bar() as step:
        label = save(address(), file, step)
    return _told(label, f"saved in {file}", as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@JSON
def restore(file: Path, as_json: bool) -> int:
    """Make the registry that was saved in FILE; the database must be empty. All of it, or nothing, is there then."""
    from facade.registry.backup import restore as fill

    with _bar() as step:
        label = fill(address(), file, step)
    return _told(label, f"restored from {file}", as_json)


@click.command()
@click.argument("url")
@JSON
def move(url: str, as_json: bool) -> int:
    """Take the registry to the empty database at URL (postgresql://USER@HOST/DATABASE, or service=NAME).

    The password belongs into ~/.pgpass or a service file. The backup by which it goes is kept; the old registry takes
    no more writes, and says where it is now.
    """
    from facade.registry.moving import move as carry

    here = site()
    if "password=" in url or ("://" in url and split(url).password):
        remedy = "leave it out, and write it into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 0600)"
        raise InputError("a password on a command line is seen by everybody on this machine", remedy=remedy)
    target = Address.parse(url, here.home)
    folder = here.home / "backups"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder} for the backup: {error.strerror or error}") from error
    path = folder / f"before-move-{datetime.now(UTC):%Y%m%dT%H%M%S}.dump"
    with _bar() as step:
        label = carry(address(), target, path, step)
    told = _told(label, f"moved to {target.place}; the backup is {path}", as_json)
    talk(f"from now on: 'database = {target.url}' in {here.home / 'site.wcl'}, or FACADE_DB={target.url}")
    if not here.database:
        talk("facade db stop stops the server of the old home")
    return told


@click.command()
@click.argument("version")
@click.option("--with-data", is_flag=True, help="Even if that drops files, attempts and their history.")
def downgrade(version: str, with_data: bool) -> int:
    """Take the tables back to VERSION; 'base' takes everything of facade out of the database."""
    from facade.registry import schema

    talk(f"tables are at version {schema.downgrade(address(), version, with_data=with_data) or 'base: there are none'}")
    return DONE


def _told(label: Label, what: str, as_json: bool) -> int:
    if as_json:
        tables = {name: one.rows for name, one in label.tally.items()}
        output.plain_json({"made": label.made, "version": label.version, "bytes": label.size, "tables": tables})
    talk(f"{what}: {len(label.tally)} tables, {label.rows:,} rows, {label.size / 1e6:,.1f} MB")
    return DONE


@contextmanager
def _bar() -> Iterator[Step]:
    """Show what is being done, for a person who is looking."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    elapsed = TimeElapsedColumn()
    with Progress(
        *columns, elapsed, console=output.console(err=True), transient=True, disable=not interactive()
    ) as bar:
        task = bar.add_task("starting", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield step


VERBS: tuple[click.Command, ...] = (backup, restore, move, downgrade)
