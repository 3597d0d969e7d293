"""A provenance graph as a drawing: files are boxes, executions ellipses; edges point at what was used."""

from __future__ import annotations

from collections.abc import Iterator

from facade.graph import Graph


def dot_text(graph: Graph) -> str:
    """Return a drawing for Graphviz."""
    return "\n".join(_dot(graph)) + "\n"


def _dot(graph: Graph) -> Iterator[str]:
    yield "digraph provenance {"
    yield '  rankdir = BT; node [fontname = "sans-serif", fontsize = 10];'
    for number, file in graph.files.items():
        bold = ", penwidth = 2" if file.depth == 0 else ""
        yield f"  f{number} [shape = box, label = {_quoted(file.name)}, tooltip = {_quoted(file.filetype)}{bold}];"
    for number, one in graph.executions.items():
        yield f"  e{number} [shape = ellipse, label = {_quoted(one.title)}, tooltip = {_quoted(' '.join(one.argv))}];"
    for execution, file_id in graph.used:
        yield f"  e{execution} -> f{file_id};"
    for file_id, execution in graph.generated:
        yield f"  f{file_id} -> e{execution};"
    for child, parent in graph.derived:
        yield f"  f{child} -> f{parent} [style = dashed];"
    yield "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def mermaid_text(graph: Graph) -> str:
    """Return a drawing for web pages that know mermaid."""
    return "\n".join(_mermaid(graph)) + "\n"


def _mermaid(graph: Graph) -> Iterator[str]:
    yield "flowchart BT"
    for number, file in graph.files.items():
        yield f'  f{number}["{_safe(file.name)}"]'
    for number, one in graph.executions.items():
        yield f'  e{number}(["{_safe(one.title)}"])'
    for execution, file_id in graph.used:
        yield f"  e{execution} --> f{file_id}"
    for file_id, execution in graph.generated:
        yield f"  f{file_id} --> e{execution}"
    for child, parent in graph.derived:
        yield f"  f{child} -.-> f{parent}"


def _safe(text: str) -> str:
    """Return *text* with what would end a label written as entities."""
    return "".join(c if c.isalnum() or c in " _.,:=/+-" else f"#{ord(c)};" for c in text)
