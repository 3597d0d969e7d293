"""How fast does a plan come into the database, and how fast is it decided that nothing of it need run again?

    python bench/register.py [QUANTA] [--rounds N]

The chains of plan.py (QUANTA of them, 99,999 unless told otherwise), registered as ``facade submit`` does: attempt,
blocks, jobs, quanta with the files they promise, and the plan itself, by COPY in one transaction, in an embedded server
that is made for this run. Then the same plan is considered once more: first nothing has succeeded, then all of it has.
Medians of the rounds, wall time; the run directory is left out (plan.py measures it).

The floor is what the server needs alone: a bare ``COPY`` of as many rows, of the same bytes, into tables like those of
the registry, indexes included, from texts that are there already.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

from plan import rows, text

from facade import submit
from facade.campaign import read
from facade.plan import Inputs, Plan, plan
from facade.plan.decide import Decision
from facade.registry import Registry
from facade.registry.connection import Address, connect
from facade.registry.embedded import Embedded
from facade.reuse import Wish, consider
from facade.site import Site
from facade.wcl import loads

STEPS = 3
COPIED = ("task", "pfw_job", "quantum")
SUCCEEDED = """
update task set state = 'succeeded' where kind = 'quantum';
insert into desfile (filename, filetype, filesize, checksum, pfw_attempt_id, wgb_task_id)
  select one, 'img', 1, repeat('0', 64), pfw_attempt_id, task_id from quantum, unnest(outputs) one;
insert into file_location (desfile_id, archive_name, path) select id, 'home', 'x' from desfile;
analyze
"""
"""Make it so that every quantum of the attempt has succeeded, and its files are registered."""


def planned(quanta: int) -> Plan:
    """Return the plan of chains with that many quanta."""
    campaign = read(loads(text(STEPS, "visit, ccd, modulename"), "bench"))
    return plan(campaign, Inputs({"step1.file.raw": rows(quanta // STEPS)}))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that *work* takes, by the clock on the wall, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def emptied(address: Address) -> None:
    """Forget every attempt, and leave no work for later behind."""
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("truncate pfw_request, task, plan cascade")
        cursor.execute("vacuum analyze")
        cursor.execute("checkpoint")


def once(address: Address, site: Site, made: Plan) -> dict[str, float]:
    """Consider, register, and consider again; return the seconds of each."""
    emptied(address)
    laps = {}
    with Registry.open(address) as registry, mock.patch.object(submit, "materialise"):
        laps["new"], found = timed(lambda: consider(registry, site, made, Wish()))
        assert found.counts == {Decision.RUN: len(made.quanta)}
        assert made.data
        laps["registered"], _ = timed(lambda: submit.register(registry, site, found, operator="bench", engine="local"))
        with closing(connect(address)) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) as n, count(distinct xmin::text) as x from quantum")
            assert cursor.fetchone() == {"n": len(made.quanta), "x": 1}
            for statement in SUCCEEDED.split(";"):
                cursor.execute(statement)
        wish = Wish(verify="none")
        laps["decided"], found = timed(lambda: consider(registry, site, made, wish))
        assert found.counts[Decision.RUN] == 0 and found.counts[Decision.REUSE] == len(made.quanta) // STEPS
    laps["floor"] = floor(address)
    return laps


def floor(address: Address) -> float:
    """Return the seconds of a bare COPY of what is in the registry into tables of the same form, in one transaction."""
    with tempfile.TemporaryDirectory(prefix="facade-bench.") as folder, closing(connect(address)) as connection:
        cursor = connection.cursor()
        for table in COPIED:
            with (Path(folder) / table).open("wb") as stream:
                cursor.copy_expert(f"copy {table} to stdout", stream)
            cursor.execute(f"create temporary table bare_{table} (like {table} including all)")
        start = time.perf_counter()
        cursor.execute("begin")
        for table in COPIED:
            with (Path(folder) / table).open("rb") as stream:
                cursor.copy_expert(f"copy bare_{table} from stdin", stream)
        cursor.execute("commit")
        return time.perf_counter() - start


def main() -> None:
    """Measure and print; the last lines are one JSON object per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("quanta", type=int, nargs="?", default=99_999)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    quanta = options.quanta // STEPS * STEPS
    made = planned(quanta)
    with tempfile.TemporaryDirectory(prefix="facade-bench.") as folder:
        server = Embedded(Path(folder))
        server.start()
        try:
            site = Site.here({"FACADE_HOME": folder})
            Path(site.archive_root).mkdir(parents=True, exist_ok=True)
            with Registry.open(server.address()) as registry:
                registry.upgrade()
            laps = [once(server.address(), site, made) for _ in range(options.rounds)]
        finally:
            server.stop()
    middle = {name: statistics.median([lap[name] for lap in laps]) for name in laps[0]}
    print(f"chains of three one-quantum jobs: {quanta:,} quanta, medians of {options.rounds}")
    for name, title in (
        ("new", "considered: all new"),
        ("registered", "registered in a transaction"),
        ("floor", "floor: a bare COPY"),
        ("decided", "considered: nothing to do"),
    ):
        spread = f"{min(lap[name] for lap in laps):.2f} to {max(lap[name] for lap in laps):.2f}"
        print(f"  {title:27} {middle[name]:8.3f} s wall   ({spread})")
    print(f"  registering is              {middle['registered'] / middle['floor']:8.1f} times the floor")
    for name, lap, least in (
        ("register_wall", "registered", round(middle["floor"], 3)),
        ("consider_new_wall", "new", None),
        ("consider_done_wall", "decided", None),
    ):
        told = {
            "name": name,
            "value": round(middle[lap], 3),
            "unit": "s wall",
            "floor": least,
            "peers": {},
            "n": quanta,
        }
        print(json.dumps(told))


if __name__ == "__main__":
    main()
