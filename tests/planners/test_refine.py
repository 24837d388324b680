"""Refinement: smoother, no later, same order, and never anything that the verifier refuses."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from fleet.errors import PlanError
from planners.check import Verifier
from planners.first_come import FirstCome
from planners.interface import Commitment, JointPlan, Request
from planners.passing import Reach, states
from planners.refine import DenseSolver, RefinedPlanner, Refiner
from planners.refine_problem import RefineWeights, SpeedCurve, Steps
from planners.refined_path import jerk_rms, refined_path
from planners.registry import PLANNERS
from planners.spacing import COMFORTABLE
from planners.timed_path import TimedPath
from planners.zone_map import Conflict
from tests.planners.oracle import body, path_of
from tests.planners.test_first_come import builtin, cross, judged, request, time_at


@lru_cache
def scene() -> tuple[list[Request], JointPlan]:
    """Six vehicles on the four-way junction, two of them behind others in their lane."""
    zone_map, tables = builtin("four_way")
    planner = FirstCome(zone_map, tables)
    asked: list[Request] = []
    places = [("N_left", 180.0, -1), ("E_straight", 185.0, -1), ("S_right", 170.0, -1), ("W_left", 175.0, -1)]
    for k, (path_id, s_m, ahead) in enumerate([*places, ("N_straight", 155.0, 0), ("E_left", 150.0, 1)]):
        leader = asked[ahead] if ahead >= 0 else None
        asked.append(request(planner, zone_map, f"v{k}", path_id, s_m, 12.0, k, leader=leader))
    return asked, planner.plan(asked, [], now_ms=0)


@lru_cache
def refiner() -> Refiner:
    return Refiner(*builtin("four_way"))


# --- the whole -----------------------------------------------------------------------------------


def test_plans_are_smoother_and_no_later() -> None:
    zone_map, _ = builtin("four_way")
    asked, came = scene()
    made = refiner().refine(came, asked, [], now_ms=0)
    assert [word for _, word in made.status] == ["refined"] * len(came.plans)
    assert made.refined
    assert len(came.plans) <= made.iterations <= 10 * len(came.plans)
    rough = sum(jerk_rms(plan, 300, plan.end_ms) ** 2 for plan in came.plans)
    smooth = sum(jerk_rms(after, 300, before.end_ms) ** 2 for before, after in zip(came.plans, made.plans, strict=True))
    assert smooth <= 0.3 * rough
    late = [
        time_at(after, zone_map.paths[after.path_id].length_m)
        - time_at(before, zone_map.paths[before.path_id].length_m)
        for before, after in zip(came.plans, made.plans, strict=True)
    ]
    assert max(late) <= RefineWeights().loss_s_max + 0.01
    assert judged(zone_map, JointPlan(made.plans, ()), asked, []) == []


def test_refined_plans_begin_as_the_approach_did() -> None:
    asked, came = scene()
    approaches = {one.body.vehicle: one.approach.arrays() for one in asked}
    for plan in refiner().refine(came, asked, [], now_ms=0).plans:
        for t_s in np.arange(0.0, 0.301, 0.02):
            assert plan.arrays().at(t_s)[:2] == pytest.approx(approaches[plan.vehicle].at(t_s)[:2], abs=1e-9)


def test_the_order_of_passing_is_kept() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    a = request(planner, zone_map, "a", "we", 60.0, 13.0, 10)
    b = request(planner, zone_map, "b", "sn", 62.0, 13.0, 20)
    came = planner.plan([a, b], [], now_ms=0)
    made = Refiner(zone_map, tables).refine(came, [a, b], [], now_ms=0)
    assert [plan.vehicle for plan in made.plans] == ["a", "b"]
    buffer_s = COMFORTABLE.crossing_s
    assert time_at(made.plans[1], 126.0) - time_at(made.plans[0], 134.0) >= buffer_s - 0.1


def test_same_input_same_bytes() -> None:
    asked, came = scene()
    first, second = (Refiner(*builtin("four_way")).refine(came, asked, [], now_ms=0) for _ in range(2))
    assert first == second


def test_commitments_are_kept_clear_of() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    early = request(planner, zone_map, "early", "sn", 50.0, 12.0, 0)
    gone = planner.plan([early], [], now_ms=0).plans[0]
    committed = [Commitment(early.body, gone)]
    late = request(planner, zone_map, "late", "we", 55.0, 12.0, 1)
    came = planner.plan([late], committed, now_ms=0)
    made = Refiner(zone_map, tables).refine(came, [late], committed, now_ms=0)
    assert made.status == (("late", "refined"),)
    assert judged(zone_map, JointPlan(made.plans, ()), [late], committed) == []


# --- falling back --------------------------------------------------------------------------------


def test_what_the_verifier_refuses_stays_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary: one plan that speeds up is found out, and taken back with those it would have run into."""
    zone_map, _ = builtin("four_way")
    asked, came = scene()
    victim = came.plans[-1].vehicle

    def spoilt(who, path, planned, switch_ms, motion, *, joined_m):  # type: ignore[no-untyped-def]
        made = refined_path(who, path, planned, switch_ms, motion, joined_m=joined_m)
        faster = ((600, 9000), *made.segments)
        return replace(made, segments=faster) if who.vehicle == victim else made

    monkeypatch.setattr("planners.refine.refined_path", spoilt)
    made = refiner().refine(came, asked, [], now_ms=0)
    words = dict(made.status)
    assert words.pop(victim).startswith("refused:")
    assert list(words.values()).count("refined") >= 3
    assert made.plans[-1] == came.plans[-1]
    assert judged(zone_map, JointPlan(made.plans, ()), asked, []) == []


def test_no_feasible_programme_leaves_the_plan() -> None:
    asked, came = scene()
    strict = Refiner(*builtin("four_way"))
    strict._solver.solve = lambda programme: None  # type: ignore[method-assign]
    made = strict.refine(came, asked, [], now_ms=0)
    assert {word for _, word in made.status} == {"infeasible"}
    assert made.plans == came.plans
    assert not made.refined


def test_a_plan_without_changes_of_speed_is_steady() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    one = request(planner, zone_map, "a", "we", 40.0, 13.0, 0)
    plan = TimedPath("a", "we", 0, 40_000, 13_000, ((20_000, 0),))
    made = Refiner(zone_map, tables).refine(JointPlan((plan,), ()), [one], [], now_ms=0)
    assert made.status == (("a", "steady"),)
    assert made.plans == (plan,)
    assert Refiner(zone_map, tables).refine(JointPlan((), ()), [], [], now_ms=0).plans == ()


def test_without_casadi_the_rest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "casadi", None)
    zone_map, tables = cross()
    assert PLANNERS["first_come"](zone_map, tables).name == "first_come"
    with pytest.raises(PlanError, match="pip install 'casadi"):
        PLANNERS["first_come+refine"](zone_map, tables)


def test_as_a_planner_it_answers_as_the_one_inside() -> None:
    zone_map, tables = builtin("four_way")
    asked, came = scene()
    planner = PLANNERS["first_come+refine"](zone_map, tables)
    assert isinstance(planner, RefinedPlanner)
    assert planner.name == "first_come+refine"
    answer = planner.plan(asked, [], now_ms=0)
    assert [plan.vehicle for plan in answer.plans] == [plan.vehicle for plan in came.plans]
    assert answer.refused == came.refused
    args = {"now_ms": 0, "stop_s_m": 200.0, "leader": None}
    inner = FirstCome(zone_map, tables).approach(body("x"), "N_left", (50.0, 10.0, 0.0), **args)  # type: ignore[arg-type]
    assert planner.approach(body("x"), "N_left", (50.0, 10.0, 0.0), **args) == inner  # type: ignore[arg-type]


# --- parts ---------------------------------------------------------------------------------------


def test_the_solver_finds_the_optimum_of_a_known_programme() -> None:
    """Least squares to a straight line under a cap: the optimum is the line, cut off."""
    from planners.refine_problem import Programme

    solver = DenseSolver(5, 17)
    wanted = np.linspace(-2.0, 2.0, 5)
    rows = np.zeros((solver.row_count, 5))
    rows[0] = 1.0
    free = np.full(solver.row_count, math.inf)
    high = free.copy()
    box = np.full(5, 1.0)
    made = solver.solve(Programme(np.eye(5), -wanted, rows, -free, high, -box, box))
    assert made == pytest.approx(np.clip(wanted, -1.0, 1.0))
    high[0] = -1.0
    made = solver.solve(Programme(np.eye(5), -wanted, rows, -free, high, -10.0 * box, 10.0 * box))
    assert made == pytest.approx(wanted - 0.2)
    low = -free
    low[0] = 6.0
    high[0] = math.inf
    assert solver.solve(Programme(np.eye(5), -wanted, rows, low, high, -box, box)) is None


def test_rows_say_what_driving_does() -> None:
    rng = np.random.default_rng(3)
    steps = Steps(np.cumsum(np.concatenate([[1.0], rng.uniform(0.05, 0.4, 12)])), 20.0, 9.0, 0.5)
    accel = rng.uniform(-2.0, 2.0, 12)
    t = rng.uniform(steps.t_s[0], steps.t_s[-1], 40)
    s, v = states(steps.driven(accel), t)
    assert steps.coasting(t) + steps.place_rows(t) @ accel == pytest.approx(s)
    assert steps.v_mps + steps.speed_rows(t) @ accel == pytest.approx(v)


def test_the_speed_curve_can_be_driven_and_keeps_limits() -> None:
    path = path_of("p", (0.0, 0.0, 0.0), [(60.0, 0.0), (20.0, 0.1), (60.0, 0.0)])
    who = body("a")
    curve = SpeedCurve.of(path, who)
    s = np.linspace(0.0, 139.0, 400)
    speed, slope = curve.tangent(s)
    accel = speed * slope
    assert speed.max() <= 13.89
    assert speed[(s > 60.0) & (s < 80.0)].max() <= math.sqrt(who.limits.lateral_accel_mps2_max / 0.1)
    assert accel.max() <= who.limits.accel_mps2_max + 1e-9
    assert accel.min() >= -who.limits.brake_mps2_max - 1e-9
    for k in (50, 150, 300):
        assert speed[k] + slope[k] * 0.5 >= curve.tangent(s[k : k + 1] + 0.5)[0][0] - 0.05 or slope[k] <= 0.0


def test_barrier_and_floor_are_two_sides_of_one_set() -> None:
    """Whoever is at the barrier stands exactly where the other is above the floor that this sets."""
    reach = Reach.of(Conflict("crossing", 0.5, 20, np.array([5.0, 6.0, 7.0]), np.array([8.0, 9.0, 9.0])))
    others = np.array([0.0, 7.9, 8.1, 8.9, 9.1, math.inf])
    assert reach.barrier(others, 0.0).tolist() == [10.0, 10.0, 10.5, 10.5, math.inf, math.inf]
    floor = reach.floor(np.array([9.9, 10.2, 10.7, 11.2, 40.0, math.inf]), 0.0)
    assert floor.tolist() == [-math.inf, 8.0, 9.0, 9.0, 9.0, 9.0]
    assert reach.passes_after(np.array([9.0, 10.2, 12.0]), np.array([5.0, 8.5, 9.0]))
    assert not reach.passes_after(np.array([9.0, 10.2, 12.0]), np.array([0.0, 1.0, 2.0]))
    assert not reach.passes_after(np.array([11.6, 12.0, 13.0]), np.array([9.5, 9.6, 9.7]))


def test_rounding_joins_steps_and_keeps_motion() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    one = request(planner, zone_map, "a", "we", 40.0, 13.0, 0)
    plan = TimedPath("a", "we", 0, 40_000, 13_000, ((300, 0), (20_000, 0)))
    t = np.linspace(0.3, 6.3, 51)
    accel = np.where(t[:-1] < 3.0, np.sin(2.0 * np.pi * (t[:-1] - 0.3) / 2.7), 0.0)
    motion = Steps(t, 43.9, 13.0, 0.0).driven(accel)
    made = refined_path(one.body, zone_map.paths["we"], plan, 300, motion, joined_m=0.003)
    assert made.arrays().at(0.3)[:2] == pytest.approx((43.9, 13.0))
    assert len(made.segments) < 30
    at = np.linspace(0.4, 6.0, 30)
    assert states(made.arrays(), at)[0] == pytest.approx(states(motion, at)[0], abs=0.05)
    assert Verifier(zone_map).limits(one.body, made) == ()
