"""The backend ``ros2``: a vehicle behind topics. See :class:`hardware.base.VehicleInterface`.

Messages are taken when they come and judged at once; ``read`` gives the newest good estimate, carried on to the
present by its own speed and yaw rate over at most :data:`PREDICT_NS`. An estimate that is older keeps its pose and
its stamp, so that whoever reads it sees its age. What is refused is counted by reason and never used.

Topics, in the vehicle's namespace: ``odom``, ``localisation`` (where the vehicle file says so), ``tracks``,
``estop_pressed``, ``manual``, ``battery``,
``firmware`` come in; ``command`` and ``estop`` go out.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from hardware.base import Applied, Capabilities, Command, Health, Lifecycle, Track, VehicleState, Vitals
from hardware.gate import CommandGate
from hardware.limits import STANDSTILL_MPS
from hardware.ros2_convert import (
    Drive,
    Odometer,
    PoseFix,
    Refused,
    read_odometry,
    read_pose,
    read_tracks,
    to_drive,
    to_ns,
)
from hardware.vehicle import Vehicle

PREDICT_NS = 60_000_000
"""Three periods of odometry at 50 Hz. At 14 m/s and 1 m/s2 the prediction is then wrong by 2 mm."""
FUTURE_NS = 20_000_000
"""As the gate's: a message stamped further ahead comes from a wrong clock."""
OLD_NS = 300_000_000
"""Older messages are no news (failsafe table: localisation, 0.3 s)."""
TRACKS_OLD_NS = 500_000_000
"""Sensors that have been silent for so long are blind."""
_ACCEL_TIME_S = 0.1
_STEER_SPEED_MPS = 0.3
"""Below this the yaw rate says nothing of the steering; then what was commanded counts."""
_HISTORY = 64


class Ros2Vehicle:
    """One vehicle behind topics.

    Parameters
    ----------
    vehicle : Vehicle
    send : callable
        Publishes a :class:`Drive` with its stamp (ns).
    send_estop : callable
        Publishes True (latch the vehicle's own stop) or False (an operator has cleared it).

    Attributes
    ----------
    refused : Counter
        Messages not taken, by ``topic/reason``.
    latched : bool
        The vehicle says that it holds an emergency stop.
    last_refusal : str
        For diagnostics: the newest one, with the value.
    """

    def __init__(
        self, vehicle: Vehicle, send: Callable[[Drive, int], None], send_estop: Callable[[bool], None]
    ) -> None:
        self.gate = CommandGate(vehicle)
        self.refused: Counter[str] = Counter()
        self.last_refusal = ""
        self.latched = False
        self.vehicle = vehicle
        self._send, self._send_estop = send, send_estop
        self._odometer: Odometer | None = None
        self._history: deque[PoseFix] = deque(maxlen=_HISTORY)
        self._offset: tuple[float, float, float] | None = None
        """Odometry's frame in W: x, y, yaw. None: not localised yet."""
        self._fix: PoseFix | None = None
        self._accel_mps2 = self._present_mps = 0.0
        self._tracks: tuple[Track, ...] = ()
        self._tracks_ns = -1
        self._estop_pressed: bool | None = None
        self._manual: bool | None = None
        self._firmware: str | None = None
        self._battery: tuple[float | None, float | None] = (None, None)
        if not vehicle.ros2.localisation:
            self._offset = (0.0, 0.0, 0.0)

    # --- the vehicle interface

    @property
    def lifecycle(self) -> Lifecycle:
        return self.gate.lifecycle

    def capabilities(self) -> Capabilities:
        return Capabilities("ros2", True, False, self.vehicle.sensors.perception_range_m, 0.02)

    @property
    def known(self) -> bool:
        """Whether the vehicle has ever said where it is."""
        return self._odometer is not None and self._offset is not None

    def read(self, now_ns: int) -> VehicleState:
        odometer, offset = self._odometer, self._offset
        if odometer is None or offset is None:
            return VehicleState(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.inf, math.inf, Health.ERROR)
        pose, v = odometer.pose, odometer.speed_mps
        age_ns = now_ns - pose.stamp_ns
        stamp_ns, x, y, yaw = pose.stamp_ns, pose.x_m, pose.y_m, pose.yaw_rad
        if age_ns <= PREDICT_NS:
            age_s = age_ns * 1e-9
            turn, way = odometer.yaw_rate_radps * age_s, v * age_s + 0.5 * self._accel_mps2 * age_s * age_s
            x, y = x + way * math.cos(yaw + 0.5 * turn), y + way * math.sin(yaw + 0.5 * turn)
            yaw, v, stamp_ns = yaw + turn, v + self._accel_mps2 * age_s, now_ns
        if self._fix is not None:
            stamp_ns = min(stamp_ns, self._fix.stamp_ns + OLD_NS)
        v = max(0.0, v) if odometer.speed_mps >= 0.0 else v
        self._present_mps = v
        c, s = math.cos(offset[2]), math.sin(offset[2])
        std = self._fix or pose
        return VehicleState(
            stamp_ns, offset[0] + c * x - s * y, offset[1] + s * x + c * y,
            math.remainder(offset[2] + yaw, 2.0 * math.pi), v, self._accel_mps2, self._steer_rad(odometer),
            std.position_std_m, std.yaw_std_rad, self._health(now_ns),
        )  # fmt: skip

    def perceive(self, now_ns: int) -> tuple[Track, ...]:
        return self._tracks if now_ns - self._tracks_ns <= TRACKS_OLD_NS else ()

    def vitals(self, now_ns: int) -> Vitals:
        battery, temperature = self._battery
        return Vitals(now_ns, battery, temperature, self._estop_pressed, self._manual, self._firmware)

    def write(self, command: Command, now_ns: int) -> Applied:
        answer = self.gate.submit(command, now_ns, self._speed())
        self.drive(now_ns)
        return answer

    def estop(self, reason: str) -> None:
        self.gate.estop(reason)
        self._send_estop(True)

    def reset(self, operator: str) -> bool:
        """As the interface says; also of a stop that an earlier node, or a supervisor, has latched in the vehicle."""
        standing = abs(self._speed()) <= STANDSTILL_MPS and not self._estop_pressed
        cleared = self.gate.reset(operator, self._speed()) if self.gate.estop_reason else self.latched and standing
        if cleared:
            self._send_estop(False)
        return cleared

    def drive(self, now_ns: int) -> None:
        """Send what the gate lets through; also called by a timer, so that the gate's watchdog acts by itself."""
        driven = self.gate.watch(now_ns)
        self._send(to_drive(driven.steer_rad, driven.accel_mps2, self._speed(), self.vehicle.ros2.speed_lead_s), now_ns)

    # --- messages

    def on_odometry(self, message: Any, now_ns: int) -> bool:
        """Take odometry; True if it is a new estimate."""
        ros2 = self.vehicle.ros2
        found = read_odometry(message, ros2.odom_frame, ros2.base_frame)
        if isinstance(found, Refused):
            return self._refuse("odom", found)
        before = self._odometer
        if self._untimely("odom", found.pose.stamp_ns, now_ns, before.pose.stamp_ns if before else 0):
            return False
        if before is not None:
            step_s = (found.pose.stamp_ns - before.pose.stamp_ns) * 1e-9
            share = min(1.0, step_s / _ACCEL_TIME_S)
            self._accel_mps2 += share * ((found.speed_mps - before.speed_mps) / step_s - self._accel_mps2)
        self._odometer = found
        self._history.append(found.pose)
        return True

    def on_localisation(self, message: Any, now_ns: int) -> bool:
        """Take a pose in W: from now on odometry is carried on from there."""
        found = read_pose(message.header, message.pose.pose, message.pose.covariance, self.vehicle.ros2.map_frame)
        if isinstance(found, Refused):
            return self._refuse("localisation", found)
        if self._untimely("localisation", found.stamp_ns, now_ns, self._fix.stamp_ns if self._fix else 0):
            return False
        at = min(self._history, key=lambda pose: abs(pose.stamp_ns - found.stamp_ns), default=None)
        if at is None or self._odometer is None:
            return self._refuse("localisation", Refused("no_odometry", "a pose before any odometry"))
        ahead_m = self._odometer.speed_mps * (found.stamp_ns - at.stamp_ns) * 1e-9
        turn = math.remainder(found.yaw_rad - at.yaw_rad, 2.0 * math.pi)
        x, y = at.x_m + ahead_m * math.cos(at.yaw_rad), at.y_m + ahead_m * math.sin(at.yaw_rad)
        c, s = math.cos(turn), math.sin(turn)
        self._offset = (found.x_m - (c * x - s * y), found.y_m - (s * x + c * y), turn)
        self._fix = found
        return True

    def on_tracks(self, message: Any, now_ns: int) -> None:
        found = read_tracks(message, self.vehicle.ros2.map_frame)
        if isinstance(found, Refused):
            self._refuse("tracks", found)
            return
        stamp_ns = to_ns(message.header.stamp)
        if not self._untimely("tracks", stamp_ns, now_ns, self._tracks_ns):
            self._tracks, self._tracks_ns = found, stamp_ns

    def on_estop_pressed(self, message: Any) -> None:
        """The vehicle's own button, remote or bumper."""
        self._estop_pressed = bool(message.data)
        self.gate.press("vehicle", pressed=self._estop_pressed)

    def on_latched(self, message: Any) -> None:
        """Whether the vehicle itself holds a stop: a node that comes back must know of the one before it."""
        self.latched = bool(message.data)

    def on_manual(self, message: Any) -> None:
        manual = bool(message.data)
        if manual and not self._manual:
            self.gate.take_over("vehicle")
        self._manual = manual

    def on_firmware(self, message: Any) -> None:
        self._firmware = str(message.data)[:200] or None

    def on_battery(self, message: Any) -> None:
        level, heat = float(message.percentage), float(message.temperature)
        self._battery = (level if 0.0 <= level <= 1.0 else None, heat if math.isfinite(heat) else None)

    # ---

    def _health(self, now_ns: int) -> Health:
        return Health.OK if now_ns - self._tracks_ns <= TRACKS_OLD_NS else Health.DEACTIVATE

    def _speed(self) -> float:
        """As it was read last, carried on to then: a wanted speed counts from the speed of now."""
        return self._present_mps

    def _steer_rad(self, odometer: Odometer) -> float:
        if abs(odometer.speed_mps) < _STEER_SPEED_MPS:
            return self.gate.driven.steer_rad
        return math.atan(odometer.yaw_rate_radps * self.vehicle.body.wheelbase_m / odometer.speed_mps)

    def _untimely(self, topic: str, stamp_ns: int, now_ns: int, before_ns: int) -> bool:
        """Whether a stamp is ahead, old, or not after the last one: then the clock jumped or a message was late."""
        if stamp_ns > now_ns + FUTURE_NS:
            self._refuse(topic, Refused("future", f"stamped {(stamp_ns - now_ns) * 1e-6:.0f} ms ahead; at most 20 ms"))
        elif stamp_ns < now_ns - OLD_NS:
            self._refuse(topic, Refused("old", f"{(now_ns - stamp_ns) * 1e-6:.0f} ms old; at most 300 ms"))
        elif stamp_ns <= before_ns:
            self._refuse(topic, Refused("order", f"{(before_ns - stamp_ns) * 1e-6:.0f} ms before the last one"))
        else:
            return False
        return True

    def _refuse(self, topic: str, refused: Refused) -> bool:
        self.refused[f"{topic}/{refused.reason}"] += 1
        self.last_refusal = f"{topic}: {refused.text}"
        return False
