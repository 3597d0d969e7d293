"""A campaign with a wrapper that is a program: from the check to the registry, and what happens when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from database import make_database
from e2e.test_reuse import ALL, REDUCE, REPORT, STACK, Place, furnish, ingest
from e2e.world import World
from test_wrappers_page import example

from facade.registry.embedded import Embedded


@pytest.fixture
def place(postgres: Embedded, template: str, tmp_path: Path) -> Place:
    """A home in which nothing has run yet; quanta of stack have a wrapper that is a program."""
    home, address = tmp_path / "home", make_database(postgres, template)
    furnish(home)
    ingest(home, address)
    wrapper = home / "bin/wrap"
    wrapper.write_text(example("#!/bin/sh"))
    wrapper.chmod(0o755)
    found = Place(World(home, address.environment()))
    found.change(
        "campaign.wcl", "<module stack>\n    wrappername = generic", "<module stack>\n    wrappername = exec:wrap"
    )
    return found


def test_a_wrapper_that_is_a_program(place: Place) -> None:
    assert "warning" not in place.world.facade("check", "campaign.wcl").stderr
    assert place.ran() == ALL
    assert place.text("coadd-9", 1).startswith("stacked 3\nreduced plain\nvisit 9 ccd 1")
    rows = place.world.rows(
        "select q.modname, q.name as wrapper, e.exit_code, e.argv[1] as program,"
        " (select count(*) from opm_used u where u.task_id = e.task_id) as used,"
        " (select count(*) from desfile d where d.wgb_task_id = e.task_id) as made"
        " from quantum q"
        " join pfw_exec e on e.pfw_wrapper_task_id = q.task_id where q.modname = 'stack'"
    )
    assert len(rows) == 2
    for row in rows:
        assert (row["wrapper"], row["exit_code"], row["program"], row["made"]) == ("exec:wrap", 0, "stack", 1)
        assert row["used"] == 3  # two members, and the list
    assert place.planned() == set()
    wrapper = place.home / "bin/wrap"
    wrapper.write_text(wrapper.read_text() + "# another version\n")
    assert place.decided() == {"run": STACK | REPORT, "reuse": REDUCE}


def test_a_wrapper_that_breaks_is_told_to_people(place: Place) -> None:
    (place.home / "bin/wrap").write_text("#!/bin/sh\necho 'no disk left'\nexit 5\n")
    place.world.facade("submit", "campaign.wcl", "--wait", "-j", "1", code=1)
    told = place.world.facade("stat", "night_r5p01").stdout
    assert "stack visit=9  wrapper" in told and "no disk left" in told
    assert "wrapper 'exec:wrap': it exited with 5 and wrote no output WCL" in " ".join(told.split())
