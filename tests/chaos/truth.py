"""What must hold of an attempt after faults and recovery, whatever the faults were: one function, used after each."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg2.extras
from chaos.place import Place
from chaos.watch import Receipts, left

from facade.archive import content_of
from facade.registry.connection import connect
from facade.registry.embedded import Embedded
from facade.states import MOVES, State

SHOWN = 3
LAST_WORDS = 15.0
"""Seconds that processes may take to end once the attempt is over."""
TRACES = ("log", "junk", "failed")
"""Filetypes of what failed quanta and jobs leave for people to look at; an undisturbed attempt has only the first."""

FILES = """
select d.id, d.filename, d.compression, d.filetype, d.filesize, d.checksum, l.archive_name, l.path,
       coalesce(e.execnum, 0) as execnum, coalesce(q.modname, '') as modname, coalesce(q.wrapkeys, '') as wrapkeys
  from desfile d left join file_location l on l.desfile_id = d.id
  left join pfw_exec e on e.task_id = d.wgb_task_id
  left join quantum q on q.task_id in (e.pfw_wrapper_task_id, d.wgb_task_id)
 where d.pfw_attempt_id = %(id)s"""
EXECS = """
select e.task_id, q.modname, q.wrapkeys, e.execnum, e.name, e.exit_code,
       (select array_agg(d.filename || d.compression order by d.filename, d.compression)
          from opm_used u join desfile d on d.id = u.desfile_id where u.task_id = e.task_id) as used
  from pfw_exec e join quantum q on q.task_id = e.pfw_wrapper_task_id
 where e.pfw_attempt_id = %(id)s order by e.task_id"""
DERIVED = """
select c.filename || c.compression as child, p.filename || p.compression as parent
  from opm_was_derived_from o join desfile c on c.id = o.child_desfile_id join desfile p on p.id = o.parent_desfile_id
 where c.pfw_attempt_id = %(id)s"""
EVENTS = """
select t.id, t.kind, t.name, t.state, array_agg(v.state::text order by v.id) as events,
       array_agg(v.run order by v.id) as runs
  from task t left join task_event v on v.task_id = t.id
 where t.root_task_id = (select task_id from pfw_attempt where id = %(id)s) and t.kind <> 'exec'
 group by t.id, t.kind, t.name, t.state"""
PENDING = """
select p.filename from pending_edge p left join desfile d on d.id = p.child_desfile_id
  left join pfw_exec e on e.task_id = p.reader_task_id
 where coalesce(d.pfw_attempt_id, e.pfw_attempt_id) = %(id)s"""
RECEIPTS = """
select r.last_seq, r.run, j.jobnum from receipt r join pfw_job j on j.task_id = r.job_task_id
 where j.pfw_attempt_id = %(id)s"""

Row = dict[str, Any]
Signature = dict[str, Counter[Any]]


@dataclass(frozen=True)
class Facts:
    """All that the registry says of an attempt."""

    attempt: Row
    files: list[Row]
    execs: list[Row]
    derived: list[Row]
    events: list[Row]
    pending: list[Row]
    receipts: list[Row]

    def named(self, name: str) -> str:
        """Return a file name without the number of the attempt."""
        return re.sub(rf"p{self.attempt['attnum']:02d}(?!\d)", "pNN", name)


def facts(place: Place, name: str) -> Facts:
    """Ask the registry for all it has of attempt *name*."""
    with closing(connect(Embedded(place.home).address())) as connection:
        cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)

        def rows(text: str, **values: object) -> list[Row]:
            cursor.execute(text, values)
            return [dict(row) for row in cursor.fetchall()]

        unit, attnum = re.fullmatch(r"(.+_r\d+)p(\d+)", name).groups()  # type: ignore[union-attr]
        (attempt,) = rows(
            "select * from pfw_attempt where unitname || '_r' || reqnum = %(unit)s and attnum = %(attnum)s",
            unit=unit, attnum=int(attnum),
        )  # fmt: skip
        texts = (FILES, EXECS, DERIVED, EVENTS, PENDING, RECEIPTS)
        return Facts(attempt, *[rows(text, id=attempt["id"]) for text in texts])


def signature(found: Facts, folder: Path) -> Signature:
    """Return what two undisturbed attempts have in common: files with content, programs with inputs, edges.

    *folder* is the archive: what lists hold, names of files, differs by the number of the attempt.
    """
    data = [row for row in found.files if row["filetype"] not in TRACES]
    return {
        "files": Counter(
            (found.named(row["filename"]), row["compression"], row["filetype"], row["filesize"],
             _content(found, row, folder),
             row["path"] is not None, row["execnum"], row["modname"], row["wrapkeys"])
            for row in data
        ),
        "programs": Counter(set(_programs(found))),
        "derived": Counter((found.named(row["child"]), found.named(row["parent"])) for row in found.derived),
        "logs": Counter({(row["modname"], row["wrapkeys"]) for row in found.files if row["filetype"] == "log"}),
    }  # fmt: skip


def _content(found: Facts, row: Row, folder: Path) -> str:
    """Return the checksum of a file; of a list, what it holds."""
    if row["filetype"] != "list" or row["path"] is None:
        return str(row["checksum"])
    path = folder / row["path"] / f"{row['filename']}{row['compression']}"
    return found.named(path.read_text()) if path.is_file() else "is not in the archive"


def _programs(found: Facts) -> list[Any]:
    """Return every execution with what it used; a repetition must have used the same."""
    return [
        (row["modname"], row["wrapkeys"], row["execnum"], row["name"], tuple(map(found.named, row["used"] or ())))
        for row in found.execs
    ]


def untruths(place: Place, name: str, archive: str, quanta: int, reference: Signature) -> list[str]:
    """Return everything about the finished attempt *name* that is not as it must be; nothing, if all is well."""
    found = facts(place, name)
    return [
        *_of_stat(place, name, quanta),
        *_of_registry(found, quanta, signature(found, place.kept(archive)), reference),
        *_of_archive(place.kept(archive), found, archive),
        *_of_run_directory(Path(found.attempt["run_dir"])),
        *[f"a process is left: {text}" for text in _left(place.home)],
    ]


def _left(home: Path) -> list[str]:
    """Return the processes that do not end: a DAGMan closes the attempt with its last node, and ends a while after."""
    deadline = time.monotonic() + LAST_WORDS
    while (found := left(home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _of_stat(place: Place, name: str, quanta: int) -> list[str]:
    report = place.world.json("stat", name)
    expected: dict[str, object] = {
        "carried_out_by": None, "quanta": {"succeeded": quanta}, "failures": [], "running": [], "unplanned": [],
        "queue": None,
    }  # fmt: skip
    wrong = [f"stat: {key} is {report[key]}" for key, value in expected.items() if report[key] != value]
    states = {report["attempt"]["state"], *report["jobs"], *report["blocks"].values()}
    return wrong + [f"stat: something is {state}" for state in states - {"succeeded"}]


def _of_registry(found: Facts, quanta: int, now: Signature, reference: Signature) -> list[str]:
    wrong = []
    for row in found.events:
        states = [State(one) for one in row["events"] or [] if one]
        what = f"{row['kind']} {row['name']}"
        if row["state"] != "succeeded":
            wrong.append(f"{what} is {row['state']}")
        if states and states[-1].value != row["state"]:
            wrong.append(f"{what} is {row['state']}, its last event says {states[-1]}")
        wrong += [f"{what} went {move}" for move in _illegal(states, row["runs"])]
    if sum(row["kind"] == "quantum" for row in found.events) != quanta:
        wrong.append(f"not {quanta} quanta")
    wrong += [f"an edge is pending: {row['filename']}" for row in found.pending]
    for kind, rows in now.items():
        wrong += [f"{kind} missing: {row}" for row in list(reference[kind] - rows)[:SHOWN]]
        wrong += [f"{kind} too many: {row}" for row in list(rows - reference[kind])[:SHOWN]]
    told = {(row["jobnum"], row["run"]): row["last_seq"] for row in found.receipts}
    receipts = Receipts(Path(found.attempt["run_dir"]))
    receipts.look()
    for path, last in receipts.last.items():
        job, run = re.fullmatch(r"j(\d+)\.receipt\.(\d+)\.jsonl", path.name).groups()  # type: ignore[union-attr]
        if told.get((int(job), int(run)), 0) != last and not receipts.idle(path):
            wrong.append(f"{path.name} has {last} lines, the registry knows {told.get((int(job), int(run)), 0)}")
    return wrong


def _illegal(states: Sequence[State], runs: Sequence[int]) -> list[str]:
    """Return the moves that are not legal. Who was killed says nothing: a later run may begin where it stopped."""
    found = []
    for (before, run), (after, next_run) in pairwise(zip(states, runs, strict=False)):
        starts_anew = next_run > run and before.active and after in (State.STAGING, State.RUNNING)
        if after is not before and after not in MOVES[before] and not starts_anew:
            found.append(f"from {before} to {after}")
    return found


def _of_archive(folder: Path, found: Facts, archive: str) -> list[str]:
    wrong, there = [], set()
    for row in found.files:
        if row["path"] is None:
            continue
        path = folder / row["path"] / f"{row['filename']}{row['compression']}"
        if path in there or row["archive_name"] != archive:
            wrong.append(f"{row['filename']} is in {row['archive_name']}, or there twice")
        there.add(path)
        if not path.is_file():
            wrong.append(f"{path.name} is not in the archive")
        elif (content := content_of(path)) and (content.size, content.checksum) != (row["filesize"], row["checksum"]):
            wrong.append(f"{path.name} in the archive is not what the registry says")
    below = folder / found.attempt["archive_path"]
    present = {path for path in below.rglob("*") if path.is_file() or path.is_symlink()}
    wrong += [f"the archive has {path.relative_to(below)}, which nobody knows" for path in sorted(present - there)]
    return wrong


def _of_run_directory(run: Path) -> list[str]:
    wrong = []
    for path in sorted(run.rglob("*")):
        if ".part" in path.name or path.name.startswith("."):
            wrong.append(f"a temporary file is left: {path.relative_to(run)}")
        if path.name.endswith(".lock") and _held(path):
            wrong.append(f"a lock is held: {path.relative_to(run)}")
    work = run / "work"
    wrong += [f"a job directory is left: {path.name}" for path in (sorted(work.iterdir()) if work.is_dir() else ())]
    return wrong


def _held(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
