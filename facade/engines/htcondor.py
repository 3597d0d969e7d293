"""The HTCondor engine: hands a run to DAGMan, asks the schedd about it, takes it away. The only user of htcondor2.

The bindings are imported inside functions: they take a tenth of a second, and read CONDOR_CONFIG while being imported.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facade.engines import dag
from facade.engines.descriptions import FOLDER, Hosts, Options
from facade.engines.eventlog import Event
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError, InputError, RefusedError
from facade.needs import RETRIES

DAGMAN = 7
"""The universe in which DAGMan itself runs."""
WRITE_BUFFER = 1 << 20
_STATUS = {1: "idle", 2: "running", 3: "removed", 4: "completed", 5: "held", 6: "running", 7: "suspended"}
_PLACES = ("/etc/condor/condor_config", "/usr/local/etc/condor_config", "~condor/condor_config")
_PROJECTION = [
    "ClusterId", "JobStatus", "JobUniverse", "HoldReason", "HoldReasonCode", "HoldReasonSubCode",
    "DAG_NodesTotal", "DAG_NodesDone", "DAG_NodesFailed",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """What the schedd says of a run.

    *alive* is True while DAGMan is in the queue (*dagman*: idle, running, held …; "gone" if it is not); the counts are
    jobs in the queue; *waiting* are those that broke down and are tried again after a while; *holds*: reason -> jobs.
    The *nodes* are DAGMan's own account, barriers and final node included, as of its last report.
    """

    alive: bool
    dagman: str = "gone"
    idle: int = 0
    running: int = 0
    held: int = 0
    waiting: int = 0
    holds: Mapping[str, int] = field(default_factory=dict)
    nodes_total: int = 0
    nodes_done: int = 0
    nodes_failed: int = 0


def submit(
    run_dir: RunDirectory,
    *,
    done: Collection[int],
    environment: Mapping[str, str],
    hosts: Hosts | None = None,
    finish_argv: Sequence[str],
    plan_argv: Sequence[str] = (),
    home_argv: Sequence[str] = (),
    options: Options | None = None,
) -> str:
    """Write the DAG of a run and submit it; return the cluster id of its DAGMan.

    *hosts* run the jobs: without it, hosts like this one. *environment* is that of what runs on this one.
    What an earlier submission left in RUN/dag moves to RUN/dag.01, .02 …: its rescue files and lock could contradict
    the jobs that are marked *done* now.

    Raises:
        RefusedError: a DAGMan is at this run already.
        FacadeError: no HTCondor here, or it does not take the DAG.
    """
    chosen = options or Options()
    if holder := running(run_dir):
        raise RefusedError(f"run {run_dir.name} is being run by {holder}", remedy="wait for it, or remove it")
    text = dag.lines(
        run_dir, done=done, environment=environment, hosts=hosts or like_this(environment),
        finish_argv=finish_argv, plan_argv=plan_argv, home_argv=home_argv, options=chosen,
    )  # fmt: skip
    folder = _fresh_folder(run_dir.path)
    _write(folder / dag.FILE, text)
    wanted: dict[str, int | str] = {"BatchName": run_dir.name, **_throttles(run_dir, chosen)}
    with _translated("submit the DAG"):
        return str(_schedd().submit(_described(folder, wanted)).cluster())


def like_this(environment: Mapping[str, str]) -> Hosts:
    """Return hosts that see all files of this one, and have the same Python."""
    return Hosts(python=sys.executable, environment=environment)


def write_later(
    run_dir: RunDirectory,
    block: str,
    *,
    environment: Mapping[str, str],
    hosts: Hosts | None = None,
    plan_argv: Sequence[str],
    home_argv: Sequence[str] = (),
    options: Options | None = None,
) -> None:
    """Write the DAG of a block that is planned by now, and of those after it: the DAG of the run waits for it."""
    text = dag.later_lines(
        run_dir, block, environment=environment, hosts=hosts or like_this(environment), plan_argv=plan_argv,
        home_argv=home_argv, options=options or Options(),
    )  # fmt: skip
    folder, throttles = run_dir.path / FOLDER, _throttles(run_dir, options or Options())
    names = {"MaxIdle": "DAGMAN_MAX_JOBS_IDLE", "MaxJobs": "DAGMAN_MAX_JOBS_SUBMITTED"}
    _write(folder / dag.LATER_CONFIG, [f"{names[name]} = {number}" for name, number in throttles.items()])
    _write(folder / dag.later_file(block), text)


def _throttles(run_dir: RunDirectory, options: Options) -> dict[str, int]:
    wanted = {"MaxIdle": options.max_idle or run_dir.max_idle, "MaxJobs": options.max_jobs or run_dir.max_jobs.get("")}
    return {name: number for name, number in wanted.items() if number}


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", buffering=WRITE_BUFFER) as stream:
        stream.writelines(line + "\n" for line in lines)


def running(run_dir: RunDirectory) -> str | None:
    """Tell which DAGMan is at this run (``HTCondor cluster 12``), whoever submitted it; None if there is none."""
    path = str(run_dir.path).replace("\\", "\\\\").replace('"', '\\"')
    with _translated("ask for the run"):
        found = _schedd().query(f'JobUniverse == {DAGMAN} && facade_run =?= "{path}"', projection=["ClusterId"])
    return f"HTCondor cluster {found[0]['ClusterId']}" if found else None


def status(cluster: str) -> EngineStatus:
    """Ask the schedd, once, about a DAGMan and its jobs."""
    with _translated("ask for the jobs"):
        number = _cluster(cluster)
        # the jobs of DAGs inside the DAG have another DAGManJobId, but are of one batch
        constraint = f'ClusterId == {number} || DAGManJobId =?= {number} || JobBatchId =?= "{number}.0"'
        return _status(number, _schedd().query(constraint, projection=_PROJECTION))


def remove(cluster: str, reason: str = "removed by facade") -> bool:
    """Take a DAGMan and all its jobs out of the queue; its final node still runs. Return False if there is none."""
    schedd = _schedd()
    import htcondor2

    with _translated("remove the jobs"):
        # DAGMan takes its jobs away itself and then runs the final node, which removing them all would prevent
        result = schedd.act(htcondor2.JobAction.Remove, f"ClusterId == {_cluster(cluster)}", reason=reason)
        return int(result.get("TotalSuccess", 0)) > 0


def events(run_dir: RunDirectory) -> Iterator[Event]:
    """Yield what HTCondor noted of the jobs of a run, submission after submission.

    Raises:
        FacadeError: no HTCondor here to read it with.
    """
    logs = [log for name in (f"{FOLDER}.[0-9]*", FOLDER) for log in sorted(run_dir.path.glob(f"{name}/*.nodes.log"))]
    if not logs:
        return
    import_bindings()
    import htcondor2

    with _translated("read the log of the jobs"):
        for log in logs:
            for one in htcondor2.JobEventLog(str(log)).events(stop_after=0):
                yield Event(one.cluster, one.type.name, one.timestamp, one)


def hold(cluster: str, reason: str = "held by facade") -> None:
    """Have a DAGMan start no more jobs until it is released; those in the queue go on.

    Raises:
        FacadeError: it does not run, or does not answer.
    """
    # not condor_hold: a DAGMan that was held sits out a cool-down of 5 minutes after its release; and not a halt
    # without pause (True): DAGMan would end, with a rescue file, as soon as the jobs in the queue have
    _command(cluster, "halt", reason, True)


def release(cluster: str) -> None:
    """Have a DAGMan that was held go on.

    Raises:
        FacadeError: it does not run, or does not answer.
    """
    _command(cluster, "resume")


def release_jobs(cluster: str, reason: str = "released by facade") -> int:
    """Have the held jobs of a DAGMan, and of the DAGs inside, be started again; return how many there were."""
    schedd = _schedd()
    import htcondor2

    with _translated("release the jobs"):
        held = f'JobStatus == 5 && JobUniverse != {DAGMAN} && JobBatchId =?= "{_cluster(cluster)}.0"'
        return int(schedd.act(htcondor2.JobAction.Release, held, reason=reason).get("TotalSuccess", 0))


def _command(cluster: str, name: str, *arguments: object) -> None:
    import_bindings()
    import htcondor2

    number = _cluster(cluster)
    with _translated("ask for the DAGs inside the DAG"):
        constraint = f'JobUniverse == {DAGMAN} && JobBatchId =?= "{number}.0" && ClusterId != {number}'
        inner = [ad["ClusterId"] for ad in _schedd().query(constraint, projection=["ClusterId"])]
    for one in (number, *inner):
        done, message = getattr(htcondor2.DAGMan(one), name)(*arguments)
        if not done:
            raise FacadeError(f"DAGMan {one} did not {name}: {message}", remedy="facade stat tells whether it runs")


def ensure_set_up() -> None:
    """Raise FacadeError if something lacks on this host that no waiting brings."""
    import_bindings()
    if not shutil.which("condor_dagman"):
        raise FacadeError("condor_dagman is not on PATH", remedy="add the bin directory of HTCondor to PATH")


def import_bindings() -> None:
    """Import htcondor2.

    Raises:
        FacadeError: it is not installed, or there is no configuration for it to read.
    """
    # the bindings would set CONDOR_CONFIG=/dev/null for this process and all its children
    if not os.environ.get("CONDOR_CONFIG") and not any(Path(place).is_file() for place in map(_expanded, _PLACES)):
        raise FacadeError(
            "HTCondor is not set up here: CONDOR_CONFIG is not set",
            remedy="set CONDOR_CONFIG, start a pool (python tools/condor.py start DIR), or use --engine local",
        )
    try:
        import htcondor2
    except ImportError as error:
        remedy = "pip install htcondor, or use --engine local"
        raise FacadeError(f"the Python bindings of HTCondor are not installed: {error}", remedy=remedy) from error
    if os.environ["CONDOR_CONFIG"] == "/dev/null":
        raise FacadeError(f"htcondor2 {htcondor2.version()} found no configuration", remedy="set CONDOR_CONFIG")


def _expanded(place: str) -> str:
    return os.path.expanduser(place)


def _schedd() -> Any:
    import_bindings()
    import htcondor2

    try:
        return htcondor2.Schedd()
    except htcondor2.HTCondorException as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> FacadeError:
    config = os.environ.get("CONDOR_CONFIG", "the default configuration")
    return FacadeError(
        f"no schedd can be reached ({config}): {error}",
        remedy="is HTCondor running? (condor_status -schedd; for a pool of your own: python tools/condor.py start DIR)",
    )


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn what the bindings raise into errors with a remedy."""
    try:
        yield
    except FacadeError:
        raise
    except Exception as error:
        if type(error).__name__ != "HTCondorException":
            raise
        if "onnect" in str(error) or "locate" in str(error):
            raise _unreachable(error) from error
        raise FacadeError(f"cannot {doing}: {error}", remedy="condor_q and the schedd's log may tell more") from error


def _fresh_folder(path: Path) -> Path:
    folder, number = path / FOLDER, 1
    if folder.exists():
        while (earlier := path / f"{FOLDER}.{number:02}").exists():
            number += 1
        folder.rename(earlier)
    folder.mkdir(parents=True)
    return folder


def _described(folder: Path, options: Mapping[str, int | str]) -> Any:
    """Return the submit description of a DAGMan for the DAG in *folder*; HTCondor writes it there by relative paths."""
    ensure_set_up()
    import htcondor2

    said: list[str] = []
    try:
        with contextlib.chdir(folder), _silenced(said):
            description = htcondor2.Submit.from_dag(dag.FILE, dict(options))
        description["initialdir"] = str(folder)
        return description
    except htcondor2.HTCondorException as error:
        raise FacadeError(f"{folder / dag.FILE} is not accepted: {error}\n{''.join(said)}".rstrip()) from error


@contextlib.contextmanager
def _silenced(said: list[str]) -> Iterator[None]:
    """Keep what HTCondor's C++ prints off our stdout and stderr; put it into *said*."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as heard:
        before = os.dup(1), os.dup(2)
        try:
            os.dup2(heard.fileno(), 1)
            os.dup2(heard.fileno(), 2)
            yield
        finally:
            for number, handle in enumerate(before, 1):
                os.dup2(handle, number)
                os.close(handle)
            heard.seek(0)
            said.append(heard.read().decode(errors="replace"))


def _cluster(cluster: str) -> int:
    text = cluster.partition(".")[0]
    if not text.isdigit():
        raise InputError(f"{cluster!r} is no cluster of HTCondor")
    return int(text)


def _status(cluster: int, ads: Sequence[Mapping[str, Any]]) -> EngineStatus:
    dagman: Mapping[str, Any] = next((ad for ad in ads if ad["ClusterId"] == cluster), {})
    counts: Counter[str] = Counter()
    holds: Counter[str] = Counter()
    for ad in ads:
        if ad["ClusterId"] == cluster or ad.get("JobUniverse") == DAGMAN:
            continue
        state = _STATUS.get(ad["JobStatus"], "other")
        if state == "held" and ad.get("HoldReasonCode") == 3 and ad.get("HoldReasonSubCode") in RETRIES:
            state = "waiting"
        elif state == "held":
            holds[str(ad.get("HoldReason", "no reason given"))] += 1
        counts[state] += 1
    return EngineStatus(
        alive=bool(dagman),
        dagman=_STATUS.get(dagman["JobStatus"], "other") if dagman else "gone",
        idle=counts["idle"],
        running=counts["running"],
        held=counts["held"],
        waiting=counts["waiting"],
        holds=dict(holds.most_common()),
        nodes_total=int(dagman.get("DAG_NodesTotal", 0)),
        nodes_done=int(dagman.get("DAG_NodesDone", 0)),
        nodes_failed=int(dagman.get("DAG_NodesFailed", 0)),
    )
