"""Overlap tables: which ccds of which visits fall on which patches of the sky (docs/inputs.md)."""

from __future__ import annotations

from facade.ingestors._table import Dimension, whole, with_patchname, word

_TABLE = Dimension(
    "overlap",
    {"tract": whole, "patch": word, "visit": whole, "ccd": whole, "filter": word},
    complete=with_patchname,
)
metadata, contents = _TABLE.metadata, _TABLE.contents
