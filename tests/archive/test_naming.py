"""Names that copies get outlive a crash, and no folder is synced more often than it must be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facade.archive import open_archive
from facade.archive.naming import settle


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with what is synced."""
    found: list[str] = []
    before = os.fsync

    def fsync(handle: int) -> None:
        found.append(os.readlink(f"/proc/self/fd/{handle}"))
        before(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_folder_with_many_new_names_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").mkdir()
    archive = open_archive("home", str(tmp_path / "root"))
    (tmp_path / "made").write_text("made\n")
    sent = [archive.send(tmp_path / "made", f"{where}", None) for where in ("a/1", "a/2", "b/1")]
    found = synced(monkeypatch)
    for one in sent:
        one.commit()
    assert found == []  # so far they have names, and a crash may take those again
    settle(sent)
    assert found == [str(tmp_path / "root" / "a"), str(tmp_path / "root" / "b")]


def test_what_was_there_already_needs_no_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").mkdir()
    archive = open_archive("home", str(tmp_path / "root"))
    (tmp_path / "made").write_text("made\n")
    archive.store(tmp_path / "made", "a/1", None)
    found = synced(monkeypatch)
    archive.store(tmp_path / "made", "a/1", None)
    assert found == []
