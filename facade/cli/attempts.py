"""Attempts as people see them: how far each is, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from facade.cli.output import table
from facade.registry.values import Attempt, Failure
from facade.stat import Report, alike, culprits
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
ALL = ("attempt", "campaign", "state", "", "quanta", "submitted", "took", "engine", "tags")
NARROW = ("attempt", "state", "quanta", "submitted", "took", "tags")
BROKEN = ("campaign", "quanta", "tags")
"""Columns of the list of attempts; those whose cells may take several lines."""
WIDE = 120
"""Columns of a terminal that shows all of them."""
LEVELS = {1: ("error", "red"), 2: ("warning", "yellow"), 3: ("information", "cyan")}
BAR = 24
SHOWN_CHARACTERS = 800
"""Of a message of a program; all of it is in the log."""
SHOWN_FAILURES = 10
SHOWN_OTHERS = 5
"""Quanta that failed like one that is shown."""


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


def listing(found: Sequence[tuple[Attempt, Mapping[State, int]]], width: int) -> Table:
    """Return attempts, one a line; a terminal of few columns does without what each attempt's own report has."""
    columns = NARROW if width < WIDE else ALL
    rows = table(*columns, whole=[n for n, name in enumerate(columns) if name not in BROKEN])
    for attempt, counts in found:
        cells: dict[str, RenderableType] = {
            "attempt": attempt.name,
            "campaign": f"{attempt.project}/{attempt.campaign or ''}",
            "state": Text(attempt.state.value, style=COLOURS[attempt.state]),
            "": bar(counts, 12),
            "quanta": words(counts),
            "submitted": attempt.submittime.astimezone().strftime("%m-%d %H:%M"),
            "took": took(attempt),
            "engine": attempt.engine or "",
            "tags": ", ".join(attempt.tags),
        }
        rows.add_row(*[cells[name] for name in columns])
    return rows


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
            parts.append(_indented(Text(one.detail), 2))
    own, blocked = culprits(made.overview.failures)
    groups = alike(own)
    parts += [failure(first, others) for first, *others in groups[:SHOWN_FAILURES]]
    if more := sum(map(len, groups[SHOWN_FAILURES:])):
        parts.append(Text(f"… and {more} more failed quanta (--json lists all)", style="red"))
    if blocked:
        parts.append(Text(f"{blocked} quanta wait for those that failed", style="yellow"))
    parts += [Text(line, style="italic") for line in made.advice]
    return Group(*parts)


def failure(one: Failure, others: Sequence[Failure]) -> Group:
    """Return why a quantum failed: what, where, how, the last words of its log, and which *others* failed like it."""
    code = f" (exit code {one.exit_code})" if one.exit_code else ""
    lines: list[RenderableType] = [
        Text.assemble((f"✗ {one.modname} {_keys(one)}", "bold red"), f"  {one.failure_class or one.state.value}{code}"
                      f" in {one.step or 'job'}, job {one.jobnum} on {one.host or '?'}"),
    ]  # fmt: skip
    if one.message:
        lines.append(_indented(Text(one.message), 2))
    for level, message, line in one.messages:
        shown = "\n".join(message[:SHOWN_CHARACTERS].splitlines()[-8:])
        lines.append(_indented(Text.assemble(LEVELS[level], f" in line {line} of the log: {shown}"), 4))
    if one.tail:
        lines.append(_indented(Text("\n".join(one.tail.splitlines()[-8:]), style="bright_black"), 4))
    if one.log:
        lines.append(Text(f"  log: {one.log}", no_wrap=True, overflow="ignore"))  # to be copied: the terminal breaks it
    if others:
        shown = " · ".join(map(_keys, others[:SHOWN_OTHERS])) + (" · …" if len(others) > SHOWN_OTHERS else "")
        lines.append(_indented(Text(f"{len(others)} more failed like it: {shown}", style="red"), 2))
    return Group(*lines)


def _keys(one: Failure) -> str:
    return " ".join(f"{key}={value}" for key, value in one.keys.items())


def _indented(text: Text, columns: int) -> Padding:
    return Padding(text, (0, 0, 0, columns), expand=False)
