"""Second names for files in the job directory: relative links, so that the directory can be moved and looked at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from facade.errors import InputError
from facade.plugins import Run


def link_renamed(run: Run) -> None:
    """Make every input with a ``rename`` known under that name too, in its own folder."""
    for item in run.inputs:
        if name := item.get("rename"):
            file = run.directory / item["path"]
            link(file.with_name(name), file.name)
            run.log(f"{item['path']} is also called {name}")


def link(place: Path, target: str) -> None:
    """Make *place* a link to *target*, in one move; a link of an earlier quantum gives way, a file does not.

    Raises:
        InputError: a file or folder has that name.
    """
    if place.is_symlink() and os.readlink(place) == target:
        return
    if place.name == target:
        return
    if place.exists() and not place.is_symlink():
        raise InputError(f"{place} cannot become a link to {target}: a file of that name is there")
    draft = place.with_name(f".link-{os.getpid()}-{os.urandom(4).hex()}")
    draft.symlink_to(target)
    draft.replace(place)


def make_own(file: Path) -> None:
    """Put a copy in the place of a link, before anything is written or a program is given the file as its own."""
    if not file.is_symlink() and file.stat().st_nlink == 1:
        return
    part = file.with_name(f".{file.name}.part")
    shutil.copyfile(file, part)
    os.replace(part, file)


def below(directory: Path, relative: str, what: str) -> Path:
    """Return ``directory/relative``.

    Raises:
        InputError: it does not lie below the *directory*; *what* says whose path it is.
    """
    path = Path(os.path.normpath(directory / relative))
    if not path.is_relative_to(directory):
        raise InputError(f"{what} = {relative} does not lie in the job directory")
    return path
