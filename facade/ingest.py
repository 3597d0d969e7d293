"""Registering files that exist already: read their metadata, copy them into the archive, record them; or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facade import plugins
from facade.archive import open_archive
from facade.campaign import filetypes as read_filetypes
from facade.campaign import from_name
from facade.errors import FacadeError, InputError, RefusedError
from facade.files import FileType, clean_path, join, split_compression
from facade.metadata import missing
from facade.outputs import FUNCTION
from facade.plugins import Ingestor, Scalar
from facade.registry import Registry
from facade.registry.values import Ingested, NewFile
from facade.site import Site
from facade.wcl import BadReference, Document, MissingVariable, Scope, Section, did_you_mean

Progress = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    filename: str
    compression: str
    metadata: Mapping[str, Scalar]
    archive_path: str
    contents: tuple[str, list[dict[str, Scalar]]] | None


def ingest(
    registry: Registry,
    site: Site,
    filetype: str,
    paths: Sequence[Path],
    *,
    settings: Mapping[str, str] | None = None,
    definitions: Document | None = None,
    progress: Progress = lambda path: None,
) -> Ingested:
    """Register *paths* as files of *filetype*; *settings* add to what the ingestor finds (``version`` of a table …).

    A file that is registered already with the same content changes nothing.

    Raises:
        InputError: unknown filetype, or files that are not what they should be; nothing was registered or copied.
        RefusedError: a name is taken by other content.
    """
    document = definitions or site.load(site.filetypes)
    known = read_filetypes(document)
    if filetype not in known:
        remedy = did_you_mean(filetype, known) or f"known: {', '.join(sorted(known))}"
        raise InputError(f"no filetype is called '{filetype}'", remedy=remedy)
    definition = known[filetype]
    candidates = _candidates(definition, paths, settings or {}, document)
    _check_names(registry, site, candidates)
    archive = open_archive(site.archive, site.archive_root, site.archive_options)
    files: list[NewFile] = []
    for one in candidates:
        progress(one.path)
        content = archive.store(one.path, join(one.archive_path, one.filename + one.compression), None).content
        files.append(
            NewFile(
                filename=one.filename,
                compression=one.compression,
                filetype=filetype,
                size=content.size,
                checksum=content.checksum,
                metadata=one.metadata,
                path=one.archive_path,
                archive=site.archive,
            )
        )
    registry.set_archive(site.archive, site.archive_root)
    types: Mapping[str, Any] = {filetype: definition.definition()}
    tables = [((one.filename, one.compression), *one.contents) for one in candidates if one.contents]
    return registry.ingest(f"ingest {filetype}", types, files, tables)


def _candidates(
    definition: FileType, paths: Sequence[Path], settings: Mapping[str, str], document: Document
) -> list[_Candidate]:
    """Read all files first, so that one bad file stops everything before anything has happened."""
    ingestor = plugins.ingestor(definition.ingestor)
    found: list[_Candidate] = []
    faults: list[str] = []
    for path in paths:
        try:
            found.append(_candidate(ingestor, definition, path, settings, document))
        except FacadeError as error:
            faults.append(str(error))
    _check_doubles(found, faults)
    if faults:
        raise InputError("\n".join(faults), remedy="nothing was registered; leave these files out or mend them")
    return found


def _candidate(
    ingestor: Ingestor, definition: FileType, path: Path, settings: Mapping[str, str], document: Document
) -> _Candidate:
    if not path.is_file():
        raise InputError(f"{path}: {'is no ordinary file' if path.exists() else 'no such file'}")
    columns = {name: source for name, _, source in definition.columns}
    metadata = {**ingestor.metadata(path, columns), **{k: v for k, v in settings.items() if k in columns}}
    for name, source in columns.items():
        if source.startswith(FUNCTION) and name not in settings:
            metadata[name] = plugins.computed(source.removeprefix(FUNCTION), path, metadata)
    filename, compression = split_compression(path.name)
    metadata |= {k: v for k, v in from_name(definition, document.root, filename).items() if k not in settings}
    lacking = [missing(name, source, str(path)) for name, source in definition.required if metadata.get(name) is None]
    if lacking:
        raise InputError("\n".join(lacking))
    contents = ingestor.contents(path)
    if contents is not None:
        table, rows = contents
        version = {"version": filename.partition(".")[0]}
        contents = table, [{**version, **row, **settings} for row in rows]
    archive_path = _archive_path(definition, metadata, document, path)
    return _Candidate(path, filename, compression, metadata, archive_path, contents)


def _archive_path(definition: FileType, metadata: Mapping[str, Scalar], document: Document, path: Path) -> str:
    scope = Scope(document.root, current={k: v for k, v in metadata.items() if v is not None}, search=Section())
    try:
        text = scope.resolve(definition.archive_path or definition.name)
    except (MissingVariable, BadReference) as error:
        raise InputError(
            f"{path}: cannot tell its place in the archive from '{definition.archive_path}': {error}"
        ) from None
    place = clean_path(text)
    if place is None:
        raise InputError(f"{path}: its place in the archive would be outside of it: '{text}'")
    return place


def _check_doubles(found: Iterable[_Candidate], faults: list[str]) -> None:
    seen: dict[str, Path] = {}
    for one in found:
        name = one.filename + one.compression
        if name in seen:
            faults.append(f"{one.path}: has the same name as {seen[name]}")
        seen[name] = one.path


def _check_names(registry: Registry, site: Site, candidates: Sequence[_Candidate]) -> None:
    """Refuse a name that is registered elsewhere with another size before anything is copied."""
    known = registry.lookup([(one.filename, one.compression) for one in candidates])
    for one in candidates:
        row = known.get((one.filename, one.compression))
        if row is not None and row["filesize"] != one.path.stat().st_size:
            raise RefusedError(
                f"{one.path}: '{one.filename}{one.compression}' is registered already, with {row['filesize']} bytes",
                remedy="a registered file never changes; give the new one another name",
            )
