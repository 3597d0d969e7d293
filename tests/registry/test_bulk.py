"""Registering in bulk when others register the same names: each once, nobody fails, whoever loses is told."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from database import FILETYPES, raw

from facade.registry import bulk
from facade.registry.face import Registry
from facade.registry.values import Ingested

pytest_plugins = ["database"]


@contextmanager
def released(lock: threading.Lock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def test_names_that_are_taken_at_every_step(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the question and the COPY, and between the question and the insert of the second try."""
    registry.ensure_metadata_tables(FILETYPES)
    files = [raw(f"x{n}.fits", visit=n) for n in range(5)]
    others = iter([[files[0]], [raw("x1.fits", "other content"), files[2]]])
    real, busy = bulk._present, threading.Lock()

    def present(*args: Any) -> Any:
        found = real(*args)
        if busy.acquire(blocking=False):  # not for what the others ask themselves
            with released(busy), Registry.open(registry.address) as other:
                other.intake.register("them", FILETYPES, next(others, []))
        return found

    monkeypatch.setattr(bulk, "PATIENCE", (0, 0, 0))
    monkeypatch.setattr(bulk, "_present", present)
    done = registry.intake.register("us", FILETYPES, files, partial=True)
    assert set(done.made) == {("x3.fits", ""), ("x4.fits", "")} and done.present == 2
    assert list(done.refused) == [("x1.fits", "")] and "(them)" in done.refused["x1.fits", ""]
    (row,) = registry.run_sql(
        "select (select count(*) from desfile) as f, (select count(*) from file_location) as l,"
        " (select count(*) from image) as m"
    ).rows
    assert row == (5, 5, 5)


def test_many_writers_of_the_same_names(registry: Registry) -> None:
    """Twelve at once, two hundred names in twelve orders, a quarter of the writers with other contents of some."""
    registry.ensure_metadata_tables(FILETYPES)
    results: list[Ingested] = []
    faults: list[BaseException] = []
    start = threading.Barrier(12)

    def work(number: int) -> None:
        mine = [
            raw(f"f{n:03d}.fits", f"{number}" if number % 4 == 0 and n % 10 == 0 else "", visit=n) for n in range(200)
        ]
        random.Random(number).shuffle(mine)
        try:
            with Registry.open(registry.address) as opened:
                start.wait()
                for at in range(0, 200, 50):
                    results.append(
                        opened.intake.register(f"writer {number}", FILETYPES, mine[at : at + 50], partial=True)
                    )
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sum(one.new for one in results) == 200
    assert sum(one.new + one.present + len(one.refused) for one in results) == 12 * 200
    (row,) = registry.run_sql(
        "select count(*) as n, count(distinct filename) as names, count(l.path) as places, count(i.visit) as described"
        " from desfile d left join file_location l on l.desfile_id = d.id left join image i on i.desfile_id = d.id"
    ).rows
    assert row == (200, 200, 200, 200)
