"""Packages keep what they offer, whatever of them is imported later."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import facade

MODULES = [one.name for one in pkgutil.walk_packages(facade.__path__, "facade.") if "__main__" not in one.name]


@pytest.fixture(scope="module")
def packages() -> list[ModuleType]:
    """All packages, with every module imported."""
    return [one for one in map(import_module, MODULES) if hasattr(one, "__path__")]


def test_no_module_takes_the_place_of_a_function_of_its_package(packages: list[ModuleType]) -> None:
    hidden = [
        f"{package.__name__}.{one.name}"
        for package in packages
        for one in ast.parse(Path(str(package.__file__)).read_text()).body
        if isinstance(one, ast.FunctionDef | ast.ClassDef) and inspect.ismodule(getattr(package, one.name))
    ]
    assert len(packages) > 8 and hidden == []
