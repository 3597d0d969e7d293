"""Whether a file that was read may go in: compared with what the operator and the registry say of it; and where to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from facade.campaign import from_name
from facade.errors import InputError, RefusedError
from facade.files import FileType, clean_path, name_fault, split_compression
from facade.ingest.given import Given
from facade.ingest.outcome import Outcome
from facade.ingest.reading import Answer, fitting
from facade.metadata import missing
from facade.plugins import Scalar
from facade.registry.bulk import Known
from facade.registry.values import FileKey
from facade.site import Site
from facade.wcl import BadReference, MissingVariable, Scope, Section

ANOTHER = "a registered file never changes; give the new one another name"


LONGEST = 2000
"""Bytes of a folder below an archive's root; a path may have 4095."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How files are ingested: what is set for all of them; whether anything is written (``dry``), all or none go in
    (``whole``), they stay where they lie (``in_place``), or are registered already and get metadata that they lack
    (``fill``); how many go into one transaction (0: as is usual)."""

    settings: Mapping[str, str] = field(default_factory=dict)
    dry: bool = False
    whole: bool = False
    in_place: bool = False
    fill: bool = False
    batch: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way: what the operator said, the registry knew before, and reading found."""

    given: Given
    known: Known | None
    answer: Answer = field(default_factory=Answer)
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    place: str = ""

    @property
    def key(self) -> FileKey:
        """Its name and compression."""
        return split_compression(self.given.path.name)

    def outcome(self, state: str, fault: str = "", remedy: str = "") -> Outcome:
        """Return what became of it."""
        content = self.answer.content
        where = f"{self.given.place}: " if fault and self.given.place else ""
        return Outcome(
            path=str(self.given.path), state=state, filename=self.key[0], compression=self.key[1],
            size=content.size if content else None, checksum=content.checksum if content else None,
            archive_path=self.place or None, metadata=self.metadata, rows=self.answer.rows,
            fault=where + fault, remedy=remedy,
        )  # fmt: skip


class Judge:
    """Judges files of one filetype, one after the other: no name may come twice with different contents."""

    def __init__(self, definition: FileType, root: Section, site: Site, way: Way) -> None:
        self._definition, self._root, self._site, self._way = definition, root, site, way
        self._seen: dict[FileKey, tuple[str, str]] = {}

    def judged(self, file: File) -> File | None:
        """Return a file that is to go in, or to be filled in, with its metadata and place; None if it is registered
        already, with its rows.

        Raises:
            InputError: something is wrong with it.
            RefusedError: its name has other content.
        """
        given, known, answer, name = file.given, file.known, file.answer, file.given.path.name
        if answer.fault or answer.content is None:
            raise InputError(answer.fault, remedy=answer.remedy)
        content = answer.content
        if given.size is not None and content.size != given.size:
            raise InputError(f"{given.path} has {content.size} bytes; it should have {given.size}")
        if given.checksum is not None and content.checksum != given.checksum:
            raise InputError(f"{given.path} has SHA-256 {content.checksum}; it should have {given.checksum}")
        seen = self._seen.setdefault(file.key, (str(given.path), content.checksum))
        if seen != (str(given.path), content.checksum):
            if seen[1] != content.checksum:
                raise RefusedError(f"{given.path} has the same name as {seen[0]}, and other content", remedy=ANOTHER)
            return None
        if known is not None and known.checksum != content.checksum:
            what = f"made by {known.maker}, {known.size} bytes"
            raise RefusedError(
                f"{given.path}: '{name}' is registered already with other content, {what}", remedy=ANOTHER
            )
        if known is not None and known.filetype != self._definition.name:
            raise RefusedError(
                f"{given.path}: '{name}' is registered already, as {known.filetype}",
                remedy=f"ingest it as {known.filetype}, or under another name",
            )
        if self._way.fill:
            if known is None:
                raise InputError(f"{given.path}: '{name}' is not registered", remedy="without --fill it goes in")
            return replace(file, metadata=self._metadata(file), place=known.path or "")
        if known is not None and known.path is not None:
            if self._way.in_place and (here := self._folder(given.path)) != known.path:
                raise RefusedError(f"{given.path}: it is registered in folder '{known.path}', not in '{here}'")
            return replace(file, place=known.path) if answer.contents else None
        metadata = self._metadata(file)
        place = self._folder(given.path) if self._way.in_place else self._place(metadata, given.path)
        return replace(file, metadata=metadata, place=place)

    def _metadata(self, file: File) -> dict[str, Scalar]:
        path, definition = file.given.path, self._definition
        said = {*self._way.settings, *file.given.metadata}
        kinds = {name: kind for name, kind, _ in definition.columns}
        found = from_name(definition, self._root, file.key[0])
        told = {name: fitting(value, kinds[name], name, path) for name, value in found.items() if name not in said}
        metadata = {**file.answer.metadata, **told}
        lacking = [
            missing(name, source, str(path)) for name, source in definition.required if metadata.get(name) is None
        ]
        if lacking and not self._way.fill:
            raise InputError("\n".join(lacking), remedy="--set COLUMN=VALUE, or a column of a manifest, may give it")
        return metadata

    def _place(self, metadata: Mapping[str, Scalar], path: Path) -> str:
        template = self._definition.archive_path or self._definition.name
        scope = Scope(self._root, current={k: v for k, v in metadata.items() if v is not None}, search=Section())
        try:
            text = scope.resolve(template)
        except (MissingVariable, BadReference) as error:
            raise InputError(f"{path}: cannot tell its place in the archive from '{template}': {error}") from None
        place = clean_path(text)
        if place is None:
            raise InputError(f"{path}: its place in the archive would be outside of it: '{text}'")
        fault = next((found for one in place.split("/") if one and (found := name_fault(one))), None)
        if fault or len(place.encode()) > LONGEST:
            what = f"a folder of its place in the archive {fault}" if fault else "its place in the archive is too long"
            raise InputError(f"{path}: {what}: '{place:.80}'")
        return place

    def _folder(self, path: Path) -> str:
        """Return the folder below the archive's root in which a file lies that is to stay there."""
        root = Path(self._site.archive_root).resolve()
        real = path.resolve()
        if path.is_symlink() or not real.is_relative_to(root) or real.name != path.name:
            raise InputError(
                f"{path} does not lie in archive '{self._site.archive}', which is {root}",
                remedy="leave --in-place out, and it is copied there",
            )
        return real.parent.relative_to(root).as_posix().removeprefix(".")
