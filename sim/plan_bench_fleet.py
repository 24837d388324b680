"""What a vehicle's computer has to do in a big fleet: plan itself anew among many, and judge joint plans.

The fleet drives at four junctions of their own, fifty vehicles before each, all with plans that are promised; one of
them, the last of its lane, is planned again. The same with the first junction alone says what the rest of the fleet
costs. Times are CPU times of a warm process, each call timed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planners.check import Verifier
from planners.check_fast import FastVerifier
from planners.first_come import FirstCome
from planners.interface import Commitment, Request
from planners.order import WelfareOrder
from planners.zone_map import Path
from planners.zones import build_zone_map
from sim.maps.builtin import build
from sim.plan_bench_refine import Ground, car, crowd

Clock = Callable[[], float]
Say = Callable[[str], None]
JUNCTIONS, EACH = 4, 50
_APART_M = 2_000.0


@dataclass(frozen=True, slots=True)
class Replan:
    """One vehicle's planning among so many others that have plans; seconds, one entry per call."""

    vehicles: int
    junctions: int
    seconds: tuple[float, ...]


def junctions(count: int) -> Ground:
    """``count`` four-way junctions on one map, far apart."""
    source, body = build("four_way", arm_m=400.0), car("")
    paths = [_moved(path, k) for k in range(count) for path in source.paths]
    outlines = [(path.path_id, body.footprint, body.budget) for path in paths]
    zone_map, conflicts = build_zone_map("junctions", paths, outlines)
    return Ground(zone_map, conflicts, FirstCome(zone_map, conflicts))


def _moved(path: Path, k: int) -> Path:
    x_m = path.x_m + k * _APART_M
    x_m.setflags(write=False)
    names = {name: f"{k}{getattr(path, name)}" for name in ("path_id", "origin", "destination")}
    return replace(path, x_m=x_m, **names)


def replans(scenes: int, clock: Clock, say: Say) -> list[Replan]:
    """Fifty vehicles at one junction, then two hundred at four."""
    ground = junctions(JUNCTIONS)
    planner = WelfareOrder(ground.zone_map, ground.conflicts)
    rows: dict[int, list[float]] = {1: [], JUNCTIONS: []}
    for seed in range(-1, scenes):  # the first one fills caches
        asked = crowd(ground, max(seed, 0), JUNCTIONS * EACH)
        fleet: list[tuple[Request, Commitment]] = []
        for zone_id in sorted({one.zone_id for one in asked}):
            here = {one.body.vehicle: one for one in asked if one.zone_id == zone_id}
            plans = planner.plan(list(here.values()), [], now_ms=0).plans
            fleet += [(here[plan.vehicle], Commitment(here[plan.vehicle].body, plan)) for plan in plans]
        leaders = {request.lane_leader for request, _ in fleet}
        zone_id = fleet[0][0].zone_id
        for request, _ in fleet:
            if request.zone_id != zone_id or request.body.vehicle in leaders:
                continue
            others = [(one, plan) for one, plan in fleet if one is not request]
            for junction_count, found in rows.items():
                near = [plan for one, plan in others if junction_count > 1 or one.zone_id == zone_id]
                began = clock()
                planner.plan([replace(request, lane_leader=None)], near, now_ms=0)
                if seed >= 0:
                    found.append(clock() - began)
    made = [Replan(EACH * count, count, tuple(seconds)) for count, seconds in rows.items()]
    for one in made:
        say(f"replan among {one.vehicles}: {1e3 * float(np.median(one.seconds)):.2f} ms")
    return made


def judgements(scenes: int, clock: Clock, say: Say) -> dict[str, tuple[float, ...]]:
    """Seconds in which joint plans of eight vehicles are judged, by the compiled and by the plain verifier."""
    ground = Ground.four_way()
    planner = WelfareOrder(ground.zone_map, ground.conflicts)
    judges = {"compiled": FastVerifier(ground.zone_map), "plain": Verifier(ground.zone_map)}
    found: dict[str, list[float]] = {name: [] for name in judges}
    for seed in range(-1, scenes):
        asked = crowd(ground, seed + 1, 8)
        bodies = {one.body.vehicle: one.body for one in asked}
        plans = [Commitment(bodies[plan.vehicle], plan) for plan in planner.plan(asked, [], now_ms=0).plans]
        for name, judge in judges.items():
            began = clock()
            judge.joint(plans, [], from_ms=0)
            if seed >= 0:
                found[name].append(clock() - began)
    say(f"verifier: {1e3 * float(np.median(found['compiled'])):.2f} ms compiled")
    return {name: tuple(seconds) for name, seconds in found.items()}


def table(rows: Sequence[Replan], judged: dict[str, tuple[float, ...]]) -> str:
    """Both as Markdown."""
    lines = ["| one vehicle planned anew, fleet of | junctions | ms, median / p99 | of the first row |"]
    lines.append("| --- | --- | --- | --- |")
    first = float(np.median(rows[0].seconds))
    for one in rows:
        share = float(np.median(one.seconds)) / first
        lines.append(f"| {one.vehicles} | {one.junctions} | {_both(one.seconds)} | {share:.2f} |")
    lines += ["", "| verifier, joint plan of 8 | ms, median / p99 |", "| --- | --- |"]
    lines += [f"| {name} | {_both(seconds)} |" for name, seconds in judged.items()]
    return "\n".join(lines)


def _both(seconds: Sequence[float]) -> str:
    return f"{1e3 * float(np.median(seconds)):.2f} / {1e3 * float(np.percentile(seconds, 99)):.2f}"
