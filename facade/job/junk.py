"""Junk: what lies in a job directory when the job ends and nobody declared (desdm.md §3, step 5)."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from facade.archive import Archive, content_of
from facade.archive.layers import stored_in
from facade.archive.naming import settle
from facade.job.capsule import Capsule, Quantum, full

LEFT_OUT = "LEFT_OUT"
"""The member that says what of the junk is not in the tar file."""
LISTED = 10_000
"""Names in it at most."""


def name(capsule: Capsule, run: int) -> tuple[str, str]:
    """Return what the tar file of a run of a job is called: (filename, compression)."""
    again = "" if run == 1 else f"_t{run:02d}"
    return f"{capsule.attempt}_j{capsule.jobnum:06d}{again}_junk.tar", ".gz"


def keep(capsule: Capsule, run: int, directory: Path, archive: Archive, write: Callable[..., None]) -> str:
    """Put the junk of a job into the archive, beside the logs; return in words what was kept, "" if there is none."""
    file, log = directory.with_name(f"{directory.name}_junk.part"), capsule.quanta[0].log_archive_path
    try:
        number = pack(directory, capsule, file)
        if not number:
            return ""
        filename, compression = name(capsule, run)
        content = content_of(file)
        sent = archive.send(file, f"{log}/{filename}{compression}".lstrip("/"), content.checksum)
        try:
            entry = {"filename": filename, "compression": compression, "filetype": "junk", "size": content.size,
                     "checksum": content.checksum, "execnum": None, "metadata": {}, "metadata_table": ""}  # fmt: skip
            write({"kind": "outputs", "job": capsule.task_id, "files": [entry], "derived": []})
            sent.commit()
            settle([sent])
            stored = [[filename, compression, log]]
            for place in stored_in(archive):
                write({"kind": "stored", "job": capsule.task_id, "archive": place, "files": stored})
        finally:
            sent.discard()
        return f"kept {number} files that nobody declared: {filename}{compression}"
    finally:
        file.unlink(missing_ok=True)


def pack(directory: Path, capsule: Capsule, target: Path) -> int:
    """Pack what nobody declared into the tar file *target*; return how many files there are, 0 if there is no junk.

    As many bytes are packed as the capsule says, the smallest files first. Members are regular files with plain
    relative names and nobody's uid: whoever unpacks it gets nothing else.
    """
    found = sorted(_undeclared(directory, capsule), key=lambda one: (one[1], one[0]))
    taken, left, size = list[str](), list[str](), 0
    for path, length in found:
        size += length
        (taken if size <= capsule.junk.most else left).append(path)
    if not found:
        return 0
    with (
        open(target, "wb") as stream,
        gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(taken):
            _add(tar, directory, path)
        if left:
            _add_text(tar, left)
    return len(found)


def _add(tar: tarfile.TarFile, directory: Path, path: str) -> None:
    try:
        handle = os.open(directory / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone, or not for us to read
        return
    with open(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return
        member = tarfile.TarInfo(path)
        member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o777
        tar.addfile(member, stream)


def _add_text(tar: tarfile.TarFile, left: list[str]) -> None:
    more = [f"… and {len(left) - LISTED} more"] if len(left) > LISTED else []
    data = "".join(f"{one}\n" for one in [*sorted(left)[:LISTED], *more]).encode("utf-8", "surrogateescape")
    member = tarfile.TarInfo(LEFT_OUT)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _undeclared(directory: Path, capsule: Capsule) -> Iterator[tuple[str, int]]:
    """Yield (path below *directory*, bytes) of each file that is junk."""
    known = {path for quantum in capsule.quanta for path in _declared(quantum)}
    stack = [""]
    while stack:
        folder = stack.pop()
        try:
            entries = list(os.scandir(directory / folder))
        except OSError:
            continue
        for entry in entries:
            path = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                stack.append(f"{path}/")
            elif entry.is_file(follow_symlinks=False) and _own(path) not in known and not _log(path):
                yield path, entry.stat(follow_symlinks=False).st_size


def _declared(quantum: Quantum) -> Iterator[str]:
    """Yield where the files of a quantum lie."""
    for item in quantum.inputs:
        yield f"{item.path}/{item.called}".lstrip("/")
        if item.rename:
            yield f"{item.path}/{item.rename}".lstrip("/")
    for listing in quantum.lists:
        yield f"{listing.path}/{full(listing.name)}".lstrip("/")
    for output in (*quantum.outputs, *quantum.compressed):
        yield f"{output.path}/{full(output.name)}".lstrip("/")


def _own(path: str) -> str:
    """Return a path without the folder that a quantum has of its own, if others run beside it."""
    first, slash, rest = path.partition("/")
    return rest if slash and first[:1] == "w" and first[1:].isdecimal() else path


def _log(path: str) -> bool:
    return _own(path).startswith("log/")
