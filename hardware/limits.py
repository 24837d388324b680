"""Limits of the last gate: what no command may exceed, whoever asks.

The first clamp is in the node (``fleet/node/envelope.py``); this is the second, on another code path, and the
two share no code.
"""

from __future__ import annotations

import math

from hardware.base import Applied, Command
from hardware.vehicle import Vehicle

COMFORT_MPS2_MAX = 2.5
STANDSTILL_MPS = 0.05
REVERSE_MPS_MAX = 3.0
"""Backwards nothing drives faster: a driver who reverses for the first time does not either."""
LATERAL_ALLOWANCE = 1.5
"""A controller's corrections may exceed the planned lateral limit by this factor before the gate acts."""


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
