"""Folders for what an ingestion needs only for a while go away, also those of ingestions that were killed."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from facade.ingest.scratch import PREFIX, scratch


def test_what_killed_ingestions_left_is_taken_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, young, other = (tmp_path / name for name in (f"{PREFIX}left", f"{PREFIX}young", "mine"))
    long_ago = time.time() - 3600
    for folder in (left, young, other):
        folder.mkdir()
        (folder / "rows.1").write_text("1\n")
        os.utime(folder, (long_ago, long_ago) if folder != young else None)
    with scratch() as at_work:
        os.utime(at_work, (long_ago, long_ago))
        with scratch() as second:
            assert {*tmp_path.iterdir()} == {at_work, second, young, other}
        assert {*tmp_path.iterdir()} == {at_work, young, other}
    assert {*tmp_path.iterdir()} == {young, other}
