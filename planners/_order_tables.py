"""Compiled kernels of the order model: what each vehicle's going later means for all others, as tables.

Theory of operation. A vehicle that waits brakes first and goes at ``tau``, as fast as it can; so its whole
motion is one number, and the time at which it is anywhere grows with it (``planners/_profile.py``). On a grid of
``tau`` the exact motion gives the times at the few places that matter to others, its *marks*. "j passes after i"
then is a table too: the least tau of j for each tau of i. It is read off the marks of both, at every corner
of their conflict sets, with the buffers and the cells of time that the profile search will use.

Symbols
-------
tau[v, g]     grid of vehicle v: fine until it stands, a few far points after; beyond the last one all times
              either stay or move with tau, so that everything is extrapolated as a straight line
mark_s        places on paths (rear axle); of each conflict set first those of one, ascending
times         flat; of vehicle v: [g, mark] from ``base[v]`` on, ``width[v]`` marks to the row
              -inf: passed already; inf: never
"""

from __future__ import annotations

import math

from numba import types

from planners._blocking import CELL_MS
from planners._jit import kernel
from planners._profile import _DRIVE, _F1, _F1_OUT, _F2_OUT, Drive, _envelope, _profile, smooth

_I2 = types.Array(types.int64, 2, "C", readonly=True)
_I1 = types.Array(types.int64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)
_I3 = types.Array(types.int64, 3, "C", readonly=True)
_I1_OUT = types.Array(types.int64, 1, "C")
_F3_OUT = types.Array(types.float64, 3, "C")
_CELL_S = CELL_MS * 1e-3
_STANDING_MPS = 0.005


@kernel()
def _times(t, s, v, a, last, marks, out, at):  # type: ignore[no-untyped-def]
    """Times at which a motion of knots 0..last is at ``marks``, into out[at:]; gone after its end if it moves there."""
    k = 0
    for q in range(marks.shape[0]):
        x = marks[q]
        if k > 0 and x < s[k]:
            k = 0
        if x <= s[0]:
            out[at + q] = -math.inf
            continue
        while k < last and s[k + 1] < x:
            k += 1
        if k == last:
            out[at + q] = math.inf if v[last] < _STANDING_MPS else t[last]
            continue
        ds = x - s[k]
        root = math.sqrt(max(0.0, v[k] * v[k] + 2.0 * a[k] * ds))
        out[at + q] = t[k] + 2.0 * ds / (v[k] + root) if v[k] + root > 0.0 else t[k + 1]


@kernel((_DRIVE, _F1, _F1, _F1, _F1, _F2_OUT, _F2_OUT, _F2_OUT, _F1_OUT, types.int64, _F2_OUT))
def respond(drive, sec_s, sec_w, taus, marks, work, knots, driven, times, base, traits):  # type: ignore[no-untyped-def]
    """Times at ``marks`` of the profile of each tau, from times[base] on, row by row.

    The last mark is where the vehicle has cleared the zone. ``traits`` [tau, 3] becomes: the speed there (m/s),
    whether the vehicle
    stands in between (1 or 0), and the kinetic energy given up by braking until then (J/kg).
    """
    hard = Drive(drive.t, drive.s, drive.v, drive.a_before, drive.lag, drive.accel, drive.brake, drive.brake,
                 drive.slope, drive.stop, drive.gone)  # fmt: skip
    yp, gp = work[:3], work[3:]
    gf = _envelope(sec_s, sec_w, drive.s, drive.stop, drive.slope, gp)
    yf = _envelope(sec_s, sec_w, drive.s, drive.stop, drive.brake, yp)
    clear = marks[marks.shape[0] - 1]
    for g in range(taus.shape[0]):
        n = _profile(hard, yp, yf, gp, gf, 0.0, taus[g], knots)
        last = smooth(hard, knots, n, driven)
        t, s, v, a = driven[0], driven[1], driven[2], driven[3]
        _times(t, s, v, a, last, marks, times, base + g * marks.shape[0])
        stands, lost = 0.0, 0.0
        for k in range(last):
            if s[k + 1] >= clear:
                traits[g, 0] = math.sqrt(max(0.0, v[k] * v[k] + 2.0 * a[k] * (clear - s[k])))
                break
            if v[k] < _STANDING_MPS and t[k + 1] > t[k] + 0.1:
                stands = 1.0
            lost += max(0.0, 0.5 * (v[k] * v[k] - v[k + 1] * v[k + 1]))
        traits[g, 1], traits[g, 2] = stands, lost


@kernel((_F1, _F1, _F1, _F1, types.float64, _F1, _F1_OUT, types.int64))
def known(t, s, v, a, start, marks, times, base):  # type: ignore[no-untyped-def]
    """Times at ``marks`` of a plan given by its knots, less ``start``, from times[base] on."""
    _times(t, s, v, a, t.shape[0] - 1, marks, times, base)
    for q in range(marks.shape[0]):
        times[base + q] -= start


@kernel()
def _needed(value, p, tau, times, row, width, ready):  # type: ignore[no-untyped-def]
    """(least tau >= value whose time at a mark is ``ready``, its grid point); inf if none is."""
    last = tau.shape[0] - 1
    at = times[row + p * width]
    if p > 0 and value < tau[p]:
        before = times[row + (p - 1) * width]
        at = before + (at - before) * (value - tau[p - 1]) / (tau[p] - tau[p - 1])
    if at >= ready:
        return value, p
    while p < last and times[row + p * width] < ready:
        p += 1
    here = times[row + p * width]
    before = times[row + (p - 1) * width]
    if here >= ready:
        share = (ready - before) / (here - before) if here > before else 1.0
        return max(value, tau[p - 1] + share * (tau[p] - tau[p - 1])), p
    slope = (here - before) / (tau[p] - tau[p - 1])
    if slope < 0.5:
        return math.inf, p
    return max(value, tau[p] + (ready - here) / slope), p


@kernel()
def _least(tau, times, base, width, first_mark, count, other, pad, kind):  # type: ignore[no-untyped-def]
    """The least tau to pass after another whose times at its side of the marks begin at ``other``.

    -inf: nothing to wait for. inf: cannot pass after it. Buffers of a shared lane (kind 1) that braking at once
    cannot keep
    are given up. Where the other never leaves, beyond the zone, there is room to stand behind it.
    """
    cleared = times[base + width - 1]
    value, p = -math.inf, 0
    for q in range(count):
        passes = times[other + q]
        if passes == -math.inf:
            continue
        first = times[base + first_mark + q]
        if first == -math.inf:
            if passes <= tau[0]:
                continue  # both are past it, the other before this vehicle's motion begins
            return math.inf
        if passes == math.inf:
            if first > cleared:
                continue
            return math.inf
        ready = math.ceil(passes / _CELL_S - 1e-9) * _CELL_S + pad
        if value == -math.inf:
            if first >= ready:
                continue
            value = tau[0]
        after, at = _needed(value, p, tau, times, base + first_mark + q, width, ready)
        if after < math.inf:
            value, p = after, at
        elif kind == 0:
            return math.inf
    return value


@kernel((_F2, _F1, _I1, _I1, _I1, _I3, _I2, _F1, _F3_OUT))
def order_tables(tau, times, base, width, ident, sets_of, sets, pad, after):  # type: ignore[no-untyped-def]
    """Fill after[i, j, g], the least tau of j behind i at i's grid point g; -inf where they never meet.

    ``sets`` [row]: first mark of who goes first, of who goes after, number of marks, kind; sets_of[ident i, ident j] is
    (first row, end) of "j after i". ``pad`` [kind] is in seconds.
    """
    count, count_g = tau.shape
    for i in range(count):
        for j in range(count):
            for g in range(count_g):
                after[i, j, g] = -math.inf
            if i == j:
                continue
            for r in range(sets_of[ident[i], ident[j], 0], sets_of[ident[i], ident[j], 1]):
                kind = sets[r, 3]
                for g in range(count_g):
                    if after[i, j, g] == math.inf:
                        continue
                    other = base[i] + g * width[i] + sets[r, 0]
                    value = _least(tau[j], times, base[j], width[j], sets[r, 1], sets[r, 2], other, pad[kind], kind)
                    after[i, j, g] = max(after[i, j, g], value)


@kernel()
def _since(tau, times, base, width, first_mark, count, other, pad):  # type: ignore[no-untyped-def]
    """The highest tau at which a vehicle is past all its marks before a fixed plan is at its side of them; inf: any."""
    since, last = math.inf, tau.shape[0] - 1
    for q in range(count):
        latest = times[other + q] - pad
        row = base + first_mark + q
        if times[row + last * width] <= latest:
            continue
        g = last
        while g > 0 and times[row + g * width] > latest:
            g -= 1
        low = times[row + g * width]
        if low > latest:
            return -math.inf
        high = times[row + (g + 1) * width]
        share = (latest - low) / (high - low) if high < math.inf and low > -math.inf else 0.0
        since = min(since, tau[g] + share * (tau[g + 1] - tau[g]))
    return since


@kernel((_F2, _F1, _I1, _I1, _I1, _I3, _I2, _F1, _F2_OUT, _I1_OUT))
def closed(tau, times, base, width, ident, sets_of, sets, pad, shut, shut_from):  # type: ignore[no-untyped-def]
    """Tau that fixed plans leave closed to each vehicle: rows (from, to) of ``shut``, disjoint and ascending.

    Vehicles come first, then the fixed plans, in ``base``, ``width`` and ``ident``. ``shut`` has a row for each pair of
    a vehicle and a fixed plan. Returns the number of rows.
    """
    count, rows = tau.shape[0], 0
    for j in range(count):
        begin = rows
        shut_from[j] = begin
        for i in range(count, base.shape[0]):
            since, until = math.inf, -math.inf
            for r in range(sets_of[ident[i], ident[j], 0], sets_of[ident[i], ident[j], 1]):
                kind = sets[r, 3]
                value = _least(
                    tau[j], times, base[j], width[j], sets[r, 1], sets[r, 2], base[i] + sets[r, 0], pad[kind], kind
                )
                until = max(until, value)
            if until <= tau[j, 0]:
                continue
            for r in range(sets_of[ident[j], ident[i], 0], sets_of[ident[j], ident[i], 1]):
                value = _since(
                    tau[j], times, base[j], width[j], sets[r, 0], sets[r, 2], base[i] + sets[r, 1],
                    pad[sets[r, 3]] + _CELL_S,
                )  # fmt: skip
                since = min(since, value)
            if since >= until:
                continue
            at = rows
            while at > begin and shut[at - 1, 0] > since:
                shut[at, 0], shut[at, 1] = shut[at - 1, 0], shut[at - 1, 1]
                at -= 1
            shut[at, 0], shut[at, 1] = since, until
            rows += 1
        last = begin
        for r in range(begin + 1, rows):
            if shut[r, 0] <= shut[last, 1]:
                shut[last, 1] = max(shut[last, 1], shut[r, 1])
            else:
                last += 1
                shut[last, 0], shut[last, 1] = shut[r, 0], shut[r, 1]
        if rows > begin:
            rows = last + 1
    shut_from[count] = rows
    return rows
