"""The first clamp: what the kernel asks of the vehicle stays within what the vehicle can do.

The gate (``hardware/limits.py``) clamps again, on another code path, and neither relies on the other. Where
the gate bounds each command by itself, this one keeps what was asked last and moves from there, so that
a controller that jumps, or a plan that is not what it should be, already leaves the node as a command that a
vehicle can follow.
"""

from __future__ import annotations

import math

from hardware.vehicle import Vehicle

_LATERAL_ALLOWANCE = 1.5
"""Room for corrections above the planned lateral limit."""
_PERIODS_MAX_S = 0.2
"""After a longer silence rates count as if no more time had passed."""


class Envelope:
    """Speed, acceleration, jerk, steering angle, steering rate and lateral acceleration of one vehicle."""

    def __init__(self, vehicle: Vehicle) -> None:
        limits = vehicle.limits
        self._speed_max, self._jerk = limits.speed_mps_max, limits.jerk_mps3_max
        self._accel_max, self._brake_max = limits.accel_mps2_max, limits.brake_mps2_max
        self._steer_max, self._steer_rate = limits.steer_rad_max, limits.steer_rate_radps_max
        self._curvature_v2 = _LATERAL_ALLOWANCE * limits.lateral_accel_mps2_max
        self._wheelbase = vehicle.body.wheelbase_m
        self._steer: float | None = None
        self._accel = 0.0
        self._asked_s = -math.inf

    def bound(self, now_s: float, speed_mps: float, steer_rad: float, accel_mps2: float) -> tuple[float, float]:
        """(steering, acceleration) within the limits; numbers that are none become braking with held steering."""
        elapsed_s = min(_PERIODS_MAX_S, max(0.0, now_s - self._asked_s))
        self._asked_s = now_s
        held = 0.0 if self._steer is None else self._steer
        if not math.isfinite(steer_rad + accel_mps2):
            steer_rad, accel_mps2 = held, -self._brake_max
        widest = self._steer_max
        if speed_mps > 1.0:
            widest = min(widest, math.atan(self._curvature_v2 * self._wheelbase / (speed_mps * speed_mps)))
        steer = max(-widest, min(widest, steer_rad))
        if self._steer is not None:
            turn = self._steer_rate * elapsed_s
            steer = max(held - turn, min(held + turn, steer))
        most = self._accel_max if speed_mps < self._speed_max else 0.0
        most = min(most, max(0.0, self._accel) + self._jerk * elapsed_s)
        accel = max(-self._brake_max, min(most, accel_mps2))
        self._steer, self._accel = steer, accel
        return steer, accel
