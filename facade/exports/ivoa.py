"""A provenance graph in the IVOA's Provenance Data Model 1.0: one VOTable with a table for each class.

Column names are those of the model's attributes (IVOA recommendation of 2020-04-11, sections 2.2 to 2.5), table names
those of its classes.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from facade.graph import Graph

if TYPE_CHECKING:
    from astropy.table import Table

Rows = list[tuple[str, ...]]


def ivoa_text(graph: Graph) -> str:
    """Return a VOTable."""
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Resource, VOTableFile

    whole = VOTableFile()
    resource = Resource(name="provenance")
    whole.resources.append(resource)
    for name, table in _tables(graph).items():
        found = from_table(table).get_first_table()
        found.name = name
        found.ID = name
        found.utype = f"prov:{name}"
        resource.tables.append(found)
    text = io.BytesIO()
    whole.to_xml(text)
    return text.getvalue().decode()


def _tables(graph: Graph) -> dict[str, Table]:
    files, executions = graph.files.values(), graph.executions.values()
    names = {one.id: f"file:{one.name}" for one in files}
    people = dict.fromkeys(one.operator for one in executions if one.operator)
    programs = dict.fromkeys((one.name, one.version) for one in executions)
    return {
        "Entity": _table(
            ("id", "name", "type", "location", "generatedAtTime", "comment"),
            [
                (names[one.id], one.name, one.filetype, _place(one.archive, one.path), _made(graph, one.made_by),
                 f"sha256={one.checksum} size={one.size}")
                for one in files
            ],
        ),
        "Activity": _table(
            ("id", "name", "startTime", "stopTime", "comment", "activityDescription_id"),
            [
                (f"task:{one.id}", one.title, _iso(one.start), _iso(one.end), " ".join(one.argv),
                 f"program:{one.name}:{one.version}")
                for one in executions
            ],
        ),
        "ActivityDescription": _table(
            ("id", "name", "version", "type"),
            [(f"program:{name}:{version}", name, version, "processing") for name, version in programs],
        ),
        "Agent": _table(("id", "name", "type"), [(f"user:{name}", name, "Individual") for name in people]),
        "Used": _table(
            ("activity_id", "entity_id"), [(f"task:{execution}", names[file]) for execution, file in graph.used]
        ),
        "WasGeneratedBy": _table(
            ("entity_id", "activity_id"), [(names[file], f"task:{execution}") for file, execution in graph.generated]
        ),
        "WasDerivedFrom": _table(
            ("generatedEntity_id", "usedEntity_id"), [(names[child], names[parent]) for child, parent in graph.derived]
        ),
        "WasAssociatedWith": _table(
            ("activity_id", "agent_id", "role"),
            [(f"task:{one.id}", f"user:{one.operator}", "operator") for one in executions if one.operator],
        ),
    }  # fmt: skip


def _table(columns: tuple[str, ...], rows: Rows) -> Table:
    from astropy.table import Table

    values = zip(*rows, strict=True) if rows else [() for _ in columns]
    return Table([list(column) for column in values], names=columns, dtype=["U1" if not rows else str] * len(columns))


def _place(archive: str, path: str | None) -> str:
    return "" if path is None else f"{archive}:{path}"


def _made(graph: Graph, execution: int | None) -> str:
    maker = graph.executions.get(execution) if execution is not None else None
    return _iso(maker.end) if maker is not None else ""


def _iso(time: object) -> str:
    return "" if time is None else str(getattr(time, "isoformat")())  # noqa: B009
