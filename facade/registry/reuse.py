"""What was made before: quanta by fingerprint with their files, and what an attempt takes from others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facade.registry.connection import Cursor, Session, copy
from facade.registry.files import located
from facade.registry.runs import attempt_name
from facade.registry.values import LeftOut, Quantum

COLUMNS = ("fp_own", "fp_plan", "reason", "outputs", "suffixes")
"""Columns of a quantum that `columns` fills."""
CANDIDATES = 3
"""Successes with one fingerprint that are looked at; the newest may have lost its files."""

SCOPES = {
    "attempt": """(a.id = %(newest)s
       or q.task_id in (select source_task_id from left_out where pfw_attempt_id = %(newest)s))""",
    "unit": "a.reqnum = %(reqnum)s and a.unitname = %(unitname)s",
    "campaign": "r.project = %(project)s and r.campaign is not distinct from %(campaign)s",
    "archive": """((r.project = %(project)s and r.campaign is not distinct from %(campaign)s)
       or exists (select from proctag p where p.pfw_attempt_id = a.id))""",
}
"""Scope of reuse -> which attempts it reaches."""

SUCCESSES = """
with ranked as (
  select w.fp, q.task_id, q.outputs, q.suffixes, a.unitname, a.reqnum, a.attnum,
         row_number() over (partition by w.fp order by q.task_id desc) as rank
    from unnest(%(wanted)s::uuid[]) w (fp)
    join quantum q on q.{column} = w.fp
    join task t on t.id = q.task_id and t.state = 'succeeded'
    join pfw_attempt a on a.id = q.pfw_attempt_id and a.data_state = 'active'
    join pfw_request r on r.reqnum = a.reqnum
   where {scope}
)
select r.fp::text, r.task_id, r.unitname, r.reqnum, r.attnum,
       o.n, d.filename, d.compression, d.filesize, d.checksum, {path}
  from ranked r
  left join lateral unnest(r.outputs, r.suffixes) with ordinality o (name, suffix, n) on true
  left join desfile d on d.filename = o.name and d.compression = coalesce(o.suffix, '')
  {places}
 where r.rank <= %(candidates)s
 order by r.fp, r.task_id desc, o.n
"""

FORCED = """
select q.modname, q.wrapkeys, count(distinct q.pfw_attempt_id) as times
  from quantum q join pfw_attempt a on a.id = q.pfw_attempt_id and a.data_state = 'active'
 where q.reason = 'forced' and a.reqnum = %s and a.unitname = %s group by q.modname, q.wrapkeys
"""

LIKEST = """
select distinct on (q.modname, q.wrapkeys) q.modname, q.wrapkeys, q.wrapnum, q.fp_own::text, a.plan_id, a.programs,
       a.unitname, a.reqnum, a.attnum
  from unnest(%(modules)s::text[], %(keys)s::text[]) w (modname, wrapkeys)
  join quantum q on q.modname = w.modname and q.wrapkeys = w.wrapkeys
  join task t on t.id = q.task_id and t.state = 'succeeded'
  join pfw_attempt a on a.id = q.pfw_attempt_id and a.data_state = 'active'
 where a.reqnum = %(reqnum)s and a.unitname = %(unitname)s and q.fp_own is not null
 order by q.modname, q.wrapkeys, q.task_id desc
"""

File = tuple[str, str, int, str, str | None]
"""(filename, compression, size, checksum, folder in the archive or None)."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A quantum that succeeded, and its outputs in their order; None stands for one that is not registered."""

    fingerprint: str
    task_id: int
    attempt: str
    files: tuple[File | None, ...]


@dataclass(frozen=True, slots=True)
class Kin:
    """The newest success of a module for some loop values: its number in which plan of which attempt."""

    wrapnum: int
    attempt: str
    plan_id: str
    programs: Mapping[str, str]
    own: str


def successes(
    session: Session,
    fingerprints: Sequence[str],
    *,
    scope: str,
    identity: Mapping[str, Any],
    archives: Sequence[str],
    contents: bool = False,
    apart: int | None = None,
) -> Iterator[Earlier]:
    """Yield quanta that succeeded with one of *fingerprints*, the newest of each first, `CANDIDATES` at most.

    *scope* is one of `SCOPES`, seen from the unit that *identity* names; junk is passed over, and attempt *apart* is
    not the newest. Locations are those in the first of *archives* that has the file. With *contents* the fingerprints
    are made of what inputs held (``fp_run``), not of what was planned.
    """
    wanted = {key: identity.get(key) for key in ("project", "campaign", "reqnum", "unitname")}
    places, path, names = located(archives)
    wanted |= {"wanted": sorted(set(fingerprints)), **names, "candidates": CANDIDATES}
    if scope == "attempt":
        wanted["newest"] = _newest(session, wanted | {"apart": apart})
    column = "fp_run" if contents else "fp_plan"
    rows = session.tuples(SUCCESSES.format(scope=SCOPES[scope], column=column, places=places, path=path), wanted)
    files: list[File | None] = []
    for index, (key, task, unit, reqnum, attnum, place, *file) in enumerate(rows):
        if place is not None:
            files.append(None if file[0] is None else tuple(file))
        if index + 1 == len(rows) or rows[index + 1][1] != task:
            yield Earlier(key.replace("-", ""), task, attempt_name(unit, reqnum, attnum), tuple(files))
            files = []


def _newest(session: Session, unit: Mapping[str, Any]) -> int:
    found = session.rows(
        "select max(id) as id from pfw_attempt"
        " where reqnum = %(reqnum)s and unitname = %(unitname)s and data_state = 'active'"
        " and id is distinct from %(apart)s",
        unit,
    )
    return found[0]["id"] or 0


def forced(session: Session, reqnum: int, unitname: str) -> dict[tuple[str, str], int]:
    """Return (module, keys as JSON) -> in how many attempts of a unit that quantum was made again on demand."""
    rows = session.rows(FORCED, (reqnum, unitname))
    return {(row["modname"], row["wrapkeys"]): row["times"] for row in rows}


def likest(
    session: Session, reqnum: int, unitname: str, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Kin]:
    """Return the newest success of a unit for each (module, keys as JSON) that has one."""
    modules, keys = [module for module, _ in wanted], [one for _, one in wanted]
    rows = session.rows(LIKEST, {"modules": modules, "keys": keys, "reqnum": reqnum, "unitname": unitname})
    return {
        (row["modname"], row["wrapkeys"]): Kin(
            row["wrapnum"],
            attempt_name(row["unitname"], row["reqnum"], row["attnum"]),
            row["plan_id"],
            row["programs"],
            row["fp_own"].replace("-", ""),
        )
        for row in rows
    }


def own_fingerprints(session: Session, attempt_id: int) -> dict[int, str]:
    """Return the fingerprint of what each quantum of an attempt does, by wrapnum."""
    rows = session.tuples("select wrapnum, fp_own::text from quantum where pfw_attempt_id = %s", (attempt_id,))
    return {number: own.replace("-", "") for number, own in rows if own is not None}


def columns(quantum: Quantum) -> Sequence[Any]:
    """Return what `COLUMNS` are of a quantum to register."""
    outputs = quantum.get("outputs")
    names = None if outputs is None else _array([name for name, _ in outputs])
    suffixes = _array([suffix for _, suffix in outputs]) if outputs and any([suffix for _, suffix in outputs]) else None
    return (*quantum.get("fingerprints", (None, None)), quantum.get("reason"), names, suffixes)


def _array(texts: Sequence[str]) -> str:
    """Return texts as PostgreSQL writes an array of them."""
    if not texts:
        return "{}"
    quoted = '","'.join(texts)
    if "\\" in quoted or quoted.count('"') != 2 * (len(texts) - 1):
        quoted = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in texts])
    return f'{{"{quoted}"}}'


def register_left_out(cursor: Cursor, attempt: int, left_out: Sequence[LeftOut]) -> None:
    """Write down which quanta of its plan an attempt does not run."""
    copy(
        cursor,
        "left_out",
        ("pfw_attempt_id", "wrapnum", "modname", "wrapkeys", "decision", "reason", "source_task_id"),
        (
            (
                *(attempt, one["wrapnum"], one["module"], json.dumps(dict(one["keys"]), ensure_ascii=False)),
                *(one["decision"], one["reason"], one["source"]),
            )
            for one in left_out
        ),
    )
