"""Connections over TLS, to a server with a certificate of our own making: what the URL asks for holds for jobs too."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from database import quit_at_once, submit

from facade.errors import RegistryError
from facade.registry import binaries
from facade.registry.address import Address
from facade.registry.connection import Session, connect
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.site import Site

pytest_plugins = ["database"]
SECURE = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"


@dataclass(frozen=True)
class Secured:
    """A server that takes clients over TLS only, and the certificates of two authorities: its own, and another."""

    address: Address
    authority: Path
    stranger: Path

    def asking(self, **options: object) -> Address:
        url = self.address.url.replace("127.0.0.1", "localhost")
        for key, value in options.items():
            url = Address(url).with_option(key, str(value))
        return replace(self.address, url=url)


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def certificates(folder: Path) -> None:
    for name in ("authority", "stranger"):
        subject = ("-subj", f"/CN={name}", "-days", "2", "-nodes")
        openssl(
            folder, "req", "-x509", "-newkey", "rsa:2048", "-keyout", f"{name}.key", "-out", f"{name}.pem", *subject
        )
    openssl(
        folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=x"
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    able = [found for found in binaries.find() if _speaks_tls(found.folder)]
    if not able or not shutil.which("openssl"):
        pytest.skip("no PostgreSQL with TLS, or no openssl, on this machine")
    folder = tmp_path_factory.mktemp("tls")
    certificates(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACADE_PG_BINDIR", str(able[0].folder))
        server = Embedded(folder / "home")
        server.start()
        server.stop()
        for name in ("server.pem", "server.key"):
            shutil.copy(folder / name, server.data / name)
            owner = server.data.stat()
            shutil.chown(server.data / name, owner.st_uid, owner.st_gid)
            (server.data / name).chmod(0o600)
        access = server.data / "pg_hba.conf"
        access.write_text(re.sub(r"^host ", "hostssl ", access.read_text(), flags=re.M))
        with (server.data / "facade.conf").open("a") as file:
            file.write("ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n")
        server.start()
        yield Secured(server.address(), folder / "authority.pem", folder / "stranger.pem")
        quit_at_once(server)


def _speaks_tls(folder: Path) -> bool:
    return (
        b"ssl_cert_file" in (folder / "postgres").read_bytes() and b"SSL_CTX_new" in (folder / "postgres").read_bytes()
    )


def test_a_certificate_is_checked_if_the_url_says_so(secured: Secured) -> None:
    address = secured.asking(sslmode="verify-full", sslrootcert=secured.authority)
    with closing(connect(address)) as found, found.cursor() as cursor:
        cursor.execute(SECURE)
        assert (cursor.fetchone() or {})["ssl"] is True
    for options, said in (
        ({"sslmode": "verify-full", "sslrootcert": secured.stranger}, "certificate verify failed"),
        ({"sslmode": "verify-full", "sslrootcert": "/nowhere"}, "/nowhere"),
        ({"sslmode": "disable"}, "no pg_hba.conf entry|no encryption"),
    ):
        with pytest.raises(RegistryError, match=said):
            connect(secured.asking(**options), timeout=2)
    with pytest.raises(RegistryError, match="does not match host name"):
        connect(replace(address, url=address.url.replace("localhost", "127.0.0.1")), timeout=2)


def test_jobs_and_questions_come_by_the_same_way(secured: Secured, tmp_path: Path) -> None:
    with Registry.open(secured.asking(sslmode="verify-full", sslrootcert=secured.authority)) as registry:
        registry.upgrade()
        assert registry.roles().problems == ()
        assert registry.run_sql(SECURE.replace("ssl, version", "ssl, current_user::text")).rows == (
            (True, "facade_reader"),
        )
        ids = submit(registry)
        address = registry.address_for_jobs("a", ids.attempt_id, tmp_path)
        assert "sslmode=verify-full" in address.url and f"sslrootcert={secured.authority}" in address.url
        with closing(Session(address)) as job:
            assert job.connection().info.ssl_in_use


def test_certificates_go_along_with_jobs_that_do_not_see_them(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passfile = secured.address.passfile
    assert passfile is not None
    brought, files = secured.asking(sslmode="verify-full", sslrootcert=secured.authority).taken_along()
    assert files == [secured.authority, passfile]
    for file in files:
        shutil.copy(file, tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    assert str(brought.passfile) == passfile.name and "sslrootcert=authority.pem" in brought.url
    with closing(connect(brought)) as found:
        assert found.info.ssl_in_use


def test_a_service_file_says_the_rest(secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = secured.address.url.rpartition(":")[2].partition("/")[0]
    services = tmp_path / "services.conf"
    rest = f"sslmode=verify-full\nsslrootcert={secured.authority}\n"
    services.write_text(f"[sky]\nhost=localhost\nport={port}\nuser=facade_owner\ndbname=facade\n{rest}")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGPASSFILE", str(secured.address.passfile))
    site = Site.here({"FACADE_HOME": str(tmp_path), "FACADE_DB": "service=sky"})
    assert site.database == "service=sky"
    address = Address.parse(site.database, tmp_path)
    assert address == Address("postgresql://?service=sky") and address.place == "service sky"
    with Registry.open(address) as registry:
        registry.upgrade()
        jobs = registry.address_for_jobs("a", None, tmp_path)
    assert jobs.url.startswith(f"postgresql://facade_job@localhost:{port}/facade?") and "service" not in jobs.url
    assert f"sslrootcert={secured.authority}" in jobs.url and "sslmode=verify-full" in jobs.url
