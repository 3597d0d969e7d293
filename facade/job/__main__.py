"""Run one job: ``python -m facade.job CAPSULE [WORKDIR]``, without the command line."""

from __future__ import annotations

import sys

from facade.job.reporting import reporting
from facade.job.runner import run_job


def main() -> int:
    """Run the capsule that the command line names; return the exit code."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m facade.job CAPSULE [WORKDIR]")
    with reporting() as reporter:
        return run_job(sys.argv[1], workdir=sys.argv[2] if len(sys.argv) == 3 else None, reporter=reporter)


if __name__ == "__main__":
    sys.exit(main())
