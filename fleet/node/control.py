"""Tracking controller: from a reference on a path and a state estimate to steering and acceleration.

Lateral: the rear axle follows the path. With lateral error e and heading error h, the curvature asked
for is ``kappa(s + v tau) - 2 zeta (h + e / (2 zeta L)) / L`` (Samson's chained form, linearised), where the
length L grows with speed so that the closed loop has a constant damping and a bandwidth that the
steering actuator can follow. Steady cornering needs the rear tyres to slip, so the body points inward
of the path by ``v^2 kappa / (g c_r)``; the controller aims for that heading instead of fighting it.
Longitudinal: feed-forward of the plan's acceleration one actuator lag ahead, plus position and speed
feedback.

Error of both is measured in the world and bounds the verifier's inflation (docs/reference/error-budget.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from hardware.vehicle import Vehicle
from planners.timed_path import SegmentArrays

_GRAVITY = 9.81
_DAMPING = 0.9
_LOOKAHEAD_S = 0.32
"""Lateral length scale per speed: the loop settles over about three of these."""
_APPROACH_RAD_MAX = 0.3
"""Far off the path it is approached at no steeper angle than this."""
_SLIP_SHARE = 0.5
"""Part of the rear tyres' slip that is fed forward: half, so that the error is small whether tyres slip
(physics, 37 mm at 3 m/s2) or not (the kinematic world, 35 mm)."""
_POSITION_GAIN = 1.2
_SPEED_GAIN = 3.0
_HOLD_DECEL = -0.8
_STANDSTILL_MPS = 0.03


class Bend(Protocol):
    """What is followed: a road, or a stretch of arcs."""

    def curvature(self, s_m: float) -> float:
        """Curvature (1/m) at ``s_m``."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the plan wants the rear axle now, and the acceleration one actuator lag ahead."""

    s_m: float
    v_mps: float
    accel_ahead_mps2: float
    at_rest_ahead: bool
    """True where the plan stands still now and over the next tenths of a second."""
    plan: SegmentArrays | None = None
    """The whole plan, for controllers that look farther ahead, with the time of this reference."""
    now_s: float = 0.0


class Tracker:
    """One vehicle's controller; stateless but for the vehicle's constants."""

    def __init__(self, vehicle: Vehicle, period_s: float) -> None:
        body, limits, tyres = vehicle.body, vehicle.limits, vehicle.tyres
        self._wheelbase = body.wheelbase_m
        self._length_min = 0.8 * body.wheelbase_m
        self._steer_max = limits.steer_rad_max
        self._brake_max, self._accel_max = limits.brake_mps2_max, limits.accel_mps2_max
        self._steer_lead_s = vehicle.actuators.steer_lag_s + 0.5 * period_s
        self.accel_lead_s = vehicle.actuators.accel_lag_s + 0.5 * period_s
        rear_slip = 1.0 / (_GRAVITY * tyres.cornering_stiffness_rear_prad)
        front_slip = 1.0 / (_GRAVITY * tyres.cornering_stiffness_front_prad)
        self._rear_slip = _SLIP_SHARE * rear_slip
        self._understeer = front_slip - rear_slip

    def steer(self, road: Bend, s_m: float, lateral_m: float, heading_error_rad: float, v_mps: float) -> float:
        """Front wheel angle (rad); ``heading_error_rad`` = yaw minus the path's tangent."""
        v = max(v_mps, 0.0)
        kappa_ahead = road.curvature(s_m + v * self._steer_lead_s)
        kappa_here = road.curvature(s_m)
        length = max(self._length_min, _LOOKAHEAD_S * v)
        heading = heading_error_rad - self._rear_slip * v * v * kappa_here
        approach = lateral_m / (2.0 * _DAMPING * length)
        approach = min(max(approach, -_APPROACH_RAD_MAX), _APPROACH_RAD_MAX)
        kappa = kappa_ahead - 2.0 * _DAMPING * (heading + approach) / length
        angle = math.atan(self._wheelbase * kappa) + self._understeer * v * v * kappa
        return min(max(angle, -self._steer_max), self._steer_max)

    def accelerate(self, reference: Reference, s_m: float, v_mps: float) -> float:
        """Longitudinal acceleration (m/s2) that brings the body onto the reference."""
        if reference.at_rest_ahead and v_mps < 0.3 and s_m > reference.s_m - 0.5:
            return min(_HOLD_DECEL, -v_mps / 0.15) if v_mps > _STANDSTILL_MPS else _HOLD_DECEL
        wanted = (
            reference.accel_ahead_mps2
            + _POSITION_GAIN * (reference.s_m - s_m)
            + _SPEED_GAIN * (reference.v_mps - v_mps)
        )
        return min(max(wanted, -self._brake_max), self._accel_max)
