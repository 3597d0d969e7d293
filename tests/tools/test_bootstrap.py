"""A virtual environment comes about with pip in it, whatever the machine's Python lacks."""

import subprocess
import sys
from pathlib import Path

import bootstrap
import debian
import pytest

DEBIANS_OWN = Path("/usr/bin/python3")  # the Python that may lack ensurepip, and that Debian's pip is made for


@pytest.mark.skipif(not DEBIANS_OWN.exists(), reason="only Debian's own Python lacks ensurepip, and there is none here")
def test_pip_comes_from_debian_where_python_has_no_ensurepip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def without_ensurepip(command, **options):
        if command[1:] == ["-m", "venv", "--clear", tmp_path / "venv"]:
            raise debian.ToolError("The virtual environment was not created successfully: ensurepip is not available")
        return debian.run(command, **options)

    monkeypatch.setattr(bootstrap, "run", without_ensurepip)
    monkeypatch.setattr(sys, "executable", str(DEBIANS_OWN))
    bootstrap.create(tmp_path / "venv")
    shown = subprocess.run([tmp_path / "venv/bin/pip", "--version"], check=True, capture_output=True, text=True).stdout
    assert shown.startswith("pip ")


@pytest.mark.parametrize(("version", "sound"), [("3.12", True), ("3.11", False), ("2.12", False)])
def test_an_environment_of_another_python_is_not_sound(tmp_path: Path, monkeypatch, version: str, sound: bool):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(f"#!/bin/sh\necho 'pip 26.1 from /somewhere/pip (python {version})'\n")
    (tmp_path / "bin/python").chmod(0o755)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    assert bootstrap.is_sound(tmp_path) is sound


def test_an_environment_that_is_not_there_is_not_sound(tmp_path: Path):
    assert not bootstrap.is_sound(tmp_path / "venv")


def test_where_nothing_helps_the_user_is_told_what_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def fail(venv: Path) -> None:
        raise debian.ToolError("no network")

    monkeypatch.setattr(bootstrap, "create", fail)
    assert bootstrap.main([str(tmp_path / "venv")]) == 1
    told = capsys.readouterr().err
    assert "no network" in told
    assert "apt-get install python3-venv" in told
    assert "make PYTHON=" in told
