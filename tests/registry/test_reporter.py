"""The reporter: never blocks, outlives the server, and tells the truth about what arrived."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from database import FILETYPES, Receipt, quit_at_once, submit

from facade.errors import RefusedError
from facade.registry import reporter
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.reporter import Reporter
from facade.states import State

pytest_plugins = ["database"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(reporter, "LONGEST_WAIT", 0.2)


def put(teller: Reporter, lines: list[dict[str, object]]) -> float:
    """Put lines; return the longest time one took, in seconds."""
    longest = 0.0
    for line in lines:
        start = time.perf_counter()
        teller.put(line)
        longest = max(longest, time.perf_counter() - start)
    return longest


def test_what_is_put_arrives(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry)
    receipt = Receipt(ids).started().quantum(1).quantum(2).ended()
    teller = Reporter(registry.address)
    put(teller, receipt.lines)
    assert teller.close(10)
    assert registry.job_states(ids.attempt_id) == {1: State.SUCCEEDED}


def test_a_server_that_dies_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    server = Embedded(tmp_path)
    server.start()
    with Registry.open(server.address()) as registry:
        registry.upgrade()
        registry.ensure_metadata_tables(FILETYPES)
        ids = submit(registry)
        receipt = Receipt(ids).started().quantum(1).quantum(2).ended()
        teller = Reporter(server.address())
        put(teller, receipt.lines[:5])
        quit_at_once(server, signal.SIGKILL)
        assert put(teller, receipt.lines[5:]) < 0.5
        time.sleep(0.3)
        server.start()
        assert teller.close(20)
        assert registry.job_states(ids.attempt_id) == {1: State.SUCCEEDED}
        succeeded = registry.run_sql("select count(*) from task_event where state = 'succeeded'")
        assert succeeded.rows == ((3,),)
    quit_at_once(server)


def test_a_server_that_never_answers_is_given_up_in_time(tmp_path: Path, registry: Registry) -> None:
    receipt = Receipt(submit(registry)).started()
    server = Embedded(tmp_path)
    server.start()
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        teller = Reporter(server.address())
        assert put(teller, receipt.lines) < 0.5
        start = time.perf_counter()
        assert not teller.close(0.5)
        assert time.perf_counter() - start < 2
    finally:
        os.kill(pid, signal.SIGCONT)
        quit_at_once(server)


def test_a_line_that_the_registry_refuses_is_remembered(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    first, second = Receipt(submit(registry)).started().quantum(1), Receipt(submit(registry)).started()
    registry.report(first.id, first.lines)
    teller = Reporter(registry.address)
    put(teller, second.quantum(1, content="other").lines)
    assert not teller.close(10)
    assert isinstance(teller.error, RefusedError)


def test_who_is_done_has_made_the_server_write_to_its_disk(tmp_path: Path) -> None:
    server = Embedded(tmp_path)
    server.start()
    with Registry.open(server.address()) as registry, Registry.open(server.address()) as watcher:
        registry.upgrade()
        session = watcher._session
        writer = session.rows("select pid from pg_stat_activity where backend_type = 'walwriter'")[0]["pid"]
        ids = submit(registry)
        os.kill(writer, signal.SIGSTOP)  # it would write by itself, sooner or later
        try:
            teller = Reporter(server.address())
            put(teller, Receipt(ids).started().ended().lines)
            time.sleep(2 * reporter.SETTLE_AFTER)  # the first time, it may write for reasons of its own
            put(teller, Receipt(ids, run=2).started().ended().lines)
            assert teller.close(30)
            behind = "select pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn() as bytes"
            assert session.rows(behind) == [{"bytes": 0}]
        finally:
            os.kill(writer, signal.SIGCONT)
    quit_at_once(server)


def test_one_reporter_serves_receipt_after_receipt(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    first, second = (Receipt(submit(registry)).started().quantum(1).quantum(2) for _ in range(2))
    teller = Reporter(registry.address)
    put(teller, first.ended().lines)
    put(teller, second.ended().lines)
    assert teller.close(10)
    states = [registry.job_states(one.ids.attempt_id) for one in (first, second)]
    assert states == [{1: State.SUCCEEDED}, {1: State.SUCCEEDED}]


def test_a_refused_receipt_does_not_hold_up_the_next(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    first, second, third = (Receipt(submit(registry)).started() for _ in range(3))
    registry.report(first.id, first.quantum(1).lines)
    teller = Reporter(registry.address)
    put(teller, second.quantum(1, content="other").ended().lines)
    put(teller, third.ended().lines)
    assert not teller.close(10)
    assert isinstance(teller.error, RefusedError)
    assert registry.job_states(third.ids.attempt_id) == {1: State.SUCCEEDED}
