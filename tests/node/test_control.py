"""The tracking controller: convergence onto straights and circles, limits, standing still, and what the gate clamps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.control import Reference, Tracker
from fleet.node.road import Road
from hardware.base import Command
from hardware.mock import MockVehicle
from planners.zone_map import Path
from tests.node.scenes import CAR, NS

PERIOD_S = 0.05
STEP_M = 0.25


def circle(radius_m: float, turns: float = 3.0, *, side: int = 1) -> Road:
    """A circular road to the left (``side`` 1) or right around the origin; ``inf`` gives a straight along x."""
    count = int(400.0 / STEP_M) if math.isinf(radius_m) else int(turns * 2.0 * math.pi * radius_m / STEP_M)
    s = STEP_M * np.arange(count)
    kappa = 0.0 if math.isinf(radius_m) else side / radius_m
    yaw = kappa * s
    x = s if kappa == 0.0 else np.sin(yaw) / kappa
    y = 0.0 * s if kappa == 0.0 else (1.0 - np.cos(yaw)) / kappa
    flat = np.full(count, 1.0)
    path = Path("p", "a", "b", "left", STEP_M, x, y, yaw, kappa * flat, 20.0 * flat, 2.0 * flat)
    return Road(path, STEP_M, x.tolist(), y.tolist(), yaw.tolist(), (kappa * flat).tolist(), ())


def errors(road: Road, v_mps: float, offset_m: float, turn_rad: float, seconds: float) -> list[tuple[float, float]]:
    """(lateral, heading) error at each tick of an ideal car that starts beside the road."""
    tracker = Tracker(CAR, PERIOD_S)
    vehicle = MockVehicle(CAR, (0.0, offset_m, turn_rad, v_mps))
    vehicle.gate.configure()
    vehicle.gate.activate()
    s, found = 0.0, []
    for k in range(int(seconds / PERIOD_S)):
        now_ns = k * 50 * NS
        state = vehicle.read(now_ns)
        s, lateral, tangent = road.project(state.x_m, state.y_m, s)
        heading = math.remainder(state.yaw_rad - tangent, 2.0 * math.pi)
        found.append((lateral, heading))
        vehicle.write(Command(now_ns, tracker.steer(road, s, lateral, heading, v_mps), 0.0), now_ns)
    return found


@pytest.mark.parametrize("v_mps", [2.0, 5.0, 10.0, 13.89, 20.0])
@pytest.mark.parametrize(("offset_m", "turn_rad"), [(0.5, 0.0), (-0.5, 0.1), (3.0, -0.2)])
def test_on_a_straight_the_body_comes_onto_the_path_and_stays(v_mps: float, offset_m: float, turn_rad: float) -> None:
    seconds = 40.0 / v_mps + 4.0
    found = errors(circle(math.inf), v_mps, offset_m, turn_rad, seconds)
    assert max(abs(lateral) for lateral, _ in found[-20:]) < 0.01
    assert max(abs(heading) for _, heading in found[-20:]) < 0.005
    overshoot = max(-lateral * math.copysign(1.0, offset_m) for lateral, _ in found)
    assert overshoot < 0.25 * abs(offset_m), "the loop is well damped"


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("radius_m", "v_mps"), [(6.8, 3.0), (10.3, 5.0), (17.0, 7.0), (60.0, 13.0)])
def test_on_a_circle_the_body_settles_within_its_lateral_budget(radius_m: float, v_mps: float, side: int) -> None:
    found = errors(circle(radius_m, side=side), v_mps, 0.3 * side, 0.0, 2.5 * 2.0 * math.pi * radius_m / v_mps)
    settled = [lateral for lateral, _ in found[len(found) // 2 :]]
    assert max(map(abs, settled)) < CAR.tracking.lateral_m
    assert max(settled) - min(settled) < 0.02, "it settles instead of weaving"


def test_left_and_right_are_mirror_images() -> None:
    left, right = (errors(circle(12.0, side=side), 5.0, 0.2 * side, 0.0, 6.0) for side in (1, -1))
    assert -np.array(right) == pytest.approx(np.array(left), abs=1e-9)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.floats(-1e3, 1e3), st.floats(-math.pi, math.pi), st.floats(-5.0, 60.0), st.floats(-50.0, 500.0),
    st.floats(-1e4, 1e4), st.floats(0.0, 60.0), st.floats(-50.0, 50.0),
)  # fmt: skip
def test_no_input_makes_the_controller_ask_for_more_than_the_vehicle_can(
    lateral: float, heading: float, v: float, s: float, s_ref: float, v_ref: float, a_ref: float
) -> None:
    tracker = Tracker(CAR, PERIOD_S)
    assert abs(tracker.steer(circle(12.0), s, lateral, heading, v)) <= CAR.limits.steer_rad_max
    accel = tracker.accelerate(Reference(s_ref, v_ref, a_ref, False), s, v)
    assert -CAR.limits.brake_mps2_max <= accel <= CAR.limits.accel_mps2_max


def test_far_off_the_path_the_controller_saturates_towards_it() -> None:
    tracker, road = Tracker(CAR, PERIOD_S), circle(math.inf)
    assert tracker.steer(road, 10.0, -50.0, -1.5, 2.0) == CAR.limits.steer_rad_max
    assert tracker.steer(road, 10.0, 50.0, 1.5, 2.0) == -CAR.limits.steer_rad_max
    assert tracker.accelerate(Reference(100.0, 10.0, 0.0, False), 0.0, 0.0) == CAR.limits.accel_mps2_max
    assert tracker.accelerate(Reference(0.0, 0.0, 0.0, False), 100.0, 10.0) == -CAR.limits.brake_mps2_max


@pytest.mark.parametrize("behind_m", [-1.0, -0.2, 0.2, 1.0])
def test_an_error_along_the_path_is_taken_out_without_oscillation(behind_m: float) -> None:
    tracker, v_ref = Tracker(CAR, PERIOD_S), 8.0
    s, v, gaps = -behind_m, v_ref, []
    for k in range(200):
        s_ref = v_ref * k * PERIOD_S
        accel = tracker.accelerate(Reference(s_ref, v_ref, 0.0, False), s, v)
        s, v = s + v * PERIOD_S + 0.5 * accel * PERIOD_S**2, v + accel * PERIOD_S
        gaps.append(s_ref + v_ref * PERIOD_S - s)
    assert abs(gaps[-1]) < 0.02 * abs(behind_m)
    assert min(gap * math.copysign(1.0, behind_m) for gap in gaps) > -0.1 * abs(behind_m)


@pytest.mark.parametrize("v_mps", [0.0, 0.01, 0.2, 0.29])
def test_at_the_plans_end_the_brakes_hold(v_mps: float) -> None:
    accel = Tracker(CAR, PERIOD_S).accelerate(Reference(50.0, 0.0, 0.0, True), 49.9, v_mps)
    assert accel <= -0.8


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["steer_rad", "accel_mps2"])
def test_a_command_that_is_no_number_ends_at_the_gate_and_brakes(field: str, bad: float) -> None:
    vehicle = MockVehicle(CAR, (0.0, 0.0, 0.0, 10.0))
    vehicle.gate.configure()
    vehicle.gate.activate()
    vehicle.write(Command(0, 0.01, 1.0), 0)
    steer = vehicle.gate.driven.steer_rad
    applied = vehicle.write(Command(50 * NS, 0.0, 0.0)._replace(**{field: bad}), 50 * NS)
    assert "non_finite" in applied.limited_by
    assert applied.steer_rad == steer and applied.accel_mps2 < -1.0


def test_commands_beyond_the_limits_are_clamped_with_reasons() -> None:
    vehicle = MockVehicle(CAR, (0.0, 0.0, 0.0, 10.0))
    vehicle.gate.configure()
    vehicle.gate.activate()
    applied = vehicle.write(Command(0, 9.0, -99.0), 0)
    assert applied.accel_mps2 == -CAR.limits.brake_mps2_max and "brake" in applied.limited_by
    assert abs(applied.steer_rad) <= CAR.limits.steer_rad_max and "steer" in applied.limited_by
