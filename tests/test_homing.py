"""Copying from archive to archive: what arrives is recorded, what does not is told, and it can be said again."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from facade import homing
from facade.archive import content_of, open_archive
from facade.archive.layers import Layers
from facade.engines.rundir import RunDirectory
from facade.errors import TransferError
from facade.homing import Interrupted, astray, bring_home, copied, take_along
from facade.registry.locations import Copy


class Noted:
    """The registry, as far as copies are recorded in it."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[str]]] = []

    def add_locations(self, archive: str, copies: Sequence[Copy]) -> None:
        self.batches.append((archive, [one.filename for one in copies]))

    @property
    def names(self) -> set[str]:
        return {name for _, names in self.batches for name in names}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("near", "home"):
        (tmp_path / name).mkdir()
    return tmp_path


def files(place: Path, number: int) -> list[Copy]:
    made = []
    for n in range(number):
        path = place / f"near/r/f{n:03}.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"file {n}\n")
        content = content_of(path)
        made.append(Copy(n + 1, f"f{n:03}", ".gz", content.size, content.checksum, "r"))
    return made


def run(place: Path, pages: Sequence[Sequence[Copy]], stop: threading.Event | None = None) -> tuple[Noted, int]:
    noted: Any = Noted()
    return noted, said(place, pages, noted, stop)


def said(place: Path, pages: Sequence[Sequence[Copy]], noted: Any, stop: threading.Event | None = None) -> int:
    options = {"pause": "0", "tries": "2"}
    site: Any = SimpleNamespace(place=lambda name: (name, str(place / name), options))
    return copied(noted, site, "near", "home", pages, place / "homing", stop)


def test_files_are_copied_and_recorded(place: Path) -> None:
    every = files(place, 30)
    noted, number = run(place, [every[:20], every[20:]])
    assert number == 30 and noted.names == {one.filename for one in every}
    assert [archive for archive, _ in noted.batches] == ["home", "home"], "in one go for each page"
    for one in every:
        assert content_of(place / "home" / one.place).checksum == one.checksum
    again, number = run(place, [every])
    assert number == 30 and again.names == noted.names, "what is there is recorded, if it was not"
    assert not (place / "homing").exists()


def test_files_of_an_archive_that_is_no_folder_pass_through_the_run_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(name: str, *more: Any, **options: Any) -> Any:
        archive = open_archive(name, *more, **options)
        return Layers((archive,), (archive,)) if name == "near" else archive

    monkeypatch.setattr(homing, "open_archive", opened)
    every = files(place, 5)
    (place / "homing").mkdir()
    (place / "homing/left").write_text("by one that was killed")
    noted, number = run(place, [every])
    assert number == 5 and noted.names == {one.filename for one in every} and not (place / "homing").exists()


def test_what_cannot_be_copied_is_told_and_the_rest_is_copied(place: Path) -> None:
    every = files(place, 12)
    (place / "near" / every[3].place).unlink()
    (place / "near" / every[4].place).write_text("altered")
    (place / "home/r").mkdir()
    (place / "home" / every[5].place).write_text("something else")
    noted: Any = Noted()
    with pytest.raises(TransferError) as caught:
        said(place, [every], noted)
    told = caught.value.message
    assert told.startswith("3 could not be copied from archive 'near' to 'home': ")
    assert all(f"f00{n}.gz: " in told for n in (3, 4, 5)) and "exists with other content" in told
    assert noted.names == {one.filename for one in every} - {f"f00{n}" for n in (3, 4, 5)}


def test_when_nothing_can_be_copied_not_all_is_tried(place: Path) -> None:
    every = files(place, 200)
    (place / "home").rmdir()
    noted: Any = Noted()
    with pytest.raises(TransferError, match=r"and no more were tried: .*; and [0-9]+ more$"):
        said(place, [every[:100], every[100:]], noted)
    assert noted.batches == []


def test_it_ends_when_told_to_and_records_what_has_arrived(place: Path) -> None:
    every, stop = files(place, 300), threading.Event()

    class Stopping(Noted):
        def add_locations(self, archive: str, copies: Sequence[Copy]) -> None:
            super().add_locations(archive, copies)
            stop.set()

    noted: Any = Stopping()
    with pytest.raises(Interrupted):
        said(place, [every], noted, stop)
    arrived = {path.name.removesuffix(".gz") for path in (place / "home").rglob("*.gz") if path.name[0] != "."}
    assert homing.BATCH <= len(noted.names) < 300 and noted.names == arrived


def test_two_at_a_time_wait_for_each_other(place: Path) -> None:
    every, running, order = files(place, 3), threading.Event(), list[str]()

    class Ordered(Noted):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def add_locations(self, archive: str, copies: Sequence[Copy]) -> None:
            order.append(self.name)

    def pages() -> Any:
        running.set()
        time.sleep(0.5)
        yield every

    first, second = Ordered("first"), Ordered("second")
    thread = threading.Thread(target=said, args=(place, pages(), first))
    thread.start()
    running.wait()
    said(place, [every], second)
    thread.join()
    assert order == ["first", "second"]


def test_a_run_that_brings_nothing_home_needs_no_second_archive(place: Path) -> None:
    run = RunDirectory(place, "u_r1p01", 1, ("one",), (), archives=("home",))
    nobody: Any = None
    assert bring_home(nobody, nobody, run) == 0 and not astray(nobody, run) and take_along(nobody, nobody, run) == 0
