"""Blacklists: exposures that are not to be used, and why; without a ccd, the whole visit (docs/inputs.md)."""

from __future__ import annotations

from facade.ingestors._table import Dimension, whole, word

_TABLE = Dimension("blacklist", {"visit": whole, "ccd": whole, "code": word}, defaults={"ccd": -1})
metadata, contents = _TABLE.metadata, _TABLE.contents
