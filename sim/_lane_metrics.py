"""Compiled kernels of the metrics along lanes: projection on paths, common lanes, following.

Symbols: p, q paths; s arc length along a path; v, w speeds of follower and leader; ``points`` [point, 3]
holds x, y, yaw of all paths one after the other, ``path_start`` where each begins. The tests
hold them against analytic scenes and the ad-rss library.
"""

from __future__ import annotations

import math

from planners._jit import kernel
from sim._metrics import turn_between

F1, F2, F3 = "float64[::1]", "float64[:,::1]", "float64[:,:,::1]"
I1, I2 = "int64[::1]", "int64[:,::1]"


@kernel(f"void({I1}, {I1}, {F2}, {F1}, {I1}, {I1}, {F2}, {F1}, {F2})")
def project(start, rows, state, rear_to_centre, path_of, path_start, points, step, out):
    """Rear axle of each row on its vehicle's path: ``out`` [row, 2] = s, lateral offset (nan: no path).

    ``rows[start[v]:start[v + 1]]`` are the rows of vehicle v in time order. The first row searches the
    whole path, later ones walk from the last point, which keeps loops and self-crossings apart.
    """
    for v in range(len(start) - 1):
        p = path_of[v]
        near = -1
        for r in range(start[v], start[v + 1]):
            row = rows[r]
            if p < 0:
                out[row, 0], out[row, 1] = math.nan, math.nan
                continue
            lo, hi = path_start[p], path_start[p + 1]
            c, s = math.cos(state[row, 2]), math.sin(state[row, 2])
            x, y = state[row, 0] - rear_to_centre[v] * c, state[row, 1] - rear_to_centre[v] * s
            if near < 0:
                best = math.inf
                for k in range(lo, hi):
                    d = (points[k, 0] - x) ** 2 + (points[k, 1] - y) ** 2
                    if d < best:
                        best, near = d, k
            else:
                while near + 1 < hi and (points[near + 1, 0] - x) ** 2 + (points[near + 1, 1] - y) ** 2 < (
                    (points[near, 0] - x) ** 2 + (points[near, 1] - y) ** 2
                ):
                    near += 1
                while near > lo and (points[near - 1, 0] - x) ** 2 + (points[near - 1, 1] - y) ** 2 < (
                    (points[near, 0] - x) ** 2 + (points[near, 1] - y) ** 2
                ):
                    near -= 1
            c, s = math.cos(points[near, 2]), math.sin(points[near, 2])
            dx, dy = x - points[near, 0], y - points[near, 1]
            out[row, 0] = (near - lo) * step[p] + c * dx + s * dy
            out[row, 1] = -s * dx + c * dy


@kernel(f"void({I1}, {F2}, {F1}, float64, float64, {F3}, {F3})")
def lane_table(path_start, points, step, bin_m, yaw_max, along, across):
    """For each pair of paths where a point of q lies on p: ``along[p, q, bin]`` = s on p (nan: nowhere).

    Only points of p whose heading differs by at most ``yaw_max`` count; ``across`` is the distance.
    Along p the distance changes by at most one step per point, so far points are skipped.
    """
    count = len(path_start) - 1
    for p in range(count):
        for q in range(count):
            for b in range(along.shape[2]):
                along[p, q, b], across[p, q, b] = math.nan, math.inf
                k = path_start[q] + int(round(b * bin_m / step[q]))
                if k >= path_start[q + 1]:
                    continue
                m = path_start[p]
                while m < path_start[p + 1]:
                    d = math.hypot(points[m, 0] - points[k, 0], points[m, 1] - points[k, 1])
                    turn = turn_between(points[m, 2], points[k, 2])
                    if d < across[p, q, b] and turn <= yaw_max:
                        across[p, q, b], along[p, q, b] = d, (m - path_start[p]) * step[p]
                    m += max(1, int((d - 5.0) / step[p]))
                if across[p, q, b] > 5.0:
                    along[p, q, b] = math.nan


@kernel(f"int64({I1}, {I1}, {F2}, {F2}, {F2}, {I1}, {F2}, {F3}, {F3}, float64, {F1}, {I1}, {I2})")
def following(first, vehicle, state, half, lane, path_of, ends, along, across, bin_m, best, best_rows, unsafe):
    """Least time to collision into ``best[0]`` and rows of (follower, leader) closer than RSS allows.

    ``lane``: [row, 2] from :func:`project`. ``ends``: [vehicle, 7] front_m and rear_m from the rear axle, then RSS
    response time, acceleration, least and most braking, and 1 if violations of this follower count.
    The leader is the nearest vehicle ahead whose place on the follower's path is known and whose width
    overlaps the follower's. Returns the number of unsafe (pair, instant)s; those that fit are stored.
    """
    best[0] = math.inf
    count = 0
    for k in range(len(first) - 1):
        for i in range(first[k], first[k + 1]):
            a = vehicle[i]
            p = path_of[a]
            if p < 0 or abs(lane[i, 1]) > half[a, 1] * 2.0:
                continue
            front, nearest, leader = lane[i, 0] + ends[a, 0], math.inf, -1
            for j in range(first[k], first[k + 1]):
                b = vehicle[j]
                q = path_of[b]
                if j == i or q < 0:
                    continue
                x = lane[j, 0] / bin_m
                c = int(x)
                if x < 0.0 or c + 1 >= along.shape[2]:
                    continue
                s = along[p, q, c] + (along[p, q, c + 1] - along[p, q, c]) * (x - c)
                if not s - ends[b, 1] >= lane[i, 0] or s >= nearest:
                    continue
                if across[p, q, c] + abs(lane[j, 1]) >= half[a, 1] + half[b, 1]:
                    continue
                nearest, leader = s, j
            if leader < 0:
                continue
            b = vehicle[leader]
            gap = max(0.0, nearest - ends[b, 1] - front)
            v, w = max(0.0, state[i, 3]), max(0.0, state[leader, 3])
            if v > w and gap / (v - w) < best[0]:
                best[0], best_rows[0], best_rows[1] = gap / (v - w), i, leader
            rho, acc, brake_min, brake_max = ends[a, 2], ends[a, 3], ends[a, 4], ends[a, 5]
            after = v + rho * acc
            need = v * rho + 0.5 * acc * rho * rho + after * after / (2.0 * brake_min) - w * w / (2.0 * brake_max)
            if ends[a, 6] > 0.0 and gap < need:
                if count < len(unsafe):
                    unsafe[count, 0], unsafe[count, 1] = i, leader
                count += 1
    return count
