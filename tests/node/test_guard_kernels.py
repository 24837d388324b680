"""The compiled guards against plain twins and shapely."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from fleet.node.surroundings import Floats
from planners._guard import associate, corridor_leader, nearest_samples
from tests.node.scenes import junction

SPACING_M = 0.5
HALF_WIDTH_M = 1.0
PATHS = tuple(sorted(junction().zone_map.paths))


def gaps(path_id: str, front_s_m: float, horizon_m: float, tracks: Floats) -> tuple[int, list[float], Floats]:
    path = junction().zone_map.paths[path_id]
    out = np.full(4 * len(tracks), -7.0)
    row = corridor_leader(
        path.x_m, path.y_m, path.yaw_rad, path.step_m, front_s_m, HALF_WIDTH_M, horizon_m, SPACING_M, tracks, out
    )
    return row, out[::4].tolist(), out.reshape(-1, 4)


def outline(row: Floats) -> shapely.Polygon:
    x, y, yaw, _, length, width = row.tolist()
    box = shapely.box(-0.5 * length, -0.5 * width, 0.5 * length, 0.5 * width)
    return translate(rotate(box, yaw, origin=(0, 0), use_radians=True), x, y)


def corridor(path_id: str, from_s_m: float, to_s_m: float, half_width_m: float) -> shapely.Polygon:
    """The strip of a path between two arc lengths; by shapely."""
    road = junction().roads.get(path_id)
    count = max(2, int((to_s_m - from_s_m) / 0.1))
    points = [road.pose(s)[:2] for s in np.linspace(from_s_m, to_s_m, count).tolist()]
    return shapely.LineString(points).buffer(half_width_m, cap_style="flat")


def first_touch_m(path_id: str, front_s_m: float, horizon_m: float, box: shapely.Polygon) -> float:
    """Where along the corridor, probed every 5 cm, it first touches ``box``."""
    for k in range(int(horizon_m / 0.05)):
        if corridor(path_id, front_s_m + 0.05 * k - 0.05, front_s_m + 0.05 * k + 0.05, HALF_WIDTH_M).intersects(box):
            return 0.05 * k
    return math.inf


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(PATHS), st.floats(180.0, 255.0), st.floats(0.0, 35.0), st.floats(-3.5, 3.5),
    st.floats(-math.pi, math.pi), st.floats(1.5, 9.0), st.floats(0.5, 2.5),
)  # fmt: skip
def test_no_outline_in_the_corridor_is_missed_and_no_gap_told_much_too_long(  # noqa: PLR0913, PLR0917
    path_id: str, front: float, ahead: float, aside: float, turn: float, length: float, width: float
) -> None:
    x, y, yaw = junction().roads.get(path_id).pose(front + ahead)
    row = np.array([[x - aside * math.sin(yaw), y + aside * math.cos(yaw), yaw + turn, 3.0, length, width]])
    found, [gap], _ = gaps(path_id, front, 40.0, row)
    # Axis-aligned extents make a turned outline longer and wider than it is: told too near, never too far.
    true = first_touch_m(path_id, front, 30.0, outline(row[0]))
    if true < math.inf:
        assert found == 0
        assert gap <= true + 0.55
    if gap == math.inf:
        assert found == -1
    else:
        grown = corridor(path_id, front - 0.3, front + 41.0, HALF_WIDTH_M).buffer(0.5 * min(length, width) + 0.9)
        assert grown.intersects(outline(row[0]))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(0.0, 37.0), st.floats(-3.0, 3.0), st.floats(2.0, 9.0), st.floats(0.5, 2.5), st.floats(-10.0, 20.0))
def test_on_a_straight_gap_and_speeds_are_exact(
    ahead: float, aside: float, length: float, width: float, speed: float
) -> None:
    road, front = junction().roads.get("S_straight"), 100.0
    x, y, yaw = road.pose(front + ahead + 0.5 * length)
    row = np.array([[x - aside * math.sin(yaw), y + aside * math.cos(yaw), yaw, speed, length, width]])
    found, [gap], out = gaps("S_straight", front, 40.0, row)
    if abs(aside) < 0.5 * width + HALF_WIDTH_M - 1e-9:
        assert found == 0 and gap == pytest.approx(ahead, abs=1e-6)
        assert out[0, 1:] == pytest.approx([speed, 0.0, 1.0], abs=1e-9)
    elif abs(aside) > 0.5 * width + HALF_WIDTH_M + 1e-9:
        assert found == -1 and gap == math.inf


def test_what_is_behind_the_bumper_is_not_ahead_and_what_is_under_it_has_no_gap() -> None:
    road, front = junction().roads.get("S_straight"), 100.0
    rows = []
    for centre in (front - 2.6, front - 2.0, front + 2.0, front + 60.0):
        x, y, yaw = road.pose(centre)
        rows.append([x, y, yaw, 0.0, 5.0, 1.8])
    _, found, _ = gaps("S_straight", front, 40.0, np.array(rows))
    assert found == [math.inf, 0.0, 0.0, math.inf]


def test_the_nearest_of_many_is_named_and_nobody_is_minus_one() -> None:
    road, front = junction().roads.get("S_left"), 200.0
    rows = [[*road.pose(front + d), 1.0, 4.0, 1.8] for d in (30.0, 12.0, 25.0, 13.0)]
    row, found, _ = gaps("S_left", front, 60.0, np.array(rows))
    assert row == 1 and found[1] == min(found)
    assert gaps("S_left", front, 60.0, np.empty((0, 6)))[0] == -1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 2**32 - 1), st.floats(0.1, 20.0))
def test_association_is_nearest_neighbour_within_the_gate(count: int, expected: int, seed: int, gate: float) -> None:
    rng = np.random.default_rng(seed)
    tracks, places = rng.uniform(-20.0, 20.0, (count, 6)), rng.uniform(-20.0, 20.0, (expected, 2))
    out = np.full(count, -9, dtype=np.int64)
    associate(tracks, places, gate, out)
    for n in range(count):
        distances = [math.dist(tracks[n, :2], places[m]) for m in range(expected)]
        best = int(np.argmin(distances)) if distances else -1
        assert out[n] == (best if distances and distances[best] < gate else -1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(PATHS), st.floats(0.0, 490.0), st.floats(-2.0, 2.0), st.floats(-0.9, 0.9))
def test_the_nearest_sample_of_each_path_is_that_of_a_search_through_all_of_them(
    path_id: str, s: float, aside: float, turn: float
) -> None:
    roads = junction().roads
    x, y, yaw = roads.get(path_id).pose(s)
    x, y, yaw = x - aside * math.sin(yaw), y + aside * math.cos(yaw), yaw + turn
    tracks = np.array([(0.0, 900.0, 0.0, 0.0, 4.0, 2.0), (x, y, yaw, 0.0, 4.0, 2.0)])
    out = np.empty((1, len(roads.names)), dtype=np.int64)
    arrays = roads.x_m, roads.y_m, roads.yaw_rad, roads.step_m, roads.offsets
    nearest_samples(np.array([1]), tracks, *arrays, 1.6, 0.6, out)
    for name, found in zip(roads.names, out[0].tolist(), strict=True):
        path = roads.zone_map.paths[name]
        squares = (path.x_m - x) ** 2 + (path.y_m - y) ** 2
        best = int(np.argmin(squares))
        off = abs(math.remainder(yaw - float(path.yaw_rad[best]), 2.0 * math.pi))
        if abs(off - 0.6) < 0.03 or abs(math.sqrt(squares[best]) - 1.6) < 1e-6:
            continue  # equally near samples may differ in heading
        assert (found >= 0) == (squares[best] <= 1.6**2 and off <= 0.6)
        if found >= 0:
            assert squares[found] == pytest.approx(squares[best], abs=1e-9)
