"""What verified copies cost: each kind of archive against the bare movement of the same bytes, in the same run.

    python bench/transfer.py [--size 128] [--files 300] [--rounds 3]

One file of so many MB, and so many files of 48 kB, are stored and fetched again. Bare are ``cp``, ``cp`` with ``sync``,
``sha256sum``, and for servers GET and PUT (get_object, put_object) by the library that facade uses, nothing verified.
Servers run on this machine: the small one of the tests that knows checksums, WsgiDAV, which does not, so that all is
read back, and Moto, which is S3 written in Python. Rounds are paired; medians are shown.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from archive_servers import S3Server, serving  # noqa: E402

from facade.archive import Archive, open_archive  # noqa: E402

MB = 1_000_000
SMALL = 48_000
Rates = dict[str, list[float]]


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


class Load:
    """The files that are moved."""

    def __init__(self, folder: Path, size: int, files: int) -> None:
        self.folder, self.size = folder, size
        self.large, self.small = folder / "large", [folder / f"small{n}" for n in range(files)]
        self.large.write_bytes(os.urandom(size * MB))
        for path in self.small:
            path.write_bytes(os.urandom(SMALL))

    def timed(self, name: str, rates: Rates, move: Callable[[Path, str], object]) -> None:
        """Note MB/s of the large file and files/s of the small ones, each moved by ``move(path, name)``."""
        prefix = f"{name}{len(rates.get(name, []))}"
        rates.setdefault(name, []).append(self.size / seconds(lambda: move(self.large, f"{prefix}/large")))
        took = seconds(lambda: [move(path, f"{prefix}/{path.name}") for path in self.small])
        rates.setdefault(f"{name}_files", []).append(len(self.small) / took)


def bare_local(load: Load, rates: Rates, here: Path) -> None:
    """Measure cp, cp with sync, and sha256sum: one process for all the small files."""

    def run(*argv: object) -> None:
        subprocess.run([str(word) for word in argv], check=True, stdout=subprocess.DEVNULL)

    def copy(*paths: Path, sync: bool) -> float:
        out = here / "bare"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return seconds(lambda: (run("cp", *paths, out), sync and run("sync", "-f", out)))

    for name, sync in (("cp", False), ("cp_sync", True)):
        rates.setdefault(name, []).append(load.size / copy(load.large, sync=sync))
        rates.setdefault(f"{name}_files", []).append(len(load.small) / copy(*load.small, sync=sync))
    rates.setdefault("sha256sum", []).append(load.size / seconds(lambda: run("sha256sum", load.large)))
    took = seconds(lambda: run("sha256sum", *load.small))
    rates.setdefault("sha256sum_files", []).append(len(load.small) / took)


def bare_http(load: Load, rates: Rates, kind: str, url: str) -> None:
    """Measure PUT and GET on one connection, without a look at what arrives."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, blocksize=1 << 20)

    def ask(method: str, path: str, body: Any = None, length: int = 0) -> None:
        connection.request(method, f"{place.path}/{path}", body=body, headers={"Content-Length": str(length)})
        reply = connection.getresponse()
        while reply.read(1 << 20):
            pass
        assert reply.status < 300 or reply.status == 405, (method, path, reply.status)

    def put(path: Path, name: str) -> None:
        with open(path, "rb") as file:
            ask("PUT", name.replace("/", "-"), file, path.stat().st_size)

    load.timed(f"{kind}_bare_put", rates, put)
    prefix = f"{kind}_bare_put{len(rates[f'{kind}_bare_put']) - 1}-"
    load.timed(f"{kind}_bare_get", rates, lambda path, name: ask("GET", prefix + name.partition("/")[2]))


def bare_s3(load: Load, rates: Rates, client: Any, bucket: str) -> None:
    """Measure put_object and get_object."""

    def put(path: Path, name: str) -> None:
        with open(path, "rb") as file:
            client.put_object(Bucket=bucket, Key=name, Body=file)

    load.timed("s3_bare_put", rates, put)
    prefix = f"s3_bare_put{len(rates['s3_bare_put']) - 1}/"

    def get(_: Path, name: str) -> None:
        body = client.get_object(Bucket=bucket, Key=prefix + name.partition("/")[2])["Body"]
        while body.read(1 << 20):
            pass

    load.timed("s3_bare_get", rates, get)


def verified(load: Load, rates: Rates, kind: str, archive: Archive, here: Path) -> None:
    """Measure store and fetch of facade; checksums are known, as they are in jobs."""
    known = {path: archive_content(path) for path in (load.large, *load.small)}
    load.timed(f"{kind}_store", rates, lambda path, name: archive.store(path, name, known[path].checksum))
    prefix = f"{kind}_store{len(rates[f'{kind}_store']) - 1}/"
    out = here / "fetched"
    shutil.rmtree(out, ignore_errors=True)

    def fetch(path: Path, name: str) -> None:
        content = known[path]
        archive.fetch(prefix + path.name, out / name, content.size, content.checksum)

    load.timed(f"{kind}_fetch", rates, fetch)


def archive_content(path: Path) -> Any:
    from facade.archive import content_of

    return content_of(path)


@contextmanager
def places(folder: Path) -> Iterator[dict[str, Any]]:
    """Start the servers; give what is to be measured by kind."""
    with ExitStack() as stack:
        digest, dav = folder / "digest", folder / "webdav"
        local = folder / "local"
        for one in (digest, dav, local):
            one.mkdir()
        port = stack.enter_context(serving([str(ROOT / "tests/digest_server.py"), str(digest), "PORT"], folder))
        settings = {
            "host": "127.0.0.1", "provider_mapping": {"/": str(dav)}, "simple_dc": {"user_mapping": {"*": True}},
            "server": "cheroot", "verbose": 1, "logging": {"enable": False},
        }  # fmt: skip
        (folder / "wsgidav.json").write_text(json.dumps(settings))
        argv = ["-m", "wsgidav.server.server_cli", "--config", str(folder / "wsgidav.json"), "--port", "PORT"]
        dav_port = stack.enter_context(serving(argv, folder))
        credentials = folder / "aws"
        credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
        credentials.chmod(0o600)
        s3 = S3Server(stack.enter_context(serving(["-m", "moto.server", "-p", "PORT"], folder)), credentials)
        s3.client().create_bucket(Bucket="bench")
        yield {
            "local": str(local),
            "http": f"http://127.0.0.1:{port}",
            "webdav": f"http://127.0.0.1:{dav_port}",
            "s3": s3,
        }


def measure(load: Load, rounds: int, folder: Path) -> Rates:
    """Measure everything so many times."""
    rates: Rates = {}
    with places(folder) as there:
        s3 = there["s3"]
        archives = {kind: open_archive("home", there[kind]) for kind in ("local", "http", "webdav")}
        archives["s3"] = open_archive("home", "s3://bench/x", s3.options)
        for _ in range(rounds):
            bare_local(load, rates, folder)
            for kind, archive in archives.items():
                if kind == "s3":
                    bare_s3(load, rates, s3.client(), "bench")
                elif kind != "local":
                    bare_http(load, rates, kind, there[kind])
                verified(load, rates, kind, archive, folder)
    return rates


def main() -> None:
    """Measure and print; the last lines are one JSON object per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=128, help="of the large file, in MB")
    parser.add_argument("--files", type=int, default=300, help="small files")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="facade-bench."))
    try:
        (folder / "load").mkdir()
        rates = measure(Load(folder / "load", options.size, options.files), options.rounds, folder)
    finally:
        shutil.rmtree(folder)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{'':22} {'MB/s':>8} {'files/s':>8}")
    for name in (name for name in middle if not name.endswith("_files")):
        print(f"{name:22} {middle[name]:8.0f} {middle[f'{name}_files']:8.0f}")
    for kind in ("local", "http", "webdav", "s3"):
        for way, bare in (("store", "put"), ("fetch", "get")):
            for unit, suffix, n in (("MB/s", "", options.size), ("files/s", "_files", options.files)):
                least = ("cp_sync" if way == "store" else "cp") if kind == "local" else f"{kind}_bare_{bare}"
                peers = {name: round(middle[name + suffix], 1) for name in ("cp", "sha256sum")}
                told = {
                    "name": f"transfer_{kind}_{way}{suffix}",
                    "value": round(middle[f"{kind}_{way}{suffix}"], 1),
                    "unit": unit,
                    "floor": round(middle[least + suffix], 1),
                    "peers": peers,
                    "n": n,
                }
                print(json.dumps(told))


if __name__ == "__main__":
    main()
