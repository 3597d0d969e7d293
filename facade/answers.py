"""Asking one query code or executable, and making sure that what comes back is lines of rows (desdm.md §2.4)."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from facade import plugins
from facade.errors import CampaignError, FacadeError, InputError
from facade.plugins import Row, Rows
from facade.wcl import loads
from facade.wcl.tree import Section

Lines = list[Mapping[str, Row]]

OUTPUT_FILE = ("qoutfile", "outputfile", "outputxml")
"""Names under which a campaign may write the file that an executable fills: ``args = … --out ${qoutfile}``."""

SHOWN = 5  # lines of stderr
_SCALARS = frozenset({str, int, float, bool, type(None)})


class QueryError(InputError):
    """A query could not be asked, or did not answer with lines; ``code`` is that of the fault."""

    def __init__(self, message: str, *, remedy: str = "", code: str = "F601") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


def ask(program: str, arguments: Sequence[str], rows: Rows, output_type: str = "wcl") -> Lines:
    """Ask a query code or executable and return its lines; a plain row becomes a line with nickname "".

    Raises:
        InputError: it is not there, failed, or answered with something else.
        MissingInputError: it says that files are missing.
    """
    if program not in plugins.names("query"):
        return _executable(program, arguments, output_type)
    code = plugins.query(program)
    try:
        with redirect_stdout(sys.stderr):  # stdout is for data
            found: list[Any] = list(code.query(arguments, rows))
    except FacadeError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise QueryError(
            f"query code '{program}' failed: {type(error).__name__}: {error}",
            remedy=f"at {place.filename}:{place.lineno}, in {place.name}",
        ) from error
    return _lines(found, f"query code '{program}'", [f"line {number}" for number in range(1, len(found) + 1)])


def version(program: str) -> str:
    """Return what a query was asked of: the version of the package of a query code, the checksum of an executable."""
    if program in plugins.names("query"):
        return plugins.version("query", program)
    path = shutil.which(program)
    return _checksum(path) if path else ""


@cache
def _checksum(path: str) -> str:
    try:
        return f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]}"
    except OSError:  # executable, but not readable
        return ""


def _executable(program: str, arguments: Sequence[str], output_type: str) -> Lines:
    """Run a program in an empty folder, with the words from the campaign, and read the file that it fills."""
    path = shutil.which(program)
    if path is None:
        known = ", ".join(plugins.names("query"))
        raise QueryError(f"no query code or executable '{program}'", remedy=f"query codes: {known}")
    with tempfile.TemporaryDirectory(prefix="facade-query-") as folder:
        out = Path(folder) / f"lines.{output_type}"
        words = [_filled(word, str(out)) for word in arguments]
        try:
            done = subprocess.run(
                [str(Path(path).absolute()), *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise QueryError(f"'{program}' cannot be run: {error.strerror}") from None
        except ValueError as error:
            raise QueryError(f"'{program}' cannot be run with these arguments: {error}") from None
        if done.returncode:
            raise _ended(program, words, done)
        if not out.is_file():
            message = f"query '{program}' wrote no ${{qoutfile}}"
            raise QueryError(message, remedy="pass it: args = … --qoutfile ${qoutfile}", code="F604")
        try:
            text = out.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise QueryError(f"the output of '{program}' is not text: byte {error.start + 1}", code="F604") from None
        return read_lines(text, output_type, program)


def _filled(word: str, path: str) -> str:
    for name in OUTPUT_FILE:
        word = word.replace(f"{{{name}}}", path)
    return word


def _ended(program: str, words: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> QueryError:
    how = f"ended with {done.returncode}" if done.returncode > 0 else f"was killed by signal {-done.returncode}"
    said = (done.stderr.strip() or done.stdout).decode(errors="replace").strip().splitlines()[-SHOWN:]
    shown = "\n  ".join("".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in said)
    return QueryError(f"query '{shlex.join([program, *words])}' {how}", remedy=shown or "it said nothing", code="F603")


def read_lines(text: str, output_type: str, name: str) -> Lines:
    """Read the output of an executable query: WCL ``list/line/lineN/file/NICK`` or JSON (desdm.md §2.4).

    Raises:
        InputError: it is neither; the message has the place.
    """
    what = f"the output of '{name}'"
    if output_type == "json":
        found, places = _json(text, what)
        return _lines(found, what, places)
    try:
        root = loads(text, f"output of {name}").root
    except CampaignError as error:
        raise _malformed(f"{what} is no WCL", f"\n{error}") from None
    lines = root.path("list.line")
    if not isinstance(lines, Section):
        if len(root) and not (len(root) == 1 and isinstance(lines := root.section("list"), Section) and not len(lines)):
            raise _malformed(what, "<list>, <line> is missing")
        return []
    result: list[Mapping[str, Any]] = []
    places = []
    for label, line in lines.sections():
        nicknames = line.section("file")
        if nicknames is None:
            raise _malformed(f"{what}, {line.location.line}:{line.location.column}", f"<{label}> has no <file>")
        result.append({nick: {k: v.text for k, v in row.values()} for nick, row in nicknames.sections()})
        places.append(f"line {line.location.line}")
    return _lines(result, what, places)


def _json(text: str, what: str) -> tuple[list[Any], list[str]]:
    """Return what stands on each line, and how to call the place of each."""
    try:
        found = json.loads(text, parse_constant=_refused)
    except json.JSONDecodeError as error:
        raise _malformed(what, f"{error.lineno}:{error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise _malformed(what, str(error)) from None
    keys: Iterable[Any] = range(1, len(found) + 1) if isinstance(found, list) else ()
    if isinstance(found, Mapping):
        inner = found.get("list")
        lines = inner.get("line") if isinstance(inner, Mapping) else None
        if not isinstance(lines, Mapping):
            raise _malformed(what, 'neither a list of rows nor {"list": {"line": {…}}}')
        keys, found = lines.keys(), list(lines.values())
    elif not isinstance(found, list):
        raise _malformed(what, 'neither a list of rows nor {"list": {"line": {…}}}')
    inside = [
        one["file"] if isinstance(one, Mapping) and isinstance(one.get("file"), Mapping) else one for one in found
    ]
    return inside, [f"line {key}" for key in keys]


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is no value of a column; write null")


def _lines(found: Sequence[Any], what: str, places: Sequence[str]) -> Lines:
    """Check that each of *found* is a row, or rows by nickname."""
    result: Lines = []
    for one, place in zip(found, places, strict=True):
        if not isinstance(one, Mapping) or not one:
            raise _malformed(f"{what}, {place}", f"{_shortened(one)} is no row")
        line = one if all(isinstance(row, Mapping) for row in one.values()) else {"": one}
        for nick, row in line.items():
            for column, value in () if _fit(row) else row.items():
                if not isinstance(column, str) or not isinstance(value, str | int | float | None):
                    whose = f"{nick}.{column}" if nick else f"{column}"
                    raise _malformed(f"{what}, {place}", f"{whose} is {_shortened(value)}, not one text or number")
        result.append(line)
    return result


def _fit(row: Mapping[str, Any]) -> bool:
    return set(map(type, row.values())) <= _SCALARS and set(map(type, row)) <= {str}


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _malformed(where: str, reason: str) -> QueryError:
    remedy = "write lines as docs/plugins.md shows, or rows in a JSON list"
    return QueryError(f"{where}: {reason}", remedy=remedy, code="F604")
