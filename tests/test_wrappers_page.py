"""The examples of docs/wrappers.md keep to the protocol that the page describes."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from facade import plugins
from facade.cli import run_command
from facade.job import handover
from facade.plugins import PHASES

PAGE = (Path(__file__).parent.parent / "docs/wrappers.md").read_text()


def example(first: str) -> str:
    """Return the example on the page that begins with *first*."""
    lines = PAGE[PAGE.index(f"    {first}") :].splitlines()
    end = next(n for n, line in enumerate(lines) if line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[:end])).rstrip() + "\n"


def cases(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[str]]:
    code = run_command(["wrapper", "test", *words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["passed"] else 1)
    return {one["case"]: one["problems"] for one in found["cases"] if one["problems"]}


def test_the_plug_in(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "mysurvey-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mysurvey\nVersion: 1.0\n")
    point = example("[project.entry-points").replace('project.entry-points."facade.wrappers"', "facade.wrappers")
    (info / "entry_points.txt").write_text(point.replace('"', ""))
    (tmp_path / "mysurvey").mkdir()
    (tmp_path / "mysurvey/__init__.py").write_text("")
    (tmp_path / "mysurvey/wrappers.py").write_text(example('"""Programs that read settings'))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    importlib.invalidate_caches()
    for name in [one for one in sys.modules if one.partition(".")[0] == "mysurvey"]:
        monkeypatch.delitem(sys.modules, name)  # another page has a package of that name
    assert (
        cases(capsys, "settings", "--param", "threads=2", "--column", "seconds=float", "--keep", str(tmp_path / "k"))
        == {}
    )
    work = tmp_path / "k/failing_program" / "work" / "Test_r1p01_j_t01"
    assert (work / "settings.txt").read_text() == "threads = 2\n"
    words = ["settings", "--param", "threads=x", "--column", "seconds=float", "--case", "one program"]
    assert "phase prepare: threads = x is no number" in cases(capsys, *words)["one program"][0]
    plugins.wrapper("settings")


@pytest.mark.parametrize(("first", "more"), [("#!/bin/sh", []), ("#!/usr/bin/env perl", ["--column", "bytes=int"])])
def test_the_programs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, more: list[str]
) -> None:
    if "perl" in first and shutil.which("perl") is None:
        pytest.skip("there is no perl")
    program = tmp_path / "wrap"
    program.write_text(example(first))
    program.chmod(0o755)
    keep = tmp_path / "kept"
    monkeypatch.chdir(tmp_path)
    assert cases(capsys, "exec:./wrap", *more, "--keep", str(keep)) == {}
    if more:
        receipt = (keep / "odd_names/jobs/j.receipt.01.jsonl").read_text().splitlines()
        outputs = next(line for line in map(json.loads, receipt) if line["kind"] == "outputs")
        assert outputs["files"][0]["metadata"]["bytes"] == outputs["files"][0]["size"] > 0
        assert len(outputs["derived"]) == 81


def test_the_page_names_every_phase_and_key() -> None:
    for phase in PHASES:
        assert f"| `{phase}(" in PAGE
    assert f"{handover.MOST >> 20} MB" in PAGE
