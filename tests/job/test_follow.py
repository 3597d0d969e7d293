"""Messages of programs that run: told while they run, joined to quantum and log, and the log as it was printed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from job.house import House

from facade.job import follow
from facade.job.capsule import Exec
from facade.job.follow import Follower, Searches
from facade.job.messages import FIRST, LAST
from facade.messages import rules_of

RULES: list[Any] = [[["fatal"], ["warning", 2, 2], [r"rms = [\d.]+", 3, 1, True]], ["harmless"], [["%%", ""]]]


def program(house: House, code: str, **more: Any) -> dict[str, Any]:
    return house.python(f"import os, sys, time\nout = sys.stdout\n{code}", messages=0, **more)


def told(house: House, run: int = 1) -> list[tuple[int, int, int, str]]:
    """Return (quantum, execnum, line, message) of every message."""
    lines = [line for line in house.lines(run) if line["kind"] == "messages"]
    return [(n["quantum"], row["execnum"], row["line"], row["message"]) for n in lines for row in n["rows"]]


def counts(house: House) -> dict[str, int]:
    found = [line["counts"] for line in house.lines() if line["kind"] == "messages" and "counts" in line]
    return {pattern: number for one in found for pattern, _, number in one}


@pytest.fixture
def watched(house: House) -> House:
    house.messages = [RULES]
    return house


def test_messages_are_told_with_their_place_in_the_saved_log(watched: House) -> None:
    watched.add(program(watched, "print('fatal:\\nsky', flush=True)\nprint('to stderr, fatal', file=sys.stderr)"))
    watched.add(program(watched, "print('warning\\nharmless fatal')"), program(watched, "print('rms = 3.5 fatal?')"))
    assert watched.run() == 0
    first, second = watched.log(1).splitlines(), watched.log(2).splitlines()
    found = told(watched)
    assert [(quantum, execnum, text) for quantum, execnum, _, text in found] == [
        (41, 1, "fatal:\nsky"), (41, 1, "to stderr, fatal"), (42, 1, "warning\nharmless fatal"),
        (42, 2, "rms = 3.5 fatal?"),
    ]  # fmt: skip
    for quantum, _, line, text in found:
        assert (first if quantum == 41 else second)[line - 1] == text.partition("\n")[0]
    kinds = watched.kinds()
    assert kinds.index("messages") < kinds.index("saving") and kinds[-3:] == ["stored", "quantum-ended", "job-ended"]
    assert counts(watched) == {"fatal": 1, "warning": 1}


def test_command_lines_and_what_facade_says_are_no_messages(watched: House) -> None:
    watched.add(program(watched, "sys.exit('x')  # fatal"))
    assert watched.run() == 1
    assert "fatal" in watched.log() and told(watched) == []


def test_the_log_is_what_the_program_printed(watched: House) -> None:
    printed = b"\x1b[31mfatal\x1b[0m \xff\0\r 5 %\r10 %\r\nwarning\nlast line without end, fatal"
    watched.add(program(watched, f"out.buffer.write({printed!r})"))
    assert watched.run() == 0
    log = (watched.archive / "log/step/Ht0_r11p01_step_w00001.log").read_bytes()
    assert printed + b"\n--- exec 1 " in log
    assert [text for _, _, _, text in told(watched)] == [
        r"fatal \xff\x00",
        "warning\nlast line without end, fatal",
    ] or [row[3] for row in told(watched)][-1] == "last line without end, fatal"


def test_messages_are_told_while_the_program_runs(watched: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK", 0.05)
    go = watched.root / "go"
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    code = f"print('fatal at once', flush=True)\n{wait}\nprint('fatal later')"
    watched.add(program(watched, code))
    seen: list[Any] = []

    class Reporter:
        def put(self, line: dict[str, Any]) -> None:
            if line["kind"] == "messages" and line["rows"]:
                seen.append(line["rows"][0]["message"])
                go.touch()

    assert watched.run(reporter=Reporter()) == 0
    assert seen == ["fatal at once", "fatal later"]


def test_a_flood_is_counted_and_bounded(watched: House) -> None:
    watched.add(program(watched, "for n in range(30000): print('fatal', n)"))
    assert watched.run() == 0
    found = told(watched)
    assert [text for _, _, _, text in found] == [
        f"fatal {n}" for n in (*range(FIRST), *range(30000 - LAST, 30000))
    ]  # fmt: skip
    assert counts(watched) == {"fatal": 30000}


def test_a_program_that_fails_has_its_messages_told_before(watched: House) -> None:
    code = "print('fatal', flush=True)\nos.kill(os.getpid(), 9)"
    watched.add(program(watched, code), outputs=[watched.output("a.txt")])
    assert watched.run() == 1
    kinds = watched.kinds()
    assert kinds.index("messages") < kinds.index("quantum-ended") and told(watched)[0][3] == "fatal"


def test_nothing_is_looked_for_where_nothing_is_wanted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread for nothing"))
    house.messages = [RULES]
    house.add(house.python("print('fatal')"))
    assert house.run() == 0
    assert "messages" not in house.kinds()


def test_a_program_that_cuts_its_log_is_told_of_and_spoils_nothing(watched: House) -> None:
    watched.add(program(watched, "os.ftruncate(1, 0)\nprint('fatal')"), program(watched, "print('x\\nfatal again')"))
    assert watched.run() == 0
    first, second = told(watched)
    assert first[1] == 1 and first[3].endswith("only: the program has cut the log")
    assert f"facade: {first[3]}" in watched.log()
    assert second[3] == "fatal again" and watched.log().splitlines()[second[2] - 1] == "fatal again"


def test_a_fault_of_the_search_is_told_and_spoils_nothing(watched: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no memory for so many")

    monkeypatch.setattr(follow, "Finders", broken)
    watched.add(program(watched, "print('fatal')"), outputs=[])
    assert watched.run() == 0
    ((_, _, _, text),) = told(watched)
    assert text.endswith("only: ValueError: no memory for so many") and "fatal\n" in watched.log()


class TestFollower:
    """Following a log by itself."""

    def follow(self, file: Path, text: str = "", *, ending: bool = False) -> list[dict[str, Any]]:
        """Return what is told of *text*, which a program writes into the log *file*."""
        lines: list[dict[str, Any]] = []
        with file.open("a") as log:
            follower = Follower(file, log.fileno(), 41, Searches([rules_of(RULES)]), lines.append, lambda: ending)
            with follower.following(Exec(execnum=1, name="x", argv=("x",), version_flag="", used=(), generated=(),
                                         derived=(), messages=0)):  # fmt: skip
                log.write(text)
                log.flush()
            follower.finish()
        return lines

    def test_it_finds_what_is_written_inside_only(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("fatal before\n")
        rows = [row for line in self.follow(tmp_path / "log", "x\nfatal\n") for row in line["rows"]]
        assert [(row["line"], row["message"]) for row in rows] == [(3, "fatal")]

    def test_what_it_cannot_read_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "log").write_text("before\n")
        monkeypatch.setattr(follow.os, "pread", lambda *_: b"")
        ((row,),) = [line["rows"] for line in self.follow(tmp_path / "log", "fatal\n")]
        assert row["message"].endswith("OSError: the log has become shorter")
        assert (row["level"], row["pattern"]) == (2, "")

    def test_a_job_that_is_told_to_end_does_not_wait_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follow, "CHUNK", 1 << 10)
        monkeypatch.setattr(follow, "HURRY", -1.0)
        rows = [row for line in self.follow(tmp_path / "log", "fatal\n" * 5000, ending=True) for row in line["rows"]]
        assert rows[0]["message"] == "messages were looked for up to line 1 only: the job was told to end"
        monkeypatch.setattr(follow, "HURRY", 30.0)
        (tmp_path / "log").unlink()
        lines = self.follow(tmp_path / "log", "fatal\n" * 5000, ending=True)
        assert lines[-1]["counts"] == [("fatal", 1, 5000)]
