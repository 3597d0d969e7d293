"""Fetching registered files from wherever they lie, and comparing two of them by what they hold."""

from __future__ import annotations

import bz2
import gzip
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BufferedIOBase
from pathlib import Path

from facade.archive import content_of, open_archive
from facade.errors import FacadeError, MissingInputError, TransferError
from facade.fitsdiff import contents
from facade.registry import Registry
from facade.registry.finding import Found, Wanted
from facade.site import Site

UNPACKERS: Mapping[str, Callable[[str], BufferedIOBase]] = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File}
"""Compressions that give back, byte by byte, what was compressed."""


def fetch(site: Site, file: Found, target: Path) -> None:
    """Bring a registered file to *target*, verified, from the first archive that has it, that at home before others.

    Raises:
        MissingInputError: it lies nowhere.
        FacadeError: as `facade.archive.Archive.fetch`, of the last archive that was tried.
    """
    ordered = sorted(file.places, key=lambda place: place.archive != site.archive)
    if not ordered:
        raise MissingInputError(f"{file.name} lies nowhere any more")
    for place in ordered:
        try:
            open_archive(*site.place(place.archive)).fetch(file.at(place), target, file.size, file.checksum)
            return
        except FacadeError:
            if place is ordered[-1]:
                raise


def packed(registry: Registry, files: Sequence[Found]) -> Mapping[int, Found]:
    """Return id -> the compressed file, for those of *files* that lie nowhere, while a compressed one does."""
    plain = {one.key[0]: one.id for one in files if not one.places and not one.key[1]}
    known = registry.lookup([(name, suffix) for name in plain for suffix in UNPACKERS])
    names = ["".join(key) for key in known]
    found = registry.care.find(Wanted(names=names, exact=True)) if names else []
    return {plain[one.key[0]]: one for one in found if one.places and one.key in known}


def unpack(site: Site, source: Found, file: Found, target: Path) -> None:
    """Bring *file* to *target*, verified, out of the compressed file *source*.

    Raises:
        TransferError: that is not what comes out of it.
        MissingInputError, FacadeError: as `fetch`.
    """
    between = target.with_name(source.name)
    fetch(site, source, between)
    try:
        with UNPACKERS[source.key[1]](str(between)) as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer)
    except (OSError, EOFError, zlib.error) as error:
        raise TransferError(f"cannot unpack {source.name}: {error}") from error
    finally:
        between.unlink()
    if content_of(target).checksum != file.checksum:
        raise TransferError(f"what comes out of {source.name} is not {file.name} as it was registered")


def hold_the_same(registry: Registry, site: Site, names: tuple[str, str], scratch: Path, ignore: Sequence[str]) -> bool:
    """Say whether two FITS files hold the same but for cards that may differ (`facade.fitsdiff.contents`).

    False if one is no FITS file, or lies nowhere. What is fetched into *scratch* is removed again.

    Raises:
        TransferError: an archive cannot be reached.
    """
    paths = [scratch / "a", scratch / "b"]
    try:
        for name, path in zip(names, paths, strict=True):
            fetch(site, registry.care.find(Wanted(names=[name], exact=True))[0], path)
        found = contents(paths[0], paths[1], ignore)
    except MissingInputError:
        return False
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
    return found is not None and not found.others
