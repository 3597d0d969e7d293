"""What is read of one file: its content, what its ingestor says of it, its rows. Runs in processes of their own.

A plug-in may raise anything, or end its process; that is the fault of one file and stops no other.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import Pipe, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from signal import SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGINT, pthread_sigmask, signal
from tempfile import gettempdir
from typing import TypeVar

from facade import plugins
from facade.archive import Content, content_of
from facade.errors import FacadeError, InputError
from facade.files import FileType, name_fault, split_compression
from facade.ingest import catalogues
from facade.ingest.catalogues import truth
from facade.metadata import typed
from facade.outputs import FUNCTION
from facade.plugins import Ingestor, Scalar

ALONE = 24
"""Fewer files than this are read in the process that is there, by plug-ins of facade: to start others takes longer."""
OURS = "facade.ingestors."
CHUNK = 16
LONGEST_FOLDER = 70
"""Characters that the folder for temporary files may have for a socket to have room in it."""
ASKED_AGAIN = 20.0
"""Seconds after which processes that say nothing are asked whether they are still there."""
Begun = tuple[ProcessPoolExecutor, "Future[list[Answer]]"]
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
    if isinstance(found, str) and ("\0" in found or any("\ud800" <= letter <= "\udfff" for letter in found)):
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
    try:
        path.name.encode()
        fault = name_fault(path.name)
    except UnicodeEncodeError:
        fault = "is not written in UTF-8"
    if fault:
        raise InputError(f"{str(path)!a:.200}: its name {fault}", remedy="give it another name")


class Readers:
    """Processes that read files side by side; use it in a ``with`` statement."""

    def __init__(self, reader: Reader, processes: int, files: int) -> None:
        module = str(getattr(ingestor_called(reader.filetype.ingestor), "__name__", ""))
        ours = module.startswith(OURS)
        self._loaded = [__name__, *([module] if ours else [])]
        self._reader, self._alone = reader, ours and (files < ALONE or processes == 1)
        self._processes = min(processes, -(-files // CHUNK)) or 1
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: tuple[Connection, Connection] | None = None

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._lifeline is not None:
            for end in self._lifeline:
                end.close()
        if self._pool is not None:  # a process that has only just begun needs this one until it knows that it is to end
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self, processes: int) -> ProcessPoolExecutor:
        if self._lifeline is None:
            self._lifeline = Pipe(duplex=False)
        return _pool(processes, self._loaded, self._lifeline[0])

    def start(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """Begin to read; the answers come in the order of the questions."""
        if self._alone:
            return map(self._reader.read, questions)
        chunks = [questions[at : at + CHUNK] for at in range(0, len(questions), CHUNK)]
        return self._collected([(chunk, self._begin(chunk)) for chunk in chunks])

    def _begin(self, chunk: Sequence[Question]) -> Begun | None:
        try:
            if self._pool is None:
                self._pool = self._new_pool(self._processes)
            return self._pool, self._pool.submit(_read_all, self._reader, chunk)
        except (BrokenProcessPool, OSError):
            # a process ended; if just now, while another one was started for this chunk, that one found pipes closed
            return None  # it is read when its turn comes

    def _collected(self, begun: Sequence[tuple[Sequence[Question], Begun | None]]) -> Iterator[Answer]:
        for chunk, work in begun:
            try:
                if work is None:
                    raise BrokenProcessPool
                yield from _result(*work)
            except Exception as error:  # also what cannot go from one process to another
                if isinstance(error, BrokenProcessPool):
                    self._pool = None
                yield from self._one_by_one(chunk)

    def _one_by_one(self, chunk: Sequence[Question]) -> Iterator[Answer]:
        """Read a chunk of which a file ends the process that reads it: one that did so twice is told."""
        name = self._reader.filetype.ingestor
        pool = self._new_pool(1)
        try:
            for question in chunk:
                answer = Answer(fault=f"{question.path}: ingestor '{name}' ended the process that read it")
                for _ in range(2):
                    try:
                        (answer,) = pool.submit(_read_all, self._reader, [question]).result()
                        break
                    except (BrokenProcessPool, OSError):  # see _begin
                        pool = self._new_pool(1)
                    except Exception as error:
                        what = f"what ingestor '{name}' made of it cannot be taken: {type(error).__name__}: {error}"
                        answer = Answer(fault=f"{question.path}: {what}")
                        break
                yield answer
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: what is started inside never hears of it, not even while it begins."""
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _pool(processes: int, loaded: list[str], lifeline: Connection) -> ProcessPoolExecutor:
    """Return processes that begin with the modules *loaded*: to import astropy takes each of them half a second."""
    # not forked from here: this process has threads, and a connection
    context = get_context("forkserver" if len(gettempdir()) < LONGEST_FOLDER else "spawn")
    context.set_forkserver_preload(loaded)
    resource_tracker.ensure_running()  # else it is started with the forkserver, and lets signals through again
    with _undisturbed():
        if context.get_start_method() == "forkserver":
            ensure_running()
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin_process, initargs=(lifeline,))


def _begin_process(lifeline: Connection) -> None:
    """Leave Ctrl-C to the parent; end with it, however it ends, or when it lets go of *lifeline*: a plug-in may hang.

    What plug-ins print goes to stderr: stdout is for data.
    """
    signal(SIGINT, SIG_IGN)
    os.dup2(2, 1)
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            wait([parent.sentinel, lifeline])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def _result(pool: ProcessPoolExecutor, future: Future[list[Answer]]) -> list[Answer]:
    """Return what comes of work; raises BrokenProcessPool also if the pool broke just when it got the work, and forgot
    it, which Python's own does."""
    while True:
        try:
            return future.result(ASKED_AGAIN)
        except TimeoutError:
            if not future.done():
                pool.submit(int)


def _read_all(reader: Reader, chunk: Sequence[Question]) -> list[Answer]:
    return [reader.read(question) for question in chunk]
