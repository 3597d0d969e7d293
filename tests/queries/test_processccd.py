"""Raws with the calibrations that are valid for them: dates, filters, tags, the blacklist, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from campaigns import text
from database import make_database, raw

from facade.answers import ask
from facade.campaign import read
from facade.errors import InputError, MissingInputError
from facade.inputs import planned
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.values import FileType
from facade.wcl import loads

pytest_plugins = ["database"]

TYPES: dict[str, FileType] = {
    "raw": {
        "metadata_table": "image",
        "columns": {name: {"type": kind} for name, kind in
                    {"visit": "int", "ccd": "int", "filter": "text", "dateobs": "text", "taken": "timestamp"}.items()},
    },
    "bias": {"metadata_table": "calibration", "columns": {"ccd": {"type": "int"}}},
}  # fmt: skip
DAYS = {1: "2013-01-31", 2: "2013-02-01", 3: "2013-02-28T23:59:59", 4: "2013-06-01"}


def calibration(
    kind: str, name: str, ccd: int, start: str, end: str, band: str | None = None, version: str = "c1"
) -> Any:
    """Return a row of the lookup table."""
    return {"version": version, "filetype": kind, "filename": name, "ccd": ccd, "validstart": start, "validend": end,
            "filter": band}  # fmt: skip


LOOKUP = [
    *(calibration("bias", f"bias{c}-{n}.fits", c, s, e)
      for c in (7, 8) for n, (s, e) in enumerate([("2013-01-01", "2013-01-31"), ("2013-02-01", "2013-02-28")])),
    *(calibration("flat", f"flat{c}-{b}.fits", c, "2013-01-01", "2013-12-31", b) for c in (7, 8) for b in ("r", "i")),
    calibration("dark", "dark7.fits", 7, "2013-01-01", "2013-01-31"),
    calibration("bias", "old.fits", 7, "2000-01-01", "2030-01-01", version="c0"),
    calibration("twice", "a.fits", 7, "2013-01-01", "2013-12-31", "i"),
    calibration("twice", "b.fits", 7, "2013-01-31", "2013-01-31"),
    calibration("gone", "gone.fits", 7, "2013-01-01", "2013-12-31"),
    calibration("packed", "packed.fits", 7, "2013-01-01", "2013-12-31"),
    calibration("both", "both.fits", 7, "2013-01-01", "2013-01-31"),
    calibration("both", "both.fits.fz", 7, "2013-02-01", "2013-12-31"),
]  # fmt: skip


def file(kind: str, name: str, compression: str = "", **columns: Any) -> Any:
    return {**raw(name, name + compression + kind, **columns), "filetype": kind, "compression": compression}


@pytest.fixture(scope="module")
def survey(postgres: Embedded, template: str) -> Iterator[Registry]:
    raws = [file("raw", f"r{v}-{c}.fits", visit=v, ccd=c, filter="ri"[v % 2], dateobs=day, taken="2013-01-15T00:00:00")
            for v, day in DAYS.items() for c in (7, 8)]  # fmt: skip
    biases = [file("bias", row["filename"], ccd=row["ccd"]) for row in LOOKUP[:4]]
    others = [
        file(row["filetype"], row["filename"]) for row in LOOKUP[4:] if row["filetype"] in ("flat", "dark", "twice")
    ]
    packed = [file("packed", "packed.fits", ".fz"), file("both", "both.fits"), file("both", "both.fits", ".fz")]
    overlap = [{"version": "o1", "tract": 0, "patch": p, "visit": v, "ccd": c, "filter": "ri"[v % 2]}
               for v in (*DAYS, 99) for c in (7, 8) for p in (("0,0", "0,1") if v < 3 else ("0,1",))]  # fmt: skip
    tags = [{"version": "t1", "tag": tag, "visit": v} for tag, v in (("good", 1), ("good", 2), ("deep", 2))]
    tags.append({"version": "t2", "tag": "good", "visit": 3})
    bad = [
        {"version": "b1", "visit": 2, "ccd": 8, "code": "trail"},
        {"version": "b1", "visit": 4, "ccd": -1, "code": "moon"},
    ]
    contents = [(("o.txt", ""), "overlap", overlap), (("l.csv", ""), "calibration_lookup", LOOKUP),
                (("t.csv", ""), "visit_tag", tags), (("b.csv", ""), "blacklist", bad)]  # fmt: skip
    tables = [file("table", name) for name in ("o.txt", "l.csv", "t.csv", "b.csv")]
    with Registry.open(make_database(postgres, template)) as opened:
        opened.ingest("all", TYPES, [*raws, *biases, *others, *packed, *tables], contents)
        yield opened


FIXED = ["--tract", "0", "--overlap-version", "o1", "--calibration-version", "c1", "--filetype", "raw"]


def asked(registry: Registry, *words: str) -> list[str]:
    """Return each line as the names of its files, by nickname."""
    lines = ask("processccd", [*FIXED, *words], registry.rows)
    return [" ".join(f"{nick}={row['filename']}{row['compression']}" for nick, row in line.items()) for line in lines]


def test_each_raw_comes_with_what_was_valid_that_day(survey: Registry) -> None:
    found = asked(survey, "--calibration", "bias", "--calibration", "f=flat")
    assert found == [
        "raw=r1-7.fits bias=bias7-0.fits f=flat7-i.fits",
        "raw=r1-8.fits bias=bias8-0.fits f=flat8-i.fits",
        "raw=r2-7.fits bias=bias7-1.fits f=flat7-r.fits",
        "raw=r3-7.fits bias=bias7-1.fits f=flat7-i.fits",
        "raw=r3-8.fits bias=bias8-1.fits f=flat8-i.fits",
    ]
    assert asked(survey) == [line.split()[0] for line in found]


@pytest.mark.parametrize(
    ("words", "raws"),
    [
        (["--with-blacklisted"], "1-7 1-8 2-7 2-8 3-7 3-8 4-7 4-8"),
        (["--blacklist-code", "moon"], "1-7 1-8 2-7 2-8 3-7 3-8"),
        (["--blacklist-code", "moon,trail"], "1-7 1-8 2-7 3-7 3-8"),
        (["--blacklist-version", "none"], "1-7 1-8 2-7 2-8 3-7 3-8 4-7 4-8"),
        (["--patch", "0,0"], "1-7 1-8 2-7"),
        (["--filter", "i"], "1-7 1-8 3-7 3-8"),
        (["--filter", "i,r", "--ccd", "7"], "1-7 2-7 3-7"),
        (["--filter", "x' or '1'='1"], ""),
        (["--visit", "2:3", "--ccd", "!7"], "3-8"),
        (["--tag", "good"], "1-7 1-8 2-7 3-7 3-8"),
        (["--tag", "good", "--tag-version", "t1"], "1-7 1-8 2-7"),
        (["--tag", "good,deep", "--tag-version", "t1", "--visit", "2"], "2-7"),
        (["--tag", "nothing"], ""),
        (["--tract", "5"], ""),
    ],
)
def test_raws_are_chosen_by_what_is_known_of_their_visits(survey: Registry, words: list[str], raws: str) -> None:
    assert asked(survey, *words) == [f"raw=r{name}.fits" for name in raws.split()]


def test_a_raw_without_a_calibration_is_told_unless_that_is_optional(survey: Registry) -> None:
    with pytest.raises(MissingInputError) as caught:
        asked(survey, "--calibration", "bias", "--calibration", "dark", "--visit", "1")
    assert caught.value.message == "processccd query: r1-8.fits (visit 1, ccd 8, filter i, 2013-01-31) has no dark"
    assert asked(survey, "--calibration", "bias", "--optional", "d=dark", "--visit", "1") == [
        "raw=r1-7.fits bias=bias7-0.fits d=dark7.fits", "raw=r1-8.fits bias=bias8-0.fits",
    ]  # fmt: skip
    with pytest.raises(MissingInputError) as caught:
        asked(survey, "--calibration", "x=none", "--calibration", "y=none", "--calibration", "none")
    assert caught.value.message.count("has no none") == 10 and caught.value.message.endswith("and 5 more")
    with pytest.raises(MissingInputError, match=r"has no gone: gone\.fits is not registered"):
        asked(survey, "--calibration", "gone", "--visit", "1", "--ccd", "7")


def test_several_valid_calibrations_are_named_optional_or_not(survey: Registry) -> None:
    for option in ("--calibration", "--optional"):
        with pytest.raises(InputError) as caught:
            asked(survey, option, "twice", "--ccd", "7", "--visit", "1,3")
        assert caught.value.message == (
            "processccd query: r1-7.fits (visit 1, ccd 7, filter i, 2013-01-31) has several twice: a.fits, b.fits"
        )
    assert asked(survey, "--calibration", "twice", "--ccd", "7", "--visit", "3") == ["raw=r3-7.fits twice=a.fits"]


def test_a_calibration_may_be_registered_compressed(survey: Registry) -> None:
    one = ["--ccd", "7", "--calibration"]
    assert asked(survey, *one, "packed", "--visit", "1") == ["raw=r1-7.fits packed=packed.fits.fz"]
    assert asked(survey, *one, "both", "--visit", "2") == ["raw=r2-7.fits both=both.fits.fz"]
    with pytest.raises(InputError, match=r"has several both: both\.fits, both\.fits\.fz"):
        asked(survey, *one, "both", "--visit", "1")


def test_the_date_may_be_in_another_column_and_must_be_one(survey: Registry) -> None:
    words = ["--calibration", "bias", "--visit", "3", "--ccd", "7", "--date-column"]
    assert asked(survey, *words, "taken") == ["raw=r3-7.fits bias=bias7-0.fits"]
    with pytest.raises(InputError, match="raws have no column 'day'\n  name theirs: --date-column"):
        asked(survey, *words, "day")
    with pytest.raises(InputError, match=r"filter of r3-7\.fits is 'i', no date"):
        asked(survey, *words, "filter")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--calibration", "raw"], "'raw' needs a nickname of its own"),
        (["--calibration", "bias", "--optional", "bias=dark"], "'bias=dark' needs a nickname of its own"),
        (["--calibration", "bias="], "'bias=' needs a nickname"),
        (["--visit", "1*"], "visit is compared with '1\\*': '\\*' looks like a regular expression"),
        (["--calib", "bias"], "unrecognized arguments: --calib bias"),
    ],
)
def test_arguments_that_make_no_sense(survey: Registry, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked(survey, *words)


CAMPAIGN = """
<module calibrate>
    wrappername = generic
    wrapperloop = visit, ccd
    loopobj = file.raw
    <exec_1>
        execname = calibrate
        used = file.raw, file.bias, file.dark
        was_generated_by = file.img
        ancestry = file.raw:file.img
        <cmdline>
            _01 = ${file.raw.fullname}
            bias = ${file.bias.fullname}
            dark = $opt{file.dark.fullname}
        </cmdline>
    </exec_1>
    <file>
        <raw>
            exec = processccd
            args = ${calibrations}
            divide_by = visit, ccd
            dirpat = d
        </raw>
        <bias>
            exec = processccd
            args = ${calibrations}
            match = visit, ccd
            dirpat = d
        </bias>
        <dark>
            exec = processccd
            args = ${calibrations}
            match = visit, ccd
            optional = True
            dirpat = d
        </dark>
        <img>
            filetype = img
            filepat = out
            flabel = img
            dirpat = d
        </img>
    </file>
</module>
"""


def test_a_module_takes_each_file_of_a_line_by_its_nickname(survey: Registry) -> None:
    arguments = " ".join([*FIXED, "--calibration bias --optional dark --visit 1"])
    whole = f"calibrations = {arguments}\n" + text(CAMPAIGN, b="calibrate")
    plan = planned(read(loads(whole, "c.wcl")), survey)
    assert [q.execs[0].argv for q in plan.quanta] == [
        ("calibrate", "d/r1-7.fits", "-bias", "d/bias7-0.fits", "-dark", "d/dark7.fits"),
        ("calibrate", "d/r1-8.fits", "-bias", "d/bias8-0.fits", "-dark"),
    ]
    assert len({(q.program, q.arguments, q.rows) for q in plan.queries}) == 1 and len(plan.queries) == 3
