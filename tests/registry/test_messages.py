"""Messages of programs in the registry: joined to quantum and log, counted, told with what failed."""

from __future__ import annotations

from typing import Any

import pytest
from database import FILETYPES, Receipt, raw, submit

from facade.errors import RegistryError
from facade.registry.face import Registry
from facade.registry.values import Message

pytest_plugins = ["database"]
AT = "2026-11-21T12:00:00.000000+00:00"


def row(level: int, message: str, line: int, *, execnum: int = 1) -> dict[str, Any]:
    return {"execnum": execnum, "level": level, "pattern": message[:5], "line": line, "time": AT, "message": message}


def messages(quantum: int, *rows: dict[str, Any], counts: Any = ()) -> dict[str, Any]:
    return {"quantum": quantum, "log": "detect-1.log", "rows": list(rows), **({"counts": counts} if counts else {})}


def test_they_stand_with_their_quantum_and_log_once(registry: Registry) -> None:
    registry.ingest("raws", FILETYPES, [raw("raw1.fits", visit=901, ccd=1)])
    ids = submit(registry)
    receipt = Receipt(ids).started()
    receipt.add("messages", **messages(ids.quanta[1], row(1, "fatal é", 7), row(2, "warning\nof two lines", 9)))
    receipt.quantum(1)
    receipt.add("messages", **messages(ids.quanta[1], counts=[["fatal", 1, 1], ["warni", 2, 5000]]))
    for _ in range(2):
        registry.report(receipt.id, receipt.lines)
    rows = registry.run_named("messages", {"attempt": ids.attempt_id}).dicts()
    assert [(r["level"], r["wrapnum"], r["message"], r["log_line"], r["of_this_pattern"]) for r in rows] == [
        ("error", 1, "fatal é", 7, 1),
        ("warning", 1, "warning\nof two lines", 9, 5000),
    ]
    assert {(r["run"], r["execnum"], r["message_time"].isoformat()) for r in rows} == {
        (1, 1, "2026-11-21T12:00:00+00:00")
    }
    assert rows[0]["log"].endswith("/detect-1.log") and len(rows[0]["log"]) > len("/detect-1.log")
    found = registry.run_named("message-counts", {"attempt": ids.attempt_id}).rows
    assert found == (("error", "detect", "fatal", 1, 1), ("warning", "detect", "warni", 5000, 1))


def test_a_failed_quantum_is_shown_with_the_worst_the_last_of_several(registry: Registry) -> None:
    ids = submit(registry)
    receipt = Receipt(ids).started()
    rows = [row(2, f"warning {n}", n) for n in range(1, 6)] + [row(1, "fatal", 3), row(1, "later", 1, execnum=2)]
    receipt.add("messages", **messages(ids.quanta[1], *rows)).failed(1).failed(2).ended("failed")
    registry.report(receipt.id, receipt.lines)
    first, second = registry.overview(ids.attempt_id).failures
    assert first.messages == (Message(1, "fatal", 3), Message(2, "warning 5", 5), Message(1, "later", 1))
    assert second.messages == ()


def test_a_later_run_shows_its_own(registry: Registry) -> None:
    ids = submit(registry)
    for run in (1, 2):
        receipt = Receipt(ids, run=run).started()
        receipt.add("messages", **messages(ids.quanta[1], row(1, f"fatal {run}", run), counts=[["fatal", 1, run]]))
        receipt.failed(1).ended("failed")
        registry.report(receipt.id, receipt.lines)
    (failure,) = [one for one in registry.overview(ids.attempt_id).failures if one.wrapnum == 1]
    assert failure.messages == (Message(1, "fatal 2", 2),)
    assert registry.run_named("message-counts", {"attempt": ids.attempt_id}).rows[0][3:] == (3, 1)


def test_one_for_no_quantum_is_refused(registry: Registry) -> None:
    receipt = Receipt(submit(registry)).started().add("messages", **messages(999_999, row(1, "fatal", 1)))
    with pytest.raises(RegistryError, match="no quantum has task 999999"):
        registry.report(receipt.id, receipt.lines)
