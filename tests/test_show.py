"""``facade show``, the pages made from its tables, and the codes that stand in the source."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from facade.campaign.keyword import SECTIONS
from facade.campaign.keywords import KEYWORDS
from facade.cli import run_command
from facade.cli.context import site
from facade.cli.showing import AREAS, faults_page, keywords_page
from facade.codes import CODES

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"""["'](F\d{3})["']""")


def told(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert run_command(["show", *words]) == code
    out, err = capsys.readouterr()
    return err if code else out


@pytest.mark.parametrize(("page", "made"), [("keywords", keywords_page), ("faults", faults_page)])
def test_the_page_in_the_documentation_is_the_one_made_from_the_table(page: str, made: object) -> None:
    assert callable(made)
    assert (ROOT / f"docs/{page}.md").read_text() == made(), f"facade show {page} --markdown > docs/{page}.md"


def test_every_code_in_the_source_is_explained_and_every_explanation_is_of_use() -> None:
    paths = [path for path in (ROOT / "facade").rglob("*.py") if path.name != "codes.py"]
    used = {code for path in paths for code in CODE.findall(path.read_text())}
    assert used - set(CODES) == set(), "say what they mean in facade/codes.py"
    assert set(CODES) - used == set(), "no fault has these codes"


def test_codes_are_explained_in_sentences() -> None:
    assert {code[:2] for code in CODES} <= set(AREAS)
    for code, meaning in CODES.items():
        assert re.fullmatch(r"F\d{3}", code) and re.match(r"[\w<'$]", meaning) and meaning.endswith("."), code


def test_the_reference_shows_every_keyword(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = told(["keywords"], capsys)
    assert [line.partition(":")[0] for line in out.splitlines() if line[:1].strip()] == list(SECTIONS)
    for one in KEYWORDS:
        assert re.search(rf"^  {re.escape(one.name)} ", out, re.MULTILINE), one.name


def test_one_section(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert [" ".join(line.split()) for line in told(["keywords", "exclude"], capsys).splitlines()[:2]] == [
        "exclude: <excludes> in <qcf>, <NAME>",
        "pattern text required DESDM active regular expression: a line that matches it is no message",
    ]


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_tables_fit_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in (["keywords"], ["faults"]):
        assert max(map(len, told(words, capsys).splitlines())) <= columns


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(told(["keywords", "exec", "--json"], capsys))
    assert rows[0] == {
        "section": "exec",
        "name": "execname",
        "type": "text",
        "default": "required",
        "meaning": "program, as found on the job's PATH",
        "since": "DESDM",
        "status": "active",
    }
    assert json.loads(told(["faults", "--json"], capsys)) == dict(sorted(CODES.items()))
    assert list(json.loads(told(["faults", "f220", "--json"], capsys))) == ["F220"]


def test_one_fault(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(["faults", "f301"], capsys)
    assert " ".join(out.split()) == f"F301 {CODES['F301']}"


def test_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no section is called 'fiel'\n  did you mean 'file'?" in told(["keywords", "fiel"], capsys, 2)
    assert "sections: campaign, block" in told(["keywords", "zzz"], capsys, 2)
    assert "no fault has the code 'F999'" in told(["faults", "F999"], capsys, 2)


def test_cells_of_the_pages_are_whole() -> None:
    for page in (keywords_page(), faults_page()):
        width = 0
        for line in page.splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line))
            assert cells in (0, width or cells), line
            width = cells
        assert not re.search(r"<(?!/)\w+>", re.sub(r"`[^`]*`", "", page)), "would be taken for HTML"


def test_filetypes_with_what_is_recorded_of_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACADE_HOME", str(tmp_path))
    site.cache_clear()
    path = tmp_path / "mine.wcl"
    path.write_text("""
        <filetype_metadata>
            <Cutout>
                metadata_table = cutout
                ingestor = fits
                archive_path = cut/${visit}
                <columns>
                    ra = float required header:RA [deg] ucd:pos.eq.ra - of the centre | of it
                </columns>
            </Cutout>
            <note>
                contents_table = words
                <contents>
                    word = text
                    times = int column:N[2]
                </contents>
            </note>
        </filetype_metadata>""")
    every = told(["filetypes"], capsys)
    assert re.search(r"^calexp +image +fits +\d+", every, re.MULTILINE) and "hsc_raw" in every
    own = ["filetypes", "--definitions", str(path)]
    assert [line.split()[0] for line in told(own, capsys).splitlines()] == ["filetype", "cutout", "note"]
    one = told([*own, "CUTOUT"], capsys)
    assert one.startswith("cutout: metadata in table cutout; ingestor fits; in the archive below cut/${visit}\n")
    assert " ".join(one.split()).endswith(" ra float deg yes header:RA pos.eq.ra of the centre | of it")
    plain = json.loads(told([*own, "cutout", "--json"], capsys))
    said = {"required": True, "unit": "deg", "ucd": "pos.eq.ra", "description": "of the centre | of it"}
    assert plain[0]["columns"] == {"ra": {"type": "float", "source": "header:RA", **said}}
    page = told([*own, "--markdown"], capsys)
    assert r"| `ra` | float | deg | yes | header:RA | pos.eq.ra | of the centre \| of it |" in page
    assert r"| `words.times` | int | column:N[2] |" in page
    note = told([*own, "note"], capsys)
    assert note.startswith("note: no metadata, rows in table words; ") and note.split()[-5:-3] == ["words.word", "text"]
    assert json.loads(told([*own, "note", "--json"], capsys))[0]["contents"]["word"] == {"type": "text", "source": ""}
    assert "did you mean 'cutout'?" in told([*own, "cutuot"], capsys, code=2)
    site.cache_clear()
