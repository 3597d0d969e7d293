"""What the plug-ins for instruments, texts and JSON make of files such as the real ones; all keep to the contract."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from facade import plugins
from facade.campaign import filetypes
from facade.errors import InputError
from facade.ingest import trial
from facade.site import Site
from facade.wcl import load

# -- Hyper Suprime-Cam


def hsc_header(**changes: Any) -> fits.Header:
    """The header of CCD 16 of visit 903334, as the instrument writes it; keys with a dash are written with a _."""
    header = fits.Header()
    header.update({
        "BITPIX": 16, "OBSERVAT": "NAOJ", "TELESCOP": "Subaru", "INSTRUME": "Hyper Suprime-Cam", "DET-ID": 16,
        "FRAMEID": "HSCA90333416", "EXP-ID": "HSCE00903334", "DATE-OBS": "2013-06-17", "MJD": 56460.4723,
        "FILTER01": "HSC-I   ", "OBJECT": "STRIPE82L", "EXPTIME": 30.0, "AIRMASS": 1.237, "PROP-ID": "o13015",
        "DATA-TYP": "OBJECT", "RA": "21:19:59.984", "DEC": "-00:30:00.06", "RA2000": "21:20:00.000", "INST-PA": 90.0,
        "T_CCDTV": -107.5, "T_AG": 1, "T_CFGFIL": "hsc20130617.cfg", "GAIN": 3.0, "COMMENT": "simulated",
    })  # fmt: skip
    for key, value in changes.items():
        key = key.replace("_", "-")
        if value is None:
            del header[key]
        else:
            header[key] = value
    return header


def hsc_raw(path: Path, **changes: Any) -> Path:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [320.0, -0.5], [32.5, 64.5]
    wcs.wcs.cdelt = [-4.67e-5, 4.67e-5]
    header = hsc_header(**changes)
    header.update(wcs.to_header())
    fits.PrimaryHDU(np.zeros((128, 64), dtype=np.uint16), header=header).writeto(path, overwrite=True)
    return path


def read(plugin: str, path: Path, *columns: str, **sources: str) -> dict[str, Any]:
    return plugins.ingestor(plugin).metadata(path, {**dict.fromkeys(columns, ""), **sources})


@pytest.mark.parametrize(
    ("expid", "frameid", "visit"),
    [
        ("HSCE00903334", "HSCA90333416", 903334),  # since June 2016
        ("HSCE01228000", "HSCA99999916", 1228000),
        ("HSCE99999999", "x", 99999999),
        ("HSCA90333400", "HSCA90333416", 903334),  # before
        ("HSCA00000200", "x", 2),
        ("HSCB00012400", "x", 1000124),  # letters count on
        ("HSCZ99999900", "x", 25999999),
        ("HSCA00000000", "HSCA90333416", 903334),  # visit 0 is not believed: the frame tells it
        ("HSCA00000000", "HSCA90333516", 903334),  # odd: the second half of the CCDs
        ("HSCA00000000", "HSCB00000103", 1000000),
        ("HSCB00000000", "HSCA00000416", 4),  # the letter of the frame, then
        ("HSCA90333400  ", "HSCA90333416", 903334),
    ],
)
def test_visits_of_hsc(tmp_path: Path, expid: str, frameid: str, visit: int) -> None:
    assert read("hsc_raw", hsc_raw(tmp_path / "a.fits", EXP_ID=expid, FRAMEID=frameid), "visit") == {"visit": visit}


@pytest.mark.parametrize(
    ("expid", "frameid", "told"),
    [
        ("HSCE0090333", "x", "EXP-ID 'HSCE0090333' holds no visit"),  # seven digits
        ("HSCE009033344", "x", "holds no visit"),
        ("HSCA90333401", "x", "holds no visit"),  # the last two are 00 in an EXP-ID
        ("HSCa90333400", "x", "holds no visit"),
        ("XHSCE00903334", "x", "holds no visit"),
        ("SUPA01234560", "x", "holds no visit"),
        ("HSCA00000000", "HSCA9033341", "FRAMEID 'HSCA9033341' holds no visit"),
        ("HSCA00000000", None, "its header has no FRAMEID"),
        (None, "HSCA90333416", "its header has no EXP-ID"),
    ],
)
def test_what_is_no_visit_of_hsc(tmp_path: Path, expid: str, frameid: str | None, told: str) -> None:
    path = hsc_raw(tmp_path / "a.fits", EXP_ID=expid, FRAMEID=frameid)
    with pytest.raises(InputError) as caught:
        read("hsc_raw", path, "visit")
    assert told in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(("mjd", "ccd"), [(390, 112), (391, 106), (404, 106), (405, 112), (None, 112)])
def test_focus_ccds_had_other_numbers_in_the_second_commissioning_run(
    tmp_path: Path, mjd: int | None, ccd: int
) -> None:
    path = hsc_raw(
        tmp_path / "a.fits", DET_ID=112, MJD=None if mjd is None else 55927 + mjd + 0.9, DATE_OBS="2013-01-30"
    )
    assert read("hsc_raw", path, "ccd", "pointing") == {"ccd": ccd, "pointing": 395 if mjd is None else mjd}


def test_all_focus_ccds(tmp_path: Path) -> None:
    swapped = {112: 106, 107: 105, 113: 107, 115: 109, 108: 110, 114: 108, 16: 16, 111: 111}
    paths = {n: hsc_raw(tmp_path / f"{n}.fits", DET_ID=n, MJD=55927.0 + 400) for n in swapped}
    assert {n: read("hsc_raw", path, "ccd")["ccd"] for n, path in paths.items()} == swapped


def test_the_rest_of_a_raw_of_hsc(tmp_path: Path) -> None:
    found = read("hsc_raw", hsc_raw(tmp_path / "a.fits", FILTER01="hsc-i", OBJECT="M31/field 1"), "filter", "field",
                 "autoguider", "ccdtemp", "config", "rac1", "decc3", gain="header:GAIN")  # fmt: skip
    assert math.isclose(found.pop("rac1"), 320.0 + 32 * 4.67e-5, abs_tol=1e-6)
    assert math.isclose(found.pop("decc3"), -0.5 + 64 * 4.67e-5, abs_tol=1e-6)
    assert found == {
        "filter": "HSC-I", "field": "M31_field_1", "autoguider": 1, "ccdtemp": -107.5, "config": "hsc20130617.cfg",
        "gain": 3.0,
    }  # fmt: skip


def hsc_calib(path: Path, calib_id: str | None) -> Path:
    hdu = fits.PrimaryHDU(np.ones((8, 8), dtype=np.float32))
    hdu.header["OBSTYPE"] = "flat"
    if calib_id is not None:
        hdu.header["CALIB_ID"] = calib_id
    hdu.writeto(path)
    return path


@pytest.mark.parametrize(
    ("calib_id", "expected"),
    [
        ("filter=HSC-I calibDate=2013-11-06 ccd=16 calibVersion=2014A", ("HSC-I", "2013-11-06", 16, "2014A", None)),
        ("ccd=016 calibDate=2013-11-06T10:00:00 filter=hsc-r visit=903334", ("HSC-R", "2013-11-06", 16, None, 903334)),
        ("filter=NONE calibDate=2013-11-06 ccd=9", (None, "2013-11-06", 9, None, None)),
        ("filter=None date=2013-11-06  ccd=9", (None, "2013-11-06", 9, None, None)),
    ],
)
def test_calibrations_of_hsc(tmp_path: Path, calib_id: str, expected: tuple[Any, ...]) -> None:
    path = hsc_calib(tmp_path / "c.fits", calib_id)
    found = read("hsc_calib", path, "filter", "calibdate", "ccd", "calibversion", "visit", kind="header:OBSTYPE")
    assert (*found.values(),) == (*expected, "flat")


@pytest.mark.parametrize(
    ("calib_id", "told"),
    [
        (None, "its header has no CALIB_ID"),
        ("bias of tonight", "holds no KEY=VALUE"),
        ("ccd=x calibDate=2013-11-06", "ccd 'x' is no number"),
        ("ccd=1 calibDate=yesterday", "calibDate 'yesterday' is no date"),
    ],
)
def test_what_is_no_calibration_of_hsc(tmp_path: Path, calib_id: str | None, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read("hsc_calib", hsc_calib(tmp_path / "c.fits", calib_id), "ccd", "calibdate")


# -- the Dark Energy Camera


def decam(path: Path, *, compressed: bool = False, **changes: Any) -> Path:
    """An exposure of three CCDs and a focus CCD; the real one has 62 and 8."""
    primary = fits.PrimaryHDU()
    header = {
        "EXPNUM": 229650, "OBJECT": "DES survey hex -582-365 tiling 5", "OBSTYPE": "object", "INSTRUME": "DECam",
        "TELESCOP": "CTIO 4.0-m telescope", "FILTER": "i DECam SDSS c0003 7835.0 1470.0", "EXPTIME": 90.0,
        "DATE-OBS": "2013-09-01T03:12:45.123456", "MJD-OBS": 56536.13385559, "RA": "00:12:34.50", "DEC": "-36:30:00.0",
        "AIRMASS": 1.05, "PROPID": "2012B-0001", "RADESYS": "FK5",
    } | {key.replace("_", "-"): value for key, value in changes.items()}  # fmt: skip
    primary.header.update({key: value for key, value in header.items() if value is not None})
    hdus = [primary]
    for name, number in (("S29", 1), ("S30", 2), ("N4", 35), ("FS1", None)):
        pixels = np.arange(64 * 32, dtype=np.uint16).reshape(64, 32)
        hdu = (fits.CompImageHDU if compressed else fits.ImageHDU)(pixels, name=name)
        if number is not None:
            hdu.header["CCDNUM"] = number
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)
    return path


DECAM = ("expnum", "visit", "band", "nite", "dateobs", "field", "obstype", "exptime", "proposal", "nccd", "mjd")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_raw_of_decam(tmp_path: Path, compressed: bool) -> None:
    path = decam(tmp_path / "DECam_00229650.fits.fz", compressed=compressed)
    found = read("decam_raw", path, *DECAM, "ra", "dec", "nothing", ccd1="header:S29:CCDNUM", sys="header:RADESYS")
    assert math.isclose(found.pop("ra"), 3.14375) and math.isclose(found.pop("dec"), -36.5)
    assert found == {
        "expnum": 229650, "visit": 229650, "band": "i", "nite": "20130831", "dateobs": "2013-09-01",
        "field": "-582-365", "obstype": "object", "exptime": 90.0, "proposal": "2012B-0001", "nccd": 3,
        "mjd": 56536.13385559,
        "nothing": None, "ccd1": 1, "sys": "FK5",
    }  # fmt: skip


def test_a_raw_of_decam_that_ends_too_early_in_any_ccd(tmp_path: Path) -> None:
    path = decam(tmp_path / "d.fits")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="it is damaged: it ends in the data of HDU 4"):
        read("decam_raw", path, "nccd")


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        ("2013-09-01T14:59:59.9", "20130831"),
        ("2013-09-01T15:00:00.0", "20130901"),
        ("2013-09-01T23:59:59", "20130901"),
        ("2014-01-01T00:30:00", "20131231"),
        ("2012-03-01T03:00:00", "20120229"),
    ],
)
def test_the_night_of_an_exposure_of_decam(tmp_path: Path, moment: str, night: str) -> None:
    assert read("decam_raw", decam(tmp_path / "d.fits", DATE_OBS=moment), "nite") == {"nite": night}


def test_calibrations_of_decam(tmp_path: Path) -> None:
    zero = decam(tmp_path / "z.fits", OBSTYPE="zero", OBJECT="", FILTER="", RA=None, DEC=None)
    assert read("decam_raw", zero, "obstype", "band", "field", "ra") == {
        "obstype": "zero", "band": None, "field": "zero", "ra": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"INSTRUME": "MOSAIC"}, "INSTRUME is 'MOSAIC'"),
        ({"INSTRUME": None}, "INSTRUME is None"),
        ({"EXPNUM": None}, "its header has no EXPNUM"),
        ({"EXPNUM": "many"}, "EXPNUM 'many' is no exposure number"),
        ({"FILTER": "HSC-I"}, "FILTER 'HSC-I' begins with no band"),
        ({"DATE_OBS": "01/09/13"}, "DATE-OBS '01/09/13' is no date"),
        ({"RA": "0:12"}, "RA '0:12' is no coordinate"),
    ],
)
def test_what_is_no_raw_of_decam(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = decam(tmp_path / "d.fits", **changes)
    with pytest.raises(InputError) as caught:
        read("decam_raw", path, *DECAM, "ra")
    assert str(path) in str(caught.value) and told in str(caught.value)


# -- texts and JSON


def test_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(
        "# night = none\nNIGHT: 2026-11-21\nSeeing = '0.7'\nseeing = 9\n prose with no sign\nnote =\nü = 1\n"
    )
    found = read("text", path, "night", "seeing", "note", "else", seen="header:SEEING", other="wcl:night")
    assert found == {"night": "2026-11-21", "seeing": "0.7", "note": None, "else": None, "seen": "0.7", "other": None}
    path.write_bytes(b"night = \xff")
    with pytest.raises(InputError, match="is no text: it is not written in UTF-8"):
        read("text", path, "night")
    assert read("text", path, night="wcl:night") == {"night": None}


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Night": "2026-11-21", "qa": {"seeing": 0.7, "flags": ["a", "b"]}, "n": 0, "e": ""}))
    found = read(
        "json", path, "night", "n", "e", "none",
        seeing="header:qa:seeing", flag="header:QA:flags:1", far="header:qa:flags:7", deep="header:n:x", x="wcl:n",
    )  # fmt: skip
    assert found == {
        "night": "2026-11-21", "n": 0, "e": None, "none": None, "seeing": 0.7, "flag": "b", "far": None, "deep": None,
        "x": None,
    }  # fmt: skip
    with pytest.raises(InputError, match="flags is no text, number or bool, but list"):
        read("json", path, flags="header:qa:flags")
    path.write_text('{"a": 1,\n "b": }')
    with pytest.raises(InputError) as caught:
        read("json", path, "a")
    assert f"{path}:2:7: this is no JSON" in str(caught.value)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="too deep"):
        read("json", path, "a")


# -- the contract

TABLES = {
    "overlap": "# tract patch visit ccd filter\n0 0,1 903334 16 HSC-I\n",
    "visit_tag": "# tag visit\ndeep 9\n",
    "skymap": "# tract patch ra1 dec1 ra2 dec2 ra3 dec3 ra4 dec4\n0 0,1 1 1 2 1 2 2 1 2\n",
}


def sample(name: str, folder: Path) -> Path:
    """A file that the plug-in *name* takes."""
    if name in ("hsc_raw", "fits"):
        return hsc_raw(folder / "a.fits", CALDATE="2013-06-17")
    if name == "hsc_calib":
        return hsc_calib(folder / "c.fits", "filter=HSC-I calibDate=2013-11-06 ccd=16")
    if name == "decam_raw":
        return decam(folder / "d.fits")
    path = folder / "a.csv"
    path.write_text({
        "blacklist": "visit,ccd,code\n9,,moon\n", "json": '{"a": 1}',
        "calibration_lookup": "filetype,filename,validstart,validend,ccd,filter\nflat,f,2013-01-01,2013-01-02,4,i\n",
    }.get(name, "a = 1\n"))  # fmt: skip
    if name in TABLES:
        path = folder / "a.txt"
        path.write_text(TABLES[name])
    return path


@pytest.mark.parametrize("name", plugins.names("ingestor"))
def test_every_plug_in_keeps_to_the_contract(name: str, tmp_path: Path) -> None:
    ingestor = trial.load(name)
    assert trial.shape_faults(ingestor) == []
    known = filetypes(load(Site.here({"FACADE_HOME": str(tmp_path)}).filetypes))
    path = sample(name, tmp_path)
    for filetype in trial.filetypes_for(name, known):
        found = trial.try_file(ingestor, path, filetype)
        assert (found.faults, found.refused) == ([], ""), filetype.name
        # of products, planning knows what must be there; plain looks at nothing
        assert found.remarks == [] or name == "plain" or filetype.archive_path == "", filetype.name
        assert trial.try_others(ingestor, filetype, path.suffix) == []
