"""``facade submit`` and ``facade resume``: run a campaign; and the two verbs that engines call."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click

from facade import engines
from facade.cli import attempts, deciding, output
from facade.cli.campaigns import SET
from facade.cli.context import address, operator, registry, site, talk
from facade.cli.watching import watch
from facade.errors import DONE, FAILED, INTERRUPTED, FacadeError, InputError, RegistryError
from facade.growth import plan_later, planning, prepare
from facade.loading import load_campaign
from facade.plan import Plan
from facade.registry import Registry
from facade.registry.values import Attempt
from facade.reuse import consider
from facade.run import (
    alive,
    bring_home,
    detach,
    ensure_idle,
    execute_hosts,
    find,
    open_run,
    settle,
    start,
    write_later,
)
from facade.run import remove as stop_attempt
from facade.stat import report
from facade.states import State
from facade.submit import missing_programs, read_plan, register

POLL = 0.5
"""Seconds between two looks at the registry while somebody watches; a look at HTCondor's queue costs more."""
POLL_QUEUE = 2.0
RETRY = 75
"""Exit code of what may be tried again, as of a job."""
STOPPING = 60.0
"""Seconds that an engine may take to end in good order."""

ENGINE = click.option("--engine", type=click.Choice(["local", "htcondor"]), help="Who runs it (default: the site's).")
WORKERS = click.option("-j", "--workers", type=click.IntRange(1), help="Worker processes of the local engine.")
WAIT = click.option("--wait", is_flag=True, help="Stay until all is over; exit 1 if something failed.")


@click.command()
@click.argument("campaign", metavar="CAMPAIGN|PLAN", type=click.Path(path_type=Path))
@SET
@ENGINE
@WORKERS
@WAIT
@click.option("--dry-run", is_flag=True, help="Show what would run; change nothing.")
@deciding.options
@click.option("--to", "end", default="", metavar="MODULE", help="This module and all that it is made from.")
def submit(
    campaign: Path,
    settings: tuple[str, ...],
    engine: str | None,
    workers: int | None,
    wait: bool,
    dry_run: bool,
    **asked: Any,
) -> int:
    """Find the inputs of CAMPAIGN, plan it, register an attempt of what was not made before, and run it.

    Exit codes: 0 done, or nothing to do (without --wait: under way), 1 something failed, 2 the campaign is wrong,
    3 inputs are missing, 4 refused.
    """
    wish = deciding.wish(**asked)
    here = site()
    chosen = engine or here.engine
    made = read_plan(campaign)
    if made is not None and settings:
        raise InputError("--set cannot change a plan", remedy="plan the campaign again with --set")
    loaded = load_campaign(here, campaign, settings) if made is None else None
    for warning in loaded.warnings if loaded is not None else ():
        talk(str(warning))
    with registry() as opened:
        if made is not None:
            considered, kept = consider(opened, here, made, wish), None
        else:
            assert loaded is not None
            considered, found = prepare(opened, here, loaded, wish)
            kept = planning(loaded, considered, found, wish)
            del found  # all rows
        if dry_run:
            deciding.show(considered)
            return DONE
        if not considered.remaining.quanta:
            some = bool(considered.plan.quanta)
            talk(deciding.nothing(considered) if some else "nothing to do: the plan has no quanta")
            return DONE
        _check_host(considered.remaining, chosen)
        attempt = register(opened, here, considered, operator=operator(), engine=chosen, planning=kept)
        talk(f"{attempt.name}: {deciding.summary(considered)}; engine {chosen}")
        return _carry_out(opened, attempt, chosen, workers, wait)


def _check_host(made: Plan, engine: str) -> None:
    """Refuse what cannot run from here, before anything is registered."""
    engines.ensure_set_up(engine)
    if engine == "htcondor":
        used = (site().archive, *filter(None, [made.keeping.target]))
        execute_hosts(site(), address(), used)
    missing = missing_programs(made, site()) if engine == "local" else []
    if missing:
        raise InputError(
            f"not on the path of jobs: {', '.join(missing)}",
            remedy="install them, or set 'path' in the campaign's <job_environment>",
        )


@click.command()
@click.argument("attempt")
@ENGINE
@WORKERS
@WAIT
def resume(attempt: str, engine: str | None, workers: int | None, wait: bool) -> int:
    """Go on with ATTEMPT: what succeeded stays, what failed or never ran is run."""
    with registry() as opened:
        found = find(opened, attempt)
        if found.state is not State.SUCCEEDED:
            ensure_idle(found)
            found = settle(opened, found, engine_gone=True)
        if found.state is State.SUCCEEDED:
            talk(f"{found.name}: nothing to do, everything succeeded")
            return DONE
        return _carry_out(opened, found, engine or found.engine or site().engine, workers, wait)


def _carry_out(opened: Registry, attempt: Attempt, engine: str, workers: int | None, wait: bool) -> int:
    width = workers or site().workers
    if engine == "htcondor":
        _start(opened, attempt, engine, width, threading.Event())
        if not wait:
            return _bye(attempt)
        watch(opened, attempt, lambda: alive(attempt) is None, lambda: time.sleep(POLL_QUEUE))
        return _closing(opened, attempt)
    if not wait:
        opened.set_engine(attempt.id, "local", "")
        detach(attempt, width, address().environment())
        return _bye(attempt)
    return _run_here(opened, attempt, width)


def _start(opened: Registry, attempt: Attempt, engine: str, workers: int, stop: threading.Event) -> None:
    grow = partial(plan_later, opened, site(), attempt)
    start(opened, site(), attempt, opened.address, engine=engine, workers=workers, stop=stop, grow=grow)


def _bye(attempt: Attempt) -> int:
    talk(f"running; see it with: facade stat {attempt.name} --watch")
    return DONE


def _run_here(opened: Registry, attempt: Attempt, workers: int) -> int:
    """Run the local engine in a thread of this process and show how far it is."""
    stop = threading.Event()
    trouble: list[BaseException] = []
    where = address()

    def engine() -> None:
        try:
            with Registry.open(where) as own:
                _start(own, attempt, "local", workers, stop)
        except BaseException as error:  # carried over to the thread that talks
            trouble.append(error)

    thread = threading.Thread(target=engine, name="facade-engine")
    interrupted = _on_signals(stop)
    thread.start()
    watch(opened, attempt, lambda: not thread.is_alive(), lambda: thread.join(POLL))
    thread.join()
    if trouble:
        raise trouble[0]
    if interrupted.is_set():
        talk(f"interrupted; go on with: facade resume {attempt.name}")
        return INTERRUPTED
    return _closing(opened, attempt)


def _closing(opened: Registry, attempt: Attempt) -> int:
    """Settle an attempt that nobody carries out any more, and say how it ended."""
    address()  # starts the embedded server again, should it have died meanwhile
    settled = settle(opened, attempt, engine_gone=True)
    output.show(attempts.report(report(opened, settled)), err=True)
    return DONE if settled.state is State.SUCCEEDED else FAILED


def _on_signals(stop: threading.Event) -> threading.Event:
    """Make Ctrl-C and SIGTERM stop the engine in an orderly way; the returned event tells that it happened."""
    happened = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        happened.set()
        stop.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, handle)
    return happened


@click.command()
@click.argument("attempt")
def remove(attempt: str) -> int:
    """Stop ATTEMPT, wherever it runs. What it made stays; resume goes on with the rest."""
    with registry() as opened:
        found = find(opened, attempt)
        if found.state is State.SUCCEEDED:
            talk(f"{found.name}: nothing to stop, everything succeeded")
            return DONE
        stop_attempt(opened, found, STOPPING)
    talk(f"{found.name} is stopped; go on with: facade resume {found.name}")
    return DONE


@click.group(hidden=True)
def engine() -> None:
    """What engines call."""


@engine.command("run")
@click.argument("attempt")
@WORKERS
def engine_run(attempt: str, workers: int | None) -> int:
    """Run ATTEMPT with the local engine, without a terminal."""
    with registry() as opened:
        found = find(opened, attempt)
        stop = threading.Event()
        _on_signals(stop)
        _start(opened, found, "local", workers or site().workers, stop)
        settled = settle(opened, found, engine_gone=True)
    return DONE if settled.state is State.SUCCEEDED else FAILED


@engine.command("plan")
@click.argument("attempt")
@click.argument("block")
def engine_plan(attempt: str, block: str) -> int:
    """Plan BLOCK of ATTEMPT, which was to wait for those before it, and write its DAG. Said again: no change.

    Exit code 75 if the registry cannot be reached: trying again may help.
    """

    def plan(opened: Registry, found: Attempt) -> bool:
        write_later(opened, site(), found, plan_later(opened, site(), found, block), block)
        return True

    return _for_the_engine(attempt, plan)


@engine.command("home")
@click.argument("attempt")
def engine_home(attempt: str) -> int:
    """Bring home what jobs of ATTEMPT have stored in the archive on the cluster's disk. Said again: no change.

    Exit code 75 if the registry cannot be reached: trying again may help.
    """
    return _for_the_engine(attempt, lambda opened, found: bring_home(opened, site(), open_run(opened, site(), found)))


def _for_the_engine(attempt: str, work: Callable[[Registry, Attempt], bool]) -> int:
    """Do *work* for an attempt; return the exit code that tells an engine whether trying again may help."""
    try:
        with registry() as opened:
            return DONE if work(opened, find(opened, attempt)) else FAILED
    except RegistryError as error:
        talk(str(error))
        return RETRY
    except FacadeError as error:
        talk(str(error))
        return FAILED


@engine.command("finish")
@click.argument("attempt")
@click.option("--status", type=int, envvar="FACADE_DAG_STATUS", default=0, help="How the DAG ended (DAGMan's code).")
def engine_finish(attempt: str, status: int) -> int:
    """Close ATTEMPT after its DAG. The last node decides the DAG's own status, so it keeps what it was given."""
    try:
        with registry() as opened:
            settle(opened, find(opened, attempt), engine_gone=True)
    except FacadeError as error:
        talk(f"{attempt} is not closed yet ({error}); facade stat does it later")
    return status
