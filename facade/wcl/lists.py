"""Lists as campaigns spell them: ``1, 3, 5:7`` or ``(1:4)`` (desdm.md §1.4, multi-values).

A range ``a:b`` is inclusive, of whole numbers, and a range only in brackets or beside a comma. An item that stands in
quotes is whole; so is what a quoted value or data put into a list. Unlike the original, what it dropped or misread in
silence (an empty item, ``5:3``, ``12:30:45``, brackets inside an item) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from facade.wcl.template import BadReference, Template

MAX_RANGE = 1_000_000
_ITEM = re.compile(r"""(\s*(?:'[^']*+'|"[^"]*+")\s*(?=,|$)|[^,]*+)(,?)""")
_RANGE = re.compile(r"([+-]?[0-9]{1,15}):([+-]?[0-9]{1,15})$")
_COLONS = re.compile(r"[+-]?[0-9]+(?::[+-]?[0-9]+){2,}$")


def is_list(text: str) -> bool:
    """Say whether an unquoted text is a list: it holds a comma outside quotes, or stands in brackets."""
    text = text.strip()
    return text.startswith("(") or ("," in text and len(_split(text)) > 1)


def listed(text: str | Template) -> tuple[str, ...]:
    """Return the items of a list, each once, in order; a text that is no list is its only item.

    There are none in ``()`` and ``,``. A template must have no slots; what is quoted in it is never split.

    >>> listed("1, 3, 5:7"), listed("(1:3)"), listed("1:3"), listed("'8,6', a")
    (('1', '3', '5', '6', '7'), ('1', '2', '3'), ('1:3',), ('8,6', 'a'))

    Raises:
        BadReference: an item is empty, or neither one thing nor the other.
    """
    marked, mark, wholes = (Template((text,)) if isinstance(text, str) else text).marked()

    def filled(piece: str) -> str:
        first, *others = piece.split(mark)
        return first + "".join(f"{next(wholes)}{other}" for other in others)

    inner = marked.strip()
    bracketed = inner.startswith("(") and inner.endswith(")")
    if bracketed and "(" not in inner[1:-1]:
        inner = inner[1:-1].strip()
    if not inner.strip(",").strip():
        return ()
    pieces = _split(inner)
    if not bracketed and len(pieces) == 1:
        return (filled(_unquoted(inner)),)
    return tuple(dict.fromkeys(item for piece in pieces for item in _items(piece, filled)))


def _split(text: str) -> list[str]:
    """Split at commas outside quoted items."""
    pieces, found = [], _ITEM.match(text)
    while found is not None:
        pieces.append(found[1].strip())
        found = _ITEM.match(text, found.end()) if found[2] else None
    return pieces


def _items(piece: str, filled: Callable[[str], str]) -> tuple[str, ...]:
    """Return what one piece of a list stands for."""
    if piece.startswith("(") and piece.endswith(")"):
        piece = piece[1:-1].strip()  # the original took brackets off wherever they stood
    if not piece:
        raise BadReference('the list has an empty item: remove the comma, or write "" if it is meant', code="F114")
    if (plain := _unquoted(piece)) != piece:
        return (filled(plain),)
    whole = filled(piece)
    if span := _RANGE.match(whole) if len(piece) > 1 else None:
        return _range(whole, int(span[1]), int(span[2]))
    if "(" in piece or ")" in piece or _COLONS.match(piece):
        message = f"'{_shortened(whole)}' is neither an item nor a range in a list: put it in quotes"
        raise BadReference(message, code="F114")
    if piece[0] in "'\"" and piece.count(piece[0]) % 2:
        raise BadReference(f"'{_shortened(whole)}' opens a quote: in a list, quotes hold a whole item", code="F114")
    return (whole,)


def _range(text: str, first: int, last: int) -> tuple[str, ...]:
    if last < first:
        raise BadReference(f"the range {text} is empty: write {last}:{first}", code="F115")
    if last - first > MAX_RANGE:
        raise BadReference(f"the range {text} has more than {MAX_RANGE} values", code="F115")
    return tuple(str(number) for number in range(first, last + 1))


def _unquoted(piece: str) -> str:
    quoted = len(piece) > 1 and piece[0] in "'\"" and piece[-1] == piece[0] and piece[0] not in piece[1:-1]
    return piece[1:-1] if quoted else piece


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
