"""Free-space plans: correct by an oracle of shapely polygons, deterministic, and clear about what is impossible."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from fleet.errors import PlanError
from planners.free_space import Disc, FreeSpaceProblem, Polygon, plan_free_space
from tests.planners.free_scenes import car, faults, random_problem, site


def solved(problem: FreeSpaceProblem):  # type: ignore[no-untyped-def]
    plan = plan_free_space(problem)
    assert plan.unsolved == ()
    assert faults(problem, plan) == []
    return plan


def test_alone_it_takes_the_shortest_way() -> None:
    plan = solved(site(car("a", (5.0, 5.0, 0.0), (25.0, 5.0, 0.0))))
    assert plan.makespan_s == pytest.approx(10.0)
    assert plan.flowtime_s == plan.makespan_s


def test_it_reverses_where_that_is_shorter() -> None:
    plan = solved(site(car("a", (15.0, 5.0, 0.0), (9.0, 5.0, 0.0))))
    assert plan.paths[0].segments == (pytest.approx((3.0, 0.0, -2.0)),)


def test_two_that_face_each_other_change_places() -> None:
    plan = solved(
        site(car("a", (5.0, 15.0, 0.0), (25.0, 15.0, 0.0)), car("b", (25.0, 15.0, math.pi), (5.0, 15.0, math.pi)))
    )
    assert plan.flowtime_s < 2 * 10.0 * 1.15


def test_a_vehicle_with_nowhere_to_go_stands_as_an_obstacle() -> None:
    plan = solved(site(car("a", (5.0, 15.0, 0.0), (25.0, 15.0, 0.0)), car("b", (15.0, 15.0, 1.0), (15.0, 15.0, 1.0))))
    assert plan.paths[1].arrival_s == 0.0 or plan.makespan_s < 14.0


def test_who_parks_in_the_way_arrives_after_the_others_have_passed() -> None:
    """One lane between two walls; the goal of the first in line is where the second has to go through."""
    walls = [
        Polygon(((0.0, 0.0), (40.0, 0.0), (40.0, 13.0), (0.0, 13.0))),
        Polygon(((12.0, 16.0), (40.0, 16.0), (40.0, 40.0), (12.0, 40.0))),
    ]
    plan = solved(
        site(
            car("far", (5.0, 14.5, 0.0), (35.0, 14.5, 0.0)),
            car("near", (5.0, 22.0, 0.0), (14.0, 14.5, 0.0)),
            obstacles=walls,
            size_m=40.0,
        )
    )
    assert plan.paths[1].arrival_s > 5.0


def test_the_way_leads_around_a_wall_that_is_no_hull() -> None:
    """A U of walls with the start inside: straight ahead is a dead end."""
    u = Polygon(
        ((10.0, 8.0), (24.0, 8.0), (24.0, 22.0), (10.0, 22.0), (10.0, 20.0), (22.0, 20.0), (22.0, 10.0), (10.0, 10.0))
    )
    plan = solved(site(car("a", (16.0, 15.0, 0.0), (28.0, 15.0, 1.57)), obstacles=[u]))
    assert plan.makespan_s > 10.0


def test_the_same_problem_gives_the_same_plan() -> None:
    problem = random_problem(7)
    assert plan_free_space(problem) == plan_free_space(problem)


@pytest.mark.parametrize("seed", range(20))
def test_random_sites_are_planned_without_contact(seed: int) -> None:
    problem = random_problem(seed)
    plan = plan_free_space(problem)
    if plan.solved:
        assert faults(problem, plan) == []
    else:
        assert plan.paths == ()
        assert all(one.vehicle in {v.name for v in problem.vehicles} and one.reason for one in plan.unsolved)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_many_random_sites_are_planned_without_contact(block: int) -> None:
    for seed in range(1_000 + 100 * block, 1_100 + 100 * block):
        problem = random_problem(seed)
        plan = plan_free_space(problem)
        assert not plan.solved or faults(problem, plan, dense_s=0.05) == [], seed


@pytest.mark.parametrize(
    ("problem", "who", "why"),
    [
        (
            site(car("a", (5.0, 5.0, 0.0), (25.0, 5.0, 0.0)), obstacles=[Disc(6.0, 5.5, 0.5)]),
            ["a"],
            "start .* overlaps an obstacle",
        ),
        (
            site(
                car("a", (5.0, 5.0, 0.0), (25.0, 5.0, 0.0)),
                obstacles=[Polygon(((15.0, 0.0), (30.0, 0.0), (30.0, 15.0)))],
            ),
            ["a"],
            "goal .* obstacle",
        ),
        (
            site(
                car("a", (15.0, 15.0, 0.0), (5.0, 5.0, 0.0)),
                obstacles=[Polygon(((10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)))],
            ),
            ["a"],
            "start .* inside an obstacle",
        ),
        (site(car("a", (5.0, 5.0, 0.0), (35.0, 5.0, 0.0))), ["a"], "goal .* outside the site"),
        (
            site(car("a", (5.0, 5.0, 0.0), (20.0, 20.0, 0.0)), car("b", (5.0, 15.0, 0.0), (21.0, 21.0, 2.0))),
            ["a", "b"],
            "goal .* overlaps the goal of",
        ),
        (
            site(car("a", (5.0, 5.0, 0.0), (20.0, 20.0, 0.0)), car("b", (6.0, 6.5, 0.0), (9.0, 9.0, 2.0))),
            ["a", "b"],
            "start .* overlaps the start of",
        ),
        (
            site(
                car("a", (5.0, 5.0, 0.0), (25.0, 5.0, 0.0)),
                obstacles=[
                    Polygon(((14.0, 0.0), (16.0, 0.0), (16.0, 14.2), (14.0, 14.2))),
                    Polygon(((14.0, 16.0), (16.0, 16.0), (16.0, 30.0), (14.0, 30.0))),
                ],
            ),
            ["a"],
            "no way",
        ),
    ],
    ids=[
        "start in a disc",
        "goal on a wall",
        "start inside a polygon",
        "goal outside",
        "two goals",
        "two starts",
        "wider than the gap",
    ],
)
def test_what_cannot_be_names_vehicle_and_reason(problem: FreeSpaceProblem, who: list[str], why: str) -> None:
    plan = plan_free_space(problem)
    assert not plan.solved
    assert plan.paths == ()
    assert [one.vehicle for one in plan.unsolved] == who
    for one in plan.unsolved:
        assert re.search(why, one.reason), one.reason


def test_the_gap_a_vehicle_fits_through_is_taken() -> None:
    walls = [
        Polygon(((14.0, 0.0), (16.0, 0.0), (16.0, 13.8), (14.0, 13.8))),
        Polygon(((14.0, 16.0), (16.0, 16.0), (16.0, 30.0), (14.0, 30.0))),
    ]
    solved(site(car("a", (5.0, 5.0, 0.0), (25.0, 5.0, 0.0)), obstacles=walls))


def test_no_vehicle_is_an_empty_plan() -> None:
    plan = plan_free_space(site())
    assert plan.solved
    assert (plan.paths, plan.flowtime_s, plan.makespan_s) == ((), 0.0, 0.0)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (site(car("a", (5.0, 5.0, math.nan), (9.0, 9.0, 0.0))), "vehicle a: nan is not a finite number"),
        (
            site(car("a", (5.0, 5.0, 0.0), (9.0, 9.0, 0.0)), car("a", (15.0, 5.0, 0.0), (9.0, 19.0, 0.0))),
            "more than once",
        ),
        (site(car("a", (5.0, 5.0, 0.0), (9.0, 9.0, 0.0), turn_radius_m=0.0)), "turn_radius_m = 0.0"),
        (site(car("a", (5.0, 5.0, 0.0), (9.0, 9.0, 0.0), width_m=math.inf)), "width_m = inf"),
        (site(obstacles=[Disc(1.0, 1.0, -1.0)]), "radius_m = -1.0"),
        (site(obstacles=[Polygon(((1.0, 1.0), (2.0, 2.0)))]), "2 corners"),
        (replace(site(), border_m=(0.0, 0.0, -1.0, 5.0)), "border"),
        (site(*(car(f"v{n}", (5.0, 5.0, 0.0), (9.0, 9.0, 0.0)) for n in range(500))), "500 vehicles .* 'v200'"),
    ],
)
def test_what_is_no_problem_is_refused(problem: FreeSpaceProblem, text: str) -> None:
    with pytest.raises(PlanError, match=text):
        plan_free_space(problem)


def test_written_states_are_the_path() -> None:
    path = solved(site(car("a", (5.0, 5.0, 0.3), (21.0, 17.0, 2.0)))).paths[0]
    states = path.states(0.1)
    assert states[0].tolist() == [0.0, 5.0, 5.0, pytest.approx(0.3)]
    assert np.diff(states[:, 0]).min() > 0.0
    assert np.diff(states[:, 0]).max() <= 0.1 + 1e-12
    assert states[-1, 0] == pytest.approx(path.arrival_s)
    assert (np.hypot(*np.diff(states[:, 1:3], axis=0).T) <= 2.0 * np.diff(states[:, 0]) + 1e-12).all()
