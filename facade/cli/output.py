"""Tables and progress for people: what fits a terminal, with colour where there is one."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from facade.registry.values import Answer, Attempt, Failure
from facade.stat import Report, culprits
from facade.states import State

COLOURS = {
    State.SUCCEEDED: "green",
    State.RUNNING: "cyan",
    State.STAGING: "cyan",
    State.SAVING: "cyan",
    State.FAILED: "red",
    State.LOST: "red",
    State.REMOVED: "red",
    State.BLOCKED: "yellow",
    State.PLANNED: "bright_black",
}
LEVELS = {1: ("error", "red"), 2: ("warning", "yellow"), 3: ("information", "cyan")}
BAR = 24
SHOWN_CHARACTERS = 800
"""Of a message of a program; all of it is in the log."""
SHOWN_FAILURES = 10


def console(*, err: bool = False) -> Console:
    """Return a console that never breaks a line of a pipe."""
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, highlight=False, width=None if stream.isatty() else 120, soft_wrap=not stream.isatty())


def show(*what: RenderableType) -> None:
    """Print to stdout."""
    out = console()
    for one in what:
        out.print(one)


def table(*headings: str, right: Sequence[int] = ()) -> Table:
    """Return an empty table in the house's style; *right* are columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="right" if index in right else "left", overflow="fold")
    return made


def bar(counts: Mapping[State, int], width: int = BAR) -> Text:
    """Return a bar in which each state has its share."""
    total = sum(counts.values()) or 1
    text, shown = Text(), 0
    for state in COLOURS:
        if count := counts.get(state, 0):
            cells = max(1, round(width * count / total))
            cells = min(cells, width - shown)
            shown += cells
            text.append("━" * cells, style=COLOURS[state])
    return text


def words(counts: Mapping[State, int]) -> Text:
    """Return ``7 succeeded, 1 failed``."""
    text = Text()
    for state in COLOURS:
        if count := counts.get(state, 0):
            text.append(", " if text.plain else "").append(f"{count} {state.value}", style=COLOURS[state])
    return text


def attempts(found: Sequence[tuple[Attempt, dict[State, int]]]) -> None:
    """Show attempts, one a line."""
    rows = table("attempt", "campaign", "state", "quanta", "", "submitted", "took", "engine", "tags")
    for attempt, counts in found:
        state = Text(attempt.state.value, style=COLOURS[attempt.state])
        when = attempt.submittime.astimezone().strftime("%m-%d %H:%M")
        rows.add_row(
            attempt.name, f"{attempt.project}/{attempt.campaign or ''}", state, bar(counts, 12), words(counts), when,
            took(attempt), attempt.engine or "", ",".join(attempt.tags),
        )  # fmt: skip
    show(rows)


def took(attempt: Attempt) -> str:
    """Return how long an attempt took, or has been running."""
    if attempt.start_time is None:
        return ""
    return duration((attempt.end_time or datetime.now(UTC)) - attempt.start_time)


def duration(span: timedelta) -> str:
    """Return ``1:02:03`` or ``12.3 s``."""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d} min"


def report(made: Report) -> Group:
    """Return one attempt as something to print, or to print again and again."""
    attempt = made.attempt
    head = Text.assemble(
        (attempt.name, "bold"), "  ", (attempt.state.value, COLOURS[attempt.state]),
        f"  {attempt.project}/{attempt.campaign or ''}  {attempt.engine or ''}  {took(attempt)}",
        f"  by {attempt.operator}", f"  tags {', '.join(attempt.tags)}" if attempt.tags else "",
    )  # fmt: skip
    rows = table("block", "module", "", "quanta")
    for block, module, counts in made.modules():
        rows.add_row(block, module, bar(counts), words(counts))
    for block, modules, state, when in made.unplanned():
        told = when if state in (State.PLANNED, State.BLOCKED) else f"{when}: {state.value}"
        rows.add_row(block, modules, "", Text(told, style=COLOURS[state]))
    parts: list[RenderableType] = [head, rows]
    spared = [f"{number} reused from {name}" for name, number in made.overview.reused.items()]
    left_out = made.overview.left_out.items()
    spared += [f"{number} {name.replace('-', ' ')}" for name, number in left_out if name != "reuse"]
    if spared:
        parts.append(Text(f"not run: {', '.join(spared)}"))
    for job in made.overview.running[:SHOWN_FAILURES]:
        step = f"{job.modname} {job.step.value}" if job.step else "starting"
        parts.append(Text(f"job {job.jobnum} on {job.host}: {step}", style="cyan"))
    if made.queue is not None:
        queued = ", ".join(f"{made.queue[name]} {name}" for name in ("idle", "running", "held", "waiting"))
        parts.append(Text(f"in HTCondor's queue: {queued}"))
        parts += [Text(f"  held, {jobs} jobs: {why}", style="red") for why, jobs in made.queue["holds"].items()]
    for one in made.overview.unplanned:
        if one.detail:
            parts.append(Text(f"✗ block {one.name} could not be planned", style="bold red"))
            parts.append(Padding(Text(one.detail), (0, 0, 0, 2)))
    own, blocked = culprits(made.overview.failures)
    parts += [failure(one) for one in own[:SHOWN_FAILURES]]
    if len(own) > SHOWN_FAILURES:
        parts.append(Text(f"… and {len(own) - SHOWN_FAILURES} more failed quanta (--json lists all)", style="red"))
    if blocked:
        parts.append(Text(f"{blocked} quanta wait for those that failed", style="yellow"))
    parts += [Text(line, style="italic") for line in made.advice]
    return Group(*parts)


def failure(one: Failure) -> Group:
    """Return why a quantum failed: what, where, how, and the last words of its log."""
    keys = " ".join(f"{k}={v}" for k, v in one.keys.items())
    code = f" (exit code {one.exit_code})" if one.exit_code else ""
    lines: list[RenderableType] = [
        Text.assemble((f"✗ {one.modname} {keys}", "bold red"), f"  {one.failure_class or one.state.value}{code}"
                      f" in {one.step or 'job'}, job {one.jobnum} on {one.host or '?'}"),
    ]  # fmt: skip
    if one.message:
        lines.append(Padding(Text(one.message), (0, 0, 0, 2)))
    for level, message, line in one.messages:
        shown = "\n".join(message[:SHOWN_CHARACTERS].splitlines()[-8:])
        lines.append(Padding(Text.assemble(LEVELS[level], f" in line {line} of the log: {shown}"), (0, 0, 0, 4)))
    if one.tail:
        lines.append(Padding(Text("\n".join(one.tail.splitlines()[-8:]), style="bright_black"), (0, 0, 0, 4)))
    if one.log:
        lines.append(Padding(Text(f"log: {one.log}"), (0, 0, 0, 2)))
    return Group(*lines)


def answer(found: Answer, *, as_csv: bool, as_json: bool) -> None:
    """Show the answer to a question in SQL."""
    if as_json:
        click.echo(json.dumps(found.dicts(), indent=1, default=str))
    elif as_csv:
        plain_csv(found.columns, found.rows)
    else:
        rows = table(*found.columns)
        for row in found.rows:
            rows.add_row(*[escape("" if cell is None else str(cell)) for cell in row])
        show(rows, Text(f"{len(found.rows)} row{'' if len(found.rows) == 1 else 's'}", style="bright_black"))


def plain_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV, column names first."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def plain_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=1, default=str))
