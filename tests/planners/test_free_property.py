"""Random sites, counts, speeds and footprints: shapely finds no conflict in what planner and verifier let pass.

Every second case is one to agree on: with ramps, stops and a slack in time, as ``fleet run`` drives it.
The long version: ``pytest -m soak tests/planners/test_free_property.py`` (20,000 cases, about 20 CPU minutes).
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import shapely

from fleet.errors import PlanError
from planners.check_timed import SLACK_S, SiteShapes, Tube, joint_findings, motion_findings, site_findings, tube_of
from planners.free_space import Disc, FreeSpaceProblem, FreeVehicle, Polygon, Pose, misplaced, plan_free_space
from planners.free_timing import timed
from planners.interface import Body
from planners.zone_map import ErrorBudget, Footprint, MotionLimits
from tests.planners.free_scenes import faults, shape_of

_BLOCK = 50
_DENSE_S = 0.1
_BUDGET = ErrorBudget(0.05, 0.1)
_MARGIN_M = 0.3
"""What agreed plans are planned with; the verifier's own margin is smaller."""


def drawn(seed: int) -> FreeSpaceProblem:
    """One to four vehicles of different sizes on a site with some obstacles; whoever has no place is left out."""
    chance = random.Random(seed)
    size = chance.uniform(18.0, 40.0)

    def pose() -> Pose:
        return chance.uniform(2.0, size - 2.0), chance.uniform(2.0, size - 2.0), chance.uniform(-math.pi, math.pi)

    vehicles = tuple(
        FreeVehicle(
            f"v{n}", pose(), pose(), chance.uniform(0.8, 4.0), chance.uniform(0.2, 1.2), chance.uniform(0.6, 2.2),
            # Even units of curvature, as plans to agree on have them.
            1.0 / (2e-4 * chance.randint(800, 2500)), chance.uniform(0.8, 1.8),
        )
        for n in range(chance.randint(1, 4))
    )  # fmt: skip
    obstacles: list[Disc | Polygon] = []
    for _ in range(chance.randint(0, 4)):
        x, y, r = chance.uniform(0.0, size), chance.uniform(0.0, size), chance.uniform(0.2, 1.5)
        square = ((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r))
        obstacles.append(Disc(x, y, r) if chance.random() < 0.5 else Polygon(square))
    problem = FreeSpaceProblem(vehicles, tuple(obstacles), (0.0, 0.0, size, size), nodes_max=30_000)
    out = {one.vehicle for one in misplaced(problem)}
    return replace(problem, vehicles=tuple(v for v in vehicles if v.name not in out))


def to_agree(problem: FreeSpaceProblem) -> FreeSpaceProblem:
    """The same with bodies larger by a margin, ramps, stops, and a slack in time."""
    vehicles = tuple(
        replace(
            v, front_m=v.front_m + _MARGIN_M, rear_m=v.rear_m + _MARGIN_M, width_m=v.width_m + 2.0 * _MARGIN_M,
            ramp_s=0.5 * v.speed_mps / 1.4, dwell_s=0.9,
        )
        for v in problem.vehicles
    )  # fmt: skip
    return replace(problem, vehicles=vehicles, slack_s=1.3)


def agreed(problem: FreeSpaceProblem, wider: FreeSpaceProblem) -> list[Tube]:
    """The plans that the verifier lets pass; none where there is no joint plan."""
    answer = plan_free_space(wider)
    tubes = []
    for path, v in zip(answer.paths, problem.vehicles, strict=False):
        limits = MotionLimits(v.speed_mps + 1e-3, 2.0, 2.0, 3.0, 15.0)
        body = Body(v.name, Footprint(v.front_m + v.rear_m, v.width_m, v.rear_m), limits, _BUDGET)
        try:
            tubes.append(tube_of(body, timed(path, wider.vehicles[len(tubes)], 1000)))
        except PlanError:
            return []  # more arcs than a plan may have
    discs = np.array([(o.x_m, o.y_m, o.radius_m) for o in problem.obstacles if isinstance(o, Disc)]).reshape(-1, 3)
    polygons = tuple(np.array(o.corners_m) for o in problem.obstacles if isinstance(o, Polygon))
    shapes = SiteShapes(discs, polygons, problem.border_m)
    for tube, v in zip(tubes, problem.vehicles, strict=False):
        assert motion_findings(tube, 1.0 / v.turn_radius_m) == []
        if site_findings(tube, shapes, from_s=1.0):
            return []
    return [] if joint_findings(tubes, [], from_s=1.0) else tubes


def boxes(tube: Tube, t_s: np.ndarray) -> np.ndarray:
    """Outlines by integration of the steered point in small steps, not by the verifier's formulas."""
    plan, unit = tube.plan, 1e-3
    x, y, yaw = tube.path.start[0] * unit, tube.path.start[1] * unit, tube.path.start[2] * 1e-5
    rows = [(0.0, x, y, yaw)]
    for length, kappa in tube.path.arcs:
        steps = max(1, math.ceil(abs(length) / 20.0))
        d = length * unit / steps
        for _ in range(steps):
            half = yaw + 0.5 * d * kappa * 1e-4
            x, y, yaw = x + d * math.cos(half), y + d * math.sin(half), yaw + d * kappa * 1e-4
            rows.append((rows[-1][0] + abs(d), x, y, yaw))
    table = np.array(rows).T
    driven = np.array([plan.arrays().at(min(max(t, plan.t0_ms * unit), plan.end_ms * unit))[0] for t in t_s])
    x, y, yaw = (np.interp(driven, table[0], column) for column in table[1:])
    foot = tube.body.footprint
    c, s, half_m = np.cos(yaw), np.sin(yaw), 0.5 * foot.width_m
    ends = ((foot.front_m, half_m), (foot.front_m, -half_m), (-foot.rear_m, -half_m), (-foot.rear_m, half_m))
    corners = [np.stack((x + a * c - b * s, y + a * s + b * c), axis=1) for a, b in ends]
    out: np.ndarray = shapely.polygons(np.stack(corners, axis=1))
    return out


def conflicts(problem: FreeSpaceProblem, tubes: list[Tube], chance: random.Random) -> list[str]:
    """What shapely finds when each vehicle keeps a lateness of its own, within the slack of any other."""
    found = []
    end_s = max((tube.end_s for tube in tubes), default=0.0) + SLACK_S
    t_s = np.arange(1.0, end_s, _DENSE_S)
    placed = [boxes(tube, t_s + chance.uniform(-0.5, 0.5) * SLACK_S) for tube in tubes]
    area = shapely.box(*problem.border_m)
    for n, shapes in enumerate(placed):
        found += [f"{n} leaves the site"] if not shapely.covers(area, shapes).all() else []
        for obstacle in problem.obstacles:
            found += [f"{n} meets {obstacle}"] if shapely.intersects(shape_of(obstacle), shapes).any() else []
        found += [f"{n} meets {m}" for m in range(n) if shapely.intersects(placed[m], shapes).any()]
    return found


def judged(seed: int) -> bool:
    """Plan and judge one case; whether there was a plan."""
    problem = drawn(seed)
    if seed % 2:
        tubes = agreed(problem, to_agree(problem))
        assert conflicts(problem, tubes, random.Random(seed)) == [], seed
        return bool(tubes)
    plan = plan_free_space(problem)
    assert not plan.solved or faults(problem, plan, dense_s=_DENSE_S) == [], seed
    return bool(plan.paths)


@pytest.mark.parametrize("block", range(10))
def test_shapely_finds_no_conflict_in_plans_of_random_sites(block: int) -> None:
    solved = sum(judged(seed) for seed in range(_BLOCK * block, _BLOCK * (block + 1)))
    assert solved > 0.5 * _BLOCK


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_shapely_finds_no_conflict_in_twenty_thousand_plans(block: int) -> None:
    for seed in range(100_000 + 1000 * block, 101_000 + 1000 * block):
        judged(seed)


def test_the_oracle_sees_a_vehicle_that_comes_early() -> None:
    problem = drawn(1)
    body = Body("a", Footprint(4.0, 1.8, 1.0), MotionLimits(2.0, 2.0, 2.0, 3.0, 15.0), _BUDGET)
    wider = FreeVehicle("a", (5.0, 5.0, 0.0), (15.0, 5.0, 0.0), 3.3, 1.3, 2.4, 5.0, 1.4, ramp_s=0.5, dwell_s=0.9)
    alone = plan_free_space(FreeSpaceProblem((wider,), (), (0.0, 0.0, 30.0, 30.0)))
    first = tube_of(body, timed(alone.paths[0], wider, 1000))
    other = tube_of(replace(body, vehicle="b"), replace(first.plan, vehicle="b", t0_ms=1300))
    clear = replace(problem, border_m=(0.0, 0.0, 30.0, 30.0), obstacles=())
    assert conflicts(clear, [first, other], random.Random(0))
    assert joint_findings([first], [other], from_s=1.0) == ["conflict:a:b"]
