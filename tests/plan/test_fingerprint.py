"""What a fingerprint notices, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from campaigns import RAWS, demo_plan, planned, raw, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.digest import combined, reading
from facade.plan import Plan, Quantum, from_text
from facade.plan.fingerprint import Teller, fingerprints, loop_key

PROGRAMS = {"reduce": "1234", "stack": "5678"}


def prints(plan: Plan, programs: Mapping[str, str] = PROGRAMS) -> dict[str, str]:
    """Return label -> fingerprint."""
    found = fingerprints(plan, programs)
    return {quantum.label: key for quantum, key in zip(plan.quanta, found.plan, strict=True)}


def changed(plan: Plan, programs: Mapping[str, str] = PROGRAMS) -> list[str]:
    """Return the quanta that are not those of the small campaign as it stands."""
    before, after = prints(planned()), prints(plan, programs)
    return [label for label, key in after.items() if before.get(label) != key]


REDUCES = [f"reduce visit={visit} ccd={ccd}" for visit in (9, 10) for ccd in (1, 2)]
STACKS = ["stack visit=9", "stack visit=10"]


@pytest.mark.parametrize(
    "other",
    [
        text().replace("project = P", "project = P  # a comment"),
        text().replace("reqnum = 7", "reqnum = 8"),
        text().replace("unitname = u", "unitname = v"),
        text().replace("reqnum = 7", "reqnum = 7\nattnum = 95"),
        text().replace("out = ${flabel}-${visit}", "out = X${flabel}_${visit}"),
        text().replace("list = ${modulename}", "list = L${modulename}"),
        text().replace("ops_run_dir = ${project}/r", "ops_run_dir = elsewhere/${project}/r"),
        text().replace("ops = ${ops_run_dir}/d", "ops = ${ops_run_dir}/e"),
        text().replace("runtime = d", "runtime = somewhere/else"),
        text().replace("loopobj = file.raw", "loopobj = file.raw\ndivide_jobs_by = visit"),
        text().replace("filepat = out", "filepat = out\nsavefiles = False"),
        text().replace("i = ${file.raw.fullname}", "i = ${here}").replace(
            "<exec_1>\n        execname = reduce", "here = ${file.raw.fullname}\n<exec_1>\n        execname = reduce"),
    ],
)  # fmt: skip
def test_what_makes_no_other_product_makes_no_other_fingerprint(other: str) -> None:
    assert changed(planned(other)) == []


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (text().replace("o = ${file.img.fullname}", "o = ${file.img.fullname}\nmode = fast"), [*REDUCES, *STACKS]),
        (text().replace("o = ${file.coadd.fullname}", "o = ${file.coadd.fullname}\nclip = 3"), STACKS),
        (text().replace("columns = img.fullname, img.ccd", "columns = img.ccd, img.fullname"), STACKS),
        (text().replace("sortkey = ccd", "sortkey = (ccd, numeric, reverse)"), STACKS),
        (text().replace("wrapperloop = visit\n", "wrapperloop = visit\n<wrapper>\nx = 1\n</wrapper>\n"), STACKS),
        (text().replace("<filetype_metadata>", "<job_environment>\nomp_num_threads = 2\n</job_environment>\n"
         "<filetype_metadata>"), [*REDUCES, *STACKS]),
        (text().replace("project = P", "project = P\npipeprod = stack\npipever = 2"), [*REDUCES, *STACKS]),
        (text().replace("wrapperloop = visit, ccd", "wrapperloop = visit, ccd, band"),
         [f"{label} band=r" for label in REDUCES] + STACKS),
    ],
)  # fmt: skip
def test_what_makes_another_product_shows_in_it_and_in_all_made_from_it(other: str, expected: list[str]) -> None:
    assert changed(planned(other)) == expected


def test_a_program_that_changed_shows_in_its_module_and_downstream() -> None:
    assert changed(planned(), {**PROGRAMS, "stack": "new"}) == STACKS
    assert changed(planned(), {**PROGRAMS, "reduce": "new"}) == [*REDUCES, *STACKS]


def test_a_new_version_of_one_raw_shows_in_what_is_made_from_it() -> None:
    rows = [{**row, "checksum": "b" * 64} if (row["visit"], row["ccd"]) == (9, 2) else row for row in RAWS]
    assert changed(planned(rows=rows)) == ["reduce visit=9 ccd=2", "stack visit=9"]


def test_one_more_raw_leaves_the_others_alone() -> None:
    assert changed(planned(rows=[*RAWS, raw(9, 3, band="r")])) == ["reduce visit=9 ccd=3", "stack visit=9"]
    assert changed(planned(rows=[*RAWS, raw(8, 1, band="r")])) == ["reduce visit=8 ccd=1", "stack visit=8"]


def test_what_was_made_again_on_demand_counts_as_another() -> None:
    plan = planned()
    again = fingerprints(plan, PROGRAMS, {loop_key(plan.quanta[0]): 1})
    before = fingerprints(plan, PROGRAMS)
    assert [q.label for q, a, b in zip(plan.quanta, before.plan, again.plan, strict=True) if a != b] == [
        "reduce visit=9 ccd=1", "stack visit=9",
    ]  # fmt: skip
    assert [a != b for a, b in zip(before.own, again.own, strict=True)].count(True) == 1
    assert fingerprints(plan, PROGRAMS, {loop_key(plan.quanta[0]): 2}).plan[0] not in (before.plan[0], again.plan[0])


@pytest.mark.parametrize("make", [planned, demo_plan])
def test_a_stored_plan_has_the_fingerprints_of_the_plan(make: Callable[[], Plan]) -> None:
    plan = make()
    assert fingerprints(from_text(plan.text), PROGRAMS) == fingerprints(plan, PROGRAMS)


def test_no_two_quanta_of_the_demo_are_alike() -> None:
    found = fingerprints(demo_plan(), {})
    assert len(set(found.plan)) == len(set(found.own)) == 89
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in found.plan)


def test_a_fingerprint_is_what_a_job_can_make_of_checksums() -> None:
    """Where all inputs are registered, planning knows their contents, and both kinds of fingerprint are one."""
    plan = planned()
    found = fingerprints(plan, PROGRAMS)
    for quantum, own, key in list(zip(plan.quanta, found.own, found.plan, strict=True))[:4]:
        read = [reading(u.section, plan.files[u.file].checksum or "", u.rename) for u in quantum.inputs]
        assert combined(own, read) == key


def test_many_files_are_found_in_texts_as_few_are() -> None:
    rows = [raw(9, ccd, band="r") for ccd in range(40)]
    one, other = planned(rows=rows), planned(text().replace("reqnum = 7", "reqnum = 8"), rows)
    assert one.quanta[-1].lists[0].content != other.quanta[-1].lists[0].content
    assert prints(one) == prints(other)
    wider = planned(text().replace("img.fullname, img.ccd", "img.fullname, img.ccd, img.band"), rows)
    assert [label for label, key in prints(wider).items() if prints(one)[label] != key] == ["stack visit=9"]


def test_a_file_that_stands_twice_in_a_list_is_no_other_file() -> None:
    plan = planned()
    listing = plan.quanta[-1].lists[0]
    lines = listing.content.splitlines()

    def with_lines(*content: str) -> str:
        quantum = plan.quanta[-1]._replace(lists=(listing._replace(content="\n".join(content)),))
        return Teller(plan, {}, {}).own(quantum)

    assert with_lines(lines[0], lines[1], lines[0]) != with_lines(lines[0], lines[1], lines[1])


# one field of a quantum -> what an operator may have done to it
EDITS: Mapping[str, Callable[[Quantum], Quantum]] = {
    "nothing": lambda q: q,
    "log": lambda q: q._replace(log="other.log", log_path="elsewhere"),
    "parameters": lambda q: q._replace(parameters={**q.parameters, "x": "1"}),
    "keys": lambda q: q._replace(keys={**q.keys, "band": "r"}),
    "argv": lambda q: q._replace(execs=(q.execs[0]._replace(argv=(*q.execs[0].argv, "-x")),)),
    "header word": lambda q: q._replace(execs=(q.execs[0]._replace(argv=("reduce", ("a", ("f", "KEY")))),)),
    "program": lambda q: q._replace(execs=(q.execs[0]._replace(argv=("other", *q.execs[0].argv[1:])),)),
    "exec": lambda q: q._replace(execs=(*q.execs, q.execs[0]._replace(num=2))),
    "outputs": lambda q: q._replace(outputs=()),
    "role": lambda q: q._replace(outputs=(q.outputs[0]._replace(section="file.other"),)),
}


@settings(deadline=None)
@given(st.integers(0, 5), st.sampled_from(sorted(EDITS)), st.integers(0, 5), st.sampled_from(sorted(EDITS)))
def test_what_is_told_piece_by_piece_is_what_is_hashed(one: int, edit: str, two: int, other: str) -> None:
    plan = planned()
    teller = Teller(plan, PROGRAMS, {})
    a, b = EDITS[edit](plan.quanta[one]), EDITS[other](plan.quanta[two])
    alike = (a.module, teller.parts(a)) == (b.module, teller.parts(b))
    assert alike == (teller.own(a) == teller.own(b))


def test_an_output_counts_with_what_will_be_recorded_of_it() -> None:
    plan = planned()
    index = plan.quanta[0].outputs[0].file
    file = plan.files[index]
    for metadata, same in (
        (dict(reversed(list(file.metadata.items()))), True),
        ({**file.metadata, "reqnum": 99, "unitname": "z"}, True),
        ({**file.metadata, "band": "i"}, False),
        ({**file.metadata, "visit": "9"}, False),
        ({}, False),
    ):
        files = [*plan.files[:index], file._replace(metadata=metadata), *plan.files[index + 1 :]]
        assert (changed(replace(plan, files=tuple(files))) == []) == same, metadata


def test_texts_without_roles_are_plain_to_read() -> None:
    plan = planned()
    found = Teller(plan, PROGRAMS, {}).parts(plan.quanta[0])
    assert found["command line of exec_1"] == "reduce\0-i\0<input 0>\0-o\0<output 0>"
    assert found["program reduce"] == "1234"
    assert json.loads(found["key visit"]) == 9
