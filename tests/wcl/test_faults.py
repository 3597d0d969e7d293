"""What an operator reads when a WCL text is wrong: message, excerpt, caret and remedy, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from facade.errors import CampaignError, InputError
from facade.wcl import load, loads

CASES = {
    "never closed": (
        "a = 1\n<block>\n    <b1>\n    </b1>\n",
        """x.wcl:2:1: error: section <block> is never closed [F001]
    <block>
    ^
  add </block> where it ends""",
    ),
    "closed across": (
        "<block>\n  <b1>\n</block>\n",
        """x.wcl:3:1: error: </block> does not close <b1>, opened at line 2 [F004]
    </block>
    ^^^^^^^^
  close <b1> first""",
    ),
    "misspelt close": (
        "<block>\n  <b1>\n  </b11>\n  </b1>\n</block>\n",
        """x.wcl:3:3: error: </b11> does not close <b1>, opened at line 2 [F004]
      </b11>
      ^^^^^^
  was </b1> meant?""",
    ),
    "closes nothing": (
        "</file>\n",
        """x.wcl:1:1: error: </file> closes nothing: no section is open [F003]
    </file>
    ^^^^^^^
  remove it""",
    ),
    "missing slash": (
        "<list>\na = 1\n<list>\n</list>\n</list>",
        """x.wcl:3:1: error: <list> directly inside <list> [F005]
    <list>
    ^^^^^^
  was </list> meant?""",
    ),
    "text after a header": (
        "\t<x> = 1\n",
        """x.wcl:1:2: error: '<x> = 1' neither opens nor closes a section [F002]
    \t<x> = 1
    \t^^^^^^^
  write <name> or <name label> to open a section and </name> to close it, on lines of their own""",
    ),
    "value over section": (
        "<s>\n</s>\ns = 1\n",
        """x.wcl:3:1: error: 's' is a section, opened at line 1; it cannot be a value too [F007]
    s = 1
    ^
  rename one of the two""",
    ),
    "section over value": (
        "s = 1\n<s>\n</s>\n",
        """x.wcl:2:1: error: 's' has a value, given at line 1; it cannot be a section too [F007]
    <s>
    ^^^
  rename one of the two""",
    ),
    "function": (
        "  <<inclfunc a.b(c)>>\n",
        """x.wcl:1:14: error: this text may not call functions [F017]
      <<inclfunc a.b(c)>>
                 ^^^""",
    ),
    "include where none may be": (
        "<<include a.wcl>>",
        """x.wcl:1:11: error: this text may not include others [F014]
    <<include a.wcl>>
              ^^^^^
  put the include into the campaign""",
    ),
    "a slash forgotten, with much behind it": (
        "<a>\n<b>\n<b>\n</a>\n<c>\n</d>\n</c>\n",
        """x.wcl:3:1: error: <b> directly inside <b> [F005]
    <b>
    ^^^
  was </b> meant?
x.wcl:6:1: error: </d> does not close <c>, opened at line 5 [F004]
    </d>
    ^^^^
  was </c> meant?""",
    ),
    "two at once": (
        "<a>\n</b>\n<<inclfunc f(x)>>\n",
        """x.wcl:1:1: error: section <a> is never closed [F001]
    <a>
    ^
  add </a> where it ends
x.wcl:2:1: error: </b> does not close <a>, opened at line 1 [F004]
    </b>
    ^^^^
  was </a> meant?
x.wcl:3:12: error: this text may not call functions [F017]
    <<inclfunc f(x)>>
               ^""",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_a_fault_reads(text: str, expected: str) -> None:
    with pytest.raises(CampaignError) as caught:
        loads(text, "x.wcl")
    assert str(caught.value) == expected
    assert caught.value.exit_code == 2


WARNINGS = {
    "no value": (
        "a = 1\n  key =  # later\n",
        """x.wcl:2:3: warning: 'key =' has no value: the line is ignored [F009]
      key =  # later
      ^^^^^
  write key = "" for nothing""",
    ),
    "neither": (
        "lonely\n",
        """x.wcl:1:1: warning: 'lonely' is neither a section nor 'key = value': the line is ignored [F008]
    lonely
    ^^^^^^""",
    ),
    "swallowed": (
        "a = x  # why \\\n  b = 2\n",
        """x.wcl:2:3: warning: this line belongs to the comment above it, which ends in a backslash [F019]
      b = 2
      ^
  take the backslash off the comment""",
    ),
    "a hash in quotes": (
        "a = 'x#y'\n",
        """x.wcl:1:5: note: this '#' is data, because the value is quoted; the original system ended the value before it [F020]
    a = 'x#y'
        ^^^^^""",  # noqa: E501
    ),
    "a hash after a backslash": (
        "a = x\\#y\n",
        """x.wcl:1:6: note: '\\#' is a '#' that is data; the original system ended the value before the '#' [F020]
    a = x\\#y
         ^""",
    ),
    "quotes for nothing": (
        'a = "r"\n',
        """x.wcl:1:5: warning: the quotes are not part of the value, which is r; the original system kept them [F021]
    a = "r"
        ^^^
  write r without quotes, or '"r"' if the quotes are data""",
    ),
    "a quote cut": (
        'a = "x # y" z\n',
        """x.wcl:1:5: warning: '#' begins a comment although a quote is open [F022]
    a = "x # y" z
        ^
  write \\# for a '#' that is data, or put the whole value in quotes""",
    ),
    "set twice": (
        "a = 1\n<s>\na = 2\nA = 3\n</s>\n",
        """x.wcl:4:1: warning: 'a' was already set at line 3: that value never counts [F024]
    A = 3
    ^
  remove one of the two""",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WARNINGS.values(), ids=WARNINGS)
def test_a_warning_reads(text: str, expected: str) -> None:
    (warning,) = loads(text, "x.wcl").warnings
    assert str(warning) == expected


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path / "none.wcl")
    assert str(caught.value) == f"{tmp_path}/none.wcl: No such file or directory\n  give the path of a WCL file"


@pytest.mark.parametrize(
    ("written", "place", "byte"),
    [
        (b"a = \xe9\n", "1:5", "0xe9"),
        ("ä = 1\r\n  b = ü".encode() + b"\xff", "2:8", "0xff"),
        (b"a = 1\rb = 2\r\xc3", "3:1", "0xc3"),
        (b"\xef\xbb\xbfa = \x80", "1:5", "0x80"),
        ("a = 1\n".encode("utf-16"), "1:1", "0xff"),
    ],
)
def test_a_file_that_is_not_utf_8_is_an_input_error_with_a_place(
    tmp_path: Path, written: bytes, place: str, byte: str
) -> None:
    path = tmp_path / "odd.wcl"
    path.write_bytes(written)
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{place}: not UTF-8 text (byte {byte})\n  save the file as UTF-8"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("# c \\\na = 1\n", [2]),
        ("# c \\\n# d \\\na = 1\n", [3]),
        ("x = 1 # c \\\na = 1\n", [2]),
        # what is a comment anyway, or blank, is not missed
        ("# a = 1, \\\n#     2\n", []),
        ("# c \\\n\na = 1\n", []),
    ],
)
def test_a_line_that_a_comment_swallows_is_told(text: str, hidden: list[int]) -> None:
    warnings = loads(text).warnings
    assert [fault.code for fault in warnings] == ["F019"] * len(hidden)
    assert [fault.location.line for fault in warnings if fault.location] == hidden
