"""The generic query: files of one type by their metadata, or rows of a dimension table (docs/inputs.md).

    generic --filetype TYPE [--join TABLE.COLUMN=OTHER.COLUMN,…] [--output COLUMN,…] [COLUMN=VALUE …]
    generic --table DIMENSION [--output COLUMN,…] [COLUMN=VALUE …]

A value may be a comma list (any of them), ``a:b`` (from a to b), hold ``%`` (like), begin with ``!`` (not), or be
``null``; an item in quotes is taken as it is (desdm.md §2.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facade.errors import InputError, MissingInputError
from facade.plugins import Row, Rows

USAGE = "usage: generic --filetype TYPE|--table DIMENSION [--join T.C=O.C,…] [--output COLUMN,…] [COLUMN=VALUE …]"
OPTIONS = ("--filetype", "--table", "--join", "--output")
SHOWN = 10


def query(arguments: Sequence[str], rows: Rows) -> Iterable[Row]:
    """Return one row per file, ordered by file name, or the rows of a dimension in the order of its key.

    Raises:
        InputError: the arguments are not as above, or name a column that is not there.
        MissingInputError: files match, but lie in no archive.
    """
    options = dict.fromkeys(OPTIONS, "")
    where: dict[str, object] = {}
    words = iter(arguments)
    for word in words:
        column, equals, value = word.partition("=")
        if word in OPTIONS:
            options[word] = next(words, "")
        elif not equals or word.startswith("-"):
            raise InputError(f"generic query: '{word}' is not understood", remedy=USAGE)
        elif column.strip().lower() in where:
            raise InputError(f"generic query: '{column}' is compared twice", remedy="write its values with commas")
        else:
            where[column.strip().lower()] = value
    filetype, table, join = options["--filetype"], options["--table"], options["--join"]
    output = [name for one in options["--output"].split(",") if (name := one.strip().lower())]
    if bool(filetype) == bool(table):
        raise InputError("generic query: it needs a filetype or a dimension table", remedy=USAGE)
    if table:
        return _dimension(rows, table, where, output, join)
    found = rows.files(filetype, where, output, join=join) if join else rows.files(filetype, where, output)
    if not found and "archive_name" not in where:
        _unlocated(rows, filetype, where, join)
    return found


def _dimension(rows: Rows, table: str, where: dict[str, object], output: list[str], join: str) -> list[Row]:
    if join:
        raise InputError("generic query: nothing joins a dimension table", remedy="ask for a --filetype and join it")
    found = rows.table(table, where)
    if lacks := [name for name in output if found and name.rpartition(".")[2] not in found[0]]:
        raise InputError(f"there is no column {lacks[0]!r}", remedy=f"there are: {', '.join(found[0])}")
    short = [name.rpartition(".")[2] for name in output]
    chosen = ({name: row[name] for name in short} if short else row for row in found)
    return list({tuple(row.values()): row for row in chosen}.values())


def _unlocated(rows: Rows, filetype: str, where: dict[str, object], join: str) -> None:
    """Say so if the question has an answer, but not one that a job could read."""
    nowhere = {**where, "archive_name": None}
    found = rows.files(filetype, nowhere, join=join) if join else rows.files(filetype, nowhere)
    if found:
        names = [f"{row['filename']}{row['compression']}" for row in found]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise MissingInputError(
            f"generic query: what matches lies in no archive that jobs read: {', '.join(names[:SHOWN])}{more}",
            remedy="ingest these files again from where they still lie",
        )
