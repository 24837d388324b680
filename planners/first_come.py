"""First come, first served: vehicles are planned in the order in which they announced themselves.

Vehicles inside the zone go first, nearest to leaving first; nobody is planned before the vehicle ahead
in its lane. Each gets the earliest plan that is clear of the commitments, of the plans made before it in
this call, and of what all other vehicles of the call follow for now.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass

from fleet.errors import PlanError
from planners.approach import Ahead, approach_plan
from planners.blocking import Obstacle, TimeGrid
from planners.interface import Body, Commitment, Conflicts, JointPlan, Refusal, Request
from planners.sequential import Sequential
from planners.spacing import COMFORTABLE, Spacing
from planners.tasks import Task
from planners.timed_path import TimedPath
from planners.zone_map import ZoneMap

COUNT_MAX = 96
"""Vehicles planned in one call: three times as many as a node asks for at once (its ``OPEN_MAX``).
``welfare`` takes about a CPU second for them."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Who of a call is planned."""

    ordered: list[Request]
    """By arrival, at most COUNT_MAX."""
    behind: list[Obstacle]
    """Others that drive directly behind one of them, by what they do without agreement."""
    refused: tuple[Refusal, ...]
    """All others."""


class FirstCome:
    """The joint planner ``first_come``. Not for use by two threads at once: it owns scratch arrays."""

    name = "first_come"
    open_orders = False

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        self.sequential = Sequential(zone_map, conflicts, spacing)

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Plan ``requests`` one by one; see :class:`planners.interface.JointPlanner`.

        Reasons of refusal: ``cannot_stop``, ``horizon``, ``no_room_before_next_zone``,
        ``blocked_by:<vehicle>``, ``start_in_conflict:<vehicle>``, and ``too_many:<COUNT_MAX>`` for those who come
        after so many others: their turn is later.
        """
        turn = self.turn(requests)
        fixed, grid = self.prepared(turn.ordered, commitments, now_ms)
        answer = self.planned(turn.ordered, fixed + turn.behind, grid)
        self.sequential.keep(grid)
        return JointPlan(answer.plans, answer.refused + turn.refused)

    def turn(self, requests: Sequence[Request]) -> Turn:
        """The first COUNT_MAX of ``requests`` in passing order; a lane's leaders are never left out for followers."""
        if len({request.body.vehicle for request in requests}) != len(requests):
            raise PlanError("a vehicle is in one call of plan() more than once")
        ordered = self.order(requests)
        first, rest = ordered[:COUNT_MAX], ordered[COUNT_MAX:]
        names = {request.body.vehicle for request in first}
        behind = [Obstacle(r.body.vehicle, r.body, r.approach, agreed=False) for r in rest if r.lane_leader in names]
        return Turn(first, behind, tuple(Refusal(r.body.vehicle, f"too_many:{COUNT_MAX}") for r in rest))

    def prepared(
        self, requests: Sequence[Request], commitments: Sequence[Commitment], now_ms: int
    ) -> tuple[list[Obstacle], TimeGrid]:
        """The commitments of vehicles that are not asked for, and the grid of time of one call."""
        asked = {request.body.vehicle for request in requests}
        fixed = [Obstacle(c.plan.vehicle, c.body, c.plan) for c in commitments if c.plan.vehicle not in asked]
        return fixed, self.sequential.grid(min([now_ms, *(request.switch_ms for request in requests)]))

    def planned(self, ordered: Sequence[Request], fixed: list[Obstacle], grid: TimeGrid) -> JointPlan:
        """Plan one after another in this order."""
        unplanned = {request.body.vehicle for request in ordered}
        current = {r.body.vehicle: Obstacle(r.body.vehicle, r.body, r.approach, agreed=False) for r in ordered}
        plans: list[TimedPath] = []
        refused: list[Refusal] = []
        for request in ordered:
            vehicle = request.body.vehicle
            others = fixed + [obstacle for name, obstacle in current.items() if name != vehicle]
            task = self.sequential.task(request, others, grid)
            answer = task if isinstance(task, Refusal) else self.answer(request, task, unplanned)
            if isinstance(task, Task):
                grid.release(task.mark)
            if isinstance(answer, Refusal):
                refused.append(answer)
            else:
                plans.append(answer)
                unplanned.discard(vehicle)
                current[vehicle] = Obstacle(vehicle, request.body, answer)
        return JointPlan(tuple(plans), tuple(refused))

    def approach(
        self,
        body: Body,
        path_id: str,
        state: tuple[float, float, float],
        *,
        now_ms: int,
        stop_s_m: float,
        leader: Commitment | None,
        guide: TimedPath | None = None,
    ) -> TimedPath:
        """See :class:`planners.interface.JointPlanner`."""
        return approach_plan(self.sequential, body, path_id, state, now_ms, Ahead(stop_s_m, leader, guide))

    def answer(self, request: Request, task: Task, unplanned: Set[str]) -> TimedPath | Refusal:
        """Plan one vehicle; ``unplanned`` are those of the call that have no plan yet or were refused."""
        return self.sequential.early(task)

    def order(self, requests: Sequence[Request]) -> list[Request]:
        """Passing order: by :meth:`key`, nobody before the vehicle ahead in its lane."""
        waiting = sorted(requests, key=lambda request: (self.key(request), request.body.vehicle))
        ordered: list[Request] = []
        while waiting:
            names = {request.body.vehicle for request in waiting}
            # A circle of leaders cannot arise on a road; should one be stated, the first of it goes.
            free = (request for request in waiting if request.lane_leader not in names)
            following = next(free, waiting[0])
            waiting.remove(following)
            ordered.append(following)
        return ordered

    def key(self, request: Request) -> tuple[int, float, float]:
        """What requests are sorted by: inside first, nearest to leaving first, then by arrival."""
        remaining, arrived = self.remaining_inside_m(request), float(request.arrived_ms)
        return (0, remaining, arrived) if remaining < math.inf else (1, arrived, 0.0)

    def remaining_inside_m(self, request: Request) -> float:
        """What a vehicle that is inside its zone when it can switch has yet to drive there; else inf."""
        body, passage = request.body, self.sequential.passage(request.approach.path_id, request.zone_id)
        s_m = self.sequential.start(request).s_m
        inside = s_m + body.footprint.front_m > passage.line_s_m and s_m - body.footprint.rear_m <= passage.exit_s_m
        return passage.exit_s_m + body.footprint.rear_m - s_m if inside else math.inf
