"""What operators ask of a column, as a condition of SQLAlchemy Core with every value bound (desdm.md §2.4).

A wanted value is a scalar (equal), a sequence (any of its elements, each taken as it is: ``["8,6"]`` is one patch),
None (no value), or a text with the operators of the generic query:

    a,b        any of them                 1:5        from 1 to 5, both included
    abc%       like: % is any text         null       no value
    !…         not …                       !a,!b      neither
    a%,!ab%,5:7,null                       any of those that want, and none of those that do not

Numbers compare as numbers, texts character by character whatever the database's language is. As everywhere in SQL, what
has no value fits ``null`` and nothing else, ``!9`` neither. An item in quotes, and any character behind a backslash, is
taken as it is: ``"8,6"`` is one patch, ``100\\%`` one text. There are no regular expressions.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from facade.errors import InputError

Column = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]

REGEX = frozenset("*^$[]&")
"""Characters that made a value a regular expression in the original."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}$")
_LARGEST = 2**63
_WORDS = {"true": True, "t": True, "yes": True, "y": True, "1": True,
          "false": False, "f": False, "no": False, "n": False, "0": False}  # fmt: skip
Item = list[tuple[str, bool]]
"""The characters of an item, each with whether it is to be taken as it is."""


def condition(column: Column, name: str, value: object) -> Condition:
    """Return what *value* asks of *column* (see the head of this module); *name* is what messages call it.

    Raises:
        InputError: the value cannot be read, or the column cannot be compared with it.
    """
    if value is None:
        return column.is_(None)
    if isinstance(value, str):
        return _operators(column, name, value)
    if isinstance(value, Sequence | set | frozenset):
        chosen = _any_of(column, [_typed(column, name, one) for one in value if one is not None])
        return sa.or_(chosen, column.is_(None)) if None in value else chosen
    return _equal(column, _typed(column, name, value))


def collated(column: Column) -> Column:
    """Return *column* such that texts are ordered by their characters, not by the database's language."""
    return sa.collate(column, "C") if isinstance(column.type, sa.Text) else column


def _operators(column: Column, name: str, text: str) -> Condition:
    wanted: list[Condition] = []
    plain: list[object] = []
    unwanted: list[Condition] = []
    for item in _items(name, text):
        negated = item[:1] == [("!", False)]
        characters = _trimmed(item[1:]) if negated else item
        if not characters:
            raise InputError(f"{name} is compared with '{text}', which has an empty item", remedy=_EMPTY)
        if negated:
            unwanted.append(sa.not_(_one(column, name, characters)))
        elif _is_plain(column, characters):
            plain.append(_typed(column, name, _text(characters)))
        else:
            wanted.append(_one(column, name, characters))
    if plain:
        wanted.append(_equal(column, plain[0]) if len(plain) == 1 else _any_of(column, plain))
    return sa.and_(*([sa.or_(*wanted)] if wanted else []), *unwanted)


_EMPTY = 'write null for no value, "" for an empty text, or remove the comma'
_MARK: tuple[str, bool] = ("", True)
"""Stands in a quoted item, so that it differs from one where nothing is written."""


def _items(name: str, text: str) -> list[Item]:
    """Split at commas; quotes hold a whole item, a backslash takes the meaning from what follows it."""
    items: list[Item] = [[]]
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            position += 1
            items[-1].append((text[position], True))
        elif character in "'\"" and _begins(items[-1]):
            end = text.find(character, position + 1)
            after = text[end + 1 :].lstrip() if end > 0 else ""
            if end < 0 or (after and not after.startswith(",")):
                message = f"{name} is compared with '{text}': a quote holds a whole item of the list"
                raise InputError(message, remedy=f"put \\ before a {character} that belongs to the value")
            items[-1] += [_MARK, *((one, True) for one in text[position + 1 : end])]
            position = end
        elif character == ",":
            items.append([])
        else:
            items[-1].append((character, False))
        position += 1
    return [_trimmed(item) for item in items]


def _begins(item: Item) -> bool:
    """Say whether nothing is written in *item* so far, or but an exclamation mark."""
    written = islice((character for character, _ in item if not character.isspace()), 2)
    return list(written) in ([], [""], ["!"])


def _trimmed(item: Item) -> Item:
    """Return *item* without the blanks around it, unless they are to be taken as they are."""
    first, last = 0, len(item)
    while first < last and item[first][0].isspace() and not item[first][1]:
        first += 1
    while last > first and item[last - 1][0].isspace() and not item[last - 1][1]:
        last -= 1
    return item[first:last]


def _text(item: Item) -> str:
    return "".join([character for character, _ in item])


def _has(item: Item, character: str) -> bool:
    return (character, False) in item


def _is_null(item: Item) -> bool:
    return _text(item).lower() == "null" and not any(as_it_is for _, as_it_is in item)


def _is_plain(column: Column, item: Item) -> bool:
    """Tell whether an item asks for one value and no more."""
    return not (_is_null(item) or _has(item, "%") or _range(column, item) or any(_has(item, c) for c in REGEX))


def _one(column: Column, name: str, item: Item) -> Condition:
    if _is_null(item):
        return column.is_(None)
    text = _text(item)
    if found := next((character for character in text if character in REGEX and _has(item, character)), None):
        raise InputError(
            f"{name} is compared with '{text}': '{found}' looks like a regular expression, and there are none",
            remedy="write % for any text, commas between alternatives, a:b for a range; or put the value in quotes",
        )
    if bounds := _range(column, item):
        low, high = (_typed(column, name, bound) for bound in bounds)
        if low > high:
            message = f"{name} is compared with '{text}', a range that holds nothing"
            raise InputError(message, remedy=f"write {bounds[1]}:{bounds[0]}")
        within: Condition = collated(column).between(low, high)
        return within
    if _has(item, "%"):
        pattern = "".join(c if c == "%" and not as_it_is else _ESCAPED.get(c, c) for c, as_it_is in item)
        return sa.cast(column, sa.Text).like(_typed(sa.column("", sa.Text), name, pattern), escape="\\")
    return _equal(column, _typed(column, name, text))


_ESCAPED = {"%": "\\%", "_": "\\_", "\\": "\\\\"}


def _range(column: Column, item: Item) -> tuple[str, str] | None:
    """Split ``a:b``; times hold colons themselves, so there only a colon between two times counts."""
    colons = [at for at, one in enumerate(item) if one == (":", False)]
    times = isinstance(column.type, sa.DateTime)
    for at in colons if times or len(colons) == 1 else ():
        low, high = _trimmed(item[:at]), _trimmed(item[at + 1 :])
        if low and high and (not times or (_is_time(_text(low)) and _is_time(_text(high)))):
            return _text(low), _text(high)
    return None


def _equal(column: Column, value: object) -> Condition:
    equal: Condition = column == value
    return equal


def _any_of(column: Column, values: Sequence[object]) -> Condition:
    """Return ``column = any(array)``: one parameter, however many values there are."""
    kind = sa.BigInteger() if isinstance(column.type, sa.Integer) else column.type
    return column == sa.any_(sa.cast(sa.literal(list(values), postgresql.ARRAY(kind)), postgresql.ARRAY(kind)))


def _is_time(text: str) -> bool:
    try:
        _time(text)
    except (ValueError, OverflowError):
        return False
    return True


def _integer(value: object) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or _INTEGER.match(str(value))):
        raise ValueError
    number = int(str(value))
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError
    return number


def _float(value: object) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and not value.isascii()) or "_" in str(value):
        raise ValueError
    return float(str(value))


def _truth(value: object) -> bool:
    return value if isinstance(value, bool) else _WORDS[str(value).lower()]


def _date(value: object) -> datetime.date:
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value))


def _time(value: object) -> datetime.datetime:
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _plain(value: object) -> str:
    text = str(value)
    text.encode()
    if "\0" in text:
        raise ValueError
    return text


_READERS: tuple[tuple[type, Callable[[object], Any], str], ...] = (
    (sa.Boolean, _truth, "true or false"),
    (sa.Integer, _integer, "a whole number"),
    (sa.Float, _float, "a number"),
    (sa.DateTime, _time, "a time"),
    (sa.Date, _date, "a date"),
    (sa.Text, _plain, "a text that a database can hold"),
)


def _typed(column: Column, name: str, value: object) -> Any:
    """Return *value* as the type of *column*; raises InputError."""
    read, wanted = next((read, wanted) for kind, read, wanted in _READERS if isinstance(column.type, kind))
    try:
        return read(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise InputError(f"{name} is compared with {value!r}, which is not {wanted}") from None
