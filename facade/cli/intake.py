"""``facade ingest``: files that exist already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from facade import ingest as ingesting
from facade.cli import output
from facade.cli.context import interactive, registry, revive, site, talk
from facade.errors import DONE, FAILED, InputError
from facade.ingest import BAD, FILLED, NEW, PRESENT, REFUSED, Outcome, Way
from facade.ingest.reading import ingestor_called

SHOWN = 20
"""Faults that are told as they come; after those, only their number (--json has all)."""


@click.command()
@click.option("--filetype", default="", help="What the files are (filetype_metadata of the site or --definitions).")
@click.option(
    "--list", "lists", multiple=True, metavar="FILE|-", help="A file with a path a line; - is standard input."
)
@click.option(
    "--manifest", "manifests", multiple=True, metavar="FILE",
    help="CSV or JSON lines: path, and if known size, checksum (SHA-256), metadata columns.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="COLUMN=VALUE", help="A metadata or table column for all files."
)
@click.option("--definitions", type=click.Path(path_type=Path), help="WCL file that defines the filetype.")
@click.option("--dry-run", is_flag=True, help="Read and check everything; write nothing.")
@click.option("--all-or-none", is_flag=True, help="Register nothing if anything is wrong with any file.")
@click.option("--in-place", is_flag=True, help="The files lie in the archive already: register them where they are.")
@click.option("--fill", is_flag=True, help="The files are registered: read them again for metadata that they lack.")
@click.option("--batch", type=click.IntRange(1), metavar="N", help="Files to a transaction (2000; of catalogues, 50).")
@click.option(
    "--test", "plugin", metavar="PLUGIN", help="Show what an ingestor makes of FILEs, and check it; no database."
)
@click.option("--json", "as_json", is_flag=True, help="What became of each file as JSON on stdout.")
@click.argument("files", nargs=-1, metavar="FILE|GLOB|FOLDER…")
def ingest(
    filetype: str, lists: tuple[str, ...], manifests: tuple[str, ...], settings: tuple[str, ...],
    definitions: Path | None, dry_run: bool, all_or_none: bool, in_place: bool, fill: bool, batch: int | None,
    plugin: str | None, as_json: bool, files: tuple[str, ...],
) -> int:  # fmt: skip
    """Copy files into the archive and register them with their metadata and contents.

    A file that cannot go in is told and left out; the others go in, and the exit code is 1. The same file twice is no
    change. An ingestion that was interrupted goes on when it is started again.
    """
    document = site().load(definitions if definitions else site().filetypes)
    if plugin is not None:
        from facade.cli.trial import trial

        return trial(plugin, filetype.lower(), document, files, as_json=as_json)
    if not filetype or not (files or lists or manifests):
        missing = "--filetype" if not filetype else "files: as arguments, --list or --manifest"
        raise InputError(f"say {missing}", remedy="facade ingest --help")
    if fill and (dry_run or in_place):
        raise InputError("--fill goes with neither --dry-run nor --in-place", remedy="facade ingest --help")
    definition = ingesting.definition_of(document, filetype.lower())
    ingestor_called(definition.ingestor)  # if there is none, no database need be started for it
    wanted = ingesting.gather(files, lists, manifests, [name for name, _, _ in definition.columns])
    way = Way(
        settings=_settings(settings), dry=dry_run, whole=all_or_none, in_place=in_place, fill=fill, batch=batch or 0
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    counts, kept, told, rows = Counter[str](), list[Outcome](), 0, 0
    with (
        registry() as opened,
        Progress(
            *columns, TimeRemainingColumn(), console=output.console(err=True), transient=True, disable=not interactive()
        ) as bars,
    ):
        read, done = (bars.add_task(name, total=len(wanted.files)) for name in ("read", "done"))

        def progress(more_read: int, more_done: int) -> None:
            bars.update(read, advance=more_read)
            bars.update(done, advance=more_done)

        with closing(ingesting.ingest(opened, site(), definition, document, wanted, way, progress, revive)) as outcomes:
            for outcome in outcomes:
                counts[outcome.state] += 1
                rows += outcome.rows if outcome.state == NEW else 0
                if as_json:
                    kept.append(outcome)
                if not outcome.fine and (told := told + 1) <= SHOWN:
                    talk(str(outcome))
    if told > SHOWN:
        talk(f"… and {told - SHOWN} more (--json tells of all)")
    if as_json:
        output.plain_json([one.plain() for one in kept])
    talk(_summary(counts, rows, definition.name, way))
    return FAILED if counts[REFUSED] or counts[BAD] else DONE


def _settings(settings: Sequence[str]) -> dict[str, str]:
    values = {}
    for setting in settings:
        column, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: not column=value")
        values[column.strip().lower()] = value.strip()
    return values


def _summary(counts: Mapping[str, int], rows: int, filetype: str, way: Way) -> str:
    """Return ``3 raw files registered, 1 registered already, 1 left out``."""
    number = counts[FILLED] if way.fill else counts[NEW]
    text = f"{number} {filetype} file{'' if number == 1 else 's'} "
    text += "filled in" if way.fill else f"{'would be ' if way.dry else ''}registered"
    text += f" with {rows} rows" if rows else ""
    for state, words in ((PRESENT, "registered already"), (REFUSED, "refused"), (BAD, "left out")):
        text += f", {counts[state]} {words}" if counts[state] else ""
    return text
