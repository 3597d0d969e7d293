"""facade show config: every value with its history, and which layer won."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaigns import text

from facade.cli import context, run_command
from facade.errors import BAD_INPUT, DONE, CampaignError
from facade.site import Site

Shown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shown]:
    """Run ``facade show config`` in a folder with a site file, a library and a campaign."""
    (tmp_path / "site.wcl").write_text("<defaults>\n    band = u\n    jira_id = S-1\n</defaults>\n")
    (tmp_path / "lib.wcl").write_text("band = g\ndepth = 3\n")
    (tmp_path / "c.wcl").write_text("<<include lib.wcl>>\nband = r  # the red one\n" + text() + "name = ${band}-x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACADE_HOME", str(tmp_path))
    monkeypatch.delenv("FACADE_SITE", raising=False)
    context.site.cache_clear()

    def run(*words: str) -> tuple[int, str, str]:
        code = run_command(["show", "config", *words])
        return code, *capsys.readouterr()

    yield run
    context.site.cache_clear()


def test_a_value_tells_who_set_it_and_who_won(show: Shown) -> None:
    code, out, _ = show("band", "c.wcl", "--set", "band=i")
    assert code == DONE
    assert out.splitlines() == [
        "band = i",
        "  won   --set band=i:1:1  command line  i",
        "        c.wcl:2:1  campaign  r",
        "        lib.wcl:1:1  campaign  g",
        "            included from c.wcl:1:11",
        f"        {Path.cwd()}/site.wcl:2:5  site  u",
    ]


def test_the_same_as_json(show: Shown) -> None:
    (found,) = json.loads(show("band", "c.wcl", "--json")[1])
    assert [found["value"], *(one["value"] for one in reversed(found["history"]))] == ["r", "g", "u"]
    assert [one["layer"] for one in found["history"]] == ["site", "campaign"]
    assert (found["file"], found["line"], found["column"]) == ("c.wcl", 2, 1)


def test_a_reference_is_shown_with_what_it_stands_for(show: Shown) -> None:
    assert "name = ${band}-x\n    which is r-x" in show("name", "c.wcl")[1]


def test_every_value_in_one_table(show: Shown) -> None:
    lines = show("c.wcl")[1].splitlines()
    assert lines[0].split() == ["key", "value", "set", "at", "layer", "times", "set"]
    site = [line.split() for line in lines if line.startswith("jira_id ")]
    assert [(words[1], *words[-2:]) for words in site] == [("S-1", "site", "1")]
    assert any(line.startswith("module.reduce.exec_1.cmdline.i ") for line in lines)


def test_a_section_or_a_key_of_many_sections(show: Shown) -> None:
    assert show("module.stack.list", "c.wcl")[1].count("won") == 6
    assert show("execname", "c.wcl")[1].count("module.") == 2


def test_what_a_module_sees(show: Shown) -> None:
    with Path("c.wcl").open("a") as campaign:
        campaign.write("<module reduce>\nband = z\n</module>\n")
    out = show("band", "c.wcl", "--module", "reduce")[1].splitlines()
    assert out[0] == "module.reduce.band = z"
    assert "band = r  (not seen: a nearer section has it)" in out
    code, _, err = show("band", "c.wcl", "--module", "reduze")
    assert code == BAD_INPUT
    assert "did you mean 'reduce'?" in err


def test_a_default_is_built_in(show: Shown) -> None:
    assert show("savefiles", "c.wcl")[1] == "savefiles = True  built in\n"


def test_an_unknown_key_is_told_with_the_nearest(show: Shown) -> None:
    code, _, err = show("bandd", "c.wcl")
    assert code == BAD_INPUT
    assert "c.wcl has no key 'bandd'\n  did you mean 'band'?" in err


def test_a_site_file_is_checked(show: Shown, tmp_path: Path) -> None:
    (tmp_path / "site.wcl").write_text("worker = 3\n")
    with pytest.raises(CampaignError, match=r"the site file has no key 'worker' \[F215\]"):
        Site.here({"FACADE_HOME": str(tmp_path)})
