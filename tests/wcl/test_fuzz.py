"""Campaigns broken at random, and bytes that are none: ``facade check`` says what is wrong, and no more happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import text
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from facade.campaign import read
from facade.cli import run_command
from facade.cli.context import site
from facade.errors import CampaignError
from facade.wcl import loads

WHOLE = text().split("\n")
WORDS = sorted(set(re.findall(r"[\w.]+|\$\{[^}]*\}|\S", text())))
ODD = [
    "",
    "${",
    "}",
    "${a",
    "${${visit}}",
    "${visit:3}",
    "$opt{x}",
    "$HEAD{f,K}",
    "$FUNC{f,a}",
    "$FMT{%d,a.b}",
    "(1:3)",
    "(",
]
ODD += [
    "5:3,1",
    '""',
    '"',
    "'a, b'",
    "\\",
    "#",
    "\\#",
    "= ",
    "<x>",
    "</x>",
    "<module reduce>",
    "<a b>",
    "1e999",
    "9" * 400,
]
ODD += [
    "-1",
    ",",
    "..",
    ".",
    "file.",
    "list..x",
    "file.raw:",
    ":",
    "\x00",
    "\u2028",
    "é",
    "a" * 300,
    "/",
    "../..",
    "True",
]
ODD += ["%d", "{", "_1", "exec_99999999999"]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "move", "word", "value", "key", "insert", "append", "truncate"]),
        st.integers(0, len(WHOLE) - 1),
        st.integers(0, len(WHOLE) - 1),
        st.sampled_from(ODD) | st.sampled_from(WORDS) | st.text(max_size=5),
    ),
    min_size=1,
    max_size=5,
)


def changed(changes: list[tuple[str, int, int, str]]) -> str:
    """Return the small campaign after some changes, each of one line, or of the word at a place in it."""
    lines = list(WHOLE)
    for kind, place, other, word in changes:
        at = place % max(1, len(lines))
        line = lines[at] if lines else ""
        key, equals, _ = line.partition("=")
        match kind:
            case "drop":
                del lines[at : at + 1]
            case "double":
                lines.insert(at, line)
            case "move":
                del lines[at : at + 1]
                lines.insert(other % max(1, len(lines)), line)
            case "word":
                found = list(re.finditer(r"[\w.]+|\S", line))
                start, end = found[other % len(found)].span() if found else (0, 0)
                lines[at : at + 1] = [line[:start] + word + line[end:]]
            case "value":
                lines[at : at + 1] = [f"{key}{equals} {word}"]
            case "key":
                lines[at : at + 1] = [line.replace(key.strip(), word, 1)]
            case "insert":
                lines.insert(at, word)
            case "append":
                lines[at : at + 1] = [line + word]
            case "truncate":
                lines = lines[: max(at, 1)] if other % 5 == 0 else lines
    return "\n".join(lines)


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_a_campaign_broken_at_random_is_read_or_refused(changes: list[tuple[str, int, int, str]]) -> None:
    whole = changed(changes)
    try:
        campaign = read(loads(whole, "c.wcl"))
    except CampaignError as error:
        faults = error.faults
        assert any(fault.severity == "error" for fault in faults)
    else:
        faults = tuple(campaign.warnings)
        assert all(fault.severity != "error" for fault in faults)
    lines = re.split(r"\r\n|\r|\n", whole)
    for fault in faults:
        assert str(fault) and fault.message and re.fullmatch(r"F\d{3}", fault.code)
        place = fault.location
        if place is not None and place.file == "c.wcl" and fault.excerpt:
            assert fault.excerpt == lines[place.line - 1]
            assert place.column >= 1 and place.column - 1 + fault.width <= max(1, len(fault.excerpt))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FACADE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    site.cache_clear()
    yield tmp_path
    site.cache_clear()


PIECES = [
    b"<a>",
    b"</a>",
    b"a = 1",
    b"\n",
    b"\r",
    b"\\",
    b"\xff",
    b"\x00",
    b"\xc3",
    b"'",
    b'"',
    b"#",
    b"\xef\xbb\xbf",
    b" ",
]
PIECES += [b"\xf0\x9f", b"<module m>", b"blocklist = b", b"modulelist = m", b"<block>", b"${a}", b"<<include c.wcl>>"]
BYTES = st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BYTES)
@example(b"project = x\n" * 1000)
def test_bytes_that_are_no_campaign_are_refused_by_check(home: Path, written: bytes) -> None:
    (home / "c.wcl").write_bytes(written)
    assert run_command(["check", "c.wcl"]) == 2
    assert not list(home.glob("facade-crash-*"))
