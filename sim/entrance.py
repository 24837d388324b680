"""Who may enter the map now: a vehicle waits outside until its lane has room for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from fleet.node.bodies import planner_body, scale_of
from fleet.node.road import Road, Roads
from fleet.node.rss import LEADER_BRAKE_MPS2, rss_distance_m
from hardware.vehicle import Vehicle
from planners.check_fast import FastVerifier
from planners.interface import Commitment
from planners.timed_path import TimedPath
from planners.zone_map import Path
from sim.stage import Actor, Stage

_NEAR_M = 90.0
"""Farther vehicles cannot matter at an entry: RSS distance at 25 m/s is below this."""
Present = tuple[Actor, float, float, "TimedPath | None"]
"""(actor, s_m of its rear axle, speed_mps, plan) of a vehicle on the map, by the truth."""


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
                inside = [*present, *((one, one.start_s_m, speed, None) for one, speed in entering)]
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
        for other, s_m, speed_mps, plan in present:
            other_road = self._roads.get(other.path_id)
            ox, oy, oyaw = other_road.pose(s_m)
            if math.hypot(ox - x, oy - y) > _NEAR_M * max(scale, 0.05):
                continue
            if actor.recorded and plan is not None and self._crosses(actor, other, plan, road.path, now_ms):
                return None
            if abs(math.remainder(oyaw - yaw, 2.0 * math.pi)) > 1.0:
                continue
            s, lateral, _ = road.project(ox, oy, actor.start_s_m + math.hypot(ox - x, oy - y))
            if s - actor.start_s_m < 0.0:
                s, lateral, _ = road.project(ox, oy, actor.start_s_m - math.hypot(ox - x, oy - y))
            if abs(lateral) > 0.5 * (body.width_m + other.vehicle.body.width_m) + 0.2 * scale:
                continue
            ahead = s - other.vehicle.body.rear_overhang_m - (actor.start_s_m + front_m)
            behind = actor.start_s_m - body.rear_overhang_m - (
                s + other.vehicle.body.length_m - other.vehicle.body.rear_overhang_m
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

    def _crosses(self, actor: Actor, other: Actor, plan: TimedPath, path: Path, now_ms: int) -> bool:
        """Whether a vehicle that appears here and brakes at once would be in the way of another's plan."""
        brake = actor.vehicle.limits.brake_mps2_plan
        stop_ms = max(1, math.ceil(1000.0 * actor.speed_mps / brake))
        v_mmps = round(actor.speed_mps * 1000.0)
        stop = TimedPath(
            actor.vehicle_id, path.path_id, now_ms, round(actor.start_s_m * 1000.0), v_mmps,
            ((stop_ms, -round(v_mmps * 1000.0 / stop_ms)),),
        )  # fmt: skip
        mine = Commitment(planner_body(actor.vehicle_id, actor.vehicle), stop)
        theirs = Commitment(planner_body(other.vehicle_id, other.vehicle), plan)
        return self._verifier.pair(mine, theirs, from_ms=now_ms) is not None


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
