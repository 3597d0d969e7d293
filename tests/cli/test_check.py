"""``facade check``: several campaigns at once, warnings that count, faults as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import WCL, text

from facade.cli import run_command
from facade.cli.context import site

BLOCKS = "no fault; blocks (modules): setup (1), single (1), coadd (7)"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FACADE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    site.cache_clear()
    yield tmp_path
    site.cache_clear()


def faults(out: str, severity: str) -> list[dict[str, Any]]:
    return [one for one in json.loads(out) if one["severity"] == severity]


def test_a_good_campaign_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    path = WCL / "demo/campaign.wcl"
    assert run_command(["check", str(path)]) == 0
    told = capsys.readouterr()
    assert told.out == "" and told.err.splitlines()[-1] == f"{path}: {BLOCKS}"


def test_every_campaign_is_checked_whatever_the_others_hold(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "bad.wcl").write_text(text() + "</x>\n<y>\n<z>\n")
    good = WCL / "demo/campaign.wcl"
    assert run_command(["check", "bad.wcl", "nowhere.wcl", str(good)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "error: </x> closes nothing" in lines[0]
    assert "3 errors in bad.wcl" in lines
    assert "error: nowhere.wcl: No such file or directory" in lines
    assert "1 error in nowhere.wcl" in lines
    assert lines[-1] == f"{good}: {BLOCKS}"


def test_warnings_count_where_one_is_strict(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "odd.wcl").write_text(text() + "\nlonely\n")
    assert run_command(["check", "odd.wcl"]) == 0
    relaxed = capsys.readouterr().err
    assert run_command(["check", "--strict", "odd.wcl"]) == 2
    strict = capsys.readouterr().err
    assert "warning: 'lonely' is neither" in relaxed and "warning: 'lonely' is neither" in strict
    assert re.search(r"^odd\.wcl: \d warnings?; blocks \(modules\): b \(2\)$", relaxed, re.MULTILINE)
    assert "in odd.wcl" in strict.splitlines()[-1]


def test_json_is_one_list_for_all_and_says_where_it_was_included(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "inc.wcl").write_text("  </x>\n<y>\n")
    (home / "z.wcl").write_text("\n<<include inc.wcl>>\n")
    (home / "a.wcl").write_text("</y>\n")
    assert run_command(["check", "--json", "z.wcl", "a.wcl"]) == 2
    told = capsys.readouterr()
    assert told.err == ""
    found = faults(told.out, "error")
    places = [(one["file"], one["line"]) for one in found]
    assert ("a.wcl", 1) in places and places == sorted(places)
    (inner,) = [dict(one) for one in found if one["file"] == "inc.wcl" and one["line"] == 1]
    assert isinstance(inner.pop("code"), str)
    assert inner == {
        "severity": "error",
        "message": "</x> closes nothing: no section is open",
        "remedy": "remove it",
        "others": [],
        "file": "inc.wcl",
        "line": 1,
        "column": 3,
        "width": 4,
        "excerpt": "  </x>",
        "included_from": [{"file": "z.wcl", "line": 2, "column": 11}],
    }


def test_json_lists_warnings_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "odd.wcl").write_text(text() + "\nlonely\n")
    assert run_command(["check", "--json", "odd.wcl"]) == 0
    (told,) = [one for one in faults(capsys.readouterr().out, "warning") if "lonely" in one["message"]]
    assert told["excerpt"] == "lonely" and told["width"] == 6


def test_without_a_campaign_there_is_nothing_to_check() -> None:
    assert run_command(["check"]) == 2
