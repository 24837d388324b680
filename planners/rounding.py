"""Smoothed profiles as plans of integers, exact enough to be judged as what they are.

Speeds are corrected at every knot, standstill is exact (the sum of dt_ms x a_mmps2 cancels the initial
speed to the micrometre per second), nothing reverses, and no acceleration exceeds its limit by rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fleet.errors import invariant
from planners.interface import Body
from planners.profile import Start, arrays_of, lag_s
from planners.timed_path import TimedPath
from planners.zone_map import Floats, MotionLimits, Path

_SHORT_LAGS = 0.4
"""Pieces shorter than this (in lags) are joined to a neighbour if the step to one is too steep ..."""
_TINY_MS = 15
"""... and pieces shorter than this in any case."""
_LONG_LAGS = 1.6
"""Neighbours longer than this are not joined whole."""
_STEP_S = 0.08
"""A step is steep if it exceeds what the jerk limit allows between the pieces' middles and this time."""

Segments = list[tuple[int, int]]


def integer_plan(body: Body, path: Path, plan: TimedPath | None, start: Start, knots: Floats) -> TimedPath:
    """The plan of integers that drives ``start.segments`` and then ``knots`` (from :func:`profile_knots`).

    ``plan`` is what ``start`` was taken from; None where the plan begins at ``start``, whose speed must
    then be whole millimetres per second.
    """
    segments = list(start.segments)
    _append(segments, start, knots, body.limits)
    t0_ms, s0_mm, v0_mmps = start.time_ms, round(start.s_m * 1000.0), start.v_umps // 1000
    if plan is not None:
        t0_ms, s0_mm, v0_mmps = plan.t0_ms, plan.s0_mm, plan.v0_mmps
    made = TimedPath(body.vehicle, path.path_id, t0_ms, s0_mm, v0_mmps, tuple(segments))
    return _leaving(made, path.length_m + body.footprint.rear_m + 0.001) if knots[2, -1] > 1e-3 else made


def _leaving(plan: TimedPath, gone_m: float) -> TimedPath:
    """Lengthen the end so that the body has left the path in spite of rounding."""
    arrays = arrays_of(plan)
    s, v = float(arrays.s_m[-1]), float(arrays.v_mps[-1])
    if s >= gone_m:
        return plan
    more = (math.ceil((gone_m - s) / v * 1000.0) + 1, 0)
    return TimedPath(plan.vehicle, plan.path_id, plan.t0_ms, plan.s0_mm, plan.v0_mmps, (*plan.segments, more))


def _append(segments: Segments, start: Start, knots: Floats, limits: MotionLimits) -> None:
    """Round the pieces between ``knots`` to integers and append them."""
    a_max, b_max = math.floor(limits.accel_mps2_max * 1000.0), math.floor(limits.brake_mps2_max * 1000.0)
    v_um, behind = start.v_umps, 0
    for piece in _pieces(knots, limits):
        dt, behind = piece.dt_ms - behind, 0
        if dt <= 0:
            behind = -dt
            continue
        v_end = round(piece.v_end * 1e6)
        if v_end < 1000:
            took = _halt(segments, v_um, dt, b_max)
            v_um, behind = 0, took - dt
        elif abs(piece.a) < 1e-6:
            _push(segments, dt, 0)
        else:
            a = max(-b_max, min(a_max, -((v_um - v_end) // dt)))
            _push(segments, dt, a)
            v_um += a * dt
    if float(knots[2, -1]) <= 1e-3 and v_um:
        _halt(segments, v_um, 1, b_max)


def _halt(segments: Segments, v_um: int, dt: int, b_max: int) -> int:
    """Append an exact stop in about ``dt`` ms: two decelerations that differ by 1 mm/s2. Returns its ms."""
    dt = max(dt, -(-v_um // b_max))
    a, rest = divmod(v_um, dt)
    if rest:
        _push(segments, rest, -(a + 1))
    _push(segments, dt - rest, -a)
    return dt


def _push(segments: Segments, dt: int, a: int) -> None:
    invariant(dt > 0, f"a segment of {dt} ms")
    if segments and segments[-1][1] == a:
        segments[-1] = (segments[-1][0] + dt, a)
    else:
        segments.append((dt, a))


@dataclass(slots=True)
class _Piece:
    dt_ms: int
    v_start: float
    v_end: float
    a: float
    joined: bool = False


def _pieces(knots: Floats, limits: MotionLimits) -> list[_Piece]:
    """Pieces between ``knots``, where needed joined so that actuators can follow the steps."""
    times = np.rint(knots[0] * 1000.0).astype(np.int64).tolist()
    v, a = knots[2].tolist(), knots[3].tolist()
    made = [_Piece(times[k + 1] - times[k], v[k], v[k + 1], a[k]) for k in range(len(times) - 1)]
    made = [piece for piece in made if piece.dt_ms > 0]
    lag_ms, k = round(1000.0 * lag_s(limits)), 0
    while k < len(made):
        short = made[k].dt_ms < _SHORT_LAGS * lag_ms and not made[k].joined
        if short and (made[k].dt_ms < _TINY_MS or _steep(made, k, lag_ms, limits.jerk_mps3_max)):
            mate = _mate(made, k, lag_ms)
            if mate >= 0:
                first = min(k, mate)
                made[first : first + 2] = _join(made[first], made[first + 1], limits)
                k = 0
                continue
        k += 1
    return made


def _steep(made: list[_Piece], k: int, lag_ms: int, jerk: float) -> bool:
    """Whether actuators cannot follow the step from piece k to one of its neighbours."""
    for i in (k - 1, k + 1):
        if 0 <= i < len(made):
            beside_ms = made[i].dt_ms if made[i].dt_ms <= _LONG_LAGS * lag_ms else 0
            apart_s = 0.0005 * (made[k].dt_ms + beside_ms) + _STEP_S
            if abs(made[i].a - made[k].a) > jerk * apart_s:
                return True
    return False


def _mate(made: list[_Piece], k: int, lag_ms: int) -> int:
    """The neighbour that short piece k should be joined to, -1 for none; of a long one a lag is cut off.

    Braking is spread to before the piece and acceleration to after it, so that speeds near a limit fall.
    """
    sides = [i for i in (k - 1, k + 1) if 0 <= i < len(made)]
    falling = made[k].a < sum(made[i].a for i in sides) / max(1, len(sides))
    for i in sides if falling else sides[::-1]:
        if made[i].joined or made[min(i, k)].v_end < 1e-3:
            continue
        if made[i].dt_ms <= _LONG_LAGS * lag_ms:
            return i
        near_first = i > k
        cut_ms = lag_ms if near_first else made[i].dt_ms - lag_ms
        v = made[i].v_start + made[i].a * cut_ms * 1e-3
        head = _Piece(cut_ms, made[i].v_start, v, made[i].a)
        made[i : i + 1] = [head, _Piece(made[i].dt_ms - cut_ms, v, made[i].v_end, made[i].a)]
        return i if near_first else k
    return -1


def _join(one: _Piece, two: _Piece, limits: MotionLimits) -> list[_Piece]:
    """Two pieces of equal length that change speed and position as much as ``one`` and ``two`` do.

    One piece, which cannot keep the position, where that is tiny or would exceed a limit or the highest speed.
    """
    total_ms = one.dt_ms + two.dt_ms
    share = one.dt_ms / total_ms
    mean = (two.v_end - one.v_start) / total_ms * 1000.0
    swing = 2.0 * share * (1.0 - share) * (one.a - two.a)
    low, high = mean - abs(swing), mean + abs(swing)
    v_middle = one.v_start + (mean + swing) * 0.0005 * total_ms
    beyond = low < -limits.brake_mps2_max or high > limits.accel_mps2_max
    outside = not 1e-3 <= v_middle <= max(one.v_start, one.v_end, two.v_end)
    if total_ms < 2 * _TINY_MS or beyond or outside:
        return [_Piece(total_ms, one.v_start, two.v_end, mean, joined=True)]
    half_ms = total_ms // 2
    v_half = one.v_start + (mean + swing) * half_ms * 1e-3
    return [
        _Piece(half_ms, one.v_start, v_half, mean + swing, joined=True),
        _Piece(total_ms - half_ms, v_half, two.v_end, mean - swing, joined=True),
    ]
