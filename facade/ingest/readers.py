"""Processes that read files side by side; one that a plug-in ends costs one file, and none outlives its parent."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import Pipe, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.forkserver import ensure_running
from signal import SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGINT, pthread_sigmask, signal
from tempfile import gettempdir

from facade.ingest.reading import Answer, Question, Reader, ingestor_called

ALONE = 24
"""Fewer files than this are read in the process that is there, by plug-ins of facade: to start others takes longer."""
OURS = "facade.ingestors."
CHUNK = 16
LONGEST_FOLDER = 70
"""Characters that the folder for temporary files may have for a socket to have room in it."""
ASKED_AGAIN = 20.0
"""Seconds after which processes that say nothing are asked whether they are still there."""
Begun = tuple[ProcessPoolExecutor, "Future[list[Answer]]"]


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
