"""Yards: a crossroads with guarded vehicles, on ideal mocks or in a simulated world, scaled to the vehicle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from fleet.node.bodies import planner_body, planning_body, scale_of
from hardware.base import Applied, Capabilities, Command, Lifecycle, Track, VehicleState, Vitals
from hardware.gate import CommandGate, GatedVehicle
from hardware.mock import FaultSwitches, MockVehicle
from hardware.vehicle import Vehicle
from planners.zones import build_zone_map
from sim.maps.builtin import build
from sim.stage import Stage
from sim.vehicle_backend import SensorSuite, SimVehicle
from sim.world import World

Pose = tuple[float, float, float]


@lru_cache(maxsize=4)
def crossroads(vehicle: Vehicle) -> Stage:
    """The four-way junction for vehicles of this size and speed."""
    scale, limit = scale_of(vehicle), min(13.89, 0.7 * vehicle.limits.speed_mps_max)
    lane_m = 3.5 if scale == 1.0 else max(3.5 * scale, 1.9 * vehicle.body.width_m)
    source = build("four_way", arm_m=max(250.0 * scale, 18.0 * limit), lane_width_m=lane_m, speed_limit_mps=limit)
    wide = planning_body(planner_body("any", vehicle))
    pairs = [(path.path_id, wide.footprint, wide.budget) for path in source.paths]
    zone_map, conflicts = build_zone_map(source.name, source.paths, pairs, lanes=source.lanes)
    return Stage(source.name, zone_map, conflicts, (), (), ())


@dataclass
class Line:
    """The line between a node and its vehicle, with faults to switch. See :class:`hardware.gate.GatedVehicle`."""

    hardware: GatedVehicle
    fault: str = ""
    """Empty, or a cause of the failsafe table's second row."""
    _stamp_ns: int = -1
    """Of the first command that was falsified."""

    @property
    def gate(self) -> CommandGate:
        return self.hardware.gate

    @property
    def lifecycle(self) -> Lifecycle:
        return self.hardware.lifecycle

    def capabilities(self) -> Capabilities:
        return self.hardware.capabilities()

    def read(self, now_ns: int) -> VehicleState:
        return self.hardware.read(now_ns)

    def perceive(self, now_ns: int) -> tuple[Track, ...]:
        return self.hardware.perceive(now_ns)

    def vitals(self, now_ns: int) -> Vitals:
        return self.hardware.vitals(now_ns)

    def estop(self, reason: str) -> None:
        self.hardware.estop(reason)

    def reset(self, operator: str) -> bool:
        return self.hardware.reset(operator)

    def write(self, command: Command, now_ns: int) -> Applied:
        fault = self.fault
        self._stamp_ns = now_ns if not fault or self._stamp_ns < 0 else self._stamp_ns
        if fault == "command_stale":
            return self.gate.driven
        if fault == "future":
            command = command._replace(stamp_ns=now_ns + 10**9)
        elif fault == "stamp_order":
            command = command._replace(stamp_ns=self._stamp_ns - 1)
        elif fault == "non_finite":
            command = command._replace(accel_mps2=math.nan)
        elif fault == "wrong_frame":
            command = command._replace(frame_id="map")
        return self.hardware.write(command, now_ns)


class Yard(Protocol):
    """Where vehicles are and what they see."""

    def add(self, name: str, pose: Pose, speed_mps: float) -> tuple[GatedVehicle, FaultSwitches]: ...

    def block(self, pose: Pose) -> None:
        """Put a road user without a radio there (rear axle), standing."""
        ...

    def unblock(self) -> None: ...

    def shove(self, name: str, left_m: float) -> bool:
        """Displace a body to its left; False where the world cannot."""
        ...

    def truth(self, name: str) -> tuple[float, float, float, float]:
        """x, y, yaw of B and speed."""
        ...

    def advance(self, period_s: float, now_ns: int) -> None:
        """Let time pass, up to ``now_ns``; the watchdogs of all vehicles run, whatever their nodes do."""
        ...

    def close(self) -> None: ...


class MockYard:
    """Ideal vehicles that see each other exactly."""

    def __init__(self, vehicle: Vehicle) -> None:
        self._vehicle = vehicle
        self._mocks: dict[str, MockVehicle] = {}
        self._blocks: list[Track] = []
        body = vehicle.body
        self._centre_m = 0.5 * body.length_m - body.rear_overhang_m

    def add(self, name: str, pose: Pose, speed_mps: float) -> tuple[GatedVehicle, FaultSwitches]:
        mock = MockVehicle(self._vehicle, (*pose, speed_mps), faults=FaultSwitches())
        self._mocks[name] = mock
        return mock, mock.faults

    def block(self, pose: Pose) -> None:
        self._blocks.append(self._track(99, 0, pose, 0.0))

    def unblock(self) -> None:
        self._blocks.clear()

    def shove(self, name: str, left_m: float) -> bool:
        self._mocks[name].shove(left_m)
        return True

    def truth(self, name: str) -> tuple[float, float, float, float]:
        return self._mocks[name].truth

    def advance(self, period_s: float, now_ns: int) -> None:
        seen = {}
        for index, (name, mock) in enumerate(self._mocks.items()):
            mock.read(now_ns)
            x, y, yaw, speed = mock.truth
            seen[name] = self._track(index, now_ns, (x, y, yaw), speed)
        blocks = tuple(track._replace(stamp_ns=now_ns) for track in self._blocks)
        for name, mock in self._mocks.items():
            mock.tracks = (*(track for other, track in seen.items() if other != name), *blocks)

    def close(self) -> None:
        """Nothing is held."""

    def _track(self, track_id: int, now_ns: int, pose: Pose, speed: float) -> Track:
        x, y, yaw = pose
        body = self._vehicle.body
        x, y = x + self._centre_m * math.cos(yaw), y + self._centre_m * math.sin(yaw)
        return Track(track_id, now_ns, x, y, yaw, speed, body.length_m, body.width_m, 0.1)


class SimYard:
    """Bodies of a simulated world, with its perception."""

    def __init__(self, vehicle: Vehicle, world: World, seed: int) -> None:
        self._vehicle, self._world = vehicle, world
        self._suite = SensorSuite(world, seed=seed)
        self._slots: dict[str, int] = {}
        self._blocks: list[int] = []

    def add(self, name: str, pose: Pose, speed_mps: float) -> tuple[GatedVehicle, FaultSwitches]:
        slot, faults = self._world.add(self._vehicle, *pose, speed_mps), FaultSwitches()
        self._suite.attach(slot, self._vehicle)
        self._slots[name] = slot
        return SimVehicle(self._suite, slot, self._vehicle, name=name, faults=faults), faults

    def block(self, pose: Pose) -> None:
        slot = self._world.add(self._vehicle, *pose, 0.0)
        self._world.command(slot, 0.0, -1.0)
        self._suite.attach(slot, self._vehicle)
        self._blocks.append(slot)

    def unblock(self) -> None:
        for slot in self._blocks:
            self._suite.detach(slot)
            self._world.remove(slot)
        self._blocks.clear()

    def shove(self, name: str, left_m: float) -> bool:
        return False

    def truth(self, name: str) -> tuple[float, float, float, float]:
        x, y, yaw, speed, *_ = self._suite.row(self._slots[name])
        return x, y, yaw, speed

    def advance(self, period_s: float, now_ns: int) -> None:
        if period_s > 0.0:
            self._world.advance(period_s)
        self._suite.tick(now_ns)

    def close(self) -> None:
        self._world.close()
