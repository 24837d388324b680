"""Compiled kernels of speed profiles: time-optimal driving under a barrier, smooth and exact.

Theory of operation. In (s, w = v^2) constant acceleration is a straight line, so under a piecewise
constant speed limit the fastest profile is piecewise linear: an *envelope* from the back with slope
-2 brake, then a *march* from the front with slope 2 accel. A *barrier* is a list of (t, s) that must
not be passed too early. Driving below it has one number, ``tau``: until tau the vehicle yields (it goes
no faster than ``v_low`` and no farther than ``stand``), from tau on it drives as fast as it can. Its
position at every time falls as tau grows, so bisection finds the earliest profile below the barrier.

Jerk. The profile driven is the mean of two copies of the ideal one, ``lag`` apart: every step of
acceleration becomes two half steps. A mean stays within the limits of speed, acceleration and braking,
never reverses, and keeps the order of profiles, so that bisection works on what is really driven.

Symbols
-------
sec_s, sec_w    speed sections: start and limit squared
piece           envelope: rows start s, w there, dw/ds; the last ``count - first`` columns are in use
knots           profile: rows t, s, v, a at the start of each piece and of the closing one (a = 0)
con_t, con_u    barrier: at time con_t the rear axle must not be beyond con_u; both ascend
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import types

from planners._jit import kernel

KNOT_COUNT = 96
"""Room for the knots of an ideal profile; its smoothed form needs twice as many."""
_SAME_W = 1e-7
_STILL = 1e-5
_SHAPE_STEPS = 6
_TAU_S = 0.004
"""A tau is found to this."""
_LATE_S = 0.005
"""What a mild shape may leave unused of the time that it has."""
_TURNS_MAX = 40
"""More than halving every third time takes."""


class Drive(NamedTuple):
    """One vehicle's start and limits, as kernels take them (s and t of the ideal profile's start)."""

    t: float
    s: float
    v: float
    a_before: float
    lag: float
    accel: float
    brake: float
    ease: float
    """Braking used while yielding, where there is room."""
    slope: float
    """Braking that limits and stops ahead are met with, where there is room."""
    stop: float
    """Where the rear axle must stand in the end, or inf."""
    gone: float
    """Where the rear axle has left the path."""


_F1 = types.Array(types.float64, 1, "C", readonly=True)
_F1_OUT = types.Array(types.float64, 1, "C")
_F2_OUT = types.Array(types.float64, 2, "C")
_DRIVE = types.NamedUniTuple(types.float64, len(Drive._fields), Drive)


@kernel()
def _envelope(sec_s, sec_w, s_from, stop, brake, piece):  # type: ignore[no-untyped-def]
    """Highest w at each s from which every limit ahead can be kept, from ``s_from`` on; returns the first column."""
    first = piece.shape[1]
    k = sec_s.shape[0] - 1
    ahead = math.inf
    if stop < math.inf:
        while k > 0 and sec_s[k] >= stop:
            k -= 1
        first -= 1
        piece[0, first], piece[1, first], piece[2, first] = stop, 0.0, 0.0
        ahead = 0.0
    x1 = stop
    while k >= 0:
        x0, cap = sec_s[k], sec_w[k]
        if ahead < cap:
            turn = x1 - (cap - ahead) / (2.0 * brake)
            first -= 1
            if turn <= x0:
                ahead += 2.0 * brake * (x1 - x0)
                piece[0, first], piece[1, first], piece[2, first] = x0, ahead, -2.0 * brake
            else:
                piece[0, first], piece[1, first], piece[2, first] = turn, cap, -2.0 * brake
                first -= 1
                piece[0, first], piece[1, first], piece[2, first] = x0, cap, 0.0
                ahead = cap
        else:
            first -= 1
            piece[0, first], piece[1, first], piece[2, first] = x0, cap, 0.0
            ahead = cap
        x1 = x0
        if x0 <= s_from:
            break
        k -= 1
    return first


@kernel()
def _put(knots, n, t, s, v, a):  # type: ignore[no-untyped-def]
    """Begin a piece, unless the one before has the same acceleration."""
    if n > 0 and abs(knots[3, n - 1] - a) < 1e-9:
        return n
    if n + 1 < knots.shape[1]:
        knots[0, n], knots[1, n], knots[2, n], knots[3, n] = t, s, v, a
        n += 1
    return n


@kernel()
def _march(piece, first, t, s, v, accel, brake, ease, v_low, t_end, s_end, knots, n):  # type: ignore[no-untyped-def]
    """Drive as fast as the envelope and ``v_low`` allow until ``t_end``, ``s_end`` or a stand; (n, t, s, v) after."""
    count = piece.shape[1]
    w_low = v_low * v_low
    w = v * v
    k = first
    for _ in range(12 * (count - first) + 24):
        if t >= t_end or s >= s_end:
            break
        while k + 1 < count and s >= piece[0, k + 1] - 1e-9:
            k += 1
        m = piece[2, k]
        w_top = max(0.0, piece[1, k] + m * (s - piece[0, k]))
        ds = s_end - s
        if k + 1 < count:
            ds = min(ds, piece[0, k + 1] - s)
        if w > w_top + _SAME_W:
            g = -2.0 * brake
            if m > g:
                ds = min(ds, (w - w_top) / (m - g))
            ds = min(ds, w / (2.0 * brake))
        elif w > w_low + _SAME_W:
            g = -2.0 * ease
            if m < g and w_top - w <= _SAME_W:
                g = m
            elif m < g:
                ds = min(ds, (w_top - w) / (g - m))
            ds = min(ds, (w - w_low) / -g)
        elif w < min(w_top, w_low) - _SAME_W:
            g = 2.0 * accel
            ds = min(ds, min((w_top - w) / (g - m), (w_low - w) / g))
        elif w_low < w_top - _SAME_W:
            g = 0.0
            w = w_low
            if m < 0.0:
                ds = min(ds, (w_top - w) / -m)
        else:
            g = m
            w = w_top
        v = math.sqrt(w)
        if v < _STILL and g <= 0.0:
            v = 0.0
            n = _put(knots, n, t, s, v, 0.0)
            if t_end < math.inf:
                t = t_end
            break
        n = _put(knots, n, t, s, v, 0.5 * g)
        w = max(0.0, w + g * ds)
        after = math.sqrt(w)
        dt = 2.0 * ds / (v + after)
        if t + dt > t_end:
            dt = t_end - t
            after = max(0.0, v + 0.5 * g * dt)
            s += 0.5 * (v + after) * dt
            v, t = after, t_end
            break
        if k + 1 < count and ds >= piece[0, k + 1] - s:
            s = piece[0, k + 1]
        else:
            s += ds
        t += dt
        v = after
    return n, t, s, v


@kernel()
def _profile(drive, yield_piece, yield_first, go_piece, go_first, v_low, tau, knots):  # type: ignore[no-untyped-def]
    """Yield until ``tau``, then go; returns the number of pieces, knots[:, n] closes them."""
    n, t, s, v = 0, drive.t, drive.s, drive.v
    if tau > t:
        n, t, s, v = _march(
            yield_piece, yield_first, t, s, v, drive.accel, drive.brake, drive.ease, v_low, tau, drive.gone, knots, n
        )
    n, t, s, v = _march(
        go_piece, go_first, t, s, v, drive.accel, drive.brake, drive.brake, math.inf, math.inf, drive.gone, knots, n
    )
    knots[0, n], knots[1, n], knots[2, n], knots[3, n] = t, s, v, 0.0
    return n


@kernel()
def _ideal(knots, n, k, drive, t):  # type: ignore[no-untyped-def]
    """(s, v, a) of the ideal profile at t, which lies in piece k (-1: before the start)."""
    if k < 0:
        x = t - knots[0, 0]
        return (
            knots[1, 0] + knots[2, 0] * x + 0.5 * drive.a_before * x * x,
            knots[2, 0] + drive.a_before * x,
            drive.a_before,
        )
    x = t - knots[0, k]
    return knots[1, k] + (knots[2, k] + 0.5 * knots[3, k] * x) * x, knots[2, k] + knots[3, k] * x, knots[3, k]


@kernel()
def _worst(knots, n, drive, con_t, con_u, count):  # type: ignore[no-untyped-def]
    """(constraint of the barrier that the smoothed profile passes farthest, -1 for none; by how much)."""
    c, worst, by = 0, -1, 0.0
    k0 = k1 = -1
    while c < count:
        t0 = con_t[c]
        while k0 < n and knots[0, k0 + 1] <= t0:
            k0 += 1
        while k1 < n and knots[0, k1 + 1] + drive.lag <= t0:
            k1 += 1
        change = math.inf  # until then both copies keep their acceleration
        if k0 < n:
            change = knots[0, k0 + 1]
        if k1 < n:
            change = min(change, knots[0, k1 + 1] + drive.lag)
        end = c + 1
        while end < count and con_t[end] < change:
            end += 1
        s0, v0, a0 = _ideal(knots, n, k0, drive, t0)
        s1, v1, a1 = _ideal(knots, n, k1, drive, t0 - drive.lag)
        s, v, half_a = 0.5 * (s0 + s1), 0.5 * (v0 + v1), 0.25 * (a0 + a1)
        beyond, times, bounds = 0, con_t[c:end], con_u[c:end]
        for q in range(end - c):
            x = times[q] - t0
            beyond += s + (v + half_a * x) * x > bounds[q]
        if beyond:
            for q in range(end - c):
                x = times[q] - t0
                passed = s + (v + half_a * x) * x - bounds[q]
                if passed > by:
                    worst, by = c + q, passed
        c = end
    return worst, by


@kernel()
def _beyond(knots, n, drive, t, u):  # type: ignore[no-untyped-def]
    """How far the smoothed profile is beyond ``u`` at ``t``."""
    k0 = k1 = -1
    while k0 < n and knots[0, k0 + 1] <= t:
        k0 += 1
    while k1 < n and knots[0, k1 + 1] <= t - drive.lag:
        k1 += 1
    return 0.5 * (_ideal(knots, n, k0, drive, t)[0] + _ideal(knots, n, k1, drive, t - drive.lag)[0]) - u


@kernel()
def _time_at(knots, n, s):  # type: ignore[no-untyped-def]
    """First time at which the ideal profile reaches ``s``; inf if never."""
    k = 0
    while k < n and knots[1, k + 1] < s:
        k += 1
    v, a, ds = knots[2, k], knots[3, k], s - knots[1, k]
    if ds <= 0.0:
        return knots[0, k]
    root = math.sqrt(max(0.0, v * v + 2.0 * a * ds))
    if v + root <= 0.0:
        return math.inf
    return knots[0, k] + 2.0 * ds / (v + root)


@kernel()
def _between(low, g_low, high, g_high, turn):  # type: ignore[no-untyped-def]
    """Where to look next for the root between ``low`` and ``high``: by the chord, every third time the middle."""
    if turn % 3 == 2 or not g_low - g_high > 0.0 or g_low - g_high == math.inf:
        return 0.5 * (low + high)
    share = min(0.98, max(0.02, g_low / (g_low - g_high)))
    return low + share * (high - low)


@kernel()
def _earliest(drive, yp, yf, gp, gf, v_low, tau_last, con_t, con_u, count, knots):  # type: ignore[no-untyped-def]
    """Smallest tau whose profile is below the barrier, inf if none up to ``tau_last`` is.

    Chords of whichever constraint is passed farthest: each is kept from some tau on.
    """
    n = _profile(drive, yp, yf, gp, gf, v_low, drive.t, knots)
    c, g_low = _worst(knots, n, drive, con_t, con_u, count)
    if c < 0:
        return drive.t
    n = _profile(drive, yp, yf, gp, gf, v_low, tau_last, knots)
    if _worst(knots, n, drive, con_t, con_u, count)[0] >= 0:
        return math.inf
    low, high = drive.t, tau_last
    g_high = _beyond(knots, n, drive, con_t[c], con_u[c])
    for turn in range(_TURNS_MAX):
        if high - low <= _TAU_S:
            break
        tau = _between(low, g_low, high, g_high, turn)
        n = _profile(drive, yp, yf, gp, gf, v_low, tau, knots)
        worst, by = _worst(knots, n, drive, con_t, con_u, count)
        if worst < 0:
            high, g_high = tau, _beyond(knots, n, drive, con_t[c], con_u[c])
            continue
        low, g_low = tau, by
        if worst != c:
            c = worst
            n = _profile(drive, yp, yf, gp, gf, v_low, high, knots)
            g_high = _beyond(knots, n, drive, con_t[c], con_u[c])
    return high


@kernel()
def _clears(drive, yp, yf, gp, gf, v_low, tau, tau_last, con_t, con_u, count, s_ref, t_ref, knots):  # type: ignore[no-untyped-def]
    """Whether yielding in this shape can be below the barrier and still reach ``s_ref`` by ``t_ref``; its tau.

    The later it goes the better it is below the barrier: so only the last tau that is in time is tried. It is looked
    for from ``tau`` on, which is in time; going later costs no more than as much time.
    """
    n = _profile(drive, yp, yf, gp, gf, v_low, tau, knots)
    low, g_low = tau, t_ref - _time_at(knots, n, s_ref)
    if g_low < 0.0:
        return False, tau
    high, g_high, pace, last = tau_last, math.nan, 1.0, tau
    for turn in range(_TURNS_MAX):
        if high - low <= _TAU_S or g_low <= _LATE_S:
            break
        tau = min(tau_last, low + pace * g_low) if g_high != g_high else _between(low, g_low, high, g_high, turn)
        n = _profile(drive, yp, yf, gp, gf, v_low, tau, knots)
        last, g = tau, t_ref - _time_at(knots, n, s_ref)
        if g >= 0.0:
            if g_low > g:
                pace = min(20.0, (tau - low) / (g_low - g))
            else:
                pace = 20.0
            low, g_low = tau, g
        else:
            high, g_high = tau, g
    if last != low:
        n = _profile(drive, yp, yf, gp, gf, v_low, low, knots)
    return _worst(knots, n, drive, con_t, con_u, count)[0] < 0, low


@kernel((_DRIVE, _F1, _F1, types.float64, types.float64, types.float64, _F2_OUT, _F2_OUT))
def profile(drive, sec_s, sec_w, v_low, stand, tau, work, knots):  # type: ignore[no-untyped-def]
    """The ideal profile of one tau: yield (no faster than v_low, standing at ``stand``) until tau, then go.

    ``work``: float64 [6, 2 section + 4], scratch. Returns the number of pieces written to ``knots``.
    """
    yp, gp = work[:3], work[3:]
    yf = _envelope(sec_s, sec_w, drive.s, min(stand, drive.stop), drive.ease, yp)
    gf = _envelope(sec_s, sec_w, drive.s, drive.stop, drive.slope, gp)
    return _profile(drive, yp, yf, gp, gf, v_low, tau, knots)


@kernel((_DRIVE, _F1, _F1, _F1, _F1, types.int64, types.float64, _F2_OUT, _F2_OUT, _F1_OUT))
def earliest(drive, sec_s, sec_w, con_t, con_u, count, s_ref, work, knots, out):  # type: ignore[no-untyped-def]
    """Fill ``knots`` with the earliest profile below the barrier that brakes first; its pieces, or 0 if none is.

    Braking first arrives at the barrier as it opens with the highest speed. ``out`` becomes tau (the
    start where nothing is in the way) and the time at which the ideal profile reaches ``s_ref``.
    """
    hard = Drive(drive.t, drive.s, drive.v, drive.a_before, drive.lag, drive.accel, drive.brake, drive.brake,
                 drive.slope, drive.stop, drive.gone)  # fmt: skip
    yp, gp = work[:3], work[3:]
    gf = _envelope(sec_s, sec_w, drive.s, drive.stop, drive.slope, gp)
    n = _profile(hard, gp, gf, gp, gf, math.inf, drive.t, knots)
    tau = drive.t
    if _worst(knots, n, drive, con_t, con_u, count)[0] >= 0:
        yf = _envelope(sec_s, sec_w, drive.s, drive.stop, drive.brake, yp)
        tau = _earliest(hard, yp, yf, gp, gf, 0.0, con_t[count - 1], con_t, con_u, count, knots)
        if tau == math.inf:
            return 0
        n = _profile(hard, yp, yf, gp, gf, 0.0, tau, knots)
    out[0], out[1] = tau, _time_at(knots, n, s_ref)
    return n


@kernel((_DRIVE, _F1, _F1, _F1, _F1, types.int64, _F1, _F2_OUT, _F2_OUT, _F1_OUT))
def gentle(drive, sec_s, sec_w, con_t, con_u, count, wish, work, knots, shape):  # type: ignore[no-untyped-def]
    """Find the mildest way to yield that reaches ``wish[0]`` (s) by ``wish[1]`` (t).

    Rolling slowly comes first, with as little braking as that allows; where that would be slower than
    ``wish[2]``, driving on and standing as far ahead as possible. ``shape`` becomes v_low, stand, tau and
    the braking used. Returns 1 if there is such a way, else 0.
    """
    yp, gp = work[:3], work[3:]
    gf = _envelope(sec_s, sec_w, drive.s, drive.stop, drive.slope, gp)
    tau_last = con_t[count - 1]
    for k in range(3):
        ease = drive.ease + 0.5 * k * (drive.brake - drive.ease)
        roll = Drive(drive.t, drive.s, drive.v, drive.a_before, drive.lag, drive.accel, drive.brake, ease,
                     drive.slope, drive.stop, drive.gone)  # fmt: skip
        yf = _envelope(sec_s, sec_w, drive.s, drive.stop, ease, yp)
        low, high, found, tau = 0.0, drive.v, False, drive.t
        for _ in range(_SHAPE_STEPS):
            v_low = 0.5 * (low + high)
            kept, at = _clears(
                roll, yp, yf, gp, gf, v_low, tau, tau_last, con_t, con_u, count, wish[0], wish[1], knots
            )
            if kept:  # who rolls faster may go later
                low, found, tau = v_low, True, at
            else:
                high = v_low
        if found and low >= wish[2]:
            shape[0], shape[1], shape[3] = low, math.inf, ease
            shape[2] = _earliest(roll, yp, yf, gp, gf, low, tau_last, con_t, con_u, count, knots)
            return 1
    low, high, found = drive.s + 0.5 * drive.v * drive.v / drive.ease, min(con_u[count - 1], drive.stop), False
    for _ in range(_SHAPE_STEPS):
        stand = 0.5 * (low + high)
        yf = _envelope(sec_s, sec_w, drive.s, stand, drive.ease, yp)
        if low < high and _clears(
            drive, yp, yf, gp, gf, math.inf, drive.t, tau_last, con_t, con_u, count, wish[0], wish[1], knots
        )[0]:
            low, found = stand, True
        else:
            high = stand
    if not found:
        return 0
    yf = _envelope(sec_s, sec_w, drive.s, low, drive.ease, yp)
    shape[0], shape[1], shape[3] = math.inf, low, drive.ease
    shape[2] = _earliest(drive, yp, yf, gp, gf, math.inf, tau_last, con_t, con_u, count, knots)
    return 1


@kernel((_DRIVE, _F2_OUT, types.int64, _F2_OUT))
def smooth(drive, knots, count, out):  # type: ignore[no-untyped-def]
    """Merge the two copies of an ideal profile of ``count`` pieces; returns the number of pieces in ``out``.

    out[:, n] closes them, where the mean has come to a stand or is past ``drive.gone``.
    """
    n = 0
    k0, k1 = 0, -1
    t = knots[0, 0]
    end = knots[0, count] + (drive.lag if knots[2, count] < _STILL else 0.5 * drive.lag)
    while t < end - 1e-6 and n + 1 < out.shape[1]:
        s0, v0, a0 = _ideal(knots, count, k0, drive, t)
        s1, v1, a1 = _ideal(knots, count, k1, drive, t - drive.lag)
        out[0, n], out[1, n], out[2, n], out[3, n] = t, 0.5 * (s0 + s1), max(0.0, 0.5 * (v0 + v1)), 0.5 * (a0 + a1)
        n += 1
        t = end
        if k0 < count:
            t = min(t, knots[0, k0 + 1])
        if k1 < count:
            t = min(t, knots[0, k1 + 1] + drive.lag)
        while k0 < count and knots[0, k0 + 1] <= t + 1e-9:
            k0 += 1
        while k1 < count and knots[0, k1 + 1] + drive.lag <= t + 1e-9:
            k1 += 1
    s0, v0, a0 = _ideal(knots, count, k0, drive, end)
    s1, v1, a1 = _ideal(knots, count, k1, drive, end - drive.lag)
    out[0, n], out[1, n], out[2, n], out[3, n] = end, 0.5 * (s0 + s1), max(0.0, 0.5 * (v0 + v1)), 0.0
    return n


@kernel((_F1, _F1, _F1, _F1, types.float64, types.float64, types.float64, _F1_OUT))
def sample(t, s, v, a, start, step, after, out):  # type: ignore[no-untyped-def]
    """s at times start + n step of a profile given by its knots; ``after`` = inf: gone after the closing knot.

    Before the first knot constant speed is assumed.
    """
    last = t.shape[0] - 1
    n, count = 0, out.shape[0]
    for k in range(-1, last):
        to = t[k + 1]
        base = max(k, 0)
        end = n
        if start + n * step < to:
            end = max(n, min(count, int(math.ceil((to - start) / step))))
            while end > n and start + (end - 1) * step >= to:
                end -= 1
            while end < count and start + end * step < to:
                end += 1
        v0, a0, piece = v[base], 0.5 * a[base] if k >= 0 else 0.0, out[n:end]
        for i in range(end - n):
            x = start + (n + i) * step - t[base]
            piece[i] = s[base] + (v0 + a0 * x) * x
        n = end
    if n < count and start + n * step == t[last]:
        out[n] = s[last]
        n += 1
    out[n:] = math.inf if after == math.inf else s[last]
