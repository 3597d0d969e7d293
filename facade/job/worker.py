"""A worker that runs job after job in one process: start-up is paid once. ``python -m facade.job.worker``

Reads one JSON line per job from stdin, ``{"capsule": path, "workdir": path}``, and answers each with one line on
stdout, ``{"capsule": path, "code": exit code}``. It ends with its input, or after a job that was told to end.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable
from typing import TextIO

from facade.errors import FAILED
from facade.job.reporting import lookup, reporting
from facade.job.runner import Reporter, run_job
from facade.job.strays import adopt_orphans


def main() -> None:
    """Serve the requests on stdin; nothing but answers can reach the original stdout."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        with reporting() as reporter:
            serve(sys.stdin, answers, reporter)


def serve(requests: Iterable[str], answers: TextIO, reporter: Reporter | None) -> None:
    """Answer each line of *requests* once its job is done."""
    for text in requests:
        capsule, workdir = "", None
        try:
            request = json.loads(text)
            capsule, workdir = request["capsule"], request.get("workdir")
            code = run_job(capsule, workdir=workdir, reporter=reporter, expected=lookup)
        except Exception:  # one job must not take the others with it
            traceback.print_exc()
            code = FAILED
        answers.write(json.dumps({"capsule": capsule, "code": code}) + "\n")
        answers.flush()
        if code > 128:
            return


if __name__ == "__main__":
    adopt_orphans()
    main()
