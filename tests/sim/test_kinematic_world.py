"""The kinematic world against plain twins: fine Euler integration, shapely's overlap, brute-force pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from hardware.vehicle import load_vehicle
from sim.kinematic_world import KinematicWorld

CAR, BUS = load_vehicle("car"), load_vehicle("bus")


def outline(vehicle, state) -> Polygon:
    body = vehicle.body
    back, front = -body.rear_overhang_m, body.length_m - body.rear_overhang_m
    half, (x, y, yaw) = 0.5 * body.width_m, state[:3]
    c, s = math.cos(yaw), math.sin(yaw)
    corners = [(back, -half), (front, -half), (front, half), (back, half)]
    return Polygon([(x + c * u - s * v, y + s * u + c * v) for u, v in corners])


def plain_drive(state, wanted, seconds, dt=1e-4):
    """Euler's rule in tiny steps, without friction."""
    x, y, yaw, v, a, steer = state
    tau_a, tau_s = CAR.actuators.accel_lag_s, CAR.actuators.steer_lag_s
    rate = CAR.limits.steer_rate_radps_max
    for _ in range(round(seconds / dt)):
        a += dt * (wanted[1] - a) / tau_a
        steer += dt * max(-rate, min(rate, (wanted[0] - steer) / tau_s))
        x, y = x + dt * v * math.cos(yaw), y + dt * v * math.sin(yaw)
        yaw += dt * v * math.tan(steer) / CAR.body.wheelbase_m
        v = max(0.0, v + dt * a)
    return x, y, yaw, v


@pytest.mark.parametrize(
    ("steer", "accel", "speed"), [(0.2, 0.0, 5.0), (-0.1, 1.5, 8.0), (0.3, -2.0, 6.0), (0.0, 2.0, 0.5)]
)
def test_motion_equals_fine_euler_integration(steer: float, accel: float, speed: float) -> None:
    world = KinematicWorld()
    world.add(CAR, 1.0, 2.0, 0.5, speed)
    world.command(0, steer, accel)
    for _ in range(40):
        world.advance(0.05)
    expected = plain_drive((1.0, 2.0, 0.5, speed, 0.0, 0.0), (steer, accel), 2.0)
    state = world.truth().state[0]
    assert state[:2] == pytest.approx(expected[:2], abs=0.06)
    assert state[2] == pytest.approx(math.remainder(expected[2], 2 * math.pi), abs=0.012)
    assert state[3] == pytest.approx(expected[3], abs=0.02)


def test_a_steady_turn_is_an_exact_circle() -> None:
    world = KinematicWorld()
    world.add(CAR, 0.0, 0.0, 0.0, 5.0)
    world.command(0, 0.2, 0.0)
    for _ in range(20):
        world.advance(0.05)
    points = []
    for _ in range(200):
        world.advance(0.05)
        points.append(world.truth().state[0])
    table = np.array(points)
    radius = CAR.body.wheelbase_m / math.tan(0.2)
    centres = table[:, :2] + radius * np.column_stack((-np.sin(table[:, 2]), np.cos(table[:, 2])))
    assert np.ptp(centres, axis=0).max() < 1e-6


def test_friction_bounds_the_resultant_acceleration() -> None:
    world = KinematicWorld()
    world.add(CAR, 0.0, 0.0, 0.0, 20.0)
    world.command(0, 0.5, -6.0)
    speeds, rates = [], []
    yaw = 0.0
    for _ in range(30):
        world.advance(0.05)
        state = world.truth().state[0]
        rates.append(math.remainder(state[2] - yaw, 2 * math.pi) / 0.05)
        yaw, accel = state[2], state[4]
        speeds.append(math.hypot(accel, rates[-1] * (state[3] - 0.025 * accel)))
    assert max(speeds) == pytest.approx(0.9 * 9.81, rel=0.01)


pose = st.tuples(st.floats(-7.0, 7.0), st.floats(-7.0, 7.0), st.floats(-3.1, 3.1))


@settings(max_examples=150, deadline=None)
@given(one=pose, other=pose, bus=st.booleans())
def test_overlap_of_two_bodies_is_what_shapely_says(one, other, bus: bool) -> None:
    second = BUS if bus else CAR
    world = KinematicWorld()
    world.add(CAR, *one, 0.0)
    world.add(second, *other, 0.0)
    a, b = outline(CAR, one), outline(second, other)
    touched = bool(world.advance(0.0125))
    if a.distance(b) > 1e-6:
        assert not touched
    elif a.intersection(b).area > 1e-6:
        assert touched


@settings(max_examples=150, deadline=None)
@given(where=pose, size=st.integers(3, 7), at=pose, radius=st.floats(0.3, 4.0))
def test_overlap_with_an_obstacle_is_what_shapely_says(where, size: int, at, radius: float) -> None:
    turns = at[2] + 2.0 * math.pi * np.arange(size) / size
    corners = np.column_stack((at[0] + radius * np.cos(turns), at[1] + 0.6 * radius * np.sin(turns)))
    world = KinematicWorld()
    world.add(CAR, *where, 0.0)
    world.add_obstacle(corners)
    a, b = outline(CAR, where), Polygon(corners)
    contacts = world.advance(0.0125)
    if a.distance(b) > 1e-6:
        assert contacts == ()
    elif a.intersection(b).area > 1e-6:
        assert [(c.slot_a, c.slot_b) for c in contacts] == [(0, -1)]


def test_the_sweep_finds_every_pair_of_a_crowd() -> None:
    rng = np.random.default_rng(5)
    poses = np.column_stack((rng.uniform(0, 60, 40), rng.uniform(0, 60, 40), rng.uniform(-3, 3, 40)))
    vehicles = [BUS if k % 5 == 0 else CAR for k in range(40)]
    world = KinematicWorld()
    for vehicle, (x, y, yaw) in zip(vehicles, poses, strict=True):
        world.add(vehicle, x, y, yaw, 3.0)
    shapes = None
    for _ in range(20):
        found = {(c.slot_a, c.slot_b) for c in world.advance(0.0125)}
        shapes = [outline(v, row) for v, row in zip(vehicles, world.truth().state, strict=True)]
        expected = {
            (i, j) for i in range(40) for j in range(i + 1, 40) if shapes[i].intersection(shapes[j]).area > 1e-9
        }
        assert found == expected
    assert shapes is not None
    assert len(expected) > 5
