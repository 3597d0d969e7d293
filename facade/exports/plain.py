"""A provenance graph as facade's own JSON: for programs that need all of it."""

from __future__ import annotations

import json
from typing import Any

from facade.graph import Execution, File, Graph


def json_of(graph: Graph) -> dict[str, Any]:
    """Return files, executions and edges as plain data; executions are named by their task id, files by name."""
    names = {number: one.name for number, one in graph.files.items()}
    return {
        "about": graph.about,
        "files": [_file(one) for one in sorted(graph.files.values(), key=lambda one: (one.depth, one.name))],
        "executions": [_execution(one) for one in graph.executions.values()],
        "used": [[execution, names[file]] for execution, file in graph.used],
        "generated": [[names[file], execution] for file, execution in graph.generated],
        "derived": [[names[child], names[parent]] for child, parent in graph.derived],
    }


def json_text(graph: Graph) -> str:
    """Return `json_of` as text."""
    return json.dumps(json_of(graph), indent=1, ensure_ascii=False, default=str)


def _file(one: File) -> dict[str, Any]:
    return {
        "name": one.name, "filetype": one.filetype, "size": one.size, "sha256": one.checksum, "attempt": one.attempt,
        "made_by": one.made_by, "depth": one.depth, "archive": one.archive, "path": one.path,
    }  # fmt: skip


def _execution(one: Execution) -> dict[str, Any]:
    return {
        "task": one.id, "kind": one.kind, "name": one.name, "argv": list(one.argv), "version": one.version,
        "module": one.module, "keys": dict(one.keys), "attempt": one.attempt, "host": one.host,
        "operator": one.operator, "start": one.start, "end": one.end, "status": one.status,
    }  # fmt: skip
