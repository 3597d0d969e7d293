"""A plan as a graph to look at or to hand on: DOT, Mermaid or JSON, at the level that one wants to see. Pure: Plan in,
lines of text out.

At every level an edge says that something made there is read here, and how many files that is. Blocks follow each other
whatever they read, so their order is edges too; so is, between jobs, an edge that no file of this plan explains.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from facade.plan.model import Plan, Quantum

LEVELS = ("block", "module", "job", "quantum", "file")

Counted = dict[tuple[str, str], list[str]]
"""(from, to) -> names of the files that go there."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something of a plan; ``lines`` are its label, ``data`` what JSON says of it besides."""

    id: str
    kind: str
    lines: tuple[str, ...]
    block: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """Something made by ``start`` is read by ``end``: ``files`` of them, told as ``label``."""

    start: str
    end: str
    files: int
    label: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A plan seen at one level. Nodes that belong to a block are drawn inside it."""

    plan_id: str
    level: str
    blocks: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph(plan: Plan, level: str) -> Graph:
    """Return *plan* as a graph at one of `LEVELS`."""
    seen = {"block": _Blocks, "module": _Modules, "job": _Jobs, "quantum": _Quanta, "file": _Files}[level](plan)
    edges = tuple(_edge(pair, names, level) for pair, names in seen.edges().items())
    blocks = () if level == "block" else tuple(block.name for block in plan.blocks)
    return Graph(plan.plan_id, level, blocks, tuple(seen.nodes()), edges)


def _edge(pair: tuple[str, str], names: list[str], level: str) -> Edge:
    told = "" if level == "file" or not names else names[0] if level == "quantum" and len(names) == 1 else None
    return Edge(*pair, len(names), _many(len(names), "file") if told is None else told)


def _many(number: int, what: str) -> str:
    return f"{number} {what if number == 1 else 'quanta' if what == 'quantum' else what + 's'}"


class _Level:
    """One way of looking at a plan: which thing a quantum belongs to, and what is said of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.block_of = {w: job.block for job in plan.jobs for w in job.quanta}
        self.group = {quantum.wrapnum: self.key(quantum) for quantum in plan.quanta}

    def key(self, quantum: Quantum) -> str:
        """Return the id of the node that *quantum* belongs to."""
        raise NotImplementedError

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes in the order of the plan."""
        raise NotImplementedError

    def edges(self) -> Counted:
        """Return the edges between nodes, in the order of the plan; each file counts once for each."""
        plan, found = self.plan, dict[tuple[str, str], dict[int, None]]()
        for quantum in plan.quanta:
            reader = self.group[quantum.wrapnum]
            for use in quantum.inputs:
                maker = self.group.get(plan.files[use.file].producer)
                if maker is not None and maker != reader:
                    found.setdefault((maker, reader), {})[use.file] = None
        return {pair: [plan.files[i].name for i in files] for pair, files in found.items()}

    def counts(self, quanta: Iterable[Quantum]) -> tuple[int, int]:
        """Return how many quanta these are, and in how many jobs."""
        listed = list(quanta)
        return len(listed), len({self.plan.job_of[quantum.wrapnum] for quantum in listed})


class _Blocks(_Level):
    def key(self, quantum: Quantum) -> str:
        return f"b{self.block_of[quantum.wrapnum]}"

    def nodes(self) -> Iterator[Node]:
        members: dict[str, list[Quantum]] = {}
        for quantum in self.plan.quanta:
            members.setdefault(self.group[quantum.wrapnum], []).append(quantum)
        for index, block in enumerate(self.plan.blocks):
            quanta, jobs = self.counts(members.get(f"b{index}", ()))
            text = ", ".join([_many(len(block.modules), "module"), _many(quanta, "quantum"), _many(jobs, "job")])
            data = {"name": block.name, "modules": list(block.modules), "quanta": quanta, "jobs": jobs}
            yield Node(f"b{index}", "block", (block.name, text), None, data)

    def edges(self) -> Counted:
        found = super().edges()
        for index in range(1, len(self.plan.blocks)):
            found.setdefault((f"b{index - 1}", f"b{index}"), [])
        return found


class _Modules(_Level):
    def key(self, quantum: Quantum) -> str:
        return f"m{self.block_of[quantum.wrapnum]}_{quantum.module}"

    def nodes(self) -> Iterator[Node]:
        members: dict[str, list[Quantum]] = {}
        for quantum in self.plan.quanta:
            members.setdefault(self.group[quantum.wrapnum], []).append(quantum)
        for key, listed in members.items():
            module, (quanta, jobs) = listed[0].module, self.counts(listed)
            block = self.block_of[listed[0].wrapnum]
            data = {"name": module, "block": self.plan.blocks[block].name, "quanta": quanta, "jobs": jobs}
            yield Node(key, "module", (module, f"{_many(quanta, 'quantum')}, {_many(jobs, 'job')}"), block, data)


class _Jobs(_Level):
    def key(self, quantum: Quantum) -> str:
        return f"j{self.plan.job_of[quantum.wrapnum]:06}"

    def nodes(self) -> Iterator[Node]:
        for job in self.plan.jobs:
            key, block = f"j{job.jobnum:06}", self.plan.blocks[job.block].name
            keys = " ".join(f"{k}={v}" for k, v in job.keys.items())
            data = {"jobnum": job.jobnum, "block": block, "keys": dict(job.keys), "quanta": len(job.quanta)}
            yield Node(key, "job", (f"{key} {keys}".rstrip(), _many(len(job.quanta), "quantum")), job.block, data)

    def edges(self) -> Counted:
        found = super().edges()
        for job in self.plan.jobs:
            for parent in job.parents:
                found.setdefault((f"j{parent:06}", f"j{job.jobnum:06}"), [])
        return found


class _Quanta(_Level):
    def key(self, quantum: Quantum) -> str:
        return f"q{quantum.wrapnum}"

    def nodes(self) -> Iterator[Node]:
        for quantum in self.plan.quanta:
            block = self.block_of[quantum.wrapnum]
            data = {"wrapnum": quantum.wrapnum, "module": quantum.module, "keys": dict(quantum.keys),
                    "block": self.plan.blocks[block].name, "jobnum": self.plan.job_of[quantum.wrapnum]}  # fmt: skip
            yield Node(self.group[quantum.wrapnum], "quantum", (quantum.label,), block, data)


class _Files(_Quanta):
    """Files and the quanta that read and make them."""

    def nodes(self) -> Iterator[Node]:
        yield from super().nodes()
        for index, file in enumerate(self.plan.files):
            origin = "registered" if not file.producer else "list" if file.producer < 0 else "made"
            data = {"filename": file.filename, "compression": file.compression, "filetype": file.filetype,
                    "archive_path": file.archive_path, "origin": origin}  # fmt: skip
            yield Node(f"f{index}", "file", (file.name,), None, data)

    def edges(self) -> Counted:
        found: Counted = {}
        for quantum in self.plan.quanta:
            key = self.group[quantum.wrapnum]
            found |= {(f"f{use.file}", key): [""] for use in quantum.inputs}
            found |= {(f"f{one.file}", key): [""] for one in quantum.lists}
            found |= {(key, f"f{use.file}"): [""] for use in quantum.outputs}
        return found


def to_json(found: Graph) -> Iterator[str]:
    """Yield the lines of ``{"plan_id", "level", "nodes": [{"id", "kind", "label", …}], "edges": [{"from", "to",
    "files"}]}``, a node or edge to a line."""
    yield f'{{"plan_id": {_json(found.plan_id)}, "level": {_json(found.level)}, "nodes": ['
    nodes = ({"id": n.id, "kind": n.kind, "label": "\n".join(n.lines), **n.data} for n in found.nodes)
    yield from _separated(map(_json, nodes))
    yield '], "edges": ['
    yield from _separated(_json({"from": e.start, "to": e.end, "files": e.files}) for e in found.edges)
    yield "]}"


def _separated(items: Iterable[str]) -> Iterator[str]:
    held = None
    for item in items:
        if held is not None:
            yield held + ","
        held = item
    if held is not None:
        yield held


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


SHAPES = {"block": "box3d", "module": "box", "job": "box", "quantum": "box", "file": "note"}


def to_dot(found: Graph) -> Iterator[str]:
    """Yield the lines of a graph for Graphviz."""
    yield "digraph plan {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="Helvetica"];'
    for index, nodes in _in_blocks(found):
        if index is not None:
            yield f"  subgraph cluster_{index} {{"
            yield f"    label={_quoted(found.blocks[index])};"
        for node in nodes:
            yield f"    {_quoted(node.id)} [label={_quoted(*node.lines)}, shape={SHAPES[node.kind]}];"
        if index is not None:
            yield "  }"
    for edge in found.edges:
        label = f" [label={_quoted(edge.label)}]" if edge.label else ""
        yield f"  {_quoted(edge.start)} -> {_quoted(edge.end)}{label};"
    yield "}"


def _quoted(*lines: str) -> str:
    """Return lines of text as one string of DOT, in which nothing is expanded."""
    return '"' + "\\n".join(line.translate(_ESCAPES) for line in lines) + '"'


_ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"', ord("&"): "&amp;"}


def to_mermaid(found: Graph) -> Iterator[str]:
    """Yield the lines of a flowchart for Mermaid."""
    yield "flowchart LR"
    names = {node.id: f"n{number}" for number, node in enumerate(found.nodes)}
    for index, nodes in _in_blocks(found):
        if index is not None:
            yield f"  subgraph b{index}[{_entities(found.blocks[index])}]"
        for node in nodes:
            left, right = ("([", "])") if node.kind == "file" else ("[", "]")
            yield f"    {names[node.id]}{left}{_entities(*node.lines)}{right}"
        if index is not None:
            yield "  end"
    for edge in found.edges:
        label = f"|{_entities(edge.label)}|" if edge.label else ""
        yield f"  {names[edge.start]} -->{label} {names[edge.end]}"


_ENTITIES = {ord(c): f"#{ord(c)};" for c in '#"&<>`\\\n'}


def _entities(*lines: str) -> str:
    """Return lines of text as one string of Mermaid: what means something to it or to HTML goes in by number."""
    return '"' + "<br/>".join(line.translate(_ENTITIES) for line in lines) + '"'


def _in_blocks(found: Graph) -> Iterator[tuple[int | None, list[Node]]]:
    """Yield (block, its nodes) for each block that has any, then those that belong to none."""
    groups: dict[int | None, list[Node]] = {index: [] for index in range(len(found.blocks))} | {None: []}
    for node in found.nodes:
        groups[node.block].append(node)
    yield from ((index, nodes) for index, nodes in groups.items() if nodes)
