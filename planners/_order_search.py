"""Compiled kernel of the order search: the best list of a few vehicles, exactly.

Theory of operation. Costs grow with tau. So, of all vehicles not placed yet, only their least tau matter
(``planners/_order_cells.py``), and the sum of the costs at these is a lower bound on what any continuation costs:
branch and bound. Who follows in a lane goes no earlier than its leader's least tau lets it. Of two
lists of the same vehicles the one whose bounds and cost are nowhere higher makes the other superfluous; this also
stops lists that differ only in the order of vehicles that do not meet.

Symbols
-------
order      a list of vehicles; ``order[lo:hi]`` is being searched, what is before and after it stands
tail       ``order[lo:]``
mask       which of the searched ones are placed: bit q for tail[q]
"""

from __future__ import annotations

import numpy as np
from numba import types

from planners._jit import kernel
from planners._order_cells import F1, I1, MODEL, cells_of, place, placed, price, raised

WINDOW_MAX = 12
"""Most vehicles that are searched exactly at once: fronts are kept for each subset of them."""
_FRONT = 6
"""Most lists kept of each subset; more are searched in vain at worst."""
_SAME = 1e-9


@kernel()
def _dominated(mask, cost, low, tail, size, kept, kept_cost, kept_low):  # type: ignore[no-untyped-def]
    """Whether a list of the same vehicles is known that is nowhere worse; else this one is kept if there is room."""
    count = tail.shape[0]
    for f in range(kept[mask]):
        if kept_cost[mask, f] > cost + _SAME:
            continue
        worse = False
        for r in range(count):
            if r < size and mask >> r & 1:
                continue
            if kept_low[mask, f, r] > low[tail[r]] + _SAME:
                worse = True
                break
        if not worse:
            return True
    if kept[mask] < _FRONT:
        f = kept[mask]
        kept[mask] += 1
        kept_cost[mask, f] = cost
        for r in range(count):
            kept_low[mask, f, r] = low[tail[r]]
    return False


@kernel()
def _bounded(cells, tail, ahead, mask, before, low, costs):  # type: ignore[no-untyped-def]
    """Raise ``low`` of who is not placed behind its leader, where that was raised since ``before``; sum of ``costs``.

    ``costs`` [place in the tail] are those at ``before`` and become those at ``low``.
    """
    total = 0.0
    for r in range(tail.shape[0]):
        if r < WINDOW_MAX and mask >> r & 1:
            continue
        j, lead = tail[r], ahead[r]
        if lead >= 0 and not (lead < WINDOW_MAX and mask >> lead & 1) and low[tail[lead]] > before[tail[lead]]:
            raised(cells, tail[lead], j, low)
        if low[j] > before[j]:
            costs[r] = price(cells, j, low[j])
        total += costs[r]
    return total


@kernel()
def explore(cells, order, lo, hi, start, budget, gap, best, out):  # type: ignore[no-untyped-def]
    """As :func:`search`, on straight lines."""
    n, size = order.shape[0], hi - lo
    tail = order[lo:].copy()
    count = tail.shape[0]
    best[:] = order
    trial = start.copy()
    best_cost = placed(cells, order, lo, trial, np.inf)
    position, ahead = np.full(n, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    for r in range(count):
        position[tail[r]] = r
    for r in range(count):
        if cells.leader[tail[r]] >= 0:
            ahead[r] = position[cells.leader[tail[r]]]
    low, costs = np.empty((size + 1, n)), np.empty((size + 1, count))
    child_low, child_costs = np.empty((size, size, n)), np.empty((size, size, count))
    spent, mask = np.zeros(size + 1), np.zeros(size + 1, dtype=np.int64)
    child, child_bound = np.empty((size, size), dtype=np.int64), np.empty((size, size))
    child_count, child_next = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    kept = np.zeros(1 << size, dtype=np.int64)
    kept_cost, kept_low = np.empty((1 << size, _FRONT)), np.empty((1 << size, _FRONT, count))
    low[0], trial[:] = start, -np.inf
    _bounded(cells, tail, ahead, 0, trial, low[0], costs[0])
    nodes, depth, full = 0, 0, True
    fresh = True
    while depth >= 0:
        limit = best_cost - gap * abs(best_cost) - _SAME
        if fresh:
            fresh = False
            child_count[depth] = child_next[depth] = 0
            for q in range(size):
                if mask[depth] >> q & 1 or (ahead[q] >= 0 and not mask[depth] >> ahead[q] & 1):
                    continue
                after, prices = child_low[depth, q], child_costs[depth, q]
                after[:], prices[:] = low[depth], costs[depth]
                place(cells, tail[q], after)
                rest = _bounded(cells, tail, ahead, mask[depth] | 1 << q, low[depth], after, prices)
                bound = spent[depth] + costs[depth, q] + rest
                if bound >= limit:
                    continue
                at = child_count[depth]
                while at > 0 and child_bound[depth, at - 1] > bound:
                    child[depth, at], child_bound[depth, at] = child[depth, at - 1], child_bound[depth, at - 1]
                    at -= 1
                child[depth, at], child_bound[depth, at] = q, bound
                child_count[depth] += 1
        at = child_next[depth]
        if at == child_count[depth] or child_bound[depth, at] >= limit:
            depth -= 1
            continue
        child_next[depth] += 1
        nodes += 1
        if nodes > budget:
            full = False
            break
        q = child[depth, at]
        low[depth + 1], costs[depth + 1] = child_low[depth, q], child_costs[depth, q]
        spent[depth + 1] = spent[depth] + costs[depth, q]
        mask[depth + 1] = mask[depth] | 1 << q
        if depth + 1 == size:
            total = spent[size] + placed(cells, order, hi, low[size], best_cost - spent[size])
            if total < best_cost - _SAME:
                best_cost = total
                for d in range(size):
                    best[lo + d] = tail[child[d, child_next[d] - 1]]
        elif not _dominated(mask[depth + 1], spent[depth + 1], low[depth + 1], tail, size, kept, kept_cost, kept_low):
            depth += 1
            fresh = True
    out[0], out[1] = nodes, 1 if full else 0
    return best_cost


@kernel((MODEL, I1, types.int64, types.int64, F1, types.int64, types.float64, I1, I1))
def search(model, order, lo, hi, start, budget, gap, best, out):  # type: ignore[no-untyped-def]
    """Find the cheapest order of order[lo:hi], everything else as it is; returns its cost (of order[lo:]).

    ``start``: low of every vehicle once order[:lo] is placed. ``best`` becomes the whole list. At most ``budget`` lists
    are begun; those that can save no more than ``gap`` of the cost are not followed. out[0] counts them, out[1] is 1
    if the search was complete.
    """
    return explore(cells_of(model), order, lo, hi, start, budget, gap, best, out)
