"""Unconnected vehicles in a run: what their drivers see of the others, from the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fleet.node.bodies import planner_body, planning_body
from fleet.node.road import Roads
from sim.legacy import STANDING_MPS, WAITING_BAND_M, Behaviour, LegacyDriver, Rival
from sim.stage import Actor, Stage

_LOOK_M = 80.0
Other = tuple[Actor, float, Sequence[float]]
"""(actor, s_m of its rear axle on its path, state row) of a vehicle on the map."""


class LegacyCar:
    """One vehicle driven by a :class:`LegacyDriver`."""

    def __init__(self, actor: Actor, stage: Stage, roads: Roads) -> None:
        self._actor, self._stage, self._roads = actor, stage, roads
        self._road = roads.get(actor.path_id)
        self._passages = self._road.passages
        self._driver = LegacyDriver(
            actor.vehicle_id, self._road.path, self._passages, actor.vehicle, Behaviour(yields=actor.yields)
        )
        self._front_m = actor.vehicle.body.length_m - actor.vehicle.body.rear_overhang_m
        self._waiting: dict[str, float] = {}

    def command(self, now_s: float, s_m: float, row: Sequence[float], others: Sequence[Other]) -> tuple[float, float]:
        """(steer_rad, accel_mps2) for this tick."""
        x, y, yaw, speed = row[0], row[1], row[2], row[3]
        accel = self._driver.command(now_s, s_m, speed, self._leader(s_m, others), self._rivals(now_s, s_m, others))
        return self._driver.steer(x, y, yaw, s_m, speed), accel

    def _leader(self, s_m: float, others: Sequence[Other]) -> tuple[float, float] | None:
        best: tuple[float, float] | None = None
        for other, _, row in others:
            if other is self._actor:
                continue
            x, y, yaw, speed = row[0], row[1], row[2], row[3]
            mine_x, mine_y, _ = self._road.pose(s_m)
            distance = math.hypot(x - mine_x, y - mine_y)
            if distance > _LOOK_M:
                continue
            s, lateral, tangent = self._road.project(x, y, s_m + distance)
            width = 0.5 * (other.vehicle.body.width_m + self._actor.vehicle.body.width_m)
            if abs(lateral) > width or s <= s_m or math.cos(yaw - tangent) < 0.5:
                continue
            gap = s - other.vehicle.body.rear_overhang_m - (s_m + self._front_m)
            if best is None or gap < best[0]:
                best = (gap, speed)
        return best

    def _rivals(self, now_s: float, s_m: float, others: Sequence[Other]) -> list[Rival]:
        passage = self._driver.next_passage(s_m)
        if passage is None:
            return []
        found = []
        mine = planning_body(planner_body("", self._actor.vehicle))
        for other, other_s, row in others:
            if other is self._actor:
                continue
            theirs = next((p for p in self._roads.get(other.path_id).passages if p.zone_id == passage.zone_id), None)
            body = planning_body(planner_body("", other.vehicle))
            if theirs is None or other_s - body.footprint.rear_m > theirs.exit_s_m:
                self._waiting.pop(other.vehicle_id, None)
                continue
            tables = self._stage.conflicts.between(
                self._actor.path_id, (mine.footprint, mine.budget), other.path_id, (body.footprint, body.budget)
            )
            if not any(table.kind in {"crossing", "merging"} for table in tables):
                continue
            found.append(self._rival(now_s, other, theirs.line_s_m - other_s - body.footprint.front_m, row[3]))
        return found

    def _rival(self, now_s: float, other: Actor, to_line_m: float, speed: float) -> Rival:
        if to_line_m < 0.0:
            return Rival(0.0, vehicle=other.vehicle_id)
        if speed > STANDING_MPS:
            self._waiting.pop(other.vehicle_id, None)
            return Rival(to_line_m / speed, vehicle=other.vehicle_id)
        if to_line_m > WAITING_BAND_M:
            return Rival(math.inf, vehicle=other.vehicle_id)
        since = self._waiting.setdefault(other.vehicle_id, now_s)
        return Rival(math.inf, since, other.vehicle_id)
