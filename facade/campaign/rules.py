"""What the sections of one module say of each other (desdm.md §1.8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from facade.campaign.faults import Faults
from facade.campaign.model import Module
from facade.provenance import illegal
from facade.wcl.tree import Section

_FILE = re.compile(r"(?<![\w.])file\.([^\s.,:{}()\[\]$]+)", re.IGNORECASE)
"""``file.x`` of the module itself; ``module.file.x`` is another's."""


def check_module(module: Module, faults: Faults, *, sound: bool) -> None:
    """Add what is wrong with *module* as a whole.

    *sound* says that its parts are right: else what is told of the whole might tell the same a second time.
    """
    _check_loop(module, faults)
    for name in module.outputs:
        if (spec := module.files.get(name)) is not None and spec.listonly:
            message = f"output '{name}' of module '{module.name}' is listonly"
            faults.at(spec.section, message, "remove listonly", code="F322")
    if sound:
        _check_ancestry(module, faults)
        _check_execs(module, faults)
        _check_files(module, faults)


def _check_loop(module: Module, faults: Faults) -> None:
    value = module.section.value("loopobj")
    if value is not None and not module.loop:
        message = f"module '{module.name}' has a loopobj but no wrapperloop"
        faults.at(value, message, "add 'wrapperloop = …' or remove it", code="F321")


def _check_ancestry(module: Module, faults: Faults) -> None:
    """Check that what a program derives are its own outputs, and from what it had."""
    earlier: set[str] = set()
    for one in module.execs:
        used, generated = ({str(ref) for ref in refs} for refs in (one.used, one.generated))
        derived = [(str(parent), str(child)) for parent, child in one.ancestry]
        value = one.section.value("ancestry")
        items = value.items() if value is not None else ()
        for index, reason in illegal(used, generated, derived, earlier):
            at = items[index] if len(items) == len(derived) else value or one.section
            remedy = "name it in 'used' or 'was_generated_by' of the same exec"
            faults.at(at, f"ancestry: {reason}", remedy, code="F308")
        earlier |= generated


def _check_execs(module: Module, faults: Faults) -> None:
    for one in module.execs:
        what = f"exec_{one.num} of module '{module.name}'"
        if one.used and one.generated and not one.ancestry:
            message = f"{what} has no ancestry: provenance will not say what its outputs were made from"
            remedy = f"add 'ancestry = {one.used[0]}:{one.generated[0]}', for each input that went into an output"
            faults.warn(one.section, message, remedy, code="F331")
        if not one.cmdline:
            faults.warn(one.section, f"{what} has no command line", "add a <cmdline> section", code="F332")
        if "/" in one.execname.text:
            remedy = "write the program's name alone, and its directory into path of <job_environment>"
            message = f"'{one.execname.text}' is a path: it must be the same on every machine that runs jobs"
            faults.warn(one.execname, message, remedy, code="F333")


def _check_files(module: Module, faults: Faults) -> None:
    """Warn of files that are looked for although nothing wants them."""
    named = _named_files(module)
    member_of = {nick: one.name for one in module.lists.values() for nick in one.members}
    for name, spec in module.files.items():
        if name in named or name in module.outputs or spec.listonly:
            continue
        if name in member_of:
            message = (
                f"file '{name}' is a member of list '{member_of[name]}' but not listonly: each quantum looks for one"
            )
            faults.warn(spec.section, f"{message} of its own", "add 'listonly = True'", code="F330")


def check_unreferenced(modules: Sequence[Module], patterns: Section, faults: Faults) -> None:
    """Warn of files that nothing refers to: no program, list, loop, pattern or other module."""
    elsewhere = {
        f"{depends.module}.{depends.ref}"
        for module in modules
        for spec in [*module.files.values(), *module.lists.values()]
        for depends in spec.depends
    }
    in_patterns = {name.lower() for text in _texts(patterns) for name in _FILE.findall(text)}
    for module in modules:
        members = {nick for one in module.lists.values() for nick in one.members}
        named = _named_files(module) | in_patterns | members | set(module.outputs)
        for name, spec in module.files.items():
            if name not in named and f"{module.name}.file.{name}" not in elsewhere and "." not in name:
                message = f"nothing refers to file '{name}' of module '{module.name}'"
                remedy = "name it in 'used' or 'was_generated_by' of an exec, or remove it"
                faults.warn(spec.section, message, remedy, code="F334")


def _named_files(module: Module) -> set[str]:
    """Return the files that a value of the module names as ``file.x``."""
    return {name.lower() for text in _texts(module.section) for name in _FILE.findall(text)}


def _texts(section: Section) -> Iterator[str]:
    for _, entry in section.items():
        if isinstance(entry, Section):
            yield from _texts(entry)
        else:
            yield entry.text
