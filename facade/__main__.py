"""``facade`` and ``python -m facade``: hand over to the command line.

A job starts here a hundred thousand times, so ``facade job run CAPSULE`` takes a way that imports no command line.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    words = sys.argv[1:]
    if words[:2] == ["job", "run"] and len(words) in (3, 5) and not words[2].startswith("-"):
        from facade.job.__main__ import run

        return run(words[2:])
    from facade.cli import run_command

    return run_command(words)


if __name__ == "__main__":
    sys.exit(main())
