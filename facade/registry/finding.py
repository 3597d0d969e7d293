"""Finding files: by name, attempt, tag, type and metadata; and names that are near a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from facade.errors import InputError
from facade.files import is_text
from facade.metadata import KINDS, NAME
from facade.registry.connection import Session
from facade.registry.runs import attempt_name
from facade.registry.values import FileKey
from facade.wcl.tree import did_you_mean

IDS = """
select d.id from desfile d {joins}
 where {tests}
 order by d.filename collate "C", d.compression collate "C" limit %(limit)s
"""
FILES = """
select d.id, d.filename, d.compression, d.filetype, d.filesize, d.checksum, d.created, d.pfw_attempt_id,
       a.unitname, a.reqnum, a.attnum, a.data_state,
       array(select l.archive_name || e'\\x1f' || l.path || e'\\x1f' || coalesce(v.root, '')
               from file_location l join archive v on v.name = l.archive_name
              where l.desfile_id = d.id order by l.archive_name) as places
  from unnest(%(ids)s::bigint[]) with ordinality w (id, at) join desfile d on d.id = w.id
  left join pfw_attempt a on a.id = d.pfw_attempt_id
 order by w.at
"""
AROUND = """
(select filename || compression from desfile where filename >= %(name)s order by filename limit 5)
union all
(select filename || compression from desfile where filename < %(name)s order by filename desc limit 5)
"""
COLUMNS = """
select column_name, data_type from information_schema.columns
 where table_schema = 'public' and table_name = %s and column_name <> 'desfile_id' order by ordinal_position
"""
WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What files are asked for; all of it must be true of each. ``names`` may hold ``*`` and ``?``; any of them will
    do. ``where`` are metadata (`facade.registry.conditions`), of a ``filetype`` that must be given then."""

    names: Sequence[str] = ()
    exact: bool = False
    """``*`` and ``?`` in names stand for themselves."""
    attempt: int | None = None
    products: bool = False
    """Of the attempt, what it made and what it took from others; without logs and lists."""
    tag: str = ""
    filetype: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    archive: str = ""
    limit: int | None = None


class Place(NamedTuple):
    """Where a file lies: the archive, the folder below its root, and the root as the registry has it ("": unknown)."""

    archive: str
    path: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A registered file; ``size`` in bytes, ``attempt`` the name of the one that made it ("": ingested)."""

    id: int
    key: FileKey
    filetype: str
    size: int
    checksum: str
    created: Any
    attempt_id: int | None
    attempt: str
    junk: bool
    places: tuple[Place, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name, with its compression."""
        return "".join(self.key)

    def at(self, place: Place) -> str:
        """Return where it lies below the root of an archive."""
        return f"{place.path}/{self.name}".lstrip("/")


def keys(name: str) -> tuple[FileKey, ...]:
    """Return what a name on disk may be in the registry: without compression, and with its last suffix as that.

    >>> keys("a.fits.fz")
    (('a.fits.fz', ''), ('a.fits', '.fz'))
    """
    stem, dot, suffix = name.rpartition(".")
    return ((name, ""), (stem, dot + suffix)) if stem else ((name, ""),)


def find(session: Session, wanted: Wanted, *, metadata: bool = False) -> list[Found]:
    """Return the files that are asked for, ordered by name; with their *metadata*, if those are wanted.

    Raises:
        InputError: a name, tag, filetype, archive or column is not known; a value cannot be compared.
    """
    _check(session, wanted)
    joins, tests, values = _statement(session, wanted)
    text = IDS.format(joins=" ".join(joins), tests=" and ".join(tests or ["true"]))
    found = of_ids(session, [row[0] for row in session.tuples(text, values)])
    there = {"".join(one.key) for one in found}
    for name in wanted.names:
        if name not in there and (wanted.exact or not WILD.search(name)) and not _registered(session, name):
            raise unknown(session, name)
    return _with_metadata(session, found) if metadata else found


def of_ids(session: Session, ids: Sequence[int]) -> list[Found]:
    """Return the files with these ids, in their order."""
    return [_found(*row) for row in session.tuples(FILES, {"ids": list(ids)})]


def unknown(session: Session, name: str) -> InputError:
    """Return what to say of a file that is not registered: names near it are told."""
    return InputError(f"no file is registered as {name!r}", remedy=hint(session, name))


def hint(session: Session, name: str) -> str:
    """Return what to do about a file that is not registered: take one of a name near it, or look for it."""
    around = [row[0] for row in session.tuples(AROUND, {"name": name})]
    close = difflib.get_close_matches(name, around, n=3)
    return f"did you mean {' or '.join(close)}?" if close else "look for it: facade files '*PART OF ITS NAME*'"


def storable(text: str) -> None:
    """Raise InputError if no database can hold *text*: it has NULs, or bytes of a file name that are no UTF-8."""
    if not is_text(text):
        raise InputError(f"{text!r} is no text that a database can hold")


def ensure(session: Session, table: str, column: str, value: str, what: str) -> None:
    """Raise InputError, with names near it, unless *value* is in that column; names are facade's own."""
    if session.rows(f"select 1 from {table} where {column} = %s limit 1", (value,)):  # noqa: S608
        return
    there = [row[0] for row in session.tuples(f"select distinct {column} from {table} order by 1 limit 500")]  # noqa: S608
    known = f"there are: {', '.join(there[:20])}" if there else "there is none"
    raise InputError(f"no {what} is called {value!r}", remedy=did_you_mean(value, there) or known)


def _check(session: Session, wanted: Wanted) -> None:
    for text in (*wanted.names, wanted.tag, wanted.filetype, wanted.archive):
        storable(text)
    if wanted.tag:
        ensure(session, "proctag", "tag", wanted.tag, "tag")
    if wanted.archive:
        ensure(session, "archive", "name", wanted.archive, "archive")
    if wanted.filetype and not session.rows("select 1 from desfile where filetype = %s limit 1", (wanted.filetype,)):
        ensure(session, "filetype", "name", wanted.filetype, "filetype")
    if wanted.where and not wanted.filetype:
        raise InputError("conditions on metadata need a filetype: it says in which table they are", remedy="--filetype")


def _statement(session: Session, wanted: Wanted) -> tuple[list[str], list[str], dict[str, Any]]:
    """Return joins, tests and their values."""
    joins, tests, values = list[str](), list[str](), dict[str, Any](limit=wanted.limit)
    if wanted.attempt is not None:
        values["attempt"] = wanted.attempt
        of_it = "select desfile_id from attempt_product where pfw_attempt_id = %(attempt)s"
        tests.append(f"d.id in ({of_it})" if wanted.products else "d.pfw_attempt_id = %(attempt)s")
    if wanted.tag:
        values["tag"] = wanted.tag
        tests.append("d.pfw_attempt_id in (select pfw_attempt_id from proctag where tag = %(tag)s)")
    if wanted.filetype:
        values["filetype"] = wanted.filetype
        tests.append("d.filetype = %(filetype)s")
    if wanted.archive:
        values["archive"] = wanted.archive
        tests.append("exists (select from file_location l where l.desfile_id = d.id and l.archive_name = %(archive)s)")
    if wanted.names:
        tests.append(_named(wanted.names, values, wanted.exact))
    if wanted.where:
        table, test, more = _metadata(session, wanted)
        joins.append(f'join "{table}" on "{table}".desfile_id = d.id')
        tests.append(test)
        values |= more
    return joins, tests, values


def _named(names: Sequence[str], values: dict[str, Any], exact: bool) -> str:
    wild = set() if exact else {name for name in names if WILD.search(name)}
    plain = [key for name in names if name not in wild for key in keys(name)]
    likes = [_like(name) for name in names if name in wild]
    values |= {"names": [key[0] for key in plain], "suffixes": [key[1] for key in plain], "likes": likes}
    listed = "(d.filename, d.compression) in (select * from unnest(%(names)s::text[], %(suffixes)s::text[]))"
    return f"({listed} or d.filename || d.compression like any(%(likes)s::text[]))" if likes else listed


def _like(pattern: str) -> str:
    r"""Return a pattern of shells as one of SQL.

    >>> _like("a_*.f?ts")
    'a\\_%.f_ts'
    """
    return re.sub(r"[\\%_]", r"\\\g<0>", pattern).replace("*", "%").replace("?", "_")


def _metadata(session: Session, wanted: Wanted) -> tuple[str, str, dict[str, Any]]:
    """Return the table of the metadata, what is asked of it, and the values in that."""
    from sqlalchemy import and_, column  # only questions about metadata pay for it
    from sqlalchemy import table as named
    from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

    from facade.registry.conditions import condition
    from facade.registry.metadata import TYPES

    found = session.rows("select metadata_table from filetype where name = %s", (wanted.filetype,))
    table = found[0]["metadata_table"] if found else None
    if table is None or not NAME.fullmatch(table):
        raise InputError(f"files of type {wanted.filetype} have no metadata")
    columns = {name: KINDS[kind] for name, kind in session.tuples(COLUMNS, (table,))}
    home, tests = named(table), []
    for name, value in wanted.where.items():
        if name not in columns:
            remedy = did_you_mean(name, columns) or f"there are: {', '.join(columns)}"
            raise InputError(f"files of type {wanted.filetype} have no column {name!r}", remedy=remedy)
        one = column(name, TYPES[columns[name]])
        one.table = home
        tests.append(condition(one, name, value))
    dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no annotations
    made = and_(*tests).compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return table, str(made), dict(made.params)


def _registered(session: Session, name: str) -> bool:
    values = dict[str, Any]()
    test = _named([name], values, exact=True)
    return bool(session.rows(f"select 1 from desfile d where {test} limit 1", values))  # noqa: S608


def _found(
    number: int, filename: str, compression: str, filetype: str, size: int, checksum: str, created: Any,
    attempt_id: int | None, unit: str | None, reqnum: int, attnum: int, data_state: str | None, places: Sequence[str],
) -> Found:  # fmt: skip
    return Found(
        id=number, key=(filename, compression), filetype=filetype, size=size, checksum=checksum, created=created,
        attempt_id=attempt_id, attempt=attempt_name(unit, reqnum, attnum) if unit is not None else "",
        junk=data_state == "junk", places=tuple(Place(*one.split("\x1f", 2)) for one in places),
    )  # fmt: skip


def _with_metadata(session: Session, found: Sequence[Found]) -> list[Found]:
    from dataclasses import replace

    tables = {
        row["name"]: row["metadata_table"]
        for row in session.rows("select name, metadata_table from filetype where metadata_table is not null")
    }
    known: dict[int, Mapping[str, Any]] = {}
    for table in {tables[one.filetype] for one in found if one.filetype in tables}:
        if NAME.fullmatch(table):
            ids = [one.id for one in found if tables.get(one.filetype) == table]
            text = f"select desfile_id, to_jsonb(m) - 'desfile_id' from \"{table}\" m where desfile_id = any(%s)"  # noqa: S608
            known |= dict(session.tuples(text, (ids,)))
    return [replace(one, metadata=known.get(one.id, {})) for one in found]
