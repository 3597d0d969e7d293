"""``facade`` and ``python -m facade``: hand over to the command line.

A job starts here a hundred thousand times, so ``facade job run CAPSULE`` takes a way that imports no command line.
"""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130  # facade.errors has it too, but Ctrl-C may come while that is imported


def main() -> int:
    """Run the command line; return the exit code: 130 after Ctrl-C or SIGTERM, at whatever moment they come."""
    try:
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # all is done and said: ending takes a moment, and no other code
            signal.signal(number, signal.SIG_IGN)


def _run(words: list[str]) -> int:
    if words[:2] == ["job", "run"] and len(words) in (3, 5) and not words[2].startswith("-"):
        from facade.job.__main__ import run

        return run(words[2:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes temporary files away, as Ctrl-C does
    from facade.cli import run_command

    return run_command(words)


if __name__ == "__main__":
    sys.exit(main())
