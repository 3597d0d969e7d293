"""Options that say what of a plan is to run, and what was decided, for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click
from rich.text import Text

from facade.cli import output
from facade.plan.decide import MEANING, Decided, Decision, Selection
from facade.plan.model import Quantum
from facade.registry import Registry
from facade.reuse import DEFAULT_SCOPE, DEFAULT_VERIFY, SCOPES, VERIFY, Considered, Explainer, Wish

F = TypeVar("F", bound=Callable[..., Any])
COLOURS = {
    Decision.RUN: "cyan",
    Decision.REUSE: "green",
    Decision.NOT_NEEDED: "bright_black",
    Decision.NOT_SELECTED: "bright_black",
}
WORDS = {one: one.value.replace("-", " ") for one in Decision}

_OPTIONS = (
    click.option(
        "--reuse", "scope", type=click.Choice(SCOPES), default=DEFAULT_SCOPE, show_default=True,
        help="Whose outputs may be taken instead of making them again; refuse: end with 4 if there are any.",
    ),
    click.option(
        "--verify", type=click.Choice(VERIFY), default=DEFAULT_VERIFY, show_default=True,
        help="How far to look whether those outputs are there.",
    ),
    click.option("--select", default="", metavar="EXPR", help="Make these quanta, and what they need."),
    click.option("--from", "start", default="", metavar="MODULE", help="This module and all that is made from it."),
    click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only quanta with this loop value (repeatable)."),
    click.option("--rerun", default="", metavar="EXPR", help="Make these again, and all that is made from them."),
)  # fmt: skip


def options(function: F) -> F:
    """Add the options to a verb; ``--to MODULE`` it adds itself."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def wish(*, scope: str, verify: str, select: str, start: str, end: str, where: Sequence[str], rerun: str) -> Wish:
    """Return what the options ask."""
    selection = Selection(select=select, start=start, end=end, where=tuple(where), rerun=rerun)
    return Wish(reuse=scope, verify=verify, selection=selection)


def show(considered: Considered) -> None:
    """Show what a plan will do, by module."""
    plan, found = considered.plan, considered.by_module()
    shown = [one for one in Decision if considered.counts[one] or one is Decision.RUN]
    headings = ["block", "module", "quanta", *[WORDS[one] for one in shown], "jobs", "inputs", "outputs"]
    rows = output.table(*headings, right=range(2, len(headings)), whole=range(2))
    quanta: dict[str, list[Quantum]] = {}
    for quantum in plan.quanta:
        quanta.setdefault(quantum.module, []).append(quantum)
    for block in plan.blocks:
        for module in block.modules:
            mine, counts = quanta.get(module, []), found.get(module, Counter())
            decisions = [_number(counts[one], one) for one in shown]
            jobs = len({plan.job_of[quantum.wrapnum] for quantum in mine})
            inputs = len({use.file for quantum in mine for use in quantum.inputs})
            outputs = sum(len(quantum.outputs) for quantum in mine)
            rows.add_row(block.name, module, str(len(mine)), *decisions, str(jobs), str(inputs), str(outputs))
    edges = sum(len(job.parents) for job in plan.jobs)
    total = f"{len(plan.quanta)} quanta in {len(plan.jobs)} jobs, {edges} edges between jobs; plan {plan.plan_id[:12]}"
    output.show(rows, Text(total, style="bold"), Text(summary(considered)))
    if plan.later:
        later = ", ".join(block.name for block in plan.later)
        output.show(Text(f"not planned yet: {later}; {plan.later[0].name} is when {plan.blocks[-1].name} is done"))


def _number(count: int, decision: Decision) -> Text:
    return Text(str(count), style=COLOURS[decision]) if count else Text("")


def summary(considered: Considered) -> str:
    """Return in a line what is to run and what is not: ``8 quanta to run in 3 jobs, 81 reused from Ht0_r11p01``."""
    counts, jobs = considered.counts, len(considered.remaining.jobs)
    parts = [f"{counts[Decision.RUN]} quanta to run in {jobs} jobs" if counts[Decision.RUN] else "nothing to run"]
    parts += [f"{number} reused from {attempt}" for attempt, number in sorted(considered.sources.items())]
    parts += [f"{counts[one]} {WORDS[one]}" for one in (Decision.NOT_NEEDED, Decision.NOT_SELECTED) if counts[one]]
    return ", ".join(parts)


def nothing(considered: Considered) -> str:
    """Return what an operator is told who asks for what is there."""
    who = ", ".join(sorted(considered.sources))
    return f"nothing to do: {who} made all of it (--reuse none makes it again)" if who else "nothing to do"


def explain(registry: Registry, considered: Considered) -> None:
    """Show every quantum with the reason of what was decided."""
    told = Explainer(registry, considered).lines()
    output.lines(line for quantum, one, details in told for line in _lines(quantum, one, details))


def _lines(quantum: Quantum, one: Decided, details: Sequence[str]) -> Iterator[Text]:
    colour = COLOURS[one.decision]
    yield Text.assemble((f"{WORDS[one.decision]:13}", colour), (quantum.label, "bold"), f"  {MEANING[one.reason]}")
    for detail in details:
        yield Text(f"{'':13}{detail}")


def plain(considered: Considered, registry: Registry | None) -> str:
    """Return the plan's JSON with its id and decisions: number, decision, reason, whose outputs are taken.

    With a *registry* to ask, the details in words come last. `facade submit` takes it as it takes the plan.
    """
    rows: list[tuple[object, ...]] = list(considered.rows())
    if registry is not None:
        details = [told for _, _, told in Explainer(registry, considered).lines()]
        rows = [(*row, told) for row, told in zip(rows, details, strict=True)]
    more = json.dumps({"plan_id": considered.plan.plan_id, "decisions": rows}, ensure_ascii=False)
    return f"{considered.plan.text[:-1]},{more[1:]}"
