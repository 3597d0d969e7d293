"""What holds for every plan, whatever the rows."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from campaigns import demo, demo_datasets, demo_names, demo_plan, lines, planned, raw, small, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import InputError
from facade.files import natural_key
from facade.plan import Inputs, Plan, from_text, plan
from facade.plan.datasets import Dataset, Line

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=25, unique=True)


def sound(found: Plan) -> None:
    """Check that every input has one producer, earlier than its reader, or is registered; that jobs are a partition."""
    made = [use.file for quantum in found.quanta for use in quantum.outputs]
    assert len(made) == len(set(made))
    assert len({file.name for file in found.files}) == len(found.files)
    for quantum in found.quanta:
        for use in quantum.inputs:
            producer = found.files[use.file].producer
            assert producer == 0 or (producer < quantum.wrapnum and use.file in made)
        for use in quantum.outputs:
            assert found.files[use.file].producer == quantum.wrapnum
    assert sorted(w for job in found.jobs for w in job.quanta) == [q.wrapnum for q in found.quanta]
    for job in found.jobs:
        assert all(found.jobs[parent - 1].block == job.block for parent in job.parents)


@settings(deadline=None, max_examples=40)
@given(PAIRS, st.randoms(use_true_random=False), st.sampled_from(["", "visit", "visit, ccd"]))
def test_a_plan_is_sound_and_does_not_depend_on_the_order_of_rows(
    pairs: list[tuple[int, int]], shuffled: random.Random, jobs_by: str
) -> None:
    rows = [raw(visit, ccd, band="r") for visit, ccd in pairs]
    whole = text()
    if jobs_by:
        whole = whole.replace("loopobj = file.raw", f"loopobj = file.raw\ndivide_jobs_by = {jobs_by}")
    found = planned(whole, rows)
    sound(found)
    assert len(found.quanta) == len(pairs) + len({visit for visit, _ in pairs})
    assert planned(whole, rows).text == found.text
    shuffled.shuffle(rows)
    assert planned(whole, rows).text == found.text


@settings(deadline=None)
@given(PAIRS)
def test_divide_by_partitions_the_lines(pairs: list[tuple[int, int]]) -> None:
    data = Dataset([Line({}, {"visit": visit, "ccd": ccd}) for visit, ccd in pairs])
    for names in (("visit",), ("ccd",), ("ccd", "visit")):
        groups = data.tuples(names)
        assert [natural_key(key) for key, _ in groups] == sorted(natural_key(key) for key, _ in groups)
        together = [id(line) for _, members in groups for line in members]
        assert sorted(together) == sorted(id(line) for line in data.lines)
        for key, members in groups:
            assert {tuple(str(line.columns[name]) for name in names) for line in members} == {key}
            assert list(data.select(names, members[0].columns)) == members


@settings(deadline=None)
@given(st.lists(st.text(max_size=6) | st.integers(-5, 10**6).map(str)))
def test_natural_order_is_total(texts: list[str]) -> None:
    assert sorted(set(texts), key=lambda t: natural_key((t,))) == sorted(
        sorted(set(texts), reverse=True), key=lambda t: natural_key((t,))
    )


@pytest.mark.parametrize(
    "ordered",
    [
        ["9", "10"],
        ["007", "7"],
        ["a9", "a10", "b1"],
        ["1a", "a"],
        ["", "0"],
        ["9" * 5000, "1" + "0" * 5000],
        ["x2y10", "x10y2"],
    ],
)
def test_natural_order(ordered: list[str]) -> None:
    assert sorted(reversed(ordered), key=lambda t: natural_key((t,))) == ordered
    natural_key(("²", "٣", None, 1.5, True))


def test_the_demo_is_sound_and_planned_alike_twice() -> None:
    found = demo_plan()
    sound(found)
    assert demo_plan().text == found.text
    rows = demo_datasets()
    for name, dataset in rows.items():
        if name != "create_butler_registry.list.raws":  # the one list without a sortkey
            random.Random(name).shuffle(dataset)
    shuffled = plan(demo(), Inputs(rows, demo_names()))
    # the list of a temp exposure has its lines in the order of the rows; nothing else may differ
    assert [q.keys for q in shuffled.quanta] == [q.keys for q in found.quanta]
    assert sorted(f.name for f in shuffled.files) == sorted(f.name for f in found.files)


def test_a_plan_survives_writing_and_reading() -> None:
    found = demo_plan()
    again = from_text(found.text)
    assert again.text == found.text
    assert again.plan_id == found.plan_id
    assert again == found
    assert json.loads(found.text)["format"] == 1


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_bytes_of_a_plan_are_plain_canonical_json(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    found = demo_plan()
    monkeypatch.setattr("facade.plan.model.PIECE", size)
    canonical = json.dumps(json.loads(found.data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert found.text == canonical
    assert found.plan_id == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("attnum", [1, 95, 123])
def test_binding_leaves_no_attempt_number_open(attnum: int) -> None:
    bound = demo_plan().bind(attnum)
    assert "${attnum" not in bound.text
    assert "$" not in bound.text
    assert bound.identity["attnum"] == attnum
    assert f"r11p{attnum:02d}" in bound.files[-1].filename
    assert bound.archive_path == f"MMG/hsctest/MDEV/r11/Ht0/p{attnum:02d}"
    assert bound.quanta[0].log == f"Ht0_r11p{attnum:02d}_create_butler_registry_w00001.log"
    sound(bound)


def test_the_id_of_a_plan_does_not_depend_on_the_attempt() -> None:
    found = demo_plan()
    found.bind(7)
    assert found.plan_id == demo_plan().plan_id


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"format": 1}', "null", '{"format": 1, "blocks": 3}'])
def test_what_is_no_plan_is_an_input_error(broken: str) -> None:
    with pytest.raises(InputError, match="this is no plan"):
        from_text(broken)


def test_a_plan_of_another_format_is_an_input_error() -> None:
    with pytest.raises(InputError, match="the plan has format 99, this facade reads 1"):
        from_text('{"format": 99}')


def test_only_what_is_used_enters_the_plan() -> None:
    whole = text(b="reduce").replace("divide_by = visit, ccd", "divide_by = visit, ccd")
    campaign = small(whole)
    found = plan(campaign, Inputs({"reduce.file.raw": lines("raw", [raw(9, 1)])}, {"x": {"filename": "x"}}))
    assert [file.name for file in found.files] == ["raw-9-1.fits", "img-9-001-r7p${attnum:2}.fits"]
