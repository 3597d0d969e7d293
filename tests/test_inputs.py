"""Query codes and executables: what they are given, what they may answer, what is said of those that fail."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from campaigns import text

from facade import __version__, plugins
from facade.answers import ask, read_lines, version
from facade.campaign import read
from facade.errors import CampaignError, InputError, MissingInputError
from facade.inputs import Found, Standing, plan_on, planned, set_values
from facade.plan.growth import ensure_grown
from facade.plugins import Scalar
from facade.wcl import loads


class FakeRows:
    """A registry with four raws, and an overlap table that knows a fifth."""

    def __init__(self) -> None:
        self.raws = [
            {"filename": f"raw{visit}_{ccd}.fits", "compression": "", "filetype": "raw", "filesize": 1, "checksum": "c",
             "path": "raw", "visit": visit, "ccd": ccd, "filter": "r"}
            for visit in (9, 10) for ccd in (1, 2)
        ]  # fmt: skip
        self.asked: list[Mapping[str, object]] = []

    def files(self, filetype: str, where: Mapping[str, object], columns: Sequence[str] = ()) -> list[dict[str, Scalar]]:
        self.asked.append(where)
        return [dict(row) for row in self.raws]  # type: ignore[arg-type]

    def table(self, name: str, where: Mapping[str, object]) -> list[dict[str, Scalar]]:
        if where["tract"] != 0:
            return []
        return [
            {"version": "v1", "tract": 0, "patch": patch, "patchname": patch.replace(",", "x"), "visit": visit,
             "ccd": ccd, "filter": "r"}
            for patch in ("0,0", "0,1") for visit in (9, 10, 11) for ccd in (1, 2)
        ]  # fmt: skip


def overlap(*words: str) -> list[dict[str, Any]]:
    arguments = ["--tract", "0", "--version", "v1", "--filetype", "raw", *words]
    return [dict(row) for row in plugins.query("overlap").query(arguments, FakeRows())]


def test_overlap_gives_each_raw_once() -> None:
    assert [row["filename"] for row in overlap()] == [
        "raw9_1.fits", "raw9_2.fits", "raw10_1.fits", "raw10_2.fits",
    ]  # fmt: skip


def test_overlap_by_patch_gives_columns_without_files_for_what_is_registered() -> None:
    rows = overlap("--by", "patch")
    assert [(row["patch"], row["visit"], row["ccd"]) for row in rows] == [
        (patch, visit, ccd) for patch in ("0,0", "0,1") for visit in (9, 10) for ccd in (1, 2)
    ]
    assert all("filename" not in row and row["filter"] == "r" for row in rows)
    assert rows[-1]["patchname"] == "0x1"


def test_two_registered_files_of_one_exposure_are_told() -> None:
    rows = FakeRows()
    rows.raws.append({**rows.raws[0], "filename": "other.fits"})
    with pytest.raises(InputError, match=r"visit 9 ccd 1 is registered twice: raw9_1\.fits and other\.fits"):
        list(plugins.query("overlap").query(["--tract", "0", "--version", "v1", "--filetype", "raw"], rows))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tract", "zero"], "argument --tract: invalid int value"),
        (["--tract", "0"], "the following arguments are required: --version, --filetype"),
    ],
)
def test_bad_arguments_are_told_with_the_usage(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        plugins.query("overlap").query(words, FakeRows())
    assert caught.value.remedy.startswith("usage: overlap")


def test_generic_query_passes_conditions_on() -> None:
    rows = FakeRows()
    found = plugins.query("generic").query(["--filetype", "raw", "--output", "ccd", "visit=9:10", "filter=!i"], rows)
    assert len(list(found)) == 4
    assert rows.asked == [{"visit": "9:10", "filter": "!i"}]
    with pytest.raises(InputError, match="'--what' is not understood"):
        plugins.query("generic").query(["--what"], rows)


WRITER = """
import sys
out = sys.argv[sys.argv.index("--qoutfile") + 1]
open(out, "w").write(TEXT)
"""


def script(folder: Path, text: str) -> str:
    """Return an executable that writes *text* into its --qoutfile."""
    path = folder / "query"
    path.write_text(f"#!{sys.executable}\nTEXT = {text!r}\n{WRITER}")
    path.chmod(0o755)
    return str(path)


LINES = """
<list>
  <line>
    <line00001>
      <file>
        <raw>
          filename = a.fits
          patch = 0,1
        </raw>
        <bias>
          filename = b.fits
        </bias>
      </file>
    </line00001>
  </line>
</list>
"""


def test_an_executable_writes_lines_of_wcl(tmp_path: Path) -> None:
    lines = ask(script(tmp_path, LINES), ["--qoutfile", "{qoutfile}"], FakeRows())
    assert lines == [{"raw": {"filename": "a.fits", "patch": "0,1"}, "bias": {"filename": "b.fits"}}]


def test_an_executable_writes_rows_of_json(tmp_path: Path) -> None:
    rows = [{"filename": "a.fits", "visit": 9}, {"filename": "b.fits", "visit": 10}]
    program = script(tmp_path, json.dumps(rows))
    assert ask(program, ["--qoutfile", "{qoutfile}"], FakeRows(), "json") == [{"": row} for row in rows]


def test_an_executable_that_fails_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "query"
    program.write_text("#!/bin/sh\necho the catalogue is away >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match="ended with 3") as caught:
        ask(str(program), ["--qoutfile", "{qoutfile}"], FakeRows())
    assert "the catalogue is away" in caught.value.remedy


def test_an_executable_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no query code or executable") as caught:
        ask(str(tmp_path / "nothing"), [], FakeRows())
    assert "overlap" in caught.value.remedy


def test_an_executable_that_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrote no"):
        ask("true", [], FakeRows())


@pytest.mark.parametrize(
    ("output_type", "text", "message"),
    [
        ("json", "[1, 2]", "the output of 'q', line 1: 1 is no row"),
        ("json", '[{"a": 1}, {}]', r"line 2: \{\} is no row"),
        ("json", '[{"a": 1},\n {"a": ]', r"the output of 'q': 2:8: Expecting value"),
        ("json", '{"list": 1}', "neither a list of rows nor"),
        ("json", '{"list": {"line": {"line7": 3}}}', "line line7: 3 is no row"),
        ("json", '"text"', "neither a list of rows nor"),
        ("json", '[{"raw": {"ra": [1, 2]}}]', r"line 1: raw\.ra is \[1, 2\], not one text or number"),
        ("json", '[{"ra": NaN}]', "NaN is no value of a column; write null"),
        ("json", "[" * 100_000, "the output of 'q': "),
        ("wcl", "<list>\n<line>\n<line1>\n<raw>\na = 1\n</raw>\n</line1>\n</line>\n</list>\n",
         r"the output of 'q', 3:1: <line1> has no <file>"),
        ("wcl", "<list>\n<line1>\n</line1>\n</list>\n", "<list>, <line> is missing"),
        ("wcl", "filename = a.fits\n", "<list>, <line> is missing"),
        ("wcl", "<list>\n<line>\n</list>\n", r"is no WCL: \noutput of q:3:1: error: </list> does not"),
        ("wcl", "<list>\n<line>\n<line1>\n<file>\n</file>\n</line1>\n</line>\n</list>\n", r"line 3: \{\} is no row"),
    ],
)  # fmt: skip
def test_output_that_is_no_lines_is_told_with_its_place(output_type: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_lines(text, output_type, "q")


@pytest.mark.parametrize("text", ["", "# none\n", "<list>\n</list>\n", "<list>\n<line>\n</line>\n</list>\n"])
def test_an_answer_may_be_empty(text: str) -> None:
    assert read_lines(text, "wcl", "q") == [] == read_lines("[]", "json", "q")


def test_lines_of_json_may_be_shaped_as_those_of_wcl() -> None:
    text = '{"list": {"line": {"line00001": {"file": {"raw": {"filename": "a.fits", "visit": 9, "x": null}}}}}}'
    assert read_lines(text, "json", "q") == [{"raw": {"filename": "a.fits", "visit": 9, "x": None}}]


def program(folder: Path, body: str) -> str:
    """Return an executable in *folder*; ``sys.argv[1]`` is where it is to write."""
    path = folder / "find_raws"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_an_executable_runs_in_a_folder_of_its_own_and_only_its_file_counts(tmp_path: Path) -> None:
    body = (
        'print("[1, 2]"); print("careful", file=sys.stderr); open("scratch", "w").write("x")\n'
        'rows = [{"cwd": os.getcwd(), "stdin": sys.stdin.read(), "there": os.listdir()}]\n'
        "json.dump([{k: str(v) for k, v in row.items()} for row in rows], open(sys.argv[1], 'w'))"
    )
    (line,) = ask(program(tmp_path, body), ["{outputfile}"], FakeRows(), "json")
    assert line[""]["stdin"] == "" and line[""]["there"] == "['scratch']"
    assert line[""]["cwd"] != os.getcwd() and not Path(str(line[""]["cwd"])).exists()


def test_relative_programs_are_those_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "open(sys.argv[1], 'w').write('[{\"a\": 1}]')")
    monkeypatch.chdir(tmp_path)
    assert ask("./find_raws", ["{qoutfile}"], FakeRows(), "json") == [{"": {"a": 1}}]


@pytest.mark.parametrize(
    ("body", "message", "remedy"),
    [
        ("print('a', file=sys.stderr); sys.exit(7)", "ended with 7", "a"),
        ("print('only here'); sys.exit(1)", "ended with 1", "only here"),
        ("sys.exit(1)", "ended with 1", "it said nothing"),
        ("os.kill(os.getpid(), 9)", "was killed by signal 9", "it said nothing"),
        ("sys.stderr.buffer.write(b'\\xff\\x1b[31mred'); sys.exit(1)", "ended with 1", "\ufffd?[31mred"),
        ("print('\\n'.join('abcdefgh'), file=sys.stderr); sys.exit(1)", "ended with 1", "d\n  e\n  f\n  g\n  h"),
        ("open(sys.argv[1], 'wb').write(b'ab\\xff')", "is not text: byte 3", ""),
    ],
)  # fmt: skip
def test_an_executable_that_fails_says_why(tmp_path: Path, body: str, message: str, remedy: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        ask(program(tmp_path, body), ["{qoutfile}"], FakeRows())
    assert caught.value.remedy == remedy


class Wrong:
    """Query codes that do what none should."""

    answers: Any = None

    def query(self, arguments: Sequence[str], rows: Any) -> Any:
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (KeyError("visit"), "query code 'wrong' failed: KeyError: 'visit'\n  at .*test_inputs.py:[0-9]+, in query"),
        (None, "query code 'wrong' failed: TypeError"),
        ([3], "query code 'wrong', line 1: 3 is no row"),
        ([{"a": 1}, {"a": object()}], "line 2: a is <object"),
        ([{"raw": {"a": (1, 2)}}], r"raw\.a is \(1, 2\), not one text or number"),
        ([{1: "a"}], "1 is 'a', not one text"),
    ],
)  # fmt: skip
def test_a_query_code_that_does_not_answer_with_rows(
    monkeypatch: pytest.MonkeyPatch, answers: Any, message: str
) -> None:
    code = Wrong()
    code.answers = answers
    monkeypatch.setattr(plugins, "names", lambda kind: ["wrong"])
    monkeypatch.setattr(plugins, "query", lambda name: code)
    with pytest.raises(InputError, match=message):
        ask("wrong", [], FakeRows())


def test_settings_win_and_reach_into_sections() -> None:
    document = loads("a = 1\n<module m>\nx = 2\n</module>\n")
    set_values(document, ["a=5", "module.m.x=0,1", "new=7"])
    assert document.root.plain() == {"a": "5", "module": {"m": {"x": "0,1"}}, "new": "7"}


@pytest.mark.parametrize("setting", ["a", "=1", "a=", "module=5", "a.b=1"])
def test_settings_that_make_no_sense(setting: str) -> None:
    document = loads("a = 1\n<module m>\nx = 2\n</module>\n")
    with pytest.raises(InputError):
        set_values(document, [setting])


NAMED = """
<module once>
    wrappername = generic
    <file>
        <seed>
            filename = ${which}.txt
            dirpat = d
        </seed>
        <out>
            filetype = img
            filepat = one
            flabel = out
            dirpat = d
        </out>
    </file>
    <exec_1>
        execname = cp
        used = file.seed
        was_generated_by = file.out
    </exec_1>
</module>
"""


class FakeSource:
    """A registry that knows files by name and notes who asks."""

    rows = FakeRows()

    def __init__(self, *names: str) -> None:
        self.known, self.asked = names, list[list[tuple[str, str]]]()
        self.times: dict[str, tuple[float, int]] = {}

    def run_times(self, project: str, campaign: str | None, modules: Sequence[str]) -> Mapping[str, tuple[float, int]]:
        assert (project, campaign) == ("P", "C")
        return {name: self.times[name] for name in modules if name in self.times}

    def lookup(self, names: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Any]:
        self.asked.append(list(names))
        return {
            (name, compression): {"filename": name, "compression": compression, "filetype": "raw", "path": "raw"}
            for name, compression in self.asked[-1]
            if name in self.known
        }


def test_files_that_a_campaign_spells_out_are_looked_up_once() -> None:
    source = FakeSource("seed.txt")
    made = planned(read(loads("which = seed\n" + text(NAMED, b="once"))), source)
    assert made.quanta[0].execs[0].used == (0,) and made.files[0].filename == "seed.txt"
    assert source.asked == [[("seed.txt", "")]]


def test_files_that_are_not_registered_are_missing() -> None:
    with pytest.raises(MissingInputError, match=r"'seed\.txt' is neither made earlier nor registered"):
        planned(read(loads("which = seed\n" + text(NAMED, b="once"))), FakeSource())


def test_run_times_are_asked_for_where_they_divide_jobs() -> None:
    source = FakeSource("seed.txt")
    source.times = {"once": (61.234, 7)}
    module = NAMED.replace("    wrappername", "    job_target_time = 2m\n    wrapperloop = n\n    wrappername")
    module = module.replace("flabel = out", "flabel = out-${n}") + "n = (1:4)\nwhich = seed\n"
    made = planned(read(loads(text(module, b="once"))), source)
    assert [len(job.quanta) for job in made.jobs] == [1, 1, 1, 1], "two of 61 s take longer than 2 minutes"
    assert [(q.module, q.dataset, q.arguments, q.rows) for q in made.queries] == [
        ("once", "job_target_time", "median 61.0 s", 7)
    ]
    source.times = {}
    made = planned(read(loads(text(module, b="once"))), source)
    assert len(made.jobs) == 1 and made.queries[0].arguments == "median ? s"
    assert planned(read(loads("which = seed\n" + text(NAMED, b="once"))), source).queries == ()


# -- the queries of a campaign -----------------------------------------------------------------------------------------

FOUND = """
<module reduce>
    wrappername = generic
    wrapperloop = visit
    loopobj = file.raw
    <file>
        <raw>
            exec = ${finder}
            args = ${qoutfile} ${what}
            qouttype = json
            output_fields = visit
            divide_by = visit
            dirpat = d
        </raw>
        <again>
            exec = ${finder}
            args = ${qoutfile} ${what}
            qouttype = json
            match = visit
            dirpat = d
        </again>
        <out>
            filetype = img
            filepat = visit
            flabel = out
            dirpat = d
        </out>
    </file>
    <exec_1>
        execname = cp
        used = file.raw, file.again
        was_generated_by = file.out
        ancestry = file.raw:file.out
        <cmdline>
            _01 = ${file.raw.fullname}
        </cmdline>
    </exec_1>
</module>
"""


def found(tmp_path: Path, body: str, *names: str, what: str = "x") -> tuple[Any, FakeSource]:
    """Return the plan of a campaign whose raws an executable finds, and the registry that it was made with."""
    finder, source = program(tmp_path, body), FakeSource(*names)
    campaign = read(loads(f"finder = {finder}\nwhat = {what}\n" + text(FOUND, b="reduce"), "c.wcl"))
    return planned(campaign, source), source


COUNTED = "open(os.path.dirname(__file__) + '/calls', 'a').write('x')\n"
ROWS = "rows = [{'filename': f'r{v}.fits', 'visit': v} for v in (9, 10)]\n"
DUMP = "json.dump(rows, open(sys.argv[1], 'w'))"


def test_one_query_is_asked_once_and_recorded_with_each_dataset(tmp_path: Path) -> None:
    plan, source = found(tmp_path, COUNTED + ROWS + DUMP, "r9.fits", "r10.fits", what='"8,6" b')
    assert (tmp_path / "calls").read_text() == "x"
    told = [(q.module, q.dataset, q.program, q.arguments, q.rows) for q in plan.queries]
    finder = str(tmp_path / "find_raws")
    arguments = "'{qoutfile}' 8,6 b"
    assert told == [("reduce", f"file.{name}", finder, arguments, 2) for name in ("raw", "again")]
    assert {q.version for q in plan.queries} == {version(finder)} and version(finder).startswith("sha256:")
    # an executable tells names; what jobs need to fetch the files comes from the registry
    assert source.asked == [[("r10.fits", ""), ("r9.fits", "")]]
    assert [(one.filename, one.archive_path) for one in plan.files if one.producer == 0] == [
        ("r9.fits", "raw"), ("r10.fits", "raw"),
    ]  # fmt: skip


def test_a_program_that_changes_is_another_version(tmp_path: Path) -> None:
    one = version(program(tmp_path, "pass"))
    (tmp_path / "more").mkdir()
    assert one != version(program(tmp_path / "more", "pass  # changed")) and version("no such thing") == ""
    assert version("overlap") == plugins.version("query", "overlap") == __version__


def test_a_query_that_fails_is_told_at_exec_and_asked_once(tmp_path: Path) -> None:
    with pytest.raises(CampaignError) as caught:
        found(tmp_path, COUNTED + "print('no catalogue', file=sys.stderr); sys.exit(4)")
    assert (tmp_path / "calls").read_text() == "x"
    first, second = caught.value.faults
    assert first.excerpt.strip() == "exec = ${finder}" and first.code == second.code == "F603"
    assert "ended with 4" in first.message and first.remedy == "no catalogue"


def test_files_that_nobody_registered_are_missing_inputs(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"or lie in no archive that jobs read: r10\.fits \[F605\]") as caught:
        found(tmp_path, ROWS + DUMP, "r9.fits")
    assert "exec = ${finder}" in str(caught.value)


def test_a_column_that_was_promised_must_come(tmp_path: Path) -> None:
    with pytest.raises(
        CampaignError, match=r"line 2 of query .* has no column 'visit', which output_fields names"
    ) as caught:
        found(tmp_path, ROWS + "del rows[1]['visit']\n" + DUMP, "r9.fits", "r10.fits")
    assert [one.code for one in caught.value.faults] == ["F606"] and "it has: filename" in caught.value.faults[0].remedy


# -- planning in stages ------------------------------------------------------------------------------------------------

LATER = """
<module later>
    wrappername = generic
    wrapperloop = visit
    loopobj = file.made
    <file>
        <made>
            exec = ${finder}
            args = ${qoutfile} of ${attnum:3}
            qouttype = json
            divide_by = visit
            dirpat = d
        </made>
        <seed>
            filename = seed.txt
            dirpat = d
        </seed>
        <all>
            filetype = img
            filepat = visit
            flabel = later
            dirpat = d
        </all>
    </file>
    <exec_1>
        execname = cp
        used = file.made, file.seed
        was_generated_by = file.all
    </exec_1>
</module>
"""


def test_what_was_found_is_kept_and_later_queries_are_asked_when_their_turn_comes(tmp_path: Path) -> None:
    made_rows = "if 'of' in sys.argv: rows = [{'filename': f'out-{v}-r7p05.fits', 'visit': v} for v in (9, 10)]\n"
    finder = program(tmp_path, COUNTED + ROWS + made_rows + DUMP)
    whole = text(FOUND, LATER, b="reduce", c="later").replace("<c>", "<c>\nplanned = late")
    campaign = read(loads(f"finder = {finder}\nwhat = x\n" + whole, "c.wcl"))
    source = FakeSource("r9.fits", "r10.fits")
    first, told = plan_on(campaign, source, Standing())
    assert (tmp_path / "calls").read_text() == "x" and [block.name for block in first.later] == ["c"]
    assert ("seed.txt", "") not in [name for names in source.asked for name in names]

    kept, later = Found.read(told.data), FakeSource("out-9-r7p05.fits", "out-10-r7p05.fits", "seed.txt")
    assert kept == told
    made = {(f"out-{visit}-r7p05.fits", ""): (f"out-{visit}-r7p${{attnum:2}}.fits", "") for visit in (9, 10)}
    second, more = plan_on(campaign, later, Standing(planned=1, found=kept, made=made, attnum=5))
    ensure_grown(first, second)
    assert (tmp_path / "calls").read_text() == "xx"
    assert [name for names in later.asked for name in names if name[0].startswith("r")] == []
    assert [query.arguments.split()[-2:] for query in second.queries[-1:]] == [["of", "005"]]
    readers = [quantum for quantum in second.quanta if quantum.module == "later"]
    assert [second.files[quantum.inputs[0].file].producer for quantum in readers] == [1, 2]
    assert more.names["seed.txt"] is not None and second.later == ()
    assert kept.datasets.items() <= more.datasets.items()
