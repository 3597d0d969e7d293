"""Job repositories of the LSST stack's second generation: plain files, written without any LSST code.

``repositoryCfg.yaml`` names the mapper and overrides its file name templates; ``registry.sqlite3`` holds the data ID
values that the mapper looks up. The registry lists no files: a coadd needs rows for every visit and CCD below it too.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from facade.errors import InputError

Templates = Mapping[str, Mapping[str, str]]
"""Section of the policy (exposures, datasets, …) -> dataset type -> template."""

_RAW = {
    "proposal": "text", "dataType": "text", "expTime": "double", "ccd": "int", "pa": "double",
    "autoguider": "int", "ccdTemp": "double", "config": "text", "frameId": "text", "expId": "text",
    "dateObs": "text", "taiObs": "text", "field": "text", "visit": "int", "pointing": "int", "filter": "text",
}  # fmt: skip
_VISIT = ("visit", "field", "filter", "dateObs", "taiObs")
_DATES = ("dateObs", "taiObs")

_CREATE = (
    "create table if not exists raw (id integer primary key autoincrement, "
    + ", ".join(f"{name} {kind}" for name, kind in _RAW.items())
    + ", unique(visit, ccd))",
    "create table if not exists raw_visit ("
    + ", ".join(f"{name} {_RAW[name]}" for name in _VISIT)
    + ", unique(visit))",
)


def _merge(table: str, columns: Iterable[str], key: str) -> str:
    """Return the statement that adds a row or fills the gaps of the one that is there."""
    names = list(columns)
    fill = ", ".join(f"{name} = coalesce({table}.{name}, excluded.{name})" for name in names)
    values = ", ".join(f":{name}" for name in names)
    return (
        f"insert into {table} ({', '.join(names)}) values ({values}) "  # noqa: S608 - names are the constants above
        f"on conflict ({key}) do update set {fill}"
    )


_MERGE = (_merge("raw", _RAW, "visit, ccd"), _merge("raw_visit", _VISIT, "visit"))


def write_configuration(repo: Path, mapper: str, templates: Templates) -> None:
    """Make *repo* a repository of *mapper*; one that an earlier quantum wrote is replaced in one move if it differs.

    Raises:
        InputError: the mapper or a template cannot be written down safely.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", mapper):
        raise InputError(f"mapper = {mapper!r} is not the full name of a class, such as lsst.obs.hsc.HscMapper")
    repo.mkdir(parents=True, exist_ok=True)
    if templates:
        _write(repo / "repositoryCfg.yaml", _configuration(mapper, templates))
    else:
        _write(repo / "_mapper", f"{mapper}\n")


def _configuration(mapper: str, templates: Templates) -> str:
    lines = ["!RepositoryCfg_v1", f"_mapper: !!python/name:{mapper} ''", "_mapperArgs: {}", "_parents: []", "_policy:"]
    for section, types in sorted(templates.items()):
        lines.append(f"  {section}:")
        for name, template in sorted(types.items()):
            if not re.fullmatch(r"\w+", name) or not template.isprintable():
                raise InputError(f"butler template {section}.{name} cannot be written down: {template!r}")
            quoted = template.replace("'", "''")
            lines.append(f"    {name}: {{template: '{quoted}'}}")
    return "\n".join([*lines, "_root: null", ""])


def _write(file: Path, text: str) -> None:
    if file.is_file() and file.read_text() == text:
        return
    draft = file.with_name(f".{file.name}-{os.getpid()}")
    draft.write_text(text)
    draft.replace(file)


def registry_rows(metadata: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per piece of *metadata* that has visit and ccd; column names are matched without case."""
    rows = []
    for item in metadata:
        given = {key.lower(): value for key, value in item.items()}
        row = {name: given.get(name.lower()) for name in _RAW}
        if row["visit"] is None or row["ccd"] is None:
            continue
        rows.append(row | {name: str(row[name])[:10] for name in _DATES if row[name] is not None})
    return rows


def write_registry(repo: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add *rows* to the registry of *repo*, in one transaction; what earlier quanta wrote stays, gaps are filled.

    Raises:
        InputError: the file that is there is no such registry.
    """
    repo.mkdir(parents=True, exist_ok=True)
    file = repo / "registry.sqlite3"
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("pragma synchronous = off")  # job directories need not survive a crash
        connection.execute("begin immediate")
        for statement in _CREATE:
            connection.execute(statement)
        for row in rows:
            for statement in _MERGE:
                connection.execute(statement, row)
        connection.execute("commit")
    except sqlite3.Error as error:
        raise InputError(f"cannot write {file}: {error}") from error
    finally:
        connection.close()
