"""Every fault as an operator reads it: the whole output of ``facade check`` for each case of tests/cases/errors.

A case is NAME.wcl, or NAME/campaign.wcl (with NAME/site.wcl, if the site matters), and NAME.txt, what is printed.
``# facade check OPTIONS`` in the first line of a case gives options. FACADE_REWRITE=1 writes the texts anew: read them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from facade.cli import run_command
from facade.cli.context import site
from facade.codes import CODES

ERRORS = Path(__file__).parents[1] / "cases/errors"
CASES = sorted([path.relative_to(ERRORS) for path in (*ERRORS.glob("*.wcl"), *ERRORS.glob("*/campaign.wcl"))])
CASES = [path for path in CASES if path.parts[0] != "base"]
_OPTIONS = re.compile(r"# facade check (.*)")

NOT_HERE = {
    "F012": "takes more than 32 files in one another; tests/wcl/test_includes.py",
    "F110": "a query returns null",
}
"""Codes below F5 that no case shows, and why."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A site without a file, a short PATH, and paths as an operator types them."""
    monkeypatch.setenv("FACADE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("FACADE_DEBUG", "1")
    monkeypatch.chdir(ERRORS)
    site.cache_clear()
    yield
    site.cache_clear()


def name_of(case: Path) -> str:
    return case.parts[0].removesuffix(".wcl")


def told(case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return command, output and exit code, as a terminal shows them."""
    own_site = case.parent / "site.wcl"
    if len(case.parts) > 1 and own_site.is_file():
        monkeypatch.setenv("FACADE_SITE", str(own_site))
    options = _OPTIONS.match((ERRORS / case).read_text(encoding="utf-8", errors="replace"))
    words = [*shlex.split(options[1] if options else ""), str(case)]
    code = run_command(["check", *words])
    out, err = capsys.readouterr()
    return f"$ facade check {shlex.join(words)}\n{err}{out}exit {code}\n"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_fault_reads(case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found, golden = told(case, capsys, monkeypatch), ERRORS / f"{name_of(case)}.txt"
    if os.environ.get("FACADE_REWRITE"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_every_text_has_its_case() -> None:
    assert {path.stem for path in ERRORS.glob("*.txt")} == {name_of(case) for case in CASES}


def test_every_code_that_check_can_report_is_shown() -> None:
    """Those from F5 on need rows; the few of them that do not are shown too."""
    texts = "".join(path.read_text(encoding="utf-8") for path in ERRORS.glob("*.txt"))
    shown = set(re.findall(r"\[(F[0-9]{3})\]$|\"code\": \"(F[0-9]{3})\"", texts, re.MULTILINE))
    codes = {one or other for one, other in shown}
    assert {code for code in CODES if code < "F5"} - codes == set(NOT_HERE)
    assert codes >= {"F514", "F520", "F521", "F601", "F602"}


def test_every_fault_has_a_code_and_a_place() -> None:
    for path in ERRORS.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"(^| )(error|warning|note): ", line) and not line.startswith((" ", "$")):
                assert re.fullmatch(r"\S.*:[0-9]+:[0-9]+: (error|warning|note): .* \[F[0-9]{3}\]", line), line
