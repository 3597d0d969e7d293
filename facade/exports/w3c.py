"""A provenance graph as the W3C's PROV: files are entities, executions activities, operators agents."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from facade import __version__
from facade.graph import Execution, File, Graph

SPACE = "urn:facade:"
"""Names are relative to it: ``file:NAME``, ``task:ID``. They say what a thing is in one registry, not where it lies."""


def prov_json_text(graph: Graph) -> str:
    """Return PROV-JSON (W3C member submission of 2013-04-24)."""
    return str(_document(graph).serialize(format="json", indent=1)) + "\n"


def prov_n_text(graph: Graph) -> str:
    """Return PROV-N (W3C recommendation of 2013-04-30)."""
    return str(_document(graph).get_provn()) + "\n"


def _document(graph: Graph) -> Any:
    from prov.model import ProvDocument

    document = ProvDocument()
    document.add_namespace("file", SPACE + "file:")
    document.add_namespace("task", SPACE + "task:")
    document.add_namespace("user", SPACE + "user:")
    document.add_namespace("facade", SPACE)
    facade = document.agent("facade:facade", {"prov:type": "prov:SoftwareAgent", "facade:version": __version__})
    names = {number: _named(one) for number, one in graph.files.items()}
    for number, file in graph.files.items():
        document.entity(names[number], _entity(file))
    for number, one in graph.executions.items():
        activity = document.activity(f"task:{number}", one.start, one.end, _activity(one))
        if one.operator:
            user = document.agent(f"user:{quote(one.operator, safe='')}", {"prov:type": "prov:Person"})
            document.association(activity, user)
        document.association(activity, facade)
    for execution, file_id in graph.used:
        document.usage(f"task:{execution}", names[file_id])
    for file_id, execution in graph.generated:
        document.generation(names[file_id], f"task:{execution}")
    for child, parent in graph.derived:
        document.derivation(names[child], names[parent])
    return document.unified()


def _named(file: File) -> str:
    """Return the name of an entity; what PROV-N cannot write is percent-encoded."""
    return f"file:{quote(file.name, safe='')}"


def _entity(file: File) -> dict[str, Any]:
    found = {
        "prov:label": file.name, "facade:filetype": file.filetype, "facade:size": file.size,
        "facade:sha256": file.checksum, "facade:attempt": file.attempt, "facade:archive": file.archive,
    }  # fmt: skip
    if file.path is not None:
        found["prov:location"] = f"{file.path}/{file.name}".lstrip("/")
    return {key: value for key, value in found.items() if value != ""}


def _activity(one: Execution) -> dict[str, Any]:
    found: dict[str, Any] = {
        "prov:label": one.title, "prov:type": f"facade:{one.kind}", "facade:program": one.name,
        "facade:command": " ".join(one.argv), "facade:version": one.version, "facade:module": one.module,
        "facade:attempt": one.attempt, "prov:location": one.host,
    }  # fmt: skip
    found |= {f"facade:key_{key}": str(value) for key, value in one.keys.items()}
    if one.status is not None:
        found["facade:status"] = one.status
    return {key: value for key, value in found.items() if value != ""}
