"""Compiled kernels of the order model: placing vehicles one after another, each at its least tau.

Theory of operation. In the order model (``planners/_order_tables.py``) a vehicle's plan is one number, tau, and "j
after i" is a lower bound on tau[j] that grows with tau[i]. Vehicles are placed in the order of a list, each at its
least tau after all before it that it meets. :class:`Model` holds the tables as they are made; the kernels turn them
into :class:`Cells` first, straight lines in which all whom one vehicle meets lie in a row: placing one is then a few
instructions on whole rows.

Symbols
-------
order      a list of vehicles, which are numbered in first-come order
low[v]     least tau of v after what is placed; ``_NEVER`` and more: it gets no plan
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from planners._jit import kernel

_FAR = 1e30
"""Stands for infinity in sums and products, where infinity itself would become "not a number"."""
_NEVER = 1e15
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


class Cells(NamedTuple):
    """The same as straight lines between grid points."""

    tau: npt.NDArray[np.float64]
    """[vehicle, cell, 2]: where it begins, and 1 / its length"""
    cost: npt.NDArray[np.float64]
    """[vehicle, cell, 2]: where it begins, and what the cell adds"""
    least: npt.NDArray[np.float64]
    """[i, cell of i, j]: least tau of j behind i where the cell begins ..."""
    slope: npt.NDArray[np.float64]
    """... and what the cell adds"""
    shut: npt.NDArray[np.float64]
    shut_from: npt.NDArray[np.int64]
    limit: npt.NDArray[np.float64]
    refused: npt.NDArray[np.float64]
    leader: npt.NDArray[np.int64]


F1 = types.Array(types.float64, 1, "C")
_F2 = types.Array(types.float64, 2, "C")
_F3 = types.Array(types.float64, 3, "C")
I1 = types.Array(types.int64, 1, "C")
I2 = types.Array(types.int64, 2, "C")
MODEL = types.NamedTuple((_F2, _F2, _F3, _F2, I1, F1, F1, I1), Model)


@kernel()
def cells_of(model):  # type: ignore[no-untyped-def]
    """The tables as straight lines."""
    count, last = model.tau.shape[0], model.tau.shape[1] - 1
    tau, cost = np.empty((count, last, 2)), np.empty((count, last, 2))
    least, slope = np.empty((count, last, count)), np.zeros((count, last, count))
    for i in range(count):
        for g in range(last):
            tau[i, g, 0], tau[i, g, 1] = model.tau[i, g], 1.0 / (model.tau[i, g + 1] - model.tau[i, g])
            cost[i, g, 0], cost[i, g, 1] = model.cost[i, g], model.cost[i, g + 1] - model.cost[i, g]
        for j in range(count):
            for g in range(last):
                a, b = model.after[i, j, g], model.after[i, j, g + 1]
                if a == math.inf:
                    least[i, g, j] = _FAR
                elif b == -math.inf:
                    least[i, g, j] = -_FAR
                else:
                    a = model.tau[j, 0] if a == -math.inf else a
                    least[i, g, j], slope[i, g, j] = a, _FAR if b == math.inf else b - a
    return Cells(tau, cost, least, slope, model.shut, model.shut_from, model.limit, model.refused, model.leader)


@kernel()
def cell_at(cells, v, tau):  # type: ignore[no-untyped-def]
    """(cell of the grid of v, share) of ``tau`` in it; beyond the last one the share exceeds 1."""
    last = cells.tau.shape[1] - 1
    g = 0
    while g < last and tau >= cells.tau[v, g + 1, 0]:
        g += 1
    return g, (tau - cells.tau[v, g, 0]) * cells.tau[v, g, 1]


@kernel()
def price(cells, v, tau):  # type: ignore[no-untyped-def]
    """Cost of ``v`` going at ``tau``."""
    if tau >= _NEVER:
        return cells.refused[v]
    g, share = cell_at(cells, v, tau)
    value = cells.cost[v, g, 0] + share * cells.cost[v, g, 1]
    if tau > cells.limit[v]:
        value += _BEYOND
    return value


@kernel()
def opened(tables, v, tau):  # type: ignore[no-untyped-def]
    """The least tau from ``tau`` on that no fixed plan closes."""
    for c in range(tables.shut_from[v], tables.shut_from[v + 1]):
        if tau <= tables.shut[c, 0]:
            break
        tau = max(tau, tables.shut[c, 1])
    return tau


@kernel()
def place(cells, k, low):  # type: ignore[no-untyped-def]
    """Place ``k`` at low[k]: raise ``low`` of whom it meets; of who is placed already it then means nothing."""
    if low[k] >= _NEVER:
        for j in range(low.shape[0]):
            if cells.leader[j] == k:  # it stands in its lane, and nobody gets past
                low[j] = _FAR
        return
    g, share = cell_at(cells, k, low[k])
    least, slope = cells.least[k, g], cells.slope[k, g]
    for j in range(low.shape[0]):
        behind = least[j] + share * slope[j]
        low[j] = behind if behind > low[j] else low[j]
    if cells.shut.shape[0]:
        for j in range(low.shape[0]):
            low[j] = opened(cells, j, low[j])


@kernel()
def raised(cells, lead, j, low):  # type: ignore[no-untyped-def]
    """Raise low[j] to what ``lead``, which goes at low[lead] or later, asks of it."""
    if low[lead] >= _NEVER:
        low[j] = _FAR
        return
    g, share = cell_at(cells, lead, low[lead])
    behind = cells.least[lead, g, j] + share * cells.slope[lead, g, j]
    if behind > low[j]:
        low[j] = opened(cells, j, behind)


@kernel()
def placed(cells, order, lo, low, most):  # type: ignore[no-untyped-def]
    """What order[lo:] costs, placed one after another from ``low``; some of it as soon as that is ``most`` or more."""
    total = 0.0
    for p in range(lo, order.shape[0]):
        total += price(cells, order[p], low[order[p]])
        if total >= most:
            break
        place(cells, order[p], low)
    return total


@kernel((MODEL, F1))
def alone(model, low):  # type: ignore[no-untyped-def]
    """``low`` of every vehicle if only the fixed plans are in its way."""
    for v in range(low.shape[0]):
        low[v] = opened(model, v, model.tau[v, 0])


@kernel((MODEL, I1, F1, F1))
def evaluate(model, order, low, each):  # type: ignore[no-untyped-def]
    """Place ``order`` one after another from ``low``; returns what they cost, ``each`` [vehicle] becomes who how much.

    ``low`` becomes the tau of those in ``order`` (inf: no plan), and the least tau after them of all others.
    """
    cells, total, tau = cells_of(model), 0.0, low.copy()
    for k in order:
        tau[k] = low[k]
        each[k] = price(cells, k, low[k])
        total += each[k]
        place(cells, k, low)
    for k in order:
        low[k] = tau[k]
    for v in range(low.shape[0]):
        if low[v] >= _NEVER:
            low[v] = math.inf
    return total


@kernel((MODEL, I1, F1, I2))
def decide(model, order, low, behind):  # type: ignore[no-untyped-def]
    """Place ``order`` from ``low``, gaps before those placed used where there is room; returns what it costs.

    ``low`` becomes the tau of each vehicle; behind[v, u] becomes 1 where v passes after u and would otherwise not.
    """
    cells, total, n = cells_of(model), 0.0, order.shape[0]
    cell, share = np.zeros(n, dtype=np.int64), np.zeros(n)
    for p in range(n):
        v = order[p]
        tau, settled = low[v], False
        while not settled and tau < _NEVER:
            settled = True
            tau = opened(cells, v, tau)
            for q in range(p):
                u = order[q]
                if low[u] >= _NEVER:
                    if cells.leader[v] == u:
                        tau = _FAR
                    continue
                least = cells.least[u, cell[u], v] + share[u] * cells.slope[u, cell[u], v]
                if tau >= least - 1e-9:
                    continue
                g, part = cell_at(cells, v, tau)
                if cells.leader[v] == u or cells.least[v, g, u] + part * cells.slope[v, g, u] > low[u]:
                    tau, settled = least, False
        low[v] = tau
        total += price(cells, v, tau)
        if tau >= _NEVER:
            low[v] = math.inf
            continue
        cell[v], share[v] = cell_at(cells, v, tau)
        for q in range(p):
            u = order[q]
            least = cells.least[u, cell[u], v] + share[u] * cells.slope[u, cell[u], v]
            if low[u] < _NEVER and least > cells.tau[v, 0, 0]:
                if cells.leader[v] == u or cells.least[v, cell[v], u] + share[v] * cells.slope[v, cell[v], u] > low[u]:
                    behind[v, u] = 1
    return total
