"""Rigs of the conformance suite on the mock and on simulated worlds; ports to other middleware look the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hardware.base import Track
from hardware.conformance import NEIGHBOUR_M, Rig
from hardware.mock import FaultSwitches, MockVehicle
from hardware.vehicle import Vehicle
from sim.vehicle_backend import SensorSuite, SimVehicle
from sim.world import World


@contextmanager
def mock_rig(vehicle: Vehicle, speed_mps: float) -> Iterator[Rig]:
    faults, body = FaultSwitches(), vehicle.body
    other = Track(0, 0, NEIGHBOUR_M, 0.0, 0.0, 0.0, body.length_m, body.width_m, 0.1)
    mock = MockVehicle(vehicle, (0.0, 0.0, 0.0, speed_mps), faults=faults, tracks=(other,))
    rig = Rig("mock", mock, vehicle, lambda seconds: rig.now_ns + round(seconds * 1e9), faults)
    yield rig


@contextmanager
def sim_rig(world: World, vehicle: Vehicle, speed_mps: float) -> Iterator[Rig]:
    """Closes ``world`` at the end."""
    suite, faults, body = SensorSuite(world, seed=3), FaultSwitches(), vehicle.body
    centre_m = 0.5 * body.length_m - body.rear_overhang_m
    slot = world.add(vehicle, 0.0, 0.0, 0.0, speed_mps)
    other = world.add(vehicle, NEIGHBOUR_M - centre_m, 2.2 * body.width_m, 0.0, 0.0)
    for each in (slot, other):
        suite.attach(each, vehicle)

    def wait(seconds: float) -> int:
        world.advance(seconds)
        return rig.now_ns + round(seconds * 1e9)

    rig = Rig("sim", SimVehicle(suite, slot, vehicle, name="a", faults=faults), vehicle, wait, faults, lag_s=0.05)
    suite.tick(0)
    try:
        yield rig
    finally:
        world.close()
