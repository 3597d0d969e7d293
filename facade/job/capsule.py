"""Capsules: what one job needs, read from JSON and checked once, here; inside are typed values only.

The form is described in docs/contracts.md, where they lie in `facade.job.shard`. A fault names the file and the place
in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from facade.errors import InputError
from facade.job import shard
from facade.job.shard import CAPSULE as FORMAT
from facade.messages import Rules, rules_of
from facade.needs import Allowance
from facade.outputs import AS_PLANNED, Handling, Junk, handling_of, junk_of

Scalar = str | int | float | bool | None
Name = tuple[str, str]
"""Identity of a file: (filename, compression)."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileType:
    """Where metadata of a type of file goes, and which columns (name -> (type, source)) it has."""

    metadata_table: str
    columns: Mapping[str, tuple[str, str]]
    required: frozenset[str] = frozenset()
    """Columns that must have a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file that a quantum reads; *producer* is the job of this attempt that makes it, if one does."""

    section: str
    name: Name
    filetype: str
    path: str
    archive_path: str
    size: int | None
    checksum: str | None
    rename: str
    metadata: Mapping[str, Scalar]
    producer: int | None
    staged: str = ""
    """The name under which it lies in the job directory, if not its own: it was made by an earlier attempt."""

    @property
    def called(self) -> str:
        """What the file is called in the job directory."""
        return self.staged or full(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """A text that the job writes for its programs before they run."""

    name: Name
    filetype: str
    path: str
    archive_path: str
    content: str
    metadata: Mapping[str, Scalar]
    section: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a quantum promises; kept in the archive if *save*."""

    name: Name
    filetype: str
    path: str
    archive_path: str
    optional: bool
    save: bool
    metadata: Mapping[str, Scalar]
    section: str = ""


Word = str | tuple[str | tuple[str, ...], ...]
"""A word of a command line: text, or pieces, of which (file, key, …) are header values to be read (`headers`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """A program to run; files are named ``filename+compression``."""

    execnum: int
    name: str
    argv: tuple[Word, ...]
    version_flag: str
    used: tuple[str, ...]
    generated: tuple[str, ...]
    derived: tuple[tuple[str, str], ...]
    messages: int | None = None
    """Which of the capsule's rules say what is looked for in its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantum:
    """One execution of a module: the unit of state and of resume."""

    task_id: int
    fingerprint: str = ""
    """What it does, its inputs left out (docs/reuse.md)."""
    wrapnum: int
    module: str
    wrapper: str
    allowance: Allowance = field(default_factory=Allowance)
    """What it may take, and how many of its module run at once."""
    handling: Handling = AS_PLANNED
    """What becomes of its outputs."""
    keys: Mapping[str, Scalar]
    parameters: Mapping[str, str]
    log_name: str
    log_archive_path: str
    inputs: tuple[Input, ...]
    lists: tuple[ListFile, ...]
    outputs: tuple[Output, ...]
    compressed: tuple[Output, ...] = ()
    """Files that are made of outputs by compressing them."""
    execs: tuple[Exec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an archive is and how it is reached."""

    name: str
    root: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """One job: its place in the attempt, its archive and environment, and its quanta in order.

    Receipts, lock and job directory are called after *stem*; they lie beside the file that *path* names.
    """

    path: Path
    stem: str
    attempt: str
    attempt_id: int
    identity: Mapping[str, Scalar]
    jobnum: int
    task_id: int
    keys: Mapping[str, Scalar]
    parents: tuple[int, ...]
    archive_name: str
    archive_root: str
    archive_options: Mapping[str, str]
    target: Place | None = None
    """The archive on the cluster's disk, if there is one."""
    read: tuple[str, ...] = ()
    """Names of the archives in which files are looked for, in this order; ``store``: in which outputs are stored."""
    store: tuple[str, ...] = ()
    ahead: bool = False
    """Whether inputs of all quanta are fetched before the first begins."""
    environment: Mapping[str, str]
    filetypes: Mapping[str, FileType]
    messages: tuple[Rules, ...] = ()
    junk: Junk = field(default_factory=Junk)
    quanta: tuple[Quantum, ...]


def full(name: Name) -> str:
    """Return a file's name as it lies on disk."""
    return name[0] + name[1]


def read(path: Path) -> Capsule:
    """Read and check the capsule that *path* names.

    Raises:
        InputError: it cannot be read or is no capsule; the message says where and why.
    """
    node = _Node(shard.tree(path), f"{path}: ")
    if node.value("format", int) != FORMAT:
        raise node.fault("format", f"this facade reads capsules of format {FORMAT}")
    attempt, job, archive = node.child("attempt"), node.child("job"), node.child("archive")
    return Capsule(
        path=path,
        stem=shard.stem(path),
        attempt=attempt.filename("name"),
        attempt_id=attempt.value("id", int),
        identity=attempt.scalars("identity"),
        jobnum=job.value("jobnum", int),
        task_id=job.value("task_id", int),
        keys=job.scalars("keys"),
        parents=node.many("parents", int, ()),
        archive_name=archive.text("name"),
        archive_root=archive.text("root"),
        archive_options=archive.texts("options"),
        target=_place(node.child("target")) if "target" in node.tree else None,
        read=node.many("read", str, ()),
        store=node.many("store", str, ()),
        ahead=node.text("stage", "") == "job",
        environment=node.texts("environment"),
        filetypes={name: _filetype(child) for name, child in node.named("filetypes")},
        messages=tuple(_rules(node, one) for one in node.many("messages", list, ())),
        junk=_junk(node),
        quanta=node.children("quanta", _quantum),
    )


def _place(node: _Node) -> Place:
    return Place(name=node.text("name"), root=node.text("root"), options=node.texts("options"))


def _junk(node: _Node) -> Junk:
    try:
        return junk_of(node.value("junk", list)) if "junk" in node.tree else Junk()
    except (TypeError, ValueError) as error:
        raise node.fault("junk", f"expected [when, bytes]: {error}") from None


def _handling(node: _Node) -> Handling:
    plain = node.optional("handling", list)
    try:
        return handling_of(plain) if plain is not None else AS_PLANNED
    except (TypeError, ValueError, AttributeError) as error:
        raise node.fault("handling", f"expected [save, compression, sections]: {error}") from None


def _filetype(node: _Node) -> FileType:
    columns = {name: (column.text("type", ""), column.text("source", "")) for name, column in node.named("columns")}
    required = frozenset(name for name, column in node.named("columns") if column.value("required", bool, False))
    return FileType(metadata_table=node.text("metadata_table", ""), columns=columns, required=required)


def _quantum(node: _Node) -> Quantum:
    log, handling = node.child("log"), _handling(node)
    outputs, compressed = _divided(node.children("outputs", _output), handling)
    return Quantum(
        task_id=node.value("task_id", int),
        fingerprint=node.text("fingerprint", ""),
        wrapnum=node.value("wrapnum", int),
        module=node.text("module"),
        wrapper=node.text("wrapper"),
        allowance=Allowance(**node.value("allowance", dict, {})),
        handling=handling,
        keys=node.scalars("keys"),
        parameters=node.texts("parameters"),
        log_name=log.filename("filename"),
        log_archive_path=log.folder("archive_path"),
        inputs=node.children("inputs", _input),
        lists=node.children("lists", _list),
        outputs=outputs,
        compressed=compressed,
        execs=node.children("execs", _exec),
    )


def _divided(outputs: tuple[Output, ...], handling: Handling) -> tuple[tuple[Output, ...], tuple[Output, ...]]:
    """Return what programs make, and what is made of that by compressing it."""
    if handling.compression is None:
        return outputs, ()
    plain = {output.name for output in outputs}
    made = tuple(
        output
        for output in outputs
        if output.name[1] == handling.compression.suffix
        and handling.of(output.section).compress
        and (output.name[0], "") in plain
    )
    return tuple(output for output in outputs if output not in made), made


def _input(node: _Node) -> Input:
    return Input(
        section=node.text("section"),
        name=node.file(),
        filetype=node.text("filetype", ""),
        path=node.folder("path"),
        archive_path=node.folder("archive_path"),
        size=node.optional("size", int),
        checksum=node.optional("checksum", str),
        rename=node.filename("rename") if node.optional("rename", str) else "",
        metadata=node.scalars("metadata"),
        producer=node.optional("producer", int),
        staged=node.filename("staged") if node.text("staged", "") else "",
    )


def _list(node: _Node) -> ListFile:
    return ListFile(
        name=node.file(),
        filetype=node.text("filetype", "list"),
        path=node.folder("path"),
        archive_path=node.folder("archive_path"),
        content=node.text("content"),
        metadata=node.scalars("metadata"),
        section=node.text("section", ""),
    )


def _output(node: _Node) -> Output:
    return Output(
        name=node.file(),
        filetype=node.text("filetype"),
        path=node.folder("path"),
        archive_path=node.folder("archive_path"),
        optional=node.value("optional", bool, False),
        save=node.value("save", bool, True),
        metadata=node.scalars("metadata"),
        section=node.text("section", ""),
    )


def _exec(node: _Node) -> Exec:
    argv = tuple(_word(node, word) for word in node.many("argv", object))
    if not argv or not isinstance(argv[0], str):
        raise node.fault("argv", "a program is needed")
    pairs = node.many("derived", list, ())
    if any(len(pair) != 2 or not all(isinstance(name, str) for name in pair) for pair in pairs):
        raise node.fault("derived", "expected [child, parent] pairs of file names")
    return Exec(
        execnum=node.value("execnum", int),
        name=node.text("name"),
        argv=argv,
        version_flag=node.text("version_flag", ""),
        used=node.many("used", str, ()),
        generated=node.many("generated", str, ()),
        derived=tuple((child, parent) for child, parent in pairs),
        messages=node.optional("messages", int),
    )


def _rules(node: _Node, plain: list[Any]) -> Rules:
    try:
        return rules_of(plain)
    except (TypeError, ValueError) as error:
        raise node.fault("messages", f"expected [patterns, excludes, filters]: {error}") from None


def _word(node: _Node, word: object) -> Word:
    """Read a word: text, or pieces of text and of (file, key, …)."""
    if isinstance(word, str):
        return word
    pieces: list[str | tuple[str, ...]] = []
    for piece in word if isinstance(word, list) else [None]:
        if isinstance(piece, str):
            pieces.append(piece)
        elif isinstance(piece, list) and len(piece) > 1 and all(isinstance(text, str) for text in piece):
            pieces.append(tuple(piece))
        else:
            raise node.fault("argv", "a word is a text, or a list of texts and of [file, key, …]")
    return tuple(pieces)


class _Node:
    """A JSON object and its place, so that every fault can say where it lies."""

    def __init__(self, tree: object, where: str) -> None:
        self.where = where
        if not isinstance(tree, dict):
            raise InputError(f"{where.rstrip('.: ')}: expected an object, found {_shown(tree)}")
        self.tree: dict[str, Any] = tree

    def fault(self, key: str, message: str) -> InputError:
        return InputError(f"{self.where}{key}: {message}; found {_shown(self.tree.get(key))}")

    def value(self, key: str, kind: type[T], default: T | None = None) -> T:
        value = self.tree.get(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.fault(key, f"expected {kind.__name__}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return self.value(key, str, default)

    def optional(self, key: str, kind: type[T]) -> T | None:
        return None if self.tree.get(key) is None else self.value(key, kind)

    def many(self, key: str, kind: type[T], default: tuple[T, ...] | None = None) -> tuple[T, ...]:
        values = self.tree.get(key, default)
        if not isinstance(values, list | tuple) or not all(isinstance(value, kind) for value in values):
            raise self.fault(key, f"expected a list of {kind.__name__}")
        return tuple(values)

    def scalars(self, key: str) -> dict[str, Scalar]:
        tree = self.value(key, dict, {})
        if not all(value is None or isinstance(value, str | int | float) for value in tree.values()):
            raise self.fault(key, "expected scalars")
        return tree

    def texts(self, key: str) -> dict[str, str]:
        return {name: "" if value is None else str(value) for name, value in self.scalars(key).items()}

    def child(self, key: str) -> _Node:
        return _Node(self.tree.get(key), f"{self.where}{key}.")

    def named(self, key: str) -> list[tuple[str, _Node]]:
        tree = self.value(key, dict, {})
        return [(name, _Node(value, f"{self.where}{key}.{name}.")) for name, value in tree.items()]

    def children(self, key: str, make: Callable[[_Node], T]) -> tuple[T, ...]:
        values = self.many(key, dict, ())
        return tuple(make(_Node(value, f"{self.where}{key}[{i}].")) for i, value in enumerate(values))

    def file(self) -> Name:
        name = self.filename("filename")
        return name, self.text("compression", "")

    def filename(self, key: str) -> str:
        name = self.text(key)
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise self.fault(key, "expected a file name without a path")
        return name

    def folder(self, key: str) -> str:
        """Return a relative folder that stays below whatever it is joined to; "" is the top."""
        folder = self.text(key, "")
        if folder.startswith("/") or ".." in PurePosixPath(folder).parts:
            raise self.fault(key, "expected a folder below the job directory or archive")
        return folder


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
