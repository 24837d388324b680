"""Plan the vehicles of one call in any order, compiled: the host of ``planners/_sequence.py``.

What the kernel leaves open, one vehicle at a time, goes to the planner that it stands in for, so that refusals and
rare shapes are the same ones. Plans are those of ``planners/sequential.py``, a few times faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planners import _sequence
from planners._blocking import CELL_MS
from planners._sequence import SEGMENT_ROOM, Crowd
from planners.blocking import Ints, Obstacle, margin_m
from planners.first_come import FirstCome
from planners.interface import Refusal, Request
from planners.order_call import Call
from planners.profile import drive_from, lag_s, sampled, size_scale
from planners.rounding import rounding_limits
from planners.spacing import Spacing
from planners.tasks import EASE, ROLL_MPS_MIN, Outset
from planners.timed_path import TimedPath
from planners.zone_map import Floats


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call as the kernel takes it."""

    call: Call
    crowd: Crowd
    cell: int


class SequenceKernel:
    """Owns the rows of one planner's calls."""

    def __init__(self, inner: FirstCome, loss_s: float) -> None:
        self._inner, self._loss_s = inner, loss_s
        self._rows: Floats = np.empty((0, 0))

    def prepared(self, call: Call) -> Prepared | None:
        """None where vehicles may change their plans at different times: the kernel cannot do that."""
        if len({outset.start.time_ms for outset in call.outsets}) > 1:
            return None
        tables, layout, base_ms = self._inner.sequential.tables, call.layout, call.grid.base_ms
        spacing = self._inner.sequential.spacing
        tables.pack()
        vehicles = list(zip(call.requests, call.outsets, strict=True))
        count = len(vehicles)
        sections = [outset.sections for _, outset in vehicles]
        head = np.zeros((count, max(1, *(len(outset.start.segments) for _, outset in vehicles), 1), 2), dtype=np.int64)
        for v, (_, outset) in enumerate(vehicles):
            if outset.start.segments:
                head[v, : len(outset.start.segments)] = outset.start.segments
        crowd = Crowd(
            ident=call.ident,
            sets_of=layout.sets_of,
            sets=layout.sets,
            steps=layout.steps,
            lo=tables.lo,
            hi=tables.hi,
            rows=self._sampled(call),
            drive=np.array([
                drive_from(o.start, base_ms, r.body, o.path, stop_s_m=math.inf, ease=EASE) for r, o in vehicles
            ]),
            sec_s=np.concatenate([one.start_m for one in sections]),
            sec_w=np.concatenate([one.square for one in sections]),
            sec_of=np.concatenate([[0], np.cumsum([len(one.start_m) for one in sections])]).astype(np.int64),
            ends=np.array([(o.clear_s_m, o.stop_m, o.line_m) for _, o in vehicles]),
            start=np.array([_margins(r, o, spacing) for r, o in vehicles]),
            pads=np.array([spacing.cells(CELL_MS, shared=shared) for shared in (False, True)], dtype=np.int64),
            limits=np.array([(*rounding_limits(r.body.limits), o.path.length_m + r.body.footprint.rear_m + 0.001)
                             for r, o in vehicles]),
            whole=np.array([_whole(r, o, base_ms) for r, o in vehicles], dtype=np.int64),
            head=head,
            segments=np.zeros((count, SEGMENT_ROOM, 2), dtype=np.int64),
        )  # fmt: skip
        return Prepared(call, crowd, call.grid.cell(vehicles[0][1].start.time_ms))

    def _sampled(self, call: Call) -> Floats:
        count, instants = len(call.requests), call.grid.rows.shape[1]
        size = 3 * count + len(call.fixed)
        if self._rows.shape[0] < size or self._rows.shape[1] != instants:
            self._rows = np.empty((size, instants))
        for v, request in enumerate(call.requests):
            sampled(request.approach, call.grid.base_ms, CELL_MS, self._rows[count + v])
        for k, obstacle in enumerate(call.fixed):
            sampled(obstacle.plan, call.grid.base_ms, CELL_MS, self._rows[3 * count + k])
        return self._rows

    def planned(
        self, prepared: Prepared, order: Sequence[int], behind: Ints
    ) -> tuple[dict[int, TimedPath], list[Refusal]]:
        """(plans by vehicle's number, in passing order; refusals).

        ``behind`` [v, u]: 1 where it is decided that v passes after u, planned before it.
        """
        call, crowd = prepared.call, prepared.crowd
        wanted = np.array(order, dtype=np.int64)
        made, counts = (np.zeros(len(call.requests), dtype=np.int64) for _ in range(2))
        plans: dict[int, TimedPath] = {}
        refused: list[Refusal] = []
        at = 0
        while True:
            begin = at
            at = _sequence.perform(crowd, wanted, begin, prepared.cell, self._loss_s, behind, made, counts)
            for v in order[begin:at]:
                approach = call.requests[v].approach
                rows = tuple((dt, a) for dt, a in crowd.segments[v, : counts[v]].tolist())
                plans[v] = TimedPath(
                    approach.vehicle, approach.path_id, approach.t0_ms, approach.s0_mm, approach.v0_mmps, rows
                )
            if at == len(order):
                return plans, refused
            answer = self._by_hand(call, order[at], plans)
            if isinstance(answer, Refusal):
                refused.append(answer)
            else:
                plans[order[at]] = answer
                sampled(answer, call.grid.base_ms, CELL_MS, crowd.rows[order[at]])
                made[order[at]] = 1
            at += 1

    def _by_hand(self, call: Call, v: int, plans: dict[int, TimedPath]) -> TimedPath | Refusal:
        """One vehicle by the planner that this stands in for."""
        current = []
        for u, request in enumerate(call.requests):
            if u != v:
                agreed = u in plans
                plan = plans[u] if agreed else request.approach
                current.append(Obstacle(request.body.vehicle, request.body, plan, agreed=agreed))
        task = self._inner.sequential.task(call.requests[v], [*call.fixed, *current], call.grid)
        if isinstance(task, Refusal):
            return task
        unplanned = {request.body.vehicle for u, request in enumerate(call.requests) if u not in plans}
        answer = self._inner.answer(call.requests[v], task, unplanned)
        call.grid.release(task.mark)
        return answer


def _margins(request: Request, outset: Outset, spacing: Spacing) -> tuple[float, float, float, float, float]:
    body = request.body
    lane, across = (spacing.gap_m(body.footprint, shared=shared) for shared in (True, False))
    return outset.start.s_m, margin_m(body), lane, ROLL_MPS_MIN * size_scale(body), across


def _whole(request: Request, outset: Outset, base_ms: int) -> tuple[int, int, int, int, int, int]:
    approach, start = request.approach, outset.start
    lag_ms = round(1000.0 * lag_s(request.body.limits))
    return approach.t0_ms - base_ms, approach.s0_mm, approach.v0_mmps, start.v_umps, lag_ms, len(start.segments)
