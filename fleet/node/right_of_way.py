"""Crossing without radio: one at a time, in order of arrival at the lines, by what the sensors see (rule P9).

A vehicle that cannot agree stands at its line. It enters when the zone is empty, nobody approaches in
a way that no longer looks like stopping, and it is its turn. Turns follow the times at which each
vehicle was seen to stop; within ``TIE_S`` (sensors of two vehicles disagree by that much) the order
of the approaches decides, which all vehicles know from the map. A vehicle that does not take its turn
for ``PATIENCE_S`` loses it. Two that start together see each other move: the one later in order stops
while it is still short of the shared area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.node.road import Roads
from fleet.node.surroundings import STATIONARY_MPS, Surroundings

TIE_S = 0.6
PATIENCE_S = 4.0
YIELDING_MPS2 = 1.5
"""A road user that could stop at its line with this much braking is taken to be stopping. Vehicles of
this project approach without radio at 80 % of it, so that they look like what they are."""
APPROACH_MPS2 = 0.8 * YIELDING_MPS2
_AT_LINE_M = 4.0


@dataclass(slots=True)
class _Waiting:
    """A track seen standing at a line."""

    since_ms: int
    seen_ms: int
    approach: str


class RightOfWay:
    """Whose turn it is, for one vehicle at one zone."""

    def __init__(self, roads: Roads, scale: float) -> None:
        self._roads = roads
        self._scale = scale
        self._waiting: dict[int, _Waiting] = {}
        self._empty_since_ms: int | None = None

    def observe(self, now_ms: int, around: Surroundings, zone_id: str, own_path_id: str) -> None:
        """Note who stands at a line and whether the zone is empty; call at every new set of tracks."""
        occupied = False
        for row, track in enumerate(around.tracks):
            waits = around.stands_behind_a_line(row, zone_id, 0.6 * self._scale)
            for place in around.placements(row):
                passage = self._roads.get(place.path_id).passage(zone_id, place.rear_s_m)
                if passage is None:
                    continue
                if place.front_s_m > passage.line_s_m + 0.6 * self._scale and not waits:
                    occupied = True
                near = -0.6 * self._scale <= passage.line_s_m - place.front_s_m <= _AT_LINE_M * self._scale
                if near and track.speed_mps < STATIONARY_MPS * self._scale and place.path_id != own_path_id:
                    known = self._waiting.get(track.track_id)
                    if known is None:
                        origin = self._roads.zone_map.paths[place.path_id].origin
                        self._waiting[track.track_id] = _Waiting(now_ms, now_ms, origin)
                    else:
                        known.seen_ms = now_ms
        self._waiting = {key: w for key, w in self._waiting.items() if now_ms - w.seen_ms <= 1000}
        if occupied:
            self._empty_since_ms = None
        elif self._empty_since_ms is None:
            self._empty_since_ms = now_ms

    def may_enter(self, now_ms: int, around: Surroundings, zone_id: str, approach: str, since_ms: int) -> str:
        """Empty where it is this vehicle's turn, else what it waits for."""
        if self._empty_since_ms is None or now_ms - self._empty_since_ms < 300:
            return "zone_occupied"
        rush = self._rushing(around, zone_id)
        if rush:
            return rush
        patience_ms = 1000.0 * PATIENCE_S
        for waiting in self._waiting.values():
            if waiting.approach == approach:
                continue
            if now_ms - max(waiting.since_ms, self._empty_since_ms) > patience_ms * (1 + self._rank(waiting.approach)):
                continue
            if self._before(waiting, approach, since_ms):
                return "not_my_turn"
        return ""

    def silent_waits(self, around: Surroundings, approach: str) -> bool:
        """Whether one that says nothing stands at another line.

        It may have agreed to go with others that are not heard here, and cannot see that a vehicle that stands
        has agreed too: of two that stand, neither may leave the other out (rule P8).
        """
        silent = {around.tracks[row].track_id for row in around.silent_rows()}
        return any(key in silent and waiting.approach != approach for key, waiting in self._waiting.items())

    def must_yield(self, around: Surroundings, zone_id: str, approach: str) -> bool:
        """While starting: whether somebody earlier in the order of approaches has started too, or rushes in."""
        if self._rushing(around, zone_id):
            return True
        for row, track in enumerate(around.tracks):
            if track.speed_mps < STATIONARY_MPS * self._scale:
                continue
            for place in around.placements(row):
                path = self._roads.zone_map.paths[place.path_id]
                passage = self._roads.get(place.path_id).passage(zone_id, place.rear_s_m)
                if passage is None or path.origin == approach:
                    continue
                inside = place.front_s_m > passage.line_s_m + 0.6 * self._scale
                starting = place.front_s_m > passage.line_s_m - 0.6 * self._scale
                if inside or (starting and self._rank(path.origin) < self._rank(approach)):
                    return True
        return False

    def all_stand(self, around: Surroundings, zone_id: str) -> bool:
        """Whether nobody moves in the zone or comes up to it without looking like stopping."""
        if self._rushing(around, zone_id):
            return False
        for row, track in enumerate(around.tracks):
            if track.speed_mps < STATIONARY_MPS * self._scale:
                continue
            for place in around.placements(row):
                passage = self._roads.get(place.path_id).passage(zone_id, place.rear_s_m)
                if passage is not None and place.front_s_m > passage.line_s_m + 0.6 * self._scale:
                    return False
        return True

    def _before(self, waiting: _Waiting, approach: str, since_ms: int) -> bool:
        lead_s = (since_ms - waiting.since_ms) * 1e-3
        if abs(lead_s) > TIE_S:
            return lead_s > 0.0
        return self._rank(waiting.approach) < self._rank(approach)

    def _rank(self, approach: str) -> int:
        origins = sorted({path.origin for path in self._roads.zone_map.paths.values()})
        return origins.index(approach) if approach in origins else len(origins)

    def _rushing(self, around: Surroundings, zone_id: str) -> str:
        """A moving road user before its line that would need more than mild braking to stop there."""
        for row, track in enumerate(around.tracks):
            if track.speed_mps < STATIONARY_MPS * self._scale:
                continue
            for place in around.placements(row):
                passage = self._roads.get(place.path_id).passage(zone_id, place.rear_s_m)
                if passage is None:
                    continue
                room = passage.line_s_m + 0.6 * self._scale - place.front_s_m
                if room < 0.0:
                    continue
                if track.speed_mps > math.sqrt(2.0 * YIELDING_MPS2 * self._scale * room) + 0.8 * self._scale:
                    return "rushing"
        return ""
