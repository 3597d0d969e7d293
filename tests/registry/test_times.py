"""How long quanta took, as the registry remembers it."""

from __future__ import annotations

import datetime

from database import FILETYPES, Receipt, submit

from facade.registry.face import Registry
from facade.registry.values import Ids

pytest_plugins = ["database"]


def ran(registry: Registry, ids: Ids, seconds: dict[int, float], *, state: str = "succeeded") -> None:
    """Let quanta of an attempt begin and end, each after so many *seconds*."""
    receipt = Receipt(ids).started()
    start = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
    for wrapnum, took in seconds.items():
        receipt.add("quantum-state", quantum=ids.quanta[wrapnum], state="staging")
        receipt.lines[-1]["at"] = start.isoformat()
        receipt.add("quantum-ended", quantum=ids.quanta[wrapnum], state=state, failure=None)
        receipt.lines[-1]["at"] = (start + datetime.timedelta(seconds=took)).isoformat()
    registry.report(receipt.id, receipt.lines)


def test_the_median_of_what_succeeded_in_the_newest_attempts_of_the_campaign(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    assert registry.run_times("MMG", "hsctest", ["detect", "measure"]) == {}
    for _ in range(5):
        ran(registry, submit(registry, quanta=3), {1: 1000.0, 2: 1000.0, 3: 1000.0})
    assert registry.run_times("MMG", "hsctest", ["detect"]) == {"detect": (1000.0, 15)}
    for _ in range(5):
        ran(registry, submit(registry, quanta=3), {1: 10.0, 2: 20.5, 3: 900.0})
    failed = submit(registry, quanta=3)
    ran(registry, failed, {1: 1.0, 2: 1.0, 3: 1.0}, state="failed")
    assert registry.run_times("MMG", "hsctest", ["detect", "measure"]) == {"detect": (20.5, 15)}
    assert registry.run_times("MMG", "other", ["detect"]) == {}
    assert registry.run_times("MMG", None, ["detect"]) == {}
