"""Trying an ingestor on files: what it makes of them, and whether it keeps to its contract (`facade.plugins.Ingestor`).

Nothing is registered or copied. Besides the files that are given, the plug-in gets an empty one and one of noise.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, cast

from facade import plugins
from facade.errors import FacadeError, InputError
from facade.files import FileType
from facade.ingest.reading import fitting, raised, stamp_of
from facade.plugins import Ingestor, Scalar
from facade.registry.values import DIMENSIONS

NOISE = 10_000
"""Bytes of the file that no plug-in knows."""


@dataclass(slots=True)
class Trial:
    """What a plug-in makes of one file as *filetype*: values by column, rows for a table, faults and remarks."""

    path: Path
    filetype: FileType
    values: dict[str, Scalar] = field(default_factory=dict)
    table: str = ""
    rows: Sequence[Mapping[str, Scalar]] = ()
    refused: str = ""
    """Why the plug-in says that this is none of its files."""
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "path": str(self.path), "filetype": self.filetype.name, "metadata": self.values, "table": self.table,
            "rows": len(self.rows), "refused": self.refused, "faults": self.faults, "remarks": self.remarks,
        }  # fmt: skip


def shape_faults(ingestor: object) -> list[str]:
    """Say what an ingestor lacks."""
    faults = []
    if not callable(getattr(ingestor, "metadata", None)):
        faults.append("it has no function metadata(path, columns)")
    if hasattr(ingestor, "contents") and not callable(ingestor.contents):
        faults.append("contents is no function")
    return faults


def try_file(ingestor: Ingestor, path: Path, filetype: FileType) -> Trial:
    """Let the plug-in read a file, twice, and check what it answers."""
    made = Trial(path, filetype)
    columns = {name: source for name, _, source in filetype.columns}
    if not path.is_file():
        made.faults.append(f"{path}: {'is no ordinary file' if path.exists() else 'no such file'}")
        return made
    before = stamp_of(path)
    answer = _asked(made, "metadata", lambda: ingestor.metadata(path, dict(columns)))
    if answer is not _NONE:
        _check_metadata(made, answer)
        if not made.faults and _plainly(
            _asked(made, "metadata", lambda: ingestor.metadata(path, dict(columns)))
        ) != _plainly(answer):
            made.faults.append("metadata: the second answer is another than the first; it may depend on the file only")
    if (ask := getattr(ingestor, "contents", None)) is not None and not made.refused:
        found = _asked(made, "contents", lambda: ask(path))
        if found is not _NONE and found is not None:
            _check_contents(made, found)
    if not path.is_file():
        made.faults.append("the plug-in removed the file")
    elif stamp_of(path)[:2] != before[:2]:
        made.faults.append("the plug-in changed the file")
    return made


def try_others(ingestor: Ingestor, filetype: FileType, suffix: str) -> list[str]:
    """Say what is wrong with how the plug-in takes files that are none: it may say so (InputError), or not look."""
    faults = []
    with tempfile.TemporaryDirectory(prefix="facade-test.") as folder:
        for name, data in (("empty", b""), ("noise", random.Random(1).randbytes(NOISE))):
            path = Path(folder, f"{name}{suffix}")
            path.write_bytes(data)
            trial = try_file(ingestor, path, filetype)
            faults += [f"a file of {'nothing' if not data else 'noise'}: {fault}" for fault in trial.faults]
    return faults


class _None:
    """No answer came."""


_NONE = _None()


def _asked(made: Trial, what: str, work: Callable[[], Any]) -> Any:
    here = Path.cwd()
    try:
        with redirect_stdout(sys.stderr):  # as where files are ingested
            return work()
    except FacadeError as error:
        made.refused = str(error)
        if made.path.name not in made.refused:
            made.remarks.append(f"{what}: what it says does not name the file; name it")
    except (Exception, SystemExit, GeneratorExit) as error:
        made.faults.append(f"{what} raised {raised(error)}; raise facade.errors.InputError, saying file and reason")
    finally:
        if Path.cwd() != here:
            os.chdir(here)
            made.faults.append(f"{what} went into another directory; others have to work in this one")
    return _NONE


def _check_metadata(made: Trial, answer: Any) -> None:
    if not isinstance(answer, Mapping):
        made.faults.append(f"metadata returned {type(answer).__name__}, no mapping from columns to values")
        return
    kinds = {name: kind for name, kind, _ in made.filetype.columns}
    for name, kind in kinds.items():
        if name not in answer:
            made.faults.append(f"metadata says nothing of column {name}; return None for what the file does not have")
            continue
        try:
            made.values[name] = fitting(answer[name], kind, name, made.path)
        except InputError as error:
            made.faults.append(f"{error.message}; {error.remedy}" if error.remedy else error.message)
    lacking = [name for name, _ in made.filetype.required if made.values.get(name) is None]
    if lacking:
        made.remarks.append(f"required columns have no value yet: {', '.join(lacking)}")
    if others := [str(name) for name in answer if name not in kinds]:
        made.remarks.append(f"what it says besides is not recorded: {', '.join(others)}")


def _check_contents(made: Trial, found: Any) -> None:
    try:
        table, rows = found
        rows = list(rows)
    except (TypeError, ValueError):
        made.faults.append(f"contents returned {found!r:.60}; return (table, rows) or None")
        return
    made.table, made.rows = str(table), [row for row in rows if isinstance(row, Mapping)]
    if len(made.rows) < len(rows):
        made.faults.append("contents: a row is no mapping from columns to values")
    if table not in DIMENSIONS:
        made.faults.append(f"contents: there is no dimension table {table!r}; there are: {', '.join(DIMENSIONS)}")
        return
    for number, row in enumerate(made.rows, 1):
        lacks = [name for name in DIMENSIONS[table] if name != "version" and row.get(name) is None]
        odd = [
            str(name) for name, value in row.items() if value is not None and not isinstance(value, str | int | float)
        ]
        if lacks or odd:
            what = f"has no {' and '.join(lacks)}" if lacks else f"has in {' and '.join(odd)} no text, number or bool"
            made.faults.append(f"contents: row {number} {what}")
            return


def _plainly(answer: Any) -> Any:
    """Return an answer so that two are equal if they say the same: not-a-number is equal to itself."""
    return {str(key): repr(value) for key, value in answer.items()} if isinstance(answer, Mapping) else answer


def filetypes_for(plugin: str, known: Mapping[str, FileType]) -> list[FileType]:
    """Return those of the *known* filetypes that name *plugin*; one without columns, if none does."""
    named = [one for one in known.values() if one.ingestor == name_of(plugin)]
    return named or [FileType(name="(none)", ingestor=name_of(plugin))]


def load(plugin: str) -> Ingestor:
    """Return the plug-in called so, or the one in the file of that name (``./mine.py``), which need not be installed.

    Raises:
        InputError: there is none, or it cannot be imported.
    """
    if not plugin.endswith(".py"):
        return plugins.ingestor(plugin)
    if not Path(plugin).is_file():
        raise InputError(f"{plugin}: no such file")
    spec = spec_from_file_location(name_of(plugin), plugin)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{plugin} cannot be imported: {type(error).__name__}: {error}") from error
    return cast(Ingestor, module)


def name_of(plugin: str) -> str:
    """Return under which name filetypes know a plug-in: that of its file, without the rest.

    >>> name_of("./mine.py"), name_of("fits")
    ('mine', 'fits')
    """
    return Path(plugin).stem if plugin.endswith(".py") else plugin
