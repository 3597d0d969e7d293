"""A registry that moves, or comes back from a backup: operators and campaigns go on as if nothing had happened."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from database import make_database
from e2e.test_reuse import Place, furnish, ingest
from e2e.world import ROOT, World
from inside import is_empty

from facade.registry import Registry
from facade.registry.connection import Address
from facade.registry.embedded import Embedded
from facade.registry.schema import newest, upgrade

pytest_plugins = ["database"]
BEFORE = """
<filetype_metadata>
    <note>
        metadata_table = notes
        <columns>
            author = text
            pages = int [1] - how many
        </columns>
    </note>
</filetype_metadata>
"""


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[World]:
    """A home with a server of its own, in which the small campaign has been run once."""
    home = tmp_path / "laptop"
    furnish(home)
    world = World(home)
    world.facade("db", "start")
    server = Embedded(home)
    ingest(home, server.address())
    world.facade("submit", "campaign.wcl", "--wait", "-j", "1")
    yield world
    if server.status().running:
        world.facade("db", "stop")
        assert not server.status().running


@pytest.fixture
def server(postgres: Embedded) -> Address:
    """An empty database on another server; its password is where libpq looks for it."""
    return make_database(postgres)


def answers(world: World) -> list[object]:
    """What operators ask: where everything is, where a file came from."""
    lineage = world.json("provenance", "report-r5p01.txt", "--up")
    return [world.json("stat")[0], world.json("stat", "night_r5p01")["quanta"], lineage]


def test_a_laptops_registry_goes_on_at_a_server(laptop: World, server: Address) -> None:
    before = answers(laptop)
    there = laptop.with_environment({"PGPASSFILE": str(server.passfile)})
    told = there.facade("db", "move", server.url, "--json")
    moved = json.loads(told.stdout)
    assert moved["tables"]["quantum"] == 7 and moved["version"] == newest()
    assert f"from now on: 'database = {server.url}' in {laptop.home}/site.wcl" in told.stderr
    (backup,) = (laptop.home / "backups").iterdir()
    assert str(backup) in told.stderr

    for verb in ("stat", "db status", "db upgrade", "db start"):
        refused = there.facade(*verb.split(), code=4).stderr
        assert f"this registry has moved to {server.url}" in refused and "site file" in refused
    site = laptop.home / "site.wcl"
    site.write_text(f"database = {server.url}\n")
    assert answers(there) == before
    place = Place(there)
    assert place.ran() == set()  # all of it was made before the move
    assert place.ran("--set", "module.stack.clip=5") == {"stack 9", "stack 10", "report"}
    assert len(there.json("stat")) == 2


def test_the_way_back_is_as_the_page_says(laptop: World, server: Address) -> None:
    page = (ROOT / "docs/database.md").read_text()
    (line,) = [line for line in page.splitlines() if "reset default_transaction_read_only" in line]
    there = laptop.with_environment({"PGPASSFILE": str(server.passfile)})
    there.facade("db", "move", server.url)
    laptop.facade(*shlex.split(line)[1:])
    laptop.facade("tag", "night_r5p01", "BACK")
    assert laptop.json("stat", "night_r5p01")["quanta"]


def test_what_a_backup_brings_back(laptop: World, tmp_path: Path) -> None:
    before = answers(laptop)
    file = tmp_path / "registry.dump"
    saved = json.loads(laptop.facade("db", "backup", file, "--json").stdout)
    assert "exists" in laptop.facade("db", "backup", file, code=4).stderr
    assert "is not empty" in laptop.facade("db", "restore", file, code=4).stderr
    assert "the registry holds files and attempts" in laptop.facade("db", "downgrade", "base", code=4).stderr
    laptop.facade("db", "downgrade", "base", "--with-data")
    assert is_empty(Embedded(laptop.home).address())
    restored = json.loads(laptop.facade("db", "restore", file, "--json").stdout)
    assert restored == saved
    assert answers(laptop) == before and Place(laptop).ran() == set()


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    told = world.facade("db", "move", "postgresql://me:secret@db.example/sky", code=2).stderr
    assert "a password on a command line is seen by everybody" in told and "secret" not in told and ".pgpass" in told
    assert "cannot be read" in world.facade("db", "move", "postgresql://[::1/sky", code=2).stderr


def test_a_backup_that_has_no_place_to_go_to(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("no folder")
    told = World(tmp_path).facade("db", "move", "postgresql://me@db.example/sky", code=2).stderr
    assert f"cannot make the folder {tmp_path}/backups for the backup" in told


def test_upgrading_makes_the_tables_of_the_definitions_and_tells(server: Address, tmp_path: Path) -> None:
    world = World(tmp_path, server.environment())
    first = world.facade("db", "upgrade").stderr
    assert f"tables are at version {newest()}" in first and "table image is new, with " in first
    assert "is new" not in world.facade("db", "upgrade").stderr
    path = tmp_path / "mine.wcl"
    path.write_text(BEFORE)
    assert "table notes is new, with 2 columns" in world.facade("db", "upgrade", "--definitions", path).stderr
    path.write_text(BEFORE.replace("author = text", "read = date required"))
    told = world.facade("db", "upgrade", "--definitions", path).stderr
    assert "table notes has a new column, read" in told
    assert "notes.author is in no definition any more" in told and "alter table notes drop column author" in told
    path.write_text(BEFORE.replace("pages = int", "pages = text"))
    refused = world.facade("db", "upgrade", "--definitions", path, code=2).stderr
    assert "column 'pages' of table 'notes' is int, and cannot become text" in refused
    said = world.rows(
        "select column_name as name, data_type as type, col_description('notes'::regclass, ordinal_position) as said"
        " from information_schema.columns where table_name = 'notes' and column_name <> 'desfile_id'"
    )
    assert said == [
        {"name": "author", "type": "text", "said": None},
        {"name": "pages", "type": "integer", "said": "how many; unit: 1"},
        {"name": "read", "type": "date", "said": None},
    ]


def test_two_upgrades_at_once(server: Address, tmp_path: Path) -> None:
    world = World(tmp_path, server.environment())
    upgrades = [world.start("db", "upgrade") for _ in range(2)]
    told = [process.communicate(timeout=120)[1] for process in upgrades]
    assert [process.returncode for process in upgrades] == [0, 0], told
    assert sum("table image is new" in text for text in told) == 1
    with Registry.open(server) as registry:
        assert upgrade(server) == registry.upgrade() == newest()
