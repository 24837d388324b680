"""The order search against brute force and an independent solver, and the planner ``welfare`` as planned."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import lru_cache
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from fleet.errors import PlanError
from planners import _order_moves, _order_search
from planners._order_cells import Model
from planners.check import Verifier
from planners.first_come import COUNT_MAX, FirstCome
from planners.interface import Commitment, JointPlan, Request
from planners.marginal import marginal_welfare
from planners.order import SURE_S, WelfareOrder
from planners.order_call import call_of
from planners.order_search import best_order, decided
from planners.order_value import value_of
from planners.registry import PLANNERS
from planners.welfare import Welfare
from sim.plan_bench_refine import Ground, crowd

GRID = 12


@lru_cache
def ground() -> Ground:
    return Ground.four_way()


@lru_cache
def welfare_planner() -> WelfareOrder:
    return WelfareOrder(ground().zone_map, ground().conflicts)


def linear_model(seed: int, count: int, lanes: int = 3, meet: float = 0.8) -> tuple[Model, np.ndarray, np.ndarray]:
    """(model, separations, weights): "j after i" is tau[i] + separation, cost is weight x (tau - earliest)."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(0.0, 6.0, count)
    weight = rng.integers(1, 4, count).astype(float)
    lane = rng.integers(0, lanes, count)
    apart = rng.uniform(0.5, 3.0, (count, count))
    strange = rng.uniform(size=(count, count)) > meet
    apart[np.triu(strange) | np.triu(strange).T] = -math.inf
    leader = np.full(count, -1, dtype=np.int64)
    for v in range(count):
        ahead = [u for u in range(v) if lane[u] == lane[v]]
        if ahead:
            leader[v] = ahead[-1]
            for one, two in ((ahead[-1], v), (v, ahead[-1])):
                apart[one, two] = apart[one, two] if math.isfinite(apart[one, two]) else 1.0
    tau = first[:, None] + np.linspace(0.0, 50.0, GRID)
    after = tau[:, None, :] + apart[:, :, None]
    after[np.arange(count), np.arange(count)] = -math.inf
    model = Model(
        tau, weight[:, None] * (tau - first[:, None]), np.ascontiguousarray(after), np.zeros((0, 2)),
        np.zeros(count + 1, dtype=np.int64), np.full(count, math.inf), np.full(count, 1e3), leader,
    )  # fmt: skip
    return model, apart, weight


def plain_cost(model: Model, order: tuple[int, ...]) -> float:
    """What a list costs, without the kernels: only for models whose tables are straight lines."""
    low, total = model.tau[:, 0].copy(), 0.0
    for p, v in enumerate(order):
        total += np.interp(low[v], model.tau[v], model.cost[v])
        for u in order[p + 1 :]:
            apart = model.after[v, u, 0] - model.tau[v, 0]
            low[u] = max(low[u], low[v] + apart)
    return float(total)


def allowed(model: Model, order: tuple[int, ...]) -> bool:
    at = {v: p for p, v in enumerate(order)}
    return all(lead < 0 or at[int(lead)] < at[v] for v, lead in enumerate(model.leader))


def exact(model: Model) -> tuple[float, list[int], np.ndarray]:
    count = len(model.limit)
    best, out = np.arange(count, dtype=np.int64), np.zeros(2, dtype=np.int64)
    order = np.arange(count, dtype=np.int64)
    cost = _order_search.search(model, order, 0, count, model.tau[:, 0].copy(), 10**6, 0.0, best, out)
    return float(cost), best.tolist(), out


# --- the search ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
def test_branch_and_bound_finds_what_brute_force_finds(seed: int, count: int, lanes: int) -> None:
    model, _, _ = linear_model(seed, count, lanes)
    lists = [order for order in itertools.permutations(range(count)) if allowed(model, order)]
    cost, order, out = exact(model)
    assert out[1] == 1
    assert allowed(model, tuple(order))
    assert cost == pytest.approx(min(plain_cost(model, one) for one in lists), abs=1e-6)
    assert plain_cost(model, tuple(order)) == pytest.approx(cost, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_branch_and_bound_agrees_with_an_independent_solver(seed: int) -> None:
    model, apart, weight = linear_model(seed, 6)
    assert exact(model)[0] == pytest.approx(by_milp(model, apart, weight), rel=1e-5, abs=1e-5)


def by_milp(model: Model, apart: np.ndarray, weight: np.ndarray) -> float:
    """The optimum by HiGHS: one binary for the order of each pair that meets."""
    count, big, first = len(weight), 60.0, model.tau[:, 0]
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    rows, high = [], []
    for k, (i, j) in enumerate(pairs):
        for before, after, sign in ((i, j, 1.0), (j, i, -1.0)):
            if not math.isfinite(apart[before, after]):
                continue
            row = np.zeros(count + len(pairs))
            row[before], row[after], row[count + k] = 1.0, -1.0, sign * big
            rows.append(row)
            high.append((big if sign > 0 else 0.0) - apart[before, after])
    low, top = np.concatenate([first, np.zeros(len(pairs))]), np.concatenate([first + 50.0, np.ones(len(pairs))])
    for k, (i, j) in enumerate(pairs):
        ancestors, v = [], int(model.leader[j])
        while v >= 0:
            ancestors.append(v)
            v = int(model.leader[v])
        if i in ancestors:
            low[count + k] = 1.0
    found = milp(
        np.concatenate([weight, np.zeros(len(pairs))]), bounds=Bounds(low, top),
        integrality=np.concatenate([np.zeros(count), np.ones(len(pairs))]),
        constraints=LinearConstraint(np.array(rows), -np.inf, np.array(high)), options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    return float(found.fun - weight @ first)


@pytest.mark.parametrize("seed", range(4))
def test_neighbourhoods_never_lose_and_keep_the_order_in_lanes(seed: int) -> None:
    model, _, _ = linear_model(seed, 24, lanes=4, meet=0.6)
    order, out = np.arange(24, dtype=np.int64), np.zeros(2, dtype=np.int64)
    start = plain_cost(model, tuple(range(24)))
    cost = _order_moves.improve(model, order, 0, model.tau[:, 0].copy(), 200, 60, 7, out)
    assert sorted(order.tolist()) == list(range(24))
    assert allowed(model, tuple(order.tolist()))
    assert cost == pytest.approx(plain_cost(model, tuple(order.tolist())), abs=1e-6)
    assert cost <= start


def test_renumbering_the_vehicles_changes_nothing() -> None:
    model, _, _ = linear_model(3, 6, lanes=6)
    turn = np.array([4, 2, 0, 5, 1, 3])
    other = model._replace(
        tau=model.tau[turn].copy(), cost=model.cost[turn].copy(), after=model.after[np.ix_(turn, turn)].copy()
    )
    if (model.leader >= 0).any():
        other = other._replace(leader=np.full(6, -1, dtype=np.int64))
        model = model._replace(leader=other.leader)
    assert exact(other)[0] == pytest.approx(exact(model)[0], abs=1e-9)


def test_a_hard_limit_is_kept_where_that_is_possible() -> None:
    apart = np.full((2, 2), 3.0)
    tau = np.array([[0.0], [0.0]]) + np.linspace(0.0, 50.0, GRID)
    after = np.ascontiguousarray(tau[:, None, :] + apart[:, :, None])
    cost = np.array([[1.0], [5.0]]) * tau
    free = np.full(2, math.inf)
    none = np.full(2, -1, dtype=np.int64)
    model = Model(tau, cost, after, np.zeros((0, 2)), np.zeros(3, dtype=np.int64), free, np.full(2, 1e3), none)
    assert exact(model)[1] == [1, 0]
    assert exact(model._replace(limit=np.array([1.0, math.inf])))[1] == [0, 1]


# --- marginal welfare ----------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_marginal_welfare_is_what_brute_force_says(seed: int, count: int) -> None:
    model, _, _ = linear_model(seed, count)
    lists = [order for order in itertools.permutations(range(count)) if allowed(model, order)]
    answer = marginal_welfare(model, model.tau[:, 0].copy())
    total = min(plain_cost(model, one) for one in lists)
    assert answer.exact
    assert -answer.welfare == pytest.approx(total, abs=1e-6)
    for i in range(count):
        cost = model.cost.copy()
        cost[i] = 0.0
        without = min(plain_cost(model._replace(cost=cost), one) for one in lists)
        assert answer.difference[i] == pytest.approx(without - total, abs=1e-6)
        assert answer.payment[i] >= 0.0


def test_marginal_welfare_of_too_many_is_refused() -> None:
    model, _, _ = linear_model(1, 13)
    with pytest.raises(PlanError, match="13 vehicles"):
        marginal_welfare(model, model.tau[:, 0].copy())


# --- the planner ---------------------------------------------------------------------------------


def judged(answer: JointPlan, asked: list[Request]) -> list[str]:
    bodies = {one.body.vehicle: one.body for one in asked}
    plans = [Commitment(bodies[plan.vehicle], plan) for plan in answer.plans]
    return [str(finding) for finding in Verifier(ground().zone_map).joint(plans, [], from_ms=0)]


def cost_of(planner: WelfareOrder, answer: JointPlan, asked: list[Request]) -> tuple[float, tuple[float, ...]]:
    """(cost, waits by first-come number) of plans, by the planner's own measure."""
    inner = planner._inner
    fixed, grid = inner.prepared(asked, [], 0)
    call = call_of(inner.sequential, planner._stores, inner.order(asked), fixed, grid)
    assert call is not None
    model = planner._models.model(call)
    number = {request.body.vehicle: v for v, request in enumerate(model.requests)}
    value = value_of(model, {number[plan.vehicle]: plan for plan in answer.plans}, grid, planner._welfare)
    inner.sequential.keep(grid)
    return value.cost, value.wait_s


def by_arrival(planner: WelfareOrder, asked: list[Request]) -> tuple[float, tuple[float, ...]]:
    """(cost, waits) of first come, first served by the same search of profiles."""
    inner = planner._inner
    fixed, grid = inner.prepared(asked, [], 0)
    call = call_of(inner.sequential, planner._stores, inner.order(asked), fixed, grid)
    assert call is not None
    prepared, count = planner._kernel.prepared(call), len(asked)
    assert prepared is not None
    plans = planner._kernel.planned(prepared, range(count), np.zeros((count, count), dtype=np.int64)).plans()
    value = value_of(planner._models.model(call), plans, grid, planner._welfare)
    inner.sequential.keep(grid)
    return value.cost, value.wait_s


@pytest.mark.parametrize("seed", range(8))
def test_plans_are_verified_and_never_cost_more_than_first_come(seed: int) -> None:
    asked = crowd(ground(), seed, 8)
    planner = welfare_planner()
    answer = planner.plan(asked, [], now_ms=0)
    assert judged(answer, asked) == []
    assert len(answer.plans) == 8
    first_come = FirstCome(ground().zone_map, ground().conflicts).plan(asked, [], now_ms=0)
    assert cost_of(planner, answer, asked)[0] <= by_arrival(planner, asked)[0] + 1e-6
    assert cost_of(planner, answer, asked)[0] <= cost_of(planner, first_come, asked)[0] + 0.02 * 8


@pytest.mark.parametrize("seed", range(4))
def test_the_model_is_close_to_the_plans(seed: int) -> None:
    asked = crowd(ground(), seed, 8)
    planner = welfare_planner()
    inner = planner._inner
    fixed, grid = inner.prepared(asked, [], 0)
    call = call_of(inner.sequential, planner._stores, inner.order(asked), fixed, grid)
    assert call is not None
    model = planner._models.model(call)
    order = best_order(model, 0, planner._welfare)
    cost, behind = decided(model, order)
    prepared = planner._kernel.prepared(call)
    assert prepared is not None
    value = value_of(model, planner._kernel.planned(prepared, order, behind).plans(), grid, planner._welfare)
    inner.sequential.keep(grid)
    assert abs(value.cost - cost) / 8 < SURE_S


@pytest.mark.parametrize("seed", range(4))
def test_nobody_overtakes_in_a_lane(seed: int) -> None:
    asked = crowd(ground(), seed, 12)
    answer = welfare_planner().plan(asked, [], now_ms=0)
    at = {plan.vehicle: k for k, plan in enumerate(answer.plans)}
    for one in asked:
        if one.lane_leader is not None and one.body.vehicle in at:
            assert at[one.lane_leader] < at[one.body.vehicle]


@pytest.mark.parametrize("seed", range(4))
def test_the_starvation_bound_is_hard(seed: int) -> None:
    """Nobody waits longer than the bound unless first come, first served makes it wait as long."""
    strict = WelfareOrder(ground().zone_map, ground().conflicts, welfare=Welfare(starvation_s=0.0))
    asked = crowd(ground(), seed, 7)
    answer = strict.plan(asked, [], now_ms=0)
    assert judged(answer, asked) == []
    waits, before = cost_of(strict, answer, asked)[1], by_arrival(strict, asked)[1]
    assert all(wait <= limit + 1e-6 for wait, limit in zip(waits, before, strict=True))


def test_the_same_call_gives_the_same_bytes() -> None:
    asked = crowd(ground(), 5, 12)
    answers = [WelfareOrder(ground().zone_map, ground().conflicts).plan(asked, [], now_ms=0) for _ in range(2)]
    again = welfare_planner().plan(list(reversed(asked)), [], now_ms=0)
    assert answers[0] == answers[1] == again


def test_no_vehicles_no_plans() -> None:
    assert welfare_planner().plan([], [], now_ms=0) == JointPlan((), ())


@pytest.mark.parametrize("name", ["welfare", "first_come"])
def test_of_five_hundred_vehicles_the_first_are_planned_and_the_rest_are_told_so(name: str) -> None:
    """A queue that reaches far beyond the map: bounded work, a plan or a reason for each, every plan verified."""
    asked = crowd(ground(), 1, 500)
    began = process_time()
    answer = PLANNERS[name](ground().zone_map, ground().conflicts).plan(asked, [], now_ms=0)
    assert process_time() - began < 10.0
    names = [plan.vehicle for plan in answer.plans] + [refusal.vehicle for refusal in answer.refused]
    assert sorted(names) == sorted(one.body.vehicle for one in asked)
    late = {one.vehicle for one in answer.refused if one.reason == f"too_many:{COUNT_MAX}"}
    assert len(late) == 500 - COUNT_MAX
    by_name = {one.body.vehicle: one for one in asked}
    assert all(by_name[v].lane_leader not in late or v in late for v in names)
    assert len(answer.plans) >= 40
    assert judged(answer, asked) == []


def test_five_hundred_commitments_are_no_obstacle_to_an_answer() -> None:
    """Far more pairs of vehicles and fixed plans than any junction has, all of them kept clear of."""
    asked = crowd(ground(), 2, 8)
    planner = welfare_planner()
    first = planner.plan(asked[:2], [], now_ms=0)
    bodies = {one.body.vehicle: one.body for one in asked}
    live = [
        Commitment(replace(bodies[plan.vehicle], vehicle=f"c{k}"), replace(plan, vehicle=f"c{k}"))
        for k in range(250)
        for plan in first.plans
    ]
    second = planner.plan(asked[2:], live, now_ms=0)
    assert len(second.plans) == 6
    plans = [Commitment(bodies[plan.vehicle], plan) for plan in second.plans]
    assert [str(f) for f in Verifier(ground().zone_map).joint(plans, live[:2], from_ms=0)] == []


def test_a_vehicle_asked_for_twice_is_an_error() -> None:
    asked = crowd(ground(), 1, 2)
    with pytest.raises(PlanError, match="more than once"):
        welfare_planner().plan([asked[0], asked[0]], [], now_ms=0)


def test_a_start_in_collision_is_refused_by_name() -> None:
    one = crowd(ground(), 1, 1)[0]
    other = replace(one, body=replace(one.body, vehicle="w00"), approach=replace(one.approach, vehicle="w00"))
    answer = welfare_planner().plan([one], [Commitment(other.body, other.approach)], now_ms=0)
    assert answer.plans == ()
    assert answer.refused[0].vehicle == one.body.vehicle
    assert ":w00" in answer.refused[0].reason


def test_commitments_stay_and_are_kept_clear_of() -> None:
    asked = crowd(ground(), 2, 8)
    planner = welfare_planner()
    first = planner.plan(asked[:4], [], now_ms=0)
    bodies = {one.body.vehicle: one.body for one in asked}
    live = [Commitment(bodies[plan.vehicle], plan) for plan in first.plans]
    second = planner.plan(asked[4:], live, now_ms=0)
    plans = [Commitment(bodies[plan.vehicle], plan) for plan in second.plans]
    assert [str(f) for f in Verifier(ground().zone_map).joint(plans, live, from_ms=0)] == []
