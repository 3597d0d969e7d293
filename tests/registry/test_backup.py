"""Backups of a registry, and registries made from them: all or nothing, compared, whatever happens in the middle."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from database import FILETYPES, Receipt, lineage, quit_at_once, raw, submit
from inside import is_empty, rows, structure

from facade.errors import FacadeError, InputError, RefusedError, RegistryError
from facade.registry import backup, binaries, dump, moving, schema
from facade.registry.connection import Address, write_passfile
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.moving import move
from facade.registry.tally import Tally

pytest_plugins = ["database"]

NAMES = [
    "a'b;drop table task--.fits", "t\tab.fits", "back\\slash\\.fits", "\\.", "ümläut-🔭.fits",
    "COPY public.task FROM stdin;",
]  # fmt: skip


@pytest.fixture
def full(registry: Registry) -> Registry:
    """A registry with files of hostile names, an attempt that is done, messages and edges."""
    registry.ensure_metadata_tables(FILETYPES)
    registry.ingest("raws", FILETYPES, [raw(name, visit=number) for number, name in enumerate(NAMES)])
    ids = submit(registry, quanta=3, jobs=1)
    receipt = Receipt(ids).started()
    for number in (1, 2, 3):
        receipt.quantum(number, used=NAMES[:2])
    registry.report(receipt.id, receipt.ended().lines)
    registry.finish(ids.attempt_id, registry.attempts()[0].state.SUCCEEDED)
    return registry


@pytest.fixture
def saved(full: Registry, tmp_path: Path) -> Path:
    path = tmp_path / "registry.dump"
    backup.backup(full.address, path)
    return path


def test_what_is_restored_is_what_was_saved(saved: Path, full: Registry, database: Address) -> None:
    steps: list[str] = []
    label = backup.restore(database, saved, lambda what, done, total: steps.append(what))
    assert label == dump.read_label(saved) and label.tally["desfile"].rows == len(NAMES) + 6
    assert {"restoring task", "making indexes", "counting opm_used"} <= set(steps)
    assert structure(database) == structure(full.address)
    with Registry.open(database) as again:
        assert again.upgrade() == schema.newest()
        assert [row["filename"] for row in again.attempt_files(1)] == [r["filename"] for r in full.attempt_files(1)]
        assert [row["filename"] for row in lineage(again, "calexp-1.fits")][1:] == sorted(NAMES[:2])
        assert again.ingest("raws", FILETYPES, [raw(NAMES[0], visit=0)]).present == 1
        submit(again)  # numbers go on where they were
        assert [one.name for one in again.attempts()] == ["Ht0_r11p02", "Ht0_r11p01"]


def test_tables_of_ones_own_beside_those_of_facade_go_along(full: Registry, tmp_path: Path, database: Address) -> None:
    rows(
        full.address,
        'create table "My ""own"" table" (a int, "b c" text); insert into "My ""own"" table" values (1, \'x\');'
        ' create table heir (d int) inherits ("My ""own"" table"); insert into heir values (2, \'y\', 3)',
    )
    label = backup.backup(full.address, tmp_path / "b.dump")
    assert (label.tally['My "own" table'].rows, label.tally["heir"].rows) == (1, 1)
    backup.restore(database, tmp_path / "b.dump")
    assert [row["a"] for row in rows(database, 'select a from "My ""own"" table" order by 1')] == [1, 2]


def test_the_file_is_for_its_owner_and_for_pg_restore_and_holds_no_password(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    told = subprocess.run([binaries.client("pg_restore"), "--list", saved], capture_output=True, text=True, check=True)
    assert "TABLE DATA public desfile" in told.stdout
    text = subprocess.run([binaries.client("pg_restore"), "--file=-", saved], capture_output=True, check=True).stdout
    assert b"COPY public.desfile " in text and b"COPY public.role_login " not in text


def test_roles_of_the_new_home_get_passwords_of_their_own(saved: Path, full: Registry, database: Address) -> None:
    backup.restore(database, saved)
    statement = "select kind, rolname::text, password from role_login order by kind"
    here, there = rows(full.address, statement), rows(database, statement)
    assert [row["kind"] for row in there] == ["job", "reader"]
    assert not {str(row["password"]) for row in here} & {str(row["password"]) for row in there}
    with Registry.open(database) as opened:
        assert opened.roles().problems == ()


def test_a_backup_while_jobs_write_is_of_one_moment(full: Registry, tmp_path: Path, database: Address) -> None:
    done = threading.Event()

    def write() -> None:
        with Registry.open(full.address) as own:
            for number in range(10_000):
                own.ingest("more", FILETYPES, [raw(f"m{number}-{part}.fits", visit=number) for part in "ab"])
                if done.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not rows(full.address, "select 1 from desfile where filename = 'm3-a.fits'"):
            time.sleep(0.05)
        backup.backup(full.address, tmp_path / "b.dump")
    finally:
        done.set()
        writer.join()
    backup.restore(database, tmp_path / "b.dump")
    files = rows(database, "select count(*) as n, count(distinct left(filename, -7)) as pairs from desfile"
                           " where filename like 'm%'")[0]  # fmt: skip
    metadata = rows(database, "select count(*) as n from image i join desfile d on d.id = i.desfile_id"
                              " where d.filename like 'm%'")[0]  # fmt: skip
    assert files["n"] == metadata["n"] == 2 * int(str(files["pairs"])) >= 8


class TestRefused:
    def test_a_name_that_is_taken(self, saved: Path, full: Registry) -> None:
        before = saved.read_bytes()
        with pytest.raises(RefusedError, match=r"registry\.dump exists"):
            backup.backup(full.address, saved)
        assert saved.read_bytes() == before and [path.name for path in saved.parent.iterdir()] == ["registry.dump"]

    def test_a_database_without_a_registry(self, database: Address, tmp_path: Path) -> None:
        with pytest.raises(RegistryError, match="there is no registry"):
            backup.backup(database, tmp_path / "b.dump")
        assert list(tmp_path.iterdir()) == []

    def test_a_place_where_nothing_can_be_written(self, full: Registry, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot write"):
            backup.backup(full.address, tmp_path / "none" / "b.dump")

    def test_a_disk_that_is_full_in_the_end(
        self, full: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fsync(file: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(FacadeError, match=r"cannot write .*b\.dump: No space left on device"):
            backup.backup(full.address, tmp_path / "b.dump")
        assert list(tmp_path.iterdir()) == []

    def test_a_database_that_is_not_empty(self, saved: Path, full: Registry) -> None:
        before = rows(full.address, "select * from desfile order by id")
        with pytest.raises(RefusedError, match=r"is not empty: it has \w+, \w+, \w+ …\n.*facade db downgrade base"):
            backup.restore(full.address, saved)
        assert rows(full.address, "select * from desfile order by id") == before

    @pytest.mark.parametrize("spoil", ["cut", "changed", "other", "empty", "unlabelled"])
    def test_what_is_no_backup_or_no_longer_one(self, spoil: str, saved: Path, database: Address) -> None:
        whole = saved.read_bytes()
        middle = len(whole) // 2
        spoilt = {
            "cut": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "other": b"PGDMP no more\n",
            "empty": b"",
            "unlabelled": whole[: whole.rfind(dump.MARK)],
        }
        saved.write_bytes(spoilt[spoil])
        with pytest.raises(InputError, match="is damaged" if spoil == "changed" else "is no backup of a registry"):
            backup.restore(database, saved)
        assert is_empty(database)

    def test_one_of_a_newer_facade(self, saved: Path, database: Address, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backup, "known_versions", lambda: ("0000",))
        with pytest.raises(InputError, match="made by a newer facade"):
            backup.restore(database, saved)

    @pytest.mark.parametrize(("count", "total"), [(1, 0), (0, 1)])
    def test_a_restored_table_with_other_rows(self, count: int, total: int, saved: Path, database: Address) -> None:
        """As if the server had lost a row, or changed one."""
        label, whole = dump.read_label(saved), saved.read_bytes()
        was = label.tally["desfile"]
        wrong = {**label.tally, "desfile": Tally(was.rows + count, was.sum + total)}
        other = dump.Label(label.made, label.place, label.version, label.server, label.size, label.sha256, wrong)
        saved.write_bytes(whole[: label.size] + other.line())
        words = "desfile has 12 rows instead of 13" if count else "the rows of desfile are not the same"
        with pytest.raises(RegistryError, match=f"what was restored is not what was saved: {words}"):
            backup.restore(database, saved)
        assert is_empty(database)


CHILD = """
import sys, time
from pathlib import Path
from facade.registry import backup, moving
from facade.registry.connection import Address
url, passfile, path, verb, when, *target = sys.argv[1:]
def step(what, done, total):
    if what.startswith(when):
        print(what, flush=True)
        time.sleep(60)
home = Address(url, Path(passfile))
if verb == "move":
    moving.move(home, Address(target[0], Path(passfile)), Path(path), step)
else:
    getattr(backup, verb)(home, Path(path), step)
"""


def killed(address: Address, path: Path, verb: str, when: str, *target: str) -> None:
    """Run *verb* in a process of its own and kill that as hard as can be when it comes to *when*."""
    argv = [sys.executable, "-c", CHILD, address.url, str(address.passfile), str(path), verb, when, *target]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline().startswith(when)
        child.send_signal(signal.SIGKILL)


def empties(database: Address) -> None:
    """Wait until the server has noticed that who filled the database is gone."""
    deadline = time.monotonic() + 30
    while not is_empty(database) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert is_empty(database)


class TestKilled:
    @pytest.mark.parametrize("when", ["restoring opm_used", "making indexes", "counting desfile", "making it last"])
    def test_a_restore_leaves_an_empty_database(self, when: str, saved: Path, database: Address) -> None:
        killed(database, saved, "restore", when)
        empties(database)
        backup.restore(database, saved)

    def test_a_move_leaves_the_old_home_open_and_the_new_one_empty(
        self, full: Registry, database: Address, tmp_path: Path
    ) -> None:
        killed(full.address, tmp_path / "b.dump", "move", "making indexes", database.url)
        empties(database)
        full.tag(1, "still", "me")
        move(full.address, database, tmp_path / "again.dump")

    @pytest.mark.parametrize("when", ["saving", "reading back task"])
    def test_a_backup_has_no_name(self, when: str, full: Registry, tmp_path: Path) -> None:
        path = tmp_path / "b.dump"
        killed(full.address, path, "backup", when)
        assert not path.exists() and all(one.name.endswith(".part") for one in tmp_path.iterdir())
        backup.backup(full.address, path)


def test_a_server_that_is_killed_in_the_middle_is_empty_when_it_comes_back(saved: Path, tmp_path: Path) -> None:
    server = Embedded(tmp_path / "own")
    server.start()

    def step(what: str, done: int, total: int) -> None:
        if what == "making indexes" and done == total // 2:
            quit_at_once(server, signal.SIGKILL)

    with pytest.raises(FacadeError, match="the database went away"):
        backup.restore(server.address(), saved, step)
    server.start()
    assert is_empty(server.address())
    backup.restore(server.address(), saved)
    quit_at_once(server)


def test_two_that_restore_at_once(saved: Path, database: Address) -> None:
    told: list[object] = []

    def restore() -> None:
        try:
            told.append(backup.restore(database, saved))
        except FacadeError as error:
            told.append(error)

    threads = [threading.Thread(target=restore) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in told) == ["Label", "RefusedError"]


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    """A server of the oldest PostgreSQL that is on this machine."""
    found = min(binaries.find(), key=lambda one: one.major)
    if found.major == max(one.major for one in binaries.find()):
        pytest.skip("there is only one PostgreSQL on this machine")
    monkeypatch.setenv("FACADE_PG_BINDIR", str(found.folder))
    server = Embedded(tmp_path / "older")
    server.start()
    yield server
    quit_at_once(server)


def test_an_older_server_takes_what_a_newer_one_had(saved: Path, older: Embedded, tmp_path: Path) -> None:
    label = backup.restore(older.address(), saved)
    assert backup.backup(older.address(), tmp_path / "back.dump").tally == label.tally


@pytest.fixture
def plain_login(tmp_path: Path) -> Callable[[Address, bool], Address]:
    """Makes an account that may make no roles, and the owner of a database if it is to be."""

    def make(address: Address, owner: bool) -> Address:
        name = address.url.rpartition("/")[2] + "_plain"
        rows(address, f"create role {name} login password 'secret' in role pg_read_all_data")
        if owner:
            rows(address, f"alter database {name.removesuffix('_plain')} owner to {name}")
        write_passfile(tmp_path / "plain.pgpass", ["*"], name, "secret")
        return Address(address.url.replace("facade_owner", name), tmp_path / "plain.pgpass")

    return make


def test_an_account_that_may_make_no_roles(
    saved: Path, database: Address, tmp_path: Path, plain_login: Callable[[Address, bool], Address]
) -> None:
    mine = plain_login(database, True)
    label = backup.restore(mine, saved)
    with Registry.open(mine) as opened:
        assert "there are no roles" in opened.roles().problems[0]
        assert opened.ingest("raws", FILETYPES, [raw("new.fits", visit=1)]).new == 1
    again = backup.backup(mine, tmp_path / "again.dump")
    assert again.tally["desfile"].rows == label.tally["desfile"].rows + 1


class TestMove:
    def test_the_registry_goes_on_elsewhere_and_the_old_one_says_where(
        self, full: Registry, database: Address, tmp_path: Path
    ) -> None:
        label = move(full.address, database, tmp_path / "b.dump")
        assert dump.read_label(tmp_path / "b.dump") == label
        with Registry.open(database) as there:
            there.upgrade()
            submit(there)
            assert len(there.attempts()) == 2
        with Registry.open(full.address) as late:
            with pytest.raises(RefusedError, match=f"this registry has moved to {database.url}"):
                late.upgrade()
            with pytest.raises(RefusedError, match="read-only transaction"):
                late.tag(1, "late", "me")
        with pytest.raises(RefusedError, match="this registry has moved to"):
            move(full.address, database, tmp_path / "c.dump")

    def test_attempts_that_run_keep_their_home(self, full: Registry, database: Address, tmp_path: Path) -> None:
        submit(full)
        with pytest.raises(RefusedError, match=r"attempts are not finished: Ht0_r11p02\n.*facade remove"):
            move(full.address, database, tmp_path / "b.dump")
        assert is_empty(database) and full.upgrade() and list(tmp_path.iterdir()) == []

    def test_attempts_that_run_are_called_by_their_names(
        self, full: Registry, database: Address, tmp_path: Path
    ) -> None:
        submit(full, attnum=100)
        with pytest.raises(RefusedError, match=r"attempts are not finished: Ht0_r11p100\n"):
            move(full.address, database, tmp_path / "b.dump")
        assert [one.name for one in full.attempts()] == ["Ht0_r11p100", "Ht0_r11p01"]

    def test_who_cannot_close_the_old_home_does_not_move_it(
        self, full: Registry, database: Address, tmp_path: Path, plain_login: Callable[[Address, bool], Address]
    ) -> None:
        with pytest.raises(RefusedError, match="belongs to somebody else, so it cannot be closed"):
            move(plain_login(full.address, False), database, tmp_path / "b.dump")
        assert is_empty(database)

    def test_a_new_home_that_fails_leaves_the_old_one_as_it_was(
        self, full: Registry, database: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backup, "_fill", lambda *_: (_ for _ in ()).throw(RegistryError("no room")))
        with pytest.raises(RegistryError, match="no room"):
            move(full.address, database, tmp_path / "b.dump")
        assert is_empty(database)
        full.tag(1, "still", "me")

    def test_who_writes_for_long_is_told_of(
        self, full: Registry, database: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backup, "PATIENCE", 1)
        with backup.opened(full.address) as cursor:
            cursor.execute("insert into proctag (tag, pfw_attempt_id, added_by) values ('slow', 1, 'me')")
            with pytest.raises(RefusedError, match="somebody has been writing to the registry for 1 s"):
                move(full.address, database, tmp_path / "b.dump")
        assert is_empty(database) and [one.tags for one in full.attempts()] == [("slow",)]

    def test_nothing_is_written_to_the_old_home_meanwhile(
        self, full: Registry, database: Address, tmp_path: Path
    ) -> None:
        """Who comes with something new while it lasts is sent away; what the new home has is all there is."""
        told: list[BaseException] = []

        def late() -> None:
            try:
                with Registry.open(full.address) as own:
                    own.ingest("late", FILETYPES, [raw("late.fits", visit=1)])
            except FacadeError as error:
                told.append(error)

        writer = threading.Thread(target=late)

        def step(what: str, done: int, total: int) -> None:
            if what.startswith("making indexes") and not writer.ident:
                writer.start()
                while not rows(full.address, "select 1 from pg_locks where not granted"):
                    time.sleep(0.02)

        move(full.address, database, tmp_path / "b.dump", step)
        writer.join()
        assert len(told) == 1
        assert rows(full.address, "select 1 from desfile where filename = 'late.fits'") == []

    def test_a_move_that_was_cut_short_before_its_last_step_is_ended_by_saying_it_again(
        self, full: Registry, database: Address, tmp_path: Path, cut_short: Path
    ) -> None:
        label = move(full.address, database, tmp_path / "again.dump")
        assert label.tally == dump.read_label(cut_short).tally
        with Registry.open(database) as there:
            submit(there)
        with pytest.raises(RefusedError, match=f"this registry has moved to {database.url}"):
            full.upgrade()
        with pytest.raises(RefusedError, match=f"this registry has moved to {database.url}"):
            move(database, full.address, tmp_path / "back.dump")

    @pytest.mark.usefixtures("cut_short")
    def test_a_registry_that_went_on_meanwhile_is_not_taken_for_the_same(
        self, full: Registry, database: Address, tmp_path: Path
    ) -> None:
        full.tag(1, "new", "me")
        with pytest.raises(RefusedError, match=r"proctag has 0 rows instead of 1\n.*downgrade base --with-data"):
            move(full.address, database, tmp_path / "b.dump")
        full.tag(1, "still", "me")
        schema.downgrade(database, "base", with_data=True)
        assert move(full.address, database, tmp_path / "b.dump").tally["proctag"].rows == 2

    def test_a_registry_does_not_move_to_where_it_is(self, full: Registry, tmp_path: Path) -> None:
        same = Address(full.address.with_option("application_name", "other"), full.address.passfile)
        with pytest.raises(RefusedError, match=r"the registry is in the database at .* already"):
            move(full.address, same, tmp_path / "b.dump")
        full.tag(1, "still", "me")

    def test_a_new_home_that_can_only_be_read(
        self, full: Registry, database: Address, tmp_path: Path, cut_short: Path
    ) -> None:
        name = database.url.rpartition("/")[2]
        rows(database, f"alter database {name} set default_transaction_read_only = on")
        with pytest.raises(RefusedError, match="can only be read"):
            move(full.address, database, tmp_path / "b.dump")
        full.tag(1, "still", "me")


@pytest.fixture
def cut_short(full: Registry, database: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The backup of a move that was killed when the new registry was there, and the old one not closed."""
    path = tmp_path / "first.dump"
    with monkeypatch.context() as patch:
        patch.setattr(moving, "_close", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            move(full.address, database, path)
    return path
