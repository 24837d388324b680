"""The last gate before any actuator: limits, lifecycle, latched e-stop and the command watchdog.

Every backend sends its commands through a :class:`CommandGate`, so that a simulated vehicle refuses
exactly what a real one refuses. The gate is the second of two independent clamps (the first is in the
node's kernel) and shares no code with it.

Rules, most severe first: finalized or unconfigured is misuse (``HardwareError``); ``error`` and a latched
e-stop brake with ``brake_mps2_max``; no valid command for 0.2 s is a comfortable stop, for 0.5 s an
emergency stop, until 10 valid commands have come; inactive holds the brakes. Steering is held meanwhile.
"""

from __future__ import annotations

import math

from fleet.errors import HardwareError
from hardware.base import Applied, Command, Lifecycle
from hardware.vehicle import Vehicle

STALE_NS = 200_000_000
"""Without a valid command for longer than this: comfortable stop. ArduPilot Rover's loop limit is the same."""
EMERGENCY_NS = STALE_NS + 300_000_000
FUTURE_NS = 20_000_000
"""A command stamped further ahead than this comes from a wrong clock."""
RECOVERY_COUNT = 10
COMFORT_MPS2_MAX = 2.5
STANDSTILL_MPS = 0.05
REVERSE_MPS_MAX = 3.0
"""Backwards nothing drives faster: a driver who reverses for the first time does not either."""
LATERAL_ALLOWANCE = 1.5
"""A controller's corrections may exceed the planned lateral limit by this factor before the gate acts."""

_UNFINISHED = (Lifecycle.UNCONFIGURED, Lifecycle.INACTIVE, Lifecycle.ACTIVE, Lifecycle.ERROR)


def comfort_mps2(vehicle: Vehicle) -> float:
    """Deceleration of a comfortable stop, m/s^2: 2.5, but at most 0.6 of what plans may ask."""
    return min(COMFORT_MPS2_MAX, 0.6 * vehicle.limits.brake_mps2_plan)


def clamp(command: Command, vehicle: Vehicle, last: Applied, dt_s: float, speed_mps: float) -> Applied:
    """``command`` within the vehicle's limits, with a reason for each limit that acted.

    Parameters
    ----------
    command : Command
    vehicle : Vehicle
    last : Applied
        What was sent before; steering rate and jerk are bounded relative to it.
    dt_s : float
        Time since ``last``, s.
    speed_mps : float
        Present speed, negative backwards; at or above the maximum nothing drives, and lateral acceleration
        bounds steering.

    Returns
    -------
    Applied
        Reasons: ``non_finite`` (steering held, comfortable braking), ``steer``, ``lateral_accel``,
        ``steer_rate``, ``accel``, ``brake``, ``gear`` (the other one while it rolls: comfortable braking),
        ``speed``, ``jerk``. Jerk bounds only the build-up of drive: brakes are never delayed.
    """
    limits, reasons = vehicle.limits, []
    steer, accel = command.steer_rad, command.accel_mps2
    if not (math.isfinite(steer) and math.isfinite(accel)):
        return Applied(last.steer_rad, -comfort_mps2(vehicle), ("non_finite",), last.reverse)
    bound = limits.steer_rad_max
    if abs(steer) > bound:
        steer = math.copysign(bound, steer)
        reasons.append("steer")
    speed2 = speed_mps * speed_mps
    lateral = LATERAL_ALLOWANCE * limits.lateral_accel_mps2_max * vehicle.body.wheelbase_m
    if speed2 * abs(math.tan(steer)) > lateral:
        steer = math.copysign(math.atan(lateral / speed2), steer)
        reasons.append("lateral_accel")
    most = limits.steer_rate_radps_max * max(0.0, dt_s)
    if abs(steer - last.steer_rad) > most:
        steer = last.steer_rad + math.copysign(most, steer - last.steer_rad)
        reasons.append("steer_rate")
    if accel < -limits.brake_mps2_max:
        accel = -limits.brake_mps2_max
        reasons.append("brake")
    reverse = command.reverse
    if reverse is not last.reverse and abs(speed_mps) > STANDSTILL_MPS:
        reverse = last.reverse
        if accel > -comfort_mps2(vehicle):
            accel = -comfort_mps2(vehicle)
            reasons.append("gear")
    if accel > 0.0:
        if abs(speed_mps) >= (min(REVERSE_MPS_MAX, limits.speed_mps_max) if reverse else limits.speed_mps_max):
            accel = 0.0
            reasons.append("speed")
        elif accel > limits.accel_mps2_max:
            accel = limits.accel_mps2_max
            reasons.append("accel")
        build_up = max(0.0, last.accel_mps2) + limits.jerk_mps3_max * max(0.0, dt_s)
        if accel > build_up:
            accel = build_up
            reasons.append("jerk")
    return Applied(steer, accel, tuple(reasons), reverse)


class CommandGate:
    """Decides what is driven; the backend drives it. Knows no clock: time is an argument.

    Attributes
    ----------
    lifecycle : Lifecycle
    driven : Applied
        What must be at the actuators now.
    """

    def __init__(self, vehicle: Vehicle, steer_rad: float = 0.0) -> None:
        self.vehicle = vehicle
        self.lifecycle = Lifecycle.UNCONFIGURED
        self.driven = Applied(steer_rad, -comfort_mps2(vehicle), ("unconfigured",))
        self._accepted_ns: int | None = None
        """When the last valid command came, or when waiting for the first one began."""
        self._sent_ns: int | None = None
        self._latest_ns = -(2**62)
        self._tripped, self._streak = False, 0
        self._estop_reason = ""

    @property
    def estop_reason(self) -> str:
        """Why the emergency stop is latched; empty if it is not."""
        return self._estop_reason

    def configure(self) -> None:
        self._move("configure", (Lifecycle.UNCONFIGURED,), Lifecycle.INACTIVE)
        self._brake(comfort_mps2(self.vehicle), "inactive")

    def activate(self) -> None:
        """Commands are driven from now on. Nothing moves before the first one."""
        self._move("activate", (Lifecycle.INACTIVE,), Lifecycle.ACTIVE)
        self._accepted_ns = None
        self._tripped, self._streak = False, 0
        if not self._estop_reason:
            self.driven = Applied(self.driven.steer_rad, 0.0, (), self.driven.reverse)

    def deactivate(self) -> None:
        self._move("deactivate", (Lifecycle.ACTIVE,), Lifecycle.INACTIVE)
        self._brake(comfort_mps2(self.vehicle), "inactive")

    def finalize(self) -> None:
        self._move("finalize", _UNFINISHED, Lifecycle.FINALIZED)
        self._brake(self.vehicle.limits.brake_mps2_max, "finalized")

    def fail(self, reason: str) -> None:
        """A fault that the vehicle cannot drive with: brake to standstill and hold."""
        self.lifecycle = Lifecycle.ERROR
        self._brake(self.vehicle.limits.brake_mps2_max, reason)

    def submit(self, command: Command, now_ns: int, speed_mps: float) -> Applied:
        """Take a command; the answer is what is driven because of it (or in spite of it)."""
        if self.lifecycle in (Lifecycle.UNCONFIGURED, Lifecycle.FINALIZED):
            raise HardwareError(f"a command in state {self.lifecycle.value}: configure and activate the vehicle first")
        since_ns = STALE_NS if self._sent_ns is None else min(STALE_NS, now_ns - self._sent_ns)
        self._sent_ns = now_ns
        fault = self._fault(command, now_ns)
        if self.lifecycle is Lifecycle.ERROR or self._estop_reason:
            return self.driven
        if fault in ("stale", "future", "stamp_order"):
            self._streak = 0
            self.watch(now_ns)
            return self.driven._replace(limited_by=(*self.driven.limited_by, fault))
        answer = clamp(command, self.vehicle, self.driven, since_ns * 1e-9, speed_mps)
        if self.lifecycle is Lifecycle.INACTIVE:
            return answer._replace(limited_by=(*answer.limited_by, "inactive"))
        if fault:
            self._streak = 0
            self.driven = answer
            self.watch(now_ns)
            return self.driven
        self.watch(now_ns)
        self._accepted_ns, self._latest_ns = now_ns, command.stamp_ns
        self._streak += 1
        if self._tripped and self._streak < RECOVERY_COUNT:
            self._brake(comfort_mps2(self.vehicle), "recovering")
            return self.driven
        self._tripped = False
        self.driven = answer
        return answer

    def watch(self, now_ns: int) -> Applied:
        """Let time pass: the watchdog acts here if no valid command came. Returns ``driven``."""
        if self.lifecycle is not Lifecycle.ACTIVE or self._estop_reason:
            return self.driven
        if self._accepted_ns is None:
            self._accepted_ns = now_ns
        age_ns = now_ns - self._accepted_ns
        if age_ns > STALE_NS:
            self._tripped, self._streak = True, 0
            emergency = age_ns > EMERGENCY_NS
            brake = self.vehicle.limits.brake_mps2_max if emergency else comfort_mps2(self.vehicle)
            self._brake(brake, "command_lost" if emergency else "command_stale")
        return self.driven

    def estop(self, reason: str) -> None:
        """Latch; the first reason is kept."""
        self._estop_reason = self._estop_reason or reason or "unnamed"
        self._brake(self.vehicle.limits.brake_mps2_max, "estop")

    def reset(self, operator: str, speed_mps: float) -> bool:
        """Clear a latched stop at standstill. Afterwards the brakes hold until a command releases them."""
        if not operator:
            raise HardwareError("a reset needs the operator's name")
        if not self._estop_reason or abs(speed_mps) > STANDSTILL_MPS:
            return False
        self._estop_reason = ""
        self._accepted_ns = None
        self._brake(comfort_mps2(self.vehicle), "reset")
        return True

    def _fault(self, command: Command, now_ns: int) -> str:
        if command.stamp_ns > now_ns + FUTURE_NS:
            return "future"
        if command.stamp_ns < now_ns - STALE_NS:
            return "stale"
        if command.stamp_ns < self._latest_ns:
            return "stamp_order"
        return "" if math.isfinite(command.steer_rad) and math.isfinite(command.accel_mps2) else "non_finite"

    def _brake(self, brake_mps2: float, reason: str) -> None:
        self.driven = Applied(self.driven.steer_rad, -brake_mps2, (reason,), self.driven.reverse)

    def _move(self, verb: str, allowed: tuple[Lifecycle, ...], after: Lifecycle) -> None:
        if self.lifecycle not in allowed:
            raise HardwareError(f"cannot {verb} a vehicle in state {self.lifecycle.value}")
        self.lifecycle = after
