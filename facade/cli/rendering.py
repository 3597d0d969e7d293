"""``facade plan --to``: a plan as a DAG, a drawing, or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facade.cli.context import address, site, talk

if TYPE_CHECKING:
    from facade.plan import Plan
    from facade.registry import Registry

FORMS = ("dag", "dot", "mermaid", "json")
LEVELS = ("block", "module", "job", "quantum", "file")
DEFAULT = {"dag": "job", "json": "quantum", "dot": "module", "mermaid": "module"}
MERMAID_EDGES = 500
"""Edges that a viewer of Mermaid draws if nobody has told it otherwise."""


def told_apart(to: Sequence[str]) -> tuple[str | None, str]:
    """Return the form and the module that ``--to`` names; each of them once at most."""
    forms, modules = [one for one in to if one in FORMS], [one for one in to if one not in FORMS]
    if len(forms) > 1 or len(modules) > 1:
        raise click.UsageError(f"--to names one module and one of {', '.join(FORMS)} at most")
    return forms[0] if forms else None, modules[0] if modules else ""


def checked(form: str | None, level: str | None, as_json: bool) -> str:
    """Return the level to show; raises UsageError if the options contradict each other."""
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --to {form} exclude each other")
    if level is not None and form is None:
        raise click.UsageError("--level goes with --to")
    if form == "dag" and level not in (None, "job"):
        raise click.UsageError("the nodes of a DAG are jobs: --to dag has no other --level")
    return level or DEFAULT[form or "json"]


def write(pieces: Iterable[str], path: Path | None) -> None:
    """Write text to *path*, in one move, or to stdout."""
    if path is None:
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.writelines(pieces)
    part.replace(path)


def rendered(plan: Plan, form: str, level: str, registry: Registry) -> Iterator[str]:
    """Yield the text of *plan* in one of `FORMS`."""
    from facade.plan import render

    if form == "dag":
        yield from (line + "\n" for line in _dag(plan, registry))
    elif form == "json" and level == "quantum":
        yield plan.text + "\n"
    else:
        found = render.graph(plan, level)
        if form == "mermaid" and len(found.edges) > MERMAID_EDGES:
            told = f"{len(found.edges)} edges, and most viewers of Mermaid draw {MERMAID_EDGES}"
            talk(f"{told}: try --level module, or --to dot")
        lines = {"dot": render.to_dot, "mermaid": render.to_mermaid, "json": render.to_json}[form](found)
        yield from (line + "\n" for line in lines)


def _dag(plan: Plan, registry: Registry) -> Iterator[str]:
    """Yield the DAG that engine htcondor would write if the plan were submitted now: for the next attempt."""
    from facade.engines import dag
    from facade.engines.descriptions import Options
    from facade.materialise import table
    from facade.registry.runs import attempt_name
    from facade.run import address_for_jobs, execute_hosts, finish_argv, plan_argv

    reqnum, unitname = plan.unit
    last = max((attempt.attnum for attempt in registry.attempts(reqnum=reqnum, unitname=unitname)), default=0)
    number = int(str(plan.identity.get("attnum", last + 1)))
    name = attempt_name(unitname, reqnum, number)
    run = table(plan, site().runs / name, name, number, 0)
    environment = {**site().passing(), **address().environment()}
    yield from dag.lines(
        run,
        done=(),
        environment=environment,
        hosts=execute_hosts(site(), address_for_jobs(registry, site(), name, None)),
        finish_argv=finish_argv(name),
        plan_argv=plan_argv(name),
        options=Options(),
    )
