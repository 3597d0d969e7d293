"""Submissions as operators make them: many at once, and one that dies while it registers its plan."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from e2e.world import World, temporary_world

from facade.registry.connection import Session
from facade.registry.embedded import Embedded

MANY = 50
CAMPAIGN = """
project = CROWD
campaign = crowd
reqnum = 3
unitname = tiny
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
blocklist = one
<block one>
    modulelist = copy
</block>
<job_environment>
    path = /usr/bin:/bin
</job_environment>
<filename_pattern>
    out = out-r${reqnum}p${attnum:2}.txt
</filename_pattern>
<directory_pattern>
    <d>
        ops = ${ops_run_dir}
        runtime = data
    </d>
</directory_pattern>
<filetype_metadata>
    <out>
    </out>
</filetype_metadata>
<module copy>
    wrappername = generic
    <exec_1>
        execname = cp
        was_generated_by = file.out
        <cmdline>
            _1 = ${source}
            _2 = ${file.out.fullname}
        </cmdline>
    </exec_1>
    <file>
        <out>
            filetype = out
            filepat = out
            dirpat = d
        </out>
    </file>
</module>
"""


LARGE = CAMPAIGN.replace("    wrappername = generic\n", "    wrappername = generic\n    wrapperloop = visit\n").replace(
    "out-r", "out-${visit}-r"
)
"""A campaign of as many quanta as there are visits."""
VISITS = 30_000


@pytest.fixture
def bare() -> Iterator[World]:
    """A home with nothing in it, not even a database."""
    with temporary_world() as world:
        yield world


def prepared(world: World, campaign: str) -> tuple[str, ...]:
    """Write a campaign and the file that it copies; return the words that submit it."""
    (world.home / "source.txt").write_text("something\n")
    (world.home / "c.wcl").write_text(campaign)
    return "submit", "c.wcl", "--set", f"source={world.home}/source.txt"


def test_fifty_submissions_at_once_get_fifty_consecutive_numbers(bare: World) -> None:
    """Each makes the database if it is the first, registers an attempt, and carries it out to its end."""
    words = (*prepared(bare, CAMPAIGN), "--reuse", "none", "--wait", "-j", 1)
    crowd = [bare.start(*words) for _ in range(MANY)]
    told = [process.communicate(timeout=240)[1] for process in crowd]
    assert [(process.returncode, text) for process, text in zip(crowd, told, strict=True) if process.returncode] == []
    assert not any("Traceback" in text for text in told)
    found = bare.rows("select attnum, a.id, t.state from pfw_attempt a join task t on t.id = a.task_id order by attnum")
    assert [row["attnum"] for row in found] == list(range(1, MANY + 1))
    assert {row["state"] for row in found} == {"succeeded"}
    # each told its operator the number that it has
    assert sorted(text.partition("tiny_r3p")[2][:2] for text in told) == [f"{n:02d}" for n in range(1, MANY + 1)]
    made = bare.rows("select filename from desfile where filetype = 'out' order by 1")
    assert [row["filename"] for row in made] == [f"out-r3p{n:02d}.txt" for n in range(1, MANY + 1)]


def test_a_submission_killed_while_it_registers_its_plan_leaves_nothing(bare: World) -> None:
    words = prepared(bare, LARGE)
    bare.facade("submit", "c.wcl", *words[2:], "--set", "visit=1", "--dry-run")  # makes the database
    tables = ("pfw_request", "pfw_unit", "pfw_attempt", "pfw_block", "pfw_job", "quantum", "task", "task_event", "plan")
    count = "select " + ", ".join(f"(select count(*) from {table}) as {table}" for table in tables)
    before = bare.rows(count)
    assert set(before[0].values()) == {0}

    process = bare.start(*words, "--set", f"visit=(1:{VISITS})")
    copying = "select pid, tuples_processed as n from pg_stat_progress_copy where relid = 'quantum'::regclass"
    session = Session(Embedded(bare.home).address())
    deadline = time.monotonic() + 120
    while not (found := [row for row in session.rows(copying) if row["n"] > 1000]) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert found, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    while session.rows("select from pg_stat_activity where pid = %s", (found[0]["pid"],)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    session.close()
    assert bare.rows(count) == before
    assert not list(bare.home.glob("runs/*"))
    # nor is a number lost, or anything held on to
    bare.facade(*words, "--set", "visit=(1:3)", "--wait")
    assert [row["name"] for row in bare.json("stat")] == ["tiny_r3p01"]
