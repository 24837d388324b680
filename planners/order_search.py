"""The best order in an order model: exact for few vehicles, by neighbourhoods for many. Never by the clock."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
import numpy.typing as npt

from planners import _order_cells, _order_moves, _order_search
from planners._order_cells import Model
from planners.order_model import OrderModel
from planners.welfare import Welfare

EXACT_COUNT_MAX = 10
"""So many vehicles are ordered exactly."""
NODES_MAX = 20_000
"""Lists begun at most in an exact search: no scene of 10 in the bench takes a twentieth of it."""
MOVES_PER_VEHICLE = 10
_WINDOW_NODES = 60
Order = npt.NDArray[np.int64]


def best_order(model: OrderModel, inside: int, welfare: Welfare) -> list[int]:
    """Indices into ``model.requests``, in the best passing order found; the first ``inside`` stay where they are."""
    count = len(model.requests)
    order = np.arange(count, dtype=np.int64)
    inside = min(inside, count)
    if count - inside < 2:
        return [int(k) for k in order]
    tables = limited(model, welfare)
    low = model.low.copy()
    _order_cells.evaluate(tables, order[:inside].copy(), low, np.empty(count)) if inside else None
    best, out = order.copy(), np.zeros(2, dtype=np.int64)
    if count - inside <= EXACT_COUNT_MAX:
        _order_search.search(tables, order, inside, count, low, NODES_MAX, 0.0, best, out)
    else:
        best = _start(model, tables, inside)
        moves = MOVES_PER_VEHICLE * (count - inside)
        _order_moves.improve(tables, best, inside, low, moves, _WINDOW_NODES, seed_of(model), out)
    return [int(k) for k in best]


def _start(model: OrderModel, tables: Model, inside: int) -> Order:
    """First come, first served, or who is clear first goes first (leaders before followers): what costs less."""
    count = len(model.requests)
    clear = [float(np.interp(model.low[v], tables.tau[v], model.delay_s[v])) + model.clear_s[v] for v in range(count)]
    waiting, early = list(range(inside, count)), list(range(inside))
    while waiting:
        free = [v for v in waiting if tables.leader[v] not in waiting]
        early.append(min(free or waiting, key=lambda v: (clear[v], v)))
        waiting.remove(early[-1])
    starts = np.arange(count, dtype=np.int64), np.array(early, dtype=np.int64)
    costs = [_order_cells.evaluate(tables, order, model.low.copy(), np.empty(count)) for order in starts]
    return starts[0] if costs[0] <= costs[1] else starts[1]


def decided(model: OrderModel, order: list[int]) -> tuple[float, Order]:
    """(cost; who passes after whom of those before it, int64 [vehicle, vehicle]) if vehicles are planned in
    ``order``."""
    count = len(order)
    behind = np.zeros((count, count), dtype=np.int64)
    cost = _order_cells.decide(model.tables, np.array(order, dtype=np.int64), model.low.copy(), behind)
    return float(cost), behind


def limited(model: OrderModel, welfare: Welfare) -> Model:
    """The tables with the hard limit on waits: the starvation bound, or what first come, first served asks."""
    tables = model.tables
    first_come = model.low.copy()
    _order_cells.evaluate(tables, np.arange(len(first_come)), first_come, np.empty(len(first_come)))
    room_s = welfare.starvation_s - model.age_s
    bound = np.array([at_delay(model, v, float(room_s[v])) for v in range(len(room_s))])
    return tables._replace(limit=np.maximum(bound, first_come + 1e-6))


def at_delay(model: OrderModel, v: int, delay_s: float) -> float:
    """The tau of vehicle v that delays it by so much."""
    delay, tau = model.delay_s[v], model.tables.tau[v]
    if delay_s <= 0.0:
        return -math.inf
    if delay_s >= delay[-1]:
        return float(tau[-1] + delay_s - delay[-1])
    return float(np.interp(delay_s, delay, tau))


def seed_of(model: OrderModel) -> int:
    """The same for the same call, on every machine."""
    return crc32("".join(f"{r.body.vehicle}{r.switch_ms}" for r in model.requests).encode())
