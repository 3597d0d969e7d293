"""Campaigns for tests: the demo with made-up rows, and a small one put together from module texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from facade.campaign import Campaign, read
from facade.errors import CampaignError
from facade.plan import Inputs, Plan, plan
from facade.plan.datasets import Row
from facade.wcl import load, loads

WCL = Path(__file__).parents[1] / "wcl"
VISITS = {"HSC-R": (903334, 903336, 903338, 903342), "HSC-I": (903986, 903988, 903990, 904010)}
CCDS = (16, 23)
PATCHES = ("0,0", "0,1", "1,0", "1,1")

HEAD = """
project = P
campaign = C
reqnum = 7
unitname = u
ops_run_dir = ${project}/r${reqnum}p${attnum:2}
<filename_pattern>
    out = ${flabel}-${visit}-${ccd:3}-r${reqnum}p${attnum:2}.fits
    visit = ${flabel}-${visit}-r${reqnum}p${attnum:2}.fits
    one = ${flabel}-r${reqnum}p${attnum:2}.fits
    list = ${modulename}-w${wrapnum:5}-p${attnum:2}.list
</filename_pattern>
<directory_pattern>
    <d>
        ops = ${ops_run_dir}/d
        runtime = d
    </d>
</directory_pattern>
<filetype_metadata>
    <raw>
    </raw>
    <img>
        metadata_table = image
        <columns>
            visit = int
            ccd = int
            band = text
            seeing = float header:SEEING
        </columns>
    </img>
</filetype_metadata>
"""

REDUCE = """
<module reduce>
    wrappername = generic
    wrapperloop = visit, ccd
    loopobj = file.raw
    <exec_1>
        execname = reduce
        used = file.raw
        was_generated_by = file.img
        ancestry = file.raw:file.img
        <cmdline>
            i = ${file.raw.fullname}
            o = ${file.img.fullname}
        </cmdline>
    </exec_1>
    <file>
        <raw>
            exec = find
            divide_by = visit, ccd
            dirpat = d
        </raw>
        <img>
            filetype = img
            filepat = out
            flabel = img
            dirpat = d
        </img>
    </file>
</module>
"""

STACK = """
<module stack>
    wrappername = generic
    wrapperloop = visit
    loopobj = list.imgs
    <exec_1>
        execname = stack
        used = list.imgs.img
        was_generated_by = file.coadd
        ancestry = list.imgs.img:file.coadd
        <cmdline>
            l = ${list.imgs.fullname}
            o = ${file.coadd.fullname}
        </cmdline>
    </exec_1>
    <list>
        <imgs>
            depends = reduce.file.img
            divide_by = visit
            sortkey = ccd
            columns = img.fullname, img.ccd
            filepat = list
            dirpat = d
        </imgs>
    </list>
    <file>
        <img>
            listonly = True
            dirpat = d
        </img>
        <coadd>
            filetype = img
            filepat = visit
            flabel = coadd
            dirpat = d
        </coadd>
    </file>
</module>
"""


def text(*modules: str, **blocks: str) -> str:
    """Return a campaign of *modules*; *blocks* name their modules (by default one block of reduce and stack)."""
    blocks = blocks or {"b": "reduce, stack"}
    sections = "".join(f"<{name}>\nmodulelist = {members}\n</{name}>\n" for name, members in blocks.items())
    return f"{HEAD}blocklist = {', '.join(blocks)}\n<block>\n{sections}</block>\n" + "".join(modules or (REDUCE, STACK))


def small(whole: str | None = None) -> Campaign:
    """Return the campaign that *whole* describes, or the small one."""
    return read(loads(whole or text(), "c.wcl"))


def raw(visit: int | str, ccd: int | str, **columns: str | int | float | None) -> dict[str, str | int | float | None]:
    """Return the registry's row of a raw file."""
    name = f"raw-{visit}-{ccd}.fits"
    return {"filename": name, "compression": "", "filetype": "raw", "filesize": 9, "checksum": "a" * 64, "path": "raw",
            "visit": visit, "ccd": ccd, **columns}  # fmt: skip


RAWS = tuple(raw(visit, ccd, band="r") for visit in (9, 10) for ccd in (1, 2))


def lines(nick: str, rows: Sequence[Row]) -> list[Mapping[str, Row]]:
    """Return lines of one file each."""
    return [{nick: row} for row in rows]


def planned(whole: str | None = None, rows: Sequence[Row] = RAWS, **names: str) -> Plan:
    """Return the plan of a small campaign for rows of ``reduce.file.raw``; *names* maps ready file names to types."""
    known = {n: {"filename": n, "compression": "", "filetype": t, "path": "p"} for n, t in names.items()}
    return plan(small(whole), Inputs({"reduce.file.raw": lines("raw", rows)}, known))


def demo() -> Campaign:
    """Return the demo campaign."""
    return read(load(WCL / "demo/campaign.wcl"))


def demo_names() -> dict[str, Row]:
    """Return the files that the demo names outright."""
    names = ("butler_template.yaml", "refcat-sim59.tar", "skymap-sim59.json")
    return {n: {"filename": n, "compression": "", "filetype": "x", "filesize": 1, "path": "p"} for n in names}


def demo_datasets() -> dict[str, list[Mapping[str, Row]]]:
    """Return rows as the demo's queries find them: 2 filters of 4 visits, 2 ccds, 4 patches that all overlap."""
    raws: list[Row] = [
        {"filename": f"HSCA{visit}{ccd}.fits", "compression": "", "filetype": "hsc_raw", "filesize": 1, "path": "raw",
         "checksum": "a" * 64, "visit": visit, "ccd": ccd, "filter": band, "field": "F", "dateobs": "2013-06-17",
         "taiobs": "2013-06-17", "pointing": 533, "exptime": 60.0}
        for band, visits in VISITS.items() for visit in visits for ccd in CCDS
    ]  # fmt: skip
    unnamed = [{k: v for k, v in r.items() if k in ("visit", "ccd", "filter")} for r in raws]
    overlaps: list[Row] = [
        {"tract": 0, "patch": patch, "patchname": patch.replace(",", "x"), **r} for patch in PATCHES for r in unnamed
    ]
    bias = [calibration("bias", ccd=ccd) for ccd in CCDS]
    flat = [calibration("flat", ccd=ccd, filter=band) for ccd in CCDS for band in VISITS]
    return {
        "create_butler_registry.list.raws": lines("raws", raws),
        "processccd.file.raw": lines("raw", raws),
        "processccd.file.bias": lines("bias", bias),
        "processccd.file.flat": lines("flat", flat),
        "make_coadd_temp_exp.list.corr": lines("corr", overlaps),
    }


def calibration(kind: str, **columns: str | int) -> Row:
    """Return the registry's row of a calibration."""
    name = "-".join([kind, *map(str, columns.values())])
    return {"filename": f"{name}.fits", "compression": "", "filetype": f"hsc_{kind}", "path": "calib", **columns}


def demo_plan() -> Plan:
    """Return the plan of the demo."""
    return plan(demo(), Inputs(demo_datasets(), demo_names()))


def told(error: object) -> str:
    """Return what an error says, without the codes of its faults: tests/cases/errors holds them."""
    return re.sub(r" \[F[0-9]{3}\]", "", str(error))


def faults_of(reading: Callable[[], object], code: str) -> list[str]:
    """Return what the faults say that *reading* raises, all of which must have *code*."""
    with pytest.raises(CampaignError) as caught:
        reading()
    assert {fault.code for fault in caught.value.faults} == {code}
    return [told(fault) for fault in caught.value.faults]
