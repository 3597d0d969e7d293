"""``facade wrapper test`` passes wrappers that keep to the protocol, and says of the others what they do not do."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facade.cli import run_command

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a wrapper called ``mine``, as a package of its own would, for this process and those it starts."""

    def of(text: str) -> None:
        folder = tmp_path / "site"
        info = folder / "mywrapper-2.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mywrapper\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text("[facade.wrappers]\nmine = mywrapper\n")
        (folder / "mywrapper.py").write_text(text)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.delitem(sys.modules, "mywrapper", raising=False)
        importlib.invalidate_caches()

    return of


def conformance(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, list[str]]:
    """Run the suite; return the problems of each case that has some."""
    assert run_command(["wrapper", "test", *words, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert len(found["cases"]) == (2 if "--case" in words else 14) and found["passed"] == (code == 0)
    return {one["case"]: one["problems"] for one in found["cases"] if one["problems"]}


@pytest.mark.parametrize(
    "words",
    [["generic"], ["lsst", "--param", "job_repo_dir=repo", "--param", "mapper=lsst.obs.hsc.HscMapper"]],
)
def test_the_wrappers_that_come_along_keep_to_the_protocol(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert conformance(capsys, *words) == {}


@pytest.mark.parametrize(
    ("text", "case", "problem"),
    [
        ("def command(run, argv):\n    return ' '.join(argv).split()\n", "odd names", "words that did not arrive"),
        ("def run(run, program):\n    program.execute()\n    return 0\n", "failing program", "expected exec-failed"),
        ("def run(run, program):\n    import subprocess\n    return subprocess.run(program.argv).returncode\n",
         "told to end", "the job did not end within"),
        ("def run(run, program):\n    import subprocess\n    return subprocess.run(program.argv, cwd=run.directory)"
         ".returncode\n", "printed", "'on stderr too' in the log"),
        ("def prepare(run):\n    (run.directory / 'made').mkdir()\n", "same directory", "FileExistsError"),
        ("def prepare(run):\n    raise SystemExit\n", "one program", "phase prepare: RuntimeError: it called sys.exit"),
        ("def outputs(run):\n    return run.outputs\n", "optional output", None),
        ("def outputs(run):\n    return []\n", "one program", "not reported by the wrapper: 'x.txt'"),
        ("def derive(run):\n    return []\n", "one program", "derivations: expected"),
        ("def prepare():\n    pass\n", "interface", "phase prepare is called with 1 arguments: too many positional"),
        ("def prepair(run):\n    pass\n", "interface", "prepair is no phase; was prepare meant?"),
        ("import no_such_module_at_all\n", "interface", "it cannot be imported: ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_what_a_wrapper_does_not_do(
    capsys: pytest.CaptureFixture[str], install: Install, text: str, case: str, problem: str | None
) -> None:
    install(text)
    words = ["mine", "--case", "one program" if case == "interface" else case]
    if problem is None:
        assert conformance(capsys, *words) == {}
    else:
        assert problem in "\n".join(conformance(capsys, *words, code=1)[case])


def test_what_need_not_be_done_fails_nobody(capsys: pytest.CaptureFixture[str], install: Install) -> None:
    install("def prepare(run):\n    pass\n")
    assert list(conformance(capsys, "mine", "--case", "second names")) == ["second names"]


def test_a_table_for_people(capsys: pytest.CaptureFixture[str], install: Install, tmp_path: Path) -> None:
    install("def inputs(run, program):\n    return ['x.txt']\n")
    assert run_command(["wrapper", "test", "mine", "--keep", str(tmp_path / "kept"), "--case", "one program"]) == 1
    told = capsys.readouterr()
    out = " ".join(told.out.split())
    assert "wrapper 'mine' fails 1 of 2 cases" in out and "phase inputs: not declared to be used: 'x.txt'" in out
    assert str(tmp_path / "kept") in told.err
    assert (tmp_path / "kept/one_program/archive/log/w1.log").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["genric"], "did you mean 'generic'?"),
        (["exec:no-such-program"], "'no-such-program' is no program that can be run"),
        (["generic", "--case", "odd"], "no case is called 'odd'"),
        (["generic", "--param", "x"], "--param x: expected KEY=VALUE"),
        (["generic", "--keep", "/proc/x"], "--keep /proc/x: "),
    ],
)
def test_what_is_asked_for_wrongly(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert run_command(["wrapper", "test", *words]) == 2
    assert message in capsys.readouterr().err


def test_wrappers_are_listed(capsys: pytest.CaptureFixture[str], install: Install) -> None:
    install('"""Mine, all mine."""\n\nclass Odd:\n    pass\n\ndef derive(run):\n    return None\n')
    assert run_command(["wrapper", "list", "--json"]) == 0
    found: dict[str, dict[str, Any]] = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["mine"] == {
        "name": "mine", "version": "2.5", "phases": ["derive"], "about": "Mine, all mine.", "fault": ""
    }  # fmt: skip
    assert found["lsst"]["phases"] == ["prepare", "command"] and "LSST" in found["lsst"]["about"]
    assert run_command(["wrapper", "list"]) == 0
    assert "Mine, all mine." in capsys.readouterr().out


def test_one_that_cannot_be_imported_is_listed_too(capsys: pytest.CaptureFixture[str], install: Install) -> None:
    install("raise RuntimeError('not today')\n")
    assert run_command(["wrapper", "list"]) == 0
    assert "cannot be imported: RuntimeError: not today" in " ".join(capsys.readouterr().out.split())


def test_ctrl_c_ends_a_test_of_a_wrapper_that_hangs(tmp_path: Path) -> None:
    program = tmp_path / "hangs.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/hangs\nexec sleep 1000\n")
    program.chmod(0o755)
    words = [sys.executable, "-m", "facade", "wrapper", "test", f"exec:{program}"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "hangs").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in told, told
    assert not list(tmp_path.glob("facade-wrapper-*"))
