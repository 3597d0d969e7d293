"""What becomes of the outputs of quanta besides being checked and kept: cards, compression, what is saved of failures.

Said by the campaign (desdm.md §3, §5), carried by the plan and by capsules once for each module, done by the job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

FILE, FAILURE, ALWAYS, NEVER = "file", "failure", "always", "never"
WHEN = (NEVER, FAILURE, ALWAYS)
"""When junk of a job is kept."""
RAND = "rand_"
UNCOMPRESSED, COMPRESSED = "${__UCFILE__}", "${__CFILE__}"
"""What stands for the two files in the arguments of a program that compresses; the names are those of the original."""
HEADER, FUNCTION = "header:", "function:"
"""Where a card or a column of metadata gets its value from, if not from planning."""
CARD_TYPES = {"str": "str", "text": "str", "int": "int", "bigint": "int", "float": "float", "bool": "bool"}
"""How the type of a card may be written -> what it is."""
JUNK_BYTES = 100 << 20

Piece = str | tuple[str, int]
"""Literal text, or the name of a value that differs between quanta, with the width to which it is padded."""


class Card(NamedTuple):
    """A card to write: into which HDUs (numbers or names), and what. ``kind`` is "" where the value itself tells its
    type; ``source`` is ``header:[HDU:]KEY`` or ``function:NAME``, or "" if ``value`` holds the value."""

    hdus: tuple[str, ...]
    key: str
    value: tuple[Piece, ...]
    comment: str = ""
    kind: str = ""
    source: str = ""


class Treatment(NamedTuple):
    """What becomes of the outputs of one file section."""

    empty: bool = False
    """Whether they may be empty."""
    compress: bool = False
    cards: tuple[Card, ...] = ()


class Compression(NamedTuple):
    """A program that compresses one file: its argument list, the suffix that it adds, whether the file itself goes."""

    argv: tuple[str, ...]
    suffix: str
    cleanup: bool = True

    def command(self, file: str) -> list[str]:
        """Return the argument list for *file*, a path."""
        names = (UNCOMPRESSED, file), (COMPRESSED, file + self.suffix)
        return [_replaced(word, names) for word in self.argv]


class Handling(NamedTuple):
    """What becomes of the outputs of one module."""

    save: str = FILE
    """``file``: those are kept that the plan says; ``failure``: those of failed quanta too; ``always``: likewise; or
    ``rand_NN``: of so many attempts in a hundred all, of the others as ``file``."""
    compression: Compression | None = None
    sections: Mapping[str, Treatment] = {}

    def of(self, section: str) -> Treatment:
        """Return what becomes of the outputs of *section* (``file.NAME``)."""
        return self.sections.get(section, NO_TREATMENT)

    def keeps_all(self, attempt: str) -> bool:
        """Say whether *attempt* keeps all outputs, whatever savefiles says; every job of it answers the same."""
        if not self.save.startswith(RAND):
            return self.save == ALWAYS
        drawn = int.from_bytes(hashlib.sha256(attempt.encode()).digest()[:8], "big") % 100
        return drawn < int(self.save.removeprefix(RAND))

    def keeps_failed(self, attempt: str) -> bool:
        """Say whether *attempt* keeps what failed quanta made."""
        return self.save == FAILURE or self.keeps_all(attempt)


class Junk(NamedTuple):
    """When a job keeps what nobody declared (one of `WHEN`), and how many bytes of it at most."""

    when: str = FAILURE
    most: int = JUNK_BYTES


class Outputs(NamedTuple):
    """What becomes of the outputs of an attempt: junk of jobs, and by module where there is anything to say."""

    junk: Junk = Junk()
    modules: Mapping[str, Handling] = {}


NO_TREATMENT, AS_PLANNED, NOTHING_SPECIAL = Treatment(), Handling(), Outputs()


def handling_of(plain: Any) -> Handling:
    """Return a handling from its JSON, lists in the place of tuples. Raises TypeError or ValueError if it is none."""
    save, compression, sections = plain
    by = None
    if compression is not None:
        argv, suffix, cleanup = compression
        by = Compression(tuple(map(str, argv)), str(suffix), bool(cleanup))
    return Handling(str(save), by, {str(name): _treatment(one) for name, one in sections.items()})


def junk_of(plain: Any) -> Junk:
    """Return when junk is kept, from its JSON; raises as `handling_of` does."""
    when, most = plain
    if when not in WHEN:
        raise ValueError(f"{when!r} is none of {', '.join(WHEN)}")
    return Junk(when, int(most))


def outputs_of(plain: Any) -> Outputs:
    """Return all of it from its JSON (None: nothing special); raises as `handling_of` does."""
    if plain is None:
        return NOTHING_SPECIAL
    junk, modules = plain
    return Outputs(junk_of(junk), {name: handling_of(one) for name, one in modules.items()})


def _treatment(plain: Any) -> Treatment:
    empty, compress, cards = plain
    return Treatment(bool(empty), bool(compress), tuple([_card(one) for one in cards]))


def _card(plain: Any) -> Card:
    hdus, key, value, comment, kind, source = plain
    pieces = tuple([piece if isinstance(piece, str) else (str(piece[0]), int(piece[1])) for piece in value])
    return Card(tuple(map(str, hdus)), key, pieces, comment, kind, source)


def _replaced(word: str, names: tuple[tuple[str, str], ...]) -> str:
    for name, file in names:
        word = word.replace(name, file)
    return word
