"""``facade`` and ``python -m facade``: hand over to the command line.

A job starts here a hundred thousand times, so ``facade job run CAPSULE`` takes a way that imports no command line.
"""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130  # facade.errors has it too, but Ctrl-C may come while that is imported


def main() -> int:
    """Run the command line; return the exit code: 130 after Ctrl-C, at whatever moment it comes."""
    try:
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said: ending takes a moment, and no other code


def _run(words: list[str]) -> int:
    if words[:2] == ["job", "run"] and len(words) in (3, 5) and not words[2].startswith("-"):
        from facade.job.__main__ import run

        return run(words[2:])
    from facade.cli import run_command

    return run_command(words)


if __name__ == "__main__":
    sys.exit(main())
