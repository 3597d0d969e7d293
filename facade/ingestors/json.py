"""JSON: a column from the member of its name, or from the one that ``header:OUTER:INNER`` leads to.

Case does not matter where the exact name is not there; a number in the way chooses from a list, from 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facade.errors import InputError, Location
from facade.ingestors import text
from facade.plugins import Scalar


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the values that *columns* ask for; None where there is none.

    Raises:
        InputError: the file is no JSON, or a value is no text, number or bool.
    """
    whole = text.text_of(path)
    try:
        found = json.loads(whole)
    except json.JSONDecodeError as error:
        raise InputError(
            f"this is no JSON: {error.msg}", location=Location(str(path), error.lineno, error.colno)
        ) from None
    except RecursionError:
        raise InputError(f"{path} is JSON too deep to be read") from None
    return {name: _value(path, name, found, text.key(name, source)) for name, source in columns.items()}


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None


def _value(path: Path, name: str, found: Any, way: str) -> Scalar:
    for step in way.split(":") if way else [""]:
        found = _member(found, step.strip())
    if found is None or isinstance(found, str | int | float | bool):
        return found if found != "" else None
    raise InputError(f"{path}: {name} is no text, number or bool, but {type(found).__name__}: {found!r:.60}")


def _member(found: Any, step: str) -> Any:
    if isinstance(found, list):
        return found[int(step)] if step.isdecimal() and int(step) < len(found) else None
    if not isinstance(found, dict) or not step:
        return None
    return found[step] if step in found else {key.lower(): value for key, value in found.items()}.get(step.lower())
