"""Engines run a plan: ``local`` on this machine, ``htcondor`` through DAGMan. Same run directory in, same meaning out.

Both take a `RunDirectory`, the jobs that are done already and the environment of jobs; ``running`` tells for any run
who is at it. Engines know nothing of the registry: what a job did stands in its receipt.
"""

from typing import Any

from facade.engines.rundir import EngineJob, RunDirectory

NAMES = ("local", "htcondor")
"""What ``--engine`` may say."""


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


__all__ = ["NAMES", "EngineJob", "RunDirectory", "queue", "running", "stop"]
