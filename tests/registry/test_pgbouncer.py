"""Behind a pooler in transaction mode: each transaction may meet another session of the server, and finds it bare.

A pooler harder than PgBouncer hands out, for each transaction, another of a few connections, from which everything that
a session can remember has been discarded.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from database import FILETYPES, Receipt, lineage, make_database, raw, submit
from psycopg2 import extensions

from facade.errors import InputError, RefusedError
from facade.registry import launch, roles, schema
from facade.registry.connection import Address, Connection, Session, connect
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.reporter import Reporter
from facade.states import State

pytest_plugins = ["database"]

PROGRAM = Path(__file__).resolve().parents[2] / ".tools/pgbouncer/pgbouncer"


@pytest.fixture
def own(postgres: Embedded, template: str) -> Address:
    """A database whose roles are its own."""
    address = make_database(postgres, template)
    schema.upgrade(address)
    return address


def main_paths(address: Address, folder: Path) -> None:
    """Do what operators, jobs and askers do."""
    with Registry.open(address) as registry:
        assert registry.upgrade() == schema.newest()
        registry.upgrade(rights=True)
        assert registry.roles().problems == ()
        registry.set_archive("home", "/archive")
        assert registry.ingest("raws", FILETYPES, [raw("raw1.fits", visit=1), raw("raw2.fits", visit=2)]).new == 2
        ids = submit(registry, quanta=4)
        jobs = registry.address_for_jobs("a", ids.attempt_id, folder)
        assert jobs.token
        reporter = Reporter(jobs)
        receipt = (
            Receipt(ids).started().quantum(1, used=["raw1.fits"]).quantum(2, used=["raw2.fits"]).quantum(3).failed(4)
        )
        for line in receipt.ended("failed").lines:
            reporter.put(line)
            time.sleep(0.01)  # several transactions
        assert reporter.close(60), reporter.error
        assert registry.report(receipt.id, receipt.lines) == len(receipt.lines)
        with Registry.open(jobs) as job:
            assert set(job.lookup([("raw1.fits", "")])) == {("raw1.fits", "")}
        registry.mark([ids.quanta[4]], State.REMOVED, "seen")
        registry.finish(ids.attempt_id, State.FAILED)
        registry.tag(ids.attempt_id, "T", "me")
        attempt = registry.attempt(ids.attempt_id)
        assert attempt is not None and attempt.tags == ("T",) and attempt.submittime.utcoffset() is not None
        assert [row["filename"] for row in lineage(registry, "calexp-1.fits")] == ["calexp-1.fits", "raw1.fits"]
        assert len(registry.overview(ids.attempt_id).failures) == 1
        found = registry.rows.files("raw", {"visit": 1})
        assert [row["filename"] for row in found] == ["raw1.fits"]
        assert registry.run_sql("select current_user::text ~ '_reader$' as reads").dicts() == [{"reads": True}]
        assert registry.run_sql("show timezone").rows in ((("UTC",),), (("Etc/UTC",),))
        assert registry.run_named("used-by", {"file": "raw1.fits"}).rows
        with pytest.raises(RefusedError):
            registry.run_sql("commit; delete from proctag")
        with pytest.raises(InputError):
            registry.run_sql("selct")
        registry.ensure_metadata_tables({"new": {"metadata_table": "new", "columns": {"a": {"type": "int"}}}})


class Pooled(Session):
    """A session as behind a pooler; a connection is asked for once for each transaction."""

    size = 3

    def connection(self) -> Connection:
        if not hasattr(self, "_pool"):
            self._pool = [connect(self.address) for _ in range(self.size)]
            self._turn = 0
        self._turn += 1
        self._connection = self._pool[self._turn % self.size]
        for one in self._pool:
            assert one.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE, "a transaction was left open"
        with self._connection.cursor() as cursor:
            cursor.execute("discard all")
        return self._connection

    def close(self) -> None:
        for one in self.__dict__.pop("_pool", []):
            one.close()


def test_nothing_relies_on_what_a_session_remembers(
    own: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("face", "reporter", "questions"):
        monkeypatch.setattr(f"facade.registry.{module}.Session", Pooled)
    main_paths(own, tmp_path)


@pytest.fixture
def pgbouncer(own: Address, postgres: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A PgBouncer in transaction mode before the server, with two server connections for each user."""
    if not PROGRAM.exists():
        if os.environ.get("CI"):
            pytest.fail("PgBouncer is missing: make pgbouncer")
        pytest.skip("PgBouncer is not here: make pgbouncer")
    folder = tmp_path_factory.mktemp("pgbouncer")
    how = launch.choose(folder)  # PgBouncer does not run as root either
    database, place = own.url.rpartition("/")[2], own.url.rpartition("@")[2].partition("/")[0]
    host, _, port = place.partition(":")
    with socket.socket() as probe:
        probe.bind((host, 0))
        free = probe.getsockname()[1]
    assert own.passfile is not None
    users = {"facade_owner": own.passfile.read_text().splitlines()[0].rpartition(":")[2]}
    with Registry.open(own) as registry:
        for kind in roles.LOGINS:
            found = roles.login(registry._session, kind)
            assert found is not None
            users[found.url.partition("//")[2].partition("@")[0]] = found.password
    (folder / "users").write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={host} port={port}\n[pgbouncer]\nlisten_addr = {host}\nlisten_port = {free}\n"
        f"auth_type = scram-sha-256\nauth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 2\n"
        f"logfile = {folder}/log\nunix_socket_dir =\nserver_reset_query_always = 1\n"
    )
    for path in (folder, *folder.iterdir()):
        how.own(path)
    process = subprocess.Popen([*how.before, str(PROGRAM), str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL)
    address = replace(own, url=own.url.replace(f":{port}/", f":{free}/"))
    passfile = folder / "pgpass"
    passfile.write_text(own.passfile.read_text())
    passfile.chmod(0o600)
    deadline = time.monotonic() + 20
    while True:
        try:
            connect(address).close()
            break
        except Exception:
            assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
    yield replace(address, passfile=passfile)
    process.terminate()
    process.wait(20)


def test_everything_works_through_pgbouncer(pgbouncer: Address, tmp_path: Path) -> None:
    main_paths(pgbouncer, tmp_path)


def test_many_clients_share_a_few_server_connections(pgbouncer: Address, tmp_path: Path) -> None:
    with Registry.open(pgbouncer) as registry:
        ids = submit(registry, quanta=20, jobs=20)
        registry.ensure_metadata_tables(FILETYPES)
        jobs = registry.address_for_jobs("a", ids.attempt_id, tmp_path)
        reporters = []
        for jobnum in range(1, 21):
            reporter = Reporter(jobs)
            for line in Receipt(ids, jobnum).started().quantum(jobnum).ended().lines:
                reporter.put(line)
            reporters.append(reporter)
        assert all([reporter.close(60) for reporter in reporters])
        assert set(registry.job_states(ids.attempt_id).values()) == {State.SUCCEEDED}
    with closing(Session(pgbouncer)) as session:
        used = session.rows(
            "select count(*) as n from pg_stat_activity where usename like '%_job' and datname = current_database()"
        )
    assert used[0]["n"] <= 2
