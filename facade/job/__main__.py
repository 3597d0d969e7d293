"""Run one job: ``python -m facade.job [--remote] CAPSULE [--workdir DIR]``, without the cost of the command line.

``--remote`` is for hosts that do not see the run directory: HTCondor brings the capsule, receipts are kept at home.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from facade.errors import BAD_INPUT
from facade.job.reporting import lookup, reporting
from facade.job.runner import run_job
from facade.job.strays import adopt_orphans

USAGE = "usage: facade job run CAPSULE [--workdir DIR]"


def run(arguments: Sequence[str]) -> int:
    """Run the capsule that *arguments* name; return the exit code."""
    remote = list(arguments[:1]) == ["--remote"]
    arguments = arguments[remote:]
    match list(arguments):
        case [capsule] | [capsule, "--workdir", _] | ["--workdir", _, capsule]:
            workdir = None if len(arguments) == 1 else arguments[list(arguments).index("--workdir") + 1]
        case _:
            print(USAGE, file=sys.stderr)
            return BAD_INPUT
    with reporting() as reporter:
        return run_job(capsule, workdir=workdir, reporter=reporter, expected=lookup, remote=remote)


if __name__ == "__main__":
    adopt_orphans()
    sys.exit(run(sys.argv[1:]))
