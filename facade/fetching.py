"""Fetching registered files from wherever they lie, and comparing two of them by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facade.archive import open_archive
from facade.errors import FacadeError, MissingInputError
from facade.fitsdiff import contents
from facade.registry import Registry
from facade.registry.finding import Found, Wanted
from facade.site import Site


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
