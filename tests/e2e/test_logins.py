"""As whom operators, jobs and questions log in; what the processes of jobs know of it, and what their programs do."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from database import sibling
from e2e.test_site import CAMPAIGN
from e2e.world import World
from pool import CondorPool

from facade.registry.connection import Address, connect
from facade.registry.embedded import Embedded

pytest_plugins = ["database"]
PASSWORD = "0wners-s3cret"
TELLS = (
    "c = 'env > ${file.out.fullname}; cat /proc/$PPID/environ >> ${file.out.fullname};"
    " while test -e FLAG; do sleep 0.1; done'"
)


@pytest.fixture
def site(tmp_path: Path, postgres: Embedded) -> Iterator[World]:
    """A database elsewhere, of one who may make roles, reached by a service file; its password is in PGPASSWORD."""
    name = f"logins_{time.monotonic_ns()}"
    with closing(connect(sibling(postgres.address(), "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"create role {name} login createrole password '{PASSWORD}'")
        cursor.execute(f"create database {name} owner {name}")
    host, _, port = postgres.url().rpartition("@")[2].partition("/")[0].partition(":")
    services = tmp_path / "services.conf"
    services.write_text(f"[sky]\nhost={host}\nport={port}\nuser={name}\ndbname={name}\n")
    (tmp_path / "campaign.wcl").write_text(CAMPAIGN)
    where = {"FACADE_DB": "service=sky", "PGSERVICEFILE": str(services), "PGPASSWORD": PASSWORD}
    yield World(tmp_path, where)
    with closing(connect(sibling(postgres.address(), "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"drop database {name} with (force)")


def campaign(site: World, flag: Path) -> Path:
    path = site.home / "campaign.wcl"
    path.write_text(CAMPAIGN.replace("c = 'echo hello > ${file.out.fullname}'", TELLS.replace("FLAG", str(flag))))
    return path


@pytest.mark.parametrize("engine", ["local", "htcondor"])
def test_jobs_log_in_as_themselves_and_know_no_owners_password(
    site: World, engine: str, request: pytest.FixtureRequest
) -> None:
    flag = site.home / "flag"
    flag.touch()
    if engine == "htcondor":
        pool: CondorPool = request.getfixturevalue("condor_pool")
        path = site.env()["PATH"] + ":" + pool.env["PATH"]
        site = site.with_environment({"CONDOR_CONFIG": pool.env["CONDOR_CONFIG"], "PATH": path})
    site.facade("submit", campaign(site, flag), "--engine", engine)
    deadline = time.monotonic() + 120
    running = "select count(*) as n from task where kind = 'quantum' and state = 'running'"
    while site.rows(running) == [{"n": 0}]:  # nobody reads receipts meanwhile: a job told it
        assert time.monotonic() < deadline
        time.sleep(0.2)
    flag.unlink()
    while (state := site.json("stat", "u_1_r3p01")["attempt"]["state"]) not in ("succeeded", "failed", "lost"):
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    assert state == "succeeded"
    told = [path.read_bytes() for path in (site.home / "archive").rglob("hello-*")]
    assert len(told) == 2
    for text in told:
        program, _, process = text.partition(b"\0")[0].rpartition(b"\n")
        process += text.partition(b"\0")[2]
        variables = dict(one.partition(b"=")[::2] for one in process.split(b"\0"))
        assert b"_job@127.0.0.1:" in variables[b"FACADE_DB"] and b"password" not in variables[b"FACADE_DB"]
        assert not {b"PGPASSWORD", b"PGSERVICE", b"PGSERVICEFILE"} & set(variables)
        assert PASSWORD.encode() not in text and b"PGPASSFILE" not in program and b"FACADE_DB" not in program
        passfile = Path(variables[b"PGPASSFILE"].decode())
        assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
        assert passfile.parent == site.home / "credentials" and PASSWORD not in passfile.read_text()
        secret = passfile.read_text().strip().rpartition(":")[2].encode()
        assert secret not in text
    files = [path for path in site.home.rglob("*") if path.is_file() and "credentials" not in path.parts]
    assert len(files) > 5
    for path in files:
        assert secret not in path.read_bytes() and PASSWORD.encode() not in path.read_bytes()


def test_status_and_upgrade_tell_who_logs_in(site: World) -> None:
    said = site.facade("db", "upgrade").stderr
    assert "jobs log in as logins_" in said and "_job, questions as logins_" in said
    done = site.facade("db", "status")
    assert "service sky: PostgreSQL" in done.stdout and "jobs log in as" in done.stderr
    assert site.facade("db", "url").stdout == "postgresql://?service=sky\n"
    assert site.facade("db", "psql", "-Atc", "select current_user").stdout.startswith("logins_")
    reading = site.facade("db", "url", "--reader").stdout.strip()
    with closing(connect(Address(reading))) as connection:
        assert connection.info.user.endswith("_reader")
    passfile = site.home / "mine.pgpass"
    passfile.write_text(f"*:*:*:*:{PASSWORD}\n")
    passfile.chmod(0o600)
    own = site.with_environment({"PGPASSFILE": str(passfile), "PGPASSWORD": ""})
    told = own.facade("db", "url").stdout.strip()
    assert told == f"postgresql://?service=sky&passfile={passfile}"
    assert own.facade("db", "psql", "-Atc", "select 1").stdout == "1\n"
    assert site.rows("select current_user::text ~ '_reader$' as reads") == [{"reads": True}]
    assert (
        "may only read what readers may: permission denied"
        in site.facade("sql", "-c", "select password from role_login", code=4).stderr
    )
