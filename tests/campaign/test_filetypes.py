"""Definitions of filetypes: what one line says of a column, what names of files tell, values as columns have them."""

from __future__ import annotations

import pytest
from campaigns import faults_of, planned, text

from facade.campaign import filetypes, from_name
from facade.errors import InputError
from facade.metadata import Detail, Scalar, missing, typed
from facade.wcl import loads

DEFINED = """
survey = HSC
visit = 1, 2
<filename_pattern>
    raw = ${survey}-${visit:07}-${ccd:03}${visit:7}.fits
</filename_pattern>
<filetype_metadata>
    <raw>
        metadata_table = image
        <columns>
            ccd = smallint required filename:raw
            exposure = int filename:raw:visit ucd:obs.exposure;meta.id
            mjd = float header:ESO DET MJD [d] - start, in TAI - as the clock says
            night = date required header:1:DATE-OBS [] ucd:time.start
            flux = float [erg / s] wcl: Level
            seen = timestamp
        </columns>
    </raw>
</filetype_metadata>
"""
RAW = filetypes(loads(DEFINED))["raw"]


def test_a_line_says_type_source_unit_ucd_whether_it_must_be_there_and_what_it_is() -> None:
    assert RAW.columns == (
        ("ccd", "smallint", "filename:raw"),
        ("exposure", "int", "filename:raw:visit"),
        ("mjd", "float", "header:ESO DET MJD"),
        ("night", "date", "header:1:DATE-OBS"),
        ("flux", "float", "wcl: Level"),
        ("seen", "timestamp", ""),
    )
    assert RAW.details == {
        "ccd": Detail(required=True),
        "exposure": Detail(ucd="obs.exposure;meta.id"),
        "mjd": Detail(unit="d", description="start, in TAI - as the clock says"),
        "night": Detail(required=True, ucd="time.start"),
        "flux": Detail(unit="erg / s"),
    }
    assert RAW.required == (("ccd", "filename:raw"), ("night", "header:1:DATE-OBS"))
    assert RAW.planned == (("ccd", "ccd"), ("exposure", "visit"), ("flux", "level"), ("seen", "seen"))


@pytest.mark.parametrize(
    ("said", "source", "ingestor"),
    [("", "header:SEEING", "fits"), ("ingestor = plain", "header:SEEING", "plain"), ("", "wcl:seeing", "plain")],
)
def test_headers_are_read_unless_another_ingestor_is_named(said: str, source: str, ingestor: str) -> None:
    lines = f"metadata_table = image\n{said}\n<columns>\nvisit = int\nseeing = float {source}\n</columns>"
    defined = f"<filetype_metadata>\n<calexp>\n{lines}\n</calexp>\n</filetype_metadata>\n"
    assert filetypes(loads(defined))["calexp"].ingestor == ingestor


def test_the_plain_form_holds_what_is_said_and_nothing_else() -> None:
    columns = RAW.definition()["columns"]
    assert isinstance(columns, dict)
    assert columns["seen"] == {"type": "timestamp", "source": ""}
    assert columns["flux"] == {"type": "float", "source": "wcl: Level", "unit": "erg / s"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("HSC-0903334-0160903334.fits", {"ccd": "016", "exposure": "0903334"}),
        ("HSC-0903334-1040903334.fits", {"ccd": "104", "exposure": "0903334"}),
        ("HSC-0903334-0160903335.fits", {"ccd": None, "exposure": None}),
        ("XSC-0903334-0160903334.fits", {"ccd": None, "exposure": None}),
        ("HSC-0903334-0160903334.fits.x", {"ccd": None, "exposure": None}),
    ],
)
def test_what_a_name_tells(name: str, found: dict[str, Scalar]) -> None:
    assert from_name(RAW, loads(DEFINED).root, name) == found


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("0016", "smallint", 16),
        (2147483647, "int", 2147483647),
        (-(2**63), "bigint", -(2**63)),
        ("1e3", "float", 1000.0),
        ("2013-06-17T23:59:60", "date", "2013-06-17"),
        ("2013-06-17T10:00:00.5", "timestamp", "2013-06-17T10:00:00.500000+00:00"),
        ("2013-06-17T10:00:00+02:00", "timestamp", "2013-06-17T10:00:00+02:00"),
        (None, "date", None),
    ],
)
def test_values_as_their_column_has_them(value: Scalar, kind: str, expected: Scalar) -> None:
    assert typed(value, kind) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [(32768, "smallint"), (2**31, "int"), (-(2**63) - 1, "bigint"), ("17/06/2013", "date"), (3, "timestamp")],
)
def test_values_that_have_no_room_or_are_no_times(value: Scalar, kind: str) -> None:
    with pytest.raises(InputError, match=f"is no {kind}"):
        typed(value, kind)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("header:SCI:ZP", "a.fits: required column 'zp' has no value: its header has no SCI:ZP"),
        ("filename:raw", "a.fits: required column 'zp' has no value: its name does not fit raw"),
        ("function:zero", "a.fits: required column 'zp' has no value: none is computed by zero"),
        ("wcl:zero", "a.fits: required column 'zp' has no value: there is no 'zero'"),
        ("", "a.fits: required column 'zp' has no value: there is no 'zp'"),
    ],
)
def test_a_missing_value_names_file_column_and_source(source: str, words: str) -> None:
    assert missing("zp", source, "a.fits") == words


def test_planning_tells_of_an_output_that_would_lack_a_required_value() -> None:
    whole = text().replace("seeing = float header:SEEING", "seeing = float header:SEEING\ntract = int required")
    (fault,) = faults_of(lambda: planned(whole), "F527")
    assert "output 'img': required column 'tract' has no value: there is no 'tract'" in fault
    assert planned(whole + "\ntract = 9\n").files[-1].metadata["tract"] == "9"


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("int", "nine", False),
        ("int", "${attnum}", True),
        ("smallint", "40000", False),
        ("bigint", "40000", True),
        ("float", "1e-3", True),
        ("float", "1,3", False),
        ("date", "yesterday", False),
        ("timestamp", "2013-06-17T10:00:00", True),
        ("text", "nine", True),
    ],
)
def test_planning_tells_of_a_value_that_its_column_would_not_take(kind: str, value: str, fits: bool) -> None:
    whole = text().replace("seeing = float header:SEEING", f"seeing = float header:SEEING\nextra = {kind}")
    whole += f'\nextra = "{value}"\n'
    if fits:
        assert planned(whole).files[-1].metadata["extra"] == value
    else:
        (fault,) = faults_of(lambda: planned(whole), "F528")
        assert f"output 'img': column 'extra' of metadata: '{value}' is no {kind}" in fault
