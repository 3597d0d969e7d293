"""How fast is WCL, and how much memory does it take? Reading campaigns, and filling the pattern of a file name.

    python bench/wcl.py [ROUNDS]

The floors, measured in the same run, are what nobody can avoid: splitting the same text into stripped lines; a ``%`` or
an f-string written by hand for this one pattern. Peers read the same tree in their own language, or fill the same
pattern. Figures are medians. Exit code 1 if a target (issue 3) is missed.
"""

from __future__ import annotations

import configparser
import gc
import json
import statistics
import string
import sys
import time
import tomllib
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facade.wcl import Scope, Section, Value, loads

LINES = 6_000
EXPANSIONS = 1_000_000
PARSE_TARGET, EXPAND_TARGET = 0.060, 2.0
LINEAR = 1.25
"""How much more memory a byte of the largest text may take than one of the smallest."""

HEAD = """\
# the parts that all modules share
project = HSC
campaign = bench            # who pays for it
reqnum = 11
unitname = Ht0
run = r${reqnum}p${attnum:2}
ops_run_dir = ${project}/${campaign}/${run}
<filename_pattern>
    calexp = ${flabel}-${band}-${visit}-${ccd:3}-${run}.${fsuffix}
</filename_pattern>
"""
MODULE = """\

# step {n}: what it is for, and who wrote it
<module step{n}>
    wrappername = generic
    wrapperloop = visit, ccd        # one quantum each
    loopobj = file.raw{n}
    divide_jobs_by = visit, ccd
    title = "step {n}, of many # not a comment"
    <exec_1>
        execname = step{n}
        used = file.raw{n}, \\
               file.flat{n}, \\
               file.bias{n}
        was_generated_by = file.img{n}
        ancestry = file.raw{n}:file.img{n}
        cmd_hyphen = mixed_gnu
        <cmdline>
            _01_in = ${{file.raw{n}.fullname}}
            output = ${{file.img{n}.fullname}}
            id = visit=${{visit}} ccd=${{ccd}} filter=${{band}}
            C = ${{config_${{band}}}}.config
            doraise = _flag
        </cmdline>
    </exec_1>
    <file>
        <raw{n}>
            exec = find
            args = --filter ${{band}} --run ${{run}}
            divide_by = visit, ccd
            dirpat = raw
        </raw{n}>
        <img{n}>
            filetype = img
            filepat = calexp
            flabel = step{n}
            fsuffix = fits
            dirpat = img
        </img{n}>
    </file>
</module>
"""


@dataclass
class Figure:
    """One measured figure, with what it is to be compared with."""

    name: str
    value: float
    unit: str
    floor: dict[str, float]
    target: float
    peers: dict[str, float] = field(default_factory=dict)
    n: int = 1

    @property
    def is_met(self) -> bool:
        return self.value <= self.target

    def shown(self) -> str:
        """Return the figure as JSON."""
        return json.dumps({"name": self.name, "value": _rounded(self.value), "unit": self.unit,
                           "floor": {k: _rounded(v) for k, v in self.floor.items()},
                           "peers": {k: _rounded(v) for k, v in self.peers.items()}, "n": self.n})  # fmt: skip


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def campaign(lines: int) -> str:
    """Return a campaign of at least *lines* lines: modules with comments, continued lines, references, quotes."""
    count = -(-(lines - HEAD.count("\n")) // MODULE.count("\n"))
    return HEAD + "".join(MODULE.format(n=n) for n in range(count))


def as_ini(root: Section) -> str:
    """Return the same keys and values as INI, which has one level of sections: names are joined."""
    return "".join(
        f"[{name or 'top'}]\n" + "".join(f"{key} = {value.text}\n" for key, value in section.values())
        for name, section in _sections(root, "")
    )


def as_toml(root: Section) -> str:
    """Return the same tree as TOML."""
    return "".join(
        (f"[{name}]\n" if name else "")
        + "".join(f"{key} = {json.dumps(value.text)}\n" for key, value in section.values())
        for name, section in _sections(root, "")
    )


def _sections(section: Section, name: str) -> list[tuple[str, Section]]:
    found = [(name, section)]
    for key, inner in section.sections():
        found += _sections(inner, f"{name}.{key}" if name else key)
    return found


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median CPU time of *rounds* calls, the first of which, that warms up, does not count."""
    work()
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def parsing(rounds: int) -> Figure:
    """Read a campaign of 6,000 lines."""
    text = campaign(LINES)
    root = loads(text).root
    ini, toml = as_ini(root), as_toml(root)

    def read_ini() -> None:
        configparser.RawConfigParser().read_string(ini)

    figure = Figure(
        "wcl_parse",
        seconds(lambda: loads(text), rounds),
        "s CPU",
        {"splitlines and strip": seconds(lambda: [line.strip() for line in text.splitlines()], rounds)},
        PARSE_TARGET,
        {"configparser": seconds(read_ini, rounds), "tomllib": seconds(lambda: tomllib.loads(toml), rounds)},
        rounds,
    )
    print(f"a campaign of {text.count(chr(10))} lines, {len(text) / 1e3:.0f} kB:"
          f" INI {ini.count(chr(10))} lines, TOML {toml.count(chr(10))}")  # fmt: skip
    return figure


def expanding(rounds: int) -> Figure:
    """Fill the pattern of a file name a million times: six variables, one of them padded."""
    root = loads("pattern = ${flabel}-${filter}-${visit}-${ccd:3}-${tract}-${patch}.fits").root
    names = ("flabel", "filter", "visit", "ccd", "tract", "patch")
    pattern = root.value("pattern")
    assert isinstance(pattern, Value)
    template = Scope(root, late=frozenset(names)).compile(pattern)
    rows: list[Mapping[str, Any]] = [
        {"flabel": "calexp", "filter": "HSC-R", "visit": 903334 + n, "ccd": n % 112, "tract": 0, "patch": f"{n % 9},5"}
        for n in range(1000)
    ]
    times = EXPANSIONS // len(rows)
    dollars = string.Template("$flabel-$filter-$visit-$ccd-$tract-$patch.fits")
    braces = "{flabel}-{filter}-{visit}-{ccd:03d}-{tract}-{patch}.fits"

    def repeat(fill: Callable[[Mapping[str, Any]], str]) -> float:
        def work() -> None:
            for _ in range(times):
                for row in rows:
                    fill(row)

        return seconds(work, rounds)

    def percent(r: Mapping[str, Any]) -> str:
        return "%s-%s-%s-%03d-%s-%s.fits" % (  # noqa: UP031
            r["flabel"], r["filter"], r["visit"], r["ccd"], r["tract"], r["patch"])  # fmt: skip

    def fstring(r: Mapping[str, Any]) -> str:
        return f"{r['flabel']}-{r['filter']}-{r['visit']}-{r['ccd']:03d}-{r['tract']}-{r['patch']}.fits"

    assert {template.format(row) for row in rows} == {percent(row) for row in rows} == {fstring(row) for row in rows}
    return Figure(
        "wcl_expand",
        repeat(template.format),
        f"s CPU for {EXPANSIONS:,}",
        {"% by hand": repeat(percent), "f-string by hand": repeat(fstring)},
        EXPAND_TARGET,
        {"str.format_map": repeat(braces.format_map), "string.Template (unpadded)": repeat(dollars.substitute)},
        rounds,
    )


def peak(text: str) -> tuple[float, float]:
    """Return the peak of memory, and what stays, when *text* is read: bytes for each byte of it."""
    gc.collect()
    tracemalloc.start()
    document = loads(text)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(document.root)
    return most / len(text.encode()), kept / len(text.encode())


def memory() -> list[Figure]:
    """Read texts of growing size."""
    lines = {count: peak(campaign(count)) for count in (6_000, 60_000, 600_000)}
    values = {size: peak(f"a = {'x' * size}\n") for size in (1_000_000, 10_000_000)}
    quoted = {size: peak(f'a = "{"x, " * (size // 3)}"\n') for size in (1_000_000, 10_000_000)}
    print("peak memory, and what stays, in bytes for each byte of text (tracemalloc)")
    for title, table in (("lines", lines), ("characters in one value", values), ("in a quoted value", quoted)):
        for size, (most, kept) in table.items():
            print(f"  {size:>11,} {title:24} {most:7.2f} {kept:7.2f}")
    figures = []
    for name, table in (("lines", lines), ("value", values), ("quoted_value", quoted)):
        small, large = min(table), max(table)
        least, most = table[small][0], table[large][0]
        figures.append(Figure(f"wcl_memory_{name}", most, "bytes/byte", {f"{small:,}": least}, LINEAR * least))
    return figures


def main() -> int:
    """Measure and print; the last lines are one JSON object per figure."""
    rounds = max(3, int(sys.argv[1])) if len(sys.argv) > 1 else 5
    figures = [parsing(rounds), expanding(rounds), *memory()]
    print(f"{'':28} {'measured':>10} {'target':>10}")
    for figure in figures:
        print(f"{figure.name:28} {figure.value:10.4g} {figure.target:10.4g}  {figure.unit}"
              f"  {'met' if figure.is_met else 'MISSED'}")  # fmt: skip
        for kind, others in (("floor", figure.floor), ("peer", figure.peers)):
            for name, value in others.items():
                print(f"    {kind}: {name:30} {value:10.4g}  {figure.value / value:6.2f} times")
    for figure in figures:
        print(figure.shown())
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
