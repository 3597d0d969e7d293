"""Quanta become jobs: how large they are, what they need, in which order they run, and who is named if it is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from campaigns import RAWS, REDUCE, STACK, lines, planned, raw, small, text, told
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import CampaignError
from facade.needs import NOTHING, Allowance, Categories, Needs, of_job
from facade.plan import Inputs, Plan, from_text, plan
from facade.plan.datasets import Row

MANY = tuple(raw(visit, ccd, band="r") for visit in range(9, 15) for ccd in (1, 2, 3))


def within(module: str, line: str) -> str:
    """Return *module* with another line at its top."""
    return module.replace("    wrappername", f"    {line}\n    wrappername", 1)


def planned_with(block: str = "", reduce: str = "", stack: str = "", rows: Sequence[Row] = MANY) -> Plan:
    whole = text(within(REDUCE, reduce), within(STACK, stack)).replace("<b>", f"<b>\n{block}")
    return plan(small(whole), Inputs({"reduce.file.raw": lines("raw", rows)}))


def modules(found: Plan) -> list[list[tuple[str, str]]]:
    """Return, for each job, module and visit of its quanta."""
    return [[(found.quantum(w).module, str(found.quantum(w).keys["visit"])) for w in job.quanta] for job in found.jobs]


class TestSize:
    def test_a_job_holds_as_many_quanta_as_it_may_and_what_is_connected_stays_together(self) -> None:
        found = planned_with("max_quanta_per_job = 9")
        # three visits of two ccds and more are 4 quanta each: two of them fit
        assert [len(job.quanta) for job in found.jobs] == [8, 8, 8]
        assert [job.parents for job in found.jobs] == [(), (), ()]
        assert [sorted({visit for _, visit in job}, key=int) for job in modules(found)] == [
            ["9", "10"], ["11", "12"], ["13", "14"]
        ]  # fmt: skip
        for job in found.jobs:
            assert list(job.quanta) == sorted(job.quanta)

    def test_what_is_too_large_by_itself_is_cut_where_it_may_be(self) -> None:
        found = planned_with("max_quanta_per_job = 3")
        sizes = [len(job.quanta) for job in found.jobs]
        assert max(sizes) == 3 and sum(sizes) == 24
        stacks = [job for job in found.jobs if any(found.quantum(w).module == "stack" for w in job.quanta)]
        assert stacks and all(parent < job.jobnum for job in stacks for parent in job.parents)

    def test_the_narrowest_bound_of_a_jobs_modules_holds_and_others_are_not_touched(self) -> None:
        found = planned_with("divide_jobs_by = visit", stack="max_quanta_per_job = 2")
        assert {len(job.quanta) for job in found.jobs} == {2}
        apart = planned_with(reduce="divide_jobs_by = reqnum", stack="divide_jobs_by = reqnum\nmax_quanta_per_job = 4")
        assert [len(job.quanta) for job in apart.jobs] == [4] * 6
        found = planned_with(reduce="divide_jobs_by = visit\nmax_quanta_per_job = 2")
        assert [len(job.quanta) for job in found.jobs] == [2, 1] * 6 + [6]

    def test_recorded_run_times_decide_how_much_is_in_a_job(self) -> None:
        # a visit takes 3 x 100 + 300 s
        times = {"reduce": 100.0, "stack": 300.0}
        whole = text().replace("<b>", "<b>\njob_target_time = 30m")
        found = plan(small(whole), Inputs({"reduce.file.raw": lines("raw", MANY)}, {}, times))
        assert [len(job.quanta) for job in found.jobs] == [12, 12]

    def test_without_recorded_times_the_walltime_of_the_modules_counts_and_nothing_else(self) -> None:
        found = planned_with("job_target_time = 30m", "jobwalltime = 100s", "jobwalltime = 00:05:00")
        assert [len(job.quanta) for job in found.jobs] == [12, 12]
        assert len(planned_with("job_target_time = 30m").jobs) == 1

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=30, unique=True),
        st.integers(1, 12), st.integers(0, 40), st.sampled_from(["", "divide_jobs_by = visit", "divide_jobs_by = ccd"]),
    )  # fmt: skip
    def test_every_quantum_is_in_one_job_of_allowed_size_and_jobs_wait_for_earlier_ones(
        self, pairs: list[tuple[int, int]], most: int, minutes: int, by: str
    ) -> None:
        rows = [raw(visit, ccd, band="r") for visit, ccd in pairs]
        target = f"job_target_time = {minutes}m" if minutes else ""
        body = f"max_quanta_per_job = {most}\n{target}"
        found = planned_with(body, by, "jobwalltime = 7m", rows)
        assert sorted(w for job in found.jobs for w in job.quanta) == [q.wrapnum for q in found.quanta]
        job_of = found.job_of
        for job in found.jobs:
            assert len(job.quanta) <= most
            makers = {job_of[p] for w in job.quanta for use in found.quantum(w).inputs
                      if (p := found.files[use.file].producer) > 0}  # fmt: skip
            assert makers - {job.jobnum} == set(job.parents)
        assert from_text(found.text) == found


class TestNeeds:
    def test_disk_and_time_add_up_and_of_the_rest_the_largest_counts(self) -> None:
        found = planned_with(
            "divide_jobs_by = visit\nrequest_cpus = 8\nconcurrency_limits = db",
            "request_memory = 2GB\nrequest_disk = 100MB\njobwalltime = 10m"
            "\nconcurrency_limits = db:3, tape\npriority = -2",
            "request_memory = 512MB\nrequest_disk = 1GB\njobwalltime = 5m\nrequest_gpus = 1\npriority = 7",
        )
        assert {job.needs for job in found.jobs} == {0}
        assert found.needs == (
            Needs(cpus=8, memory=2048, disk=3 * 100 + 1024, walltime=35 * 60, gpus=1,
                  limits=(("db", 3), ("tape", 1)), priority=7),
        )  # fmt: skip

    def test_jobs_of_unlike_content_need_unlike_things(self) -> None:
        found = planned_with(reduce="divide_jobs_by = visit\njobwalltime = 1m", rows=[*MANY, raw(15, 1, band="r")])
        assert [found.needs[job.needs].walltime for job in found.jobs] == [180] * 6 + [60, 0]
        assert from_text(found.text) == found

    def test_what_a_block_says_is_for_jobs_whose_modules_say_nothing(self) -> None:
        heavy = Needs(memory=4096, walltime=60)
        assert of_job([(heavy, 2, 1), (NOTHING, 5, 1)], Needs(memory=2048, walltime=600)) == Needs(
            memory=4096, walltime=720
        )
        assert of_job([(heavy, 2, 1)], Needs(memory=8192, walltime=600)) == Needs(memory=4096, walltime=120)
        assert of_job([(NOTHING, 2, 1)], Needs(memory=8192, priority=-3)) == Needs(memory=8192, priority=-3)
        with pytest.raises(Categories, match="none, slow"):
            of_job([(Needs(category="slow"), 1, 1), (NOTHING, 1, 1)], NOTHING)

    def test_a_campaign_is_beneath_its_blocks(self) -> None:
        whole = text().replace("<b>", "<b>\nrequest_memory = 3GB") + "request_memory = 1GB\nrequest_cpus = 4\n"
        assert planned(whole).needs == (Needs(memory=3072, cpus=4),)
        assert planned(text()).needs == (NOTHING,)

    def test_quanta_side_by_side_take_as_many_times_as_much(self) -> None:
        found = planned_with(
            "divide_jobs_by = visit",
            "max_fwthreads = 2\nrequest_memory = 1GB\njobwalltime = 10m\nmemory_growth = 1.5\nmemory_max = 4GB",
            "max_fwthreads = 8\njobwalltime = 5m",
        )
        # three ccds two at a time, then one coadd
        assert found.needs == (Needs(cpus=2, memory=2048, walltime=25 * 60, growth=1.5, most=8192),)
        assert found.allowances == {
            "reduce": Allowance(seconds=600, memory=1024, growth=1.5, most=4096, threads=2),
            "stack": Allowance(seconds=300, threads=8),
        }
        assert from_text(found.text) == found
        assert planned_with("master_use_fwthreads = no", "max_fwthreads = 2").needs == (NOTHING,)
        assert planned_with("max_fwthreads = 2").needs == (Needs(cpus=2),)

    def test_requirements_hold_all_together(self) -> None:
        assert planned_with("condorjobreq = A", "condorjobreq = B || C").needs[0].requirements == "(A) && (B || C)"

    def test_they_are_not_part_of_what_a_quantum_does(self) -> None:
        from facade.plan.fingerprint import fingerprints

        plain, larger = planned_with(), planned_with("max_quanta_per_job = 2", "request_memory = 2GB\npriority = 4")
        assert fingerprints(plain, {}) == fingerprints(larger, {})

    def test_throttles(self) -> None:
        whole = text(within(REDUCE, "category = io\ndivide_jobs_by = visit"), within(STACK, "divide_jobs_by = visit"))
        whole = whole.replace("reduce, stack", "reduce").replace("</block>", "<c>\nmodulelist = stack\n</c>\n</block>")
        whole = whole.replace("blocklist = b", "blocklist = b, c")
        found = planned(whole + "dagman_max_jobs = 9\ndagman_max_idle = 5\n<max_jobs>\nio = 2\n</max_jobs>\n")
        assert (found.max_jobs, found.max_idle) == ({"": 9, "io": 2}, 5)
        assert [found.needs[job.needs].category for job in found.jobs] == ["io", "io", "", ""]


def faults(whole: str, rows: Sequence[Row] = RAWS) -> str:
    with pytest.raises(CampaignError) as caught:
        planned(whole, rows)
    return told(caught.value)


class TestFaults:
    def test_a_job_of_two_categories(self) -> None:
        assert faults(text(within(REDUCE, "category = io"), STACK)) == (
            "c.wcl:40:16: error: a job of block 'b' has quanta of several categories (reduce io, stack none), and"
            " DAGMan knows one\n"
            "        category = io\n"
            "                   ^^\n"
            "  give them one category, or other divide_jobs_by: none and io cannot share a job"
        )

    def test_a_throttle_of_no_category(self) -> None:
        assert faults(text() + "<max_jobs>\nio = 2\n</max_jobs>\n").splitlines()[0] == (
            "c.wcl:106:1: error: no category is called 'io'"
        )

    def test_two_writers_of_a_file_are_named_with_their_places(self) -> None:
        second = STACK.replace("flabel = coadd", "flabel = img").replace("filepat = visit", "filepat = out\nccd = 1")
        message = faults(text(REDUCE, second))
        assert "'img-9-001-r7p${attnum:2}.fits' is written by reduce visit=9 ccd=1 and by stack visit=9" in message
        assert "\n  c.wcl:61:23: reduce visit=9 ccd=1 writes it\n" in message

    def test_a_file_that_nobody_makes_is_told_with_who_makes_others_of_its_pattern(self) -> None:
        later = STACK.replace("depends = reduce.file.img", "exec = find").replace(
            "            listonly = True\n",
            "            listonly = True\n            filepat = out\n            flabel = img\n",
        )
        data = {"reduce.file.raw": lines("raw", RAWS), "stack.list.imgs": [{"img": {"visit": 9, "ccd": 77}}]}
        with pytest.raises(Exception, match="neither made earlier nor registered") as caught:
            plan(small(text(REDUCE, later)), Inputs(data))
        assert "quantum stack visit=9: file 'img-9-077-r7p${attnum:2}.fits'" in str(caught.value)
        assert "\n  c.wcl:61:23: module 'reduce' makes files of this pattern" in str(caught.value)


class TestOrder:
    def order(self, line: str, rows: Sequence[Row] = RAWS) -> list[tuple[object, ...]]:
        found = planned(text(within(REDUCE, line), b="reduce"), rows)
        return [tuple(q.keys.values()) for q in found.quanta]

    def test_keys_order_quanta_before_those_of_the_loop(self) -> None:
        assert self.order("order_by = ccd") == [(9, 1), (10, 1), (9, 2), (10, 2)]
        assert self.order("order_by = visit:desc") == [(10, 1), (10, 2), (9, 1), (9, 2)]
        assert self.order("order_by = ccd:desc, visit:desc") == [(10, 2), (9, 2), (10, 1), (9, 1)]
        assert self.order("order_by = visit:asc") == self.order("wrapper_debug = 1")

    def test_a_column_that_is_no_loop_key_will_do(self) -> None:
        rows = [raw(9, 1, airmass=1.5), raw(9, 2, airmass=1.1), raw(10, 1, airmass=1.3)]
        assert self.order("order_by = airmass", rows) == [(9, 2), (10, 1), (9, 1)]

    def test_a_key_that_is_not_there_is_told(self) -> None:
        message = faults(text(within(REDUCE, "order_by = ccd, seeing"), b="reduce"))
        assert message.splitlines()[:3] == [
            "c.wcl:40:21: error: order_by of module 'reduce': reduce visit=9 ccd=1 has no 'seeing'",
            "        order_by = ccd, seeing",
            "                        ^^^^^^",
        ]
        assert "is no direction" in faults(text(within(REDUCE, "order_by = ccd:down"), b="reduce"))

    def test_jobs_are_numbered_as_their_quanta_are(self) -> None:
        found = planned(text(within(REDUCE, "order_by = visit:desc\ndivide_jobs_by = visit"), b="reduce"))
        assert [job.keys["visit"] for job in found.jobs] == ["10", "9"]
