"""Reeds-Shepp words: they end where they should, none is shorter, and symmetry holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners._reeds_shepp import all_words, reeds_shepp

PLACES = st.floats(-12.0, 12.0)
ANGLES = st.floats(-math.pi, math.pi)


def end_of(bend: np.ndarray, length: np.ndarray) -> tuple[complex, float]:
    """Where the parts lead, each a turn about its centre."""
    place, yaw = 0j, 0.0
    for k, s in zip(bend, length, strict=True):
        heading = complex(math.cos(yaw), math.sin(yaw))
        if k == 0.0:
            place += heading * s
        else:
            centre = place + heading * 1j / k
            place = centre + (place - centre) * complex(math.cos(k * s), math.sin(k * s))
            yaw += k * s
    return place, yaw


def shortest(x: float, y: float, phi: float) -> tuple[float, np.ndarray, np.ndarray]:
    bend, length = np.empty(5), np.empty(5)
    return reeds_shepp(x, y, phi, bend, length), bend, length


@settings(max_examples=300, deadline=None)
@given(PLACES, PLACES, ANGLES)
def test_every_word_ends_at_the_goal_and_the_chosen_one_is_shortest(x: float, y: float, phi: float) -> None:
    total, bend, length = np.empty(48), np.empty((48, 5)), np.empty((48, 5))
    count = all_words(x, y, phi, total, bend, length)
    for n in range(count):
        place, yaw = end_of(bend[n], length[n])
        assert abs(place - complex(x, y)) < 1e-7
        assert abs(math.remainder(yaw - phi, math.tau)) < 1e-7
        assert np.abs(length[n]).sum() == pytest.approx(total[n])
    best, _, parts = shortest(x, y, phi)
    assert best == pytest.approx(total[:count].min())
    assert np.abs(parts).sum() == pytest.approx(best)
    assert best >= math.hypot(x, y) - 1e-9


@settings(max_examples=100, deadline=None)
@given(PLACES, PLACES, ANGLES)
def test_there_and_back_mirrored_and_reversed_are_equally_long(x: float, y: float, phi: float) -> None:
    there = shortest(x, y, phi)[0]
    c, s = math.cos(phi), math.sin(phi)
    back = shortest(-(x * c + y * s), x * s - y * c, -phi)[0]
    assert there == pytest.approx(back, abs=1e-6)
    assert there == pytest.approx(shortest(x, -y, -phi)[0], abs=1e-6)
    assert there == pytest.approx(shortest(-x, y, -phi)[0], abs=1e-6)


@pytest.mark.parametrize(
    ("goal", "length"),
    [
        ((5.0, 0.0, 0.0), 5.0),
        ((-5.0, 0.0, 0.0), 5.0),
        ((1.0, 1.0, math.pi / 2), math.pi / 2),
        ((0.0, 2.0, math.pi), math.pi),
        ((0.0, 0.0, math.pi), math.pi),
    ],
)
def test_lengths_that_are_known(goal: tuple[float, float, float], length: float) -> None:
    assert shortest(*goal)[0] == pytest.approx(length)
