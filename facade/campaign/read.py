"""Located tree -> `Campaign`: every keyword is read, checked and typed here and nowhere later.

All faults are collected, so that an operator mends a campaign in one go (desdm.md §1.7, §1.8).
"""

from __future__ import annotations

import re
from dataclasses import replace

from facade.campaign.check import check_references
from facade.campaign.faults import Faults, in_order
from facade.campaign.model import Block, Campaign
from facade.campaign.module import ModuleReader
from facade.errors import CampaignError
from facade.files import COLUMN_TYPES, FileType
from facade.wcl.scope import BadReference, MissingVariable, Scalar, Scope
from facade.wcl.tree import Document, Section, Value

REQUIRED = ("project", "campaign", "reqnum", "unitname", "blocklist", "ops_run_dir")
IDENTITY = ("project", "campaign", "pipeline", "pipeprod", "pipever", "jira_id", "reqnum", "unitname", "attnum")

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*$")
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}$")


def read(document: Document) -> Campaign:
    """Return the campaign that *document* describes.

    Raises:
        CampaignError: with every fault found, in the order of the text.
    """
    faults = Faults(document)
    root = document.root
    for key in REQUIRED:
        faults.needed(root, key, "the campaign")
    identity = _identity(root, faults)
    filetypes = _filetypes(root, faults)
    blocks = _blocks(root, filetypes, faults)
    campaign = Campaign(document=document, identity=identity, blocks=blocks, filetypes=filetypes)
    check_references(campaign, faults, {key for key in REQUIRED if root.value(key) is None})
    if faults.found:
        raise CampaignError(faults.ordered())
    return replace(campaign, warnings=(*document.warnings, *in_order(faults.warnings)))


def _identity(root: Section, faults: Faults) -> dict[str, Scalar]:
    result: dict[str, Scalar] = {}
    scope = Scope(root)
    for key in IDENTITY:
        value = root.value(key)
        if value is None:
            continue
        try:
            text = scope.resolve(value.text)
        except MissingVariable as missing:
            faults.undefined(value, missing, scope.known())
            continue
        except BadReference as error:
            faults.at(value, str(error))
            continue
        if key in ("reqnum", "attnum"):
            if not _NUMBER.match(text):
                faults.at(value, f"'{key}' must be a whole number from 1", f"write for example '{key} = 11'")
                continue
            result[key] = int(text)
        else:
            result[key] = text
            if key == "unitname" and not _UNIT.match(text):
                faults.at(value, f"'unitname' is '{text}'; it may hold letters, digits, '_', '.', '+' and '-' only")
    return result


def _filetypes(root: Section, faults: Faults) -> dict[str, FileType]:
    result = {"list": FileType(name="list"), "log": FileType(name="log")}
    group = root.section("filetype_metadata")
    for name, section in group.sections() if group else ():
        columns = []
        column_section = section.section("columns")
        for column, value in column_section.values() if column_section else ():
            kind, _, source = value.text.partition(" ")
            if kind not in COLUMN_TYPES:
                faults.unknown(value.part(0, len(kind)), "column type", kind, COLUMN_TYPES)
            if source.strip() and not source.strip().lower().startswith("header:"):
                faults.at(value, f"column source '{source.strip()}' is not known", "write header:KEY, or nothing")
            columns.append((column, kind, source.strip()))
        if columns and section.value("metadata_table") is None:
            faults.at(section, f"filetype '{name}' has columns but no 'metadata_table'")
        result[name] = FileType(
            name=name,
            metadata_table=section.text("metadata_table"),
            ingestor=section.text("ingestor", "plain"),
            columns=tuple(columns),
            archive_path=section.text("archive_path"),
        )
    return result


def filetypes(document: Document) -> dict[str, FileType]:
    """Return the filetypes defined in a document that need not be a campaign. Raises CampaignError."""
    faults = Faults(document)
    result = _filetypes(document.root, faults)
    if faults:
        raise CampaignError(faults.ordered())
    return result


def _blocks(root: Section, filetypes: dict[str, FileType], faults: Faults) -> tuple[Block, ...]:
    blocks: list[Block] = []
    seen: dict[str, str] = {}
    group, modules = root.section("block"), root.section("module")
    known_blocks = [name for name, _ in group.sections()] if group else []
    known_modules = [name for name, _ in modules.sections()] if modules else []
    for at, name in _names(root.value("blocklist"), "block", faults):
        section = group.section(name) if group else None
        if section is None:
            faults.unknown(at, "block", name, known_blocks)
            continue
        if any(block.name == name for block in blocks):
            faults.at(at, f"block '{name}' stands in the blocklist twice", "remove one of the two")
            continue
        modulelist = faults.needed(section, "modulelist", f"block '{name}'")
        found = []
        for item, module_name in _names(modulelist, "module", faults):
            module = modules.section(module_name) if modules else None
            if module is None:
                faults.unknown(item, "module", module_name, known_modules)
            elif module_name in seen:
                remedy = "a module runs once: copy it under another name"
                faults.at(item, f"module '{module_name}' already runs in block '{seen[module_name]}'", remedy)
            else:
                seen[module_name] = name
                found.append(ModuleReader(module_name, name, module, section, root, filetypes, faults).read())
        blocks.append(Block(name=name, section=section, modules=tuple(found)))
    return tuple(blocks)


def _names(value: Value | None, what: str, faults: Faults) -> list[tuple[Value, str]]:
    """Return the names in a comma list with their places; they go into file names and labels."""
    items = value.items() if value else ()
    if value is not None and not items:
        faults.at(value, f"this list names no {what}")
    for item in items:
        if not _UNIT.match(item.text):
            faults.at(item, f"the name of {what} '{item.text}' may hold letters, digits, '_', '.', '+' and '-' only")
    return [(item, item.text.lower()) for item in items if _UNIT.match(item.text)]
