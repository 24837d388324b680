"""Given poses that slightly overlap an obstacle: what is tolerated, by how much, and what stays refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from fleet.cli.main import run
from planners.free_space import Disc, FreeSpaceProblem, FreeVehicle, Polygon, plan_free_space
from sim.free_space_result import solve_instance
from sim.free_space_tolerance import OVERLAP_M_MAX, tolerate

RADIUS_M = 0.8
SIDE_M = 11.0
"""The left side of the car below at its start: y of the flank at yaw 0."""


def car(name: str = "a", start: tuple[float, float, float] = (5.0, 10.0, 0.0), **changes: float) -> FreeVehicle:
    limits = {"front_m": 2.0, "rear_m": 1.0, "width_m": 2.0, "turn_radius_m": 3.0, "speed_mps": 2.0} | changes
    return FreeVehicle(name, start, (20.0, start[1], 0.0), **limits)


def beside(overlap_m: float, x_m: float = 5.5, radius_m: float = RADIUS_M) -> Disc:
    """A disc that reaches so far into the left flank of a car at y = 10."""
    return Disc(x_m, SIDE_M + radius_m - overlap_m, radius_m)


def site(*obstacles: Disc | Polygon, vehicles: tuple[FreeVehicle, ...] = (car(),)) -> FreeSpaceProblem:
    return FreeSpaceProblem(vehicles, obstacles, (0.0, 0.0, 30.0, 30.0))


@pytest.mark.parametrize(("x_m", "at"), [(5.5, "start"), (20.5, "goal")])
@pytest.mark.parametrize("overlap_m", [0.0, 0.05, OVERLAP_M_MAX - 1e-4])
def test_a_slight_overlap_leaves_the_radius_that_the_pose_leaves(x_m: float, at: str, overlap_m: float) -> None:
    problem = site(beside(overlap_m, x_m), Disc(12.0, 20.0, RADIUS_M))
    eased, (one,) = tolerate(problem)
    assert (one.vehicle, one.at, one.disc) == ("a", at, problem.obstacles[0])
    assert one.overlap_m == pytest.approx(overlap_m, abs=1e-9)
    assert one.radius_m == pytest.approx(RADIUS_M - overlap_m - problem.clearance_m, abs=2e-6)
    assert eased == replace(
        problem, obstacles=(replace(problem.obstacles[0], radius_m=one.radius_m), Disc(12.0, 20.0, RADIUS_M))
    )
    answer = solve_instance(problem)
    assert answer.solved
    assert answer.problem == eased
    assert answer.tolerated == (one,)
    assert not plan_free_space(problem).solved, "the planner itself stays strict"


@pytest.mark.parametrize("x_m", [5.5, 20.5])
def test_a_deeper_overlap_is_refused(x_m: float) -> None:
    problem = site(beside(OVERLAP_M_MAX + 1e-4, x_m))
    assert tolerate(problem) == (problem, ())
    answer = solve_instance(problem)
    assert not answer.solved
    what = "start" if x_m < 10.0 else "goal"
    (unsolved,) = answer.plan.unsolved
    assert unsolved.vehicle == "a"
    assert unsolved.reason.startswith(what)
    assert "overlaps an obstacle by 0.200 m" in unsolved.reason


def test_nearer_than_the_clearance_counts_as_an_overlap_of_nothing() -> None:
    _, (one,) = tolerate(site(beside(-0.004)))
    assert one.overlap_m == 0.0
    assert one.radius_m == pytest.approx(RADIUS_M - 0.006, abs=2e-6)
    apart = site(beside(-0.0101))
    assert tolerate(apart) == (apart, ())


def test_an_obstacle_that_several_poses_overlap_counts_with_what_the_deepest_leaves() -> None:
    other = car("b", (5.0, 12.0 + RADIUS_M * 2 - 0.15, 0.0))
    problem = site(beside(0.1), vehicles=(car(), other))
    eased, found = tolerate(problem)
    assert [(one.vehicle, round(one.overlap_m, 6)) for one in found] == [("a", 0.1), ("b", 0.05)]
    assert {one.radius_m for one in found} == {eased.obstacles[0].radius_m}  # type: ignore[union-attr]
    assert found[0].radius_m == pytest.approx(RADIUS_M - 0.1 - problem.clearance_m, abs=2e-6)
    assert solve_instance(problem).solved


def test_a_small_obstacle_under_the_body_is_refused() -> None:
    """It overlaps by less than the limit, but no radius is left."""
    problem = site(Disc(5.5, SIDE_M + 0.005, 0.1))
    assert tolerate(problem) == (problem, ())
    assert not solve_instance(problem).solved


def test_one_deep_overlap_beside_a_slight_one_is_refused_by_its_depth() -> None:
    answer = solve_instance(site(beside(0.1), Disc(7.0 + 0.5, 10.0, RADIUS_M)))
    assert not answer.solved
    assert "overlaps an obstacle by 0.300 m" in answer.plan.unsolved[0].reason


def test_polygons_and_vehicles_are_not_tolerated() -> None:
    wall = Polygon(((4.0, SIDE_M - 0.05), (7.0, SIDE_M - 0.05), (7.0, 12.0), (4.0, 12.0)))
    for problem, why in (
        (site(wall), "from an obstacle; the least gap is 0.01 m"),
        (site(vehicles=(car(), car("b", (5.0, 11.95, 0.0)))), "overlaps the start of"),
    ):
        assert tolerate(problem) == (problem, ())
        answer = solve_instance(problem)
        assert not answer.solved
        assert why in answer.plan.unsolved[0].reason


def test_overlaps_are_those_of_shapely() -> None:
    rng = np.random.default_rng(3)
    tolerated = 0
    for _ in range(400):
        pose = (10.0 + rng.uniform(-1.0, 1.0), 10.0, float(rng.uniform(-math.pi, math.pi)))
        vehicle = car(start=pose, front_m=2.0, rear_m=float(rng.uniform(0.3, 1.5)))
        angle, reach = rng.uniform(0.0, math.tau), rng.uniform(1.4, 3.2)
        disc = Disc(float(10.0 + reach * math.cos(angle)), float(10.0 + reach * math.sin(angle)), RADIUS_M)
        body = shapely.affinity.translate(
            shapely.affinity.rotate(
                shapely.box(-vehicle.rear_m, -1.0, vehicle.front_m, 1.0), pose[2], origin=(0, 0), use_radians=True
            ),
            *pose[:2],
        )
        overlap_m = RADIUS_M - body.distance(shapely.Point(disc.x_m, disc.y_m))
        eased, found = tolerate(site(disc, vehicles=(vehicle,)))
        assert len(found) == (-0.01 < overlap_m <= OVERLAP_M_MAX)
        if found:
            tolerated += 1
            assert found[0].overlap_m == pytest.approx(max(0.0, overlap_m), abs=1e-9)
            left = eased.obstacles[0]
            assert isinstance(left, Disc)
            assert 0.01 < body.distance(shapely.Point(left.x_m, left.y_m)) - left.radius_m < 0.01001
    assert 20 < tolerated < 380


def test_plan_says_what_it_tolerates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance, out = tmp_path / "instance.yaml", tmp_path / "plan.json"
    text = (
        "agents: [{{name: agent0, start: [5, 10, 0], goal: [20, 10, 0]}}]\n"
        "map: {{dimensions: [30, 30], obstacles: [[5.5, {}]]}}"
    )
    for overlap_m, status in ((0.15, 0), (0.25, 3), (-0.05, 0)):
        instance.write_text(text.format(SIDE_M + RADIUS_M - overlap_m), encoding="utf-8")
        picture = ["--picture", str(tmp_path / "plan.png")] if overlap_m > 0.0 else []
        assert run(["plan", str(instance), "--out", str(out), "--quiet", *picture]) == status
        said, plan = capsys.readouterr().out, json.loads(out.read_text(encoding="utf-8"))
        if overlap_m == 0.15:
            (one,) = plan["tolerated"]
            assert (one["agent"], one["at"]) == ("agent0", "start")
            assert one["obstacle"] == pytest.approx([5.5, SIDE_M + RADIUS_M - overlap_m])
            assert one["overlap_m"] == pytest.approx(0.15)
            assert one["radius_m"] == pytest.approx(0.64, abs=2e-6)
            assert "tolerated: given poses overlap an obstacle" in said
            assert "agent0 start by 0.150 m" in said
        else:
            assert plan["tolerated"] == []
            assert "tolerated" not in said
