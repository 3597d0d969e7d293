"""Every key of a campaign is a keyword, a variable that something uses, or a mistake: nothing is silently ignored."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache

from facade.campaign.faults import Faults, key_of, resolved
from facade.campaign.keyword import ACTIVE, PLANNED, RETIRED, Keyword
from facade.campaign.keywords import AS_FACADE_DOES, KEYWORDS, keywords_of
from facade.campaign.words import BELOW, KEYS, LIST, REF, REFS, SECTION, TEXT, BadWord
from facade.files import WCL
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, MissingVariable
from facade.wcl.tree import BUILT_IN, Section, Value

CLOSE = 0.8
"""How alike a key and a keyword are if the one is taken for the other misspelt."""

_OPEN, _TOP, _PLUGIN, _CLOSED = "open", "top", "plug-in", "closed"
_PLACES: dict[str, tuple[tuple[str, ...], str]] = {
    "campaign": (("campaign",), _TOP),
    "block": (("block", "campaign"), _OPEN),
    "module": (("module", "campaign"), _OPEN),
    "exec": (("exec",), _OPEN),
    "cmdline": (("cmdline",), _OPEN),
    "file": (("file",), _OPEN),
    "hdrupd": (("hdrupd",), _CLOSED),
    "list": (("list",), _OPEN),
    "wrapper": (("wrapper",), _PLUGIN),
    "filename_pattern": (("filename_pattern",), _OPEN),
    "directory_pattern": (("directory_pattern",), _CLOSED),
    "filetype": (("filetype",), _CLOSED),
    "columns": (("columns",), _CLOSED),
    "contents": (("contents",), _CLOSED),
    "job_environment": (("job_environment",), _OPEN),
    "max_jobs": (("max_jobs",), _CLOSED),
    "qcf": (("qcf",), _CLOSED),
    "pattern": (("pattern",), _CLOSED),
    "exclude": (("exclude",), _CLOSED),
    "filter": (("filter",), _CLOSED),
    "archive": (("archive", "campaign"), _OPEN),
    "site": (("campaign",), _OPEN),
}
"""Kind of section -> whose keywords may stand there, and what any other key is taken for.

In an open section it is a variable, so something must use it; at top level libraries define variables for many
campaigns, and a plug-in has parameters of its own: there it is told only if it looks like a keyword. A closed section
has no other keys.
"""
_STRUCTURE = frozenset({
    "wrapperloop", "loopkey", "match", "divide_by", "divide_jobs_by", "order_by", "query_fields", "output_fields",
    "columns", "sortkey", "req_vals", "save_run_vals",
})  # fmt: skip
"""Keywords whose values name keys."""
_UNTYPED = (TEXT, LIST, KEYS, SECTION, REF, REFS)
"""Types that take any text, or (references) that whoever reads the module checks."""

_INNERMOST = re.compile(r"\$(opt|head|func|fmt)?\{([^${}]*)\}", re.IGNORECASE)
_COLUMN = re.compile(r"\$\(([^()\s]+)\)")
_WORD = re.compile(r"[^\s,()'\"]+")
_ANY = "\0"
_SHOWN = 40  # characters of a value


@dataclass(slots=True)
class Used:
    """Names that anything in a document refers to: keys, sections on the way to them, and keys known in part only."""

    keys: set[str] = field(default_factory=set)
    sections: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    """Keys that are named as keys or columns, not referred to as ``${key}``."""
    partly: set[str] = field(default_factory=set)

    def has(self, key: str) -> bool:
        """Tell whether anything refers to *key*, ``${a_${b}}`` to whatever begins with ``a_``."""
        return key.lower() in self.keys or any(_likeness(part).match(key.lower()) for part in self.partly)

    def add(self, name: str) -> None:
        """Add a name as it is referred to."""
        *sections, key = name.strip().lower().split(".")
        self.sections.update(sections)
        (self.partly if _ANY in key else self.keys).add(key)


def used_names(root: Section) -> Used:
    """Return every name that a value of the document refers to, or names as a key or column."""
    used = Used()
    structure: list[str] = []
    values: dict[str, list[str]] = {}
    for section, key, value in _all_values(root):
        if "$" in value.text:
            _add_references(value.text, used)
        values.setdefault(key, []).append(value.text)
        if key in _STRUCTURE:
            structure.append(value.text)
        if section.name == "columns":
            variable = "".join(value.text.partition(WCL)[2].lower().split()[:1]) or key
            used.keys.update((key, variable))
            used.named.update((key, variable))
    seen: set[str] = set()
    while structure:
        text = structure.pop()
        for word in _WORD.findall(_INNERMOST.sub("", text)):
            used.add(word)
            used.named.add(word.lower().rpartition(".")[2])
        for _, name in _INNERMOST.findall(text):  # a list of keys may be kept in a variable
            if name.lower() not in seen:
                seen.add(name.lower())
                structure += values.get(name.lower(), [])
    return used


def _all_values(section: Section) -> Iterator[tuple[Section, str, Value]]:
    for key, entry in section.items():
        if isinstance(entry, Section):
            yield from _all_values(entry)
        else:
            yield section, key, entry


def _add_references(text: str, used: Used) -> None:
    for name in _COLUMN.findall(text):
        used.add(name)
    while found := _INNERMOST.search(text):
        marker, inner = (found[1] or "").lower(), found[2]
        names = inner.split(",") if marker else [inner]
        for name in names[1:] if marker in ("func", "fmt", "head") else names:
            used.add(name.partition(":")[0])
        # what stands for this reference may be part of another name
        text = f"{text[: found.start()]}{_ANY}{text[found.end() :]}"


@cache
def _likeness(name: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in name.split(_ANY)) + "$")


@cache
def _named(keyword: str) -> re.Pattern[str]:
    """Return what fits a keyword with places in angle brackets: ``exec_<N>``, ``<COLUMN>``."""
    parts = re.split(r"<(\w+)>", keyword)
    return re.compile(
        "".join((r"[0-9]+" if p == "N" else ".+") if i % 2 else re.escape(p) for i, p in enumerate(parts)) + "$"
    )


class Vocabulary:
    """Checks the keys of sections, their types, and the names of the sections in them."""

    def __init__(self, root: Section, faults: Faults) -> None:
        self.faults, self.used = faults, used_names(root)

    def check(self, kind: str, section: Section, scope: Scope) -> None:
        """Check *section*, which is of *kind* (a key of the table of places); *scope* replaces variables."""
        tables, others = _PLACES[kind]
        known = keywords_of(*tables)
        inner = replace(scope, search=section)
        for key, entry in section.items():
            if isinstance(entry, Section):
                self._section(kind, key, entry, known, others)
            elif (keyword := _find(known, key, wanted=False)) is None:
                self._unknown(kind, key, entry, known, others)
            elif keyword.status == ACTIVE and keyword.section == "campaign" != kind and not self.used.has(key):
                self._elsewhere(kind, key, entry, [keyword])
            else:
                self._known(keyword, entry, inner)

    def _known(self, keyword: Keyword, value: Value, scope: Scope) -> None:
        """Check the type of a value, and tell if nothing acts on it."""
        before = len(self.faults)
        if keyword.type not in _UNTYPED:
            # what cannot be replaced is known once there is a quantum, or told elsewhere; and a path is judged as it is
            # written, because a variable that leads out is wrong where it is defined
            with suppress(MissingVariable, BadReference):
                value = resolved(value, scope) if "$" in value.text and keyword.type is not BELOW else value
                self.faults.read(keyword.name, value, keyword.type)
        if keyword.status in (PLANNED, RETIRED) and len(self.faults) == before and not _is_default(keyword, value):
            text = value.text if len(value.text) <= _SHOWN else f"{value.text[:_SHOWN]}…"
            self._idle(keyword, key_of(keyword.name, value), f"'{keyword.name} = {text}'")

    def _idle(self, keyword: Keyword, place: Value | Section, what: str) -> None:
        if keyword.status == PLANNED:
            self.faults.warn(place, f"{what} has no effect yet", keyword.meaning, code="F221", alike=keyword.name)
        else:
            self.faults.warn(place, f"{what} has no effect in facade", keyword.meaning, code="F222", alike=keyword.name)

    def _section(self, kind: str, name: str, section: Section, known: dict[str, Keyword], others: str) -> None:
        """Check the name of a section in a section."""
        keyword = _find(known, name, wanted=True)
        if keyword is not None and keyword.section == kind:
            if keyword.status in (PLANNED, RETIRED):
                self._idle(keyword, section, f"<{name}>")
            return
        if others == _PLUGIN or name in self.used.sections:
            return
        here = [one.name for one in known.values() if one.type is SECTION and one.section == kind]
        cutoff = 0.7 if kind == "module" else CLOSE
        hint = _close(name, [one.replace("<N>", "1") for one in here], cutoff)
        message = f"<{name}> means nothing in {_a(kind)}"
        if hint and others != _TOP:
            self.faults.at(section, message, hint, code="F225")
        elif hint or others != _TOP:
            remedy = f"sections here: {', '.join(here)}" if here else "there are no sections here: remove it"
            self.faults.warn(section, f"{message}, and nothing refers to it", hint or remedy, code="F226")

    def _unknown(self, kind: str, key: str, value: Value, known: dict[str, Keyword], others: str) -> None:
        """Tell of a key that is no keyword here, unless it is a variable that something uses."""
        place = key_of(key, value)
        names = [one.name for one in known.values() if one.type is not SECTION]
        hint = _close(key, names, 0.6 if others == _CLOSED else CLOSE)
        at_home = [one for one in KEYWORDS if one.name == key and one.section != "site" and one.type is not SECTION]
        if others == _CLOSED:
            message = f"'{key}' is no keyword of {_a(kind)}"
            self.faults.at(place, message, hint or f"known: {', '.join(sorted(names))}", code="F214")
        elif self.used.has(key):
            return
        elif at_home and not hint and others == _OPEN:
            self._elsewhere(kind, key, value, at_home)
        elif hint or others == _OPEN:
            message = f"'{key}' is no keyword of {_a(kind)}, and nothing uses it"
            remedy = hint or f"use it as ${{{key}}}, or remove it"
            self.faults.warn(place, message, remedy, code="F223", alike=(kind, key))

    def _elsewhere(self, kind: str, key: str, value: Value, at_home: list[Keyword]) -> None:
        """Tell of a keyword that has an effect in other sections only, and is not used as a variable either."""
        homes = " or ".join(dict.fromkeys(_a(one.section) for one in at_home))
        message = f"'{key}' has no effect in {_a(kind)}"
        self.faults.warn(key_of(key, value), message, f"it is a keyword of {homes}", code="F224", alike=(kind, key))


def _find(known: dict[str, Keyword], name: str, *, wanted: bool) -> Keyword | None:
    """Return the keyword for a section (if *wanted*) or a value called *name*."""
    found = known.get(name)
    if found is not None and (found.type is SECTION) == wanted:
        return found
    return next(
        (k for k in known.values() if "<" in k.name and (k.type is SECTION) == wanted and _named(k.name).match(name)),
        None,
    )


def _is_default(keyword: Keyword, value: Value) -> bool:
    """Tell whether *value* asks for nothing but what a campaign without it gets, or what facade does anyway."""
    kind = keyword.type
    for text in (keyword.default, AS_FACADE_DOES.get(keyword.name, "")):
        with suppress(BadWord):
            if text and str(kind.read(value)).lower() == str(kind.read(Value(text, BUILT_IN, BUILT_IN))).lower():
                return True
    return False


def _close(name: str, known: list[str], cutoff: float) -> str:
    found = difflib.get_close_matches(name, [one for one in known if not one.startswith("<")], n=1, cutoff=cutoff)
    return f"did you mean {found[0]!r}?" if found else ""


def _a(kind: str) -> str:
    return "the campaign" if kind == "campaign" else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} section"
