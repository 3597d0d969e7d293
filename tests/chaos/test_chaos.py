"""Every kind of fault, a few of them in each of five attempts; afterwards nothing is lost, doubled or half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from chaos.__main__ import BOUNDED
from chaos.faults import KINDS
from chaos.place import CAMPAIGNS, QUANTA, Place, children, may_mount, placed
from chaos.truth import Signature, facts, signature, untruths
from e2e.world import ROOT

from facade.registry.connection import connect
from facade.registry.embedded import Embedded

SEED = 1


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the bounded form tells; a process of its own, for it mounts disks."""
    path = tmp_path_factory.mktemp("chaos") / "told.json"
    argv = [sys.executable, "-m", "chaos", "--bounded", "--seed", str(SEED), "--json", str(path)]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")}, capture_output=True, text=True)
    assert path.is_file() and done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


@pytest.mark.parametrize("number", range(len(BOUNDED)), ids=[", ".join(names) for names in BOUNDED])
def test_after_faults_and_recovery_everything_is_as_if_nothing_had_happened(
    told: list[dict[str, Any]], number: int
) -> None:
    rows = [row for row in told if row["seed"] == SEED + number]
    assert [row["wrong"] for row in rows if row["wrong"]] == []
    expected = {name for name in BOUNDED[number] if not KINDS[name].mounts or may_mount()}
    assert {row["fault"] for row in rows} <= expected
    assert rows, "every fault came too late"


def test_most_faults_struck(told: list[dict[str, Any]]) -> None:
    """A fault finds nobody to hit if an attempt is over too soon; that must not become the rule."""
    assert len(told) >= 10


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Place, str, Signature]]:
    """A place with one undisturbed attempt, its name and what it should look like."""
    with placed(frozenset({"small"}), mounts=False) as made:
        made.settle("home")
        made.world.facade("submit", CAMPAIGNS["small"], "--wait", "--reuse", "none", "-j", 2)
        name = str(made.world.latest()["name"])
        yield made, name, signature(facts(made, name), made.archive)


def spoilt(place: tuple[Place, str, Signature]) -> list[str]:
    made, name, reference = place
    return untruths(made, name, "home", QUANTA["small"], reference)


def test_what_is_wrong_is_seen(place: tuple[Place, str, Signature], monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth is worth nothing if it does not see files that are lost, altered or left, locks and processes."""
    made, name, _ = place
    monkeypatch.setattr("chaos.truth.LAST_WORDS", 0.0)
    assert spoilt(place) == []
    run = made.runs / name
    folder = made.archive / "CHAOS/r5/p01/out"
    meal, left, draft = folder / "meal-03-p01.dat", folder / ".meal.part-0123456789ab", run / ".run.json.part"
    sound = meal.read_bytes()
    meal.write_bytes(sound[:-1] + b"?")
    left.touch()
    assert spoilt(place) == [
        "meal-03-p01.dat in the archive is not what the registry says",
        "the archive has out/.meal.part-0123456789ab, which nobody knows",
    ]
    meal.unlink()
    left.unlink()
    draft.touch()
    assert spoilt(place) == ["meal-03-p01.dat is not in the archive", "a temporary file is left: .run.json.part"]
    meal.write_bytes(sound)
    draft.unlink()
    sleeping = subprocess.Popen(["flock", str(run / "engine.lock"), "sleep", "60"], cwd=run)
    try:
        while not children(sleeping.pid):
            time.sleep(0.01)
        found = "\n".join(spoilt(place))
        assert "a lock is held: engine.lock" in found and "a process is left" in found
    finally:
        for pid in (*children(sleeping.pid), sleeping.pid):
            os.kill(pid, signal.SIGKILL)
        sleeping.wait()


def test_what_the_registry_gets_wrong_is_seen(place: tuple[Place, str, Signature]) -> None:
    made, name, _ = place
    assert spoilt(place) == []
    quantum = f"(select min(task_id) from quantum where pfw_attempt_id = {facts(made, name).attempt['id']})"
    changes = {
        f"update task set state = 'failed' where id = {quantum}": "its last event says planned",
        f"insert into task_event (task_id, run, state, at) values ({quantum}, 1, 'planned', now())": "to planned",
        "update receipt set last_seq = 3 where id = (select min(id::text)::uuid from receipt)": "the registry knows 3",
        "delete from opm_used where task_id = (select max(task_id) from opm_used)": "programs missing",
        "delete from opm_was_derived_from where child_desfile_id ="
        " (select max(child_desfile_id) from opm_was_derived_from)": "derived missing",
        "delete from file_location where desfile_id ="
        " (select max(desfile_id) from file_location)": "which nobody knows",
        "insert into pending_edge (filename, compression, reader_task_id) select 'never', '', max(task_id)"
        " from pfw_exec": "an edge is pending",
        "insert into opm_was_derived_from select min(child_desfile_id), (select max(id) from desfile)"
        " from opm_was_derived_from": "derived too many",
    }
    with closing(connect(Embedded(made.home).address())) as connection, connection.cursor() as cursor:
        for change in changes:
            cursor.execute(change)
        connection.commit()
    found = "\n".join(spoilt(place))
    assert [complaint for complaint in changes.values() if complaint not in found] == []
