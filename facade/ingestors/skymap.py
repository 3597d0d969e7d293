"""Sky maps: which patches there are and where their corners lie.

A table of patches by their corners, or JSON that describes tracts as grids of square patches:
one object, or a list of them, with ``tract``, the centre ``ra`` ``dec`` in degrees, ``columns`` and ``rows`` of
patches, each of ``patch_pixels`` and a ``border`` of so many pixels around it, at ``scale`` arcseconds per pixel. A
tract is the tangent plane at its centre; patch ``x,y`` is in column x, counted from the east, and row y, counted from
the south.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from facade.errors import InputError, Location
from facade.ingestors._table import Dimension, number, whole, with_patchname, word
from facade.plugins import Scalar

KEYS = ("tract", "ra", "dec", "columns", "rows", "patch_pixels", "border", "scale")
MOST = 1_000_000  # patches of a tract


def _on_the_sky(row: dict[str, Scalar]) -> dict[str, Scalar]:
    for n in "1234":
        ra, dec = float(str(row[f"ra{n}"])), float(str(row[f"dec{n}"]))
        if not (-360 <= ra <= 720 and -90 <= dec <= 90):
            raise ValueError(f"ra{n} {ra} and dec{n} {dec} are no place on the sky, in degrees")
    return with_patchname(row)


_TABLE = Dimension(
    "skymap",
    {"tract": whole, "patch": word, **{f"{name}{n}": number for n in "1234" for name in ("ra", "dec")}},
    complete=_on_the_sky,
)


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return None for every column: what matters is in `contents`."""
    return dict.fromkeys(columns)


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]]:
    """Return the patches, for the dimension table ``skymap``.

    Raises:
        InputError: the file is no sky map.
    """
    try:
        start = path.read_bytes()[:64].lstrip()[:1]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if start not in (b"{", b"["):
        return _TABLE.contents(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"this is no JSON: {error.msg}", location=Location(str(path), error.lineno, error.colno)
        ) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {type(error).__name__}") from None
    rows = [row for one in (found if isinstance(found, list) else [found]) for row in _tract(path, one)]
    if len({(row["tract"], row["patch"]) for row in rows}) < len(rows):
        raise InputError(f"{path}: a tract is described twice")
    return "skymap", rows


def _tract(path: Path, one: Any) -> Iterator[dict[str, Scalar]]:
    """Yield the patches of one tract."""
    if not isinstance(one, Mapping) or (lacks := [key for key in KEYS if key not in one]):
        what = f"lacks {', '.join(lacks)}" if isinstance(one, Mapping) else "is no object"
        raise InputError(f"{path} is no sky map: a tract {what}", remedy=f"a tract has {', '.join(KEYS)}")
    ints = {key: one[key] for key in ("tract", "columns", "rows", "patch_pixels", "border")}
    reals = {key: one[key] for key in ("ra", "dec", "scale")}
    sound = all(type(value) is int and value >= 0 for value in ints.values())
    sound = sound and all(type(value) in (int, float) and math.isfinite(value) for value in reals.values())
    columns, lines, side, border = (
        (ints[key] for key in ("columns", "rows", "patch_pixels", "border")) if sound else [0] * 4
    )
    if not (sound and 0 < columns * lines <= MOST and side and reals["scale"] > 0 and abs(reals["dec"]) <= 90):
        raise InputError(f"{path}: tract {one['tract']!r} is no grid of patches on the sky")
    pixel = reals["scale"] / 3600
    for column in range(columns):
        for line in range(lines):
            left, low = column * side - border - columns * side / 2, line * side - border - lines * side / 2
            right, high = left + side + 2 * border, low + side + 2 * border
            corners = [_sky(reals["ra"], reals["dec"], -x * pixel, y * pixel)
                       for x, y in ((left, low), (right, low), (right, high), (left, high))]  # fmt: skip
            place = {f"{name}{n}": value for n, corner in enumerate(corners, 1)
                     for name, value in zip(("ra", "dec"), corner, strict=True)}  # fmt: skip
            yield {"tract": ints["tract"], "patch": f"{column},{line}", "patchname": f"{column}x{line}", **place}


def _sky(ra: float, dec: float, xi: float, eta: float) -> tuple[float, float]:
    """Return where a point of the tangent plane at (*ra*, *dec*) is on the sky; everything in degrees."""
    x, y, sine, cosine = math.radians(xi), math.radians(eta), math.sin(math.radians(dec)), math.cos(math.radians(dec))
    below = cosine - y * sine
    return (
        (ra + math.degrees(math.atan2(x, below))) % 360,
        math.degrees(math.atan2(sine + y * cosine, math.hypot(x, below))),
    )
