"""Networks and servers that fail: each fault is survived, or told for what it is; no wrong file ever has a name."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archive.conftest import MUTE, Place
from archive_servers import WebServer
from faultproxy import FaultProxy

from facade.archive import Archive, Content, content_of, open_archive
from facade.errors import InputError, MissingInputError, TransferError

DATA = os.urandom(3 << 20)
SUM = hashlib.sha256(DATA).hexdigest()
MIDDLE = len(DATA) // 2


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_fetch_that_is_cut_goes_on_where_it_was(
    remote: Place, behind: Archive, proxy: FaultProxy, tmp_path: Path, kind: str
) -> None:
    remote.write("c.bin", DATA)
    proxy.arm(kind, after=MIDDLE)
    found = behind.fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM)
    assert found.content == content_of(tmp_path / "c.bin") == Content(len(DATA), SUM)
    assert proxy.left == 0 and found.tries == 2
    if kind == "cut":
        assert len(DATA) <= proxy.down < len(DATA) * 1.2, "what had come was not fetched again"


def test_a_fetch_is_cut_again_and_again(remote: Place, behind: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    remote.write("c.bin", DATA)
    proxy.arm("cut", after=MIDDLE // 2, times=4)
    assert behind.fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM).tries == 5
    assert content_of(tmp_path / "c.bin").checksum == SUM
    proxy.arm("cut", after=100, times=99)
    with pytest.raises(TransferError, match=r"tried 5 times"):
        behind.fetch("c.bin", tmp_path / "d.bin", len(DATA), SUM)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.bin"]


def test_an_altered_fetch_is_noticed_and_made_again(
    remote: Place, behind: Archive, proxy: FaultProxy, tmp_path: Path
) -> None:
    remote.write("c.bin", DATA)
    proxy.arm("flip", after=MIDDLE)
    found = behind.fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM)
    assert proxy.left == 0 and found.tries == 2 and content_of(tmp_path / "c.bin").checksum == SUM


def test_a_file_that_is_altered_in_the_archive_is_told_to_be(remote: Place, behind: Archive, tmp_path: Path) -> None:
    remote.write("c.bin", DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(TransferError, match="it is the archive's file that is wrong"):
        behind.fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM)
    assert list(tmp_path.iterdir()) == []


def test_silence_ends(remote: Place, proxy: FaultProxy, tmp_path: Path) -> None:
    remote.write("c.bin", DATA)
    proxy.arm("stall", after=MIDDLE)
    started = time.monotonic()
    found = remote.through(proxy).open(timeout="0.5").fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM)
    assert found.tries == 2 and 0.5 < time.monotonic() - started < 4
    assert content_of(tmp_path / "c.bin").checksum == SUM


@pytest.mark.parametrize("status", ["500 Oh", "503 Busy", "429 Slowly"])
def test_an_answer_of_not_now_is_waited_for(
    remote: Place, behind: Archive, proxy: FaultProxy, source: Path, tmp_path: Path, status: str
) -> None:
    proxy.answer(status, times=2)
    behind.store(source, "a/c.bin", SUM)
    assert proxy.left == 0 and remote.read("a/c.bin") == DATA and remote.names() == {"a/c.bin"}
    proxy.answer(status, times=3)
    assert behind.fetch("a/c.bin", tmp_path / "c.bin", len(DATA), SUM).tries == 4


def test_a_server_says_how_long_to_wait(behind: Archive, remote: Place, proxy: FaultProxy, tmp_path: Path) -> None:
    if remote.kind == "s3":
        pytest.skip("S3 asks to slow down, and does not say for how long")
    remote.write("c", DATA)
    proxy.answer("503 Busy", headers="Retry-After: 1\r\n")
    started = time.monotonic()
    behind.fetch("c", tmp_path / "c", len(DATA), SUM)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("status", ["401 Who", "403 Not you", "405 No"])
def test_a_refusal_is_told_at_once(
    remote: Place, behind: Archive, proxy: FaultProxy, source: Path, tmp_path: Path, status: str
) -> None:
    remote.write("c.bin", DATA)
    for action in (
        lambda: behind.fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM),
        lambda: behind.store(source, "d.bin", SUM),
        lambda: behind.stat("c.bin"),
    ):
        proxy.answer(status, times=9)
        with pytest.raises(TransferError, match=status[:3]) as caught:
            action()
        assert proxy.left == 8 and "tried" not in caught.value.message


def test_a_missing_file_is_asked_for_once(behind: Archive, remote: Place, proxy: FaultProxy, tmp_path: Path) -> None:
    behind.stat("nothing")
    before = proxy.up
    with pytest.raises(MissingInputError):
        behind.fetch("nothing", tmp_path / "x", 1, SUM)
    assert proxy.up - before < 2000


def test_nobody_answers(remote: Place, proxy: FaultProxy, source: Path) -> None:
    proxy.close()
    with pytest.raises(TransferError, match="tried 3 times"):
        remote.through(proxy).open(tries="3").store(source, "c.bin", SUM)


@pytest.mark.parametrize("kind", ["cut", "reset", "flip"])
def test_a_store_that_is_cut_or_altered_is_made_again(
    remote: Place, behind: Archive, proxy: FaultProxy, source: Path, kind: str
) -> None:
    proxy.arm(kind, up=True, after=MIDDLE)
    found = behind.store(source, "a/c.bin", SUM)
    assert proxy.left == 0 and found.tries == 2
    assert remote.names() == {"a/c.bin"} and remote.read("a/c.bin") == DATA


def test_parts_that_have_arrived_are_not_sent_again(
    remote: Place, behind: Archive, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if remote.kind != "s3":
        pytest.skip("a cut PUT starts again")
    monkeypatch.setattr("facade.archive.s3.PART", 5 << 20)
    size = 14 << 20
    (tmp_path / "big").write_bytes(os.urandom(size))
    proxy.arm("cut", up=True, after=12 << 20)
    assert behind.store(tmp_path / "big", "big", None).tries == 2
    assert size < proxy.up < size + (5 << 20)
    assert hashlib.sha256(remote.read("big")).hexdigest() == content_of(tmp_path / "big").checksum


def test_a_store_that_never_arrives_as_it_should_is_given_up(
    remote: Place, behind: Archive, proxy: FaultProxy, source: Path
) -> None:
    proxy.arm("flip", up=True, after=int(len(DATA) * 0.73), times=99)  # such that it never hits a header
    with pytest.raises(TransferError, match="tried 5 times"):
        behind.store(source, "a/c.bin", SUM)
    assert remote.names() == set()


def test_an_answer_that_is_lost_after_the_naming(
    remote: Place, behind: Archive, proxy: FaultProxy, source: Path
) -> None:
    sent = behind.send(source, "c.bin", SUM)
    proxy.arm("cut")
    sent.commit()
    assert proxy.left == 0 and remote.names() == {"c.bin"} and remote.read("c.bin") == DATA


def test_a_slow_network_is_none_that_fails(
    remote: Place, behind: Archive, proxy: FaultProxy, source: Path, tmp_path: Path
) -> None:
    proxy.rate = 6 << 20
    assert behind.store(source, "c.bin", SUM).tries == 1
    found = behind.fetch("c.bin", tmp_path / "c.bin", len(DATA), SUM)
    assert found.tries == 1 and found.seconds > 0.3


def test_a_local_disk_that_is_full_is_not_taken_for_a_fault_of_the_network(remote: Place, tmp_path: Path) -> None:
    remote.write("c.bin", DATA)
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from facade.archive import open_archive\nfrom facade.errors import TransferError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        f"archive = open_archive('home', {remote.root!r}, {remote.options!r})\n"
        f"try: archive.fetch('c.bin', Path({str(tmp_path / 'c.bin')!r}), {len(DATA)}, {SUM!r})\n"
        "except TransferError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "File too large" in said and "tried" not in said and "c.bin" in said
    assert list(tmp_path.iterdir()) == []


class Told(Exception):
    """Somebody wants the job to end."""


def test_a_transfer_that_is_told_to_end_ends_and_leaves_nothing(remote: Place, source: Path, tmp_path: Path) -> None:
    remote.write("there", DATA)
    job, pieces = tmp_path / "job", list[int]()

    def check() -> None:
        pieces.append(1)
        if len(pieces) == 2:
            raise Told

    archive = open_archive("home", remote.root, remote.options, check=check)
    with pytest.raises(Told):
        archive.fetch("there", job / "c.bin", len(DATA), SUM)
    if remote.kind != "s3":  # which ends between parts, and this file has one
        pieces.clear()
        with pytest.raises(Told):
            archive.store(source, "c.bin", SUM)
    assert list(job.iterdir()) == [] and "c.bin" not in remote.names()


STORING = """
from pathlib import Path
from facade.archive import open_archive
open_archive("home", {root!r}, {options!r}).store(Path({source!r}), "a/c.bin", {checksum!r})
"""


@pytest.mark.parametrize("moment", [0.3, 0.9])
def test_a_process_that_is_killed_while_it_stores_leaves_no_wrong_file(
    remote: Place, proxy: FaultProxy, source: Path, moment: float
) -> None:
    proxy.rate = 6 << 20
    there = remote.through(proxy)
    code = STORING.format(root=there.root, options=there.options, source=str(source), checksum=SUM)
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while proxy.up < len(DATA) * moment:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert "a/c.bin" not in remote.names()
    remote.open().store(source, "a/c.bin", SUM)
    assert remote.read("a/c.bin") == DATA
    time.sleep(0.3)  # for the server to notice that nobody is there any more
    swept = open_archive("home", str(remote.folder)) if remote.kind in MUTE else remote.open()
    swept.sweep(-1)
    assert remote.names() - {name for name in remote.names() if name.startswith("tmp")} == {"a/c.bin"}


def test_who_may_not_read_is_told(digest_server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="401") as caught:
        open_archive("home", f"{digest_server.url}/secret").stat("x")
    assert "credentials" in caught.value.remedy
    with pytest.raises(TransferError, match="403"):
        open_archive("home", f"{digest_server.url}/forbidden").stat("x")


@pytest.mark.parametrize("how", ["credentials", "token_file"])
def test_credentials_come_from_a_file_that_nobody_else_can_read(
    digest_server: WebServer, tmp_path: Path, source: Path, how: str
) -> None:
    (digest_server.folder / "secret").mkdir(exist_ok=True)
    secret, root = tmp_path / "secret", f"{digest_server.url}/secret"
    secret.write_text("t0ken\n" if how == "token_file" else "machine 127.0.0.1 login night password shift\n")
    secret.chmod(0o640)
    with pytest.raises(InputError, match="can be read by others") as caught:
        open_archive("home", root, {how: str(secret)})
    assert caught.value.remedy == f"chmod 600 {secret}"
    secret.chmod(0o600)
    open_archive("home", root, {how: str(secret)}).store(source, f"{how}.bin", SUM)
    assert (digest_server.folder / f"secret/{how}.bin").read_bytes() == DATA


def test_credentials_are_not_sent_for_all_to_read(tmp_path: Path) -> None:
    secret = tmp_path / "netrc"
    secret.write_text("machine archive.example.org login night password shift\n")
    secret.chmod(0o600)
    with pytest.raises(InputError, match="for all to read"):
        open_archive("home", "http://archive.example.org/", {"credentials": str(secret)})
    open_archive("home", "https://archive.example.org/", {"credentials": str(secret)})
    with pytest.raises(InputError, match=r"has no credentials for other\.example\.org"):
        open_archive("home", "https://other.example.org/", {"credentials": str(secret)})


@pytest.mark.parametrize("root", ["https://me:s3cret@host/a", "s3://key:s3cret@bucket/a", "https://me@host"])
def test_an_address_with_a_password_is_refused_and_not_repeated(root: str) -> None:
    with pytest.raises(InputError, match="holds a user or password") as caught:
        open_archive("home", root)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_sends_elsewhere_is_followed(digest_server: WebServer, tmp_path: Path, source: Path) -> None:
    (digest_server.folder / "here").mkdir(exist_ok=True)
    archive = open_archive("home", f"{digest_server.url}/moved/here")
    archive.store(source, "a.bin", SUM)
    assert (digest_server.folder / "here/a.bin").read_bytes() == DATA
    archive.fetch("a.bin", tmp_path / "a.bin", len(DATA), SUM)


def test_open_credentials_of_s3_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "aws"
    secret.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    secret.chmod(0o644)
    with pytest.raises(InputError, match="can be read by others"):
        open_archive("home", "s3://bucket/x", {"credentials": str(secret)})
    with pytest.raises(InputError, match="names no bucket"):
        open_archive("home", "s3:///x")


def test_a_process_loads_what_its_archive_needs_and_no_more(tmp_path: Path) -> None:
    code = (
        "import sys; from facade.archive import open_archive; open_archive('home', sys.argv[1])\n"
        "print(*[name for name in ('http.client', 'ssl', 'botocore', 'xml.etree') if name in sys.modules])"
    )
    for root, loaded in ((str(tmp_path), ""), ("https://h/a", "http.client ssl")):
        done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == loaded
