"""Where everything is: attempts and one attempt at a glance, as plain values that a table or JSON can show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from facade import engines, homing
from facade.errors import FacadeError
from facade.messages import OURS
from facade.registry import Registry
from facade.registry.values import Attempt, Failure, Overview
from facade.run import alive, settle
from facade.states import State


@dataclass(frozen=True, slots=True)
class Report:
    """One attempt: what the registry says, who carries it out, and what an operator may type next."""

    overview: Overview
    holder: str | None
    advice: tuple[str, ...]
    queue: Mapping[str, Any] | None = None
    """Jobs in the batch system's queue by state, and ``holds``: reason -> jobs."""

    @property
    def attempt(self) -> Attempt:
        """The attempt itself."""
        return self.overview.attempt

    def modules(self) -> list[tuple[str, str, dict[State, int]]]:
        """Return (block, module, number of quanta by state) in the order in which they run."""
        rows: dict[tuple[str, str], dict[State, int]] = {}
        for count in self.overview.counts:
            states = rows.setdefault((count.block, count.modname), {})
            states[count.state] = states.get(count.state, 0) + count.quanta
        return [(block, module, states) for (block, module), states in rows.items()]

    def unplanned(self) -> list[tuple[str, str, State, str]]:
        """Return (block, modules, state, when it is planned) of the blocks that are not planned yet."""
        waiting, names = self.overview.unplanned, list(self.overview.blocks)
        before = names[-len(waiting) - 1] if waiting else ""
        when = [f"planned when {before} is done", *["not planned yet"] * (len(waiting) - 1)]
        return [(one.name, ", ".join(one.modules), one.state, text) for one, text in zip(waiting, when, strict=False)]

    def totals(self) -> dict[State, int]:
        """Return the number of quanta by state."""
        return _totals(self.overview)

    def plain(self) -> dict[str, Any]:
        """Return the report as plain data for ``--json``."""
        return {
            "attempt": attempt_plain(self.attempt),
            "carried_out_by": self.holder,
            "queue": dict(self.queue) if self.queue is not None else None,
            "blocks": {name: state.value for name, state in self.overview.blocks.items()},
            "quanta": {state.value: n for state, n in self.totals().items()},
            "jobs": {state.value: n for state, n in self.overview.jobs.items()},
            "reused": dict(self.overview.reused),
            "left_out": dict(self.overview.left_out),
            "modules": [
                {"block": block, "module": module, "quanta": {s.value: n for s, n in states.items()}}
                for block, module, states in self.modules()
            ],
            "failures": [_failure_plain(failure) for failure in self.overview.failures],
            "running": [
                {
                    "jobnum": job.jobnum,
                    "host": job.host,
                    "batch_id": job.batch_id,
                    "module": job.modname,
                    "wrapnum": job.wrapnum,
                    "step": job.step.value if job.step else None,
                    "since": _time(job.step_since or job.start_time),
                }
                for job in self.overview.running
            ],
            "unplanned": [
                {"block": one.name, "modules": list(one.modules), "state": one.state.value, "detail": one.detail}
                for one in self.overview.unplanned
            ],
            "advice": list(self.advice),
        }


def report(registry: Registry, attempt: Attempt) -> Report:
    """Return the report of one attempt, after making the registry true."""
    attempt, holder, trouble = _settled(registry, attempt)
    overview = registry.overview(attempt.id)
    queue = engines.queue(attempt.engine, attempt.engine_job or "") if holder and attempt.engine else None
    if held := (queue or {}).get("held"):
        trouble.append(f"{held} jobs are held; once the cause is gone: facade release {attempt.name}")
    if attempt.state is not State.SUCCEEDED and (said := homing.trouble(registry, attempt)):
        trouble.append(said)
    return Report(overview, holder, tuple([*trouble, *_advice(overview, holder)]), queue)


def attempts(registry: Registry, limit: int) -> list[tuple[Attempt, dict[State, int]]]:
    """Return the newest attempts with the number of their quanta by state, after making the registry true."""
    settled = [_settled(registry, attempt)[0] for attempt in registry.attempts(limit=limit)]
    totals = registry.totals([attempt.id for attempt in settled])
    return [(attempt, totals[attempt.id]) for attempt in settled]


def _totals(overview: Overview) -> dict[State, int]:
    totals: dict[State, int] = {}
    for count in overview.counts:
        totals[count.state] = totals.get(count.state, 0) + count.quanta
    return totals


def _settled(registry: Registry, attempt: Attempt) -> tuple[Attempt, str | None, list[str]]:
    if attempt.state.final:
        return attempt, None, []
    try:
        holder = alive(attempt)
    except FacadeError as error:
        return attempt, None, [f"whether it still runs cannot be told: {error}"]
    return settle(registry, attempt, engine_gone=holder is None), holder, []


def _advice(overview: Overview, holder: str | None) -> list[str]:
    attempt = overview.attempt
    lines: list[str] = []
    if attempt.state is State.PLANNED and holder is None:
        lines.append(f"it was never started; start it with: facade resume {attempt.name}")
    elif attempt.state is State.LOST:
        lines.append(f"whatever carried it out is gone; go on with what is missing: facade resume {attempt.name}")
    elif attempt.state is State.REMOVED:
        lines.append(f"it was stopped; go on with what is missing: facade resume {attempt.name}")
    elif attempt.state is State.FAILED:
        lines.append(f"once the cause is gone, go on with what is missing: facade resume {attempt.name}")
    elif holder is not None:
        lines.append(f"carried out by {holder}; follow it with: facade stat {attempt.name} --watch")
    elif attempt.state is State.SUCCEEDED and not attempt.tags:
        lines.append(f"keep it in mind by a tag: facade tag {attempt.name} TAG")
    return lines


def culprits(failures: Sequence[Failure]) -> tuple[list[Failure], int]:
    """Return the quanta that failed of themselves, and how many are only blocked by others."""
    own = [f for f in failures if f.state is not State.BLOCKED]
    return own, len(failures) - len(own)


def alike(failures: Sequence[Failure]) -> list[list[Failure]]:
    """Return failures in groups: of one module, in one way, with last words that differ in numbers and keys alone."""
    groups: dict[object, list[Failure]] = {}
    for one in failures:
        way = (one.modname, one.state, one.failure_class, one.step, one.exit_code, _last_words(one))
        groups.setdefault(way, []).append(one)
    return list(groups.values())


def _last_words(one: Failure) -> str:
    """Return what says best why it failed, without what tells a quantum from the next."""
    printed = [line for line in (one.tail or "").splitlines() if line.strip() and not line.startswith(OURS)]
    words = one.messages[0].message if one.messages else printed[-1] if printed else one.message or ""
    for value in one.keys.values():
        words = re.sub(rf"(?<!\w){re.escape(str(value))}(?!\w)", "#", words)
    return re.sub(r"0x[0-9a-f]+|\d+", "#", words)


def attempt_plain(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as plain data."""
    return {
        "name": attempt.name,
        "id": attempt.id,
        "project": attempt.project,
        "campaign": attempt.campaign,
        "reqnum": attempt.reqnum,
        "unitname": attempt.unitname,
        "attnum": attempt.attnum,
        "state": attempt.state.value,
        "operator": attempt.operator,
        "engine": attempt.engine,
        "engine_job": attempt.engine_job,
        "submitted": _time(attempt.submittime),
        "started": _time(attempt.start_time),
        "ended": _time(attempt.end_time),
        "run_dir": attempt.run_dir,
        "archive_path": attempt.archive_path,
        "plan_id": attempt.plan_id,
        "tags": list(attempt.tags),
    }


def _failure_plain(failure: Failure) -> dict[str, Any]:
    return {
        "module": failure.modname,
        "keys": dict(failure.keys),
        "wrapnum": failure.wrapnum,
        "jobnum": failure.jobnum,
        "state": failure.state.value,
        "class": failure.failure_class,
        "step": failure.step,
        "message": failure.message,
        "exit_code": failure.exit_code,
        "host": failure.host,
        "log": failure.log,
        "messages": [{"level": one.level, "message": one.message, "line": one.line} for one in failure.messages],
        "tail": failure.tail,
    }


def _time(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat(timespec="seconds") if value is not None else None
