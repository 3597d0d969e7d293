"""Images on patches: at RA 0, at the poles, edges that touch, slivers and giants, and how long it takes."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sky import Row, box, place

from facade_queries._sphere import falls_on, polygons


def fall(patch: Row, image: Row) -> bool:
    found = list(falls_on(polygons([patch]), polygons([image])))
    assert found == [(i, p) for p, i in falls_on(polygons([image]), polygons([patch]))]
    return bool(found)


SQUARE = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("patch", "image", "falls"),
    [
        (box(0, 0, 1), box(359.4, 0, 0.3), True),
        (box(359.9, 0, 1), box(0.3, 0.2, 0.1), True),
        (box(359.9, 0, 1), box(0.6, 0, 0.1), False),
        (box(0, 0, 1), box(180, 0, 1), False),
        (box(10, 90, 1), box(200, 89.8, 0.1), True),
        (box(10, 90, 1), box(200, 88, 0.1), False),
        (box(0, -90, 2), box(77, -90, 0.001), True),
        (box(0, -89.99, 0.5), box(180, -89.99, 0.5), True),
        (SQUARE, [1.0, 0.0, 2.0, 0.0, 2.0, 1.0, 1.0, 1.0], True),  # a side in common
        (SQUARE, [1.0, 1.0, 2.0, 1.0, 2.0, 2.0, 1.0, 2.0], True),  # a corner in common
        (SQUARE, [1.0 + 1e-7, 0.0, 2.0, 0.0, 2.0, 1.0, 1.0 + 1e-7, 1.0], False),
        (SQUARE, [0.5, 0.0, 0.6, 0.0, 0.6, -0.1, 0.5, -0.1], True),  # corners on the middle of a side
        (SQUARE, SQUARE, True),
        (SQUARE, box(0.5, 0.5, 1e-6), True),
        (box(0.5, 0.5, 1e-6), SQUARE, True),
        (SQUARE, box(0.5, 0.5, 3, 0.01), True),  # across, no corner of one in the other
        (box(30, 40, 100), box(30, 40, 0.2), True),
        (box(30, 40, 100), box(100, 40, 0.2), False),
        (box(30, 40, 150), box(210, -40, 1), False),
        (box(30, 40, 150), box(30 + 60, 40, 1), True),
    ],
)  # fmt: skip
def test_what_falls_on_a_patch(patch: Row, image: Row, falls: bool) -> None:
    assert fall(patch, image) is falls
    backwards = [number for corner in reversed(range(4)) for number in image[2 * corner : 2 * corner + 2]]
    assert fall(patch, backwards) is falls


def test_an_edge_is_a_great_circle_not_a_parallel() -> None:
    # the northern side of this strip goes far north of the parallel that its corners lie on
    strip = [0.0, 40.0, 60.0, 40.0, 60.0, 50.0, 0.0, 50.0]
    assert fall(strip, box(30, 53, 0.1)) and not fall(strip, box(30, 41, 0.1))


@pytest.mark.parametrize(
    ("row", "blamed"),
    [([5.0, 5.0] * 4, True), ([0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0], True),
     ([0.0, 0.0, 90.0, 0.0, 180.0, 0.0, 270.0, 0.0], True)],
)  # fmt: skip
def test_corners_without_an_area_are_blamed(row: Row, blamed: bool) -> None:
    with pytest.raises(ValueError) as caught:
        list(falls_on(polygons([box(1, 0, 2), row]), polygons([box(1, 0, 1)])))
    assert caught.value.args == ("patch", 1)
    with pytest.raises(ValueError) as caught:
        list(falls_on(polygons([box(1, 0, 10)]), polygons([box(1, 0, 1), row])))
    assert caught.value.args == ("image", 1)


def _vectors(row: Row) -> list[np.ndarray]:
    found = []
    for ra, dec in zip(row[::2], row[1::2], strict=True):
        a, d = math.radians(ra), math.radians(dec)
        found.append(np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)]))
    centre = sum(found)
    order = sorted(range(len(found)), key=lambda i: _bearing(found[i], centre))
    return [found[i] for i in order]


def _bearing(vector: np.ndarray, centre: np.ndarray) -> float:
    north = np.cross(centre, [0.3, 0.5, 0.8])
    return math.atan2(float(vector @ np.cross(centre, north)) / float(np.linalg.norm(centre)), float(vector @ north))


def naive(one: Row, other: Row) -> float:
    """Return by how much (as a sine) the polygons overlap along the best separating great circle; negative: apart."""
    a, b = _vectors(one), _vectors(other)
    best = math.inf
    for mine, theirs in ((a, b), (b, a)):
        for i in range(len(mine)):
            pole = np.cross(mine[i], mine[(i + 1) % len(mine)])
            pole /= np.linalg.norm(pole)
            pole *= 1 if pole @ sum(mine) > 0 else -1
            best = min(best, max(float(pole @ corner) for corner in theirs))
    for p, q in itertools.product(a, b):
        pole = np.cross(p, q)
        if np.linalg.norm(pole) > 1e-12:
            pole /= np.linalg.norm(pole)
            for sign in (1, -1):
                low, high = min(float(sign * pole @ c) for c in a), max(float(sign * pole @ c) for c in b)
                best = min(best, high - low)
    return best


@settings(max_examples=200, deadline=None)
@given(
    ra=st.floats(0, 360), dec=st.floats(-90, 90), size=st.floats(0.01, 3), other=st.floats(0.01, 3),
    distance=st.floats(0, 3), bearing=st.floats(0, 360), turn=st.floats(0, 90),
)  # fmt: skip
def test_any_two_squares_agree_with_separating_great_circles(
    ra: float, dec: float, size: float, other: float, distance: float, bearing: float, turn: float
) -> None:
    angle = math.radians(bearing)
    there = place(ra, dec, distance * math.cos(angle), distance * math.sin(angle))
    one, two = box(ra, dec, size, turn=turn), box(there[0], there[1], other)
    margin = naive(one, two)
    if abs(margin) > 1e-9:
        assert fall(one, two) is (margin > 0)


def tract(ra: float, dec: float, across: int = 9, side: float = 0.19) -> list[Row]:
    """Return the patches of a tract with overlapping borders."""
    rows = []
    for column, line in itertools.product(range(across), repeat=2):
        x, y = (column - across / 2) * side, (line - across / 2) * side
        rows.append([number for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))
                     for number in place(ra, dec, x + dx * side * 1.05, y + dy * side * 1.05)])  # fmt: skip
    return rows


@pytest.mark.parametrize("spread", [0.9, 60])
def test_a_hundred_thousand_ccds_take_seconds(spread: float) -> None:
    rng = np.random.default_rng(59)
    offsets = rng.uniform(-spread, spread, (100_000, 2)).tolist()
    images = polygons([box(*place(150, 2, x, y), 0.1, 0.2) for x, y in offsets])
    begun = time.process_time()
    found = list(falls_on(polygons(tract(150, 2)), images))
    spent = time.process_time() - begun
    print(f"{len(found)} overlaps of 100,000 ccds within {spread} degrees of 81 patches: {spent:.2f} s")
    assert spent < 10 and (len(found) > 100_000) is (spread < 1)
