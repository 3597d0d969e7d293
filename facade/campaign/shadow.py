"""Which definitions of variables ever count: a scope that watches its look-ups, and what it never found."""

from __future__ import annotations

from dataclasses import dataclass, field

from facade.campaign.columns import loop_object
from facade.campaign.faults import Faults, key_of
from facade.campaign.keyword import VARIABLE
from facade.campaign.keywords import KEYWORDS
from facade.campaign.model import Campaign
from facade.wcl.scope import Scope
from facade.wcl.template import Scalar
from facade.wcl.tree import Value

_KEYWORDS = frozenset(one.name for one in KEYWORDS if one.status != VARIABLE)


@dataclass(slots=True)
class Watch:
    """What look-ups found: name -> block in which it was asked for -> the values that won, by identity."""

    found: dict[str, dict[str, dict[int, Value]]] = field(default_factory=dict)

    def note(self, key: str, block: str, value: Value) -> None:
        """Note that *value* was found for *key* in a module of *block*."""
        self.found.setdefault(key, {}).setdefault(block, {})[id(value)] = value

    def winners(self, key: str, block: str = "") -> dict[int, Value]:
        """Return what look-ups of *key* found, those in modules of *block* if one is given."""
        found = self.found.get(key, {})
        return found.get(block, {}) if block else {at: value for one in found.values() for at, value in one.items()}


@dataclass(slots=True)
class WatchedScope(Scope):
    """A scope whose look-ups are watched; copies of it share the watch."""

    watch: Watch = field(default_factory=Watch)

    def lookup(self, name: str) -> Value | Scalar:
        """Return what a scope returns, and note it."""
        value = Scope.lookup(self, name)
        if isinstance(value, Value):
            self.watch.note(name, self.members.get("block", ""), value)
        return value


def watched(scope: Scope, watch: Watch) -> WatchedScope:
    """Return a copy of *scope* that tells *watch* what it finds."""
    return WatchedScope(
        root=scope.root,
        current=scope.current,
        search=scope.search,
        members=scope.members,
        late=scope.late,
        dotted=scope.dotted,
        functions=scope.functions,
        watch=watch,
    )


def check_shadowed(campaign: Campaign, watch: Watch, named: set[str], faults: Faults) -> None:
    """Warn of variables that never count, although something uses their names.

    *watch* has seen every look-up of the campaign; *named* are names that are used in other ways than ``${name}``.
    """
    _check_loop_keys(campaign, watch, faults)
    document = campaign.document
    lines = [line for text in document.sources.values() for line in text if "<<" in line]
    includes = " ".join(lines).lower()
    for section in (document.root, *(block.section for block in campaign.blocks)):
        for key, value in section.values():
            if value.key_location.file != document.root.location.file or key in _KEYWORDS or key in named:
                continue  # a library defines for many campaigns
            winners = watch.winners(key, section.name)
            if not winners or id(value) in winners or key in includes:
                continue
            nearest = min((winner.key_location for winner in winners.values()), key=lambda at: (at.file, at.line))
            others = f" and {len(winners) - 1} more" if len(winners) > 1 else ""
            message = f"'{key}' never counts: whatever uses it finds a nearer definition, at {nearest}{others}"
            faults.warn(key_of(key, value), message, "remove it here, or there", code="F419")


def _check_loop_keys(campaign: Campaign, watch: Watch, faults: Faults) -> None:
    for module in campaign.modules:
        spec = loop_object(module)
        for key in module.loop if spec is not None else ():
            value = module.section.value(key)
            if value is not None and id(value) not in watch.winners(key):
                message = f"'{key}' has no effect here: its values come from {module.loopobj}, the loop object"
                faults.warn(key_of(key, value), message, "remove it", code="F420")
