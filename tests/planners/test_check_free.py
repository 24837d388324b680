"""The verifier of free-space plans: what is drivable and clear passes, each fault is found, near misses too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.check_free import Track, check_free_space, gaps

NOTHING = np.empty((0, 3))


def track(name: str, states: Sequence[Sequence[float]]) -> Track:
    rows = np.array(states, dtype=np.float64)
    return Track(name, rows, tuple(rows[0, 1:]), tuple(rows[-1, 1:]), 2.0, 1.0, 2.0, 2.0, 3.0)


def driven(name: str, x: float, y: float, yaw: float, seconds: float, kappa: float = 0.0, v: float = 2.0) -> Track:
    t = np.arange(round(seconds * 10) + 1) * 0.1
    s = v * t
    if kappa == 0.0:
        px, py = x + s * math.cos(yaw), y + s * math.sin(yaw)
    else:
        px = x + (np.sin(yaw + kappa * s) - math.sin(yaw)) / kappa
        py = y - (np.cos(yaw + kappa * s) - math.cos(yaw)) / kappa
    return track(name, np.column_stack((t, px, py, yaw + kappa * s)).tolist())


def findings(
    *tracks: Track, discs: np.ndarray = NOTHING, polygons: Sequence[np.ndarray] = (), size: float = 60.0
) -> list[str]:
    return check_free_space(tracks, discs=discs, polygons=polygons, border_m=(0.0, 0.0, size, size), step_s_max=0.1)


def test_a_drivable_clear_plan_has_no_findings() -> None:
    assert (
        findings(driven("a", 10, 10, 0.3, 5, 1 / 3), driven("b", 30, 30, 0.0, 4), discs=np.array([[40.0, 10.0, 2.0]]))
        == []
    )


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda t: replace(t, goal=(0.0, 0.0, 0.0)), "last state"),
        (lambda t: replace(t, start=(10.0, 10.0, 0.1)), "first state"),
        (lambda t: replace(t, speed_mps_max=1.9), "faster than 1.9"),
        (lambda t: replace(t, turn_radius_m_min=4.1), "tighter than 4.1"),
        (lambda t: replace(t, states=t.states[[0, *range(2, len(t.states))]]), "steps of at most"),
        (
            lambda t: replace(
                t,
                states=np.vstack((t.states[:1] * [[1, 1, 1, 1]], t.states[1:] + [[0, 0, 0.1, 0]])),
                goal=tuple(t.states[-1, 1:] + [0, 0.1, 0]),
            ),
            "sideways",
        ),
        (lambda t: replace(t, states=t.states * np.nan), "finite"),
    ],
)
def test_each_fault_of_motion_is_found(fault, text: str) -> None:  # type: ignore[no-untyped-def]
    assert any(text in found for found in findings(fault(driven("a", 10, 10, 0.0, 3, 1 / 4))))


def test_a_contact_between_two_states_is_found() -> None:
    """Two that swap along one line for an instant: at every written state they are clear, in between they are not."""
    crossing = driven("b", 12.3, 4.0, math.pi / 2, 5)
    assert any("a and b meet" in found for found in findings(driven("a", 2, 10, 0.0, 5), crossing))


@pytest.mark.parametrize(("aside", "clear"), [(2.003, True), (1.999, False)])
def test_passing_side_by_side_is_judged_to_the_millimetre(aside: float, clear: bool) -> None:
    found = findings(driven("a", 5, 10, 0.0, 10), driven("b", 40, 10 + aside, math.pi, 10))
    assert (found == []) == clear


@pytest.mark.parametrize(("away", "clear"), [(1.803, True), (1.797, False)])
def test_passing_a_disc_is_judged_to_the_millimetre(away: float, clear: bool) -> None:
    assert (findings(driven("a", 5, 10, 0.0, 10), discs=np.array([[15.0, 10.0 + away, 0.8]])) == []) == clear


def test_walls_and_the_inside_of_polygons_are_seen() -> None:
    wall = np.array([[20.0, 9.0], [21.0, 9.0], [21.0, 20.0]])
    around = np.array([[1.0, 1.0], [59.0, 1.0], [59.0, 59.0], [1.0, 59.0]])
    assert any("meets polygon 0" in found for found in findings(driven("a", 5, 10, 0.0, 10), polygons=[wall]))
    assert any("starts inside polygon 0" in found for found in findings(driven("a", 20, 20, 0.0, 1), polygons=[around]))


def test_leaving_the_site_is_found_and_the_border_may_be_touched() -> None:
    assert findings(driven("a", 5, 1.0, 0.0, 5)) == []
    assert any("leaves the site" in found for found in findings(driven("a", 5, 0.99, 0.0, 5)))
    assert any("leaves the site" in found for found in findings(driven("a", 50, 30, 0.0, 4.6)))


def test_who_has_arrived_is_an_obstacle() -> None:
    short = track("a", [[0.0, 30.0, 10.0, 0.0]])
    assert any("meet" in found for found in findings(short, driven("b", 5, 10, 0.0, 12)))


OUTLINES = st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-4, 4), st.floats(0.2, 3), st.floats(0.2, 3))


def rectangle(x: float, y: float, yaw: float, half_l: float, half_w: float) -> np.ndarray:
    c, s = math.cos(yaw), math.sin(yaw)
    corners = np.array([[half_l, half_w], [-half_l, half_w], [-half_l, -half_w], [half_l, -half_w]])
    return corners @ np.array([[c, s], [-s, c]]) + [x, y]


@settings(max_examples=300, deadline=None)
@given(OUTLINES, OUTLINES, st.integers(1, 4))
def test_gaps_agree_with_shapely(a: tuple[float, ...], b: tuple[float, ...], corners: int) -> None:
    """Rectangles against rectangles, segments and points."""
    first, second = rectangle(*a), rectangle(*b)[: corners if corners != 3 else 4]
    shape = (shapely.Point, shapely.LineString, None, shapely.Polygon)[len(second) - 1]
    assert shape is not None
    other = shape(second[0]) if len(second) == 1 else shape(second)
    assert gaps(first[None], second[None])[0] == pytest.approx(shapely.Polygon(first).distance(other), abs=1e-9)
