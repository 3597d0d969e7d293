"""What is told of jobs by HTCondor's event log when they did not tell it themselves."""

from __future__ import annotations

from typing import Any

from facade.engines.eventlog import Event, fates
from facade.states import FailureClass


def events(*rows: tuple[int, str, dict[str, Any]]) -> list[Event]:
    return [Event(cluster, kind, 60.0 * n, details) for n, (cluster, kind, details) in enumerate(rows)]


def submitted(cluster: int, job: int) -> tuple[int, str, dict[str, Any]]:
    return cluster, "SUBMIT", {"LogNotes": f'[ DAGNodeName = "j{job:06}"; JobBatchName = "Ht0_r11p01" ]'}


STARTED = {"SlotName": "slot1_1@far", "ExecuteHost": "<10.1.2.3:9618?addrs=10.1.2.3-9618&alias=far.example.org>"}


def test_the_story_of_a_job_whose_host_died_and_that_was_then_removed():
    found = fates(
        events(
            submitted(7, 12),
            (7, "EXECUTE", STARTED),
            (7, "JOB_DISCONNECTED", {"DisconnectReason": "Socket between submit and execute hosts closed"}),
            (7, "JOB_RECONNECT_FAILED", {"Reason": "Job disconnected too long"}),
            (7, "JOB_ABORTED", {"Reason": "removed by the operator"}),
        )
    )[12]
    assert found == (
        "7.0",
        "far",
        True,
        FailureClass.EVICTED,
        "contact lost on far at 1970-01-01T00:02:00+00:00 (Socket between submit and execute hosts closed); "
        "given up on far at 1970-01-01T00:03:00+00:00 (Job disconnected too long); "
        "removed on far at 1970-01-01T00:04:00+00:00 (removed by the operator)",
    )


def test_what_ends_a_job_says_how_it_is_classed():
    cases: list[tuple[str, dict[str, Any], FailureClass, str]] = [
        ("JOB_TERMINATED", {"TerminatedNormally": True, "ReturnValue": 2}, FailureClass.LOST, "ended with exit code 2"),
        ("JOB_TERMINATED", {"TerminatedBySignal": 9}, FailureClass.LOST, "ended by signal 9"),
        ("JOB_EVICTED", {"Reason": "the host is wanted"}, FailureClass.EVICTED, "(the host is wanted)"),
        ("JOB_HELD", {"HoldReason": "no such program"}, FailureClass.EVICTED, "(no such program)"),
        ("SHADOW_EXCEPTION", {"Message": "disk full"}, FailureClass.LOST, "(disk full)"),
    ]
    for kind, details, wanted, text in cases:
        found = fates(events(submitted(1, 1), (1, "EXECUTE", STARTED), (1, kind, details)))[1]
        assert (found.failure_class, found.over) == (wanted, kind == "JOB_TERMINATED")
        assert text in found.story and "on far at" in found.story


def test_jobs_that_have_nothing_to_tell():
    found = fates(
        events(
            submitted(1, 1),
            submitted(2, 2),
            (2, "EXECUTE", {"ExecuteHost": "<10.1.2.3:9618?alias=near>"}),
            submitted(3, 3),
            (3, "JOB_ABORTED", {"Reason": "DAG removed"}),
            (4, "SUBMIT", {"LogNotes": '[ DAGNodeName = "finish" ]'}),
            (4, "EXECUTE", STARTED),
        )
    )
    assert {n: fate.over for n, fate in found.items()} == {1: False, 2: False, 3: False}
    assert found[1].story == "it was not started"
    assert found[2].story == "nothing is known after its start on near"


def test_only_the_last_submission_counts():
    rows = [submitted(1, 5), (1, "EXECUTE", STARTED), (1, "JOB_HELD", {"HoldReason": "x"}), submitted(9, 5)]
    rows.append((1, "JOB_ABORTED", {"Reason": "late"}))
    assert fates(events(*rows))[5] == ("9.0", "", False, FailureClass.LOST, "it was not started")
