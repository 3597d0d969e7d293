"""``make chaos``: faults at random moments of many attempts, told as a table and as JSON.

Exit code 1 if anything did not hold after recovery.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from chaos.faults import KINDS
from chaos.place import INSIDE, QUANTA, may_mount, placed
from chaos.story import Row, Story, Teller, invented
from rich.console import Console
from rich.table import Table

BOUNDED = (
    ("kill job", "kill program", "copy of a running job"),
    ("kill engine", "two copies of a job", "kill host"),
    ("kill database", "archive full", "archive read-only", "runs full"),
    ("cut down", "flip up", "slow", "server refuses"),
    ("kill schedd", "kill DAGMan"),
)
"""Every kind of thing that can go wrong, once: what runs with the other tests."""


def bounded(seed: int, mounts: bool) -> list[Story]:
    """Return the stories of the bounded form."""
    kinds = [[name for name in names if mounts or not KINDS[name].mounts] for names in BOUNDED]
    return [invented(seed + number, "small", names, longest=2.0) for number, names in enumerate(kinds)]


def endless(seed: int, campaign: str, engines: set[str], each: int, only: set[str], mounts: bool) -> list[Story]:
    """Return enough stories for anybody: groups of faults that go together, in an order that *seed* decides."""
    dice, stories = random.Random(seed), []
    groups: dict[tuple[str, str], list[str]] = {}
    for kind in KINDS.values():
        if kind.engine in engines and (mounts or not kind.mounts) and (not only or kind.name in only):
            groups.setdefault((kind.engine, kind.archive), []).append(kind.name)
    everything = [name for names in groups.values() for name in names]
    for number in range(10_000):
        first = dice.choice(everything)
        names = next(names for names in groups.values() if first in names)
        faults = [first, *[dice.choice(names) for _ in range(each - 1)]]
        stories.append(invented(seed * 100_000 + number, campaign, faults))
    return stories


def table(rows: list[Row]) -> Table:
    """Return the table of faults."""
    shown = Table(
        title=f"{len(rows)} faults, {sum(bool(row.wrong) for row in rows)} after which something did not hold"
    )
    for column in ("n", "seed", "attempt", "fault", "moment", "hit", "engine", "mended by", "s", "afterwards"):
        shown.add_column(column, overflow="fold")
    for row in rows:
        by = f"{len(row.commands)} × resume" if row.commands else "itself"
        shown.add_row(str(row.number), str(row.seed), row.attempt, row.fault, row.moment, row.target, row.after, by,
                      f"{row.seconds:g}", _short(row.wrong))  # fmt: skip
    return shown


def _short(wrong: list[str]) -> str:
    return (
        "; ".join(text[:120] for text in wrong[:4]) + (f" … {len(wrong)} in all" if len(wrong) > 4 else "")
        or "all holds"
    )


def _line(row: Row) -> str:
    what = f"{row.number:4} {row.seconds:6.1f} s  {row.attempt}  {row.fault}, {row.moment}, {row.target}: {row.after}"
    return f"{what}; {len(row.commands)} × resume; {_short(row.wrong)}"


def main() -> int:
    """Run as asked."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=300, help="how many (default 300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--campaign", choices=list(QUANTA), default="demo")
    parser.add_argument("--each", type=int, default=4, help="faults in one attempt (default 4)")
    parser.add_argument("--engine", action="append", choices=["local", "htcondor"], help="default: both")
    parser.add_argument("--only", action="append", default=[], choices=list(KINDS), help="these kinds of faults")
    parser.add_argument("--bounded", action="store_true", help="the few faults that run with the other tests")
    parser.add_argument("--story", type=int, help="only the attempt of this seed, as the table names it")
    parser.add_argument("--json", type=Path, help="write the table there, as JSON")
    parser.add_argument("--stop", action="store_true", help="end with the first attempt that is not as it must be")
    asked = parser.parse_args()
    inside = os.environ.get(INSIDE, "")
    if not inside and (command := may_mount()):
        os.execvpe(
            command[0], [*command, sys.executable, "-m", "chaos", *sys.argv[1:]], {**os.environ, INSIDE: "mounts"}
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # then everything is taken away, too
    mounts, console = bool(inside), Console(stderr=True, soft_wrap=True)
    os.environ.pop(INSIDE, None)
    if not mounts:
        console.print("nothing can be mounted here: disks are neither filled nor made read-only")
    engines, began = set(asked.engine or ("local", "htcondor")), time.monotonic()
    rows: list[Row] = []
    stories = bounded(asked.seed, mounts) if asked.bounded else endless(
        asked.seed, asked.campaign, engines, asked.each, set(asked.only), mounts)  # fmt: skip
    if asked.story is not None:
        stories = [story for story in stories if story.seed == asked.story]
    with placed(frozenset(story.campaign for story in stories), mounts=mounts) as place:
        teller = Teller(place)
        for story in stories:
            if len(rows) >= asked.faults and not asked.bounded:
                break
            told = teller.tell(story)
            rows += told
            for row in told:
                print(_line(row), file=sys.stderr, flush=True)
            if asked.json:
                asked.json.write_text(json.dumps([row.plain() for row in rows], indent=1, ensure_ascii=False))
            if asked.stop and any(row.wrong for row in told):
                break
        seconds = time.monotonic() - began
    Console(width=None if sys.stdout.isatty() else 200).print(table(rows))
    console.print(f"{len(rows)} faults in {seconds:.0f} s, seed {asked.seed}")
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
