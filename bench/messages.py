"""How fast are logs searched for messages? 300 patterns over logs as programs write them, and over the worst of them.

    python bench/messages.py [MEGABYTES]

The floor is counting the lines of the same bytes; the peer is what the original did (desdm.md §7), one
alternation of the standard library's `re`, line by line. One core, CPU time, the best of three. Exit code 1 if a
realistic log is searched at less than the target of issue 5 (50 MB/s), or more is kept than the bounds allow.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable

from facade.job.messages import FIRST, LAST, MOST, Finders, Findings, Scanner
from facade.messages import LEVELS, Pattern, Rules

TARGET = 50.0
COUNT = 300
CHUNK = 1 << 20

KNOWN = r"""
^Traceback \(most recent call last\)
\berror\b
fatal
segmentation fault
core dumped
killed
out of memory
cannot allocate memory
no space left on device
permission denied
command not found
\bwarning\b
\bWARN(ING)?\s*[:|]
STATUS\s*=\s*[1-9]\d*
exit(ed)? with (status|code) [1-9]\d*
nan encountered in .*
^INFO: .* skipped
^\s*\*{3} .* \*{3}$
^[A-Z]\w+(Error|Exception): .*
ORA-\d{5}
timed? ?out
connection (refused|reset|closed)
could not (open|read|write|find) \S+
failed to \w+ \S+
^QC\s+\w+\s+\w+\s+[-+.\de]+
deprecat(ed|ion)
bad pixel fraction (\d+\.\d+)
seeing\s*[:=]\s*(\d+\.\d*)
"""
FORMS = r"""
{a} {b} {v}
{a}.*{v}
{v} {a}(s|es)? in {b}
\b{a}_{b}\b.*\b{v}\b
(no|too few|too many) {a}s? (for|in) {b}
{a} {v}: \d+
^{a}\w*: .*{v}
> WARNING: {a}.*{b}
"""
NOUNS = """
photometry astrometry calib psf source star flux sky background mask catalog coadd warp template patch tract visit
detector amplifier bias dark flat fringe crosstalk overscan saturation aperture ellipse shape deblend footprint peak
"""
FAILED = "failed missing invalid unexpected exceeded rejected truncated corrupt degenerate singular diverged"
PLAIN = NOUNS + "processed reading writing computed using with for from number of objects file"
TOLD = """
WARNING: sky level is high in patch 3
> WARNING: catalog has few match entries
could not open /data/x.fits
RuntimeError: matrix is singular
QC psf fwhm 0.71
INFO: visit 1228 skipped
"""


def rules() -> Rules:
    chosen, patterns = random.Random(1), KNOWN.strip().splitlines()
    while len(patterns) < COUNT:
        a, b = chosen.sample(NOUNS.split(), 2)
        patterns.append(chosen.choice(FORMS.strip().splitlines()).format(a=a, b=b, v=chosen.choice(FAILED.split())))
    return Rules(tuple(Pattern(text, LEVELS[n % 3]) for n, text in enumerate(patterns)), ("ignore this",))


def log(size: int, share: float) -> bytes:
    """Return a log of *size* bytes, *share* of whose lines are messages."""
    chosen, plain, told, lines, length = random.Random(2), PLAIN.split(), TOLD.strip().splitlines(), [], 0
    while length < size:
        if chosen.random() < share:
            line = chosen.choice(told)
        else:
            words = (chosen.choice(plain) if chosen.random() < 0.7 else f"{chosen.random():.4f}" for _ in range(9))
            line = f"2026-11-21T15:04:{chosen.random() * 60:06.3f} INFO {chosen.choice(plain)} - {' '.join(words)}"
        lines.append(line)
        length += len(line) + 1
    return "\n".join([*lines, ""]).encode()


def search(data: bytes, wanted: Rules, finders: Finders) -> Findings:
    findings = Findings()
    scanner = Scanner(wanted, finders, findings)
    for start in range(0, len(data), CHUNK):
        scanner.feed(data[start : start + CHUNK], "")
    scanner.end()
    return findings


def speed(size: int, work: Callable[[], object], rounds: int = 3) -> float:
    """Return MB/s of CPU time."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return size / 1e6 / best


def main(megabytes: int) -> int:
    wanted, size, bad = rules(), megabytes * 1_000_000, []
    start = time.process_time()
    finders = Finders(wanted)
    print(f"{COUNT} patterns compiled in {(time.process_time() - start) * 1000:.0f} ms\n")
    realistic = {f"{share:.1%} of the lines are messages": log(size, share) for share in (0, 0.001, 0.01)}
    worst = {
        "every tenth line is one": log(size, 0.1),
        "every line is one, all different": b"".join(
            b"WARNING: sky level %d is too high in the patch of tract %d, going on without it\n" % (n, n * 7)
            for n in range(size // 80)
        ),
        "every line is the same one": b"WARNING: sky level is too high\n" * (size // 31),
        "one line without end": b"abc def ghi " * (size // 12),
        "one line without end, of messages": b"fatal error " * (size // 12),
        "progress bars": b"\r 50% |#########          | 234/500 [00:12<00:20]" * (size // 49),
        "zero bytes": bytes(size),
        "noise": random.Random(3).randbytes(size // 4),
    }
    print(f"{'log':40} {'MB/s':>7} {'messages':>9} {'kept':>5}")
    for name, data in (realistic | worst).items():
        found = search(data, wanted, finders)
        number, kept = sum(n for _, _, n in found.counts()), len(found.take()) + len(found.rest())
        rate = speed(len(data), lambda data=data: search(data, wanted, finders))
        print(f"{name:40} {rate:7.1f} {number:9} {kept:5}", flush=True)
        if name in realistic and rate < TARGET:
            bad.append(f"{name}: {rate:.1f} MB/s, wanted {TARGET}")
        if kept > sum(min(n, FIRST) + LAST for _, _, n in found.counts()) or kept > len(LEVELS) * MOST + COUNT * LAST:
            bad.append(f"{name}: {kept} messages kept")
    data = realistic["1.0% of the lines are messages"]
    floor = speed(len(data), lambda: data.count(b"\n"))
    print(f"\n{'counting lines':40} {floor:7.1f}")
    one = re.compile("(" + ")|(".join(p.pattern for p in wanted.patterns) + ")", re.IGNORECASE)
    some = data[:300_000].decode().splitlines()
    rate = speed(300_000, lambda: [one.search(line) for line in some], rounds=1)
    print(f"{'one alternation by re, line by line':40} {rate:7.2f}")
    print(*(["", *bad] if bad else ["", "all targets met"]), sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
