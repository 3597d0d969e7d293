"""A run as DAGMan's text. Values in, lines out; who writes and submits them is `facade.engines.htcondor`'s business.

What its nodes submit is in `facade.engines.descriptions`. No ``log``: DAGMan gives all nodes its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from facade.engines import condor_needs, descriptions
from facade.engines.descriptions import Hosts, Options
from facade.engines.rundir import EngineJob, RunDirectory, folder
from facade.keeping import BLOCK, RUN

FILE = "facade.dag"
"""The DAG is RUN/dag/facade.dag. Run by hand: ``cd RUN/dag && condor_submit_dag facade.dag``."""

LATER_CONFIG = "later.config"
"""What DAGMan is told that runs a block which is planned late: it does not know how the first one was called."""

NODE_STATUS, JOBSTATE_LOG = "node_status", "jobstate.log"
STATUS_SECONDS = 60
WIDTH = 500
"""Node names on a line of edges."""

_NODE = re.compile(r"j(\d{6,})")
_LABEL = re.compile(r"[^\w .,:=/+-]", re.ASCII)


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
    hosts: Hosts,
    finish_argv: Sequence[str],
    plan_argv: Sequence[str] = (),
    home_argv: Sequence[str] = (),
    options: Options,
) -> Iterator[str]:
    """Yield the text of the DAG of *run*, a line or two at a time; jobs in *done* are marked so and not run again.

    *hosts* run the jobs; *finish_argv* is run once at the end on the submit host, whatever happened. Blocks that are
    not planned yet come as a DAG of their own (`later_lines`), once *plan_argv*, to which the name of the block is
    added, has written it. *home_argv* brings outputs home where the run says so, beside the blocks that follow.
    *environment* is that of these three, readable by everybody who can see the run directory or the queue.

    Raises:
        InputError, RefusedError: something cannot be written down for HTCondor, or must not be.
    """
    for told in (environment, hosts.environment):
        descriptions.refuse_secrets(told)
    yield f"# {_LABEL.sub('_', run.name)}: {len(run.jobs)} jobs, {len(done)} of them done"
    yield f"SET_JOB_ATTR facade_run = {descriptions.string(str(run.path))}"
    yield f"SET_JOB_ATTR facade_attempt = {descriptions.string(run.name)}"
    yield f"NODE_STATUS_FILE {NODE_STATUS} {STATUS_SECONDS}"
    yield f"JOBSTATE_LOG {JOBSTATE_LOG}"
    yield from _descriptions(run, environment, hosts, options, plan_argv, home_argv)
    yield from descriptions.described("finish", descriptions.finish(run, environment, finish_argv))
    yield from _body(run, frozenset(done))
    yield "FINAL finish finish"
    # a final node that succeeds would make a failed DAG successful; test(1) costs no interpreter
    yield "SCRIPT POST finish /usr/bin/test $DAG_STATUS = 0 -a $RETURN = 0"


def later_lines(
    run: RunDirectory,
    block: str,
    *,
    environment: Mapping[str, str],
    hosts: Hosts,
    plan_argv: Sequence[str],
    home_argv: Sequence[str] = (),
    options: Options,
) -> Iterator[str]:
    """Yield the text of the DAG of *block* of *run*, which was planned late, and of those after it.

    It is a node of the DAG of the blocks before it, so it has no final node, and DAGMan finds the run by that DAG.
    """
    for told in (environment, hosts.environment):
        descriptions.refuse_secrets(told)
    yield f"# {_LABEL.sub('_', run.name)} from block {block} on"
    yield f"CONFIG {LATER_CONFIG}"
    yield from _descriptions(run, environment, hosts, options, plan_argv, home_argv)
    yield from _body(run, frozenset(), run.blocks.index(block))


def _descriptions(
    run: RunDirectory,
    environment: Mapping[str, str],
    hosts: Hosts,
    options: Options,
    plan_argv: Sequence[str],
    home_argv: Sequence[str],
) -> Iterator[str]:
    """Yield what jobs are, what plans the next block, and what brings outputs home."""
    for shape, name in condor_needs.shapes(run.needs).items():
        yield from descriptions.described(name, descriptions.job(run, hosts, options, shape))
    if run.later:
        yield from descriptions.described(
            "plan", descriptions.plan(run, environment, [*plan_argv, run.later[0]], options)
        )
    if run.homing:
        yield from descriptions.described("home", descriptions.home(run, environment, home_argv, options))


def _body(run: RunDirectory, done: frozenset[int], first: int = 0) -> Iterator[str]:
    """Yield the nodes of the blocks from number *first* on, and those of the next block that is to be planned."""
    ordered = sorted([job for job in run.jobs if job.block >= first], key=attrgetter("block", "jobnum"))
    blocks = [tuple(jobs) for _, jobs in groupby(ordered, key=attrgetter("block"))]
    yield from _graph(run, blocks, done)
    if run.homing:
        yield from _homing(run, blocks)
    if run.later:
        yield from _later(run.later[0], blocks[-1] if blocks else ())
    elif first and not blocks:
        yield "JOB nothing job NOOP"  # all of it was made before; DAGMan takes no empty DAG
    used = {run.needs[job.needs].category for jobs in blocks for job in jobs} - {""}
    yield from (f"MAXJOBS {category} {number}" for category, number in run.max_jobs.items() if category in used)


def _homing(run: RunDirectory, blocks: Sequence[Sequence[EngineJob]]) -> Iterator[str]:
    """Yield a node that brings outputs home behind each block, or behind the last; nothing waits for it but the end."""
    if run.homing == RUN and run.later:
        return
    chosen = blocks if run.homing == BLOCK else blocks[-1:]
    for jobs in chosen or [()]:  # without jobs, all was made before; it may still have to come home
        name = f"home_{run.blocks[jobs[0].block if jobs else -1]}"
        yield f"JOB {name} home"
        yield from _edge(_last(jobs), [name])


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
