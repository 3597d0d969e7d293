"""A hundred at once, and a server that dies: one wins, nobody else is hurt, and what was acknowledged stays."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from database import FILETYPES, Receipt, described, quit_at_once, submit

from facade.errors import FacadeError, RefusedError
from facade.registry.connection import Address, UnreachableError
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.values import Ids
from facade.states import State

pytest_plugins = ["database"]
AT_ONCE = 100


def claims(ids: Ids, number: int) -> Receipt:
    """What job *number* tells: it made ``same.fits`` like all the others, with content of its own."""
    task = ids.quanta[number]
    receipt = Receipt(ids, number).started().executed(task, ())
    receipt.add("outputs", quantum=task, derived=[], files=[
        described("same.fits", "calexp", f"content {number}", 1, {"ccd": number}, "image"),
        described(f"own-{number}.log", "log", "", None, {}, ""),
    ])  # fmt: skip
    return receipt.add("quantum-ended", quantum=task, state="succeeded", failure=None).ended()


def claim(address: Address, ids: Ids, number: int, start: Any, outcomes: Any) -> None:
    """Be one of many processes that register the same name at once."""
    receipt = claims(ids, number)
    with Registry.open(address) as registry:
        registry.receipt_lines([])  # it is connected
        start.wait()
        try:
            registry.report(receipt.id, receipt.lines)
            outcomes.put((number, ""))
        except RefusedError as error:
            outcomes.put((number, f"{error.message}; {error.remedy}"))
        except Exception as error:
            outcomes.put((number, repr(error)))


def test_of_a_hundred_that_register_one_name_one_wins(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=AT_ONCE, jobs=AT_ONCE)
    registry.close()
    context = multiprocessing.get_context("fork")
    start, outcomes = context.Barrier(AT_ONCE), context.Queue()
    going = [
        context.Process(target=claim, args=(registry.address, ids, number, start, outcomes)) for number in ids.jobs
    ]
    for one in going:
        one.start()
    told: dict[int, str] = dict(outcomes.get(timeout=120) for _ in going)
    for one in going:
        one.join(30)
    (winner,) = [number for number, trouble in told.items() if not trouble]
    refused = {trouble for trouble in told.values() if trouble}
    assert all("same.fits is already registered with other content, made by task" in one for one in refused), refused
    assert all("facade provenance same.fits" in one for one in refused)
    assert registry.run_sql("select filename from desfile order by 1").rows == ((f"own-{winner}.log",), ("same.fits",))
    assert registry.run_sql("select ccd from image").rows == ((winner,),)
    states = registry.job_states(ids.attempt_id)
    assert states.pop(winner) is State.SUCCEEDED
    assert set(states.values()) == {State.PLANNED}, "nothing stays of what was refused"


def test_of_some_that_register_the_same_content_all_are_content(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=8, jobs=8)
    receipts = [claims(ids, number) for number in ids.jobs]
    for receipt in receipts:
        files = next(line for line in receipt.lines if line["kind"] == "outputs")["files"]
        files[0] |= described("same.fits", "calexp", "one content", 1, {"ccd": 1}, "image")

    def tell(receipt: Receipt) -> None:
        with Registry.open(registry.address) as own:
            own.report(receipt.id, receipt.lines)

    threads = [threading.Thread(target=tell, args=(receipt,)) for receipt in receipts]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(registry.job_states(ids.attempt_id).values()) == {State.SUCCEEDED}
    assert registry.run_sql("select count(*) from desfile where filename = 'same.fits'").rows == ((1,),)


@pytest.mark.parametrize("round_", range(2))
def test_a_server_that_is_killed_under_load_loses_nothing_acknowledged(tmp_path: Path, round_: int) -> None:
    server = Embedded(tmp_path)
    server.start()
    try:
        with Registry.open(server.address()) as registry:
            registry.upgrade()
            registry.ensure_metadata_tables(FILETYPES)
            ids = submit(registry, quanta=400, jobs=8)
            taken: dict[str, int] = {}
            over = threading.Event()

            def tell(jobnum: int) -> None:
                receipt = Receipt(ids, jobnum).started()
                sent = 0
                for wrapnum in range(jobnum, 401, 8):
                    receipt.quantum(wrapnum)
                    with Registry.open(server.address()) as own:
                        while not over.is_set():
                            try:
                                taken[receipt.id] = sent = own.report(receipt.id, receipt.lines[sent:])
                                break
                            except UnreachableError:
                                time.sleep(0.05)

            threads = [threading.Thread(target=tell, args=(n,)) for n in ids.jobs]
            for one in threads:
                one.start()
            time.sleep(1.0 + round_)
            quit_at_once(server, signal.SIGKILL)
            known = dict(taken)  # what had been acknowledged, a moment after it died
            server.start()
            with Registry.open(server.address()) as again:
                have = again.receipt_lines(list(known))
            assert known, "it was killed before it had taken anything"
            assert all(have[receipt] >= seq for receipt, seq in known.items())
            for one in threads:
                one.join(120)
            over.set()
            assert set(registry.quantum_states(ids.attempt_id).values()) == {State.SUCCEEDED}
            assert registry.run_sql("select count(*), count(distinct filename) from desfile").rows == ((800, 800),)
            events = "select count(*) from task_event e join task t on t.id = e.task_id where t.kind = 'quantum'"
            assert registry.run_sql(events).rows == ((4 * 400,),)
    finally:
        server.stop()


def test_who_cannot_be_heard_says_so(tmp_path: Path) -> None:
    server = Embedded(tmp_path)
    server.start()
    address = server.address()
    server.stop()
    with Registry.open(address) as registry, pytest.raises(FacadeError, match="does not answer"):
        registry.attempts(limit=1)
