"""Registering files that exist already: read, compared with the registry, copied, recorded, thousands at a time.

A file that cannot go in is told and left out. Each batch is one transaction, after its copies are verified: an
ingestion that is killed goes on when it is started again, and nothing is doubled.
"""

from __future__ import annotations

from facade.ingest.given import Given, Wanted, gather
from facade.ingest.judging import Way
from facade.ingest.outcome import BAD, FILLED, NEW, PRESENT, REFUSED, Outcome
from facade.ingest.stages import Ingestion, definition_of, ingest

__all__ = [
    "BAD",
    "FILLED",
    "NEW",
    "PRESENT",
    "REFUSED",
    "Given",
    "Ingestion",
    "Outcome",
    "Wanted",
    "Way",
    "definition_of",
    "gather",
    "ingest",
]
