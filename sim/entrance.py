"""Who may enter the map now: a vehicle waits outside until its lane has room for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from fleet.node.bodies import planner_body, scale_of
from fleet.node.road import Roads
from fleet.node.rss import LEADER_BRAKE_MPS2, rss_distance_m
from hardware.vehicle import Vehicle
from planners.check_fast import FastVerifier
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget
from sim.stage import Actor, Stage

_NEAR_M = 140.0
"""Farther vehicles cannot matter at an entry: RSS distance at 36 m/s is below this."""
_BRAKING = (1.0, 0.4)
"""Shares of its planned braking with which a vehicle that appears in the middle of the map may come to rest."""
_LATE_S, _ASIDE_M = 0.4, 0.2
"""Whoever passes near the place where a vehicle appears may be this late or early, and both this far aside."""
Present = tuple[Actor, float, float, "TimedPath | None"]
"""(actor, s_m of its rear axle, speed_mps, plan) of a vehicle on the map, by the truth."""


class Gate(Protocol):
    """Who may come in."""

    @property
    def waiting(self) -> int:
        """How many have not entered yet."""
        ...

    def outside(self) -> list[Actor]:
        """Who has not entered yet, in the order of arrival."""
        ...

    def admit(self, now_ms: int, present: Sequence[Present]) -> list[tuple[Actor, float]]:
        """Who enters now, with what speed."""
        ...


class Entrance:
    """Queues outside the map, one for each start of a path; first come, first in."""

    def __init__(self, stage: Stage, roads: Roads, verifier: FastVerifier) -> None:
        self._roads, self._verifier = roads, verifier
        self._queues: dict[tuple[int, int], deque[Actor]] = {}
        for actor in sorted(stage.actors, key=lambda one: (one.arrival_s, one.vehicle_id)):
            self._queues.setdefault(self._place(actor), deque()).append(actor)

    @property
    def waiting(self) -> int:
        """How many have not entered yet."""
        return sum(len(queue) for queue in self._queues.values())

    def outside(self) -> list[Actor]:
        """Who has not entered yet, in the order of arrival."""
        left = [actor for queue in self._queues.values() for actor in queue]
        return sorted(left, key=lambda one: (one.arrival_s, one.vehicle_id))

    def admit(self, now_ms: int, present: Sequence[Present]) -> list[tuple[Actor, float]]:
        """Who enters now, with what speed."""
        entering: list[tuple[Actor, float]] = []
        for key in sorted(self._queues):
            queue = self._queues[key]
            while queue and queue[0].arrival_s * 1000.0 <= now_ms:
                actor = queue[0]
                new = [(one, one.start_s_m, speed, self._stop(one, now_ms, 1.0)) for one, speed in entering]
                inside = [*present, *new]
                speed = actor.speed_mps if actor.recorded and now_ms == 0 else self._speed(actor, inside, now_ms)
                if speed is None:
                    break
                entering.append((actor, speed))
                queue.popleft()
        return entering

    def _place(self, actor: Actor) -> tuple[int, int]:
        """Actors that start at one spot share a queue, whatever their paths are called."""
        x, y, _ = self._roads.get(actor.path_id).pose(actor.start_s_m)
        return round(x), round(y)

    def _speed(self, actor: Actor, present: Sequence[Present], now_ms: int) -> float | None:
        """The entry speed that the lane allows, or None: wait."""
        road = self._roads.get(actor.path_id)
        x, y, yaw = road.pose(actor.start_s_m)
        body = actor.vehicle.body
        front_m = body.length_m - body.rear_overhang_m
        scale = scale_of(actor.vehicle)
        wanted = actor.speed_mps
        # Inside a zone, who comes from behind may be past the point where it can still give its plan back.
        inside = any(p.line_s_m < actor.start_s_m + front_m and actor.start_s_m < p.exit_s_m for p in road.passages)
        for other, s_m, speed_mps, plan in present:
            other_road = self._roads.get(other.path_id)
            ox, oy, oyaw = other_road.pose(s_m)
            if math.hypot(ox - x, oy - y) > _NEAR_M * max(scale, 0.05):
                continue
            s, lateral, _ = road.project(ox, oy, actor.start_s_m + math.hypot(ox - x, oy - y))
            if s - actor.start_s_m < 0.0:
                s, lateral, _ = road.project(ox, oy, actor.start_s_m - math.hypot(ox - x, oy - y))
            away = abs(math.remainder(oyaw - yaw, 2.0 * math.pi)) > 1.0
            aside = away or abs(lateral) > 0.5 * (body.width_m + other.vehicle.body.width_m) + 0.2 * scale
            meets = actor.recorded and plan is not None and (aside or (inside and s < actor.start_s_m))
            if meets and plan is not None and self._crosses(actor, other, (plan, speed_mps), now_ms):
                return None
            if aside:
                continue
            ahead = s - other.vehicle.body.rear_overhang_m - (actor.start_s_m + front_m)
            behind = (
                actor.start_s_m
                - body.rear_overhang_m
                - (s + other.vehicle.body.length_m - other.vehicle.body.rear_overhang_m)
            )
            if s >= actor.start_s_m:
                if ahead >= _room_m(actor.vehicle, wanted, speed_mps):
                    continue
                wanted = min(wanted, speed_mps)
                if ahead < _room_m(actor.vehicle, wanted, speed_mps):
                    return None
            elif behind < _room_m(other.vehicle, speed_mps, wanted):
                return None
        return wanted

    def _crosses(self, actor: Actor, other: Actor, motion: tuple[TimedPath, float], now_ms: int) -> bool:
        """Whether a vehicle that appears here and comes to rest would be in the way of another (plan, speed_mps)."""
        plan, speed_mps = motion
        theirs = Commitment(_wide(other, speed_mps), plan)
        mine = _wide(actor, 0.0)
        stops = (self._stop(actor, now_ms, share) for share in _BRAKING)
        return any(self._verifier.pair(Commitment(mine, stop), theirs, from_ms=now_ms) is not None for stop in stops)

    def _stop(self, actor: Actor, now_ms: int, share: float) -> TimedPath:
        """The plan of a vehicle that appears now and brakes with a share of what it may plan with."""
        brake = share * actor.vehicle.limits.brake_mps2_plan
        stop_ms = max(1, math.ceil(1000.0 * actor.speed_mps / brake))
        v_mmps = round(actor.speed_mps * 1000.0)
        return TimedPath(
            actor.vehicle_id, actor.path_id, now_ms, round(actor.start_s_m * 1000.0), v_mmps,
            ((stop_ms, -round(v_mmps * 1000.0 / stop_ms)),),
        )  # fmt: skip


def _wide(actor: Actor, speed_mps: float) -> Body:
    """A body with room around it for being ``_LATE_S`` late or early at a speed."""
    body = planner_body(actor.vehicle_id, actor.vehicle)
    aside = _ASIDE_M * scale_of(actor.vehicle)
    budget = ErrorBudget(body.budget.lateral_m + aside, body.budget.longitudinal_m + aside + _LATE_S * speed_mps)
    return Body(body.vehicle, body.footprint, body.limits, budget)


def _room_m(follower: Vehicle, v_mps: float, v_lead_mps: float) -> float:
    """Bumper-to-bumper room that a follower needs at these speeds, with half a second to spare."""
    scale = scale_of(follower)
    limits = follower.limits
    distance = rss_distance_m(
        v_mps,
        v_lead_mps,
        accel_mps2=limits.accel_mps2_plan,
        brake_mps2=limits.brake_mps2_max,
        leader_brake_mps2=max(LEADER_BRAKE_MPS2 * scale, limits.brake_mps2_max),
    )
    return distance + 0.4 * v_mps + 2.0 * scale
