"""Rules of the road as planners: a gate in front of first come, first served.

A rule (a signal, right before left) says who may go now; those are planned like any others, so that
profiles, following and clearance are the same for every planner that is compared. Who is held stays on
its approach, which stands at the line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import PlanError
from planners.first_come import FirstCome
from planners.interface import Body, Commitment, Conflicts, JointPlan, Refusal, Request
from planners.spacing import COMFORTABLE, Spacing
from planners.timed_path import TimedPath
from planners.zone_map import ZoneMap

PATIENCE_MS = 120_000
"""Standing at its line for so long, a vehicle may cross by sight: longer than any red or stream of rivals."""
STANDING_MPS = 0.2


@dataclass(frozen=True, slots=True)
class Comer:
    """A vehicle before a zone or in it, as anybody beside the road sees it."""

    vehicle: str
    path_id: str
    to_line_m: float
    """From its front bumper to the line; negative: beyond it."""
    to_clear_m: float
    """Until its rear bumper has left the zone; always above 0."""
    speed_mps: float

    @property
    def inside(self) -> bool:
        return self.to_line_m < 0.0


def comer(zone_map: ZoneMap, body: Body, plan: TimedPath, zone_id: str, now_ms: int) -> Comer | None:
    """Where a vehicle that drives ``plan`` is now; None: its path does not pass the zone, or it has left it."""
    s_m, speed_mps, _ = plan.arrays().at(now_ms * 1e-3)
    rear_m, front_m = s_m - body.footprint.rear_m, s_m + body.footprint.front_m
    for passage in zone_map.passages.get(plan.path_id, ()):
        if passage.zone_id == zone_id and rear_m < passage.exit_s_m:
            return Comer(plan.vehicle, plan.path_id, passage.line_s_m - front_m, passage.exit_s_m - rear_m, speed_mps)
    return None


def passes_line_ms(zone_map: ZoneMap, request: Request, plan: TimedPath) -> float:
    """When ``plan`` takes the front bumper over the line of the zone asked for; inf: never."""
    passages = zone_map.passages.get(plan.path_id, ())
    lines = [p.line_s_m for p in passages if p.zone_id == request.zone_id]
    if not lines:
        raise PlanError(f"path {plan.path_id!r} does not pass zone {request.zone_id!r}")
    goal_m, arrays = lines[0] - request.body.footprint.front_m, plan.arrays()
    for k in range(len(arrays.t_s)):
        end_m = float(arrays.s_m[k + 1]) if k + 1 < len(arrays.t_s) else math.inf
        if end_m <= goal_m:
            continue
        gap_m, v, a = goal_m - float(arrays.s_m[k]), float(arrays.v_mps[k]), float(arrays.a_mps2[k])
        root = math.sqrt(max(0.0, v * v + 2.0 * a * gap_m))
        if gap_m <= 0.0:
            return 1000.0 * float(arrays.t_s[k])
        return 1000.0 * (float(arrays.t_s[k]) + 2.0 * gap_m / (v + root)) if v + root > 0.0 else math.inf
    return math.inf


class Gated:
    """What planners with a gate share; a subclass has ``name`` and ``plan``."""

    patience_ms = PATIENCE_MS
    open_orders = False

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        self._zone_map, self._conflicts = zone_map, conflicts
        self._first_come = FirstCome(zone_map, conflicts, spacing)

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
        return self._first_come.approach(
            body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide
        )

    def comers(self, requests: Sequence[Request], others: Sequence[Commitment], now_ms: int) -> dict[str, Comer]:
        """Everybody before or in the zone that is asked for, by name."""
        zones = {request.zone_id for request in requests}
        if len(zones) > 1:
            raise PlanError(f"requests for several zones in one call: {', '.join(sorted(zones))}")
        bodies = [(c.body, c.plan) for c in others] + [(r.body, r.approach) for r in requests]
        found = (comer(self._zone_map, body, plan, zone, now_ms) for zone in zones for body, plan in bodies)
        return {one.vehicle: one for one in found if one is not None}

    def let_through(
        self, requests: Sequence[Request], held: Mapping[str, str], commitments: Sequence[Commitment], now_ms: int
    ) -> JointPlan:
        """Plan those whom the gate does not hold; ``held`` gives the reason for the others.

        Who is held keeps its approach, and the others stay clear of that; but for one that is behind a
        vehicle that goes: it adapts.
        """
        going = [request for request in requests if request.body.vehicle not in held]
        names = {request.body.vehicle for request in going}
        ahead = {request.body.vehicle: request.lane_leader for request in requests}
        standing = [
            Commitment(request.body, request.approach)
            for request in requests
            if request.body.vehicle in held and not _behind(request.body.vehicle, ahead, names)
        ]
        answer = self._first_come.plan(going, [*commitments, *standing], now_ms=now_ms)
        refused = tuple(Refusal(vehicle, held[vehicle]) for vehicle in sorted(held))
        return JointPlan(answer.plans, answer.refused + refused)


def _behind(vehicle: str, ahead: Mapping[str, str | None], names: set[str]) -> bool:
    """Whether a vehicle of ``names`` is ahead of this one in its lane."""
    leader, steps = ahead.get(vehicle), 0
    while leader is not None and steps < len(ahead):
        if leader in names:
            return True
        leader, steps = ahead.get(leader), steps + 1
    return False
