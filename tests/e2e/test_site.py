"""Sites that are not the embedded default: database and archive elsewhere, an engine in the background."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from database import sibling
from e2e.world import World

from facade.registry.connection import connect
from facade.registry.embedded import Embedded

CAMPAIGN = """
project = SITE
campaign = trivial
reqnum = 3
unitname = u_1
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
blocklist = only
<block only>
    modulelist = hello
</block>
n = 9, 10
<filename_pattern>
    out = hello-${n}-p${attnum:2}.txt
</filename_pattern>
<directory_pattern>
    <top>
        ops = ${ops_run_dir}
        runtime = out
    </top>
</directory_pattern>
<filetype_metadata>
    <greeting>
    </greeting>
</filetype_metadata>
<module hello>
    wrappername = generic
    wrapperloop = n
    <exec_1>
        execname = sh
        was_generated_by = file.out
        <cmdline>
            c = 'echo hello > ${file.out.fullname}'
        </cmdline>
    </exec_1>
    <file>
        <out>
            filetype = greeting
            filepat = out
            dirpat = top
        </out>
    </file>
</module>
"""


@pytest.fixture
def site(tmp_path: Path, postgres: Embedded) -> Iterator[World]:
    """A site whose database is elsewhere and wants a password that the operator wrote into FACADE_DB."""
    user, password, name = "night_shift", "s3cret:with/odd@signs", f"site_{time.monotonic_ns()}"
    with closing(connect(sibling(postgres.address(), "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"create role {user} login password '{password}'")
        cursor.execute(f"create database {name} owner {user}")
    place = postgres.url().rpartition("@")[2].partition("/")[0]
    url = f"postgresql://{user}:s3cret%3Awith%2Fodd%40signs@{place}/{name}"
    (tmp_path / "archive").mkdir()
    (tmp_path / "site.wcl").write_text(
        "home_archive = main\n<archive>\n<main>\nroot = archive\n</main>\n</archive>\nruns = deep/runs\nworkers = 1\n"
    )
    (tmp_path / "campaign.wcl").write_text(CAMPAIGN)
    yield World(tmp_path, {"FACADE_DB": url})
    with closing(connect(sibling(postgres.address(), "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"drop database {name} with (force)")
        cursor.execute(f"drop role {user}")


def test_an_external_database_is_a_url_and_nothing_else(site: World) -> None:
    site.facade("submit", "campaign.wcl", "--wait")
    assert site.json("stat", "u_1_r3p01")["quanta"] == {"succeeded": 2}
    assert (site.home / "archive/SITE/r3/p01/hello-10-p01.txt").read_text() == "hello\n"
    assert (site.home / "deep/runs/u_1_r3p01/run.json").is_file()
    assert not (site.home / "db").exists()
    assert site.rows("select root from archive") == [{"root": str(site.home / "archive")}]


def test_a_password_in_a_url_goes_no_further_than_its_file(site: World) -> None:
    site.facade("submit", "campaign.wcl", "--wait")
    holders = [
        path for path in site.home.rglob("*")
        if path.is_file() and (b"s3cret" in path.read_bytes())
    ]  # fmt: skip
    assert [path.parent.name for path in holders] == ["credentials"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    assert "s3cret" not in site.facade("db", "url").stdout


def test_an_attempt_in_the_background_is_found_by_stat(site: World) -> None:
    done = site.facade("submit", "campaign.wcl")
    assert "facade stat u_1_r3p01" in done.stderr
    deadline = time.monotonic() + 30
    while (state := site.json("stat", "u_1_r3p01")["attempt"]["state"]) not in ("succeeded", "failed", "lost"):
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    assert state == "succeeded"


def test_an_attempt_in_the_background_is_stopped_and_carried_on(site: World) -> None:
    path, flag = site.home / "campaign.wcl", site.home / "go"
    path.write_text(CAMPAIGN.replace("echo hello", f"test -e {flag} || sleep 60; echo hello"))
    site.facade("submit", path)
    deadline = time.monotonic() + 30
    while not site.json("stat", "u_1_r3p01")["quanta"].get("running"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    site.facade("remove", "u_1_r3p01")
    after = site.json("stat", "u_1_r3p01")
    assert after["attempt"]["state"] == "removed" and after["carried_out_by"] is None
    flag.touch()
    site.facade("resume", "u_1_r3p01", "--wait")
    assert site.json("stat", "u_1_r3p01")["quanta"] == {"succeeded": 2}
    assert "nothing to stop" in site.facade("remove", "u_1_r3p01").stderr


DYING = """
import os
import facade.submit
from facade.cli import run_command
from facade.registry.submission import Submission

def die(*arguments, **named):
    os._exit(9)

{victim} = die
run_command(["submit", "campaign.wcl", "--wait"])
"""


def dies(site: World, victim: str) -> None:
    """Submit with a process that dies where *victim* would be called."""
    argv = [sys.executable, "-c", DYING.format(victim=victim)]
    assert subprocess.run(argv, env=site.env(), cwd=site.home).returncode == 9


@pytest.mark.parametrize("victim", ["facade.submit.materialise", "facade.engines.rundir.RunDirectory.write"])
def test_a_submission_that_dies_before_its_run_directory_is_whole_is_carried_on(site: World, victim: str) -> None:
    dies(site, victim)
    shown = site.facade("stat", "u_1_r3p01").stdout
    assert "it was never started" in shown and "facade resume u_1_r3p01" in shown
    site.facade("resume", "u_1_r3p01", "--wait")
    assert site.json("stat", "u_1_r3p01")["quanta"] == {"succeeded": 2}


def test_a_submission_that_dies_while_it_registers_leaves_nothing(site: World) -> None:
    dies(site, "Submission.register")
    assert site.json("stat") == []
    site.facade("submit", "campaign.wcl", "--wait")
    assert site.json("stat")[0]["name"] == "u_1_r3p01"


def test_a_plan_is_submitted_as_often_as_one_likes(site: World) -> None:
    site.facade("plan", "campaign.wcl", "-o", "plan.json")
    for attnum in (1, 2):
        site.facade("submit", "plan.json", "--wait", "--reuse", "none")
        assert (site.home / f"archive/SITE/r3/p{attnum:02d}/hello-9-p{attnum:02d}.txt").is_file()
    assert len({row["plan_id"] for row in site.json("stat")}) == 1
    assert [row["plan_id"] for row in site.rows("select plan_id from plan")] == [site.json("stat")[0]["plan_id"]]


def test_a_plan_is_drawn_and_handed_on(site: World) -> None:
    canonical = site.facade("plan", "campaign.wcl", "--to", "json").stdout
    with_decisions = site.facade("plan", "campaign.wcl", "--json").stdout
    assert with_decisions.startswith(canonical.rstrip("}\n"))
    assert json.loads(with_decisions)["decisions"] == [[1, "run", "new", None], [2, "run", "new", None]]
    assert (
        json.loads(site.facade("plan", "campaign.wcl", "--to", "json", "--level", "block").stdout)["level"] == "block"
    )
    assert "digraph plan" in site.facade("plan", "campaign.wcl", "--to", "dot").stdout
    site.facade("plan", "campaign.wcl", "--to", "mermaid", "--level", "file", "-o", "plan.mmd")
    assert "hello-9-p${attnum:2}.txt" in (site.home / "plan.mmd").read_text()
    for wrong in (["--level", "job"], ["--to", "dag", "--level", "file"], ["--to", "dot", "--json"]):
        site.facade("plan", "campaign.wcl", *wrong, code=2)
    assert site.json("stat") == []


def test_the_dag_that_is_shown_is_that_of_the_next_attempt(site: World) -> None:
    site.facade("submit", "campaign.wcl", "--wait", "--set", "attnum=95")
    shown = site.facade("plan", "campaign.wcl", "--to", "dag", "--reuse", "none").stdout
    assert f'SET_JOB_ATTR facade_run = "{site.home}/deep/runs/u_1_r3p96"' in shown
    assert "engine finish u_1_r3p96" in shown
    assert shown.count("\nJOB j") == 1
    assert "\nJOB j" not in site.facade("plan", "campaign.wcl", "--to", "dag").stdout  # all is there
    fixed = site.facade("plan", "campaign.wcl", "--to", "dag", "--set", "attnum=7").stdout
    assert "u_1_r3p07" in fixed and "u_1_r3p96" not in fixed


def test_an_attempt_number_of_ones_own(site: World) -> None:
    anew = ("submit", "campaign.wcl", "--wait", "--reuse", "none")
    site.facade(*anew, "--set", "attnum=95")
    assert (site.home / "archive/SITE/r3/p95/hello-9-p95.txt").is_file()
    assert "exists already" in site.facade(*anew, "--set", "attnum=95", code=4).stderr
    site.facade(*anew)
    assert site.json("stat")[0]["name"] == "u_1_r3p96"


def test_a_job_by_hand(site: World) -> None:
    site.facade("submit", "campaign.wcl", "--wait")
    run = site.home / "deep/runs/u_1_r3p01"
    capsule = run / "jobs/000/capsules.jsonl#1"
    shown = site.facade("job", "show", capsule).stdout
    assert json.loads(shown)["attempt"]["name"] == "u_1_r3p01"
    site.facade("job", "run", capsule)
    alone = run / "jobs/000/j000001.json"
    alone.write_text(shown)
    site.facade("job", "run", alone)
    assert len(list(alone.parent.glob("j000001.receipt.*"))) == 3, "a capsule in a file of its own is the same job"
    assert "holds no job 2" in site.facade("job", "run", run / "jobs/000/capsules.jsonl#2", code=2).stderr
    site.facade("job", "run", run / "nothing.json", code=2)
    assert site.json("stat", "u_1_r3p01")["quanta"] == {"succeeded": 2}


def test_a_dry_run_changes_nothing(site: World) -> None:
    assert "2 quanta in 1 jobs" in site.facade("submit", "campaign.wcl", "--dry-run").stdout
    assert site.json("stat") == []
    assert not (site.home / "deep").exists()


def test_an_archive_that_is_not_mounted_is_told(site: World) -> None:
    (site.home / "site.wcl").write_text("<archive>\n<home>\nroot = /nowhere/at/all\n</home>\n</archive>\n")
    text = site.home / "a.txt"
    text.write_text("a")
    done = site.facade("ingest", "--filetype", "greeting", "--definitions", "campaign.wcl", text, code=1)
    assert "/nowhere/at/all is not there" in done.stderr
    assert site.rows("select count(*) as n from desfile") == [{"n": 0}]


def test_a_database_that_does_not_answer_is_told(site: World) -> None:
    away = site.with_environment({"FACADE_DB": "postgresql://nobody@127.0.0.1:1/none"})
    done = away.facade("stat", code=1)
    assert "127.0.0.1:1" in done.stderr
