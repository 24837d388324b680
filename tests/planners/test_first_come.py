"""The sequential planners on crossing, shared and built-in roads, judged by the independent verifier."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import PlanError
from planners.check import Verifier
from planners.conflicts import ConflictTables
from planners.first_come import FirstCome
from planners.interface import Commitment, JointPlan, JointPlanner, Request
from planners.registry import PLANNERS
from planners.spacing import COMFORTABLE
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget, Footprint, MotionLimits, Passage, Zone, ZoneMap
from planners.zones import build_zone_map
from sim.maps.builtin import build
from tests.planners.oracle import BUDGET, FOOTPRINT, body, path_of

LENGTH_M = 260.0
LINE_M, EXIT_M = 125.0, 136.0


@lru_cache
def cross() -> tuple[ZoneMap, ConflictTables]:
    """Two straight roads that cross at s = 130 m of both, as one zone."""
    roads = {
        "we": path_of("we", (-130.0, 0.0, 0.0), [(LENGTH_M, 0.0)]),
        "sn": path_of("sn", (0.0, -130.0, math.pi / 2.0), [(LENGTH_M, 0.0)]),
    }
    passages = {name: (Passage("box", name, LINE_M, EXIT_M),) for name in roads}
    zone = Zone("box", (), tuple(p for ps in passages.values() for p in ps))
    return ZoneMap("cross", "0" * 64, roads, {"box": zone}, passages), ConflictTables(roads, "cross")


@lru_cache
def builtin(name: str) -> tuple[ZoneMap, ConflictTables]:
    source = build(name)
    return build_zone_map(name, source.paths, [(path.path_id, FOOTPRINT, BUDGET) for path in source.paths])


def request(
    planner: JointPlanner, zone_map: ZoneMap, vehicle: str, path_id: str, s_m: float, v_mps: float, arrived_ms: int,
    *, leader: Request | None = None, now_ms: int = 0, switch_ms: int = 300, stop_s_m: float = math.inf,
) -> Request:  # fmt: skip
    passage = zone_map.passages[path_id][0]
    ahead = None if leader is None else Commitment(leader.body, leader.approach)
    who = body(vehicle)
    approach = planner.approach(who, path_id, (s_m, v_mps, 0.0), now_ms=now_ms, stop_s_m=passage.line_s_m, leader=ahead)
    name = None if leader is None else leader.body.vehicle
    return Request(who, approach, now_ms + switch_ms, passage.zone_id, arrived_ms, 1.0, stop_s_m, name)


def judged(zone_map: ZoneMap, answer: JointPlan, asked: list[Request], others: list[Commitment]) -> list[str]:
    """What the verifier objects to."""
    bodies = {one.body.vehicle: one.body for one in asked}
    plans = [Commitment(bodies[plan.vehicle], plan) for plan in answer.plans]
    return [str(finding) for finding in Verifier(zone_map).joint(plans, others, from_ms=0)]


def planned(
    name: str, asked: list[Request], others: list[Commitment], zone_map: ZoneMap, tables: ConflictTables
) -> JointPlan:
    answer = PLANNERS[name](zone_map, tables).plan(asked, others, now_ms=0)
    assert judged(zone_map, answer, asked, others) == []
    return answer


def time_at(plan: TimedPath, s_m: float) -> float:
    """When the rear axle is at ``s_m``, by bisection; inf if never."""
    arrays, low, high = plan.arrays(), plan.t0_ms * 1e-3, plan.end_ms * 1e-3
    if arrays.s_m[-1] < s_m:
        return math.inf
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if arrays.at(middle)[0] < s_m else (low, middle)
    return high


# --- order ---------------------------------------------------------------------------------------


def test_who_came_first_is_not_delayed_and_the_other_passes_after() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    a = request(planner, zone_map, "a", "we", 40.0, 13.0, 10)
    b = request(planner, zone_map, "b", "sn", 40.0, 13.0, 20)
    for asked in ([a, b], [b, a]):
        answer = planned("first_come", asked, [], zone_map, tables)
        assert [plan.vehicle for plan in answer.plans] == ["a", "b"]
        first, second = answer.plans
        assert time_at(first, EXIT_M) == pytest.approx(96.0 / 13.7, abs=0.3)
        assert 0.4 < time_at(second, 126.0) - time_at(first, 131.0) < 2.5
    swapped = planned("first_come", [replace(a, arrived_ms=30), b], [], zone_map, tables)
    assert [plan.vehicle for plan in swapped.plans] == ["b", "a"]


def test_plans_begin_as_the_approach_did() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    asked = [request(planner, zone_map, n, p, 70.0, 12.0, k) for k, (n, p) in enumerate([("a", "we"), ("b", "sn")])]
    for one, plan in zip(asked, planned("first_come", asked, [], zone_map, tables).plans, strict=True):
        for t_ms in range(0, one.switch_ms + 1, 20):
            now, before = plan.arrays().at(t_ms * 1e-3), one.approach.arrays().at(t_ms * 1e-3)
            assert now[:2] == pytest.approx(before[:2], abs=1e-9)


def test_a_late_commitment_leaves_room_before_it() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    late = request(planner, zone_map, "late", "sn", 5.0, 6.0, 0)
    gone = planned("first_come", [late], [], zone_map, tables).plans[0]
    committed = [Commitment(late.body, gone)]
    early = request(planner, zone_map, "early", "we", 90.0, 12.0, 5)
    answer = planned("first_come", [early], committed, zone_map, tables)
    assert time_at(answer.plans[0], 135.0) < time_at(gone, 120.0)
    alone = planned("first_come", [early], [], zone_map, tables)
    assert answer.plans == alone.plans


def test_a_follower_is_never_planned_before_its_leader_and_keeps_its_distance() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    leader = request(planner, zone_map, "z", "we", 60.0, 9.0, 90)
    follower = request(planner, zone_map, "a", "we", 40.0, 12.0, 10, leader=leader)
    other = request(planner, zone_map, "m", "sn", 60.0, 12.0, 1)
    answer = planned("first_come", [follower, other, leader], [], zone_map, tables)
    assert [plan.vehicle for plan in answer.plans] == ["m", "z", "a"]
    front, back = answer.plans[1].arrays(), answer.plans[2].arrays()
    times = np.arange(2.0, answer.plans[1].end_ms * 1e-3, 0.1)
    gap = np.array([front.at(t - COMFORTABLE.headway_s)[0] - back.at(t)[0] for t in times])
    assert gap.min() >= FOOTPRINT.length_m + 2.0 * BUDGET.longitudinal_m


def test_a_vehicle_inside_goes_before_all_that_wait() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    waiting = request(planner, zone_map, "a", "we", 60.0, 12.0, 1)
    inside = request(planner, zone_map, "b", "sn", 60.0, 8.0, 99)
    standing = TimedPath("b", "sn", 0, 126_000, 0, ((1000, 0),))
    answer = planned("first_come", [waiting, replace(inside, approach=standing)], [], zone_map, tables)
    assert [plan.vehicle for plan in answer.plans] == ["b", "a"]


# --- refusals ------------------------------------------------------------------------------------


def test_refusals_say_why() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    a = request(planner, zone_map, "a", "we", 60.0, 12.0, 1)
    broken = Commitment(body("broken"), TimedPath("broken", "sn", 0, 130_000, 0, ((1000, 0),)))
    assert [r.reason for r in planner.plan([a], [broken], now_ms=0).refused] == ["blocked_by:broken"]
    jam = Commitment(body("jam"), TimedPath("jam", "we", 0, 141_000, 0, ((1000, 0),)))
    assert [r.reason for r in planner.plan([a], [jam], now_ms=0).refused] == ["blocked_by:jam"]
    slow = Commitment(body("slow"), TimedPath("slow", "sn", 0, 130_000, 0, ((300_000, 0), (1000, 1000), (90_000, 0))))
    assert [r.reason for r in planner.plan([a], [slow], now_ms=0).refused] == ["horizon"]
    fast = Request(a.body, TimedPath("a", "we", 0, 110_000, 13_000, ((9000, 0),)), 300, "box", 1, 1.0, math.inf)
    cross_now = Commitment(body("x"), TimedPath("x", "sn", 0, 120_000, 5_000, ((60_000, 0),)))
    assert [r.reason for r in planner.plan([fast], [cross_now], now_ms=0).refused] == ["cannot_stop"]
    short = replace(a, stop_s_m=EXIT_M + 5.5)
    assert planner.plan([short], [], now_ms=0).refused == ()
    shorter = replace(a, stop_s_m=EXIT_M + 4.9)
    assert [r.reason for r in planner.plan([shorter], [], now_ms=0).refused] == ["no_room_before_next_zone"]
    touching = Commitment(body("t"), TimedPath("t", "sn", 0, 129_000, 0, ((1000, 0),)))
    inside = replace(a, approach=TimedPath("a", "we", 0, 126_500, 0, ((1000, 0),)))
    assert [r.reason for r in planner.plan([inside], [touching], now_ms=0).refused] == ["start_in_conflict:t"]


def test_a_refused_leader_holds_its_follower_not_the_others() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    jam = Commitment(body("jam"), TimedPath("jam", "we", 0, 141_000, 0, ((1000, 0),)))
    leader = request(planner, zone_map, "l", "we", 70.0, 11.0, 1)
    follower = request(planner, zone_map, "f", "we", 50.0, 11.0, 2, leader=leader)
    other = request(planner, zone_map, "o", "sn", 70.0, 11.0, 3)
    answer = planner.plan([leader, follower, other], [jam], now_ms=0)
    assert [(r.vehicle, r.reason) for r in answer.refused] == [("l", "blocked_by:jam"), ("f", "blocked_by:l")]
    assert [plan.vehicle for plan in answer.plans] == ["o"]


def test_a_plan_ends_before_the_line_of_the_next_zone() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    a = request(planner, zone_map, "a", "we", 60.0, 12.0, 1, stop_s_m=200.0)
    plan = planned("first_come", [a], [], zone_map, tables).plans[0]
    front = plan.arrays().s_m[-1] + FOOTPRINT.front_m
    assert 199.4 < front <= 200.0 and plan.arrays().v_mps[-1] < 0.005


def test_malformed_requests_raise() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    a = request(planner, zone_map, "a", "we", 60.0, 12.0, 1)
    with pytest.raises(PlanError, match="more than once"):
        planner.plan([a, a], [], now_ms=0)
    with pytest.raises(PlanError, match="does not pass zone 'moon'"):
        planner.plan([replace(a, zone_id="moon")], [], now_ms=0)
    with pytest.raises(PlanError, match="not in map"):
        planner.approach(body("a"), "nowhere", (0.0, 1.0, 0.0), now_ms=0, stop_s_m=9.0, leader=None)


# --- approach ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 119.0), st.floats(0.0, 13.8))
def test_an_approach_stands_at_the_line_if_it_can(s_m: float, v_mps: float) -> None:
    zone_map, tables = cross()
    plan = FirstCome(zone_map, tables).approach(
        body("a"), "we", (s_m, v_mps, 0.0), now_ms=700, stop_s_m=LINE_M, leader=None
    )
    assert plan.t0_ms == 700 and plan.s0_mm == round(s_m * 1e3)
    arrays = plan.arrays()
    assert arrays.v_mps[-1] < 0.005
    front = arrays.s_m[-1] + FOOTPRINT.front_m
    needed = s_m + 0.2 * v_mps + v_mps**2 / 9.0 + FOOTPRINT.front_m + 0.1
    if needed < LINE_M:
        assert front <= LINE_M
        assert front >= min(LINE_M - 0.45, max(s_m + FOOTPRINT.front_m, LINE_M - 0.45))
    assert Verifier(zone_map).limits(body("a"), plan) == ()


def test_an_approach_keeps_behind_its_leader_and_creeps_no_millimetres() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    first = request(planner, zone_map, "l", "we", 80.0, 10.0, 0)
    second = request(planner, zone_map, "f", "we", 55.0, 13.0, 0, leader=first)
    pair = Commitment(first.body, first.approach), Commitment(second.body, second.approach)
    assert Verifier(zone_map).pair(*pair, from_ms=0) is None
    gap = first.approach.arrays().s_m[-1] - second.approach.arrays().s_m[-1] - FOOTPRINT.length_m
    assert 1.5 < gap < 3.5
    again = planner.approach(
        second.body, "we", (float(second.approach.arrays().s_m[-1]), 0.0, 0.0), now_ms=60_000, stop_s_m=LINE_M,
        leader=Commitment(first.body, first.approach),
    )  # fmt: skip
    assert again.segments == ((1000, 0),)


def test_too_late_to_stop_brakes_as_hard_as_it_may() -> None:
    zone_map, tables = cross()
    plan = FirstCome(zone_map, tables).approach(
        body("a"), "we", (112.0, 13.0, 0.0), now_ms=0, stop_s_m=LINE_M, leader=None
    )
    arrays = plan.arrays()
    assert min(a for _, a in plan.segments) == pytest.approx(-4500, abs=5)
    assert arrays.s_m[-1] - 112.0 == pytest.approx(13.0**2 / 9.0 + 0.5 * 0.379 * 13.0, abs=0.3)
    assert arrays.v_mps[-1] < 0.005


# --- all-way stop --------------------------------------------------------------------------------


def test_all_way_stop_stops_everybody_and_serves_in_the_order_of_stopping() -> None:
    zone_map, tables = cross()
    planner = PLANNERS["all_way_stop"](zone_map, tables)
    a = request(planner, zone_map, "a", "we", 60.0, 12.0, 1)
    b = request(planner, zone_map, "b", "sn", 70.0, 12.0, 2)
    behind = request(planner, zone_map, "c", "we", 40.0, 12.0, 0, leader=a)
    answer = planned("all_way_stop", [a, b, behind], [], zone_map, tables)
    assert [plan.vehicle for plan in answer.plans] == ["b", "a"]
    assert [(r.vehicle, r.reason) for r in answer.refused] == [("c", "not_at_line")]
    for plan in answer.plans:
        stands = [dt for k, (dt, acc) in enumerate(plan.segments) if acc == 0 and plan.arrays().v_mps[k] < 0.005]
        assert sum(stands) >= 499
    assert time_at(answer.plans[1], 126.0) > time_at(answer.plans[0], 131.0)


def test_all_way_stop_lets_movements_that_do_not_meet_go_together() -> None:
    zone_map, tables = builtin("four_way")
    planner = PLANNERS["all_way_stop"](zone_map, tables)
    line = zone_map.passages["N_straight"][0].line_s_m
    ways = enumerate([("a", "N_straight"), ("b", "S_straight")])
    asked = [request(planner, zone_map, name, path, line - 40.0, 10.0, k) for k, (name, path) in ways]
    first, second = planned("all_way_stop", asked, [], zone_map, tables).plans
    assert abs(time_at(first, line + 10.0) - time_at(second, line + 10.0)) < 0.1


# --- any traffic ---------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["first_come", "all_way_stop"]), st.data())
def test_whatever_arrives_the_verifier_accepts_the_plans(name: str, data: st.DataObject) -> None:
    zone_map, tables = builtin("four_way")
    planner = PLANNERS[name](zone_map, tables)
    asked: list[Request] = []
    for arm in "NESW":
        s_m, leader = data.draw(st.floats(190.0, 215.0)), None
        for k in range(data.draw(st.integers(0, 2))):
            path_id = f"{arm}_{data.draw(st.sampled_from(['left', 'straight', 'right']))}"
            v_mps, at_ms = data.draw(st.floats(0.0, 9.0)), data.draw(st.integers(0, 50))
            leader = request(planner, zone_map, f"{arm}{k}", path_id, s_m, v_mps, at_ms, leader=leader)
            asked.append(leader)
            s_m -= 25.0
    answer = planned(name, asked, [], zone_map, tables)
    assert len(answer.plans) + len(answer.refused) == len(asked)
    if name == "first_come":
        assert answer.refused == ()
    assert PLANNERS[name](zone_map, tables).plan(list(reversed(asked)), [], now_ms=0) == answer


def test_followers_without_agreement_can_brake_for_what_is_agreed_ahead() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    committed = [Commitment(body("x"), TimedPath("x", "sn", 0, 115_000, 2000, ((60_000, 0),)))]
    leader = request(planner, zone_map, "l", "we", 40.0, 13.0, 1)
    follower = request(planner, zone_map, "f", "we", 22.0, 13.0, 2, leader=leader)
    plan = planner.plan([leader, follower], committed, now_ms=0).plans[0]
    assert plan == planner.plan([leader], committed, now_ms=0).plans[0]
    unaware = Commitment(follower.body, follower.approach)
    assert Verifier(zone_map).pair(Commitment(leader.body, plan), unaware, from_ms=0) is not None
    careful = planned("first_come", [leader], [*committed, unaware], zone_map, tables).plans[0]
    assert careful != plan
    state = follower.approach.arrays().at(0.3)
    reaction = planner.approach(
        follower.body, "we", state, now_ms=300, stop_s_m=LINE_M, leader=Commitment(leader.body, plan)
    )
    pair = Commitment(leader.body, plan), Commitment(follower.body, reaction)
    assert Verifier(zone_map).pair(*pair, from_ms=300) is None


def test_model_cars_are_planned_at_their_size() -> None:
    scale = 1.0 / 18.0
    roads = {
        "we": path_of("we", (-7.0, 0.0, 0.0), [(14.0, 0.0)], step_m=0.25 * scale, limit_mps=1.5),
        "sn": path_of("sn", (0.0, -7.0, math.pi / 2.0), [(14.0, 0.0)], step_m=0.25 * scale, limit_mps=1.5),
    }
    passages = {name: (Passage("box", name, 6.6, 7.4),) for name in roads}
    zone_map = ZoneMap("model", "0" * 64, roads, {"box": Zone("box", (), ())}, passages)
    tables = ConflictTables(roads, "model")
    planner = FirstCome(zone_map, tables)
    asked = []
    for k, (vehicle, path_id) in enumerate([("a", "we"), ("b", "sn")]):
        who = replace(
            body(vehicle), footprint=Footprint(5.0 * scale, 1.8 * scale, 1.05 * scale), budget=ErrorBudget(0.01, 0.02),
            limits=MotionLimits(2.0, 1.0, 1.5, 1.0, 10.0),
        )  # fmt: skip
        approach = planner.approach(who, path_id, (4.0, 1.0, 0.0), now_ms=0, stop_s_m=6.6, leader=None)
        assert 6.6 - 0.03 < approach.arrays().s_m[-1] + who.footprint.front_m <= 6.6
        asked.append(Request(who, approach, 200, "box", k, 1.0, math.inf))
    answer = planned("first_come", asked, [], zone_map, tables)
    assert len(answer.plans) == 2 and answer.refused == ()


def standing(k: int, s_m: float, path_id: str = "we") -> Request:
    approach = TimedPath(f"v{k:03d}", path_id, 0, round(s_m * 1e3), 0, ((1000, 0),))
    return Request(body(f"v{k:03d}"), approach, 300, "box", k, 1.0, math.inf)


def test_a_standing_queue_leaves_in_order() -> None:
    zone_map, tables = cross()
    queue = [standing(k, 120.0 - 8.0 * k) for k in range(15)]
    queue = [replace(one, lane_leader=f"v{k - 1:03d}" if k else None) for k, one in enumerate(queue)]
    answer = planned("first_come", queue, [], zone_map, tables)
    assert [plan.vehicle for plan in answer.plans] == [one.body.vehicle for one in queue]
    leaving = [time_at(plan, 125.0) for plan in answer.plans]
    assert 0.9 < np.diff(leaving)[4:].mean() < 2.2


def test_five_hundred_requests_are_bounded_work() -> None:
    zone_map, tables = cross()
    piled = [standing(k, 30.0 + 0.5 * (k % 160), "we" if k % 2 else "sn") for k in range(500)]
    answer = FirstCome(zone_map, tables).plan(piled, [], now_ms=0)
    assert len(answer.plans) + len(answer.refused) == 500


def test_a_vehicle_that_stands_closer_to_its_leader_than_both_error_budgets_does_not_drive_off_into_it() -> None:
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    ahead = Commitment(body("l"), TimedPath("l", "we", 0, 105_000, 0, ((1000, 0),)))
    for gap_m in (0.1, 0.4, 0.9, 1.1):
        s_m = 105.0 - FOOTPRINT.length_m - gap_m
        plan = planner.approach(body("f"), "we", (s_m, 0.0, 0.0), now_ms=0, stop_s_m=LINE_M, leader=ahead)
        assert plan.arrays().s_m[-1] == pytest.approx(s_m, abs=0.01)
