"""Metadata of outputs."""

from __future__ import annotations

from job.house import House

FILETYPES = {
    "image": {"metadata_table": "image", "columns": {
        "visit": {"type": "int", "source": ""}, "seeing": {"type": "float", "source": "header:SEEING"},
        "gain": {"type": "int", "source": "header:SCI:GAIN"}, "none": {"type": "text", "source": "header:NONE"},
    }},
}  # fmt: skip
CODE = """\
from astropy.io import fits
hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="SCI")])
hdus[0].header["SEEING"] = 1
hdus[1].header["GAIN"] = GAIN
hdus.writeto("out/a.fits")
"""


def test_metadata_from_the_plan_and_from_headers(house: House) -> None:
    house.filetypes = FILETYPES
    house.add(house.python(CODE.replace("GAIN)", "3)").replace("= GAIN", "= 3")),
              outputs=[house.output("a.fits", filetype="image", metadata={"visit": 5, "none": "planned"})])  # fmt: skip
    assert house.run() == 0
    file = next(line for line in house.lines() if line["kind"] == "outputs")["files"][0]
    assert file["metadata"] == {"visit": 5, "none": "planned", "seeing": 1.0, "gain": 3}
    assert file["metadata_table"] == "image"


def test_an_output_that_lacks_a_required_value(house: House) -> None:
    columns = FILETYPES["image"]["columns"] | {
        "none": {"type": "text", "source": "header:NONE", "required": True},
        "ccd": {"type": "int", "source": "", "required": True},
    }
    house.filetypes = {"image": {"metadata_table": "image", "columns": columns}}
    house.add(house.python(CODE.replace("GAIN)", "3)").replace("= GAIN", "= 3")),
              outputs=[house.output("a.fits", filetype="image", metadata={"visit": 5})])  # fmt: skip
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["step"]) == ("output-missing", "collect")
    assert failure["message"].startswith(
        "a.fits: required column 'ccd' has no value: there is no 'ccd'; "
        "a.fits: required column 'none' has no value: its header has no NONE"
    )


def test_an_output_whose_header_cannot_be_read(house: House) -> None:
    house.filetypes = FILETYPES
    house.add(house.copy("out/a.fits"), outputs=[house.output("a.fits", filetype="image")])
    house.add(house.python(CODE.replace("= GAIN", "= 'high'")), outputs=[house.output("b.fits", filetype="image")])
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["step"]) == ("output-missing", "collect")
    assert "is not a FITS file" in failure["message"]
