"""``facade stat``: where everything is."""

from __future__ import annotations

import time

import click
from rich.live import Live

from facade import stat as reports
from facade.cli import output
from facade.cli.context import registry, talk
from facade.errors import DONE
from facade.run import find

PAUSE = 1.0


@click.command()
@click.argument("attempt", required=False)
@click.option("--json", "as_json", is_flag=True, help="Data on stdout.")
@click.option("--watch", is_flag=True, help="Look again and again until it is over.")
@click.option("-n", "limit", type=click.IntRange(1), default=20, help="How many attempts, newest first.")
def stat(attempt: str | None, as_json: bool, watch: bool, limit: int) -> int:
    """Show ATTEMPT (UNIT_rREQpATT or id): what runs, what failed and why. Without it: the latest attempts."""
    with registry() as opened:
        if attempt is None:
            found = reports.attempts(opened, limit)
            if as_json:
                output.plain_json(
                    [{**reports.attempt_plain(a), "quanta": {s.value: n for s, n in c.items()}} for a, c in found]
                )
            elif found:
                output.attempts(found)
            else:
                talk("no attempts yet; run one with: facade submit CAMPAIGN --wait")
            return DONE
        named = find(opened, attempt)
        report = reports.report(opened, named)
        if as_json:
            output.plain_json(report.plain())
            return DONE
        if watch:
            with Live(output.report(report), console=output.console(), auto_refresh=False) as live:
                while not report.attempt.state.final and report.holder is not None:
                    time.sleep(PAUSE)
                    report = reports.report(opened, find(opened, attempt))
                    live.update(output.report(report), refresh=True)
            return DONE
        output.show(output.report(report))
    return DONE
