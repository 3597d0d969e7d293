"""Files of which nothing is known but their name and content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from facade.plugins import Scalar


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return None for every column: nobody looks inside."""
    return dict.fromkeys(columns)


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None
