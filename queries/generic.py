"""The generic query: files of one type by their metadata.

Arguments: ``--filetype TYPE [--output column,…] [column=value …]``. A value may be a comma list (any of them), ``a:b``
(from a to b), hold ``%`` (like), start with ``!`` (not), or be ``null`` (desdm.md §2.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facade.errors import InputError
from facade.plugins import Row, Rows

USAGE = "--filetype TYPE [--output column,…] [column=value …]"


def query(arguments: Sequence[str], rows: Rows) -> Iterable[Row]:
    """Return one row per file, ordered by file name.

    Raises:
        InputError: the arguments are not as above, or name a column that the filetype has not.
    """
    filetype, output, where = "", "", {}
    words = iter(arguments)
    for word in words:
        if word == "--filetype":
            filetype = next(words, "")
        elif word == "--output":
            output = next(words, "")
        elif "=" in word and not word.startswith("-"):
            column, _, value = word.partition("=")
            where[column] = value
        else:
            raise InputError(f"generic query: '{word}' is not understood", remedy=f"usage: generic {USAGE}")
    if not filetype:
        raise InputError("generic query: no filetype is given", remedy=f"usage: generic {USAGE}")
    return rows.files(filetype, where, [c for c in output.split(",") if c])
