"""Reading ``<qcf>``: what is looked for in the output of programs (desdm.md §7, docs/messages.md).

The section may stand in the campaign, a block, a module and an exec. The patterns of an inner one come before those of
the outer ones; among themselves they go by priority, 1 first, and those of equal priority as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from facade.campaign.faults import Faults, Keys, key_of
from facade.campaign.vocabulary import Vocabulary
from facade.campaign.words import BOOL, COUNT, INT, LEVEL, LIST
from facade.messages import Filter, Pattern, Rules, fault_in
from facade.wcl.scope import Scope
from facade.wcl.tree import Section, Value

GLOBAL = "global"
GROUPS = {"patterns": "pattern", "excludes": "exclude", "filter": "filter"}
"""Section in ``<qcf>`` -> kind of the sections in it."""
_CHARACTER = re.compile(r"chr\((\d{1,6})\)$", re.IGNORECASE)


@dataclass(slots=True)
class _Section:
    """One ``<qcf>``; with each entry the names of the programs that it is for (none: all)."""

    override: bool = False
    patterns: list[tuple[int, Pattern, tuple[str, ...]]] = field(default_factory=list)
    excludes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    filters: list[tuple[Filter, tuple[str, ...]]] = field(default_factory=list)


class MessageReader:
    """Reads the ``<qcf>`` sections of a campaign, each once."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._read: dict[int, _Section] = {}
        self._named: list[tuple[Value, str]] = []
        self._programs: set[str] = set()

    def rules(self, around: Sequence[Section], keys: Keys, names: Sequence[str]) -> Rules | None:
        """Return what is looked for in the output of a program with these *names*; None if that is nothing.

        *around* are the sections that it stands in, the innermost first.
        """
        self._programs.update(names)
        wanted = next((place for place in around if place.value("use_qcf") is not None), None)
        found = [self._section(qcf, keys) for place in around if (qcf := place.section("qcf")) is not None]
        if wanted is not None and not keys.word(wanted, "use_qcf", BOOL, True):
            return None
        patterns: list[Pattern] = []
        excludes: list[str] = []
        filters: list[Filter] = []
        hidden = False
        for one in found:
            filters += [text for text, programs in one.filters if _for(programs, names)]
            if not hidden:
                ordered = sorted(one.patterns, key=lambda entry: entry[0])
                patterns += [pattern for _, pattern, programs in ordered if _for(programs, names)]
                excludes += [text for text, programs in one.excludes if _for(programs, names)]
            hidden = hidden or one.override
        if not patterns:
            return None
        return Rules(*(tuple(dict.fromkeys(entries)) for entries in (patterns, excludes, filters)))  # type: ignore[arg-type]

    def check_programs(self) -> None:
        """Tell of patterns for programs that the campaign does not run."""
        for value, name in self._named:
            if name not in self._programs and "$" not in name:
                message = f"no program, wrapper or module that runs is called '{name}'"
                self._faults.warn(value, message, f"for all programs, write {GLOBAL}", code="F343", alike=("qcf", name))

    def _section(self, section: Section, keys: Keys) -> _Section:
        known = self._read.get(id(section))
        if known is None:
            known = self._read[id(section)] = _Section(override=keys.word(section, "override", BOOL, False))
            for position, one in enumerate(self._entries(section, "patterns"), 1):
                self._pattern(known, one, position, keys)
            for one in self._entries(section, "excludes"):
                if (text := self._regex(one, "exclude")) is not None:
                    known.excludes.append((text, self._programs_of(one, "exec", keys)))
            for one in self._entries(section, "filter"):
                self._filter(known, one, keys)
        return known

    def _entries(self, section: Section, group: str) -> Iterator[Section]:
        entries = section.section(group)
        for key, value in entries.values() if entries is not None else ():
            message = f"'{key}' stands in <{group}> itself"
            self._faults.at(
                key_of(key, value), message, f"put it into a section of <{group}>, such as <1>", code="F341"
            )
        for _, one in entries.sections() if entries is not None else ():
            yield one

    def _pattern(self, found: _Section, section: Section, position: int, keys: Keys) -> None:
        text = self._regex(section, "pattern")
        pattern = Pattern(
            text or "",
            level=int(keys.word(section, "lvl", LEVEL, "1")),
            lines=keys.word(section, "number_of_lines", COUNT, 1),
            only_matched=keys.word(section, "only_matched", BOOL, False),
        )
        programs = self._programs_of(section, "execname", keys)
        if text is not None:
            found.patterns.append((keys.word(section, "priority", INT, position), pattern, programs))

    def _regex(self, section: Section, what: str) -> str | None:
        """Return the regular expression of a section, taken as it is written."""
        value = self._faults.needed(section, "pattern", f"{what} '{section.name}'", code="F342")
        if value is None:
            return None
        if why := fault_in(value.text):
            remedy = "as Perl and Python write them, without look-around and back-references; see docs/messages.md"
            self._faults.at(value, f"this cannot be looked for: {why}", remedy, code="F340")
            return None
        return value.text

    def _filter(self, found: _Section, section: Section, keys: Keys) -> None:
        replace = self._faults.needed(section, "replace_pattern", f"filter '{section.name}'", code="F342")
        programs = self._programs_of(section, "exec", keys)
        if replace is None:
            return
        texts = [
            _character(value.text) if value is not None else "" for value in (replace, section.value("with_pattern"))
        ]
        if not texts[0] or any(set(text) & set("\r\n\0") for text in texts):
            message = "a filter replaces a text within a line"
            self._faults.at(replace, message, "write the text, or chr(27) for ESC", code="F344")
        else:
            found.filters.append((Filter(*texts), programs))

    def _programs_of(self, section: Section, key: str, keys: Keys) -> tuple[str, ...]:
        """Return the names under *key*; none if it is for all programs."""
        value = section.value(key)
        names = keys.word(section, key, LIST, ())
        if value is None or GLOBAL in map(str.lower, names):
            return ()
        self._named += [(value, name) for name in names]
        return names


def check_keys(vocabulary: Vocabulary, section: Section, scope: Scope) -> None:
    """Check the keys of the ``<qcf>`` in *section*, if it has one."""
    found = section.section("qcf")
    if found is None:
        return
    vocabulary.check("qcf", found, scope)
    for group, kind in GROUPS.items():
        for _, one in (found.section(group) or Section()).sections():
            vocabulary.check(kind, one, scope)


def _for(programs: tuple[str, ...], names: Sequence[str]) -> bool:
    return not programs or not set(programs).isdisjoint(names)


def _character(text: str) -> str:
    """Return the character that ``chr(27)`` stands for, and any other text as it is."""
    found = _CHARACTER.match(text)
    return chr(int(found[1])) if found and int(found[1]) < 0x110000 else text
