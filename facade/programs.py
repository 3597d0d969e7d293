"""What the programs of a plan are now, so that a changed one is noticed: the content of their files.

Of a console script, the few lines that pip writes for a Python package, the package's own modules count as well. What
else a program loads is not looked at: whoever installs a new version of a stack says so in ``pipever``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from facade import plugins
from facade.archive import content_of
from facade.materialise import job_path
from facade.plan import Plan

CONSOLE_SCRIPT = 2000
"""Bytes above which a script is no console script."""

_ENTRY = re.compile(rb"^from (\w+)[\w.]* import \w+", re.MULTILINE)


def identities(plan: Plan) -> dict[str, str]:
    """Return what each program of *plan* is, "" if this host does not have it on the path of jobs.

    Wrappers that are programs stand among them under the names that modules give them.
    """
    names = {name: name for quantum in plan.quanta for one in quantum.execs if one.argv and (name := str(one.argv[0]))}
    names |= {name: program for name in plan.wrappers.values() if (program := plugins.executable(name))}
    path = job_path(plan.environment)
    return {
        name: _identity(shutil.which(program, path=path)) if _on_path(program) else ""
        for name, program in sorted(names.items())
    }


def _on_path(name: str) -> bool:
    """Say whether a program is looked for on the path; a relative path starts in the job directory."""
    return "/" not in name or name.startswith("/")


def _identity(file: str | None) -> str:
    if file is None:
        return ""
    try:
        found = hashlib.sha256(content_of(Path(file)).checksum.encode())
        for module in _modules(Path(file)):
            found.update(content_of(module).checksum.encode())
    except OSError:
        return ""
    return found.hexdigest()[:32]


def _modules(script: Path) -> Iterator[Path]:
    """Yield the modules of the package that a console script of this Python starts, in a fixed order."""
    if script.stat().st_size > CONSOLE_SCRIPT:
        return
    text = script.read_bytes()
    entry = _ENTRY.search(text)
    if entry is None or not text.startswith(b"#!") or Path(text[2:].split()[0].decode()) != Path(sys.executable):
        return
    try:
        spec = importlib.util.find_spec(entry[1].decode())
    except (ImportError, ValueError):
        return
    if spec is not None:
        yield from sorted(_files(spec.submodule_search_locations or (), spec.origin))


def _files(folders: Iterable[str], origin: str | None) -> Iterator[Path]:
    found = [path for folder in folders for path in Path(folder).rglob("*.py")]
    yield from found or ([Path(origin)] if origin else [])
