"""``facade job``: one job, anywhere. (``facade job run CAPSULE`` itself takes the short way in ``facade.__main__``.)"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def job() -> None:
    """Run one job by hand."""


@job.command("run")
@click.argument("capsule", type=click.Path(path_type=Path))
@click.option("--workdir", type=click.Path(path_type=Path), help="Where the job directory is made.")
def run(capsule: Path, workdir: Path | None) -> int:
    """Run the job in CAPSULE: a file of its own, or RUN/jobs/012/capsules.jsonl#12345, one of a shard.

    What happens goes to the receipt beside it and, if FACADE_DB is set, to the registry.

    Exit codes: 0 every quantum succeeded, 1 a program failed, 75 something around it failed and trying again may help.
    """
    from facade.job.__main__ import run as run_words

    return run_words([str(capsule), *(["--workdir", str(workdir)] if workdir else [])])


@job.command("show")
@click.argument("capsule", type=click.Path(path_type=Path))
def show(capsule: Path) -> int:
    """Print the capsule of one job as JSON: whole, also if it is one of a shard. In a file it can be run anywhere."""
    from facade.job import shard

    click.echo(json.dumps(shard.tree(capsule.absolute()), indent=1, ensure_ascii=False))
    return 0


@click.command("ingest-receipts")
@click.argument("places", nargs=-1, required=True, metavar="DIR…", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="What was told, as JSON on stdout.")
def ingest_receipts(places: tuple[Path, ...], as_json: bool) -> int:
    """Tell the registry what the receipts below DIR say, or in receipts given by name; say it as often as you like.

    For jobs that could not reach the database, on hosts whose disks you bring home. Attempts that nobody carries out
    any more are closed by what is known then.
    """
    from rich.progress import Progress

    from facade import receipts
    from facade.cli import output
    from facade.cli.context import interactive, registry, talk
    from facade.errors import BAD_INPUT, DONE
    from facade.run import settle

    paths = receipts.found(places)
    with (
        registry() as opened,
        Progress(console=output.console(err=True), transient=True, disable=not interactive()) as bars,
    ):
        task = bars.add_task("telling the registry", total=len(paths))
        told = receipts.tell(opened, paths, lambda path: bars.update(task, advance=1))
        attempts = [found for number in told.attempts if (found := opened.attempt(number)) is not None]
        attempts = [settle(opened, one, engine_gone=receipts.nobody_at(opened, one)) for one in attempts]
    for fault in told.faults:
        talk(f"error: {fault}")
    if as_json:
        states = {one.name: one.state.value for one in attempts}
        output.plain_json({"receipts": told.receipts, "lines": told.lines, "new": told.new, "attempts": states,
                           "faults": told.faults})  # fmt: skip
    else:
        ended = ", ".join(f"{one.name} {one.state.value}" for one in attempts)
        talk(
            f"{told.receipts} receipts of {told.lines} lines, {told.new} of them new" + (f": {ended}" if ended else "")
        )
    return BAD_INPUT if told.faults else DONE
