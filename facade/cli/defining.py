"""``facade show filetypes``: what is recorded about files, as a table, JSON, or a page of documentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import click
from rich.markup import escape

from facade.campaign import filetypes as read_filetypes
from facade.cli import output
from facade.cli.context import DEFINITIONS, site
from facade.cli.fitted import Fitted
from facade.cli.showing import JSON, MARKDOWN, markdown_table
from facade.errors import DONE, InputError
from facade.files import FileType
from facade.registry.values import FileType as RecordedType
from facade.wcl import did_you_mean

CONTENTS = ("column of rows", "type", "source")
HEAD = ("column", "type", "unit", "required", "source", "UCD", "meaning")


def defined(definitions: Path | None) -> Mapping[str, FileType]:
    """Return the filetypes of a file, or of the site.

    Raises:
        InputError, CampaignError: there is no such file, or it has faults.
    """
    return read_filetypes(site().load(definitions or site().filetypes))


def recorded(known: Mapping[str, FileType]) -> dict[str, RecordedType]:
    """Return those of *known* that have metadata, as the registry takes them."""
    found = {name: one.definition() for name, one in known.items() if one.metadata_table}
    return {name: cast(RecordedType, definition) for name, definition in found.items()}


@click.command()
@click.argument("name", required=False)
@DEFINITIONS
@JSON
@MARKDOWN
def filetypes(name: str | None, definitions: Path | None, as_json: bool, markdown: bool) -> int:
    """List the filetypes that the site knows, or show the metadata of the one called NAME."""
    known = {one: found for one, found in sorted(defined(definitions).items()) if one not in ("list", "log")}
    if name is not None and name.lower() not in known:
        hint = did_you_mean(name.lower(), known) or f"known: {', '.join(known)}"
        raise InputError(f"no filetype is called '{name}'", remedy=hint)
    chosen = {one: found for one, found in known.items() if name is None or one == name.lower()}
    if as_json:
        output.plain_json([_plain(found) for found in chosen.values()])
    elif markdown:
        click.echo(page(chosen), nl=False)
    elif name is not None:
        (found,) = chosen.values()
        output.show(escape(_about(found)), *([Fitted(HEAD, _rows(found))] if found.columns else []))
        if found.contents:
            output.show("", Fitted(CONTENTS, _contents(found)))
    else:
        rows = output.table("filetype", "table", "ingestor", "columns", right=(3,))
        for one, found in chosen.items():
            rows.add_row(one, found.metadata_table, found.ingestor, str(len(found.columns) or ""))
        output.show(rows)
    return DONE


def page(known: Mapping[str, FileType]) -> str:
    """Return a page of documentation on *known* filetypes."""
    parts = ["# Filetypes", "", "Made from their definitions by `facade show filetypes --markdown`.", ""]
    for name, found in known.items():
        parts += [f"## {name}", "", f"{_about(found)}.", ""]
        if found.columns:
            parts += markdown_table(HEAD, _rows(found))
        if found.contents:
            parts += markdown_table(CONTENTS, _contents(found))
    return "\n".join(parts)


def _about(found: FileType) -> str:
    kept = f"metadata in table {found.metadata_table}" if found.metadata_table else "no metadata"
    rows = f", rows in table {found.contents_table}" if found.contents_table else ""
    place = found.archive_path or found.name
    return f"{found.name}: {kept}{rows}; ingestor {found.ingestor}; in the archive below {place}"


def _rows(found: FileType) -> list[tuple[str, ...]]:
    return [
        (name, kind, said.unit, "yes" if said.required else "", source, said.ucd, said.description)
        for name, kind, source in found.columns
        for said in (found.detail(name),)
    ]


def _contents(found: FileType) -> list[tuple[str, ...]]:
    return [(f"{found.contents_table}.{name}", kind, source) for name, kind, source in found.contents]


def _plain(found: FileType) -> dict[str, object]:
    known = {"filetype": found.name, "ingestor": found.ingestor, "archive_path": found.archive_path}
    contents = {name: {"type": kind, "source": source} for name, kind, source in found.contents}
    rows = {"contents_table": found.contents_table, "contents": contents} if contents else {}
    return {**known, **found.definition(), **rows}
