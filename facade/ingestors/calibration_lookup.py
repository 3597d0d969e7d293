"""Calibration lookups: which file serves which ccd and filter, from which day to which (docs/inputs.md)."""

from __future__ import annotations

from facade.ingestors._table import Dimension, date, whole, word
from facade.plugins import Scalar


def _with_a_span(row: dict[str, Scalar]) -> dict[str, Scalar]:
    if str(row["validstart"]) > str(row["validend"]):
        raise ValueError(f"validstart {row['validstart']} is after validend {row['validend']}")
    return row


_TABLE = Dimension(
    "calibration_lookup",
    {"filetype": word, "filename": word, "validstart": date, "validend": date, "ccd": whole, "filter": word},
    defaults={"filter": None},
    complete=_with_a_span,
)
metadata, contents = _TABLE.metadata, _TABLE.contents
