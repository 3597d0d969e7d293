"""The words of a campaign: what a value may look like, by type, read once, at the border (desdm.md §1.7).

A `Kind` reads a `Value` into what the rest of facade works with, or raises `BadWord` with the part that is wrong. A
value written in quotes is one item, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from facade.campaign.model import Hyphen, Ref
from facade.files import COMPRESSIONS, clean_path
from facade.outputs import WHEN
from facade.wcl.tree import Value, did_you_mean

T = TypeVar("T")

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*$")
_UNFIT = re.compile(r"^[^A-Za-z0-9]|[^A-Za-z0-9_.+-]+")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}$")
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}$")
_FACTOR = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?$")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*")
_PART = re.compile(r"([0-9]+)\s*([dhms])\s*", re.IGNORECASE)
_CLOCK = re.compile(r"([0-9]+):([0-5][0-9]):([0-5][0-9])$")
_LIMIT = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)\s*(?::\s*([1-9][0-9]{0,8}))?$")
_RAND = re.compile(r"rand_[0-9]{2}$")
_HDU = re.compile(r"\[[0-9]+\]$")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class BadWord(ValueError):
    """A value, or the part of it *at*, that is not of its type; *reason* says why if the type does not say it all."""

    def __init__(self, at: Value, reason: str = "", remedy: str = "") -> None:
        super().__init__(reason)
        self.at, self.reason, self.remedy = at, reason, remedy


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A type of value: its name in the reference, what a value "must be", how it is written, and how it is read."""

    name: str
    what: str
    spellings: str
    read: Callable[[Value], T]


def _flag(value: Value) -> bool:
    word = value.text.lower()
    if word not in TRUE + FALSE:
        raise BadWord(value)
    return word in TRUE


def _integer(value: Value) -> int:
    if not _INTEGER.match(value.text):
        raise BadWord(value)
    return int(value.text)


def _count(value: Value) -> int:
    if not _COUNT.match(value.text):
        raise BadWord(value)
    return int(value.text)


def _factor(value: Value) -> float:
    if not _FACTOR.match(value.text) or float(value.text) < 1:
        raise BadWord(value)
    return float(value.text)


def _size(default: str) -> Callable[[Value], int]:
    def read(value: Value) -> int:
        number = _SIZE.match(value.text)
        if number is None:
            raise BadWord(value)
        unit = value.text[number.end() :]
        power = _POWERS.get(re.sub(r"i?b$", "", unit.lower()) if unit else default)
        if power is None or (power == 0 and unit.lower() != "b"):
            raise BadWord(value.part(number.end(), len(value.text)), f"'{unit}' is no unit")
        return round(float(number[1]) * float(1024**power))

    return read


def _time(value: Value) -> int:
    text = value.text
    if text.isascii() and text.isdecimal():
        return int(text) * 60
    if clock := _CLOCK.match(text):
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    seconds, position, before = 0, 0, ""
    while part := _PART.match(text, position):
        unit = part[2].lower()
        if before and "dhms".index(unit) <= "dhms".index(before):
            break
        seconds, position, before = seconds + int(part[1]) * _SECONDS[unit], part.end(), unit
    if position < len(text) or not before:
        raise BadWord(value.part(position, len(text)) if before else value)
    return seconds


def _name(value: Value) -> str:
    if not _NAME.match(value.text):
        unfit = _UNFIT.search(value.text)
        raise BadWord(value.part(*unfit.span()) if unfit else value)
    return value.text


def _names(value: Value) -> tuple[str, ...]:
    return tuple(_name(item).lower() for item in value.items())


def _keys(value: Value) -> tuple[str, ...]:
    return tuple(item.text.lower() for item in value.items())


def _list(value: Value) -> tuple[str, ...]:
    return tuple(item.text for item in value.items())


def _text(value: Value) -> str:
    return value.text


def _path(value: Value) -> str:
    if not value.text or not value.text.isprintable():
        raise BadWord(value)
    return value.text


def _below(value: Value) -> str:
    path = clean_path(_path(value))
    if path is None:
        raise BadWord(value)
    return path


def _ref(value: Value) -> Ref:
    """Read ``file.x``, ``list.l`` or ``list.l.x``; a trailing ``[n]`` (an HDU) is dropped."""
    parts = _HDU.sub("", value.text.strip().lower()).split(".")
    if parts[0] == "file" and len(parts) == 2 and parts[1]:
        return Ref("file", parts[1])
    if parts[0] == "list" and len(parts) in (2, 3) and all(parts):
        return Ref("list", parts[1], parts[2] if len(parts) == 3 else "")
    raise BadWord(value, f"'{value.text.strip()}' names no file or list")


def _refs(value: Value) -> tuple[Ref, ...]:
    return tuple(_ref(item) for item in value.items())


def _order(value: Value) -> tuple[tuple[str, bool], ...]:
    """Read ``KEY, KEY:desc``: (key, whether the largest comes first)."""
    found = []
    for item in value.items():
        key, colon, way = item.text.lower().partition(":")
        if colon and way.strip() not in ("asc", "desc"):
            raise BadWord(item.part(len(key) + 1, len(item.text)), f"'{way}' is no direction")
        found.append((key.strip(), way.strip() == "desc"))
    return tuple(found)


def _limits(value: Value) -> tuple[tuple[str, int], ...]:
    """Read ``NAME, NAME:NUMBER``."""
    found = []
    for item in value.items():
        limit = _LIMIT.match(item.text)
        if limit is None:
            raise BadWord(item)
        found.append((limit[1], int(limit[2] or 1)))
    return tuple(found)


def _save(value: Value) -> str:
    word = value.text.lower()
    if word not in ("always", "failure", "file", "never") and not _RAND.match(word):
        raise BadWord(value)
    return word


def _junk(value: Value) -> str:
    word = value.text.lower()
    if word in TRUE + FALSE:
        return WHEN[-1] if word in TRUE else WHEN[0]
    if word not in WHEN:
        raise BadWord(value)
    return word


def _section(value: Value) -> str:
    raise BadWord(value, "it is a value here")


def choice(*words: str) -> Kind[str]:
    """Return the type of a value that is one of *words*, case-blind."""

    def read(value: Value) -> str:
        if value.text.lower() not in words:
            raise BadWord(value, remedy=did_you_mean(value.text.lower(), words))
        return value.text.lower()

    what = f"{', '.join(words[:-1])} or {words[-1]}"
    return Kind("|".join(words), what, "", read)


AT_SUBMISSION = "submission"
LATE = choice(AT_SUBMISSION, "late")
BOOL = Kind("bool", "true or false", f"write {', '.join(TRUE)}, or {', '.join(FALSE)}; case makes no difference", _flag)
INT = Kind("int", "a whole number", "write digits, with - in front if it is below zero", _integer)
COUNT = Kind("count", "a whole number from 1", "write at most 9 digits", _count)
FACTOR = Kind("factor", "a number from 1", "write 2, or 1.5", _factor)
SIZE = Kind("size", "a size", "write 8GB, 512 MB, 1.5GiB; KB, MB, GB, TB are powers of 1024; 512 is 512 MB", _size("m"))
DISK = Kind("disk", "a size", "write 8GB, 512 MB, 1.5GiB; KB, MB, GB, TB are powers of 1024; 512 is 512 KB", _size("k"))
"""As HTCondor: a plain number of request_memory is megabytes, one of request_disk kilobytes."""
TIME = Kind("time", "a time", "write 1d, 2h, 90m, 45s, 1h30m, 01:30:00; 90 is 90 minutes", _time)
"""A plain number is minutes: what the original made of ``jobwalltime`` (it was multiplied by 60 for HTCondor)."""
NAME = Kind("name", "a name", "write letters, digits, '_', '.', '+' and '-', the first a letter or digit", _name)
NAMES = Kind("names", "a list of names", NAME.spellings, _names)
KEYS = Kind("keys", "a list of keys", "write KEY, KEY", _keys)
LIST = Kind("list", "a list", "write one, two; an item that holds a comma stands in quotes", _list)
ORDER = Kind("order", "a list of keys", "write KEY, or KEY:desc for the largest first", _order)
LIMITS = Kind("limits", "a list of limits", "write NAME, or NAME:NUMBER if a job counts more than once", _limits)
TEXT = Kind("text", "a text", "write any text; ${name} is replaced", _text)
PATH = Kind("path", "a path", "write the path of a file or folder", _path)
BELOW = Kind("relative path", "a relative path", "write a path without / in front and without '..'", _below)
REF = Kind("reference", "a reference", "write file.NAME, list.NAME or list.NAME.FILE", _ref)
REFS = Kind("references", "a list of references", REF.spellings, _refs)
FILEPAT = Kind("file pattern", "the name of a filename pattern", "define it in <filename_pattern>", _text)
DIRPAT = Kind("directory pattern", "the name of a directory pattern", "define it in <directory_pattern>", _text)
SECTION = Kind("section", "a section", "write <name> and </name> on lines of their own", _section)

HYPHEN = choice(*[style.value for style in Hyphen])
LIST_FORMAT = choice("textsp", "textcsv", "texttab")
QUERY_OUTPUT = choice("wcl", "json")
LEVEL = choice("1", "2", "3")
ARGUMENTS = Kind("arguments", "arguments", "write words, ${__UCFILE__} for the file", _text)
SUFFIX = choice(*COMPRESSIONS)
SAVE = Kind("policy", "always, failure, file, never or rand_ with two digits", "", _save)
JUNK = Kind("when", "never, failure, always, true or false", "true is always, false never", _junk)

KINDS: tuple[Kind[Any], ...] = (
    BOOL, INT, COUNT, FACTOR, SIZE, DISK, TIME, NAME, NAMES, KEYS, ORDER, LIST, LIMITS, TEXT, PATH, BELOW, REF, REFS,
    FILEPAT, DIRPAT, ARGUMENTS, SECTION,
)  # fmt: skip
"""Every type that has a name; a choice is its own name."""
