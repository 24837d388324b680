"""Compiled kernel of the order search for many vehicles: neighbourhoods, by a budget of iterations.

First windows of successive vehicles are searched exactly (``planners/_order_search.py``), from the front to the back
until nothing gets better; then a vehicle, or a platoon of one lane, goes somewhere else in the list, many times, and in
between windows are searched again.
"""

from __future__ import annotations

import numpy as np
from numba import types

from planners._jit import kernel
from planners._order_cells import F1, I1, MODEL, cells_of, place, placed, price
from planners._order_search import explore

_WINDOW, _ROUNDS, _PLATOON, _REACH = 6, 2, 4, 12
"""Vehicles searched exactly at once, rounds of such windows, longest block moved, farthest move."""
_BETTER = 1e-6


@kernel()
def _replay(cells, order, at, low, spent, where):  # type: ignore[no-untyped-def]
    """Fill low[p] and spent[p], what holds before position p, from ``at`` on, and where[v]; returns the whole cost."""
    n = order.shape[0]
    for p in range(at, n):
        k = order[p]
        where[k] = p
        low[p + 1] = low[p]
        spent[p + 1] = spent[p] + price(cells, k, low[p, k])
        place(cells, k, low[p + 1])
    return spent[n]


@kernel()
def _moved(leader, follower, where, order, lo, p, length, to, block, trial):  # type: ignore[no-untyped-def]
    """``trial``: the list with the vehicle at ``p`` and at most ``length`` - 1 followers of its lane put at ``to``.

    The order in lanes is kept: the block goes no farther than its leader and its next follower let it. Returns the
    first position that changed, -1 if none.
    """
    n = order.shape[0]
    block[0] = order[p]
    m = 1
    while m < length and follower[block[m - 1]] >= 0:
        block[m] = follower[block[m - 1]]
        m += 1
    floor, roof = lo, n - m
    if leader[block[0]] >= 0:
        floor = max(floor, where[leader[block[0]]] + 1)
    if follower[block[m - 1]] >= 0:
        roof = min(roof, where[follower[block[m - 1]]] - m)
    to = min(max(to, floor), roof)
    if m == 1 and to == p:
        return -1
    q, b = 0, 0
    for r in range(n + 1):
        if q == to:
            for c in range(m):
                trial[q + c] = block[c]
            q += m
        if r == n:
            break
        if b < m and order[r] == block[b]:  # blocks are in the order of the list
            b += 1
            continue
        trial[q] = order[r]
        q += 1
    for q in range(min(to, p), n):
        if trial[q] != order[q]:
            return q
    return -1


@kernel((MODEL, I1, types.int64, F1, types.int64, types.int64, types.int64, I1))
def improve(model, order, lo, start, moves, budget, seed, out):  # type: ignore[no-untyped-def]
    """Improve order[lo:] in place; returns its cost. ``start``: low of all once order[:lo] is placed.

    ``budget``: lists begun in each window; ``moves``: blocks moved. out[0] counts lists tried, out[1] the moves that
    were better.
    """
    cells, n = cells_of(model), order.shape[0]
    low, spent = np.empty((n + 1, n)), np.zeros(n + 1)
    follower, where = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    for p in range(n):
        where[order[p]] = p
        if cells.leader[p] >= 0:
            follower[cells.leader[p]] = p
    best, trial, found = order.copy(), order.copy(), np.zeros(2, dtype=np.int64)
    scratch, block = np.empty(n), np.empty(_PLATOON, dtype=np.int64)
    low[lo] = start
    cost = _replay(cells, order, lo, low, spent, where)
    tried, better = 0, 0
    size = min(_WINDOW, n - lo)
    again, rounds = True, 0
    while again and rounds < _ROUNDS:
        again = False
        rounds += 1
        for at in range(lo, n - size + 1, max(1, size // 2)):
            total = spent[at] + explore(cells, order, at, at + size, low[at], budget, 0.0, best, found)
            tried += found[0]
            if total < cost - _BETTER:
                order[:] = best
                cost = _replay(cells, order, at, low, spent, where)
                again = True
                better += 1
    state = seed & 0x7FFFFFFF
    for _ in range(moves):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        p = lo + (state >> 8) % (n - lo)
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        length = 1 + (state >> 8) % _PLATOON
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        to = p - _REACH + (state >> 8) % (2 * _REACH + 1)
        at = _moved(cells.leader, follower, where, order, lo, p, length, to, block, trial)
        if at < 0:
            continue
        tried += 1
        scratch[:] = low[at]
        total = spent[at] + placed(cells, trial, at, scratch, cost - _BETTER - spent[at])
        if total < cost - _BETTER:
            order[:] = trial
            cost = _replay(cells, order, at, low, spent, where)
            better += 1
            begin = max(lo, min(at - size // 4, n - size))
            total = spent[begin] + explore(cells, order, begin, begin + size, low[begin], budget, 0.0, best, found)
            tried += found[0]
            if total < cost - _BETTER:
                order[:] = best
                cost = _replay(cells, order, begin, low, spent, where)
    out[0], out[1] = tried, better
    return cost - spent[lo]
