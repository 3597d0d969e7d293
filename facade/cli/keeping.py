"""``facade files``, ``facade junk``, ``facade rm``: finding files, and getting rid of those that nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.markup import escape
from rich.progress import Progress

from facade import removal
from facade.cli import output
from facade.cli.context import interactive, registry, site, talk
from facade.errors import DONE, FAILED, InputError, RefusedError, some
from facade.registry.finding import Found, Wanted
from facade.run import ensure_idle, find

SHOWN = 1000
"""Files that a table shows."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--attempt", help="That this attempt made.")
@click.option("--products", is_flag=True, help="… or took from others instead; without logs and lists.")
@click.option("--tag", default="", help="That attempts with this tag made.")
@click.option("--filetype", default="", help="Of this type.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="With these metadata (VALUE as in query_fields).")
@click.option("--in", "archive", default="", metavar="ARCHIVE", help="That lie in this archive.")
@click.option("-n", "limit", type=click.IntRange(1, 10**9), help=f"At most so many; a table shows {SHOWN}.")
@click.option("--paths", is_flag=True, help="Only where they are, one a line: paths, or addresses.")
@click.option("--json", "as_json", is_flag=True, help="With checksums, metadata and all places, as JSON on stdout.")
def files(
    names: tuple[str, ...], attempt: str | None, products: bool, tag: str, filetype: str, where: tuple[str, ...],
    archive: str, limit: int | None, paths: bool, as_json: bool,
) -> int:  # fmt: skip
    """List registered files. NAME may hold * and ? (in quotes); everything that is asked must be true of a file.

    \b
    facade files --attempt Ht0_r11p95 --filetype calexp
    facade files --filetype calexp --where visit=903334:903346 --where ccd=16,22 --paths
    facade files 'calexp-HSC-I-*' --tag PROTO-0.1 --json
    """
    if not (names or attempt or tag or filetype or archive):
        raise InputError("which files?", remedy="give a NAME, --attempt, --tag, --filetype or --in")
    if products and attempt is None:
        raise InputError("--products goes with --attempt")
    most = limit or (None if paths or as_json else SHOWN + 1)
    with registry() as opened:
        number = find(opened, attempt).id if attempt else None
        wanted = Wanted(
            names=names, attempt=number, products=products, tag=tag, filetype=filetype.lower(),
            where=_conditions(where), archive=archive, limit=most,
        )  # fmt: skip
        found = opened.care.find(wanted, metadata=as_json)
    if as_json:
        output.plain_json([_plain(one) for one in found])
    elif paths:
        for one in found:
            if one.places:
                click.echo(_path(one, archive))
    else:
        _show(found[: limit or SHOWN])
        more = ", and more (-n, --paths and --json show them)" if not limit and len(found) > SHOWN else ""
        talk(f"{min(len(found), limit or SHOWN)} file{'s' * (len(found) != 1)}{more}")
    return DONE


def _conditions(words: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        column, equals, value = word.partition("=")
        if not equals or not column.strip():
            raise InputError(f"--where {word}: not COLUMN=VALUE")
        found[column.strip().lower()] = value.strip()
    return found


def _path(one: Found, archive: str) -> str:
    """Return where a file is, in the archive that was asked about or the one at home, if it is there."""
    home = archive or site().archive
    place = next((place for place in one.places if place.archive == home), one.places[0])
    root = site().place(place.archive).root if place.archive in _described() else place.root
    return f"{root.rstrip('/')}/{one.at(place)}"


def _described() -> tuple[str, ...]:
    return (site().archive, *site().archives)


def _plain(one: Found) -> dict[str, Any]:
    places = [{"archive": place.archive, "path": one.at(place)} for place in one.places]
    return {
        "filename": one.name, "filetype": one.filetype, "size": one.size, "sha256": one.checksum,
        "attempt": one.attempt or None, "junk": one.junk, "created": one.created, "places": places,
        "metadata": dict(one.metadata),
    }  # fmt: skip


def _show(found: Sequence[Found]) -> None:
    rows = output.table("file", "filetype", "bytes", "made by", "in", right=(2,), whole=(0, 3))
    for one in found:
        maker = f"{one.attempt} (junk)" if one.junk else one.attempt or "ingested"
        places = ", ".join(place.archive for place in one.places) or "gone"
        rows.add_row(escape(one.name), one.filetype, str(one.size), maker, places)
    output.show(rows)


@click.command()
@click.argument("attempt")
@click.option("--undo", is_flag=True, help="They are good after all.")
def junk(attempt: str, undo: bool) -> int:
    """Say that the data of ATTEMPT are junk: no query finds them, nothing is reused, and facade rm may remove them."""
    with registry() as opened:
        found = find(opened, attempt)
        if not undo:
            ensure_idle(found)
            if found.tags:
                raise RefusedError(
                    f"{found.name} is tagged {', '.join(found.tags)}",
                    remedy=f"take it off first: facade untag {found.name} {found.tags[0]}",
                )
        state = "active" if undo else "junk"
        opened.set_data_state(found.id, state)
        followers = opened.care.followers(found.id)
    talk(f"data of {found.name} {'were already' if found.data_state == state else 'are now'} {state}")
    if followers and not undo:
        talk(f"{some(followers, 5)} read files of it, or took them: those stay as long as they are needed")
    return DONE


@click.command()
@click.argument("things", nargs=-1, required=True, metavar="(ATTEMPT|FILE)…")
@click.option("--archive", default="", help="Only from this archive.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="What was (or would be) removed, as JSON on stdout.")
def rm(things: tuple[str, ...], archive: str, dry_run: bool, as_json: bool) -> int:
    """Remove files from archives: those of attempts whose data are junk, or single ones by name.

    What other attempts or tags need is refused, and told (exit 4); then nothing at all is removed. Files stay known
    with all that is said of them, and without a place. Whatever stops it: say it again, and it goes on.
    """
    with registry() as opened:
        wanted = removal.wanted(opened, site(), things, archive)
        if dry_run:
            removal.ensure_unneeded(opened, wanted)
            done = removal.Removed(tuple(wanted), ())
        else:
            with Progress(console=output.console(err=True), transient=True, disable=not interactive()) as bars:
                task = bars.add_task("removing", total=len(wanted))
                done = removal.remove(opened, site(), wanted, lambda number: bars.update(task, advance=number))
    if as_json:
        output.plain_json([{"filename": one.file.name, "archive": one.archive, "path": one.path,
                            "size": one.file.size} for one in done.gone])  # fmt: skip
    elif dry_run:
        for one in done.gone:
            click.echo(f"{one.archive}: {one.path}")
    size = sum(one.file.size for one in done.gone)
    talk(f"{len(done.gone)} files of {size} bytes {'would be' if dry_run else 'were'} removed")
    if done.failed:
        talk(f"error: {len(done.failed)} could not be: {some(done.failed, 5)}")
        return FAILED
    return DONE
