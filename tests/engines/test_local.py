"""The local engine with workers that do what they are told: order, failures, deaths, interruption."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
from engines.kit import DIAMOND, FAKE, Watch, alive, diary, make_run, wait_for

from facade.engines import local
from facade.engines.local import JobEvent
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError, InputError, RefusedError
from facade.needs import Needs


def order(run: RunDirectory) -> list[str]:
    return [" ".join(line.split()[:2]) for line in diary(run)]


def test_a_diamond_runs_in_order(tmp_path: Path):
    watch = Watch(make_run(tmp_path, DIAMOND, {n: {"seconds": 0.05} for n in DIAMOND}))
    assert watch()
    told = order(watch.run)
    assert told[:2] == ["start 1", "end 1"]
    assert sorted(told[2:6]) == ["end 2", "end 3", "start 2", "start 3"]
    assert told[6:] == ["start 4", "end 4"]
    assert {tuple(watch.kinds(n)) for n in DIAMOND} == {("started", "succeeded")}
    assert local.running(watch.run) is None


def test_a_block_waits_for_all_of_the_one_before(tmp_path: Path):
    table = {5: (1, ()), 6: (1, (5,)), 1: (0, ()), 2: (0, ()), 3: (0, ())}
    watch = Watch(make_run(tmp_path, table, {2: {"seconds": 0.2}}), workers=3)
    assert watch()
    assert order(watch.run)[-4:] == ["start 5", "end 5", "start 6", "end 6"]


def test_ready_jobs_start_in_the_order_of_their_numbers(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {n: (0, ()) for n in (12, 3, 100, 1, 20)}), workers=1)
    assert watch()
    assert watch.jobs("started") == [1, 3, 12, 20, 100]


def test_few_workers_run_many_jobs(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {n: (0, ()) for n in range(50)}), workers=3)
    assert watch()
    assert len({line.split()[2] for line in diary(watch.run)}) <= 3


def test_jobs_that_are_done_are_not_run(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {**DIAMOND, 5: (1, ())}), done={1, 2, 3})
    assert watch()
    assert watch.jobs("started") == [4, 5]
    again = Watch(watch.run, done={1, 2, 3, 4, 5})
    assert again()
    assert again.events == []


def test_an_empty_run_succeeds(tmp_path: Path):
    assert Watch(make_run(tmp_path, {}))()


@pytest.mark.parametrize("code", [1, 2, 4])
def test_a_failed_job_blocks_what_needs_it_and_nothing_else(tmp_path: Path, code: int):
    table = {1: (0, ()), 2: (0, (1,)), 3: (0, (2,)), 4: (0, ()), 5: (0, (4,)), 6: (1, ())}
    watch = Watch(make_run(tmp_path, table, {1: {"codes": [code]}, 4: {"seconds": 0.1}}))
    assert not watch()
    assert watch.jobs("succeeded") == [4, 5]
    assert watch.kinds(1) == ["started", "failed"]
    assert watch.jobs("blocked") == [2, 3, 6]
    details = {event.jobnum: event.detail for event in watch.events if event.kind == "blocked"}
    assert details[3] == "needs job 1, which did not succeed"
    assert details[6] == "its block waits for job 1, which did not succeed"


def test_failing_surroundings_are_tried_again(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, ())}, {1: {"codes": [75, 75, 0]}}))
    assert watch()
    assert watch.kinds(1) == ["started", "retry", "started", "retry", "started", "succeeded"]
    retries = [event.detail for event in watch.events if event.kind == "retry"]
    assert retries == [
        "its surroundings failed; try 2 of 3 in 0.02 s",
        "its surroundings failed; try 3 of 3 in 0.04 s",
    ]


def test_trying_again_has_an_end(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, ()), 2: (0, ())}, {1: {"codes": [75]}}))
    assert not watch()
    assert watch.kinds(1)[-1] == "failed"
    assert len(watch.run.receipts(1)) == 3
    assert watch.events[-1] == JobEvent(1, "failed", 75, "its surroundings failed, 3 times in all")
    assert watch.jobs("succeeded") == [2]


def test_waiting_to_try_again_holds_nobody_up(tmp_path: Path):
    watch = Watch(
        make_run(tmp_path, {n: (0, ()) for n in range(1, 9)}, {1: {"codes": [75, 0]}}), workers=1, backoff=0.3
    )
    assert watch()
    assert watch.jobs("succeeded") == [2, 3, 4, 5, 6, 7, 8, 1]


def test_a_killed_worker_is_replaced_and_its_job_tried_again(tmp_path: Path):
    table = {n: (0, ()) for n in range(1, 7)}
    watch = Watch(make_run(tmp_path, table, {2: {"kill": [1]}}))
    assert watch()
    assert watch.kinds(2) == ["started", "lost", "retry", "started", "succeeded"]
    lost = next(event for event in watch.events if event.kind == "lost")
    assert lost.code == -9
    assert "was killed by signal 9" in lost.detail


def test_a_job_that_always_kills_its_worker_fails(tmp_path: Path):
    watch = Watch(
        make_run(tmp_path, {n: (0, ()) for n in range(1, 9)}, {2: {"kill": [1, 2, 3]}, 3: {"kill": [1, 2, 3]}})
    )
    assert not watch()
    assert watch.kinds(2) == ["started", "lost", "retry", "started", "lost", "retry", "started", "lost", "failed"]
    assert sorted(watch.jobs("succeeded")) == [1, 4, 5, 6, 7, 8]


def test_a_worker_that_was_told_to_end_by_somebody_else_is_replaced(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, ()), 2: (0, ())}, {1: {"codes": [143, 0]}}), workers=1)
    assert watch()
    assert watch.kinds(1) == ["started", "lost", "retry", "started", "succeeded"]
    assert len({line.split()[2] for line in diary(watch.run)}) == 2


def test_a_worker_that_talks_nonsense_is_killed(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, ())}, {1: {"babble": True}}), retries=0)
    assert not watch()
    assert watch.kinds(1) == ["started", "lost", "failed"]


def test_workers_that_cannot_start_end_the_run_with_the_reason(tmp_path: Path):
    run = make_run(tmp_path, {n: (0, ()) for n in range(99)})
    with pytest.raises(FacadeError, match="5 workers in a row") as raised:
        Watch(run, command=(sys.executable, "-c", "raise SystemExit('no such module')"), backoff=0)()
    assert "engine.log" in raised.value.remedy
    assert "no such module" in (tmp_path / "engine.log").read_text()
    with pytest.raises(FacadeError, match="cannot start a worker"):
        Watch(run, command=("/no/such/python",))()


def test_jobs_in_a_circle_are_told_not_waited_for(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, (2,)), 2: (0, (1,)), 3: (0, ())}))
    with pytest.raises(InputError, match="circle"):
        watch()


def test_no_worker_is_no_way(tmp_path: Path):
    with pytest.raises(InputError, match="0 workers"):
        Watch(make_run(tmp_path, {}), workers=0)()


def test_stop_ends_running_jobs_and_leaves_the_rest(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {n: (0, ()) for n in range(1, 6)}, {1: {"seconds": 60}, 2: {"seconds": 60}}))
    threading.Timer(0.5, watch.stop.set).start()
    assert not watch()
    assert watch.jobs("started") == [1, 2]
    assert sorted(watch.jobs("failed")) == [1, 2]
    assert {event.code for event in watch.events if event.kind == "failed"} == {143}
    assert sorted(order(watch.run)) == ["end 1", "end 2", "start 1", "start 2"]
    assert not any(alive(int(line.split()[2])) for line in diary(watch.run))


def test_a_job_that_does_not_end_when_told_is_killed(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, ())}, {1: {"seconds": 60, "deaf": True}}), grace=0.2)
    threading.Timer(0.3, watch.stop.set).start()
    assert not watch()
    assert watch.kinds(1) == ["started", "lost"]
    assert not alive(int(diary(watch.run)[0].split()[2]))


def test_an_error_of_the_listener_ends_the_workers(tmp_path: Path):
    watch = Watch(make_run(tmp_path, {1: (0, ()), 2: (0, ())}, {1: {"seconds": 60}}))
    watch.react = lambda event: 1 / 0 if event.kind == "succeeded" else None
    with pytest.raises(ZeroDivisionError):
        watch()
    assert not any(alive(int(line.split()[2])) for line in diary(watch.run))
    assert local.running(watch.run) is None


def test_the_environment_is_ours_with_the_given_on_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("_CONDOR_SCRATCH_DIR", "/nowhere")
    monkeypatch.setenv("OURS", "1")
    show = "import os; print({k: os.environ.get(k) for k in ('OURS', 'GIVEN', '_CONDOR_SCRATCH_DIR')}, file=sys.stderr)"
    answer = "import sys; " + show + "; [print('{\"code\": 0}', flush=True) for line in sys.stdin]"
    assert Watch(make_run(tmp_path, {1: (0, ())}), command=(sys.executable, "-c", answer), environment={"GIVEN": "2"})()
    assert (tmp_path / "engine.log").read_text() == "{'OURS': '1', 'GIVEN': '2', '_CONDOR_SCRATCH_DIR': None}\n"


ENGINE = """
    import sys, threading
    from pathlib import Path
    from facade.engines import local
    from facade.engines.rundir import RunDirectory
    run = RunDirectory.read(Path(sys.argv[1]))
    local.run(run, workers=2, done=(), environment={}, on_event=print, stop=threading.Event(), command=sys.argv[2:])
"""


def start_engine(run: RunDirectory) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(ENGINE), run.path, *FAKE], stdout=subprocess.DEVNULL)


def test_a_second_engine_is_refused(tmp_path: Path):
    run = make_run(tmp_path, {1: (0, ())}, {1: {"seconds": 60}})
    engine = start_engine(run)
    try:
        wait_for(lambda: diary(run))
        holder = local.running(run)
        assert holder is not None
        assert holder.startswith(f"pid {engine.pid} on ")
        with pytest.raises(RefusedError, match=f"is being run by pid {engine.pid}"):
            Watch(run)()
    finally:
        engine.kill()
        engine.wait()
        os.kill(int(diary(run)[0].split()[2]), signal.SIGKILL)


def test_workers_of_a_killed_engine_finish_their_job_and_no_more(tmp_path: Path):
    run = make_run(tmp_path, {n: (0, ()) for n in range(1, 9)}, {n: {"seconds": 1} for n in (1, 2)})
    engine = start_engine(run)
    wait_for(lambda: len(diary(run)) == 2)
    engine.kill()
    engine.wait()
    assert local.running(run), "the orphans are still at it"
    with pytest.raises(RefusedError):
        Watch(run)()
    wait_for(lambda: not local.running(run))
    assert sorted(order(run)) == ["end 1", "end 2", "start 1", "start 2"]
    again = Watch(run, done={1, 2})
    assert again()
    assert again.jobs("started") == [3, 4, 5, 6, 7, 8]


class TestNeeds:
    def test_the_most_urgent_job_starts_first(self, tmp_path: Path):
        needs = {3: Needs(priority=5), 4: Needs(priority=-5), 5: Needs(priority=7)}
        watch = Watch(make_run(tmp_path, {n: (0, ()) for n in range(1, 7)}, needs=needs), workers=1)
        assert watch()
        assert watch.jobs("started") == [5, 3, 1, 2, 6, 4]

    def test_of_a_category_no_more_run_than_may(self, tmp_path: Path):
        needs = {n: Needs(category="io") for n in range(1, 6)} | {n: Needs(category="free") for n in range(6, 9)}
        run = make_run(tmp_path, {n: (0, ()) for n in range(1, 9)}, {n: {"seconds": 0.1} for n in range(1, 9)}, needs,
                       {"io": 1, "": 3})  # fmt: skip
        assert Watch(run, workers=5)()
        assert most_at_once(run, set(range(1, 6))) == 1
        assert most_at_once(run, set(range(1, 9))) == 3

    def test_a_job_takes_as_many_workers_as_it_asks_for_cpus(self, tmp_path: Path):
        wide = {n: Needs(cpus=99 if n == 1 else 2) for n in range(1, 5)}
        table = {n: (0, ()) for n in range(1, 9)}
        run = make_run(tmp_path, table, {n: {"seconds": 0.1} for n in table}, wide)
        assert Watch(run, workers=3)()
        assert most_at_once(run, set(wide)) == 1
        assert most_at_once(run, set(table), lambda n: 3 if n == 1 else 2 if n in wide else 1) == 3

    def test_a_job_that_takes_longer_than_it_may_fails_and_is_not_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(local, "MARGIN", 0)
        what = {1: {"seconds": 60}, 2: {"seconds": 60, "deaf": True}, 3: {"seconds": 0.3}}
        run = make_run(tmp_path, {1: (0, ()), 2: (0, ()), 3: (0, ()), 4: (0, (1,))}, what, dict.fromkeys((1, 2), LATE))
        watch = Watch(run, workers=3, grace=0.3)
        assert not watch()
        assert [watch.kinds(n) for n in (1, 2, 3, 4)] == [
            ["started", "failed"], ["started", "failed"], ["started", "succeeded"], ["blocked"]
        ]  # fmt: skip
        told = [event.detail for event in watch.events if event.kind == "failed"]
        assert told == ["it ran for longer than 1 s, the walltime of its modules"] * 2
        codes = {event.jobnum: event.code for event in watch.events if event.kind == "failed"}
        assert codes == {1: 128 + signal.SIGTERM, 2: -signal.SIGKILL}


LATE = Needs(walltime=1)


def most_at_once(run: RunDirectory, jobs: set[int], width: Callable[[int], int] = lambda n: 1) -> int:
    running, most = 0, 0
    for what, number, _ in map(str.split, diary(run)):
        running += (width(int(number)) if int(number) in jobs else 0) * (1 if what == "start" else -1)
        most = max(most, running)
    return most


def test_a_block_that_is_not_planned_yet_is_asked_for_once_those_before_succeeded(tmp_path: Path):
    run, asked = replace(make_run(tmp_path, {1: (0, ()), 2: (0, ())}), later=("coadd", "last")), list[str]()

    def grow(block: str) -> RunDirectory | None:
        assert local.running(run) == f"pid {os.getpid()} on {socket.gethostname()}"  # nobody else can take it up
        asked.append(f"{block} after {len(diary(run))}")
        table = {1: (0, ()), 2: (0, ()), 3: (1, ()), 4: (1, (3,))}
        return None if block == "last" else replace(make_run(tmp_path, table), later=("last",))

    def carried_out(done: Collection[int] = ()) -> bool:
        return local.run(
            run, workers=2, done=done, environment={}, on_event=lambda event: None, stop=threading.Event(),
            command=FAKE, grow=grow,
        )  # fmt: skip

    assert not carried_out()
    assert asked == ["coadd after 4", "last after 8"]
    assert order(run)[4:] == ["start 3", "end 3", "start 4", "end 4"]
    asked.clear()
    make_run(tmp_path, {1: (0, ()), 2: (0, ())}, {2: {"codes": [1]}})
    assert not carried_out(done={1})
    assert asked == []
