"""Texts that nobody means: they end in a fault, soon, and never in a traceback.

What takes too long is found by doubling twice: four times the text may take a little more than four times as long.
"""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facade.cli import run_command
from facade.cli.context import site
from facade.errors import CampaignError
from facade.wcl import BadReference, MissingVariable, Scope, Section, Value, dumps, listed, load, loads

MB = 1_000_000
TEXTS: dict[str, Callable[[int], str]] = {
    "a long value": lambda n: "a = " + "x" * n,
    "a long word alone": lambda n: "x" * n,
    "equals signs": lambda n: "=" * n,
    "a value of equals signs": lambda n: "a" + "=" * n,
    "equals signs and blanks": lambda n: "= " * (n // 2),
    "blanks in a line": lambda n: "a" + " " * n + "b",
    "blanks before an equals sign": lambda n: "a" + " " * n + "=",
    "double quotes": lambda n: "a = " + '"' * n,
    "single quotes": lambda n: "a = " + "'" * n,
    "equals signs and quotes": lambda n: "=\"='" * (n // 4),
    "a quoted value": lambda n: 'a = "' + "x y" * (n // 3) + '"',
    "backslashes": lambda n: "a = " + "\\" * n + "x",
    "escapes": lambda n: 'a = "' + '\\"' * (n // 2) + '"',
    "escapes that end nowhere": lambda n: 'a = "' + '\\"' * (n // 2),
    "hashes": lambda n: "a = " + "#" * n,
    "escaped hashes": lambda n: "a = " + "\\#" * (n // 2),
    "angle brackets": lambda n: "<" * n,
    "includes that do not end": lambda n: "<<include x " * (n // 12),
    "ends and includes that do not end": lambda n: ">>" + "<<include x " * (n // 12),
    "an include of blanks": lambda n: "<<include" + " " * n + "x",
    "blanks in an include": lambda n: "<<include x" + " " * n + ">",
    "functions that do not end": lambda n: "<<inclfunc f(" * (n // 13),
    "a long function": lambda n: "<<inclfunc " + "f" * n + " " * n + "(",
    "continued lines": lambda n: "a = " + "x,\\\n" * (n // 4),
    "continued lines with escaped hashes": lambda n: "a = " + "x\\#,\\\n" * (n // 6),
    "continued lines with escapes": lambda n: 'a = "' + 'x\\"\\\n' * (n // 5) + '"',
    "continued lines with nothing": lambda n: "a = x" + "\\\n" * (n // 2),
    "continued lines behind a comment": lambda n: "a = x # c\\\n" + "\\\n" * (n // 2),
    "one key": lambda n: "a = 1\n" * (n // 6),
    "many keys": lambda n: "".join(f"a{i} = 1\n" for i in range(n // 10)),
    "many sections": lambda n: "".join(f"<a{i}>\n</a{i}>\n" for i in range(n // 20)),
    "sections that are never closed": lambda n: "".join(f"<a{i}>\n" for i in range(n // 8)),
    "closed otherwise": lambda n: "".join(f"<a{i}>\n" for i in range(n // 14)) + "</zz>\n" * (n // 14),
    "lonely words": lambda n: "word\n" * (n // 5),
}

LATE = frozenset({"late"})
SCOPE = Scope(Section(), {"v": "x" * 100}, late=LATE, functions=lambda name: len)
CALLS: dict[str, Callable[[int], Callable[[], object]]] = {
    "items": lambda n: value("x, " * (n // 3)).items,
    "items on continued lines": lambda n: value("x,\\\n" * (n // 4)).items,
    "items of dollars": lambda n: value("$" * n).items,
    "items of references that do not end": lambda n: value("$x${" * (n // 4)).items,
    "items of blanks": lambda n: value("x" + " " * n + ", b").items,
    "a list": lambda n: lambda: listed("x, " * (n // 3) + "y"),
    "a list of quotes": lambda n: lambda: listed("'" * n + ","),
    "a list of odd quotes": lambda n: lambda: listed("a" + ",'x" * (n // 3)),
    "a list of both quotes": lambda n: lambda: listed("'\"," * (n // 3)),
    "a list of brackets": lambda n: lambda: listed("(" * n + ")" * n),
    "a list of colons": lambda n: lambda: listed("1:" * (n // 2) + "a,b"),
    "a word": lambda n: SCOPE.compile("x" * n).words,
    "words": lambda n: SCOPE.compile("x " * (n // 2)).words,
    "a word in quotes": lambda n: SCOPE.compile('"' + "x" * n + '"').words,
    "words of quotes": lambda n: SCOPE.compile("'" * n + '"').words,
    "words of backslashes": lambda n: SCOPE.compile('"' + "\\" * n).words,
    "references": lambda n: lambda: SCOPE.compile(("y" * (n // 9000) + "${v}") * 9000),
    "late references": lambda n: lambda: SCOPE.compile(("y" * (n // 9000) + "${late}") * 9000).format({"late": 1}),
    "braces": lambda n: lambda: SCOPE.compile("${" * (n // 2)),
    "a long name": lambda n: lambda: SCOPE.compile("${" * 90 + "v" * n + "}" * 90),
    "arguments": lambda n: lambda: SCOPE.compile("$FUNC{f" + ",a" * (n // 2) + "}"),
    "writing": lambda n: lambda: dumps(tree('"\\x' * (n // 3))),
}


def value(text: str) -> Value:
    found = loads(f"a = {text}").root.value("a")
    assert found is not None
    return found


def tree(text: str) -> Section:
    root = loads("a = 1").root
    root.set("a", Value(text, root.location, root.location))
    return root


def seconds(call: Callable[[], object]) -> float:
    """Return the CPU time of a call, which may end in one of the errors that it says."""
    gc.disable()
    began = time.process_time()
    try:
        call()
    except (CampaignError, BadReference, MissingVariable):
        pass
    finally:
        took = time.process_time() - began
        gc.enable()
    return took


def is_about_linear(call: Callable[[int], Callable[[], object]]) -> None:
    size = 40_000
    for _ in range(3):
        short, long = seconds(call(size)), seconds(call(4 * size))
        if long < 7 * short + 0.05:
            return
    raise AssertionError(f"{short:.3f} s for {size} characters, but {long:.3f} s for {4 * size}")


@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS)
def test_reading_takes_time_in_proportion(make: Callable[[int], str]) -> None:
    def call(size: int) -> Callable[[], object]:
        text = make(size)
        return lambda: loads(text)

    is_about_linear(call)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_working_with_a_value_takes_time_in_proportion(call: Callable[[int], Callable[[], object]]) -> None:
    is_about_linear(call)


@pytest.mark.parametrize("unit", ["x", " x", '"', "'", "\\", "=", "#", "$", "${", "(", ",", "<", "é"])
def test_a_line_of_ten_megabytes_is_read(unit: str) -> None:
    text = f"a = b{unit * (10 * MB // len(unit))}c"
    tracemalloc.start()
    try:
        assert seconds(lambda: loads(text)) < 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(text.encode())
    found = loads(text).root.value("a")
    assert found is not None
    assert len(found.text) == (1 if unit == "#" else len(text) - 4)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_value_of_ten_megabytes_is_read_and_written(quote: str) -> None:
    text = "x, y" * (10 * MB // 4)
    root = loads(f"a = {quote}{text}{quote}").root
    assert root.text("a") == text
    assert loads(dumps(root)).root == root
    assert Scope(root).compile("${a} b").words()[0].literal == text


def test_a_text_that_grows_without_measure_is_refused() -> None:
    root = loads(f"a = {'x' * MB}\nb = {'${a}' * 1000}\nc = {'${b}' * 9}").root
    with pytest.raises(BadReference) as caught:
        Scope(root).resolve("${c}")
    assert caught.value.code == "F104"


class TestFiles:
    """What is no campaign is told as such, with exit code 2, whichever way it is broken."""

    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setenv("FACADE_HOME", str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path)
        site.cache_clear()
        yield tmp_path
        site.cache_clear()

    @pytest.mark.parametrize(
        ("written", "code"),
        [
            (b"", "F201"),
            (b"\xff\xfe", "not UTF-8 text (byte 0xff)"),
            ("project = x\n".encode("utf-16"), "not UTF-8 text (byte 0xff)"),
            ("project = x\n".encode("utf-16-le"), "F023"),
            (b"project = \xe9\n", "not UTF-8 text (byte 0xe9)"),
            (b"project = \xf0\x9f\n", "not UTF-8 text (byte 0xf0)"),
            (b"a = \x00\n", "F023"),
            (b"\xef\xbb\xbf<a>\r\n", "F001"),
            (b"<a>\rb = 1\r</b>\r", "c.wcl:3:1: error: </b> does not close <a>, opened at line 1 [F004]"),
            (b"<a>\n" * 5000, "F005"),
            (b"<a>\n<b>\n" * 5000, "F006"),
            (b"</a>\n" * 5000, "F003"),
            (b"a = ${b}\nb = ${a}\nreqnum = ${a}\n", "F103"),
            (b"reqnum = " + b"${" * 5000 + b"\n", "F102"),
            (b"reqnum = " + b"${" * 5000 + b"a" + b"}" * 5000 + b"\n", "F104"),
            (b"<<include nowhere.wcl>>\n", "F010"),
            (b"<<include .>>\n", "F010"),
            (b"<<include /dev/zero>>\n", "F010"),
            (b"<<include pipe>>\n", "F010"),
            (b"<<include " + b"x" * 10000 + b">>\n", "F010"),
            (b"<<include a\x00b>>\n", "F010"),
            (b"<<include ~nobody-at-all/x>>\n", "F010"),
            (b"<<include latin1.wcl>>\n", "F010"),
            (b"<<include c.wcl>>\n", "F011"),
            (b"<<include ${a}>>\n", "F013"),
            (b"<<inclfunc os.system(a)>>\na = rm\n", "F017"),
            (bytes(range(256)), "not UTF-8 text (byte 0x80)"),
            (bytes(range(128)), "F023"),
        ],
    )
    def test_check_says_what_is_wrong(
        self, home: Path, capsys: pytest.CaptureFixture[str], written: bytes, code: str
    ) -> None:
        (home / "latin1.wcl").write_bytes(b"a = \xe9\n")
        os.mkfifo(home / "pipe")
        (home / "c.wcl").write_bytes(written)
        assert run_command(["check", "c.wcl"]) == 2
        told = capsys.readouterr()
        assert code in told.err and "Traceback" not in told.err
        assert told.out == ""

    def test_a_directory_and_a_file_that_may_not_be_read(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (home / "loop.wcl").symlink_to("loop.wcl")
        assert run_command(["check", ".", "loop.wcl", "x" * 5000]) == 2
        told = capsys.readouterr().err
        assert "Is a directory" in told and "symbolic link" in told and "File name too long" in told

    def test_an_include_that_leads_back_through_a_link_ends(self, home: Path) -> None:
        (home / "a.wcl").write_text("<<include b.wcl>>\n")
        (home / "b.wcl").symlink_to("a.wcl")
        with pytest.raises(CampaignError) as caught:
            load("a.wcl")
        assert caught.value.faults[0].code == "F011"
