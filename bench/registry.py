"""What the registry answers at survey size, and how fast.

    python bench/registry.py [--files 1000000] [--home DIR] [--rounds 5]

Fills an embedded registry with a survey (bench/survey.py; ten minutes and 20 GB for ten million files; with
--home it is kept, and found again by the next run) and asks questions as ``facade`` asks them. Each is asked of several
things: the first answer is "cold" (its pages may be on disk), the others are "warm"; medians in ms. The floor is a
round trip that reads nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from survey import AT_ONCE, CCDS, FILES, QUANTA, UNITS, survey

from facade.registry import Registry
from facade.registry.embedded import Embedded
from facade.stat import attempts as stat_attempts

ASKED = 7
"""Things that each question is asked of."""


def attempt_names(files: int) -> list[str]:
    """Return the names of a few attempts, spread over the survey; none of those that are active."""
    last = max(2, round(files / (FILES * AT_ONCE))) * AT_ONCE - AT_ONCE
    return [_name(1 + (last - 1) * step // (ASKED - 1)) for step in range(ASKED)]


def _name(number: int) -> str:
    return f"t{9000 + number:05}_r{number // UNITS}p01"


def questions(registry: Registry, files: int) -> list[tuple[str, float | None, list[Callable[[], Any]]]]:
    """Return what is asked: title, target in ms, and the question of each thing."""
    names = attempt_names(files)
    numbers = [int(name[1:6]) - 9000 for name in names]

    def named(query: str, each: Sequence[dict[str, Any]]) -> list[Callable[[], Any]]:
        return [lambda one=one: registry.run_named(query, one) for one in each]  # type: ignore[misc]

    last = [f"forced-{name}-{QUANTA - 3:05}.fits" for name in names]
    raws = [f"HSC-{number * 100 + 2:07}-{50:03}.fits" for number in numbers]
    numbered = [{"reqnum": number // UNITS, "attnum": 1} for number in numbers]
    attempts = [{"attempt": name} for name in names]
    tags = [{"tag": f"RELEASE_{number // 400}", "filetype": "coadd"} for number in numbers]
    biases = [{"file": f"bias-{ccd:03}.fits"} for ccd in range(0, CCDS, CCDS // ASKED)][:ASKED]
    where = [{"filetype": "calibrate", "where": f"visit={number * 100 + 1},ccd=7"} for number in numbers]
    active = [one.id for one in registry.attempts(active=True, limit=AT_ONCE)]
    return [
        ("a file by its name", 2, [lambda n=n: registry.lookup([(n, "")]) for n in last]),  # type: ignore[misc]
        ("lineage-up of a forced catalogue", 50, named("lineage-up", [{"file": name} for name in last])),
        ("the same as a graph (facade provenance)", None,
         [lambda n=n: registry.provenance(n, ("up",)) for n in last]),  # type: ignore[misc]
        ("lineage-down of a raw", 10, named("lineage-down", [{"file": name} for name in raws])),
        ("DMTN-059: executions", 100, named("executions", numbered)),
        ("DMTN-059: wallclock", 100, named("wallclock", numbered)),
        ("DMTN-059: files-by-tag", 100, named("files-by-tag", tags)),
        ("used-by of a calibration", None, named("used-by", biases)),
        ("files-by-metadata", None, named("files-by-metadata", where)),
        ("resources of an attempt", None, named("resources", attempts)),
        ("failed quanta of an attempt", None, named("failed", attempts)),
        ("one active attempt at a glance", None,
         [lambda a=a: registry.overview(a) for a in active[:ASKED]]),  # type: ignore[misc]
        (f"facade stat: {AT_ONCE} active attempts", 50, [lambda: stat_attempts(registry, AT_ONCE)]),
    ]  # fmt: skip


def asked(question: Callable[[], Any], rounds: int) -> tuple[float, float, int]:
    """Return ms of the first answer, the median ms of the others, and how many rows there are."""
    laps = []
    for _ in range(1 + rounds):
        start = time.perf_counter()
        found = question()
        laps.append(1000 * (time.perf_counter() - start))
    rows = getattr(found, "rows", getattr(found, "files", found))
    return laps[0], statistics.median(laps[1:]), len(rows) if hasattr(rows, "__len__") else 1


def show(files: int, home: Path, rounds: int) -> None:
    """Fill the registry in *home* unless it is there, ask, and print."""
    server = Embedded(home)
    server.start()
    try:
        with Registry.open(server.address()) as registry:
            registry.upgrade()
            if not registry.attempts(limit=1):
                start = time.perf_counter()
                counts = survey(server.address(), files, lambda text: print(f"  {text}", file=sys.stderr))
                print(
                    f"loaded in {time.perf_counter() - start:.0f} s: "
                    + ", ".join(f"{n:,} {t}" for t, n in counts.items())
                )
            floor = asked(lambda: registry.receipt_lines([]), 50)[1]
            print(f"{'ms':48}{'cold':>9}{'warm':>9}{'rows':>8}{'target':>8}   (a round trip: {floor:.2f})")
            for title, target, each in questions(registry, files):
                found = [asked(question, rounds) for question in each]
                cold, warm = (statistics.median([one[at] for one in found]) for at in (0, 1))
                wanted = f"{target:8g}" if target else f"{'':8}"
                print(f"{title:48}{cold:9.1f}{warm:9.1f}{found[0][2]:8,}{wanted}")
                print(json.dumps({"name": title, "value": round(warm, 2), "unit": "ms", "floor": round(floor, 3),
                                  "peers": {}, "n": files}), file=sys.stderr)  # fmt: skip
    finally:
        server.stop()


def main() -> None:
    """Measure and print; one JSON object per figure on stderr."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, help="keep the registry there")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.home:
        options.home.mkdir(parents=True, exist_ok=True)
        show(options.files, options.home, options.rounds)
    else:
        with tempfile.TemporaryDirectory(prefix="facade-bench.") as folder:
            show(options.files, Path(folder), options.rounds)


if __name__ == "__main__":
    main()
