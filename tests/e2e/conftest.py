"""One world for the end-to-end tests, with one attempt by each engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from e2e.world import World, temporary_world
from pool import CondorPool


@dataclass(frozen=True)
class Attempts:
    """The world, and the names and numbers of its two finished attempts of the demo campaign."""

    world: World
    local: int
    condor: int


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A home with simulated exposures, all registered."""
    with temporary_world() as made:
        made.simulate()
        made.ingest()
        yield made


@pytest.fixture(scope="session")
def attempts(world: World, condor_pool: CondorPool) -> Attempts:
    """The demo campaign, carried out by the local engine and by HTCondor."""
    world.submit("-j", 2)
    local = world.latest()["attnum"]
    # the pool's PATH comes last: the programs of this checkout must stay in front
    pool = {
        "CONDOR_CONFIG": condor_pool.env["CONDOR_CONFIG"],
        "PATH": world.env()["PATH"] + ":" + condor_pool.env["PATH"],
    }
    world.with_environment(pool).submit("--engine", "htcondor")
    return Attempts(world, local, world.latest()["attnum"])
