"""What holds for every kind of archive: one suite, run against each."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archive.conftest import MUTE, Place

from facade.archive import Content, content_of, open_archive
from facade.errors import MissingInputError, RefusedError, TransferError

DATA = b"some bytes\n" * 100_000
SUM = hashlib.sha256(DATA).hexdigest()
NAMES = (
    "a/b/c.bin",
    "plain",
    "ü c/ü.fits",
    "100%/a+b&c=d.txt",
    "a~b/x,y (1)#2.txt",
    "-dash/'quote\"",
    "deep/" * 9 + "x",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_what_was_stored_is_fetched(place: Place, tmp_path: Path, source: Path, name: str) -> None:
    archive, back = place.open(), tmp_path / "job/back.bin"
    stored = archive.store(source, name, SUM)
    assert stored.content == Content(len(DATA), SUM) and stored.moved == len(DATA) and stored.tries == 1
    assert stored.seconds > 0
    assert place.names() == {name} and place.read(name) == DATA
    fetched = archive.fetch(name, back, len(DATA), SUM)
    assert fetched.content == content_of(back) == stored.content and fetched.moved == len(DATA)
    assert [path.name for path in back.parent.iterdir()] == ["back.bin"]


@pytest.mark.parametrize("name", ["what?/x", "what;x"])
def test_a_name_that_a_server_misreads_is_not_taken_for_stored(place: Place, source: Path, name: str) -> None:
    archive = place.open()
    if place.kind == "webdav":
        with pytest.raises(TransferError, match="it is not there"):
            archive.store(source, name, SUM)
    else:
        assert archive.store(source, name, SUM).content == Content(len(DATA), SUM)
        assert place.names() == {name}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_files_of_every_size(place: Place, tmp_path: Path, size: int) -> None:
    (tmp_path / "source").write_bytes(os.urandom(size))
    archive, wanted = place.open(), content_of(tmp_path / "source")
    assert archive.store(tmp_path / "source", "x", None).content == wanted
    assert archive.fetch("x", tmp_path / "back", None, None).content == wanted == content_of(tmp_path / "back")
    assert archive.store(tmp_path / "source", "x", wanted.checksum).moved == 0


def test_a_file_of_several_parts(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if place.kind == "s3":
        monkeypatch.setattr("facade.archive.s3.PART", 5 << 20)
    (tmp_path / "source").write_bytes(os.urandom((12 << 20) + 5))
    wanted = content_of(tmp_path / "source")
    assert place.open().store(tmp_path / "source", "x", wanted.checksum).content == wanted
    assert hashlib.sha256(place.read("x")).hexdigest() == wanted.checksum


def test_what_is_there_already_is_not_sent_again(place: Place, source: Path) -> None:
    archive = place.open()
    archive.store(source, "c.bin", SUM)
    assert archive.store(source, "c.bin", SUM).moved == 0
    place.write("foreign.bin", DATA)
    assert archive.store(source, "foreign.bin", SUM).moved == 0
    assert place.names() == {"c.bin", "foreign.bin"}


@pytest.mark.parametrize("other", [b"other", DATA[:-1] + b"x"])
def test_other_content_under_the_name_is_left_alone(place: Place, source: Path, other: bytes) -> None:
    place.write("a/c.bin", other)
    with pytest.raises(RefusedError, match="exists with other content") as caught:
        place.open().store(source, "a/c.bin", SUM)
    assert SUM in caught.value.message and hashlib.sha256(other).hexdigest() in caught.value.message
    assert place.names() == {"a/c.bin"} and place.read("a/c.bin") == other


def test_of_two_writers_of_one_name_the_second_is_refused(place: Place, tmp_path: Path, source: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"other")
    archive = place.open()
    first, second = archive.send(source, "c.bin", None), archive.send(tmp_path / "other.bin", "c.bin", None)
    third = archive.send(source, "c.bin", SUM)
    first.commit()
    with pytest.raises(RefusedError):
        second.commit()
    third.commit()
    first.commit()
    for sent in (first, second, third):
        sent.discard()
    assert place.names() == {"c.bin"} and place.read("c.bin") == DATA


def test_a_stale_file_is_replaced_only_by_committing(place: Place, source: Path) -> None:
    place.write("c.bin", b"old")
    archive, old = place.open(), Content(3, hashlib.sha256(b"old").hexdigest())
    sent = archive.send(source, "c.bin", SUM, stale={old})
    assert place.read("c.bin") == b"old"
    sent.commit()
    assert place.read("c.bin") == DATA and place.names() == {"c.bin"}
    place.write("c.bin", b"newer")
    with pytest.raises(RefusedError):
        archive.send(source, "c.bin", SUM, stale={old})
    assert place.read("c.bin") == b"newer"


def test_a_file_that_appears_before_the_commit_is_replaced_only_if_it_is_stale(place: Place, source: Path) -> None:
    archive, old = place.open(), Content(3, hashlib.sha256(b"old").hexdigest())
    for name, there in (("a", b"old"), ("b", b"new")):
        sent = archive.send(source, name, SUM, stale={old})
        place.write(name, there)
        if there == b"old":
            sent.commit()
        else:
            with pytest.raises(RefusedError):
                sent.commit()
    assert place.names() == {"a", "b"} and place.read("a") == DATA and place.read("b") == b"new"


def test_nobody_sees_what_was_sent_before_it_is_committed(place: Place, source: Path) -> None:
    archive = place.open()
    sent = archive.send(source, "a/c.bin", SUM)
    assert archive.stat("a/c.bin") is None and len(place.names()) == 1
    sent.discard()
    assert place.names() == set()
    with pytest.raises(TransferError, match="not there any more"):
        sent.commit()


def test_missing_files(place: Place, tmp_path: Path) -> None:
    archive = place.open()
    with pytest.raises(MissingInputError, match="is not in the archive"):
        archive.fetch("a/nothing", tmp_path / "job/x", 1, SUM)
    assert archive.stat("a/nothing") is None and not archive.holds("a/nothing", 1, SUM)
    assert list(tmp_path.rglob("*part*")) == []


@pytest.mark.parametrize(("size", "checksum"), [(len(DATA) - 1, SUM), (len(DATA), "0" * 64), (None, "0" * 64)])
def test_what_is_not_what_was_expected_does_not_arrive(
    place: Place, tmp_path: Path, size: int | None, checksum: str
) -> None:
    place.write("c.bin", DATA)
    with pytest.raises(TransferError) as caught:
        place.open().fetch("c.bin", tmp_path / "job/c.bin", size, checksum)
    assert all(part in caught.value.message for part in ("job/c.bin", checksum, SUM, str(len(DATA))))
    assert list((tmp_path / "job").iterdir()) == []


def test_something_else_at_the_destination_of_a_fetch_is_left_alone(place: Place, tmp_path: Path) -> None:
    place.write("c.bin", DATA)
    archive, target = place.open(), tmp_path / "c.bin"
    target.write_bytes(DATA)
    assert archive.fetch("c.bin", target, len(DATA), SUM).moved == 0
    target.write_bytes(b"other")
    for known in ((len(DATA), SUM), (None, None)):
        with pytest.raises(RefusedError, match="exists with other content"):
            archive.fetch("c.bin", target, *known)
    assert target.read_bytes() == b"other"
    assert list(tmp_path.glob("*part*")) == list(tmp_path.glob(".*part*")) == []


def test_what_an_archive_holds(place: Place, source: Path) -> None:
    archive = place.open()
    archive.store(source, "a/b.bin", SUM)
    place.write("a/foreign.bin", DATA)
    for name in ("a/b.bin", "a/foreign.bin"):
        found = archive.stat(name)
        assert found is not None and found.size == len(DATA) and found.checksum in (None, SUM)
        assert archive.holds(name, len(DATA), None) and archive.holds(name, len(DATA), SUM)
        assert not archive.holds(name, len(DATA) - 1, None) and not archive.holds(name, len(DATA), "0" * 64)
    assert not archive.holds("a/c.bin", len(DATA), None)


def test_files_are_removed(place: Place, source: Path) -> None:
    archive = place.open()
    archive.store(source, "a/b.bin", SUM)
    assert archive.remove("a/b.bin") is True and place.names() == set()
    assert archive.remove("a/b.bin") is False and archive.stat("a/b.bin") is None


@pytest.mark.parametrize("name", ["../c.bin", "a/../../c.bin", "/etc/passwd", ""])
def test_nothing_leaves_the_root(place: Place, source: Path, name: str) -> None:
    archive = place.open()
    for action in (archive.stat, archive.remove, lambda n: archive.store(source, n, SUM)):
        with pytest.raises(RefusedError, match="does not lie below its root"):
            action(name)


def test_an_archive_that_is_gone_is_told_and_not_taken_for_empty(place: Place, source: Path, tmp_path: Path) -> None:
    place.close()
    archive = place.open()
    for action in (
        lambda: archive.stat("c.bin"),
        lambda: archive.holds("c.bin", 1, None),
        lambda: archive.fetch("c.bin", tmp_path / "c.bin", 1, SUM),
        lambda: archive.store(source, "c.bin", SUM),
    ):
        with pytest.raises(TransferError, match="is not there") as caught:
            action()
        assert "create" in caught.value.remedy


def test_a_source_that_is_not_what_it_was_is_not_sent(place: Place, source: Path) -> None:
    with pytest.raises(TransferError):
        place.open().store(source, "c.bin", hashlib.sha256(b"before").hexdigest())
    assert place.names() == set()


def test_pipes_are_not_sent(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransferError, match="not a regular file"):
        place.open().store(tmp_path / "pipe", "c", None)


def test_what_died_without_a_name_is_swept(place: Place, source: Path) -> None:
    archive = place.open()
    archive.store(source, "a/named.bin", SUM)
    archive.send(source, "a/b/unnamed.bin", SUM)
    archive.send(source, "unnamed.bin", SUM)
    if place.kind in MUTE:
        with pytest.raises(TransferError, match="lists no folders") as caught:
            archive.sweep(60)
        assert "as a local folder" in caught.value.remedy
        archive = open_archive("home", str(place.folder))
    if place.kind != "s3":  # for Moto all uploads began in 2010
        assert archive.sweep(60) == [] and len(place.names()) == 3
    swept = archive.sweep(-1)
    assert len(swept) == 2 and all("unnamed.bin" in name for name in swept)
    assert place.names() == {"a/named.bin"} and archive.sweep(-1) == []


def test_what_an_archive_holds_is_listed(place: Place, source: Path) -> None:
    archive = place.open()
    if place.kind in MUTE:
        with pytest.raises(TransferError, match="lists no folders"):
            list(archive.files(""))
        return
    assert list(archive.files("")) == []
    for name in NAMES:
        archive.store(source, name, SUM)
    found = {one.path: one for one in archive.files("")}
    assert set(found) == set(NAMES) == place.names()
    assert {one.size for one in found.values()} == {len(DATA)} and all(abs(one.age) < 600 for one in found.values())
    assert [one.path for one in archive.files("a/b")] == ["a/b/c.bin"] and list(archive.files("none")) == []
    with pytest.raises(RefusedError):
        list(archive.files("../a"))


def test_many_threads(place: Place, tmp_path: Path) -> None:
    archive, failures = place.open(), list[BaseException]()

    def both(number: int) -> None:
        source = tmp_path / f"s{number}"
        source.write_bytes(f"{number}\n".encode() * (number * 500 + 1))
        content = archive.store(source, f"f{number % 3}/n{number}", None).content
        archive.fetch(f"f{number % 3}/n{number}", tmp_path / f"b{number}", content.size, content.checksum)

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(both, number) for number in range(24)]:
            if error := future.exception():
                failures.append(error)
    assert failures == [] and len(place.names()) == 24
    assert threading.active_count() < 50
