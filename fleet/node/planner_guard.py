"""A planner that cannot harm: whatever it raises or returns, the node gets something that it can drive.

Planners are large, compiled and replaceable; nothing of safety may depend on them. A joint plan needs no
care here beyond its form, for the judge looks at every byte of it. The own plan of a vehicle is driven
without a vote; so it must start where the vehicle is, and where the planner gives none that does, the
plan is the plainest there is: brake to standstill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fleet.errors import PlanError
from planners.interface import Body, Commitment, JointPlan, JointPlanner, Refusal, Request
from planners.timed_path import TimedPath

PATIENCE_MS = 10_000
"""Agreement is likely for so long: then a vehicle that hears others may cross by sight. Planners whose rule lets
vehicles stand for longer, such as a red light, say so by an attribute ``patience_ms``."""
_START_M, _START_MPS = 0.01, 0.01
"""Plans are integers; one that starts farther from the state asked for starts somewhere else."""


class GuardedPlanner:
    """Another planner, its defects turned into refusals and braking."""

    def __init__(self, planner: JointPlanner) -> None:
        self._planner = planner
        self.name = planner.name
        self.open_orders: bool = getattr(planner, "open_orders", False)
        self.patience_ms: int = getattr(planner, "patience_ms", PATIENCE_MS)
        self.failures = 0

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """See :class:`planners.interface.JointPlanner`. Only well-formed plans for vehicles asked for get through."""
        asked = {request.body.vehicle for request in requests}
        try:
            answer = self._planner.plan(requests, commitments, now_ms=now_ms)
            plans = tuple(plan for plan in answer.plans if plan.vehicle in asked and _well_formed(plan))
            refused = tuple(Refusal(str(one.vehicle), str(one.reason)) for one in answer.refused)
        except Exception:  # whatever it is, it is the planner's fault and may cost time only
            plans, refused = (), ()
        answered = {plan.vehicle for plan in plans} | {one.vehicle for one in refused}
        failed = tuple(Refusal(name, "planner_failed") for name in sorted(asked - answered))
        self.failures += bool(failed)
        return JointPlan(plans, refused + failed)

    def approach(
        self, body: Body, path_id: str, state: tuple[float, float, float], *, now_ms: int, stop_s_m: float,
        leader: Commitment | None, guide: TimedPath | None = None,
    ) -> TimedPath:  # fmt: skip
        """See :class:`planners.interface.JointPlanner`."""
        try:
            plan = self._planner.approach(
                body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide
            )
            if (plan.vehicle, plan.path_id) == (body.vehicle, path_id) and _starts_at(plan, state, now_ms):
                return plan
        except Exception:  # noqa: S110 - as above; the answer is the plan below
            pass
        self.failures += 1
        return braking(body, path_id, state, now_ms)


def braking(body: Body, path_id: str, state: tuple[float, float, float], now_ms: int) -> TimedPath:
    """Brake from (s_m, v_mps, a_mps2) as hard as plans of ``body`` may, then stand."""
    s_mm, v_mmps = round(state[0] * 1000.0), max(0, round(state[1] * 1000.0))
    stop_ms = max(1, math.ceil(v_mmps / body.limits.brake_mps2_max)) if v_mmps else 1
    accel = -round(1000.0 * v_mmps / stop_ms)
    return TimedPath(body.vehicle, path_id, now_ms, s_mm, v_mmps, ((stop_ms, accel), (1000, 0)))


def _well_formed(plan: TimedPath) -> bool:
    """Whether it survives the way through bytes."""
    try:
        return TimedPath.decode(plan.encode()) == plan
    except PlanError:
        return False


def _starts_at(plan: TimedPath, state: tuple[float, float, float], now_ms: int) -> bool:
    near = abs(plan.s0_mm * 1e-3 - state[0]) <= _START_M and abs(plan.v0_mmps * 1e-3 - max(0.0, state[1])) <= _START_MPS
    return plan.t0_ms == now_ms and near and _well_formed(plan)
