"""Signal phases of a zone, from its geometry: which lanes can have green together.

All movements of one lane have green together, for they wait behind each other. Two lanes are compatible
if none of their paths cross or merge; or if they face each other and their least turning paths do not
(a *permissive* left turn has green with the oncoming lane and yields to it). Phases are found greedily,
facing lanes first, until every lane has one; then each is filled up with whatever else is compatible. On
crossroads with one lane this gives the usual two phases, with a lane for each movement the usual four.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planners.interface import Conflicts
from planners.zone_map import ErrorBudget, Footprint, Passage, Path, ZoneMap

_CAR = Footprint(5.0, 1.8, 1.05)
_CAR_LANE_M = 3.5
"""Phases belong to the road, not to who comes: they are those of a car, or a model car, that fits the lane."""
_BUDGET_M = 0.15
_FACING_RAD = math.radians(135.0)
_SAME_LANE_SHARE = 0.3
_SAME_LANE_COS = math.cos(math.radians(25.0))

Meet = Callable[[str, str], bool]
Outline = tuple[Footprint, ErrorBudget]


@dataclass(frozen=True, slots=True)
class Lane:
    """Paths that share the place where vehicles wait for a zone."""

    paths: tuple[str, ...]
    main: str
    """The path that turns least."""
    yaw_rad: float
    """Direction at the line."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What has green at one time; ``yielding`` are those of ``paths`` that let oncoming vehicles pass first."""

    paths: frozenset[str]
    yielding: frozenset[str]


def phases_of(zone_map: ZoneMap, conflicts: Conflicts, zone_id: str) -> tuple[Phase, ...]:
    """The phases of a zone; every path through it is in at least one. Deterministic in the map."""
    passages = {p.path_id: p for p in zone_map.zones[zone_id].passages}
    widths = [2.0 * float(np.median(zone_map.paths[path_id].half_width_m)) for path_id in sorted(passages)]
    scale = min(1.0, float(np.median(widths)) / _CAR_LANE_M)
    outline = (
        Footprint(scale * _CAR.length_m, scale * _CAR.width_m, scale * _CAR.rear_m),
        ErrorBudget(scale * _BUDGET_M, scale * _BUDGET_M),
    )

    def meet(path_i: str, path_j: str) -> bool:
        return meet_in_zone(conflicts, (passages[path_i], outline), (passages[path_j], outline))

    lanes = _lanes(zone_map, passages, outline[0].length_m)
    left = list(lanes)
    found: list[list[Lane]] = []
    while left:
        members = [left[0]]
        facing_first = sorted(left[1:], key=lambda lane: not _facing(lane, members[0]))
        members += _addable(members, facing_first, meet)
        left = [lane for lane in left if lane not in members]
        found.append(members)
    filled = [members + _addable(members, [one for one in lanes if one not in members], meet) for members in found]
    return tuple(_phase(members, meet) for members in filled)


def meet_in_zone(conflicts: Conflicts, i: tuple[Passage, Outline], j: tuple[Passage, Outline]) -> bool:
    """Whether bodies on two paths cross or merge within one zone; elsewhere they may."""
    (passage, outline), (passage_j, outline_j) = i, j
    low_m, high_m = _reach_m(passage, outline)
    low_j_m, high_j_m = _reach_m(passage_j, outline_j)
    for table in conflicts.between(passage.path_id, outline, passage_j.path_id, outline_j):
        s_m = (table.first_bin + np.arange(len(table.lo_m))) * table.step_m
        here = (s_m >= low_m) & (s_m <= high_m) & (table.lo_m <= high_j_m) & (table.hi_m >= low_j_m)
        if table.kind in ("crossing", "merging") and bool((here & (table.lo_m <= table.hi_m)).any()):
            return True
    return False


def _reach_m(passage: Passage, outline: Outline) -> tuple[float, float]:
    """Where the rear axle of a vehicle is that is in the zone."""
    return passage.line_s_m - outline[0].front_m, passage.exit_s_m + outline[0].rear_m


def _addable(members: list[Lane], candidates: list[Lane], meet: Meet) -> list[Lane]:
    """Those of ``candidates``, taken one by one, that are compatible with the members and each other."""
    added: list[Lane] = []
    for lane in candidates:
        if all(_compatible(lane, other, meet) for other in [*members, *added]):
            added.append(lane)
    return added


def _compatible(a: Lane, b: Lane, meet: Meet) -> bool:
    if _facing(a, b):
        return not meet(a.main, b.main)
    return not any(meet(i, j) for i in a.paths for j in b.paths)


def _facing(a: Lane, b: Lane) -> bool:
    return abs(math.remainder(a.yaw_rad - b.yaw_rad, math.tau)) > _FACING_RAD


def _phase(members: list[Lane], meet: Meet) -> Phase:
    paths = frozenset(path_id for lane in members for path_id in lane.paths)
    yielding = frozenset(
        path_id
        for lane in members
        for path_id in lane.paths
        if path_id != lane.main
        and any(_facing(lane, other) and meet(path_id, other.main) for other in members if other is not lane)
    )
    return Phase(paths, yielding)


def _lanes(zone_map: ZoneMap, passages: dict[str, Passage], length_m: float) -> list[Lane]:
    """Paths whose waiting places coincide, grouped; in order of their first path's name."""
    groups: list[list[str]] = []
    for path_id in sorted(passages):
        own = zone_map.paths[path_id], passages[path_id]
        for group in groups:
            first = zone_map.paths[group[0]], passages[group[0]]
            if _waits_in(own, first, length_m) or _waits_in(first, own, length_m):
                group.append(path_id)
                break
        else:
            groups.append([path_id])
    lanes = []
    for group in groups:
        turn = {path_id: turn_rad(zone_map.paths[path_id], passages[path_id]) for path_id in group}
        main = min(group, key=lambda path_id: (round(abs(turn[path_id]), 2), path_id))
        lanes.append(Lane(tuple(group), main, line_yaw_rad(zone_map.paths[main], passages[main])))
    return lanes


def _waits_in(one: tuple[Path, Passage], other: tuple[Path, Passage], length_m: float) -> bool:
    """Whether the middle of a vehicle that waits on ``one`` is in the lane of ``other``, before its exit."""
    path, passage = one
    lane, beyond = other
    k = _sample(path, passage.line_s_m - 0.5 * length_m)
    distance = np.hypot(lane.x_m - path.x_m[k], lane.y_m - path.y_m[k])
    nearest = int(np.argmin(distance))
    aligned = math.cos(float(lane.yaw_rad[nearest] - path.yaw_rad[k])) > _SAME_LANE_COS
    near = float(distance[nearest]) < _SAME_LANE_SHARE * 2.0 * float(lane.half_width_m[nearest])
    return aligned and near and nearest * lane.step_m < beyond.exit_s_m


def turn_rad(path: Path, passage: Passage) -> float:
    """Change of heading from the line to the exit of a zone, positive to the left; a full circle is not 0."""
    first, last = _sample(path, passage.line_s_m), _sample(path, passage.exit_s_m)
    return float(np.unwrap(path.yaw_rad[first : last + 1])[-1] - path.yaw_rad[first])


def line_yaw_rad(path: Path, passage: Passage) -> float:
    """Heading at the line."""
    return float(path.yaw_rad[_sample(path, passage.line_s_m)])


def _sample(path: Path, s_m: float) -> int:
    return min(max(round(s_m / path.step_m), 0), len(path.x_m) - 1)
