"""The examples of docs/plugins.md about ingestion do what the page says."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from astropy.io import fits
from e2e.world import World, temporary_world

from facade import plugins
from facade.cli import run_command
from facade.cli.context import site

PAGE = (Path(__file__).parent.parent / "docs/plugins.md").read_text()


def example(first: str) -> str:
    """Return the example on the page that begins with *first*."""
    lines = PAGE[PAGE.index(f"    {first}") :].splitlines()
    end = next((n for n, line in enumerate(lines) if line and not line.startswith("    ")), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).rstrip() + "\n"


def raw(path: Path, camera: str = "WFC", moment: str = "2026-11-21T03:00:00") -> Path:
    hdu = fits.PrimaryHDU()
    hdu.header.update({"INSTRUME": camera, "DATE-OBS": moment, "FILTER": "g", "EXPTIME": 30.0})
    hdu.writeto(path)
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package of the page, on the path of this process."""
    info = tmp_path / "mysurvey-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mysurvey\nVersion: 1.0\n")
    head = '[project.entry-points."facade.ingestors"]'
    (info / "entry_points.txt").write_text(example(head).replace(head, "[facade.ingestors]").replace('"', ""))
    (tmp_path / "mysurvey").mkdir()
    (tmp_path / "mysurvey/__init__.py").write_text("")
    (tmp_path / "mysurvey/wfc_raw.py").write_text(example('"""Raws of the Wide Field Camera'))
    (tmp_path / "wfc.wcl").write_text(example("<filetype_metadata>\n        <wfc_raw>"))
    for module in ("mysurvey", "mysurvey.wfc_raw"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return tmp_path


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A home without a database."""
    monkeypatch.setenv("FACADE_HOME", str(tmp_path / "home"))
    site.cache_clear()
    yield
    assert not (tmp_path / "home").exists(), "a test of a plug-in touches nothing"
    site.cache_clear()


def test_the_plug_in_keeps_to_the_contract(
    installed: Path, verb: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw(installed / "wfc_0042.fits")
    monkeypatch.chdir(installed)
    words = example("facade ingest --test wfc_raw").split()[1:]
    assert run_command([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (file,) = found["files"]
    assert found["faults"] == file["faults"] == file["remarks"] == []
    assert file["metadata"] == {"night": 20261120, "visit": 202611200042, "filter": "g", "exptime": 30.0}
    assert run_command(words) == 0
    told = capsys.readouterr()
    assert "202611200042" in told.out and "wfc_raw: it keeps to its contract" in told.err
    words[words.index("wfc_raw")] = "mysurvey/wfc_raw.py"  # not yet installed
    assert run_command(words) == 0 and "it keeps to its contract" in capsys.readouterr().err
    other = raw(installed / "wfc_0043.fits", camera="XYZ")
    assert run_command(["ingest", "--test", "wfc_raw", "--definitions", "wfc.wcl", str(other)]) == 1
    assert "not taken: " in (said := capsys.readouterr().err) and "INSTRUME is 'XYZ'" in said


BROKEN = {
    "raises": ("return {}['x']", "raised KeyError: 'x' (broken_raises.py, line 2, in metadata); raise facade.errors."),
    "list": ("return [1]", "metadata returned list, no mapping"),
    "silent": ("return {'night': 1}", "metadata says nothing of column visit"),
    "types": ("return {'night': 'x', 'visit': 1, 'filter': 'g', 'exptime': 1}", "night: 'x' is no int"),
    "writes": ("path.write_text('x'); return dict.fromkeys(columns)", "the plug-in changed the file"),
    "moody": (
        "import time; return {**dict.fromkeys(columns), 'visit': time.perf_counter_ns()}",
        "the second answer is another than the first",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_against_the_contract_is_told(
    installed: Path, verb: None, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    body, told = BROKEN[name]
    (installed / f"broken_{name}.py").write_text(f"def metadata(path, columns):\n    {body}\n")
    with (installed / "mysurvey-1.0.dist-info/entry_points.txt").open("a") as points:
        points.write(f"broken = broken_{name}\n")
    importlib.invalidate_caches()
    words = ["--filetype", "wfc_raw", "--definitions", str(installed / "wfc.wcl"), str(raw(installed / "a_0001.fits"))]
    assert run_command(["ingest", "--test", "broken", *words]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 'visit_tag'", "return (table, rows) or None"),
        ("return 'task', []", "there is no dimension table 'task'"),
        ("return 'visit_tag', [{'tag': 'deep'}]", "contents: row 1 has no visit"),
        ("return 'visit_tag', [{'tag': 'deep', 'visit': [9]}]", "row 1 has in visit no text, number or bool"),
        ("return 'visit_tag', [9]", "a row is no mapping"),
        ("raise RuntimeError('oh')", "contents raised RuntimeError: oh"),
    ],
)
def test_rows_against_the_contract_are_told(
    installed: Path, verb: None, capsys: pytest.CaptureFixture[str], body: str, told: str
) -> None:
    text = f"def metadata(path, columns):\n    return dict.fromkeys(columns)\n\ndef contents(path):\n    {body}\n"
    (installed / "mysurvey/wfc_raw.py").write_text(text)
    path = installed / "a.txt"
    path.write_text("1")
    words = ["--definitions", str(installed / "wfc.wcl"), str(path)]
    assert run_command(["ingest", "--test", "wfc_raw", *words]) == 1
    assert told in capsys.readouterr().err


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with temporary_world() as made:
        yield made


def test_from_the_first_line_to_the_registry(installed: Path, world: World) -> None:
    paths = [raw(installed / f"wfc_{number:04d}.fits") for number in (42, 43)]
    mine = world.with_environment({"PYTHONPATH": str(installed)})
    mine.facade("ingest", "--definitions", installed / "wfc.wcl", "--filetype", "wfc_raw", *paths)
    found = mine.rows("select filename, night, visit, filter from wfc join desfile on id = desfile_id order by 1")
    assert found == [
        {"filename": f"wfc_{n:04d}.fits", "night": 20261120, "visit": 202611200000 + n, "filter": "g"} for n in (42, 43)
    ]
    assert (world.home / "archive/raw/20261120/wfc_0042.fits").is_file()


def test_rows_of_a_catalogue(installed: Path, world: World) -> None:
    wcl = installed / "c.wcl"
    wcl.write_text(f"<filetype_metadata>\n{example('<source_list>')}</filetype_metadata>\n")
    columns = [
        fits.Column("NUMBER", "J", array=[1, 2]), fits.Column("ALPHA_J2000", "D", array=[10.0, 11.0]),
        fits.Column("FLUX_APER", "2E", array=[[1.0, 2.0], [3.0, 4.0]]), fits.Column("BAND", "2A", array=["g", "r"]),
    ]  # fmt: skip
    fits.BinTableHDU.from_columns(columns).writeto(installed / "s.fits")
    for said in ("1 source_list file registered with 2 rows", "1 registered already"):
        done = world.facade("ingest", "--definitions", wcl, "--filetype", "source_list", installed / "s.fits")
        assert said in done.stderr
    found = world.rows("select rownum, number, ra, flux, band from source order by 1")
    assert found == [
        {"rownum": 1, "number": 1, "ra": 10.0, "flux": 2.0, "band": "g"},
        {"rownum": 2, "number": 2, "ra": 11.0, "flux": 4.0, "band": "r"},
    ]


def test_rows_of_a_dimension(installed: Path, world: World) -> None:
    body = example('def contents(path):\n        return "visit_tag"')
    (installed / "mysurvey/wfc_raw.py").write_text(f"def metadata(path, columns):\n    return {{}}\n\n{body}")
    (installed / "t.wcl").write_text("<filetype_metadata>\n<tags>\ningestor = wfc_raw\n</tags>\n</filetype_metadata>\n")
    (installed / "deep.txt").write_text("9\n11\n")
    mine = world.with_environment({"PYTHONPATH": str(installed)})
    mine.facade("ingest", "--definitions", installed / "t.wcl", "--filetype", "tags", installed / "deep.txt")
    found = mine.rows("select version, tag, visit from visit_tag order by visit")
    assert found == [{"version": "deep", "tag": "deep", "visit": visit} for visit in (9, 11)]


def test_the_page_names_every_plug_in_that_comes_with_facade() -> None:
    table = PAGE[PAGE.index("| name | takes |") : PAGE.index("Say that the Wide Field Camera")]
    assert [name for name in plugins.names("ingestor") if f"`{name}`" not in table] == []
