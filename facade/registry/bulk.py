"""Registering files that exist already: some thousands in one transaction, by COPY, each name once.

Ids are reserved before, so that files, locations, metadata and contents are copied straight into their tables. If
somebody else was faster with a name, all of it is done again, over a temporary table from which only free names are
taken. Names are sorted, so that two who register the same ones wait for each other and do not deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from facade.errors import InputError, RefusedError
from facade.plugins import Row
from facade.registry.connection import DEADLOCK, Cursor, Session, copy, repeated
from facade.registry.contents import Catalogue, put_catalogue
from facade.registry.values import DIMENSIONS, FileKey, FileType, Ingested, NewFile

KNOWN = """
select d.filename, d.compression, d.id, d.filesize, d.checksum, d.filetype,
       (select 'task ' || t.id || ' (' || t.name || ')' from task t where t.id = d.wgb_task_id) as maker, l.path
  from unnest(%(names)s::text[], %(suffixes)s::text[]) n (filename, compression)
  join desfile d using (filename, compression)
  left join file_location l on l.desfile_id = d.id and l.archive_name = %(archive)s
"""
INCOMING = """
create temporary table incoming (
  id bigint, filename text, compression text, filetype text, filesize bigint, checksum text
) on commit drop
"""
RESERVE = """
with one as materialized (select pg_get_serial_sequence('desfile', 'id')::regclass as sequence)
select coalesce(array_agg(nextval(sequence)), '{}') as ids from one, generate_series(1, %s)
"""
INSERT = """
insert into desfile (id, filename, compression, filetype, filesize, checksum, wgb_task_id)
select id, filename, compression, filetype, filesize, checksum, %s from incoming
order by filename collate "C", compression collate "C"
on conflict (filename, compression) do nothing
"""
LOCATE = """
insert into file_location (desfile_id, archive_name, path) select * from unnest(%s::bigint[], %s::text[], %s::text[])
on conflict (desfile_id, archive_name) do update set path = excluded.path where file_location.path <> excluded.path
"""
COLUMNS = ("id", "filename", "compression", "filetype", "filesize", "checksum")
AGAIN = frozenset({DEADLOCK, "40001", "23505"})
"""SQLSTATEs after which the same transaction may go through: deadlock, serialization, a race for a name or contents."""
PATIENCE = (0.05, 0.2, 1.0)


class Known(NamedTuple):
    """A registered file: ``path`` is its folder in the archive that was asked about, None if it is not there."""

    id: int
    size: int
    checksum: str
    filetype: str
    maker: str
    path: str | None


def known(session: Session, names: Iterable[FileKey], archive: str) -> dict[FileKey, Known]:
    """Return those of *names* that are registered, and where they lie in *archive*."""
    return {(row[0], row[1]): Known._make(row[2:]) for row in session.tuples(KNOWN, _names(names, archive))}


def register(
    session: Session,
    task_name: str,
    filetypes: Mapping[str, FileType],
    new_files: Sequence[NewFile],
    contents: Sequence[tuple[FileKey, str, Sequence[Row]]],
    catalogues: Sequence[Catalogue] = (),
    *,
    partial: bool = False,
    absent: Collection[FileKey] = (),
) -> Ingested:
    """Register files under a task of kind ingest, in one transaction (see `Intake.register`)."""

    def at_once(number: int) -> Ingested:
        known_absent = () if number else absent
        with session.transaction() as cursor:
            return _register(
                cursor, task_name, filetypes, new_files, contents, catalogues, partial, known_absent,
                straight=not number,
            )  # fmt: skip

    return repeated(at_once, AGAIN, PATIENCE)


def _register(
    cursor: Cursor,
    task_name: str,
    filetypes: Mapping[str, FileType],
    new_files: Sequence[NewFile],
    contents: Sequence[tuple[FileKey, str, Sequence[Row]]],
    catalogues: Sequence[Catalogue],
    partial: bool,
    absent: Collection[FileKey],
    *,
    straight: bool,
) -> Ingested:
    refused: dict[FileKey, str] = {}
    files = _each_once(new_files, refused)
    ids = _present(cursor, {key: file for key, file in files.items() if key not in absent}, refused)
    fresh = [file for key, file in sorted(files.items()) if key not in ids and key not in refused]
    if not partial:
        _refuse(refused)
    task, made = None, dict[FileKey, int]()
    if fresh:
        task = _begin(cursor, task_name)
        made = _insert(cursor, task, fresh, straight=straight)
        if len(made) < len(fresh):  # somebody else has registered the others in the meantime
            ids |= _present(cursor, {_key(file): file for file in fresh if _key(file) not in made}, refused)
            if not partial:
                _refuse(refused)
    _locate(cursor, files, ids, made)
    _describe(cursor, filetypes, files, ids, made)
    ids |= made
    for key, table, rows in contents:
        if key not in refused:
            _put_contents(cursor, key, ids.get(key), table, rows)
    for one in catalogues:
        if one.key in ids:
            put_catalogue(cursor, one, ids[one.key])
    return Ingested(task_id=task, new=len(made), present=len(ids) - len(made), made=made, refused=refused)


def _key(file: NewFile) -> FileKey:
    return file["filename"], file["compression"]


def _names(names: Iterable[FileKey], archive: str | None) -> dict[str, Any]:
    wanted = sorted(set(names))
    return {
        "names": [name for name, _ in wanted],
        "suffixes": [compression for _, compression in wanted],
        "archive": archive,
    }


def _each_once(new_files: Sequence[NewFile], refused: dict[FileKey, str]) -> dict[FileKey, NewFile]:
    files: dict[FileKey, NewFile] = {}
    for file in new_files:
        first = files.setdefault(_key(file), file)
        if first["checksum"] != file["checksum"]:
            refused[_key(file)] = f"file {''.join(_key(file))} comes twice, with different contents"
    return files


def _present(cursor: Cursor, files: Mapping[FileKey, NewFile], refused: dict[FileKey, str]) -> dict[FileKey, int]:
    """Return the ids of those *files* that are registered with the same content; others that are, are *refused*."""
    found: dict[FileKey, int] = {}
    if not files:
        return found
    cursor.execute(KNOWN, _names(files, None))
    for row in cursor.fetchall():
        key = row["filename"], row["compression"]
        if row["checksum"] == files[key]["checksum"]:
            found[key] = row["id"]
        else:
            refused[key] = f"file {''.join(key)} is already registered with other content, made by {row['maker']}"
    return found


def _refuse(refused: Mapping[FileKey, str]) -> None:
    if refused:
        first, *others = (refused[key] for key in sorted(refused))
        names = ["".join(key) for key in sorted(refused)][1:5]
        more = f" (and {', '.join(names)}, at least)" if others else ""
        raise RefusedError(first + more, remedy="other content needs another name")


def _begin(cursor: Cursor, name: str) -> int:
    cursor.execute(
        "with numbered as (select nextval(pg_get_serial_sequence('task', 'id')) as id)"
        " insert into task (id, kind, name, root_task_id, start_time, end_time, state, status, run)"
        " select id, 'ingest', %s, id, now(), clock_timestamp(), 'succeeded', 0, 1 from numbered returning id",
        (name,),
    )
    row = cursor.fetchone()
    assert row is not None
    return int(row["id"])


def _insert(cursor: Cursor, task: int, fresh: Sequence[NewFile], *, straight: bool) -> dict[FileKey, int]:
    """Register files, sorted by name, whose names were free; return those whose names still were, with their ids.

    The *straight* way is twice as fast, and fails (23505) if one is not.
    """
    cursor.execute(RESERVE, (len(fresh),))
    row = cursor.fetchone()
    assert row is not None
    ids = {_key(file): number for file, number in zip(fresh, row["ids"], strict=True)}
    told = ("filetype", "size", "checksum")
    rows = ((ids[_key(file)], *_key(file), *[file[name] for name in told]) for file in fresh)  # type: ignore[literal-required]
    if straight:
        copy(cursor, "desfile", (*COLUMNS, "wgb_task_id"), ((*row, task) for row in rows))
        return ids
    cursor.execute(INCOMING)
    copy(cursor, "incoming", COLUMNS, rows)
    cursor.execute(INSERT, (task,))
    if cursor.rowcount == len(fresh):
        return ids
    cursor.execute("select i.id from incoming i join desfile d on d.id = i.id")
    mine = {row["id"] for row in cursor.fetchall()}
    return {key: number for key, number in ids.items() if number in mine}


def _locate(
    cursor: Cursor, files: Mapping[FileKey, NewFile], ids: Mapping[FileKey, int], made: Mapping[FileKey, int]
) -> None:
    names = sorted({files[key]["archive"] for key in (*ids, *made)})
    for name in names:
        cursor.execute("insert into archive (name) values (%s) on conflict do nothing", (name,))
    rows = ((number, files[key]["archive"], files[key]["path"]) for key, number in made.items())
    copy(cursor, "file_location", ("desfile_id", "archive_name", "path"), rows)
    if ids:
        places = sorted((number, files[key]["archive"], files[key]["path"]) for key, number in ids.items())
        cursor.execute(LOCATE, tuple(map(list, zip(*places, strict=True))))


def _describe(
    cursor: Cursor,
    filetypes: Mapping[str, FileType],
    files: Mapping[FileKey, NewFile],
    ids: Mapping[FileKey, int],
    made: Mapping[FileKey, int],
) -> None:
    """Write the metadata of new files, and of those that have none yet: what is known of a file does not change."""
    for table, columns, number_of in _by_table(filetypes, files, {**ids, **made}):
        old = [number for key, number in number_of.items() if key in ids]
        described = set()
        if old:
            cursor.execute(f'select desfile_id from "{table}" where desfile_id = any(%s)', (old,))  # noqa: S608
            described = {row["desfile_id"] for row in cursor.fetchall()}
        rows = [
            (number, *[files[key]["metadata"].get(name) for name in columns])
            for key, number in number_of.items()
            if number not in described and (key in made or files[key]["metadata"])
        ]
        copy(cursor, table, ("desfile_id", *columns), rows)


def _by_table(
    filetypes: Mapping[str, FileType], files: Mapping[FileKey, NewFile], ids: Mapping[FileKey, int]
) -> Iterator[tuple[str, list[str], dict[FileKey, int]]]:
    """Yield each metadata table, the columns that the filetypes of these files have in it, and the files."""
    tables: dict[str, dict[FileKey, int]] = {}
    columns: dict[str, dict[str, None]] = {}
    for key, number in ids.items():
        definition = filetypes.get(files[key]["filetype"])
        table = definition["metadata_table"] if definition else None
        if definition and table:
            tables.setdefault(table, {})[key] = number
            columns.setdefault(table, {}).update(dict.fromkeys(definition["columns"]))
    for table, keys in sorted(tables.items()):
        yield table, list(columns[table]), keys


def _put_contents(cursor: Cursor, key: FileKey, desfile_id: int | None, table: str, rows: Sequence[Row]) -> None:
    if table not in DIMENSIONS:
        raise InputError(f"there is no dimension table {table!r}", remedy=f"there are: {', '.join(DIMENSIONS)}")
    if desfile_id is None:
        raise InputError(f"the contents of {''.join(key)} came without the file itself")
    cursor.execute("drop table if exists pg_temp.contents")
    cursor.execute(f"create temporary table contents (like {table} including defaults) on commit drop")
    cursor.execute("select attname as name from pg_attribute where attrelid = 'contents'::regclass and attnum > 0")
    columns = [row["name"] for row in cursor.fetchall()]
    given = [one for one in columns if one in ("version", "desfile_id") or any(one in row for row in rows)]
    given += ["patchname"] if "patch" in given and "patchname" not in given else []
    own = {"version": "", "desfile_id": desfile_id}
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
