"""Provenance graphs out of the registry: what is in them, from whatever one starts."""

from __future__ import annotations

import pytest
from database import FILETYPES, Receipt, submit

from facade.errors import InputError
from facade.graph import Graph
from facade.registry.face import Registry

pytest_plugins = ["database"]


@pytest.fixture
def attempt(registry: Registry) -> str:
    """An attempt whose second quantum read what the first made, which read a raw."""
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=2)
    receipt = Receipt(ids).started()
    receipt.quantum(1).quantum(2, used=["calexp-1.fits"])
    receipt.ended()
    registry.report(receipt.id, receipt.lines)
    registry.tag(ids.attempt_id, "good", "me")
    return "Ht0_r11p01"


def names(graph: Graph) -> dict[str, int]:
    return {one.name: one.depth for one in graph.files.values() if one.filetype == "calexp"}


def test_up_and_down_from_a_file(registry: Registry, attempt: str) -> None:
    up = registry.provenance("calexp-2.fits", ["up"])
    assert names(up) == {"calexp-2.fits": 0, "calexp-1.fits": 1}
    assert {one.module for one in up.executions.values()} == {"detect"}
    (program,) = [
        one for one in up.executions.values() if one.id == next(f.made_by for f in up.files.values() if f.depth == 0)
    ]
    assert (program.kind, program.name, program.version, program.argv[0]) == ("exec", "detect", "1.0", "detect")
    assert program.host == "node1" and program.operator == "operator" and program.keys == {"ccd": 2}
    assert program.start is not None and program.end is not None and program.end > program.start
    ids = {one.name: one.id for one in up.files.values()}
    assert up.used == ((program.id, ids["calexp-1.fits"]),)
    assert up.derived == ((ids["calexp-2.fits"], ids["calexp-1.fits"]),)
    down = registry.provenance("calexp-1.fits", ["down"])
    assert names(down) == {"calexp-1.fits": 0, "calexp-2.fits": 1}
    assert names(registry.provenance("calexp-1.fits", ["up"])) == {"calexp-1.fits": 0}
    assert names(registry.provenance("calexp-1.fits", ["up", "down"])) == names(down)
    assert names(registry.provenance("calexp-2.fits", ["up"], 0)) == {"calexp-2.fits": 0}


def test_from_an_attempt_a_quantum_and_a_tag(registry: Registry, attempt: str) -> None:
    whole = registry.provenance(attempt, ["up"])
    assert names(whole) == {"calexp-1.fits": 0, "calexp-2.fits": 0} and len(whole.files) == 4, "the logs too"
    assert registry.provenance("good", ["up"]).files == whole.files
    quantum = registry.provenance(f"{attempt}:2", ["up"])
    assert names(quantum) == {"calexp-2.fits": 0, "calexp-1.fits": 1}
    assert {one.kind for one in quantum.executions.values()} == {"exec", "quantum"}
    for unknown in ("nothing.fits", "Ht0_r11p99", f"{attempt}:99", "bad"):
        with pytest.raises(InputError, match=r"no file, attempt, quantum or tag is called"):
            registry.provenance(unknown, ["up"])
