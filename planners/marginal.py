"""Marginal welfare: what the fleet's welfare owes to one vehicle's stake.

One figure for four uses: the difference reward of a vehicle that learns, the payment of the Clarke (VCG) mechanism,
the answer to "what changed because of B?", and a monitor of externalities. A vehicle is *neutralised* by taking its
stake out of the welfare: it is still there and drives, but nobody's order minds when. The best order is
found again without each stake, exactly: for 8 vehicles on the vehicle, for 12 offline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fleet.errors import PlanError
from planners import _order_cells, _order_search
from planners._order_cells import Model
from planners._order_search import WINDOW_MAX
from planners.zone_map import Floats

_NODES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Marginals:
    """All in the units of welfare (:mod:`planners.welfare`); arrays are float64 [vehicle]."""

    welfare: float
    """W(all): of the best order."""
    difference: Floats
    """W(all) - W(i neutralised)."""
    payment: Floats
    """What the others lose because i has a stake: their welfare in the best order without it, less theirs in the
    best order with it. Never negative."""
    exact: bool
    """Whether every search was complete."""


def marginal_welfare(tables: Model, low: Floats) -> Marginals:
    """The marginals of the vehicles of an order model; ``low`` is their least tau with fixed plans alone in the way.

    Raises
    ------
    PlanError
        More vehicles than can be searched exactly (12).
    """
    count = len(low)
    if count > WINDOW_MAX:
        raise PlanError(f"marginal welfare of {count} vehicles: the exact search takes {WINDOW_MAX}; ask for fewer")
    best, complete = _best(tables, low)
    own = _costs(tables, low, best)
    total, exact = float(own.sum()), complete
    difference, payment = np.zeros(count), np.zeros(count)
    for i in range(count):
        without = _without(tables, i)
        order, complete = _best(without, low)
        others = float(_costs(without, low, order).sum())
        exact &= complete
        difference[i] = others - total
        payment[i] = max(0.0, total - float(own[i]) - others)
    return Marginals(-total, difference, payment, exact)


def _best(tables: Model, low: Floats) -> tuple[np.ndarray, bool]:
    count = len(low)
    best, out = np.arange(count, dtype=np.int64), np.zeros(2, dtype=np.int64)
    _order_search.search(tables, np.arange(count, dtype=np.int64), 0, count, low, _NODES_MAX, 0.0, best, out)
    return best, bool(out[1])


def _costs(tables: Model, low: Floats, order: np.ndarray) -> Floats:
    """Cost of each vehicle if they are placed in ``order``."""
    each = np.empty(len(low))
    _order_cells.evaluate(tables, order, low.copy(), each)
    return each


def _without(tables: Model, i: int) -> Model:
    """The same without the stake of vehicle i; its hard limit stays nobody's concern either."""
    cost, refused, limit = tables.cost.copy(), tables.refused.copy(), tables.limit.copy()
    cost[i], refused[i], limit[i] = 0.0, 0.0, np.inf
    return tables._replace(cost=cost, refused=refused, limit=limit)
