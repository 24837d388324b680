"""Who may enter the map: order, room in the lane, speed, and vehicles that appear in the middle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fleet.node.road import Roads
from fleet.node.rss import LEADER_BRAKE_MPS2, rss_distance_m
from hardware.vehicle import load_vehicle
from planners.check_fast import FastVerifier
from planners.timed_path import TimedPath
from sim.entrance import Entrance, Present
from sim.scenario import Scenario, load_scenario
from sim.stage import Actor, Stage, build_stage

CAR = load_vehicle("car")
LENGTH_M, REAR_M, LIMIT_MPS = CAR.body.length_m, CAR.body.rear_overhang_m, 13.89


@pytest.fixture(scope="module")
def stage() -> Stage:
    scenario: Scenario = load_scenario("four_way")
    return build_stage(scenario)


def actor(name: str, path_id: str = "N_straight", *, arrival_s: float = 0.0, start_s_m: float | None = None,
          speed_mps: float = LIMIT_MPS) -> Actor:  # fmt: skip
    recorded = start_s_m is not None
    start = REAR_M if start_s_m is None else start_s_m
    return Actor(name, CAR, path_id, arrival_s, start, speed_mps, "honest", True, recorded)


def entrance(stage: Stage, *cast: Actor) -> Entrance:
    roads = Roads(stage.zone_map)
    return Entrance(replace(stage, actors=cast), roads, FastVerifier(stage.zone_map))


def names(admitted: list[tuple[Actor, float]]) -> list[str]:
    return [one.vehicle_id for one, _ in admitted]


def test_a_vehicle_enters_when_it_arrives_with_its_speed(stage: Stage) -> None:
    door = entrance(stage, actor("a", arrival_s=2.0))
    assert door.admit(1_950, ()) == []
    assert (door.waiting, [one.vehicle_id for one in door.outside()]) == (1, ["a"])
    ((one, speed),) = door.admit(2_000, ())
    assert (one.vehicle_id, speed) == ("a", LIMIT_MPS)
    assert (door.waiting, door.outside()) == (0, [])
    assert door.admit(2_050, ()) == []


def test_arms_do_not_wait_for_each_other(stage: Stage) -> None:
    cast = [actor(f"v{k}", path) for k, path in enumerate(("N_straight", "E_left", "S_right", "W_straight"))]
    assert sorted(names(entrance(stage, *cast).admit(0, ()))) == ["v0", "v1", "v2", "v3"]


def test_one_lane_is_first_come_first_in_whatever_the_movement(stage: Stage) -> None:
    door = entrance(stage, actor("late", "N_left", arrival_s=0.5), actor("early", "N_right", arrival_s=0.1))
    assert names(door.admit(1_000, ())) == ["early"]
    assert door.waiting == 1


def test_equal_arrivals_enter_in_the_order_of_names(stage: Stage) -> None:
    door = entrance(stage, actor("b", "N_left"), actor("a", "N_right"))
    assert [one.vehicle_id for one in door.outside()] == ["a", "b"]
    assert names(door.admit(0, ())) == ["a"]


def room_m(follower_mps: float, leader_mps: float) -> float:
    """Bumper to bumper, by the formula of RSS with nothing added."""
    limits = CAR.limits
    return rss_distance_m(
        follower_mps, leader_mps, accel_mps2=limits.accel_mps2_plan, brake_mps2=limits.brake_mps2_max,
        leader_brake_mps2=max(LEADER_BRAKE_MPS2, limits.brake_mps2_max),
    )  # fmt: skip


@pytest.mark.parametrize("leader_mps", [0.0, 3.0, 8.0, LIMIT_MPS])
def test_nobody_enters_closer_than_rss_allows(stage: Stage, leader_mps: float) -> None:
    """The leader is put farther and farther ahead; from some distance on there is room, at a speed that fits."""
    leader = actor("leader", "N_left")
    roads, verifier = Roads(stage.zone_map), FastVerifier(stage.zone_map)
    entered = []
    for gap_m in np.arange(0.0, 100.0, 1.0):
        s_m = REAR_M + LENGTH_M + gap_m
        door = Entrance(replace(stage, actors=(actor("me"),)), roads, verifier)
        found = door.admit(0, [(leader, s_m, leader_mps, None)])
        if found:
            ((_, speed),) = found
            assert gap_m >= room_m(speed, leader_mps)
            assert speed in (LIMIT_MPS, leader_mps)
            entered.append(gap_m)
    # Once there is room there is room for good.
    assert entered == list(np.arange(entered[0], 100.0, 1.0))
    assert entered[0] < 70.0


def test_behind_a_slow_leader_it_enters_at_the_leaders_speed(stage: Stage) -> None:
    leader = actor("leader")
    ((_, speed),) = entrance(stage, actor("me")).admit(0, [(leader, 16.0, 3.0, None)])
    assert speed == 3.0


def test_a_body_in_the_way_keeps_it_out_and_one_on_another_arm_does_not(stage: Stage) -> None:
    there = (actor("other", "N_left"), REAR_M + 2.0, 0.0, None)
    assert entrance(stage, actor("me")).admit(0, [there]) == []
    elsewhere = (actor("other", "S_left"), REAR_M + 2.0, 0.0, None)
    assert names(entrance(stage, actor("me")).admit(0, [elsewhere])) == ["me"]


def test_it_looks_behind_too(stage: Stage) -> None:
    """Who appears in the middle of a lane must not be run into from behind."""
    me = actor("me", arrival_s=1.0, start_s_m=150.0, speed_mps=0.0)
    behind: Present = (actor("behind"), 130.0, LIMIT_MPS, None)
    assert entrance(stage, me).admit(1_000, [behind]) == []
    far: Present = (actor("behind"), 60.0, LIMIT_MPS, None)
    assert names(entrance(stage, me).admit(1_000, [far])) == ["me"]


def test_oncoming_traffic_in_the_next_lane_does_not_matter(stage: Stage) -> None:
    """Beside the entry, 3.5 m to the left, somebody leaves the map."""
    leaving: Present = (actor("other", "S_straight"), 500.0 - 10.0, LIMIT_MPS, None)
    x, y, _ = Roads(stage.zone_map).get("S_straight").pose(490.0)
    my_x, my_y, _ = Roads(stage.zone_map).get("N_straight").pose(REAR_M)
    assert math.hypot(x - my_x, y - my_y) < 15.0
    assert names(entrance(stage, actor("me")).admit(0, [leaving])) == ["me"]


def test_a_recorded_vehicle_of_the_first_instant_stands_where_it_was_recorded(stage: Stage) -> None:
    """All of them at once, whatever their distances: the recording was safe, and nothing was before it."""
    cast = [actor("a", start_s_m=100.0, speed_mps=9.0), actor("b", start_s_m=107.0, speed_mps=9.0)]
    assert sorted(names(entrance(stage, *cast).admit(0, ()))) == ["a", "b"]


def test_a_recorded_vehicle_waits_while_somebodys_plan_crosses_its_place(stage: Stage) -> None:
    roads = Roads(stage.zone_map)
    (crossing,) = roads.get("N_straight").passages
    inside_s = 0.5 * (crossing.line_s_m + crossing.exit_s_m)
    me = actor("me", "E_straight", arrival_s=5.0, start_s_m=inside_s - 2.0, speed_mps=0.0)
    other = actor("other", "N_straight")
    plan = TimedPath("other", "N_straight", 5_000, round((crossing.line_s_m - 20.0) * 1000.0), 10_000, ((6_000, 0),))
    coming: Present = (other, crossing.line_s_m - 20.0, 10.0, plan)
    assert entrance(stage, me).admit(5_000, [coming]) == []
    gone: Present = (other, crossing.exit_s_m + 30.0, 10.0, None)
    assert names(entrance(stage, me).admit(9_000, [gone])) == ["me"]
