"""Choosing rows by what operators write: files by their metadata, joined with other tables, and rows of dimensions.

What a column is compared with is read by `facade.registry.conditions`. Statements are composed with SQLAlchemy Core and
every value is bound; they run on the registry's one connection, so an engine and its own connection are not needed.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from facade.errors import InputError
from facade.metadata import KINDS
from facade.plugins import Scalar
from facade.registry.conditions import Column, Condition, collated, condition
from facade.registry.connection import Session
from facade.registry.joins import Named, joined
from facade.registry.metadata import TYPES
from facade.registry.values import DIMENSIONS

BASE = ("filename", "compression", "filetype", "filesize", "checksum", "path")
IDENTITY = ("pfw_attempt_id", "reqnum", "unitname", "attnum")

_FILE = sa.table(
    "desfile",
    sa.column("id", sa.BigInteger),
    sa.column("filename", sa.Text),
    sa.column("compression", sa.Text),
    sa.column("filetype", sa.Text),
    sa.column("filesize", sa.BigInteger),
    sa.column("checksum", sa.Text),
    sa.column("pfw_attempt_id", sa.BigInteger),
    sa.column("wgb_task_id", sa.BigInteger),
)
_EXEC = sa.table("pfw_exec", sa.column("task_id", sa.BigInteger), sa.column("pfw_wrapper_task_id", sa.BigInteger))
_ATTEMPT = sa.table(
    "pfw_attempt",
    sa.column("id", sa.BigInteger),
    sa.column("reqnum", sa.Integer),
    sa.column("unitname", sa.Text),
    sa.column("attnum", sa.Integer),
    sa.column("data_state", sa.Text),
)
_LOCATION = sa.table(
    "file_location",
    sa.column("desfile_id", sa.BigInteger),
    sa.column("archive_name", sa.Text),
    sa.column("path", sa.Text),
)
_TAG = sa.table("proctag", sa.column("tag", sa.Text), sa.column("pfw_attempt_id", sa.BigInteger))


class Selection:
    """Read access for query codes (`facade.plugins.Rows`)."""

    def __init__(self, session: Session, makers: Sequence[int] | None = None, archives: Sequence[str] = ()) -> None:
        """With *makers*, tasks of quanta, only their files are seen of those that jobs made; see `_visible`. With
        *archives* files are looked for in these, the first first, unless the question says itself in which."""
        self._session, self._makers, self._archives = session, makers, archives

    def files(
        self, filetype: str, where: Mapping[str, object], columns: Sequence[str] = (), *, join: str = ""
    ) -> list[dict[str, Scalar]]:
        """Return files of *filetype* whose metadata match *where*, ordered by file name (see `facade.plugins.Rows`).

        A filetype never seen has no files.

        Raises:
            InputError: no such column, a value that its column cannot be compared with, a join that joins nothing.
        """
        known = self._session.rows("select metadata_table as name from filetype where name = %s", (filetype,))
        if not known and not self._session.rows("select id from desfile where filetype = %s limit 1", (filetype,)):
            return []
        own = known[0]["name"] if known and known[0]["name"] else None
        metadata = self._table(own) if own else None
        visible = self._visible(where, join)
        archive = {name: value for name, value in where.items() if _short(name) == "archive_name"}
        source = _files(archive, self._archives)
        names = Named(own or "desfile")
        names.add("desfile", {**{name: _FILE.c[name] for name in BASE[:-1]}, "path": _LOCATION.c.path})
        names.add("desfile", {"pfw_attempt_id": _FILE.c.pfw_attempt_id})
        names.add("pfw_attempt", {name: _ATTEMPT.c[name] for name in IDENTITY[1:]})
        names.add("file_location", {"archive_name": _LOCATION.c.archive_name})
        if metadata is not None:
            source = source.outerjoin(metadata, metadata.c.desfile_id == _FILE.c.id)
            names.add(str(own), {c.name: c for c in metadata.c if c.name != "desfile_id"})
        source, equalities = joined(source, join, names, lambda name: self._joinable(name, visible))
        chosen: dict[str, Column] = {name: names.find(name) for name in BASE}
        for wanted in columns or names.columns(own):
            column, label = names.find(wanted), _short(wanted)
            if chosen.setdefault(label, column) is not column:
                message = f"two of the wanted columns are called {label!r}: {names.owner(chosen[label])} and {wanted}"
                raise InputError(message, remedy="ask for one of them; where they are joined they are equal")
        statement = (
            sa.select(*(column.label(name) for name, column in chosen.items()))
            .select_from(source)
            .where(_FILE.c.filetype == filetype, *equalities)
            .where(visible)
            .where(*(condition(names.find(name), name, value) for name, value in where.items()))
        )
        if not archive:
            statement = statement.where(_LOCATION.c.path.is_not(None))
        if not join.strip():
            return self._fetch(statement.order_by(collated(_FILE.c.filename), collated(_FILE.c.compression)))
        once = statement.distinct().subquery()  # a file fits as many rows of other tables as it likes
        return self._fetch(sa.select(once).order_by(*(collated(column) for column in once.c)))

    def table(self, name: str, where: Mapping[str, object]) -> list[dict[str, Scalar]]:
        """Return the rows of a dimension table that match *where*, in the order of its key.

        Raises:
            InputError: no such table or column, or a value that its column cannot be compared with.
        """
        if name not in DIMENSIONS:
            raise InputError(f"there is no dimension table {name!r}", remedy=f"there are: {', '.join(DIMENSIONS)}")
        table, names = self._table(name), Named(name)
        names.add(name, {column.name: column for column in table.c})
        statement = (
            sa.select(*(column for column in table.c if column.name != "desfile_id"))
            .where(*(condition(names.find(column), column, value) for column, value in where.items()))
            .order_by(*(collated(table.c[column]) for column in DIMENSIONS[name]))
        )
        return self._fetch(statement)

    def _visible(self, where: Mapping[str, object], join: str) -> Condition:
        """Return which files are seen: none that attempts made whose data are junk.

        With makers, of what jobs made only their files, unless the question says itself of which attempts.
        """
        good = sa.or_(_ATTEMPT.c.id.is_(None), _ATTEMPT.c.data_state == "active")
        asked = {_short(name) for name in where} & {"attnum", "pfw_attempt_id", "tag"}
        if self._makers is None or (asked and (asked != {"tag"} or "proctag" in join)):
            return good
        tasks = sa.cast(sa.literal(list(self._makers), ARRAY(sa.BigInteger)), ARRAY(sa.BigInteger))
        mine = sa.select(_EXEC.c.task_id).where(_EXEC.c.pfw_wrapper_task_id == sa.func.any(tasks))
        return sa.or_(_ATTEMPT.c.id.is_(None), _FILE.c.wgb_task_id.in_(mine), _FILE.c.wgb_task_id == sa.func.any(tasks))

    def _joinable(self, name: str, visible: Condition) -> sa.FromClause | None:
        """Return what a join may name: a dimension table, tags of attempts, or the metadata of other files."""
        if name in DIMENSIONS:
            return self._table(name)
        if name == "proctag":
            return _TAG
        if not self._session.rows("select 1 from filetype where metadata_table = %s limit 1", (name,)):
            return None
        table = self._table(name)
        return (
            sa.select(
                *(_FILE.c[column] for column in ("filename", "compression", "filetype", "pfw_attempt_id")),
                *(column for column in table.c if column.name != "desfile_id"),
            )
            .select_from(
                table.join(_FILE, _FILE.c.id == table.c.desfile_id).outerjoin(
                    _ATTEMPT, _ATTEMPT.c.id == _FILE.c.pfw_attempt_id
                )
            )
            .where(visible)
            .subquery(name)
        )

    def _table(self, name: str) -> sa.TableClause:
        columns = self._session.rows(
            "select column_name as name, data_type as type from information_schema.columns"
            " where table_schema = 'public' and table_name = %s order by ordinal_position",
            (name,),
        )
        types = {row["name"]: TYPES[KINDS[row["type"]]] for row in columns}
        return sa.table(name, *(sa.column(column, kind) for column, kind in types.items()))

    def _fetch(self, statement: sa.Select[Any]) -> list[dict[str, Scalar]]:
        dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no annotations
        text = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        rows = self._session.tuples(str(text), text.params)
        columns = list(statement.selected_columns)
        names = [column.name for column in columns]
        if times := [at for at, column in enumerate(columns) if isinstance(column.type, sa.DateTime | sa.Date)]:
            rows = [tuple([_written(v) if at in times else v for at, v in enumerate(row)]) for row in rows]
        return [dict(zip(names, row, strict=True)) for row in rows]


def _files(archive: Mapping[str, object], preferred: Sequence[str]) -> sa.FromClause:
    """Return files with their attempts, and of each the one location that counts: the first that *archive* fits, or
    without that the first of those *preferred*."""
    other = _LOCATION.alias("other")
    wanted: list[Condition] = [condition(other.c.archive_name, name, value) for name, value in archive.items()]
    if preferred and not archive:
        places = sa.cast(sa.literal(list(preferred), ARRAY(sa.Text)), ARRAY(sa.Text))
        rank = sa.func.min(sa.func.array_position(places, other.c.archive_name))
        best = sa.select(rank).where(other.c.desfile_id == _FILE.c.id).scalar_subquery()
        ranked = sa.func.array_position(places, _LOCATION.c.archive_name) == best
        here = sa.and_(_LOCATION.c.desfile_id == _FILE.c.id, ranked)
        return _FILE.outerjoin(_ATTEMPT, _ATTEMPT.c.id == _FILE.c.pfw_attempt_id).outerjoin(_LOCATION, here)
    first = (
        sa.select(sa.func.min(sa.collate(other.c.archive_name, "C")))
        .where(other.c.desfile_id == _FILE.c.id, *wanted)
        .scalar_subquery()
    )
    here = sa.and_(_LOCATION.c.desfile_id == _FILE.c.id, _LOCATION.c.archive_name == first)
    if any(value is None or str(value).strip().lower() == "null" for value in archive.values()):
        here = _LOCATION.c.desfile_id == _FILE.c.id
        here = sa.and_(here, _LOCATION.c.archive_name.in_(preferred)) if preferred else here
    return _FILE.outerjoin(_ATTEMPT, _ATTEMPT.c.id == _FILE.c.pfw_attempt_id).outerjoin(_LOCATION, here)


def _short(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _written(moment: datetime.date | None) -> Scalar:
    return None if moment is None else moment.isoformat()
