"""Paths: exact grid, analytic curvature, smoothing that bounds kinks, and projection."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import PlanError
from planners.paths import build_path, movement, pose_at, project
from planners.zone_map import Path

RADIUS_M = 8.0


def turn_left(radius_m: float = RADIUS_M, arm_m: float = 40.0) -> np.ndarray:
    angle = np.linspace(-math.pi / 2, 0.0, 80)
    arc = radius_m * np.column_stack((np.cos(angle), np.sin(angle)))
    return np.vstack(([[-arm_m, -radius_m]], arc, [[radius_m, arm_m]]))


def built(points: np.ndarray, **options: float) -> Path:
    return build_path("p", "south", "north", points, 10.0, 1.75, step_m=options.pop("step_m", 0.25), **options)


def test_the_grid_is_exact_and_the_arrays_are_frozen() -> None:
    path = built(turn_left())
    chords = np.hypot(np.diff(path.x_m), np.diff(path.y_m))
    # A chord of an arc is shorter than the arc by h^3 kappa^2 / 24.
    assert np.all(np.abs(chords - 0.25) < 0.25**3 / RADIUS_M**2 / 24 + 1e-4)
    assert path.length_m == pytest.approx(80.0 + RADIUS_M * math.pi / 2, abs=0.125)
    for array in (path.x_m, path.y_m, path.yaw_rad, path.kappa_1pm, path.limit_mps, path.half_width_m):
        assert array.dtype == np.float64 and array.flags.c_contiguous and not array.flags.writeable
        assert len(array) == len(path.x_m)


def test_a_dense_arc_keeps_its_curvature_and_a_long_chord_stays_straight() -> None:
    path = built(turn_left())
    s = np.arange(len(path.x_m)) * path.step_m
    on_arc = (s > 41.0) & (s < 39.0 + RADIUS_M * math.pi / 2)
    assert path.kappa_1pm[on_arc] == pytest.approx(1.0 / RADIUS_M, rel=2e-3)
    assert np.abs(path.y_m[s < 39.5] + RADIUS_M).max() < 1e-9
    assert path.yaw_rad[-1] - path.yaw_rad[0] == pytest.approx(math.pi / 2, abs=1e-6)


def test_yaw_is_the_tangent_and_kappa_its_derivative() -> None:
    t = np.linspace(0.0, 60.0, 400)
    path = built(np.column_stack((t, 3.0 * np.sin(t / 9.0))))
    chord = np.column_stack((path.x_m[2:] - path.x_m[:-2], path.y_m[2:] - path.y_m[:-2]))
    assert np.unwrap(path.yaw_rad)[1:-1] == pytest.approx(np.arctan2(chord[:, 1], chord[:, 0]), abs=1e-9)
    assert np.cumsum(path.kappa_1pm)[-1] * 0.25 == pytest.approx(path.yaw_rad[-1] - path.yaw_rad[0], abs=0.02)


def test_yaw_stays_in_range_when_the_path_heads_west() -> None:
    path = built(np.column_stack((np.linspace(0.0, -50.0, 60), 0.2 * np.sin(np.linspace(0.0, 9.0, 60)))))
    assert path.yaw_rad.min() > -math.pi and path.yaw_rad.max() <= math.pi
    assert np.abs(path.kappa_1pm).max() < 0.1


@pytest.mark.parametrize(
    ("degrees", "name"),
    [
        (0, "straight"),
        (39, "straight"),
        (41, "left"),
        (-41, "right"),
        (149, "left"),
        (-151, "u_turn"),
        (180, "u_turn"),
    ],
)
def test_the_movement_is_the_change_of_heading(degrees: float, name: str) -> None:
    assert movement(3.0, math.remainder(3.0 + math.radians(degrees), math.tau)) == name


def test_smoothing_bounds_the_curvature_of_a_kink_and_keeps_both_ends() -> None:
    kink = np.array([[0.0, 0.0], [30.0, 0.0], [60.0, 12.0]])
    sharp, smooth = built(kink), built(kink, smooth_m=1.5)
    bend = math.atan2(12.0, 30.0)
    assert np.abs(sharp.kappa_1pm).max() > 0.5
    # 2 G - G*G has its peak at 0.516 / sigma.
    assert np.abs(smooth.kappa_1pm).max() == pytest.approx(0.516 * bend / 1.5, rel=0.08)
    assert (smooth.x_m[0], smooth.y_m[0]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert math.hypot(smooth.x_m[-1] - 60.0, smooth.y_m[-1] - 12.0) <= 0.126


def test_smoothing_hardly_moves_a_curve_that_a_car_can_drive() -> None:
    path = built(turn_left(), smooth_m=1.5)
    middle = np.hypot(path.x_m, path.y_m)[(path.x_m > 0.0) & (path.y_m < 0.0)]
    assert np.abs(middle - RADIUS_M).max() < 0.06
    assert np.abs(path.kappa_1pm).max() < 1.06 / RADIUS_M


def test_smoothing_that_would_leave_the_lane_is_refused() -> None:
    hairpin = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 4.0], [0.0, 4.0]])
    with pytest.raises(PlanError, match=r"smoothing over 4 m moves .* the limit is 0\.88 m"):
        built(hairpin, smooth_m=4.0)


def test_duplicates_and_small_back_steps_change_nothing() -> None:
    clean = turn_left()
    dirty = np.insert(clean, [1, 40, 40], [clean[1], clean[39] - [0.1, 0.02], clean[39]], axis=0)
    for smooth_m in (0.0, 1.5):
        a, b = built(clean, smooth_m=smooth_m), built(dirty, smooth_m=smooth_m)
        assert b.length_m == pytest.approx(a.length_m, abs=0.26)
        assert np.abs(b.kappa_1pm).max() < 1.1 / RADIUS_M


def test_a_limit_holds_until_the_next_sign() -> None:
    points = np.column_stack((np.arange(0.0, 61.0, 1.0), np.zeros(61)))
    limit = np.where(points[:, 0] < 30.0, 8.0, 14.0)
    path = build_path("p", "a", "b", points, limit, 1.75, step_m=0.25)
    assert path.limit_mps[path.x_m < 30.0].max() == 8.0 and path.limit_mps[path.x_m >= 30.0].min() == 14.0


@pytest.mark.parametrize(
    ("points", "limit", "step_m", "text"),
    [
        ([[0.0, 0.0]], 10.0, 0.25, "two or more"),
        ([[0.0, 0.0], [math.nan, 1.0]], 10.0, 0.25, "finite"),
        ([[0.0, 0.0], [9.0, 0.0]], 0.0, 0.25, "limit_mps must be"),
        ([[0.0, 0.0], [9.0, 0.0]], [1.0, 2.0, 3.0], 0.25, "limit_mps must be 2"),
        ([[0.0, 0.0], [9.0, 0.0]], 10.0, 0.0, "step_m"),
        ([[0.0, 0.0], [0.3, 0.0]], 10.0, 0.25, "two steps"),
    ],
)
def test_malformed_input_is_refused(points: list[list[float]], limit: object, step_m: float, text: str) -> None:
    with pytest.raises(PlanError, match=text):
        build_path("p", "a", "b", points, limit, 1.75, step_m=step_m)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(s=st.floats(1.0, 90.0), lateral=st.floats(-3.0, 3.0), smooth_m=st.sampled_from([0.0, 1.5]))
def test_projection_inverts_the_pose(s: float, lateral: float, smooth_m: float) -> None:
    path = built(turn_left(), smooth_m=smooth_m)
    x, y, yaw = pose_at(path, s)
    x, y = x - lateral * math.sin(yaw), y + lateral * math.cos(yaw)
    for near_s in (None, s + 3.0):
        found_s, found_lateral = project(path, x, y, near_s=near_s)
        assert found_s == pytest.approx(s, abs=0.02)
        assert found_lateral == pytest.approx(lateral, abs=0.003)


def test_projection_runs_on_beyond_both_ends() -> None:
    path = built(turn_left())
    assert project(path, -43.0, -RADIUS_M - 1.0) == pytest.approx((-3.0, -1.0), abs=1e-6)
    s, lateral = project(path, RADIUS_M - 1.0, path.y_m[-1] + 2.0)
    assert (s, lateral) == pytest.approx((path.length_m + 2.0, 1.0), abs=1e-6)
    assert pose_at(path, -2.0)[:2] == pytest.approx((-42.0, -RADIUS_M), abs=1e-6)


def test_a_guess_keeps_to_its_branch_where_a_path_crosses_itself() -> None:
    angle = np.linspace(0.0, 1.5 * math.pi, 200)
    loop = 12.0 * np.column_stack((np.sin(angle), 1.0 - np.cos(angle)))
    path = built(np.vstack(([[-20.0, 0.0]], loop, [[-12.0, -20.0]])))
    crossing = (-12.0, 0.0)
    first, _ = project(path, *crossing, near_s=8.0)
    second, _ = project(path, *crossing, near_s=path.length_m - 20.0)
    assert first == pytest.approx(8.0, abs=0.05)
    assert second == pytest.approx(path.length_m - 20.0, abs=0.3)
    # A guess from which the place cannot be seen is given up for the whole path.
    assert project(path, -20.0, 0.0, near_s=40.0)[0] == pytest.approx(0.0, abs=0.01)
