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
from planners.profile import arrays_of, drive_from, usable
from planners.sequential import Sequential
from planners.tasks import Outset
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
        self._sequential, self._welfare = sequential, welfare
        cells = [sequential.spacing.cells(CELL_MS, shared=shared) for shared in (False, True)]
        self._pad_s = np.array(cells) * (CELL_MS * 1e-3)
        self._driven = np.zeros((4, sequential.room.smooth.shape[1]))

    def model(self, call: Call) -> OrderModel:
        """The model of one call."""
        layout, ident, count = call.layout, call.ident, len(call.requests)
        width = np.array([len(marks) for marks in layout.marks_m], dtype=np.int64)[ident]
        size = np.where(np.arange(len(ident)) < count, GRID_COUNT, 1) * width
        base = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64)
        times = np.empty(int(size.sum()))
        tau, traits = np.empty((count, GRID_COUNT)), np.empty((count, GRID_COUNT, 3))
        for v in range(count):
            self._respond(call, v, times, int(base[v]), (tau[v], traits[v]))
        start_s = call.grid.base_ms * 1e-3
        for v, obstacle in enumerate(call.fixed, start=count):
            k = arrays_of(obstacle.plan)
            _order_tables.known(k.t_s, k.s_m, k.v_mps, k.a_mps2, start_s, layout.marks_m[ident[v]], times, int(base[v]))
        after = np.empty((count, count, GRID_COUNT))
        corners = layout.corners_of, layout.corners, self._pad_s
        _order_tables.order_tables(tau, times, base[:count], width[:count], ident[:count], *corners, after)
        shut_from = np.zeros(count + 1, dtype=np.int64)
        shut = np.empty((count * len(call.fixed), 2))  # one row for each pair, before they are joined
        rows = _order_tables.closed(tau, times, base, width, ident, *corners, shut, shut_from)
        clear = times[(base[:count] + width[:count] - 1)[:, None] + np.arange(GRID_COUNT) * width[:count, None]]
        return self._priced(call, (clear, traits), (tau, after, shut[:rows].copy(), shut_from))

    def _respond(self, call: Call, v: int, times: Floats, base: int, out: tuple[Floats, Floats]) -> None:
        seq, outset, body = self._sequential, call.outsets[v], call.requests[v].body
        drive = drive_from(outset.start, call.grid.base_ms, body, outset.path, stop_s_m=outset.stop_m, ease=1.0)
        tau, traits = out
        stand_s = max(0.25, drive.v / drive.brake) + drive.lag
        tau[:] = drive.t + stand_s * _SHARES + _MORE_S
        sections = outset.sections
        _order_tables.respond(
            drive, sections.start_m, sections.square, tau, call.layout.marks_m[call.ident[v]], seq.room.work(sections),
            seq.room.knots, self._driven, times, base, traits,
        )  # fmt: skip

    def _priced(
        self, call: Call, driven: tuple[Floats, Floats], tables: tuple[Floats, Floats, Floats, Ints]
    ) -> OrderModel:
        """Costs of each tau, from when the vehicles are clear and from their traits."""
        clear, traits = driven
        tau, after, shut, shut_from = tables
        requests, welfare = call.requests, self._welfare
        free, accel = np.array([self._free(outset, r) for outset, r in zip(call.outsets, requests, strict=True)]).T
        slow = np.maximum(0.0, free[:, None] - traits[:, :, 0])
        clear = clear + slow * slow / (2.0 * accel * free)[:, None]
        delay = clear - clear[:, :1]
        age = clear[:, 0] + np.array([(call.grid.base_ms - r.arrived_ms) * 1e-3 for r in requests])
        urgency = np.array([r.urgency for r in requests])
        cost = welfare.cost(delay, (traits[:, :, 1], traits[:, :, 2]), urgency[:, None], age[:, None])
        refused = welfare.cost(np.full(len(requests), REFUSED_S), (np.ones(1), np.zeros(1)), urgency, age)
        index = {request.body.vehicle: v for v, request in enumerate(requests)}
        leader = np.array([index.get(r.lane_leader or "", -1) for r in requests], dtype=np.int64)
        limit = np.full(len(requests), math.inf)
        made = Model(tau, cost, after, shut, shut_from, limit, refused, leader)
        low = np.empty(len(requests))
        _order_cells.alone(made, low)
        clear_m = np.array([outset.clear_s_m for outset in call.outsets])
        return OrderModel(requests, made, low, delay, age, clear_m, clear[:, 0].copy(), free, accel)

    def _free(self, outset: Outset, request: Request) -> tuple[float, float]:
        k = int(np.searchsorted(outset.sections.start_m, outset.clear_s_m, side="right")) - 1
        return math.sqrt(float(outset.sections.square[k])), usable(request.body.limits)[0]
