"""Carrying out a registered attempt through an engine, and settling what it leaves: receipts in, states true."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facade import engines, homing
from facade.engines import local
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError, InputError, RefusedError, RegistryError
from facade.job import receipt
from facade.leftovers import clear
from facade.registry import Address, Registry
from facade.registry.values import Attempt, Ids
from facade.site import CREDENTIALS, Site
from facade.states import FailureClass, State

if TYPE_CHECKING:
    from facade.engines.descriptions import Hosts

BATCH = 500
"""Lines of a receipt sent to the registry in one call."""

OPERATORS = ("PGPASSWORD", "PGSERVICE", "PGSERVICEFILE")
"""Variables with which an operator may log in; jobs that have a login of their own are not told."""


def open_run(registry: Registry, site: Site, attempt: Attempt) -> RunDirectory:
    """Return the run directory of an attempt, made anew from the registry where a dead submission left none."""
    path = Path(attempt.run_dir)
    if (path / "run.json").is_file():
        return RunDirectory.read(path)
    from facade.materialise import made_again  # most commands need no plan, and pay for none

    return made_again(registry, site, attempt)


def find(registry: Registry, name: str) -> Attempt:
    """Return the attempt that an operator names, by ``UNIT_rREQpATT`` or id.

    Raises:
        InputError: there is none.
    """
    attempt = registry.attempt(name)
    if attempt is None:
        recent = ", ".join(a.name for a in registry.attempts(limit=5))
        raise InputError(f"there is no attempt '{name}'", remedy=f"the latest: {recent}" if recent else "none was made")
    return attempt


def alive(attempt: Attempt) -> str | None:
    """Return who carries the attempt out now (host and process, or cluster), or None if nobody does.

    Raises:
        FacadeError: HTCondor cannot be asked.
    """
    path = Path(attempt.run_dir)
    if not attempt.engine or not (path / "run.json").is_file():
        return None
    return engines.running(attempt.engine, RunDirectory.read(path))


def ensure_idle(attempt: Attempt) -> None:
    """Make sure that nobody carries the attempt out.

    Raises:
        RefusedError: somebody does.
        FacadeError: HTCondor cannot be asked.
    """
    if holder := alive(attempt):
        raise RefusedError(
            f"{attempt.name} is being carried out by {holder}", remedy=f"facade stat {attempt.name} --watch"
        )


def read_receipts(registry: Registry, run: RunDirectory) -> None:
    """Tell the registry what receipts say that it may not know (again: no change).

    A job that succeeded when it was run again may have been killed before, with a word on its lips: also its earlier
    receipts count. Those of jobs that succeeded at once are known, or they would not be known as succeeded.
    """
    wanted = {run.stem(number) for number in registry.troubled_jobs(run.attempt_id)}
    for folder in sorted({stem.parent for stem in wanted}):
        # one look at each folder: it holds the receipts of a thousand jobs
        for path in sorted(folder.glob("*.receipt.*.jsonl")):
            if folder / path.name.partition(".")[0] not in wanted:
                continue
            report_receipt(registry, list(receipt.read(path)))


def report_receipt(registry: Registry, lines: Sequence[receipt.Line]) -> None:
    """Tell the registry all *lines* of a receipt, which begins with them; those that it knows change nothing."""
    for start in range(0, len(lines), BATCH):
        registry.report(lines[0]["receipt"], lines[start : start + BATCH])


def _refreshed(registry: Registry, attempt: Attempt) -> Attempt:
    """Return the attempt as the registry has it now."""
    return registry.attempt(attempt.id) or attempt


def settle(registry: Registry, attempt: Attempt, *, engine_gone: bool) -> Attempt:
    """Make the registry true: read outstanding receipts; if nobody carries the attempt out, close what was left open.

    Returns the attempt as it is now. A finished attempt is left alone.
    """
    attempt = _refreshed(registry, attempt)
    path = Path(attempt.run_dir)
    if attempt.state.final or not (path / "run.json").is_file():
        return attempt
    read_receipts(registry, RunDirectory.read(path))
    if engine_gone:
        _close(registry, attempt)
    return _refreshed(registry, attempt)


def _close(registry: Registry, attempt: Attempt) -> None:
    """Nobody carries the attempt out any more: what was under way is lost, what waits for it is blocked."""
    ids = registry.ids(attempt.id)
    states = registry.job_states(attempt.id)
    if not all(state.final for state in states.values()):
        _explain(registry, attempt, ids, states)
        states = registry.job_states(attempt.id)
    if all(state is State.SUCCEEDED for state in states.values()):
        _close_planned(registry, attempt)
    elif any(state in (State.FAILED, State.LOST, State.REMOVED) for state in states.values()):
        _block_waiting(registry, ids)
        registry.finish(attempt.id, State.FAILED)
    elif any(state is not State.PLANNED for state in states.values()):
        registry.finish(attempt.id, State.LOST)
    if started := [number for number, runs in registry.troubled_jobs(attempt.id).items() if runs]:
        clear(RunDirectory.read(Path(attempt.run_dir)), started)


def _explain(registry: Registry, attempt: Attempt, ids: Ids, states: Mapping[int, State]) -> None:
    """Mark the jobs that did not tell their end as lost, and those as failed that ended without having begun; what the
    batch system knows of them is told."""
    run = RunDirectory.read(Path(attempt.run_dir))
    fates = engines.fates(attempt.engine or "", run)
    silent: dict[State, dict[int, tuple[str, str]]] = {State.LOST: {}, State.FAILED: {}}
    for number, state in states.items():
        fate = fates.get(number)
        if not state.active and not (state is State.PLANNED and fate is not None and fate.over):
            continue
        kind, words = (fate.failure_class, [fate.story]) if fate else (FailureClass.LOST, [])
        said = _last_line(run.stem(number).with_suffix(".err")) if fate else ""
        text = ": ".join(["ended without a word", *words]) + (f"; its last words: {said}" if said else "")
        silent[State.LOST if state.active else State.FAILED][ids.jobs[number]] = (kind.value, text)
    for state, jobs in silent.items():
        if jobs:
            registry.fail_jobs(jobs, state)


def _last_line(path: Path) -> str:
    """Return the end of what a job printed besides its log, if it did."""
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")


def hold(attempt: Attempt) -> None:
    """Have an attempt start no more jobs until it is released; those that run go on.

    Raises:
        RefusedError: nobody carries it out, or its engine cannot wait.
        FacadeError: HTCondor does not answer.
    """
    engines.hold(attempt.engine or "local", _carried_out(attempt))


def release(attempt: Attempt) -> int:
    """Have a held attempt go on, and its held jobs be started again; return how many of those there were. Raises as
    `hold`."""
    return engines.release(attempt.engine or "local", _carried_out(attempt))


def _carried_out(attempt: Attempt) -> str:
    if alive(attempt) is None:
        raise RefusedError(f"nobody carries {attempt.name} out", remedy=f"go on with it: facade resume {attempt.name}")
    return attempt.engine_job or ""


def _close_planned(registry: Registry, attempt: Attempt) -> None:
    """All that is planned has succeeded: it is over if nothing is left to be planned, and all is home."""
    waiting = registry.unplanned(attempt.id)
    if not waiting and homing.astray(registry, RunDirectory.read(Path(attempt.run_dir))):
        trouble = homing.trouble(registry, attempt)
        state = State.FAILED if trouble else State.LOST
        registry.mark([attempt.task_id], state, trouble)
        registry.finish(attempt.id, state)
    elif not waiting:
        registry.finish(attempt.id, State.SUCCEEDED)
    elif waiting[0].state is State.FAILED:
        registry.finish(attempt.id, State.FAILED)
    elif attempt.state is not State.PLANNED:
        registry.finish(attempt.id, State.LOST)


def _block_waiting(registry: Registry, ids: Ids) -> None:
    """Mark as blocked every job and quantum that has not been started."""
    jobs = [ids.jobs[n] for n, state in registry.job_states(ids.attempt_id).items() if state is State.PLANNED]
    quanta = [ids.quanta[n] for n, state in registry.quantum_states(ids.attempt_id).items() if state is State.PLANNED]
    registry.mark([*jobs, *quanta], State.BLOCKED, "something it needs did not succeed")


def remove(registry: Registry, attempt: Attempt, patience: float) -> None:
    """Stop an attempt and mark it as removed; wait at most *patience* seconds until nobody carries it out any more.

    Raises:
        RefusedError: it does not stop, or can only be stopped elsewhere.
    """
    path = Path(attempt.run_dir)
    if attempt.engine and (path / "run.json").is_file():
        engines.stop(attempt.engine, RunDirectory.read(path), attempt.engine_job or "")
        deadline = time.monotonic() + patience
        while holder := alive(attempt):
            if time.monotonic() > deadline:
                raise RefusedError(f"{attempt.name} is still carried out by {holder}", remedy="wait, then say it again")
            time.sleep(0.2)
        settle(registry, attempt, engine_gone=True)
    registry.finish(attempt.id, State.REMOVED)


def start(
    registry: Registry,
    site: Site,
    attempt: Attempt,
    address: Address,
    *,
    engine: str,
    workers: int,
    stop: threading.Event,
    grow: Callable[[str], RunDirectory],
) -> None:
    """Carry out what is not done yet. The local engine returns when all is over or *stop* is set; HTCondor returns at
    once, and goes on by itself.

    *grow* plans a block that is not planned yet and returns the run with it (`facade.growth.plan_later`).

    Raises:
        RefusedError: somebody carries the attempt out already.
    """
    ensure_idle(attempt)
    run = open_run(registry, site, attempt)
    read_receipts(registry, run)
    done = frozenset(n for n, state in registry.job_states(attempt.id).items() if state is State.SUCCEEDED)
    if attempt.state.final:
        registry.mark([attempt.task_id], State.RUNNING, f"resumed by engine {engine}")
    jobs = address_for_jobs(registry, site, attempt.name, attempt.id)
    homing.take_along(registry, site, run, stop)
    if engine == "htcondor":
        from facade.engines import htcondor

        cluster = htcondor.submit(
            run,
            done=done,
            environment=_environment(site, address),
            hosts=execute_hosts(site, jobs, run.archives),
            finish_argv=finish_argv(attempt.name),
            plan_argv=plan_argv(attempt.name),
            home_argv=home_argv(attempt.name),
        )
        registry.set_engine(attempt.id, "htcondor", cluster)
        return
    registry.set_engine(attempt.id, "local", str(os.getpid()))
    local.run(
        run,
        workers=workers,
        done=done,
        environment=_environment(site, jobs),
        without=() if jobs == address else OPERATORS,
        on_event=lambda event: None,
        stop=stop,
        grow=partial(_growing, grow),
        home=partial(bring_home, registry, site, stop=stop),
    )


def _growing(grow: Callable[[str], RunDirectory], block: str) -> RunDirectory | None:
    """Plan a block; what cannot be planned is noted with the block, and ends the run as a job that fails does."""
    try:
        return grow(block)
    except RegistryError:
        raise
    except FacadeError:
        return None


def bring_home(registry: Registry, site: Site, run: RunDirectory, stop: threading.Event | None = None) -> bool:
    """Bring home what jobs of a run stored elsewhere, as far as their receipts tell; see `facade.homing.try_home`."""
    read_receipts(registry, run)
    return homing.try_home(registry, site, run, stop)


def write_later(registry: Registry, site: Site, attempt: Attempt, run: RunDirectory, block: str) -> None:
    """Write the DAG of *block*, which has just been planned, and of those planned with it."""
    from facade.engines import htcondor

    jobs = address_for_jobs(registry, site, attempt.name, attempt.id)
    htcondor.write_later(
        run,
        block,
        environment=_environment(site, registry.address),
        hosts=execute_hosts(site, jobs, run.archives),
        plan_argv=plan_argv(attempt.name),
        home_argv=home_argv(attempt.name),
    )


def address_for_jobs(registry: Registry, site: Site, name: str, attempt_id: int | None) -> Address:
    """Return as whom jobs of attempt *name* report to the registry (`Registry.address_for_jobs`)."""
    return registry.address_for_jobs(name, attempt_id, site.home / "credentials")


def _environment(site: Site, address: Address) -> dict[str, str]:
    """Return the environment by which processes on this host find site, database and batch system again."""
    condor = {name: value for name, value in os.environ.items() if name == "CONDOR_CONFIG"}
    return {**site.passing(), **address.environment(), **condor}


def execute_hosts(site: Site, address: Address, archives: Sequence[str] = ()) -> Hosts:
    """Return the machines of HTCondor's pool as this site has them, for jobs that use *archives* (that at home).

    Raises:
        InputError: jobs could not reach the archive from there.
    """
    from facade.engines.descriptions import Hosts  # the local engine pays nothing for it

    python, environment = site.python or sys.executable, {**site.passing(), **address.environment()}
    if site.shared_filesystem:
        return Hosts(python=python, environment=environment)
    for name in archives or (site.archive,):
        if not site.everywhere(name):
            raise InputError(
                f"jobs cannot reach archive '{name}' ({site.place(name).root}): the site file says shared_filesystem ="
                " False, and its root is a path",
                remedy="give the archive a root that is an address (https://…, s3://…), or say 'shared = True' in its"
                " section if all machines of the pool see that path (docs/htcondor.md)",
            )
    # paths of this machine mean nothing there, nor does a database that only this machine reaches
    there, brought = address.taken_along()
    environment = {} if address.local else there.environment()
    options = [site.place(name).options for name in archives or (site.archive,)]
    files = list(dict.fromkeys([one[key] for one in options for key in CREDENTIALS if one.get(key)]))
    if environment:
        files += map(str, brought)
    if not site.send_credentials:
        environment = {} if address.local else address.environment()
        return Hosts(python=python, environment=environment, remote=True)
    if len({Path(file).name for file in files}) < len(files):
        raise InputError(
            f"two files with credentials have one name, and would lie beside each other in a job: {', '.join(files)}",
            remedy="give one of them another name",
        )
    return Hosts(python=python, environment=environment, remote=True, files=tuple(files))


def plan_argv(name: str) -> list[str]:
    """Return what plans a block of attempt *name*, whose name comes behind it."""
    return [sys.executable, "-m", "facade", "engine", "plan", name]


def home_argv(name: str) -> list[str]:
    """Return what brings outputs of attempt *name* home."""
    return [sys.executable, "-m", "facade", "engine", "home", name]


def finish_argv(name: str) -> list[str]:
    """Return what the last node of the DAG of attempt *name* runs."""
    return [sys.executable, "-m", "facade", "engine", "finish", name]


def detach(attempt: Attempt, workers: int, environment: Mapping[str, str]) -> None:
    """Start the local engine in a process of its own that outlives this one."""
    log = Path(attempt.run_dir) / "engine.log"
    with log.open("ab") as out:
        argv = [sys.executable, "-m", "facade", "engine", "run", attempt.name, "-j", str(workers)]
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **environment},
        )
