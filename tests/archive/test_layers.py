"""Several archives as one: where a file is taken from, and in which it is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from facade.archive import Archive, content_of, open_archive
from facade.archive.layers import Layers, layered, stored_in
from facade.errors import MissingInputError, RefusedError, TransferError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Archive, Archive]:
    for name in ("near", "home"):
        (tmp_path / name).mkdir()
    near, home = (open_archive(name, str(tmp_path / name), {"pause": "0", "tries": "1"}) for name in ("near", "home"))
    return near, home


def put(folder: Path, text: str) -> None:
    (folder / "a").write_text(text)


def test_a_file_is_taken_from_the_first_that_has_it(pair: tuple[Archive, Archive], tmp_path: Path) -> None:
    both = layered(pair, pair)
    put(tmp_path / "home", "at home")
    both.fetch("a", tmp_path / "one", None, None)
    put(tmp_path / "near", "near")
    both.fetch("a", tmp_path / "two", None, None)
    assert ((tmp_path / "one").read_text(), (tmp_path / "two").read_text()) == ("at home", "near")
    with pytest.raises(MissingInputError) as caught:
        both.fetch("b", tmp_path / "three", None, None)
    assert str(tmp_path / "near/b") in str(caught.value) and str(tmp_path / "home/b") in str(caught.value)


def test_a_spoilt_copy_is_told_and_not_passed_over(pair: tuple[Archive, Archive], tmp_path: Path) -> None:
    both = layered(pair, pair)
    put(tmp_path / "home", "right")
    put(tmp_path / "near", "wrong")
    content = content_of(tmp_path / "home/a")
    with pytest.raises(TransferError, match="near"):
        both.fetch("a", tmp_path / "one", content.size, content.checksum)
    assert both.holds("a", content.size, content.checksum), "one of them has it"


def test_a_file_is_stored_in_all_or_nowhere(pair: tuple[Archive, Archive], tmp_path: Path) -> None:
    both = layered(pair[:1], pair)
    put(tmp_path, "made")
    sent = both.send(tmp_path / "a", "r/a", None)
    assert not list(tmp_path.rglob("r/a")) and sent.transfer.moved == 8 and sent.transfer.tries == 1
    sent.commit()
    sent.discard()
    assert {path.parts[-3] for path in tmp_path.rglob("r/a")} == {"near", "home"}
    put(tmp_path / "home", "other")
    with pytest.raises(RefusedError):
        both.send(tmp_path / "a", "a", None)
    assert [path.name for path in (tmp_path / "near").iterdir()] == ["r"], "the copy that had arrived is taken away"


def test_it_answers_for_those_it_reads_and_cleans_those_it_stores_in(
    pair: tuple[Archive, Archive], tmp_path: Path
) -> None:
    near_first = layered(pair, pair[:1])
    assert (near_first.name, stored_in(near_first), stored_in(pair[1])) == ("near", ("near",), ("home",))
    put(tmp_path / "home", "at home")
    found = near_first.stat("a")
    assert found is not None and found.size == 7 and near_first.stat("b") is None
    assert not near_first.remove("a") and (tmp_path / "home/a").exists(), "home is only read"
    for name in ("near", "home"):
        (tmp_path / name / f".x.part-{'0' * 12}").touch()
    assert near_first.sweep(-1.0) == [f".x.part-{'0' * 12}"]
    assert (tmp_path / "home" / f".x.part-{'0' * 12}").exists()
    assert near_first.store(tmp_path / "home/a", "b", None).moved == 7 and (tmp_path / "near/b").exists()


def test_one_archive_alone_is_itself(pair: tuple[Archive, Archive]) -> None:
    assert layered(pair[:1], pair[:1]) is pair[0] and isinstance(layered(pair, pair[:1]), Layers)
