"""Compiled kernels of blocking: where and when earlier plans keep a vehicle out, on one grid of time.

Every plan is sampled at the same instants, ``CELL_MS`` apart. Conflict tables of all pairs lie in one flat
array (``bins``); an *item* is one conflict set between the vehicle being planned and one
obstacle: columns of ``items`` are row of the obstacle, offset into it, first bin, bin count, and
whether the set is a shared lane (headway) or not (crossing). All tests count a whole cell of time
at its worst end, so they are sound between the instants too.

Symbols
-------
bins            rows lo and hi of each bin, then near and far: the least lo from it on, the highest hi up to it
rows[r, n]      s_j of obstacle r at instant n; inf once it has left the map
state[c]        of item c: 0 undecided, 1 the vehicle passes after, 2 before because it is already there
pad[k], gap[k]  time buffer in cells and distance in metres; k = 0 crossing, 1 headway
"""

from __future__ import annotations

import math

from numba import types

from planners._jit import kernel

CELL_MS = 50

_F1 = types.Array(types.float64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)
_I1 = types.Array(types.int64, 1, "C", readonly=True)
_I2 = types.Array(types.int64, 2, "C", readonly=True)
_F2_OUT = types.Array(types.float64, 2, "C")
_F1_OUT = types.Array(types.float64, 1, "C")
_I1_OUT = types.Array(types.int64, 1, "C")


@kernel()
def _first_open(far, k, end, s):  # type: ignore[no-untyped-def]
    """The first of bins k..end that an obstacle at ``s`` has yet to pass."""
    while k < end and far[k] < s:
        step = 1
        while k + step < end and far[k + step] < s:
            k += step
            step *= 2
        k += 1
    return k


@kernel((_I2, _F1, _F1, _F2, types.float64, types.int64, _I1_OUT))
def who_is_ahead(items, steps, far, rows, s, n0, state):  # type: ignore[no-untyped-def]
    """Set state to 2 where the vehicle at ``s`` is beyond the first bin that the obstacle has yet to pass."""
    for c in range(items.shape[0]):
        row, offset, first, count = items[c, 0], items[c, 1], items[c, 2], items[c, 3]
        k = _first_open(far[offset : offset + count], 0, count, rows[row, n0])
        state[c] = 2 if k < count and (first + k) * steps[c] < s else 0


@kernel((_I2, _F1, _I1, _F1, _F2, _I1, _F1, types.int64, types.int64, _F1_OUT))
def barrier(items, steps, state, far, rows, pad, gap, kind, n0, out):  # type: ignore[no-untyped-def]
    """Lower ``out`` [instant] to where passing after each item of ``kind`` allows the rear axle to be.

    A bin is open once the obstacle was past its ``far`` (and ``gap``) a time ``pad`` ago; out[n] is the start
    of the first bin that is not.
    """
    last = out.shape[0] - 1
    for c in range(items.shape[0]):
        if state[c] != 1 or items[c, 4] != kind:
            continue
        other, offset, first, count = rows[items[c, 0]], items[c, 1], items[c, 2], items[c, 3]
        bins, later = far[offset : offset + count], pad[kind]
        k, n = 0, n0
        while n <= last:
            k = _first_open(bins, k, count, other[max(0, n - later)] - gap[kind])
            if k == count:
                break
            end, place = n + 1, (first + k) * steps[c]
            while end <= last and other[max(0, end - later)] - gap[kind] <= bins[k]:
                end += 1
            run = out[n:end]
            for q in range(end - n):
                run[q] = place if place < run[q] else run[q]
            n = end


@kernel((_F1, _F1, types.int64, types.float64, types.float64, _F1_OUT, _F1_OUT))
def constraints(free, start_step, n0, v_max, margin, con_t, con_u):  # type: ignore[no-untyped-def]
    """The few (t, s) that say the same as the barrier ``free`` [instant]; returns their number.

    ``start_step`` holds the grid's first instant and its step. Within cell n the barrier is free[n] and
    binds most at the cell's end. A pair that follows from the one before and ``v_max`` is left out.
    """
    count = 0
    t, u = -math.inf, math.inf
    last = free.shape[0] - 1
    for n in range(n0, last + 1):
        if free[n] == math.inf:
            break
        if n < last and free[n + 1] == free[n]:
            continue
        end = start_step[0] + (n + 1) * start_step[1]
        if count and free[n] - margin >= u + v_max * (end - t) and n < last:
            continue
        t, u = end, free[n] - margin
        con_t[count], con_u[count] = t, u
        count += 1
    return count


@kernel((_I2, _F1, _I1, _F1, _F2, _I1, _F1, _I1, _F1, _F1, types.int64, types.float64, _F2_OUT, _F1_OUT))
def lower(items, steps, state, far, rows, pad, gap, no_pad, no_gap, braking, n0, margin, work, free):  # type: ignore[no-untyped-def]
    """Fill ``free`` [instant] with the barrier of all items with state 1; the first cell that is hopeless, or -1.

    On shared lanes buffers that ``braking`` [instant] (positions when braking at once) cannot keep are
    given up for just that motion, the geometry is not; hopeless is a cell in which even that is violated.
    Crossing buffers are kept whole. ``work``: float64 [1, instant] and ``margin`` as for constraints.
    """
    last = free.shape[0] - 1
    free[:] = math.inf
    barrier(items, steps, state, far, rows, pad, gap, 1, n0, free)
    late = n0
    while late < last and braking[late + 1] + margin <= free[late]:
        late += 1
    if late < last:
        hard = work[0]
        hard[:] = math.inf
        barrier(items, steps, state, far, rows, no_pad, no_gap, 1, n0, hard)
        for n in range(late, last):
            if braking[n + 1] + margin > free[n]:
                if braking[n + 1] > hard[n] + 1e-9:
                    return n
                free[n] = braking[n + 1] + 2.0 * margin
    barrier(items, steps, state, far, rows, pad, gap, 0, n0, free)
    return -1


@kernel((_I2, _F1, _I1, types.int64, _F2, _F2, _I1, _F1, _F1, types.int64, _I1_OUT))
def clash(items, steps, state, wanted, bins, rows, pad, gap, own, n0, found):  # type: ignore[no-untyped-def]
    """First cell in which the vehicle's positions ``own`` [instant] meet an item whose state is ``wanted``.

    They meet if within a cell the vehicle is in a bin and the obstacle, at any time up to ``pad`` cells
    earlier or later, within ``gap`` of [lo, hi]. ``found[0]`` becomes the item, -1 for none; returns the cell.
    """
    last = own.shape[0] - 1
    best = last
    found[0] = -1
    for c in range(items.shape[0]):
        if state[c] != wanted:
            continue
        other, offset, first, count = rows[items[c, 0]], items[c, 1], items[c, 2], items[c, 3]
        later, apart, step = pad[items[c, 4]], gap[items[c, 4]], steps[c]
        lo, hi = bins[0, offset : offset + count], bins[1, offset : offset + count]
        near, far = bins[2, offset : offset + count], bins[3, offset : offset + count]
        begin, end = first * step, (first + count) * step
        if other[last] + apart < near[0] or other[max(0, n0 - later)] - apart > far[count - 1]:
            continue  # it never comes there, or is beyond
        n, high = n0, best
        while n < high:
            mid = (n + high) // 2
            if own[mid + 1] < begin:
                n = mid + 1
            else:
                high = mid
        while n < best and own[n] <= end:
            early = other[max(0, n - later)] - apart
            late = other[min(last, n + 1 + later)] + apart
            if early > far[count - 1]:
                break
            k = max(0, int(math.floor((own[n] - begin) / step)))
            if k < count and late < near[k]:
                n += 1
                continue
            top = min(count - 1, int(math.floor((min(own[n + 1], end) - begin) / step)))
            while k <= top:
                if lo[k] <= late and hi[k] >= early:
                    best, found[0] = n, c
                    break
                k += 1
            n += 1
    return best
