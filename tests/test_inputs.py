"""Query codes and executables: what they are given, what they may answer, what is said of those that fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from campaigns import text

from facade import plugins
from facade.campaign import read
from facade.errors import InputError, MissingInputError
from facade.inputs import ask, planned, read_lines, set_values
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


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"list": 1}'])
def test_json_that_is_no_lines(text: str) -> None:
    with pytest.raises(InputError, match="did not write lines of JSON"):
        read_lines(text, "json", "q")


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
