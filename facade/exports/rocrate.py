"""A provenance graph as the metadata of an RO-Crate 1.1 that conforms to Process Run Crate 0.5.

Files are ``File`` entities, executions ``CreateAction``, programs ``SoftwareApplication``. Saved as
``ro-crate-metadata.json`` beside the files (below their folders in the archive) it makes a crate of them.
(https://w3id.org/ro/wfrun/process/0.5)
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from facade.graph import Execution, File, Graph

CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
CRATE, PROFILE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.5"
COMPLETED, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
MEDIA = {".fits": "application/fits", ".fits.fz": "application/fits", ".json": "application/json",
         ".txt": "text/plain", ".log": "text/plain", ".list": "text/plain", ".tar": "application/x-tar"}  # fmt: skip


def ro_crate_text(graph: Graph) -> str:
    """Return ``ro-crate-metadata.json``."""
    return json.dumps({"@context": CONTEXT, "@graph": _entities(graph)}, indent=1, ensure_ascii=False) + "\n"


def _entities(graph: Graph) -> list[dict[str, Any]]:
    files = {number: _file(one) for number, one in graph.files.items()}
    programs: dict[str, dict[str, Any]] = {}
    people: dict[str, dict[str, Any]] = {}
    actions = [_action(graph, one, files, programs, people) for one in graph.executions.values()]
    ends = [one.end for one in graph.executions.values() if one.end is not None]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Provenance of {graph.about}",
        "description": f"{len(files)} files and the {len(actions)} executions that made them",
        "datePublished": max(ends).isoformat() if ends else "1970-01-01T00:00:00+00:00",
        "license": {"@id": "#license"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": one["@id"]} for one in files.values()],
        "mentions": [{"@id": one["@id"]} for one in actions],
    }
    about = {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "conformsTo": {"@id": CRATE},
             "about": {"@id": "./"}}  # fmt: skip
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    told = "As the survey that made these files allows; the registry does not know."
    terms = {"@id": "#license", "@type": "CreativeWork", "name": "Terms of the survey", "description": told}
    return [about, profile, root, terms, *files.values(), *programs.values(), *people.values(), *actions]


def _file(one: File) -> dict[str, Any]:
    place = f"{one.path}/{one.name}".lstrip("/") if one.path is not None else f"not-archived/{one.name}"
    found = {
        "@id": quote(place),
        "@type": "File",
        "name": one.name,
        "description": f"{one.filetype}" + (f" of {one.attempt}" if one.attempt else ""),
        "contentSize": str(one.size),
        "sha256": one.checksum,
    }
    media = next((kind for suffix, kind in MEDIA.items() if one.name.endswith(suffix)), "")
    return found | ({"encodingFormat": media} if media else {})


def _action(
    graph: Graph,
    one: Execution,
    files: dict[int, dict[str, Any]],
    programs: dict[str, dict[str, Any]],
    people: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    program = f"#program-{quote(one.name, safe='')}-{quote(one.version, safe='')}"
    version = {"version": one.version} if one.version else {}
    programs.setdefault(program, {"@id": program, "@type": "SoftwareApplication", "name": one.name, **version})
    found: dict[str, Any] = {
        "@id": f"#task-{one.id}",
        "@type": "CreateAction",
        "name": one.title,
        "description": " ".join(one.argv) or one.kind,
        "instrument": {"@id": program},
        "object": [{"@id": files[file]["@id"]} for file in graph.uses.get(one.id, ()) if file in files],
        "result": [{"@id": files[file]["@id"]} for file in graph.makes.get(one.id, ()) if file in files],
        "actionStatus": {"@id": COMPLETED if not one.status else FAILED},
    }
    if one.start is not None:
        found["startTime"] = one.start.isoformat()
    if one.end is not None:
        found["endTime"] = one.end.isoformat()
    if one.operator:
        who = f"#user-{quote(one.operator, safe='')}"
        people.setdefault(who, {"@id": who, "@type": "Person", "name": one.operator})
        found["agent"] = {"@id": who}
    return found
