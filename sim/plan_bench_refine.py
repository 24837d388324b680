"""How good and how fast refinement is: against the plans as they came, and against the direct joint programme.

Scenes are crowds before the built-in four-way junction, from seeds: vehicles on all approaches, behind one
another, each with the approach that it would drive there, all planned at once. Every figure of
planning is taken from the integer plans, and every plan is judged by the plain independent verifier.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from fleet.node.bodies import planner_body, planning_body
from hardware.vehicle import load_vehicle
from planners.check import Verifier
from planners.conflicts import ConflictTables
from planners.first_come import FirstCome
from planners.interface import Body, Commitment, JointPlan, JointPlanner, Request
from planners.passing import Traffic
from planners.refine import Job, Refiner
from planners.refine_baseline import JointProgramme
from planners.refine_problem import RefineWeights
from planners.refined_path import jerk_rms, refined_path
from planners.spacing import Spacing
from planners.timed_path import TimedPath
from planners.zone_map import ZoneMap
from planners.zones import build_zone_map
from sim.maps.builtin import build

Clock = Callable[[], float]
Say = Callable[[str], None]

SWITCH_MS = 300
_NEAREST_M = (45.0, 90.0)
_SPACING_M = (18.0, 35.0)
_SPEED_MPS = (9.0, 13.0)
ALONE = Spacing(crossing_s=0.0, headway_s=0.0, crossing_m=1.5, standstill_m=1.5)
"""The joint programme knows no buffers in time; both are then compared with buffers in distance only."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The map that scenes take place on."""

    zone_map: ZoneMap
    conflicts: ConflictTables
    planner: JointPlanner

    @staticmethod
    def four_way() -> Ground:
        """The junction of the common workload and its car, with arms long enough for eight in a row."""
        source, body = build("four_way", arm_m=400.0), car("")
        outlines = [(path.path_id, body.footprint, body.budget) for path in source.paths]
        zone_map, conflicts = build_zone_map(source.name, source.paths, outlines)
        return Ground(zone_map, conflicts, FirstCome(zone_map, conflicts))


@dataclass(frozen=True, slots=True)
class Smoothness:
    """What refinement does to plans: shares are of the plan as it came."""

    vehicles: int
    scenes: int
    seconds: tuple[float, ...]
    jerk_share: float
    """Root mean square over all plans of all scenes, as :func:`planners.refined_path.jerk_rms` counts it."""
    delay_share: float
    """Mean delay against driving alone, from the switch to the path's end."""
    refined_share: float
    """Plans refined, of those with a change of speed."""
    feasible_share: float
    """Scenes to whose plans the plain verifier has no objection."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Refinement against one nonlinear programme of all vehicles, same scene, one row per seed.

    ``cost_shares``: of IPOPT's; ``speedups``: seconds of FATROP over seconds of refinement, first solved from
    the plans as they came, then started from its own solution. ``feasible``: (refinement, IPOPT) by the verifier; a
    refinement of which anything was taken back counts as infeasible.
    """

    vehicles: int
    cost_shares: tuple[float, ...]
    seconds: tuple[float, ...]
    ipopt_s: tuple[float, ...]
    fatrop_s: tuple[float, ...]
    fatrop_again_s: tuple[float, ...]
    feasible: tuple[tuple[bool, bool], ...]
    unsolved: int


def crowd(ground: Ground, seed: int, count: int) -> list[Request]:
    """``count`` vehicles before the junction, spread over the approaches; the same for the same seed."""
    rng = np.random.default_rng(seed)
    paths = ground.zone_map.paths
    origins = sorted({path.origin for path in paths.values()})
    last: dict[str, Request] = {}
    requests = []
    for k in range(count):
        origin = origins[k % len(origins)]
        path_id = str(rng.choice(sorted(key for key, path in paths.items() if path.origin == origin)))
        passage = ground.zone_map.passages[path_id][0]
        ahead = last.get(origin)
        s_m = passage.line_s_m - rng.uniform(*_NEAREST_M) if ahead is None else _behind(ahead, rng.uniform(*_SPACING_M))
        request = _request(ground, f"v{k:02d}", path_id, (s_m, rng.uniform(*_SPEED_MPS)), ahead)
        last[origin] = replace(request, arrived_ms=int(rng.integers(0, 3000)))
        requests.append(last[origin])
    return requests


def smoothness(ground: Ground, seeds: Sequence[int], count: int, clock: Clock, say: Say) -> Smoothness:
    """Refine one crowd per seed, each twice: the first time fills caches, the second is measured."""
    refiner = Refiner(ground.zone_map, ground.conflicts)
    verifier = Verifier(ground.zone_map)
    seconds, jerks, delays, words, feasible = [], [], [], [], 0
    for seed in seeds:
        requests = crowd(ground, seed, count)
        came = ground.planner.plan(requests, [], now_ms=0)
        refiner.refine(came, requests, [], now_ms=0)
        began = clock()
        made = refiner.refine(came, requests, [], now_ms=0)
        seconds.append(clock() - began)
        bodies = {request.body.vehicle: request.body for request in requests}
        refused = {refusal.vehicle for refusal in came.refused}
        fixed = [Commitment(r.body, r.approach) for r in requests if r.body.vehicle in refused]
        judged = [Commitment(bodies[plan.vehicle], plan) for plan in made.plans]
        feasible += not verifier.joint(judged, fixed, from_ms=0)
        jerks += [_jerks(before, after) for before, after in zip(came.plans, made.plans, strict=True)]
        delays += _delays(ground, requests, came, made.plans)
        words += [word for _, word in made.status]
        say(f"{count} vehicles, seed {seed}: {seconds[-1] * 1e3:.0f} ms, {made.iterations} programmes")
    before, after = np.array(jerks).sum(axis=0)
    late = np.array(delays).mean(axis=0)
    changing = [word for word in words if word != "steady"]
    return Smoothness(
        count, len(seeds), tuple(seconds), math.sqrt(after / before), float(late[1] / late[0]),
        changing.count("refined") / len(changing), feasible / len(seeds),
    )  # fmt: skip


def comparison(ground: Ground, seeds: Sequence[int], count: int, clock: Clock, say: Say) -> Comparison:
    """Refinement and the direct joint programme on the same scenes, objective, bounds and grid.

    The objective is comfort and energy alone (time has no price, only its bound), so that the ratio of costs
    is not hidden behind a delay that nobody can avoid.
    """
    weights = RefineWeights(time=0.0)
    refiner = Refiner(ground.zone_map, ground.conflicts, weights, ALONE)
    rows, unsolved = [], 0
    for seed in seeds:
        row = _compared(ground, refiner, weights, crowd(ground, seed, count), clock)
        if row is None:
            unsolved += 1
            say(f"{count} vehicles, seed {seed}: a joint solver found nothing")
            continue
        rows.append(row)
        faster = row[3] / row[1]
        say(f"{count} vehicles, seed {seed}: cost {row[0]:.3f} of IPOPT's, {faster:.0f} times faster than FATROP")
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    return Comparison(count, *(tuple(column) for column in columns), unsolved)


def _compared(
    ground: Ground, refiner: Refiner, weights: RefineWeights, requests: list[Request], clock: Clock
) -> tuple[float, float, float, float, float, tuple[bool, bool]] | None:
    """(cost share, seconds, IPOPT's, FATROP's, FATROP's second, feasible); None where a joint solver fails."""
    came = ground.planner.plan(requests, [], now_ms=0)
    _, alone = refiner.jobs(came, requests, [], now_ms=0)
    spans = [np.ptp(job.refinement.steps.t_s) for job in alone if job.refinement is not None]
    step_ms = math.ceil(max(spans) * 1e3 / weights.step_count)
    began = clock()
    traffic, jobs = refiner.jobs(came, requests, [], now_ms=0, step_ms=step_ms)
    made = refiner.finish(traffic, jobs, refiner.sweep(traffic, jobs), now_ms=0)
    seconds = clock() - began
    parts = [job.refinement for job in jobs if job.refinement is not None]
    cost = sum(
        job.refinement.cost(job.refinement.planned if job.accel is None else job.accel)
        for job in jobs
        if job.refinement is not None
    )
    solutions, again_s = [], 0.0
    for solver in ("ipopt", "fatrop"):
        joint = JointProgramme(traffic, jobs, weights, solver)
        solutions.append(joint.solve(joint.start([part.steps.driven(part.planned) for part in parts]), clock))
        again_s = joint.solve(joint.last, clock).seconds
    ipopt, fatrop = solutions
    if ipopt.accel is None or fatrop.accel is None:
        return None
    verifier = Verifier(ground.zone_map)
    direct = _driven(ground, traffic, jobs, list(ipopt.accel))
    bodies = [job.member.body for job in jobs]
    ours, theirs = (
        not verifier.joint([Commitment(*pair) for pair in zip(bodies, plans, strict=True)], [], from_ms=0)
        for plans in (made.plans, direct)
    )
    kept = all(word in {"refined", "steady"} for _, word in made.status)
    return cost / ipopt.cost, seconds, ipopt.seconds, fatrop.seconds, again_s, (ours and kept, theirs)


def _driven(ground: Ground, traffic: Traffic, jobs: list[Job], accel: list[np.ndarray]) -> list[TimedPath]:
    """A joint solution as integer plans, by the same rounding."""
    plans = []
    for job in jobs:
        plan = job.member.plan
        if job.refinement is not None:
            motion, path = job.refinement.steps.driven(accel.pop(0)), ground.zone_map.paths[plan.path_id]
            plan = refined_path(job.member.body, path, plan, job.switch_ms, motion, joined_m=0.0)
        plans.append(plan)
    return plans


def table(figures: Sequence[Smoothness], against: Sequence[Comparison]) -> str:
    """Both sets of figures as Markdown tables."""
    lines = [
        "| vehicles | scenes | ms p50 / p99 | rms jerk, share of before | delay, share | refined | feasible |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in figures:
        ms = [1e3 * seconds for seconds in one.seconds]
        lines.append(
            f"| {one.vehicles} | {one.scenes} | {median(ms):.0f} / {np.percentile(ms, 99):.0f} | {one.jerk_share:.2f} "
            f"| {one.delay_share:.3f} | {one.refined_share:.0%} | {one.feasible_share:.0%} |"
        )
    lines += [
        "",
        "| vehicles | scenes (unsolved) | cost of IPOPT's: median / worst | ms refined | IPOPT | FATROP | FATROP again "
        "| times faster: median / least | feasible: refined / IPOPT |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for two in against:
        ratio = [slow / fast for slow, fast in zip(two.fatrop_again_s, two.seconds, strict=True)]
        feasible = [f"{sum(pair[k] for pair in two.feasible)}" for k in (0, 1)]
        ms = [f"{1e3 * median(one):.0f}" for one in (two.seconds, two.ipopt_s, two.fatrop_s, two.fatrop_again_s)]
        lines.append(
            f"| {two.vehicles} | {len(two.seconds)} ({two.unsolved}) | {median(two.cost_shares):.3f} / "
            f"{max(two.cost_shares):.3f} | {' | '.join(ms)} | {median(ratio):.0f} / {min(ratio):.0f} "
            f"| {' / '.join(feasible)} of {len(two.feasible)} |"
        )
    return "\n".join(lines)


def car(name: str) -> Body:
    """A body of the workload's car."""
    return planning_body(planner_body(name, load_vehicle("car")))


def _behind(ahead: Request, spacing_m: float) -> float:
    return ahead.approach.s0_mm * 1e-3 - spacing_m


def _request(ground: Ground, name: str, path_id: str, state: tuple[float, float], ahead: Request | None) -> Request:
    passage = ground.zone_map.passages[path_id][0]
    leader = None if ahead is None else Commitment(ahead.body, ahead.approach)
    body = car(name)
    approach = ground.planner.approach(body, path_id, (*state, 0.0), now_ms=0, stop_s_m=passage.line_s_m, leader=leader)
    name_ahead = None if ahead is None else ahead.body.vehicle
    return Request(body, approach, SWITCH_MS, passage.zone_id, 0, 1.0, math.inf, name_ahead)


def _jerks(before: TimedPath, after: TimedPath) -> tuple[float, float]:
    """Sums of squared jerk of two plans over the time of the first."""
    span = before.end_ms - SWITCH_MS
    rough, smooth = (jerk_rms(plan, SWITCH_MS, before.end_ms) for plan in (before, after))
    return span * rough * rough, span * smooth * smooth


def _delays(
    ground: Ground, requests: Sequence[Request], came: JointPlan, made: Sequence[TimedPath]
) -> list[tuple[float, float]]:
    """(as it came, refined) of each plan: seconds behind driving the same path alone."""
    asked = {request.body.vehicle: request for request in requests}
    found = []
    for before, after in zip(came.plans, made, strict=True):
        request = replace(asked[before.vehicle], lane_leader=None)
        alone = ground.planner.plan([request], [], now_ms=0).plans[0]
        length = ground.zone_map.paths[before.path_id].length_m
        free = _passes_s(alone, length)
        found.append((_passes_s(before, length) - free, _passes_s(after, length) - free))
    return found


def _passes_s(plan: TimedPath, s_m: float) -> float:
    arrays = plan.arrays()
    return float(np.interp(s_m, arrays.s_m, arrays.t_s))
