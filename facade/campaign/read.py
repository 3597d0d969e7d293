"""Located tree -> `Campaign`: every keyword is read, checked and typed here and nowhere later.

All faults are collected, so that an operator mends a campaign in one go (desdm.md §1.7, §1.8).
"""

from __future__ import annotations

import re

from facade.campaign.check import check_references
from facade.campaign.faults import Faults, split
from facade.campaign.model import Block, Campaign
from facade.campaign.module import ModuleReader
from facade.errors import CampaignError
from facade.files import COLUMN_TYPES, FileType
from facade.wcl.scope import Scalar
from facade.wcl.tree import Document, Section

REQUIRED = ("project", "campaign", "reqnum", "unitname", "blocklist", "ops_run_dir")
IDENTITY = ("project", "campaign", "pipeline", "pipeprod", "pipever", "jira_id", "reqnum", "unitname", "attnum")

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*$")


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
    campaign = Campaign(
        document=document,
        identity=identity,
        blocks=blocks,
        filetypes=filetypes,
        warnings=tuple(document.warnings),
    )
    if not faults:
        check_references(campaign, faults)
    if faults:
        raise CampaignError(faults.ordered())
    return campaign


def _identity(root: Section, faults: Faults) -> dict[str, Scalar]:
    result: dict[str, Scalar] = {}
    for key in IDENTITY:
        value = root.value(key)
        if value is None:
            continue
        if key in ("reqnum", "attnum"):
            if not value.text.isdigit() or int(value.text) < 1:
                faults.at(value, f"'{key}' must be a whole number from 1", f"write for example '{key} = 11'")
                continue
            result[key] = int(value.text)
        else:
            result[key] = value.text
            if key == "unitname" and not _UNIT.match(value.text):
                faults.at(value, "'unitname' may hold letters, digits, '_', '.', '+' and '-' only")
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
                faults.at(value, f"column type '{kind}' is not known", f"one of: {', '.join(COLUMN_TYPES)}")
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
        raise CampaignError(faults)
    return result


def _blocks(root: Section, filetypes: dict[str, FileType], faults: Faults) -> tuple[Block, ...]:
    blocks: list[Block] = []
    seen: dict[str, str] = {}
    group, modules = root.section("block"), root.section("module")
    known_blocks = [name for name, _ in group.sections()] if group else []
    known_modules = [name for name, _ in modules.sections()] if modules else []
    blocklist = root.value("blocklist")
    for name in split(blocklist.text.lower()) if blocklist else ():
        section = group.section(name) if group else None
        if section is None:
            assert blocklist is not None
            faults.unknown(blocklist, "block", name, known_blocks)
            continue
        modulelist = faults.needed(section, "modulelist", f"block '{name}'")
        found = []
        for module_name in split(modulelist.text.lower()) if modulelist else ():
            assert modulelist is not None
            module = modules.section(module_name) if modules else None
            if module is None:
                faults.unknown(modulelist, "module", module_name, known_modules)
            elif module_name in seen:
                faults.at(modulelist, f"module '{module_name}' already runs in block '{seen[module_name]}'")
            else:
                seen[module_name] = name
                found.append(ModuleReader(module_name, name, module, section, root, filetypes, faults).read())
        blocks.append(Block(name=name, section=section, modules=tuple(found)))
    return tuple(blocks)
