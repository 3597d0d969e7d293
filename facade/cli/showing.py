"""``facade show keywords|faults``: the built-in reference, as a table, JSON, or a page of documentation."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import click

from facade.campaign.keyword import SECTIONS, STATUS, Keyword
from facade.campaign.keywords import KEYWORDS
from facade.campaign.words import KINDS
from facade.codes import CODES
from facade.errors import DONE, InputError
from facade.wcl.tree import did_you_mean

JSON = click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
MARKDOWN = click.option("--markdown", is_flag=True, help="As the page of the documentation.")
WIDTH, NARROW = 120, 36  # columns: of a terminal that does not say, of a text that is still readable

AREAS = {
    "F0": "Text and includes",
    "F1": "Variables",
    "F2": "The campaign as a whole",
    "F3": "Modules",
    "F4": "Modules among each other",
    "F5": "Planning with rows",
    "F6": "Queries",
}
"""First two characters of a code -> what such faults are about."""


@click.command()
@click.argument("section", required=False)
@JSON
@MARKDOWN
def keywords(section: str | None, as_json: bool, markdown: bool) -> int:
    """List every keyword of campaigns and site files, or those of one SECTION (file, module, exec …)."""
    if section is not None and section not in SECTIONS:
        hint = did_you_mean(section, SECTIONS) or f"sections: {', '.join(SECTIONS)}"
        raise InputError(f"no section is called '{section}'", remedy=hint)
    chosen = [one for one in KEYWORDS if section in (None, one.section)]
    if as_json:
        click.echo(json.dumps([_plain(one) for one in chosen], indent=1))
    elif markdown:
        click.echo(keywords_page(), nl=False)
    else:
        for name in SECTIONS if section is None else (section,):
            rows = [_row(one) for one in chosen if one.section == name]
            head = textwrap.wrap(f"{name}: {_bare(SECTIONS[name])}", _width())
            click.echo("\n".join([*head, *_columns(rows), ""]))
    return DONE


@click.command()
@click.argument("code", required=False)
@JSON
@MARKDOWN
def faults(code: str | None, as_json: bool, markdown: bool) -> int:
    """Say what each code of a fault means and what to do about it, or that of one CODE."""
    if code is not None and code.upper() not in CODES:
        raise InputError(f"no fault has the code '{code}'", remedy="facade show faults lists them all")
    chosen = {name: CODES[name] for name in sorted(CODES) if code is None or name == code.upper()}
    if as_json:
        click.echo(json.dumps(chosen, indent=1))
    elif markdown:
        click.echo(faults_page(), nl=False)
    else:
        click.echo("\n".join(_columns(list(chosen.items()))))
    return DONE


def _plain(one: Keyword) -> dict[str, str]:
    return {
        "section": one.section,
        "name": one.name,
        "type": one.type.name,
        "default": one.default,
        "meaning": one.meaning,
        "since": one.since,
        "status": one.status,
    }


def _row(one: Keyword) -> tuple[str, ...]:
    return one.name, one.type.name, one.default, one.since, one.status, one.meaning


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns


def _bare(text: str) -> str:
    """Return *text* without the marks of Markdown."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text).replace("`", "")


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table as wide as the terminal; the last column is folded, in a narrow one below."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(rows[0]) - 1 if rows else 0)]
    whole = _width()
    left = sum(widths) + 2 * len(widths) + 2
    narrow = whole - left < NARROW
    for row in rows:
        head = "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        if narrow:
            yield from textwrap.wrap(
                "  ".join(filter(None, row[:-1])), whole, initial_indent="  ", subsequent_indent="    "
            )
        indent = 6 if narrow else left
        folded = textwrap.wrap(row[-1], max(NARROW, whole - indent))
        for index, line in enumerate(folded):
            yield f"{head}  {line}" if index == 0 and not narrow else " " * indent + line


def keywords_page() -> str:
    """Return docs/keywords.md."""
    parts = [
        "# Keywords",
        "",
        "Made from the table in [facade/campaign/keywords.py](../facade/campaign/keywords.py) by `facade show keywords"
        " --markdown`;",
        "`facade show keywords SECTION` shows one section in the terminal. Any other key is a variable of your own, and"
        " is told if",
        "nothing uses it. *Since* is DESDM, LSST (its wrapper for DESDM), or the version of facade that brought it.",
        "",
        *(f"- *{status}*: {meaning}" for status, meaning in STATUS.items()),
        "",
        "A keyword that is planned or retired gives one warning, unless its value asks for what facade does anyway.",
        "",
    ]
    for section, where in SECTIONS.items():
        rows = [_row(one) for one in KEYWORDS if one.section == section]
        parts += [f"## {section}", "", f"In {where}.", ""]
        parts += markdown_table(("keyword", "type", "default", "since", "status", "meaning"), rows)
    parts += ["## Types", "", "A value in quotes is one item of a list, whatever it holds.", ""]
    parts += markdown_table(
        ("type", "is", "written"), [(k.name, k.what, k.spellings.removeprefix("write ")) for k in KINDS]
    )
    return "\n".join(parts)


def faults_page() -> str:
    """Return docs/faults.md."""
    parts = [
        "# Faults",
        "",
        "Made from the table in [facade/codes.py](../facade/codes.py) by `facade show faults --markdown`; `facade show"
        " faults CODE` shows",
        "one in the terminal. A code keeps its meaning from version to version.",
        "",
    ]
    for area, title in AREAS.items():
        rows = [(code, CODES[code]) for code in sorted(CODES) if code.startswith(area)]
        if rows:
            parts += [f"## {title}", "", *markdown_table(("code", "meaning, and what to do"), rows)]
    return "\n".join(parts)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(index, cell) for index, cell in enumerate(row))} |" for row in rows]
    return [*lines, ""]


def _cell(index: int, text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`" if index == 0 else escaped.replace("<", "&lt;").replace("__", "\\_\\_")
