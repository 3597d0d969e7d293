"""``facade show config``: every value of a campaign with the places and layers that set it, and which of them won."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
from rich.text import Text

from facade.campaign.keywords import keywords_of
from facade.cli import output
from facade.cli.campaigns import SET
from facade.cli.context import site
from facade.errors import DONE, InputError
from facade.inputs import set_values
from facade.wcl import BadReference, Document, MissingVariable, Scope, Section, Value, did_you_mean


class Found(NamedTuple):
    """A value, where it stands in the tree, and what it was before."""

    name: str
    value: Value
    section: Section
    history: tuple[Value, ...]


@click.command()
@click.argument("words", metavar="[KEY] CAMPAIGN", nargs=-1, required=True)
@SET
@click.option("--module", metavar="NAME", help="What a module sees: the nearest section that has KEY wins.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def config(words: tuple[str, ...], settings: tuple[str, ...], module: str | None, as_json: bool) -> int:
    """Show the values of CAMPAIGN, or of one KEY with its history: each file, line and layer that set it.

    KEY is a key, a section, or a dotted path: reqnum, module.processccd, band. Layers, weakest first: built in, site
    (<defaults> of the site file), campaign, command line (--set).
    """
    if len(words) > 2 or (module and len(words) < 2):
        raise click.UsageError("one KEY and one CAMPAIGN are wanted")
    path, key = Path(words[-1]), words[0].lower() if len(words) > 1 else ""
    document = site().load(path)
    set_values(document, settings)
    found = list(_seen(document, key, module) if module else _found(document, key))
    default = _built_in(key)
    if not found and not default:
        raise _unknown(document, key, path)
    if as_json:
        output.plain_json([_plain(document, one) for one in found])
    elif not found:
        output.show(Text.assemble((key, "bold"), f" = {default}", ("  built in", "bright_black")))
    elif key:
        output.show(*[_history(document, one, wins=not module or one is found[0]) for one in found])
    else:
        rows = output.table("key", "value", "set at", "layer", "times set", right=(4,))
        for one in found:
            layer, times = _layer(document, one.value), str(len(one.history) + 1)
            rows.add_row(one.name, _shown(one.value), str(one.value.key_location), layer, times)
        output.show(rows)
    return DONE


def _walk(section: Section, lead: str = "") -> Iterator[Found]:
    for key, entry in section.items():
        if isinstance(entry, Section):
            yield from _walk(entry, f"{lead}{key}.")
        else:
            yield Found(f"{lead}{key}", entry, section, section.history(key))


def _found(document: Document, key: str) -> list[Found]:
    """Return what *key* names: exactly, else below a section of that name, else in any section."""
    everything = list(_walk(document.root))
    ways: tuple[Callable[[str], bool], ...] = (
        lambda name: name == key,
        lambda name: not key or name.startswith(f"{key}."),
        lambda name: name.endswith(f".{key}"),
    )
    return next((some for fits in ways if (some := [one for one in everything if fits(one.name.lower())])), [])


def _seen(document: Document, key: str, module: str) -> Iterator[Found]:
    """Yield *key* in each section that a look-up in *module* asks, nearest first."""
    root, name = document.root, module.lower()
    modules = [one for one, _ in (root.section("module") or Section()).sections()]
    if name not in modules:
        remedy = did_you_mean(name, modules) or f"modules: {', '.join(modules)}"
        raise InputError(f"no module is called '{module}'", remedy=remedy)
    block = _block_of(root, name)
    for section in Scope(root, members={"module": name, "block": block}).sections():
        if (value := section.value(key)) is not None:
            kind = "" if section is root else "module." if section is root.path(f"module.{name}") else "block."
            yield Found(f"{kind}{section.name}.{key}".removeprefix("."), value, section, section.history(key))


def _block_of(root: Section, module: str) -> str:
    for name, section in (root.section("block") or Section()).sections():
        value = section.value("modulelist")
        if value is not None and module in [item.text.lower() for item in value.items()]:
            return name
    return ""


def _built_in(key: str) -> str:
    one = keywords_of("campaign", "block", "module", "exec", "file", "list").get(key)
    return one.default if one is not None and one.default != "required" else ""


def _unknown(document: Document, key: str, path: Path) -> InputError:
    names = {one.name for one in _found(document, "")}
    names |= {name.rpartition(".")[2] for name in names}
    hint = did_you_mean(key, sorted(names)) or f"all keys: facade show config {path}"
    return InputError(f"{path} has no key '{key}'", remedy=hint)


def _history(document: Document, found: Found, *, wins: bool) -> Text:
    """Return a value with everything that it was before, newest first."""
    text = Text.assemble((found.name, "bold"), f" = {_shown(found.value)}")
    resolved = _resolved(document, found)
    if resolved not in (None, found.value.text):
        text.append(f"\n    which is {resolved}", style="cyan")
    if not wins:
        text.append("  (not seen: a nearer section has it)", style="yellow")
    for number, one in enumerate((found.value, *reversed(found.history))):
        line = f"{one.key_location}  {_layer(document, one)}  {_shown(one)}"
        text.append("\n        " if number else "\n  won   ", style="green")
        text.append(line, style="bright_black" if number else "")
        for place in document.chain(one.key_location.file):
            text.append(f"\n            included from {place}", style="bright_black")
    return text


def _resolved(document: Document, found: Found) -> str | None:
    try:
        return Scope(document.root, search=found.section, functions=document.functions).resolve(found.value)
    except (MissingVariable, BadReference):
        return None  # it needs a quantum, or is a fault that facade check tells


def _shown(value: Value) -> str:
    return repr(value.text) if value.quoted else value.text


def _layer(document: Document, value: Value) -> str:
    return document.layers.get(value.key_location.file, "campaign")


def _plain(document: Document, found: Found) -> dict[str, object]:
    def one(value: Value) -> dict[str, object]:
        place = value.key_location
        return {"value": value.text, "quoted": value.quoted, "layer": _layer(document, value),
                "file": place.file, "line": place.line, "column": place.column}  # fmt: skip

    earlier = [one(value) for value in found.history]
    return {"key": found.name, **one(found.value), "resolved": _resolved(document, found), "history": earlier}
