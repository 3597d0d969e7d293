"""Removing files that nobody needs: first from the archive, then their locations from the registry.

So a file that the registry places somewhere is there, or its removal was cut short; doing it again ends it. What was
removed stays known: its checksum, metadata and provenance are kept, and queries pass over it as it lies nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from facade.archive import Archive, open_archive
from facade.errors import FacadeError, RefusedError, some
from facade.registry import Registry
from facade.registry.finding import Found, Wanted
from facade.registry.values import Attempt
from facade.run import ensure_idle
from facade.site import Site

BATCH, THREADS, SHOWN = 500, 8, 5


@dataclass(frozen=True, slots=True)
class Copy:
    """A file in an archive, that is to go; ``last`` says whether it lies nowhere else."""

    file: Found
    archive: str
    path: str
    last: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """What is gone, and in words what is not."""

    gone: tuple[Copy, ...]
    failed: tuple[str, ...]


def wanted(registry: Registry, site: Site, things: Sequence[str], archive: str = "") -> list[Copy]:
    """Return what *things*, attempts and names of files, have in all archives, or in one.

    Raises:
        RefusedError: an attempt's data are not junk, or it is being carried out.
        InputError: nothing is called so, or an archive is not described.
    """
    if archive:
        site.place(archive)
    found: dict[int, Found] = {}
    for thing in things:
        for file in _of(registry, thing):
            found[file.id] = file
    copies = [
        Copy(file, place.archive, file.at(place), last=not archive or len(file.places) == 1)
        for file in found.values()
        for place in file.places
        if place.archive == archive or not archive
    ]
    for name in {copy.archive for copy in copies}:
        site.place(name)
    return sorted(copies, key=lambda copy: (copy.archive, copy.file.id))


def _of(registry: Registry, thing: str) -> list[Found]:
    attempt = registry.attempt(thing)
    if attempt is None:
        return registry.care.find(Wanted(names=[thing.rpartition("/")[2]], exact=True))
    _ensure_junk(attempt)
    return registry.care.find(Wanted(attempt=attempt.id))


def _ensure_junk(attempt: Attempt) -> None:
    if attempt.data_state != "junk":
        raise RefusedError(
            f"the data of {attempt.name} are {attempt.data_state}", remedy=f"say first: facade junk {attempt.name}"
        )
    ensure_idle(attempt)


def ensure_unneeded(registry: Registry, copies: Sequence[Copy], after: int = 0) -> None:
    """Make sure that nobody needs what lies nowhere else; plans are looked into of attempts with ids above *after*.

    Raises:
        RefusedError: somebody does; it tells who.
    """
    needs = registry.care.needs(sorted({copy.file.id for copy in copies if copy.last}), after)
    if needs:
        attempts = sorted({need.attempt for need in needs})
        number = len({need.id for need in needs})
        raise RefusedError(
            f"{number} of {len({copy.file.id for copy in copies})} files are needed:"
            f" {some([str(need) for need in needs], SHOWN)}",
            remedy=f"these stay; needed by {some(attempts, SHOWN)}: facade junk says that data are junk,"
            " facade untag takes a tag off",
        )


def remove(registry: Registry, site: Site, copies: Sequence[Copy], progress: Callable[[int], object]) -> Removed:
    """Remove *copies*; what cannot be removed stays known where it is, and the others go.

    Raises:
        RefusedError: somebody needs one. At first, then nothing is removed; or since then.
        InputError, RegistryError: an archive is not described, or the registry cannot be reached.
    """
    gone, failed = list[Copy](), list[str]()
    newest = max([attempt.id for attempt in registry.attempts(limit=1)], default=0)
    ensure_unneeded(registry, copies)
    needed = {need.id for need in registry.care.needs(sorted({copy.file.id for copy in copies if not copy.last}))}
    with ThreadPoolExecutor(THREADS, "facade-rm") as pool:
        for archive, batch in _batches(copies):
            ensure_unneeded(registry, batch, newest)
            opened = open_archive(*site.place(archive))
            # two that take one copy each would both see that the other is there
            with registry.care.alone() if needed else nullcontext():
                problems = list(pool.map(partial(_removed, site, opened, needed), batch))
                done = [copy for copy, problem in zip(batch, problems, strict=True) if not problem]
                registry.care.forget(archive, [copy.file.id for copy in done])
            gone += done
            failed += [problem for problem in problems if problem]
            progress(len(batch))
    return Removed(tuple(gone), tuple(failed))


def _batches(copies: Sequence[Copy]) -> Iterator[tuple[str, list[Copy]]]:
    for archive, group in groupby(copies, key=lambda copy: copy.archive):
        listed = list(group)
        yield from ((archive, listed[start : start + BATCH]) for start in range(0, len(listed), BATCH))


def _removed(site: Site, archive: Archive, needed: Collection[int], copy: Copy) -> str:
    """Remove one file; return what went wrong, "" if nothing did. One that was gone already is removed.

    Of a file that is *needed* and is to stay elsewhere, it is seen first that it does lie there.
    """
    try:
        if not copy.last and copy.file.id in needed and not _stays(site, copy):
            return f"{copy.path}: it is needed, and no other archive has it whole although it is registered there"
        archive.remove(copy.path)
    except FacadeError as error:  # also if the other archive is not described here
        return f"{copy.path}: {error.message}" if copy.path not in error.message else error.message
    return ""


def _stays(site: Site, copy: Copy) -> bool:
    """Say whether another archive has the file, by its checksum."""
    file = copy.file
    others = [place for place in file.places if place.archive != copy.archive]
    return any(open_archive(*site.place(one.archive)).holds(file.at(one), file.size, file.checksum) for one in others)
