"""What ``facade stat`` says of failures: alike ones once, paths whole."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from facade.cli import attempts, output
from facade.registry.values import Attempt, Failure, Message
from facade.stat import alike
from facade.states import State

LOG = "--- exec 1 detect, started now\n$ detect --id {n}\n{said}\n--- exec 1 detect: exit 2; 0.1 s user\n"


def failed(number: int, said: str = "no stars", **changed: Any) -> Failure:
    """Return a failure of quantum *number*, whose program said something last."""
    made: dict[str, Any] = {
        "task_id": number, "wrapnum": number, "jobnum": number, "modname": "detect",
        "keys": {"visit": 1000 + number, "band": "ri"[number % 2]}, "state": State.FAILED,
        "failure_class": "exec-failed", "step": "exec", "message": f"exec 1 exited with 2; kept: /runs/w{number:05}",
        "exit_code": 2, "tail": LOG.format(n=number, said=said), "log": f"/archive/log/w{number:05}.log",
        "host": "node", "end_time": None,
    }  # fmt: skip
    return Failure(**made | changed)


def wrapnums(*failures: Failure) -> list[list[int]]:
    return [[one.wrapnum for one in group] for group in alike(failures)]


class TestAlike:
    def test_the_last_words_of_the_program_count_without_numbers_and_keys(self) -> None:
        said = [failed(n, f"visit {1000 + n} in {'ri'[n % 2]}: {n} stars at 0x{n}f") for n in (1, 2, 3)]
        assert wrapnums(*said) == [[1, 2, 3]]

    @pytest.mark.parametrize(
        "changed",
        [{"modname": "other"}, {"exit_code": 1}, {"failure_class": "timeout"}, {"step": "outputs"},
         {"tail": LOG.format(n=2, said="no sky")}, {"messages": (Message(1, "no sky", 3),)}, {"state": State.LOST}],
    )  # fmt: skip
    def test_another_way_to_fail_is_told_by_itself(self, changed: Mapping[str, Any]) -> None:
        assert wrapnums(failed(1), failed(2, **changed), failed(3)) == [[1, 3], [2]]

    def test_what_its_programs_complained_of_says_more_than_the_last_line(self) -> None:
        worst = [failed(n, "Traceback ends", messages=(Message(1, text, 3),)) for n, text in enumerate(("a", "b", "a"))]
        assert wrapnums(*worst) == [[0, 2], [1]]

    def test_without_a_log_the_message_counts(self) -> None:
        assert wrapnums(*[failed(n, tail=None, message=f"input in{n}.fits is missing") for n in (1, 2)]) == [[1, 2]]


def shown(*failures: Failure, width: int) -> str:
    stream = io.StringIO()
    first, *others = failures
    Console(file=stream, width=width).print(attempts.failure(first, others))
    return stream.getvalue()


def test_a_failure_is_shown_once_with_the_quanta_that_failed_like_it() -> None:
    text = shown(*[failed(n) for n in range(1, 9)], width=200)
    assert text.count("no stars") == 1 and "✗ detect visit=1001 band=i  exec-failed (exit code 2)" in text
    assert "7 more failed like it: visit=1002 band=r · visit=1003 band=i · " in text and text.rstrip().endswith("· …")
    assert "more failed" not in shown(failed(1), width=200)


def test_into_a_pipe_paths_go_whole_and_lines_without_spaces_at_their_ends(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/archive/" + "deep/" * 60 + "w.log"
    rows = output.table("name", "what")
    rows.add_row("x" * 300, "short")
    rows.add_row("a\u2028b", "long" * 50)
    output.show(attempts.failure(failed(1, log=path), []), rows, Text("end"))
    lines = capsys.readouterr().out.split("\n")
    assert f"  log: {path}" in lines and f"{'x' * 300}  short" in lines and lines[-2:] == ["end", ""]
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_list_of_attempts_fits_a_terminal_and_breaks_no_word(width: int) -> None:
    start = datetime(2026, 11, 21, 22, 48, tzinfo=UTC)
    one = Attempt(
        id=3, task_id=1, name="Ht0_r11p03", reqnum=11, unitname="Ht0", attnum=3, project="MMG", campaign="hsctest",
        pipeline=None, operator="me", submit_key="", plan_id="", engine="htcondor", engine_job=None, run_dir=None,
        archive_path=None, data_state="", submittime=start, state=State.FAILED, start_time=start,
        end_time=start + timedelta(hours=3), tags=("PROTO-0.1", "night-1"),
    )  # fmt: skip
    counts = {State.SUCCEEDED: 11_049, State.FAILED: 108, State.BLOCKED: 3_200}
    stream = io.StringIO()
    Console(file=stream, width=width).print(attempts.listing([(one, counts)] * 3, width))
    text = stream.getvalue()
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    found = text.replace(",", " ").split()
    wanted = ["Ht0_r11p03", "failed", "11049", "succeeded", "108", "3200", "blocked", "3:00:00", "PROTO-0.1", "night-1"]
    assert all(found.count(word) >= 3 for word in wanted)
