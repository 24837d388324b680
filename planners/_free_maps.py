"""Compiled kernels: what a free-space search looks up instead of computing: distance fields and contacts."""

from __future__ import annotations

import numpy as np
from numba import float64, int64, types, void

from planners._footprints import _segment_distance2, first_contact, pose_gap, sample_path
from planners._jit import kernel

_READ1 = types.Array(float64, 1, "C", readonly=True)
_READ2 = types.Array(float64, 2, "C", readonly=True)
_READI = types.Array(int64, 1, "C", readonly=True)
_SQRT2 = np.sqrt(2.0)


@kernel(void(_READ2, _READ1, float64, float64[:, ::1]))
def distance_field(capsules, border, cell, out):
    """Lower bound of the distance from anywhere in a cell to an obstacle (inf without), [row, column]."""
    slack = 0.5 * _SQRT2 * cell
    for row in range(out.shape[0]):
        y = border[1] + (row + 0.5) * cell
        for column in range(out.shape[1]):
            x = border[0] + (column + 0.5) * cell
            best = np.inf
            for m in range(capsules.shape[0]):
                best = min(best, np.sqrt(_segment_distance2(x, y, capsules, m)) - capsules[m, 4])
            out[row, column] = best - slack


@kernel(void(_READ2, float64, float64, int64, int64, float64[:, ::1], float64[::1], int64[::1]))
def way_around(field, cell, radius, goal_row, goal_column, out, heap_keys, heap_ids):
    """Lower bound of the way of a disc of ``radius`` to the goal cell, past obstacles, [row, column] (Dijkstra).

    Steps to eight neighbours are at most 1 / cos(pi / 8) longer than the straight way, and a way may begin
    and end anywhere in its cell. The heap needs room for eight entries per cell.
    """
    rows, columns = field.shape
    out[:] = np.inf
    blocked = radius - _SQRT2 * cell  # even the farthest point of the cell touches an obstacle
    out[goal_row, goal_column] = 0.0
    heap_keys[0], heap_ids[0] = 0.0, goal_row * columns + goal_column
    size = 1
    while size > 0:
        key, at = heap_keys[0], heap_ids[0]
        size -= 1
        last_key, last = heap_keys[size], heap_ids[size]
        k = 0
        while 2 * k + 1 < size:
            down = 2 * k + 1
            if down + 1 < size and heap_keys[down + 1] < heap_keys[down]:
                down += 1
            if heap_keys[down] >= last_key:
                break
            heap_keys[k], heap_ids[k] = heap_keys[down], heap_ids[down]
            k = down
        heap_keys[k], heap_ids[k] = last_key, last
        row, column = at // columns, at % columns
        if key > out[row, column]:
            continue
        for r in range(max(0, row - 1), min(rows, row + 2)):
            for q in range(max(0, column - 1), min(columns, column + 2)):
                if field[r, q] < blocked:
                    continue
                way = key + (_SQRT2 * cell if r != row and q != column else cell)
                if way < out[r, q] - 1e-9:
                    out[r, q] = way
                    k = size
                    size += 1
                    while k > 0 and heap_keys[(k - 1) >> 1] > way:
                        heap_keys[k], heap_ids[k] = heap_keys[(k - 1) >> 1], heap_ids[(k - 1) >> 1]
                        k = (k - 1) >> 1
                    heap_keys[k], heap_ids[k] = way, r * columns + q
    shrink = np.cos(np.pi / 8.0)
    for row in range(rows):
        for column in range(columns):
            out[row, column] = max(0.0, out[row, column] * shrink - 2.0 * _SQRT2 * cell)


@kernel(int64(_READ1, _READ2, float64, _READ1, float64[:, ::1]))
def sampled(pose, segments, step, body, out):
    """As ``_footprints.sample_path`` for all rows of ``segments``."""
    return sample_path(pose, segments, segments.shape[0], step, body, out)


@kernel(void(_READ2, _READ1, _READ2, _READI, _READ2, float64, float64, int64[::1]))
def contacts(own, body, samples, offsets, bodies, step, margin, out):
    """Per other vehicle the first interval of contact with ``own``, -1 for none; all stand after their ends."""
    for j in range(offsets.shape[0] - 1):
        count = max(own.shape[0], offsets[j + 1] - offsets[j])
        first, _ = first_contact(
            own, own.shape[0] - 1, count, 0, body, samples, offsets[j : j + 2], bodies[j : j + 1], step, margin
        )
        out[j] = first


@kernel(float64(_READ1, _READ1, _READ2))
def gap_to_obstacles(pose, body, capsules):
    """Gap in metres between a standing body and the nearest obstacle; below 0 inside a disc, inf without."""
    return pose_gap(pose[0], pose[1], pose[2], body, capsules)
