"""Addresses without secrets, and errors that say what to do."""

from __future__ import annotations

import datetime
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from database import sibling

from facade.errors import InputError, RegistryError
from facade.registry.connection import Address, UnreachableError, connect, engine, write_passfile
from facade.registry.embedded import Embedded

pytest_plugins = ["database"]


def test_a_password_moves_from_the_url_to_a_file_only_we_read(tmp_path: Path) -> None:
    address = Address.parse("postgres://me:p%3Aa%5Css@db.org:5433/sky?sslmode=require", tmp_path)
    assert address.url == "postgresql://me@db.org:5433/sky?sslmode=require"
    assert address.passfile is not None and address.passfile.read_text() == "*:*:*:me:p\\:a\\\\ss\n"
    assert stat.S_IMODE(address.passfile.stat().st_mode) == 0o600
    assert address.place == "db.org:5433/sky"
    hidden = Address.parse("postgresql://me@db.org/sky?password=secret&sslmode=require", tmp_path)
    assert "secret" not in repr(hidden) and hidden.url.endswith("/sky?sslmode=require")
    assert hidden.passfile is not None and "secret" in hidden.passfile.read_text()
    assert Address.parse("postgresql:///sky", tmp_path) == Address("postgresql:///sky")
    with pytest.raises(InputError, match="not the URL of a PostgreSQL database"):
        Address.parse("mysql://x", tmp_path)


@pytest.mark.parametrize("url", ["//me:pa#ss@db.org/sky", "//me:pa/ss@db.org/sky", "//me:pass@[::1/sky"])
def test_a_url_that_is_none_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    """What stands before a # or / in a password would be taken for the host otherwise, and shown."""
    with pytest.raises(InputError, match="the URL of the database cannot be read") as caught:
        Address.parse(f"postgresql:{url}", tmp_path)
    assert "pa" not in str(caught.value).replace("password", "") and list(tmp_path.iterdir()) == []


def test_a_password_in_the_url_opens_the_real_database(postgres: Embedded, tmp_path: Path) -> None:
    password = postgres.passfile.read_text().splitlines()[0].rpartition(":")[2]
    address = Address.parse(postgres.url().replace("@", f":{password}@"), tmp_path)
    connect(address).close()
    assert Address.received(address.environment()) == address and Address.received({}) is None
    assert password not in str(address.environment())


def test_what_refuses_says_what_to_do(postgres: Embedded, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1/x does not answer(.|\n)*facade db start"):
        connect(Address("postgresql://me@127.0.0.1:1/x"), timeout=2)
    wrong = tmp_path / "pgpass"
    wrong.write_text("*:*:*:*:wrong\n")
    wrong.chmod(0o600)
    with pytest.raises(RegistryError, match=r"refuses the login(.|\n)*see the password in"):
        connect(Address(postgres.url(), wrong))
    with pytest.raises(RegistryError, match='database "none" does not exist'):
        connect(sibling(postgres.address(), "none"))


def test_a_server_without_room_is_waited_for(database: Address, tmp_path: Path) -> None:
    place = database.url.rpartition("@")[2]
    small = Address(f"postgresql://small@{place}", tmp_path / "pgpass")
    write_passfile(small.passfile, ["*"], "small", "few")
    with closing(connect(database)) as owner, owner.cursor() as cursor:
        cursor.execute("create role small login password 'few' connection limit 1")
        try:
            first = connect(small)
            with pytest.raises(UnreachableError, match=r"has no room: .*too many connections(.|\n)*max_connections"):
                connect(small, patience=0)
            leaves = threading.Timer(1.0, first.close)
            leaves.start()
            start = time.monotonic()
            connect(small).close()
            assert 0.8 < time.monotonic() - start < 30
            leaves.join()
        finally:
            cursor.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'small'")
            cursor.execute("drop role small")


def test_driver_errors_come_out_of_sqlalchemy_as_ours(postgres: Embedded) -> None:
    with pytest.raises(RegistryError, match="facade db upgrade"), engine(postgres.address()).connect() as connection:
        connection.exec_driver_sql("select * from nothing")


def test_times_are_utc(postgres: Embedded) -> None:
    with closing(connect(postgres.address())) as connection, connection.cursor() as cursor:
        cursor.execute("show timezone")
        assert cursor.fetchone() == {"TimeZone": "UTC"}
        moment = "timestamptz '2026-11-20 15:20:00.5+00'"
        cursor.execute(
            f"set timezone = 'Asia/Tokyo'; select {moment} as a, array[{moment}] as b, null::timestamptz as c"
        )
        expected = datetime.datetime(2026, 11, 20, 15, 20, 0, 500000, tzinfo=datetime.UTC)
        row = cursor.fetchone()
    assert row == {"a": expected, "b": [expected], "c": None}
    assert (row["a"].tzinfo, row["b"][0].tzinfo) == (datetime.UTC, datetime.UTC)


def test_a_job_that_reports_pays_for_no_sqlalchemy() -> None:
    program = "import sys, facade.registry.reporter; print('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
