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
