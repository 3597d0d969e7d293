"""A run as DAGMan's text. Values in, lines out; who writes and submits them is `facade.engines.htcondor`'s business.

One inline submit description serves every job; a node adds its number, folder and label. What is tried again stands in
that description and not in RETRY: DAGMan's UNLESS-EXIT spares one exit code, and a job has three that must never be
tried again (1 a payload failed, 2 bad capsule, 4 another process runs it). So ``on_exit_hold`` keeps a job in the
queue that ended with 75 or a little more (transfer, registry, lost, too little memory) or by a signal, and
``periodic_release`` starts it again after a while. The bound counts ``NumJobCompletions``, which an eviction does not
touch: lost machines cost no try.

Jobs find capsule, archive and receipts by path: the run directory must be the same on every host. Hence
``should_transfer_files = NO``; IF_NEEDED would quietly transfer, and break, where FILESYSTEM_DOMAINs differ. No
``log``: DAGMan gives all nodes its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from facade.engines import condor_needs
from facade.engines.condor_needs import OUT_OF_MEMORY
from facade.engines.rundir import CAPSULES, EngineJob, RunDirectory, folder
from facade.errors import InputError, RefusedError
from facade.needs import GROWTHS, MARGIN, RETRIES, RETRY

FOLDER, FILE = "dag", "facade.dag"
"""The DAG is RUN/dag/facade.dag. Run by hand: ``cd RUN/dag && condor_submit_dag facade.dag``."""

LATER_CONFIG = "later.config"
"""What DAGMan is told that runs a block which is planned late: it does not know how the first one was called."""

NODE_STATUS, JOBSTATE_LOG = "node_status", "jobstate.log"
COMMAND = ("-P", "-m", "facade.job")
"""What a node runs before the name of its capsule: ``facade job run`` without the cost of the command line."""

STATUS_SECONDS = 60
WIDTH = 500
"""Node names on a line of edges."""

_NODE = re.compile(r"j(\d{6,})")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|(ACCESS|PRIVATE|API)_?KEY", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_LABEL = re.compile(r"[^\w .,:=/+-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What jobs ask for and how often they are tried again.

    *memory* and *disk* in MB, *backoff* in seconds (once, twice, three times as long …), *margin* how many
    seconds longer than its walltime a job may run, *commands* are further submit commands of the site
    (``requirements``, ``accounting_group`` …), *max_idle* and *max_jobs* DAGMan's throttles.
    """

    cpus: int = 1
    memory: int = 1024
    disk: int = 1024
    retries: int = 2
    backoff: int = 60
    margin: int = MARGIN
    max_idle: int | None = None
    max_jobs: int | None = None
    commands: Mapping[str, str] = field(default_factory=dict)


def node_name(jobnum: int) -> str:
    """Return the name of a job's node.

    >>> node_name(7)
    'j000007'
    """
    return f"j{jobnum:06}"


def jobnum_of(node: str) -> int | None:
    """Return the number of the job that a node runs; None for a barrier or the final node.

    >>> jobnum_of("j000007"), jobnum_of("barrier_1")
    (7, None)
    """
    match = _NODE.fullmatch(node)
    return int(match[1]) if match else None


def lines(
    run: RunDirectory,
    *,
    done: Collection[int],
    environment: Mapping[str, str],
    python: str,
    finish_argv: Sequence[str],
    plan_argv: Sequence[str] = (),
    options: Options,
) -> Iterator[str]:
    """Yield the text of the DAG of *run*, a line or two at a time; jobs in *done* are marked so and not run again.

    *python* runs the jobs, *finish_argv* is run once at the end, whatever happened. Blocks that are not planned yet
    come as a DAG of their own (`later_lines`), once *plan_argv*, to which the name of the block is added, has written
    it. *environment* is readable by everybody who can see the run directory or the queue.

    Raises:
        InputError, RefusedError: something cannot be written down for HTCondor, or must not be.
    """
    _refuse_secrets(environment)
    yield f"# {_LABEL.sub('_', run.name)}: {len(run.jobs)} jobs, {len(done)} of them done"
    yield f"SET_JOB_ATTR facade_run = {_string(str(run.path))}"
    yield f"SET_JOB_ATTR facade_attempt = {_string(run.name)}"
    yield f"NODE_STATUS_FILE {NODE_STATUS} {STATUS_SECONDS}"
    yield f"JOBSTATE_LOG {JOBSTATE_LOG}"
    yield from _descriptions(run, environment, python, options, plan_argv)
    yield from _described("finish", _finish(run, environment, finish_argv))
    yield from _body(run, frozenset(done))
    yield "FINAL finish finish"
    # a final node that succeeds would make a failed DAG successful; test(1) costs no interpreter
    yield "SCRIPT POST finish /usr/bin/test $DAG_STATUS = 0 -a $RETURN = 0"


def later_lines(
    run: RunDirectory,
    block: str,
    *,
    environment: Mapping[str, str],
    python: str,
    plan_argv: Sequence[str],
    options: Options,
) -> Iterator[str]:
    """Yield the text of the DAG of *block* of *run*, which was planned late, and of those after it.

    It is a node of the DAG of the blocks before it, so it has no final node, and DAGMan finds the run by that DAG.
    """
    _refuse_secrets(environment)
    yield f"# {_LABEL.sub('_', run.name)} from block {block} on"
    yield f"CONFIG {LATER_CONFIG}"
    yield from _descriptions(run, environment, python, options, plan_argv)
    yield from _body(run, frozenset(), run.blocks.index(block))


def _descriptions(
    run: RunDirectory, environment: Mapping[str, str], python: str, options: Options, plan_argv: Sequence[str]
) -> Iterator[str]:
    """Yield what jobs are, and what plans the next block."""
    for shape, name in condor_needs.shapes(run.needs).items():
        yield from _described(name, _job(run, environment, python, options, shape))
    if run.later:
        yield from _described("plan", _plan(run, environment, [*plan_argv, run.later[0]], options))


def _body(run: RunDirectory, done: frozenset[int], first: int = 0) -> Iterator[str]:
    """Yield the nodes of the blocks from number *first* on, and those of the next block that is to be planned."""
    ordered = sorted([job for job in run.jobs if job.block >= first], key=attrgetter("block", "jobnum"))
    blocks = [tuple(jobs) for _, jobs in groupby(ordered, key=attrgetter("block"))]
    yield from _graph(run, blocks, done)
    if run.later:
        yield from _later(run.later[0], blocks[-1] if blocks else ())
    elif first and not blocks:
        yield "JOB nothing job NOOP"  # all of it was made before; DAGMan takes no empty DAG
    used = {run.needs[job.needs].category for jobs in blocks for job in jobs} - {""}
    yield from (f"MAXJOBS {category} {number}" for category, number in run.max_jobs.items() if category in used)


def later_file(block: str) -> str:
    """Return the name of the DAG of a block that is planned late."""
    return f"later_{block}.dag"


def _later(block: str, before: Sequence[EngineJob]) -> Iterator[str]:
    """Yield a node that plans *block*, behind the last jobs of the block before, and one that runs it."""
    yield f"JOB plan_{block} plan"
    yield f"SUBDAG EXTERNAL later_{block} {later_file(block)}"
    yield from _edge(_last(before), [f"plan_{block}"])
    yield f"PARENT plan_{block} CHILD later_{block}"


def _graph(run: RunDirectory, blocks: Sequence[Sequence[EngineJob]], done: frozenset[int]) -> Iterator[str]:
    told = condor_needs.told(run.needs, run.max_jobs)
    for number, jobs in enumerate(blocks):
        yield f"# block {run.blocks[jobs[0].block]}"
        yield from _nodes(jobs, done, told)
        yield from _edges(jobs)
        if number:
            yield from _barrier(f"barrier_{number}", blocks[number - 1], jobs)


def _nodes(jobs: Iterable[EngineJob], done: frozenset[int], told: Sequence[condor_needs.Told]) -> Iterator[str]:
    for jobnum, _, _, label, needs in jobs:
        node, mark = f"j{jobnum:06}", " DONE" if jobnum in done else ""
        description, more, lines = told[needs]
        shown = _LABEL.sub("_", label)
        variables = f'folder="{folder(jobnum)}" jobnum="{jobnum}" label="{shown}"{more}'
        # the lines of a node in one go: there are a hundred thousand nodes
        yield f"JOB {node} {description}{mark}\nVARS {node} {variables}{lines and lines.format(node)}"


def _edges(jobs: Iterable[EngineJob]) -> Iterator[str]:
    """Yield edges inside a block; children with the same parents share a line."""
    families: dict[tuple[int, ...], list[int]] = {}
    for job in jobs:
        if job.parents:
            families.setdefault(job.parents, []).append(job.jobnum)
    for parents, children in families.items():
        if len(parents) == len(children) == 1:
            yield f"PARENT j{parents[0]:06} CHILD j{children[0]:06}"
        else:
            yield from _edge(map(node_name, parents), map(node_name, children))


def _barrier(name: str, before: Sequence[EngineJob], after: Sequence[EngineJob]) -> Iterator[str]:
    """Yield a node that does nothing, between the last jobs of one block and the first of the next."""
    yield f"JOB {name} job NOOP"
    yield from _edge(_last(before), [name])
    yield from _edge([name], (node_name(job.jobnum) for job in after if not job.parents))


def _last(jobs: Sequence[EngineJob]) -> list[str]:
    """Return the nodes of those jobs of a block that none of it waits for."""
    inner = {parent for job in jobs for parent in job.parents}
    return [node_name(job.jobnum) for job in jobs if job.jobnum not in inner]


def _edge(parents: Iterable[str], children: Iterable[str]) -> Iterator[str]:
    below = list(_chunks(children))
    for above in _chunks(parents):
        yield from (f"PARENT {above} CHILD {names}" for names in below)


def _chunks(names: Iterable[str]) -> Iterator[str]:
    listed = list(names)
    yield from (" ".join(listed[start : start + WIDTH]) for start in range(0, len(listed), WIDTH))


def _job(
    run: RunDirectory, environment: Mapping[str, str], python: str, options: Options, shape: condor_needs.Shape
) -> Iterator[tuple[str, str]]:
    again = f"(ExitBySignal =?= true || {_retry('ExitCode')} || (ExitCode > 128) =?= true)"
    yield "universe", "vanilla"
    yield "executable", _plain(python)
    yield "arguments", arguments([*COMMAND, "\0"]).replace("\0", f"$(folder)/{CAPSULES}#$(jobnum)")
    yield "initialdir", _plain(str(run.path))
    yield "output", "$(folder)/j$INT(jobnum,%06d).out"
    yield "error", "$(folder)/j$INT(jobnum,%06d).err"
    yield "should_transfer_files", "NO"
    yield "getenv", "False"
    yield "environment", quoted_environment(environment)
    yield "request_cpus", f"$(need_cpus:{options.cpus})"
    yield "request_memory", condor_needs.memory(shape, options.memory)
    yield "request_disk", f"$(need_disk:{options.disk}) MB"
    yield "job_max_vacate_time", "30"
    yield "leave_in_queue", "False"
    yield "notification", "never"
    # how often it ran out of memory so far: what its exit code says, else what the last one said
    earlier = f"{_retry('LastHoldReasonSubCode')} ? LastHoldReasonSubCode : {RETRY}"
    code = f"{_retry('ExitCode')} ? ExitCode : ({earlier})"
    most = f"{options.retries} + ({code}) - {RETRY}" if shape.growth else str(options.retries)
    yield "on_exit_hold", f"{again} && NumJobCompletions <= {most}"
    yield "on_exit_hold_reason", '"the job or its surroundings broke down; it is tried again after a while"'
    yield "on_exit_hold_subcode", code
    waited = f"time() - EnteredCurrentStatus >= {options.backoff} * NumJobCompletions"
    ours = f"HoldReasonCode =?= 3 && {_retry('HoldReasonSubCode')}"
    # 34: HTCondor itself held it for its memory
    ours = f"({ours} || HoldReasonCode =?= {OUT_OF_MEMORY} && NumHolds <= {GROWTHS})" if shape.growth else ours
    yield "periodic_release", f"{ours} && {waited}"
    yield "My.facade_attempt", _string(run.name)
    yield "My.facade_attempt_id", str(run.attempt_id)
    yield "My.facade_job", "$(jobnum)"
    yield "My.facade_label", '"$(label)"'
    site = dict(options.commands)
    asked = dict(condor_needs.commands(shape, site.pop("requirements", ""), options.margin))
    yield from ((name, _plain(value, macros=True)) for name, value in (asked | site).items())


def _retry(name: str) -> str:
    """Return the condition that attribute *name* is one of the exit codes after which a job is tried again."""
    return f"({name} >= {RETRIES.start} && {name} < {RETRIES.stop}) =?= true"


def _finish(run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    # DAG_STATUS: 0 all well, 2 a node failed, 3 aborted, 4 removed
    told = {**environment, "FACADE_DAG_STATUS": "\0", "FACADE_DAG_FAILED": "\1"}
    for key, value in _local(run, told, argv, "finish"):
        yield key, value.replace("\0", "$(DAG_STATUS)").replace("\1", "$(FAILED_COUNT)")


def _plan(
    run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str], options: Options
) -> Iterator[tuple[str, str]]:
    """What plans a block: as a job, it is tried again if something around it broke down."""
    yield from _local(run, environment, argv, f"plan_{argv[-1]}")
    again = f"(ExitBySignal =?= true || ExitCode =?= {RETRY})"
    yield "on_exit_hold", f"{again} && NumJobCompletions <= {options.retries}"
    yield "on_exit_hold_reason", '"what plans a block broke down; it is tried again after a while"'
    yield "on_exit_hold_subcode", str(RETRY)
    waited = f"time() - EnteredCurrentStatus >= {options.backoff} * NumJobCompletions"
    yield "periodic_release", f"HoldReasonCode =?= 3 && HoldReasonSubCode =?= {RETRY} && {waited}"


def _local(
    run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str], name: str
) -> Iterator[tuple[str, str]]:
    """What runs on the submit host, and writes to files called *name*."""
    folder = _plain(f"{run.path}/{FOLDER}")
    yield "universe", "local"
    yield "executable", _plain(argv[0])
    yield "arguments", arguments(argv[1:])
    yield "initialdir", _plain(str(run.path))
    yield "output", f"{folder}/{name}.out"
    yield "error", f"{folder}/{name}.err"
    yield "getenv", "False"
    yield "environment", quoted_environment(environment)
    yield "notification", "never"
    yield "My.facade_attempt", _string(run.name)


def _described(name: str, commands: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"SUBMIT-DESCRIPTION {name} {{"
    yield from (f"  {key} = {value}" for key, value in commands)
    yield "}"


def arguments(argv: Sequence[str]) -> str:
    """Return *argv* as HTCondor's new-style arguments.

    >>> print(arguments(["-c", "it's", ""]))
    "-c 'it''s' ''"
    """
    return '"' + _plain(" ".join(_word(word) for word in argv)).replace('"', '""') + '"'


def quoted_environment(environment: Mapping[str, str]) -> str:
    """Return *environment* as HTCondor's new-style environment, sorted by name.

    >>> print(quoted_environment({"B": 'say "x"', "A": "1"}))
    "A=1 B='say ""x""'"
    """
    for name in environment:
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name of an environment variable")
    return arguments([f"{name}={environment[name]}" for name in sorted(environment)])


def _word(word: str) -> str:
    """Quote a word if need be; of a variable only the value, which is the same to HTCondor and reads better."""
    name, equals, value = word.partition("=")
    if equals and _NAME.fullmatch(name):
        return f"{name}={_word(value)}" if value else f"{name}="
    return "'" + word.replace("'", "''") + "'" if not word or re.search(r"[\s'\"]", word) else word


def _plain(text: str, *, macros: bool = False) -> str:
    """Return *text* as the value of a submit command: one line, and nothing in it expanded unless *macros* is set."""
    if "\n" in text or "\r" in text:
        raise InputError(f"HTCondor cannot take a line break in {text!r}")
    return text if macros else text.replace("$", "$(DOLLAR)")


def _string(text: str) -> str:
    """Return *text* as a ClassAd string."""
    return '"' + _plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refuse_secrets(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            raise RefusedError(
                f"environment variable {name} looks like a secret, and everybody can read a DAG and the queue",
                remedy="keep passwords in a file that only you can read (PGPASSFILE), and hand on its name",
            )
