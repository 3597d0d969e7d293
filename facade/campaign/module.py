"""Reading one ``module`` section with its execs, files and lists (desdm.md §1.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from facade.campaign import outputs as saved
from facade.campaign import resources
from facade.campaign.datasets import DatasetReader, Named, parts
from facade.campaign.faults import Faults, Keys, key_of, resolved
from facade.campaign.messages import MessageReader, check_keys
from facade.campaign.model import ExecSpec, Hyphen, Module, Ref
from facade.campaign.rules import check_module
from facade.campaign.vocabulary import Vocabulary
from facade.campaign.words import BOOL, HYPHEN, KEYS, ORDER, TEXT
from facade.files import FileType
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, MissingVariable
from facade.wcl.tree import Section, Value

POSITIONAL = re.compile(r"_0*([1-9][0-9]*)(?:_.*)?$")
_EXEC = re.compile(r"exec_([0-9]+)$")
_JOIN = re.compile(r"""(['"])(?P<separator>.*)\1\s*\.\s*join\(\s*(?P<ref>[^()\s]+)\s*\)$""")


class ModuleReader:
    """Reads one ``module`` section; *scope* replaces variables in its keywords."""

    def __init__(
        self,
        name: str,
        block: str,
        section: Section,
        block_section: Section,
        scope: Scope,
        filetypes: Mapping[str, FileType],
        faults: Faults,
        messages: MessageReader,
    ) -> None:
        self.name, self.block, self.section, self.faults = name, block, section, faults
        self.scopes, self.messages = (section, block_section, scope.root), messages
        self.scope, self.keys, self.named = scope, Keys(scope, faults), Named(name, section, faults)
        self.datasets = DatasetReader(self.named, self.keys, self.scopes, filetypes, faults)

    def read(self, vocabulary: Vocabulary) -> Module:
        """Return the module; what is wrong with it is in the faults."""
        section, faults, keys = self.section, self.faults, self.keys
        before = len(faults)
        noop = keys.word(section, "noop", BOOL, False)
        execs = self.execs()
        if not noop:
            faults.needed(section, "wrappername", f"module '{self.name}'", code="F301")
            if not any(_EXEC.match(name) for name, _ in section.sections()):
                remedy = "add an <exec_1> section, or noop = True"
                faults.at(section, f"module '{self.name}' runs nothing", remedy, code="F302")
        outputs = {ref.name for one in execs for ref in one.generated if ref.kind == "file"}
        parameters = section.section("wrapper") or Section("wrapper", section.location)
        loopobj = keys.value(section, "loopobj")
        jobs_by = next((s for s in self.scopes if s.value("divide_jobs_by") is not None), section)
        module = Module(
            name=self.name,
            block=self.block,
            section=section,
            wrapper=keys.word(section, "wrappername", TEXT, ""),
            loop=keys.word(section, "wrapperloop", KEYS, ()),
            loopobj=self.named.ref("loopobj", loopobj) if loopobj else None,
            files={n: self.datasets.file(n, s, n in outputs) for n, s in self.datasets.group("file")},
            lists=self.datasets.lists(),
            execs=execs,
            parameters=tuple((k, v) for k, v in parameters.values() if k not in ("per_file_cmdline", "add_cmdline")),
            per_file=parameters.value("per_file_cmdline"),
            joined=parameters.value("add_cmdline"),
            jobs_by=keys.word(jobs_by, "divide_jobs_by", KEYS, ()),
            order_by=keys.word(section, "order_by", ORDER, ()),
            needs=resources.needs(section, keys),
            threads=resources.threads(self.scopes, keys),
            bounds=resources.bounds(self.scopes, keys),
            save=saved.saving(self.scopes, keys),
            compression=saved.compression(self.scopes, keys, faults),
            list_order=self.list_order(),
            noop=noop,
        )
        self.check_command(module)
        check_module(module, faults, sound=len(faults) == before)
        self.spelling(vocabulary)
        return module

    def spelling(self, vocabulary: Vocabulary) -> None:
        """Check the keys of the module and of the sections in it."""
        vocabulary.check("module", self.section, self.scope)
        check_keys(vocabulary, self.section, self.scope)
        for name, section in self.section.sections():
            if _EXEC.match(name):
                vocabulary.check("exec", section, self.scope)
                check_keys(vocabulary, section, self.scope)
                if (cmdline := section.section("cmdline")) is not None:
                    vocabulary.check("cmdline", cmdline, self.scope)
            elif name in ("file", "list"):
                for _, one in section.sections():
                    vocabulary.check(name, one, self.scope)
                    for _, update in saved.updates(one) if name == "file" else ():
                        vocabulary.check("hdrupd", update, self.scope)
                    for _, part in parts(one) if name == "list" else ():
                        vocabulary.check("list", part, self.scope)
            elif name == "wrapper":
                vocabulary.check("wrapper", section, self.scope)

    def refs(self, section: Section, key: str) -> tuple[Ref, ...]:
        """Read a comma list of references."""
        return tuple(self.named.ref(key, item) for item in self.keys.items(section, key))

    def list_order(self) -> tuple[str, ...]:
        """Read the lists whose queries are asked first."""
        known, found = self.named.names("list"), []
        for item in self.keys.items(self.section, "list_order"):
            if item.text.lower() not in known:
                self.faults.unknown(item, f"list of module '{self.name}'", item.text.lower(), known, code="F304")
            found.append(item.text.lower())
        return tuple(found)

    def execs(self) -> tuple[ExecSpec, ...]:
        """Return the programs in the order of their numbers."""
        found = [(int(m[1]), s) for n, s in self.section.sections() if (m := _EXEC.match(n))]
        return tuple(e for num, s in sorted(found, key=lambda pair: pair[0]) if (e := self.exec(num, s)))

    def exec(self, num: int, section: Section) -> ExecSpec | None:
        """Read one ``exec_N`` section."""
        faults = self.faults
        execname = faults.needed(section, "execname", f"exec_{num} of module '{self.name}'", code="F303")
        cmdline = section.section("cmdline")
        for key, value in cmdline.values() if cmdline else ():
            if key.startswith("_") and not POSITIONAL.match(key):
                remedy = "write _01, _02_name …; 1 is the first"
                faults.at(key_of(key, value), f"'{key}' is no position on the command line", remedy, code="F306")
        used, generated = self.refs(section, "used"), self.refs(section, "was_generated_by")
        ancestry = self.ancestry(section)
        if execname is None:
            return None
        return ExecSpec(
            num=num,
            section=section,
            execname=execname,
            hyphen=Hyphen(self.keys.word(section, "cmd_hyphen", HYPHEN, Hyphen.ALLSINGLE.value)),
            cmdline=tuple(cmdline.values()) if cmdline else (),
            used=used,
            generated=generated,
            ancestry=ancestry,
            version_flag=self.keys.word(section, "version_flag", TEXT, ""),
            messages=self.messages.rules((section, *self.scopes), self.keys, self.names(section, execname)),
        )

    def names(self, section: Section, execname: Value) -> tuple[str, ...]:
        """Return what a program may be called in patterns of messages."""
        name = execname.text
        with suppress(MissingVariable, BadReference):
            name = resolved(execname, replace(self.scope, search=section)).text
        return self.name, self.section.text("wrappername"), name, name.rpartition("/")[2]

    def ancestry(self, section: Section) -> tuple[tuple[Ref, Ref], ...]:
        """Read ``parent:child, …``."""
        result = []
        for item in self.keys.items(section, "ancestry"):
            parent, colon, child = item.text.partition(":")
            if not (colon and parent.strip() and child.strip()):
                remedy = "write PARENT:CHILD, for example file.raw:file.calexp"
                self.faults.at(item, f"'{item.text}' in ancestry is not 'parent:child'", remedy, code="F307")
            else:
                middle = len(parent)
                ends = item.part(0, middle), item.part(middle + 1, len(item.text))
                result.append((self.named.ref("ancestry", ends[0]), self.named.ref("ancestry", ends[1])))
        return tuple(result)

    def check_command(self, module: Module) -> None:
        """Check what the wrapper section adds to the command line."""
        if module.joined is not None:
            self.list_column(module.joined)
        if module.per_file is None:
            return
        target, colon, template = module.per_file.text.partition(":")
        remedy = "for example list.raws.raw:--id visit=$(visit)"
        if not (colon and template.strip()):
            message = "per_file_cmdline must read list.LIST.FILE:TEMPLATE"
            self.faults.at(module.per_file, message, remedy, code="F324")
        else:
            at = module.per_file.part(0, len(target.rstrip()))
            if self.named.ref("per_file_cmdline", at).kind == "file":
                self.faults.at(at, "per_file_cmdline goes through a list, not a file", remedy, code="F324")

    def list_column(self, value: Value) -> None:
        """Check ``'SEPARATOR'.join(list.LIST.FILE.COLUMN)``."""
        found, cell = _JOIN.match(value.text), list_column(value)
        if found is None or cell is None:
            message = "add_cmdline must read 'SEPARATOR'.join(list.LIST.FILE.COLUMN)"
            self.faults.at(value, message, "for example '^'.join(list.det.det.filter)", code="F323")
        else:
            start, end = found.span("ref")
            self.named.ref("add_cmdline", value.part(start, end - len(cell[1]) - 1))


def joined(value: Value) -> tuple[str, Ref, str]:
    """Read ``'^'.join(list.L.F.column)``: separator, reference, column."""
    found, cell = _JOIN.match(value.text), list_column(value)
    assert found is not None and cell is not None, "checked when the campaign was read"
    return found["separator"], *cell


def list_column(value: Value) -> tuple[Ref, str] | None:
    """Return reference and column of ``'^'.join(list.L.F.column)``, or None if it is not that."""
    found = _JOIN.match(value.text)
    parts = found["ref"].lower().split(".") if found else []
    if parts[:1] != ["list"] or len(parts) not in (3, 4) or not all(parts):
        return None
    return Ref("list", parts[1], parts[2] if len(parts) > 3 else ""), parts[-1]
