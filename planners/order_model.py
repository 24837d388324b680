"""The order model of one call: exact motions of a few taus for each vehicle, and what they mean for all others.

Nothing here decides what is safe: the profile search makes every plan. The model says, in microseconds,
what an order will cost, closely enough to choose the few that are worth profiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planners import _order_search, _order_tables
from planners._blocking import CELL_MS
from planners._order_search import Model
from planners.blocking import Obstacle, TimeGrid
from planners.interface import Body, Refusal, Request
from planners.order_marks import Kind, Marks
from planners.profile import arrays_of, usable
from planners.sequential import Sequential
from planners.tasks import Task
from planners.welfare import REFUSED_S, Welfare
from planners.zone_map import Floats

_UNTIL_STAND = 9
_AFTER_STAND_S = (0.5, 3.0, 8.0, 20.0, 50.0, 100.0)
GRID_COUNT = _UNTIL_STAND + len(_AFTER_STAND_S)
SHUT_COUNT_MAX = 4096


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
        self._marks = Marks(sequential.tables, sequential.spacing)
        cells = [sequential.spacing.cells(CELL_MS, shared=shared) for shared in (False, True)]
        self._pad_s = np.array(cells) * (CELL_MS * 1e-3)
        self._driven = np.zeros((4, sequential.room.smooth.shape[1]))
        self._shut = np.zeros((SHUT_COUNT_MAX, 2))

    def model(self, ordered: Sequence[Request], commitments: Sequence[Obstacle], grid: TimeGrid) -> OrderModel:
        """The model of ``ordered`` (first-come order, at least one) among ``commitments``; what cannot be planned is
        left out."""
        seq = self._sequential
        made = [(request, seq.task(request, [], grid)) for request in ordered]
        tasks = [(request, task) for request, task in made if not isinstance(task, Refusal)]
        requests = [request for request, _ in tasks]
        members = [(r.body, r.approach.path_id) for r in requests] + [(c.body, c.plan.path_id) for c in commitments]
        kinds = [self._marks.kind(body, path_id) for body, path_id in members]
        first: dict[Kind, tuple[Body, str]] = {}
        for kind, member in zip(kinds, members, strict=True):
            first.setdefault(kind, member)
        distinct = sorted(first, key=lambda kind: (kind.path_id, kind.outline))
        zone_id = requests[0].zone_id if requests else ""
        bodies = [first[kind][0] for kind in distinct]
        layout = self._marks.layout(zone_id, distinct, bodies, [self._ends(*first[kind], zone_id) for kind in distinct])
        ident = np.array([layout.ident[kind] for kind in kinds], dtype=np.int64)
        width = np.array([len(layout.marks_m[k]) for k in ident], dtype=np.int64)
        count = len(requests)
        rows = np.where(np.arange(len(members)) < count, GRID_COUNT, 1)
        base = np.concatenate([[0], np.cumsum(rows * width)[:-1]]).astype(np.int64)
        times = np.empty(int((rows * width).sum()))
        tau, traits = np.empty((count, GRID_COUNT)), np.empty((count, GRID_COUNT, 3))
        for v, (_, task) in enumerate(tasks):
            self._respond(task, layout.marks_m[ident[v]], times, int(base[v]), (tau[v], traits[v]))
        start_s = grid.base_ms * 1e-3
        for v, commitment in enumerate(commitments, start=count):
            k = arrays_of(commitment.plan)
            _order_tables.known(k.t_s, k.s_m, k.v_mps, k.a_mps2, start_s, layout.marks_m[ident[v]], times, int(base[v]))
        after = np.empty((count, count, GRID_COUNT))
        _order_tables.order_tables(
            tau, times, base[:count], width[:count], ident[:count], layout.sets_of, layout.sets, self._pad_s, after
        )
        shut_from = np.zeros(count + 1, dtype=np.int64)
        closed = _order_tables.closed(
            tau, times, base, width, ident, layout.sets_of, layout.sets, self._pad_s, self._shut, shut_from
        )
        clear = np.array(
            [times[base[v] : base[v] + GRID_COUNT * width[v]].reshape(GRID_COUNT, -1)[:, -1] for v in range(count)]
        )
        return self._priced(
            tasks,
            clear.reshape(count, GRID_COUNT),
            traits,
            tau,
            after,
            (self._shut[: max(0, closed)].copy(), shut_from),
            grid,
        )

    def _ends(self, body: Body, path_id: str, zone_id: str) -> Floats:
        for passage in self._sequential.zone_map.passages.get(path_id, ()):
            if passage.zone_id == zone_id:
                return np.array([passage.line_s_m - body.footprint.front_m, passage.exit_s_m + body.footprint.rear_m])
        return np.zeros(2)

    def _respond(self, task: Task, marks: Floats, times: Floats, base: int, out: tuple[Floats, Floats]) -> None:
        seq = self._sequential
        drive = seq.drive(task, task.stop_m, 1.0)
        tau, traits = out
        stand_s = max(0.25, drive.v / drive.brake) + drive.lag
        tau[:_UNTIL_STAND] = drive.t + np.linspace(0.0, stand_s, _UNTIL_STAND)
        tau[_UNTIL_STAND:] = drive.t + stand_s + np.array(_AFTER_STAND_S)
        sections = task.sections
        _order_tables.respond(
            drive, sections.start_m, sections.square, tau, marks, seq.room.work(sections), seq.room.knots,
            self._driven, times, base, traits,
        )  # fmt: skip

    def _priced(self, tasks, clear, traits, tau, after, shut, grid) -> OrderModel:
        count = len(tasks)
        requests = tuple(request for request, _ in tasks)
        free = np.empty(count)
        accel = np.empty(count)
        for v, (_, task) in enumerate(tasks):
            k = int(np.searchsorted(task.sections.start_m, task.clear_s_m, side="right")) - 1
            free[v], accel[v] = math.sqrt(float(task.sections.square[k])), usable(task.body.limits)[0]
        slow = np.maximum(0.0, free[:, None] - traits[:, :, 0])
        clear_s = clear + slow * slow / (2.0 * accel * free)[:, None]
        delay = clear_s - clear_s[:, :1]
        age = np.array([clear_s[v, 0] + (grid.base_ms - r.arrived_ms) * 1e-3 for v, r in enumerate(requests)])
        welfare = self._welfare
        cost = np.array(
            [
                welfare.cost(delay[v], (traits[v, :, 1], traits[v, :, 2]), r.urgency, float(age[v]))
                for v, r in enumerate(requests)
            ]
        ).reshape(count, GRID_COUNT)
        refused = np.array(
            [
                float(welfare.cost(np.array([REFUSED_S]), (np.ones(1), np.zeros(1)), r.urgency, float(age[v]))[0])
                for v, r in enumerate(requests)
            ]
        )
        index = {request.body.vehicle: v for v, request in enumerate(requests)}
        leader = np.array([index.get(r.lane_leader or "", -1) for r in requests], dtype=np.int64)
        tables = Model(tau, cost, after, *shut, np.full(count, math.inf), refused, leader)
        low = np.empty(count)
        _order_search.alone(tables, low)
        clear_m = np.array([task.clear_s_m for _, task in tasks])
        return OrderModel(requests, tables, low, delay, age, clear_m, clear_s[:, 0].copy(), free, accel)
