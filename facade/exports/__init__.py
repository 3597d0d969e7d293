"""Provenance graphs written down for others: drawings, the W3C's PROV, RO-Crate, the IVOA's data model.

Each format is a function from a `facade.graph.Graph` to text, in a module of its own, so that what a format needs is
imported by whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from facade.graph import Graph

FORMATS = {
    "json": ("plain", "files, executions and edges as they are"),
    "dot": ("drawing", "a drawing for Graphviz"),
    "mermaid": ("drawing", "a drawing for web pages"),
    "prov-json": ("w3c", "W3C PROV as JSON"),
    "prov-n": ("w3c", "W3C PROV for people"),
    "ro-crate": ("rocrate", "metadata of a Process Run Crate (ro-crate-metadata.json)"),
    "ivoa": ("ivoa", "the IVOA's Provenance Data Model as a VOTable"),
}
"""Format -> module that writes it, and what it is."""


def written(graph: Graph, form: str) -> str:
    """Return *graph* in a format of `FORMATS`."""
    module = import_module(f"facade.exports.{FORMATS[form][0]}")
    function: Callable[[Graph], str] = getattr(module, form.replace("-", "_") + "_text")
    return function(graph)
