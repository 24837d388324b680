"""The predictive controller on an ideal vehicle: onto the path, around bends, along a plan."""

from __future__ import annotations

import math
import sys

import pytest

from fleet.errors import PlanError
from fleet.node.control import Reference
from fleet.node.controllers import CONTROLLERS
from fleet.node.mpc import PredictiveTracker
from hardware.base import Command
from hardware.mock import MockVehicle
from planners.timed_path import SegmentArrays, TimedPath
from tests.node.scenes import CAR, NS
from tests.node.test_control import PERIOD_S, circle


def driven(
    radius_m: float, v_mps: float, offset_m: float, seconds: float, plan: SegmentArrays | None = None
) -> list[tuple[float, float, float]]:
    """(lateral, place less plan, speed less plan) at each tick; without a plan at constant speed."""
    road, tracker = circle(radius_m), PredictiveTracker(CAR, PERIOD_S)
    vehicle = MockVehicle(CAR, (0.0, offset_m, 0.0, v_mps))
    vehicle.gate.configure()
    vehicle.gate.activate()
    s, found = 0.0, []
    for k in range(int(seconds / PERIOD_S)):
        now_ns, now_s = k * 50 * NS, k * PERIOD_S
        state = vehicle.read(now_ns)
        s, lateral, tangent = road.project(state.x_m, state.y_m, s)
        heading = math.remainder(state.yaw_rad - tangent, 2.0 * math.pi)
        place, speed, accel = (v_mps * now_s, v_mps, 0.0) if plan is None else plan.at(now_s)
        _, speed_ahead, _ = (0.0, v_mps, 0.0) if plan is None else plan.at(now_s + 0.1)
        reference = Reference(place, speed, accel, speed < 1e-3 and speed_ahead < 1e-3, plan, now_s)
        found.append((lateral, s - place, state.speed_mps - speed))
        angle = tracker.steer(road, s, lateral, heading, state.speed_mps)
        vehicle.write(Command(now_ns, angle, tracker.accelerate(reference, s, state.speed_mps)), now_ns)
    return found


@pytest.mark.parametrize("v_mps", [2.0, 6.0, 13.89])
@pytest.mark.parametrize("offset_m", [0.5, -2.0])
def test_on_a_straight_the_body_comes_onto_the_path(v_mps: float, offset_m: float) -> None:
    found = driven(math.inf, v_mps, offset_m, 30.0 / v_mps + 5.0)
    assert max(abs(lateral) for lateral, _, _ in found[-20:]) < 0.02
    overshoot = max(-lateral * math.copysign(1.0, offset_m) for lateral, _, _ in found)
    assert overshoot < 0.15 * abs(offset_m)


@pytest.mark.parametrize(("radius_m", "v_mps"), [(12.0, 5.0), (25.0, 8.0)])
def test_around_a_bend_the_error_stays_small(radius_m: float, v_mps: float) -> None:
    found = driven(radius_m, v_mps, 0.0, 8.0)
    assert max(abs(lateral) for lateral, _, _ in found[40:]) < 0.06


def test_a_plan_that_brakes_and_stands_is_followed() -> None:
    plan = TimedPath("a", "p", 0, 0, 10_000, ((1500, 0), (500, -1000), (3800, -2500), (2000, 0))).arrays()
    found = driven(math.inf, 10.0, 0.0, 7.5, plan)
    assert max(abs(place) for _, place, _ in found) < 0.1
    assert abs(found[-1][1]) < 0.05
    assert abs(found[-1][2]) < 0.05


def test_commands_keep_the_limits_of_the_vehicle() -> None:
    tracker, road = PredictiveTracker(CAR, PERIOD_S), circle(math.inf)
    assert abs(tracker.steer(road, 0.0, 30.0, 1.0, 5.0)) <= CAR.limits.steer_rad_max
    plan = TimedPath("a", "p", 0, 0, 10_000, ((60_000, 0),)).arrays()
    for _ in range(40):
        behind = tracker.accelerate(Reference(100.0, 10.0, 0.0, False, plan, 0.0), 0.0, 0.0)
    assert behind == pytest.approx(CAR.limits.accel_mps2_max)


def test_it_is_known_by_name_and_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(CONTROLLERS["mpc"](CAR, PERIOD_S), PredictiveTracker)
    monkeypatch.setitem(sys.modules, "casadi", None)
    with pytest.raises(PlanError, match="pip install 'casadi"):
        CONTROLLERS["mpc"](CAR, PERIOD_S)
    CONTROLLERS["feedback"](CAR, PERIOD_S)
