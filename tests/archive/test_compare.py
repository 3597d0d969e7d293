"""Comparing and removing, with every kind of archive."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from archive.conftest import MUTE, Place

from facade.compare import Count, Wish, compare
from facade.errors import TransferError
from facade.registry import Registry
from facade.registry.values import NewFile

pytest_plugins = ["database"]


def test_every_kind_of_archive_is_compared_with_the_registry(place: Place, registry: Registry, tmp_path: Path) -> None:
    archive, files = place.open(), list[NewFile]()
    for name in ("a.fits", "b.fits", "c.fits", "d.fits"):
        source = tmp_path / name
        source.write_text(name)
        archive.store(source, f"raw/{name}", None)
        files.append({
            "filename": name, "compression": "", "filetype": "raw", "size": len(name), "archive": archive.name,
            "checksum": hashlib.sha256(name.encode()).hexdigest(), "metadata": {}, "path": "raw",
        })  # fmt: skip

    def found(**wish: bool) -> list[tuple[str, str, str]]:
        wanted = Wish(**{"only_registered": place.kind in MUTE, **wish})  # type: ignore[arg-type]
        return [(one.kind, one.path, one.mended) for one in compare(registry, archive, wanted, Count(), lambda n: None)]

    registry.ingest("raws", {"raw": {"metadata_table": "", "columns": {}}}, files[:3])
    strange = [] if place.kind in MUTE else [("extra", "raw/d.fits", "")]
    assert found(checksum=True) == strange
    archive.remove("raw/a.fits")
    assert found() == [("missing", "raw/a.fits", ""), *strange]
    assert found(forget=True) == [("missing", "raw/a.fits", "forgotten"), *strange] and found() == strange
    archive.store(tmp_path / "a.fits", "raw/a.fits", None)
    if place.kind in MUTE:
        with pytest.raises(TransferError, match="lists no folders"):
            found(only_registered=False)
    else:
        assert found(record=True) == [("unrecorded", "raw/a.fits", "recorded"), *strange]
        assert found(checksum=True) == strange
