"""What became of each file of an ingestion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facade.plugins import Scalar

NEW, FILLED, PRESENT, REFUSED, BAD = "new", "filled", "present", "refused", "bad"
"""Registered now (or, in a dry run, to be); got metadata that it lacked; registered already; its name has other
content; not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One file: what became of it, what is known of it; ``fault`` and ``remedy`` say why it was left out."""

    path: str
    state: str
    filename: str = ""
    compression: str = ""
    size: int | None = None
    checksum: str | None = None
    archive_path: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    rows: int = 0
    fault: str = ""
    remedy: str = ""

    @property
    def fine(self) -> bool:
        """Say whether it is registered."""
        return self.state in (NEW, FILLED, PRESENT)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        names = (
            "path",
            "state",
            "filename",
            "compression",
            "size",
            "checksum",
            "archive_path",
            "rows",
            "fault",
            "remedy",
        )
        return {**{name: getattr(self, name) for name in names}, "metadata": dict(self.metadata)}

    def __str__(self) -> str:
        return self.fault + (f"\n  {self.remedy}" if self.remedy else "")
