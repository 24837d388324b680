"""What only the physics world does: bodies that push each other, light and narrow cars, a word without pybullet."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from fleet.errors import ConfigError
from hardware.vehicle import load_vehicle
from sim._vehicle import com_height_m
from sim.bullet_world import BulletWorld

pytest.importorskip("pybullet", reason="pybullet has wheels for Python 3.10 and 3.11 only")

CAR = load_vehicle("car")


def test_without_pybullet_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(ConfigError, match=r"pip install pybullet .* --world kinematic"):
        BulletWorld()


def test_a_crash_conserves_momentum_and_pushes_the_struck_car() -> None:
    world = BulletWorld()
    world.add(CAR, 0.0, 0.0, 0.0, 10.0)
    world.add(CAR, 6.0, 0.0, 0.0, 0.0)
    world.command(1, 0.0, 0.01)  # brakes released
    contacts = [contact for _ in range(10) for contact in world.advance(0.05)]
    speeds = world.truth().state[:, 3]
    assert contacts
    assert speeds[1] > 3.0
    assert speeds.sum() == pytest.approx(10.0, rel=0.03)
    world.close()


def test_a_world_does_not_disturb_another() -> None:
    one, two = BulletWorld(), BulletWorld()
    one.add(CAR, 0.0, 0.0, 0.0, 10.0)
    two.add(CAR, 0.0, 0.0, 0.0, 5.0)
    one.advance(0.5)
    assert two.truth().state[0, 0] == 0.0
    two.advance(0.5)
    one.close()
    two.advance(0.5)
    assert two.truth().state[0, 0] == pytest.approx(5.0, abs=1e-6)
    two.close()
    two.close()


@pytest.mark.parametrize("name", ["car", "bus", "truck", "motorcycle", "bicycle", "model_car_1_18"])
def test_every_vehicle_that_ships_stands_corners_and_stops_without_tipping(name: str) -> None:
    vehicle = load_vehicle(name)
    limits = vehicle.limits
    speed = min(10.0, 0.6 * limits.speed_mps_max)
    world = BulletWorld()
    world.add(vehicle, 0.0, 0.0, 0.0, speed)
    steer = min(limits.steer_rad_max, math.atan(vehicle.body.wheelbase_m * limits.lateral_accel_mps2_max / speed**2))
    rows, tilts = [], []
    for k in range(160):
        side = 1.0 if k < 50 else -1.0  # from one limit straight to the other
        brake = -limits.brake_mps2_max if k >= 100 else 0.0
        world.command(0, side * steer, brake)
        world.advance(0.05)
        rows.append(world.truth().state[0])
        qx, qy = world._body[0, 3:5]
        tilts.append(2.0 * math.hypot(qx, qy))
    table = np.array(rows)
    rate = np.diff(np.unwrap(table[:, 2])) / 0.05
    assert max(tilts) < 0.12
    assert rate[45] * table[45, 3] == pytest.approx(limits.lateral_accel_mps2_max, rel=0.15)
    assert np.abs(rate[95] + rate[45]) < 0.05 * rate[45]
    assert np.abs(np.diff(rate[35:48])).max() < 0.01 * rate[45]  # no chatter
    assert abs(table[-1, 3]) < 1e-3
    assert np.ptp(table[-20:, :2], axis=0).max() < 1e-3
    world.close()


def test_only_bodies_that_lean_get_a_lower_centre_of_mass() -> None:
    for name in ("car", "bus", "truck", "model_car_1_18"):
        vehicle = load_vehicle(name)
        assert com_height_m(vehicle) == vehicle.body.com_height_m
    narrow = load_vehicle("motorcycle")
    assert 0.2 < com_height_m(narrow) <= narrow.body.com_height_m
