"""The typed campaign: what a WCL tree asks for, once every name and word in it has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from facade.errors import Fault
from facade.files import FileType
from facade.keeping import AT_HOME, Keeping
from facade.messages import Rules
from facade.needs import NOTHING, Allowance, Needs
from facade.outputs import FILE, Compression, Junk
from facade.wcl.scope import Scope
from facade.wcl.template import Scalar, Slot, Template
from facade.wcl.tree import Document, Section, Value


class Hyphen(StrEnum):
    """How options are spelled on a command line (desdm.md §1.7, exec_N)."""

    ALLSINGLE = "allsingle"
    ALLDOUBLE = "alldouble"
    MIXED_GNU = "mixed_gnu"

    def option(self, name: str) -> str:
        """Return *name* with its hyphens."""
        double = self is Hyphen.ALLDOUBLE or (self is Hyphen.MIXED_GNU and len(name) > 1)
        return f"--{name}" if double else f"-{name}"


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a dataset: ``file.x``, ``list.l`` (the list file itself) or ``list.l.x`` (its members)."""

    kind: str
    name: str
    member: str = ""

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}" + (f".{self.member}" if self.member else "")


@dataclass(frozen=True, slots=True)
class Depends:
    """``depends = module.file.x`` or ``module.list.l[.nickname]``: the dataset of an earlier module."""

    module: str
    ref: Ref
    at: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySpec:
    """A query that finds a dataset. ``program`` is "generic", a query code's name, or an executable.

    For the generic query ``fields`` maps ``[table.]field`` to the wanted value (unresolved), ``join`` is the text that
    names further tables, and ``table`` and ``output`` say where and what; for all others ``arguments`` is the
    unresolved argument text, and ``output`` names columns that the program must supply.
    """

    program: str
    at: Value | Section
    arguments: str = ""
    fields: tuple[tuple[str, Value], ...] = ()
    join: str = ""
    output: tuple[str, ...] = ()
    table: str = ""
    output_type: str = "wcl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What file and list sections have in common: where their lines come from and how they are grouped."""

    name: str
    section: Section
    query: QuerySpec | None = None
    depends: tuple[Depends, ...] = ()
    newname: bool = False
    keys: tuple[str, ...] = ()
    dirpat: Value | None = None
    filepat: Value | None = None
    filename: Value | None = None
    filetype: str = ""


@dataclass(frozen=True, slots=True)
class CardSpec:
    """A card to write into the HDUs of an output, its value not resolved; see `facade.outputs.Card`."""

    hdus: tuple[str, ...]
    key: str
    value: Value
    comment: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec(Dataset):
    """A ``file`` section of a module."""

    listonly: bool = False
    optional: bool = False
    savefiles: bool = True
    empty: bool = False
    """Whether it may be empty."""
    compress: bool = False
    cards: tuple[CardSpec, ...] = ()
    multiple: bool = False
    fullname: Value | None = None
    rename: Value | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSpec(Dataset):
    """A ``list`` section: lines of chosen columns, written to a file where ``filepat`` and ``dirpat`` are given."""

    columns: tuple[tuple[str, str], ...] = ()
    """(nickname or "", column as written) in order; column ``fullname`` is the member's path in the job."""
    forms: tuple[str, ...] = ()
    """For each column the printf format of ``$FMT{format,column}``, or "" (desdm.md §1.4)."""
    format: str = "textsp"
    header: bool = False
    sortkey: tuple[str, ...] = ()
    reverse: bool = False
    allow_missing: bool = False
    part_of: str = ""
    """The list that ``div_list_by_col`` divided into this one and others: they share its lines."""

    @property
    def members(self) -> tuple[str, ...]:
        """Nicknames of the files on a line, in order of first mention."""
        return tuple(dict.fromkeys(nick for nick, _ in self.columns if nick))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecSpec:
    """An ``exec_N`` section: one program of a quantum."""

    num: int
    section: Section
    execname: Value
    hyphen: Hyphen
    cmdline: tuple[tuple[str, Value], ...] = ()
    used: tuple[Ref, ...] = ()
    generated: tuple[Ref, ...] = ()
    ancestry: tuple[tuple[Ref, Ref], ...] = ()
    version_flag: str = ""
    messages: Rules | None = None
    """What is looked for in its output."""


class Bounds(NamedTuple):
    """How large jobs may be: in quanta, and in seconds of expected run time (0: as divide_jobs_by makes them)."""

    most: int = 0
    target: int = 0


ANY_SIZE = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttles:
    """How many jobs are in the queue, idle, or run at once: of the attempt (0: any number), and of each category."""

    jobs: int = 0
    idle: int = 0
    categories: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """The template of one pipeline step."""

    name: str
    block: str
    section: Section
    wrapper: str
    loop: tuple[str, ...] = ()
    loopobj: Ref | None = None
    files: Mapping[str, FileSpec] = field(default_factory=dict)
    lists: Mapping[str, ListSpec] = field(default_factory=dict)
    execs: tuple[ExecSpec, ...] = ()
    parameters: tuple[tuple[str, Value], ...] = ()
    per_file: Value | None = None
    joined: Value | None = None
    jobs_by: tuple[str, ...] = ()
    order_by: tuple[tuple[str, bool], ...] = ()
    """Keys that number its quanta before those of the loop, and whether their largest value comes first."""
    needs: Needs = NOTHING
    """What one quantum needs."""
    threads: int = 1
    """How many of its quanta run at once in a job."""
    bounds: Bounds = ANY_SIZE
    save: str = FILE
    """Which outputs are kept: always, failure, file, never or rand_NN."""
    compression: Compression | None = None
    list_order: tuple[str, ...] = ()
    """Lists whose queries are asked first, in this order."""
    noop: bool = False

    @property
    def allowance(self) -> Allowance:
        """What one of its quanta may take in a job."""
        one = self.needs
        return Allowance(one.walltime, one.memory, one.growth, one.most, self.threads, max(1, one.cpus))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the file sections that this module generates, in order."""
        names = [ref.name for one in self.execs for ref in one.generated if ref.kind == "file"]
        return tuple(dict.fromkeys(names))

    @property
    def datasets(self) -> tuple[FileSpec | ListSpec, ...]:
        """All file and list sections."""
        return (*self.files.values(), *self.lists.values())

    def dataset(self, ref: Ref) -> FileSpec | ListSpec | None:
        """Return the section that *ref* names (for ``list.l.x``: the list)."""
        return self.files.get(ref.name) if ref.kind == "file" else self.lists.get(ref.name)

    def reference(self, name: str) -> Template | None:
        """Leave ``file.x.y`` and ``list.l.y`` to the quantum, if the module has such a file or list."""
        parts = name.split(".")
        known: Mapping[str, object] = {"file": self.files, "list": self.lists}.get(parts[0], {})
        return Template((Slot(name),)) if len(parts) >= 3 and parts[1] in known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """An ordered group of modules; blocks run one after the other."""

    name: str
    late: bool = False
    """Whether it is planned once the blocks before it are done, so that its queries see what those made."""
    section: Section
    modules: tuple[Module, ...]
    needs: Needs = NOTHING
    """What a job needs, where modules do not say what their quanta do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign that passed every check: blocks of modules over the tree that they came from."""

    document: Document
    identity: Mapping[str, Scalar]
    blocks: tuple[Block, ...]
    filetypes: Mapping[str, FileType]
    throttles: Throttles = field(default_factory=Throttles)
    junk: Junk = field(default_factory=Junk)
    keeping: Keeping = AT_HOME
    """Which archive keeps what."""
    warnings: tuple[Fault, ...] = ()

    @property
    def modules(self) -> tuple[Module, ...]:
        """All modules in the order in which they run."""
        return tuple(module for block in self.blocks for module in block.modules)

    def scope(self, module: Module | None = None, search: Section | None = None, **current: Scalar) -> Scope:
        """Return the scope in which texts of *module* (of the whole campaign without) are read."""
        root = self.document.root
        members = {kind: root.text(f"{kind}name") or root.text(f"target_{kind}") for kind in ("site", "archive")}
        members["archive"] = members["archive"] or root.text("home_archive")
        if module is not None:
            members |= {"module": module.name, "block": module.block}
            current = {"modulename": module.name, "blockname": module.block, **current}
        return Scope(root, current=current, search=search, members=members, functions=self.document.functions)
