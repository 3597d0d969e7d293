"""Plug-ins and packages: what is written is registered, what is registered loads."""

from __future__ import annotations

import os
import sys
import tomllib
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from facade import plugins
from facade.answers import ask
from facade.errors import InputError

ROOT = Path(__file__).parent.parent
FOLDERS = {"wrapper": ROOT / "wrappers", "query": ROOT / "queries", "ingestor": ROOT / "facade" / "ingestors"}
FUNCTIONS = {"wrapper": ("prepare", "command"), "query": ("query",), "ingestor": ("metadata", "contents")}


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_file_is_registered(kind: str) -> None:
    written = {path.stem for path in FOLDERS[kind].glob("[!_]*.py")}
    assert set(plugins.names(kind)) == written


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_registration_satisfies_its_protocol(kind: str) -> None:
    for point in entry_points(group=plugins.GROUPS[kind]):
        module = point.load()
        assert module.__doc__
        for name in FUNCTIONS[kind]:
            assert callable(getattr(module, name))


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match="no wrapper is called 'lst'") as caught:
        plugins.wrapper("lst")
    assert "did you mean 'lsst'?" in caught.value.remedy


def test_every_package_is_listed_for_the_wheel() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    written = set()
    for name, folder in setuptools["package-dir"].items():
        for path in (ROOT / folder).rglob("__init__.py"):
            inner = path.parent.relative_to(ROOT / folder).parts
            written.add(".".join([name, *inner]))
    assert set(setuptools["packages"]) == written


def test_texts_are_installed() -> None:
    assert files("facade_sql").joinpath("report.sql").is_file()
    assert files("facade_wcl").joinpath("filetypes/all.wcl").is_file()
    assert files("facade_wcl").joinpath("demo/butler_template.yaml").is_file()


def test_a_users_own_database_and_pool_are_out_of_reach() -> None:
    from e2e.world import foreign

    names = ["FACADE_DB", "FACADE_HOME", "CONDOR_CONFIG", "_CONDOR_SLOT", "PGPASSFILE", "FACADE_PG_BINDIR", "PATH"]
    assert foreign(names) == names[:5]
    assert not {"FACADE_DB", "CONDOR_CONFIG", "PGPASSFILE"} & set(os.environ)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda file, metadata: [1], "function 'mine' made of a.fits no text, number or bool: [1]"),
        (lambda file, metadata: 1 / 0, "function 'mine' failed on a.fits: ZeroDivisionError: division by zero"),
        (lambda file: 1, "function 'mine' failed on a.fits: TypeError: "),
    ],
)
def test_what_a_function_of_metadata_may_not_do(made: object, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "function", lambda name: made)
    with pytest.raises(InputError) as caught:
        plugins.computed("mine", Path("d/a.fits"), {"visit": 7})
    assert caught.value.message.startswith(told)


def test_a_function_of_metadata_gets_the_file_and_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "function", lambda name: lambda file, metadata: f"{file.name} {metadata['visit']}")
    assert plugins.computed("mine", Path("d/a.fits"), {"visit": 7}) == "a.fits 7"


def test_one_that_is_not_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no function is registered as 'zork'"):
        plugins.computed("zork", Path("a"), {})


def test_a_query_code_that_prints_or_ends_itself_spoils_no_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Near:
        def query(self, arguments: list[str], rows: object) -> list[dict[str, str]]:
            print("looking")
            return [{"filename": "a"}] if arguments else sys.exit(4)

    monkeypatch.setattr(plugins, "names", lambda kind: ["near"])
    monkeypatch.setattr(plugins, "query", lambda name: Near())
    nobody: Any = None
    assert ask("near", ["x"], nobody) == [{"": {"filename": "a"}}]
    with pytest.raises(InputError, match="query code 'near' failed: SystemExit: 4"):
        ask("near", [], nobody)
    assert capsys.readouterr() == ("", "looking\nlooking\n")
