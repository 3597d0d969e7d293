"""What an operator reads when a WCL text is wrong: message, excerpt, caret and remedy, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from facade.errors import CampaignError, InputError
from facade.wcl import load, loads

CASES = {
    "never closed": (
        "a = 1\n<block>\n    <b1>\n    </b1>\n",
        """x.wcl:2:1: error: section <block> is never closed
    <block>
    ^
  add </block> where it ends""",
    ),
    "closed across": (
        "<block>\n  <b1>\n</block>\n",
        """x.wcl:3:1: error: </block> does not close <b1>, opened at line 2
    </block>
    ^^^^^^^^
  close <b1> first""",
    ),
    "misspelt close": (
        "<block>\n  <b1>\n  </b11>\n  </b1>\n</block>\n",
        """x.wcl:3:3: error: </b11> does not close <b1>, opened at line 2
      </b11>
      ^^^^^^
  was </b1> meant?""",
    ),
    "closes nothing": (
        "</file>\n",
        """x.wcl:1:1: error: </file> closes nothing: no section is open
    </file>
    ^^^^^^^
  remove it""",
    ),
    "missing slash": (
        "<list>\na = 1\n<list>\n</list>\n</list>",
        """x.wcl:3:1: error: <list> directly inside <list>
    <list>
    ^^^^^^
  was </list> meant?""",
    ),
    "text after a header": (
        "\t<x> = 1\n",
        """x.wcl:1:2: error: '<x> = 1' neither opens nor closes a section
    \t<x> = 1
    \t^^^^^^^
  write <name> or <name label> to open a section and </name> to close it, on lines of their own""",
    ),
    "value over section": (
        "<s>\n</s>\ns = 1\n",
        """x.wcl:3:1: error: 's' is a section, opened at line 1; it cannot be a value too
    s = 1
    ^
  rename one of the two""",
    ),
    "section over value": (
        "s = 1\n<s>\n</s>\n",
        """x.wcl:2:1: error: 's' has a value, given at line 1; it cannot be a section too
    <s>
    ^^^
  rename one of the two""",
    ),
    "function": (
        "  <<inclfunc a.b(c)>>\n",
        """x.wcl:1:3: error: <<inclfunc>> is not read yet
      <<inclfunc a.b(c)>>
      ^^^^^^^^^^^^^^^^^^^
  put the values themselves into an included file""",
    ),
    "include where none may be": (
        "<<include a.wcl>>",
        """x.wcl:1:11: error: this text may not include others
    <<include a.wcl>>
              ^^^^^""",
    ),
    "two at once": (
        "<a>\n</b>\n<<inclfunc f(x)>>\n",
        """x.wcl:1:1: error: section <a> is never closed
    <a>
    ^
  add </a> where it ends
x.wcl:2:1: error: </b> does not close <a>, opened at line 1
    </b>
    ^^^^
  was </a> meant?
x.wcl:3:1: error: <<inclfunc>> is not read yet
    <<inclfunc f(x)>>
    ^^^^^^^^^^^^^^^^^
  put the values themselves into an included file""",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_a_fault_reads(text: str, expected: str) -> None:
    with pytest.raises(CampaignError) as caught:
        loads(text, "x.wcl")
    assert str(caught.value) == expected
    assert caught.value.exit_code == 2


def test_a_warning_reads() -> None:
    (warning,) = loads("a = 1\n  key =  # later\n", "x.wcl").warnings
    assert str(warning) == (
        "x.wcl:2:3: warning: 'key =' has no value: the line is ignored\n      key =  # later\n      ^^^^^"
    )


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path / "none.wcl")
    assert str(caught.value) == f"{tmp_path}/none.wcl: No such file or directory\n  give the path of a WCL file"
    (tmp_path / "latin1.wcl").write_bytes(b"a = \xe9\n")
    with pytest.raises(InputError, match=r"latin1.wcl: not UTF-8 text \(byte 4\)"):
        load(tmp_path / "latin1.wcl")
