"""Real servers for archives, started and stopped by the session: two for WebDAV, one for S3."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True)
class WebServer:
    """A web server on ``port`` of this machine that serves what lies in ``folder``."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class S3Server:
    """An S3 server on ``port``; ``credentials`` is a file that has them."""

    port: int
    credentials: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, str]:
        return {"endpoint": self.endpoint, "credentials": str(self.credentials)}

    @cache  # noqa: B019 -- one server a session
    def client(self) -> Any:
        """Return a client of the library's, past facade."""
        import botocore.session

        session = botocore.session.Session()
        session.set_config_variable("credentials_file", str(self.credentials))
        return session.create_client("s3", region_name="us-east-1", endpoint_url=self.endpoint)


@contextlib.contextmanager
def serving(argv: list[str], folder: Path, port: int = 0) -> Iterator[int]:
    """Run a server (``PORT`` in *argv* is replaced) as long as the context lasts; give its port."""
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
    argv = [word.replace("PORT", str(port)) for word in argv]
    with open(folder / f"{port}.log", "wb") as log:
        process = subprocess.Popen([sys.executable, *argv], cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                ended = process.poll()
                assert ended is None and time.monotonic() < deadline, (folder / f"{port}.log").read_text()
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where servers keep their logs and files."""
    folder = Path(tempfile.mkdtemp(prefix="facade-servers."))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def webdav_server(server_folder: Path) -> Iterator[WebServer]:
    """WsgiDAV: knows no checksums, and keeps what it has of a PUT that was cut."""
    root = server_folder / "webdav"
    root.mkdir()
    settings = {
        "host": "127.0.0.1",
        "provider_mapping": {"/": str(root)},
        "simple_dc": {"user_mapping": {"*": True}},
        "server": "cheroot",
        "server_args": {"numthreads": 20},
        "verbose": 1,
        "logging": {"enable": False},
    }
    (server_folder / "wsgidav.json").write_text(json.dumps(settings))
    argv = ["-m", "wsgidav.server.server_cli", "--config", str(server_folder / "wsgidav.json"), "--port", "PORT"]
    with serving(argv, server_folder) as port:
        yield WebServer(port, root)


@pytest.fixture(scope="session")
def digest_server(server_folder: Path) -> Iterator[WebServer]:
    """A server that checks and tells checksums (RFC 9530), and wants a password for ``/secret``."""
    root = server_folder / "digest"
    root.mkdir()
    with serving([str(HERE / "digest_server.py"), str(root), "PORT"], server_folder) as port:
        yield WebServer(port, root)


NGINX = """
pid {here}/nginx.pid; error_log {here}/nginx.log; daemon off; {user}
events {{ }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {here}/nginx-body;
  proxy_temp_path {here}/nginx-1; fastcgi_temp_path {here}/nginx-2; uwsgi_temp_path {here}/nginx-3;
  scgi_temp_path {here}/nginx-4;
  server {{ listen 127.0.0.1:PORT; root {root}; location / {{ dav_methods PUT DELETE MKCOL MOVE; }} }}
}}
"""


@pytest.fixture(scope="session")
def nginx_server(server_folder: Path) -> Iterator[WebServer]:
    """What many archives are, where it is installed."""
    root, settings = server_folder / "nginx", server_folder / "nginx.conf"
    root.mkdir()
    user = "user root;" if os.getuid() == 0 else ""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    settings.write_text(NGINX.format(here=server_folder, root=root, user=user).replace("PORT", str(port)))
    code = (
        f"import os; os.execlp('nginx', 'nginx', '-e', 'stderr', '-p', {str(server_folder)!r}, '-c', {str(settings)!r})"
    )
    with serving(["-c", code], server_folder, port):
        yield WebServer(port, root)


@pytest.fixture(scope="session")
def s3_server(server_folder: Path) -> Iterator[S3Server]:
    """Moto: S3 in memory; looks at no checksums."""
    credentials = server_folder / "aws"
    credentials.write_text("[default]\naws_access_key_id = someone\naws_secret_access_key = something\n")
    credentials.chmod(0o600)
    environ = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
    try:
        with serving(["-m", "moto.server", "-p", "PORT"], server_folder) as port:
            yield S3Server(port, credentials)
    finally:
        os.environ.update(environ)
