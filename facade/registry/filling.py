"""Metadata of registered files: what they lack is filled in, what they have stays."""

from __future__ import annotations

from collections.abc import Mapping

from facade.plugins import Scalar
from facade.registry.connection import Session
from facade.registry.runs import encode
from facade.registry.values import FileType

FILL = """
insert into "{table}" as m (desfile_id, {names})
select desfile_id, {names} from jsonb_populate_recordset(null::"{table}", %s::jsonb) order by desfile_id
on conflict (desfile_id) do update set {values} where {news}
returning desfile_id
"""


def fill(session: Session, filetype: FileType, told: Mapping[int, Mapping[str, Scalar]]) -> set[int]:
    """Give files (id -> metadata) of a filetype values of columns in which they have none; return those that got any.

    The filetype has metadata.
    """
    table, columns = filetype["metadata_table"], list(filetype["columns"])
    known = {number: {name: said.get(name) for name in columns} for number, said in told.items()}
    rows = [
        encode({"desfile_id": number, **values})
        for number, values in known.items()
        if any(value is not None for value in values.values())
    ]
    quoted = [f'"{name}"' for name in columns]
    text = FILL.format(
        table=table,
        names=", ".join(quoted),
        values=", ".join(f"{name} = coalesce(m.{name}, excluded.{name})" for name in quoted),
        news=" or ".join(f"(m.{name} is null and excluded.{name} is not null)" for name in quoted),
    )
    return {row[0] for row in session.tuples(text, ("[" + ",".join(rows) + "]",))}
