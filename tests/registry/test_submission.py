"""Attempts: their numbers, their rows, and what becomes of them."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from database import IDENTITY, Receipt, submit

from facade.errors import InputError, RefusedError
from facade.registry.face import Registry
from facade.states import State

pytest_plugins = ["database"]
EMPTY = {"plan_id": "p", "plan_body": b"{}", "run_dir": "/runs"}


def test_fifty_simultaneous_submissions_get_fifty_consecutive_numbers(registry: Registry) -> None:
    def one(_: int) -> int:
        with Registry.open(registry.address) as own:
            with own.submission(IDENTITY, uuid.uuid4(), "me") as opened:
                opened.register(**EMPTY)
            return opened.attnum

    with ThreadPoolExecutor(50) as pool:
        assert sorted(pool.map(one, range(50))) == list(range(1, 51))


def test_a_repeated_key_finds_its_own_attempt(registry: Registry) -> None:
    key = uuid.uuid4()

    def one(_: int) -> tuple[int, int]:
        with Registry.open(registry.address) as own, own.submission(IDENTITY, key, "me") as opened:
            return opened.attnum, opened.register(**EMPTY).attempt_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(8)))) == 1
    with registry.submission(IDENTITY, key, "me") as opened:
        assert opened.existing is not None and opened.existing.name == "Ht0_r11p01"
    assert len(registry.attempts()) == 1


def test_a_submission_that_fails_or_stops_gives_its_number_back(registry: Registry) -> None:
    with registry.submission(IDENTITY, uuid.uuid4(), "me") as opened:
        assert opened.attnum == 1
    with pytest.raises(ZeroDivisionError), registry.submission(IDENTITY, uuid.uuid4(), "me") as opened:
        opened.register(**EMPTY)
        _ = 1 / 0
    assert registry.attempts() == []
    assert registry.attempt(submit(registry).attempt_id).attnum == 1


def test_an_explicit_number_is_used_once_and_moves_the_counter(registry: Registry) -> None:
    submit(registry, attnum=95)
    with pytest.raises(RefusedError, match="attempt Ht0_r11p95 exists already"):
        submit(registry, attnum=95)
    submit(registry, attnum=3)
    assert registry.attempt(submit(registry).attempt_id).name == "Ht0_r11p96"
    with pytest.raises(InputError, match="count from 1"):
        submit(registry, attnum=0)


def test_a_request_belongs_to_one_project(registry: Registry) -> None:
    submit(registry)
    with (
        pytest.raises(RefusedError, match="request 11 belongs to project MMG"),
        registry.submission(IDENTITY | {"project": "ACT"}, uuid.uuid4(), "me"),
    ):
        pass


def test_an_attempt_is_found_by_name_and_id(registry: Registry) -> None:
    with registry.submission(IDENTITY | {"unitname": "a_r1p2_b"}, uuid.uuid4(), "me", 7) as opened:
        ids = opened.register(**EMPTY)
    found = registry.attempt("a_r1p2_b_r11p07")
    assert found is not None and found == registry.attempt(ids.attempt_id) == registry.attempt(str(ids.attempt_id))
    assert (found.campaign, found.operator, found.state, found.tags) == ("hsctest", "me", State.PLANNED, ())
    assert registry.attempt("nobody_r1p01") is None and registry.attempt("nonsense") is None
    assert registry.plan_body("p") == b"{}"


def test_ids_come_back_as_registered(registry: Registry) -> None:
    ids = submit(registry, quanta=5, jobs=2)
    assert registry.ids(ids.attempt_id) == ids


def test_a_hundred_thousand_quanta_are_registered_in_seconds(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.perf_counter()
    ids = submit(registry, quanta=100_000, jobs=10_000)
    spent = time.perf_counter() - start
    with capsys.disabled():
        print(f"\n100,000 quanta in 10,000 jobs registered in {spent:.1f} s")
    assert len(ids.quanta) == 100_000 and spent < 30


def test_finish_closes_blocks_by_their_jobs_and_ends_with_the_last_job(registry: Registry) -> None:
    ids = submit(registry, quanta=2, jobs=2)
    good, bad = Receipt(ids, 1).started().ended(), Receipt(ids, 2).started().failed(2).ended("failed")
    for receipt in (good, bad):
        registry.report(receipt.id, receipt.lines)
    registry.finish(ids.attempt_id, State.FAILED)
    attempt = registry.attempt(ids.attempt_id)
    assert attempt.state is State.FAILED
    assert attempt.end_time.isoformat() == bad.lines[-1]["at"]
    assert registry.overview(ids.attempt_id).blocks == {"coadd": State.FAILED}
    assert registry.attempts(active=True) == []


def test_mark_makes_legal_moves_only_and_tells_which(registry: Registry) -> None:
    ids = submit(registry, quanta=2, jobs=2)
    done = Receipt(ids, 1).started().ended()
    registry.report(done.id, done.lines)
    assert registry.mark(ids.jobs.values(), State.REMOVED, "operator") == [ids.jobs[2]]
    assert registry.job_states(ids.attempt_id) == {1: State.SUCCEEDED, 2: State.REMOVED}
    late = Receipt(ids, 2).started()
    registry.report(late.id, late.lines)
    assert registry.job_states(ids.attempt_id)[2] is State.RUNNING  # a new run of it
    assert registry.fail_jobs({ids.jobs[2]: ("lost", "node is gone")}, State.LOST) == [ids.jobs[2]]
    assert registry.overview(ids.attempt_id).jobs == {State.SUCCEEDED: 1, State.LOST: 1}


def test_overview_shows_what_runs_where_and_at_which_step(registry: Registry) -> None:
    ids = submit(registry)
    receipt = Receipt(ids).started().failed(1).add("quantum-state", quantum=ids.quanta[2], state="staging")
    registry.report(receipt.id, receipt.lines)
    seen = registry.overview(ids.attempt_id)
    (job,) = seen.running
    assert (job.jobnum, job.host, job.batch_id, job.wrapnum, job.step) == (1, "node1", "12.0", 2, State.STAGING)
    assert job.step_since.isoformat() == receipt.lines[-1]["at"]
    assert [(count.state, count.quanta) for count in seen.counts] == [(State.STAGING, 1), (State.FAILED, 1)]
