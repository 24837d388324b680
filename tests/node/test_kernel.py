"""The safety kernel: what it does whatever its plan says, and the mutants of it that these tests would notice."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node import kernel as kernel_module
from fleet.node.kernel import Kernel, Rest
from fleet.node.rss import RESPONSE_S, rss_distance_m
from hardware.base import Health, VehicleState
from planners.timed_path import TimedPath
from sim.kinematic_world import KinematicWorld
from sim.vehicle_backend import SensorSuite, SimVehicle
from tests.node.scenes import (
    CAR,
    FRONT_M,
    NS,
    PERIOD_MS,
    before_line,
    drive,
    junction,
    kernel_on,
    mock,
    state_at,
    through,
    track,
)  # fmt: skip

OVERRUN_M = 0.1
"""Discrete time costs so much beyond the line, which lies a metre before the shared area."""
PATHS = ("S_straight", "S_left", "S_right")


def sure_stop_m(v_mps: float) -> float:
    return Kernel(CAR, PERIOD_MS * 1e-3, 1.0).stop_distance_m(v_mps)


def ghost(path_id: str, s_m: float, v_mps: float, *, kind: str) -> TimedPath:
    """Plans that run through the line: honest, absurdly fast, far ahead of the vehicle, never ending."""
    plan = through("a", path_id, s_m, v_mps)
    if kind == "fast":
        return TimedPath("a", path_id, 0, plan.s0_mm, 10**7, ((60_000, 10**6),))
    if kind == "ahead":
        return TimedPath("a", path_id, 0, plan.s0_mm + 200_000, plan.v0_mmps, plan.segments)
    if kind == "short":
        return TimedPath("a", path_id, 0, plan.s0_mm, 5_000, ((1, 0),))
    return plan


def overrun_m(path_id: str, room_m: float, v_mps: float, kind: str) -> float:
    """How far the front bumper of an uncommitted car gets beyond its line within 25 s."""
    s = before_line(path_id, room_m)
    kernel = kernel_on(ghost(path_id, s, v_mps, kind=kind), s)
    trace = drive(kernel, mock(path_id, s, v_mps), 25.0)
    return max(at for at, _ in trace) + FRONT_M - junction().passage(path_id).line_s_m


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.floats(0.0, 20.0),
    st.floats(0.0, 60.0),
    st.sampled_from(PATHS),
    st.sampled_from(["through", "fast", "ahead", "short"]),
)
def test_an_uncommitted_vehicle_never_passes_its_line_whatever_its_plan_says(
    v_mps: float, spare_m: float, path_id: str, kind: str
) -> None:
    assert overrun_m(path_id, sure_stop_m(v_mps) + spare_m, v_mps, kind) < OVERRUN_M


def test_a_standing_vehicle_does_not_creep_over_its_line_tick_by_tick() -> None:
    assert overrun_m("S_straight", 0.0, 0.0, "through") < OVERRUN_M
    assert overrun_m("S_straight", 0.2, 0.0, "ahead") < OVERRUN_M


@pytest.mark.parametrize("v_mps", [3.0, 8.0, 13.89])
def test_the_line_holds_with_actuator_lag_and_localisation_errors(v_mps: float) -> None:
    """The same in the kinematic world: first-order lags, a wandering estimate; judged by the truth."""
    path_id = "S_straight"
    passage, road = junction().passage(path_id), junction().roads.get(path_id)
    s = before_line(path_id, sure_stop_m(v_mps) + 1.0)
    world = KinematicWorld()
    slot = world.add(CAR, *road.pose(s), v_mps)
    suite = SensorSuite(world, seed=1)
    suite.attach(slot, CAR)
    vehicle = SimVehicle(suite, slot, CAR, name="a")
    vehicle.gate.configure()
    vehicle.gate.activate()
    kernel = kernel_on(ghost(path_id, s, v_mps, kind="ahead"), s)
    worst = -math.inf
    for now_ms in range(0, 30_000, PERIOD_MS):
        state = vehicle.read(now_ms * NS)
        vehicle.write(kernel.command(now_ms * NS, state, kernel.locate(state), junction().around()), now_ms * NS)
        world.advance(PERIOD_MS * 1e-3)
        suite.tick((now_ms + PERIOD_MS) * NS)
        x, y, *_ = suite.row(slot)
        worst = max(worst, road.project(x, y, kernel.status.s_m)[0] + FRONT_M - passage.line_s_m)
    errors_m = 3.0 * CAR.sensors.position_std_m
    assert worst < OVERRUN_M + errors_m + 0.1
    assert worst > -1.0, "the plan does push the vehicle against its line"


def test_a_committed_vehicle_passes_its_line() -> None:
    s = before_line("S_straight", 30.0)
    kernel = kernel_on(through("a", "S_straight", s, 10.0), s, committed=True)
    trace = drive(kernel, mock("S_straight", s, 10.0), 8.0)
    assert trace[-1][0] > junction().passage("S_straight").exit_s_m
    assert kernel.status.rest is Rest.FINISH and kernel.status.past_no_return


def test_what_is_left_as_a_way_out_is_said_at_every_tick() -> None:
    s = before_line("S_straight", 40.0)
    plan = through("a", "S_straight", s, 10.0)
    for committed, before, after in ((True, Rest.BEFORE_LINE, Rest.FINISH), (False, Rest.PLAN_END, Rest.PLAN_END)):
        kernel, vehicle, seen = kernel_on(plan, s, committed=committed), mock("S_straight", s, 10.0), []
        for now_ms in range(0, 4000, PERIOD_MS):
            drive(kernel, vehicle, PERIOD_MS * 1e-3, from_ms=now_ms)
            seen.append(kernel.status.rest)
        assert seen[0] is before and seen[-1] is after and Rest.NONE not in seen
    far_in = kernel_on(plan, s)
    beyond = before_line("S_straight", -2.0)
    far_in.locate(state_at("S_straight", beyond, 8.0))
    far_in.status.s_m = beyond
    far_in.command(0, state_at("S_straight", beyond, 8.0), 0.0, junction().around())
    assert far_in.status.rest is Rest.NONE, "moving in the zone without a right to it is no verified way out"


@pytest.mark.parametrize("v_mps", [0.5, 3.0, 8.0, 13.89, 20.0])
def test_the_point_of_no_return_is_where_sure_braking_with_delay_just_ends_at_the_line(v_mps: float) -> None:
    kernel = kernel_on(through("a", "S_straight", 100.0, 8.0), 100.0)
    delay_s = CAR.actuators.accel_lag_s + 2.0 * PERIOD_MS * 1e-3
    distance = v_mps * delay_s + v_mps**2 / (2.0 * 0.8 * CAR.limits.brake_mps2_max)
    for spare, can in ((1e-6, True), (-1e-6, False)):
        kernel.status.s_m, kernel.status.v_mps = before_line("S_straight", distance + spare), v_mps
        assert kernel.can_stop_before(kernel.line_s_m) is can


# --- without a plan or an estimate


def test_without_a_plan_the_kernel_brakes() -> None:
    kernel = Kernel(CAR, 0.05, 1.0)
    state = state_at("S_straight", 100.0, 10.0)
    command = kernel.command(0, state, kernel.locate(state), junction().around())
    assert command.accel_mps2 == pytest.approx(-0.8 * CAR.limits.brake_mps2_max)
    assert command.steer_rad == 0.0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s._replace(stamp_ns=s.stamp_ns - 301 * NS),
        lambda s: s._replace(health=Health.ERROR),
        lambda s: s._replace(health=Health.DEACTIVATE),
        lambda s: s._replace(x_m=math.nan),
        lambda s: s._replace(y_m=math.inf),
        lambda s: s._replace(yaw_rad=math.nan),
        lambda s: s._replace(speed_mps=math.nan),
    ],
    ids=["stale", "error", "deactivate", "nan_x", "inf_y", "nan_yaw", "nan_speed"],
)
@pytest.mark.parametrize("committed", [False, True])
def test_without_a_usable_estimate_the_kernel_brakes_with_the_steering_held(spoil, committed: bool) -> None:  # noqa: ANN001
    s = before_line("S_left", -6.0)
    kernel = kernel_on(through("a", "S_left", s, 5.0), s, committed=committed, line_s_m=math.inf)
    good = state_at("S_left", s, 5.0)
    held = kernel.command(0, good, kernel.locate(good), junction().around()).steer_rad
    assert held > 0.1, "the vehicle is in a bend"
    bad: VehicleState = spoil(state_at("S_left", s + 0.25, 5.0, stamp_ms=50))
    command = kernel.command(50 * NS, bad, kernel.locate(bad), junction().around())
    assert command.steer_rad == held
    assert command.accel_mps2 == -CAR.limits.brake_mps2_plan, "nothing calls for more"
    assert kernel.status.braking_for == "state" and math.isfinite(kernel.status.s_m)
    after = state_at("S_left", s + 0.5, 5.0, stamp_ms=100)
    kernel.command(100 * NS, after, kernel.locate(after), junction().around())
    assert kernel.status.braking_for != "state", "one good estimate later it drives again"


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(2.0, 20.0), st.floats(0.0, 2.5), st.booleans())
def test_a_vehicle_that_loses_its_estimate_at_any_moment_still_stops_before_its_line(
    v_mps: float, lost_s: float, frozen: bool
) -> None:
    s = before_line("S_straight", sure_stop_m(v_mps) + 10.0)
    kernel, vehicle = kernel_on(through("a", "S_straight", s, v_mps), s), mock("S_straight", s, v_mps)
    drive(kernel, vehicle, lost_s)
    vehicle.faults.localisation_frozen, vehicle.faults.localisation_error = frozen, not frozen
    first_ms = PERIOD_MS * math.ceil(lost_s * 1000 / PERIOD_MS)
    drive(kernel, vehicle, 8.0, from_ms=first_ms)
    vehicle.faults.localisation_frozen = vehicle.faults.localisation_error = False
    at, v = drive(kernel, vehicle, 0.1, from_ms=first_ms + 8000)[0]
    assert v == 0.0 and at + FRONT_M < junction().passage("S_straight").line_s_m + OVERRUN_M


def test_an_estimate_just_young_enough_is_used() -> None:
    s = before_line("S_straight", 100.0)
    kernel = kernel_on(through("a", "S_straight", s, 10.0), s)
    state = state_at("S_straight", s, 10.0, stamp_ms=0)
    kernel.command(299 * NS, state, kernel.locate(state), junction().around())
    assert kernel.status.braking_for == ""


# --- others ahead


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(1.0, 20.0), st.floats(0.0, 30.0), st.booleans())
def test_a_silent_vehicle_that_stands_ahead_is_not_touched_even_on_a_committed_plan(
    v_mps: float, spare_m: float, committed: bool
) -> None:
    s = 60.0
    rss = rss_distance_m(v_mps, 0.0, accel_mps2=2.6, brake_mps2=7.0, leader_brake_mps2=8.0)
    gap = rss + spare_m + 1.0
    kernel = kernel_on(through("a", "S_straight", s, v_mps), s, committed=committed, line_s_m=math.inf)
    ahead = track("S_straight", s + FRONT_M + gap + 5.0, 0.0)
    trace = drive(kernel, mock("S_straight", s, v_mps), 20.0, tracks=[ahead])
    assert max(at for at, _ in trace) < s + gap - 0.2
    assert trace[-1][1] < 0.01


def test_a_committed_plan_is_not_braked_for_a_peer_that_its_agreement_accounts_for() -> None:
    s = 150.0
    plan = through("a", "S_straight", s, 10.0)
    x, y, _ = junction().roads.get("S_straight").pose(s + FRONT_M + 4.0 + 2.5)
    around = junction().around([track("S_straight", s + FRONT_M + 4.0 + 5.0, 9.0)], [("b", (x, y))])
    state = state_at("S_straight", s, 10.0)
    for committed, accounted, brakes in (
        (True, {"b"}, False),
        (False, {"b"}, True),
        (True, set(), True),
        (True, {"c"}, True),
    ):
        kernel = kernel_on(plan, s, committed=committed, line_s_m=math.inf)
        kernel.accounted = frozenset(accounted)
        command = kernel.command(0, state, kernel.locate(state), around)
        assert kernel.status.leader is not None and kernel.status.leader.peer == "b"
        assert (kernel.status.braking_for == "leader") is brakes
        assert (command.accel_mps2 < 0.0) is brakes


def test_rss_distance_is_the_published_7_8_m_at_50_kmh() -> None:
    v = 50.0 / 3.6
    found = rss_distance_m(v, v, accel_mps2=2.0, brake_mps2=6.0, leader_brake_mps2=8.0)
    assert found == pytest.approx(7.8, abs=0.05)


@pytest.mark.parametrize(("v", "w"), [(13.9, 13.9), (12.0, 5.0), (8.0, 0.0), (0.0, 0.0), (9.5, 9.0), (20.0, 25.0)])
def test_rss_distance_is_that_of_the_ad_rss_library(v: float, w: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the binding registers a converter twice
        rss = pytest.importorskip("ad_rss", reason="ad-rss is not installed").rss
        units = pytest.importorskip("ad_physics", reason="ad-physics is not installed").physics
    from tests.sim.test_metrics import rss_state

    need = units.Distance(0.0)
    leader, follower = rss_state(rss, units, w), rss_state(rss, units, v)
    assert rss.structured.calculateSafeLongitudinalDistanceSameDirection(leader, follower, need)
    mine = rss_distance_m(v, w, accel_mps2=2.0, brake_mps2=6.0, leader_brake_mps2=8.0)
    assert mine == pytest.approx(need.mDistance, abs=1e-9)


@pytest.mark.parametrize(
    ("response_s", "accel", "brake", "leader_brake", "metres"),
    [(1.0, 3.5, 4.0, 8.0, 41.4), (0.2, 2.0, 6.0, 8.0, 7.8), (0.2, 1.0, 1.5, 3.0, None)],
    ids=["suggested by ad-rss", "verified commitment", "scale 1:10"],
)
def test_the_rss_parameter_sets_of_the_hardware_reference(
    response_s: float, accel: float, brake: float, leader_brake: float, metres: float | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the binding registers a converter twice
        rss = pytest.importorskip("ad_rss", reason="ad-rss is not installed").rss
        units = pytest.importorskip("ad_physics", reason="ad-physics is not installed").physics
    from tests.sim.test_metrics import rss_state

    v = 50.0 / 3.6 if metres else 1.2
    need, states = units.Distance(0.0), [rss_state(rss, units, v), rss_state(rss, units, v)]
    for state in states:
        lon = state.dynamics.alpha_lon
        state.dynamics.response_time = units.Duration(response_s)
        lon.accel_max, lon.brake_min = units.Acceleration(accel), units.Acceleration(-brake)
        lon.brake_max, lon.brake_min_correct = units.Acceleration(-leader_brake), units.Acceleration(-0.5 * brake)
    assert rss.structured.calculateSafeLongitudinalDistanceSameDirection(*states, need)
    mine = rss_distance_m(
        v, v, accel_mps2=accel, brake_mps2=brake, leader_brake_mps2=leader_brake, response_s=response_s
    )
    assert mine == pytest.approx(need.mDistance, abs=1e-9)
    assert metres is None or mine == pytest.approx(metres, abs=0.05)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(0.0, 40.0), st.floats(0.0, 40.0))
def test_at_rss_distance_the_worst_case_of_the_definition_just_does_not_touch(v: float, w: float) -> None:
    """By integrating both vehicles: the follower speeds up for the response time, then both brake at their bounds."""
    gap = rss_distance_m(v, w, accel_mps2=2.0, brake_mps2=6.0, leader_brake_mps2=8.0)
    top = v + 2.0 * RESPONSE_S
    follower = v * RESPONSE_S + 0.5 * 2.0 * RESPONSE_S**2 + top**2 / 12.0
    leader = w**2 / 16.0
    assert gap + leader - follower >= -1e-9
    assert gap == 0.0 or gap + leader - follower == pytest.approx(0.0, abs=1e-9)


# --- mutants


def _no_line(self: Kernel, v_mps: float) -> float:
    return math.inf


def _no_return_ignored(self: Kernel, line_s_m: float) -> bool:
    return True


def _no_stop_distance(self: Kernel, v_mps: float) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("name", "mutant"),
    [("_before_line", _no_line), ("can_stop_before", _no_return_ignored), ("stop_distance_m", _no_stop_distance)],
    ids=["line_ignored", "point_of_no_return_ignored", "brakes_at_the_line_only"],
)
def test_canary_a_kernel_that_forgets_its_line_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, mutant: object
) -> None:
    room = sure_stop_m(10.0) + 5.0
    assert overrun_m("S_straight", room, 10.0, "through") < OVERRUN_M
    monkeypatch.setattr(Kernel, name, mutant)
    assert overrun_m("S_straight", room, 10.0, "through") > OVERRUN_M


def test_canary_a_kernel_that_does_not_hold_at_the_line_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_module, "_HOLD_MPS2", -4.0)
    assert overrun_m("S_straight", 0.0, 0.0, "through") > OVERRUN_M


def test_canary_a_kernel_that_sees_nobody_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "_behind_others", lambda *_: math.inf)
    kernel = kernel_on(through("a", "S_straight", 60.0, 10.0), 60.0, line_s_m=math.inf)
    ahead = track("S_straight", 60.0 + FRONT_M + 40.0, 0.0)
    trace = drive(kernel, mock("S_straight", 60.0, 10.0), 10.0, tracks=[ahead])
    assert max(at for at, _ in trace) > 60.0 + 35.0
