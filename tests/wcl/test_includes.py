"""Includes: where they are looked for, what wins, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from facade.errors import CampaignError
from facade.wcl import load


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fault_of(path: Path | str) -> str:
    with pytest.raises(CampaignError) as caught:
        load(path)
    return str(caught.value)


def test_what_follows_an_include_wins_over_it_and_it_over_what_came_before(campaign: Path) -> None:
    write(campaign / "inc.wcl", "a = inc\nb = inc\n")
    write(campaign / "main.wcl", "a = before\n<<include inc.wcl>>\nb = after\n")
    assert load("main.wcl").root.plain() == {"a": "inc", "b": "after"}


def test_sections_are_merged_deeply(campaign: Path) -> None:
    write(campaign / "inc.wcl", "<s>\n<t>\nx = 2\n</t>\n</s>\n")
    write(campaign / "main.wcl", "<s>\ny = 1\n<t>\nx = 1\nz = 1\n</t>\n</s>\n<<include inc.wcl>>\n")
    assert load("main.wcl").root.plain() == {"s": {"y": "1", "t": {"x": "2", "z": "1"}}}


def test_a_file_is_looked_for_beside_the_including_one_first(campaign: Path) -> None:
    write(campaign / "inc.wcl", "a = working directory\n")
    write(campaign / "sub/inc.wcl", "a = beside\n")
    write(campaign / "sub/main.wcl", "<<include inc.wcl>>\n")
    assert load("sub/main.wcl").root.text("a") == "beside"


def test_then_in_the_working_directory_then_on_the_include_path(campaign: Path) -> None:
    write(campaign / "one.wcl", "a = working directory\n")
    write(campaign / "path/two.wcl", "b = include path\n")
    write(campaign / "sub/main.wcl", "<<include one.wcl>>\n<<include two.wcl>>\n")
    root = load("sub/main.wcl", include_path=[campaign / "path"]).root
    assert root.plain() == {"a": "working directory", "b": "include path"}


def test_variables_and_the_environment_may_stand_in_the_path(campaign: Path) -> None:
    write(campaign / "deep/hsc.wcl", "a = 1\n")
    write(campaign / "main.wcl", "where = deep\ncamera = hsc\n<<include $ROOT/${where}/${camera}.wcl>>\n")
    assert load("main.wcl", environ={"ROOT": str(campaign), "ROO": "/wrong"}).root.text("a") == "1"


def test_values_know_the_file_they_come_from(campaign: Path) -> None:
    write(campaign / "sub/inc.wcl", "\na = 1\n")
    write(campaign / "sub/main.wcl", "<<include ../sub/inc.wcl>>\n")
    document = load("sub/main.wcl")
    value = document.root.value("a")
    assert str(value and value.location) == "sub/inc.wcl:2:5"
    assert str(document.included_from["sub/inc.wcl"]) == "sub/main.wcl:1:11"


def test_an_include_inside_a_section_is_merged_at_top_level_with_a_warning(campaign: Path) -> None:
    write(campaign / "inc.wcl", "a = 1\n")
    write(campaign / "main.wcl", "<s>\n<<include inc.wcl>>\nb = 2\n</s>\n")
    document = load("main.wcl")
    assert document.root.plain() == {"s": {"b": "2"}, "a": "1"}
    assert [(w.code, w.message) for w in document.warnings] == [
        ("F015", "an include inside <s> is merged at top level all the same")
    ]


def test_what_stands_beside_an_include_is_ignored_with_a_warning(campaign: Path) -> None:
    write(campaign / "inc.wcl", "a = 1\n")
    write(campaign / "main.wcl", "b = <<include inc.wcl>>\n")
    document = load("main.wcl")
    assert document.root.plain() == {"a": "1"}
    assert [(w.code, w.message) for w in document.warnings] == [
        ("F016", "only the include of this line is read, not what stands beside it")
    ]


def test_a_missing_include_is_told_with_its_place(campaign: Path) -> None:
    write(campaign / "main.wcl", "a = 1\n  <<include nowhere.wcl>>\n")
    assert fault_of("main.wcl") == (
        "main.wcl:2:13: error: cannot read the included file 'nowhere.wcl': No such file or directory [F010]\n"
        "      <<include nowhere.wcl>>\n"
        "                ^^^^^^^^^^^\n"
        "  it is looked for beside the including file, then in the working directory, then on the include path"
    )


@pytest.mark.parametrize("line", ["<<include inc.wcl>>", "<< Include  inc.wcl  >>", "<<INCLUDE\tinc.wcl>>>"])
def test_an_include_may_be_written(campaign: Path, line: str) -> None:
    write(campaign / "inc.wcl", "a = 1\n")
    write(campaign / "main.wcl", f"{line}\n")
    assert load("main.wcl").root.plain() == {"a": "1"}


@pytest.mark.parametrize(
    "line", ["<<include >>", "<<include>>", "<<include inc.wcl>", "<<includeinc.wcl>>", "<include inc.wcl>>"]
)
def test_what_is_no_include_is_a_fault(campaign: Path, line: str) -> None:
    write(campaign / "main.wcl", f"{line}\n")
    assert fault_of("main.wcl").splitlines()[0].endswith(f"'{line}' neither opens nor closes a section [F002]")


INNERMOST_FIRST = """\
{fault} [{code}]
    {line}
    {caret}
  included from deep/c.wcl:2:13
  included from b.wcl:1:11
  included from a.wcl:3:11"""


@pytest.mark.parametrize(
    ("line", "fault", "code", "caret"),
    [
        ("</x>", "deep/d.wcl:2:1: error: </x> closes nothing: no section is open", "F003", "^^^^"),
        ("<<include ${no}>>", "deep/d.wcl:2:11: error: undefined variable 'no' in the path of an include", "F013",
         "          ^^^^^"),
        ("<<include ../a.wcl>>", "deep/d.wcl:2:11: error: include goes in a circle: a.wcl -> b.wcl -> deep/c.wcl"
         " -> deep/d.wcl -> a.wcl", "F011", "          ^^^^^^^^"),
        ("<s>", "deep/d.wcl:2:1: error: section <s> is never closed", "F001", "^"),
    ],
)  # fmt: skip
def test_a_fault_says_through_which_files_it_was_reached(
    campaign: Path, line: str, fault: str, code: str, caret: str
) -> None:
    write(campaign / "a.wcl", "x = 1\n\n<<include b.wcl>>\n")
    write(campaign / "b.wcl", "<<include deep/c.wcl>>\n")
    write(campaign / "deep/c.wcl", "y = 1\n  <<include d.wcl>>\n")
    write(campaign / "deep/d.wcl", f"z = 1\n{line}\n")
    told = fault_of("a.wcl").split("\n  an include knows")[0].split("\n  remove")[0].split("\n  add")[0]
    assert told == INNERMOST_FIRST.format(fault=fault, code=code, line=line, caret=caret)


def test_so_does_a_warning(campaign: Path) -> None:
    write(campaign / "a.wcl", "<<include b.wcl>>\n")
    write(campaign / "b.wcl", "\n <<include c.wcl>>\n")
    write(campaign / "c.wcl", "lonely\n")
    (warning,) = load("a.wcl").warnings
    assert [str(place) for place in warning.included_from] == ["b.wcl:2:12", "a.wcl:1:11"]
    assert str(warning).endswith("  included from b.wcl:2:12\n  included from a.wcl:1:11")


def test_includes_in_a_circle_are_told(campaign: Path) -> None:
    write(campaign / "a.wcl", "<<include sub/b.wcl>>\n")
    write(campaign / "sub/b.wcl", "<<include ../a.wcl>>\n")
    assert fault_of("a.wcl").splitlines()[0] == (
        "sub/b.wcl:1:11: error: include goes in a circle: a.wcl -> sub/b.wcl -> a.wcl [F011]"
    )


def test_a_file_that_includes_itself_is_told(campaign: Path) -> None:
    write(campaign / "a.wcl", "<<include a.wcl>>\n")
    assert "include goes in a circle: a.wcl -> a.wcl [F011]" in fault_of("a.wcl")


def test_includes_that_double_end(campaign: Path) -> None:
    for n in range(40):
        write(campaign / f"f{n}.wcl", f"<<include f{n + 1}.wcl>>\n" * 2)
    write(campaign / "f40.wcl", "a = 1\n")
    assert "more than 1000 includes, or more than 32 in one another" in fault_of("f0.wcl")


def test_an_undefined_variable_in_the_path_is_told_with_its_place(campaign: Path) -> None:
    write(campaign / "main.wcl", "<<include ${camera}.wcl>>\ncamera = hsc\n")
    assert fault_of("main.wcl") == (
        "main.wcl:1:11: error: undefined variable 'camera' in the path of an include [F013]\n"
        "    <<include ${camera}.wcl>>\n"
        "              ^^^^^^^^^\n"
        "  an include knows what was defined above it in the same file, and nothing else"
    )


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("${a", "F102"),
        ("${a:x}", "F105"),
        ("~nobody-at-all/x", "F010"),
        ("a\0b", "F010"),
        ("sub", "F010"),
        ("latin1.wcl", "F010"),
        ("/dev/zero", "F010"),
        ("> a", "F010"),
    ],
)
def test_whatever_is_wrong_with_a_path_is_a_fault(campaign: Path, path: str, code: str) -> None:
    (campaign / "sub").mkdir()
    (campaign / "latin1.wcl").write_bytes(b"a = \xe9\n")
    write(campaign / "main.wcl", f"a = 1\n<<include {path}>>\n")
    first = fault_of("main.wcl").splitlines()[0]
    assert first.startswith("main.wcl:2:") and first.endswith(f" [{code}]")


def test_faults_of_an_included_file_point_into_it(campaign: Path) -> None:
    write(campaign / "inc.wcl", "a = 1\n</x>\n")
    write(campaign / "main.wcl", "<<include inc.wcl>>\n<s>\n")
    assert [line for line in fault_of("main.wcl").splitlines() if ": error: " in line] == [
        "inc.wcl:2:1: error: </x> closes nothing: no section is open [F003]",
        "main.wcl:2:1: error: section <s> is never closed [F001]",
    ]


def test_an_include_cannot_turn_a_section_into_a_value_nor_back(campaign: Path) -> None:
    write(campaign / "inc.wcl", "<x>\ns = 1\n</x>\n<v>\n</v>\n")
    write(campaign / "main.wcl", "v = 1\n<x>\n<s>\n<<include inc.wcl>>\na = 1\n</s>\n</x>\n")
    assert [line for line in fault_of("main.wcl").splitlines() if ": error: " in line] == [
        "inc.wcl:2:1: error: 'x.s' is a value here but a section in what came before this file was included [F007]",
        "inc.wcl:4:1: error: 'v' is a section here but a value in what came before this file was included [F007]",
    ]
