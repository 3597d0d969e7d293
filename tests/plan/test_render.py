"""Plans as drawings: what is drawn is the plan, and any name survives the way into DOT and Mermaid and back."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise

import pytest
from campaigns import REDUCE, STACK, demo_plan, planned, raw, text

from facade.plan import Job, Plan
from facade.plan.render import LEVELS, Edge, Graph, Node, graph, to_dot, to_json, to_mermaid

HOSTILE = [
    'say "8,6"',
    "back\\slash\\",
    "é€\U0001f600 &amp; &eacute; #35;",
    "a;b--c|d]e)f>g<h`i{j}",
    "end",
    "two\nlines",
]
TOKEN = re.compile(r'\s*("(?:\\.|[^"\\])*"|->|[\w.]+|[{}\[\]=;,])', re.DOTALL)


def hostile() -> Plan:
    whole = text(REDUCE, STACK.replace("sortkey = ccd", "sortkey = ccd\nformat = textcsv"))
    whole = whole.replace("visit = int", "visit = text")
    return planned(whole, [raw(visit, 1, band="r") for visit in HOSTILE if "\n" not in visit])


@pytest.fixture(scope="module", params=["demo", "hostile"])
def found(request: pytest.FixtureRequest) -> Plan:
    return demo_plan() if request.param == "demo" else hostile()


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_every_quantum_and_file_that_goes_from_one_to_another_is_there(found: Plan) -> None:
    drawn = graph(found, "quantum")
    assert [node.lines for node in drawn.nodes] == [(quantum.label,) for quantum in found.quanta]
    expected: dict[tuple[str, str], set[str]] = {}
    for quantum in found.quanta:
        for use in quantum.inputs:
            if (maker := found.files[use.file].producer) > 0:
                expected.setdefault((f"q{maker}", f"q{quantum.wrapnum}"), set()).add(found.files[use.file].name)
    assert {(edge.start, edge.end): edge.files for edge in drawn.edges} == {p: len(n) for p, n in expected.items()}
    for edge in drawn.edges:
        names = expected[edge.start, edge.end]
        assert edge.label in (names if len(names) == 1 else {f"{len(names)} files"})


def test_coarser_levels_add_up_what_finer_ones_say(found: Plan) -> None:
    modules, blocks = graph(found, "module"), graph(found, "block")
    assert sum(node.data["quanta"] for node in modules.nodes) == len(found.quanta)
    assert sum(node.data["quanta"] for node in blocks.nodes) == len(found.quanta)
    assert sum(node.data["jobs"] for node in blocks.nodes) == len(found.jobs)
    assert [node.lines[0] for node in blocks.nodes] == [block.name for block in found.blocks]
    made = {file.name for file in found.files if file.producer > 0}
    read = {found.files[use.file].name for quantum in found.quanta for use in quantum.inputs}
    assert {edge.files > 0 for edge in modules.edges} == {True}
    assert sum(edge.files for edge in modules.edges) >= len(made & read)


def test_blocks_follow_each_other_whatever_they_read() -> None:
    found = demo_plan()
    follows = {(edge.start, edge.end) for edge in graph(found, "block").edges}
    assert set(pairwise(f"b{n}" for n in range(len(found.blocks)))) <= follows


def test_jobs_wait_for_their_parents(found: Plan) -> None:
    drawn = graph(found, "job")
    assert [node.data["jobnum"] for node in drawn.nodes] == [job.jobnum for job in found.jobs]
    parents = {(f"j{parent:06}", f"j{job.jobnum:06}") for job in found.jobs for parent in job.parents}
    assert parents <= {(edge.start, edge.end) for edge in drawn.edges}
    waiting = replace(found, jobs=(*found.jobs, Job(99, 0, {}, (), (1,))))
    assert [edge.files for edge in graph(waiting, "job").edges if edge.end == "j000099"] == [0]


def test_every_file_is_drawn_once_between_who_makes_and_who_reads_it(found: Plan) -> None:
    drawn = graph(found, "file")
    files = [node for node in drawn.nodes if node.kind == "file"]
    assert [node.lines[0] for node in files] == [file.name for file in found.files]
    makers = {end: start for start, end in ((e.start, e.end) for e in drawn.edges) if end.startswith("f")}
    for index, file in enumerate(found.files):
        assert makers.get(f"f{index}") == (f"q{file.producer}" if file.producer > 0 else None)
    uses = {(f"f{use.file}", f"q{q.wrapnum}") for q in found.quanta for use in (*q.inputs, *q.lists)}
    assert uses == {(edge.start, edge.end) for edge in drawn.edges if edge.start.startswith("f")}


# -- how it is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_json_says_the_same_as_the_graph(found: Plan, level: str) -> None:
    drawn = graph(found, level)
    told = json.loads("\n".join(to_json(drawn)))
    assert (told["plan_id"], told["level"]) == (found.plan_id, level)
    assert [(n["id"], n["kind"], n["label"]) for n in told["nodes"]] == [
        (n.id, n.kind, "\n".join(n.lines)) for n in drawn.nodes
    ]
    assert [(e["from"], e["to"], e["files"]) for e in told["edges"]] == [(e.start, e.end, e.files) for e in drawn.edges]


@pytest.mark.parametrize("level", LEVELS)
def test_dot_is_read_back_as_the_graph(found: Plan, level: str) -> None:
    drawn = graph(found, level)
    drawing = "\n".join(to_dot(drawn))
    nodes, edges, clusters = read_dot(drawing)
    assert nodes == {node.id: "\n".join(node.lines) for node in drawn.nodes}
    assert edges == [(edge.start, edge.end, edge.label) for edge in drawn.edges]
    assert clusters == [drawn.blocks[b] for b in sorted({n.block for n in drawn.nodes if n.block is not None})]
    if dot := shutil.which("dot"):
        done = subprocess.run([dot, "-Tplain"], input=drawing, text=True, capture_output=True, check=True)
        assert done.stdout.count("\nnode ") == len(drawn.nodes)


def read_dot(text: str) -> tuple[dict[str, str], list[tuple[str, str, str]], list[str]]:
    """Read as much of DOT's grammar as a drawing needs; anything else is an error."""
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        assert match, f"not DOT: {text[position : position + 40]!r}"
        tokens.append(match[1])
        position = match.end()
    nodes: dict[str, str] = {}
    edges: list[tuple[str, str, str]] = []
    clusters: list[str] = []
    at = iter(tokens)
    assert [next(at), next(at), next(at)] == ["digraph", "plan", "{"]
    depth = 1
    statement: list[str] = []
    for token in at:
        if token == "{":
            assert statement[0] == "subgraph"
            statement, depth = [], depth + 1
        elif token == "}":
            assert not statement
            depth -= 1
        elif token != ";":
            statement.append(token)
        else:
            take(statement, nodes, edges, clusters)
            statement = []
    assert depth == 0
    return nodes, edges, clusters


def take(statement: list[str], nodes: dict[str, str], edges: list[tuple[str, str, str]], clusters: list[str]) -> None:
    """Take in one statement."""
    label = ""
    if "label" in statement:
        label = shown(statement[statement.index("label") + 2])
    match statement:
        case ["label", "=", _]:
            clusters.append(label)
        case ["node", *_] | ["rankdir", "=", _]:
            pass
        case [start, "->", end, *_]:
            edges.append((shown(start), shown(end), label))
        case [node, "[", *_, "]"]:
            nodes[shown(node)] = label
        case _:
            pytest.fail(f"not a statement: {statement}")


def shown(quoted: str) -> str:
    """Return what Graphviz would show for a quoted string."""
    text = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), quoted[1:-1], flags=re.DOTALL)
    return html.unescape(text)


NODE = re.compile(r' +(n\d+)(\[|\(\[)"([^"]*)"(\]|\]\))')
EDGE = re.compile(r'  (n\d+) -->(?:\|"([^"]*)"\|)? (n\d+)')
GROUP = re.compile(r'  subgraph b\d+\["([^"]*)"\]')


@pytest.mark.parametrize("level", LEVELS)
def test_mermaid_is_read_back_as_the_graph(found: Plan, level: str) -> None:
    drawn = graph(found, level)
    first, *lines = "\n".join(to_mermaid(drawn)).split("\n")
    assert first == "flowchart LR"
    names, edges, groups = {}, [], []
    for line in lines:
        if match := NODE.fullmatch(line):
            names[match[1]] = seen(match[3])
        elif match := EDGE.fullmatch(line):
            edges.append((match[1], match[3], seen(match[2] or "")))
        elif match := GROUP.fullmatch(line):
            groups.append(seen(match[1]))
        else:
            assert line == "  end"
    number = {node.id: f"n{index}" for index, node in enumerate(drawn.nodes)}
    assert names == {number[node.id]: "\n".join(node.lines) for node in drawn.nodes}
    assert edges == [(number[edge.start], number[edge.end], edge.label) for edge in drawn.edges]
    assert groups == [drawn.blocks[b] for b in sorted({n.block for n in drawn.nodes if n.block is not None})]


def seen(text: str) -> str:
    """Return what Mermaid would show: entities by number, nothing else that means anything."""
    bare = text.replace("<br/>", "")
    assert not set('"&<>`\\\n') & set(bare)
    assert not re.sub(r"#\d+;", "", bare).count("#")
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text.replace("<br/>", "\n"))


@pytest.mark.parametrize("label", HOSTILE)
def test_any_text_is_a_label(label: str) -> None:
    nodes = (Node("a", "quantum", (label, label)), Node("b", "file", ("x",)))
    drawn = Graph("id", "quantum", (), nodes, (Edge("a", "b", 1, label),))
    assert read_dot("\n".join(to_dot(drawn)))[:2] == ({"a": f"{label}\n{label}", "b": "x"}, [("a", "b", label)])
    *_, first, _second, edge = "\n".join(to_mermaid(drawn)).split("\n")
    assert seen(first[first.index('"') + 1 : first.rindex('"')]) == f"{label}\n{label}"
    assert seen(edge[edge.index('"') + 1 : edge.rindex('"')]) == label
