"""Where preflight's facts come from: the state folder, the machine's clock, and the vehicle."""

from __future__ import annotations

import importlib
import time
from typing import Any

from fleet.errors import CharterError, ConfigError, FleetError
from fleet.node.clock_sync import clock_error_s
from fleet.node.state_folder import StateFolder
from hardware.supervisor import BrakeSocket, Link
from hardware.vehicle import Vehicle, digest

ROS2 = ("hardware.ros2_preflight", "measure")
"""Module and function (vehicle, vehicle id, options) -> dict of facts, from the ROS 2 backend."""


def from_folder(vehicle: Vehicle, name: str, folder: StateFolder, now_ms: int, *, real: bool) -> dict[str, Any]:
    """Tests, acceptance, key and charter. Tests on a simulated bench say nothing of a real vehicle."""
    tests, accepted = folder.tests(), folder.accepted()
    found: dict[str, Any] = {
        "charter_id": _charter_id(folder, now_ms),
        "config_digest": digest(vehicle),
        "key_left_s": _key_left_s(name, folder, now_ms),
    }
    for test in ("estop", "brake"):
        record = tests.get(test)
        if record is not None and record.passed and (record.real or not real):
            found[f"{test}_test_age_s"] = (now_ms - record.at_ms) * 1e-3
            if test == "brake":
                found["brake_test_mps2"] = record.value
    if accepted is not None:
        found["firmware_expected"] = accepted.firmware or None
        found["config_digest_expected"] = accepted.config_digest
        found["charter_id_expected"] = accepted.charter_id
    return found


def _charter_id(folder: StateFolder, now_ms: int) -> str | None:
    """None: the charter there does not count."""
    try:
        return folder.charter(now_ms)[0].charter_id().hex()
    except CharterError:
        return None


def _key_left_s(name: str, folder: StateFolder, now_ms: int) -> float | None:
    """None: no key, no register, or none of it usable; negative: the key is not that of the certificate."""
    try:
        signer, register = folder.signer(name), folder.register(now_ms)
    except FleetError:
        return None
    certificate = register.active.get(name)
    if certificate is None or certificate.public_key != signer.public_key:
        return -1.0
    return (certificate.not_after_ms - now_ms) * 1e-3


def from_backend(
    vehicle: Vehicle, name: str, folder: StateFolder, backend: str, options: dict[str, str]
) -> dict[str, Any]:  # fmt: skip
    """What the vehicle says of itself, at standstill and without moving anything."""
    if backend == "ros2":
        try:
            measure = getattr(importlib.import_module(ROS2[0]), ROS2[1])
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] == "rclpy":
                raise
            raise ConfigError(f"backend ros2: {error.name} is missing; try --backend mock") from error
        return {"clock_error_s": clock_error_s(), **measure(vehicle, name, options)}
    found = _simulated(vehicle, backend)
    found["supervisor_up"] = supervisor_up(folder)
    return found


def _simulated(vehicle: Vehicle, backend: str) -> dict[str, Any]:
    from sim.conformance_rigs import mock_rig, sim_rig
    from sim.kinematic_world import KinematicWorld

    with mock_rig(vehicle, 0.0) if backend == "mock" else sim_rig(KinematicWorld(), vehicle, 0.0) as rig:
        rig.vehicle.gate.configure()
        rig.tick(4)
        state, vitals = rig.state, rig.vehicle.vitals(rig.now_ns)
        return {
            "clock_error_s": 0.0,  # simulated time has one clock
            "position_std_m": state.position_std_m,
            "yaw_std_rad": state.yaw_std_rad,
            "state_age_s": (rig.now_ns - state.stamp_ns) * 1e-9,
            "speed_mps": state.speed_mps,
            "echo_error_rad": state.steer_rad - rig.driven.steer_rad,
            "battery": vitals.battery,
            "temperature_c": vitals.temperature_c,
            "firmware": vitals.firmware,
            "estop_released": None if vitals.estop_pressed is None else not vitals.estop_pressed,
            "manual": vitals.manual,
        }


def supervisor_up(folder: StateFolder) -> bool:
    """Start one, see it answer, and let it brake: the path to the vehicle's process must carry a stop."""
    ear = BrakeSocket(folder.brake_socket)
    try:
        link = Link(f"unix:{folder.brake_socket}")
        link.beat(time.monotonic_ns())
        link.close()  # without a goodbye: it must brake now
        end, heard = time.monotonic() + 2.0, False
        while time.monotonic() < end and not (heard and link.ended(0.02)):
            heard = bool(ear.poll()) or heard
        return heard and link.ended(1.0)
    except FleetError:
        return False
    finally:
        ear.close()
