"""Compiled kernel: spatiotemporal hybrid A* of one car-like vehicle among obstacles and timed vehicles.

A node is a pose (x, y, yaw) at a sample of the clock; nodes that share a cell of space, yaw and time are
one. Successors are arcs of equal duration, forward, backward, or waiting. The cost is time, the estimate
the Reeds-Shepp length (and, where the host gives one, the distance around obstacles on a grid). From each
node that is expanded the shortest Reeds-Shepp path to the goal is tried: it ends the search exactly in the
goal pose. Whoever arrives must be able to stay: an arrival counts only after the last vehicle has passed
over the goal.
"""

from __future__ import annotations

import numpy as np
from numba import float64, int64, types

from planners._footprints import (
    CENTRE_SPEED,
    HALF_LENGTH,
    HALF_WIDTH,
    KAPPA,
    OFFSET,
    RADIUS,
    REACH,
    SPEED,
    arc_is_free,
    first_contact,
    interval_is_clear,
    moved,
    sample_path,
)
from planners._jit import kernel
from planners._reeds_shepp import shortest_word

FOUND, EXHAUSTED, BUDGET, GOAL_TAKEN = 1, 0, -1, -2
"""Outcome of a search: a path; none exists on this lattice; nodes used up; another vehicle stays on the goal."""

# Settings of a search, in order.
STEP, MARGIN, CLEARANCE, CELL, CELL_YAW, WEIGHT, BOUND, FIELD_CELL, TIME_MAX, START, TURN, END = range(12)
"""Sample step, gap to other vehicles, gap to obstacles, cell of x and y, cell of yaw, weight of the estimate,
accepted ratio to the best bound, cell of the distance field, latest time; and how many samples a vehicle stands
before it drives off, where it changes gear (or its steering from one side to the other), and where it stops."""

_READ1 = types.Array(float64, 1, "C", readonly=True)
_READ2 = types.Array(float64, 2, "C", readonly=True)
_READI = types.Array(int64, 1, "C", readonly=True)
_DONE = 1e-8
_SHORT_RADII = 0.2
"""Wheels turn from straight to the tightest arc over about this many radii (0.9 m of 5 m for a car at 1.4 m/s)."""


@kernel()
def _push(keys, ids, size, key, node):
    k = size
    while k > 0:
        up = (k - 1) >> 1
        if keys[up] <= key:
            break
        keys[k], ids[k] = keys[up], ids[up]
        k = up
    keys[k], ids[k] = key, node
    return size + 1


@kernel()
def _pop(keys, ids, size):
    size -= 1
    key, node = keys[size], ids[size]
    k = 0
    while True:
        down = 2 * k + 1
        if down >= size:
            break
        if down + 1 < size and keys[down + 1] < keys[down]:
            down += 1
        if keys[down] >= key:
            break
        keys[k], ids[k] = keys[down], ids[down]
        k = down
    keys[k], ids[k] = key, node
    return size


@kernel()
def _slot(table, stamp, cell):
    """Where ``cell`` is in the open-addressed table, or the free place for it."""
    mask = table.shape[0] - 1
    h = cell * int64(-7046029254386353131)
    at = (h ^ (h >> 29)) & mask
    while table[at, 1] == stamp and table[at, 0] != cell:
        at = (at + 1) & mask
    return at


@kernel()
def _cell(x, y, yaw, t, settings, low_x, low_y):
    turn = 2.0 * np.pi
    bins = int64(np.round(turn / settings[CELL_YAW]))
    b = int64(np.floor((yaw - turn * np.floor(yaw / turn)) / turn * bins + 0.5)) % bins
    i = int64(np.floor((x - low_x) / settings[CELL])) & 0x3FFF
    j = int64(np.floor((y - low_y) / settings[CELL])) & 0x3FFF
    return ((t * 256 + b) << 28) | (i << 14) | j


@kernel()
def _to_go(x, y, yaw, goal, body, around, border, field_cell, bend, length, wanted):
    """Least time to the goal, inf where no way leads there; where ``wanted``, the shortest word and its time."""
    dx, dy = goal[0] - x, goal[1] - y
    c, s = np.cos(yaw), np.sin(yaw)
    k = body[KAPPA]
    metres = shortest_word((dx * c + dy * s) * k, (dy * c - dx * s) * k, goal[2] - yaw, wanted, bend, length) / k
    if not wanted and around.shape[0] > 0:
        row = min(max(int((y - border[1]) / field_cell), 0), around.shape[0] - 1)
        column = min(max(int((x - border[0]) / field_cell), 0), around.shape[1] - 1)
        metres = max(metres, around[row, column])
    return metres / body[SPEED]


@kernel()
def last_on_goal(goal, body, samples, offsets, bodies, margin, step):
    """Sample of the clock from which the goal stays free; -1 where another vehicle ends on it."""
    c, s = np.cos(goal[2]), np.sin(goal[2])
    mine = np.zeros(5)
    mine[0], mine[1] = goal[0] + body[OFFSET] * c, goal[1] + body[OFFSET] * s
    mine[2], mine[3] = c, s
    latest = 0
    for j in range(offsets.shape[0] - 1):
        first, last = offsets[j], offsets[j + 1] - 1
        near = body[RADIUS] + bodies[j, RADIUS] + margin + step * bodies[j, CENTRE_SPEED]
        for k in range(last, first - 1, -1):
            if k - first < latest:
                break
            dx, dy = samples[k, 0] - mine[0], samples[k, 1] - mine[1]
            if dx * dx + dy * dy > near * near:
                continue
            if not interval_is_clear(
                mine, mine, samples[k], samples[min(k + 1, last)],
                body[HALF_LENGTH], body[HALF_WIDTH], bodies[j, HALF_LENGTH], bodies[j, HALF_WIDTH], margin,
            ):  # fmt: skip
                if k == last:
                    return -1
                latest = max(latest, k - first + 1)
                break
    return latest


@kernel()
def _pause(v0, kappa0, v1, kappa1, body, settings):
    """Samples for which a vehicle stands between two arcs."""
    if v0 == 0.0:
        return settings[START] if v1 != 0.0 else 0.0
    if v1 == 0.0:
        return settings[END]
    return settings[TURN] if v0 * v1 < 0.0 or abs(kappa1 - kappa0) > 1.01 * body[KAPPA] else 0.0


@kernel()
def _segments_of(bend, length, v0, kappa0, body, settings, parts):
    """The word as segments, with the pauses before and between its arcs: their count, and the time stood."""
    radius = 1.0 / body[KAPPA]
    count, stood = 0, 0.0
    for n in range(5):
        s = length[n] * radius
        if abs(s) < _DONE:
            continue
        kappa, v = bend[n] * body[KAPPA], body[SPEED] if s > 0.0 else -body[SPEED]
        pause = settings[STEP] * _pause(v0, kappa0, v, kappa, body, settings)
        if pause > 0.0:
            parts[count, 0], parts[count, 1], parts[count, 2] = pause, 0.0, 0.0
            count += 1
            stood += pause
        parts[count, 0], parts[count, 1], parts[count, 2] = abs(s) / body[SPEED], kappa, v
        count += 1
        v0 = v
        # On a shorter arc the wheels are still turning: what comes after it is judged by what came before.
        if abs(s) >= _SHORT_RADII * radius:
            kappa0 = kappa
    return count, stood


@kernel()
def _shot_is_free(pose, at, parts, count, body, capsules, border, field, samples, offsets, bodies, settings, hits,
                  scratch):  # fmt: skip
    """Whether the segments ``parts`` can be driven from ``pose`` at sample ``at``."""
    x, y, yaw = pose[0], pose[1], pose[2]
    for n in range(count):
        if parts[n, 2] == 0.0:
            continue
        kappa, s = parts[n, 1], parts[n, 0] * parts[n, 2]
        if not arc_is_free(
            x, y, yaw, s, kappa, body, capsules, border, settings[CLEARANCE], field, settings[FIELD_CELL]
        ):
            return False
        x, y, yaw = moved(x, y, yaw, s, kappa)
    if offsets.shape[0] > 1:
        written = sample_path(pose, parts, count, settings[STEP], body, scratch)
        if written < 0:
            return False
        _, who = first_contact(
            scratch, written - 1, written - 1, at, body, samples, offsets, bodies, settings[STEP], settings[MARGIN]
        )
        if who >= 0:
            hits[who] += 1
            return False
    return True


@kernel()
def _unwind(node, parts, part_count, links, primitives, duration, step, out):
    """The segments from the start to ``node`` and the word behind, equal neighbours merged; -1: out too short.

    ``duration``: samples of one arc; before it the vehicle stands for the rest of the time since its parent.
    """
    depth, n = 0, node
    while links[n, 0] >= 0:
        depth += 1
        n = links[n, 0]
    if 2 * depth + part_count > out.shape[0]:
        return -1
    rows = np.empty((2 * depth + part_count, 3))
    n = node
    for k in range(depth - 1, -1, -1):
        p, parent = links[n, 1], links[n, 0]
        stood = links[n, 2] - links[parent, 2] - duration
        rows[2 * k, 0], rows[2 * k, 1], rows[2 * k, 2] = stood * step, 0.0, 0.0
        rows[2 * k + 1, 0] = duration * step
        rows[2 * k + 1, 1], rows[2 * k + 1, 2] = primitives[p, 0], primitives[p, 1]
        n = parent
    rows[2 * depth :] = parts[:part_count]
    count = 0
    for k in range(rows.shape[0]):
        if rows[k, 0] <= 0.0:
            continue
        if count > 0 and out[count - 1, 1] == rows[k, 1] and out[count - 1, 2] == rows[k, 2]:
            out[count - 1, 0] += rows[k, 0]
        else:
            out[count, 0], out[count, 1], out[count, 2] = rows[k, 0], rows[k, 1], rows[k, 2]
            count += 1
    return count


@kernel(
    types.UniTuple(int64, 3)(
        _READ1, _READ1, _READ1, _READ2, int64, _READ2, _READ1, _READ2, _READ2,
        _READ2, _READI, _READ2, _READ1, int64, int64,
        float64[:, ::1], int64[:, ::1], float64[::1], int64[::1], int64[:, ::1], int64,
        int64[::1], float64[:, ::1], float64[:, ::1],
    )
)  # fmt: skip
def search(  # noqa: PLR0913, PLR0917 - a kernel takes arrays
    start, goal, body, primitives, duration, capsules, border, field, around,
    samples, offsets, bodies, settings, nodes_max, polish,
    poses, links, heap_keys, heap_ids, table, stamp,
    hits, scratch, out,
):  # fmt: skip
    """Find a path from ``start`` to ``goal`` among vehicles whose paths are fixed.

    Parameters
    ----------
    start, goal : float64 [3]
        x, y, yaw of the reference point in W.
    body : float64 [BODY]
        See ``_footprints``.
    primitives : float64 [primitive, 2]
        Curvature and signed speed; (0, 0) waits. Each lasts ``duration`` samples.
    capsules, border, field
        Obstacles [capsule, 5], site (x low, y low, x high, y high), lower bound of the distance to obstacles.
    around : float64 [row, column]
        Lower bound of the way to the goal around obstacles, on the cells of ``field``; empty: not used.
    samples, offsets, bodies
        The other vehicles: samples [sum, 5], where each begins, and their bodies.
    settings : float64 [12]
    nodes_max, polish : int
        Nodes to create, and nodes to expand after the first path, at most.
    poses, links, heap_keys, heap_ids, table, stamp
        Workspaces: float64 [node, 3], int64 [node, 3] (parent, primitive, sample), heap, cells, a number not
        used with this table before.
    hits : int64 [other]
        Written: how often each other vehicle was in the way.
    scratch : float64 [sample, 5]
    out : float64 [segment, 3]
        Written: the path's segments (duration, curvature, signed speed).

    Returns
    -------
    (outcome, segments, nodes)
    """
    step = settings[STEP]
    others = offsets.shape[0] - 1
    hits[:] = 0
    bend, length = np.zeros(5), np.zeros(5)
    best_parts, parts = np.zeros((11, 3)), np.zeros((11, 3))
    longest = int64(max(settings[START], settings[TURN], settings[END]))
    own = np.zeros((longest + duration + 1, 5))
    best_time, best_node, best_count = np.inf, -1, 0
    free_from = last_on_goal(goal, body, samples, offsets, bodies, settings[MARGIN], step)
    if free_from < 0:
        return GOAL_TAKEN, 0, 0
    earliest = free_from * step
    poses[0, 0], poses[0, 1], poses[0, 2] = start[0], start[1], start[2]
    links[0, 0], links[0, 1], links[0, 2] = -1, -1, 0
    h = _to_go(start[0], start[1], start[2], goal, body, around, border, settings[FIELD_CELL], bend, length, False)
    size = _push(heap_keys, heap_ids, 0, max(h * settings[WEIGHT], earliest) + 1e-6 * h, 0)
    created, expanded, left = 1, 0, polish
    outcome = EXHAUSTED
    while size > 0:
        key, node = heap_keys[0], heap_ids[0]
        if best_node >= 0 and (key * settings[BOUND] >= best_time or left <= 0):
            break
        size = _pop(heap_keys, heap_ids, size)
        expanded += 1
        if best_node >= 0:
            left -= 1
        x, y, yaw, at = poses[node, 0], poses[node, 1], poses[node, 2], links[node, 2]
        h = _to_go(x, y, yaw, goal, body, around, border, settings[FIELD_CELL], bend, length, True)
        came_v, came_kappa = 0.0, 0.0
        if links[node, 0] >= 0:
            came_kappa, came_v = primitives[links[node, 1], 0], primitives[links[node, 1], 1]
        count, stood = _segments_of(bend, length, came_v, came_kappa, body, settings, parts)
        arrival = at * step + h + stood
        if arrival < best_time - _DONE and earliest <= arrival <= settings[TIME_MAX]:
            if _shot_is_free(
                poses[node], at, parts, count, body, capsules, border, field, samples, offsets, bodies, settings,
                hits, scratch,
            ):  # fmt: skip
                best_time, best_node, best_count = arrival, node, count
                best_parts[:] = parts
                continue
        if (at + duration) * step > settings[TIME_MAX]:
            continue
        c, s = np.cos(yaw), np.sin(yaw)
        for p in range(primitives.shape[0]):
            kappa, v = primitives[p, 0], primitives[p, 1]
            nx, ny, nyaw = moved(x, y, yaw, v * duration * step, kappa)
            lead = int64(_pause(came_v, came_kappa, v, kappa, body, settings))
            after = at + lead + duration
            slot = _slot(table, stamp, _cell(nx, ny, nyaw, after // duration, settings, border[0], border[1]))
            if table[slot, 1] == stamp:
                continue
            h = _to_go(nx, ny, nyaw, goal, body, around, border, settings[FIELD_CELL], bend, length, False)
            key = after * step + h * settings[WEIGHT]
            if not h < np.inf or key >= best_time:
                continue
            if v != 0.0 and not arc_is_free(
                x, y, yaw, v * duration * step, kappa, body, capsules, border, settings[CLEARANCE], field,
                settings[FIELD_CELL],
            ):  # fmt: skip
                continue
            if others > 0:
                stray = 0.125 * (v * step) ** 2 * (abs(kappa) + kappa * kappa * body[REACH])
                for k in range(lead + duration + 1):
                    px, py, pyaw = moved(x, y, yaw, v * max(0, k - lead) * step, kappa)
                    if kappa != 0.0:
                        cs, sn = np.cos(pyaw), np.sin(pyaw)
                    else:
                        cs, sn = c, s
                    own[k, 0], own[k, 1] = px + body[OFFSET] * cs, py + body[OFFSET] * sn
                    own[k, 2], own[k, 3], own[k, 4] = cs, sn, stray
                _, who = first_contact(
                    own, lead + duration, lead + duration, at, body, samples, offsets, bodies, step, settings[MARGIN]
                )
                if who >= 0:
                    hits[who] += 1
                    continue
            if created >= nodes_max:
                outcome = BUDGET
                size = 0
                break
            table[slot, 0] = _cell(nx, ny, nyaw, after // duration, settings, border[0], border[1])
            table[slot, 1] = stamp
            poses[created, 0], poses[created, 1], poses[created, 2] = nx, ny, nyaw
            links[created, 0], links[created, 1], links[created, 2] = node, p, after
            size = _push(heap_keys, heap_ids, size, max(key, earliest) + 1e-6 * h, created)
            created += 1
    if best_node < 0:
        return outcome, 0, created
    return FOUND, _unwind(best_node, best_parts, best_count, links, primitives, duration, step, out), created
