"""Unpack tar files that nobody vouches for: nothing may land, or point, outside the folder it is unpacked into."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from facade.errors import InputError


def unpack(tar: Path, folder: Path) -> int:
    """Unpack *tar* into *folder* unless that was done before; return the number of members unpacked.

    Raises:
        InputError: it is no tar file, is damaged, or has a member that is not safe; then nothing was unpacked.
    """
    mark = folder / f".{tar.name}.unpacked"
    stamp = _stamp(tar)
    if mark.exists() and mark.read_text() == stamp:
        return 0
    try:
        with tarfile.open(tar) as archive:
            members = archive.getmembers()
            _check(tar, members)
            folder.mkdir(parents=True, exist_ok=True)
            _extract(archive, folder, members)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"cannot unpack {tar}: {error or type(error).__name__}") from error
    draft = mark.with_name(f"{mark.name}-{os.getpid()}")
    draft.write_text(stamp)
    draft.replace(mark)
    return len(members)


def _extract(archive: tarfile.TarFile, folder: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """Unpack members that `_check` has passed, with owner and mode made harmless."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, members, filter="data")
        return
    for member in members:  # Python before 3.11.4, such as Debian 12's: do here what its data filter would do
        member.mode = member.mode & 0o755 | (0o700 if member.isdir() else 0o600)
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
    archive.extractall(folder, members)


def _stamp(tar: Path) -> str:
    try:
        status = tar.stat()
    except OSError as error:
        raise InputError(f"cannot unpack {tar}: {error.strerror}") from error
    return f"{status.st_size} {status.st_mtime_ns}"


def _check(tar: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """Refuse unsafe members before anything is written; some versions of the data filter miss chains of links."""
    links = {_normal(member.name) for member in members if member.issym()}
    for member in members:
        if problem := _problem(member, links):
            raise InputError(f"{tar} is not safe to unpack: member {member.name!r} {problem}")


def _problem(member: tarfile.TarInfo, links: set[str]) -> str:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        return "lies outside"
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return "is a device or pipe"
    if not links.isdisjoint(map(str, PurePosixPath(_normal(member.name)).parents)):
        return "lies behind a link"
    if member.issym() or member.islnk():
        start = str(name.parent) if member.issym() else "."
        target = posixpath.normpath(posixpath.join(start, member.linkname))
        if target.startswith("/") or ".." in PurePosixPath(target).parts:
            return f"is a link out, to {member.linkname!r}"
        if not links.isdisjoint(map(str, PurePosixPath(target).parents)) or (member.islnk() and target in links):
            return "is a link through a link"
    return ""


def _normal(name: str) -> str:
    return posixpath.normpath(name)
