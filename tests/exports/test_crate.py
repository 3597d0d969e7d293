"""What the RO-Crate validator says of a crate that facade writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from exports.test_formats import graph

from facade.exports import written

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / ".tools" / "validator"
PROFILES = ("ro-crate-1.1", "process-run-crate-0.5")


def complaints(folder: Path) -> dict[str, list[str]]:
    """Return what the validator has against a crate, by profile."""
    if not (VALIDATOR / "rocrate_validator").is_dir():
        if os.environ.get("CI"):
            pytest.fail("the RO-Crate validator is missing: make validator")
        pytest.skip("the RO-Crate validator is not here: make validator")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("crate_check.py")), str(folder), *PROFILES],
        env={**os.environ, "PYTHONPATH": str(VALIDATOR)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def crate(folder: Path, text: str) -> Path:
    """Put a crate into *folder*, with the files that it speaks of."""
    (folder / "ro-crate-metadata.json").write_text(text)
    for entity in json.loads(text)["@graph"]:
        if entity["@type"] == "File":
            file = folder / unquote(entity["@id"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return folder


def test_the_validator_finds_nothing_wrong(tmp_path: Path) -> None:
    assert complaints(crate(tmp_path, written(graph(), "ro-crate"))) == {profile: [] for profile in PROFILES}


def test_the_validator_sees_what_is_wrong(tmp_path: Path) -> None:
    text = json.loads(written(graph(), "ro-crate"))
    for entity in text["@graph"]:
        if entity["@type"] == "CreateAction":
            del entity["instrument"]
    assert complaints(crate(tmp_path, json.dumps(text)))["process-run-crate-0.5"]
