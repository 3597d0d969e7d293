"""Texts of lines ``KEY = VALUE`` or ``KEY: VALUE``: a column from the key of its name, or that ``header:KEY`` names.

Case does not matter; of a key that stands twice the first counts; ``#`` begins a comment, other lines are passed by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from facade.errors import InputError
from facade.plugins import Scalar

PREFIX = "header:"
_LINE = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*[=:]\s*(.*?)\s*$")


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the values that *columns* ask for; None where there is none.

    Raises:
        InputError: the file is no text.
    """
    values: dict[str, str] = {}
    if any(not source or source.startswith(PREFIX) for source in columns.values()):
        for line in text_of(path).splitlines():
            if (found := _LINE.match(line)) and not line.lstrip().startswith("#"):
                values.setdefault(found[1].lower(), _bare(found[2]))
    return {name: values.get(key(name, source).lower()) or None for name, source in columns.items()}


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text: it is not written in UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path} is no text: it holds NUL characters")
    return text


def key(name: str, source: str) -> str:
    """Return where a column's value stands; "" for one that comes from elsewhere."""
    return source.removeprefix(PREFIX).strip() if source.startswith(PREFIX) else "" if source else name


def _bare(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text
