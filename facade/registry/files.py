"""Files, their metadata and where they lie: registering in bulk, and looking up by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facade.errors import InputError, RefusedError
from facade.plugins import Row
from facade.registry.connection import Cursor, Session, copy
from facade.registry.runs import encode
from facade.registry.values import DIMENSIONS, FileKey, FileType, Ingested, NewFile

FILES = """
select d.id, d.filename, d.compression, d.filetype, d.filesize, d.checksum, d.pfw_attempt_id, d.wgb_task_id,
       l.archive_name, l.path
  from desfile d
  left join lateral (select archive_name, path from file_location
                      where desfile_id = d.id
                        and (%(archives)s::text[] is null or archive_name = any(%(archives)s::text[]))
                      order by array_position(%(archives)s::text[], archive_name), archive_name limit 1) l on true
"""
INCOMING = """
create temporary table incoming (
  filename text, compression text, filetype text, filesize bigint, checksum text, metadata_table text, metadata jsonb,
  archive_name text, path text
) on commit drop
"""
CLASHES = """
with clash as materialized (
  select d.filename || d.compression as name, d.wgb_task_id
    from incoming i join desfile d using (filename, compression) where d.checksum <> i.checksum)
select c.name, t.name as maker, c.wgb_task_id from clash c join task t on t.id = c.wgb_task_id order by 1 limit 5
"""
# materialized: with the limit in sight PostgreSQL would compare each of 100,000 files with each
LOCATIONS = """
insert into file_location (desfile_id, archive_name, path)
select d.id, i.archive_name, i.path from incoming i join desfile d using (filename, compression) order by d.id
on conflict (desfile_id, archive_name) do update set path = excluded.path where file_location.path <> excluded.path
"""
METADATA = """
select put_metadata(metadata_table, rows) from (
  select i.metadata_table, jsonb_agg(i.metadata || jsonb_build_object('desfile_id', d.id)) as rows
    from incoming i join desfile d using (filename, compression)
   where i.metadata_table is not null
   group by i.metadata_table, d.id / 10000) chunk
"""


def set_archive(session: Session, name: str, root: str) -> None:
    """Note where an archive has its root."""
    session.rows(
        "insert into archive (name, root) values (%s, %s) on conflict (name) do update set root = excluded.root",
        (name, root),
    )


def ingest(
    session: Session,
    task_name: str,
    filetypes: Mapping[str, FileType],
    new_files: Sequence[NewFile],
    contents: Sequence[tuple[FileKey, str, Sequence[Row]]],
) -> Ingested:
    """Register files under a task of kind ingest, in one transaction (see `Registry.ingest`)."""
    with session.transaction() as cursor:
        task = _begin(cursor, task_name)
        cursor.execute(INCOMING)
        copy(cursor, "incoming", _INCOMING_COLUMNS, (_incoming(file, filetypes) for file in new_files))
        cursor.execute(
            "insert into desfile (filename, compression, filetype, filesize, checksum, wgb_task_id)"
            " select distinct on (filename, compression) filename, compression, filetype, filesize, checksum, %s"
            " from incoming order by filename, compression on conflict do nothing",
            (task,),
        )
        new = cursor.rowcount
        _refuse_clashes(cursor)
        cursor.execute(
            "insert into archive (name) select distinct archive_name from incoming order by 1 on conflict do nothing"
        )
        cursor.execute(LOCATIONS)
        cursor.execute(METADATA)
        for key, table, rows in contents:
            _put_contents(cursor, key, table, rows)
        cursor.execute(
            "update task set state = 'succeeded', status = 0, end_time = clock_timestamp() where id = %s", (task,)
        )
        distinct = {(file["filename"], file["compression"]) for file in new_files}
        return Ingested(task_id=task, new=new, present=len(distinct) - new)


_INCOMING_COLUMNS = (
    *("filename", "compression", "filetype", "filesize", "checksum"),
    *("metadata_table", "metadata", "archive_name", "path"),
)


def _incoming(file: NewFile, filetypes: Mapping[str, FileType]) -> Sequence[Any]:
    definition = filetypes.get(file["filetype"])
    table = (definition["metadata_table"] or None) if definition else None
    return (
        *(file["filename"], file["compression"], file["filetype"], file["size"], file["checksum"]),
        *(table, encode(file["metadata"]), file["archive"], file["path"]),
    )


def _begin(cursor: Cursor, name: str) -> int:
    cursor.execute(
        "with numbered as (select nextval(pg_get_serial_sequence('task', 'id')) as id)"
        " insert into task (id, kind, name, root_task_id, start_time, state, run)"
        " select id, 'ingest', %s, id, now(), 'running', 1 from numbered returning id",
        (name,),
    )
    row = cursor.fetchone()
    assert row is not None
    return int(row["id"])


def _refuse_clashes(cursor: Cursor) -> None:
    cursor.execute(CLASHES)
    if clashes := cursor.fetchall():
        first = clashes[0]
        others = f" (and {', '.join(row['name'] for row in clashes[1:])}, at least)" if clashes[1:] else ""
        raise RefusedError(
            f"file {first['name']} is already registered with other content,"
            f" made by task {first['wgb_task_id']} ({first['maker']}){others}",
            remedy="other content needs another name",
        )


def _put_contents(cursor: Cursor, key: FileKey, table: str, rows: Sequence[Row]) -> None:
    if table not in DIMENSIONS:
        raise InputError(f"there is no dimension table {table!r}", remedy=f"there are: {', '.join(DIMENSIONS)}")
    cursor.execute("select id from desfile where filename = %s and compression = %s", key)
    found = cursor.fetchone()
    if found is None:
        raise InputError(f"the contents of {''.join(key)} came without the file itself")
    cursor.execute("drop table if exists pg_temp.contents")
    cursor.execute(f"create temporary table contents (like {table} including defaults) on commit drop")
    cursor.execute("select attname as name from pg_attribute where attrelid = 'contents'::regclass and attnum > 0")
    columns = [row["name"] for row in cursor.fetchall()]
    given = [one for one in columns if one in ("version", "desfile_id") or any(one in row for row in rows)]
    given += ["patchname"] if "patch" in given and "patchname" not in given else []
    own = {"version": "", "desfile_id": found["id"]}
    full = ({**own, **row, "patchname": row.get("patchname", row.get("patch"))} for row in rows)
    copy(cursor, "contents", given, ([row.get(name, own.get(name)) for name in given] for row in full))
    names, order = ", ".join(columns), ", ".join(DIMENSIONS[table])
    cursor.execute(
        f"insert into {table} ({names}) select {names} from contents order by {order} on conflict do nothing"  # noqa: S608
    )
    others = [name for name in columns if name not in (*DIMENSIONS[table], "desfile_id")]
    here, there = (", ".join(f"{one}.{name}" for name in others) for one in ("r", "o"))
    if not others:
        return
    cursor.execute(
        f"select {order} from contents r join {table} o using ({order})"  # noqa: S608
        f" where ({here}) is distinct from ({there}) order by {order} limit 1"
    )
    if other := cursor.fetchone():
        what = " ".join(f"{name} {value}" for name, value in other.items())
        raise RefusedError(
            f"{''.join(key)} says something else than {table} has for {what}",
            remedy="other contents need another version: --set version=…",
        )


def lookup(session: Session, names: Iterable[FileKey], archives: Sequence[str] = ()) -> dict[FileKey, dict[str, Any]]:
    """Return the rows of those *names* that are registered, with where they lie: the first of *archives*, if given."""
    wanted = sorted(set(names))
    rows = session.rows(
        FILES  # noqa: S608
        + " where (d.filename, d.compression) in (select * from unnest(%(names)s::text[], %(suffixes)s::text[]))",
        {
            "names": [name for name, _ in wanted],
            "suffixes": [compression for _, compression in wanted],
            "archives": list(archives) or None,
        },
    )
    return {(row["filename"], row["compression"]): row for row in rows}


def located(archives: Sequence[str]) -> tuple[str, str, dict[str, str]]:
    """Return joins by which files ``d`` are found in *archives*, the folder in the first that has one, and parameters.

    A plain join for each: PostgreSQL can hash it, which it cannot a choice for each file.
    """
    joins = [
        f"left join file_location l{at} on l{at}.desfile_id = d.id and l{at}.archive_name = %(archive{at})s"
        for at in range(len(archives))
    ]
    path = ", ".join([f"l{at}.path" for at in range(len(archives))])
    return "\n  ".join(joins), f"coalesce({path})", {f"archive{at}": name for at, name in enumerate(archives)}


def attempt_files(session: Session, attempt_id: int, filetype: str | None) -> list[dict[str, Any]]:
    """Return what an attempt made, ordered by name."""
    return session.rows(
        FILES + " where d.pfw_attempt_id = %(attempt)s and (%(filetype)s::text is null or d.filetype = %(filetype)s)"
        " order by d.filename, d.compression",
        {"attempt": attempt_id, "filetype": filetype, "archives": None},
    )


def forget_locations(session: Session, names: Iterable[FileKey], archive: str) -> int:
    """Note that files are no longer in *archive*; return how many were."""
    wanted = sorted(set(names))
    rows = session.rows(
        "delete from file_location l using desfile d, unnest(%s::text[], %s::text[]) n (filename, compression)"
        " where l.desfile_id = d.id and d.filename = n.filename and d.compression = n.compression"
        " and l.archive_name = %s returning l.desfile_id",
        ([name for name, _ in wanted], [compression for _, compression in wanted], archive),
    )
    return len(rows)
