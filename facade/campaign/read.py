"""Located tree -> `Campaign`: every keyword is read, checked and typed here and nowhere later.

All faults are collected, so that an operator mends a campaign in one go (desdm.md §1.7, §1.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facade.campaign import resources
from facade.campaign.among import check_among
from facade.campaign.archives import keeping
from facade.campaign.check import check_variables
from facade.campaign.columns import Columns
from facade.campaign.faults import Faults, Keys, in_order
from facade.campaign.filetypes import check_filetypes, read_filetypes
from facade.campaign.messages import MessageReader, check_keys
from facade.campaign.model import Block, Campaign
from facade.campaign.module import ModuleReader
from facade.campaign.names import check_names
from facade.campaign.outputs import junk
from facade.campaign.rules import check_unreferenced
from facade.campaign.shadow import Watch, check_shadowed, watched
from facade.campaign.supply import check_supply
from facade.campaign.vocabulary import Vocabulary
from facade.campaign.words import AT_SUBMISSION, COUNT, LATE, NAME, NAMES, TEXT
from facade.errors import CampaignError, Fault
from facade.files import FileType
from facade.needs import NOTHING
from facade.wcl.scope import Scope
from facade.wcl.template import Scalar
from facade.wcl.tree import Document, Section, Value

REQUIRED = ("project", "campaign", "reqnum", "unitname", "blocklist", "ops_run_dir")
IDENTITY = ("project", "campaign", "pipeline", "pipeprod", "pipever", "jira_id", "reqnum", "unitname", "attnum")
MAX_LABEL = 30
"""Longest label, in characters (desdm.md §1.7)."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was understood of a campaign, and what was found wrong with it.

    With errors among the ``faults`` the campaign lacks what they are about; ``sound`` are the modules that can be
    planned as far as one can tell without rows, ``columns`` what is known of the rows.
    """

    campaign: Campaign
    faults: tuple[Fault, ...]
    sound: frozenset[str]
    columns: Columns


def read(document: Document) -> Campaign:
    """Return the campaign that *document* describes.

    Raises:
        CampaignError: with every fault found, in the order of the text.
    """
    return accepted(examine(document))


def accepted(examined: Examined) -> Campaign:
    """Return the campaign, with its warnings; raises CampaignError if there are errors."""
    errors = [fault for fault in examined.faults if fault.severity == "error"]
    warnings = tuple(fault for fault in examined.faults if fault.severity != "error")
    if errors:
        raise CampaignError(errors, warnings)
    return replace(examined.campaign, warnings=warnings)


def examine(document: Document) -> Examined:
    """Read a campaign and check all of it, whatever is wrong with its parts."""
    faults, root, watch = Faults(document), document.root, Watch()
    for key in REQUIRED:
        faults.needed(root, key, "the campaign", code="F201")
    bare = Campaign(document=document, identity={}, blocks=(), filetypes={})
    keys, vocabulary = Keys(watched(bare.scope(), watch), faults), Vocabulary(root, faults)
    filetypes = read_filetypes(root, faults)
    blocks = _Blocks(bare, filetypes, vocabulary, faults)
    campaign = replace(bare, identity=_identity(root, keys), filetypes=filetypes, blocks=blocks.read(keys))
    campaign = replace(campaign, throttles=resources.throttles(root, keys), junk=junk(root, keys))
    campaign = replace(campaign, keeping=keeping(root, keys, faults))
    resources.check_categories(root, _categories(campaign.blocks), faults)
    _check_run(root, keys)
    _check_shared(root, vocabulary, keys.scope)
    check_unreferenced(campaign.modules, _patterns(root), faults)
    columns = Columns(campaign)
    missing = {key for key in REQUIRED if root.value(key) is None}
    unsound = blocks.unsound | check_variables(columns, watch, faults, missing)
    check_among(columns, faults, complete=blocks.complete)
    check_supply(columns, faults)
    check_names(columns, faults)
    _check_planning(campaign.blocks, faults)
    if blocks.complete:
        blocks.messages.check_programs()
        check_shadowed(campaign, watch, vocabulary.used.named, faults)
    found = in_order([*document.warnings, *faults.ordered(), *faults.ordered("warning")])
    sound = frozenset(module.name for module in campaign.modules if module.name not in unsound)
    return Examined(campaign, tuple(found), sound, columns)


def _identity(root: Section, keys: Keys) -> dict[str, Scalar]:
    result: dict[str, Scalar] = {}
    for key in IDENTITY:
        if key in ("reqnum", "attnum"):
            number = keys.word(root, key, COUNT, 0)
            result |= {key: number} if number else {}
        elif text := keys.word(root, key, NAME if key == "unitname" else TEXT, ""):
            result[key] = text
    return result


def _categories(blocks: Sequence[Block]) -> list[str]:
    return [needs.category for block in blocks for needs in (block.needs, *[one.needs for one in block.modules])]


def _check_run(root: Section, keys: Keys) -> None:
    """Check what the campaign wants to be kept of the attempt."""
    for item in keys.items(root, "label"):
        if len(item.text) > MAX_LABEL:
            message = f"label '{item.text}' has {len(item.text)} characters"
            keys.faults.at(item, message, f"write at most {MAX_LABEL}", code="F230")
    for item in keys.items(root, "save_run_vals"):
        if keys.scope.lookup(item.text.lower()) is None:
            keys.faults.unknown(item, "variable", item.text.lower(), keys.scope.known(), code="F231")


def _check_planning(blocks: tuple[Block, ...], faults: Faults) -> None:
    """Warn of a first block that is to wait for earlier ones."""
    if blocks and blocks[0].late:
        at = blocks[0].section.value("planned") or blocks[0].section
        message = f"block '{blocks[0].name}' is the first: it is planned at submission"
        faults.warn(at, message, "remove 'planned'", code="F233")


def _check_shared(root: Section, vocabulary: Vocabulary, scope: Scope) -> None:
    """Check the keys of all sections that do not belong to a block or module."""
    vocabulary.check("campaign", root, scope)
    check_keys(vocabulary, root, scope)
    for name in ("filename_pattern", "job_environment", "max_jobs"):
        if (section := root.section(name)) is not None:
            vocabulary.check(name, section, scope)
    for kind in ("directory_pattern", "archive", "site"):
        for _, section in (root.section(kind) or Section()).sections():
            vocabulary.check(kind, section, scope)
    check_filetypes(root, vocabulary, scope)


def _patterns(root: Section) -> Section:
    result = Section()
    for name in ("filename_pattern", "directory_pattern"):
        if (section := root.section(name)) is not None:
            result.set(name, section)
    return result


def filetypes(document: Document) -> dict[str, FileType]:
    """Return the filetypes defined in a document that need not be a campaign. Raises CampaignError."""
    faults = Faults(document)
    result = read_filetypes(document.root, faults)
    check_filetypes(document.root, Vocabulary(document.root, faults), Scope(document.root))
    if faults:
        raise CampaignError(faults.ordered())
    return result


class _Blocks:
    """Reads the blocks of a campaign, and through them its modules."""

    def __init__(self, bare: Campaign, filetypes: dict[str, FileType], vocabulary: Vocabulary, faults: Faults) -> None:
        self.root, self.scope = bare.document.root, bare.scope()
        self.filetypes, self.vocabulary, self.faults = filetypes, vocabulary, faults
        self.blocks, self.modules = (self.root.section(kind) or Section() for kind in ("block", "module"))
        self.messages = MessageReader(faults)
        self.ran: dict[str, str] = {}
        self.needs = NOTHING
        self.complete = True
        """Whether every list of blocks and modules could be read."""
        self.unsound: set[str] = set()
        """Modules with errors."""

    def read(self, keys: Keys) -> tuple[Block, ...]:
        """Return the blocks that the campaign lists."""
        faults, found = self.faults, dict[str, Block]()
        self.scope, self.needs = keys.scope, resources.needs(self.root, keys)
        for at, name in self.names(keys, self.root, "blocklist", "block"):
            section = self.blocks.section(name)
            if section is None:
                self.complete = False
                faults.unknown(at, "block", name, [name for name, _ in self.blocks.sections()], code="F205")
            elif name in found:
                faults.at(at, f"block '{name}' stands in the blocklist twice", "remove one of the two", code="F206")
            else:
                found[name] = self.block(name, section)
        return tuple(found.values())

    def block(self, name: str, section: Section) -> Block:
        """Read one block."""
        scope = replace(self.scope, current={"blockname": name}, members={**self.scope.members, "block": name})
        self.faults.needed(section, "modulelist", f"block '{name}'", code="F208")
        self.vocabulary.check("block", section, scope)
        check_keys(self.vocabulary, section, scope)
        modules = []
        for item, module_name in self.names(Keys(scope, self.faults), section, "modulelist", "module"):
            module = self.modules.section(module_name)
            if module is None:
                self.complete = False
                known = [name for name, _ in self.modules.sections()]
                self.faults.unknown(item, "module", module_name, known, code="F209")
            elif module_name in self.ran:
                message = f"module '{module_name}' already runs in block '{self.ran[module_name]}'"
                self.faults.at(item, message, "a module runs once: copy it under another name", code="F210")
            else:
                self.ran[module_name] = name
                inner = replace(
                    scope,
                    current={**scope.current, "modulename": module_name},
                    members={**scope.members, "module": module_name},
                )
                before = self.faults.errors
                reader = ModuleReader(
                    module_name, name, module, section, inner, self.filetypes, self.faults, self.messages
                )
                modules.append(reader.read(self.vocabulary))
                self.unsound |= {module_name} if self.faults.errors > before else set()
        keys = Keys(scope, self.faults)
        needs = resources.needs(section, keys).over(self.needs)
        late = keys.word(section, "planned", LATE, AT_SUBMISSION) != AT_SUBMISSION
        return Block(name=name, section=section, modules=tuple(modules), needs=needs, late=late)

    def names(self, keys: Keys, section: Section, key: str, what: str) -> list[tuple[Value, str]]:
        """Return the names in a comma list with their places; they go into file names and labels."""
        value = keys.value(section, key)
        items = value.items() if value is not None else ()
        if value is not None and not items:
            self.faults.at(value, f"this list names no {what}", "write one name, or several with commas", code="F207")
        read = [names[0] if (names := self.faults.read(key, item, NAMES)) else "" for item in items]
        self.complete = self.complete and bool(read) and all(read)
        return [(item, name) for item, name in zip(items, read, strict=True) if name]
