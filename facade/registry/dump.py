"""A backup as a file: what ``pg_dump`` writes (its custom format), and behind it one line that says what is in it.

The line does not disturb ``pg_restore``, which any administrator may use on the file. It holds the tally of every
table, and size and SHA-256 of what is before it. Passwords of roles are not in it; metadata, and what operators wrote
into campaigns, are: the file is for its owner only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from facade.errors import InputError, RegistryError
from facade.registry import binaries
from facade.registry.tally import Tally

MARK = b'\n{"facade": "backup of a registry", '
LONGEST_LINE = 1 << 22
BLOCK = 1 << 20
COPY = re.compile(rb'COPY public\.("(?:[^"]|"")+"|\S+) \(.*\) FROM stdin;\n')
END = b"\\.\n"
_PASSED_BY = re.compile(
    rb"\\(un)?restrict |CREATE SCHEMA public;|COMMENT ON SCHEMA public |SELECT pg_catalog\.set_config"
)
"""Lines for psql alone, and what every database has."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a backup says of itself. ``size`` (bytes) and ``sha256`` are those of the part that pg_dump wrote."""

    made: str
    place: str
    version: str
    server: int
    size: int
    sha256: str
    tally: Mapping[str, Tally]

    def line(self) -> bytes:
        """Return the line that goes behind the dump."""
        plain = {name: getattr(self, name) for name in ("made", "place", "version", "server", "size", "sha256")}
        plain["tables"] = {name: [one.rows, str(one.sum)] for name, one in self.tally.items()}
        return MARK + json.dumps(plain)[1:].encode() + b"\n"

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(one.rows for one in self.tally.values())


def read_label(path: Path) -> Label:
    """Return what the backup *path* says of itself.

    Raises:
        InputError: it cannot be read, or is no backup of ours, or not all of one.
    """
    try:
        with path.open("rb") as file:
            whole = file.seek(0, os.SEEK_END)
            file.seek(max(0, whole - LONGEST_LINE))
            end = file.read()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    start = end.rfind(MARK)
    try:
        plain = json.loads(end[start:])
        tables = {name: Tally(rows, int(total)) for name, (rows, total) in plain.pop("tables").items()}
        del plain["facade"]
        label = Label(**plain, tally=tables)
        whole_before = whole - len(end) + start
    except (ValueError, TypeError, KeyError, AttributeError):
        label, whole_before = None, 0
    if start < 0 or label is None or whole_before != label.size:
        remedy = "name a file that 'facade db backup' made, all of it"
        raise InputError(f"{path} is no backup of a registry, or not all of one", remedy=remedy)
    return label


@contextmanager
def script(path: Path, section: str) -> Iterator[IO[bytes]]:
    """Give the SQL of one *section* of a dump (pre-data, data, post-data) to read, as pg_restore makes it.

    Raises:
        RegistryError: there is no pg_restore, or it cannot read the dump.
    """
    program = binaries.client("pg_restore")
    argv = [str(program), f"--section={section}", "--no-owner", "--no-privileges", "--file=-", str(path)]
    environment = os.environ | {"LC_ALL": "C"}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stderr is not None
    try:
        yield process.stdout
        process.stdout.close()
        words = process.stderr.read().decode(errors="replace").strip()
        if process.wait():
            raise RegistryError(f"{path} cannot be read: {words.partition(chr(10))[0]}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def statements(path: Path, section: str, server: int) -> list[str]:
    """Return the SQL before or after the data in the order in which it is to be executed, by a server of that version
    (its major number). What is before the data is one text: bodies of functions hold semicolons."""
    with script(path, section) as lines:
        text = b"".join(line for line in lines if not _passed_by(line, server)).decode()
    if section == "pre-data":
        return [text]
    return [one for one in re.split(r"(?<=;)\n", text) if re.search(r"^[^\s-]", one, re.MULTILINE)]


def _passed_by(line: bytes, server: int) -> bool:
    return bool(_PASSED_BY.match(line)) or (line.startswith(b"SET transaction_timeout") and server < 17)


def _bare(name: str) -> str:
    """Return a name as it is, of how SQL has it.

    >>> _bare('"my ""own"" table"'), _bare("task")
    ('my "own" table', 'task')
    """
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


class Rows:
    """The rows of one table in a script, to read as COPY wants them; ``count`` is how many were read so far."""

    def __init__(self, stream: IO[bytes], table: str, statement: str) -> None:
        self.table, self.statement, self.count = table, statement, 0
        self._stream, self._left, self._done = stream, b"", False

    def read(self, size: int = BLOCK) -> bytes:
        """Return at most *size* bytes; none at the end of the table.

        Raises:
            RegistryError: the script ends in the middle.
        """
        found, length = [self._left], len(self._left)
        while length < size and not self._done:
            line = self._stream.readline()
            if line == END:
                self._done = True
            elif not line:
                raise RegistryError(f"the backup ends in the middle of table {self.table}")
            else:
                found.append(line)
                length += len(line)
                self.count += 1
        data = b"".join(found)
        self._left = data[size:]
        return data[:size]


def data(path: Path, server: int) -> Iterator[Rows | str]:
    """Yield what the data section of a dump says to do: rows of a table, and statements beside them.

    Rows must be read to their end before the next are asked for.
    """
    with script(path, "data") as stream:
        for line in stream:
            if found := COPY.fullmatch(line):
                yield Rows(stream, _bare(found[1].decode()), line.decode())
            elif line.strip() and not line.startswith(b"--") and not _passed_by(line, server):
                yield line.decode()
