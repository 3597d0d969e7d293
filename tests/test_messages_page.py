"""The example of docs/messages.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from campaigns import small, text

from facade.job.messages import FIRST, LAST, LONGEST, MOST, PIECE, Finders, Findings, Scanner

PAGE = (Path(__file__).parent.parent / "docs/messages.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_patterns_of_the_page_find_its_messages() -> None:
    rules = small(text() + block("wcl")).modules[0].execs[0].messages
    assert rules is not None
    findings = Findings()
    scanner = Scanner(rules, Finders(rules), findings)
    scanner.feed(block("text").encode(), "")
    scanner.end()
    rows = [one.row() for one in findings.take()]
    shown = [f"| {row['line']} | {row['level']} | {row['message'].replace(chr(10), '⏎')} |" for row in rows]
    table = PAGE.partition("| line | level | message |\n|---|---|---|\n")[2].partition("\n\n")[0]
    assert shown == table.splitlines()


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"the first {FIRST} messages and the last {LAST}, and of each level at most the first {MOST}" in PAGE
    assert (
        f"pieces of {PIECE >> 10} KiB" in PAGE.replace("piece of", "pieces of")
        and f"at most {LONGEST} characters" in PAGE
    )
