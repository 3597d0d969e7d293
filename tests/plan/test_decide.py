"""What runs, what is reused, what is left out; and the plan that remains."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache

import pytest
from campaigns import demo_plan, planned, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import InputError
from facade.plan import Plan, from_text
from facade.plan.applied import applied
from facade.plan.decide import Decided, Decision, Made, Reason, Selection, Success, decide, wanted
from facade.plan.expression import Family, compiled
from facade.plan.fingerprint import fingerprints

ALL = Selection()


def made(plan: Plan, wrapnum: int, attempt: str = "u_r7p01", attnum: int = 1) -> Success:
    """A success of one quantum, with its files as an attempt would have called them."""
    files = [plan.files[use.file] for use in plan.quantum(wrapnum).outputs]
    names = [file.filename.replace("${attnum:2}", f"{attnum:02d}") for file in files]
    return Success(
        1000 * attnum + wrapnum, attempt,
        tuple(Made(name, f.compression, 5, f"{wrapnum:064x}", "P/d") for name, f in zip(names, files, strict=True)),
    )  # fmt: skip


def history(plan: Plan, *left_out: int) -> dict[str, list[Success]]:
    """Every quantum of *plan* succeeded once, but those *left_out*."""
    found = fingerprints(plan, {}).plan
    return {
        key: [made(plan, q.wrapnum)] for q, key in zip(plan.quanta, found, strict=True) if q.wrapnum not in left_out
    }


def decided(
    plan: Plan,
    successes: Mapping[str, list[Success]],
    gone: Collection[str] = (),
    selection: Selection = ALL,
) -> list[Decided]:
    found = fingerprints(plan, {}).plan
    return decide(plan, found, successes, wanted(plan, selection), lambda one: one.filename not in gone)


def told(plan: Plan, found: list[Decided]) -> dict[str, list[str]]:
    """Return decision -> labels."""
    result: dict[str, list[str]] = {}
    for quantum, one in zip(plan.quanta, found, strict=True):
        result.setdefault(one.decision.value, []).append(quantum.label)
    return result


def running(plan: Plan, found: list[Decided]) -> list[str]:
    return told(plan, found).get("run", [])


REDUCES = [f"reduce visit={visit} ccd={ccd}" for visit in (9, 10) for ccd in (1, 2)]
STACKS = ["stack visit=9", "stack visit=10"]
IMG = "img-9-001-r7p01.fits"
COADD = "coadd-9-r7p01.fits"


class TestOnePass:
    def test_all_runs_where_nothing_was_made(self) -> None:
        plan = planned()
        found = decided(plan, {})
        assert running(plan, found) == [*REDUCES, *STACKS]
        assert [one.reason for one in found] == [Reason.NEW] * 4 + [Reason.UPSTREAM] * 2

    def test_nothing_runs_where_all_was_made(self) -> None:
        plan = planned()
        found = told(plan, decided(plan, history(plan)))
        assert found == {"reuse": STACKS, "not-needed": REDUCES}

    def test_what_failed_runs_with_what_is_there(self) -> None:
        plan = planned()
        found = decided(plan, history(plan, 5))
        assert told(plan, found) == {
            "run": ["stack visit=9"], "reuse": [*REDUCES[:2], "stack visit=10"], "not-needed": REDUCES[2:],
        }  # fmt: skip
        assert found[4].reason is Reason.NEW

    def test_an_intermediate_that_is_gone_is_missed_by_nobody_who_is_done(self) -> None:
        plan = planned()
        assert running(plan, decided(plan, history(plan), gone={IMG})) == []

    def test_an_intermediate_that_is_gone_is_made_for_whoever_runs(self) -> None:
        plan = planned()
        found = decided(plan, history(plan, 5), gone={IMG})
        assert running(plan, found) == ["reduce visit=9 ccd=1", "stack visit=9"]
        assert (found[0].reason, found[4].reason) == (Reason.GONE, Reason.UPSTREAM)

    def test_a_product_that_is_gone_is_made_from_what_is_there(self) -> None:
        plan = planned()
        found = decided(plan, history(plan), gone={COADD})
        assert told(plan, found) == {
            "run": ["stack visit=9"], "reuse": [*REDUCES[:2], "stack visit=10"], "not-needed": REDUCES[2:],
        }  # fmt: skip
        assert found[4].reason is Reason.GONE

    def test_the_first_of_several_successes_that_has_its_files_serves(self) -> None:
        plan = planned()
        successes = history(plan)
        newer = fingerprints(plan, {}).plan[4]
        successes[newer].insert(0, made(plan, 5, "u_r7p02", 2))
        source = decided(plan, successes)[4].source
        assert source is not None and source.attempt == "u_r7p02"
        source = decided(plan, successes, gone={"coadd-9-r7p02.fits"})[4].source
        assert source is not None and source.attempt == "u_r7p01"

    def test_an_output_that_is_not_to_be_kept_is_missed_only_by_whoever_reads_it(self) -> None:
        whole = text().replace("flabel = img", "flabel = img\nsavefiles = False").replace(
            "flabel = coadd", "flabel = coadd\nsavefiles = False")  # fmt: skip
        plan = planned(whole)
        names = {made(plan, q.wrapnum).files[0].filename for q in plan.quanta}  # type: ignore[union-attr]
        assert running(plan, decided(plan, history(plan), gone=names)) == []
        assert running(plan, decided(plan, history(plan, 5), gone=names)) == [*REDUCES[:2], "stack visit=9"]

    def test_an_optional_output_that_was_not_made_is_no_reason(self) -> None:
        plan = planned(text().replace("flabel = coadd", "flabel = coadd\noptional = True"))
        successes = {key: [one._replace(files=(None,)) for one in found] for key, found in history(plan).items()}
        assert running(plan, decided(plan, successes)) == []
        plan = planned()
        assert running(plan, decided(plan, successes)) == [*REDUCES, *STACKS]

    def test_what_has_no_outputs_is_wanted_for_itself(self) -> None:
        plan = planned()
        quiet = replace(plan, quanta=(*plan.quanta[:4], *[q._replace(outputs=()) for q in plan.quanta[4:]]))
        assert running(quiet, decided(quiet, {})) == [*REDUCES, *STACKS]
        assert running(quiet, decided(quiet, history(quiet))) == []


class TestSelection:
    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            (Selection(select="module=reduce and visit=9"), REDUCES[:2]),
            (Selection(select="visit=9"), [*REDUCES[:2], "stack visit=9"]),
            (Selection(select="stack and visit=9"), [*REDUCES[:2], "stack visit=9"]),
            (Selection(end="reduce"), REDUCES),
            (Selection(start="stack"), [*REDUCES, *STACKS]),
            (Selection(start="reduce", end="reduce", where=("ccd=2",)), [REDUCES[1], REDUCES[3]]),
            (Selection(where=("visit=10",)), [*REDUCES[2:], "stack visit=10"]),
            (Selection(where=("visit=10", "visit=9")), [*REDUCES, *STACKS]),
            (Selection(select=">= reduce", where=("visit=9",)), [*REDUCES[:2], "stack visit=9"]),
        ],
    )  # fmt: skip
    def test_where_nothing_was_made_it_runs_with_all_it_needs(self, selection: Selection, expected: list[str]) -> None:
        plan = planned()
        assert running(plan, decided(plan, {}, selection=selection)) == expected

    def test_a_selected_output_is_to_be_there_even_if_somebody_read_it(self) -> None:
        plan = planned()
        assert running(plan, decided(plan, history(plan), {IMG}, Selection(select="visit=9"))) == [REDUCES[0]]
        assert running(plan, decided(plan, history(plan), {IMG}, Selection(where=("visit=9",)))) == []

    def test_all_else_is_told_to_be_outside(self) -> None:
        plan = planned()
        found = told(plan, decided(plan, history(plan, 5, 6), selection=Selection(where=("visit=9",))))
        assert found == {"run": STACKS[:1], "reuse": REDUCES[:2], "not-selected": [*REDUCES[2:], STACKS[1]]}

    def test_what_is_forced_runs_whatever_there_is(self) -> None:
        plan = planned()
        found = decided(plan, history(plan), selection=Selection(rerun="reduce and visit=9 and ccd=1"))
        assert running(plan, found) == REDUCES[:1]
        assert found[0].reason is Reason.FORCED

    @pytest.mark.parametrize(
        ("selection", "message"),
        [
            (Selection(select="module=reduce and visit=99"), "means no quantum"),
            (Selection(rerun="visit=99"), "--rerun 'visit=99' means no quantum"),
            (Selection(start="stak"), "no module of the plan is called 'stak'.*did you mean 'stack'"),
            (Selection(end="nothing"), "no module of the plan is called 'nothing'.*modules: reduce, stack"),
            (Selection(where=("vist=9",)), "no quantum of the plan has a key 'vist'.*did you mean 'visit'"),
            (Selection(where=("visit",)), "--where visit: not key=value"),
            (Selection(select="visit=9", where=("visit=10",)), "no quantum is in all of what is selected"),
            (Selection(end="reduce", rerun="stack"), "no quantum is in all of what is selected"),
        ],
    )
    def test_what_selects_nothing_is_refused(self, selection: Selection, message: str) -> None:
        with pytest.raises(InputError, match=f"(?s){message}"):
            wanted(planned(), selection)


class TestExpressions:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("reduce", REDUCES),
            ("module = reduce", REDUCES),
            ("module=re*", REDUCES),
            ("module=?tack", STACKS),
            ("module != reduce", STACKS),
            ("not reduce", STACKS),
            ("block=b", [*REDUCES, *STACKS]),
            ("visit==9", [*REDUCES[:2], STACKS[0]]),
            ("visit < 10", [*REDUCES[:2], STACKS[0]]),
            ("visit >= 10", [*REDUCES[2:], STACKS[1]]),
            ("visit > 9 and ccd <= 1", [REDUCES[2]]),
            ("ccd != 1", [REDUCES[1], REDUCES[3], *STACKS]),
            ("not ccd = 1", [REDUCES[1], REDUCES[3], *STACKS]),
            ("ccd=1 or stack", [REDUCES[0], REDUCES[2], *STACKS]),
            ("ccd=1 and visit=9 or ccd=2 and visit=10", [REDUCES[0], REDUCES[3]]),
            ("ccd=1 and (visit=9 or visit=10)", [REDUCES[0], REDUCES[2]]),
            ("not (ccd=1 or stack)", [REDUCES[1], REDUCES[3]]),
            (">= reduce", [*REDUCES, *STACKS]),
            (">= stack", STACKS),
            ("<= stack", [*REDUCES, *STACKS]),
            ("<=reduce", REDUCES),
            ("visit='9' and module=\"stack\"", STACKS[:1]),
        ],
    )
    def test_mean(self, expression: str, expected: list[str]) -> None:
        plan = planned()
        test = compiled(expression, Family(plan))
        assert [quantum.label for quantum in plan.quanta if test(quantum)] == expected

    def test_a_comma_is_part_of_a_value_and_quotes_hold_anything(self) -> None:
        plan = demo_plan()
        for expression in (
            "assemble_coadd and patch=0,1", "assemble_coadd and patch='0,1'", "module=assemb* and patch=*1 and patch=0*"
        ):  # fmt: skip
            test = compiled(expression, Family(plan))
            assert [q.label for q in plan.quanta if test(q)] == [
                "assemble_coadd tract=0 patch=0,1 filter=HSC-I", "assemble_coadd tract=0 patch=0,1 filter=HSC-R",
            ]  # fmt: skip

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("", "it is empty"),
            ("  ", "it is empty"),
            ("visit =", "a value is missing behind '='"),
            ("visit = and", "a value is missing behind '='"),
            ("= 9", "'=' stands where a name is needed"),
            ("visit=9 ccd=1", "'ccd' is left over"),
            ("(visit=9", "a '\\)' is missing"),
            ("visit=9)", "'\\)' is left over"),
            ("visit='9", "''9' is not closed"),
            ("visit ! 9", "'! 9' cannot stand there"),
            ("not", "nothing stands where a name is needed"),
            ("visit=9 and", "nothing stands where a name is needed"),
            (">= nine", "no module of the plan is called 'nine'"),
            ("module=stak", "no module of the plan is called 'stak'"),
            ("redúce", "no module of the plan is called"),
            ("patch=1", "no quantum of the plan has a key 'patch'"),
        ],
    )
    def test_that_are_none_are_refused(self, expression: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            compiled(expression, Family(planned()))


class TestWhatRemains:
    def test_a_plan_of_which_all_runs_is_itself(self) -> None:
        plan = planned()
        assert applied(plan, decided(plan, {})) is plan

    def test_commands_and_lists_stay_and_provenance_names_the_file_that_is_read(self) -> None:
        plan = planned()
        remaining = applied(plan, decided(plan, history(plan, 5)))
        [quantum] = remaining.quanta
        whole = plan.quantum(5)
        assert (quantum.wrapnum, quantum.execs[0].argv, quantum.log) == (5, whole.execs[0].argv, whole.log)
        assert quantum.lists[0].content == whole.lists[0].content
        inputs = [remaining.files[use.file] for use in quantum.inputs]
        assert [(f.filename, f.staged, f.producer, f.size, f.checksum, f.archive_path) for f in inputs] == [
            ("img-9-001-r7p01.fits", "img-9-001-r7p${attnum:2}.fits", 0, 5, f"{1:064x}", "P/d"),
            ("img-9-002-r7p01.fits", "img-9-002-r7p${attnum:2}.fits", 0, 5, f"{2:064x}", "P/d"),
        ]
        assert [remaining.files[i].filename for i in quantum.execs[0].used] == [
            remaining.files[quantum.lists[0].file].filename, "img-9-001-r7p01.fits", "img-9-002-r7p01.fits",
        ]  # fmt: skip
        assert [[remaining.files[i].filename for i in pair] for pair in quantum.execs[0].derived] == [
            ["coadd-9-r7p${attnum:2}.fits", "img-9-001-r7p01.fits"],
            ["coadd-9-r7p${attnum:2}.fits", "img-9-002-r7p01.fits"],
        ]
        assert [(job.jobnum, job.quanta) for job in remaining.jobs] == [(1, (5,))]
        assert len(remaining.files) == 4  # two images, a list, a coadd

    def test_it_survives_writing_reading_and_binding(self) -> None:
        plan = planned()
        remaining = applied(plan, decided(plan, history(plan, 5)))
        assert from_text(remaining.text) == remaining
        bound = remaining.bind(2)
        assert [f.staged for f in bound.files if f.staged] == ["img-9-001-r7p02.fits", "img-9-002-r7p02.fits"]
        assert bound.quantum(5).inputs == remaining.quantum(5).inputs

    def test_files_make_the_edges_that_remain(self) -> None:
        whole = text().replace("wrapperloop = visit, ccd", "divide_jobs_by = visit, ccd\nwrapperloop = visit, ccd")
        plan = planned(whole.replace("wrapperloop = visit\n", "divide_jobs_by = visit\nwrapperloop = visit\n"))
        assert [job.parents for job in plan.jobs] == [(), (), (), (), (1, 2), (3, 4)]
        remaining = applied(plan, decided(plan, history(plan, 2, 5)))
        assert [(job.jobnum, job.parents) for job in remaining.jobs] == [(2, ()), (5, (2,))]

    def test_an_edge_without_a_file_leads_on_over_what_is_left_out(self) -> None:
        plan = planned(text(b="reduce").replace("loopobj", "divide_jobs_by = visit, ccd\nloopobj"))
        jobs = tuple(job._replace(parents=(job.jobnum - 1,)) if job.jobnum > 1 else job for job in plan.jobs)
        plan = replace(plan, jobs=jobs)  # one after the other, though none reads what another makes
        remaining = applied(plan, decided(plan, history(plan, 1, 4)))
        assert [(job.jobnum, job.parents) for job in remaining.jobs] == [(1, ()), (4, (1,))]


@cache
def the_demo() -> Plan:
    return demo_plan()


def consistent(plan: Plan, found: list[Decided], gone: Collection[str]) -> None:
    """Check that whoever runs finds what it reads, and that nobody runs for nothing."""
    of = dict(zip([q.wrapnum for q in plan.quanta], found, strict=True))
    read: set[int] = set()
    for quantum in plan.quanta:
        if of[quantum.wrapnum].decision is not Decision.RUN:
            continue
        for use in quantum.inputs:
            read.add(use.file)
            producer = plan.files[use.file].producer
            if producer > 0 and of[producer].decision is not Decision.RUN:
                source = of[producer].source
                assert of[producer].decision is Decision.REUSE and source is not None
                outputs = [one.file for one in plan.quantum(producer).outputs]
                file = source.files[outputs.index(use.file)]
                assert file is not None and file.filename not in gone
    everybody = {use.file for q in plan.quanta for use in q.inputs}
    for quantum in plan.quanta:
        if of[quantum.wrapnum].decision in (Decision.RUN, Decision.REUSE):
            assert any(use.file in read or use.file not in everybody for use in quantum.outputs)


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False), st.floats(0, 1), st.floats(0, 1))
def test_whatever_was_made_and_lost_every_reader_finds_its_files(
    chance: random.Random, failed: float, lost: float
) -> None:
    plan = the_demo()
    successes = history(plan, *[q.wrapnum for q in plan.quanta if chance.random() < failed])
    files = [file for found in successes.values() for one in found for file in one.files if file is not None]
    gone = {file.filename for file in files if chance.random() < lost}
    found = decided(plan, successes, gone)
    consistent(plan, found, gone)
    remaining = applied(plan, found)
    for quantum in remaining.quanta:
        for use in quantum.inputs:
            producer = remaining.files[use.file].producer
            assert producer <= 0 or producer < quantum.wrapnum == remaining.quantum(quantum.wrapnum).wrapnum
            assert producer <= 0 or producer in remaining.job_of
        for use in quantum.outputs:
            assert remaining.files[use.file].producer == quantum.wrapnum
    kept = {job.jobnum for job in remaining.jobs}
    assert all(kept.issuperset(job.parents) and job.quanta for job in remaining.jobs)
    assert sorted(remaining.job_of) == [quantum.wrapnum for quantum in remaining.quanta]
    # what runs now succeeds; then nothing is left to run
    for quantum, key, one in zip(plan.quanta, fingerprints(plan, {}).plan, found, strict=True):
        if one.decision is Decision.RUN:
            successes.setdefault(key, []).insert(0, made(plan, quantum.wrapnum, "u_r7p02", 2))
    assert running(plan, decided(plan, successes, gone)) == []
