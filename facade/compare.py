"""An archive held against the registry: what is missing, what holds something else, what nobody registered.

What the registry places in the archive is looked for there, and what lies in the archive is looked up by name: both
page by page, so memory does not grow with the archive. No file is ever changed or removed here, except by the archive's
own `sweep`: copies that never got a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from facade.archive import Archive, Listed
from facade.archive.parts import PART
from facade.errors import FacadeError, MissingInputError, RefusedError, TransferError
from facade.files import is_text
from facade.registry import Registry
from facade.registry.holdings import Registered
from facade.registry.locations import Copy

MISSING, SIZE, CHECKSUM, UNREADABLE = "missing", "size", "checksum", "unreadable"
UNRECORDED, EXTRA, PARTIAL = "unrecorded", "extra", "part"
T = TypeVar("T")
KINDS = {
    MISSING: "the registry places it here, and it is not",
    SIZE: "it has another size than the registry says",
    CHECKSUM: "it holds something else than the registry says",
    UNREADABLE: "it cannot be looked at",
    UNRECORDED: "it is registered, but not as lying here",
    EXTRA: "nobody registered it",
    PARTIAL: "a copy that never got its name",
}
PAGE = 2000
THREADS = 8
ENOUGH = 20
"""Files that cannot be looked at, after which it is the archive that cannot be reached."""


class Finding(NamedTuple):
    """Something that is not as it should be: of which kind, where below the root, more in words, and the file that the
    registry knows of that name (None: there is none). ``mended`` says what was done about it, "" if nothing was."""

    kind: str
    path: str
    detail: str
    file: Copy | None = None
    mended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is compared: all of the archive, or what an attempt made (which lies in the folder ``home``), or what lies
    below folder ``under``; by ``checksum``, or by size alone. ``forget`` missing files, even if none is there
    (``force``); ``record`` where unrecorded ones lie."""

    attempt: int | None = None
    home: str = ""
    under: str = ""
    only_registered: bool = False
    """Do not look for files that nobody registered."""
    checksum: bool = False
    forget: bool = False
    record: bool = False
    force: bool = False
    threads: int = THREADS


@dataclass(slots=True)
class Count:
    """How many files were looked at so far: those that the registry has, and those that lie in the archive."""

    registered: int = 0
    present: int = 0
    unreadable: int = 0


def compare(
    registry: Registry, archive: Archive, wish: Wish, count: Count, progress: Callable[[int], object]
) -> Iterator[Finding]:
    """Yield what differs between *archive* and what the registry says of it; mend what is wished.

    Raises:
        TransferError: the archive cannot be reached, or lists nothing.
        RefusedError: missing files are to be forgotten, and not one is there: that is an archive that is not mounted.
    """
    with ThreadPoolExecutor(wish.threads, "facade-compare") as pool:
        missing = list[Finding]()
        for page in _pages(registry, archive.name, wish):
            for found in pool.map(partial(_looked_at, archive, wish.checksum), page):
                if found is None:
                    continue
                count.unreadable += found.kind == UNREADABLE
                if count.unreadable > ENOUGH:
                    raise TransferError(f"more than {ENOUGH} files cannot be looked at: {found.detail}")
                if found.kind == MISSING and wish.forget:
                    missing.append(found)
                else:
                    yield found
            count.registered += len(page)
            progress(len(page))
        yield from _forgotten(registry, archive, pool, missing, count, wish)
        if wish.only_registered:
            return
        for listed in _batches(archive.files(wish.under or wish.home), PAGE):
            count.present += len(listed)
            yield from _unknown(registry, archive, wish, pool, listed)


def _pages(registry: Registry, archive: str, wish: Wish) -> Iterator[list[Copy]]:
    after = 0
    while page := registry.care.page(archive, after, PAGE, wish.attempt, wish.under):
        yield page
        after = page[-1].id


def _looked_at(archive: Archive, checksum: bool, file: Copy) -> Finding | None:
    """Say what is wrong with a registered file, None if nothing is."""
    try:
        found = archive.stat(file.place)
        if found is None:
            return Finding(MISSING, file.place, f"{file.size} bytes", file)
        if found.size != file.size:
            return Finding(SIZE, file.place, f"{found.size} bytes, registered with {file.size}", file)
        if checksum and not archive.holds(file.place, file.size, file.checksum):
            return Finding(CHECKSUM, file.place, f"registered with sha256 {file.checksum}", file)
    except MissingInputError:
        return Finding(MISSING, file.place, "went away meanwhile", file)
    except FacadeError as error:
        return Finding(UNREADABLE, file.place, error.message, file)
    return None


def _forgotten(
    registry: Registry, archive: Archive, pool: ThreadPoolExecutor, missing: Sequence[Finding], count: Count, wish: Wish
) -> Iterator[Finding]:
    """Have the registry forget that missing files lie here; they stay known."""
    if len(missing) > 1 and len(missing) == count.registered and not wish.force:
        raise RefusedError(
            f"not one of {len(missing)} files is in archive '{archive.name}': nothing was forgotten",
            remedy="is it mounted, and at the root that the site file says? If all of them are gone: --force",
        )
    for batch in _batches(missing, PAGE):
        there = list(pool.map(archive.stat, [one.path for one in batch]))
        gone = [one.file.id for one, found in zip(batch, there, strict=True) if one.file is not None and found is None]
        registry.care.forget(archive.name, gone)
        yield from [one._replace(mended="" if found else "forgotten") for one, found in zip(batch, there, strict=True)]


def _unknown(
    registry: Registry, archive: Archive, wish: Wish, pool: ThreadPoolExecutor, listed: Sequence[Listed]
) -> Iterator[Finding]:
    """Yield what of *listed* the registry does not place where it lies; record it, if that is wished."""
    names = [name for one in listed if is_text(name := _name(one.path))]  # on a disk they may be anything
    known = registry.care.registered(archive.name, names)
    found = [finding for one in listed if (finding := _classified(one, known.get(_name(one.path)))) is not None]
    if wish.attempt is not None and not (wish.home or wish.under):  # all of the archive, and others' files in it
        found = [one for one in found if one.file is not None or one.kind == PARTIAL]
    if not wish.record:
        yield from found
        return
    wanted = [one for one in found if one.kind == UNRECORDED]
    same = pool.map(partial(_holds, archive), wanted)
    good = {one.path: one.file for one, holds in zip(wanted, same, strict=True) if holds and one.file is not None}
    registry.add_locations(archive.name, list(good.values()))
    for one in found:
        if one.kind == UNRECORDED and one.path not in good:
            yield one._replace(kind=CHECKSUM, detail="it has the name and size of a registered file, and other content")
        else:
            yield one._replace(mended="recorded" if one.path in good else "")


def _classified(one: Listed, known: Registered | None) -> Finding | None:
    name = _name(one.path)
    if PART.fullmatch(name):
        return Finding(PARTIAL, one.path, f"{one.size} bytes, {one.age:.0f} s old")
    if known is None:
        return Finding(EXTRA, one.path, f"{one.size} bytes")
    here = Copy(known.id, known.filename, known.compression, known.size, known.checksum, _folder(one.path))
    if known.path == here.path:
        return None
    if known.path is not None:
        return Finding(EXTRA, one.path, f"registered as {here._replace(path=known.path).place}", here)
    if known.size != one.size:
        return Finding(EXTRA, one.path, f"{one.size} bytes; a file of that name is registered with {known.size}", here)
    return Finding(UNRECORDED, one.path, f"{one.size} bytes", here)


def _holds(archive: Archive, one: Finding) -> bool:
    assert one.file is not None
    return archive.holds(one.path, one.file.size, one.file.checksum)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
