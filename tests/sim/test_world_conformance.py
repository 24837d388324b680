"""What every world must do, run against each of them with the same assertions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from fleet.errors import ConfigError, HardwareError
from hardware.vehicle import load_vehicle
from sim.bullet_world import BulletWorld
from sim.kinematic_world import KinematicWorld
from sim.world import World

CAR = load_vehicle("car")
TICK_S = 0.05
AHEAD_M = 0.5 * CAR.body.length_m - CAR.body.rear_overhang_m
BOX = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])

MAKERS: dict[str, Callable[[], World]] = {"bullet": BulletWorld, "kinematic": KinematicWorld}


@pytest.fixture(params=sorted(MAKERS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "bullet":
        pytest.importorskip("pybullet", reason="pybullet has wheels for Python 3.10 and 3.11 only")
    made = MAKERS[request.param]()
    assert made.name == request.param
    yield made
    made.close()


def drive(world: World, ticks: int) -> list[np.ndarray]:
    rows = []
    for _ in range(ticks):
        world.advance(TICK_S)
        rows.append(world.truth().state)
    return rows


def test_slots_are_the_lowest_free_and_truth_is_in_their_order(world: World) -> None:
    assert [world.add(CAR, 0.0, 10.0 * k, 0.0, 0.0) for k in range(3)] == [0, 1, 2]
    world.remove(1)
    assert world.truth().slots.tolist() == [0, 2]
    world.advance(TICK_S)
    assert world.add(CAR, 0.0, 50.0, 0.0, 0.0) == 1
    truth = world.truth()
    assert truth.slots.tolist() == [0, 1, 2]
    assert truth.state[:, 1] == pytest.approx([0.0, 50.0, 20.0], abs=1e-6)


def test_a_start_is_reported_exactly_before_the_first_advance(world: World) -> None:
    slot = world.add(CAR, 3.0, -2.0, 0.75, 6.0)
    assert slot == 0
    assert world.truth().time_s == 0.0
    assert world.truth().state[0].tolist() == [3.0, -2.0, 0.75, 6.0, 0.0, 0.0]


def test_others_keep_their_motion_when_a_body_comes_or_goes(world: World) -> None:
    keeper = world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    world.command(keeper, 0.1, -2.0)
    drive(world, 10)
    guest = world.add(CAR, 0.0, 50.0, 0.0, 0.0)
    before = world.truth().state[0]
    world.remove(guest)
    assert world.truth().state[0].tolist() == before.tolist()
    drive(world, 2)
    lone = MAKERS[world.name]()
    slot = lone.add(CAR, 0.0, 0.0, 0.0, 10.0)
    lone.command(slot, 0.1, -2.0)
    drive(lone, 12)
    assert world.truth().state[0] == pytest.approx(lone.truth().state[0], abs=1e-9)
    lone.close()


def test_truth_is_a_copy(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 5.0)
    world.truth().state[:] = np.nan
    world.advance(TICK_S)
    assert np.isfinite(world.truth().state).all()


@pytest.mark.parametrize("tick_s", [0.02, 0.05, 0.033, 0.1])
def test_time_is_met_exactly_for_any_tick(world: World, tick_s: float) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    for _ in range(10):
        world.advance(tick_s)
    assert world.truth().time_s == pytest.approx(10 * tick_s, abs=1e-12)
    assert world.truth().state[0, 0] == pytest.approx(100 * tick_s, rel=1e-6)


@pytest.mark.parametrize("yaw_rad", [0.0, 0.7, math.pi, -2.5])
def test_a_turn_looks_the_same_from_every_side(world: World, yaw_rad: float) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 8.0)
    world.add(CAR, 500.0, 300.0, yaw_rad, 8.0)
    for slot in (0, 1):
        world.command(slot, 0.12, 0.5)
    drive(world, 40)
    here, there = world.truth().state
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    assert there[0] - 500.0 == pytest.approx(c * here[0] - s * here[1], abs=1e-6)
    assert there[1] - 300.0 == pytest.approx(s * here[0] + c * here[1], abs=1e-6)
    assert math.remainder(there[2] - here[2] - yaw_rad, 2.0 * math.pi) == pytest.approx(0.0, abs=1e-7)
    assert -math.pi < there[2] <= math.pi


def test_left_and_right_are_mirror_images(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 8.0)
    world.add(CAR, 0.0, -300.0, 0.0, 8.0)
    world.command(0, 0.12, 0.0)
    world.command(1, -0.12, 0.0)
    drive(world, 40)
    left, right = world.truth().state
    assert left[:2] == pytest.approx([right[0], -(right[1] + 300.0)], abs=1e-7)
    assert left[2] == pytest.approx(-right[2], abs=1e-8)
    assert left[5] == pytest.approx(-right[5], abs=1e-12)


def test_steering_follows_its_rate_limit_and_stops(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 1.0)
    world.command(0, 2.0, 0.0)
    steer = [row[0, 5] for row in drive(world, 40)]
    most = CAR.limits.steer_rate_radps_max * TICK_S
    assert np.diff(steer).max() <= most + 1e-9
    assert steer[5] == pytest.approx(6 * most, rel=1e-6)  # so far off, the rate limit alone acts
    assert steer[-1] == pytest.approx(CAR.limits.steer_rad_max, rel=1e-3)


def test_acceleration_follows_its_lag(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    world.command(0, 0.0, 2.0)
    rows = drive(world, 60)
    t, tau = 3.0, CAR.actuators.accel_lag_s
    assert rows[-1][0, 3] == pytest.approx(10.0 + 2.0 * (t - tau * (1.0 - math.exp(-t / tau))), rel=2e-3)
    assert rows[-1][0, 4] == pytest.approx(2.0, rel=0.01)


def test_braking_ends_at_standstill_without_reversing_and_holds(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.3, 8.0)
    world.command(0, 0.0, -4.0)
    rows = drive(world, 60)
    assert min(row[0, 3] for row in rows) > -0.005
    stopped = rows[-1][0]
    drive(world, 200)
    after = world.truth().state[0]
    assert abs(after[3]) < 1e-3
    assert np.hypot(*(after[:2] - stopped[:2])) < 1e-3


def test_a_car_at_rest_stays_until_it_is_asked_to_go(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 0.0)
    world.command(0, 0.4, 0.0)
    drive(world, 100)
    assert np.abs(world.truth().state[0, :4]).max() < 1e-4
    world.command(0, 0.0, -3.0)
    drive(world, 20)
    world.command(0, 0.0, 1.0)
    drive(world, 40)
    # Brakes that were held do not delay the start by more than the lag of the drive.
    assert world.truth().state[0, 3] == pytest.approx(2.0 - CAR.actuators.accel_lag_s, abs=0.05)


def test_friction_bounds_what_brakes_can_do(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 25.0)
    world.command(0, 0.0, -30.0)
    rows = drive(world, 30)
    assert np.mean([row[0, 4] for row in rows[10:]]) == pytest.approx(-0.9 * 9.81, rel=0.03)


def test_bodies_that_pass_closely_do_not_touch_and_bodies_that_overlap_do(world: World) -> None:
    gap = CAR.body.width_m
    world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    world.add(CAR, 30.0, gap + 0.05, math.pi, 10.0)
    assert not [contact for _ in range(60) for contact in world.advance(TICK_S)]
    world.remove(1)
    here = world.truth().state[0]
    world.add(CAR, here[0] + 25.0, gap - 0.2, math.pi, 10.0)
    found = [contact for _ in range(60) for contact in world.advance(TICK_S)]
    assert found
    assert {(contact.slot_a, contact.slot_b) for contact in found} == {(0, 1)}
    assert all(contact.depth_m >= 0.0 for contact in found)


def test_a_contact_is_reported_once_per_advance_with_the_first_time(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    world.add(CAR, 15.0, 0.0, 0.0, 0.0)
    world.command(1, 0.0, -1.0)
    contacts = world.advance(1.2)
    assert len(contacts) == 1
    gap = 15.0 - CAR.body.length_m
    assert contacts[0].time_s == pytest.approx(gap / 10.0, abs=world.step_s + 1e-3)
    assert (contacts[0].slot_a, contacts[0].slot_b) == (0, 1)


def test_obstacles_are_touched_as_minus_one_and_free_space_beside_them_is_free(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 5.0)
    world.add_obstacle(BOX + (12.0, 2.0))  # its lower edge is 0.1 m beside the car's left side
    world.add_obstacle((BOX + (30.0, 0.0))[::-1])  # either orientation
    assert not [contact for _ in range(80) for contact in world.advance(TICK_S)]
    found = [contact for _ in range(60) for contact in world.advance(TICK_S)]
    assert {(contact.slot_a, contact.slot_b) for contact in found} == {(0, -1)}
    front = 29.0 - CAR.body.length_m + CAR.body.rear_overhang_m
    assert found[0].time_s == pytest.approx(front / 5.0, abs=0.02)


def test_a_removed_body_leaves_nothing_behind(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    world.add(CAR, 20.0, 0.0, 0.0, 0.0)
    world.remove(1)
    assert not [contact for _ in range(60) for contact in world.advance(TICK_S)]
    assert world.truth().state[0, 0] == pytest.approx(30.0, abs=0.01)


def test_built_twice_from_scratch_is_bit_equal(world: World) -> None:
    def run(made: World) -> list[bytes]:
        for k in range(4):
            made.add(CAR, 14.0 * math.cos(k * 1.57), 14.0 * math.sin(k * 1.57), k * 1.57 + math.pi, 6.0)
        rows = []
        for k in range(60):
            for slot in range(4):
                made.command(slot, 0.1 * math.sin(0.1 * k + slot), 1.0 - 0.05 * k)
            contacts = made.advance(TICK_S)
            rows.append(made.truth().state.tobytes() + repr(contacts).encode())
        return rows

    other = MAKERS[world.name]()
    assert run(world) == run(other)
    other.close()


def test_an_empty_world_lets_time_pass(world: World) -> None:
    assert world.advance(1.0) == ()
    assert world.truth().time_s == 1.0
    assert world.truth().state.shape == (0, 6)


def test_misuse_is_named(world: World) -> None:
    world.add(CAR, 0.0, 0.0, 0.0, 0.0)
    with pytest.raises(HardwareError, match="slot 7"):
        world.command(7, 0.0, 0.0)
    with pytest.raises(HardwareError, match="slot 7"):
        world.remove(7)
    with pytest.raises(HardwareError, match="-1"):
        world.advance(-1.0)
    with pytest.raises(ConfigError, match="nan"):
        world.add(CAR, math.nan, 0.0, 0.0, 0.0)
    with pytest.raises(ConfigError, match="-3"):
        world.add(CAR, 0.0, 0.0, 0.0, -3.0)
    with pytest.raises(ConfigError, match="convex"):
        world.add_obstacle(np.array([(0.0, 0.0), (4.0, 0.0), (1.0, 1.0), (0.0, 4.0)]))
    with pytest.raises(ConfigError, match="corners"):
        world.add_obstacle(np.zeros((2, 2)))
    world.command(0, math.nan, 0.0)
    with pytest.raises(HardwareError, match="slot 0"):
        world.advance(TICK_S)
