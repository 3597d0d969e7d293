"""Reading the ``file`` and ``list`` sections of a module (desdm.md §1.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from facade.campaign.faults import Faults, Keys, key_of
from facade.campaign.model import Depends, FileSpec, ListSpec, QuerySpec, Ref
from facade.campaign.outputs import cards
from facade.campaign.words import BOOL, KEYS, LIST_FORMAT, NAME, QUERY_OUTPUT, REF, TRUE
from facade.files import FileType
from facade.wcl.tree import Section, Value

_SORT = re.compile(r"\(\s*(?P<key>[\w.]+)\s*(?:,\s*(?P<numeric>\w*)\s*)?(?:,\s*(?P<reverse>\w*)\s*)?\)$")


_FMT = re.compile(r"\$FMT\{\s*([^,{}]*?)\s*,\s*([^,{}]*?)\s*\}", re.IGNORECASE)
_FORM = re.compile(r"%[-+ 0#]*\d{0,3}(?:\.\d{1,2})?[dfeEgGs]")


class Named:
    """What a module calls its files and lists, and references to them."""

    def __init__(self, module: str, section: Section, faults: Faults) -> None:
        self.module, self.section, self.faults = module, section, faults

    def names(self, kind: str) -> list[str]:
        """Return the names of the module's files or lists."""
        group = self.section.section(kind)
        sections = list(group.sections()) if group else []
        return [name for name, section in sections for name in (name, *(part for part, _ in parts(section)))]

    def ref(self, key: str, at: Value) -> Ref:
        """Read a reference under *key* and check that the module has what it names."""
        found = self.faults.read(key, at, REF) or Ref("", at.text)
        files, lists = self.names("file"), self.names("list")
        known = files if found.kind == "file" else lists
        if found.kind and found.name not in known:
            self.faults.unknown(at, f"{found.kind} of module '{self.module}'", found.name, known, code="F304")
        elif found.member and found.member not in files:
            self.faults.unknown(at, f"file of module '{self.module}'", found.member, files, code="F304")
        return found


def parts(section: Section) -> list[tuple[str, Section]]:
    """Return the lists into which a list section is divided."""
    divided = section.section("div_list_by_col")
    return list(divided.sections()) if divided is not None else []


class DatasetReader:
    """Reads the file and list sections of one module; *outer* are the sections around them, nearest first."""

    def __init__(
        self, named: Named, keys: Keys, outer: tuple[Section, ...], filetypes: Mapping[str, FileType], faults: Faults
    ) -> None:
        self.named, self.keys, self.outer, self.filetypes, self.faults = named, keys, outer, filetypes, faults
        self.module = named.module

    def group(self, kind: str) -> list[tuple[str, Section]]:
        """Return (name, section) of each file or list."""
        found = self.named.section.section(kind)
        sections = list(found.sections()) if found else []
        for key, value in found.values() if found else ():
            message = f"'{key}' stands in <{kind}> itself, not in one of its sections"
            self.faults.at(key_of(key, value), message, "move it into one of them", code="F335")
        for name, section in sections:
            if "." in name:
                message = f"the name of {kind} '{name}' holds a '.', which separates the parts of a reference"
                self.faults.at(section, message, f"write <{name.replace('.', '_')}>", code="F325")
        return sections

    def file(self, name: str, section: Section, output: bool) -> FileSpec:
        """Read one file section."""
        faults, keys = self.faults, self.keys
        depends, newname = self.depends(section)
        spec = FileSpec(
            name=name,
            section=section,
            query=self.query("file", section),
            depends=depends,
            newname=newname,
            keys=self.grouping(section),
            dirpat=keys.value(section, "dirpat"),
            filepat=keys.value(section, "filepat"),
            filename=section.value("filename"),
            filetype=self.filetype(section),
            listonly=keys.word(section, "listonly", BOOL, False),
            optional=keys.word(section, "optional", BOOL, False),
            savefiles=keys.word(section, "savefiles", BOOL, True),
            empty=keys.word(section, "allow_empty", BOOL, False),
            compress=keys.word(section, "compress_files", BOOL, False),
            cards=cards(section, faults),
            multiple=keys.word(section, "ignore_multiple_error", BOOL, False),
            fullname=section.value("fullname"),
            rename=section.value("rename_file"),
        )
        if not any(section.value(key) for key in ("dirpat", "fullname")):
            faults.needed(section, "dirpat", f"file '{name}' of module '{self.module}'", code="F312")
        named = any(section.value(key) for key in ("filepat", "filename", "fullname"))
        if output and not named:
            message = f"output '{name}' of module '{self.module}' has no name"
            faults.at(section, message, "add filepat or filename", code="F313")
        elif not (named or spec.query or spec.listonly or any(map(section.value, ("depends", "depends-newname")))):
            remedy = "add filepat, filename, query_fields, exec or depends"
            message = f"file '{name}' of module '{self.module}' has neither a name nor a source"
            faults.at(section, message, remedy, code="F314")
        if spec.newname and not named:
            message = f"file '{name}' of module '{self.module}' takes new names but has no pattern for them"
            faults.at(section, message, "add filepat", code="F315")
        if output:
            faults.needed(section, "filetype", f"output '{name}' of module '{self.module}'", code="F316")
        return spec

    def lists(self) -> dict[str, ListSpec]:
        """Read the list sections, and those into which ``div_list_by_col`` divides one."""
        found: dict[str, ListSpec] = {}
        for name, section in self.group("list"):
            inside = section.section("div_list_by_col")
            for key, value in inside.values() if inside is not None else ():
                message = f"'{key}' stands in <div_list_by_col> itself, not in one of its sections"
                self.faults.at(key_of(key, value), message, "move it into one of them, or into the list", code="F335")
            divided = {part: self.list(part, _within(section, inner), name) for part, inner in parts(section)}
            read = {name: self.whole(name, section, divided) if divided else self.list(name, section), **divided}
            for one, spec in read.items():
                if one in found:
                    message = f"list '{one}' of module '{self.module}' is there twice"
                    self.faults.at(spec.section, message, "give each list a name of its own", code="F337")
            found |= read
        return found

    def whole(self, name: str, section: Section, divided: Mapping[str, ListSpec]) -> ListSpec:
        """Read a list that is *divided*: it has the members of all its parts, and no file of its own."""
        columns = {
            column: form for one in divided.values() for column, form in zip(one.columns, one.forms, strict=True)
        }
        names = tuple(columns), tuple(columns.values())
        found = self.list(name, section, name)
        return replace(found, columns=names[0], forms=names[1], filepat=None, filename=None, part_of="")

    def list(self, name: str, section: Section, part_of: str = "") -> ListSpec:
        """Read one list section, or one part of list *part_of*; the whole of a divided list is a part of itself."""
        faults, keys = self.faults, self.keys
        depends, newname = self.depends(section)
        if name != part_of:
            faults.needed(section, "columns", f"list '{name}' of module '{self.module}'", code="F317")
        columns = keys.items(section, "columns") if name != part_of else []
        if name != part_of and any(section.value(key) for key in ("filepat", "filename")):
            faults.needed(section, "dirpat", f"list '{name}' of module '{self.module}'", code="F318")
        for item in columns:
            self.column(name, item)
        sortkey, reverse = self.sortkey(section)
        return ListSpec(
            name=name,
            section=section,
            query=self.query("list", section),
            depends=depends,
            newname=newname,
            keys=self.grouping(section),
            dirpat=keys.value(section, "dirpat"),
            filepat=keys.value(section, "filepat"),
            filename=section.value("filename"),
            filetype=self.filetype(section),
            columns=tuple(_column(item.text)[:2] for item in columns),
            forms=tuple(_column(item.text)[2] for item in columns),
            format=keys.word(section, "format", LIST_FORMAT, "textsp"),
            header=keys.word(section, "header", BOOL, False),
            sortkey=sortkey,
            reverse=reverse,
            allow_missing=keys.word(section, "allow_missing", BOOL, False),
            part_of=part_of,
        )

    def query(self, kind: str, section: Section) -> QuerySpec | None:
        """Read how a dataset is found: by a query code or executable, or by the generic query."""
        program, fields = section.value("exec"), self.keys.value(section, "query_fields")
        output = self.keys.word(section, "output_fields", KEYS, ())
        source = program or fields
        if source is not None and (depends := section.value("depends") or section.value("depends-newname")):
            counts, other = ("'depends'", "the query") if kind == "file" else ("the query", "'depends'")
            message = f"{kind} '{section.name}' has both a query and 'depends', of which {counts} counts"
            self.faults.warn(depends, message, f"remove {other}", code="F327")
        if program is not None:
            return QuerySpec(
                program=program.text,
                at=program,
                arguments=section.text("args"),
                output=output,
                output_type=self.keys.word(section, "qouttype", QUERY_OUTPUT, "wcl"),
            )
        if fields is None:
            return None
        return QuerySpec(
            program="generic",
            at=fields,
            fields=self.wanted(section, fields),
            output=output,
            table=self.table(section, fields),
            join=section.text("join"),
        )

    def wanted(self, section: Section, fields: Value) -> tuple[tuple[str, Value], ...]:
        """Return the fields of a generic query, ``[table.]field``, each with the value that it must have."""
        wanted = []
        for item in fields.items():
            name = item.text.lower()
            field = name.rpartition(".")[2]
            value = next((v for s in (section, *self.outer) if (v := s.value(field)) is not None), None)
            if value is None:
                remedy = f"add '{field} = …' to the section"
                self.faults.at(item, f"query field '{item.text}' has no value", remedy, code="F309")
            else:
                wanted.append((name, value))
        return tuple(wanted)

    def table(self, section: Section, fields: Value) -> str:
        """Return the table of a generic query: that of the filetype, or without a filetype a dimension table."""
        filetype, table = self.keys.value(section, "filetype"), self.keys.value(section, "query_table")
        if section.value("filetype") is None and table is None:
            self.faults.at(fields, "a generic query needs the filetype it looks for", "add 'filetype = …'", code="F310")
        found = self.filetypes.get(filetype.text.lower()) if filetype else None
        if table is not None and found is not None and table.text.lower() != found.metadata_table.lower():
            kept = f"in '{found.metadata_table}'" if found.metadata_table else "in no table"
            message = f"'{table.text}' is not asked: metadata of '{found.name}' are kept {kept}"
            self.faults.warn(table, message, "remove query_table", code="F328")
        return table.text if table is not None else ""

    def depends(self, section: Section) -> tuple[tuple[Depends, ...], bool]:
        """Read ``depends`` or ``depends-newname``."""
        for key in ("depends", "depends-newname"):
            if section.value(key) is not None:
                items = self.keys.items(section, key)
                return tuple(one for item in items if (one := self.dependence(item))), key == "depends-newname"
        return (), False

    def dependence(self, item: Value) -> Depends | None:
        """Read ``module.file.x`` or ``module.list.l[.x]``."""
        module, _, rest = item.text.lower().partition(".")
        parts = rest.split(".")
        if (parts[0], len(parts)) not in (("file", 2), ("list", 2), ("list", 3)) or not all(parts):
            remedy = "write MODULE.file.NAME, MODULE.list.NAME or MODULE.list.NAME.FILE"
            self.faults.at(item, f"'{item.text}' names no dataset of a module", remedy, code="F326")
            return None
        return Depends(module, Ref(parts[0], parts[1], parts[2] if len(parts) == 3 else ""), item)

    def grouping(self, section: Section) -> tuple[str, ...]:
        """Grouping keys: loopkey over match over divide_by (synonyms, desdm.md §1.7)."""
        found = next((key for key in ("loopkey", "match", "divide_by") if section.value(key) is not None), "")
        return self.keys.word(section, found, KEYS, ())

    def filetype(self, section: Section) -> str:
        """Return the filetype, which must be defined."""
        value = self.keys.value(section, "filetype")
        name = self.keys.word(section, "filetype", NAME, "").lower()
        if value is not None and name and name not in self.filetypes:
            self.faults.unknown(value, "filetype", name, self.filetypes, code="F311")
        return name

    def column(self, name: str, item: Value) -> None:
        """Check one column of list *name*: ``FILE.column``, or ``column`` alone."""
        nick, column, form = _column(item.text)
        if item.text.startswith("$") and not _FORM.fullmatch(form):
            remedy = "write $FMT{%FORMAT,FILE.COLUMN}, with a format such as %5.2f, %04d or %s"
            self.faults.at(item, f"'{item.text}' is no column of list '{name}'", remedy, code="F336")
        if column.lower() == "fullname" and nick not in self.named.names("file"):
            if nick:
                self.faults.unknown(
                    item, f"file of module '{self.module}'", nick, self.named.names("file"), code="F304"
                )
            else:
                message = f"list '{name}' does not say whose fullname it wants"
                self.faults.at(item, message, "write FILE.fullname", code="F319")

    def sortkey(self, section: Section) -> tuple[tuple[str, ...], bool]:
        """Read ``key, key`` or ``(key, numeric, reverse)``; numbers are ordered as numbers either way."""
        value = self.keys.value(section, "sortkey")
        if value is None:
            return (), False
        if "(" not in value.text:
            return KEYS.read(value), False
        found = _SORT.match(value.text.lower())
        if not found:
            remedy = "write KEY, or (KEY, numeric, reverse)"
            self.faults.at(value, f"sortkey '{value.text}' is not understood", remedy, code="F320")
            return (), False
        return (found["key"],), found["reverse"] in (*TRUE, "reverse")


def _within(section: Section, inner: Section) -> Section:
    """Return *inner* with what it does not say itself, and the list around it does."""
    merged = Section(inner.name, inner.location)
    for key, value in [*inner.values(), *section.values()]:
        if key not in merged:
            merged.set(key, value)
    return merged


def _column(item: str) -> tuple[str, str, str]:
    """Return (nickname, column, printf format) of ``FILE.column``, ``column``, ``$FMT{format,column}``; "" for none."""
    found = _FMT.fullmatch(item)
    form, written = (found[1], found[2]) if found else ("", item)
    nick, dot, column = written.rpartition(".")
    return (nick.lower(), column, form) if dot else ("", written, form)
