"""Outputs from the campaign to the archive: cards, compression, reuse, what failures leave; with the local engine."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from astropy.io import fits
from database import make_database
from e2e.world import BIN, World

from facade.registry.connection import Address
from facade.registry.embedded import Embedded

pytest_plugins = ["database"]

CAMPAIGN = """
project = OUT
campaign = outputs
reqnum = 5
unitname = u
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
run = r${reqnum}p${attnum:2}
blocklist = night
<block night>
    modulelist = expose, add
</block>
n = 9, 10
compression_exec = gzip
compression_args = -n ${__UCFILE__}
compression_suffix = .gz
MORE
<job_environment>
    path = PATHS
</job_environment>
<filename_pattern>
    image = image-${n}-${run}.fits
    sum = sum-${run}.txt
    list = ${modulename}-w${wrapnum:5}-${run}.list
</filename_pattern>
<directory_pattern>
    <top>
        ops = ${ops_run_dir}
        runtime = out
    </top>
</directory_pattern>
<filetype_metadata>
    <image>
        metadata_table = out_image
        <columns>
            n = int
            band = text header:BAND
        </columns>
    </image>
    <sum>
    </sum>
</filetype_metadata>
<module expose>
    wrappername = generic
    wrapperloop = n
    <exec_1>
        execname = expose
        was_generated_by = file.image
        <cmdline>
            _1 = ${n}
            _2 = ${file.image.fullname}
        </cmdline>
    </exec_1>
    <file>
        <image>
            filetype = image
            filepat = image
            dirpat = top
            compress_files = True
            <hdrupd_primary>
                band = r-${n}/filter/str
                desfname = ${file.image.filename}/own name/str
            </hdrupd_primary>
        </image>
    </file>
</module>
<module add>
    wrappername = generic
    <exec_1>
        execname = sh
        used = list.images.image
        was_generated_by = file.sum
        ancestry = list.images.image:file.sum
        <cmdline>
            c = 'cat $(cat ${list.images.fullname}) | wc -c > ${file.sum.fullname}'
        </cmdline>
    </exec_1>
    <list>
        <images>
            depends = expose.file.image
            columns = image.fullname
            sortkey = n
            filepat = list
            dirpat = top
        </images>
    </list>
    <file>
        <image>
            listonly = True
            dirpat = top
        </image>
        <sum>
            filetype = sum
            filepat = sum
            dirpat = top
        </sum>
    </file>
</module>
"""
LOOK = """
<<include base.wcl>>
reqnum = 6
blocklist = look
<block look>
    modulelist = look
</block>
<module look>
    wrappername = generic
    <exec_1>
        execname = sh
        used = list.images.image
        was_generated_by = file.sum
        ancestry = list.images.image:file.sum
        <cmdline>
            c = 'xargs zcat < ${list.images.fullname} | wc -c > ${file.sum.fullname}'
        </cmdline>
    </exec_1>
    <list>
        <images>
            query_fields = filetype
            filetype = image
            columns = image.fullname
            sortkey = n
            filepat = list
            dirpat = top
        </images>
    </list>
    <file>
        <image>
            listonly = True
            dirpat = top
        </image>
        <sum>
            filetype = sum
            filepat = sum
            dirpat = top
        </sum>
    </file>
</module>
"""
EXPOSE = """#!{python}
import sys
from astropy.io import fits
fits.PrimaryHDU([[int(sys.argv[1])] * 10] * 10).writeto(sys.argv[2])
open("scratch", "w").write("nobody declared this")
{more}
"""


@pytest.fixture
def home(tmp_path: Path, postgres: Embedded, template: str) -> World:
    """A home with a database of its own."""
    address: Address = make_database(postgres, template)
    return World(tmp_path, address.environment())


def campaign(home: World, more: str = "", program: str = "") -> Path:
    folder = home.home / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "expose").write_text(EXPOSE.format(python=BIN / "python", more=program))
    (folder / "expose").chmod(0o755)
    path = home.home / "base.wcl"
    path.write_text(CAMPAIGN.replace("MORE", more).replace("PATHS", f"{folder}:{BIN}:/usr/bin:/bin"))
    return path


def archived(home: World, attempt: int = 1) -> dict[str, Path]:
    folder = home.home / f"archive/OUT/r5/p{attempt:02}"
    return {path.name: path for path in folder.rglob("*") if path.is_file() and "log" not in path.parts}


def test_from_the_campaign_to_the_archive_and_back(home: World) -> None:
    path = campaign(home)
    home.facade("check", path)
    home.facade("submit", path, "--wait", "-j", 2)
    found = archived(home)
    images = [f"image-{n}-r5p01.fits.gz" for n in (9, 10)]
    assert set(found) == {*images, "sum-r5p01.txt", "add-w00003-r5p01.list"}
    for n, name in zip((9, 10), images, strict=True):
        with fits.open(io.BytesIO(gzip.decompress(found[name].read_bytes()))) as hdus:
            assert (hdus[0].header["BAND"], hdus[0].header["DESFNAME"]) == (f"r-{n}", name.removesuffix(".gz"))
    rows = home.rows(
        "select d.filename, d.compression, d.checksum, d.filesize, m.n, m.band, t.name as maker,"
        " l.path is not null as here"
        " from desfile d join out_image m on m.desfile_id = d.id join task t on t.id = d.wgb_task_id"
        " left join file_location l on l.desfile_id = d.id where d.filetype = 'image' order by m.n, d.compression"
    )
    assert [(r["compression"], r["n"], r["band"], r["maker"], r["here"]) for r in rows] == [
        ("", 9, "r-9", "expose", False), (".gz", 9, "r-9", "gzip", True),
        ("", 10, "r-10", "expose", False), (".gz", 10, "r-10", "gzip", True),
    ]  # fmt: skip
    for row in rows:
        if row["here"]:
            data = found[row["filename"] + row["compression"]].read_bytes()
            plain = next(one for one in rows if (one["n"], one["compression"]) == (row["n"], ""))
            assert hashlib.sha256(data).hexdigest() == row["checksum"]
            assert hashlib.sha256(gzip.decompress(data)).hexdigest() == plain["checksum"]
    assert int(found["sum-r5p01.txt"].read_text()) == sum(r["filesize"] for r in rows if not r["compression"])
    up = {row["file"] if "file" in row else row["filename"] for row in home.json("provenance", images[0])}
    assert "image-9-r5p01.fits" in up

    # the same again is not made again, as long as the compressed files are there
    assert "nothing to run, 3 reused from u_r5p01" in home.facade("submit", path, "--dry-run").stdout
    found[images[0]].unlink()
    found["sum-r5p01.txt"].unlink()
    home.facade("submit", path, "--wait")
    assert {"image-9-r5p02.fits.gz", "sum-r5p02.txt"} <= set(archived(home, 2))


def test_what_was_made_from_a_file_that_is_kept_compressed_is_made_again(home: World) -> None:
    """In the job its maker's output lay beside it, as it was; only the compressed one went home."""
    home.facade("submit", campaign(home), "--wait", "-j", 2)
    for name in ("sum-r5p01.txt", "image-9-r5p01.fits", "image-9-r5p01.fits.gz"):
        assert home.json("reproduce", name)["verdict"] == "same"
    image = archived(home)["image-9-r5p01.fits.gz"]
    whole = image.read_bytes()
    image.write_bytes(gzip.compress(b"other"))
    home.facade("reproduce", "sum-r5p01.txt", code=1)
    image.unlink()
    assert "is not in the archive" in home.facade("reproduce", "sum-r5p01.txt", code=3).stderr
    home.facade("compare", "--forget-missing")
    told = home.facade("reproduce", "sum-r5p01.txt", code=3).stderr
    assert "lies nowhere any more: image-9-r5p01.fits" in told and "image-10" not in told
    image.write_bytes(whole)
    home.facade("compare", "--register-missing-location")
    assert home.json("reproduce", "sum-r5p01.txt")["verdict"] == "same"


def test_a_query_finds_the_compressed_files_and_only_those_of_success(home: World) -> None:
    fails = "raise SystemExit(sys.argv[1] == '10')"
    path = campaign(home, "master_savefiles = failure", fails)
    home.facade("submit", path, "--wait", code=1)
    assert set(archived(home)) == {"image-9-r5p01.fits.gz", "image-10-r5p01.fits.failed"}
    [failed] = home.rows(
        "select d.filetype, l.path, t.name from desfile d join task t on t.id = d.wgb_task_id"
        " join file_location l on l.desfile_id = d.id where d.filename like '%failed'"
    )
    assert (failed["filetype"], failed["path"], failed["name"]) == ("failed", "OUT/r5/p01", "expose")
    [packed] = home.rows(
        "select d.filename, d.compression, l.path from desfile d join file_location l on l.desfile_id = d.id"
        " where d.filetype = 'junk'"
    )
    with tarfile.open(home.home / "archive" / packed["path"] / (packed["filename"] + packed["compression"])) as tar:
        assert tar.getnames() == ["scratch"]
    look = home.home / "look.wcl"
    look.write_text(LOOK)
    home.facade("submit", look, "--wait")
    assert int((home.home / "archive/OUT/r6/p01/sum-r6p01.txt").read_text()) == 2880 * 2
    # what failed is made again under its own name
    campaign(home, "master_savefiles = failure")
    home.facade("resume", "u_r5p01", "--wait")
    assert {"image-10-r5p01.fits.gz", "image-10-r5p01.fits.failed", "sum-r5p01.txt"} <= set(archived(home))
