"""``facade check`` and ``facade plan``: what facade understood, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from facade.campaign.faults import in_order
from facade.cli import deciding, rendering
from facade.cli.context import registry, site, talk
from facade.errors import BAD_INPUT, CampaignError, Fault, InputError, Location
from facade.growth import prepare
from facade.loading import check_programs, examine_campaign, load_campaign
from facade.plan.growth import awaited

CAMPAIGN = click.argument("campaign", type=click.Path(path_type=Path))
TO = (
    "MODULE: this module and all that it is made from. FORM: the plan as one of "
    f"{', '.join(rendering.FORMS)}, on stdout or in -o."
)
SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the campaign.")


@click.command()
@click.argument("campaigns", metavar="CAMPAIGN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@SET
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--json", "as_json", is_flag=True, help="Faults and warnings as JSON on stdout, one list for all.")
def check(campaigns: tuple[Path, ...], settings: tuple[str, ...], strict: bool, as_json: bool) -> int:
    """Report every fault of each CAMPAIGN in one go. Exit 0 if there is no error, 2 otherwise."""
    counted = ("error", "warning") if strict else ("error",)
    found: list[Fault] = []
    for path in campaigns:
        faults, blocks = _checked(path, settings)
        found += faults
        if as_json:
            continue
        for fault in faults:
            talk(str(fault))
        if any(fault.severity in counted for fault in faults):
            talk(f"{_counts(faults)} in {path}")
        else:
            talk(f"{path}: {_counts(faults)}; blocks (modules): {blocks}")
    if as_json:
        click.echo(json.dumps([_plain(fault) for fault in in_order(found)], indent=1))
    return BAD_INPUT if any(fault.severity in counted for fault in found) else 0


def _checked(path: Path, settings: tuple[str, ...]) -> tuple[list[Fault], str]:
    """Return whatever there is to say of a campaign, sorted by place, and its blocks."""
    try:
        examined = examine_campaign(site(), path, settings)
    except CampaignError as error:
        return in_order([*error.faults, *error.warnings]), ""
    except InputError as error:  # not even a text: said like a fault, so that the other campaigns are read too
        return [Fault(message=error.message, code=error.code, location=error.location, remedy=error.remedy)], ""
    campaign = examined.campaign
    after = awaited(campaign)
    blocks = ", ".join(
        f"{b.name} ({len(b.modules)}{f', planned when {after[b.name]} is done' if b.name in after else ''})"
        for b in campaign.blocks
    )
    return in_order([*examined.faults, *check_programs(campaign, site())]), blocks


def _counts(faults: list[Fault]) -> str:
    """Say how many errors and warnings there are; a note counts for nothing."""
    numbers = {what: sum(fault.severity == what for fault in faults) for what in ("error", "warning")}
    told = [f"{number} {what}{'s' * (number > 1)}" for what, number in numbers.items() if number]
    return ", ".join(told) or "no fault"


def _plain(fault: Fault) -> dict[str, object]:
    return {
        "code": fault.code,
        "severity": fault.severity,
        "message": fault.message,
        "remedy": fault.remedy,
        "others": [{"what": what, **_place(at)} for what, at in fault.others],
        **_place(fault.location),
        "width": fault.width,
        "excerpt": fault.excerpt,
        "included_from": [_place(place) for place in fault.included_from],
    }


def _place(place: Location | None) -> dict[str, object]:
    if place is None:
        return {"file": None, "line": None, "column": None}
    return {"file": place.file, "line": place.line, "column": place.column}


@click.command()
@CAMPAIGN
@SET
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="Write the plan (canonical JSON) here.")
@click.option("--json", "as_json", is_flag=True, help="The plan as canonical JSON on stdout, with its decisions.")
@click.option("--to", multiple=True, metavar="MODULE|FORM", help=TO)
@click.option("--level", type=click.Choice(rendering.LEVELS), help="What the nodes of FORM are (default: modules).")
@click.option("--explain", is_flag=True, help="Of each quantum: what was decided, and why.")
@deciding.options
def plan(
    campaign: Path,
    settings: tuple[str, ...],
    path: Path | None,
    as_json: bool,
    to: tuple[str, ...],
    level: str | None,
    explain: bool,
    **asked: Any,
) -> int:
    """Plan CAMPAIGN: find its inputs, divide them, and show what would run. Changes nothing."""
    form, end = rendering.told_apart(to)
    level = rendering.checked(form, level, as_json)
    wish = deciding.wish(**asked, end=end)
    loaded = load_campaign(site(), campaign, settings)
    with registry() as opened:
        considered = prepare(opened, site(), loaded, wish).considered
        made = considered.plan
        if form is not None:
            shown = considered.remaining if form == "dag" else made
            rendering.write(rendering.rendered(shown, form, level, opened), path)
            return 0
        if as_json:
            click.echo(deciding.plain(considered, opened if explain else None))
        elif explain:
            deciding.explain(opened, considered)
    if path is not None:
        rendering.write([made.text + "\n"], path)
        talk(f"plan {made.plan_id[:12]} written to {path}; run it with: facade submit {path}")
    if path is None and not as_json:
        deciding.show(considered)
    return 0
