"""What goes wrong in campaigns, and what the operator is told."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e.world import CAMPAIGN, ROOT, World

BROKEN = """case "$*" in *patch=0,1*filter=HSC-I*) if [ -e "{flag}" ]; then
  echo "FATAL assembleCoadd no good pixels" >&2; exit 7; fi;; esac"""


def test_a_step_that_exits_7_in_one_patch(world: World) -> None:
    flag = world.home / "broken"
    flag.touch()
    path = world.shim("assembleCoadd", BROKEN.format(flag=flag))
    world.submit("-j", 2, *path, code=1)
    attempt = world.latest()
    assert attempt["state"] == "failed"
    report = world.json("stat", attempt["name"])
    [culprit] = [f for f in report["failures"] if f["state"] == "failed"]
    assert (culprit["module"], culprit["class"], culprit["exit_code"], culprit["step"]) == (
        "assemble_coadd", "exec-failed", 7, "exec",
    )  # fmt: skip
    assert culprit["keys"] == {"tract": 0, "patch": "0,1", "filter": "HSC-I"}
    assert "no good pixels" in culprit["tail"]
    assert Path(culprit["log"]).is_file()
    # patch 0,1 of HSC-I lacks detect, measure, forced; both merges of the patch; measure and forced of HSC-R there
    assert report["quanta"] == {"succeeded": 81, "failed": 1, "blocked": 7}
    text = world.facade("stat", attempt["name"]).stdout
    assert "exit code 7" in text and "no good pixels" in text and f"facade resume {attempt['name']}" in text

    flag.unlink()
    world.facade("resume", attempt["name"], "--wait")
    after = world.json("stat", attempt["name"])
    assert after["attempt"]["state"] == "succeeded"
    assert after["quanta"] == {"succeeded": 89}
    runs = world.rows(
        "select e.name, count(*) as runs from pfw_exec e join pfw_attempt a on a.id = e.pfw_attempt_id"
        f" where a.attnum = {attempt['attnum']} group by e.name"
    )
    assert {row["name"]: row["runs"] for row in runs} == {
        "createButlerRegistry": 1, "processCcd": 16, "makeCoaddTempExp": 32, "assembleCoadd": 9,
        "detectCoaddSources": 8, "mergeCoaddDetections": 4, "measureCoaddSources": 8,
        "mergeCoaddMeasurements": 4, "forcedPhotCoadd": 8,
    }  # fmt: skip
    assert "nothing to do" in world.facade("resume", attempt["name"], "--wait").stderr


def test_the_engine_killed_in_the_middle(world: World) -> None:
    known = world.newest()
    process = world.start("submit", CAMPAIGN, "--wait", "--reuse", "none", "-j", 2)
    name = world.under_way(process, known)
    assert "is being carried out by" in world.facade("resume", name, code=4).stderr
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while world.json("stat", name)["attempt"]["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.3)  # workers end with the job they have
    assert world.json("stat", name)["attempt"]["state"] == "lost"
    assert f"facade resume {name}" in world.facade("stat", name).stdout
    world.facade("resume", name, "--wait", "-j", 2)
    assert world.json("stat", name)["quanta"] == {"succeeded": 89}
    doubles = world.rows(
        "select d.filename from desfile d join file_location l on l.desfile_id = d.id"
        " group by d.id, d.filename having count(*) > 1"
    )
    assert doubles == []


def test_the_database_killed_in_the_middle(world: World) -> None:
    known = world.newest()
    process = world.start("submit", CAMPAIGN, "--wait", "--reuse", "none", "-j", 2)
    world.under_way(process, known)
    os.kill(int((world.home / "db/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "the jobs go on meanwhile" in stderr
    attempt = world.latest()
    assert (attempt["state"], attempt["quanta"]) == ("succeeded", {"succeeded": 89})
    edges = world.rows(
        "select count(*) as n from opm_used u join pfw_exec e using (task_id)"
        f" join pfw_attempt a on a.id = e.pfw_attempt_id where a.attnum = {attempt['attnum']}"
    )
    assert edges == [{"n": 1 + 16 * 6 + 32 * 4 + 58 + 8 * 7 + 8 * 2 + 4 * 4 + 8 * 4 + 4 * 4 + 8 * 3}]


def test_ctrl_c_stops_in_good_order(world: World) -> None:
    known = world.newest()
    process = world.start("submit", CAMPAIGN, "--wait", "--reuse", "none", "-j", 2)
    world.under_way(process, known)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "facade resume" in stderr and "Traceback" not in stderr
    world.facade("resume", world.latest()["name"], "--wait")


@pytest.mark.parametrize(
    ("settings", "message", "code"),
    [
        (["block.coadd.modulelist=make_coadd_temp_exp, asemble_coadd"], "no module is called 'asemble_coadd'", 2),
        (["ref_cat=${reference}"], "undefined variable 'reference'", 2),
        (["tract=7"], "of module 'create_butler_registry' found nothing", 3),
        (["skymap=other.json"], "'other.json' is neither made earlier nor registered", 3),
        (["module.processccd.wrappername=lst"], "no wrapper is called 'lst'", 2),
        (["module.processccd.exec_1.execname=processCdc"], "not on the path of jobs: processCdc", 2),
        (["reqnum=eleven"], "'reqnum' must be a whole number", 2),
    ],
)
def test_bad_campaigns_change_nothing(world: World, settings: list[str], message: str, code: int) -> None:
    before = world.rows("select count(*) as n from task")
    done = world.facade("submit", CAMPAIGN, *[w for s in settings for w in ("--set", s)], code=code)
    assert message in done.stderr
    assert world.rows("select count(*) as n from task") == before


def test_a_missing_include_is_named_with_its_place(world: World, tmp_path: Path) -> None:
    campaign = tmp_path / "c.wcl"
    campaign.write_text("project = X\n<<include nowhere/patterns.wcl>>\n")
    done = world.facade("submit", campaign, code=2)
    assert f"{campaign}:2:11: error: cannot read the included file 'nowhere/patterns.wcl'" in done.stderr


def test_with_all_or_none_a_raw_that_is_no_fits_file_registers_nothing(world: World, tmp_path: Path) -> None:
    fake = tmp_path / "HSCA99999916.fits"
    fake.write_text("not FITS at all")
    good = next(iter(sorted((world.data / "raw").glob("*.fits"))))
    copy = tmp_path / "HSCA11111116.fits"
    copy.write_bytes(good.read_bytes())
    before = world.rows("select count(*) as n from desfile")
    done = world.facade("ingest", "--filetype", "hsc_raw", "--all-or-none", copy, fake, code=2)
    assert str(fake) in done.stderr and "FITS" in done.stderr and "nothing was registered" in done.stderr
    assert world.rows("select count(*) as n from desfile") == before
    assert not list((world.home / "archive").rglob("HSCA11111116.fits"))


def test_other_content_under_a_registered_name_is_refused(world: World, tmp_path: Path) -> None:
    same = world.data / "skymap-sim59.json"
    other = tmp_path / same.name
    other.write_text(same.read_text() + "\n")  # as good a sky map as the other
    assert (
        "registered already with other content" in world.facade("ingest", "--filetype", "skymap", other, code=1).stderr
    )
    world.facade("ingest", "--filetype", "skymap", "--all-or-none", other, code=4)
    assert "1 registered already" in world.facade("ingest", "--filetype", "skymap", same).stderr


def test_usage_errors_are_exit_2_without_a_traceback(world: World) -> None:
    assert "did you mean 'submit'" in world.facade("sumbit", code=2).stderr
    world.facade("submit", code=2)
    world.facade("stat", "Ht0_r99p01", code=2)
    world.facade("sql", "-c", "delete from desfile", code=4)
    world.facade("sql", "-c", "selec 1", code=2)
    world.facade("provenance", "no-such-file.fits", code=2)


def test_no_credentials_outside_the_password_file(world: World) -> None:
    password = (world.home / "db/pgpass").read_text().strip().rpartition(":")[2]
    assert len(password) > 10
    found = subprocess.run(
        ["grep", "-rlF", password, str(world.home / "runs"), str(world.home / "archive")],
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""
    assert password not in world.facade("db", "url").stdout
    assert ROOT.is_dir()
