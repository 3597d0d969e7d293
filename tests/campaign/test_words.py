"""What a value of each type may look like, and which part of it is wrong if it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.campaign import Ref, words
from facade.campaign.words import KINDS, BadWord, Kind, choice
from facade.errors import Location
from facade.wcl.tree import Value

PLACE = Location("c.wcl", 1)
MB = 1024**2


def value(text: str) -> Value:
    return Value(text, PLACE, PLACE)


GOOD: list[tuple[Kind[Any], str, object]] = [
    *[(words.BOOL, text, True) for text in ("true", "T", "Yes", "y", "1", "TRUE")],
    *[(words.BOOL, text, False) for text in ("false", "f", "NO", "n", "0")],
    (words.INT, "-7", -7),
    (words.INT, "+007", 7),
    (words.COUNT, "007", 7),
    (words.SIZE, "512", 512 * MB),
    (words.SIZE, "512 MB", 512 * MB),
    (words.SIZE, "8GB", 8192 * MB),
    (words.SIZE, "8g", 8192 * MB),
    (words.SIZE, "2GiB", 2048 * MB),
    (words.SIZE, "1.5 TB", 3 * 512 * 1024 * MB),
    (words.SIZE, "7B", 7),
    (words.SIZE, "0", 0),
    (words.DISK, "2048", 2 * MB),
    (words.DISK, "2048 MB", 2048 * MB),
    (words.TIME, "2h", 7200),
    (words.TIME, "90m", 5400),
    (words.TIME, "1h30m", 5400),
    (words.TIME, "1H 30M", 5400),
    (words.TIME, "45s", 45),
    (words.TIME, "1d2h3m4s", 93784),
    (words.TIME, "01:30:00", 5400),
    (words.TIME, "100:00:01", 360001),
    (words.TIME, "90", 5400),
    (words.NAME, "Ht0_a.b+c-d", "Ht0_a.b+c-d"),
    (words.NAMES, "One, two ,three", ("one", "two", "three")),
    (words.KEYS, "Visit, ccd", ("visit", "ccd")),
    (words.LIST, "a, B c,", ("a", "B c")),
    (words.PATH, "/data/a b", "/data/a b"),
    (words.BELOW, "a/./b//c", "a/b/c"),
    (words.REF, "file.Raw[0]", Ref("file", "raw")),
    (words.REF, "list.l", Ref("list", "l")),
    (words.REFS, "list.l.x, file.y", (Ref("list", "l", "x"), Ref("file", "y"))),
    (choice("a", "b"), "B", "b"),
]

BAD: list[tuple[Kind[Any], str, str]] = [
    (words.BOOL, "on", "on"),
    (words.INT, "1.0", "1.0"),
    (words.INT, "١", "١"),
    (words.INT, "9" * 19, "9" * 19),
    (words.COUNT, "0", "0"),
    (words.COUNT, "-1", "-1"),
    (words.COUNT, "9" * 10, "9" * 10),
    (words.SIZE, "8 XB", "XB"),
    (words.SIZE, "8 G B", "G B"),
    (words.SIZE, "8 iB", "iB"),
    (words.SIZE, "big", "big"),
    (words.SIZE, "-1GB", "-1GB"),
    (words.TIME, "3h20x", "20x"),
    (words.TIME, "20m3h", "3h"),
    (words.TIME, "1h1h", "1h"),
    (words.TIME, "1:30", "1:30"),
    (words.TIME, "1:60:00", "1:60:00"),
    (words.TIME, "soon", "soon"),
    (words.NAME, "a b", " "),
    (words.NAME, "-a", "-"),
    (words.NAME, "a/§b", "/§"),
    (words.NAMES, "one, t o", " "),
    (words.PATH, "a\tb", "a\tb"),
    (words.BELOW, "/a", "/a"),
    (words.BELOW, "a/../b", "a/../b"),
    (words.REF, "raw", "raw"),
    (words.REF, "file.", "file."),
    (words.REF, "file.a.b", "file.a.b"),
    (words.REFS, "file.a, list.", "list."),
    (choice("ab", "cd"), "ef", "ef"),
]


def _called(value: object) -> str:
    """Return what a parameter is called: the same in every process."""
    return value.name if isinstance(value, Kind) else str(value)


@pytest.mark.parametrize(("kind", "text", "expected"), GOOD, ids=_called)
def test_a_word_is_read(kind: Kind[Any], text: str, expected: object) -> None:
    assert kind.read(value(text)) == expected


@pytest.mark.parametrize(("kind", "text", "wrong"), BAD, ids=_called)
def test_what_is_wrong_with_a_word_is_shown(kind: Kind[Any], text: str, wrong: str) -> None:
    with pytest.raises(BadWord) as caught:
        kind.read(value(text))
    assert caught.value.at.text == wrong
    assert text[caught.value.at.location.column - 1 :].startswith(wrong)


def test_a_choice_says_which_word_was_perhaps_meant() -> None:
    with pytest.raises(BadWord) as caught:
        choice("wrapper", "never").read(value("wraper"))
    assert caught.value.remedy == "did you mean 'wrapper'?"


@given(st.sampled_from(KINDS), st.text(max_size=30))
def test_any_text_is_read_or_refused(kind: Kind[Any], text: str) -> None:
    try:
        kind.read(value(text))
    except BadWord as bad:
        assert bad.at.text in text


@given(*[st.integers(0, 10**6)] * 4)
def test_times_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    whole = words.TIME.read(value(f"{days}d{hours}h{minutes}m{seconds}s"))
    assert whole == 86400 * days + 3600 * hours + 60 * minutes + seconds
    assert words.TIME.read(value(f"{hours}:{minutes % 60:02d}:{seconds % 60:02d}")) == (
        3600 * hours + 60 * (minutes % 60) + seconds % 60
    )


@given(
    st.integers(0, 10**6), st.sampled_from("kmgt"), st.sampled_from(["", "b", "B", "iB"]), st.sampled_from(["", " "])
)
def test_sizes_are_powers_of_1024(number: int, unit: str, tail: str, blank: str) -> None:
    assert words.SIZE.read(value(f"{number}{blank}{unit}{tail}")) == number * 1024 ** (" kmgt".index(unit))
