"""Why a quantum runs: what differs from the likest one that succeeded, piece by piece (docs/reuse.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from facade.plan.fingerprint import NUL, SEP, Teller
from facade.plan.model import Plan, Quantum

LONG = 60
"""Characters of a value that are shown."""


def differences(old: Teller, before: Quantum, new: Teller, now: Quantum) -> list[str]:
    """Return in words how *now* differs from *before*, a quantum of another plan; [] if only what it reads does."""
    was, is_now = old.parts(before), new.parts(now)
    told: list[str] = []
    for name in {**was, **is_now}:
        if was.get(name) != is_now.get(name):
            told += _told(name, was.get(name), is_now.get(name))
    return told


def _told(name: str, was: str | None, now: str | None) -> Iterator[str]:
    if name.startswith("command line") and was is not None and now is not None:
        for one in _words(was.split(NUL), now.split(NUL)):
            yield f"{name}: {one}"
    elif name.startswith("program ") and was is not None and now is not None:
        yield f"{name} {'has changed' if was and now else 'was not found then' if now else 'is not found now'}"
    elif name.startswith("list.") and was is not None and now is not None:
        yield f"{name}: {' and '.join(_words(was.splitlines(), now.splitlines(), 'line'))}"
    elif was is None or now is None:
        yield f"{name}: {'new' if was is None else 'gone'} ({_short(now if was is None else was)})"
    else:
        yield f"{name}: {_short(was)} is now {_short(now)}"


def _words(was: list[str], now: list[str], what: str = "") -> Iterator[str]:
    """Yield what became of the words, or lines, of a text."""
    for kind, a, b, c, d in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if what:
            yield f"{b - a} of its {what}s gone, {d - c} new"
        elif kind == "insert":
            yield f"'{_short(' '.join(now[c:d]))}' is new"
        elif kind == "delete":
            yield f"'{_short(' '.join(was[a:b]))}' is gone"
        else:
            yield f"'{_short(' '.join(was[a:b]))}' is now '{_short(' '.join(now[c:d]))}'"


def _short(text: str | None) -> str:
    shown = (text or "").replace(SEP, " ").replace(NUL, " ").replace("\n", " ") or "nothing"
    return shown if len(shown) <= LONG else f"{shown[: LONG - 1]}…"


def read_differently(old: Plan, before: Quantum, new: Plan, now: Quantum, running: Mapping[int, object]) -> list[str]:
    """Return in words how what *now* reads differs from what *before* read; *running* are the numbers of what runs."""
    was, is_now = _inputs(old, before), _inputs(new, now)
    told = []
    for key in {**was, **is_now}:
        section, name = key
        if key not in is_now:
            told.append(f"{section}: {name} is not read any more")
        elif key not in was:
            told.append(f"{section}: {name} is new")
        elif was[key] != is_now[key]:
            told.append(f"{section}: {name} has other content")
    for producer in {new.files[use.file].producer: None for use in now.inputs}:
        if producer > 0 and producer in running:
            told.append(f"it reads what {new.quantum(producer).label} makes, which runs")
    if not told and [*was] != [*is_now]:
        told.append("what it reads comes in another order")
    return told


def _inputs(plan: Plan, quantum: Quantum) -> dict[tuple[str, str], str]:
    """Return (section, file or maker) -> checksum of what a quantum reads."""
    found = {}
    for use in quantum.inputs:
        file = plan.files[use.file]
        if file.producer > 0:
            found[use.section, f"what {plan.quantum(file.producer).label} makes"] = ""
        else:
            found[use.section, file.name] = file.checksum or ""
    return found
