"""What ingestors find in files, and what they say about files of another kind."""

from __future__ import annotations

import gzip
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits as astropy_fits

from facade import plugins
from facade.errors import InputError
from facade.ingestors import fits

RAW = {
    "EXP-ID": "HSCE00903334", "FRAMEID": "HSCA90333416", "DET-ID": 16, "FILTER01": "HSC-i", "MJD": 56460.47,
    "DATE-OBS": "2013-06-17", "OBJECT": "STRIPE 82/L-3", "EXPTIME": 30.0, "AIRMASS": 1.2, "PROP-ID": "o13015",
    "INST-PA": 90.0, "RA": "21:19:59.984", "DEC": "-00:30:00.06", "DATA-TYP": "OBJECT",
}  # fmt: skip
NAMES = """visit ccd filter pointing dateobs taiobs field exptime airmass proposal frameid expid pa ra dec datatype
    nonesuch"""
COLUMNS = dict.fromkeys(NAMES.split(), "")


def write(path: Path, header: dict[str, Any], *extensions: tuple[str, dict[str, Any]]) -> Path:
    hdus = astropy_fits.HDUList([astropy_fits.PrimaryHDU()])
    hdus[0].header.update(header)
    for name, values in extensions:
        hdu = astropy_fits.ImageHDU(name=name)
        hdu.header.update(values)
        hdus.append(hdu)
    hdus.writeto(path)
    return path


def hsc(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    header = RAW | {key.replace("_", "-"): value for key, value in changes.items()}
    path = write(tmp_path / "raw.fits", {key: value for key, value in header.items() if value is not None})
    return plugins.ingestor("hsc_raw").metadata(path, COLUMNS)


def test_plain_looks_into_nothing(tmp_path: Path) -> None:
    plain = plugins.ingestor("plain")
    assert plain.metadata(tmp_path / "nowhere", {"a": "", "b": "header:X"}) == {"a": None, "b": None}
    assert plain.contents(tmp_path / "nowhere") is None


def test_header_columns(tmp_path: Path) -> None:
    header = {"SEEING": 0.7, "N": 5, "FLAG": True, "NAME": "x  ", "VOID": ""}
    path = write(tmp_path / "a.fits", header, ("SCI", {"GAIN": 3.5}), ("VAR", {"GAIN": 4, "ONLYVAR": 1}))
    wanted = {
        "seeing": "header:SEEING", "n": "header:N", "flag": "header:FLAG", "name": "header:NAME", "visit": "",
        "blank": "header:VOID", "gain": "header:GAIN", "vargain": "header:VAR:GAIN", "none": "header:NONE",
        "noext": "header:NOEXT:GAIN", "onlyvar": "header:ONLYVAR",
    }  # fmt: skip
    assert plugins.ingestor("fits").metadata(path, wanted) == {
        "seeing": 0.7, "n": 5, "flag": True, "name": "x", "visit": None, "blank": None, "gain": 3.5, "vargain": 4,
        "none": None, "noext": None, "onlyvar": None,
    }  # fmt: skip


def test_a_file_that_ends_too_early_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    astropy_fits.PrimaryHDU(np.ones((100, 100), "f4"), astropy_fits.Header({"N": 5})).writeto(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: 2880 + 40_000])  # all data, but the last block is not full
    assert fits.headers(path, {"n": "header:N"}) == {"n": 5}
    path.write_bytes(whole[:30_000])
    with pytest.raises(
        InputError, match=r"a\.fits is a damaged FITS file: it ends in the data of HDU 0, after 30000 b"
    ):
        fits.headers(path, {"n": "header:N"})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("16", "int", 16),
        (16.0, "int", 16),
        (3, "float", 3.0),
        (None, "int", None),
        (5, "text", "5"),
        (True, "bool", True),
    ],
)
def test_header_values_as_columns(value: plugins.Scalar, kind: str, expected: plugins.Scalar) -> None:
    found = fits.typed(value, kind)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(("value", "kind"), [("x", "int"), (1.5, "int"), ("x", "float"), ("T", "bool")])
def test_header_values_of_another_kind(value: plugins.Scalar, kind: str) -> None:
    with pytest.raises(InputError, match=f"is no {kind}"):
        fits.typed(value, kind)


def test_a_raw_exposure(tmp_path: Path) -> None:
    found = hsc(tmp_path)
    assert math.isclose(found.pop("ra"), 319.99993333) and math.isclose(found.pop("dec"), -0.50001667, rel_tol=1e-6)
    assert found == {
        "visit": 903334, "ccd": 16, "filter": "HSC-I", "pointing": 533, "dateobs": "2013-06-17",
        "taiobs": "2013-06-17", "field": "STRIPE_82_L-3", "exptime": 30.0, "airmass": 1.2, "proposal": "o13015",
        "frameid": "HSCA90333416", "expid": "HSCE00903334", "pa": 90.0, "datatype": "OBJECT", "nonesuch": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expid", "frameid", "visit"),
    [
        ("HSCE00903334", "x", 903334),
        ("HSCA90333400", "x", 903334),
        ("HSCB00012400", "x", 1000124),
        ("HSCA00000000", "HSCA90333516", 903334),
        ("HSCA00000000", "HSCC00000416", 2000004),
    ],
)
def test_the_visit_of_an_exposure(tmp_path: Path, expid: str, frameid: str, visit: int) -> None:
    assert hsc(tmp_path, EXP_ID=expid, FRAMEID=frameid)["visit"] == visit


def test_other_rules_of_the_instrument(tmp_path: Path) -> None:
    assert hsc(tmp_path, OBJECT="#", MJD=55927 + 400.5, DET_ID=112)["ccd"] == 106
    (tmp_path / "raw.fits").unlink()
    found = hsc(tmp_path, OBJECT="#", MJD=None, DET_ID=112, RA=320.5)
    assert (found["field"], found["pointing"], found["ccd"], found["ra"]) == ("UNKNOWN", 533, 112, 320.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"EXP_ID": "SUPA0123"}, "EXP-ID 'SUPA0123' holds no visit"),
        ({"EXP_ID": None}, "its header has no EXP-ID"),
        ({"DET_ID": "x"}, "DET-ID 'x' is no CCD number"),
        ({"DATE_OBS": "today"}, "DATE-OBS 'today' is no date"),
        ({"DATE_OBS": "2013-02-30", "MJD": None}, "DATE-OBS '2013-02-30' is no date"),
        ({"RA": "21:xx:00"}, "RA '21:xx:00' is no coordinate"),
        ({"EXPTIME": "long"}, "'long' is no float"),
        ({"FILTER01": None}, "its header has no FILTER01"),
    ],
)
def test_what_is_no_raw_exposure(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        hsc(tmp_path, **changes)
    assert str(tmp_path / "raw.fits") in caught.value.message and message in caught.value.message


@pytest.mark.parametrize("name", ["fits", "hsc_raw"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"hello world\n", "it starts with b'hello world"),
        (gzip.compress(b"x", mtime=0), "it is gzip-compressed"),
        (b"SIMPLE  =                    T", "damaged"),
        (b"SIMPLE  = " + b"\xff" * 6000, "damaged"),
    ],
)
def test_files_that_are_not_fits(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / "no.fits"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        plugins.ingestor(name).metadata(path, {"visit": "header:VISIT"})
    assert str(path) in caught.value.message
    with pytest.raises(InputError, match="No such file"):
        plugins.ingestor(name).metadata(tmp_path / "nowhere", {"visit": ""})


def test_nothing_reaches_stderr(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.fits", RAW, ("SCI", {"GAIN": 1}))
    text = path.read_bytes()
    path.write_bytes(text[:2880] + text[2880:4000])
    code = (
        "import sys; from pathlib import Path; from facade import plugins; from facade.errors import InputError\n"
        "try: print(plugins.ingestor('fits').metadata(Path(sys.argv[1]), {'g': 'header:SCI:GAIN'}))\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == 0


def test_an_overlap_table(tmp_path: Path) -> None:
    path = tmp_path / "overlap.txt"
    path.write_text("# tract patch visit ccd filter\n\n0 0,1 903334 16 HSC-I\n9813 8,6 903336 4 HSC-R\n")
    overlap = plugins.ingestor("overlap")
    assert overlap.metadata(path, {"version": ""}) == {"version": None}
    expected = [
        {"tract": 0, "patch": "0,1", "patchname": "0x1", "visit": 903334, "ccd": 16, "filter": "HSC-I"},
        {"tract": 9813, "patch": "8,6", "patchname": "8x6", "visit": 903336, "ccd": 4, "filter": "HSC-R"},
    ]
    assert overlap.contents(path) == ("overlap", expected)
    path = tmp_path / "overlap.csv"
    path.write_text(
        '\ufefftract,visit,ccd,filter,patch,seeing\n0,903334,16,HSC-I,"0,1",1\n\n9813,903336,4,HSC-R,"8,6",\n'
    )
    assert overlap.contents(path) == ("overlap", expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0 0,1 903334 16\n", r"overlap.txt:1:1: expected 5 columns .*, found 4"),
        (b"# x\n0 0,1 vis 16 HSC-I\n", r"overlap.txt:2:1: visit 'vis' is no whole number"),
        (b"0 0,1 1 16 HSC-I\n0 0,1 1 16 HSC-I\n", r"overlap.txt:2:1: the same row stands on line 1"),
        (b"\xff\xfe\x00", "is not text"),
    ],
)
def test_what_is_no_overlap_table(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "overlap.txt"
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        plugins.ingestor("overlap").contents(path)
    assert re.search(message, str(caught.value))


TABLES = {
    "visit_tag": "tag visit\ndeep 9\n",
    "blacklist": "visit,ccd,code\n9,,moon\n9,4,trail\n",
    "calibration_lookup": "filetype,filename,validstart,validend,ccd,filter\n"
    "flat,f.fits,2013-01-01,2013-12-31T00:00,4,i\nbias,b.fits,2013-01-01,2013-01-01,4,\n",
}


def test_tables_of_the_other_dimensions(tmp_path: Path) -> None:
    found = {}
    for name, text in TABLES.items():
        path = tmp_path / (f"{name}.csv" if "," in text else f"{name}.txt")
        path.write_text(f"# {text}" if name == "visit_tag" else text)
        found[name] = plugins.ingestor(name).contents(path)
    assert found == {
        "visit_tag": ("visit_tag", [{"tag": "deep", "visit": 9}]),
        "blacklist": ("blacklist", [{"visit": 9, "ccd": -1, "code": "moon"}, {"visit": 9, "ccd": 4, "code": "trail"}]),
        "calibration_lookup": (
            "calibration_lookup",
            [
                {"filetype": "flat", "filename": "f.fits", "validstart": "2013-01-01", "validend": "2013-12-31",
                 "ccd": 4, "filter": "i"},
                {"filetype": "bias", "filename": "b.fits", "validstart": "2013-01-01", "validend": "2013-01-01",
                 "ccd": 4, "filter": None},
            ],
        ),
    }  # fmt: skip


def test_a_table_may_be_one_of_fits_and_name_its_version(tmp_path: Path) -> None:
    columns = [
        astropy_fits.Column("VISIT", "J", array=[9, 10]),
        astropy_fits.Column("Code", "8A", array=["moon", "trail"]),
        astropy_fits.Column("version", "4A", array=["v2", "v2"]),
        astropy_fits.Column("ccd", "I", array=[1, 2]),
        astropy_fits.Column("image", "2E", array=[[1, 2], [3, 4]]),
    ]
    path = tmp_path / "bad.fits"
    astropy_fits.BinTableHDU.from_columns(columns).writeto(path)
    assert plugins.ingestor("blacklist").contents(path) == (
        "blacklist",
        [
            {"visit": 9, "ccd": 1, "code": "moon", "version": "v2"},
            {"visit": 10, "ccd": 2, "code": "trail", "version": "v2"},
        ],
    )
    with pytest.raises(InputError, match="a table for visit_tag has no column 'tag'"):
        plugins.ingestor("visit_tag").contents(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("visit_tag", "tag,visit\ndeep,9.5\n", "t.csv:2:1: visit '9.5' is no whole number"),
        ("visit_tag", "tag,visit\n,9\n", "t.csv:2:1: tag has no value"),
        ("visit_tag", "tag,visit\ndeep\n", "t.csv:2:1: expected 2 cells .tag, visit., found 1"),
        ("visit_tag", "tag,visits\n", "t.csv:1:1: column 'visits' is not known\n  did you mean 'visit'"),
        ("visit_tag", "tag\n", "has no column 'visit'\n  columns: tag, visit, version"),
        ("visit_tag", "tag,visit,tag\n", "has a column twice"),
        ("visit_tag", 'tag,visit\n"de\n', "t.csv:2:1: this is no CSV"),
        ("visit_tag", "tag,visit\nde\x00ep,9\n", "control character|this is no CSV"),
        ("blacklist", "visit,code,cdd\n", "column 'cdd' is not known\n  did you mean 'ccd'"),
        ("calibration_lookup", "filetype,filename,validstart,validend,ccd\nflat,f,2013-02-30,2013-03-01,1\n",
         "validstart '2013-02-30' is no date such as 2013-06-17"),
        ("calibration_lookup", "filetype,filename,validstart,validend,ccd\nflat,f,2013-02-03,2013-02-01,1\n",
         "t.csv:2:1: validstart 2013-02-03 is after validend 2013-02-01"),
        ("skymap", "tract,patch,ra1,dec1,ra2,dec2,ra3,dec3,ra4,dec4\n0,a,1,91,1,1,1,1,1,1\n", "no place on the sky"),
        ("skymap", "tract,patch,ra1,dec1,ra2,dec2,ra3,dec3,ra4,dec4\n0,a,nan,9,1,1,1,1,1,1\n", "'nan' is no number"),
        ("skymap", '{"tract": 1}', "a tract lacks ra, dec, columns"),
        ("skymap", "[3]", "a tract is no object"),
        ("skymap", '{"tract": ', "t.csv:1:11: this is no JSON"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_a_dimension(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        plugins.ingestor(name).contents(path)
    assert re.search(message, str(caught.value))


GRID = {"tract": 3, "ra": 0.0, "dec": 60.0, "columns": 2, "rows": 1, "patch_pixels": 3600, "border": 360, "scale": 1.0}


@pytest.mark.parametrize(
    "change", [{"rows": 0}, {"dec": 91}, {"scale": 0}, {"tract": "a"}, {"ra": float("nan")}, {"border": -1}]
)
def test_a_sky_map_that_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({**GRID, **change}))
    with pytest.raises(InputError, match="is no grid of patches on the sky"):
        plugins.ingestor("skymap").contents(path)


def test_a_sky_map_of_json(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps([GRID, {**GRID, "tract": 4, "columns": 1}]))
    table, rows = plugins.ingestor("skymap").contents(path)  # type: ignore[misc]
    assert table == "skymap" and [(row["tract"], row["patch"]) for row in rows] == [(3, "0,0"), (3, "1,0"), (4, "0,0")]
    east, west = rows[0], rows[1]
    assert east["patchname"] == "0x0"
    # a patch of one degree and a border of a tenth, from the centre: 0.1 beyond it, and across RA 0
    assert math.isclose(
        float(west["ra1"]), math.degrees(math.atan2(0.1 * math.pi / 180, _below(60, -0.6))), rel_tol=1e-9
    )
    assert 357 < float(west["ra2"]) < 359 and 1 < float(east["ra1"]) < 3
    path.write_text(json.dumps([GRID, GRID]))
    with pytest.raises(InputError, match="a tract is described twice"):
        plugins.ingestor("skymap").contents(path)


def _below(dec: float, eta: float) -> float:
    return math.cos(math.radians(dec)) - math.radians(eta) * math.sin(math.radians(dec))


CORNERS = {f"{name}{n}": "" for n in range(1, 5) for name in ("rac", "decc")}
WCS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.0, "CRVAL2": 0.0, "CRPIX1": 50.5, "CRPIX2": 100.5,
       "CD1_1": -0.001, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.001}  # fmt: skip


@pytest.mark.parametrize("kind", ["primary", "extension", "compressed"])
def test_corners_of_an_image(tmp_path: Path, kind: str) -> None:
    header, data = astropy_fits.Header(WCS), np.zeros((200, 100), "i2")
    hdus = {
        "primary": [astropy_fits.PrimaryHDU(data, header)],
        "extension": [astropy_fits.PrimaryHDU(), astropy_fits.ImageHDU(data, header)],
        "compressed": [astropy_fits.PrimaryHDU(), astropy_fits.CompImageHDU(data, header)],
    }[kind]
    path = tmp_path / "a.fits"
    astropy_fits.HDUList(hdus).writeto(path)
    found = plugins.ingestor("fits").metadata(path, {**CORNERS, "gain": "header:GAIN"})
    west, north = 0.05, math.degrees(math.atan(math.radians(0.1)))
    places = [(round(float(found[f"rac{n}"]), 4), round(float(found[f"decc{n}"]), 4)) for n in range(1, 5)]  # type: ignore[arg-type]
    assert set(places) == {(ra, dec) for ra in (west, 360 - west) for dec in (round(north, 4), -round(north, 4))}
    assert places[0] == (west, -round(north, 4)) and found["gain"] is None


def test_an_image_without_a_place_on_the_sky_has_no_corners(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", RAW, ("SCI", {"CTYPE1": "LINEAR", "CTYPE2": "nonsense"}))
    for name in ("fits", "hsc_raw"):
        assert plugins.ingestor(name).metadata(path, CORNERS) == dict.fromkeys(CORNERS)
    assert plugins.ingestor("fits").metadata(path, {"rac1": "header:AIRMASS"}) == {"rac1": 1.2}
