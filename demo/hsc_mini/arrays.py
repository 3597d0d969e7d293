"""The one name that the pixel code uses for arrays; docstrings tell what is in them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
