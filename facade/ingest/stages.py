"""The stages of an ingestion, batch by batch: ask the registry, read, compare, copy, register."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from facade.archive import open_archive
from facade.archive.local import LocalArchive
from facade.campaign import filetypes as read_filetypes
from facade.errors import FacadeError, InputError, RefusedError, RegistryError, TransferError
from facade.files import FileType, is_text, join, split_compression
from facade.ingest.given import Given, Wanted
from facade.ingest.judging import ANOTHER, File, Judge, Way
from facade.ingest.outcome import BAD, FILLED, NEW, PRESENT, REFUSED, Outcome
from facade.ingest.readers import Readers
from facade.ingest.reading import Answer, Question, Reader, stamp_of
from facade.ingest.remembered import Remembered
from facade.ingest.scratch import scratch
from facade.registry import Registry
from facade.registry.connection import StatementError, UnreachableError
from facade.registry.contents import Catalogue
from facade.registry.values import DIMENSIONS, FileKey, NewFile
from facade.site import Site
from facade.wcl import Document, did_you_mean

BATCH = 2000
BATCH_OF_CATALOGUES = 50
PATIENCE = (0.5, 2.0, 5.0, 15.0)
"""Seconds between tries to register a batch while the database does not answer."""
OF_A_FILE = ("22", "23")
"""SQLSTATE classes by which the server refuses values: then some file of the batch has one that it cannot hold."""

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Told how many more files were read, and how many more are done."""


def definition_of(document: Document, filetype: str) -> FileType:
    """Return the definition of *filetype*.

    Raises:
        InputError: there is none.
    """
    known = read_filetypes(document)
    if filetype not in known:
        remedy = did_you_mean(filetype, known) or f"known: {', '.join(sorted(known))}"
        raise InputError(f"no filetype is called '{filetype}'", remedy=remedy)
    return known[filetype]


def ingest(
    registry: Registry,
    site: Site,
    definition: FileType,
    document: Document,
    wanted: Wanted,
    way: Way,
    progress: Progress = lambda read, done: None,
    revive: Callable[[], object] = lambda: None,
) -> Generator[Outcome, None, None]:
    """Register files of the filetype *definition* of *document*; yield what became of each, as it becomes so. Whoever
    stops asking closes it, and what reads and what is only for a while are gone.

    *revive* is called when the database does not answer, before it is asked again.

    Raises:
        InputError: the definition does not fit the registry; files cannot stay in place there; or, if all or none are
            to go in, what is wrong with some.
        RefusedError: likewise, only that names are taken by other content.
        TransferError: the archive takes no file.
    """
    for what, fault in wanted.faults:
        if not way.whole:
            yield Outcome(path=what, state=BAD, fault=fault.message, remedy=fault.remedy)
    if way.whole and wanted.faults:
        raise InputError("\n".join(str(fault) for _, fault in wanted.faults), remedy="nothing was registered")
    yield from Ingestion(registry, site, definition, document, way, progress, revive).run(wanted.files)


class Ingestion:
    """One ingestion of files of one filetype."""

    def __init__(
        self,
        registry: Registry,
        site: Site,
        definition: FileType,
        document: Document,
        way: Way,
        progress: Progress,
        revive: Callable[[], object],
    ) -> None:
        self._registry, self._site, self._way = registry, site, way
        self._progress, self._revive = progress, revive
        self._definition = definition
        self._types: Mapping[str, Any] = {definition.name: definition.definition()}
        self._archive = open_archive(site.archive, site.archive_root, site.archive_options)
        if way.in_place and not isinstance(self._archive, LocalArchive):
            raise InputError(
                f"files cannot stay in place in archive '{site.archive}': it is no folder of this machine",
                remedy="leave --in-place out",
            )
        if way.fill and not definition.columns:
            raise InputError(f"filetype '{definition.name}' has no metadata to fill in")
        self._check_settings()
        self._judge = Judge(definition, document.root, site, way)
        self._remembered = Remembered(site.home, str(site.database), site.archive, site.archive_root, definition.name)

    def _check_settings(self) -> None:
        """Raise InputError for what is set and no column: a word that is misspelt would set nothing."""
        columns = [name for name, _, _ in self._definition.columns]
        tables = {name for names in DIMENSIONS.values() for name in names}
        for name in self._way.settings if columns else ():  # without columns it fills a table
            if name not in columns and name not in tables:
                known = did_you_mean(name, columns) or f"columns: {', '.join(columns)}"
                raise InputError(f"filetype '{self._definition.name}' has no column '{name}' to set", remedy=known)

    def run(self, files: Sequence[Given]) -> Iterator[Outcome]:
        """Ingest *files*; see `ingest`."""
        if not self._way.dry:
            self._prepare()
        usual = BATCH_OF_CATALOGUES if self._definition.contents else BATCH
        size = len(files) if self._way.whole else self._way.batch or usual
        fine = True
        with (
            scratch() as folder,
            Readers(self._reader(folder), self._site.workers, len(files)) as readers,
        ):
            for batch in self._ahead(files, max(1, size), readers):
                for outcome in self._finish(batch):
                    fine = fine and outcome.fine
                    yield outcome
        if fine and not self._way.dry:
            self._remembered.forget(one.path for one in files)

    def _prepare(self) -> None:
        self._registry.ensure_metadata_tables(self._types)
        if self._definition.contents:
            self._registry.intake.ensure_table(self._definition.contents_table, self._definition.contents_types)
        self._registry.set_archive(self._site.archive, self._site.archive_root)

    def _reader(self, folder: Path) -> Reader:
        definition = replace(self._definition, contents=()) if self._way.fill else self._definition
        return Reader(definition, self._way.settings, None if self._way.dry else folder)

    # -- reading, one batch ahead of the one that is registered

    def _ahead(self, files: Sequence[Given], size: int, readers: Readers) -> Iterator[list[File]]:
        begun: deque[tuple[list[File], Iterator[Answer]]] = deque()
        for at in range(0, len(files), size):
            batch = self._compared(files[at : at + size])
            begun.append((batch, readers.start([self._question(one) for one in batch])))
            if len(begun) > 1:
                yield self._read(*begun.popleft())
        while begun:
            yield self._read(*begun.popleft())

    def _compared(self, files: Sequence[Given]) -> list[File]:
        """Return files with what the registry knows of them; those whose rows it has not are to go in again."""
        names = [split_compression(one.path.name) for one in files]
        sound = [key for key in names if is_text(key[0])]
        intake = self._registry.intake
        known = self._patiently(lambda: intake.known(sound, self._site.archive))
        if self._definition.contents:
            ids, table = [one.id for one in known.values()], self._definition.contents_table
            loaded = self._patiently(lambda: intake.loaded(table, ids))
            known = {key: one if one.id in loaded else one._replace(path=None) for key, one in known.items()}
        return [File(one, known.get(key)) for one, key in zip(files, names, strict=True)]

    def _question(self, file: File) -> Question:
        """Of a file that is in the registry and the archive only content and rows matter."""
        given, known = file.given, file.known
        checksum = self._remembered.checksum(given.path)
        whole = self._way.fill or known is None or known.path is None
        return Question(given.path, given.metadata, whole, checksum)

    def _read(self, batch: Sequence[File], answers: Iterator[Answer]) -> list[File]:
        found = []
        for file, answer in zip(batch, answers, strict=True):
            found.append(replace(file, answer=answer))
            self._progress(1, 0)
        return found

    # -- what is read goes in

    def _finish(self, batch: Sequence[File]) -> Iterator[Outcome]:
        outcomes: dict[Path, Outcome] = {}
        ready: list[File] = []
        for file in batch:
            try:
                if (judged := self._judge.judged(file)) is None:
                    outcomes[file.given.path] = file.outcome(PRESENT)
                else:
                    ready.append(judged)
            except FacadeError as error:
                state = REFUSED if isinstance(error, RefusedError) else BAD
                outcomes[file.given.path] = file.outcome(state, error.message, error.remedy)
        self._stop(outcomes.values())
        if self._way.dry:
            outcomes |= {file.given.path: file.outcome(PRESENT if file.known else NEW) for file in ready}
        elif self._way.fill:
            outcomes |= self._filled(ready)
        else:
            outcomes |= self._stored(ready)
        for file in batch:
            if file.answer.spool:
                file.answer.spool.unlink(missing_ok=True)
            self._progress(0, 1)
            yield outcomes[file.given.path]

    def _stop(self, outcomes: Iterable[Outcome]) -> None:
        """Raise what is wrong with files, if all or none are to go in."""
        faults = [one for one in outcomes if not one.fine]
        if self._way.whole and faults:
            kind = InputError if any(one.state == BAD for one in faults) else RefusedError
            raise kind("\n".join(map(str, faults)), remedy="nothing was registered; leave these files out or mend them")

    def _filled(self, ready: Sequence[File]) -> dict[Path, Outcome]:
        told = {file.known.id: file.metadata for file in ready if file.known}
        got = self._patiently(lambda: self._registry.intake.fill(self._types[self._definition.name], told))
        return {
            file.given.path: file.outcome(FILLED if file.known and file.known.id in got else PRESENT) for file in ready
        }

    def _stored(self, ready: Sequence[File]) -> dict[Path, Outcome]:
        outcomes, copied = self._copied(ready)
        self._stop(outcomes.values())
        for file, fault in self._registered(copied):
            state = NEW if not fault and file.known is None else PRESENT
            if fault:
                state = REFUSED if isinstance(fault, RefusedError) else BAD
            told = (str(fault).removesuffix(f"\n  {fault.remedy}"), fault.remedy) if fault else ("", "")
            outcomes[file.given.path] = file.outcome(state, *told)
        return outcomes

    def _copied(self, ready: Sequence[File]) -> tuple[dict[Path, Outcome], list[File]]:
        """Copy files into the archive, verified, some at a time; return those that were not, and those that were."""
        if self._way.in_place:
            return {}, list(ready)
        outcomes: dict[Path, Outcome] = {}
        copied: list[File] = []
        broken: FacadeError | None = None
        threads = ThreadPoolExecutor(max(1, self._site.workers))
        try:
            for file, fault in zip(ready, threads.map(self._copy, ready), strict=True):
                if fault is None:
                    copied.append(file)
                    continue
                broken = fault if isinstance(fault, TransferError) else broken
                state = REFUSED if isinstance(fault, RefusedError) else BAD
                outcomes[file.given.path] = file.outcome(state, fault.message, fault.remedy)
        finally:
            threads.shutdown(cancel_futures=True)  # who is interrupted does not wait for the whole batch
        if broken is not None and not copied:
            raise broken  # nothing arrives there: it would be the same with the next batch
        return outcomes, copied

    def _copy(self, file: File) -> FacadeError | None:
        content = file.answer.content
        assert content is not None
        try:
            target = join(file.place, "".join(file.key))
            self._archive.store(file.given.path, target, content.checksum)
        except FacadeError as error:
            path = file.given.path
            with suppress(OSError):
                if stamp_of(path) == file.answer.stamp:
                    return error
            return InputError(f"{path} changed before it was copied", remedy="ingest it when it is complete")
        return None

    def _registered(self, files: Sequence[File]) -> Iterator[tuple[File, FacadeError | None]]:
        """Register a batch; if the server cannot take it, half of it, until the files are found that it refuses."""
        if not files:
            return
        try:
            refused = self._register(files)
        except (StatementError, InputError, RefusedError) as error:
            if self._way.whole or (isinstance(error, StatementError) and error.sqlstate[:2] not in OF_A_FILE):
                raise
            if len(files) == 1:
                yield files[0], error
                return
            middle = len(files) // 2
            yield from self._registered(files[:middle])
            yield from self._registered(files[middle:])
            return
        noted = [one for one in files if one.key not in refused]
        self._remembered.note(
            (one.given.path, one.answer.stamp, one.answer.content.checksum) for one in noted if one.answer.content
        )
        for one in files:
            told = refused.get(one.key)
            yield one, RefusedError(f"{one.given.path}: {told}", remedy=ANOTHER) if told else None

    def _register(self, files: Sequence[File]) -> Mapping[FileKey, str]:
        new = [self._new(one) for one in files]
        rows = [(one.key, *one.answer.contents) for one in files if one.answer.contents]
        table, columns = self._definition.contents_table, tuple(name for name, _, _ in self._definition.contents)
        spools = [Catalogue(one.key, table, columns, one.answer.spool) for one in files if one.answer.spool]
        name, absent = f"ingest {self._definition.name}", {one.key for one in files if one.known is None}
        return self._patiently(
            lambda: (
                self._registry.intake.register(
                    name, self._types, new, rows, spools, partial=not self._way.whole, absent=absent
                ).refused
            )
        )

    def _patiently(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, tried again while the database does not answer."""
        for patience in PATIENCE:
            try:
                return work()
            except UnreachableError:
                time.sleep(patience)
            with suppress(RegistryError):
                self._revive()
        return work()

    def _new(self, file: File) -> NewFile:
        content = file.answer.content
        assert content is not None
        return NewFile(
            filename=file.key[0], compression=file.key[1], filetype=self._definition.name, size=content.size,
            checksum=content.checksum, metadata=file.metadata, path=file.place, archive=self._site.archive,
        )  # fmt: skip
