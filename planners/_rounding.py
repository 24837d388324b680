"""Compiled kernels of rounding: a smoothed profile as segments of whole milliseconds and mm/s2.

``planners/rounding.py`` says what is promised of them.

Symbols
-------
knots           profile: rows t, s, v, a at the start of each piece and of the closing one (a = 0)
ms, tied        of a piece: its milliseconds; whether it was made by joining two
va, vb, acc     of a piece: speed at its start and end, acceleration; SI
segments        rows dt_ms, a_mmps2
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from planners._jit import kernel

SHORT_LAGS = 0.4
"""Pieces shorter than this (in lags) are joined to a neighbour if the step to one is too steep ..."""
TINY_MS = 15
"""... and pieces shorter than this in any case."""
LONG_LAGS = 1.6
"""Neighbours longer than this are not joined whole."""
STEP_S = 0.08
"""A step is steep if it exceeds what the jerk limit allows between the pieces' middles and this time."""

_F2 = types.Array(types.float64, 2, "C")
_I2 = types.Array(types.int64, 2, "C")


@kernel()
def _steep(ms, acc, count, k, lag_ms, jerk):  # type: ignore[no-untyped-def]
    """Whether actuators cannot follow the step from piece k to one of its neighbours."""
    for i in (k - 1, k + 1):
        if 0 <= i < count:
            beside_ms = ms[i] if ms[i] <= LONG_LAGS * lag_ms else 0
            apart_s = 0.0005 * (ms[k] + beside_ms) + STEP_S
            if abs(acc[i] - acc[k]) > jerk * apart_s:
                return True
    return False


@kernel()
def _insert(ms, va, vb, acc, tied, count, at):  # type: ignore[no-untyped-def]
    """Room for one more piece before piece ``at``; -1 if there is none."""
    if count == ms.shape[0]:
        return -1
    for q in range(count, at, -1):
        ms[q], va[q], vb[q], acc[q], tied[q] = ms[q - 1], va[q - 1], vb[q - 1], acc[q - 1], tied[q - 1]
    return count + 1


@kernel()
def _mate(ms, va, vb, acc, tied, count, k, lag_ms):  # type: ignore[no-untyped-def]
    """(the neighbour that short piece k should be joined to, -1 for none; pieces now): of a long one a lag is cut off.

    Braking is spread to before the piece and acceleration to after it, so that speeds near a limit fall.
    """
    total, sides = 0.0, 0
    for i in (k - 1, k + 1):
        if 0 <= i < count:
            total += acc[i]
            sides += 1
    falling = acc[k] < total / max(1, sides)
    for turn in range(2):
        i = k - 1 if falling == (turn == 0) else k + 1
        if i < 0 or i >= count or tied[i] or vb[min(i, k)] < 1e-3:
            continue
        if ms[i] <= LONG_LAGS * lag_ms:
            return i, count
        near_first = i > k
        cut_ms = lag_ms if near_first else ms[i] - lag_ms
        v = va[i] + acc[i] * cut_ms * 1e-3
        more = _insert(ms, va, vb, acc, tied, count, i)
        if more < 0:
            return -1, count
        ms[i + 1], va[i + 1], vb[i + 1], acc[i + 1], tied[i + 1] = ms[i] - cut_ms, v, vb[i + 1], acc[i], False
        ms[i], vb[i], tied[i] = cut_ms, v, False
        return (i if near_first else k), more
    return -1, count


@kernel()
def _join(ms, va, vb, acc, tied, count, at, accel_max, brake_max):  # type: ignore[no-untyped-def]
    """Pieces ``at`` and the next become two of equal length that change speed and position as much; pieces now.

    One piece, which cannot keep the position, where that is tiny or would exceed a limit or the highest speed.
    """
    total_ms = ms[at] + ms[at + 1]
    share = ms[at] / total_ms
    first, last = va[at], vb[at + 1]
    mean = (last - first) / total_ms * 1000.0
    swing = 2.0 * share * (1.0 - share) * (acc[at] - acc[at + 1])
    v_middle = first + (mean + swing) * 0.0005 * total_ms
    beyond = mean - abs(swing) < -brake_max or mean + abs(swing) > accel_max
    outside = not 1e-3 <= v_middle <= max(first, max(vb[at], last))
    if total_ms < 2 * TINY_MS or beyond or outside:
        ms[at], vb[at], acc[at], tied[at] = total_ms, last, mean, True
        for q in range(at + 1, count - 1):
            ms[q], va[q], vb[q], acc[q], tied[q] = ms[q + 1], va[q + 1], vb[q + 1], acc[q + 1], tied[q + 1]
        return count - 1
    half_ms = total_ms // 2
    v_half = first + (mean + swing) * half_ms * 1e-3
    ms[at], va[at], vb[at], acc[at], tied[at] = half_ms, first, v_half, mean + swing, True
    ms[at + 1], va[at + 1], vb[at + 1], acc[at + 1] = total_ms - half_ms, v_half, last, mean - swing
    tied[at + 1] = True
    return count


@kernel()
def _pieces(knots, last, lag_ms, limits, ms, va, vb, acc, tied):  # type: ignore[no-untyped-def]
    """Pieces between knots 0..last, where needed joined so that actuators can follow the steps; their number."""
    count = 0
    for k in range(last):
        dt = round(knots[0, k + 1] * 1000.0) - round(knots[0, k] * 1000.0)
        if dt > 0:
            ms[count], va[count], vb[count] = int(dt), knots[2, k], knots[2, k + 1]
            acc[count], tied[count] = knots[3, k], False
            count += 1
    k = 0
    while k < count:
        short = ms[k] < SHORT_LAGS * lag_ms and not tied[k]
        if short and (ms[k] < TINY_MS or _steep(ms, acc, count, k, lag_ms, limits[2])):
            mate, count = _mate(ms, va, vb, acc, tied, count, k, lag_ms)
            if mate >= 0:
                count = _join(ms, va, vb, acc, tied, count, min(k, mate), limits[0], limits[1])
                k = 0
                continue
        k += 1
    return count


@kernel()
def _push(segments, n, dt, a):  # type: ignore[no-untyped-def]
    if n > 0 and segments[n - 1, 1] == a:
        segments[n - 1, 0] += dt
        return n
    if n < segments.shape[0]:
        segments[n, 0], segments[n, 1] = dt, a
    return n + 1


@kernel()
def _halt(segments, n, v_um, dt, b_max):  # type: ignore[no-untyped-def]
    """(segments, ms): an exact stop in about ``dt`` ms: two decelerations that differ by 1 mm/s2."""
    dt = max(dt, -(-v_um // b_max))
    a, rest = v_um // dt, v_um % dt
    if rest:
        n = _push(segments, n, rest, -(a + 1))
    return _push(segments, n, dt - rest, -a), dt


@kernel((_F2, types.int64, types.int64, types.int64, types.UniTuple(types.float64, 3), types.int64, _I2))
def rounded(knots, last, v_um, n, limits, lag_ms, segments):  # type: ignore[no-untyped-def]
    """Append the profile of knots 0..last to the first ``n`` rows of ``segments``; returns how many it takes.

    ``v_um``: the speed before it in micrometres per second; ``limits``: acceleration, braking, jerk. A number beyond
    the rows of ``segments``
    means that they do not suffice.
    """
    size = 3 * last + 8
    ms, tied = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.bool_)
    va, vb, acc = np.empty(size), np.empty(size), np.empty(size)
    count = _pieces(knots, last, lag_ms, limits, ms, va, vb, acc, tied)
    a_max, b_max = int(math.floor(limits[0] * 1000.0)), int(math.floor(limits[1] * 1000.0))
    behind = 0
    for k in range(count):
        dt = ms[k] - behind
        behind = 0
        if dt <= 0:
            behind = -dt
            continue
        v_end = int(round(vb[k] * 1e6))
        if v_end < 1000:
            n, took = _halt(segments, n, v_um, dt, b_max)
            v_um, behind = 0, took - dt
        elif abs(acc[k]) < 1e-6:
            n = _push(segments, n, dt, 0)
        else:
            a = max(-b_max, min(a_max, -((v_um - v_end) // dt)))
            n = _push(segments, n, dt, a)
            v_um += a * dt
    if knots[2, last] <= 1e-3 and v_um:
        n, _ = _halt(segments, n, v_um, 1, b_max)
    return n
