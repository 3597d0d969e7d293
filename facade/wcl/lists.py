"""Lists as campaigns spell them: ``1, 3, 5:7`` or ``(1:4)`` (desdm.md §1.4, multi-values).

A range ``a:b`` is inclusive, of whole numbers, and a range only in brackets or beside a comma. Quotes keep an item
whole. Unlike the original, what it dropped or misread in silence (an empty item, ``5:3``, ``12:30:45``, brackets inside
an item) is refused.
"""

from __future__ import annotations

import re

from facade.wcl.template import BadReference

MAX_RANGE = 1_000_000
_ITEM = re.compile(r"""(?:'[^']*'|"[^"]*"|[^,])+""")
_RANGE = re.compile(r"([+-]?[0-9]{1,15}):([+-]?[0-9]{1,15})$")
_COLONS = re.compile(r"[+-]?[0-9]+(?::[+-]?[0-9]+){2,}$")


def is_list(text: str) -> bool:
    """Say whether an unquoted text is a list: it holds a comma outside quotes, or stands in brackets."""
    text = text.strip()
    if "," not in text and not text.startswith("("):
        return False
    return text.startswith("(") or len(_ITEM.findall(text)) > 1 or text.endswith(",")


def listed(text: str) -> tuple[str, ...]:
    """Return the items of a list, each once, in order; a text that is no list is its only item.

    >>> listed("1, 3, 5:7"), listed("(1:3)"), listed("1:3"), listed("'8,6', a")
    (('1', '3', '5', '6', '7'), ('1', '2', '3'), ('1:3',), ('8,6', 'a'))

    Raises:
        BadReference: an item is empty, or neither one thing nor the other.
    """
    inner = text.strip()
    bracketed = inner.startswith("(") and inner.endswith(")")
    if bracketed and "(" not in inner[1:-1]:
        inner = inner[1:-1]
    pieces = [piece.strip() for piece in _split(inner)]
    several = bracketed or len(pieces) > 1
    items: list[str] = []
    for piece in pieces:
        items += _items(piece, several) if several else [_unquoted(piece)] if piece else []
    return tuple(dict.fromkeys(items))


def _split(text: str) -> list[str]:
    """Split at commas outside quotes; an empty item is found too."""
    pieces, position = [], 0
    for found in _ITEM.finditer(text):
        pieces += [""] * (text.count(",", position, found.start()) - (position > 0))
        pieces.append(found[0])
        position = found.end()
    return pieces + [""] * text.count(",", position)


def _items(piece: str, several: bool) -> list[str]:
    """Return what one piece of a list stands for."""
    if piece.startswith("(") and piece.endswith(")"):
        return _items(piece[1:-1].strip(), several)  # the original took brackets off wherever they stood
    if not piece:
        raise BadReference('the list has an empty item: remove the comma, or write "" if it is meant', code="F114")
    if (plain := _unquoted(piece)) != piece:
        return [plain]
    if span := _RANGE.match(piece):
        return _range(piece, int(span[1]), int(span[2]))
    if "(" in piece or ")" in piece or _COLONS.match(piece):
        raise BadReference(f"'{piece}' is neither an item nor a range in a list: put it in quotes", code="F114")
    return [piece]


def _range(text: str, first: int, last: int) -> list[str]:
    if last < first:
        raise BadReference(f"the range {text} is empty: write {last}:{first}", code="F115")
    if last - first > MAX_RANGE:
        raise BadReference(f"the range {text} has more than {MAX_RANGE} values", code="F115")
    return [str(number) for number in range(first, last + 1)]


def _unquoted(piece: str) -> str:
    quoted = len(piece) > 1 and piece[0] in "'\"" and piece[-1] == piece[0] and piece[0] not in piece[1:-1]
    return piece[1:-1] if quoted else piece
