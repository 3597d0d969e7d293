"""The archives of a job: the one at home, and that on the cluster's disk."""

from __future__ import annotations

from collections.abc import Callable

from facade.archive import Archive, open_archive
from facade.archive.layers import layered
from facade.errors import InputError
from facade.job.capsule import Capsule


def open_archives(capsule: Capsule, check: Callable[[], None]) -> Archive:
    """Return the archives that a capsule names as the one that jobs know; *check* is called while files are copied.

    Raises:
        InputError: one is not a kind of place that facade can reach, or is named and not described.
    """
    home = open_archive(capsule.archive_name, capsule.archive_root, capsule.archive_options, check=check)
    if capsule.target is None:
        return home
    target = open_archive(capsule.target.name, capsule.target.root, capsule.target.options, check=check)
    known = {home.name: home, target.name: target}
    if unknown := [name for name in (*capsule.read, *capsule.store) if name not in known]:
        raise InputError(f"{capsule.path}: archive '{unknown[0]}' is named, and nothing says where it is")
    if not capsule.read or not capsule.store:
        raise InputError(f"{capsule.path}: it does not say which archives to read from and to store in")
    return layered([known[name] for name in capsule.read], [known[name] for name in capsule.store])
