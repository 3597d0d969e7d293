"""Copies into and out of an archive: whole, verified, and never over something else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facade.archive import Content, content_of, local, open_archive
from facade.errors import InputError, MissingInputError, RefusedError, TransferError

DATA = b"some bytes\n" * 100_000
SUM = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(DATA)
    return path


def test_store_and_stage_in(tmp_path: Path, source: Path) -> None:
    (tmp_path / "home").mkdir()
    archive = open_archive("home", str(tmp_path / "home"))
    assert archive.store(source, "a/b/ü c.bin", SUM).content == Content(len(DATA), SUM)
    assert archive.store(source, "a/b/ü c.bin", SUM).content == Content(len(DATA), SUM)
    back = tmp_path / "job/c.bin"
    assert archive.fetch("a/b/ü c.bin", back, len(DATA), SUM).content == content_of(back)
    assert [p.name for p in (tmp_path / "home/a/b").iterdir()] == ["ü c.bin"]
    assert [p.name for p in back.parent.iterdir()] == ["c.bin"]


@pytest.mark.parametrize(("size", "checksum"), [(len(DATA) - 1, SUM), (len(DATA), "0" * 64), (None, "0" * 64)])
def test_what_is_not_what_was_expected_does_not_arrive(
    tmp_path: Path, source: Path, size: int | None, checksum: str
) -> None:
    target = tmp_path / "job/c.bin"
    with pytest.raises(TransferError) as caught:
        local.stage_in(source, target, size, checksum)
    assert all(str(part) in caught.value.message for part in (source, target, checksum, SUM, len(DATA)))
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["short", "altered", "full"])
def test_a_copy_that_goes_wrong_leaves_nothing(
    tmp_path: Path, source: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pour = local._pour

    def bad(source: Path, part: Path, *, durable: bool) -> None:
        pour(source, part, durable=durable)
        if damage == "short":
            os.truncate(part, len(DATA) // 2)
        elif damage == "altered":
            with open(part, "r+b") as stream:
                stream.write(b"X")
        else:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(local, "_pour", bad)
    with pytest.raises(TransferError) as caught:
        local.store(source, tmp_path / "home/c.bin", SUM)
    assert str(source) in caught.value.message and str(tmp_path / "home/c.bin") in caught.value.message
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_something_else_at_the_destination_is_left_alone(tmp_path: Path, source: Path, kind: str) -> None:
    target = tmp_path / "home/c.bin"
    target.parent.mkdir()
    if kind == "file":
        target.write_bytes(b"other")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(RefusedError, match="exists with other content"):
        local.store(source, target, SUM)
    assert [p.name for p in target.parent.iterdir()] == ["c.bin"]
    assert kind != "file" or target.read_bytes() == b"other"


def test_of_two_writers_of_one_name_the_second_is_refused(tmp_path: Path, source: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"other")
    first = local.send(source, tmp_path / "home/c.bin", None)
    second = local.send(other, tmp_path / "home/c.bin", None)
    first.commit()
    with pytest.raises(RefusedError):
        second.commit()
    first.commit()
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["c.bin"]
    assert content_of(tmp_path / "home/c.bin").checksum == SUM


def test_a_stale_file_is_replaced_only_by_committing(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "home/c.bin"
    target.parent.mkdir()
    target.write_bytes(b"old")
    sent = local.send(source, target, SUM, stale={content_of(target)})
    assert target.read_bytes() == b"old"
    sent.commit()
    assert content_of(target).checksum == SUM
    target.write_bytes(b"newer")
    with pytest.raises(RefusedError):
        local.send(source, target, SUM, stale={Content(3, "0")})
    assert [p.name for p in target.parent.iterdir()] == ["c.bin"]


def test_what_was_sent_and_discarded_is_gone(tmp_path: Path, source: Path) -> None:
    sent = local.send(source, tmp_path / "home/c.bin", SUM)
    assert not (tmp_path / "home/c.bin").exists()
    sent.discard()
    assert list((tmp_path / "home").iterdir()) == []
    with pytest.raises(TransferError, match="not there any more"):
        sent.commit()


def test_left_overs_of_dead_processes_do_no_harm(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "home/c.bin"
    target.parent.mkdir()
    (target.parent / ".c.bin.part-0123456789ab").write_bytes(b"half")
    local.store(source, target, SUM)
    assert content_of(target).checksum == SUM


def test_a_file_system_without_hard_links(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    local.store(source, tmp_path / "home/c.bin", SUM)
    local.store(source, tmp_path / "home/c.bin", SUM)
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["c.bin"]


def test_the_longest_name_that_a_file_can_have(tmp_path: Path, source: Path) -> None:
    local.store(source, tmp_path / "home" / ("ü" * 120 + ".fits"), SUM)


def test_a_process_that_is_killed_while_it_stores_leaves_no_wrong_file(tmp_path: Path) -> None:
    home, big = tmp_path / "home", tmp_path / "big"
    home.mkdir()
    big.write_bytes(DATA * 150)
    code = "import sys; from pathlib import Path; from facade.archive import open_archive\n"
    code += "open_archive('home', sys.argv[1]).store(Path(sys.argv[2]), 'a/big', None)"
    process = subprocess.Popen([sys.executable, "-c", code, str(home), str(big)])
    while not (parts := list(home.rglob(".big.part-*"))) or not parts[0].stat().st_size:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not (home / "a/big").exists() and parts[0].exists()
    archive = open_archive("home", str(home))
    archive.store(big, "a/big", None)
    assert archive.sweep(3600) == [] and archive.sweep(-1) == [str(parts[0].relative_to(home))]
    assert [path.name for path in (home / "a").iterdir()] == ["big"] and content_of(home / "a/big") == content_of(big)


@pytest.mark.parametrize("name", ["../c.bin", "a/../../c.bin", "/etc/passwd", ""])
def test_nothing_leaves_the_root(tmp_path: Path, source: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="does not lie below its root"):
        open_archive("home", str(tmp_path)).store(source, name, None)


def test_missing_files_and_missing_archives(tmp_path: Path, source: Path) -> None:
    with pytest.raises(MissingInputError, match="is not in the archive"):
        open_archive("home", str(tmp_path)).fetch("nothing", tmp_path / "x", 1, SUM)
    with pytest.raises(TransferError, match="is not there"):
        open_archive("home", str(tmp_path / "unmounted")).store(source, "x", SUM)
    assert not (tmp_path / "unmounted").exists()


def test_pipes_are_not_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransferError, match="not a regular file"):
        local.store(tmp_path / "pipe", tmp_path / "c", None)


@pytest.mark.parametrize("root", ["ftp://archive.example.org/", "relative", "file://host/path"])
def test_archives_that_cannot_be_reached(root: str) -> None:
    with pytest.raises(InputError, match="cannot reach"):
        open_archive("home", root)


def test_an_address_of_a_local_folder(tmp_path: Path, source: Path) -> None:
    open_archive("home", f"file://{tmp_path}").store(source, "c.bin", SUM)
    assert (tmp_path / "c.bin").exists()


def test_what_an_archive_holds_is_told_by_size_or_by_content(tmp_path: Path, source: Path) -> None:
    (tmp_path / "home").mkdir()
    archive = open_archive("home", str(tmp_path / "home"))
    archive.store(source, "a/b.bin", SUM)
    assert archive.holds("a/b.bin", len(DATA), None) and archive.holds("a/b.bin", len(DATA), SUM)
    assert not archive.holds("a/b.bin", len(DATA) - 1, None)
    assert not archive.holds("a/b.bin", len(DATA), "0" * 64)
    assert not archive.holds("a/c.bin", len(DATA), None) and not archive.holds("a/b.bin/c", 1, None)
    assert not archive.holds("a", (tmp_path / "home/a").stat().st_size, None)
    (tmp_path / "home").rename(tmp_path / "away")
    with pytest.raises(TransferError, match="is not there"):
        archive.holds("a/b.bin", len(DATA), None)


def test_what_goes_away_while_it_is_listed_or_swept_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies get their names, and attempts are removed, while somebody looks."""
    archive = open_archive("home", str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    part = tmp_path / "b/.x.part-0123456789ab"
    part.write_bytes(DATA)
    real = os.walk

    def walk(*words: Any, **more: Any) -> Iterator[Any]:
        for place, folders, names in real(*words, **more):
            yield place, folders, ["gone", ".y.part-0123456789ab", *names]
            if place == str(tmp_path) and (tmp_path / "a").exists():
                (tmp_path / "a").rmdir()

    monkeypatch.setattr(os, "walk", walk)
    assert [one.path for one in archive.files("")] == ["b/.x.part-0123456789ab"]
    assert archive.sweep(-1) == ["b/.x.part-0123456789ab"] and not part.exists()
