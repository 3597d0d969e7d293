"""Packages keep what they offer, whatever of them is imported later."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [path.parent for part in ("facade", "wrappers", "queries") for path in (ROOT / part).rglob("__init__.py")]


def test_no_module_takes_the_place_of_a_function_of_its_package() -> None:
    """To import a module binds its name in its package: ``engines.fates()`` would work once, and then be a module."""
    hidden = [
        f"{package.name}.{one.name}"
        for package in PACKAGES
        for one in ast.parse((package / "__init__.py").read_text()).body
        if isinstance(one, ast.FunctionDef | ast.ClassDef)
        and ((package / f"{one.name}.py").exists() or (package / one.name).is_dir())
    ]
    assert len(PACKAGES) > 12 and hidden == []
