"""Reading one ``module`` section with its execs, files and lists (desdm.md §1.7)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from facade.campaign.faults import TRUE, Faults, split
from facade.campaign.model import Depends, ExecSpec, FileSpec, Hyphen, ListSpec, Module, QuerySpec, Ref
from facade.files import FileType
from facade.provenance import illegal
from facade.wcl.tree import Section, Value

FORMATS = ("textsp", "textcsv", "texttab")
POSITIONAL = re.compile(r"_0*([1-9][0-9]*)(?:_.*)?$")
_DATASET = """exec args qouttype query_fields query_table output_fields depends depends-newname loopkey match divide_by
    dirpat filepat filename filetype"""
_KEYWORDS = {
    "file": f"{_DATASET} fullname flabel fsuffix listonly optional savefiles ignore_multiple_error rename_file",
    "list": f"{_DATASET} columns format header sortkey",
    "module": "wrappername wrapperloop loopobj divide_jobs_by noop",
    "exec": "execname used was_generated_by ancestry cmd_hyphen version_flag version_pattern",
}
KEYWORDS = {kind: tuple(words.split()) for kind, words in _KEYWORDS.items()}
"""The keywords of each kind of section, to find misspelt ones; any other key is a variable of the operator's own."""

_EXEC = re.compile(r"exec_([0-9]+)$")
_SORT = re.compile(r"\(\s*(?P<key>[\w.]+)\s*(?:,\s*(?P<numeric>\w*)\s*)?(?:,\s*(?P<reverse>\w*)\s*)?\)$")
_JOIN = re.compile(r"""(['"])(?P<separator>.*)\1\s*\.\s*join\(\s*(?P<ref>[^()\s]+)\s*\)$""")


class ModuleReader:
    """Reads one ``module`` section."""

    def __init__(
        self,
        name: str,
        block: str,
        section: Section,
        block_section: Section,
        root: Section,
        filetypes: Mapping[str, FileType],
        faults: Faults,
    ) -> None:
        self.name, self.block, self.section, self.faults = name, block, section, faults
        self.scopes = (section, block_section, root)
        self.filetypes = filetypes

    def scoped(self, key: str) -> Value | None:
        """Return a value of the module, its block or the top level, nearest first."""
        return next((v for s in self.scopes if (v := s.value(key)) is not None), None)

    def read(self) -> Module:
        """Return the module; what is wrong with it is in the faults."""
        section, faults = self.section, self.faults
        before = len(faults)
        noop = faults.flag(section, "noop", False)
        wrapper = section.value("wrappername")
        execs = self.execs()
        if not noop:
            if wrapper is None:
                faults.needed(section, "wrappername", f"module '{self.name}'")
            if not any(_EXEC.match(name) for name, _ in section.sections()):
                faults.at(section, f"module '{self.name}' runs nothing", "add an <exec_1> section, or noop = True")
        outputs = {ref.name for one in execs for ref in one.generated if ref.kind == "file"}
        parameters = section.section("wrapper") or Section("wrapper", section.location)
        loopobj = section.value("loopobj")
        jobs_by = self.scoped("divide_jobs_by")
        module = Module(
            name=self.name,
            block=self.block,
            section=section,
            wrapper=wrapper.text if wrapper else "",
            loop=split(section.text("wrapperloop").lower()),
            loopobj=self.ref(loopobj) if loopobj else None,
            files={n: self.file(n, s, n in outputs) for n, s in self.group("file")},
            lists={n: self.list(n, s) for n, s in self.group("list")},
            execs=execs,
            parameters=tuple((k, v) for k, v in parameters.values() if k not in ("per_file_cmdline", "add_cmdline")),
            per_file=parameters.value("per_file_cmdline"),
            joined=parameters.value("add_cmdline"),
            jobs_by=split(jobs_by.text.lower()) if jobs_by else (),
            noop=noop,
        )
        self.check(module)
        if len(faults) == before:  # a name that is wrong would be told a second time
            self.check_ancestry(module)
        self.spelling(section, "module")
        for one in execs:
            self.spelling(one.section, "exec")
        return module

    def group(self, kind: str) -> list[tuple[str, Section]]:
        """Return (name, section) of each file or list."""
        found = self.section.section(kind)
        sections = list(found.sections()) if found else []
        for name, section in sections:
            if "." in name:
                self.faults.at(
                    section, f"the name of {kind} '{name}' holds a '.', which separates the parts of a reference"
                )
        return sections

    def ref(self, at: Value) -> Ref:
        """Read ``file.x``, ``list.l`` or ``list.l.x``; a trailing ``[n]`` (an HDU) is dropped."""
        parts = re.sub(r"\[\d+\]$", "", at.text.strip().lower()).split(".")
        if parts[0] == "file" and len(parts) == 2 and parts[1]:
            return Ref("file", parts[1])
        if parts[0] == "list" and len(parts) in (2, 3) and all(parts):
            return Ref("list", parts[1], parts[2] if len(parts) == 3 else "")
        self.faults.at(at, f"'{at.text.strip()}' names no file or list", "write file.NAME, list.NAME or list.NAME.FILE")
        return Ref("", at.text)

    def refs(self, section: Section, key: str) -> tuple[Ref, ...]:
        """Read a comma list of references."""
        value = section.value(key)
        return tuple(self.checked(item) for item in value.items()) if value else ()

    def checked(self, at: Value) -> Ref:
        """Read a reference and check that the module has what it names."""
        found = self.ref(at)
        files, lists = self.names("file"), self.names("list")
        known = files if found.kind == "file" else lists
        if found.kind and found.name not in known:
            self.faults.unknown(at, f"{found.kind} of module '{self.name}'", found.name, known)
        elif found.member and found.member not in files:
            self.faults.unknown(at, f"file of module '{self.name}'", found.member, files)
        return found

    def names(self, kind: str) -> list[str]:
        """Return the names of the module's files or lists."""
        group = self.section.section(kind)
        return [name for name, _ in group.sections()] if group else []

    def execs(self) -> tuple[ExecSpec, ...]:
        """Return the programs in the order of their numbers."""
        found = [(int(m[1]), s) for n, s in self.section.sections() if (m := _EXEC.match(n))]
        return tuple(e for num, s in sorted(found, key=lambda pair: pair[0]) if (e := self.exec(num, s)))

    def exec(self, num: int, section: Section) -> ExecSpec | None:
        """Read one ``exec_N`` section."""
        faults = self.faults
        execname = faults.needed(section, "execname", f"exec_{num} of module '{self.name}'")
        style = section.text("cmd_hyphen", Hyphen.ALLSINGLE.value).lower()
        if style not in list(Hyphen):
            faults.unknown(section.value("cmd_hyphen") or section, "hyphen style", style, [h.value for h in Hyphen])
            style = Hyphen.ALLSINGLE.value
        cmdline = section.section("cmdline")
        for key, value in cmdline.values() if cmdline else ():
            if key.startswith("_") and not POSITIONAL.match(key):
                faults.at(value, f"'{key}' is no position on the command line", "write _01, _02_name …; 1 is the first")
        used, generated = self.refs(section, "used"), self.refs(section, "was_generated_by")
        ancestry = self.ancestry(section)
        if execname is None:
            return None
        return ExecSpec(
            num=num,
            section=section,
            execname=execname,
            hyphen=Hyphen(style),
            cmdline=tuple(cmdline.values()) if cmdline else (),
            used=used,
            generated=generated,
            ancestry=ancestry,
            version_flag=section.text("version_flag"),
        )

    def ancestry(self, section: Section) -> tuple[tuple[Ref, Ref], ...]:
        """Read ``parent:child, …``."""
        value = section.value("ancestry")
        result = []
        for item in value.items() if value else ():
            parent, colon, child = item.text.partition(":")
            if not (colon and parent.strip() and child.strip()):
                self.faults.at(item, f"'{item.text}' in ancestry is not 'parent:child'")
            else:
                middle = len(parent)
                result.append((self.checked(item.part(0, middle)), self.checked(item.part(middle + 1, len(item.text)))))
        return tuple(result)

    def query(self, section: Section) -> QuerySpec | None:
        """Read how a dataset is found: by a query code or executable, or by the generic query."""
        program, fields = section.value("exec"), section.value("query_fields")
        output = split(section.text("output_fields").lower())
        source = program or fields
        if source is not None and (depends := section.value("depends") or section.value("depends-newname")):
            self.faults.warn(
                depends,
                f"'{section.name}' has both a query and 'depends': a file takes 'depends', a list takes the query",
                "remove one of the two",
            )
        if program is not None:
            form = section.text("qouttype", "wcl").lower()
            if form not in ("wcl", "json"):
                self.faults.unknown(
                    section.value("qouttype") or program, "output type of queries", form, ("wcl", "json")
                )
            return QuerySpec(
                program=program.text, at=program, arguments=section.text("args"), output=output, output_type=form
            )
        if fields is None:
            return None
        wanted = []
        for item in fields.items():
            field = item.text.lower().rpartition(".")[2]
            value = next((v for s in (section, *self.scopes) if (v := s.value(field)) is not None), None)
            if value is None:
                self.faults.at(item, f"query field '{item.text}' has no value", f"add '{field} = …' to the section")
            else:
                wanted.append((field, value.text))
        if not section.value("filetype"):
            self.faults.at(fields, "a generic query needs the filetype it looks for", "add 'filetype = …'")
        return QuerySpec(
            program="generic", at=fields, fields=tuple(wanted), output=output, table=section.text("query_table")
        )

    def depends(self, section: Section) -> tuple[tuple[Depends, ...], bool]:
        """Read ``depends`` or ``depends-newname``."""
        for key in ("depends", "depends-newname"):
            value = section.value(key)
            if value is not None:
                return tuple(one for item in value.items() if (one := self.dependence(item))), key == "depends-newname"
        return (), False

    def dependence(self, item: Value) -> Depends | None:
        """Read ``module.file.x`` or ``module.list.l[.x]``."""
        module, _, rest = item.text.lower().partition(".")
        parts = rest.split(".")
        if (parts[0], len(parts)) not in (("file", 2), ("list", 2), ("list", 3)) or not all(parts):
            remedy = "write MODULE.file.NAME, MODULE.list.NAME or MODULE.list.NAME.FILE"
            self.faults.at(item, f"'{item.text}' names no dataset of a module", remedy)
            return None
        return Depends(module, Ref(parts[0], parts[1], parts[2] if len(parts) == 3 else ""), item)

    def keys(self, section: Section) -> tuple[str, ...]:
        """Grouping keys: loopkey over match over divide_by (synonyms, desdm.md §1.7)."""
        found = next((v for k in ("loopkey", "match", "divide_by") if (v := section.value(k)) is not None), None)
        return split(found.text.lower()) if found else ()

    def filetype(self, section: Section) -> str:
        """Return the filetype, which must be defined."""
        value = section.value("filetype")
        if value is not None and value.text.lower() not in self.filetypes:
            self.faults.unknown(value, "filetype", value.text.lower(), self.filetypes)
        return value.text.lower() if value else ""

    def file(self, name: str, section: Section, output: bool) -> FileSpec:
        """Read one file section."""
        faults = self.faults
        depends, newname = self.depends(section)
        spec = FileSpec(
            name=name,
            section=section,
            query=self.query(section),
            depends=depends,
            newname=newname,
            keys=self.keys(section),
            dirpat=section.value("dirpat"),
            filepat=section.value("filepat"),
            filename=section.value("filename"),
            filetype=self.filetype(section),
            listonly=faults.flag(section, "listonly", False),
            optional=faults.flag(section, "optional", False),
            savefiles=faults.flag(section, "savefiles", True),
            multiple=faults.flag(section, "ignore_multiple_error", False),
            fullname=section.value("fullname"),
            rename=section.value("rename_file"),
        )
        if spec.dirpat is None and spec.fullname is None:
            faults.needed(section, "dirpat", f"file '{name}' of module '{self.name}'")
        named = spec.filepat or spec.filename or spec.fullname
        if output and not named:
            faults.at(section, f"output '{name}' has no name", "add filepat or filename")
        elif not (named or spec.query or spec.depends or section.value("depends") or spec.listonly):
            faults.at(
                section,
                f"file '{name}' has neither a name nor a source",
                "add filepat, filename, query_fields, exec or depends",
            )
        if spec.newname and not named:
            faults.at(
                section, f"file '{name}' takes new names from 'depends-newname' but has no pattern", "add filepat"
            )
        if output and section.value("filetype") is None:
            faults.needed(section, "filetype", f"output '{name}' of module '{self.name}'")
        self.spelling(section, "file")
        return spec

    def list(self, name: str, section: Section) -> ListSpec:
        """Read one list section."""
        faults = self.faults
        depends, newname = self.depends(section)
        columns = faults.needed(section, "columns", f"list '{name}' of module '{self.name}'")
        form = section.text("format", "textsp").lower()
        if form not in FORMATS:
            faults.unknown(section.value("format") or section, "list format", form, FORMATS)
        filepat, filename, dirpat = (section.value(key) for key in ("filepat", "filename", "dirpat"))
        if dirpat is None and (filepat or filename):
            faults.needed(section, "dirpat", f"list '{name}' of module '{self.name}'")
        for item in columns.items() if columns else ():
            self.column(name, item)
        sortkey, reverse = self.sortkey(section)
        self.spelling(section, "list")
        return ListSpec(
            name=name,
            section=section,
            query=self.query(section),
            depends=depends,
            newname=newname,
            keys=self.keys(section),
            dirpat=dirpat,
            filepat=filepat,
            filename=filename,
            columns=tuple(_column(item.text) for item in columns.items()) if columns else (),
            format=form if form in FORMATS else "textsp",
            header=faults.flag(section, "header", False),
            sortkey=sortkey,
            reverse=reverse,
        )

    def column(self, name: str, item: Value) -> None:
        """Check one column of list *name*: ``FILE.column``, or ``column`` alone."""
        nick, column = _column(item.text)
        if column.lower() == "fullname" and nick not in self.names("file"):
            if nick:
                self.faults.unknown(item, f"file of module '{self.name}'", nick, self.names("file"))
            else:
                self.faults.at(item, f"list '{name}' does not say whose fullname it wants", "write FILE.fullname")

    def sortkey(self, section: Section) -> tuple[tuple[str, ...], bool]:
        """Read ``key, key`` or ``(key, numeric, reverse)``; numbers are ordered as numbers either way."""
        value = section.value("sortkey")
        if value is None:
            return (), False
        if "(" not in value.text:
            return split(value.text.lower()), False
        found = _SORT.match(value.text.lower())
        if not found:
            self.faults.at(value, f"sortkey '{value.text}' is not understood", "write KEY, or (KEY, numeric, reverse)")
            return (), False
        return (found["key"],), found["reverse"] in (*TRUE, "reverse")

    def spelling(self, section: Section, kind: str) -> None:
        """Warn of keys that look like a misspelt keyword and that nothing uses as a variable."""
        known = KEYWORDS[kind]
        for key, value in section.values():
            if key not in known and (close := difflib.get_close_matches(key, known, n=1, cutoff=0.8)):
                place = Value(key, value.key_location, value.key_location)
                self.faults.warn(place, f"'{key}' is no keyword of a {kind} section", f"did you mean {close[0]!r}?")

    def check(self, module: Module) -> None:
        """Check what the sections of one module say of each other."""
        faults = self.faults
        value = module.section.value("loopobj")
        if value is not None:
            self.checked(value)
            if not module.loop:
                faults.at(
                    value,
                    f"module '{module.name}' has a loopobj but no wrapperloop",
                    "add 'wrapperloop = …' or remove it",
                )
        for name in module.outputs:
            if (spec := module.files.get(name)) is not None and spec.listonly:
                faults.at(spec.section, f"output '{name}' of module '{module.name}' is listonly", "remove listonly")
        if module.joined is not None:
            self.list_column(module.joined)
        if module.per_file is not None:
            target, colon, template = module.per_file.text.partition(":")
            if not (colon and template.strip()):
                faults.at(module.per_file, "per_file_cmdline must read list.LIST.FILE:TEMPLATE")
            else:
                ref = self.checked(module.per_file.part(0, len(target.rstrip())))
                if ref.kind == "file":
                    faults.at(
                        module.per_file, "per_file_cmdline goes through a list, not a file", "write list.LIST.FILE"
                    )

    def check_ancestry(self, module: Module) -> None:
        """Check that what a program derives are its own outputs, and from what it had."""
        earlier: set[str] = set()
        for one in module.execs:
            used, generated = ({str(ref) for ref in refs} for refs in (one.used, one.generated))
            derived = [(str(parent), str(child)) for parent, child in one.ancestry]
            at = one.section.value("ancestry") or one.section
            for _, reason in illegal(used, generated, derived, earlier):
                self.faults.at(at, f"ancestry: {reason}", "name it in 'used' or 'was_generated_by' of the same exec")
            earlier |= generated

    def list_column(self, value: Value) -> None:
        """Check ``'SEPARATOR'.join(list.LIST.FILE.COLUMN)``."""
        found = _JOIN.match(value.text)
        parts = found["ref"].lower().split(".") if found else []
        if parts[:1] != ["list"] or len(parts) not in (3, 4) or not all(parts) or found is None:
            self.faults.at(value, "add_cmdline must read 'SEPARATOR'.join(list.LIST.FILE.COLUMN)")
        else:
            start, end = found.span("ref")
            self.checked(value.part(start, end - len(parts[-1]) - 1))


def _column(item: str) -> tuple[str, str]:
    nick, dot, column = item.rpartition(".")
    return (nick.lower(), column) if dot else ("", item)


def joined(value: Value) -> tuple[str, Ref, str]:
    """Read ``'^'.join(list.L.F.column)``: separator, reference, column."""
    found = _JOIN.match(value.text)
    assert found is not None, "checked when the campaign was read"
    parts = found["ref"].lower().split(".")
    return found["separator"], Ref(parts[0], parts[1], parts[2] if len(parts) > 3 else ""), parts[-1]
