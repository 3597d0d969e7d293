"""Reading one ``module`` section with its execs, files and lists (desdm.md §1.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from facade.campaign.faults import Faults, split
from facade.campaign.model import Depends, ExecSpec, FileSpec, Hyphen, ListSpec, Module, QuerySpec, Ref
from facade.files import FileType
from facade.wcl.tree import Section, Value

FORMATS = ("textsp", "textcsv", "texttab")

_EXEC = re.compile(r"exec_(\d+)$")
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
        section, faults = self.section, self.faults
        noop = faults.flag(section, "noop", False)
        wrapper = section.value("wrappername")
        execs = self.execs()
        if not noop:
            if wrapper is None:
                faults.needed(section, "wrappername", f"module '{self.name}'")
            if not execs:
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
            loopobj=self.ref(loopobj.text, loopobj) if loopobj else None,
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
        return module

    def group(self, kind: str) -> list[tuple[str, Section]]:
        found = self.section.section(kind)
        return list(found.sections()) if found else []

    def ref(self, text: str, at: Value) -> Ref:
        """Read ``file.x``, ``list.l`` or ``list.l.x``; a trailing ``[n]`` (an HDU) is dropped."""
        parts = re.sub(r"\[\d+\]$", "", text.strip().lower()).split(".")
        if parts[0] == "file" and len(parts) == 2:
            return Ref("file", parts[1])
        if parts[0] == "list" and len(parts) in (2, 3):
            return Ref("list", parts[1], parts[2] if len(parts) == 3 else "")
        self.faults.at(at, f"'{text}' names no file or list", "write file.NAME, list.NAME or list.NAME.FILE")
        return Ref("file", parts[-1])

    def refs(self, section: Section, key: str) -> tuple[Ref, ...]:
        value = section.value(key)
        return tuple(self.ref(item, value) for item in split(value.text)) if value else ()

    def execs(self) -> tuple[ExecSpec, ...]:
        found = [(int(m[1]), s) for n, s in self.section.sections() if (m := _EXEC.match(n))]
        return tuple(e for num, s in sorted(found, key=lambda pair: pair[0]) if (e := self.exec(num, s)))

    def exec(self, num: int, section: Section) -> ExecSpec | None:
        faults = self.faults
        execname = faults.needed(section, "execname", f"exec_{num} of module '{self.name}'")
        style = section.text("cmd_hyphen", Hyphen.ALLSINGLE.value).lower()
        if style not in list(Hyphen):
            faults.unknown(
                section.value("cmd_hyphen") or Value(style, section.location, section.location),
                "hyphen style",
                style,
                [h.value for h in Hyphen],
            )
            style = Hyphen.ALLSINGLE.value
        cmdline = section.section("cmdline")
        return execname and ExecSpec(
            num=num,
            section=section,
            execname=execname,
            hyphen=Hyphen(style),
            cmdline=tuple(cmdline.values()) if cmdline else (),
            used=self.refs(section, "used"),
            generated=self.refs(section, "was_generated_by"),
            ancestry=self.ancestry(section),
            version_flag=section.text("version_flag"),
        )

    def ancestry(self, section: Section) -> tuple[tuple[Ref, Ref], ...]:
        value = section.value("ancestry")
        result = []
        for item in split(value.text) if value else ():
            assert value is not None
            parent, colon, child = item.partition(":")
            if not colon:
                self.faults.at(value, f"'{item}' in ancestry is not 'parent:child'")
            else:
                result.append((self.ref(parent, value), self.ref(child, value)))
        return tuple(result)

    def query(self, section: Section) -> QuerySpec | None:
        program, fields = section.value("exec"), section.value("query_fields")
        if program is not None:
            return QuerySpec(
                program=program.text,
                at=program,
                arguments=section.text("args"),
                output_type=section.text("qouttype", "wcl").lower(),
            )
        if fields is None:
            return None
        wanted = []
        for name in split(fields.text.lower()):
            field = name.rpartition(".")[2]
            value = next((v for s in (section, *self.scopes) if (v := s.value(field)) is not None), None)
            if value is None:
                self.faults.at(fields, f"query field '{name}' has no value", f"add '{field} = …' to the section")
            else:
                wanted.append((field, value.text))
        if not section.value("filetype"):
            self.faults.at(fields, "a generic query needs the filetype it looks for", "add 'filetype = …'")
        return QuerySpec(
            program="generic",
            at=fields,
            fields=tuple(wanted),
            output=split(section.text("output_fields").lower()),
            table=section.text("query_table"),
        )

    def depends(self, section: Section) -> tuple[tuple[Depends, ...], bool]:
        for key in ("depends", "depends-newname"):
            value = section.value(key)
            if value is not None:
                result = []
                for item in split(value.text.lower()):
                    module, _, rest = item.partition(".")
                    result.append(Depends(module, self.ref(rest, value), value))
                return tuple(result), key == "depends-newname"
        return (), False

    def keys(self, section: Section) -> tuple[str, ...]:
        """Grouping keys: loopkey over match over divide_by (synonyms, desdm.md §1.7)."""
        found = next((v for k in ("loopkey", "match", "divide_by") if (v := section.value(k)) is not None), None)
        return split(found.text.lower()) if found else ()

    def filetype(self, section: Section, what: str) -> str:
        value = section.value("filetype")
        if value is not None and value.text.lower() not in self.filetypes:
            self.faults.unknown(value, "filetype", value.text.lower(), self.filetypes)
        return value.text.lower() if value else ""

    def file(self, name: str, section: Section, output: bool) -> FileSpec:
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
            filetype=self.filetype(section, name),
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
        if not (named or spec.query or spec.depends or spec.listonly):
            faults.at(
                section,
                f"file '{name}' has neither a name nor a source",
                "add filepat, filename, query_fields, exec or depends",
            )
        if output and not named:
            faults.at(section, f"output '{name}' has no name", "add filepat or filename")
        if output and not spec.filetype:
            faults.needed(section, "filetype", f"output '{name}' of module '{self.name}'")
        return spec

    def list(self, name: str, section: Section) -> ListSpec:
        faults = self.faults
        depends, newname = self.depends(section)
        columns = faults.needed(section, "columns", f"list '{name}' of module '{self.name}'")
        form = section.text("format", "textsp").lower()
        if form not in FORMATS:
            faults.unknown(
                section.value("format") or Value(form, section.location, section.location), "list format", form, FORMATS
            )
        return ListSpec(
            name=name,
            section=section,
            query=self.query(section),
            depends=depends,
            newname=newname,
            keys=self.keys(section),
            dirpat=section.value("dirpat"),
            filepat=section.value("filepat"),
            filename=section.value("filename"),
            columns=tuple(_column(item) for item in split(columns.text)) if columns else (),
            format=form if form in FORMATS else "textsp",
            header=faults.flag(section, "header", False),
            sortkey=split(section.text("sortkey").lower()),
        )

    def check(self, module: Module) -> None:
        """Check what the sections of one module say of each other."""
        faults = self.faults
        for one in module.execs:
            for key in ("used", "was_generated_by", "ancestry"):
                value = one.section.value(key)
                refs = {"used": one.used, "was_generated_by": one.generated}.get(
                    key, tuple(r for pair in one.ancestry for r in pair)
                )
                for ref in refs:
                    if value is not None:
                        self.check_ref(module, ref, value)
        value = module.section.value("loopobj")
        if value is not None and module.loopobj is not None:
            self.check_ref(module, module.loopobj, value)
        if value is not None and not module.loop:
            faults.at(value, f"module '{module.name}' has a loopobj but no wrapperloop")
        wrapper = module.section.section("wrapper")
        if module.joined is not None and not _JOIN.match(module.joined.text):
            faults.at(module.joined, "add_cmdline must read 'SEPARATOR'.join(list.LIST.FILE.COLUMN)")
        if module.per_file is not None and ":" not in module.per_file.text:
            faults.at(module.per_file, "per_file_cmdline must read list.LIST.FILE:TEMPLATE")
        if wrapper is not None and module.per_file is not None:
            self.check_ref(module, self.ref(module.per_file.text.partition(":")[0], module.per_file), module.per_file)

    def check_ref(self, module: Module, ref: Ref, at: Value) -> None:
        known = module.files if ref.kind == "file" else module.lists
        if ref.name not in known:
            self.faults.unknown(at, f"{ref.kind} of module '{module.name}'", ref.name, known)
        elif ref.member and ref.member not in module.files:
            self.faults.unknown(at, f"file of module '{module.name}'", ref.member, module.files)


def _column(item: str) -> tuple[str, str]:
    nick, dot, column = item.rpartition(".")
    return (nick.lower(), column) if dot else ("", item)


def joined(value: Value) -> tuple[str, Ref, str]:
    """Read ``'^'.join(list.L.F.column)``: separator, reference, column."""
    found = _JOIN.match(value.text)
    assert found is not None, "checked when the campaign was read"
    parts = found["ref"].lower().split(".")
    return found["separator"], Ref(parts[0], parts[1], parts[2] if len(parts) > 3 else ""), parts[-1]
