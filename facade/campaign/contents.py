"""Definitions of filetypes, the part that says which rows of a file go into a table: ``<contents>``.

A column is one line, ``NAME = TYPE [column:NAME]``; without the source it has the same name in the file.
"""

from __future__ import annotations

import re

from facade.campaign.faults import Faults, key_of
from facade.files import COLUMN
from facade.metadata import COLUMN_TYPES, NAME
from facade.wcl.tree import Section

_SOURCE = re.compile(rf"{COLUMN}\s*\S")
OWN = ("desfile_id", "rownum")
"""What every row has: the file that it came with, and its number there."""


def read_contents(filetype: str, section: Section, faults: Faults) -> tuple[tuple[str, str, str], ...]:
    """Return the columns of the table for the rows of a filetype's files, each (name, type, source)."""
    written, found = section.section("contents"), []
    for name, value in written.values() if written else ():
        kind, _, source = value.text.partition(" ")
        source = source.strip()
        if kind not in COLUMN_TYPES:
            faults.unknown(value.part(0, len(kind)), "column type", kind, COLUMN_TYPES, code="F211")
        if not NAME.fullmatch(name) or name in OWN:
            what = "every row has one already" if name in OWN else "it cannot be a column of a table"
            faults.at(key_of(name, value), f"'{name}' is no name for contents: {what}", "choose another", code="F218")
        if source and not _SOURCE.match(source):
            at = value.part(len(value.text) - len(source), len(value.text))
            faults.at(at, f"column source '{source}' is not known", "write column:NAME, or nothing", code="F212")
        found.append((name, kind, source))
    if bool(found) != bool(section.text("contents_table")):
        lacks, has = ("contents_table", "<contents>") if found else ("<contents>", "contents_table")
        faults.at(section, f"filetype '{filetype}' has '{has}' but no '{lacks}'", f"add '{lacks}'", code="F213")
    return tuple(found)
