"""What was made before, as the registry finds it by fingerprint."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from database import FILETYPES, IDENTITY, Receipt

from facade.registry.face import Registry
from facade.registry.reuse import Earlier
from facade.registry.values import Ids, LeftOut

pytest_plugins = ["database"]
ONE, TWO, THREE = (f"{n:032x}" for n in (1, 2, 3))
OTHER_UNIT = {**IDENTITY, "unitname": "Ht1"}
OTHER_CAMPAIGN = {**IDENTITY, "reqnum": 12, "campaign": "other"}


def attempt(
    registry: Registry,
    prints: Mapping[int, str],
    *,
    identity: Mapping[str, Any] = IDENTITY,
    reasons: Mapping[int, str] | None = None,
    left_out: Sequence[LeftOut] = (),
    outputs: Sequence[tuple[str, str]] | None = None,
) -> Ids:
    """Register an attempt of module ``detect``: wrapnum -> fingerprint."""
    registry.ensure_metadata_tables(FILETYPES)
    with registry.submission(identity, uuid.uuid4(), "operator", None) as opened:
        return opened.register(
            plan_id=f"plan {opened.name}",
            plan_body=b"{}",
            programs={"detect": "12ab"},
            run_plan=("what remains", b'{"less": 1}') if left_out else None,
            run_dir=f"/runs/{opened.name}",
            blocks=[{"name": "coadd", "modules": ["detect"]}],
            jobs=[{"jobnum": 1, "block": 0, "keys": {}, "quanta": len(prints)}],
            quanta=[
                {
                    "wrapnum": n, "module": "detect", "wrapper": "generic", "jobnum": 1, "keys": {"ccd": n},
                    "fingerprints": (f"{int(key, 16) + 100:032x}", key), "reason": (reasons or {}).get(n, "new"),
                    "outputs": outputs if outputs is not None else [(f"calexp-{n}-{opened.name}.fits", "")],
                }
                for n, key in prints.items()
            ],
            left_out=left_out,
        )  # fmt: skip


def succeed(registry: Registry, ids: Ids, *wrapnums: int, name: str, **more: Any) -> None:
    """Let quanta of an attempt succeed; the files are called as `attempt` promised."""
    receipt = Receipt(ids).started()
    for wrapnum in wrapnums:
        receipt.quantum(wrapnum, suffix=f"-{name}")
        receipt.lines[-1] |= more
    registry.report(receipt.id, receipt.lines)


def found(registry: Registry, *wanted: str, scope: str = "unit", identity: Any = IDENTITY) -> list[Earlier]:
    return list(registry.successes(wanted, scope=scope, identity=identity, archives=("home",)))


def attempts(registry: Registry, *wanted: str, scope: str = "unit", identity: Any = IDENTITY) -> list[str]:
    return [one.attempt for one in found(registry, *wanted, scope=scope, identity=identity)]


def test_a_success_is_found_with_its_files_and_where_they_lie(registry: Registry) -> None:
    ids = attempt(registry, {1: ONE, 2: TWO})
    assert found(registry, ONE, TWO) == []
    succeed(registry, ids, 1, name="Ht0_r11p01")
    [one] = found(registry, ONE, TWO, THREE)
    name = "calexp-1-Ht0_r11p01.fits"
    [row] = registry.lookup([(name, "")]).values()
    assert one == Earlier(
        ONE, ids.quanta[1], "Ht0_r11p01", ((name, "", row["filesize"], row["checksum"], "MMG/red"),)
    )  # fmt: skip
    registry.forget_locations([(name, "")], "home")
    assert found(registry, ONE)[0].files == ((name, "", row["filesize"], row["checksum"], None),)
    assert found(registry) == []


def test_outputs_keep_their_order_and_those_that_were_not_made_their_place(registry: Registry) -> None:
    promised = [("b.fits", ".fz"), ("calexp-1-x.fits", ""), ('odd "name" \\.fits', ""), ("a.fits", "")]
    ids = attempt(registry, {1: ONE}, outputs=promised)
    succeed(registry, ids, 1, name="x")
    [one] = found(registry, ONE)
    assert [file and file[0] for file in one.files] == [None, "calexp-1-x.fits", None, None]
    assert registry.run_sql("select outputs[3] as name, suffixes[1] as suffix from quantum").rows == (
        ('odd "name" \\.fits', ".fz"),
    )
    ids = attempt(registry, {1: TWO}, outputs=[])
    receipt = Receipt(ids).started().add("quantum-ended", quantum=ids.quanta[1], state="succeeded", failure=None)
    registry.report(receipt.id, receipt.lines)
    assert [one.files for one in found(registry, TWO)] == [()]


def test_the_newest_comes_first_and_junk_is_passed_over(registry: Registry) -> None:
    made = []
    for number in range(1, 6):
        made.append(attempt(registry, {1: ONE}))
        succeed(registry, made[-1], 1, name=f"Ht0_r11p{number:02d}")
    assert attempts(registry, ONE) == ["Ht0_r11p05", "Ht0_r11p04", "Ht0_r11p03"]
    registry.set_data_state(made[4].attempt_id, "junk")
    assert attempts(registry, ONE) == ["Ht0_r11p04", "Ht0_r11p03", "Ht0_r11p02"]


def test_scopes_reach_from_one_attempt_to_the_archive(registry: Registry) -> None:
    first = attempt(registry, {1: ONE})
    succeed(registry, first, 1, name="Ht0_r11p01")
    second = attempt(registry, {2: TWO})
    succeed(registry, second, 2, name="Ht0_r11p02")
    succeed(registry, attempt(registry, {1: ONE}, identity=OTHER_UNIT), 1, name="Ht1_r11p01")
    other = attempt(registry, {1: ONE}, identity=OTHER_CAMPAIGN)
    succeed(registry, other, 1, name="Ht0_r12p01")
    both = (ONE, TWO)
    assert attempts(registry, *both, scope="attempt") == ["Ht0_r11p02"]
    assert attempts(registry, *both, scope="unit") == ["Ht0_r11p01", "Ht0_r11p02"]
    assert attempts(registry, *both, scope="campaign") == ["Ht1_r11p01", "Ht0_r11p01", "Ht0_r11p02"]
    assert attempts(registry, *both, scope="archive") == ["Ht1_r11p01", "Ht0_r11p01", "Ht0_r11p02"]
    registry.tag(other.attempt_id, "GOOD", "me")
    assert attempts(registry, *both, scope="archive") == ["Ht0_r12p01", "Ht1_r11p01", "Ht0_r11p01", "Ht0_r11p02"]
    assert attempts(registry, ONE, scope="unit", identity=OTHER_CAMPAIGN) == ["Ht0_r12p01"]


def left_out(wrapnum: int, source: int | None, decision: str = "reuse") -> LeftOut:
    return {"wrapnum": wrapnum, "module": "detect", "keys": {"ccd": wrapnum}, "decision": decision,
            "reason": "succeeded" if source else "unread", "source": source}  # fmt: skip


def test_what_an_attempt_does_not_run_is_written_down_and_told(registry: Registry) -> None:
    first = attempt(registry, {1: ONE, 2: TWO})
    succeed(registry, first, 1, 2, name="Ht0_r11p01")
    spared = [left_out(1, first.quanta[1]), left_out(3, None, "not-needed"), left_out(4, None, "not-selected")]
    second = attempt(registry, {2: THREE}, left_out=spared)
    succeed(registry, second, 2, name="Ht0_r11p02")
    overview = registry.overview(second.attempt_id)
    assert overview.reused == {"Ht0_r11p01": 1}
    assert overview.left_out == {"reuse": 1, "not-needed": 1, "not-selected": 1}
    assert registry.overview(first.attempt_id).reused == {}
    rows = registry.run_sql(
        f"select wrapnum, decision, reason from pfw_decision where pfw_attempt_id = {second.attempt_id} order by 1"
    ).rows
    assert rows == (
        (1, "reuse", "succeeded"), (2, "run", "new"), (3, "not-needed", "unread"), (4, "not-selected", "unread"),
    )  # fmt: skip
    products = registry.run_sql(
        "select d.filename, p.reused_from_attempt_id from attempt_product p join desfile d on d.id = p.desfile_id"
        f" where p.pfw_attempt_id = {second.attempt_id} order by 1"
    ).rows
    assert products == (("calexp-1-Ht0_r11p01.fits", first.attempt_id), ("calexp-2-Ht0_r11p02.fits", None))
    assert registry.run_plan_body(second.attempt_id) == b'{"less": 1}'
    assert registry.run_plan_body(first.attempt_id) == b"{}"
    # the newest attempt answers for what it took from others
    assert attempts(registry, ONE, TWO, THREE, scope="attempt") == ["Ht0_r11p01", "Ht0_r11p02"]


def test_what_was_made_again_on_demand_is_counted_by_attempt(registry: Registry) -> None:
    assert registry.forced(11, "Ht0") == {}
    attempt(registry, {1: ONE, 2: TWO}, reasons={1: "forced"})
    again = attempt(registry, {1: ONE, 2: TWO}, reasons={1: "forced", 2: "forced"})
    attempt(registry, {1: ONE}, reasons={1: "forced"}, identity=OTHER_UNIT)
    one, two = ("detect", '{"ccd": 1}'), ("detect", '{"ccd": 2}')
    assert registry.forced(11, "Ht0") == {one: 2, two: 1}
    registry.set_data_state(again.attempt_id, "junk")
    assert registry.forced(11, "Ht0") == {one: 1}


def test_the_likest_success_is_the_newest_with_the_same_loop_values(registry: Registry) -> None:
    for number, key in enumerate((ONE, TWO), start=1):
        succeed(registry, attempt(registry, {1: key}), 1, name=f"Ht0_r11p{number:02d}")
    attempt(registry, {1: THREE})  # not done yet
    one, two = ("detect", '{"ccd": 1}'), ("detect", '{"ccd": 2}')
    kin = registry.likest(11, "Ht0", [one, two])
    assert list(kin) == [one]
    assert (kin[one].attempt, kin[one].wrapnum, kin[one].plan_id, kin[one].programs, kin[one].own) == (
        "Ht0_r11p02", 1, "plan Ht0_r11p02", {"detect": "12ab"}, f"{102:032x}",
    )  # fmt: skip


def test_what_the_inputs_were_is_kept_when_a_quantum_has_succeeded(registry: Registry) -> None:
    ids = attempt(registry, {1: ONE})
    succeed(registry, ids, 1, name="Ht0_r11p01", fp_run=TWO)
    assert registry.run_sql("select fp_run::text from quantum").rows == ((str(uuid.UUID(TWO)),),)
    assert registry.own_fingerprints(ids.attempt_id) == {1: f"{101:032x}"}
    by_contents = registry.successes([ONE, TWO], scope="unit", identity=IDENTITY, archives=("home",), contents=True)
    assert [(one.fingerprint, one.task_id) for one in by_contents] == [(TWO, ids.quanta[1])]


@pytest.mark.parametrize("decision", ["run", "perhaps"])
def test_nothing_else_is_left_out(registry: Registry, decision: str) -> None:
    from facade.errors import RegistryError

    with pytest.raises(RegistryError):
        attempt(registry, {2: TWO}, left_out=[left_out(1, None, decision)])
    assert registry.attempts() == []
