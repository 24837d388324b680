"""The simulated vehicle's own duties: an honest error model, a watchdog that outlives the node, and determinism."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.errors import HardwareError
from hardware.base import Command
from hardware.vehicle import load_vehicle
from sim.kinematic_world import KinematicWorld
from sim.vehicle_backend import BIAS_TIME_S, SensorSuite, SimVehicle

CAR = load_vehicle("car")
TICK_NS = 50_000_000


def parked(count: int, seed: int = 0) -> tuple[KinematicWorld, SensorSuite, list[SimVehicle]]:
    world = KinematicWorld()
    suite = SensorSuite(world, seed=seed)
    vehicles = []
    for k in range(count):
        slot = world.add(CAR, 0.0, 20.0 * k, 0.0, 0.0)
        suite.attach(slot, CAR)
        vehicles.append(SimVehicle(suite, slot, CAR, name=f"v{k}"))
    return world, suite, vehicles


def test_localisation_error_is_slow_and_has_the_stated_size() -> None:
    _, _, vehicles = parked(60)
    errors = np.empty((60, 200, 3))
    for k in range(200):
        for i, vehicle in enumerate(vehicles):
            state = vehicle.read(k * 500_000_000)
            errors[i, k] = state.x_m, state.y_m - 20.0 * i, state.yaw_rad
            assert state.speed_mps == 0.0
    std = [CAR.sensors.position_std_m, CAR.sensors.position_std_m, CAR.sensors.yaw_std_rad]
    assert errors.std(axis=(0, 1)) == pytest.approx(std, rel=0.08)
    lag = round(BIAS_TIME_S / 0.5)
    kept = (errors[:, lag:] * errors[:, :-lag]).mean(axis=(0, 1)) / errors.var(axis=(0, 1))
    assert kept == pytest.approx(np.exp(-1.0), abs=0.07)


def test_the_error_of_a_vehicle_depends_on_its_name_and_the_seed_only() -> None:
    def estimates(count: int, seed: int) -> list[tuple[float, ...]]:
        _, _, vehicles = parked(count, seed)
        return [tuple(vehicles[0].read(k * TICK_NS)[1:4]) for k in range(20)]

    assert estimates(1, 7) == estimates(5, 7)
    assert estimates(1, 7) != estimates(1, 8)


def test_the_watchdog_stops_a_vehicle_whose_node_is_dead() -> None:
    world, suite, vehicles = parked(2)
    for vehicle in vehicles:
        vehicle.gate.configure()
        vehicle.gate.activate()
    now = 0
    for _ in range(40):
        for vehicle in vehicles:
            vehicle.read(now)
            vehicle.write(Command(now, 0.0, 2.0), now)
        world.advance(0.05)
        now += TICK_NS
    assert world.truth().state[:, 3].min() > 3.0
    for _ in range(60):  # the second node has died; nobody calls its vehicle any more
        suite.tick(now)
        vehicles[0].write(Command(now, 0.0, 0.0), now)
        world.advance(0.05)
        now += TICK_NS
    assert world.truth().state[0, 3] > 3.0
    assert world.truth().state[1, 3] == 0.0


def test_a_vehicle_that_has_left_is_no_longer_driven_or_seen() -> None:
    world, suite, vehicles = parked(2)
    assert len(vehicles[0].perceive(0)) == 1
    suite.detach(1)
    world.remove(1)
    world.advance(0.1)
    assert vehicles[0].perceive(2 * TICK_NS) == ()
    with pytest.raises(HardwareError, match="slot 1"):
        vehicles[1].read(2 * TICK_NS)
