"""The all-way stop: everybody stops at the line, then goes in the order of stopping.

The rule of the road without any radio, as a baseline with the same geometry and motion limits as the
other planners: a vehicle stays on its approach until it has stood at its line for ``DWELL_MS``, and
passes after every earlier one that it could meet. Movements that do not meet go together.
"""

from __future__ import annotations

from collections.abc import Set

from planners.blocking import AFTER, UNDECIDED
from planners.first_come import FirstCome
from planners.interface import Refusal, Request
from planners.profile import size_scale
from planners.tasks import Task
from planners.timed_path import TimedPath

DWELL_MS = 500
"""How long a full stop lasts at least."""
_AT_LINE_M = 2.0
"""A vehicle that stands no farther before its line than this has stopped at it (model cars in proportion)."""
_STILL_MPS = 0.005


class AllWayStop(FirstCome):
    """The joint planner ``all_way_stop``; refuses with ``not_at_line`` who queues behind another vehicle."""

    name = "all_way_stop"

    def key(self, request: Request) -> tuple[int, float, float]:
        """Inside first, then by the time of stopping, then by arrival (ties are broken by name)."""
        inside = super().key(request)
        if inside[0] == 0:
            return inside
        return 1, self.stop_ms(request), float(request.arrived_ms)

    def stop_ms(self, request: Request) -> float:
        """When the vehicle's approach comes to its last stand; the approach's start if it only stands."""
        time_ms = stopped_ms = request.approach.t0_ms
        arrays = request.approach.arrays()
        for k, (dt_ms, a_mmps2) in enumerate(request.approach.segments):
            time_ms += dt_ms
            if a_mmps2 != 0 or arrays.v_mps[k] > _STILL_MPS:
                stopped_ms = time_ms
        return float(stopped_ms)

    def answer(self, request: Request, task: Task, unplanned: Set[str]) -> TimedPath | Refusal:
        """Stay at the line for the dwell, then pass after everybody who stopped earlier."""
        if super().key(request)[0] == 0:
            return self.sequential.early(task)
        body, passage = request.body, self.sequential.passage(request.approach.path_id, request.zone_id)
        arrays = request.approach.arrays()
        short_m = passage.line_s_m - (float(arrays.s_m[-1]) + body.footprint.front_m)
        if short_m > _AT_LINE_M * size_scale(body) or arrays.v_mps[-1] > _STILL_MPS:
            return Refusal(body.vehicle, "not_at_line")
        for item, obstacle in enumerate(task.blocking.obstacles):
            if task.blocking.state[item] == UNDECIDED and obstacle.vehicle not in unplanned:
                task.blocking.state[item] = AFTER
        go_ms = int(self.stop_ms(request)) + DWELL_MS
        return self.sequential.late(task, go_ms)
