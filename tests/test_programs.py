"""What programs are now: a changed file is another program, a copy of it elsewhere is not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from campaigns import planned

from facade.plan import Plan
from facade.plan.fingerprint import fingerprints
from facade.programs import identities

CONSOLE_SCRIPT = """#!{python}
import sys
from {package}.tool import main
if __name__ == '__main__':
    sys.exit(main())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders for programs and for Python packages."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    yield tmp_path
    importlib.invalidate_caches()


def plan_of(place: Path, *programs: str) -> Plan:
    """A plan whose quanta run *programs*, looked for in the folder of programs."""
    found = planned()
    quanta = [
        quantum._replace(execs=(quantum.execs[0]._replace(argv=(program, "-x")),))
        for quantum, program in zip(found.quanta, programs, strict=False)
    ]
    return replace(found, quanta=tuple(quanta), environment={"PATH": str(place / "bin")})


def program(place: Path, name: str, text: str) -> Path:
    path = place / "bin" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def package(place: Path, name: str) -> Path:
    folder = place / "packages" / name
    (folder / "deep").mkdir(parents=True)
    for file in ("__init__.py", "tool.py", "deep/__init__.py"):
        (folder / file).write_text(f"# {file}\n")
    importlib.invalidate_caches()
    return folder


def test_the_content_of_a_program_is_what_it_is(place: Path) -> None:
    program(place, "one", "#!/bin/sh\necho 1\n")
    program(place, "same", "#!/bin/sh\necho 1\n")
    program(place, "other", "#!/bin/sh\necho 2\n")
    found = identities(plan_of(place, "one", "same", "other"))
    assert found["one"] == found["same"] != found["other"]
    program(place, "one", "#!/bin/sh\necho 2\n")
    assert identities(plan_of(place, "one"))["one"] == found["other"]


def test_a_program_that_is_not_here_is_nothing(place: Path) -> None:
    path = program(place, "absolute", "x")
    found = identities(plan_of(place, "missing", "bin/relative", str(path)))
    assert (found["missing"], found["bin/relative"]) == ("", "")
    assert len(found[str(path)]) == 32


@pytest.mark.parametrize("edited", ["__init__.py", "tool.py", "deep/__init__.py"])
def test_a_console_script_is_its_package_too(place: Path, edited: str) -> None:
    name = f"house_{edited.replace('/', '_').removesuffix('.py')}"
    folder = package(place, name)
    program(place, "tool", CONSOLE_SCRIPT.format(python=sys.executable, package=name))
    before = identities(plan_of(place, "tool"))
    assert identities(plan_of(place, "tool")) == before
    (folder / "data.txt").write_text("no module")
    assert identities(plan_of(place, "tool")) == before
    (folder / edited).write_text("# mended\n")
    assert identities(plan_of(place, "tool")) != before


@pytest.mark.parametrize(
    "text",
    [
        CONSOLE_SCRIPT.format(python="/usr/bin/python9", package="house_foreign"),
        CONSOLE_SCRIPT.format(python=sys.executable, package="no_such_package_at_all"),
        CONSOLE_SCRIPT.format(python=sys.executable, package="house_foreign") + "# " + "long " * 1000,
        "from house_foreign.tool import main\n",
        "#!\nfrom house_foreign.tool import main\n",
    ],
)
def test_of_other_scripts_the_file_alone_counts(place: Path, text: str) -> None:
    folder = package(place, "house_foreign")
    program(place, "tool", text)
    before = identities(plan_of(place, "tool"))
    (folder / "tool.py").write_text("# mended\n")
    assert identities(plan_of(place, "tool")) == before


def test_a_wrapper_that_is_a_program_counts_by_its_content(place: Path) -> None:
    path = program(place, "wrap", "one")
    program(place, "tool", "tool")
    absolute = f"exec:{path}"

    def prints(wrapper: str) -> tuple[str, ...]:
        plan = plan_of(place, "tool")
        plan = replace(plan, wrappers={name: wrapper for name in plan.wrappers})
        return fingerprints(plan, identities(plan)).own

    before = prints("exec:wrap"), prints("lsst")
    assert len({*before[0], *before[1]}) == 2 * len(before[0])
    path.write_text("two")
    assert not set(before[0]) & set(prints("exec:wrap")) and prints("lsst") == before[1]
    plan = replace(plan_of(place, "tool"), wrappers={"m": absolute, "n": "exec:bin/relative", "o": "exec:missing"})
    found = identities(plan)
    assert len(found[absolute]) == 32 and found["exec:bin/relative"] == found["exec:missing"] == ""
