"""`Registry`: everything facade asks of its database and tells it, in one place. Each verb lives in its own module."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from facade.graph import Graph
from facade.plugins import Row, Rows
from facade.registry import (
    definitions,
    files,
    growth,
    locations,
    overview,
    provenance,
    questions,
    reuse,
    roles,
    runs,
    submission,
    tags,
    times,
)
from facade.registry.connection import Address, Session
from facade.registry.values import (
    Answer,
    Attempt,
    Carried,
    DataQuery,
    FileKey,
    FileType,
    Ids,
    Ingested,
    Job,
    LeftOut,
    Line,
    NewFile,
    Overview,
    Planning,
    Quantum,
    Unplanned,
)
from facade.states import State

if TYPE_CHECKING:
    from facade.registry.care import Care
    from facade.registry.intake import Intake


class Registry:
    """One client of the registry's database; holds one connection (made when first needed). Not for several threads.

    Every method raises `RegistryError` when the database cannot be reached or refuses.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session = Session(address)
        self._archives: tuple[str, ...] = ()
        """Read access for query codes (`facade.plugins.Rows`)."""

    @classmethod
    def open(cls, address: Address) -> Self:
        """Return a client of the database at *address*; use it in a ``with`` statement."""
        return cls(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; a later call makes a new one."""
        self._session.close()

    @property
    def care(self) -> Care:
        """Looking after files: finding, removing, comparing them."""
        from facade.registry.care import Care  # only its verbs pay

        return Care(self._session)

    @property
    def intake(self) -> Intake:
        """Registering files that exist already, thousands at a time."""
        from facade.registry.intake import Intake  # only facade ingest pays

        return Intake(self._session)

    def look_in(self, archives: Sequence[str]) -> None:
        """From now on files lie where the first of *archives* has them that does, for `rows`, `rows_of` and `lookup`;
        without, in any archive, the first by name."""
        self._archives = tuple(archives)

    @property
    def rows(self) -> Rows:
        """Read access for query codes (`facade.plugins.Rows`)."""
        from facade.registry.selection import Selection  # costs SQLAlchemy

        return Selection(self._session, archives=self._archives)

    def rows_of(self, makers: Sequence[int]) -> Rows:
        """Return read access that sees, of the files that jobs made, only those of the quanta *makers*, task ids."""
        from facade.registry.selection import Selection

        return Selection(self._session, makers, self._archives)

    # -- schema

    def upgrade(self, *, rights: bool = False) -> str:
        """Bring the tables to this facade's version (safe at any time, from many processes); return the version.

        With *rights* those of the roles are given anew, also if there is nothing else to do.
        """
        if definitions.version(self._session) == definitions.newest() and not rights:
            return definitions.newest()
        from facade.registry import schema  # costs Alembic

        return schema.upgrade(self.address)

    def ensure_here(self) -> None:
        """Raise RefusedError, with the new address, if the registry has moved elsewhere."""
        definitions.version(self._session)

    def roles(self) -> roles.Roles:
        """Return how it stands with the roles of this database."""
        return roles.state(self._session)

    def address_for_readers(self, folder: Path) -> Address | None:
        """Return as whom other programs may read, with a password file in *folder*; None if there is no such role."""
        return roles.for_readers(self._session, folder)

    def address_for_jobs(self, name: str, attempt_id: int | None, folder: Path) -> Address:
        """Return as whom jobs of attempt *name* report: with a token of their own, in a password file in *folder*.

        Without an id the attempt is only thought of, and nothing is written. A database without roles is reported to
        as it is reached from here.
        """
        return roles.for_jobs(self._session, name, attempt_id, folder) or self.address

    def ensure_metadata_tables(self, filetypes: Mapping[str, FileType]) -> list[str]:
        """Make or widen the metadata tables of *filetypes*; return in words what was changed.

        Raises:
            InputError: a name cannot be a table or column, or a type or unit contradicts an existing column.
        """
        if not definitions.changed(self._session, filetypes):
            return []
        from facade.registry import metadata  # costs SQLAlchemy and Alembic

        return metadata.ensure_metadata_tables(self._session, filetypes)

    def unclaimed_columns(self) -> list[str]:
        """Return the columns of metadata tables that no definition has any more, as TABLE.COLUMN."""
        from facade.registry import metadata

        return metadata.unclaimed(self._session)

    # -- runs

    @contextmanager
    def submission(
        self, identity: Mapping[str, Any], submit_key: uuid.UUID, operator: str, attnum: int | None = None
    ) -> Iterator[submission.Submission]:
        """Open one transaction that allocates an attempt number; ``register`` inside it makes the attempt.

        Leaving without ``register``, or by an exception, gives the number back. *identity* holds project, reqnum and
        unitname, and may hold campaign, pipeline and jira_id. A *submit_key* that was used before finds its own attempt
        (``existing``) and registers nothing. An *attnum* of None means the next one.

        Raises:
            RefusedError: *attnum* is taken, or the request belongs to another project.
        """
        with submission.submission(self._session, identity, submit_key, operator, attnum) as opened:
            yield opened

    # -- blocks that are planned later

    def unplanned(self, attempt_id: int) -> tuple[Unplanned, ...]:
        """Return the blocks of an attempt that are not planned yet, in their order."""
        return growth.unplanned(self._session, attempt_id)

    def planning(self, attempt_id: int) -> Planning:
        """Return what the planning of an attempt's later blocks goes on from.

        Raises:
            InputError: it has none.
        """
        return growth.planning(self._session, attempt_id)

    def carried(self, attempt_id: int, archives: Sequence[str]) -> Iterator[Carried]:
        """Yield what became of each quantum of an attempt's plan so far; files lie in the first of *archives* that has
        them."""
        return growth.carried(self._session, attempt_id, archives)

    def extend(
        self,
        attempt_id: int,
        planned: int,
        *,
        blocks: int,
        plan_id: str,
        plan_body: bytes,
        run_plan: tuple[str, bytes] | None = None,
        programs: Mapping[str, str],
        found: bytes,
        jobs: Sequence[Job] = (),
        quanta: Sequence[Quantum] = (),
        queries: Sequence[DataQuery] = (),
        left_out: Sequence[LeftOut] = (),
    ) -> bool:
        """Add to an attempt of which *planned* blocks are planned those up to *blocks*, in one transaction.

        Its plan becomes the one given; *found* are the rows that this was made of. Jobs name their block by its index
        among all blocks. False, and no change, if another number of blocks is planned than was thought.
        """
        return growth.extend(
            self._session, attempt_id, planned, blocks=blocks, plan_id=plan_id, plan_body=plan_body, run_plan=run_plan,
            programs=programs, found=found, jobs=jobs, quanta=quanta, queries=queries, left_out=left_out,
        )  # fmt: skip

    # -- runs

    def report(self, receipt_id: uuid.UUID | str, lines: Sequence[Line]) -> int:
        """Apply consecutive *lines* of one receipt, each exactly once; return the last ``seq`` now applied.

        A gap (a number lower than the last line's ``seq`` comes back) means that lines before these are missing.

        Raises:
            RefusedError: a file is registered already with other content; nothing of *lines* was applied.
        """
        return self.report_all({str(receipt_id): lines})[str(receipt_id)]

    def report_all(self, told: Mapping[str, Sequence[Line]]) -> dict[str, int]:
        """Apply lines of several receipts, by their ids, in one transaction; see `report`."""
        return runs.report(self._session, told)

    def report_texts(self, told: Mapping[str, str]) -> dict[str, int]:
        """Do what `report_all` does, with the lines of each receipt as the text of a JSON list."""
        return runs.report_texts(self._session, told)

    def receipt_lines(self, receipts: Sequence[str]) -> dict[str, int]:
        """Return how many lines of receipts have been applied, of those that are known."""
        return runs.receipt_lines(self._session, receipts)

    def attempts(
        self, *, reqnum: int | None = None, unitname: str | None = None, active: bool = False, limit: int | None = None
    ) -> list[Attempt]:
        """Return attempts, newest first; *active* leaves out those in a final state."""
        return runs.attempts(self._session, reqnum=reqnum, unitname=unitname, active=active, limit=limit)

    def attempt(self, name_or_id: str | int) -> Attempt | None:
        """Return the attempt called ``UNIT_rREQpATT`` or with that id, or None."""
        return runs.attempt(self._session, name_or_id)

    def ids(self, attempt_id: int) -> Ids:
        """Return the task ids of an attempt's blocks, jobs (by jobnum) and quanta (by wrapnum)."""
        return runs.ids(self._session, attempt_id)

    def overview(self, attempt_id: int) -> Overview:
        """Return an attempt at a glance.

        Raises:
            InputError: no such attempt.
        """
        return overview.overview(self._session, attempt_id)

    def totals(self, attempt_ids: Sequence[int]) -> dict[int, dict[State, int]]:
        """Return how many quanta of each state attempts have."""
        return overview.totals(self._session, attempt_ids)

    def job_states(self, attempt_id: int) -> dict[int, State]:
        """Return the state of each job, by jobnum."""
        return runs.job_states(self._session, attempt_id)

    def troubled_jobs(self, attempt_id: int) -> dict[int, int]:
        """Return how often each job was started, by jobnum, of those that have not succeeded at the first try."""
        return runs.troubled_jobs(self._session, attempt_id)

    def quantum_states(self, attempt_id: int) -> dict[int, State]:
        """Return the state of each quantum, by wrapnum."""
        return runs.quantum_states(self._session, attempt_id)

    def finish(self, attempt_id: int, state: State) -> None:
        """Close an attempt and its blocks; they end when their last job ended (now, if none did)."""
        runs.finish(self._session, attempt_id, state)

    def mark(self, task_ids: Iterable[int], state: State, detail: str = "") -> list[int]:
        """Move tasks to *state*, with an event; return those that moved.

        Tasks that are there already, or may not go there (`facade.states.MOVES`), stay as they are.
        """
        return runs.mark(self._session, task_ids, state, detail)

    def fail_jobs(self, failures: Mapping[int, tuple[str, str]], state: State = State.FAILED) -> list[int]:
        """Move jobs (task id -> failure class, message) and whatever they were doing to *state*; return those moved."""
        return runs.fail_jobs(self._session, failures, state)

    def set_engine(self, attempt_id: int, engine: str, engine_job: str) -> None:
        """Note which engine runs an attempt, and under which cluster or process id."""
        runs.set_engine(self._session, attempt_id, engine, engine_job)

    def set_data_state(self, attempt_id: int, data_state: str) -> None:
        """Say what an attempt's files are worth: ``active`` or ``junk`` (which queries for inputs pass over)."""
        runs.set_data_state(self._session, attempt_id, data_state)

    def plan_body(self, plan_id: str) -> bytes:
        """Return a plan's canonical JSON.

        Raises:
            InputError: no such plan.
        """
        return runs.plan_body(self._session, plan_id)

    def run_plan_body(self, attempt_id: int) -> bytes:
        """Return the canonical JSON of what an attempt runs of its plan.

        Raises:
            InputError: no such attempt.
        """
        return runs.run_plan_body(self._session, attempt_id)

    def run_times(self, project: str, campaign: str | None, modules: Sequence[str]) -> dict[str, tuple[float, int]]:
        """Return, by module, the median of the seconds that quanta took so far, and of how many (`times.medians`)."""
        return times.medians(self._session, project, campaign, modules)

    # -- reuse

    def successes(
        self,
        fingerprints: Sequence[str],
        *,
        scope: str,
        identity: Mapping[str, Any],
        archives: Sequence[str],
        contents: bool = False,
        apart: int | None = None,
    ) -> Iterator[reuse.Earlier]:
        """Yield quanta that succeeded with one of *fingerprints*, newest first; see `reuse.successes`."""
        return reuse.successes(
            self._session, fingerprints, scope=scope, identity=identity, archives=archives, contents=contents,
            apart=apart,
        )  # fmt: skip

    def forced(self, reqnum: int, unitname: str) -> dict[tuple[str, str], int]:
        """Return (module, keys as JSON) -> in how many attempts of the unit that quantum was made again on demand."""
        return reuse.forced(self._session, reqnum, unitname)

    def likest(self, reqnum: int, unitname: str, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], reuse.Kin]:
        """Return the newest success of the unit for each (module, keys as JSON), whatever its fingerprint was."""
        return reuse.likest(self._session, reqnum, unitname, wanted)

    def own_fingerprints(self, attempt_id: int) -> dict[int, str]:
        """Return the fingerprint of what each quantum of an attempt does (its inputs left out), by wrapnum."""
        return reuse.own_fingerprints(self._session, attempt_id)

    # -- files

    def set_archive(self, name: str, root: str) -> None:
        """Note where the archive called *name* has its root."""
        files.set_archive(self._session, name, root)

    def ingest(
        self,
        task_name: str,
        filetypes: Mapping[str, FileType],
        new_files: Sequence[NewFile],
        contents: Sequence[tuple[FileKey, str, Sequence[Row]]] = (),
    ) -> Ingested:
        """Register files that exist already, all or none; *contents* are (file, dimension table, rows).

        What is known of those that are registered already stays as it is. `intake` can do more.

        Raises:
            RefusedError: a name is registered with other content.
            InputError: *filetypes* or *contents* do not fit the tables.
        """
        self.ensure_metadata_tables(filetypes)
        return self.intake.register(task_name, filetypes, new_files, contents)

    def lookup(self, names: Iterable[FileKey]) -> dict[FileKey, dict[str, Any]]:
        """Return id, filename, compression, filetype, filesize, checksum, archive_name, path, pfw_attempt_id and
        wgb_task_id of those *names* that are registered."""
        return files.lookup(self._session, names, self._archives)

    def astray(self, attempt_id: int, source: str, home: str, after: int = 0, limit: int = 1) -> list[locations.Copy]:
        """Return files of an attempt that lie in archive *source* and not yet in *home* (see `locations.astray`)."""
        return locations.astray(self._session, attempt_id, source, home, after, limit)

    def add_locations(self, archive: str, copies: Sequence[locations.Copy]) -> None:
        """Note that *copies* lie in *archive* too (again: no change)."""
        locations.add(self._session, archive, copies)

    def elsewhere(self, names: Sequence[FileKey], archive: str, source: str) -> list[locations.Copy]:
        """Return those of the registered files *names* that lie in archive *source* and not in *archive*."""
        return locations.elsewhere(self._session, names, archive, source)

    def note(self, task_id: int, detail: str) -> None:
        """Write down something about a task, whose state stays as it is."""
        locations.note(self._session, task_id, detail)

    def noted(self, task_id: int) -> str:
        """Return what was written down last about a task, "" if nothing was."""
        return locations.noted(self._session, task_id)

    def forget_locations(self, names: Iterable[FileKey], archive: str) -> int:
        """Note that files are no longer in *archive*; return how many were."""
        return files.forget_locations(self._session, names, archive)

    def attempt_files(self, attempt_id: int, filetype: str | None = None) -> list[dict[str, Any]]:
        """Return what an attempt made, ordered by name; the same keys as `lookup`."""
        return files.attempt_files(self._session, attempt_id, filetype)

    # -- provenance, tags, questions

    def provenance(self, about: str, directions: Sequence[str], depth: int | None = None) -> Graph:
        """Return the graph around a file, an attempt, ``ATTEMPT:WRAPNUM`` or a tag (`provenance.graph`).

        Raises:
            InputError: nothing is called so.
        """
        return provenance.graph(self._session, about, directions, depth)

    def tag(self, attempt_id: int, name: str, by: str) -> None:
        """Put tag *name* on an attempt (again: no change)."""
        tags.tag(self._session, attempt_id, name, by)

    def untag(self, attempt_id: int, name: str) -> bool:
        """Take tag *name* off an attempt; tell whether it was there."""
        return tags.untag(self._session, attempt_id, name)

    def named_queries(self) -> dict[str, str]:
        """Return name -> description of the named questions."""
        return {name: query.description for name, query in questions.named_queries().items()}

    def run_named(self, name: str, params: Mapping[str, Any]) -> Answer:
        """Answer a named question.

        Raises:
            InputError: no question has that name, or a parameter is missing or unknown.
        """
        return questions.run_named(self._session, name, params)

    def run_sql(self, text: str) -> Answer:
        """Answer an operator's own SQL in a transaction that cannot write, as a reader if this database has that role.

        Raises:
            InputError: the text is not SQL that this database understands.
            RefusedError: it would write.
        """
        return questions.run_sql(self.address, text, roles.login(self._session, "reader"))
