"""report(): exactly once, in order, all or nothing."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
from database import FILETYPES, Receipt, checksum, described, lineage, raw, submit

from facade.errors import RefusedError, RegistryError
from facade.registry.connection import Session
from facade.registry.face import Registry
from facade.registry.runs import encode
from facade.states import State

pytest_plugins = ["database"]
ONE = "select report(array[%s]::uuid[], array[%s]::jsonb[])"
TABLES = (
    *("task", "task_event", "receipt", "quantum", "pfw_job", "pfw_exec"),
    *("desfile", "image", "file_location", "opm_used", "opm_was_derived_from"),
)


def contents(registry: Registry) -> dict[str, list[tuple[object, ...]]]:
    return {table: sorted(registry.run_sql(f"table {table}").rows, key=repr) for table in TABLES}


def scalar(registry: Registry, sql: str) -> object:
    return registry.run_sql(sql).rows[0][0]


def test_a_job_told_whole_leaves_states_files_metadata_and_edges(registry: Registry) -> None:
    registry.ingest("raws", FILETYPES, [raw("raw1.fits", visit=901, ccd=1)])
    ids = submit(registry)
    receipt = Receipt(ids).started().quantum(1, used=["raw1.fits", "unknown.fits"]).quantum(2).ended()
    assert registry.report(receipt.id, receipt.lines) == len(receipt.lines)
    assert registry.job_states(ids.attempt_id) == {1: State.SUCCEEDED}
    assert registry.quantum_states(ids.attempt_id) == {1: State.SUCCEEDED, 2: State.SUCCEEDED}
    assert registry.attempt(ids.attempt_id).state is State.RUNNING
    assert scalar(registry, "select state from task where kind = 'block'") == "running"
    (row,) = registry.rows.files("calexp", {"ccd": 1})
    assert row == {
        "filename": "calexp-1.fits",
        "compression": "",
        "filetype": "calexp",
        "filesize": 13,
        "checksum": checksum("calexp-1.fits"),
        "path": "MMG/red",
        "visit": 901,
        "ccd": 1,
        "seeing": None,
    }
    assert scalar(registry, "select count(*) from opm_used") == 1
    assert scalar(registry, "select log from pfw_wrapper where wrapnum = 1") == "detect-1.log"
    assert (
        scalar(registry, "select kind from desfile join task t on t.id = wgb_task_id where filename like 'calexp-1%'")
        == "exec"
    )
    assert (
        scalar(registry, "select kind from desfile join task t on t.id = wgb_task_id where filename = 'detect-1.log'")
        == "quantum"
    )


def test_lists_and_what_one_program_makes_for_the_next_are_used(registry: Registry) -> None:
    ids = submit(registry)
    task = ids.quanta[1]
    receipt = Receipt(ids).started().executed(task, ["in.list"]).executed(task, ["in.list", "middle.fits", "none"])
    receipt.lines[-1]["execnum"] = 2
    made = [described("in.list", "list", "a", None, {}, ""), described("middle.fits", "middle", "b", 1, {}, "")]
    receipt.add("outputs", quantum=task, files=made, derived=[])
    registry.report(receipt.id, receipt.lines)
    used = registry.run_sql(
        "select execnum, filename from opm_used join pfw_exec using (task_id) join desfile d on d.id = desfile_id"
        " order by 1, 2"
    )
    assert used.rows == ((1, "in.list"), (2, "in.list"), (2, "middle.fits"))


def test_replay_changes_nothing(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    receipt = Receipt(submit(registry)).started().quantum(1).failed(2).ended("failed")
    registry.report(receipt.id, receipt.lines)
    before = contents(registry)
    registry.report(receipt.id, receipt.lines)
    registry.report(receipt.id, receipt.lines[4:7] + receipt.lines[2:9])
    assert contents(registry) == before


def test_batches_out_of_order_and_doubled_end_as_told_in_order(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    receipt = Receipt(submit(registry)).started().quantum(1).quantum(2).ended()
    first, second = receipt.lines[:6], receipt.lines[6:]
    assert registry.report(receipt.id, second) == 0
    assert registry.report(receipt.id, first) == 6
    assert registry.report(receipt.id, second[3:]) == 6
    assert registry.report(receipt.id, second + first + second) == len(receipt.lines)
    assert scalar(registry, "select count(*) from task_event where state = 'succeeded'") == 3


def test_another_checksum_is_refused_and_nothing_of_the_call_stays(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    one, two = submit(registry), submit(registry)
    told = Receipt(one).started().quantum(1)
    registry.report(told.id, told.lines)
    before = contents(registry)
    clash = Receipt(two).started().quantum(1, content="other")
    with pytest.raises(
        RefusedError, match=r"file calexp-1.fits is already registered with other content, made by task \d+"
    ):
        registry.report(clash.id, clash.lines)
    assert contents(registry) == before


def test_the_same_content_from_another_attempt_is_no_clash(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    for ids in (submit(registry), submit(registry)):
        lines = [line for line in Receipt(ids).started().quantum(1).lines if line["kind"] != "stored"]
        registry.report(Receipt(ids).id, lines)
    assert scalar(registry, "select count(*) from desfile") == 2


def test_a_rerun_may_make_its_own_file_anew_until_the_quantum_has_succeeded(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry)
    died = Receipt(ids).started().quantum(1, content="first")
    registry.report(died.id, died.lines[:7])  # the outputs are told, but the job dies before it stores them
    again = Receipt(ids, run=2).started().quantum(1, content="second").ended()
    registry.report(again.id, again.lines)
    found = registry.lookup([("calexp-1.fits", "")])[("calexp-1.fits", "")]
    assert (found["checksum"], found["path"]) == (checksum("second"), "MMG/red")
    third = Receipt(ids, run=3).started().quantum(1, content="third")
    with pytest.raises(RefusedError):
        registry.report(third.id, third.lines)


def test_a_late_line_of_an_earlier_run_does_not_move_a_task_back(registry: Registry) -> None:
    ids = submit(registry)
    lost, again = Receipt(ids).started().failed(1).ended("failed"), Receipt(ids, run=2).started().failed(1)
    registry.report(lost.id, lost.lines[:3])
    registry.report(again.id, again.lines[:3])
    registry.report(lost.id, lost.lines)
    assert registry.quantum_states(ids.attempt_id)[1] is State.RUNNING
    assert registry.job_states(ids.attempt_id)[1] is State.RUNNING


def test_a_failure_is_told_with_class_step_message_and_tail(registry: Registry) -> None:
    ids = submit(registry, quanta=3, jobs=2)
    receipt = Receipt(ids).started().failed(1, "exit code 3 \udcff").ended("failed")
    registry.report(receipt.id, receipt.lines)
    (failure,) = registry.overview(ids.attempt_id).failures
    assert (failure.failure_class, failure.step, failure.exit_code) == ("exec-failed", "exec", 3)
    assert (failure.message, failure.tail, failure.keys, failure.host) == (
        "exit code 3 ?",
        "oh\ufffdno",
        {"ccd": 1},
        "node1",
    )


def test_an_unknown_task_and_an_unknown_table_are_named(registry: Registry) -> None:
    ids = submit(registry)
    receipt = Receipt(ids).started().quantum(1)
    with pytest.raises(RegistryError, match="there is no metadata table image"):
        registry.report(receipt.id, receipt.lines)
    receipt.lines[0]["job"] = 999999
    with pytest.raises(RegistryError, match="no job has task 999999"):
        registry.report(receipt.id, receipt.lines)


def test_not_a_number_arrives_as_such(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    receipt = Receipt(submit(registry)).started().quantum(1)
    next(line for line in receipt.lines if line["kind"] == "outputs")["files"][0]["metadata"]["seeing"] = float("nan")
    registry.report(receipt.id, receipt.lines)
    assert scalar(registry, "select seeing::text from image") == "NaN"


def test_jobs_that_report_at_once_do_not_stop_each_other(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=40, jobs=8)
    receipts = [Receipt(ids, jobnum=n).started() for n in ids.jobs]
    for index, wrapnum in enumerate(ids.quanta):
        receipts[index % 8].quantum(wrapnum)

    def tell(receipt: Receipt) -> int:
        with Registry.open(registry.address) as own:
            return sum(own.report(receipt.id, receipt.lines[n : n + 5]) for n in range(0, len(receipt.lines), 5))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, receipts))
    assert set(registry.quantum_states(ids.attempt_id).values()) == {State.SUCCEEDED}


def test_a_quantum_costs_the_server_a_few_milliseconds(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=100)
    receipt = Receipt(ids).started()
    session = Session(registry.address)
    session.rows(ONE, (receipt.id, f"[{encode(receipt.lines[0])}]"))
    spent = []
    for wrapnum in ids.quanta:
        told = len(receipt.lines)
        receipt.quantum(wrapnum)
        text = "[" + ",".join(map(encode, receipt.lines[told:])) + "]"
        start = time.perf_counter()
        session.rows(f"set local synchronous_commit = off; {ONE}", (receipt.id, text))
        spent.append(time.perf_counter() - start)
    session.close()
    with capsys.disabled():
        print(f"\nreport(): first {spent[0] * 1e3:.1f} ms, median {median(spent) * 1e3:.2f} ms a quantum")
    assert median(spent) < 0.02


def test_edges_to_a_file_whose_maker_reports_later_are_made_when_it_comes(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    maker, reader = (Receipt(submit(registry)).started() for _ in range(2))
    reader.quantum(2, used=["calexp-1a.fits"]).ended()
    registry.report(reader.id, reader.lines)
    assert lineage(registry, "calexp-2.fits")[1:] == []
    maker.quantum(1, suffix="a").ended()
    registry.report(maker.id, maker.lines)
    assert [row["filename"] for row in lineage(registry, "calexp-2.fits")] == ["calexp-2.fits", "calexp-1a.fits"]
    graph = registry.provenance("calexp-2.fits", ["up"])
    assert graph.used and graph.derived
    assert registry.run_sql("select count(*) from pending_edge").rows == ((0,),)


def test_edges_of_reports_that_crossed_are_made_when_the_attempt_is_closed(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    maker, reader = (Receipt(submit(registry)).started() for _ in range(2))
    reader.quantum(2, used=["calexp-1a.fits"]).ended()
    maker.quantum(1, suffix="a").ended()
    registry.set_archive("home", "/archive")  # or one would wait for the other to name it
    other = Registry.open(registry.address)
    with other, other._session.transaction() as cursor:
        cursor.execute(ONE, (maker.id, json.dumps(maker.lines)))
        registry.report(reader.id, reader.lines)  # does not see the other's rows, nor is seen
    assert registry.run_sql("select count(*) from pending_edge").rows == ((2,),)
    registry.finish(reader.ids.attempt_id, State.SUCCEEDED)
    assert registry.run_sql("select count(*) from pending_edge").rows == ((0,),)
    assert len(lineage(registry, "calexp-2.fits")) == 2


def test_a_block_goes_on_when_its_attempt_is_resumed_and_not_because_of_late_receipts(registry: Registry) -> None:
    ids = submit(registry)
    failed = Receipt(ids).started().failed(1).ended("failed")
    registry.report(failed.id, failed.lines)
    registry.finish(ids.attempt_id, State.FAILED)
    block = f"select state from task where id = {ids.blocks[0]}"
    late = Receipt(ids, run=2).started()
    registry.report(late.id, late.lines)
    assert scalar(registry, block) == "failed"
    registry.mark([ids.attempt_task], State.RUNNING, "resumed")
    again = Receipt(ids, run=3).started()
    registry.report(again.id, again.lines)
    assert scalar(registry, block) == "running"
    assert scalar(registry, f"select end_time from task where id = {ids.blocks[0]}") is None


def test_a_job_that_is_run_again_after_it_has_succeeded_has_succeeded_all_the_time(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=1)
    first = Receipt(ids).started().quantum(1).ended()
    registry.report(first.id, first.lines)
    again = Receipt(ids, run=2).started()
    registry.report(again.id, again.lines)
    assert registry.job_states(ids.attempt_id)[1] is State.SUCCEEDED
    again.ended("failed")  # told to end before it could see that there is nothing to do
    registry.report(again.id, again.lines)
    assert registry.job_states(ids.attempt_id)[1] is State.SUCCEEDED
    events = f"select string_agg(state::text, ' ' order by id) from task_event where task_id = {ids.jobs[1]}"
    assert scalar(registry, events) == "running succeeded"


def test_a_file_is_never_made_from_what_was_made_from_it(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=3, jobs=3)
    receipts = [Receipt(ids, n).started() for n in (1, 2, 3)]
    for n, receipt in enumerate(receipts, 1):
        receipt.quantum(n, used=[f"calexp-{n % 3 + 1}.fits"])  # 1 of 2, 2 of 3, and 3 of 1
    for receipt in receipts[:2]:
        registry.report(receipt.id, receipt.lines)
    before = contents(registry)
    with pytest.raises(RefusedError, match=r"file calexp-\d.fits would be made from what was made"):
        registry.report(receipts[2].id, receipts[2].lines)
    assert contents(registry) == before
    again = submit(registry, quanta=2)
    receipt = Receipt(again).started().quantum(1, used=["calexp-2b.fits"], suffix="b")
    receipt.quantum(2, used=["calexp-1b.fits"], suffix="b")
    with pytest.raises(RefusedError, match="would be made from what"):
        registry.report(receipt.id, receipt.lines)


def test_a_file_has_one_maker(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    one, two = submit(registry), submit(registry)
    for ids in (one, two):
        receipt = Receipt(ids).started().quantum(1)
        registry.report(receipt.id, receipt.lines)  # the same content: no clash, and no second maker
    makers = "opm_was_generated_by join desfile on id = desfile_id where filename like 'calexp-1%'"
    assert scalar(registry, f"select count(*) from {makers}") == 1
