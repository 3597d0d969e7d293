"""Engines run a plan: ``local`` on this machine, ``htcondor`` through DAGMan. Same run directory in, same meaning out.

Both take a `RunDirectory`, the jobs that are done already and the environment of jobs; ``running`` tells for any run
who is at it. Engines know nothing of the registry: what a job did stands in its receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from facade.engines.rundir import EngineJob, RunDirectory

if TYPE_CHECKING:
    from facade.engines.eventlog import Fate

NAMES = ("local", "htcondor")
"""What ``--engine`` may say."""


def ensure_set_up(engine: str) -> None:
    """Raise FacadeError if *engine* lacks something on this host that no waiting brings."""
    if engine == "htcondor":
        from facade.engines import htcondor

        htcondor.ensure_set_up()


def running(engine: str, run_dir: RunDirectory) -> str | None:
    """Tell who runs this run by *engine*, or None if nobody does.

    Raises:
        InputError: there is no such engine.
        FacadeError: HTCondor cannot be asked.
    """
    if engine == "local":
        from facade.engines import local

        return local.running(run_dir)
    if engine == "htcondor":
        from facade.engines import htcondor

        return htcondor.running(run_dir)
    from facade.errors import InputError

    raise InputError(f"there is no engine '{engine}'", remedy=f"one of: {', '.join(NAMES)}")


def queue(engine: str, engine_job: str) -> dict[str, Any] | None:
    """Return how many jobs of a run are idle, running, held and waiting to be tried again, and why those are held.

    None for an engine without a queue of its own. Raises FacadeError if HTCondor cannot be asked.
    """
    if engine != "htcondor" or not engine_job:
        return None
    from facade.engines import htcondor

    found = htcondor.status(engine_job)
    counts = {"idle": found.idle, "running": found.running, "held": found.held, "waiting": found.waiting}
    return {**counts, "holds": dict(found.holds)}


def fates(engine: str, run_dir: RunDirectory) -> Mapping[int, Fate]:
    """Return what became of the jobs of a run by the log of the batch system, by their numbers; nothing for an engine
    without one, or if it cannot be read from here."""
    if engine != "htcondor":
        return {}
    from facade.engines import htcondor
    from facade.engines.eventlog import fates as told
    from facade.errors import FacadeError

    try:
        return told(htcondor.events(run_dir))
    except FacadeError:
        return {}


def hold(engine: str, engine_job: str) -> None:
    """Have a run start no more jobs until it is released; those that run go on.

    Raises:
        RefusedError: the engine cannot.
        FacadeError: nobody is at this run, or it does not answer.
    """
    _queued(engine).hold(engine_job, "held by the operator")


def release(engine: str, engine_job: str) -> int:
    """Have a run go on that was held, and its held jobs be started again; return how many of those there were.

    Raises:
        RefusedError: the engine cannot.
        FacadeError: nobody is at this run, or it does not answer.
    """
    condor = _queued(engine)
    condor.release(engine_job)
    return int(condor.release_jobs(engine_job))


def _queued(engine: str) -> Any:
    if engine == "htcondor":
        from facade.engines import htcondor

        return htcondor
    from facade.errors import RefusedError

    raise RefusedError(
        f"engine {engine} has no queue in which jobs can wait",
        remedy="stop the attempt with facade remove, and later go on with what is missing with facade resume",
    )


def stop(engine: str, run_dir: RunDirectory, engine_job: str) -> bool:
    """Ask whoever runs this run to stop; return False if nobody does.

    Raises:
        FacadeError: it cannot be asked from here.
    """
    if engine == "htcondor":
        from facade.engines import htcondor

        return htcondor.remove(engine_job, "removed by the operator")
    from facade.engines import local

    return local.interrupt(run_dir)


__all__ = [
    "NAMES",
    "EngineJob",
    "RunDirectory",
    "ensure_set_up",
    "fates",
    "hold",
    "queue",
    "release",
    "running",
    "stop",
]
