"""Where a job runs: host, batch system, scratch space; and the lock that keeps a second process out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from facade.errors import RefusedError
from facade.job.shard import stem


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def slot() -> str:
    """Return the HTCondor slot that the job runs in, or ""."""
    return os.environ.get("_CONDOR_SLOT", "")


def batch_id() -> str:
    """Return ``CLUSTER.PROC`` if HTCondor runs the job, else ""."""
    values = _job_ad()
    cluster, proc = values.get("clusterid", ""), values.get("procid", "")
    return f"{cluster}.{proc}" if cluster and proc else ""


def granted_memory() -> int:
    """Return the memory in MB that HTCondor gave the job, 0 if it did not say."""
    values = _job_ad()
    text = values.get("memoryprovisioned", "") or values.get("requestmemory", "")
    return int(text) if text.isdecimal() else 0


def _job_ad() -> dict[str, str]:
    ad = os.environ.get("_CONDOR_JOB_AD", "")
    if not ad:
        return {}
    try:
        lines = Path(ad).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def workspace(capsule: Path, given: Path | None) -> Path:
    """Return where job directories go: the place *given*, HTCondor's scratch directory, or ``work`` by the capsule."""
    if given is not None:
        return given.absolute()
    scratch = os.environ.get("_CONDOR_SCRATCH_DIR", "")
    return Path(scratch) if scratch else capsule.parent / "work"


@contextlib.contextmanager
def locked(capsule: Path) -> Iterator[None]:
    """Hold the job of *capsule*: no two processes run it at once, and the kernel lets go when the holder dies.

    Raises:
        RefusedError: another process holds it.
    """
    handle = os.open(capsule.with_name(f"{stem(capsule)}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(f"{capsule} is being run by another process") from error
        yield
    finally:
        os.close(handle)
