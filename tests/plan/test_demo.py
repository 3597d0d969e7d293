"""The demo, DMTN-059's test: nine modules, 1, 16, 32, 8, 8, 4, 8, 4 and 8 executions."""

from __future__ import annotations

from collections import Counter

import pytest
from campaigns import demo, demo_datasets, demo_names, demo_plan, told

from facade.errors import MissingInputError
from facade.plan import Inputs, MissingFiles, Plan, Quantum, plan


@pytest.fixture(scope="module")
def planned() -> Plan:
    return demo_plan()


def quantum(planned: Plan, module: str, **keys: object) -> Quantum:
    return next(q for q in planned.quanta if q.module == module and keys.items() <= dict(q.keys).items())


def test_executions_per_module_are_those_of_dmtn_059(planned: Plan) -> None:
    assert list(Counter(q.module for q in planned.quanta).items()) == [
        ("create_butler_registry", 1),
        ("processccd", 16),
        ("make_coadd_temp_exp", 32),
        ("assemble_coadd", 8),
        ("detect_coadd_sources", 8),
        ("merge_coadd_detections", 4),
        ("measure_coadd_sources", 8),
        ("merge_coadd_measurements", 4),
        ("forced_phot_coadd", 8),
    ]
    assert [q.wrapnum for q in planned.quanta] == list(range(1, 90))


def test_make_coadd_temp_exp_runs(planned: Plan) -> None:
    found = quantum(planned, "make_coadd_temp_exp", patch="0,1", visit=903336)
    assert found.execs[0].argv == (
        "makeCoaddTempExp", "repo", "--output", "repo", "--id", "tract=0", "patch=0,1", "filter=HSC-R", "--doraise",
        "-c", "warpKernel=lanczos3", "--selectId", "visit=903336", "ccd=16", "--selectId", "visit=903336", "ccd=23",
    )  # fmt: skip


def test_merge_coadd_detections_runs(planned: Plan) -> None:
    assert quantum(planned, "merge_coadd_detections", patch="1,0").execs[0].argv == (
        "mergeCoaddDetections", "repo", "--output", "repo", "--doraise", "--id", "tract=0", "patch=1,0",
        "filter=HSC-I^HSC-R",
    )  # fmt: skip


def test_a_patch_with_a_comma_is_one_quantum_and_its_files_have_none(planned: Plan) -> None:
    found = [q for q in planned.quanta if q.module == "assemble_coadd" and q.keys["patch"] == "0,1"]
    assert [dict(q.keys) for q in found] == [
        {"tract": 0, "patch": "0,1", "filter": "HSC-I"},
        {"tract": 0, "patch": "0,1", "filter": "HSC-R"},
    ]
    assert [planned.files[q.outputs[0].file].filename for q in found] == [
        "coadd-HSC-I-0-0x1-r11p${attnum:2}.fits",
        "coadd-HSC-R-0-0x1-r11p${attnum:2}.fits",
    ]
    assert not [f.name for f in planned.files if "," in f.name]


def test_a_list_holds_its_lines_and_its_members_are_inputs(planned: Plan) -> None:
    found = quantum(planned, "make_coadd_temp_exp", patch="0,0", visit=903334)
    names = [f"calexp-HSC-R-903334-0{ccd}-r11p${{attnum:2}}.fits" for ccd in (16, 23)]
    assert found.lists[0].content == "".join(
        f"repo/corr/{n} 903334 {ccd}\n" for n, ccd in zip(names, (16, 23), strict=True)
    )
    members = [use for use in found.inputs if use.section == "list.corr.img_corr"]
    assert [planned.files[use.file].name for use in members] == names
    listing = planned.files[found.lists[0].file]
    assert (listing.producer, listing.filetype) == (-1, "list")


def test_who_uses_the_members_of_a_list_used_the_list_too(planned: Plan) -> None:
    found = quantum(planned, "assemble_coadd", patch="0,0", filter="HSC-I")
    used = [planned.files[i].name for i in found.execs[0].used]
    warps = [f"warp-HSC-I-0-0x0-{visit}-r11p${{attnum:2}}.fits" for visit in (903986, 903988, 903990, 904010)]
    wrapnum = f"{found.wrapnum:05d}"
    assert used == [
        "butler_template.yaml",
        "skymap-sim59.json",
        f"assemble_coadd-Ht0-r11p${{attnum:2}}-w{wrapnum}.list",
        *warps,
    ]
    assert [planned.files[parent].name for _, parent in found.execs[0].derived] == warps


def test_derivations_are_a_full_cross_product(planned: Plan) -> None:
    found = quantum(planned, "detect_coadd_sources", patch="0,0", filter="HSC-I")
    coadd = found.inputs[1].file
    assert found.execs[0].derived == tuple((use.file, coadd) for use in found.outputs)
    assert len(found.outputs) == 3


def test_rename_and_metadata(planned: Plan) -> None:
    found = quantum(planned, "processccd", visit=903334, ccd=16)
    raw = next(use for use in found.inputs if use.section == "file.raw")
    assert (raw.path, raw.rename) == ("repo/raw", "HSC-0903334-016.fits")
    flat = next(use for use in found.inputs if use.section == "file.flat")
    assert (planned.files[flat.file].name, flat.rename) == ("flat-16-HSC-R.fits", "FLAT-HSC-R-016.fits")
    calexp = planned.files[found.outputs[0].file]
    assert calexp.metadata == {
        "visit": 903334, "ccd": 16, "filter": "HSC-R", "field": "F", "dateobs": "2013-06-17", "taiobs": "2013-06-17",
        "pointing": 533, "exptime": 60.0,
    }  # fmt: skip
    assert calexp.archive_path == "MMG/hsctest/MDEV/r11/Ht0/p${attnum:2}/corr"


def test_jobs_follow_divide_jobs_by_and_wait_for_what_they_read(planned: Plan) -> None:
    summary = [(j.block, dict(j.keys), len(j.quanta), len(j.parents)) for j in planned.jobs]
    assert summary[0] == (0, {}, 1, 0)
    assert summary[1:9] == [
        (1, {"visit": str(v)}, 2, 0) for v in (903334, 903336, 903338, 903342, 903986, 903988, 903990, 904010)
    ]
    assert summary[9] == (2, {"patch": "0,0", "filter": "HSC-R"}, 6, 0)
    assert summary[17] == (2, {"patch": "0,0"}, 6, 2)
    assert planned.jobs[17].parents == (10, 11)
    assert len(planned.jobs) == 21


def test_files_that_the_campaign_names_are_asked_for_by_name() -> None:
    with pytest.raises(MissingFiles) as caught:
        plan(demo(), Inputs(demo_datasets()))
    assert caught.value.names == ("butler_template.yaml", "refcat-sim59.tar", "skymap-sim59.json")
    assert caught.value.exit_code == 3
    first = told(caught.value).splitlines()
    assert first[0].endswith(
        ": error: quantum processccd visit=903334 ccd=16: file 'butler_template.yaml' is neither made earlier nor"
        " registered"
    )
    assert first[1:3] == [f"    {' ' * 12}filename = ${{butler_template}}", f"    {' ' * 23}{'^' * 18}"]
    assert first[-1] == "  ingest the missing files (facade ingest), or mend the pattern or the query"


def test_a_query_that_finds_nothing_is_missing_input() -> None:
    rows = demo_datasets()
    rows["processccd.file.bias"] = []
    with pytest.raises(MissingInputError) as caught:
        plan(demo(), Inputs(rows, demo_names()))
    assert "the query of file 'bias' of module 'processccd' found nothing" in told(caught.value)
    assert "ingest the inputs (facade ingest), or widen the query; try it with: facade query" in told(caught.value)


def test_a_calibration_that_one_quantum_lacks_is_missing_without_a_name() -> None:
    rows = demo_datasets()
    del rows["processccd.file.flat"][0]
    with pytest.raises(MissingFiles) as caught:
        plan(demo(), Inputs(rows, demo_names()))
    assert caught.value.names == ()
    assert "no line of file 'flat' of module 'processccd' has ccd=16 filter=HSC-R" in told(caught.value)


def test_every_query_that_found_nothing_is_told_at_once() -> None:
    with pytest.raises(MissingInputError) as caught:
        plan(demo(), Inputs())
    assert caught.value.message.count("found nothing") == 5
