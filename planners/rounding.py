"""Smoothed profiles as plans of integers, exact enough to be judged as what they are.

Speeds are corrected at every knot, standstill is exact (the sum of dt_ms x a_mmps2 cancels the initial
speed to the micrometre per second), nothing reverses, and no acceleration exceeds its limit by rounding.
"""

from __future__ import annotations

import math

import numpy as np

from fleet.errors import invariant
from planners import _rounding
from planners.interface import Body
from planners.profile import Start, arrays_of, lag_s
from planners.timed_path import TimedPath
from planners.zone_map import Floats, MotionLimits, Path

_ROOM = 512
"""Segments that a profile may take while it is rounded; plans of more than 64 are refused later."""


def integer_plan(body: Body, path: Path, plan: TimedPath | None, start: Start, knots: Floats) -> TimedPath:
    """The plan of integers that drives ``start.segments`` and then ``knots`` (from :func:`profile_knots`).

    ``plan`` is what ``start`` was taken from; None where the plan begins at ``start``, whose speed must
    then be whole millimetres per second.
    """
    segments = np.zeros((_ROOM, 2), dtype=np.int64)
    done = len(start.segments)
    if done:
        segments[:done] = start.segments
    count = _rounding.rounded(
        np.ascontiguousarray(knots), knots.shape[1] - 1, start.v_umps, done, rounding_limits(body.limits),
        round(1000.0 * lag_s(body.limits)), segments,
    )  # fmt: skip
    invariant(count <= _ROOM, f"a profile of {count} segments; there is room for {_ROOM}")
    t0_ms, s0_mm, v0_mmps = start.time_ms, round(start.s_m * 1000.0), start.v_umps // 1000
    if plan is not None:
        t0_ms, s0_mm, v0_mmps = plan.t0_ms, plan.s0_mm, plan.v0_mmps
    rows = tuple((dt, a) for dt, a in segments[:count].tolist())
    made = TimedPath(body.vehicle, path.path_id, t0_ms, s0_mm, v0_mmps, rows)
    return leaving(made, path.length_m + body.footprint.rear_m + 0.001) if knots[2, -1] > 1e-3 else made


def rounding_limits(limits: MotionLimits) -> tuple[float, float, float]:
    """Acceleration, braking and jerk as the kernels of rounding take them."""
    return limits.accel_mps2_max, limits.brake_mps2_max, limits.jerk_mps3_max


def leaving(plan: TimedPath, gone_m: float) -> TimedPath:
    """Lengthen the end so that the body has left the path in spite of rounding."""
    arrays = arrays_of(plan)
    s, v = float(arrays.s_m[-1]), float(arrays.v_mps[-1])
    if s >= gone_m:
        return plan
    more = (math.ceil((gone_m - s) / v * 1000.0) + 1, 0)
    return TimedPath(plan.vehicle, plan.path_id, plan.t0_ms, plan.s0_mm, plan.v0_mmps, (*plan.segments, more))
