"""``facade provenance``: where something came from, what became of it, drawn or written down for others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.tree import Tree

from facade.cli import output
from facade.cli.context import registry, talk
from facade.cli.fitted import Fitted
from facade.errors import DONE
from facade.exports import FORMATS, written
from facade.graph import Execution, File, Graph

HEADINGS = ("steps", "file", "filetype", "made by", "version", "host", "started", "took", "attempt")
LISTED = 12
"""Files of one step that a tree shows for one execution, before it only counts them."""


@click.command()
@click.argument("thing")
@click.option("--up", "direction", flag_value="up", default="up", help="What it was made from (default).")
@click.option("--down", "direction", flag_value="down", help="What was made from it.")
@click.option("--both", "direction", flag_value="both", help="Either.")
@click.option("--depth", type=click.IntRange(min=0), help="How many steps to go; all of them without.")
@click.option(
    "--format", "form", type=click.Choice(["tree", "table", *FORMATS]), default="tree",
    help="tree and table for people; " + "; ".join(f"{name}: {what}" for name, (_, what) in FORMATS.items()) + ".",
)  # fmt: skip
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Write into this file.")
@click.option("--json", "as_json", is_flag=True, help="A row for each file, as JSON on stdout.")
def provenance(thing: str, direction: str, depth: int | None, form: str, target: Path | None, as_json: bool) -> int:
    """Show where THING came from (--up) or what became of it (--down), however many steps away.

    THING is a file, an attempt (Ht0_r11p95), one of its quanta (Ht0_r11p95:17) or a tag.
    """
    with registry() as opened:
        graph = opened.provenance(thing, ("up", "down") if direction == "both" else (direction,), depth)
    if as_json:
        output.plain_json([_row(one, graph) for one in _ordered(graph)])
    elif form in FORMATS:
        text = written(graph, form)
        if target is None:
            sys.stdout.write(text)
        else:
            target.write_text(text, encoding="utf-8")
            talk(f"{target}: {len(graph.files)} files, {len(graph.executions)} executions")
    else:
        output.show(_table(graph) if form == "table" else _tree(graph))
        talk(_summary(graph, direction))
    return DONE


def _ordered(graph: Graph) -> list[File]:
    return sorted(graph.files.values(), key=lambda one: (one.depth, one.name))


def _maker(one: File, graph: Graph) -> Execution | None:
    return graph.executions.get(one.made_by) if one.made_by is not None else None


def _row(one: File, graph: Graph) -> dict[str, Any]:
    maker = _maker(one, graph)
    made = maker is not None and maker.kind == "exec"
    return {
        "depth": one.depth, "filename": one.name, "filetype": one.filetype,
        "module": (maker.module or None) if maker else None, "exec": maker.name if maker and made else None,
        "attempt": one.attempt or None, "size": one.size, "sha256": one.checksum,
        "host": maker.host if maker else None, "version": maker.version if maker else None,
        "argv": list(maker.argv) if maker else [], "start": maker.start if maker else None,
        "end": maker.end if maker else None,
    }  # fmt: skip


def _table(graph: Graph) -> Fitted:
    rows = []
    for one in _ordered(graph):
        maker = _maker(one, graph)
        what = (maker.title if maker.kind == "exec" else maker.kind) if maker else "?"
        started = maker.start.strftime("%m-%d %H:%M:%S") if maker and maker.start else ""
        rows.append((
            str(one.depth), one.name, one.filetype, what, maker.version if maker else "", maker.host if maker else "",
            started, _took(maker), one.attempt,
        ))  # fmt: skip
    return Fitted(HEADINGS, rows)


def _tree(graph: Graph) -> Tree:
    """Return a branch for each step, with the executions that made its files."""
    tree = Tree(f"[bold]{escape(graph.about)}[/bold]", highlight=False)
    for depth in sorted({one.depth for one in graph.files.values()}):
        here = [one for one in _ordered(graph) if one.depth == depth]
        many = f"{len(here)} file{'s' * (len(here) != 1)}"
        branch = tree if depth == 0 else tree.add(f"[bold]{depth} step{'s' * (depth > 1)} away[/bold]: {many}")
        for maker, files in _by_maker(here, graph):
            for one in files[:LISTED]:
                branch.add(f"{escape(one.name)} [bright_black]{escape(_made(one, maker))}[/bright_black]")
            if len(files) > LISTED:
                branch.add(
                    f"[bright_black]and {len(files) - LISTED} more {escape(_made(files[-1], maker))}[/bright_black]"
                )
    return tree


def _by_maker(files: list[File], graph: Graph) -> Iterator[tuple[Execution | None, list[File]]]:
    """Yield files by the program and module that made them."""
    groups: dict[tuple[str, str, str], tuple[Execution | None, list[File]]] = {}
    for one in files:
        maker = _maker(one, graph)
        key = (maker.kind, maker.module, maker.name) if maker else ("", "", "")
        groups.setdefault((*key[:2], key[2] if key[0] == "exec" else ""), (maker, []))[1].append(one)
    yield from groups.values()


def _made(one: File, maker: Execution | None) -> str:
    if maker is None or maker.kind == "ingest":
        return f"{one.filetype}, ingested"
    by = maker.name if maker.kind == "exec" else maker.module or "facade"
    where = f" on {maker.host}" if maker.host else ""
    return f"{one.filetype}, by {by}{where} in {one.attempt}"


def _took(one: Execution | None) -> str:
    if one is None or one.start is None or one.end is None:
        return ""
    return f"{(one.end - one.start).total_seconds():.1f} s"


def _summary(graph: Graph, direction: str) -> str:
    others = sum(1 for one in graph.files.values() if one.depth)
    deepest = max((one.depth for one in graph.files.values()), default=0)
    what = {"up": "made from", "down": "went into", "both": "has to do with"}[direction]
    name = next((one.name for one in graph.files.values() if one.depth == 0), graph.about)
    about = name if sum(1 for one in graph.files.values() if one.depth == 0) == 1 else graph.about
    return f"{about}: {what} {others} files, up to {deepest} steps away"
