"""``facade fmt``: what it writes, what it leaves, and how it ends."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from facade.cli import run_command

UGLY, NICE = "<s>\r\na=1\n</s>", "<s>\n    a = 1\n</s>\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ugly.wcl").write_bytes(UGLY.encode())
    (tmp_path / "nice.wcl").write_bytes(NICE.encode())
    (tmp_path / "bad.wcl").write_bytes(b"a=1\n</x>\n")
    return tmp_path


def test_a_file_is_laid_out_and_keeps_its_mode(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "ugly.wcl").chmod(0o640)
    assert run_command(["fmt", "ugly.wcl"]) == 0
    assert (here / "ugly.wcl").read_bytes() == NICE.encode()
    assert stat.S_IMODE((here / "ugly.wcl").stat().st_mode) == 0o640
    assert capsys.readouterr() == ("", "ugly.wcl: laid out\n")
    assert sorted(os.listdir(here)) == ["bad.wcl", "nice.wcl", "ugly.wcl"]


def test_a_file_that_is_right_is_not_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (here / "nice.wcl").stat()
    assert run_command(["fmt", "nice.wcl"]) == 0
    after = (here / "nice.wcl").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert capsys.readouterr() == ("", "")


def test_a_link_stays_a_link(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub/link.wcl").symlink_to("../ugly.wcl")
    assert run_command(["fmt", "sub/link.wcl"]) == 0
    assert (here / "sub/link.wcl").is_symlink()
    assert (here / "ugly.wcl").read_text() == NICE


def test_check_lists_what_would_change_and_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["fmt", "--check", "nice.wcl"]) == 0
    assert run_command(["fmt", "--check", "ugly.wcl", "nice.wcl"]) == 1
    assert capsys.readouterr() == ("ugly.wcl\n", "")
    assert (here / "ugly.wcl").read_bytes() == UGLY.encode()


def test_a_fault_is_told_the_file_left_and_the_others_are_laid_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["fmt", "bad.wcl", "nowhere.wcl", "ugly.wcl"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("bad.wcl:2:1: error: </x> closes nothing")
    assert "facade: nowhere.wcl: No such file or directory" in told.err
    assert (here / "bad.wcl").read_bytes() == b"a=1\n</x>\n"
    assert (here / "ugly.wcl").read_text() == NICE
    assert run_command(["fmt", "--check", "bad.wcl"]) == 2


def test_an_include_need_not_exist(here: Path) -> None:
    (here / "part.wcl").write_text("  <<include ${camera}/x.wcl>>\n")
    assert run_command(["fmt", "part.wcl"]) == 0
    assert (here / "part.wcl").read_text() == "<<include ${camera}/x.wcl>>\n"


def test_diff_shows_a_patch_and_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "long.wcl").write_text("a = 1\nb=2\n# no end")
    assert run_command(["fmt", "--diff", "long.wcl"]) == 0
    told = capsys.readouterr().out
    assert (here / "long.wcl").read_text() == "a = 1\nb=2\n# no end"
    assert told.splitlines()[:5] == ["--- long.wcl", "+++ long.wcl (laid out)", "@@ -1,3 +1,3 @@", " a = 1", "-b=2"]
    subprocess.run(["git", "apply", "-p0"], input=told, text=True, check=True, cwd=here)
    assert (here / "long.wcl").read_text() == "a = 1\nb = 2\n# no end\n"
    assert run_command(["fmt", "--diff", "--check", "ugly.wcl"]) == 1
    assert "ugly.wcl (laid out)" in capsys.readouterr().out


class Stream(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "words", "code", "out"),
    [
        (UGLY.encode(), [], 0, NICE),
        (NICE.encode(), [], 0, NICE),
        (UGLY.encode(), ["--check"], 1, "<stdin>\n"),
        (b"</x>", [], 2, ""),
        (b"a = \xff", [], 2, ""),
    ],
)
def test_a_dash_is_stdin_to_stdout(
    data: bytes,
    words: list[str],
    code: int,
    out: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Stream(data))
    assert run_command(["fmt", *words, "-"]) == code
    told = capsys.readouterr()
    assert told.out == out
    assert bool(told.err) == (code == 2)


def test_a_file_that_cannot_be_written_is_told_and_stays(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copymode", full)
    assert run_command(["fmt", "ugly.wcl"]) == 1
    assert capsys.readouterr().err == "facade: ugly.wcl: cannot be written: No space left on device\n"
    assert (here / "ugly.wcl").read_bytes() == UGLY.encode()
    assert sorted(os.listdir(here)) == ["bad.wcl", "nice.wcl", "ugly.wcl"]
