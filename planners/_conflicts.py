"""Compiled kernels of the conflict geometry: which bins of two paths have touching swept footprints.

Symbols
-------
bin k           the closed interval [k step, (k + 1) step] of the rear axle's arc length
corners[k]      the inflated rectangle's four corners at sample k
axes[k]         eight unit vectors on which the hull of corners[k] and corners[k + 1] is tested
outer[k]        cx, cy, ux, uy, half length, half width of a rectangle around all of bin k
inner[k]        the same of the exact inflated rectangle at sample k
mid[k]          x, y, ux, uy of the centre line in the middle of bin k
slack[k]        how far a corner's true arc may leave the hull of its two ends
run             row, first column, last column (both inclusive) of touching bins
piece           a run's part of one class: 1 both bins lie on a shared lane, 0 not

Bins are tested in three stages, cheapest first: outer rectangles apart (no), exact rectangles at the
bins' first samples touch (yes), hulls apart on one of sixteen axes (no), else yes. Stages two and three
decide only the rim of the touching set. Each no is a proof; so the set is never too small.
"""

from __future__ import annotations

import math

from numba import types

from planners._jit import kernel

BLOCK_COUNT = 16
"""Bins per block of the broad phase."""

_F1 = types.Array(types.float64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)
_F3 = types.Array(types.float64, 3, "C", readonly=True)
_I2 = types.Array(types.int64, 2, "C", readonly=True)
_U1 = types.Array(types.uint8, 1, "C", readonly=True)
_I1_OUT = types.Array(types.int64, 1, "C")
_I2_OUT = types.Array(types.int64, 2, "C")
_U1_OUT = types.Array(types.uint8, 1, "C")


@kernel()
def _rectangles_apart(a, i, b, j):  # type: ignore[no-untyped-def]
    """Whether two oriented rectangles have a separating axis (exact: four axes suffice)."""
    dx = b[j, 0] - a[i, 0]
    dy = b[j, 1] - a[i, 1]
    cos = abs(a[i, 2] * b[j, 2] + a[i, 3] * b[j, 3])
    sin = abs(a[i, 2] * b[j, 3] - a[i, 3] * b[j, 2])
    if abs(dx * a[i, 2] + dy * a[i, 3]) > a[i, 4] + b[j, 4] * cos + b[j, 5] * sin:
        return True
    if abs(dy * a[i, 2] - dx * a[i, 3]) > a[i, 5] + b[j, 4] * sin + b[j, 5] * cos:
        return True
    if abs(dx * b[j, 2] + dy * b[j, 3]) > b[j, 4] + a[i, 4] * cos + a[i, 5] * sin:
        return True
    return abs(dy * b[j, 2] - dx * b[j, 3]) > b[j, 5] + a[i, 4] * sin + a[i, 5] * cos


@kernel()
def _span_apart(corners_a, i, corners_b, j, ax, ay, slack):  # type: ignore[no-untyped-def]
    """Whether the hulls of two bins are farther apart than ``slack`` along one axis."""
    a_lo = b_lo = math.inf
    a_hi = b_hi = -math.inf
    for end in range(2):
        for c in range(4):
            p = corners_a[i + end, c, 0] * ax + corners_a[i + end, c, 1] * ay
            a_lo = min(a_lo, p)
            a_hi = max(a_hi, p)
            q = corners_b[j + end, c, 0] * ax + corners_b[j + end, c, 1] * ay
            b_lo = min(b_lo, q)
            b_hi = max(b_hi, q)
    return b_lo - a_hi > slack or a_lo - b_hi > slack


@kernel()
def _hulls_apart(corners_a, axes_a, i, corners_b, axes_b, j, slack):  # type: ignore[no-untyped-def]
    for k in range(8):
        if _span_apart(corners_a, i, corners_b, j, axes_a[i, k, 0], axes_a[i, k, 1], slack):
            return True
        if _span_apart(corners_a, i, corners_b, j, axes_b[j, k, 0], axes_b[j, k, 1], slack):
            return True
    return False


_SIDE = (_F3, _F3, _F2, _F2, _F1, _F2)


@kernel(types.int64(*_SIDE, *_SIDE, _I2_OUT))
def scan(  # type: ignore[no-untyped-def]
    corners_a, axes_a, outer_a, inner_a, slack_a, blocks_a,
    corners_b, axes_b, outer_b, inner_b, slack_b, blocks_b,
    runs,
):  # fmt: skip
    """Write the touching runs in ascending (row, column); return how many there are (may exceed ``runs``)."""
    count = 0
    for i in range(outer_a.shape[0]):
        reach_i = math.hypot(outer_a[i, 4], outer_a[i, 5])
        last = -2
        for block in range(blocks_b.shape[0]):
            reach = reach_i + blocks_b[block, 2]
            if (blocks_b[block, 0] - outer_a[i, 0]) ** 2 + (blocks_b[block, 1] - outer_a[i, 1]) ** 2 > reach * reach:
                continue
            for j in range(block * BLOCK_COUNT, min((block + 1) * BLOCK_COUNT, outer_b.shape[0])):
                if _rectangles_apart(outer_a, i, outer_b, j):
                    continue
                if _rectangles_apart(inner_a, i, inner_b, j) and _hulls_apart(
                    corners_a, axes_a, i, corners_b, axes_b, j, slack_a[i] + slack_b[j]
                ):
                    continue
                if last != j - 1:
                    if count < runs.shape[0]:
                        runs[count, 0] = i
                        runs[count, 1] = j
                    count += 1
                if count <= runs.shape[0]:
                    runs[count - 1, 2] = j
                last = j
    return count


@kernel()
def _level(a, i, b, j, along_m):  # type: ignore[no-untyped-def]
    """How far bin j's centre line is to the side of bin i's, or infinity where the bins are not side by side.

    A path that begins or ends in a lane is taken as going on straight, as far as bodies can touch: who is
    behind a vehicle that starts there follows it.
    """
    dx = b[j, 0] - a[i, 0]
    dy = b[j, 1] - a[i, 1]
    ahead = dx * a[i, 2] + dy * a[i, 3]
    if abs(ahead) <= along_m or (ahead < 0.0 and i == 0) or (ahead > 0.0 and i == a.shape[0] - 1):
        return abs(dy * a[i, 2] - dx * a[i, 3])
    if (ahead > 0.0 and j == 0) or (ahead < 0.0 and j == b.shape[0] - 1):
        return abs(dy * b[j, 2] - dx * b[j, 3])
    return math.inf


@kernel(types.void(_I2, _F2, _F2, types.float64, types.float64, types.float64, _U1_OUT, _U1_OUT, _U1_OUT))
def match(runs, mid_a, mid_b, along_m, lateral_m, cos_min, row_flag, column_flag, near):  # type: ignore[no-untyped-def]
    """Mark rows and columns whose centre lines coincide somewhere in a run.

    ``near[run]`` marks runs where they nearly do (three times the tolerances): the same lane, drawn twice.
    """
    cos_loose = 1.0 - 9.0 * (1.0 - cos_min)
    for n in range(runs.shape[0]):
        i = runs[n, 0]
        for j in range(runs[n, 1], runs[n, 2] + 1):
            side = _level(mid_a, i, mid_b, j, along_m)
            cos = mid_a[i, 2] * mid_b[j, 2] + mid_a[i, 3] * mid_b[j, 3]
            if side <= 3.0 * lateral_m and cos >= cos_loose:
                near[n] = 1
                if side <= lateral_m and cos >= cos_min:
                    row_flag[i] = 1
                    column_flag[j] = 1


@kernel(types.int64(_I2, _U1, _U1, _U1, _I2_OUT))
def split(runs, near, row_flag, column_flag, pieces):  # type: ignore[no-untyped-def]
    """Cut runs into pieces (row, first, last, class, near); return how many (may exceed ``pieces``)."""
    count = 0
    for n in range(runs.shape[0]):
        row_shared = row_flag[runs[n, 0]] == 1 and near[n] == 1
        previous = -1
        for j in range(runs[n, 1], runs[n, 2] + 1):
            shared = 1 if row_shared and column_flag[j] == 1 else 0
            if shared != previous:
                if count < pieces.shape[0]:
                    pieces[count, 0] = runs[n, 0]
                    pieces[count, 1] = j
                    pieces[count, 3] = shared
                    pieces[count, 4] = near[n]
                count += 1
                previous = shared
            if count <= pieces.shape[0]:
                pieces[count - 1, 2] = j
    return count


@kernel()
def _root(parent, n):  # type: ignore[no-untyped-def]
    while parent[n] != n:
        parent[n] = parent[parent[n]]
        n = parent[n]
    return n


@kernel()
def _join(parent, a, b):  # type: ignore[no-untyped-def]
    ra = _root(parent, a)
    rb = _root(parent, b)
    if ra < rb:
        parent[rb] = ra
    else:
        parent[ra] = rb


@kernel(types.void(_I2, _I1_OUT, _U1_OUT))
def label(pieces, parent, flags):  # type: ignore[no-untyped-def]
    """Connected components of pieces of one class (corners count), and where each meets the other class.

    ``parent[n]`` becomes the first piece of n's component; ``flags[n]``: 1 a shared lane lies before the
    piece (at smaller s of either path), 2 after it.
    """
    count = pieces.shape[0]
    for n in range(count):
        parent[n] = n
    below = 0
    for n in range(count):
        row, first, last, kind = pieces[n, 0], pieces[n, 1], pieces[n, 2], pieces[n, 3]
        if n + 1 < count and pieces[n + 1, 0] == row and pieces[n + 1, 1] == last + 1:
            if kind == 0:
                flags[n] |= 2
            else:
                flags[n + 1] |= 1
        while below < count and pieces[below, 0] <= row:
            below += 1
        m = below
        while m < count and pieces[m, 0] == row + 1 and pieces[m, 1] <= last + 1:
            if pieces[m, 2] >= first - 1:
                if pieces[m, 3] == kind:
                    _join(parent, n, m)
                elif pieces[m, 1] <= last and pieces[m, 2] >= first:
                    if kind == 0:
                        flags[n] |= 2
                    else:
                        flags[m] |= 1
            m += 1
    for n in range(count):
        parent[n] = _root(parent, n)
