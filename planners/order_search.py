"""The best order in an order model: exact for few vehicles, by neighbourhoods for many. Never by the clock."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from zlib import crc32

import numpy as np
import numpy.typing as npt

from planners import _order_cells, _order_moves, _order_search
from planners._order_cells import Model
from planners.order_model import OrderModel
from planners.welfare import Welfare
from planners.zone_map import Floats

EXACT_COUNT_MAX = 10
"""So many vehicles are ordered exactly."""
NODES_MAX = 20_000
"""Lists begun at most in an exact search: no scene of 10 in the bench takes a twentieth of it."""
MOVES_PER_VEHICLE = 10
WINDOW_NODES = 30
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
        _order_moves.improve(tables, best, inside, low, moves, WINDOW_NODES, seed_of(model), out)
    return [int(k) for k in best]


def _start(model: OrderModel, tables: Model, inside: int) -> Order:
    """First come, first served, or who is clear first goes first (leaders before followers): what costs less."""
    count = len(model.requests)
    clear = (_read(model.low, tables.tau, model.delay_s) + model.clear_s).tolist()
    leader = tables.leader.tolist()
    follower = {lead: v for v, lead in enumerate(leader) if lead >= inside and v >= inside}
    ready = [(clear[v], v) for v in range(inside, count) if leader[v] < inside]
    heapify(ready)
    early = list(range(inside))
    while ready:
        early.append(heappop(ready)[1])
        if early[-1] in follower:
            heappush(ready, (clear[follower[early[-1]]], follower[early[-1]]))
    starts = np.arange(count, dtype=np.int64), np.array(early, dtype=np.int64)
    if len(early) < count:  # a circle of leaders: nobody of it is first
        return starts[0]
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
    delay, tau = model.delay_s, tables.tau
    bound = np.where(room_s >= delay[:, -1], tau[:, -1] + room_s - delay[:, -1], _read(room_s, delay, tau))
    bound[room_s <= 0.0] = -math.inf
    return tables._replace(limit=np.maximum(bound, first_come + 1e-6))


def _read(at: Floats, given: Floats, wanted: Floats) -> Floats:
    """``wanted`` [vehicle, grid] where ``given`` [vehicle, grid] (ascending) is ``at`` [vehicle]; ends beyond it."""
    rows, last = np.arange(len(at)), given.shape[1] - 2
    g = np.clip((given <= at[:, None]).sum(axis=1) - 1, 0, last)
    low, high = given[rows, g], given[rows, g + 1]
    share = np.clip((at - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    return np.asarray(wanted[rows, g] + share * (wanted[rows, g + 1] - wanted[rows, g]))


def seed_of(model: OrderModel) -> int:
    """The same for the same call, on every machine."""
    return crc32("".join(f"{r.body.vehicle}{r.switch_ms}" for r in model.requests).encode())
