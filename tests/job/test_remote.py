"""Receipts on the submit host, by a chirp that is there, that is not, and that comes back."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facade.job import remote
from facade.job.chirp import Chirp, NoChirpError
from facade.job.remote import SubmitHost


class Shadow(socketserver.ThreadingTCPServer):
    """Answers as HTCondor's starter does, with the files of *home*; the next *broken* requests find nobody."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, home: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.home, self.broken, self.cut_after, self.forbidden = home, 0, False, False
        self.requests: list[str] = []
        self.spared = {"cookie"}
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def chirp(self) -> Chirp:
        return Chirp("127.0.0.1", self.server_address[1], "biscuit")


class Answering(socketserver.StreamRequestHandler):
    server: Shadow

    def handle(self) -> None:
        self.files: dict[int, Any] = {}
        while line := self.rfile.readline().decode().split():
            self.server.requests.append(line[0])
            data = self.rfile.read(int(line[2])) if line[0] == "pwrite" else b""
            if self.server.broken and line[0] not in self.server.spared:
                self.server.broken -= 1
                if self.server.cut_after:
                    self.answer(line, data)  # done, but nobody learns of it
                return
            self.wfile.write(self.answer(line, data))

    def answer(self, line: list[str], data: bytes) -> bytes:
        if self.server.forbidden and line[0] == "open":
            return b"-2\n"
        try:
            return self.done(line, data)
        except FileNotFoundError:
            return b"-3\n"
        except FileExistsError:
            return b"-4\n"

    def done(self, line: list[str], data: bytes) -> bytes:
        match line:
            case ["cookie", text]:
                return b"0\n" if text == "biscuit" else b"-1\n"
            case ["access", ".", "4"]:
                return b"0\n"
            case ["open", name, how, _]:
                handle = len(self.files) + 3
                self.files[handle] = (self.server.home / name).open({"r": "rb", "w": "r+b", "wcx": "xb"}[how])
                return f"{handle}\n65024 1 33188 1 1 1 0 0 4096 0 1 1 1\n".encode()
            case ["read", handle, size]:
                found = self.files[int(handle)].read(int(size))
                return f"{len(found)}\n".encode() + found
            case ["pwrite", handle, size, offset]:
                self.files[int(handle)].seek(int(offset))
                self.files[int(handle)].write(data)
                return f"{size}\n".encode()
            case ["fsync", handle]:
                self.files[int(handle)].flush()
                return b"0\n"
            case ["close", handle]:
                self.files.pop(int(handle)).close()
                return b"0\n"
        raise AssertionError(line)


@pytest.fixture
def shadow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shadow]:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.01)
    (tmp_path / "home/jobs/000").mkdir(parents=True)
    with Shadow(tmp_path / "home") as server:
        yield server
        server.shutdown()


def host(shadow: Shadow, top: Path, *, patience: float = 20, stopped: bool = False) -> SubmitHost:
    return SubmitHost(shadow.chirp(), top / "scratch", lambda: stopped, patience)


def test_what_matters_is_at_home_at_once_the_rest_with_it(shadow: Shadow, tmp_path: Path) -> None:
    folder = tmp_path / "scratch/jobs/000"
    shelf = host(shadow, tmp_path)
    receipt = shelf.create(folder, "j000007")
    home = shadow.home / "jobs/000/j000007.receipt.01.jsonl"
    receipt.write({"kind": "job-started", "text": "é\n" * 50_000})
    receipt.write({"kind": "quantum-state", "state": "staging"})
    assert len(home.read_text().splitlines()) == 1
    receipt.write({"kind": "outputs", "files": []})
    assert home.read_bytes() == (folder / home.name).read_bytes()
    assert [json.loads(line)["seq"] for line in home.read_text().splitlines()] == [1, 2, 3]
    again = host(shadow, tmp_path / "elsewhere")
    assert again.create(tmp_path / "elsewhere/scratch/jobs/000", "j000007").run == 2
    copies = again.files(tmp_path / "elsewhere/scratch/jobs/000", "j000007")
    assert [copy.read_bytes() for copy in copies] == [home.read_bytes(), b""]
    assert again.files(tmp_path / "elsewhere/scratch/jobs/001", "j001007") == []


@pytest.mark.parametrize("cut_after", [False, True])
def test_a_way_home_that_fails_for_a_while_loses_and_doubles_nothing(
    shadow: Shadow, tmp_path: Path, cut_after: bool
) -> None:
    """Whatever request is the first to fail, done or not."""
    for first in range(8):
        shelf = host(shadow, tmp_path / str(first))
        folder = tmp_path / f"{first}/scratch/jobs/000"
        receipt = shelf.create(folder, f"j{first:06}")
        receipt.write({"kind": "job-started"})
        shadow.cut_after = cut_after
        shadow.requests.clear()
        threading.Thread(target=breaking, args=(shadow, first)).start()
        for n in range(6):
            receipt.write({"kind": "stored", "n": n})
        shadow.broken = 0
        home = shadow.home / f"jobs/000/j{first:06}.receipt.01.jsonl"
        assert [json.loads(line)["seq"] for line in home.read_text().splitlines()] == list(range(1, 8))


def breaking(shadow: Shadow, after: int) -> None:
    while len(shadow.requests) < after:
        pass
    shadow.broken = 2


def test_a_number_whose_creation_was_not_answered_is_left_out(shadow: Shadow, tmp_path: Path) -> None:
    shadow.broken, shadow.cut_after = 1, True
    shadow.spared.add("access")
    assert host(shadow, tmp_path).create(tmp_path / "scratch/jobs/000", "j000001").run == 2


def test_no_way_home_at_all(shadow: Shadow, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "scratch/jobs/000"
    receipt = host(shadow, tmp_path, patience=0.1).create(folder, "j000001")
    shadow.broken = 1_000_000
    for _ in range(2):  # the second does not wait
        with pytest.raises(OSError):
            receipt.write({"kind": "outputs"})
    assert capsys.readouterr().err.count("trying again") == 1
    shadow.broken, shadow.forbidden = 0, True
    with pytest.raises(NoChirpError, match="does not allow it"):
        host(shadow, tmp_path).create(folder, "j000002")
    with pytest.raises(NoChirpError, match="not configured here"):
        Chirp.here({})


def test_files_with_passwords_that_came_along_are_taken(tmp_path: Path) -> None:
    (tmp_path / "netrc").touch()
    options = {"credentials": "/home/me/netrc", "ca_file": "/etc/ca.pem", "tries": "3"}
    assert remote.at_hand(options, tmp_path) == options | {"credentials": str(tmp_path / "netrc")}
