"""The truth table of reuse: what runs after one thing has changed, with the local engine and a real PostgreSQL.

Four raws (two visits of two ccds) are reduced, each visit is stacked, one report is written: seven quanta.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from database import make_database
from e2e.kept import copied_world
from e2e.world import World

from facade.registry import Registry
from facade.registry.connection import Address
from facade.registry.embedded import Embedded
from facade.registry.values import FileType, NewFile

CAMPAIGN = """
project = REUSE
campaign = truth
reqnum = 5
unitname = night
release = a                      # which raws
mode = plain
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
run = r${reqnum}p${attnum:2}
blocklist = one, two
<block one>
    modulelist = reduce
    divide_jobs_by = visit, ccd
</block>
<block two>
    modulelist = stack, report
</block>
<job_environment>
    path = HOME/bin:/usr/bin:/bin
</job_environment>
<filename_pattern>
    img = ${flabel}-${visit}-${ccd}-${run}.txt
    coadd = coadd-${visit}-${run}.txt
    report = report-${run}.txt
    list = ${modulename}-w${wrapnum:5}-${run}.list
</filename_pattern>
<directory_pattern>
    <d>
        ops = ${ops_run_dir}
        runtime = data
    </d>
</directory_pattern>
<filetype_metadata>
    <raw>
        metadata_table = raw
        <columns>
            visit = int
            ccd = int
            releases = text
        </columns>
    </raw>
    <img>
        metadata_table = img
        <columns>
            visit = int
            ccd = int
        </columns>
    </img>
    <report>
    </report>
</filetype_metadata>
<module reduce>
    wrappername = generic
    wrapperloop = visit, ccd
    loopobj = file.raw
    <exec_1>
        execname = reduce
        used = file.raw
        was_generated_by = file.img, file.src
        ancestry = file.raw:file.img, file.raw:file.src
        <cmdline>
            _01 = ${file.raw.fullname}
            _02 = ${file.img.fullname}
            _03 = ${file.src.fullname}
            _04 = ${mode}
        </cmdline>
    </exec_1>
    <file>
        <raw>
            filetype = raw
            query_fields = filetype, releases
            releases = %${release}%
            output_fields = visit, ccd
            divide_by = visit, ccd
            dirpat = d
        </raw>
        <img>
            filetype = img
            filepat = img
            flabel = img
            dirpat = d
        </img>
        <src>
            filetype = img
            filepat = img
            flabel = src
            dirpat = d
        </src>
    </file>
</module>
<module stack>
    wrappername = generic
    wrapperloop = visit
    loopobj = list.imgs
    clip = 3
    <exec_1>
        execname = stack
        used = list.imgs.img
        was_generated_by = file.coadd
        ancestry = list.imgs.img:file.coadd
        <cmdline>
            _01 = ${list.imgs.fullname}
            _02 = ${file.coadd.fullname}
            _03 = ${clip}
        </cmdline>
    </exec_1>
    <list>
        <imgs>
            depends = reduce.file.img
            divide_by = visit
            sortkey = ccd
            columns = img.fullname
            filepat = list
            dirpat = d
        </imgs>
    </list>
    <file>
        <img>
            listonly = True
            dirpat = d
        </img>
        <coadd>
            filetype = img
            filepat = coadd
            dirpat = d
        </coadd>
    </file>
</module>
<module report>
    wrappername = generic
    <exec_1>
        execname = stack
        used = list.coadds.coadd
        was_generated_by = file.report
        ancestry = list.coadds.coadd:file.report
        <cmdline>
            _01 = ${list.coadds.fullname}
            _02 = ${file.report.fullname}
            _03 = report
        </cmdline>
    </exec_1>
    <list>
        <coadds>
            depends = stack.file.coadd
            sortkey = visit
            columns = coadd.fullname
            filepat = list
            dirpat = d
        </coadds>
    </list>
    <file>
        <coadd>
            listonly = True
            dirpat = d
        </coadd>
        <report>
            filetype = report
            filepat = report
            dirpat = d
        </report>
    </file>
</module>
"""
PROGRAMS = {
    "reduce": """#!/bin/sh
case "$1" in *-10-2-*) test ! -e "$(dirname "$0")/reduce-is-broken" || exit 3;; esac
{ echo "reduced $4"; cat "$1"; } > "$2"
{ echo "sources of"; cat "$1"; } > "$3"
""",
    "stack": """#!/bin/sh
test ! -e "$(dirname "$0")/stack-is-broken" || exit 4
{ echo "stacked $3"; while read name; do cat "$name"; done < "$1"; } > "$2"
""",
}
"""What breaks them lies beside them: a program that is mended by its text is another program."""
REDUCE = {f"reduce {visit} {ccd}" for visit in (9, 10) for ccd in (1, 2)}
STACK, REPORT = {"stack 9", "stack 10"}, {"report"}
ALL = REDUCE | STACK | REPORT


@dataclass(frozen=True)
class Place:
    """One home with its database; `first` has been run in it."""

    world: World

    @property
    def home(self) -> Path:
        return self.world.home

    def plan(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = self.world.json("plan", "campaign.wcl", *words)
        return found

    def decided(self, *words: str) -> dict[str, set[str]]:
        """Return decision -> quanta."""
        plan, found = self.plan(*words), dict[str, set[str]]()
        names = {number: " ".join([module, *(str(v) for _, v in keys)]) for number, module, keys, *_ in plan["quanta"]}
        for number, decision, *_ in plan["decisions"]:
            found.setdefault(decision, set()).add(names[number])
        return found

    def planned(self, *words: str) -> set[str]:
        return self.decided(*words).get("run", set())

    def ran(self, *words: str) -> set[str]:
        """Submit, and return what the new attempt has run; nothing, if there is no new one."""
        before = self.attempts()
        self.world.facade("submit", "campaign.wcl", "--wait", "-j", "1", *words)
        if self.attempts() == before:
            return set()
        rows = self.world.rows(
            "select q.modname, q.wrapkeys, t.state::text from quantum q join task t on t.id = q.task_id"
            " where q.pfw_attempt_id = (select max(id) from pfw_attempt)"
        )
        assert {row["state"] for row in rows} == {"succeeded"}
        return {" ".join([row["modname"], *map(str, json.loads(row["wrapkeys"]).values())]) for row in rows}

    def attempts(self) -> list[str]:
        return [row["name"] for row in self.world.json("stat")]

    def text(self, name: str, attnum: int) -> str:
        return self.product(name, attnum).read_text()

    # what may happen to a place; each returns the options that say so to facade

    def change(self, file: str, old: str, new: str) -> list[str]:
        path = self.home / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return []

    def product(self, name: str, attnum: int = 1) -> Path:
        return self.home / f"archive/REUSE/r5/p{attnum:02d}/{name}-r5p{attnum:02d}.txt"

    def lose(self, name: str) -> list[str]:
        self.product(name).unlink()
        return []

    def spoil(self, name: str, text: str) -> list[str]:
        path = self.product(name)
        text = text or path.read_text().swapcase()
        path.unlink()
        path.write_text(text)
        return []


def furnish(home: Path) -> None:
    """Write campaign, programs and raws."""
    (home / "archive/raw").mkdir(parents=True)
    (home / "campaign.wcl").write_text(CAMPAIGN.replace("HOME", str(home)))
    (home / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (home / "bin" / name).write_text(text)
        (home / "bin" / name).chmod(0o755)


def ingest(home: Path, address: Address) -> None:
    """Register four raws, of one of them two versions."""
    files: list[NewFile] = []
    for visit, ccd, releases in ((9, 1, "ab"), (9, 2, "a"), (9, 2, "b"), (10, 1, "ab"), (10, 2, "ab")):
        name, text = f"raw-{visit}-{ccd}-{releases}.txt", f"visit {visit} ccd {ccd} release {releases}\n"
        (home / "archive/raw" / name).write_text(text)
        files.append(
            {
                "filename": name, "compression": "", "filetype": "raw", "size": len(text), "path": "raw",
                "checksum": hashlib.sha256(text.encode()).hexdigest(), "archive": "home",
                "metadata": {"visit": visit, "ccd": ccd, "releases": releases},
            }
        )  # fmt: skip
    columns = {"visit": {"type": "int"}, "ccd": {"type": "int"}, "releases": {"type": "text"}}
    types: dict[str, FileType] = {"raw": {"metadata_table": "raw", "columns": columns}}  # type: ignore[typeddict-item]
    with Registry.open(address) as registry:
        registry.set_archive("home", str(home / "archive"))
        registry.ingest("raws", types, files)


@pytest.fixture(scope="module")
def first(postgres: Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home in which the campaign has been run once, as a copy of it, and its database, to be copied too."""
    folder, address = tmp_path_factory.mktemp("reuse"), make_database(postgres, template)
    furnish(folder / "home")
    ingest(folder / "home", address)
    assert Place(World(folder / "home", address.environment())).ran() == ALL
    (folder / "home").rename(folder / "model")
    return folder, address.url.rpartition("/")[2]


@pytest.fixture
def place(first: tuple[Path, str], postgres: Embedded) -> Iterator[Place]:
    """The home as it was after the first run, always under one path."""
    folder, database = first
    with copied_world(folder, postgres, database) as (world, _):
        yield Place(world)


def test_after_a_full_run_nothing_runs(place: Place) -> None:
    assert place.decided() == {"reuse": REPORT | REDUCE, "not-needed": STACK}
    assert place.ran() == set() and place.attempts() == ["night_r5p01"]
    done = place.world.facade("submit", "campaign.wcl", "--wait")
    assert "nothing to do: night_r5p01 made all of it" in done.stderr


# what is changed -> what must run, and nothing else
TRUTH: dict[str, tuple[Callable[[Place], list[str]], set[str]]] = {
    "a comment": (lambda p: p.change("campaign.wcl", "# which raws", "# which of the raws"), set()),
    "a comment and the layout": (lambda p: p.change("campaign.wcl", "    clip = 3", "# was 4\n\n  clip   =  3"), set()),
    "a new version of one raw": (lambda p: ["--set", "release=b"], {"reduce 9 2", "stack 9"} | REPORT),
    "the first script": (lambda p: p.change("bin/reduce", "reduced", "REDUCED"), ALL),
    "the second script": (lambda p: p.change("bin/stack", "stacked", "STACKED"), STACK | REPORT),
    "an option of all": (lambda p: ["--set", "mode=fine"], ALL),
    "an option of one module": (lambda p: ["--set", "module.stack.clip=5"], STACK | REPORT),
    "the names of files": (lambda p: p.change("campaign.wcl", "coadd = coadd-", "coadd = sum-"), set()),
    "jobs": (lambda p: p.change("campaign.wcl", "    divide_jobs_by = visit, ccd\n", ""), set()),
    "the environment": (lambda p: p.change("campaign.wcl", "    path =", "    lang = C\n    path ="), ALL),
    "a lost product that nobody reads": (lambda p: p.lose("report"), REPORT),
    "a lost product beside one that is read": (lambda p: p.lose("src-9-1"), {"reduce 9 1"}),
    "a lost product that was read": (lambda p: p.lose("img-9-1"), set()),
    "two lost products, one made from the other": (
        lambda p: [*p.lose("coadd-9"), *p.lose("report")], {"stack 9"} | REPORT),
    "a lost chain": (
        lambda p: [*p.lose("img-9-1"), *p.lose("coadd-9"), *p.lose("report")], {"reduce 9 1", "stack 9"} | REPORT),
    "a product of another size": (lambda p: p.spoil("report", "short"), REPORT),
    "a product with other bytes of the same size": (lambda p: p.spoil("report", ""), set()),
    "the same, looked at closely": (lambda p: [*p.spoil("report", ""), "--verify", "hash"], REPORT),
    "a lost product, not looked for": (lambda p: [*p.lose("report"), "--verify", "none"], set()),
    "reuse none": (lambda p: ["--reuse", "none"], ALL),
    "reuse attempt": (lambda p: ["--reuse", "attempt"], set()),
    "reuse campaign": (lambda p: ["--reuse", "campaign"], set()),
    "another unit": (lambda p: ["--set", "unitname=day"], ALL),
    "another unit, reuse campaign": (lambda p: ["--set", "unitname=day", "--reuse", "campaign"], set()),
    "another request, reuse campaign": (lambda p: ["--set", "reqnum=6", "--reuse", "campaign"], set()),
    "rerun": (lambda p: ["--rerun", "stack and visit=9"], {"stack 9"} | REPORT),
    "rerun of the first": (lambda p: ["--rerun", "visit=9 and ccd=1"], {"reduce 9 1", "stack 9"} | REPORT),
    "selected": (lambda p: ["--set", "mode=fine", "--select", "stack and visit=9"],
                 {"reduce 9 1", "reduce 9 2", "stack 9"}),
    "from": (lambda p: ["--set", "module.stack.clip=5", "--from", "stack"], STACK | REPORT),
    "to": (lambda p: ["--set", "mode=fine", "--to", "reduce"], REDUCE),
    "where": (lambda p: ["--set", "mode=fine", "--where", "visit=10", "--to", "stack"],
              {"reduce 10 1", "reduce 10 2", "stack 10"}),
}  # fmt: skip


@pytest.mark.parametrize("change", TRUTH)
def test_truth_table(place: Place, change: str) -> None:
    make, expected = TRUTH[change]
    assert place.planned(*make(place)) == expected


def test_what_runs_reads_what_was_made_before_and_says_so(place: Place) -> None:
    assert place.ran("--set", "release=b") == {"reduce 9 2", "stack 9"} | REPORT
    assert place.text("coadd-9", 2) == (
        "stacked 3\nreduced plain\nvisit 9 ccd 1 release ab\nreduced plain\nvisit 9 ccd 2 release b\n"
    )
    world = place.world
    stat = world.json("stat", "night_r5p02")
    assert (stat["reused"], stat["left_out"]) == ({"night_r5p01": 4}, {"reuse": 4})
    assert "not run: 4 reused from night_r5p01" in world.facade("stat", "night_r5p02").stdout
    above = {row["filename"] for row in world.json("provenance", "report-r5p02.txt")}
    assert {"coadd-9-r5p02.txt", "coadd-10-r5p01.txt", "img-9-1-r5p01.txt", "img-9-2-r5p02.txt"} <= above
    assert above.isdisjoint({"coadd-9-r5p01.txt", "img-9-1-r5p02.txt", "raw-9-2-a.txt"})
    [argv] = world.rows(
        "select e.cmdargs from pfw_exec e join quantum q on q.task_id = e.pfw_wrapper_task_id"
        " where q.pfw_attempt_id = 2 and q.modname = 'report'"
    )
    assert argv["cmdargs"] == "data/report-w00007-r5p02.list data/report-r5p02.txt report"
    products = world.rows("select filename from attempt_product join desfile d on d.id = desfile_id"
                          " where attempt_product.pfw_attempt_id = 2 order by 1")  # fmt: skip
    assert [row["filename"] for row in products] == [
        "coadd-10-r5p01.txt", "coadd-9-r5p02.txt", "img-10-1-r5p01.txt", "img-10-2-r5p01.txt", "img-9-1-r5p01.txt",
        "img-9-2-r5p02.txt", "report-r5p02.txt", "src-10-1-r5p01.txt", "src-10-2-r5p01.txt", "src-9-1-r5p01.txt",
        "src-9-2-r5p02.txt",
    ]  # fmt: skip
    # nothing is left to do for either release, and all anew makes the same
    assert place.planned("--set", "release=b") == place.planned() == set()
    assert place.ran("--set", "release=b", "--reuse", "none") == ALL
    assert place.text("report", 3) == place.text("report", 2) != place.text("report", 1)


def test_the_fingerprint_of_a_success_has_what_its_inputs_were(place: Place) -> None:
    place.ran("--set", "module.stack.clip=5")
    rows = place.world.rows(
        "select modname, wrapkeys, fp_own::text, fp_run::text, fp_plan::text from quantum order by task_id"
    )
    assert all(row["fp_run"] for row in rows)
    for row in rows:  # where all inputs were registered from the start, planning knew what the job found
        assert (row["fp_run"] == row["fp_plan"]) == (row["modname"] == "reduce")
    reports = [row for row in rows if row["modname"] == "report"]
    assert reports[0]["fp_own"] == reports[1]["fp_own"] and reports[0]["fp_run"] != reports[1]["fp_run"]


def test_an_attempt_that_failed_is_carried_on_by_the_next(place: Place) -> None:
    flag = place.home / "bin/reduce-is-broken"
    flag.touch()
    day = ("submit", "campaign.wcl", "--wait", "--set", "unitname=day")
    place.world.facade(*day, code=1)
    flag.unlink()
    assert place.ran("--set", "unitname=day") == {"reduce 10 2"} | STACK | REPORT
    assert place.ran("--set", "unitname=day") == set()


def test_a_resumed_attempt_still_reads_what_was_made_before(place: Place) -> None:
    flag = place.home / "bin/stack-is-broken"
    flag.touch()
    place.world.facade("submit", "campaign.wcl", "--wait", "--set", "module.stack.clip=5", code=1)
    flag.unlink()
    (
        place.home / "runs/night_r5p02/run.json"
    ).unlink()  # as if the submission had died: the plan of the registry counts
    place.world.facade("resume", "night_r5p02", "--wait")
    assert place.world.json("stat", "night_r5p02")["quanta"] == {"succeeded": 3}
    assert place.text("coadd-9", 2).startswith("stacked 5\nreduced plain\n")
    rows = place.world.rows("select count(fp_run) as n from quantum where pfw_attempt_id = 2")
    assert rows == [{"n": 3}]
    assert place.planned("--set", "module.stack.clip=5") == set()


def test_what_was_made_again_on_demand_counts_from_then_on(place: Place) -> None:
    assert place.ran("--rerun", "stack and visit=9") == {"stack 9"} | REPORT
    assert place.decided()["reuse"] == REDUCE | REPORT
    assert place.planned() == set()
    place.lose("report")  # that of the first attempt serves nobody any more
    assert place.planned() == set()
    with Registry.open(Address.received(place.world.environment)) as registry:  # type: ignore[arg-type]
        registry.set_data_state(2, "junk")
    assert place.planned() == REPORT  # with the second attempt its demand is gone, and the first is as it was


def test_a_demand_that_failed_still_stands(place: Place) -> None:
    flag = place.home / "bin/stack-is-broken"
    flag.touch()
    place.world.facade("submit", "campaign.wcl", "--wait", "--rerun", "stack and visit=9", code=1)
    flag.unlink()
    assert place.planned() == {"stack 9"} | REPORT


def test_what_came_out_as_before_spares_what_is_made_from_it(place: Place) -> None:
    place.change("bin/reduce", "#!/bin/sh", "#!/bin/sh\n# the same in other words")
    assert place.planned() == ALL
    assert place.ran("--to", "reduce") == REDUCE
    assert place.decided() == {"reuse": REDUCE | REPORT, "not-needed": STACK}
    plan = place.plan("--explain")
    assert plan["decisions"][6] == [7, "reuse", "alike", "night_r5p01", ["from night_r5p01"]]
    place.change("bin/reduce", 'echo "reduced', 'echo "REDUCED')
    assert place.ran("--to", "reduce", "--where", "visit=9", "--where", "ccd=1") == {"reduce 9 1"}
    assert place.planned() == ALL - {"reduce 9 1"}


def test_junk_is_not_reused(place: Place) -> None:
    with Registry.open(Address.received(place.world.environment)) as registry:  # type: ignore[arg-type]
        registry.set_data_state(1, "junk")
    assert place.planned() == place.planned("--reuse", "archive") == ALL


def test_refusal(place: Place) -> None:
    refused = place.world.facade("submit", "campaign.wcl", "--wait", "--reuse", "refuse", code=4)
    assert "made already: reduce 9 1" in refused.stderr.replace("visit=", "").replace("ccd=", "")
    assert "by night_r5p01" in refused.stderr
    place.world.facade("plan", "campaign.wcl", "--reuse", "refuse", code=4)
    assert place.attempts() == ["night_r5p01"]
    assert place.ran("--set", "unitname=day", "--reuse", "refuse") == ALL


def test_reasons_go_down_to_what_differs(place: Place) -> None:
    def why(label: str, *words: str) -> str:
        shown = place.world.facade("plan", "campaign.wcl", "--explain", *words).stdout
        lines = shown.splitlines()
        index = next(i for i, line in enumerate(lines) if line[13:].startswith(f"{label}  "))
        following = [line for line in lines[index + 1 :]]
        details = following[: next(i for i, line in enumerate(following) if not line.startswith(" " * 13))]
        return "\n".join([lines[index], *[line.strip() for line in details]])

    assert why("report") == (
        "reuse        report  it succeeded before, and what is needed of its outputs is there\nfrom night_r5p01"
    )
    assert why("stack visit=9").startswith("not needed   stack visit=9  nothing that runs reads its outputs")
    assert why("stack visit=9", "--set", "module.stack.clip=5") == (
        "run          stack visit=9  nothing with its fingerprint has succeeded\n"
        "unlike in night_r5p01: command line of exec_1: '3' is now '5'"
    )
    assert why("report", "--set", "module.stack.clip=5") == (
        "run          report  it reads what is made anew\n"
        "unlike in night_r5p01: it reads what stack visit=9 makes, which runs\n"
        "unlike in night_r5p01: it reads what stack visit=10 makes, which runs"
    )
    assert "file.raw: raw-9-2-a.txt is not read any more" in why("reduce visit=9 ccd=2", "--set", "release=b")
    assert "file.raw: raw-9-2-b.txt is new" in why("reduce visit=9 ccd=2", "--set", "release=b")
    assert "environment LANG: new (C)" in why("report", "--set", "job_environment.lang=C")
    assert "nothing with these loop values has succeeded in this unit" in why("report", "--set", "unitname=day")
    assert why("report", "--rerun", "report") == "run          report  it is made again on demand"
    assert "it reads what stack visit=9 makes, which runs" in why("report", "--rerun", "stack and visit=9")
    place.lose("report")
    assert why("report") == (
        "run          report  it succeeded, but what is needed of its outputs is no longer there\n"
        "not there: report-r5p01.txt"
    )
    place.change("bin/stack", "stacked", "STACKED")
    assert "unlike in night_r5p01: program stack has changed" in why("stack visit=10")
    found = place.plan("--explain")
    assert found["plan_id"] == place.world.json("stat")[0]["plan_id"]
    assert found["decisions"][4] == [5, "run", "new", None, ["unlike in night_r5p01: program stack has changed"]]


def test_a_plan_is_the_same_bytes_whatever_was_made(place: Place) -> None:
    place.world.facade("plan", "campaign.wcl", "-o", "one.json", "--reuse", "none")
    place.world.facade("plan", "campaign.wcl", "-o", "two.json", "--select", "report")
    assert (place.home / "one.json").read_bytes() == (place.home / "two.json").read_bytes()
    done = place.world.facade("submit", "one.json", "--wait")
    assert "nothing to do" in done.stderr
    (place.home / "three.json").write_text(place.world.facade("plan", "campaign.wcl", "--json").stdout)
    assert "nothing to do" in place.world.facade("submit", "three.json", "--wait").stderr
    assert "7 quanta in 5 jobs" in place.world.facade("submit", "three.json", "--dry-run").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--select", "stak"], "did you mean 'stack'"),
        (["--rerun", "visit=77"], "means no quantum"),
        (["--where", "visit"], "not key=value"),
        (["--reuse", "everything"], "is not one of"),
        (["--from", "coadd"], "no module of the plan is called 'coadd'"),
    ],
)
def test_what_is_asked_in_vain_is_bad_input(place: Place, words: list[str], message: str) -> None:
    assert message in place.world.facade("submit", "campaign.wcl", *words, code=2).stderr
    assert place.attempts() == ["night_r5p01"]
