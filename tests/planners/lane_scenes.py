"""Random crowds in lanes for tests: built-in maps with drawn measures, bodies of several kinds, speeds and distances.

A site is one map with two kinds of bodies; its conflict tables are computed once and serve all its crowds.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from functools import lru_cache

from fleet.errors import PlanError
from fleet.node.bodies import planner_body, planning_body
from hardware.vehicle import load_vehicle
from planners.conflicts import ConflictTables
from planners.first_come import FirstCome
from planners.interface import Body, Commitment, Request
from planners.zone_map import ZoneMap
from planners.zones import build_zone_map
from sim.maps.builtin import build

KINDS = ("bicycle", "bus", "car", "motorcycle", "truck")
MAPS = ("four_way", "four_way_3lane", "merge", "roundabout", "t_junction")
_LANE_M = (3.2, 4.0)
_SPEED_MPS = (8.0, 16.0)
_ARM_M = (90.0, 140.0)
_SWITCH_MS = 300
_BRAKE_SHARE = 0.7
"""Of a body's braking: nobody is drawn so near and fast that standing before the line would take more."""


@dataclass(frozen=True, slots=True)
class Site:
    """A map, the zone that crowds are before, and the bodies there."""

    zone_map: ZoneMap
    conflicts: ConflictTables
    planner: FirstCome
    zone_id: str
    bodies: tuple[Body, ...]
    """As planners are given them."""
    plain: tuple[Body, ...]
    """The same as the verifier is given them: without the planners' own margin."""
    paths: tuple[str, ...]
    """Those that pass the zone first."""

    def line_m(self, path_id: str, place: int = 0) -> float:
        """Where the line of the path's zone number ``place`` is; inf where there is no such zone."""
        passages = self.zone_map.passages[path_id]
        return passages[place].line_s_m if place < len(passages) else math.inf


@lru_cache(maxsize=4)
def site(seed: int) -> Site:
    """Maps and pairs of kinds in turn, measures drawn; the same for the same seed."""
    chance = random.Random(seed)
    kinds = sorted({KINDS[seed % len(KINDS)], KINDS[(seed + 1 + seed // len(KINDS)) % len(KINDS)]})
    plain = tuple(planner_body(kind, load_vehicle(kind)) for kind in kinds)
    bodies = tuple(planning_body(body) for body in plain)
    measures = {"lane_width_m": _LANE_M, "speed_limit_mps": _SPEED_MPS, "arm_m": _ARM_M}
    source = build(
        MAPS[seed % len(MAPS)], **{name: round(chance.uniform(*between), 2) for name, between in measures.items()}
    )
    outlines = [(path.path_id, body.footprint, body.budget) for path in source.paths for body in bodies]
    zone_map, conflicts = build_zone_map(source.name, source.paths, outlines)
    first = {path_id: passages[0].zone_id for path_id, passages in zone_map.passages.items() if passages}
    zone_id = max(sorted(set(first.values())), key=list(first.values()).count)
    paths = tuple(sorted(path_id for path_id, zone in first.items() if zone == zone_id))
    return Site(zone_map, conflicts, FirstCome(zone_map, conflicts), zone_id, bodies, plain, paths)


def crowd(ground: Site, seed: int) -> list[Request]:
    """Two to five vehicles before the zone; whoever would start too near to another one is left out."""
    chance = random.Random(seed)
    ahead: dict[tuple[float, float], Request] = {}
    found: list[Request] = []
    for k in range(chance.randint(2, 5)):
        body = replace(chance.choice(ground.bodies), vehicle=f"v{k}")
        path_id = chance.choice(ground.paths)
        request = _before(ground, body, path_id, chance, ahead)
        if request is not None:
            found.append(request)
            ahead[_lane(ground, path_id)] = request
    return found


def as_judged(ground: Site, c: Commitment) -> Commitment:
    """A plan with its body as the verifier is given it."""
    body = ground.plain[[one.footprint for one in ground.bodies].index(c.body.footprint)]
    return Commitment(replace(body, vehicle=c.body.vehicle), c.plan)


def _lane(ground: Site, path_id: str) -> tuple[float, float]:
    path = ground.zone_map.paths[path_id]
    return round(float(path.x_m[0]), 3), round(float(path.y_m[0]), 3)


def _before(
    ground: Site, body: Body, path_id: str, chance: random.Random, ahead: dict[tuple[float, float], Request]
) -> Request | None:
    """Somewhere on its lane, behind whoever is there, standing or up to as fast as it can still stop."""
    line, front, leader = ground.line_m(path_id), body.footprint.front_m, ahead.get(_lane(ground, path_id))
    last = line - front - 1.0
    top = min(body.limits.speed_mps_max, float(ground.zone_map.paths[path_id].limit_mps[0]))
    if leader is not None:
        bumper = leader.approach.s0_mm * 1e-3 - leader.body.footprint.rear_m
        last = min(last, bumper - front - chance.uniform(2.0, 30.0))
        top = min(top, leader.approach.v0_mmps * 1e-3)  # never faster than who is ahead, or it may be too late to brake
    s_m = last - (chance.uniform(0.0, 60.0) if leader is None else 0.0)
    if s_m < body.footprint.rear_m:
        return None
    reach = math.sqrt(2.0 * _BRAKE_SHARE * body.limits.brake_mps2_max * max(0.0, line - front - 1.0 - s_m))
    v_mps = min(top, reach) * chance.choice((0.0, chance.random(), 1.0))
    known = None if leader is None else Commitment(leader.body, leader.approach)
    try:
        approach = ground.planner.approach(
            body, path_id, (s_m, v_mps, 0.0), now_ms=0, stop_s_m=line, leader=known
        )  # fmt: skip
    except PlanError:
        return None
    name = None if leader is None else leader.body.vehicle
    return Request(
        body, approach, _SWITCH_MS, ground.zone_id, chance.randint(0, 3000), chance.choice((1.0, 1.0, 4.0)),
        ground.line_m(path_id, 1), name,
    )  # fmt: skip
