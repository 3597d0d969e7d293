"""The DAG's text: exact for a small run, and true to the run for any."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines.kit import DIAMOND
from hypothesis import given
from hypothesis import strategies as st

from facade.engines import dag, descriptions
from facade.engines.descriptions import Hosts, Options
from facade.engines.rundir import EngineJob, RunDirectory
from facade.errors import InputError, RefusedError

GOLDEN = Path(__file__).with_name("golden.dag")


def made(jobs: list[EngineJob], path: str = "/runs/Ht0_r11p01") -> RunDirectory:
    blocks = tuple(f"block{n}" for n in range(1 + max((job.block for job in jobs), default=0)))
    return RunDirectory(Path(path), "Ht0_r11p01", 17, blocks, tuple(jobs))


def job(number: int, block: int = 0, parents: tuple[int, ...] = (), label: str = "") -> EngineJob:
    return EngineJob(number, block, parents, label)


def written(run: RunDirectory, **more: Any) -> list[str]:
    given: dict[str, Any] = {"done": (), "environment": {}, "finish_argv": ["/bin/true"], "options": Options()}
    given |= more
    python = given.pop("python", "/usr/bin/python3")
    given.setdefault("hosts", Hosts(python=python, environment=given["environment"]))
    return "\n".join(dag.lines(run, **given)).split("\n")


def test_a_small_run_is_written_like_this():
    diamond = [job(n, block, parents, f"tract=0 patch={n},1") for n, (block, parents) in DIAMOND.items()]
    run = made([*diamond, job(1000, 1, (), 'say "$(HOME)"\\'), job(1001, 1, (1000,)), job(1002, 1, (1000,))])
    text = written(
        run,
        done={1, 3},
        environment={"PATH": "/opt/my programs:/bin", "FACADE_HOME": "/home/o'neil", "PRICE": '$(5) "net"'},
        python="/opt/facade $1/bin/python",
        finish_argv=["/opt/facade $1/bin/python", "-m", "facade", "engine", "finish", "Ht0_r11p01"],
        options=Options(cpus=2, memory=4096, disk=100, commands={"requirements": '(Arch == "X86_64")'}),
    )
    assert "\n".join(text) + "\n" == GOLDEN.read_text()


@st.composite
def runs(draw: st.DrawFn) -> RunDirectory:
    """Runs of a few blocks (some empty), numbered in any order, with any edges inside a block."""
    numbers = draw(st.permutations(range(draw(st.integers(0, 14)))))
    jobs: list[EngineJob] = []
    for number in numbers:
        block = draw(st.integers(0, 3))
        mates = [other.jobnum for other in jobs if other.block == block]
        parents = draw(st.lists(st.sampled_from(mates), unique=True)) if mates else []
        jobs.append(job(number, block, tuple(parents)))
    return made(jobs)


def graph(text: list[str]) -> dict[str, set[str]]:
    """Return node -> all that comes before it."""
    before: dict[str, set[str]] = {m[1]: set() for line in text if (m := re.match(r"JOB (\S+) job", line))}
    for line in text:
        if match := re.fullmatch(r"PARENT (.+) CHILD (.+)", line):
            for child in match[2].split():
                before[child] |= set(match[1].split())
    for _ in before:
        for node, above in before.items():
            before[node] = above.union(*(before[one] for one in above))
    return before


@given(runs(), st.sets(st.integers(0, 13)))
def test_nodes_edges_barriers_and_marks_are_those_of_the_run(run: RunDirectory, done: set[int]):
    text = written(run, done=done)
    before = graph(text)
    numbers = [dag.jobnum_of(node) for node in before]
    assert sorted(n for n in numbers if n is not None) == sorted(run.by_number)
    for one in run.jobs:
        ancestors = {dag.jobnum_of(node) for node in before[dag.node_name(one.jobnum)]} - {None}
        assert {other.jobnum for other in run.jobs if other.block < one.block} <= ancestors
        assert {n for n in ancestors if run.by_number[n or 0].block == one.block} == lineage(run, one)
        mark = f"JOB {dag.node_name(one.jobnum)} job" + (" DONE" if one.jobnum in done else "")
        assert text.count(mark) == 1
    assert numbers.count(None) == max(0, len({one.block for one in run.jobs}) - 1)


def lineage(run: RunDirectory, one: EngineJob) -> set[int]:
    return set(one.parents).union(*(lineage(run, run.by_number[parent]) for parent in one.parents))


@pytest.mark.parametrize("number", [0, 7, 999999, 1000000, 12345678])
def test_node_names_map_back_to_job_numbers(number: int):
    assert dag.jobnum_of(dag.node_name(number)) == number


@pytest.mark.parametrize("name", ["barrier_1", "finish", "j1", "j0000001x", ""])
def test_other_nodes_are_no_jobs(name: str):
    assert dag.jobnum_of(name) is None


@pytest.mark.parametrize(("argv", "text"), [
    ([], '""'), (["a", "b"], '"a b"'), (["a b"], "\"'a b'\""), ([""], "\"''\""), (["it's"], "\"'it''s'\""),
    (['"'], "\"'\"\"'\""), (["$(HOME)"], '"$(DOLLAR)(HOME)"'), (["--a=b c"], "\"'--a=b c'\""),
    (["A=b c"], "\"A='b c'\""),
])  # fmt: skip
def test_arguments_are_quoted(argv: list[str], text: str):
    assert descriptions.arguments(argv) == text


@pytest.mark.parametrize("environment", [
    {"PGPASSWORD": "x"}, {"my_secret": "x"}, {"AWS_ACCESS_KEY_ID": "x"}, {"GITHUB_TOKEN": "x"},
    {"FACADE_DB": "postgresql://me:hush@host/db"},
])  # fmt: skip
def test_secrets_are_refused(environment: dict[str, str]):
    with pytest.raises(RefusedError, match="looks like a secret") as raised:
        written(made([job(1)]), environment=environment)
    assert "hush" not in str(raised.value)


def test_what_leads_to_a_secret_is_not_one():
    environment = {"PGPASSFILE": "/home/me/.pgpass", "FACADE_DB": "postgresql://me@host/db", "URL": "http://h:80/a@b"}
    assert written(made([job(1)]), environment=environment)


@pytest.mark.parametrize("bad", [
    {"environment": {"A": "two\nlines"}}, {"environment": {"A-B": "x"}}, {"finish_argv": ["/bin/echo", "a\nb"]},
])  # fmt: skip
def test_what_cannot_be_written_is_an_error(bad: dict[str, object]):
    with pytest.raises(InputError):
        written(made([job(1)]), **bad)


def test_a_hundred_thousand_jobs_take_no_time():
    jobs = [job(n, n // 50_000, (n - 1, n - 2) if n % 10 > 1 else (), f"tract=0 patch={n},1") for n in range(100_000)]
    run = made(jobs)
    before = time.process_time()
    size = sum(map(len, written(run, done=set(range(0, 100_000, 3)))))
    assert time.process_time() - before < 2, "about half a second here"
    assert size < 25_000_000


def test_a_block_that_is_planned_late_is_a_dag_inside_the_dag():
    run = replace(made([job(1), job(2), job(3, 0, (1,))]), later=("coadd", "last"))
    text = written(run, plan_argv=["/opt/py", "engine", "plan", "Ht0_r11p01"])
    at = text.index("JOB plan_coadd plan")
    assert text[at + 1 :][:4] == [
        "SUBDAG EXTERNAL later_coadd later_coadd.dag", "PARENT j000002 j000003 CHILD plan_coadd",
        "PARENT plan_coadd CHILD later_coadd", "FINAL finish finish",
    ]  # fmt: skip
    assert '  arguments = "engine plan Ht0_r11p01 coadd"' in text

    grown = replace(run, blocks=("block0", "coadd"), jobs=(*run.jobs, job(4, 1), job(5, 1, (4,))), later=("last",))
    inner = later(grown, "coadd")
    assert graph(inner[:-3]) == {"j000004": set(), "j000005": {"j000004"}}
    assert inner[-3:] == [
        "SUBDAG EXTERNAL later_last later_last.dag", "PARENT j000005 CHILD plan_last",
        "PARENT plan_last CHILD later_last",
    ]  # fmt: skip
    assert not [line for line in inner if line.startswith(("FINAL", "SET_JOB_ATTR", "NODE_STATUS"))]
    with pytest.raises(RefusedError):
        later(grown, "coadd", environment={"PASSWORD": "x"})
    nothing = replace(grown, jobs=run.jobs, later=())
    assert later(nothing, "coadd")[-1] == "JOB nothing job NOOP"
    only_planning = written(replace(made([]), blocks=("a",), later=("coadd",)), plan_argv=["x"])
    assert "PARENT plan_coadd CHILD later_coadd" in only_planning


def later(run: RunDirectory, block: str, environment: dict[str, str] | None = None) -> list[str]:
    text = dag.later_lines(
        run,
        block,
        environment=environment or {},
        hosts=Hosts(python="/opt/py", environment=environment or {}),
        plan_argv=["/opt/py"],
        options=Options(),
    )
    return "\n".join(text).split("\n")
