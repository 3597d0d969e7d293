"""What is read of one file: its content, what its ingestor says of it, its rows.

A plug-in may raise anything; that is the fault of one file and stops no other.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import TypeVar

from facade import plugins
from facade.archive import Content, content_of
from facade.errors import FacadeError, InputError
from facade.files import FileType, is_text, name_fault, split_compression
from facade.ingest import catalogues
from facade.ingest.catalogues import truth
from facade.metadata import typed
from facade.outputs import FUNCTION
from facade.plugins import Ingestor, Scalar

Contents = tuple[str, list[dict[str, Scalar]]]
Found = TypeVar("Found")
ingestor_called = cache(plugins.ingestor)
"""To look through all that is installed for each file would take longer than to read it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be read of a file: all, or only content and rows (``whole=False``); ``checksum`` is known if not None.

    Rows of the survey's dimensions may come again with another version, set on the command line.
    """

    path: Path
    said: Mapping[str, Scalar] = field(default_factory=dict)
    whole: bool = True
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found; ``stamp`` tells by which state of the file; ``fault`` and ``remedy`` what is wrong with it."""

    content: Content | None = None
    stamp: tuple[int, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    contents: Contents | None = None
    spool: Path | None = None
    rows: int = 0
    fault: str = ""
    remedy: str = ""


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written: its size, times, place on the disk."""
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


@dataclass(frozen=True, slots=True)
class Reader:
    """How files of one filetype are read; rows of catalogues go into files in the folder *spools*, if there is one."""

    filetype: FileType
    settings: Mapping[str, str]
    spools: Path | None = None

    def read(self, question: Question) -> Answer:
        """Return what there is to know of a file; never raises for what is wrong with it."""
        try:
            return self._read(question)
        except FacadeError as error:
            told = str(error).removesuffix(f"\n  {error.remedy}")
            return Answer(fault=_about(question.path, told), remedy=error.remedy)
        except OSError as error:
            return Answer(fault=f"cannot read {question.path}: {error.strerror or error}")

    def _read(self, question: Question) -> Answer:
        path = question.path
        _check(path)
        stamp = stamp_of(path)
        content = Content(stamp[0], question.checksum) if question.checksum else content_of(path)
        ingestor = ingestor_called(self.filetype.ingestor)
        contents = self._contents(ingestor, path)
        metadata = self._metadata(ingestor, question) if question.whole else {}
        spool, rows = None, len(contents[1]) if contents else 0
        if question.whole and self.filetype.contents and contents is None:
            spool, rows = catalogues.spooled(path, self.filetype, self.spools)
        if stamp_of(path) != stamp:
            raise InputError(f"{path} changed while it was read", remedy="ingest it when it is complete")
        return Answer(content, stamp, metadata, contents, spool, rows)

    def _metadata(self, ingestor: Ingestor, question: Question) -> dict[str, Scalar]:
        path = question.path
        columns = {name: source for name, _, source in self.filetype.columns}
        said = {**self.settings, **question.said}
        answer = called(self.filetype.ingestor, path, lambda: ingestor.metadata(path, columns))
        if not isinstance(answer, Mapping):
            what = f"ingestor '{self.filetype.ingestor}' made of {path.name} no mapping: {answer!r:.80}"
            raise InputError(what, remedy=_shown(self.filetype.ingestor, path))
        values = {**answer, **said}
        kinds = {name: kind for name, kind, _ in self.filetype.columns}
        metadata = {name: fitting(values.get(name), kind, name, path) for name, kind in kinds.items()}
        for name, source in columns.items():
            if source.startswith(FUNCTION) and name not in said:
                found = plugins.computed(source.removeprefix(FUNCTION), path, metadata)
                metadata[name] = fitting(found, kinds[name], name, path)
        return metadata

    def _contents(self, ingestor: Ingestor, path: Path) -> Contents | None:
        ask: Callable[[Path], Contents | None] | None = getattr(ingestor, "contents", None)
        found = called(self.filetype.ingestor, path, lambda: ask(path)) if ask else None
        if found is None:
            return None
        try:
            table, rows = found
            version = {"version": split_compression(path.name)[0].partition(".")[0]}
            return str(table), [{**version, **row, **self.settings} for row in rows]
        except (TypeError, ValueError) as error:
            what = f"ingestor '{self.filetype.ingestor}' made of {path.name} no (table, rows)"
            raise InputError(f"{what}: {error}", remedy=_shown(self.filetype.ingestor, path)) from error


def fitting(value: object, kind: str, name: str, path: Path) -> Scalar:
    """Return a value as its column has it.

    Raises:
        InputError: the column cannot hold it.
    """
    if value is not None and not isinstance(value, str | int | float | bool):
        raise InputError(f"{path}: {name} is no text, number or bool: {value!r:.80}")
    try:
        found = typed(truth(value) if kind == "bool" and isinstance(value, str) else value, kind)
    except InputError as error:
        raise InputError(f"{path}: {name}: {error.message}", remedy=f"the filetype says it is {kind}") from error
    if isinstance(found, str) and not is_text(found):
        raise InputError(f"{path}: {name} holds characters that no text may have: {found!r:.80}")
    return found


def called(name: str, path: Path, work: Callable[[], Found]) -> Found:
    """Return what a plug-in answers; whatever it raises comes out as an InputError that names it."""
    here = _folder()
    try:
        return work()
    except FacadeError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and parent_process() is None:
            raise  # Ctrl-C reaches nobody but the first process: elsewhere a plug-in raised it
        raise InputError(f"ingestor '{name}' failed on {path}: {raised(error)}", remedy=_shown(name, path)) from error
    finally:
        if here and _folder() != here:
            os.chdir(here)  # other files are named as seen from there


def raised(error: BaseException) -> str:
    """Say what a plug-in raised, and where: ``KeyError: 'x' (mine.py, line 7, in metadata)``."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"{what} ({Path(place.filename).name}, line {place.lineno}, in {place.name})"


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # somebody removed it
        return ""


def _shown(name: str, path: Path) -> str:
    return f"facade ingest --test {name} {path} shows more"


def _about(path: Path, text: str) -> str:
    """Return *text* with the file's name in it."""
    named = any(name in text for name in (str(path), path.name, ascii(str(path))[:200]))
    return text if named else f"{path}: {text}"


def _check(path: Path) -> None:
    if not path.is_file():
        there = "is no ordinary file" if path.exists() else "is a link that leads nowhere"
        raise InputError(f"{path}: {there if os.path.lexists(path) else 'no such file'}")
    fault = name_fault(path.name) if is_text(path.name) else "is not written in UTF-8"
    if fault:
        raise InputError(f"{str(path)!a:.200}: its name {fault}", remedy="give it another name")
