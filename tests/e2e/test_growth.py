"""Blocks that are planned once those before them are done: with the local engine and a real PostgreSQL."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from database import checksum, make_database
from e2e.late import CAMPAIGN, campaign, report_of
from e2e.world import World

from facade.registry import Registry
from facade.registry.connection import Address
from facade.registry.embedded import Embedded

pytest_plugins = ["database"]
BOTH = "hello 9\nhello 10\n"


@pytest.fixture
def address(postgres: Embedded, template: str) -> Address:
    """A database of its own."""
    return make_database(postgres, template)


@pytest.fixture
def home(tmp_path: Path, address: Address) -> World:
    """A home of its own."""
    return World(tmp_path, address.environment())


def states(home: World, attempt: int = 1) -> tuple[str, dict[str, int]]:
    report = home.json("stat", f"u_r4p{attempt:02}")
    return report["attempt"]["state"], report["quanta"]


def test_a_query_finds_what_the_block_before_made_in_the_same_attempt(home: World) -> None:
    path = campaign(home)
    told = home.facade("check", path).stderr
    assert "calib (1), coadd (1, planned when calib is done), last (1, planned when coadd is done)" in told
    shown = home.facade("plan", path).stdout
    assert "not planned yet: coadd, last; coadd is when calib is done" in shown and "3 quanta in 3 jobs" in shown
    for attempt in (1, 2):  # the second finds its own files, not those of the first
        home.facade("submit", path, "--wait", "-j", 2, "--reuse", "none")
        assert states(home, attempt) == ("succeeded", {"succeeded": 6})
        assert report_of(home, attempt) == BOTH
    origin = home.rows(
        "select c.filename as child, p.filename as parent from opm_was_derived_from o"
        " join desfile c on c.id = o.child_desfile_id join desfile p on p.id = o.parent_desfile_id"
        " where c.filename like '%p02%' order by 1, 2"
    )
    assert [(row["child"], row["parent"]) for row in origin] == [
        ("all-10-r4p02.txt", "hello-10-r4p02.txt"), ("all-9-r4p02.txt", "hello-9-r4p02.txt"),
        ("report-r4p02.txt", "all-10-r4p02.txt"), ("report-r4p02.txt", "all-9-r4p02.txt"),
    ]  # fmt: skip
    blocks = home.rows("select name, numexpjobs, blknum from pfw_block where pfw_attempt_id = 2 order by blknum")
    assert [(row["name"], row["numexpjobs"]) for row in blocks] == [("calib", 3), ("coadd", 1), ("last", 1)]
    asked = home.rows("select modname, arguments, row_count from pfw_data_query where pfw_attempt_id = 2 order by id")
    assert [(row["modname"], row["arguments"], row["row_count"]) for row in asked] == [
        ("gather", "--filetype greeting n=9:10", 2), ("report", "--filetype gathered", 2),
    ]  # fmt: skip


def test_what_was_made_before_is_reused_in_later_blocks_too(home: World) -> None:
    home.facade("submit", campaign(home), "--wait")
    assert "nothing to do: u_r4p01 made all of it" in home.facade("submit", campaign(home), "--wait").stderr
    assert "0 reused" not in (shown := home.facade("plan", campaign(home)).stdout)
    assert "6 quanta in 5 jobs" in shown and "nothing to run, 6 reused from u_r4p01" in shown
    # other greetings that come out the same: what follows is reused, as its inputs are what they were
    home.facade("submit", campaign(home, hello="echo"), "--wait")
    assert states(home, 2) == ("succeeded", {"succeeded": 3})
    assert home.json("stat", "u_r4p02")["reused"] == {"u_r4p01": 3}
    explained = home.facade("plan", campaign(home, hello="echo", gather="echo"), "--explain").stdout
    assert "gather n=9" in explained and "unlike in u_r4p01: command line of exec_1" in explained
    assert "from u_r4p02" in explained and "not planned yet: last; last is when coadd is done" in explained
    # only the second block is another: it is planned at submission, for the first is taken as it is
    home.facade("submit", campaign(home, hello="echo", gather="echo"), "--wait")
    assert states(home, 3) == ("succeeded", {"succeeded": 2})
    assert home.json("stat", "u_r4p03")["reused"] == {"u_r4p02": 3, "u_r4p01": 1}
    # other greetings with other content: all is made again
    home.facade("submit", campaign(home, hello="echo $HOME > ${file.out.fullname}; exit 0"), "--wait")
    assert states(home, 4) == ("succeeded", {"succeeded": 6})
    assert report_of(home, 4) != BOTH
    home.facade("submit", campaign(home), "--wait", "--reuse", "refuse", code=4)


def test_what_fails_before_a_block_keeps_it_unplanned_until_it_is_mended(home: World) -> None:
    flag = home.home / "flag"
    flag.touch()
    path = campaign(home, hello=f"test ${{n}} != 9 || test ! -e {flag} || exit 7")
    home.facade("submit", path, "--wait", code=1)
    report = home.json("stat", "u_r4p01")
    assert report["blocks"] == {"calib": "failed", "coadd": "blocked", "last": "blocked"}
    assert [one["block"] for one in report["unplanned"]] == ["coadd", "last"]
    assert "planned when calib is done" in home.facade("stat", "u_r4p01").stdout
    assert home.rows("select count(*) as n from pfw_data_query") == [{"n": 0}]
    flag.unlink()
    path.write_text("the file may have changed since")
    home.facade("resume", "u_r4p01", "--wait")
    assert states(home) == ("succeeded", {"succeeded": 6})
    assert report_of(home, 1) == BOTH
    assert home.json("stat", "u_r4p01")["blocks"] == {"calib": "succeeded", "coadd": "succeeded", "last": "succeeded"}


def test_a_failure_in_a_block_that_was_planned_late_is_mended_by_resume(home: World) -> None:
    flag = home.home / "flag"
    flag.touch()
    home.facade("submit", campaign(home, gather=f"test ${{n}} != 9 || test ! -e {flag} || exit 7"), "--wait", code=1)
    report = home.json("stat", "u_r4p01")
    assert report["blocks"] == {"calib": "succeeded", "coadd": "failed", "last": "blocked"}
    assert report["quanta"] == {"succeeded": 4, "failed": 1}
    flag.unlink()
    home.facade("resume", "u_r4p01", "--wait")
    assert states(home) == ("succeeded", {"succeeded": 6})
    assert home.rows("select count(*) as n from pfw_data_query") == [{"n": 2}]


def test_a_late_query_that_finds_nothing_fails_the_attempt_and_is_asked_again(home: World, address: Address) -> None:
    home.facade("submit", campaign(home), "--wait", "--set", "wanted=20:30", code=1)
    report = home.json("stat", "u_r4p01")
    assert report["attempt"]["state"] == "failed" and report["quanta"] == {"succeeded": 3}
    [coadd, last] = report["unplanned"]
    assert (coadd["state"], last["state"]) == ("failed", "blocked")
    assert "the query of file 'greeting' of module 'gather' found nothing" in coadd["detail"]
    assert "u_r4p01, as submitted:" in coadd["detail"]
    told = home.facade("stat", "u_r4p01").stdout
    assert "block coadd could not be planned" in told and "found nothing" in told and "facade resume u_r4p01" in told
    home.facade("resume", "u_r4p01", "--wait", code=1)
    # what is ingested meanwhile is found
    (home.home / "archive/in").mkdir()
    (home.home / "archive/in/hi.txt").write_text("hi\n")
    with Registry.open(address) as registry:
        columns = {"n": {"type": "int"}}
        registry.ingest("hi", {"greeting": {"metadata_table": "greeting", "columns": columns}}, [{
            "filename": "hi.txt", "compression": "", "filetype": "greeting", "size": 3, "checksum": checksum("hi\n"),
            "metadata": {"n": 21}, "path": "in", "archive": "home",
        }])  # fmt: skip
    home.facade("resume", "u_r4p01", "--wait")
    assert states(home) == ("succeeded", {"succeeded": 5})
    assert report_of(home, 1) == "hi\n"


DEADLY = """#!/usr/bin/env python3
import json, os, signal, sys
if os.path.exists("FLAG"):
    os.unlink("FLAG")
    os.kill(os.getppid(), signal.SIGKILL)
json.dump([{"n": 9, "filename": "all-9-r4p01.txt"}], open(sys.argv[1], "w"))
"""


def test_kill_9_in_the_middle_of_planning(home: World) -> None:
    """The query of the last block kills whoever asks it; then the run directory is what a kill would have left."""
    query, flag = home.home / "deadly.py", home.home / "flag"
    query.write_text(DEADLY.replace("FLAG", str(flag)))
    query.chmod(0o755)
    stumble = home.home / "stumble"
    flag.touch()
    stumble.touch()
    path = campaign(home)
    path.write_text(path.read_text().replace("c = 'xargs", f"c = 'test ! -e {stumble} || exit 7; xargs"))
    asked = f"exec = {query}\n            args = ${{qoutfile}}\n            qouttype = json"
    path.write_text(path.read_text().replace("query_fields = filetype\n            filetype = gathered", asked))
    process = home.start("submit", path, "--wait", "-j", 2)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL and not flag.exists()
    report = home.json("stat", "u_r4p01")
    assert (report["attempt"]["state"], report["quanta"]) == ("lost", {"succeeded": 5})
    assert [one["block"] for one in report["unplanned"]] == ["last"]
    table = home.home / "runs/u_r4p01/run.json"
    before = table.read_text()
    assert json.loads(before)["later"] == ["last"]
    home.facade("resume", "u_r4p01", "--wait", code=1)
    assert states(home) == ("failed", {"succeeded": 5, "failed": 1})

    # killed after the rows were written, and before the run directory was: nothing is planned or written twice
    rows = home.rows("select count(*) as n from task where kind <> 'exec'")
    table.write_text(before)
    stumble.unlink()
    home.facade("resume", "u_r4p01", "--wait")
    assert states(home) == ("succeeded", {"succeeded": 6}) and report_of(home, 1) == "hello 9\n"
    assert json.loads(table.read_text())["later"] == [] and len(json.loads(table.read_text())["jobs"]) == 5
    assert home.rows("select count(*) as n from task where kind <> 'exec'") == rows


def test_an_explicit_attempt_number_and_queries_that_name_it(home: World) -> None:
    path = campaign(home)
    text = path.read_text().replace("query_fields = filetype, n", "query_fields = filetype, n, attnum")
    path.write_text(text)
    home.facade("submit", path, "--wait", "--set", "attnum=7")
    assert states(home, 7) == ("succeeded", {"succeeded": 6}) and report_of(home, 7) == BOTH
    asked = "query_fields = filetype, n, attnum\n            filetype = greeting\n            n = ${wanted}"
    named = "exec = generic\n            args = --filetype greeting n=9:10 attnum=${attnum}"
    path.write_text(text.replace(asked, named))
    home.facade("submit", path, "--wait", "--reuse", "none")
    assert states(home, 8) == ("succeeded", {"succeeded": 6}) and report_of(home, 8) == BOTH
    rows = home.rows("select arguments from pfw_data_query where modname = 'gather' order by id")
    assert [row["arguments"] for row in rows] == [f"--filetype greeting n=9:10 attnum={n}" for n in (7, 8)]


def test_a_plan_alone_does_not_say_how_to_go_on(home: World) -> None:
    path = campaign(home)
    home.facade("plan", path, "-o", home.home / "plan.json")
    assert "submit the campaign itself" in home.facade("submit", home.home / "plan.json", code=2).stderr
    told = home.facade("submit", path, "--select", "hello", code=2).stderr
    assert "nothing can be selected while block 'coadd' is not planned" in told
    home.facade("submit", path, "--wait", "--set", "block.coadd.planned=submission", code=3)
    assert CAMPAIGN.count("planned = late") == 2


def test_the_engine_in_the_background_plans_too(home: World) -> None:
    home.facade("submit", campaign(home), "-j", 2)
    deadline = time.monotonic() + 60
    while states(home)[0] != "succeeded" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert states(home) == ("succeeded", {"succeeded": 6}) and report_of(home, 1) == BOTH
