"""Definitions of filetypes: which metadata are recorded of a file, of what type and unit, and where each comes from.

A column is one line, ``NAME = TYPE [required] [SOURCE] [[UNIT]] [ucd:UCD] [- DESCRIPTION]``; what is in brackets may be
left out (desdm.md §5: ``filetype_metadata``, whose required and optional headers, WCL values and functions these are).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from facade.campaign.contents import read_contents
from facade.campaign.faults import Faults, key_of
from facade.campaign.outputs import SOURCE
from facade.campaign.vocabulary import Vocabulary
from facade.files import WCL, FileType, planned_name
from facade.metadata import COLUMN_TYPES, FILENAME, NAME, NO_DETAIL, RESERVED, Detail
from facade.outputs import HEADER
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, MissingVariable, Scalar, Slot
from facade.wcl.tree import Section, Value

SOURCES = "header:[HDU:]KEY, wcl:NAME, filename:PATTERN[:NAME], function:NAME"
_VARIABLE = re.compile(rf"{WCL}\s*[\w-]+$")
"""``wcl:NAME``: the value that planning knows under another name."""
_FILENAME = re.compile(rf"{FILENAME}([\w-]+)(?::([\w-]+))?$")
_DESCRIPTION = re.compile(r"(?:^|\s)-\s")
_WORD = re.compile(r"\[[^\]]*\]|\S+")
_UCD = re.compile(r"[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*$")


@dataclass(frozen=True, slots=True)
class _Column:
    """One column as it is written; ``at`` is the part that names its type."""

    name: str
    kind: str
    source: str
    detail: Detail
    at: Value


def read_filetypes(root: Section, faults: Faults) -> dict[str, FileType]:
    """Return the filetypes that *root* defines, by name."""
    result = {"list": FileType(name="list"), "log": FileType(name="log")}
    group = root.section("filetype_metadata")
    tables: dict[str, dict[str, tuple[_Column, str]]] = {}
    for name, section in group.sections() if group else ():
        written = section.section("columns")
        columns = [_column(name, value, root, faults) for name, value in written.values()] if written else []
        if columns and section.value("metadata_table") is None:
            message = f"filetype '{name}' has columns but no 'metadata_table'"
            faults.at(section, message, "add 'metadata_table = …'", code="F213")
        table = _table(section, faults)
        _compare(tables.setdefault(table, {}) if table else {}, name, columns, faults)
        result[name] = FileType(
            name=name,
            metadata_table=table,
            ingestor=section.text("ingestor", _ingestor(columns)),
            columns=tuple((one.name, one.kind, one.source) for one in columns),
            archive_path=section.text("archive_path"),
            details={one.name: one.detail for one in columns if one.detail != NO_DETAIL},
            contents_table=section.text("contents_table"),
            contents=read_contents(name, section, faults),
            contents_hdu=section.text("contents_hdu"),
        )
    return result


def _ingestor(columns: Sequence[_Column]) -> str:
    """Return the ingestor of a filetype that names none: what columns are read from headers is not passed over."""
    return "fits" if any(one.source.startswith(HEADER) for one in columns) else "plain"


def _table(section: Section, faults: Faults) -> str:
    """Return the table of a filetype; like all names of tables, in whatever case it is written."""
    value = section.value("metadata_table")
    if value is not None and not NAME.fullmatch(value.text.lower()):
        remedy = "use letters, digits and '_', a letter first, at most 59"
        faults.at(value, f"'{value.text}' is no name for a table", remedy, code="F218")
    return value.text.lower() if value is not None else ""


def check_filetypes(root: Section, vocabulary: Vocabulary, scope: Scope) -> None:
    """Check the keys of the sections that define filetypes."""
    for _, section in (root.section("filetype_metadata") or Section()).sections():
        vocabulary.check("filetype", section, scope)
        if (columns := section.section("columns")) is not None:
            vocabulary.check("columns", columns, scope)
        if (contents := section.section("contents")) is not None:
            vocabulary.check("contents", contents, scope)


def from_name(definition: FileType, root: Section, filename: str) -> dict[str, Scalar]:
    """Return what *filename* tells of the columns that come from it; None for each if it does not fit the pattern."""
    result: dict[str, Scalar] = {}
    for column, _, source in definition.columns:
        if source.startswith(FILENAME):
            pattern = source.removeprefix(FILENAME).partition(":")[0].lower()
            value = root.path(f"filename_pattern.{pattern}")
            wanted = planned_name(column, source)
            result[column] = _read_back(value, root, wanted, filename) if isinstance(value, Value) else None
    return result


def _column(name: str, value: Value, root: Section, faults: Faults) -> _Column:
    end = found.start() if (found := _DESCRIPTION.search(value.text)) else len(value.text)
    description = value.text[found.end() :].strip() if found else ""
    first, *spans = [one.span() for one in _WORD.finditer(value.text, 0, end)] or [(0, 0)]
    at = value.part(*first) if first[1] else value
    if value.text[slice(*first)] not in COLUMN_TYPES:
        faults.unknown(at, "column type", value.text[slice(*first)], COLUMN_TYPES, code="F211")
    if not NAME.fullmatch(name) or name in RESERVED:
        what = "every file has one already" if name in RESERVED else "it cannot be a column of a table"
        remedy = "choose another name" if name in RESERVED else "use a-z, 0-9 and _, a letter first, at most 59"
        faults.at(key_of(name, value), f"'{name}' is no name for metadata: {what}", remedy, code="F218")
    required, said, source = False, dict[str, str](), list[tuple[int, int]]()
    for span in spans:
        word = value.text[slice(*span)]
        what = "unit" if word[0] == "[" and word[-1] == "]" else "UCD" if word.startswith("ucd:") else ""
        if word.lower() == "required":
            required = True
        elif not what:
            source.append(span)
        elif what in said:
            faults.at(value.part(*span), f"column '{name}' has two {what}s", "remove one of them", code="F217")
        else:
            said[what] = word[1:-1].strip() if what == "unit" else word.removeprefix("ucd:")
            if what == "UCD" and not all(_UCD.match(atom) for atom in said[what].split(";")):
                faults.at(value.part(*span), f"'{said[what]}' is no UCD", "write ucd:phot.mag;em.opt.I", code="F217")
    detail = Detail(required, said.get("unit", ""), said.get("UCD", ""), description)
    text = " ".join(value.text[slice(*span)] for span in source)
    if source:
        _check_source(name, text, value.part(source[0][0], source[-1][1]), root, faults)
    return _Column(name, value.text[slice(*first)], text, detail, at)


def _check_source(name: str, source: str, at: Value, root: Section, faults: Faults) -> None:
    if found := _FILENAME.match(source):
        pattern, wanted = found[1].lower(), (found[2] or name).lower()
        value = root.path(f"filename_pattern.{pattern}")
        if not isinstance(value, Value):
            patterns = root.section("filename_pattern") or Section()
            faults.unknown(at, "filename pattern", found[1], [known for known, _ in patterns.values()], code="F219")
        elif wanted not in (names := [one.name for one in _slots(value, root, wanted)]):
            message = f"pattern '{pattern}' has no ${{{wanted}}} to read '{name}' from"
            faults.at(at, message, f"it has: {', '.join(names) or 'none'}", code="F219")
    elif not (SOURCE.match(source) or _VARIABLE.match(source)):
        faults.at(at, f"column source '{source}' is not known", f"write {SOURCES}, or nothing", code="F212")


def _compare(known: dict[str, tuple[_Column, str]], filetype: str, columns: list[_Column], faults: Faults) -> None:
    """Check that filetypes that share a table mean the same by a column of it."""
    for one in columns:
        first, owner = known.setdefault(one.name, (one, filetype))
        for what, mine, other in (("type", one.kind, first.kind), ("unit", one.detail.unit, first.detail.unit)):
            if mine and other and mine != other:
                message = (
                    f"{what} of column '{one.name}' is '{mine}', but '{other}' for filetype '{owner}' of its table"
                )
                faults.at(one.at, message, "make them the same, or choose another column or table", code="F218")


def _parts(value: Value, root: Section, *wanted: str) -> tuple[object, ...]:
    """Return the parts of a pattern; *wanted*, and what the configuration does not say, are left open."""
    late = set(wanted)
    for _ in range(len(value.text)):
        try:
            return tuple(Scope(root, late=frozenset(late)).expand(value).template.parts)
        except MissingVariable as error:
            late.add(error.name)
        except BadReference:
            break
    return ()


def _slots(value: Value, root: Section, *wanted: str) -> list[Slot]:
    return [part for part in _parts(value, root, *wanted) if isinstance(part, Slot)]


def _read_back(value: Value, root: Section, wanted: str, filename: str) -> str | None:
    """Return what stands in *filename* for *wanted*; None if the name does not fit the pattern.

    A variable that stands twice in the pattern has one value.
    """
    text, groups = "", dict[str, str]()
    for part in _parts(value, root, wanted):
        if not isinstance(part, Slot):
            text += re.escape(part) if isinstance(part, str) else ".*"
        elif part.name in groups:
            text += f"(?P={groups[part.name]})"
        else:
            groups[part.name] = f"v{len(groups)}"
            text += f"(?P<{groups[part.name]}>" + (f"[0-9]{{{part.pad},}})" if part.pad else ".+?)")
    found = re.fullmatch(text, filename)
    return found[groups[wanted]] if found and wanted in groups else None
