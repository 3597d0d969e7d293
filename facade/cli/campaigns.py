"""``facade check`` and ``facade plan``: what facade understood, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from facade.cli import output
from facade.cli.context import registry, site, talk
from facade.errors import BAD_INPUT, CampaignError, Fault
from facade.submit import load_campaign, make_plan

CAMPAIGN = click.argument("campaign", type=click.Path(path_type=Path))
SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the campaign.")


@click.command()
@CAMPAIGN
@SET
@click.option("--json", "as_json", is_flag=True, help="Faults as JSON on stdout.")
def check(campaign: Path, settings: tuple[str, ...], as_json: bool) -> int:
    """Report every fault of CAMPAIGN in one go. Exit 0 if there is none, 2 otherwise."""
    try:
        loaded = load_campaign(site(), campaign, settings)
    except CampaignError as error:
        if as_json:
            click.echo(json.dumps([_plain(fault) for fault in error.faults], indent=1))
        else:
            click.echo(str(error), err=True)
            talk(f"{len(error.faults)} fault{'s' if len(error.faults) > 1 else ''} in {campaign}")
        return BAD_INPUT
    if as_json:
        click.echo(json.dumps([_plain(fault) for fault in loaded.warnings], indent=1))
        return 0
    for warning in loaded.warnings:
        talk(str(warning))
    blocks = ", ".join(f"{b.name} ({len(b.modules)})" for b in loaded.blocks)
    talk(f"{campaign}: no fault; blocks (modules): {blocks}")
    return 0


def _plain(fault: Fault) -> dict[str, object]:
    place = fault.location
    return {
        "severity": fault.severity,
        "message": fault.message,
        "remedy": fault.remedy,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "excerpt": fault.excerpt,
    }


@click.command()
@CAMPAIGN
@SET
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="Write the plan (canonical JSON) here.")
@click.option("--json", "as_json", is_flag=True, help="The plan as canonical JSON on stdout.")
def plan(campaign: Path, settings: tuple[str, ...], path: Path | None, as_json: bool) -> int:
    """Plan CAMPAIGN: find its inputs, divide them, and show what would run. Changes nothing."""
    loaded = load_campaign(site(), campaign, settings)
    with registry() as opened:
        made = make_plan(opened, loaded)
    if path is not None:
        part = path.with_name(f".{path.name}.part")
        part.write_text(made.text + "\n", encoding="utf-8")
        part.replace(path)
        talk(f"plan {made.plan_id[:12]} written to {path}; run it with: facade submit {path}")
    if as_json:
        click.echo(made.text)
    elif path is None:
        output.plan(made)
    return 0
