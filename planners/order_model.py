"""The order model of one call: exact motions of a few taus for each vehicle, and what they mean for all others.

Nothing here decides what is safe: the profile search makes every plan. The model says, in microseconds,
what an order will cost, closely enough to choose the few that are worth profiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planners import _order_cells, _order_tables
from planners._blocking import CELL_MS
from planners._order_cells import Model
from planners.blocking import Ints
from planners.interface import Request
from planners.order_call import Call
from planners.profile import arrays_of
from planners.sequential import Sequential
from planners.welfare import REFUSED_S, Welfare
from planners.zone_map import Floats

_UNTIL_STAND = 7
_AFTER_STAND_S = (1.0, 6.0, 25.0, 100.0)
GRID_COUNT = _UNTIL_STAND + len(_AFTER_STAND_S)
_SHARES = np.concatenate([np.linspace(0.0, 1.0, _UNTIL_STAND), np.ones(len(_AFTER_STAND_S))])
_MORE_S = np.concatenate([np.zeros(_UNTIL_STAND), _AFTER_STAND_S])


@dataclass(frozen=True, slots=True)
class OrderModel:
    """The tables, and what is needed to read them; vehicles are numbered in first-come order."""

    requests: tuple[Request, ...]
    tables: Model
    low: Floats
    """[vehicle]: least tau with only the fixed plans in the way."""
    delay_s: Floats
    """[vehicle, grid]"""
    urgency: Floats
    age_s: Floats
    """[vehicle]: wait until it is clear, if nobody hinders it."""
    clear_m: Floats
    """[vehicle]: where its rear axle has cleared the zone."""
    clear_s: Floats
    """[vehicle]: when, after the grid's start, with the time that leaving slowly costs, if nobody hinders it."""
    free_mps: Floats
    """[vehicle]: how fast it might be there."""
    accel_mps2: Floats


class OrderModels:
    """Makes order models for one map; keeps what does not change from call to call."""

    def __init__(self, sequential: Sequential, welfare: Welfare) -> None:
        self._welfare = welfare
        cells = [sequential.spacing.cells(CELL_MS, shared=shared) for shared in (False, True)]
        self._pad_s = np.array(cells) * (CELL_MS * 1e-3)

    def model(self, call: Call) -> OrderModel:
        """The model of one call."""
        layout, drives, ident, count = call.layout, call.drives, call.ident, len(call.requests)
        width = np.diff(layout.marks_of)[ident]
        size = np.where(np.arange(len(ident)) < count, GRID_COUNT, 1) * width
        base = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64)
        times = np.empty(int(size.sum()))
        tau, traits = np.empty((count, GRID_COUNT)), np.empty((count, GRID_COUNT, 3))
        _order_tables.respond(
            drives.drive, drives.sec_s, drives.sec_w, drives.sec_of, drives.ends, layout.marks_m, layout.marks_of,
            ident, _SHARES, _MORE_S, base, width, tau, times, traits,
        )  # fmt: skip
        start_s = call.grid.base_ms * 1e-3
        for v, obstacle in enumerate(call.fixed, start=count):
            k = arrays_of(obstacle.plan)
            here = layout.marks_m[layout.marks_of[ident[v]] : layout.marks_of[ident[v] + 1]]
            _order_tables.known(k.t_s, k.s_m, k.v_mps, k.a_mps2, start_s, here, times, int(base[v]))
        after = np.empty((count, count, GRID_COUNT))
        corners = layout.corners_of, layout.corners, self._pad_s
        _order_tables.order_tables(tau, times, base[:count], width[:count], ident[:count], *corners, after)
        shut_from = np.zeros(count + 1, dtype=np.int64)
        shut = np.empty((count * len(call.fixed), 2))  # one row for each pair, before they are joined
        rows = _order_tables.closed(tau, times, base, width, ident, *corners, shut, shut_from)
        clear = times[(base[:count] + width[:count] - 1)[:, None] + np.arange(GRID_COUNT) * width[:count, None]]
        return self._priced(call, (clear, traits), (tau, after, shut[:rows].copy(), shut_from))

    def _priced(
        self, call: Call, driven: tuple[Floats, Floats], tables: tuple[Floats, Floats, Floats, Ints]
    ) -> OrderModel:
        """Costs of each tau, from when the vehicles are clear and from their traits."""
        clear, traits = driven
        tau, after, shut, shut_from = tables
        requests, welfare = call.requests, self._welfare
        free, accel = self._free(call), call.drives.drive[:, 5]
        slow = np.maximum(0.0, free[:, None] - traits[:, :, 0])
        clear = clear + slow * slow / (2.0 * accel * free)[:, None]
        delay = clear - clear[:, :1]
        asked = np.array([(r.arrived_ms, r.urgency) for r in requests])
        age, urgency = clear[:, 0] + (call.grid.base_ms - asked[:, 0]) * 1e-3, asked[:, 1]
        cost = welfare.cost(delay, (traits[:, :, 1], traits[:, :, 2]), urgency[:, None], age[:, None])
        refused = welfare.cost(np.full(len(requests), REFUSED_S), (np.ones(1), np.zeros(1)), urgency, age)
        index = {request.body.vehicle: v for v, request in enumerate(requests)}
        leader = np.array([index.get(r.lane_leader or "", -1) for r in requests], dtype=np.int64)
        limit = np.full(len(requests), math.inf)
        made = Model(tau, cost, after, shut, shut_from, limit, refused, leader)
        low = np.empty(len(requests))
        _order_cells.alone(made, low)
        ends = call.drives.ends[:, 0], clear[:, 0].copy()
        return OrderModel(requests, made, low, delay, urgency, age, *ends, free, accel)

    def _free(self, call: Call) -> Floats:
        """How fast each might be where it has cleared the zone."""
        drives = call.drives
        begun = drives.sec_s <= np.repeat(drives.ends[:, 0], np.diff(drives.sec_of))
        at = np.add.reduceat(begun, drives.sec_of[:-1], dtype=np.int64) - 1
        return np.sqrt(drives.sec_w[drives.sec_of[:-1] + at])
