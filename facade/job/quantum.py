"""Run one quantum: stage in, prepare, execute, collect, stage out; and write down what happened, whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facade import plugins
from facade.archive import Archive, Content, Sent, Transfer, content_of
from facade.archive.layers import stored_in
from facade.archive.naming import settle
from facade.digest import combined, reading
from facade.errors import FacadeError
from facade.job import execute
from facade.job.capsule import Capsule, Exec, Name, Output, Quantum, full
from facade.job.collect import Product, collect
from facade.job.compress import compressed
from facade.job.entries import Entry, left_by, makers_of
from facade.job.execute import Ended
from facade.job.failure import Failure, StepError, exec_failure, failure_of
from facade.job.follow import Follower, Searches
from facade.job.logfile import Log, log_name
from facade.job.phases import Executed, Phases, Wrapping, view
from facade.job.staging import Stager, make_folders, traffic, write_lists
from facade.job.stop import Stop, Stopped
from facade.job.watch import Limits
from facade.states import FailureClass, State


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the quanta of a job share."""

    capsule: Capsule
    run: int
    directory: Path
    archive: Archive
    stager: Stager
    stop: Stop
    env: Mapping[str, str]
    abandoned: Mapping[int, frozenset[Content]]
    """What earlier runs of quanta that never succeeded recorded as outputs; it may be replaced."""
    write: Callable[..., None]
    """Append lines to the receipt and tell the registry."""
    short: int = 0
    """How often this job ran out of memory before."""
    versions: dict[tuple[str, ...], str] = field(default_factory=dict)
    searches: Searches = field(default_factory=lambda: Searches(()))
    reads: dict[str, frozenset[Name]] = field(default_factory=dict)

    def hands_on(self, name: Name) -> bool:
        """Say whether a quantum of this job reads file *name*."""
        if not self.reads:
            self.reads["all"] = frozenset([item.name for quantum in self.capsule.quanta for item in quantum.inputs])
        return name in self.reads["all"]


class QuantumRun:
    """One quantum on its way; `run` is the way."""

    def __init__(self, job: Job, quantum: Quantum) -> None:
        self._job, self._quantum = job, quantum
        self._step = "stage-in"
        self._recorded = False
        self._derived: Sequence[tuple[str, str]] = ()
        self._makers: dict[Name, int] = {}
        self._log_name: Name = (log_name(quantum.log_name, job.run), "")
        self._log = Log(job.directory / "log" / self._log_name[0])
        self._messages = Follower(
            self._log.file, self._log.handle, quantum.task_id, job.searches, job.write, lambda: bool(job.stop.signum)
        )

    def run(self) -> Failure | None:
        """Run the quantum and return why it failed, or None."""
        with contextlib.closing(self._log):
            try:
                entries = self._work()
                self._save(entries)
            except Exception as error:
                return self._fail(error)
        return None

    def _work(self) -> list[Entry]:
        """Take every step up to the outputs; return the files to save."""
        self._log_head()
        self._state(State.STAGING)
        size = self._job.stager.stage(self._quantum.inputs, self._job.directory)
        self._log.note(f"staged {len(self._quantum.inputs)} inputs, {size} bytes copied")
        for item in self._quantum.inputs:
            self._note_trouble(item.name, self._job.stager.transfers.get(item.name))
        self._step = "prepare"
        make_folders(self._job.directory, self._quantum.outputs)
        lists = write_lists(self._job.directory, self._quantum.lists)
        wrapping = self._wrapping()
        wrapping.prepare()
        self._step = "exec"
        self._state(State.RUNNING)
        for executed in wrapping.executions():
            self._executed(executed)
        self._messages.finish()
        self._step = "collect"
        self._state(State.SAVING)
        capsule, handling = self._job.capsule, self._quantum.handling
        values = {**capsule.identity, **self._quantum.keys, "wrapnum": self._quantum.wrapnum}
        products = collect(self._job.directory, wrapping.outputs(), capsule.filetypes, handling, values)
        self._derived = wrapping.derived()
        products += self._compressed(products)
        self._job.stop.check()
        entries = [
            Entry(name=item.name, filetype=item.filetype, file=file, content=content_of(file),
                  archive_path=item.archive_path, execnum=None, metadata=item.metadata)
            for item, file in lists
        ]  # fmt: skip
        return entries + [self._entry(product) for product in products]

    def _compressed(self, products: Sequence[Product]) -> list[Product]:
        """Compress what is to be compressed; return what was made."""
        if not self._quantum.compressed:
            return []
        needed = {p.output.name for p in products if self._saved(p.output) or self._job.hands_on(p.output.name)}
        made = []

        def start(item: Exec, argv: Sequence[str]) -> Ended:
            return self._start(item, argv, {}, self._limits())

        for one in compressed(self._quantum, products, self._job.directory, start, needed):
            self._executed(one.executed)
            if one.product is not None:
                made.append(one.product)
                self._makers[one.product.output.name] = one.executed.item.execnum
                self._derived = [*self._derived, *one.executed.item.derived]
        return made

    def _saved(self, output: Output) -> bool:
        """Say whether an output goes to the archive: as planned, or because this attempt keeps all."""
        if output.save or not self._quantum.handling.keeps_all(self._job.capsule.attempt):
            return output.save
        return not any(output.name == (one.name[0], "") for one in self._quantum.compressed)

    def _wrapping(self) -> Wrapping:
        job, quantum = self._job, self._quantum
        seen = view(job.capsule, quantum, job.directory, self._log.note)
        if plugins.executable(quantum.wrapper):
            from facade.job.external import External  # reads WCL, which other jobs need not load

            return External(
                quantum, job.capsule, seen, self._limits(), self._start, check=job.stop.check, short=job.short
            )
        return Phases(quantum, job.capsule, seen, self._limits(), self._start)

    def _start(self, item: Exec, argv: Sequence[str], env: Mapping[str, str], limits: Limits) -> Ended:
        """Run a program for *item*; its output goes into the log."""
        job = self._job
        job.stop.check()
        self._log.starting(item.execnum, item.name, argv)
        with self._messages.following(item):
            ended = execute.run(
                argv, cwd=job.directory, env={**job.env, **env}, log=self._log.handle, stop=job.stop, limits=limits,
                mark=f"{self._quantum.task_id}.{item.execnum}",
            )  # fmt: skip
        self._log.ended(item.execnum, item.name, ended)
        if self._messages.trouble:
            self._log.note(self._messages.trouble)
        return ended

    def _executed(self, executed: Executed) -> None:
        """Write down that a program ran; raise if it failed."""
        job, quantum = self._job, self._quantum
        item, argv, ended = executed.item, executed.argv, executed.ended
        known = self._names()
        job.write({
            "kind": "exec", "quantum": quantum.task_id, "execnum": item.execnum, "name": item.name,
            "argv": list(argv), "version": self._version(argv[0], item.version_flag),
            "start": ended.start, "end": ended.end,
            "exit_code": ended.exit_code, "signal": ended.signal, "utime": ended.utime, "stime": ended.stime,
            "maxrss": ended.maxrss, "inblock": ended.inblock, "oublock": ended.oublock,
            "used": [known.get(name, (name, "")) for name in executed.used],
        })  # fmt: skip
        job.stop.check()
        if not ended.success:
            raise StepError(exec_failure(item.execnum, item.name, ended, quantum.allowance, job.short))

    def _save(self, entries: list[Entry]) -> None:
        """Record and store the outputs.

        Everything is first copied and verified under temporary names, so that once the registry has been told of the
        files only a rename can still go wrong: a retry then meets neither half of an earlier run's outputs.
        """
        self._step = "stage-out"
        sent: list[tuple[Entry, Sent]] = []
        try:
            for entry in entries:
                self._job.stop.check()
                sent += self._send(entry)
            for entry, copy in sent:
                self._note_trouble(entry.name, copy.transfer)
            self._log.note(f"outputs verified: {len(entries)} files, {sum(e.content.size for e in entries)} bytes")
            log = self._log_entry()
            sent += self._send(log)
            self._record([*entries, log])
            stored = self._commit(sent)
            ended = {"kind": "quantum-ended", "quantum": self._quantum.task_id, "state": State.SUCCEEDED.value}
            moved = traffic(self._job.stager.counted(self._quantum.inputs), [copy.transfer for _, copy in sent])
            self._job.write(*stored, {**ended, "failure": None, "fp_run": self._fingerprint(), **moved})
        finally:
            for _, copy in sent:
                copy.discard()
        for entry in entries:
            self._job.stager.add(entry.name, entry.file, entry.content)

    def _send(self, entry: Entry) -> list[tuple[Entry, Sent]]:
        if entry.archive_path is None:
            return []
        target = f"{entry.archive_path}/{full(entry.name)}".lstrip("/")
        stale = self._job.abandoned.get(self._quantum.task_id, frozenset())
        return [(entry, self._job.archive.send(entry.file, target, entry.content.checksum, stale=stale))]

    def _note_trouble(self, name: Name, transfer: Transfer | None) -> None:
        """Say in the log which transfers did not go right at once."""
        if transfer is not None and transfer.tries > 1:
            self._log.note(f"{full(name)}: transferred in {transfer.tries} tries, {transfer.seconds:.1f} s")

    def _commit(self, sent: Sequence[tuple[Entry, Sent]]) -> list[dict[str, Any]]:
        """Give the copies their names, the log's first; return the ``stored`` lines, written even if one fails."""
        stored: list[tuple[str, str, str | None]] = []
        line = {"kind": "stored", "quantum": self._quantum.task_id}
        lines = [{**line, "archive": name, "files": stored} for name in stored_in(self._job.archive)]
        try:
            for entry, copy in reversed(sent):
                copy.commit()
                stored.append((*entry.name, entry.archive_path))
        except FacadeError:
            if stored:
                settle(copy for _, copy in sent[-len(stored) :])
                self._job.write(*lines)
            raise
        settle(copy for _, copy in sent)
        stored.reverse()
        return lines

    def _record(self, entries: Sequence[Entry]) -> None:
        """Write the ``outputs`` line."""
        types, known = self._job.capsule.filetypes, self._names()
        there = {entry.name for entry in entries} | {item.name for item in self._quantum.inputs}
        derived = [(known.get(a), known.get(b)) for a, b in self._derived]
        files = [
            {"filename": e.name[0], "compression": e.name[1], "filetype": e.filetype, "size": e.content.size,
             "checksum": e.content.checksum, "execnum": e.execnum, "metadata": dict(e.metadata),
             "metadata_table": types[e.filetype].metadata_table if e.filetype in types else ""}
            for e in entries
        ]  # fmt: skip
        pairs = list(dict.fromkeys(pair for pair in derived if there.issuperset(pair))) if len(entries) > 1 else []
        self._job.write({"kind": "outputs", "quantum": self._quantum.task_id, "files": files, "derived": pairs})
        self._recorded = True

    def _fail(self, error: Exception) -> Failure:
        """Write down what went wrong; the log is registered and stored as far as that is still possible."""
        self._messages.finish()
        failure = failure_of(error, self._step)
        where = f"job directory kept: {self._job.directory}"
        if not self._recorded:
            if not isinstance(error, FacadeError | StepError | Stopped | OSError):
                self._log_traceback(error)
            failure = failure.with_tail(self._log.source)
            self._log.note(f"failed in {failure.step} ({failure.failure_class}): {failure.message}\n{where}")
            self._save_log(failure)
        line = failure.line() | {"message": f"{failure.message}; {where}"}
        ended = {"kind": "quantum-ended", "quantum": self._quantum.task_id, "state": State.FAILED.value}
        self._job.write({**ended, "failure": line})
        return failure

    def _save_log(self, failure: Failure) -> None:
        """Keep the log, and what else of a failed quantum is to be kept."""
        entries = [*self._left(failure), self._log_entry()]
        self._record(entries)
        sent: list[tuple[Entry, Sent]] = []
        try:
            for entry in reversed(entries):
                with contextlib.suppress(FacadeError):  # the failure told is the one that came first
                    sent[:0] = self._send(entry)
            with contextlib.suppress(FacadeError):
                self._job.write(*self._commit(sent))
        finally:
            for _, copy in sent:
                copy.discard()

    def _left(self, failure: Failure) -> list[Entry]:
        """Return what a failed quantum made, under names that nothing looks for (docs/outputs.md)."""
        job, quantum = self._job, self._quantum
        if job.stop.signum or failure.failure_class is FailureClass.TRANSFER:
            return []
        if not quantum.handling.keeps_failed(job.capsule.attempt):
            return []
        return left_by(quantum, job.directory, job.run)

    def _version(self, program: str, flag: str) -> str:
        if not flag or self._job.stop.signum:
            return ""
        argv = (program, *flag.split())
        if argv not in self._job.versions:
            self._job.versions[argv] = execute.version(argv, cwd=self._job.directory, env=self._job.env)
        return self._job.versions[argv]

    def _limits(self) -> Limits:
        allowance = self._quantum.allowance
        return Limits(allowance.seconds, allowance.memory_after(self._job.short))

    def _fingerprint(self) -> str | None:
        """Return what the quantum did, with what its inputs held."""
        contents, inputs = self._job.stager.contents, self._quantum.inputs
        read = [reading(item.section, contents[item.name].checksum, item.rename) for item in inputs]
        return combined(self._quantum.fingerprint, read) if self._quantum.fingerprint else None

    def _names(self) -> dict[str, Name]:
        quantum = self._quantum
        names = [item.name for item in quantum.inputs]
        names += [item.name for item in quantum.lists]
        names += [item.name for item in (*quantum.outputs, *quantum.compressed)]
        return {full(name): name for name in names}

    def _entry(self, product: Product) -> Entry:
        output = product.output
        made_by = makers_of(self._quantum).get(full(output.name))
        return Entry(
            name=output.name,
            filetype=output.filetype,
            file=product.file,
            content=product.content,
            archive_path=output.archive_path if self._saved(output) else None,
            execnum=self._makers.get(output.name, made_by),
            metadata=product.metadata,
        )

    def _log_entry(self) -> Entry:
        return Entry(
            name=self._log_name, filetype="log", file=self._log.source, content=content_of(self._log.source),
            archive_path=self._quantum.log_archive_path, execnum=None, metadata={},
        )  # fmt: skip

    def _log_head(self) -> None:
        job, quantum = self._job, self._quantum
        keys = ", ".join(f"{key}={value}" for key, value in quantum.keys.items())
        self._log.note(
            f"{job.capsule.attempt} {quantum.module} quantum {quantum.wrapnum} ({keys}), "
            f"job {job.capsule.jobnum} run {job.run}, in {job.directory}"
        )

    def _log_traceback(self, error: Exception) -> None:
        import traceback  # only for faults of plug-ins and our own

        self._log.note("".join(traceback.format_exception(error)))

    def _state(self, state: State) -> None:
        self._job.write({"kind": "quantum-state", "quantum": self._quantum.task_id, "state": state.value})
