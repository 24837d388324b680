"""Right before left, without signals or signs: who comes from the right goes first.

A driver decides where comfortable braking for the line still suffices, and by what can be seen: it goes
unless somebody with the right of way, at the speed seen, is at its own line before this vehicle has left
the zone, and a second. The right of way belongs to who comes from the right, and to the oncoming vehicle
where one turns left across its way (Vienna Convention on Road Traffic, articles 16 and 18). Where everybody
waits for the next in a circle, the one that came first goes, as drivers agree by a wave of the hand. Without
that wave (``Insisting``) the rule locks up: it is there to show a gridlock, and what finds and ends it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from planners.gate import STANDING_MPS, Comer, Gated
from planners.interface import Body, Commitment, Conflicts, JointPlan, Request
from planners.phases import line_yaw_rad, meet_in_zone, turn_rad
from planners.profile import size_scale
from planners.spacing import COMFORTABLE, Spacing
from planners.zone_map import Passage, ZoneMap

THINK_S = 1.0
"""Of thought, before braking: added to the way that comfortable braking needs."""
GAP_S = 1.0
"""A rival must be this much later at its line than the vehicle is out of the zone."""
_COMFORT = 0.6
_STAND_AT_M = 2.0
"""Decisions fall at least this far before the line, and who stands no farther before it waits there."""
_RIGHT_RAD = math.radians(10.0), math.radians(150.0)
"""Whose heading is turned to the left of mine by an angle in this range comes from the right; by more: faces me."""
_LEFT_RAD = math.radians(30.0)


class RightBeforeLeft(Gated):
    """The joint planner ``right_before_left``; refuses with ``too_far`` and ``yields_to:<vehicle>``."""

    name = "right_before_left"

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        super().__init__(zone_map, conflicts, spacing)
        self._priority: dict[tuple[str, str, Body, str], bool] = {}

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Plan those that need not yield; see :class:`planners.interface.JointPlanner`."""
        comers = self.comers(requests, commitments, now_ms)
        bodies = {c.body.vehicle: c.body for c in commitments} | {r.body.vehicle: r.body for r in requests}
        held: dict[str, str] = {}
        rival_of: dict[str, str] = {}
        for request in requests:
            vehicle = request.body.vehicle
            own = comers.get(vehicle)
            if own is None or own.inside:
                continue
            if own.to_line_m > _decides_m(own, request.body):
                held[vehicle] = "too_far"
                continue
            rival = self._rival(request, own, comers, bodies)
            if rival is not None:
                held[vehicle], rival_of[vehicle] = f"yields_to:{rival}", rival
        for vehicle in self._circles(requests, comers, rival_of):
            del held[vehicle]
        return self.let_through(requests, held, commitments, now_ms)

    def _rival(
        self, request: Request, own: Comer, comers: Mapping[str, Comer], bodies: Mapping[str, Body]
    ) -> str | None:
        """The first to arrive of those that this vehicle must let pass."""
        best_s, best = _out_s(own, request.body) + GAP_S, None
        for name in sorted(comers):
            other = comers[name]
            if name == own.vehicle or other.inside:
                continue
            arrival_s = _arrival_s(other, bodies[name])
            if arrival_s < best_s and self._goes_first(request, bodies[name], other):
                best_s, best = arrival_s, name
        return best

    def _goes_first(self, request: Request, body: Body, other: Comer) -> bool:
        """Whether ``other`` has the right of way over the vehicle that asks."""
        key = (request.zone_id, request.approach.path_id, _shape(body), other.path_id)
        if key not in self._priority:
            mine, theirs = request.approach.path_id, other.path_id
            own = self._passage(request.zone_id, mine), (request.body.footprint, request.body.budget)
            rival = self._passage(request.zone_id, theirs), (body.footprint, body.budget)
            meet = meet_in_zone(self._conflicts, own, rival)
            self._priority[key] = meet and self._by_geometry(request.zone_id, mine, theirs)
        return self._priority[key]

    def _by_geometry(self, zone_id: str, mine: str, theirs: str) -> bool:
        paths = self._zone_map.paths
        at_i, at_j = self._passage(zone_id, mine), self._passage(zone_id, theirs)
        turned = math.remainder(line_yaw_rad(paths[theirs], at_j) - line_yaw_rad(paths[mine], at_i), math.tau)
        if _RIGHT_RAD[0] < turned < _RIGHT_RAD[1]:
            return True
        my_turn, their_turn = turn_rad(paths[mine], at_i), turn_rad(paths[theirs], at_j)
        return abs(turned) >= _RIGHT_RAD[1] and my_turn > _LEFT_RAD and my_turn > their_turn + _LEFT_RAD

    def _passage(self, zone_id: str, path_id: str) -> Passage:
        return next(p for p in self._zone_map.passages[path_id] if p.zone_id == zone_id)

    def _circles(
        self, requests: Sequence[Request], comers: Mapping[str, Comer], rival_of: Mapping[str, str]
    ) -> list[str]:
        """Of every circle of vehicles that stand and wait for each other, the one that came first."""
        arrived = {request.body.vehicle: (request.arrived_ms, request.body.vehicle) for request in requests}
        standing = {name for name in rival_of if comers[name].speed_mps < STANDING_MPS}
        found: list[str] = []
        seen: set[str] = set()
        for name in sorted(standing):
            way: list[str] = []
            while name in standing and name not in seen:
                seen.add(name)
                way.append(name)
                name = rival_of[name]
            if name in way:
                found.append(min(way[way.index(name) :], key=lambda one: arrived[one]))
        return found


class Insisting(RightBeforeLeft):
    """The same without the wave of the hand, and without end: a circle of four stands until somebody else decides."""

    patience_ms = 10**9

    def _circles(
        self, requests: Sequence[Request], comers: Mapping[str, Comer], rival_of: Mapping[str, str]
    ) -> list[str]:
        return []


def _shape(body: Body) -> Body:
    """``body`` without its name: rights of way are remembered per outline."""
    return Body("", body.footprint, body.limits, body.budget)


def _decides_m(own: Comer, body: Body) -> float:
    """How far before its line a vehicle decides."""
    v = own.speed_mps
    return _STAND_AT_M * size_scale(body) + v * THINK_S + v * v / (2.0 * _COMFORT * body.limits.brake_mps2_max)


def _arrival_s(other: Comer, body: Body) -> float:
    """When a rival is at its line: at the speed seen; at once if it stands there, never if it queues."""
    if other.speed_mps < STANDING_MPS:
        return 0.0 if other.to_line_m < 2.0 * _STAND_AT_M * size_scale(body) else math.inf
    return other.to_line_m / other.speed_mps


def _out_s(own: Comer, body: Body) -> float:
    """How long a vehicle takes to leave the zone if it goes now, speeding up to its limit at most."""
    v, a, cap = own.speed_mps, body.limits.accel_mps2_max, max(own.speed_mps, 0.5 * body.limits.speed_mps_max)
    to_cap_m = (cap * cap - v * v) / (2.0 * a)
    if own.to_clear_m <= to_cap_m:
        return (math.sqrt(v * v + 2.0 * a * own.to_clear_m) - v) / a
    return (cap - v) / a + (own.to_clear_m - to_cap_m) / cap
