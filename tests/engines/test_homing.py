"""When engines bring outputs home from the archive on the cluster's disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engines.kit import Watch, diary, make_run, wait_for
from engines.test_dag import job, made, written

from facade.engines import dag
from facade.engines.descriptions import Hosts, Options
from facade.engines.rundir import RunDirectory

TABLE = {1: (0, ()), 2: (0, ()), 3: (1, ()), 4: (2, ())}


class Home:
    """Notes what had been run when outputs were brought home."""

    def __init__(self, *answers: bool) -> None:
        self.answers, self.seen = list(answers), list[list[int]]()

    def __call__(self, run: RunDirectory) -> bool:
        self.seen.append(sorted(int(line.split()[1]) for line in diary(run) if line.startswith("end")))
        return self.answers.pop(0) if self.answers else True


@pytest.mark.parametrize(
    ("homing", "seen"), [("", []), ("run", [[1, 2, 3, 4]]), ("block", [[1, 2], [1, 2, 3], [1, 2, 3, 4]])]
)
def test_the_local_engine_does_after_each_block_or_at_the_end(
    tmp_path: Path, homing: str, seen: list[list[int]]
) -> None:
    home = Home()
    assert Watch(replace(make_run(tmp_path, TABLE), homing=homing), home=home)()
    assert home.seen == seen


def test_what_did_not_come_home_is_tried_again_and_counts_at_the_end(tmp_path: Path) -> None:
    run = replace(make_run(tmp_path, TABLE), homing="block")
    home = Home(False, False, True)
    assert Watch(run, home=home)() and len(home.seen) == 3
    failing = Home(False, False, False)
    assert not Watch(run, home=failing, done=(1, 2, 3))()
    assert failing.seen == [[1, 2, 3, 4, 4]], "that of the last block is the last try"


def test_a_run_that_is_done_still_brings_home_what_is_not(tmp_path: Path) -> None:
    home = Home(False)
    run = replace(make_run(tmp_path, TABLE), homing="run")
    assert not Watch(run, home=home, done=tuple(TABLE))() and home.seen == [[]]


def test_nothing_comes_home_behind_a_block_that_failed(tmp_path: Path) -> None:
    home = Home()
    run = replace(make_run(tmp_path, TABLE, {3: {"codes": [1]}}), homing="block")
    assert not Watch(run, home=home)() and home.seen == [[1, 2]]
    other = replace(make_run(tmp_path / "b", TABLE, {3: {"codes": [1]}}), homing="run")
    later = Home()
    assert not Watch(other, home=later)() and later.seen == []
    assert wait_for(lambda: len(diary(other)) >= 6)


def home_lines(text: list[str]) -> list[str]:
    return [line for line in text if "home" in line.split()[:2] or "home_" in line]


def test_the_dag_has_a_node_behind_each_block_or_behind_the_last() -> None:
    run = made([job(1), job(2), job(3, 0, (1,)), job(4, 1)])
    assert home_lines(written(run)) == []
    argv = ["/opt/py", "engine", "home", "Ht0_r11p01"]
    text = written(replace(run, homing="block"), home_argv=argv)
    nodes = [
        "JOB home_block0 home", "PARENT j000002 j000003 CHILD home_block0",
        "JOB home_block1 home", "PARENT j000004 CHILD home_block1",
    ]  # fmt: skip
    assert home_lines(text) == ["SUBMIT-DESCRIPTION home {", *nodes]
    assert '  arguments = "engine home Ht0_r11p01"' in text and "  universe = local" in text
    assert not [line for line in text if line.startswith("PARENT home")], "nothing waits for it"
    assert home_lines(written(replace(run, homing="run"), home_argv=argv)) == ["SUBMIT-DESCRIPTION home {", *nodes[2:]]


def test_a_dag_that_grows_has_it_where_the_blocks_are() -> None:
    run = replace(made([job(1)]), later=("late",), homing="run")
    assert home_lines(written(run, home_argv=["x"], plan_argv=["x"])) == ["SUBMIT-DESCRIPTION home {"]
    first = written(replace(run, homing="block"), home_argv=["x"], plan_argv=["x"])
    assert "PARENT j000001 CHILD home_block0" in first and "PARENT j000001 CHILD plan_late" in first
    grown = replace(run, blocks=("block0", "late"), jobs=(*run.jobs, job(2, 1)), later=())
    assert "PARENT j000002 CHILD home_late" in later(grown)
    # all of the late block was made before: it may still have to come home
    assert "JOB home_late home" in later(replace(grown, jobs=run.jobs))


def later(run: RunDirectory) -> list[str]:
    lines = dag.later_lines(
        run, "late", environment={}, hosts=Hosts(python="x", environment={}), plan_argv=["x"], home_argv=["x"],
        options=Options(),
    )  # fmt: skip
    return "\n".join(lines).split("\n")


def test_a_run_directory_keeps_it(tmp_path: Path) -> None:
    run = replace(make_run(tmp_path, TABLE), homing="run", archives=("home", "near"), taking=True)
    run.write()
    read = RunDirectory.read(tmp_path)
    assert (read.homing, read.archives, read.taking) == ("run", ("home", "near"), True)
