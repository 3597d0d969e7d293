"""Outputs: which are saved, which are compressed too, who may read them, and which cards they get."""

from __future__ import annotations

import pytest
from campaigns import RAWS, faults_of, lines, planned, small, text

from facade.campaign import examine
from facade.errors import CampaignError
from facade.loading import _not_installed
from facade.outputs import Card, Compression, Handling, Junk, Outputs, Treatment
from facade.plan import Inputs, Plan, from_text, plan
from facade.plan.fingerprint import fingerprints
from facade.plan.foresee import foreseen
from facade.plan.growth import ensure_grown
from facade.wcl import loads

COMPRESSED = text().replace("flabel = img", "flabel = img\ncompress_files = True")
ONE_JOB = COMPRESSED
"""A block without divide_jobs_by is one job."""


def with_img(lines: str, whole: str = "") -> str:
    return (whole or text()).replace("flabel = img", f"flabel = img\n{lines}")


def outputs(plan: Plan, module: str = "reduce") -> list[tuple[str, bool]]:
    """Return name and whether it is saved, of the outputs of a module's first quantum."""
    first = next(quantum for quantum in plan.quanta if quantum.module == module)
    return [(plan.files[use.file].name, plan.files[use.file].save) for use in first.outputs]


def faults(whole: str, code: str) -> list[str]:
    return faults_of(lambda: planned(whole), code)


class TestSaved:
    @pytest.mark.parametrize(
        ("said", "saved"), [("always", True), ("never", False), ("file", False), ("failure", False), ("rand_99", False)]
    )
    def test_what_the_master_says(self, said: str, saved: bool) -> None:
        plan = planned(with_img("savefiles = False") + f"master_savefiles = {said}\n")
        assert [save for _, save in outputs(plan)] == [saved]

    def test_a_module_wins_over_its_block_and_that_over_the_campaign(self) -> None:
        whole = text().replace("<b>\n", "<b>\nmaster_savefiles = never\n") + "master_savefiles = always\n"
        plan = planned(whole.replace("<module stack>", "<module stack>\nmaster_savefiles = file"))
        assert [save for _, save in outputs(plan)] == [False]
        assert [save for _, save in outputs(plan, "stack")] == [True]

    def test_what_jobs_have_to_know_is_in_the_plan(self) -> None:
        whole = text() + "master_savefiles = rand_07\ncreate_junk_tarball = True\njunk_max_size = 3MB\n"
        plan = planned(whole)
        assert plan.outputs.junk == Junk("always", 3 << 20)
        assert plan.outputs.modules == {name: Handling("rand_07") for name in ("reduce", "stack")}
        assert from_text(plan.text) == plan

    def test_a_plan_of_which_nothing_is_said_holds_nothing(self) -> None:
        assert planned().outputs == Outputs()
        assert '"outputs":[[' not in planned().text

    def test_an_unsaved_output_that_another_job_reads(self) -> None:
        whole = with_img("savefiles = False").replace("loopobj = file.raw", "loopobj = file.raw\ndivide_jobs_by = ccd")
        (fault,) = faults(whole, "F525")
        assert "reads 'img-9-001-r7p${attnum:2}.fits' of another job, and it is not saved (and 3 more like it)" in fault
        assert "savefiles = False\n" in fault


class TestCompressed:
    def test_it_is_a_file_of_its_own_beside_the_one_it_is_made_of(self) -> None:
        plan = planned(COMPRESSED)
        name = "img-9-001-r7p${attnum:2}.fits"
        assert outputs(plan) == [(name, False), (f"{name}.fz", True)]
        files = [plan.files[use.file] for use in plan.quanta[0].outputs]
        assert (files[1].filename, files[1].compression) == (name, ".fz")
        assert files[1]._replace(compression="", save=False) == files[0]

    def test_both_are_kept_without_cleanup(self) -> None:
        plan = planned(COMPRESSED + "compress_cleanup = False\n")
        assert [save for _, save in outputs(plan)] == [True, True]

    @pytest.mark.parametrize("line", ["master_compression = never", "master_savefiles = never"])
    def test_what_is_not_to_be_compressed(self, line: str) -> None:
        plan = planned(f"{COMPRESSED}{line}\n")
        assert len(outputs(plan)) == 1
        assert plan.outputs.modules == {}

    def test_the_program_and_its_arguments(self) -> None:
        lines = (
            "compression_exec = gzip\ncompression_suffix = .gz\nlevel = 9\n"
            "compression_args = -k -n -${level} --comment 'two words' ${__ucfile__}\n"
        )
        found = planned(COMPRESSED + lines).outputs.modules["reduce"]
        argv = ("gzip", "-k", "-n", "-9", "--comment", "two words", "${__UCFILE__}")
        assert found.compression == Compression(argv, ".gz", True)
        assert found.sections == {"file.img": Treatment(compress=True)}
        assert found.compression.command("d/a b.fits")[-1] == "d/a b.fits"
        assert Compression(("zstd", "${__UCFILE__}", "-o${__CFILE__}"), ".zst").command("a.fits") == [
            "zstd", "a.fits", "-oa.fits.zst"
        ]  # fmt: skip

    def test_arguments_that_do_not_name_the_file(self) -> None:
        (fault,) = faults(COMPRESSED + "compression_args = -k\n", "F235")
        assert "write ${__UCFILE__} where its name belongs" in fault

    def test_later_modules_read_what_the_program_wrote(self) -> None:
        plan = planned(COMPRESSED)
        stack = next(quantum for quantum in plan.quanta if quantum.module == "stack")
        names = [plan.files[use.file].name for use in stack.inputs]
        assert names == [f"img-9-{ccd:03}-r7p${{attnum:2}}.fits" for ccd in (1, 2)]
        assert stack.lists[0].content.count("\n") == 2

    def test_another_job_cannot_read_it_unless_both_are_kept(self) -> None:
        whole = COMPRESSED.replace("loopobj = file.raw", "loopobj = file.raw\ndivide_jobs_by = ccd")
        (fault,) = faults(whole, "F525")
        assert "of another job, and it is only compressed" in fault and "set compress_cleanup = False" in fault
        assert len(planned(whole + "compress_cleanup = False\n").jobs) > 1

    def test_another_job_may_read_the_compressed_one_by_its_name(self) -> None:
        whole = COMPRESSED.replace("loopobj = file.raw", "loopobj = file.raw\ndivide_jobs_by = ccd")
        whole = whole.replace(
            "            depends = reduce.file.img\n            divide_by = visit\n            sortkey = ccd\n", ""
        ).replace("loopobj = list.imgs\n", "visit = 9\nccd = 1, 2\n")
        whole = whole.replace(
            "<img>\n            listonly = True\n            dirpat = d",
            "<img>\n            listonly = True\n            dirpat = d\n            filename = img-${visit}-${ccd:3}"
            "-r${reqnum}p${attnum:2}.fits.fz",
        )
        whole = whole.replace("columns = img.fullname, img.ccd", "columns = img.fullname")
        plan = planned(whole.replace("ccd = int", "ccd = text"))
        stack = next(quantum for quantum in plan.quanta if quantum.module == "stack")
        assert [plan.files[use.file].compression for use in stack.inputs] == [".fz", ".fz"]

    def test_a_later_block_cannot_read_it_either_and_that_is_told_before_there_are_rows(self) -> None:
        whole = text(b="reduce", c="stack").replace("flabel = img", "flabel = img\ncompress_files = True")
        (fault,) = [f for f in examine(loads(whole, "c.wcl")).faults if f.severity == "error"]
        assert fault.code == "F422" and "of an earlier block, and that is only kept compressed" in fault.message
        small(whole + "compress_cleanup = False\n")

    def test_a_name_that_is_compressed_already(self) -> None:
        whole = COMPRESSED.replace("${ccd:3}-r${reqnum}p${attnum:2}.fits", "${ccd:3}-r${reqnum}p${attnum:2}.fits.gz")
        (fault,) = faults(whole, "F526")
        assert "is to be compressed, and is called so already" in fault


class TestCards:
    UPDATE = """
<hdrupd_a>
headers = 0, SCI
band = ${band}/filter, as in the query/str
ccdnum = ${ccd:3}
reqnum = ${reqnum}/request/int
desfname = ${file.img.filename}/own name/str
path = "a/b"
gain = header:SCI:GAIN/copied/float
made = function:mine
</hdrupd_a>
"""

    def test_they_are_compiled_once_for_a_module(self) -> None:
        plan = planned(with_img(self.UPDATE))
        hdus = ("0", "SCI")
        assert plan.outputs.modules["reduce"].sections["file.img"].cards == (
            Card(hdus, "BAND", (("band", 0),), "filter, as in the query", "str"),
            Card(hdus, "CCDNUM", (("ccd", 3),)),
            Card(hdus, "REQNUM", ("7",), "request", "int"),
            Card(hdus, "DESFNAME", (("filename", 0),), "own name", "str"),
            Card(hdus, "PATH", ("a/b",), "", "str"),
            Card(hdus, "GAIN", (), "copied", "float", "header:SCI:GAIN"),
            Card(hdus, "MADE", (), "", "", "function:mine"),
        )
        assert from_text(plan.text) == plan
        assert plan.files[plan.quanta[0].outputs[0].file].metadata["band"] == "r"

    def test_what_they_refer_to_has_to_be_known(self) -> None:
        with pytest.raises(CampaignError, match="has no single value"):
            planned(with_img("<hdrupd_a>\nx = ${gain}\n</hdrupd_a>"), [*RAWS[:3], {**RAWS[3], "gain": 1}])
        found = examine(loads(with_img("<hdrupd_a>\nx = ${zork_}\nreqnum = ${file.raw.fullname}\n</hdrupd_a>"), "c"))
        assert {fault.code for fault in foreseen(found)} | {f.code for f in found.faults} >= {"F351"}

    @pytest.mark.parametrize(
        ("line", "code", "what"),
        [
            ("naxis1 = 3", "F350", "'NAXIS1' is no card that can be written"),
            ("far_too_long = 3", "F350", "'FAR_TOO_LONG' is no card"),
            ("x = 3/number/itn", "F351", "'itn' is no type of a card"),
            ("x = 3/number", "F351", "this is neither VALUE nor VALUE/COMMENT/TYPE"),
            ("x = 3/größe/int", "F351", "is not ASCII"),
        ],
    )
    def test_what_cannot_be_written(self, line: str, code: str, what: str) -> None:
        (fault,) = faults(with_img(f"<hdrupd_a>\n{line}\n</hdrupd_a>"), code)
        assert what in fault

    def test_a_function_has_to_be_installed(self) -> None:
        campaign = small(with_img("<hdrupd_a>\nmade = function:mine\n</hdrupd_a>"))
        (fault,) = _not_installed(campaign)[:1]
        assert (fault.code, "no function is registered as 'mine'" in fault.message) == ("F607", True)


class TestFingerprints:
    @pytest.mark.parametrize(
        "whole",
        [
            COMPRESSED,
            COMPRESSED + "compression_args = -q 4 ${__UCFILE__}\n",
            with_img("<hdrupd_a>\nx = 1\n</hdrupd_a>"),
            with_img("<hdrupd_a>\nx = 2\n</hdrupd_a>"),
        ],
    )
    def test_what_changes_files_makes_another_product(self, whole: str) -> None:
        before, after = fingerprints(planned(), {}).plan, fingerprints(planned(whole), {}).plan
        assert not set(before) & set(after)

    @pytest.mark.parametrize(
        "lines", ["master_savefiles = failure", "master_savefiles = always", "create_junk_tarball = True"]
    )
    def test_what_is_kept_does_not(self, lines: str) -> None:
        assert fingerprints(planned(f"{text()}{lines}\n"), {}) == fingerprints(planned(), {})

    def test_it_is_that_of_a_stored_plan_and_of_any_attempt(self) -> None:
        plan = planned(with_img(TestCards.UPDATE, COMPRESSED))
        other = planned(with_img(TestCards.UPDATE, COMPRESSED).replace("${project}/r", "elsewhere/r"))
        assert fingerprints(from_text(plan.text), {}) == fingerprints(plan, {}) == fingerprints(other, {})
        assert fingerprints(plan.bind(4), {}) == fingerprints(plan, {})


def test_the_draw_of_an_attempt_is_the_same_in_all_its_jobs_and_fair() -> None:
    drawn = [Handling("rand_30").keeps_all(f"Ht0_r11p{number:02}") for number in range(2000)]
    assert drawn == [Handling("rand_30").keeps_failed(f"Ht0_r11p{number:02}") for number in range(2000)]
    assert 0.25 < sum(drawn) / 2000 < 0.35
    assert not any(Handling("rand_00").keeps_all(str(number)) for number in range(100))


def test_what_is_said_of_later_blocks_does_not_change_what_was_planned_before() -> None:
    whole = text(b="reduce", c="stack").replace("<c>\nmodulelist", "<c>\nplanned = late\nmodulelist")
    whole = whole.replace("flabel = img", "flabel = img\nallow_empty = True")
    whole = whole.replace("flabel = coadd", "flabel = coadd\ncompress_files = True")
    inputs = Inputs({"reduce.file.raw": lines("raw", RAWS)})
    first, both = (plan(small(whole), inputs, blocks=number) for number in (1, 2))
    assert (set(first.outputs.modules), set(both.outputs.modules)) == ({"reduce"}, {"reduce", "stack"})
    ensure_grown(first, both)


def test_metadata_may_have_other_names_than_what_they_come_from() -> None:
    whole = text().replace(
        "visit = int\n", "visit = int\n            expnum = int wcl: visit\n            who = text wcl:Observer\n"
    )
    whole = whole.replace(
        "            visit = int\n", "            visit = int\n            filter = text wcl:band\n", 1
    )
    plan = planned(whole + "observer = me\n")
    known = plan.files[plan.quanta[0].outputs[0].file].metadata
    assert {key: known[key] for key in ("expnum", "who", "filter")} == {"expnum": 9, "who": "me", "filter": "r"}
    assert small(whole + "observer = me\n").warnings == ()
