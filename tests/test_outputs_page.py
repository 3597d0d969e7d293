"""The examples of docs/outputs.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from astropy.io import fits
from campaigns import planned, text
from job.house import House

from facade.campaign.keywords import keywords_of
from facade.outputs import JUNK_BYTES, Compression

PAGE = (Path(__file__).parent.parent / "docs/outputs.md").read_text()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_cards_of_the_page_are_written(house: House) -> None:
    found = re.search(r"```wcl\n(.*?)```", PAGE, re.DOTALL)
    assert found
    plan = planned(text().replace("flabel = img", f"flabel = img\n{found[1]}"))
    cards = plan.outputs.modules["reduce"].sections["file.img"].cards
    code = (
        "from astropy.io import fits\n"
        "hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name='SCI')])\n"
        "hdus[0].header['GAIN'] = 3.5\nhdus.writeto('out/a.fits')"
    )
    house.add(
        house.python(code),
        outputs=[house.output("a.fits", section="file.img", metadata={"band": "r"})],
        handling=["file", None, {"file.img": [False, False, [list(card) for card in cards]]}],
    )
    assert house.run() == 0
    with fits.open(house.archive / "red/a.fits") as hdus:
        head, science = hdus[0].header, hdus["SCI"].header
        assert [head[key] for key in ("BAND", "REQNUM", "DESFNAME", "UNITS")] == ["r", 7, "a.fits", "e-/s"]
        assert (head.comments["BAND"], science["GAIN"], science["EXPTIME"]) == ("filter of the exposure", 3.5, 30.5)


@pytest.mark.parametrize("column", [0, 1])
def test_the_programs_of_the_page_compress(house: House, column: int) -> None:
    rows = re.findall(r"^    (compression_\w+ = .*?)(?: {2,})(compression_\w+ = .*)$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    lines = "\n".join(row[column] for row in rows)
    plan = planned(text().replace("flabel = img", "flabel = img\ncompress_files = True") + lines + "\n")
    by = plan.outputs.modules["reduce"].compression
    assert isinstance(by, Compression)
    outputs = [house.output("a.txt", save=False), house.output("a.txt", compression=by.suffix)]
    handling = ["file", list(by), {"file.out": [False, True, []]}]
    house.add(house.copy("out/a.txt", generated=["a.txt"]), outputs=outputs, handling=handling)
    assert house.run() == 0
    assert [path.name for path in (house.archive / "red").iterdir()] == [f"a.txt{by.suffix}"]


def test_the_message_and_the_defaults_of_the_page_are_those_of_the_code(house: House) -> None:
    code = "import os; open('red/b.fits', 'w'); os.symlink('/etc/passwd', 'red/c.fits')"
    house.add(house.python(code), outputs=[house.output(f"{name}.fits", path="red") for name in "abc"])
    assert house.run() == 1
    [told] = re.findall(r"^    (promised outputs .*)$", PAGE, re.MULTILINE)
    assert house.ended()[41]["failure"]["message"].startswith(told)
    table = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", PAGE, re.MULTILINE))
    assert set(table) == {"master_compression", "compression_exec", "compression_args", "compression_suffix",
                          "compress_cleanup"}  # fmt: skip
    for name, default in table.items():
        assert keywords_of("campaign")[name].default == default
    assert f"({JUNK_BYTES >> 20} MB)" in PAGE
