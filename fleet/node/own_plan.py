"""The plan that needs nobody's consent: drive on, and stand before the next line the vehicle has no right to pass."""

from __future__ import annotations

import math

from fleet.node.bodies import planning_body
from fleet.node.hearing import Hearing
from fleet.node.judge import ZoneJudge
from fleet.node.kernel import Kernel
from fleet.node.planner_guard import GuardedPlanner
from fleet.node.right_of_way import APPROACH_MPS2
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import MotionLimits

REPLAN_MS = 300
"""A vehicle changes its mind at most this often: every new own plan voids proposals that start from the old."""
_FORESIGHT_S = 1.5


class OwnPlan:
    """Makes and renews one vehicle's own plan."""

    def __init__(
        self, kernel: Kernel, hearing: Hearing, judge: ZoneJudge, planner: GuardedPlanner, body: Body, scale: float
    ) -> None:
        self._kernel, self._hearing, self._judge, self._planner = kernel, hearing, judge, planner
        self._body, self._scale = body, scale
        self._planned_ms = -REPLAN_MS
        self._planned_behind: TimedPath | None = None
        self._planned_line_s_m = math.inf

    def may_change(self, now_ms: int) -> bool:
        """Whether the last change of mind is long enough ago."""
        return now_ms - self._planned_ms >= REPLAN_MS

    def is_stale(self, now_ms: int, line_s_m: float) -> tuple[bool, bool]:
        """(whether the plan no longer says what the vehicle should do, whether the vehicle has strayed from it).

        ``line_s_m``: the next line that the vehicle has no right to pass; inf: none.
        """
        if not self.may_change(now_ms):
            return False, False
        tolerance = max(0.1 * self._scale, 0.6 * self._body.budget.longitudinal_m)
        strayed = abs(self._kernel.status.longitudinal_error_m) > tolerance
        passed = line_s_m > self._planned_line_s_m
        return strayed or passed or self._leader_changed(now_ms) or self._could_move_up(now_ms, line_s_m), strayed

    def make(
        self, now_ms: int, path_id: str, line_s_m: float, *, from_reference: bool, radio_dead: bool,
        guide: TimedPath | None = None,
    ) -> TimedPath:  # fmt: skip
        """Plan to stand before ``line_s_m``, behind what is ahead and no farther than ``guide`` by then.

        From where the present plan says that the vehicle is, or from where it is. Without radio contact
        the approach is so gentle that others can see that this vehicle will stop.
        """
        kernel = self._kernel
        status = kernel.status
        state = status.s_m, max(0.0, status.v_mps), status.accel_mps2
        if from_reference and kernel.arrays is not None:
            state = kernel.arrays.at(now_ms * 1e-3)
        heard = self._heard_leader(now_ms)
        self._planned_behind = None if heard is None else heard.plan
        self._planned_ms, self._planned_line_s_m = now_ms, line_s_m
        leader = None if heard is None else Commitment(planning_body(heard.body), heard.plan)
        body = planning_body(self._gentle() if radio_dead else self._body)
        return self._planner.approach(
            body, path_id, state, now_ms=now_ms, stop_s_m=line_s_m, leader=leader, guide=guide
        )

    def _heard_leader(self, now_ms: int) -> Commitment | None:
        """What the vehicle ahead says it drives."""
        leader = self._kernel.status.leader
        return None if leader is None or leader.peer is None else self._hearing.commitment(leader.peer, now_ms)

    def _leader_changed(self, now_ms: int) -> bool:
        """Whether the vehicle ahead has a new plan that matters: one in the way, or one that lets this vehicle on."""
        kernel, leader = self._kernel, self._heard_leader(now_ms)
        if leader is None or kernel.plan is None or kernel.arrays is None or leader.plan == self._planned_behind:
            return False
        if self._judge.clash(Commitment(self._body, kernel.plan), leader, now_ms):
            return True
        _, v_now, _ = kernel.arrays.at(now_ms * 1e-3)
        _, v_soon, _ = kernel.arrays.at(now_ms * 1e-3 + _FORESIGHT_S)
        return v_soon < v_now - 0.1 * self._scale or v_now < 0.1 * self._scale

    def _could_move_up(self, now_ms: int, line_s_m: float) -> bool:
        """Standing at the plan's end with the way to the line free."""
        kernel = self._kernel
        if kernel.plan is None or kernel.plan.end_ms > now_ms or kernel.status.v_mps > 0.05:
            return False
        room = line_s_m - kernel.status.s_m - self._body.footprint.front_m
        leader = kernel.status.leader
        if leader is not None:
            room = min(room, leader.gap_m - 1.0 * self._scale)
        return room > 1.5 * self._scale

    def _gentle(self) -> Body:
        limits = self._body.limits
        gentle = MotionLimits(
            limits.speed_mps_max,
            limits.accel_mps2_max,
            min(limits.brake_mps2_max, APPROACH_MPS2 * self._scale),
            limits.lateral_accel_mps2_max,
            limits.jerk_mps3_max,
        )
        return Body(self._body.vehicle, self._body.footprint, gentle, self._body.budget)
