"""Where files lie when there are several archives: what is found, and what is still to come home."""

from __future__ import annotations

from typing import Any

from database import FILETYPES, Receipt, raw, submit

from facade.registry.face import Registry

pytest_plugins = ["database"]


def told(registry: Registry, receipt: Receipt) -> None:
    registry.report(receipt.id, receipt.lines)


def test_files_are_astray_until_they_are_noted_at_home(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=3)
    receipt = Receipt(ids).started().quantum(1).quantum(2)
    receipt.quantum(3)
    receipt.lines[-1] |= {"state": "failed", "failure": {"class": "transfer", "step": "stage-out", "message": "m"}}
    told(registry, receipt)
    found = registry.astray(ids.attempt_id, "home", "vault", limit=100)
    assert [one.place for one in found] == [
        "MMG/red/calexp-1.fits", "MMG/red/calexp-2.fits", "MMG/log/detect-1.log", "MMG/log/detect-2.log",
    ]  # fmt: skip
    assert registry.astray(ids.attempt_id, "home", "vault", after=found[1].id, limit=1) == [found[2]]
    assert not registry.astray(ids.attempt_id, "elsewhere", "vault")
    for _ in range(2):
        registry.add_locations("vault", found[:3])
    assert registry.astray(ids.attempt_id, "home", "vault", limit=100) == found[3:]
    files = {row["filename"]: row for row in registry.attempt_files(ids.attempt_id)}
    assert files["calexp-1.fits"]["archive_name"] == "home", "it lies in both"


def located(registry: Registry, *archives: str) -> dict[str, Any]:
    """Return file -> its path as queries and planning see it."""
    registry.look_in(archives)
    rows = registry.rows.files("raw", {})
    found = registry.lookup([("a.fits", ""), ("b.fits", ""), ("c.fits", "")])
    by_name = {row["filename"]: row["path"] for row in found.values() if row["path"] is not None}
    assert {row["filename"]: row["path"] for row in rows} == by_name, "both ways to look give the same"
    return by_name


def test_files_are_looked_for_in_the_archives_that_are_read_in_their_order(registry: Registry) -> None:
    files = [raw("a.fits", visit=1), raw("b.fits", visit=2), raw("c.fits", visit=3)]
    registry.ingest("at home", FILETYPES, files[:2])
    registry.ingest("near", FILETYPES, [file | {"archive": "near", "path": "n"} for file in files[1:]])
    home, near = "raw/2013", "n"
    assert located(registry) == {"a.fits": home, "b.fits": home, "c.fits": near}
    assert located(registry, "near", "home") == {"a.fits": home, "b.fits": near, "c.fits": near}
    assert located(registry, "home", "near") == {"a.fits": home, "b.fits": home, "c.fits": near}
    assert located(registry, "home") == {"a.fits": home, "b.fits": home}
    assert located(registry, "none") == {}
    asked = registry.rows.files("raw", {"archive_name": "near"})
    assert [row["filename"] for row in asked] == ["b.fits", "c.fits"], "a question may say itself in which"
    asked = registry.rows.files("raw", {"archive_name": None})
    assert [row["filename"] for row in asked] == ["a.fits", "b.fits", "c.fits"], "in none of those that are read"
    names = [("a.fits", ""), ("b.fits", ""), ("unknown", "")]
    assert [one.place for one in registry.elsewhere(names, "near", "home")] == ["raw/2013/a.fits"]
    assert registry.elsewhere(names, "home", "near") == []


def test_what_is_noted_last_of_a_task_is_told(registry: Registry) -> None:
    ids = submit(registry)
    assert registry.noted(ids.attempt_task) == ""
    registry.note(ids.attempt_task, "one")
    registry.note(ids.attempt_task, "two")
    registry.note(ids.jobs[1], "of another")
    assert registry.noted(ids.attempt_task) == "two"
    attempt = registry.attempt(ids.attempt_id)
    assert attempt is not None and attempt.state == "planned", "its state is as it was"
