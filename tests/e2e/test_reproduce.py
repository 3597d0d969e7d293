"""What the demo campaign made, by either engine, comes out the same when it is made again from its provenance."""

from __future__ import annotations

import pytest
from e2e.conftest import Attempts


@pytest.mark.parametrize("engine", ["local", "condor"])
@pytest.mark.parametrize("filetype", ["butler_registry", "src", "deepcoadd_calexp", "deepcoadd_forced_src"])
def test_a_product_is_made_again(attempts: Attempts, engine: str, filetype: str) -> None:
    world, name = attempts.world, f"Ht0_r11p{getattr(attempts, engine):02d}"
    before = world.rows("select count(*) as files, (select count(*) from task_event) as events from desfile")
    made = world.json("files", "--attempt", name, "--filetype", filetype, "-n", 1)[0]
    found = world.json("reproduce", made["filename"])
    assert (found["verdict"], found["details"], found["made_by"]) == ("same", [], name)
    assert world.rows("select count(*) as files, (select count(*) from task_event) as events from desfile") == before


def test_attempts_by_two_engines_do_not_differ_in_what_they_made(attempts: Attempts) -> None:
    names = [f"Ht0_r11p{number:02d}" for number in (attempts.local, attempts.condor)]
    found = attempts.world.json("diff", *names)
    assert found["differences"] == [] and found["same_outputs"] > 100
