"""The documentation names what there is: verbs, named questions, pages."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

from facade.cli import HIDDEN, VERBS
from facade.registry.questions import named_queries

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_verb_is_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for verb in set(VERBS) - HIDDEN:
        assert f"`{verb}" in text, verb


def test_every_named_question_has_an_example() -> None:
    text = (ROOT / "docs/asking.md").read_text()
    for name in named_queries():
        assert f"facade sql {name}" in text, name


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_begins_with_what_it_is_one_picture_and_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    picture, demo, test = text.index("!["), text.index("make demo"), text.index("make test")
    assert picture < demo < test < text.index("\n## ")


def examples() -> list[str]:
    """Return the modules whose docstrings show examples."""
    paths = sorted((ROOT / "facade").rglob("*.py"))
    return [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths if ">>> " in p.read_text()]


@pytest.mark.parametrize("module", examples())
def test_examples_in_docstrings_are_true(module: str) -> None:
    found = doctest.testmod(import_module(module))
    assert found.attempted > 0 and found.failed == 0
