"""The house that tests of jobs live in."""

from __future__ import annotations

from pathlib import Path

import pytest
from job.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
