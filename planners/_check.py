"""Compiled twin of ``check_gap.py`` and ``check_limits.py``: same rules, same order of operations.

Arrays (float64, C-contiguous; ragged data as flat array + offsets):

table [bin, 11]         grounds of all paths, columns as in ``check_track.py``; ``first`` and ``count``
                        int64 [path] say which rows, ``step`` float64 [path] the sampling
path, t0_ms [body]      int64: which ground, when the plan starts
pieces [piece, 4]       t after t0, s, v, a; rows piece_at[i]..piece_at[i + 1] are body i's
body [body, 4]          inflated reach ahead, behind, to the side; when it is gone, after t0
segments [segment, 4]   as signed: start, dt, a, 1 if standing; rows by ``segment_at``
motion [body, 6]        speed, accel, brake, lateral, jerk limits; tolerated raw step of acceleration
course [body, 5]        end after t0, speed there, lowest reverse speed and its time, length of the path

Symbols: p, q components of a direction along a box's heading and its left; f = (x, y, cos, sin, ahead,
behind, side) of a box; n = (nx, ny) a direction in W from the first body to the second.
"""

from __future__ import annotations

import math

import numpy as np

from planners._jit import kernel

# Constants are repeated, not imported: numba freezes them, and a test compares them with the plain twin's.
CLOCK_ERROR_S = 0.005
SLACK_M = 0.001
STAND_MPS = 0.02
QUANTUM_M = 0.001
EVALUATION_COUNT_MAX = 4000
CIRCLE_STEP_S_MIN = 0.2
TRIES = 40
SPEED_TOLERANCE_MPS = 0.05
SPEED_TOLERANCE_SHARE = 0.01
ACCEL_TOLERANCE_MPS2 = 0.01
EXCESS_GRACE_S = 0.5
SEGMENT_COUNT_MAX = 64


@kernel()
def _row(s, step, first, count):
    return first + math.floor(min(max(s / step, -1.0), float(count - 2))) + 1


@kernel()
def _support(f, nx, ny):
    p, q = f[2] * nx + f[3] * ny, f[2] * ny - f[3] * nx
    return max(f[4] * p, -f[5] * p) + f[6] * abs(q)


@kernel()
def _separation(f, g, nx, ny):
    return nx * (g[0] - f[0]) + ny * (g[1] - f[1]) - _support(f, nx, ny) - _support(g, -nx, -ny)


@kernel()
def _axis(f, g, k):
    """The k-th of the four separating axis candidates, pointing from f to g."""
    if k == 0:
        nx, ny = f[2], f[3]
    elif k == 1:
        nx, ny = -f[3], f[2]
    elif k == 2:
        nx, ny = g[2], g[3]
    else:
        nx, ny = -g[3], g[2]
    dx = g[0] + 0.5 * (g[4] - g[5]) * g[2] - f[0] - 0.5 * (f[4] - f[5]) * f[2]
    dy = g[1] + 0.5 * (g[4] - g[5]) * g[3] - f[1] - 0.5 * (f[4] - f[5]) * f[3]
    if nx * dx + ny * dy >= 0.0:
        return nx, ny
    return -nx, -ny


@kernel()
def _corners_to_box(f, g):
    best = math.inf
    for i in range(4):
        x = f[4] if i < 2 else -f[5]
        y = f[6] if i % 2 == 0 else -f[6]
        dx, dy = f[0] + x * f[2] - y * f[3] - g[0], f[1] + x * f[3] + y * f[2] - g[1]
        p, q = dx * g[2] + dy * g[3], dy * g[2] - dx * g[3]
        ex, ey = max(p - g[4], -g[5] - p, 0.0), max(abs(q) - g[6], 0.0)
        best = min(best, ex * ex + ey * ey)
    return best


@kernel()
def _gap(f, g):
    best = -math.inf
    for k in range(4):
        nx, ny = _axis(f, g, k)
        best = max(best, _separation(f, g, nx, ny))
    if not best > 0.0:
        return best
    return math.sqrt(min(_corners_to_box(f, g), _corners_to_box(g, f)))


@kernel("void(float64[:,::1], float64[:,::1], float64[::1])")
def rectangle_gaps(a, b, out):
    """Gap of each pair of boxes, float64 [pair, 7] each: distance, or minus the depth of the overlap."""
    for i in range(a.shape[0]):
        f = (a[i, 0], a[i, 1], a[i, 2], a[i, 3], a[i, 4], a[i, 5], a[i, 6])
        g = (b[i, 0], b[i, 1], b[i, 2], b[i, 3], b[i, 4], b[i, 5], b[i, 6])
        out[i] = _gap(f, g)


@kernel()
def _state(table, first, count, step, pieces, k, d, front, back, half):
    """(s, v, a, row, box, sway) of one body at time d after the start of its piece k."""
    a = pieces[k, 3]
    s, v = pieces[k, 1] + pieces[k, 2] * d + 0.5 * a * d * d, max(0.0, pieces[k, 2] + a * d)
    r = _row(s, step, first, count)
    e = s - table[r, 0]
    yaw = table[r, 3] + e * table[r, 6]
    clock = CLOCK_ERROR_S * v
    f = (table[r, 1] + e * table[r, 4], table[r, 2] + e * table[r, 5], math.cos(yaw), math.sin(yaw),
         front + clock, back + clock, half)  # fmt: skip
    return s, v, a, r, f, table[r, 8] + e * abs(table[r, 6])


@kernel()
def _drift(table, first, count, step, s, v, a, r, sway, h):
    """(how far the body may leave its present straight course, how far it may turn) over h seconds."""
    ahead = max(0.0, v * h + 0.5 * a * h * h)
    r1 = _row(s + ahead, step, first, count)
    turned = table[r1, 8] + (s + ahead - table[r1, 0]) * abs(table[r1, 6]) - sway
    return ahead * (table[r1, 7] - table[r, 7]) + CLOCK_ERROR_S * max(0.0, a * h), max(0.0, turned)


@kernel()
def _swing(f, nx, ny, sway):
    """How much the support of box f towards n may grow while it turns by up to ``sway``."""
    if sway == 0.0:
        return 0.0
    p, q = f[2] * nx + f[3] * ny, f[2] * ny - f[3] * nx
    support = max(f[4] * p, -f[5] * p) + f[6] * abs(q)
    most = 0.0
    for i in range(4):
        x = f[4] if i < 2 else -f[5]
        y = f[6] if i % 2 == 0 else -f[6]
        most = max(most, x * p + y * q - support + abs(x * q - y * p) * sway)
    return most + 0.5 * math.hypot(max(f[4], f[5]), f[6]) * sway * sway


@kernel()
def _least(alpha, beta, h):
    least = min(0.0, alpha * h + 0.5 * beta * h * h)
    if beta > 0.0 and -beta * h < alpha < 0.0:
        least = min(least, -0.5 * alpha * alpha / beta)
    return least


@kernel()
def _step(table, first, count, step, pi, pj, state_i, state_j, h_max, circles):
    """A step over which the gap along some axis (or of the circles) does not fall below the slack; 0 if none found."""
    si, vi, ai, ri, f, sway_i = state_i
    sj, vj, aj, rj, g, sway_j = state_j
    reach = math.hypot(max(f[4], f[5]), f[6]) + math.hypot(max(g[4], g[5]), g[6])
    h = h_max
    for _ in range(TRIES):
        drift_i, turn_i = _drift(table, first[pi], count[pi], step[pi], si, vi, ai, ri, sway_i, h)
        drift_j, turn_j = _drift(table, first[pj], count[pj], step[pj], sj, vj, aj, rj, sway_j, h)
        share = 0.0
        for k in range(1 if circles else 4):
            lost = drift_i + drift_j
            if circles:
                dx, dy = g[0] - f[0], g[1] - f[1]
                far = math.hypot(dx, dy)
                nx, ny = dx / far, dy / far
                gap = far - reach
            else:
                nx, ny = _axis(f, g, k)
                gap = _separation(f, g, nx, ny)
                if not gap >= 0.0:
                    continue
                lost += _swing(f, nx, ny, turn_i) + _swing(g, -nx, -ny, turn_j)
            along_i = nx * table[ri, 4] + ny * table[ri, 5]
            along_j = nx * table[rj, 4] + ny * table[rj, 5]
            have = gap + 2.0 * SLACK_M
            left = have + _least(vj * along_j - vi * along_i, aj * along_j - ai * along_i, h) - lost
            if left >= 0.0:
                return h
            share = max(share, have / (have - left))
        h *= min(0.9, max(0.05, share))
    return 0.0


@kernel()
def _sweep(table, first, count, step, pi, pj, course_i, course_j, body_i, body_j, shift_i, shift_j):
    """(status, time, value) as ``check_gap.sweep``; shifts are the bodies' starts against the common time 0."""
    last_i, last_j = course_i.shape[0] - 1, course_j.shape[0] - 1
    gone = min(shift_i + body_i[3], shift_j + body_j[3])
    if gone <= 0.0:
        return 0, 0.0, 0.0
    end = min(max(shift_i + course_i[last_i, 0], shift_j + course_j[last_j, 0], 0.0), gone)
    if course_i[last_i, 2] > 0.0 or course_j[last_j, 2] > 0.0:
        end = gone
    t, ki, kj = 0.0, 0, 0
    for _ in range(EVALUATION_COUNT_MAX):
        while ki < last_i and shift_i + course_i[ki + 1, 0] <= t:
            ki += 1
        while kj < last_j and shift_j + course_j[kj + 1, 0] <= t:
            kj += 1
        since_i = t - (shift_i + course_i[ki, 0])
        now_i = _state(table, first[pi], count[pi], step[pi], course_i, ki, since_i, body_i[0], body_i[1], body_i[2])
        since_j = t - (shift_j + course_j[kj, 0])
        now_j = _state(table, first[pj], count[pj], step[pj], course_j, kj, since_j, body_j[0], body_j[1], body_j[2])
        until = end
        if ki < last_i:
            until = min(until, shift_i + course_i[ki + 1, 0])
        if kj < last_j:
            until = min(until, shift_j + course_j[kj + 1, 0])
        f, g = now_i[4], now_j[4]
        most, h = until - t, 0.0
        reach = math.hypot(max(f[4], f[5]), f[6]) + math.hypot(max(g[4], g[5]), g[6])
        if most > 0.0 and math.hypot(g[0] - f[0], g[1] - f[1]) - reach > 0.0:
            h = _step(table, first, count, step, pi, pj, now_i, now_j, most, True)
            if h < min(most, CIRCLE_STEP_S_MIN):
                h = 0.0
        if h <= 0.0:
            best = -math.inf
            for k in range(4):
                nx, ny = _axis(f, g, k)
                best = max(best, _separation(f, g, nx, ny))
            if not best >= 0.0:
                return 1, t, _gap(f, g)
            if t >= end:
                return 0, t, 0.0
            h = _step(table, first, count, step, pi, pj, now_i, now_j, most, False)
        if not h > 0.0:
            break
        t = until if h >= most else t + h
    return 2, t, float(EVALUATION_COUNT_MAX)


@kernel(
    "void(int64[:,::1], int64, float64[:,::1], int64[::1], int64[::1], float64[::1], int64[::1], int64[::1],"
    " int64[::1], float64[:,::1], float64[:,::1], int64[::1], float64[:,::1])"
)
def sweep_pairs(pairs, from_ms, table, first, count, step, path, t0_ms, piece_at, pieces, body, status, out):
    """Sweep each pair of bodies; ``status`` int64 [pair], ``out`` float64 [pair, 3]: time, value, reference in s."""
    for k in range(pairs.shape[0]):
        i, j = pairs[k, 0], pairs[k, 1]
        ref = max(from_ms, t0_ms[i], t0_ms[j])
        status[k], out[k, 0], out[k, 1] = _sweep(
            table, first, count, step, path[i], path[j],
            pieces[piece_at[i] : piece_at[i + 1]], pieces[piece_at[j] : piece_at[j + 1]], body[i], body[j],
            float(t0_ms[i] - ref) * 1e-3, float(t0_ms[j] - ref) * 1e-3,
        )  # fmt: skip
        out[k, 2] = float(ref) * 1e-3


@kernel()
def _too_fast(table, first, count, step, motion, t, s, v, start, out):
    """Write the first violation of speed (row 0) and lateral acceleration (row 1), if at this point."""
    r = _row(s, step, first, count)
    r1 = r if s == table[r, 0] else min(r + 1, first + count - 1)
    excused = start - 0.5 * motion[2] * max(0.0, t - EXCESS_GRACE_S)
    allowed = min(max(table[r, 10], table[r1, 10]), motion[0])
    if v > max(allowed * (1.0 + SPEED_TOLERANCE_SHARE) + SPEED_TOLERANCE_MPS, excused) and math.isnan(out[0, 0]):
        out[0, 0], out[0, 1], out[0, 2] = t, v, allowed
    kappa = min(table[r, 9], table[r1, 9])
    bend = math.sqrt(motion[3] / max(kappa, 1e-12))
    if v > max(bend * (1.0 + SPEED_TOLERANCE_SHARE) + SPEED_TOLERANCE_MPS, excused) and math.isnan(out[1, 0]):
        out[1, 0], out[1, 1], out[1, 2] = t, v * v * kappa, motion[3]


@kernel()
def _speeds(table, first, count, step, course, pieces, motion, out):
    start, last = pieces[0, 2], pieces.shape[0] - 1
    s_end = pieces[last, 1]
    for k in range(last + 1):
        t, s, v, a = pieces[k, 0], pieces[k, 1], pieces[k, 2], pieces[k, 3]
        _too_fast(table, first, count, step, motion, t, s, v, start, out)
        if k == last:
            break
        for r in range(max(first + 1, _row(s, step, first, count) - 1), first + count):
            point = table[r, 0]
            if point > pieces[k + 1, 1] or point >= s_end:
                break
            if point <= s:
                continue
            along = point - s
            speed = math.sqrt(max(0.0, v * v + 2.0 * a * along))
            at = t + (2.0 * along / (v + speed) if v + speed > 0.0 else 0.0)
            _too_fast(table, first, count, step, motion, at, point, speed, start, out)
    if course[2] < 0.0 and not out[0, 0] <= course[3]:
        out[0, 0], out[0, 1], out[0, 2] = course[3], course[2], 0.0


@kernel()
def _jerks(segments, motion, core_s, core_a, out):
    swing_s = (motion[1] + motion[2]) / motion[4] + 0.002
    held = 0
    for k in range(segments.shape[0]):
        start, dt, a = segments[k, 0], segments[k, 1], segments[k, 2]
        if segments[k, 3] > 0.0:
            core_s[0], core_a[0], held = start + dt, 0.0, 1
            continue
        first, last = start, start + dt
        if dt <= swing_s:
            first = last = start + 0.5 * dt
        for i in range(held - 1, -1, -1):
            change, allowed = abs(a - core_a[i]), motion[4] * (first - core_s[i]) + motion[5]
            if change > allowed:
                out[4, 0], out[4, 1], out[4, 2] = start, change, allowed
                return
        core_s[held], core_a[held] = last, a
        held += 1


@kernel(
    "void(int64, float64[:,::1], int64[::1], int64[::1], float64[::1], int64[::1], int64[::1], float64[:,::1],"
    " int64[::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,:,::1])"
)
def violations(plans, table, first, count, step, path, piece_at, pieces, segment_at, segments, motion, course, out):
    """First violations of the first ``plans`` bodies: ``out`` float64 [body, kind, 3], nan where none."""
    core_s, core_a = np.empty(SEGMENT_COUNT_MAX), np.empty(SEGMENT_COUNT_MAX)
    for i in range(plans):
        p, found = path[i], out[i]
        found[:, :] = math.nan
        mine = pieces[piece_at[i] : piece_at[i + 1]]
        _speeds(table, first[p], count[p], step[p], course[i], mine, motion[i], found)
        signed = segments[segment_at[i] : segment_at[i + 1]]
        for k in range(signed.shape[0]):
            a = signed[k, 2]
            if a > motion[i, 1] + ACCEL_TOLERANCE_MPS2 and math.isnan(found[2, 0]):
                found[2, 0], found[2, 1], found[2, 2] = signed[k, 0], a, motion[i, 1]
            if -a > motion[i, 2] + ACCEL_TOLERANCE_MPS2 and math.isnan(found[3, 0]):
                found[3, 0], found[3, 1], found[3, 2] = signed[k, 0], -a, motion[i, 2]
        _jerks(signed, motion[i], core_s, core_a, found)
        if course[i, 1] > STAND_MPS and mine[mine.shape[0] - 1, 1] < course[i, 4] - QUANTUM_M:
            found[5, 0], found[5, 1], found[5, 2] = course[i, 0], course[i, 1], STAND_MPS
