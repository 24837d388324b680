"""The protocol's planner port: requests, leases, and planners that fail in every way (S13)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.bodies import planning_body
from fleet.node.planner_guard import GuardedPlanner, braking
from fleet.node.planning import EXIT_ROOM_LENGTHS, LEASE_MARGIN_MS, claim_s_m, clear_rear_s_m, first_time_beyond
from planners.interface import Commitment, JointPlan, Refusal, Request
from planners.timed_path import TimedPath
from planners.zone_map import Passage
from tests.node.scenes import CAR, ZONE, approach, body, intent, junction, planned, through, tube

A = approach("a", "S_straight", 150.0, 13.0)
B = approach("b", "E_straight", 150.0, 13.0)


class Broken:
    """A planner that answers with whatever it is given."""

    name = "broken"

    def __init__(self, answer: Callable[..., object]) -> None:
        self.answer = answer
        self.asked: list[tuple[tuple[Request, ...], tuple[Commitment, ...]]] = []

    def plan(self, requests, commitments, *, now_ms):  # noqa: ANN001, ANN201 - of any type at all
        self.asked.append((tuple(requests), tuple(commitments)))
        return self.answer(requests)

    def approach(self, body, path_id, state, **_):  # noqa: ANN001, ANN003, ANN201
        return self.answer((body, path_id, state))


def asked_by(
    *vehicles: TimedPath, others: tuple[TimedPath, ...] = ()
) -> tuple[tuple[Request, ...], tuple[Commitment, ...]]:
    """What the planner is asked when ``vehicles`` want through and ``others`` are known."""
    spy = Broken(lambda requests: JointPlan((), ()))
    known = [tube(plan) for plan in (*vehicles, *others)]
    wanted = [intent(plan.vehicle, plan, arrived_ms=7 * k) for k, plan in enumerate(vehicles)]
    junction().zone_planner(spy).plan(wanted, known, 0, 300)  # type: ignore[arg-type]
    return spy.asked[-1]


# --- requests


def test_a_request_says_what_the_vehicle_drives_when_it_came_and_who_is_ahead_in_its_lane() -> None:
    behind = approach("c", "S_left", 120.0, 13.0)
    requests, commitments = asked_by(A, behind, B)
    by_name = {request.body.vehicle: request for request in requests}
    assert {name: request.lane_leader for name, request in by_name.items()} == {"a": None, "b": None, "c": "a"}
    assert by_name["c"].approach == behind and by_name["c"].arrived_ms == 7 and by_name["b"].arrived_ms == 14
    assert all(r.switch_ms == 300 and r.zone_id == ZONE and r.stop_s_m == math.inf for r in requests)
    assert commitments == (), "those that are planned for are no obstacles"


def test_planners_get_wider_budgets_than_the_verifier_uses() -> None:
    [request], _ = asked_by(A)
    assert request.body.budget.lateral_m > CAR.tracking.lateral_m
    assert request.body.budget.longitudinal_m > CAR.tracking.longitudinal_m


def test_all_others_are_obstacles_but_who_follows_in_the_lane_is_not() -> None:
    follower = approach("f", "S_left", 120.0, 13.0)
    _, commitments = asked_by(A, others=(B, follower))
    assert [one.body.vehicle for one in commitments] == ["b"]


def test_of_a_vehicle_with_a_live_tube_only_that_is_an_obstacle() -> None:
    spy = Broken(lambda requests: JointPlan((), ()))
    adopted = through("b", "E_straight", 150.0, 13.0)
    known = [tube(A), tube(B), tube(adopted, "certificate", lease_end_ms=30_000)]
    junction().zone_planner(spy).plan([intent("a", A)], known, 0, 300)  # type: ignore[arg-type]
    assert [one.plan for one in spy.asked[-1][1]] == [adopted]


def test_who_announces_garbage_or_is_past_the_zone_is_not_planned_for() -> None:
    past = approach("p", "N_straight", 400.0, 10.0, stop_s_m=math.inf)
    spy = Broken(lambda requests: JointPlan((), ()))
    known = [tube(A), tube(past), dataclasses.replace(tube(B), plan=b"junk")]
    wanted = [intent("a", A), intent("p", past), intent("b", b"junk")]
    junction().zone_planner(spy).plan(wanted, known, 0, 300)  # type: ignore[arg-type]
    assert [r.body.vehicle for r in spy.asked[-1][0]] == ["a"]


def test_a_plan_announced_for_a_distant_future_is_refused_and_harms_nobody() -> None:
    """Signed bytes may hold any time up to 2^40 ms; the planner's grid of time ends long before."""
    for t0_ms in (125_000, 200_000, 10**7, 2**39):
        later = dataclasses.replace(B, t0_ms=t0_ms)
        batch = planned({"b": later, "a": A})
        assert [entry[0] for entry in batch.entries] == ["a"]
        assert batch.refused == (("b", "horizon"),)


# --- leases


def test_a_lease_ends_a_margin_after_the_rear_bumper_has_left_the_exit_room() -> None:
    batch = planned({"a": A})
    [(name, raw, lease_ms)] = batch.entries
    plan = TimedPath.decode(raw)
    passage = junction().passage("S_straight")
    clear_s = passage.exit_s_m + EXIT_ROOM_LENGTHS * 5.0 + CAR.body.rear_overhang_m
    assert name == "a"
    assert plan.arrays().at((lease_ms - LEASE_MARGIN_MS) * 1e-3)[0] == pytest.approx(clear_s, abs=0.02)


def test_the_exit_room_ends_before_the_next_zone_and_at_the_end_of_the_path() -> None:
    me = body("a")
    assert clear_rear_s_m(500.0, 100.0, None, me) == 125.0
    assert clear_rear_s_m(110.0, 100.0, None, me) == 105.0
    assert clear_rear_s_m(103.0, 100.0, None, me) == 100.0
    following = Passage("z", "p", 115.0, 130.0)
    assert clear_rear_s_m(500.0, 100.0, following, me) == pytest.approx(108.5)


def test_a_vehicle_may_claim_a_zone_until_it_has_left_the_exit_room() -> None:
    assert claim_s_m(A, body("a")) == pytest.approx(150.0 - 1.05 - 25.0)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(0, 20_000),
    st.lists(st.tuples(st.integers(1, 5000), st.integers(-4000, 2600)), max_size=6),
    st.floats(-5.0, 120.0),
)
def test_the_first_time_beyond_a_place_is_that_of_a_search(
    v0: int, segments: list[tuple[int, int]], ahead: float
) -> None:
    speed, driven = v0, []
    for dt, a in segments:  # plans never go below standstill within a segment
        a = max(a, -(speed * 1000 // dt))
        speed = max(0, speed + a * dt // 1000)
        driven.append((dt, a))
    plan = TimedPath("a", "S_straight", 1000, 0, v0, tuple(driven))
    arrays, found = plan.arrays(), first_time_beyond(junction().book, plan, ahead)
    if found is None:
        assert arrays.v_mps[-1] < 1e-3 and arrays.at(plan.end_ms * 1e-3 + 100.0)[0] < ahead + 1e-6
    else:
        assert arrays.at(found)[0] >= ahead - 1e-6
        steps = [1.0 + k * (found - 1.0) / 50.0 for k in range(50)] if ahead > 0.0 else []
        assert ahead <= 0.0 or arrays.at(found)[0] == pytest.approx(ahead, abs=1e-5)
        assert all(arrays.at(t)[0] <= ahead + 1e-6 for t in steps)


# --- planners that fail (S13)


def _raise(error: BaseException) -> Callable[..., object]:
    def answer(*_: object) -> object:
        raise error

    return answer


JUNK: dict[str, Callable[..., object]] = {
    "raises": _raise(ZeroDivisionError()),
    "raises_key": _raise(KeyError("path")),
    "recursion": _raise(RecursionError()),
    "none": lambda *_: None,
    "number": lambda *_: math.nan,
    "text": lambda *_: "drive",
    "no_plans": lambda *_: JointPlan((), ()),
    "plan_none": lambda *_: JointPlan((None,), ()),  # type: ignore[arg-type]
    "too_many_segments": lambda *_: JointPlan((dataclasses.replace(A, segments=((1, 0),) * 65),), ()),
    "a_million_points": lambda *_: JointPlan((dataclasses.replace(A, segments=((1, 0),) * 10**6),), ()),
    "beyond_integers": lambda *_: JointPlan((dataclasses.replace(A, s0_mm=2**80),), ()),
    "floats": lambda *_: JointPlan((dataclasses.replace(A, segments=((math.nan, math.inf),)),), ()),  # type: ignore[arg-type]
    "negative_time": lambda *_: JointPlan((dataclasses.replace(A, segments=((-5, 0),)),), ()),
    "wrong_vehicle": lambda *_: JointPlan((dataclasses.replace(A, vehicle="x"),), ()),
}


@pytest.mark.parametrize("kind", JUNK)
def test_a_planner_that_fails_gives_no_plan_and_a_reason(kind: str) -> None:
    planner = junction().zone_planner(Broken(JUNK[kind]))  # type: ignore[arg-type]
    batch = planner.plan([intent("a", A), intent("b", B)], [tube(A), tube(B)], 0, 300)
    assert batch.entries == ()
    assert batch.refused == (("a", "planner_failed"), ("b", "planner_failed"))


def test_what_a_failing_planner_says_of_others_still_counts() -> None:
    guarded = GuardedPlanner(
        Broken(lambda _: JointPlan((A, dataclasses.replace(B, v0_mmps=-1)), (Refusal("c", "horizon"),)))
    )
    requests, _ = asked_by(A, B, approach("c", "N_left", 150.0, 13.0))
    answer = guarded.plan(requests, (), now_ms=0)
    assert answer.plans == (A,)
    assert [(one.vehicle, one.reason) for one in answer.refused] == [("c", "horizon"), ("b", "planner_failed")]
    assert guarded.failures == 1


OWN_JUNK: dict[str, Callable[..., object]] = {
    **{name: JUNK[name] for name in ("raises", "recursion", "none", "number", "text")},
    "joint": lambda _: JointPlan((), ()),
    "elsewhere": lambda _: dataclasses.replace(A, s0_mm=A.s0_mm + 50_000),
    "too_fast": lambda _: dataclasses.replace(A, v0_mmps=A.v0_mmps + 5_000),
    "other_path": lambda _: dataclasses.replace(A, path_id="S_left"),
    "other_vehicle": lambda _: dataclasses.replace(A, vehicle="b"),
    "other_time": lambda _: dataclasses.replace(A, t0_ms=99),
    "many": lambda _: dataclasses.replace(A, segments=((1, 0),) * 65),
    "floats": lambda _: dataclasses.replace(A, segments=((math.inf, math.nan),)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(
    ("kind", "v_mps"), [*((kind, 13.0) for kind in OWN_JUNK), *((kind, 0.0) for kind in OWN_JUNK if kind != "too_fast")]
)
def test_instead_of_an_own_plan_that_is_none_the_vehicle_brakes_to_standstill(kind: str, v_mps: float) -> None:
    guarded, state = GuardedPlanner(Broken(OWN_JUNK[kind])), (150.0, v_mps, 0.0)
    plan = guarded.approach(planning_body(body("a")), "S_straight", state, now_ms=0, stop_s_m=240.0, leader=None)
    assert plan == braking(planning_body(body("a")), "S_straight", state, 0)
    assert guarded.failures == 1
    arrays = plan.arrays()
    assert arrays.v_mps[-1] < 0.02 and arrays.s_m[-1] == pytest.approx(150.0 + v_mps**2 / 9.0, abs=0.1)
    assert junction().verifier.limits(body("a"), plan) == ()


def test_a_sound_planner_is_passed_on_unchanged() -> None:
    guarded = GuardedPlanner(junction().planner)
    for s, v in ((150.0, 13.0), (239.0, 0.0), (100.0, 7.123456)):
        arguments = (planning_body(body("a")), "S_straight", (s, v, 0.0))
        stop = junction().passage("S_straight").line_s_m
        expected = junction().planner.approach(*arguments, now_ms=400, stop_s_m=stop, leader=None)
        assert guarded.approach(*arguments, now_ms=400, stop_s_m=stop, leader=None) == expected
    assert guarded.failures == 0 and guarded.name == "first_come"
