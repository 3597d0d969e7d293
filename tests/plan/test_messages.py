"""Message patterns in a plan and in its capsules: each set once, and no reason to make anything anew."""

from __future__ import annotations

import json
from pathlib import Path

from campaigns import planned, text

from facade.job.capsule import read
from facade.messages import Pattern, Rules
from facade.plan.capsule import Cutter, Surroundings, Tasks
from facade.plan.fingerprint import fingerprints
from facade.plan.model import from_text

QCF = """
<qcf>
    <patterns>
        <1>
            pattern = fatal
        </1>
        <2>
            pattern = slow
            lvl = 2
            execname = stack
        </2>
    </patterns>
</qcf>
"""
WHOLE = text() + QCF
FATAL, SLOW = Pattern("fatal"), Pattern("slow", 2)


def test_a_plan_has_each_set_of_rules_once_and_says_whose_it_is() -> None:
    found = planned(WHOLE).messages
    assert found.rules == (Rules((FATAL,)), Rules((FATAL, SLOW)))
    assert found.programs == {"reduce": {"1": 0}, "stack": {"1": 1}}


def test_a_plan_keeps_them_in_its_text() -> None:
    plan = planned(WHOLE)
    assert from_text(plan.text) == plan
    assert "messages" not in json.loads(planned().text)


def test_other_patterns_are_another_plan_but_make_nothing_anew() -> None:
    plan, other = planned(WHOLE), planned(text() + QCF.replace("fatal", "fatale"))
    programs = {"reduce": "1", "stack": "1"}
    assert plan.plan_id != other.plan_id
    assert fingerprints(plan, programs) == fingerprints(other, programs) == fingerprints(planned(), programs)


def test_capsules_share_them(tmp_path: Path) -> None:
    plan = planned(WHOLE)
    numbers = {quantum.wrapnum: 100 + quantum.wrapnum for quantum in plan.quanta}
    tasks = Tasks(
        attempt_id=1, attempt=2, blocks=(3,), jobs={job.jobnum: job.jobnum for job in plan.jobs}, quanta=numbers
    )
    around = Surroundings(name="u_r7p01", attnum=1, archive="home", archive_root="/archive", environment={})
    cutter = Cutter(plan, tasks, around)
    (tmp_path / "common.json").write_bytes(cutter.common())
    for _, shard in cutter.shards(1000, "common.json"):
        (tmp_path / "capsules.jsonl").write_bytes(shard)
        assert b"fatal" not in shard
    capsules = [read(tmp_path / f"capsules.jsonl#{job.jobnum}") for job in plan.jobs]
    for capsule in capsules:
        for quantum in capsule.quanta:
            (program,) = quantum.execs
            assert program.messages is not None
            expected = (FATAL, SLOW) if quantum.module == "stack" else (FATAL,)
            assert capsule.messages[program.messages].patterns == expected
