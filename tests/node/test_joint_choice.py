"""A proposer that weighs several joint plans by the charter: the verifier first, then duties, then votes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from fleet.charter.model import Charter, default_charter
from fleet.charter.rulebook import SAFETY_TIER, SOFT_RULES, Rulebook
from fleet.node.bodies import judged_body, planning_body
from fleet.node.charter_book import CharterBook
from fleet.node.joint_choice import RulebookPlanner
from planners.interface import Commitment, JointPlan, JointPlanner, Refusal, Request
from planners.timed_path import TimedPath
from tests.node.scenes import ZONE, approach, before_line, body, junction, through

PATHS = {"s": "S_straight", "e": "E_straight"}


def requests(rooms: dict[str, float], *, arrived: dict[str, int] | None = None) -> list[Request]:
    """Cars that far before their lines at 10 m/s, told at 0 that they may change from 500 ms on."""
    found = []
    for name, room in rooms.items():
        plan = approach(name, PATHS[name], before_line(PATHS[name], room), 10.0)
        came = (arrived or {}).get(name, 0)
        found.append(Request(planning_body(body(name)), plan, 500, ZONE, came, 0.0, math.inf))
    return found


class Fixed:
    """A candidate that always answers the same."""

    name, open_orders = "fixed", True

    def __init__(self, *plans: TimedPath, refused: Sequence[str] = ()) -> None:
        self._answer = JointPlan(plans, tuple(Refusal(name, "not_now") for name in refused))

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        return self._answer


class InOrder:
    """First come, first served, but in the order of these names."""

    name, open_orders = "in_order", True

    def __init__(self, *names: str) -> None:
        self._names = names

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        turned = [replace(r, arrived_ms=self._names.index(r.body.vehicle)) for r in requests]
        return junction().planner.plan(turned, commitments, now_ms=now_ms)


def weighed(charter: Charter, own: object, other: object) -> RulebookPlanner:
    candidates: dict[str, JointPlanner] = {"own": own, "other": other}  # type: ignore[dict-item]
    j = junction()
    book = CharterBook(lambda name, one: own, j.roads, j.verifier, (charter,))  # type: ignore[arg-type,return-value]
    return RulebookPlanner(candidates, charter, j.verifier, judged_body, book._clear_mm)


def test_no_delay_is_worth_a_plan_that_the_verifier_refuses() -> None:
    """Both straight through is fastest by far, and is not clear."""
    asked = requests({"s": 60.0, "e": 60.0})
    reckless = Fixed(*(through(r.body.vehicle, r.approach.path_id, r.approach.s0_mm * 1e-3, 10.0) for r in asked))
    planner = weighed(default_charter(), reckless, InOrder("s", "e"))
    answer = planner.plan(asked, (), now_ms=0)
    assert planner.last is not None
    assert (planner.last.chosen, planner.last.rule, planner.last.tier) == ("other", "unverified", "safety")
    assert not junction().verifier.joint([Commitment(body(plan.vehicle), plan) for plan in answer.plans], (), from_ms=0)


def test_nobody_is_left_without_a_plan_for_the_speed_of_the_others() -> None:
    asked = requests({"s": 60.0, "e": 60.0})
    alone = through("s", PATHS["s"], asked[0].approach.s0_mm * 1e-3, 10.0)
    planner = weighed(default_charter(), Fixed(alone, refused=["e"]), InOrder("s", "e"))
    planner.plan(asked, (), now_ms=0)
    assert planner.last is not None
    assert (planner.last.chosen, planner.last.rule, planner.last.tier) == ("other", "without_plan", "duty")


def test_the_starvation_bound_goes_before_the_welfare_of_all() -> None:
    """``e`` has waited so long that only at once is soon enough, though ``s`` comes at speed."""
    asked = requests({"s": 50.0, "e": 60.0}, arrived={"s": 0, "e": -50_000})
    quick, fair = InOrder("s", "e"), InOrder("e", "s")
    soft = weighed(replace(default_charter(), starvation_bound_s=3600), fair, quick)
    soft.plan(asked, (), now_ms=0)
    strict = weighed(replace(default_charter(), starvation_bound_s=56), quick, fair)
    strict.plan(asked, (), now_ms=0)
    assert soft.last is not None
    assert strict.last is not None
    assert (soft.last.chosen, soft.last.rule) == ("other", "delay")
    assert (strict.last.chosen, strict.last.rule) == ("other", "starved_ms")


def test_rules_of_courtesy_may_be_put_above_the_votes() -> None:
    asked = requests({"s": 50.0, "e": 60.0}, arrived={"s": 10, "e": 0})
    book = Rulebook(SAFETY_TIER, ("without_plan", "overtaken"), SOFT_RULES, ())
    polite = weighed(replace(default_charter(), rulebook=book), InOrder("s", "e"), InOrder("e", "s"))
    polite.plan(asked, (), now_ms=0)
    assert polite.last is not None
    assert (polite.last.chosen, polite.last.rule, polite.last.tier) == ("other", "overtaken", "duty")


def test_equal_answers_are_no_choice_and_a_candidate_that_crashes_does_not_win() -> None:
    class Broken:
        name, open_orders = "broken", True

        def plan(self, *args: object, **named: object) -> JointPlan:
            raise RuntimeError("bug")

    asked = requests({"s": 60.0, "e": 60.0})
    same = weighed(default_charter(), InOrder("s", "e"), InOrder("s", "e"))
    assert same.plan(asked, (), now_ms=0).plans
    assert same.last is None
    safe = weighed(default_charter(), Broken(), InOrder("s", "e"))
    assert len(safe.plan(asked, (), now_ms=0).plans) == 2
    assert safe.last is not None
    assert safe.last.chosen == "other"


@pytest.mark.parametrize("name", ["s", "e"])
def test_the_body_that_is_judged_is_the_one_that_planners_were_given_wider(name: str) -> None:
    real, again = body(name), judged_body(planning_body(body(name)))
    assert again.budget.lateral_m == pytest.approx(real.budget.lateral_m)
    assert again.budget.longitudinal_m == pytest.approx(real.budget.longitudinal_m)
    assert replace(again, budget=real.budget) == real
