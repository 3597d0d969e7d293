"""Whatever is asked often goes by an index, on each table that grows with the survey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from database import FILETYPES, submit

from facade.registry import overview, provenance, questions, runs
from facade.registry.face import Registry

pytest_plugins = ["database"]
LARGE = frozenset({
    "task", "task_event", "task_message", "task_message_count", "quantum", "pfw_job", "pfw_exec", "desfile",
    "file_location", "opm_used", "opm_was_derived_from", "left_out", "receipt", "pfw_attempt",
})  # fmt: skip
DIRECTLY = "set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off; "
"""Where a table is read through all the same, there is no index that would do."""
OURS: dict[str, tuple[str, Any]] = {
    "a step up": (provenance.WALK.format(step=provenance._UP), {"start": [1], "depth": 9}),
    "a step down": (provenance.WALK.format(step=provenance._DOWN), {"start": [1], "depth": 9}),
    "files": (provenance.FILES, {"ids": [1]}),
    "executions": (provenance.EXECUTIONS, {"ids": [1]}),
    "what was used": (provenance.USED, {"executions": [1]}),
    "what was derived": (provenance.DERIVED, {"ids": [1]}),
    "files of an attempt": (provenance.OF_ATTEMPT, {"attempt": 1}),
    "files of a quantum": (provenance.OF_QUANTUM, {"attempt": 1, "wrapnum": 1}),
    "totals": (overview.TOTALS, ([1, 2],)),
    "counts": (overview.COUNTS, (1,)),
    "jobs": (overview.JOBS, (1,)),
    "failures": (overview.FAILURES, (3, 1)),
    "running": (overview.RUNNING, (1,)),
    "an attempt": (runs.ATTEMPTS + " where a.id = %s", (1,)),
}


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that read a table."""
    if "Relation Name" in node:
        yield node
    for below in node.get("Plans", ()):
        yield from scans(below)


def read_through(registry: Registry, statement: str, params: Any) -> list[str]:
    """Return the large tables that *statement* reads through."""
    rows = registry._session.rows(DIRECTLY + "explain (format json) " + statement, params)
    found = [node for node in scans(rows[0]["QUERY PLAN"][0]["Plan"]) if node["Relation Name"] in LARGE]
    return [node["Relation Name"] for node in found if not {"Index Cond", "Recheck Cond"} & set(node)]


@pytest.mark.parametrize("name", sorted(questions.named_queries()))
def test_a_named_question_reads_no_large_table_through(name: str, registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    submit(registry)
    question = questions.named_queries()[name]
    assert read_through(registry, question.bound(), dict.fromkeys(question.parameters, "1")) == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_facade_asks_reads_no_large_table_through(name: str, registry: Registry) -> None:
    assert read_through(registry, *OURS[name]) == []


def test_a_table_that_is_read_through_is_seen(registry: Registry) -> None:
    assert read_through(registry, "select * from desfile where filesize = %s", (1,)) == ["desfile"]
