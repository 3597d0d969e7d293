"""Several tries with pauses, for what may go right another time; and a bound on transfers that holds over processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from facade.archive import open_archive
from facade.archive.transfers import Habits, Transfers, Transient
from facade.errors import InputError, RefusedError, TransferError


def failing(times: int, error: Exception) -> tuple[list[float], object]:
    calls: list[float] = []

    def action() -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return "done"

    return calls, action


def test_what_may_go_right_is_tried_again_with_growing_pauses() -> None:
    calls, action = failing(3, Transient("cut"))
    result, tried = Transfers(Habits(pause=0.05), "x").run(action)  # type: ignore[arg-type]
    assert result == "done" and tried.tries == 4
    pauses = [b - a for a, b in itertools.pairwise(calls)]
    assert pauses[0] >= 0.025 and pauses[2] >= 0.1 and tried.seconds >= sum(pauses) * 0.9


def test_it_is_given_up_in_the_end_and_the_last_reason_told() -> None:
    calls, action = failing(9, Transient("cut", remedy="look at the cable"))
    with pytest.raises(TransferError, match=r"cut \(tried 3 times\)") as caught:
        Transfers(Habits(tries=3, pause=0), "x").run(action)  # type: ignore[arg-type]
    assert len(calls) == 3 and not isinstance(caught.value, Transient) and caught.value.remedy == "look at the cable"


def test_what_will_not_go_right_is_tried_once() -> None:
    for error in (RefusedError("taken"), TransferError("no permission"), ValueError("a mistake of ours")):
        calls, action = failing(1, error)
        with pytest.raises(type(error)):
            Transfers(Habits(pause=0), "x").run(action)  # type: ignore[arg-type]
        assert len(calls) == 1


def test_the_other_side_may_ask_for_a_longer_pause() -> None:
    calls, action = failing(1, Transient("busy", after=0.2))
    Transfers(Habits(pause=0), "x").run(action)  # type: ignore[arg-type]
    assert calls[1] - calls[0] >= 0.2


def test_whoever_waits_can_be_told_to_end() -> None:
    told = threading.Event()

    def check() -> None:
        if told.is_set():
            raise KeyboardInterrupt

    _, action = failing(1, Transient("busy", after=60))
    threading.Timer(0.2, told.set).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Transfers(Habits(check=check), "x").run(action)  # type: ignore[arg-type]
    assert time.monotonic() - started < 5


def hold(folder: Path, seconds: float, spans: multiprocessing.Queue[tuple[float, float]]) -> None:
    def action() -> tuple[float, float]:
        started = time.monotonic()
        time.sleep(seconds)
        return started, time.monotonic()

    result, tried = Transfers(Habits(limit=2, slots=folder), "https://archive").run(action)
    assert tried.seconds < seconds + 0.2, "the wait for a slot does not count"
    spans.put(result)


def test_no_more_transfers_run_at_once_on_a_host_than_the_site_wants(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    spans: multiprocessing.Queue[tuple[float, float]] = context.Queue()  # type: ignore[assignment]
    workers = [context.Process(target=hold, args=(tmp_path, 0.4, spans)) for _ in range(6)]
    for worker in workers:
        worker.start()
    found = [spans.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    most = max(sum(a <= start < b for a, b in found) for start, _ in found)
    assert most == 2


def test_a_slot_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    spans: multiprocessing.Queue[tuple[float, float]] = context.Queue()  # type: ignore[assignment]
    holders = [context.Process(target=hold, args=(tmp_path, 60, spans)) for _ in range(2)]
    for holder in holders:
        holder.start()
    time.sleep(0.5)
    threading.Timer(0.3, lambda: [os.kill(holder.pid or 0, signal.SIGKILL) for holder in holders]).start()
    started = time.monotonic()
    Transfers(Habits(limit=2, slots=tmp_path), "https://archive").run(lambda: None)
    assert 0.1 < time.monotonic() - started < 20
    for holder in holders:
        holder.join()


@pytest.mark.parametrize(
    ("key", "text"), [("tries", "0"), ("tries", "2.5"), ("tries", "many"), ("transfers", "-1"), ("timeout", "nan")]
)
def test_options_that_mean_nothing_are_told(tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(InputError, match=f"'{key} = {text}'"):
        open_archive("home", str(tmp_path), {key: text})


def test_slots_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot bound transfers") as caught:
        open_archive("home", str(tmp_path), {"transfers": "2", "slots": str(tmp_path / "not/there")})
    assert "slots" in caught.value.remedy
