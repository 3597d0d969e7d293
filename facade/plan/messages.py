"""What is looked for in the output of programs, as a plan has it: each set of rules once, and which program has which.

It is no part of what a quantum does (`facade.plan.fingerprint`): other patterns make nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from facade.campaign.model import Module
from facade.messages import Rules, rules_of


class Messages(NamedTuple):
    """Sets of rules, and module -> number of the exec, as text -> index of its rules."""

    rules: tuple[Rules, ...] = ()
    programs: Mapping[str, Mapping[str, int]] = {}


NO_MESSAGES = Messages()


def messages_of(modules: Iterable[Module]) -> Messages:
    """Return what is looked for in the output of the programs of *modules*."""
    rules: dict[Rules, int] = {}
    programs = {
        module.name: {str(one.num): rules.setdefault(one.messages, len(rules)) for one in module.execs if one.messages}
        for module in modules
        if not module.noop
    }
    return Messages(tuple(rules), {module: found for module, found in programs.items() if found})


def from_plain(plain: Any) -> Messages:
    """Read back from a plan's JSON."""
    rules, programs = plain or NO_MESSAGES
    return Messages(tuple([rules_of(one) for one in rules]), programs)
