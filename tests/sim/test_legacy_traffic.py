"""What the driver of an unconnected vehicle sees of the others, and how a whole crossing with them goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fleet.node.road import Roads
from hardware.vehicle import load_vehicle
from planners.paths import pose_at
from sim.legacy import STANDING_MPS
from sim.legacy_traffic import LegacyCar, Other
from sim.scenario import load_scenario
from sim.stage import Actor, Stage, build_stage
from tests.sim.whole_runs import drive, write_scenario

CAR = load_vehicle("car")
FRONT_M, REAR_M = CAR.body.length_m - CAR.body.rear_overhang_m, CAR.body.rear_overhang_m
FREE_MPS2 = 0.0


@pytest.fixture(scope="module")
def stage() -> Stage:
    return build_stage(load_scenario("four_way"))


@pytest.fixture(scope="module")
def roads(stage: Stage) -> Roads:
    return Roads(stage.zone_map)


def actor(name: str, path_id: str, *, yields: bool = True, role: str = "legacy") -> Actor:
    return Actor(name, CAR, path_id, 0.0, REAR_M, 13.89, role, yields, False)


def at(stage: Stage, one: Actor, s_m: float, speed_mps: float) -> Other:
    x, y, yaw = pose_at(stage.zone_map.paths[one.path_id], s_m)
    return one, s_m, (x, y, yaw, speed_mps, 0.0, 0.0)


def accel(
    stage: Stage, roads: Roads, me: Actor, s_m: float, speed_mps: float, others: Sequence[Other], now_s: float = 0.0
) -> float:
    mine = at(stage, me, s_m, speed_mps)
    _, answer = LegacyCar(me, stage, roads).command(now_s, s_m, mine[2], [mine, *others])
    return answer


def line_s_m(roads: Roads, path_id: str) -> float:
    return roads.get(path_id).passages[0].line_s_m


def test_alone_it_keeps_its_speed_and_does_not_see_itself(stage: Stage, roads: Roads) -> None:
    assert accel(stage, roads, actor("me", "N_straight"), 100.0, 13.89, ()) == pytest.approx(FREE_MPS2, abs=0.05)


def test_it_brakes_for_the_vehicle_ahead_in_its_lane_whatever_its_path(stage: Stage, roads: Roads) -> None:
    me = actor("me", "N_straight")
    for path_id in ("N_straight", "N_left", "N_right"):
        ahead = at(stage, actor("ahead", path_id, role="honest"), 125.0, 5.0)
        assert accel(stage, roads, me, 100.0, 13.89, [ahead]) < -2.0


def test_gaps_are_from_bumper_to_bumper(stage: Stage, roads: Roads) -> None:
    """At standstill with exactly the gap that drivers keep, nothing moves; with more it starts."""
    me = actor("me", "N_straight")
    for gap_m, sign in ((2.0, 0.0), (1.0, -1.0), (6.0, 1.0)):
        ahead = at(stage, actor("ahead", "N_left"), 100.0 + FRONT_M + gap_m + REAR_M, 0.0)
        found = accel(stage, roads, me, 100.0, 0.0, [ahead])
        assert found == pytest.approx(0.0, abs=0.05) if sign == 0.0 else math.copysign(1.0, found) == sign


def test_vehicles_behind_beside_far_or_oncoming_are_no_leaders(stage: Stage, roads: Roads) -> None:
    me = actor("me", "N_straight")
    others = [
        at(stage, actor("behind", "N_straight"), 85.0, 13.89),
        at(stage, actor("far", "N_straight"), 195.0, 0.0),
        at(stage, actor("oncoming", "S_straight"), 390.0, 13.89),
    ]
    assert accel(stage, roads, me, 100.0, 13.89, others) == pytest.approx(FREE_MPS2, abs=0.05)


def test_the_nearest_of_several_ahead_is_the_leader(stage: Stage, roads: Roads) -> None:
    me = actor("me", "N_straight")
    near, far = (at(stage, actor(name, "N_straight"), s, 5.0) for name, s in (("near", 120.0), ("far", 150.0)))
    both = accel(stage, roads, me, 100.0, 13.89, [far, near])
    assert both == accel(stage, roads, me, 100.0, 13.89, [near])
    assert both < accel(stage, roads, me, 100.0, 13.89, [far])


def approaching(roads: Roads, path_id: str, seconds: float, speed_mps: float) -> float:
    return line_s_m(roads, path_id) - FRONT_M - seconds * speed_mps


def test_it_yields_to_a_crossing_vehicle_that_comes_soon_and_not_to_one_that_comes_late(
    stage: Stage, roads: Roads
) -> None:
    me, speed = actor("me", "N_straight"), 8.0
    s_m = line_s_m(roads, "N_straight") - FRONT_M - 12.0
    free = accel(stage, roads, me, s_m, speed, ())
    for seconds, yields in ((2.0, True), (3.5, True), (8.0, False)):
        rival = at(stage, actor("rival", "E_straight"), approaching(roads, "E_straight", seconds, 10.0), 10.0)
        found = accel(stage, roads, me, s_m, speed, [rival])
        assert (found < free - 1.0) is yields


def test_ways_that_do_not_meet_are_no_rivals(stage: Stage, roads: Roads) -> None:
    me, speed = actor("me", "N_straight"), 8.0
    s_m = line_s_m(roads, "N_straight") - FRONT_M - 12.0
    free = accel(stage, roads, me, s_m, speed, ())
    rival = at(stage, actor("rival", "S_straight"), approaching(roads, "S_straight", 2.0, 10.0), 10.0)
    assert accel(stage, roads, me, s_m, speed, [rival]) == free


def test_it_waits_for_who_is_inside_and_goes_when_it_has_left(stage: Stage, roads: Roads) -> None:
    me = actor("me", "N_straight")
    s_m = line_s_m(roads, "N_straight") - FRONT_M - 0.5
    (passage,) = roads.get("E_straight").passages
    inside = at(stage, actor("rival", "E_straight"), passage.line_s_m + 3.0, 4.0)
    assert accel(stage, roads, me, s_m, 0.0, [inside]) <= 0.0
    gone = at(stage, actor("rival", "E_straight"), passage.exit_s_m + REAR_M + 1.0, 4.0)
    assert accel(stage, roads, me, s_m, 0.0, [gone]) > 0.5


def test_who_runs_the_junction_takes_no_notice_of_rivals_but_of_leaders(stage: Stage, roads: Roads) -> None:
    runner = actor("me", "N_straight", yields=False)
    s_m = line_s_m(roads, "N_straight") - FRONT_M - 12.0
    rival = at(stage, actor("rival", "E_straight"), approaching(roads, "E_straight", 2.0, 10.0), 10.0)
    assert accel(stage, roads, runner, s_m, 8.0, [rival]) == accel(stage, roads, runner, s_m, 8.0, ())
    ahead = at(stage, actor("ahead", "N_left"), s_m + 9.0, 0.0)
    assert accel(stage, roads, runner, s_m, 8.0, [ahead]) < -3.0


def test_of_two_that_stand_at_their_lines_the_first_to_stop_goes_first(stage: Stage, roads: Roads) -> None:
    """Both cars are one driver each and see only each other, over some seconds."""
    both = [actor("a", "N_straight"), actor("b", "E_straight")]
    s = {one.vehicle_id: line_s_m(roads, one.path_id) - FRONT_M - 0.5 for one in both}
    cars = {one.vehicle_id: LegacyCar(one, stage, roads) for one in both}
    # b has stood for two seconds when a comes to stand.
    first_go: dict[str, float] = {}
    for k in range(200):
        now = 0.05 * k
        standing = [at(stage, one, s[one.vehicle_id] - (5.0 if one.vehicle_id == "a" and now < 2.0 else 0.0),
                       6.0 if one.vehicle_id == "a" and now < 2.0 else 0.0) for one in both]  # fmt: skip
        for one, place in zip(both, standing, strict=True):
            _, answer = cars[one.vehicle_id].command(now, place[1], place[2], standing)
            if answer > 0.2 and place[2][3] < STANDING_MPS:
                first_go.setdefault(one.vehicle_id, now)
    assert first_go["b"] < first_go["a"]


def test_steering_follows_the_bend(stage: Stage, roads: Roads) -> None:
    for turn, sign in (("left", 1.0), ("right", -1.0)):
        me = actor("me", f"N_{turn}")
        path = stage.zone_map.paths[me.path_id]
        s_m = path.step_m * int(np.argmax(np.abs(path.kappa_1pm)))
        mine = at(stage, me, s_m, 4.0)
        steer, _ = LegacyCar(me, stage, roads).command(0.0, s_m, mine[2], [mine])
        assert steer * sign > 0.1


def test_silent_cars_alone_cross_a_junction_by_the_rules_of_the_road(tmp_path: Path) -> None:
    keys = "map: {builtin: four_way}\ndemand: {count: 8}\nworld: kinematic\nduration_s_max: 300\n"
    run = drive(write_scenario(tmp_path, keys + "legacy: [{share: 1.0}]\n"), tmp_path / "out")
    run.safe()
    assert run.metric("messages") == 0
    assert set(run.truth.phase_names) == {"legacy"}
    assert {vehicle["role"] for vehicle in run.vehicles} == {"legacy"}


def test_a_silent_car_that_yields_is_slower_than_one_that_does_not(tmp_path: Path) -> None:
    delays = {}
    for yields in ("true", "false"):
        keys = "map: {builtin: four_way}\ndemand: {count: 8}\nworld: kinematic\n"
        keys += f"legacy: [{{vehicle: v003, yields: {yields}}}]\n"
        run = drive(write_scenario(tmp_path, keys), tmp_path / yields)
        run.safe()
        (delays[yields],) = [vehicle["delay_s"] for vehicle in run.vehicles if vehicle["role"] == "legacy"]
    assert delays["false"] < delays["true"]
