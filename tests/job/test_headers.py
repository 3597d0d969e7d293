"""$HEAD: header values on a command line, read when the program is about to run."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits
from job.house import House

from facade.errors import MissingInputError
from facade.job.headers import filled, values


@pytest.fixture
def image(tmp_path: Path) -> Path:
    first, second = fits.PrimaryHDU(), fits.ImageHDU(name="SCI")
    first.header["EXPTIME"], first.header["FILTER"] = 30.5, "HSC-I  "
    second.header["GAIN"], second.header["EXPTIME"] = 4, 1.0
    fits.HDUList([first, second]).writeto(tmp_path / "a b,c.fits")
    return tmp_path


def test_values_stand_between_the_text_of_a_word(image: Path) -> None:
    words = ("prog", ("t=", ("a b,c.fits", "EXPTIME", "FILTER"), "s"), (("a b,c.fits", "GAIN"),))
    assert filled(words, image) == ("prog", "t=30.5,HSC-Is", "4")


def test_an_hdu_may_be_named(image: Path) -> None:
    assert values(image, "a b,c.fits[SCI]", ["EXPTIME"]) == values(image, "a b,c.fits[1]", ["EXPTIME"]) == ["1.0"]


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("none.fits", "GAIN", "cannot read the header of 'none.fits': No such file"),
        ("a b,c.fits", "NONE", "'a b,c.fits' has no header key 'NONE'"),
        ("a b,c.fits[7]", "GAIN", "cannot read the header of 'a b,c.fits[7]'"),
        ("text", "GAIN", "cannot read the header of 'text'"),
    ],
)
def test_what_is_not_there_is_told(image: Path, name: str, key: str, message: str) -> None:
    (image / "text").write_text("no FITS file")
    with pytest.raises(MissingInputError) as caught:
        values(image, name, [key])
    assert message in str(caught.value)


def test_a_second_program_sees_what_the_first_one_wrote(house: House) -> None:
    make = "from astropy.io import fits; h = fits.PrimaryHDU(); h.header['SEEING'] = 0.7; h.writeto('x.fits')"
    write = (
        "import sys; import pathlib; pathlib.Path('out').mkdir(exist_ok=True); open('out/o', 'w').write(sys.argv[1])"
    )
    second = house.python(write)
    second["argv"].append(["seeing=", ["x.fits", "SEEING"]])
    task = house.add(house.python(make), second, outputs=[house.output("o")])
    assert house.run() == 0
    assert house.ended()[task]["state"] == "succeeded"
    assert (house.archive / "red/o").read_text() == "seeing=0.7"
    ran = [line for line in house.lines() if line["kind"] == "exec"]
    assert ran[1]["argv"][-1] == "seeing=0.7"


def test_a_missing_header_key_is_a_missing_input(house: House) -> None:
    item = house.python("pass")
    item["argv"].append([["none.fits", "KEY"]])
    task = house.add(item)
    assert house.run() == 1
    failure = house.ended()[task]["failure"]
    assert failure["class"] == "input-missing"
    assert "none.fits" in failure["message"]
