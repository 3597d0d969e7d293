"""An archive against the registry, attempts against each other, files against what they are when made again."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from pathlib import Path

from asking.place import Place

from facade.fitsdiff import contents

MEASURED, COADD = "det-HSC-I-0-0x1-r11p03.txt", "calexp-HSC-I-0-0x1-r11p03.fits"
CALEXP = "calexp-903334-16-r11p03.fits"


def kinds(found: list[dict[str, str]]) -> dict[str, str]:
    return {one["path"].rpartition("/")[2]: one["kind"] for one in found}


def test_an_archive_that_is_as_it_should_be(place: Place) -> None:
    done = place.world.facade("compare", "--checksum")
    number = len(place.present())
    assert f"{number} registered files and {number} files in archive 'home': 0 differences" in done.stderr


def test_each_kind_of_difference_is_found(place: Place) -> None:
    place.product(MEASURED, 3).unlink()
    place.product(COADD, 3).write_bytes(b"short")
    path = place.product(CALEXP, 3)
    path.write_bytes(path.read_bytes().replace(b"raw HSCA", b"war HSCA"))
    place.product("stranger.fits", 3).write_bytes(b"from elsewhere")
    shutil.copy(place.archive / "raw/HSCA90398616.fits", place.archive / "HSCA90398616.fits")
    place.product(f".{CALEXP}.part-0123456789ab", 3).write_bytes(b"half")
    found = place.answer("compare", code=1)
    expected = {MEASURED: "missing", COADD: "size", "stranger.fits": "extra", "HSCA90398616.fits": "extra"}
    expected[f".{CALEXP}.part-0123456789ab"] = "part"
    assert kinds(found["findings"]) == expected
    found = place.answer("compare", "--checksum", "-j", "2", code=1)["findings"]
    assert kinds(found) == {**expected, CALEXP: "checksum"}
    assert "registered as raw/HSCA90398616.fits" in {one["path"]: one["detail"] for one in found}["HSCA90398616.fits"]
    assert kinds(place.answer("compare", "--attempt", "Ht0_r11p03", code=1)["findings"]) == {
        MEASURED: "missing", COADD: "size", f".{CALEXP}.part-0123456789ab": "part", "stranger.fits": "extra",
    }  # fmt: skip
    assert kinds(place.answer("compare", "--under", "raw")["findings"]) == {}
    told = place.world.facade("compare", code=1).stdout
    assert "missing: the registry places it here" in told and "stranger.fits" in told
    assert place.product("stranger.fits", 3).exists()


def test_what_is_missing_is_forgotten_and_recorded_when_it_is_back(place: Place) -> None:
    lost, aside = place.product(MEASURED, 3), place.home / "aside"
    lost.rename(aside)
    first = place.answer("compare", "--forget-missing")["findings"]
    assert [(one["kind"], one["mended"]) for one in first] == [("missing", "forgotten")]
    assert place.world.json("files", MEASURED)[0]["places"] == [] and place.answer("compare")["findings"] == []
    lost.write_bytes(bytes(aside.stat().st_size))  # a file of that name and size, and another content
    assert kinds(place.answer("compare", code=1)["findings"]) == {MEASURED: "unrecorded"}
    found = place.answer("compare", "--register-missing-location", code=1)["findings"]
    assert [(one["kind"], one["mended"]) for one in found] == [("checksum", None)]
    aside.rename(lost)
    found = place.answer("compare", "--register-missing-location")["findings"]
    assert [(one["kind"], one["mended"]) for one in found] == [("unrecorded", "recorded")]
    assert place.answer("compare")["findings"] == [] and place.world.json("files", MEASURED)[0]["places"] != []


def test_an_archive_that_is_not_mounted_is_not_forgotten(place: Place) -> None:
    place.archive.rename(place.home / "elsewhere")
    told = place.world.facade("compare", "--forget-missing", code=4).stderr
    assert "not one of" in told and "is it mounted" in told
    place.archive.rmdir()
    (place.home / "elsewhere").rename(place.archive)
    assert place.answer("compare")["findings"] == []


def test_copies_without_a_name_are_swept_when_they_are_old(place: Place) -> None:
    old, young = (place.product(f".{CALEXP}.part-{n * 12}", 3) for n in "ab")
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    found = place.answer("compare", "--sweep", "1d", code=1)
    assert found["swept"] == [str(old.relative_to(place.archive))] and kinds(found["findings"]) == {young.name: "part"}
    assert not old.exists() and young.exists()
    assert "may be on their way" in place.world.facade("compare", "--sweep", "30", code=4).stderr and young.exists()
    assert place.answer("compare", "--sweep", "0", "--force")["swept"] == [str(young.relative_to(place.archive))]
    assert "not an age" in place.world.facade("compare", "--sweep", "soon", code=2).stderr
    assert "no archive 'attic'" in place.world.facade("compare", "--archive", "attic", code=2).stderr


def test_an_attempt_does_not_differ_from_one_that_took_all_of_it(place: Place) -> None:
    found = place.answer("diff", "Ht0_r11p01", "Ht0_r11p01")
    assert found == {"same_outputs": 3, "alike_outputs": 0, "differences": []}
    found = place.answer("diff", "Ht0_r11p01", "Ht0_r11p02", code=1)
    told = [(one["kind"], one["what"]) for one in found["differences"]]
    assert told == [("configuration", "detect: command line of exec_1: 'broken' is now 'fine'"),
                    ("output", "detect, file.det")]  # fmt: skip
    assert found["same_outputs"] == 1  # the coadd was taken, and the calexps were not needed


def test_attempts_differ_in_configuration_programs_inputs_quanta_and_outputs(place: Place) -> None:
    (place.home / "bin/version").write_text("reduce 1.1")
    text = (place.home / "bin/stack").read_text()
    (place.home / "bin/stack").write_text(text + "\n# changed\n")
    place.world.facade("ingest", "--filetype", "raw", "--definitions", place.home / "campaign.wcl", "--set", "visit=9",
                       "--set", "ccd=16", _extra(place))  # fmt: skip
    place.world.facade("submit", "campaign.wcl", "--wait", "--reuse", "none", "--set", "clip=7")
    found = place.answer("diff", "Ht0_r11p03", "Ht0_r11p04", code=1)["differences"]
    told = {(one["kind"], one["what"]): (one["a"], one["b"]) for one in found}
    assert ("configuration", "assemble: command line of exec_1: '5' is now '7'") in told
    assert ("version", "assemble: program stack has changed") in told
    assert told["version", "reduce"] == ("reduce 1.0", "reduce 1.1")
    assert told["input", "HSCA90400000.fits"][0] is None
    assert told["quantum", "processccd visit=9 ccd=16"] == (None, "Ht0_r11p04")
    assert COADD in told["output", "assemble, file.coadd"][0]
    table = place.world.facade("diff", "Ht0_r11p03", "Ht0_r11p04", code=1).stdout
    assert "program stack has changed" in table
    assert "there is no attempt 'Ht0'" in place.world.facade("diff", "Ht0", "Ht0_r11p04", code=2).stderr


def test_outputs_are_compared_by_what_they_hold(place: Place) -> None:
    """Made again by the same programs from the same files: only dates differ, and what says how it was to be made."""
    place.world.facade("submit", "campaign.wcl", "--wait", "--reuse", "none", "--set", "clip=5")
    found = place.answer("diff", "Ht0_r11p03", "Ht0_r11p04", code=1)
    assert [one["what"] for one in found["differences"]][-1] == "assemble, file.coadd" and len(
        found["differences"]
    ) == 3
    found = place.answer("diff", "Ht0_r11p03", "Ht0_r11p04", "--contents")
    assert found == {"same_outputs": 1, "alike_outputs": 3, "differences": []}
    found = place.answer("diff", "Ht0_r11p01", "Ht0_r11p03", "--contents", code=1)
    outputs = [one["what"] for one in found["differences"] if one["kind"] == "output"]
    assert outputs == ["assemble, file.coadd", "detect, file.det"]  # one has another CLIP, the other was not made
    found = place.answer("diff", "Ht0_r11p01", "Ht0_r11p03", "--contents", "--ignore", "CLIP", code=1)
    assert [one["what"] for one in found["differences"] if one["kind"] == "output"] == ["detect, file.det"]
    place.product(CALEXP, 3).unlink()  # what cannot be compared differs
    place.world.facade("compare", "--forget-missing")
    assert len(place.answer("diff", "Ht0_r11p03", "Ht0_r11p04", "--contents", code=1)["differences"]) == 1


def _extra(place: Place) -> Path:
    path = place.home / "HSCA90400000.fits"
    path.write_text("another raw\n")
    return path


def test_a_file_is_made_again_when_its_run_directory_is_gone(place: Place) -> None:
    shutil.rmtree(place.home / "runs")
    before, rows = place.present(), place.world.rows("select count(*) as n from task_event")
    found = place.answer("reproduce", MEASURED)
    assert found["verdict"] == "same" and found["details"] == [] and found["programs_changed"] == []
    found = place.answer("reproduce", COADD)
    assert found["verdict"] == "same but for cards" and found["details"] == ["DATE"]
    assert found["made_by"] == "Ht0_r11p03"
    assert "same but for cards\n  DATE" in place.world.facade("reproduce", CALEXP).stdout
    assert place.present() == before and place.world.rows("select count(*) as n from task_event") == rows
    taken = place.answer("reproduce", "det-HSC-I-0-0x1-r11p02.txt")  # its input is of attempt 1, under another name
    assert taken["verdict"] == "same"


def test_a_file_that_comes_out_otherwise_is_told(place: Place) -> None:
    (place.home / "bin/noisy").touch()
    found = place.answer("reproduce", CALEXP, code=1)
    assert found["verdict"] == "different" and any("NAXIS1" in one for one in found["details"])
    text = (place.home / "bin/measure").read_text()
    (place.home / "bin/measure").write_text(text.replace("counts", "electrons"))
    keep = place.home / "kept"
    done = place.world.facade("reproduce", MEASURED, "--keep", keep, code=1)
    assert "different" in done.stdout and "registered with" in done.stdout
    assert "changed since Ht0_r11p03 was planned: measure" in done.stderr
    made = done.stderr.partition("what was made: ")[2].strip()
    assert "electrons" in Path(made).read_text() and Path(made).is_relative_to(keep)
    (place.home / "bin/measure").write_text("#!/bin/sh\necho no; exit 9\n")
    told = place.world.facade("reproduce", MEASURED, code=1).stderr
    assert "could not be made again" in told and "exited with 9" in told


def test_a_file_whose_only_copy_is_damaged_or_gone_is_made_again(place: Place) -> None:
    """What it was made from is there: neither a missing input nor a failure."""
    path = place.product(COADD, 3)
    path.write_bytes(path.read_bytes()[:-1])
    details = place.answer("reproduce", COADD, code=1)["details"]
    assert "registered with 8640 bytes" in details[0] and "cannot be had, so no more can be said: copy of" in details[1]
    path.unlink()
    assert "is not in the archive" in place.answer("reproduce", COADD, code=1)["details"][1]


def test_what_cannot_be_made_again_is_told(place: Place) -> None:
    told = place.world.facade("reproduce", "HSCA90398616.fits", code=2).stderr
    assert "was not made by a quantum" in told
    assert "did you mean HSCA90398616.fits" in place.world.facade("reproduce", "HSCA90398617.fits", code=2).stderr
    log = next(name for name in place.listed("--attempt", "Ht0_r11p03", "--filetype", "log") if "detect" in name)
    assert f"facade reproduce {MEASURED}" in place.world.facade("reproduce", log, code=2).stderr
    place.product(COADD, 3).unlink()
    assert "not in the archive" in place.world.facade("reproduce", MEASURED, code=3).stderr
    place.world.facade("compare", "--forget-missing")
    told = place.world.facade("reproduce", MEASURED, code=3).stderr
    assert "lies nowhere any more" in told and f"facade reproduce {COADD}" in told
    found = place.answer("reproduce", COADD, code=1)
    assert "what was made then is gone" in found["details"][1]


def test_fits_files_are_compared_by_what_they_hold(tmp_path: Path) -> None:
    import numpy as np
    from astropy.io import fits

    def written(name: str, data: object, **cards: object) -> Path:
        hdu = fits.ImageHDU(np.asarray(data))
        hdu.header.update(cards)
        path = tmp_path / name
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=True)
        return path

    first = written("a.fits", [1, 2, 3], DATE="2026-01-01", SEEING=0.7)
    assert contents(first, written("b.fits", [1, 2, 3], DATE="2026-01-02", SEEING=0.7)) is not None
    found = contents(first, tmp_path / "b.fits")
    assert found is not None and found.others == () and "DATE of HDU 1" in found.cards
    found = contents(first, written("c.fits", [1, 2, 3], DATE="2026-01-01", SEEING=0.8))
    assert found is not None and found.others == ("HDU 1: card SEEING",)
    found = contents(first, tmp_path / "c.fits", ["SEE*"])
    assert found is not None and found.others == () and "SEEING of HDU 1" in found.cards
    found = contents(first, written("d.fits", [1, 2, 4], DATE="2026-01-01", SEEING=0.7))
    assert found is not None and found.others == ("HDU 1: the data (33.3 %)",)
    (tmp_path / "text").write_text("no FITS")
    assert contents(first, tmp_path / "text") is None
    nan, inf = (written(f"{value}.fits", [1.0, value]) for value in (np.nan, np.inf))
    found = contents(nan, inf)
    assert found is not None and found.others == ("HDU 1: the data (NaN or infinity)",)
    found = contents(nan, written("nan2.fits", [1.0, np.nan], DATE="2026-01-01"))
    assert found is not None and found.others == () and "DATE of HDU 1" in found.cards
    for name, column in (("t", [1.0, np.inf]), ("u", [1.0, -np.inf])):
        table = fits.BinTableHDU.from_columns(
            [fits.Column("x", "D", array=column), fits.Column("n", "2A", array=["a", "b"])]
        )
        table.writeto(tmp_path / name)
    found = contents(tmp_path / "t", tmp_path / "u")
    assert found is not None and found.others == ("HDU 1: the data (NaN or infinity)",)


def test_fits_files_that_are_damaged_are_not_compared_by_what_they_hold(tmp_path: Path) -> None:
    """The reader of FITS files ends in all kinds of exceptions then; none of them may reach an operator."""
    import numpy as np
    from astropy.io import fits

    sound = tmp_path / "sound.fits"
    fits.ImageHDU(np.random.default_rng(1).normal(size=(100, 100))).writeto(sound)
    whole = sound.read_bytes()
    squeezed = bytearray(gzip.compress(whole))
    squeezed[9000:20000] = b"\xff" * 11000
    damaged = tmp_path / "damaged.fits"
    for text in (
        whole[:-5000],
        whole.replace(b"NAXIS1", b"NAXISX"),
        whole.replace(b"XTENSION", b"XTENSI\4N"),
        squeezed,
    ):
        damaged.write_bytes(text)
        assert contents(sound, damaged) is None, text[:80]


def test_without_listing_only_what_is_registered_is_looked_for(place: Place) -> None:
    place.product("stranger.fits", 3).write_bytes(b"from elsewhere")
    place.product(MEASURED, 3).unlink()
    found = place.answer("compare", "--only-registered", code=1)
    assert kinds(found["findings"]) == {MEASURED: "missing"} and found["present"] == 0


def test_names_on_disk_that_are_no_text_and_links_that_lead_nowhere_disturb_nobody(place: Place) -> None:
    folder = os.fsencode(place.archive)
    for name in (b"bad\xff.fits", b"new\nline [red].fits", b"odd\xfe/y.fits"):
        os.makedirs(os.path.dirname(folder + b"/" + name), exist_ok=True)
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    (place.archive / "nowhere").symlink_to("gone")
    found = {one["path"]: one["kind"] for one in place.answer("compare", code=1)["findings"]}
    expected = ["bad\udcff.fits", "new\nline [red].fits", "odd\udcfe/y.fits"]
    assert found == dict.fromkeys(expected, "extra")
    told = place.world.facade("compare", code=1).stdout
    assert "bad\\udcff.fits" in told and "new\\nline [red].fits" in told and "odd\\udcfe/y.fits" in told


def test_a_folder_is_compared_however_it_is_written(place: Place) -> None:
    (place.archive / "raw/HSCA90398616.fits").unlink()
    for under in ("raw", "raw/", "./raw//", "/raw"):
        assert kinds(place.answer("compare", "--under", under, code=1)["findings"]) == {"HSCA90398616.fits": "missing"}
    assert "has anything below 'rwa'" in place.world.facade("compare", "--under", "rwa", code=2).stderr
    told = place.world.facade("compare", "--under", "raw", "--sweep", "2d", code=2).stderr
    assert "--sweep goes over all of an archive" in told
