"""What those who were killed left: copies without a name, drafts, job directories. It goes when an attempt is closed.

Only an attempt that nobody carries out is cleared, and only jobs are looked at that did not end at the first try: the
others left nothing. What cannot be reached stays; a later closing of the attempt, or the archive's own sweep, finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from facade.archive import open_archive
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError
from facade.job import shard

ANY_AGE = -1e9
WORK = "work"
_DIRECTORY = re.compile(r".*_j(?P<jobnum>\d+)_t\d+(\.\d+)?")
_DRAFT = re.compile(r"\.run\.json\.\d+|\..+\.part")


def clear(run: RunDirectory, jobs: Collection[int]) -> list[str]:
    """Remove what those *jobs* of a run left that had trouble, and drafts in its directory; return what was removed."""
    if any(_held(run.stem(number).with_suffix(".lock")) for number in jobs):
        return []  # somebody runs one by hand
    removed = [*_copies(run, jobs), *_directories(run)]
    for draft in _drafts(run):
        with contextlib.suppress(OSError):
            draft.unlink()
            removed.append(str(draft))
    return removed


def _copies(run: RunDirectory, jobs: Iterable[int]) -> Iterator[str]:
    """Sweep the folders of the archive into which *jobs* put files."""
    wanted: dict[tuple[str, str], tuple[Mapping[str, str], set[str]]] = {}
    for number in jobs:
        try:
            capsule = shard.tree(run.capsule(number))
        except FacadeError:
            continue
        folders = set(_folders({**capsule, "quanta": [{**one, "inputs": []} for one in capsule["quanta"]]}))
        for place in (capsule["archive"], capsule.get("target")):
            if place:
                wanted.setdefault((place["name"], place["root"]), (place.get("options", {}), set()))[1].update(folders)
    for (name, root), (options, folders) in wanted.items():
        for folder in sorted(folders):
            with contextlib.suppress(FacadeError, OSError):
                archive = open_archive(name, f"{root.rstrip('/')}/{folder}", options)
                yield from [f"{folder}/{path}" for path in archive.sweep(ANY_AGE)]


def _folders(tree: Any) -> Iterator[str]:
    """Yield every ``archive_path`` in a capsule."""
    if isinstance(tree, Mapping):
        if isinstance(tree.get("archive_path"), str):
            yield tree["archive_path"]
        tree = tree.values()
    elif not isinstance(tree, list):
        return
    for one in tree:
        yield from _folders(one)


def _directories(run: RunDirectory) -> Iterator[str]:
    """Remove the directories of jobs that have ended well: who was killed at the very end left his."""
    work = run.path / WORK
    for path in sorted(work.iterdir()) if work.is_dir() else ():
        if path.name.endswith(".part"):  # junk that was being packed
            path.unlink(missing_ok=True)
            continue
        found = _DIRECTORY.fullmatch(path.name)
        if found and _ended_well(run, int(found["jobnum"])):
            shutil.rmtree(path, ignore_errors=True)
            yield str(path)


def _ended_well(run: RunDirectory, number: int) -> bool:
    """Tell whether a receipt of a job ends with its success."""
    ends = (path.read_bytes()[-2000:].splitlines()[-1:] for path in run.receipts(number))
    return any(b'"job-ended"' in end[0] and b'"succeeded"' in end[0] for end in ends if end)


def _drafts(run: RunDirectory) -> list[Path]:
    folders = [run.path, *run.path.glob("jobs/*")]
    return [path for folder in folders for path in folder.iterdir() if _DRAFT.fullmatch(path.name)]


def _held(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
