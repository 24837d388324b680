"""Plan the vehicles of one call in any order, compiled: the host of ``planners/_sequence.py``.

What the kernel leaves open, one vehicle at a time, goes to the planner that it stands in for, so that refusals and
rare shapes are the same ones. Plans are those of ``planners/sequential.py``, a few times faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from planners import _sequence
from planners._blocking import CELL_MS
from planners._sequence import SEGMENT_ROOM, Crowd
from planners.blocking import Ints, Obstacle
from planners.first_come import FirstCome
from planners.interface import Refusal, Request
from planners.order_call import Call
from planners.order_value import TRAIT_COUNT, driven
from planners.profile import Start, sampled
from planners.timed_path import TimedPath
from planners.zone_map import Floats


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call as the kernel takes it."""

    call: Call
    crowd: Crowd
    cell: int


@dataclass(frozen=True, slots=True)
class Planned:
    """All vehicles of a call planned in one order."""

    prepared: Prepared
    order: tuple[int, ...]
    """Of those who have a plan."""
    counts: Ints
    """[vehicle]: segments of plans that the kernel made"""
    by_hand: dict[int, TimedPath]
    refused: tuple[Refusal, ...]

    @property
    def worth(self) -> Floats:
        """[vehicle, trait]: see :func:`planners._sequence.worth`; inf without a plan."""
        return self.prepared.crowd.worth

    def plans(self) -> dict[int, TimedPath]:
        """By the vehicle's number, in passing order."""
        found: dict[int, TimedPath] = {}
        requests, segments = self.prepared.call.requests, self.prepared.crowd.segments
        for v in self.order:
            if v in self.by_hand:
                found[v] = self.by_hand[v]
                continue
            was = requests[v].approach
            rows = tuple(map(tuple, segments[v, : self.counts[v]].tolist()))
            found[v] = TimedPath(was.vehicle, was.path_id, was.t0_ms, was.s0_mm, was.v0_mmps, rows)
        return found


class SequenceKernel:
    """Owns the rows of one planner's calls."""

    def __init__(self, inner: FirstCome, loss_s: float) -> None:
        self._inner, self._loss_s = inner, loss_s
        self._rows: Floats = np.empty((0, 0))
        cells = [inner.sequential.spacing.cells(CELL_MS, shared=shared) for shared in (False, True)]
        self._pads = np.array(cells, dtype=np.int64)

    def prepared(self, call: Call) -> Prepared | None:
        """None where vehicles may change their plans at different times: the kernel cannot do that."""
        starts = [outset.start for outset in call.outsets]
        if len({start.time_ms for start in starts}) > 1:
            return None
        tables, layout, drives, count = self._inner.sequential.tables, call.layout, call.drives, len(call.requests)
        tables.pack()
        base_ms = call.grid.base_ms
        whole = np.array([_whole(*each, base_ms) for each in zip(call.requests, starts, strict=True)])
        whole[:, 4] = np.rint(1000.0 * drives.facts[:, 0])
        head, head_of = _flat([start.segments for start in starts])
        crowd = Crowd(
            ident=call.ident,
            sets_of=layout.sets_of,
            sets=layout.sets,
            steps=layout.steps,
            bins=tables.bins,
            rows=self._sampled(call, whole),
            drive=drives.drive,
            sec_s=drives.sec_s,
            sec_w=drives.sec_w,
            sec_of=drives.sec_of,
            ends=drives.ends,
            start=drives.start_m,
            facts=drives.facts,
            pads=self._pads,
            whole=whole,
            head=head,
            head_of=head_of,
            segments=np.empty((count, SEGMENT_ROOM, 2), dtype=np.int64),
            worth=np.empty((count, TRAIT_COUNT)),
        )
        return Prepared(call, crowd, call.grid.cell(starts[0].time_ms))

    def _sampled(self, call: Call, whole: Ints) -> Floats:
        """Rows of the call: approaches after room for plans, fixed plans last."""
        count, instants = len(call.requests), call.grid.rows.shape[1]
        size = 3 * count + len(call.fixed)
        if self._rows.shape[0] < size or self._rows.shape[1] != instants:
            self._rows = np.empty((size, instants))
        segments, of = _flat([request.approach.segments for request in call.requests])
        _sequence.sampled(segments, of, whole, self._rows[count : 2 * count])
        for k, obstacle in enumerate(call.fixed):
            sampled(obstacle.plan, call.grid.base_ms, CELL_MS, self._rows[3 * count + k])
        return self._rows

    def planned(self, prepared: Prepared, order: Sequence[int], behind: Ints) -> Planned:
        """Plans in passing order.

        ``behind`` [v, u]: 1 where it is decided that v passes after u, planned before it.
        """
        call, count = prepared.call, len(prepared.call.requests)
        crowd = prepared.crowd._replace(
            segments=np.empty((count, SEGMENT_ROOM, 2), dtype=np.int64), worth=np.full((count, TRAIT_COUNT), math.inf)
        )
        wanted = np.array(order, dtype=np.int64)
        made, counts = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        plans: dict[int, TimedPath] = {}
        refused: list[Refusal] = []
        at = 0
        while True:
            at = _sequence.perform(crowd, wanted, at, prepared.cell, self._loss_s, behind, made, counts)
            if at == count:
                break
            v = order[at]
            done = tuple(u for u in order[:at] if made[u])
            so_far = Planned(Prepared(call, crowd, prepared.cell), done, counts, plans, ())
            answer = self._by_hand(call, v, so_far.plans())
            if isinstance(answer, Refusal):
                refused.append(answer)
            else:
                plans[v] = answer
                sampled(answer, call.grid.base_ms, CELL_MS, crowd.rows[v])
                clear_m = call.outsets[v].clear_s_m
                crowd.worth[v] = driven(answer, call.requests[v].switch_ms, clear_m, call.grid.base_ms)
                made[v] = 1
            at += 1
        done = tuple(v for v in order if made[v])
        return Planned(Prepared(call, crowd, prepared.cell), done, counts, plans, tuple(refused))
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


def _whole(request: Request, start: Start, base_ms: int) -> tuple[int, int, int, int, int, int]:
    approach = request.approach
    return approach.t0_ms - base_ms, approach.s0_mm, approach.v0_mmps, start.v_umps, 0, len(start.segments)


def _flat(parts: Sequence[tuple[tuple[int, int], ...]]) -> tuple[Ints, Ints]:
    """Segments of many plans as one table, and where each begins."""
    of = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=of[1:])
    numbers = chain.from_iterable(chain.from_iterable(parts))
    return np.fromiter(numbers, dtype=np.int64, count=2 * int(of[-1])).reshape(-1, 2), of
