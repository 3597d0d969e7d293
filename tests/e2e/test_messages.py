"""Messages of programs, from the campaign to the operator: the demo with the patterns of wcl/hsc/messages.wcl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.world import CAMPAIGN, ROOT, World

PATTERNS = ROOT / "wcl/hsc/messages.wcl"
TALKS = r"""
printf '\033[33mWARN\033[0m processCcd \377 saturated, and no end of line'
case "$*" in *visit=903334*ccd=16*) printf '\nFATAL processCcd no stars in $*\n' >&2; exit 7;; esac
yes 'warning: the same again' | head -n 5000
"""


def campaign(world: World, name: str, more: str = "") -> Path:
    path = world.home / name
    path.write_text(f"<<include {CAMPAIGN}>>\n<<include {PATTERNS}>>\n{more}")
    return path


@pytest.fixture(scope="module")
def ran(world: World) -> Iterator[tuple[World, Path, tuple[object, ...]]]:
    """The world after an attempt in which every program of processccd talks and one fails."""
    path, options = campaign(world, "talks.wcl"), world.shim("processCcd", TALKS)
    world.facade("submit", path, "--wait", "--reuse", "none", "--to", "processccd", "-j", 2, *options, code=1)
    yield world, path, options


def test_a_failed_quantum_is_shown_with_what_its_program_said(ran: tuple[World, Path, tuple[object, ...]]) -> None:
    world, *_ = ran
    attempt = world.latest()["name"]
    [failure] = world.json("stat", attempt)["failures"]
    said = [(one["level"], one["message"]) for one in failure["messages"]]
    assert [level for level, _ in said] == [2, 1] and said[0][1].startswith(r"WARN processCcd \xff saturated")
    assert said[1][1].startswith("FATAL processCcd no stars")
    shown = world.facade("stat", attempt).stdout
    assert f"error in line {failure['messages'][1]['line']} of the log: FATAL processCcd no stars" in shown


def test_messages_lead_to_the_line_in_the_log_as_it_was_printed(ran: tuple[World, Path, tuple[object, ...]]) -> None:
    world, *_ = ran
    attempt = world.latest()
    found = world.json("sql", "messages", f"attempt={attempt['id']}")
    rows = [row for row in found if row["modname"] == "processccd"]
    assert {row["level"] for row in rows} == {"error", "warning", "information"}
    logs = {row["log"]: Path(row["log"]).read_bytes() for row in rows}
    assert len(logs) == 16 and all(b"\x1b[33mWARN\x1b[0m processCcd \xff saturated" in log for log in logs.values())
    for row in rows:
        line = logs[row["log"]].split(b"\n")[row["log_line"] - 1].replace(b"\x1b[33m", b"").replace(b"\x1b[0m", b"")
        assert row["message"].split("\n")[0] in line.decode(errors="backslashreplace")
    floods = [row for row in rows if row["message"] == "warning: the same again"]
    assert {row["of_this_pattern"] for row in floods} == {5000} and 15 * 90 < len(floods) <= 15 * 100
    counted = world.json("sql", "message-counts", f"attempt={attempt['id']}")
    assert [(row["level"], row["messages"], row["quanta"]) for row in counted][:2] == [
        ("error", 1, 1),
        ("warning", 75001, 16),
    ]
    assert counted[2]["level"] == "information" and counted[2]["quanta"] == 15


def test_other_patterns_make_nothing_anew(ran: tuple[World, Path, tuple[object, ...]]) -> None:
    world, _, options = ran
    more = "<qcf>\n<patterns>\n<mine>\npattern = saturated\n</mine>\n</patterns>\n</qcf>\n"
    other = campaign(world, "other.wcl", more)
    for path in (ran[1], other):
        out = world.facade("submit", path, "--dry-run", "--to", "processccd", *options)
        assert "1 quanta to run in 1 job" in out.stdout + out.stderr, out.stdout + out.stderr
