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

import numpy as np
from numba import types

from planners._blocking import CELL_MS
from planners._jit import kernel
from planners._profile import _F1, _F1_OUT, _F2_OUT, KNOT_COUNT, Drive, _envelope, _profile, smooth

_I2 = types.Array(types.int64, 2, "C", readonly=True)
_I1 = types.Array(types.int64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)
_I3 = types.Array(types.int64, 3, "C", readonly=True)
_I1_OUT = types.Array(types.int64, 1, "C")
_F3_OUT = types.Array(types.float64, 3, "C")
_CELL_S = CELL_MS * 1e-3
_STANDING_MPS = 0.005
_STAND_S_MIN = 0.25
"""A grid reaches at least this far before the vehicle stands."""


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


@kernel()
def _traits(s, t, v, a, last, clear, out):  # type: ignore[no-untyped-def]
    """Speed at ``clear``, whether it stands before, and what braking until then gives up."""
    out[0] = out[1] = out[2] = 0.0
    for k in range(last):
        if s[k + 1] >= clear:
            out[0] = math.sqrt(max(0.0, v[k] * v[k] + 2.0 * a[k] * (clear - s[k])))
            break
        if v[k] < _STANDING_MPS and t[k + 1] > t[k] + 0.1:
            out[1] = 1.0
        out[2] += max(0.0, 0.5 * (v[k] * v[k] - v[k + 1] * v[k + 1]))


@kernel((_F2, _F1, _F1, _I1, _F2, _F1, _I1, _I1, _F1, _F1, _I1, _I1, _F2_OUT, _F1_OUT, _F3_OUT))
def respond(drives, sec_s, sec_w, sec_of, ends, marks, marks_of, ident, shares, more, base, width, tau, times, traits):  # type: ignore[no-untyped-def]
    """Fill ``tau`` [vehicle, grid], and times and ``traits`` of the profile of each.

    ``drives`` [vehicle, field of Drive]; ``ends`` [vehicle, 1] is where it stands in the end. A grid is ``shares`` of
    the time until the vehicle stands and ``more`` seconds after it. The last mark is where it has cleared the zone.
    ``traits`` [vehicle, grid, 3] become: the speed there (m/s), whether it
    stands in between (1 or 0), and the kinetic energy given up by braking until then (J/kg).
    """
    knots, driven = np.empty((4, KNOT_COUNT)), np.empty((4, 2 * KNOT_COUNT))
    count_g = tau.shape[1]
    for v in range(drives.shape[0]):
        d = drives[v]
        a, b = sec_of[v], sec_of[v + 1]
        work = np.empty((6, 2 * (b - a) + 4))
        drive = Drive(d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[6], d[8], ends[v, 1], d[10])
        yp, gp = work[:3], work[3:]
        gf = _envelope(sec_s[a:b], sec_w[a:b], drive.s, drive.stop, drive.slope, gp)
        yf = _envelope(sec_s[a:b], sec_w[a:b], drive.s, drive.stop, drive.brake, yp)
        here = marks[marks_of[ident[v]] : marks_of[ident[v] + 1]]
        clear = here[here.shape[0] - 1]
        stand = max(_STAND_S_MIN, drive.v / drive.brake) + drive.lag
        stood = -1
        for g in range(count_g):
            tau[v, g] = drive.t + stand * shares[g] + more[g]
            row = base[v] + g * width[v]
            if stood >= 0:  # it has stood: from here on the same, later
                before, later = base[v] + stood * width[v], tau[v, g] - tau[v, stood]
                for q in range(width[v]):
                    at = times[before + q]
                    times[row + q] = at + later if at > tau[v, stood] else at
                traits[v, g] = traits[v, stood]
                continue
            n = _profile(drive, yp, yf, gp, gf, 0.0, tau[v, g], knots)
            last = smooth(drive, knots, n, driven)
            _times(driven[0], driven[1], driven[2], driven[3], last, here, times, row)
            _traits(driven[1], driven[0], driven[2], driven[3], last, clear, traits[v, g])
            if more[g] > drive.lag:
                stood = g


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
def _readied(passes, pad, out):  # type: ignore[no-untyped-def]
    """When places that somebody leaves at ``passes`` are open to others: at the end of a cell, ``pad`` later."""
    for q in range(passes.shape[0]):
        out[q] = np.ceil(passes[q] / _CELL_S - 1e-9) * _CELL_S + pad


@kernel()
def _least(value, p, tau, times, base, width, first_mark, ready, passes, kind):  # type: ignore[no-untyped-def]
    """The least tau, from ``value`` on, to pass after another that leaves the marks at ``passes``; its grid point.

    -inf: nothing to wait for. inf: cannot pass after it. Buffers of a shared lane (kind 1) that braking at once
    cannot keep
    are given up. Where the other never leaves, beyond the zone, there is room to stand behind it.
    """
    if value == math.inf:
        return value, p
    size, first_tau = ready.shape[0], tau[0]
    cleared, begin = times[base + width - 1], base + first_mark
    first = times[begin : begin + size]
    here, before, share = first, first, 0.0  # where it is at ``value``: between two grid points
    moved = value > -math.inf
    for q in range(size):
        if moved:
            here = times[begin + p * width : begin + p * width + size]
            before, share = here, 0.0
            if p > 0:
                before = times[begin + (p - 1) * width : begin + (p - 1) * width + size]
                share = (value - tau[p - 1]) / (tau[p] - tau[p - 1])
            moved = False
        if ready[q] <= first_tau or before[q] + (here[q] - before[q]) * share >= ready[q]:
            continue  # what is ready by the first tau is kept by who has still to pass there, and by who has passed
        if first[q] == -math.inf:
            return math.inf, p
        if passes[q] == math.inf:
            if first[q] > cleared:
                continue
            return math.inf, p
        after, at = _needed(max(value, first_tau), p, tau, times, begin + q, width, ready[q])
        if after < math.inf:
            value, p, moved = after, at, True
        elif kind == 0:
            return math.inf, p
    return value, p


@kernel((_F2, _F1, _I1, _I1, _I1, _I3, _I2, _F1, _F3_OUT))
def order_tables(tau, times, base, width, ident, sets_of, sets, pad, after):  # type: ignore[no-untyped-def]
    """Fill after[i, j, g], the least tau of j behind i at i's grid point g; -inf where they never meet.

    ``sets`` [row]: first mark of who goes first, of who goes after, number of marks, kind; sets_of[ident i, ident j] is
    (first row, end) of "j after i". ``pad`` [kind] is in seconds. What holds behind i at one grid point holds behind it
    at the next ones.
    """
    count, count_g = tau.shape
    most = 1
    for r in range(sets.shape[0]):
        most = max(most, sets[r, 2])
    ready = np.empty((count_g, most))
    for i in range(count):
        after[i] = -math.inf
        for k in range(sets_of.shape[1]):
            for r in range(sets_of[ident[i], k, 0], sets_of[ident[i], k, 1]):
                size, kind = sets[r, 2], sets[r, 3]
                for g in range(count_g):
                    begin = base[i] + g * width[i] + sets[r, 0]
                    _readied(times[begin : begin + size], pad[kind], ready[g, :size])
                for j in range(count):
                    if i == j or ident[j] != k:
                        continue
                    value, p = -math.inf, 0
                    for g in range(count_g):
                        begin = base[i] + g * width[i] + sets[r, 0]
                        value, p = _least(
                            value, p, tau[j], times, base[j], width[j], sets[r, 1], ready[g, :size],
                            times[begin : begin + size], kind,
                        )  # fmt: skip
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
    count, rows, most = tau.shape[0], 0, 1
    for r in range(sets.shape[0]):
        most = max(most, sets[r, 2])
    ready = np.empty(most)
    for j in range(count):
        start = rows
        shut_from[j] = start
        for i in range(count, base.shape[0]):
            since, until = math.inf, -math.inf
            for r in range(sets_of[ident[i], ident[j], 0], sets_of[ident[i], ident[j], 1]):
                kind = sets[r, 3]
                begin, size = base[i] + sets[r, 0], sets[r, 2]
                _readied(times[begin : begin + size], pad[kind], ready[:size])
                value, _ = _least(
                    -math.inf, 0, tau[j], times, base[j], width[j], sets[r, 1], ready[:size],
                    times[begin : begin + size], kind,
                )  # fmt: skip
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
            while at > start and shut[at - 1, 0] > since:
                shut[at, 0], shut[at, 1] = shut[at - 1, 0], shut[at - 1, 1]
                at -= 1
            shut[at, 0], shut[at, 1] = since, until
            rows += 1
        last = start
        for r in range(start + 1, rows):
            if shut[r, 0] <= shut[last, 1]:
                shut[last, 1] = max(shut[last, 1], shut[r, 1])
            else:
                last += 1
                shut[last, 0], shut[last, 1] = shut[r, 0], shut[r, 1]
        if rows > start:
            rows = last + 1
    shut_from[count] = rows
    return rows
