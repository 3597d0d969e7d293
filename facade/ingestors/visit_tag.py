"""Visit tags: names for groups of visits (docs/inputs.md)."""

from __future__ import annotations

from facade.ingestors._table import Dimension, whole, word

_TABLE = Dimension("visit_tag", {"tag": word, "visit": whole})
metadata, contents = _TABLE.metadata, _TABLE.contents
