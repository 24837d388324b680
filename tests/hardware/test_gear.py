"""Reverse gear: driven only after a standstill, limited in speed, and the same in both worlds."""

from __future__ import annotations

import pytest

from hardware.base import Applied, Command
from hardware.limits import REVERSE_MPS_MAX, clamp
from hardware.vehicle import load_vehicle
from sim.worlds import make_world

CAR = load_vehicle("car")
AHEAD = Applied(0.0, 1.0, ())


def test_the_other_gear_brakes_until_the_vehicle_stands() -> None:
    rolling = clamp(Command(0, 0.0, 1.0, reverse=True), CAR, AHEAD, 0.1, 2.0)
    assert (rolling.reverse, rolling.limited_by) == (False, ("gear",))
    assert rolling.accel_mps2 < -1.0
    standing = clamp(Command(0, 0.0, 1.0, reverse=True), CAR, AHEAD, 0.1, 0.0)
    assert (standing.reverse, standing.accel_mps2, standing.limited_by) == (True, 1.0, ())


def test_backwards_nothing_drives_faster_than_the_limit() -> None:
    back = Applied(0.0, 1.0, (), reverse=True)
    fast = clamp(Command(0, 0.0, 1.0, reverse=True), CAR, back, 0.1, -REVERSE_MPS_MAX)
    assert (fast.accel_mps2, fast.limited_by) == (0.0, ("speed",))


@pytest.mark.parametrize("name", ["kinematic", "bullet"])
def test_a_body_drives_backwards_turns_and_stops(name: str) -> None:
    world = make_world(name)
    slot = world.add(CAR, 0.0, 0.0, 0.0, 0.0)
    world.command(slot, 0.3, 1.0, reverse=True)
    for _ in range(30):
        world.advance(0.05)
    x, y, yaw, speed, *_ = world.truth().state[0].tolist()
    assert speed == pytest.approx(-1.4, abs=0.1)
    assert x < -0.9
    assert (y > 0.0, yaw < 0.0) == (True, True)  # wheels to the left, backwards: the rear goes left, the nose right
    world.command(slot, 0.3, -2.0, reverse=True)
    for _ in range(30):
        world.advance(0.05)
    assert abs(world.truth().state[0][3]) < 0.02
    world.close()
