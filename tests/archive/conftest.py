"""One archive of each kind, empty, and the same behind a proxy that spoils what goes through it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from archive_servers import S3Server, WebServer
from faultproxy import FaultProxy, proxied

from facade.archive import Archive, open_archive

QUICK = {"pause": "0.02", "timeout": "5"}


@dataclass(frozen=True)
class Place:
    """An empty archive, and a way to look at it past facade."""

    kind: str
    root: str
    options: dict[str, str]
    folder: Path | None
    port: int = 0
    client: Any = None

    def open(self, **options: str) -> Archive:
        return open_archive("home", self.root, {**self.options, **options})

    def through(self, proxy: FaultProxy) -> Place:
        """Return the same archive as it is seen behind *proxy*."""
        if self.kind == "s3":
            return replace(self, options={**self.options, "endpoint": f"http://127.0.0.1:{proxy.port}"})
        return replace(self, root=self.root.replace(str(self.port), str(proxy.port)))

    def names(self) -> set[str]:
        """Return the names of all files that are there, those on their way too."""
        if self.folder is None:
            at = {"Bucket": self.bucket}
            found = self.client.list_objects_v2(**at).get("Contents", [])
            under_way = self.client.list_multipart_uploads(**at).get("Uploads", [])
            return {one["Key"].removeprefix("pre/fix/") for one in found} | {f"{one['Key']}.part" for one in under_way}
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def read(self, name: str) -> bytes:
        if self.folder is None:
            data: bytes = self.client.get_object(Bucket=self.bucket, Key=f"pre/fix/{name}")["Body"].read()
            return data
        return (self.folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Put a file there as somebody else would."""
        if self.folder is None:
            self.client.put_object(Bucket=self.bucket, Key=f"pre/fix/{name}", Body=data)
        else:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)

    def close(self) -> None:
        """Have the archive vanish, as a mount that is down."""
        if self.folder is not None:
            self.folder.rename(self.folder.with_name(self.folder.name + "-away"))
        else:
            for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
                self.client.delete_object(Bucket=self.bucket, Key=one["Key"])
            self.client.delete_bucket(Bucket=self.bucket)

    @property
    def bucket(self) -> str:
        return self.root.split("/")[2]


def made(kind: str, request: pytest.FixtureRequest) -> Place:
    """Return an empty archive of one kind."""
    unique = f"a-{uuid.uuid4().hex[:12]}"
    if kind == "local":
        folder: Path = request.getfixturevalue("tmp_path") / "home"
        folder.mkdir()
        return Place(kind, str(folder), dict(QUICK), folder)
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        client = server.client()
        client.create_bucket(Bucket=unique)
        return Place(kind, f"s3://{unique}/pre/fix", {**QUICK, **server.options}, None, server.port, client)
    web: WebServer = request.getfixturevalue(f"{kind}_server")
    (web.folder / unique).mkdir()
    return Place(kind, f"{web.url}/{unique}", dict(QUICK), web.folder / unique, web.port)


REMOTE = ["webdav", "digest", "s3"] + ["nginx"] * (shutil.which("nginx") is not None)
MUTE = ("digest", "nginx")
"""Servers that list no folders."""


@pytest.fixture(params=["local", *REMOTE])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty archive, of each kind in turn."""
    return made(request.param, request)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest) -> Place:
    """An empty archive, of each kind that is reached over a network."""
    return made(request.param, request)


@pytest.fixture
def proxy(remote: Place) -> Iterator[FaultProxy]:
    """A proxy of the server that `remote` lies on."""
    with proxied(remote.port) as found:
        yield found


@pytest.fixture
def behind(remote: Place, proxy: FaultProxy) -> Archive:
    """The archive `remote`, reached through `proxy`."""
    return remote.through(proxy).open()
