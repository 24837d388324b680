"""The conformance suite against the backends that need no middleware: mock, and sim on both worlds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hardware.base import Applied, Command, Lifecycle
from hardware.conformance import Case, ConformanceError, Maker
from hardware.conformance_cases import CASES
from hardware.gate import CommandGate
from hardware.vehicle import Vehicle, load_vehicle
from sim.bullet_world import BulletWorld
from sim.conformance_rigs import mock_rig, sim_rig
from sim.kinematic_world import KinematicWorld

CAR = load_vehicle("car")


def maker(backend: str, vehicle: Vehicle = CAR) -> Maker:
    if backend == "mock":
        return lambda speed: mock_rig(vehicle, speed)
    if backend == "sim-kinematic":
        return lambda speed: sim_rig(KinematicWorld(), vehicle, speed)
    pytest.importorskip("pybullet", reason="pybullet has wheels for Python 3.10 and 3.11 only")
    return lambda speed: sim_rig(BulletWorld(), vehicle, speed)


@pytest.mark.parametrize("backend", ["mock", "sim-kinematic", "sim-bullet"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_backend(case: Case, backend: str) -> None:
    case.run(maker(backend))


@pytest.mark.parametrize("name", ["bus", "model_car_1_18"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_other_sizes_of_vehicle(case: Case, name: str) -> None:
    case.run(maker("mock", load_vehicle(name)))


def failing() -> list[str]:
    """Cases that the mock fails now."""
    found = []
    for case in CASES:
        try:
            case.run(maker("mock"))
        except ConformanceError:
            found.append(case.name)
    return found


def reset_in_motion(gate: CommandGate, operator: str, speed_mps: float) -> bool:
    return RESET(gate, operator or "nobody", 0.0)


def reset_that_restarts(gate: CommandGate, operator: str, speed_mps: float) -> bool:
    done = RESET(gate, operator, speed_mps)
    if done:
        gate.lifecycle = Lifecycle.ACTIVE
    return done


def autonomy_and_person(gate: CommandGate, command: Command, now_ns: int, speed_mps: float, *, manual: bool = False):
    by, gate._manual_by = gate._manual_by, ""
    answer = SUBMIT(gate, command, now_ns, speed_mps)
    gate._manual_by = by
    return answer


RESET, SUBMIT = CommandGate.reset, CommandGate._submit


@pytest.mark.parametrize(
    ("method", "mutant"),
    [
        ("_watch", lambda gate, now_ns: None),
        ("reset", reset_in_motion),
        ("reset", reset_that_restarts),
        ("_submit", autonomy_and_person),
        ("_latch", lambda gate, reason: None),
        ("_fault", lambda gate, command, now_ns: ""),
        ("fail", lambda gate, reason: None),
        ("press", lambda gate, source, pressed: gate.estop(source) if pressed else None),
    ],
)
def test_the_suite_notices_a_broken_gate(monkeypatch: pytest.MonkeyPatch, method: str, mutant: Callable) -> None:
    monkeypatch.setattr(CommandGate, method, mutant)
    assert failing() != []


@pytest.mark.parametrize("limit", ["steer", "accel", "brake", "rate", "speed", "lateral"])
def test_the_suite_notices_a_missing_limit(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    def clamp(command: Command, vehicle: Vehicle, last: Applied, dt_s: float, speed_mps: float) -> Applied:
        found = REAL(command, vehicle, last, dt_s, speed_mps)
        reasons = {"rate": "steer_rate", "lateral": "lateral_accel"}
        reason = reasons.get(limit, limit)
        if reason not in found.limited_by:
            return found
        steering = reason.startswith(("steer", "lateral"))
        return found._replace(**({"steer_rad": command.steer_rad} if steering else {"accel_mps2": command.accel_mps2}))

    from hardware import gate

    REAL = gate.clamp
    monkeypatch.setattr(gate, "clamp", clamp)
    assert failing() != []
