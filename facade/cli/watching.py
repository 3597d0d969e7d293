"""``facade stat``: where everything is; and watching an attempt until it is over."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import click
from rich.live import Live

from facade import stat as reports
from facade.cli import attempts, output
from facade.cli.context import interactive, registry, revive, talk
from facade.errors import DONE, FacadeError
from facade.registry import Registry
from facade.registry.values import Attempt
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
                output.show(attempts.listing(found, output.console().width))
            else:
                talk("no attempts yet; run one with: facade submit CAMPAIGN --wait")
            return DONE
        named = find(opened, attempt)
        report = reports.report(opened, named)
        if as_json:
            output.plain_json(report.plain())
            return DONE
        if watch:
            with Live(attempts.report(report), console=output.console(), auto_refresh=False) as live:
                while not report.attempt.state.final and report.holder is not None:
                    time.sleep(PAUSE)
                    report = reports.report(opened, find(opened, attempt))
                    live.update(attempts.report(report), refresh=True)
            return DONE
        output.show(attempts.report(report))
    return DONE


def watch(opened: Registry, attempt: Attempt, over: Callable[[], bool], pause: Callable[[], object]) -> None:
    """Show how far an attempt is until it is *over*. A database or queue that does not answer is waited for: the jobs
    go on without it."""
    show = _Live() if interactive() else _Lines()
    complaint = ""
    with show:
        while True:
            try:
                if over():
                    return
                show.show(reports.Report(opened.overview(attempt.id), None, ()))
                complaint = ""
            except FacadeError as error:
                if error.message != complaint:
                    complaint = error.message
                    talk(f"{error}\n  the jobs go on meanwhile")
                with contextlib.suppress(FacadeError):  # then it is said again how things are
                    revive()
            pause()


class _Live:
    """For a terminal: the report, drawn anew in place."""

    def __init__(self) -> None:
        self._live = Live(console=output.console(err=True), refresh_per_second=4, transient=True)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, report: reports.Report) -> None:
        self._live.update(attempts.report(report))


class _Lines:
    """Without a terminal: one line whenever another tenth of the quanta is done."""

    def __init__(self) -> None:
        self._tenths = -1

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass

    def show(self, report: reports.Report) -> None:
        totals = report.totals()
        ended, everything = sum(n for state, n in totals.items() if state.final), sum(totals.values()) or 1
        if ended * 10 // everything > self._tenths:
            self._tenths = ended * 10 // everything
            talk(f"{report.attempt.name}: {ended} of {everything} quanta ended")
