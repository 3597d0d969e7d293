"""A small survey to ask about: two raws and two biases, reduced, stacked, measured; three attempts, one failed.

Its names are those of the examples in sql/queries. In attempt 1 the measurement fails; attempt 2 takes what 1 made and
measures; attempt 3 makes all of it again, with another ``clip``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from database import make_database
from e2e.kept import copied_world
from e2e.world import World

from facade.registry import Registry
from facade.registry.connection import Address
from facade.registry.embedded import Embedded
from facade.registry.values import FileType, NewFile

CAMPAIGN = """
project = MMG
campaign = asking
reqnum = 11
unitname = Ht0
mode = fine
clip = 3
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
run = r${reqnum}p${attnum:2}
blocklist = single, coadd
<block single>
    modulelist = processccd
    divide_jobs_by = visit, ccd
</block>
<block coadd>
    modulelist = assemble, detect
</block>
<job_environment>
    path = HOME/bin:/usr/bin:/bin
</job_environment>
<qcf>
    <patterns>
        <error>
            pattern = ^ERROR
        </error>
        <warning>
            pattern = ^warning
            lvl = 2
        </warning>
    </patterns>
</qcf>
<filename_pattern>
    calexp = calexp-${visit}-${ccd}-${run}.fits
    coadd = calexp-HSC-I-0-0x1-${run}.fits
    det = det-HSC-I-0-0x1-${run}.txt
    list = ${modulename}-w${wrapnum:5}-${run}.list
</filename_pattern>
<directory_pattern>
    <d>
        ops = ${ops_run_dir}
        runtime = data
    </d>
</directory_pattern>
<filetype_metadata>
    <raw>
        metadata_table = image
        <columns>
            visit = int
            ccd = int
        </columns>
    </raw>
    <bias>
        metadata_table = calibration
        <columns>
            ccd = int
        </columns>
    </bias>
    <calexp>
        metadata_table = image
        <columns>
            visit = int
            ccd = int
        </columns>
    </calexp>
    <deepcoadd_calexp>
    </deepcoadd_calexp>
    <det>
    </det>
</filetype_metadata>
<module processccd>
    wrappername = generic
    wrapperloop = visit, ccd
    loopobj = file.raw
    <exec_1>
        execname = reduce
        version_flag = --version
        used = file.raw, file.bias
        was_generated_by = file.calexp
        ancestry = file.raw:file.calexp, file.bias:file.calexp
        <cmdline>
            _01 = ${file.raw.fullname}
            _02 = ${file.bias.fullname}
            _03 = ${file.calexp.fullname}
        </cmdline>
    </exec_1>
    <file>
        <raw>
            filetype = raw
            query_fields = filetype
            output_fields = visit, ccd
            divide_by = visit, ccd
            dirpat = d
        </raw>
        <bias>
            filetype = bias
            query_fields = filetype
            output_fields = ccd
            divide_by = ccd
            dirpat = d
        </bias>
        <calexp>
            filetype = calexp
            filepat = calexp
            dirpat = d
        </calexp>
    </file>
</module>
<module assemble>
    wrappername = generic
    <exec_1>
        execname = stack
        used = list.calexps.calexp
        was_generated_by = file.coadd
        ancestry = list.calexps.calexp:file.coadd
        <cmdline>
            _01 = ${list.calexps.fullname}
            _02 = ${file.coadd.fullname}
            _03 = ${clip}
        </cmdline>
    </exec_1>
    <list>
        <calexps>
            depends = processccd.file.calexp
            sortkey = visit, ccd
            columns = calexp.fullname
            filepat = list
            dirpat = d
        </calexps>
    </list>
    <file>
        <calexp>
            listonly = True
            dirpat = d
        </calexp>
        <coadd>
            filetype = deepcoadd_calexp
            filepat = coadd
            dirpat = d
        </coadd>
    </file>
</module>
<module detect>
    wrappername = generic
    <exec_1>
        execname = measure
        used = file.coadd
        was_generated_by = file.det
        ancestry = file.coadd:file.det
        <cmdline>
            _01 = ${file.coadd.fullname}
            _02 = ${file.det.fullname}
            _03 = ${mode}
        </cmdline>
    </exec_1>
    <file>
        <coadd>
            depends = assemble.file.coadd
            dirpat = d
        </coadd>
        <det>
            filetype = det
            filepat = det
            dirpat = d
        </det>
    </file>
</module>
"""
FITS = """#!PYTHON -IS
import datetime, os, sys
BESIDE = os.path.dirname(__file__)
def write(name, data, **more):
    now = datetime.datetime.now().isoformat()
    values = {"SIMPLE": "T", "BITPIX": "8", "NAXIS": "1", "NAXIS1": str(len(data)), "DATE": f"'{now}'", **more}
    head = "".join(f"{key:8}= {value:>20}".ljust(80) for key, value in values.items()) + "END".ljust(80)
    with open(name, "wb") as out:
        out.write(head.ljust(-(-len(head) // 2880) * 2880).encode())
        out.write(data.ljust(-(-len(data) // 2880) * 2880, bytes(1)))
def read(name):
    with open(name, "rb") as stream:
        return stream.read()
"""
PROGRAMS = {
    "reduce": FITS
    + """
if sys.argv[1] == "--version":
    print(open(BESIDE + "/version").read())
    sys.exit()
raw, bias, out = sys.argv[1:]
noise = os.urandom(8) if os.path.exists(BESIDE + "/noisy") else b""
print("warning: 3 saturated stars in", raw)
write(out, read(raw) + read(bias) + noise)
""",
    "stack": FITS
    + """
names, out, clip = sys.argv[1:]
data = b"".join(read(name)[2880:] for name in open(names).read().split())
write(out, data, CLIP=clip)
""",
    "measure": FITS
    + """
coadd, out, mode = sys.argv[1:]
if mode == "broken":
    print("ERROR: no sources in HSC-I")
    sys.exit(3)
open(out, "w").write(f"{sum(read(coadd)[2880:])} counts\\n")
""",
}


@dataclass(frozen=True)
class Place:
    """A home with three attempts, and its database."""

    world: World
    address: Address

    @property
    def home(self) -> Path:
        return self.world.home

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    def product(self, name: str, attnum: int = 1) -> Path:
        return self.archive / f"MMG/r11/p{attnum:02d}/{name}"

    def listed(self, *words: str) -> list[str]:
        """Return the names that ``facade files`` tells."""
        return [one["filename"] for one in self.world.json("files", *words)]

    def answer(self, *words: str, code: int = 0) -> Any:
        """Return what a command that exits with *code* says with ``--json``."""
        return json.loads(self.world.facade(*words, "--json", code=code).stdout)

    def present(self) -> set[str]:
        """Return what lies in the archive."""
        return {str(path.relative_to(self.archive)) for path in self.archive.rglob("*") if path.is_file()}


def furnish(home: Path, address: Address) -> None:
    """Write campaign and programs, register raws and biases."""
    (home / "archive/raw").mkdir(parents=True)
    (home / "campaign.wcl").write_text(CAMPAIGN.replace("HOME", str(home)))
    (home / "bin").mkdir()
    (home / "bin/version").write_text("reduce 1.0")
    for name, text in PROGRAMS.items():
        (home / "bin" / name).write_text(text.replace("PYTHON", sys.executable))
        (home / "bin" / name).chmod(0o755)
    files = [_raw(home, f"HSCA903986{16 + 6 * at}.fits", "raw", visit=903334, ccd=16 + 6 * at) for at in (0, 1)]
    files += [_raw(home, f"BIAS-sim59-{ccd:03d}.fits", "bias", ccd=ccd) for ccd in (16, 22)]
    types: dict[str, FileType] = {
        "raw": {"metadata_table": "image", "columns": {"visit": {"type": "int"}, "ccd": {"type": "int"}}},
        "bias": {"metadata_table": "calibration", "columns": {"ccd": {"type": "int"}}},
    }
    with Registry.open(address) as registry:
        registry.set_archive("home", str(home / "archive"))
        registry.ingest("raws", types, files)


def _raw(home: Path, name: str, filetype: str, **metadata: int) -> NewFile:
    text = f"{filetype} {name}\n"
    (home / "archive/raw" / name).write_text(text)
    return {
        "filename": name, "compression": "", "filetype": filetype, "size": len(text), "path": "raw",
        "checksum": hashlib.sha256(text.encode()).hexdigest(), "archive": "home", "metadata": metadata,
    }  # fmt: skip


@pytest.fixture(scope="session")
def survey(postgres: Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home in which three attempts were made, as a copy of it, and its database, to be copied too."""
    folder, address = tmp_path_factory.mktemp("asking"), make_database(postgres, template)
    (folder / "home").mkdir()
    furnish(folder / "home", address)
    world = World(folder / "home", address.environment())
    world.facade("submit", "campaign.wcl", "--wait", "--set", "mode=broken", code=1)
    world.facade("submit", "campaign.wcl", "--wait")
    world.facade("submit", "campaign.wcl", "--wait", "--reuse", "none", "--set", "clip=5")
    world.facade("tag", "Ht0_r11p01", "PROTO-0.1")
    (folder / "home").rename(folder / "model")
    return folder, address.url.rpartition("/")[2]


@pytest.fixture
def place(survey: tuple[Path, str], postgres: Embedded) -> Iterator[Place]:
    """The home as it was after the third attempt, always under one path."""
    folder, database = survey
    with copied_world(folder, postgres, database) as (world, address):
        yield Place(world, address)
