"""Compiled kernel of sequential planning: all vehicles of one call in a given order, in one go.

It does for each vehicle what ``planners/sequential.py`` does, with the same kernels: decide what to pass after,
the gentlest shape that loses little, else braking first, rounded to integers and checked as such. Whatever needs more
than that (a refusal with its reason, staying on the approach) is left to it: :func:`perform` then returns early.
It stands on all vehicles having the same instant from which their plans may change.

Symbols
-------
rows        s at each instant: plans made here, then approaches, then approaches braked (all [vehicle]), then fixed
plans
made        [vehicle]: 1 if its plan of this call counts, 0 if its approach does, 2 if that is kept although planned
in vain
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from planners import _blocking, _profile
from planners._blocking import CELL_MS
from planners._jit import kernel
from planners._profile import KNOT_COUNT, Drive
from planners._rounding import rounded

SEGMENT_ROOM = 128
MARGIN, LANE, ACROSS, ROLL, LIMITS = 6, 7, 8, 9, 10
"""Columns of ``facts``."""
_CELL_S = CELL_MS * 1e-3
_RETRIES, _RETRY_S = 4, 0.03
_NEVER = 1e4
_STANDING_MPS = 0.005


class Crowd(NamedTuple):
    """One call as kernels take it. Vehicles come first in ``ident``, then fixed plans."""

    ident: npt.NDArray[np.int64]
    """[member]: kind of path and outline"""
    sets_of: npt.NDArray[np.int64]
    """[own kind, other kind, 2]: rows of ``sets``"""
    sets: npt.NDArray[np.int64]
    """[row]: offset, first bin, bin count, kind"""
    steps: npt.NDArray[np.float64]
    """[row]: m"""
    bins: npt.NDArray[np.float64]
    """[4, bin]: conflict tables of all pairs"""
    rows: npt.NDArray[np.float64]
    drive: npt.NDArray[np.float64]
    """[vehicle, field of Drive]: gentle braking, nowhere to stand"""
    sec_s: npt.NDArray[np.float64]
    sec_w: npt.NDArray[np.float64]
    sec_of: npt.NDArray[np.int64]
    ends: npt.NDArray[np.float64]
    """[vehicle]: where it has cleared the zone, where it should stand at the end, and where at most; m"""
    start: npt.NDArray[np.float64]
    """[vehicle]: s (m) where the plan may change"""
    facts: npt.NDArray[np.float64]
    """[vehicle]: as ``planners/order_drives.py`` numbers them"""
    pads: npt.NDArray[np.int64]
    """[kind]: cells"""
    whole: npt.NDArray[np.int64]
    """[vehicle]: t0_ms less the grid's start, s0_mm, v0_mmps, speed in um/s at the change, lag_ms, segments until
    then"""
    head: npt.NDArray[np.int64]
    """[segment of all vehicles, 2]: their plans until the change"""
    head_of: npt.NDArray[np.int64]
    """[vehicle + 1]: whose are where"""
    segments: npt.NDArray[np.int64]
    """[vehicle, segment, 2]: becomes the whole plan"""
    worth: npt.NDArray[np.float64]
    """[vehicle, trait]: becomes what :func:`worth` says of it"""


_F1 = types.Array(types.float64, 1, "C")
_F2 = types.Array(types.float64, 2, "C")
_I1 = types.Array(types.int64, 1, "C")
_I2 = types.Array(types.int64, 2, "C")
_I3 = types.Array(types.int64, 3, "C")
_CROWD = types.NamedTuple(
    (_I1, _I3, _I2, _F1, _F2, _F2, _F2, _F1, _F1, _I1, _F2, _F1, _F2, _I1, _I2, _I2, _I1, _I3, _F2), Crowd
)


@kernel()
def _items(crowd, v, n0, made, behind, braked, items, steps, state, knots, driven, work):  # type: ignore[no-untyped-def]
    """Conflict sets of ``v`` with all others and what is decided already; their number."""
    count, members = crowd.drive.shape[0], crowd.ident.shape[0]
    c = 0
    for u in range(members):
        if u == v:
            continue
        pair = crowd.sets_of[crowd.ident[v], crowd.ident[u]]
        row = u if u < count and made[u] == 1 else u + count if u < count else u + 2 * count
        for r in range(pair[0], pair[1]):
            items[c, 0] = row
            items[c, 1:] = crowd.sets[r]
            steps[c] = crowd.steps[r]
            c += 1
    _blocking.who_is_ahead(items[:c], steps[:c], crowd.bins[3], crowd.rows, crowd.start[v], n0, state)
    for k in range(c):
        row = items[k, 0]
        if state[k] != 2 or items[k, 4] != 1:
            continue
        for q in range(c):
            if items[q, 0] == row:
                state[q] = 3
    for k in range(c):
        if state[k] != 3:
            continue
        state[k] = 2
        u = items[k, 0] - count
        if 0 <= u < count:  # a follower without agreement: it can brake once this plan is known
            if not braked[u]:
                _brake(crowd, u, n0, knots, driven, work)
                braked[u] = True
            items[k, 0] = u + 2 * count
    for k in range(c):
        if state[k] == 0 and items[k, 0] < count and behind[v, items[k, 0]]:
            state[k] = 1
    return c


@kernel()
def _profile_into(crowd, v, drive, v_low, stand, tau, work, knots, driven):  # type: ignore[no-untyped-def]
    """Fill ``driven``; index of the closing knot."""
    a, b = crowd.sec_of[v], crowd.sec_of[v + 1]
    n = _profile.profile(drive, crowd.sec_s[a:b], crowd.sec_w[a:b], v_low, stand, tau, work, knots)
    return _profile.smooth(drive, knots, n, driven)


@kernel()
def _onto_grid(knots, last, out):  # type: ignore[no-untyped-def]
    after = 0.0 if knots[2, last] < _STANDING_MPS else math.inf
    _profile.sample(
        knots[0, : last + 1], knots[1, : last + 1], knots[2, : last + 1], knots[3, : last + 1], 0.0, _CELL_S, after, out
    )


@kernel()
def _brake(crowd, u, n0, knots, driven, work):  # type: ignore[no-untyped-def]
    """The row of u braking at once, where its approach does not brake harder."""
    count = crowd.drive.shape[0]
    width = 2 * (crowd.sec_of[u + 1] - crowd.sec_of[u]) + 4
    last = _profile_into(crowd, u, _drive(crowd, u, math.inf, crowd.drive[u, 6]), 0.0, math.inf, _NEVER, work[:,
    :width].copy(),
                         knots, driven)  # fmt: skip
    row, known = crowd.rows[u + 2 * count], crowd.rows[u + count]
    _onto_grid(driven, last, row)
    for n in range(row.shape[0]):
        row[n] = known[n] if n <= n0 else min(row[n], known[n])


@kernel()
def _drive(crowd, v, stop, ease):  # type: ignore[no-untyped-def]
    d = crowd.drive[v]
    return Drive(d[0], d[1], d[2], d[3], d[4], d[5], d[6], ease, d[8], stop, d[10])


@kernel((_F2, types.int64, types.float64, types.float64, _F1))
def worth(knots, last, since, clear, out):  # type: ignore[no-untyped-def]
    """Of a plan of knots 0..last: when it is at ``clear`` (inf: never), how fast, whether it stands, what it loses.

    The last two from ``since`` on: 1 for a stand, and the kinetic energy given up by braking (J/kg).
    """
    t, s, v, a = knots[0], knots[1], knots[2], knots[3]
    out[0], out[1], out[2], out[3] = math.inf, 0.0, 0.0, 0.0
    for k in range(last):
        if s[k + 1] >= clear:
            out[1] = math.sqrt(max(0.0, v[k] * v[k] + 2.0 * a[k] * (clear - s[k])))
            out[0] = t[k] + 2.0 * (clear - s[k]) / max(1e-9, v[k] + out[1])
            return
        if t[k + 1] > since:
            if v[k] < _STANDING_MPS and t[k + 1] > t[k] + 0.1:
                out[2] = 1.0
            out[3] += max(0.0, 0.5 * (v[k] * v[k] - v[k + 1] * v[k + 1]))


@kernel()
def _knots(segments, count, t, s, v, knots):  # type: ignore[no-untyped-def]
    """Knots of whole-number segments from (t, s, v) on, closed by one without acceleration; (t, s, v) there."""
    for k in range(count):
        dt, a = segments[k, 0] * 1e-3, segments[k, 1] * 1e-3
        knots[0, k], knots[1, k], knots[2, k], knots[3, k] = t, s, v, a
        s += v * dt + 0.5 * a * dt * dt
        v = max(0.0, v + a * dt)
        t += dt
    knots[0, count], knots[1, count], knots[2, count], knots[3, count] = t, s, v, 0.0
    return t, s, v


@kernel((_I2, _I1, _I2, _F2))
def sampled(segments, of, whole, rows):  # type: ignore[no-untyped-def]
    """Positions of plans, segments[of[v] : of[v + 1]] from the first columns of ``whole`` on, into rows[v]."""
    for v in range(whole.shape[0]):
        part = segments[of[v] : of[v + 1]]
        knots = np.empty((4, part.shape[0] + 1))
        _knots(part, part.shape[0], whole[v, 0] * 1e-3, whole[v, 1] * 1e-3, whole[v, 2] * 1e-3, knots)
        _onto_grid(knots, part.shape[0], rows[v])


@kernel()
def _integers(crowd, v, driven, last, knots, out):  # type: ignore[no-untyped-def]
    """Round the profile into crowd.segments[v] and sample it; (segments or -1, closing s, closing knot)."""
    whole, limits, rows = crowd.whole[v], crowd.facts[v, LIMITS:], crowd.segments[v]
    rows[: whole[5]] = crowd.head[crowd.head_of[v] : crowd.head_of[v + 1]]
    n = rounded(driven, last, whole[3], whole[5], (limits[0], limits[1], limits[2]), whole[4], rows)
    if n >= rows.shape[0] or n + 2 > knots.shape[1]:
        return -1, 0.0, 0
    t, s, v_mps = _knots(rows, n, whole[0] * 1e-3, whole[1] * 1e-3, whole[2] * 1e-3, knots)
    if driven[2, last] > 1e-3 and s < limits[3]:
        more = int(math.ceil((limits[3] - s) / v_mps * 1000.0)) + 1
        rows[n, 0], rows[n, 1] = more, 0
        knots[0, n], knots[1, n], knots[2, n], knots[3, n] = t, s, v_mps, 0.0
        s += v_mps * more * 1e-3
        t += more * 1e-3
        n += 1
    knots[0, n], knots[1, n], knots[2, n], knots[3, n] = t, s, v_mps, 0.0
    if t >= (out.shape[0] - 1) * _CELL_S:
        return -1, 0.0, 0
    _onto_grid(knots, n, out)
    return n, s, n


@kernel((_CROWD, _I1, types.int64, types.int64, types.float64, _I2, _I1, _I1))
def perform(crowd, order, begin, n0, loss, behind, made, counts):  # type: ignore[no-untyped-def]
    """Plan order[begin:] one after another; the position of the first that needs more than this can do, or len(order).

    ``n0``: cell of the grid from which plans may change. ``loss``: what a milder shape may cost at the exit, s; 0:
    braking first only.
    behind[v, u] = 1: that v passes after u is decided. ``counts`` [vehicle] becomes the segments of each plan.
    """
    count, instants = crowd.drive.shape[0], crowd.rows.shape[1]
    widest, most = 0, 1
    for v in range(count):
        widest = max(widest, crowd.sec_of[v + 1] - crowd.sec_of[v])
    for i in range(crowd.sets_of.shape[0]):
        for j in range(crowd.sets_of.shape[1]):
            most = max(most, crowd.sets_of[i, j, 1] - crowd.sets_of[i, j, 0])
    room = most * crowd.ident.shape[0]
    items, steps = np.empty((room, 5), dtype=np.int64), np.empty(room)
    state, only = np.zeros(room, dtype=np.int64), np.zeros(room, dtype=np.int64)
    found = np.zeros(1, dtype=np.int64)
    knots, driven = np.zeros((4, KNOT_COUNT)), np.zeros((4, 2 * KNOT_COUNT))
    plan_knots = np.zeros((4, SEGMENT_ROOM + 2))
    wide = np.zeros((6, 2 * widest + 4))
    braking, free, own = np.empty((2, instants)), np.empty(instants), np.empty(instants)
    lower_work, con_t, con_u = np.empty((1, instants)), np.empty(instants), np.empty(instants)
    braked = np.zeros(count, dtype=np.bool_)
    no_pad, no_gap = np.zeros(2, dtype=np.int64), np.zeros(2)
    gap, out, shape, wish = np.zeros(2), np.zeros(2), np.zeros(4), np.zeros(3)
    for p in range(begin, order.shape[0]):
        v = order[p]
        braked[:] = False
        a, b = crowd.sec_of[v], crowd.sec_of[v + 1]
        sec_s, sec_w = crowd.sec_s[a:b], crowd.sec_w[a:b]
        work = np.zeros((6, 2 * (b - a) + 4))
        margin, gap[0], gap[1] = crowd.facts[v, MARGIN], crowd.facts[v, ACROSS], crowd.facts[v, LANE]
        clear, stop_m, line = crowd.ends[v, 0], crowd.ends[v, 1], crowd.ends[v, 2]
        c = _items(crowd, v, n0, made, behind, braked, items, steps, state, knots, driven, wide)
        ours, our_steps, ours_state = items[:c], steps[:c], state[:c]
        v_max = 0.0
        for k in range(b - a):
            v_max = max(v_max, sec_w[k])
        v_max = math.sqrt(v_max) + 0.01
        tau, t_ref, stop, s_ref = 0.0, 0.0, 0.0, 0.0
        ready = np.zeros(2, dtype=np.bool_)
        decided, fixed = False, 0
        only[:c] = 0
        fresh = -1  # the item decided last
        for k in range(c):
            if ours_state[k] == 1 and (fresh < 0 or ours[k, 4] == 1):
                fresh = k
        several = fresh >= 0
        free[:] = math.inf
        for _ in range(c + 1):
            if fresh >= 0 and ours[fresh, 4] == 0 and not several:  # crossings just lower the barrier
                only[fresh] = 1
                _blocking.barrier(ours, our_steps, only[:c], crowd.bins[3], crowd.rows, crowd.pads, gap, 0, n0, free)
                only[fresh] = 0
            elif fresh >= 0:
                late = 0
                for e in range(2):
                    if not ready[e]:
                        ease = crowd.drive[v, 7 - e]
                        last = _profile_into(crowd, v, _drive(crowd, v, math.inf, ease), 0.0, math.inf, _NEVER, work,
                                             knots, driven)  # fmt: skip
                        _onto_grid(driven, last, braking[e])
                        ready[e] = True
                    late = _blocking.lower(
                        ours, our_steps, ours_state, crowd.bins[3], crowd.rows, crowd.pads, gap, no_pad, no_gap,
                        braking[e], n0, margin, lower_work, free,
                    )  # fmt: skip
                    if late < 0:
                        break
                if late >= 0:
                    break
            several = False
            stop = min(stop_m, free[instants - 1] - 2.0 * margin)
            if stop <= clear:
                break
            drive = _drive(crowd, v, stop, crowd.drive[v, 7])
            s_ref = clear if clear > drive.s else min(stop - 0.1, drive.gone)
            fixed = _blocking.constraints(free, np.array([0.0, _CELL_S]), n0, v_max, margin, con_t, con_u)
            n = _profile.earliest(drive, sec_s, sec_w, con_t, con_u, fixed, s_ref, work, knots, out)
            if n == 0:
                break
            tau, t_ref = out[0], out[1]
            last = _profile.smooth(drive, knots, n, driven)
            _onto_grid(driven, last, own)
            _blocking.clash(
                ours, our_steps, ours_state, 0, crowd.bins, crowd.rows, crowd.pads, gap, own, n0, found
            )
            if found[0] < 0:
                decided = True
                break
            fresh = found[0]
            ours_state[fresh] = 1
        if not decided:
            return p
        done = False
        drive = _drive(crowd, v, stop, crowd.drive[v, 7])
        for turn in range(2):
            v_low, stand, until, ease = 0.0, math.inf, tau, drive.brake
            if turn == 0:
                if loss <= 0.0 or tau <= drive.t or fixed == 0 or drive.v < 0.1 or t_ref == math.inf:
                    continue
                wish[0], wish[1], wish[2] = s_ref, t_ref + loss, crowd.facts[v, ROLL]
                if not _profile.gentle(drive, sec_s, sec_w, con_t, con_u, fixed, wish, work, knots, shape):
                    continue
                v_low, stand, until, ease = shape[0], shape[1], shape[2], shape[3]
            for retry in range(_RETRIES):
                shaped = _drive(crowd, v, stop - retry * margin, ease)
                later = until + retry * _RETRY_S if until > drive.t else until
                last = _profile_into(crowd, v, shaped, v_low, stand, later, work, knots, driven)
                n, s_end, end = _integers(crowd, v, driven, last, plan_knots, own)
                if n < 0 or n > 64:
                    break
                over = False
                for q in range(n0, instants - 1):
                    if own[q + 1] > free[q] + 1e-6:
                        over = True
                        break
                if over:
                    continue
                if s_end > clear and s_end <= line:
                    _blocking.clash(
                        ours, our_steps, ours_state, 2, crowd.bins, crowd.rows, no_pad, no_gap, own, n0, found
                    )
                    if found[0] < 0:
                        _blocking.clash(
                            ours, our_steps, ours_state, 0, crowd.bins, crowd.rows, crowd.pads, gap, own, n0,
                            found,
                        )  # fmt: skip
                        done = found[0] < 0
                break
            if done:
                break
        if not done:
            return p
        crowd.rows[v] = own
        worth(plan_knots, end, drive.t, clear, crowd.worth[v])
        made[v] = 1
        counts[v] = n
    return order.shape[0]
