"""What a keyword is: where it may stand, its type, its meaning, whether it has an effect. The table is `keywords`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from facade.campaign.words import Kind

ACTIVE, VARIABLE, RETIRED, PLANNED = "active", "variable", "retired", "planned"
REQUIRED = "required"

STATUS = {
    ACTIVE: "facade acts on it",
    VARIABLE: "a variable that patterns and command lines use; facade itself does not look at it",
    PLANNED: "the original acted on it, facade does not yet",
    RETIRED: "the original acted on it, facade has something else instead",
}
"""What each status means. A keyword that is planned or retired gives a warning where its value asks for something."""

SECTIONS = {
    "campaign": "the campaign itself, at top level; those without an effect may stand in a block or module too",
    "block": "`<block NAME>`",
    "module": "`<module NAME>`",
    "exec": "`<exec_1>`, `<exec_2>` … in a module",
    "cmdline": "`<cmdline>` in an exec",
    "file": "`<file>`, `<NAME>` in a module",
    "hdrupd": "`<hdrupd_NAME>` in a file section ([outputs.md](outputs.md))",
    "list": "`<list>`, `<NAME>` in a module",
    "wrapper": "`<wrapper>` in a module; a wrapper of your own may have others",
    "filename_pattern": "`<filename_pattern>`",
    "directory_pattern": "`<directory_pattern>`, `<NAME>`",
    "filetype": "`<filetype_metadata>`, `<NAME>`",
    "columns": "`<columns>` in a filetype",
    "contents": "`<contents>` in a filetype ([plugins.md](plugins.md))",
    "job_environment": "`<job_environment>`",
    "max_jobs": "`<max_jobs>`",
    "qcf": "`<qcf>` in the campaign, a block, a module or an exec ([messages.md](messages.md))",
    "pattern": "`<patterns>` in `<qcf>`, `<NAME>`",
    "exclude": "`<excludes>` in `<qcf>`, `<NAME>`",
    "filter": "`<filter>` in `<qcf>`, `<NAME>`",
    "archive": "`<archive>`, `<NAME>`",
    "site": "the site file ([site.md](site.md)), not the campaign",
}
"""Section of the table -> where its keywords stand."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword. A name in angle brackets (``<COLUMN>``, ``exec_<N>``) stands for names of the operator's own.

    ``default`` is what holds without it ("required": it must be there), ``since`` "DESDM", "LSST" (its wrapper) or the
    version of facade that brought it, ``status`` a key of `STATUS`.
    """

    section: str
    name: str
    type: Kind[Any]
    default: str
    meaning: str
    since: str
    status: str


def rows(section: str, since: str, status: str, *told: tuple[str, Kind[Any], str, str]) -> Iterator[Keyword]:
    """Yield the keywords of one section that have *since* and *status* in common: (name, type, default, meaning)."""
    for name, kind, default, meaning in told:
        yield Keyword(section, name, kind, default, meaning, since, status)
