"""The how-to for ports, tried: a vehicle behind a bus of integers passes the suite with the module it describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardware.base import Applied, Capabilities, Command, Health, Lifecycle, Track, VehicleState, Vitals
from hardware.conformance import Case, NotPossible, Rig
from hardware.conformance_cases import CASES
from hardware.gate import CommandGate
from hardware.vehicle import Vehicle, load_vehicle

CAR = load_vehicle("ackermann_1_10")
HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "port-a-vehicle.md"


class Bus:
    """A car with a servo in 0.1 mrad and a drive in mm/s2, read as mm, 0.1 mrad and mm/s every 10 ms."""

    def __init__(self, wheelbase_m: float, speed_mps: float) -> None:
        self._wheelbase, self._servo, self._drive = wheelbase_m, 0, 0
        self._x = self._y = self._yaw = 0.0
        self._speed, self._now_ns = speed_mps, 0

    def send(self, servo: int, drive: int) -> None:
        self._servo, self._drive = servo, drive

    def advance(self, now_ns: int) -> None:
        dt_s, self._now_ns = (now_ns - self._now_ns) * 1e-9, now_ns
        after = max(0.0, self._speed + self._drive * 1e-3 * dt_s)
        way = 0.5 * (self._speed + after) * dt_s
        self._yaw += way * math.tan(self._servo * 1e-4) / self._wheelbase
        self._x, self._y = self._x + way * math.cos(self._yaw), self._y + way * math.sin(self._yaw)
        self._speed = after

    def read(self) -> tuple[int, int, int, int, int, int]:
        mm = [round(1000.0 * value) for value in (self._x, self._y, self._speed)]
        return mm[0], mm[1], round(1e4 * self._yaw), mm[2], self._servo, self._drive if self._speed else 0


class MyCar:
    """See docs/how-to/port-a-vehicle.md, step 3."""

    def __init__(self, vehicle: Vehicle, bus: Bus) -> None:
        self.gate = CommandGate(vehicle)
        self._bus, self._sensors, self._speed = bus, vehicle.sensors, 0.0
        self._send(self.gate.driven)

    @property
    def lifecycle(self) -> Lifecycle:
        return self.gate.lifecycle

    def read(self, now_ns: int) -> VehicleState:
        x, y, yaw, speed, servo, drive = self._bus.read()
        self._speed = speed * 1e-3
        heading = math.remainder(yaw * 1e-4, 2.0 * math.pi)
        std = self._sensors.position_std_m
        return VehicleState(
            now_ns, x * 1e-3, y * 1e-3, heading, self._speed, drive * 1e-3, servo * 1e-4, std, 0.01, Health.OK
        )  # fmt: skip

    def perceive(self, now_ns: int) -> tuple[Track, ...]:
        return ()

    def vitals(self, now_ns: int) -> Vitals:
        return Vitals(now_ns, None, None, None, None, "my car 3")

    def write(self, command: Command, now_ns: int) -> Applied:
        answer = self.gate.submit(command, now_ns, self._speed)
        self._send(self.gate.driven)
        return answer

    def estop(self, reason: str) -> None:
        self.gate.estop(reason)
        self._send(self.gate.driven)

    def reset(self, operator: str) -> bool:
        return self.gate.reset(operator, self._speed)

    def capabilities(self) -> Capabilities:
        return Capabilities("my_car", False, False, 0.0, 0.01)

    def watch(self, now_ns: int) -> None:
        """From a timer of the process that owns the bus."""
        self.gate.watch(now_ns)
        self._send(self.gate.driven)

    def _send(self, driven: Applied) -> None:
        self._bus.send(round(1e4 * driven.steer_rad), round(1e3 * driven.accel_mps2))


@contextmanager
def rig(speed_mps: float) -> Iterator[Rig]:
    bus = Bus(CAR.body.wheelbase_m, speed_mps)
    car = MyCar(CAR, bus)

    def wait(seconds: float) -> int:
        end_ns, now_ns = found.now_ns + round(seconds * 1e9), found.now_ns
        while now_ns < end_ns:
            now_ns = min(end_ns, now_ns + 10_000_000)
            bus.advance(now_ns)
            car.watch(now_ns)
        return end_ns

    found = Rig("my_car", car, CAR, wait)
    car.read(0)
    yield found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_port_of_the_how_to_passes_the_suite(case: Case) -> None:
    if "perceived" in case.name or "faults" in case.name:  # it has no sensors for others, and no switches
        with pytest.raises(NotPossible):
            case.run(rig)
    else:
        case.run(rig)


def test_the_how_to_names_what_exists() -> None:
    text = HOW_TO.read_text(encoding="utf-8")
    for name in ("hardware.conformance_cases", "hardware.gate", "hardware.supervisor", "fleet.node.state_folder"):
        assert name in text
        __import__(name)
    for method in ("read", "perceive", "vitals", "write", "estop", "reset", "capabilities"):
        assert f"def {method}(" in text and hasattr(MyCar, method)
