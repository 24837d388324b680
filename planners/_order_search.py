"""Compiled kernels of the order search: the best list of vehicles, exactly for a few, by neighbourhoods for many.

Theory of operation. In the order model (``planners/_order_tables.py``) a vehicle's plan is one number, tau, and "j
after i"
is a lower bound on tau[j] that grows with tau[i]. Vehicles are placed in the order of a list, each at its least tau
after all before it that it meets; costs grow with tau. So, of all vehicles not placed yet, only their bounds matter,
and the sum of the costs at these bounds is a lower bound on what any continuation costs: branch and bound. Of two
lists of the same vehicles the one whose bounds and cost are nowhere higher makes the other superfluous; this also
stops lists that differ only in the order of vehicles that do not meet.

Symbols
-------
model      tables, see :class:`Model`; vehicles are numbered in first-come order
order      a list of vehicles; ``order[lo:hi]`` is being searched, what is before and after it stands
low[v]     least tau of v after what is placed
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from planners._jit import kernel

WINDOW_MAX = 12
"""Most vehicles that are searched exactly at once: fronts are kept for each subset of them."""
_FRONT = 6
"""Most lists kept of each subset; more are searched in vain at worst."""
_SAME = 1e-9
_WINDOW, _ROUNDS, _PLATOON, _REACH = 8, 4, 4, 12
"""Of the neighbourhoods: vehicles searched exactly at once, rounds of such windows, longest block moved, farthest
move."""
_BEYOND = 1e6
"""Cost of one vehicle that breaks a hard limit: more than all delays of a crowd."""


class Model(NamedTuple):
    """The order model as kernels take it."""

    tau: npt.NDArray[np.float64]
    """[vehicle, grid]"""
    cost: npt.NDArray[np.float64]
    """[vehicle, grid]: at that tau; beyond the last one its line goes on."""
    after: npt.NDArray[np.float64]
    """[i, j, grid of i]: least tau of j behind i; -inf if they never meet, inf if that cannot be."""
    shut: npt.NDArray[np.float64]
    """[interval, 2]: tau closed by fixed plans, disjoint and ascending for each vehicle"""
    shut_from: npt.NDArray[np.int64]
    """[vehicle + 1]: whose intervals are where"""
    limit: npt.NDArray[np.float64]
    """[vehicle]: tau beyond which a hard limit is broken"""
    refused: npt.NDArray[np.float64]
    """[vehicle]: cost of getting no plan"""
    leader: npt.NDArray[np.int64]
    """[vehicle]: who must be placed before; -1: nobody"""


_F1 = types.Array(types.float64, 1, "C")
_F2 = types.Array(types.float64, 2, "C")
_F3 = types.Array(types.float64, 3, "C")
_I1 = types.Array(types.int64, 1, "C")
_MODEL = types.NamedTuple((_F2, _F2, _F3, _F2, _I1, _F1, _F1, _I1), Model)


@kernel()
def _cell(model, v, tau):  # type: ignore[no-untyped-def]
    """(grid point, share) of ``tau`` between it and the next; beyond the last one the share exceeds 1."""
    last = model.tau.shape[1] - 1
    g = 0
    while g < last - 1 and tau >= model.tau[v, g + 1]:
        g += 1
    return g, (tau - model.tau[v, g]) / (model.tau[v, g + 1] - model.tau[v, g])


@kernel()
def _cost(model, v, tau):  # type: ignore[no-untyped-def]
    """Cost of ``v`` going at ``tau``."""
    if tau == math.inf:
        return model.refused[v]
    g, share = _cell(model, v, tau)
    low = model.cost[v, g]
    value = low + share * (model.cost[v, g + 1] - low)
    if tau > model.limit[v]:
        value += _BEYOND
    return value


@kernel()
def _open(model, v, tau):  # type: ignore[no-untyped-def]
    """The least tau from ``tau`` on that no fixed plan closes."""
    for c in range(model.shut_from[v], model.shut_from[v + 1]):
        if tau <= model.shut[c, 0]:
            break
        tau = max(tau, model.shut[c, 1])
    return tau


@kernel()
def _behind(model, i, g, share, j):  # type: ignore[no-untyped-def]
    """Least tau of j behind i, which goes at (g, share)."""
    a = model.after[i, j, g]
    if a == math.inf:
        return a
    b = model.after[i, j, g + 1]
    if b == -math.inf:
        return b
    if a == -math.inf:
        a = model.tau[j, 0]
    if b == math.inf:
        return a if share <= 0.0 else b
    return a + share * (b - a)


@kernel()
def _place(model, k, low, rest, count):  # type: ignore[no-untyped-def]
    """Place ``k`` at low[k]: raise ``low`` of the vehicles rest[:count] that it meets."""
    if low[k] == math.inf:
        for n in range(count):
            if model.leader[rest[n]] == k:  # it stands in its lane, and nobody gets past
                low[rest[n]] = math.inf
        return
    g, share = _cell(model, k, low[k])
    for n in range(count):
        j = rest[n]
        if j == k or model.after[k, j, g + 1] == -math.inf:
            continue
        least = _behind(model, k, g, share, j)
        if least > low[j]:
            low[j] = _open(model, j, least)


@kernel((_MODEL, _F1))
def alone(model, low):  # type: ignore[no-untyped-def]
    """``low`` of every vehicle if only the fixed plans are in its way."""
    for v in range(low.shape[0]):
        low[v] = _open(model, v, model.tau[v, 0])


@kernel((_MODEL, _I1, types.int64, _F1))
def evaluate(model, order, lo, low):  # type: ignore[no-untyped-def]
    """Place order[lo:] one after another from ``low`` (which becomes their tau); returns what they cost."""
    total, n = 0.0, order.shape[0]
    for p in range(lo, n):
        total += _cost(model, order[p], low[order[p]])
        _place(model, order[p], low, order[p + 1 :], n - p - 1)
    return total


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


@kernel((_MODEL, _I1, types.int64, types.int64, _F1, types.int64, types.float64, _I1, _I1))
def search(model, order, lo, hi, start, budget, gap, best, out):  # type: ignore[no-untyped-def]
    """Find the cheapest order of order[lo:hi], everything else as it is; returns its cost (of order[lo:]).

    ``start``: low of every vehicle once order[:lo] is placed. ``best`` becomes the whole list. At most ``budget`` lists
    are begun; those that can save no more than ``gap`` of the cost are not followed. out[0] counts them, out[1] is 1
    if the search was complete.
    """
    n, size = order.shape[0], hi - lo
    tail = order[lo:].copy()
    count = tail.shape[0]
    best[:] = order
    first = start.copy()
    best_cost = evaluate(model, order, lo, first)
    low = np.empty((size + 1, n))
    low[0] = start
    spent = np.zeros(size + 1)
    mask = np.zeros(size + 1, dtype=np.int64)
    child = np.empty((size + 1, size), dtype=np.int64)
    child_bound = np.empty((size + 1, size))
    child_count = np.zeros(size + 1, dtype=np.int64)
    child_next = np.zeros(size + 1, dtype=np.int64)
    chosen = np.empty(size, dtype=np.int64)
    position = np.full(n, -1, dtype=np.int64)
    for q in range(size):
        position[tail[q]] = q
    kept = np.zeros(1 << size, dtype=np.int64)
    kept_cost = np.empty((1 << size, _FRONT))
    kept_low = np.empty((1 << size, _FRONT, count))
    trial = np.empty(n)
    nodes, depth, full = 0, 0, True
    fresh = True
    while depth >= 0:
        if fresh:
            fresh = False
            child_count[depth] = child_next[depth] = 0
            for q in range(size):
                k = tail[q]
                if mask[depth] >> q & 1:
                    continue
                leader = model.leader[k]
                if leader >= 0 and position[leader] >= 0 and not mask[depth] >> position[leader] & 1:
                    continue
                bound = spent[depth] + _cost(model, k, low[depth, k])
                trial[:] = low[depth]
                _place(model, k, trial, tail, count)
                for r in range(count):
                    j = tail[r]
                    if j == k or (r < size and mask[depth] >> r & 1):
                        continue
                    ahead = model.leader[j]
                    if ahead >= 0 and ahead != k and position[ahead] >= 0 and trial[ahead] < math.inf:
                        if not mask[depth] >> position[ahead] & 1:
                            g, share = _cell(model, ahead, trial[ahead])
                            least = _behind(model, ahead, g, share, j)
                            if least > trial[j]:
                                trial[j] = _open(model, j, least)
                    bound += _cost(model, j, trial[j])
                if bound >= best_cost - gap * abs(best_cost) - _SAME:
                    continue
                at = child_count[depth]
                while at > 0 and child_bound[depth, at - 1] > bound:
                    child[depth, at], child_bound[depth, at] = child[depth, at - 1], child_bound[depth, at - 1]
                    at -= 1
                child[depth, at], child_bound[depth, at] = k, bound
                child_count[depth] += 1
        if child_next[depth] == child_count[depth]:
            depth -= 1
            continue
        at = child_next[depth]
        child_next[depth] += 1
        if child_bound[depth, at] >= best_cost - gap * abs(best_cost) - _SAME:
            child_next[depth] = child_count[depth]
            continue
        nodes += 1
        if nodes > budget:
            full = False
            break
        k = child[depth, at]
        chosen[depth] = k
        low[depth + 1] = low[depth]
        spent[depth + 1] = spent[depth] + _cost(model, k, low[depth, k])
        mask[depth + 1] = mask[depth] | 1 << position[k]
        _place(model, k, low[depth + 1], tail, count)
        if depth + 1 == size:
            trial[:] = low[depth + 1]
            total = spent[depth + 1] + evaluate(model, order, hi, trial)
            if total < best_cost - _SAME:
                best_cost = total
                for q in range(size):
                    best[lo + q] = chosen[q]
            continue
        if _dominated(mask[depth + 1], spent[depth + 1], low[depth + 1], tail, size, kept, kept_cost, kept_low):
            continue
        depth += 1
        fresh = True
    out[0], out[1] = nodes, 1 if full else 0
    return best_cost


@kernel()
def _replay(model, order, at, low, spent):  # type: ignore[no-untyped-def]
    """Fill low[p] and spent[p], what holds before position p, from ``at`` on; returns the whole cost."""
    n = order.shape[0]
    for p in range(at, n):
        k = order[p]
        low[p + 1] = low[p]
        spent[p + 1] = spent[p] + _cost(model, k, low[p, k])
        _place(model, k, low[p + 1], order[p + 1 :], n - p - 1)
    return spent[n]


@kernel()
def _moved(model, order, lo, p, length, to, follower, trial):  # type: ignore[no-untyped-def]
    """``trial``: the list with the vehicle at ``p`` and up to ``length`` - 1 followers of its lane, as one block, at
    ``to``.

    The order in lanes is kept: the block goes no farther than its leader and its next follower let it. Returns the
    first position
    that changed, -1 if none.
    """
    n = order.shape[0]
    where = np.empty(n, dtype=np.int64)
    for q in range(n):
        where[order[q]] = q
    block = np.empty(length, dtype=np.int64)
    block[0] = order[p]
    m = 1
    while m < length and follower[block[m - 1]] >= 0:
        block[m] = follower[block[m - 1]]
        m += 1
    floor, roof = lo, n - m
    leader = model.leader[block[0]]
    if leader >= 0:
        floor = max(floor, where[leader] + 1)
    behind = follower[block[m - 1]]
    if behind >= 0:
        roof = min(roof, where[behind] - m)
    to = min(max(to, floor), roof)
    q = r = 0
    while q < n:
        if q == to:
            for b in range(m):
                trial[q] = block[b]
                q += 1
            continue
        member = False
        for b in range(m):
            if order[r] == block[b]:
                member = True
        if not member:
            trial[q] = order[r]
            q += 1
        r += 1
    for q in range(n):
        if trial[q] != order[q]:
            return q
    return -1


@kernel((_MODEL, _I1, types.int64, _F1, types.int64, types.int64, types.int64, _I1))
def improve(model, order, lo, start, moves, budget, seed, out):  # type: ignore[no-untyped-def]
    """Improve order[lo:] in place by neighbourhoods; returns its cost. ``start``: low of all once order[:lo] is placed.

    First windows of successive vehicles are searched exactly, from the front to the back until nothing gets better;
    then ``moves`` times a vehicle, or a platoon of one lane, goes somewhere else in the list, and in between random
    windows are searched again. ``budget``: lists begun in each window. out[0] counts lists tried, out[1] the moves
    that were better.
    """
    n = order.shape[0]
    low = np.empty((n + 1, n))
    spent = np.zeros(n + 1)
    follower = np.full(n, -1, dtype=np.int64)
    for v in range(n):
        if model.leader[v] >= 0:
            follower[model.leader[v]] = v
    best, trial, found = order.copy(), order.copy(), np.zeros(2, dtype=np.int64)
    scratch = np.empty(n)
    low[lo] = start
    cost = _replay(model, order, lo, low, spent)
    tried, better = 0, 0
    size = min(_WINDOW, n - lo)
    again, rounds = True, 0
    while again and rounds < _ROUNDS:
        again = False
        rounds += 1
        for at in range(lo, n - size + 1, max(1, size // 2)):
            total = spent[at] + search(model, order, at, at + size, low[at], budget, 0.0, best, found)
            tried += found[0]
            if total < cost - 1e-6:
                order[:] = best
                cost = _replay(model, order, at, low, spent)
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
        at = _moved(model, order, lo, p, length, to, follower, trial)
        if at < 0:
            continue
        tried += 1
        scratch[:] = low[at]
        total = spent[at]
        for q in range(at, n):
            total += _cost(model, trial[q], scratch[trial[q]])
            if total >= cost - 1e-6:
                break
            _place(model, trial[q], scratch, trial[q + 1 :], n - q - 1)
        if total < cost - 1e-6:
            order[:] = trial
            cost = _replay(model, order, at, low, spent)
            better += 1
            begin = max(lo, min(at - size // 4, n - size))
            total = spent[begin] + search(model, order, begin, begin + size, low[begin], budget, 0.0, best, found)
            tried += found[0]
            if total < cost - 1e-6:
                order[:] = best
                cost = _replay(model, order, begin, low, spent)
    out[0], out[1] = tried, better
    return cost - spent[lo]
