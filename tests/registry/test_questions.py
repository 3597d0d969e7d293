"""Provenance, tags, named questions, and DMTN-059's three queries word for word."""

from __future__ import annotations

import datetime

import pytest
from database import FILETYPES, Receipt, described, lineage, raw, submit

from facade.errors import InputError, RefusedError
from facade.registry.face import Registry
from facade.registry.values import Ids
from facade.states import State

pytest_plugins = ["database"]

DMTN = (
    """select f.path ||'/'||f.filename from file_archive_info f, desfile d, proctag t
      where d.filetype='deepcoadd_calexp' and t.tag='PROTO-0.1' and t.pfw_attempt_id=d.pfw_attempt_id
        and f.desfile_id=d.id order by f.filename;""",
    """select modname, count(*) from pfw_wrapper w, pfw_attempt a
      where w.pfw_attempt_id=a.id and a.reqnum=11 and a.attnum=95 group by modname order by min(w.wrapnum);""",
    """select end_time - start_time from task t, pfw_attempt a where t.id=a.task_id and a.reqnum=11 and a.attnum=95;""",
)
COADD = "calexp-HSC-I-0-8x6-r11p95.fits"


@pytest.fixture
def attempt(registry: Registry) -> Ids:
    """raw1, raw2 → calexp-1, calexp-2 → the coadd; the third quantum never starts."""
    registry.ingest(
        "raws", FILETYPES, [raw("raw1.fits", visit=1), raw("raw2.fits", visit=2), raw("raw3.fits", visit=3)]
    )
    ids = submit(registry, quanta=4, attnum=95)
    receipt = Receipt(ids).started().quantum(1, used=["raw1.fits"]).quantum(2, used=["raw2.fits"])
    task = ids.quanta[3]
    receipt.add("quantum-state", quantum=task, state="staging").executed(task, ["calexp-1.fits", "calexp-2.fits"])
    made = [described(COADD, "deepcoadd_calexp", "coadd", 1, {}, "")]
    receipt.add("outputs", quantum=task, files=made, derived=[[[COADD, ""], ["calexp-1.fits", ""]]])
    receipt.add("stored", quantum=task, archive="home", files=[[COADD, "", "MMG/hsctest/MDEV/r11/Ht0/p95/coadd"]])
    receipt.add("quantum-ended", quantum=task, state="succeeded", failure=None).ended()
    registry.report(receipt.id, receipt.lines)
    registry.finish(ids.attempt_id, State.SUCCEEDED)
    registry.tag(ids.attempt_id, "PROTO-0.1", "operator")
    return ids


def test_the_three_queries_of_the_note_run_unchanged(registry: Registry, attempt: Ids) -> None:
    files, executions, wallclock = (registry.run_sql(text).rows for text in DMTN)
    assert files == ((f"MMG/hsctest/MDEV/r11/Ht0/p95/coadd/{COADD}",),)
    assert executions == (("detect", 3),)
    ((spent,),) = wallclock
    assert spent == datetime.timedelta(seconds=20)


def test_the_named_queries_say_the_same(registry: Registry, attempt: Ids) -> None:
    named = registry.run_named("files-by-tag", {"tag": "PROTO-0.1", "filetype": "deepcoadd_calexp"})
    assert named.rows == registry.run_sql(DMTN[0]).rows
    assert registry.run_named("executions", {"reqnum": "11", "attnum": 95}).rows == (("detect", 3),)
    assert registry.run_named("wallclock", {"reqnum": 11, "attnum": 95}).rows[0][0] == "Ht0"
    assert [row["wrapnum"] for row in registry.run_named("used-by", {"file": "raw1.fits"}).dicts()] == [1]
    assert registry.run_named("failed", {"attempt": attempt.attempt_id}).rows == ()
    assert {"lineage-up", "lineage-down", "failed", "used-by"} < set(registry.named_queries())
    assert all(registry.named_queries().values())


def test_ancestors_and_descendants_follow_both_kinds_of_edge(registry: Registry, attempt: Ids) -> None:
    up = [(row["depth"], row["filename"], row["module"], row["exec"]) for row in lineage(registry, COADD)]
    assert up == [
        (0, COADD, "detect", "detect"),
        (1, "calexp-1.fits", "detect", "detect"),
        (1, "calexp-2.fits", "detect", "detect"),
        (2, "raw1.fits", None, None),
        (2, "raw2.fits", None, None),
    ]
    down = [(row["depth"], row["filename"]) for row in lineage(registry, "raw1.fits", "lineage-down")]
    assert down == [(0, "raw1.fits"), (1, "calexp-1.fits"), (2, COADD)]
    assert lineage(registry, COADD)[0]["attempt"] == "Ht0_r11p95"
    assert lineage(registry, "none.fits") == []
    graph = registry.provenance(COADD, ["up"])
    assert graph.used and graph.derived and all(graph.files[child].made_by for child, _ in graph.derived)


def test_tags_come_and_go(registry: Registry, attempt: Ids) -> None:
    registry.tag(attempt.attempt_id, "PROTO-0.1", "another")
    assert registry.attempt(attempt.attempt_id).tags == ("PROTO-0.1",)
    assert registry.untag(attempt.attempt_id, "PROTO-0.1") and not registry.untag(attempt.attempt_id, "PROTO-0.1")
    with pytest.raises(InputError, match="no attempt 99"):
        registry.tag(99, "x", "me")


def test_questions_cannot_write(registry: Registry, attempt: Ids) -> None:
    for text in (
        "delete from proctag",
        "commit; delete from proctag",
        "create table x()",
        "select nextval('task_id_seq')",
    ):
        with pytest.raises(RefusedError, match="may only read"):
            registry.run_sql(text)
    assert registry.attempt(attempt.attempt_id).tags == ("PROTO-0.1",)


def test_a_bad_question_is_the_operators_fault_and_says_where(registry: Registry) -> None:
    with pytest.raises(InputError, match="syntax error"):
        registry.run_sql("selct 1")
    with pytest.raises(InputError, match="no query is called 'execution'\n  did you mean 'executions'"):
        registry.run_named("execution", {})
    with pytest.raises(InputError, match="query executions needs reqnum and attnum"):
        registry.run_named("executions", {})
    with pytest.raises(InputError, match="has no parameter 'x'"):
        registry.run_named("executions", {"reqnum": 1, "attnum": 1, "x": 1})
    assert registry.run_sql("select 1 as a, 'x%' as b where false").columns == ("a", "b")


def test_columns_of_one_name_are_all_there(registry: Registry) -> None:
    answer = registry.run_sql("select 1 as n, 2 as n, 3 as other")
    assert (answer.columns, answer.rows) == (("n", "n_2", "other"), ((1, 2, 3),))
    assert answer.dicts() == [{"n": 1, "n_2": 2, "other": 3}]
