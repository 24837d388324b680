"""Compiled kernels of the metrics that need no map: rectangle gaps, encroachment, comfort.

Symbols: x, y centre of a footprint; yaw; hl, hw half length and half width; v vehicle; rows are in
ascending time, ``first[k]`` is the first row of instant k. The tests hold them against slow twins,
analytic scenes and shapely.
"""

from __future__ import annotations

import math

from planners._jit import kernel

F1, F2 = "float64[::1]", "float64[:,::1]"
I1, I2 = "int64[::1]", "int64[:,::1]"


@kernel("float64(float64, float64)")
def turn_between(yaw_a, yaw_b):
    """Angle between two headings, in [0, pi]."""
    turn = abs(yaw_a - yaw_b) % (2.0 * math.pi)
    return min(turn, 2.0 * math.pi - turn)


@kernel("float64(float64, float64, float64, float64, float64, float64, float64, float64, float64, float64)")
def corner_distance(xa, ya, yawa, hla, hwa, xb, yb, yawb, hlb, hwb):
    """Least distance from a corner of rectangle a to rectangle b (0 for a corner inside)."""
    ca, sa, cb, sb = math.cos(yawa), math.sin(yawa), math.cos(yawb), math.sin(yawb)
    best = math.inf
    for k in range(4):
        lx = hla if k < 2 else -hla
        ly = hwa if k % 2 == 0 else -hwa
        dx, dy = xa + ca * lx - sa * ly - xb, ya + sa * lx + ca * ly - yb
        ox, oy = abs(cb * dx + sb * dy) - hlb, abs(-sb * dx + cb * dy) - hwb
        best = min(best, math.hypot(max(ox, 0.0), max(oy, 0.0)))
    return best


@kernel("float64(float64, float64, float64, float64, float64, float64, float64, float64, float64, float64)")
def rectangle_gap(xa, ya, yawa, hla, hwa, xb, yb, yawb, hlb, hwb):
    """Exact distance of two oriented rectangles; 0 if they overlap or touch.

    Overlap by the separating axes; otherwise the distance of two disjoint convex polygons is attained
    at a corner of one of them.
    """
    dx, dy = xb - xa, yb - ya
    ca, sa, cb, sb = math.cos(yawa), math.sin(yawa), math.cos(yawb), math.sin(yawb)
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    apart = abs(ca * dx + sa * dy) > hla + hlb * c + hwb * s
    apart = apart or abs(-sa * dx + ca * dy) > hwa + hlb * s + hwb * c
    apart = apart or abs(cb * dx + sb * dy) > hlb + hla * c + hwa * s
    apart = apart or abs(-sb * dx + cb * dy) > hwb + hla * s + hwa * c
    if not apart:
        return 0.0
    return min(
        corner_distance(xa, ya, yawa, hla, hwa, xb, yb, yawb, hlb, hwb),
        corner_distance(xb, yb, yawb, hlb, hwb, xa, ya, yawa, hla, hwa),
    )


@kernel(f"int64({I1}, {I1}, {F2}, {F2}, {F1}, {I1}, {I2})")
def closest_pair(first, vehicle, state, half, best, best_rows, overlaps):
    """Least gap over all instants and pairs into ``best[0]`` and ``best_rows``; rows of overlapping pairs.

    ``half``: [vehicle, 2] half length and half width. Returns the number of overlapping (pair, instant)s,
    of which as many as fit are in ``overlaps`` [event, 2] (row, row).
    """
    best[0] = math.inf
    count = 0
    for k in range(len(first) - 1):
        for i in range(first[k], first[k + 1]):
            a = vehicle[i]
            ra = math.hypot(half[a, 0], half[a, 1])
            for j in range(i + 1, first[k + 1]):
                b = vehicle[j]
                reach = ra + math.hypot(half[b, 0], half[b, 1]) + best[0]
                dx, dy = state[j, 0] - state[i, 0], state[j, 1] - state[i, 1]
                if dx * dx + dy * dy > reach * reach:
                    continue
                gap = rectangle_gap(
                    state[i, 0], state[i, 1], state[i, 2], half[a, 0], half[a, 1],
                    state[j, 0], state[j, 1], state[j, 2], half[b, 0], half[b, 1],
                )  # fmt: skip
                if gap < best[0]:
                    best[0], best_rows[0], best_rows[1] = gap, i, j
                if gap == 0.0:
                    if count < len(overlaps):
                        overlaps[count, 0], overlaps[count, 1] = i, j
                    count += 1
    return count


@kernel(f"int64({F1}, {I1}, {F2}, {F2}, {I2})")
def mark_tiles(grid, vehicle, state, half, tiles):
    """Number the tiles that any footprint may touch; returns how many. ``grid`` as in :func:`encroachment`."""
    side, x0, y0 = grid[0] * grid[1], grid[2], grid[3]
    count = 0
    for i in range(len(vehicle)):
        r = math.hypot(half[vehicle[i], 0], half[vehicle[i], 1])
        for u in range(int((state[i, 0] - r - x0) / side), int((state[i, 0] + r - x0) / side) + 1):
            for w in range(int((state[i, 1] - r - y0) / side), int((state[i, 1] + r - y0) / side) + 1):
                if tiles[u, w] < 0:
                    tiles[u, w] = count
                    count += 1
    return count


@kernel(f"void({F1}, {F1}, {I1}, {F2}, {F2}, {F1}, {I2}, {I2}, {F2}, {F2}, {I2})")
def encroachment(grid, t, vehicle, state, half, turn_min, tiles, last, last_t, pet, pet_row):
    """Time between the last sample of one vehicle on a cell and the first of the next on it.

    ``grid``: cells per tile side, cell size, x0, y0; ``last`` [tile, cell]: row of the last occupant, -1
    at first; ``last_t``: its time. For each *second* vehicle the least such time and the rows: ``pet[v, 0]`` where
    headings differ by more than ``turn_min[0]``, ``pet[v, 1]`` from anybody.
    """
    side, cell = int(grid[0]), grid[1]
    for i in range(len(t)):
        a = vehicle[i]
        x, y, hl, hw = state[i, 0] - grid[2], state[i, 1] - grid[3], half[a, 0], half[a, 1]
        c, s = math.cos(state[i, 2]), math.sin(state[i, 2])
        ex, ey = abs(c) * hl + abs(s) * hw, abs(s) * hl + abs(c) * hw
        for u in range(int((x - ex) / cell), int((x + ex) / cell) + 1):
            for w in range(int((y - ey) / cell), int((y + ey) / cell) + 1):
                dx, dy = (u + 0.5) * cell - x, (w + 0.5) * cell - y
                if abs(c * dx + s * dy) > hl or abs(-s * dx + c * dy) > hw:
                    continue
                tile = tiles[u // side, w // side]
                at = u % side * side + w % side
                before = last[tile, at]
                if before >= 0 and vehicle[before] != a:
                    gone = t[i] - last_t[tile, at]
                    if gone < pet[a, 1]:
                        pet[a, 1], pet_row[a, 1] = gone, before
                    turn = turn_between(state[i, 2], state[before, 2])
                    if gone < pet[a, 0] and turn > turn_min[0]:
                        pet[a, 0], pet_row[a, 0] = gone, before
                last[tile, at], last_t[tile, at] = i, t[i]


@kernel(f"void({I1}, {I1}, {F1}, {F2}, {F1}, {F2})")
def comfort(start, rows, t, state, load, out):
    """Per vehicle into ``out`` [vehicle, 7]: stops, standing s, jerk^2 sum, jerk samples, jerk max, J per kg, m.

    ``load``: stop and go speed (hysteresis), jerk window s, gravity times rolling resistance, drag factor
    (0.5 rho C A / m). Jerk is the difference of two adjacent window means of the acceleration.
    """
    for v in range(len(start) - 1):
        n = start[v + 1] - start[v]
        for k in range(7):
            out[v, k] = 0.0
        if n < 2:
            continue
        standing = state[rows[start[v]], 3] < load[0]
        for r in range(start[v] + 1, start[v + 1]):
            i, h = rows[r], rows[r - 1]
            dt, speed = t[i] - t[h], abs(state[i, 3])
            if standing:
                out[v, 1] += dt
                standing = speed < load[1]
            elif speed < load[0]:
                out[v, 0] += 1.0
                standing = True
            power = speed * (state[i, 4] + load[3] + load[4] * speed * speed)
            out[v, 5] += max(0.0, power) * dt
            out[v, 6] += math.hypot(state[i, 0] - state[h, 0], state[i, 1] - state[h, 1])
        dt = (t[rows[start[v + 1] - 1]] - t[rows[start[v]]]) / (n - 1)
        w = max(1, int(round(load[2] / dt)))
        before = after = 0.0
        for r in range(2 * w):
            if r < n:
                a = state[rows[start[v] + r], 4]
                before, after = (before + a, after) if r < w else (before, after + a)
        for k in range(w, n - w + 1):
            jerk = abs(after - before) / (w * w * dt)
            out[v, 2] += jerk * jerk
            out[v, 3] += 1.0
            out[v, 4] = max(out[v, 4], jerk)
            if k < n - w:
                b = start[v] + k
                before += state[rows[b], 4] - state[rows[b - w], 4]
                after += state[rows[b + w], 4] - state[rows[b], 4]
