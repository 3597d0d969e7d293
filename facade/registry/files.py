"""Files and where they lie: looking them up by name (`facade.registry.bulk` registers them)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from facade.registry.connection import Session
from facade.registry.values import FileKey

FILES = """
select d.id, d.filename, d.compression, d.filetype, d.filesize, d.checksum, d.pfw_attempt_id, d.wgb_task_id,
       l.archive_name, l.path
  from desfile d
  left join lateral (select archive_name, path from file_location
                      where desfile_id = d.id
                        and (%(archives)s::text[] is null or archive_name = any(%(archives)s::text[]))
                      order by array_position(%(archives)s::text[], archive_name), archive_name limit 1) l on true
"""


def set_archive(session: Session, name: str, root: str) -> None:
    """Note where an archive has its root."""
    session.rows(
        "insert into archive (name, root) values (%s, %s) on conflict (name) do update set root = excluded.root",
        (name, root),
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
