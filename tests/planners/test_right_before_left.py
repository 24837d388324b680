"""Right before left: who waits for whom by geometry alone, and how a circle of four comes apart."""

from __future__ import annotations

from planners.interface import Commitment
from planners.right_before_left import RightBeforeLeft
from tests.planners.test_first_come import builtin
from tests.planners.test_signals import answered, asking, going


def planner() -> RightBeforeLeft:
    return RightBeforeLeft(*builtin("four_way"))


def reasons(answer: object) -> dict[str, str]:
    return {one.vehicle: one.reason for one in answer.refused}  # type: ignore[attr-defined]


def test_who_comes_from_the_right_goes_first_whoever_came_first() -> None:
    rule = planner()
    # Driving east (from W), the vehicle from the south is on the right.
    asked = [asking(rule, "w", "W_straight", 12.0, 7.0), asking(rule, "s", "S_straight", 14.0, 7.0)]
    answer = answered(rule, asked)
    assert going(answer) == ["s"] and reasons(answer) == {"w": "yields_to:s"}
    asked = [asking(rule, "w", "W_straight", 12.0, 7.0), asking(rule, "n", "N_straight", 14.0, 7.0)]
    answer = answered(rule, asked)
    assert going(answer) == ["w"] and reasons(answer) == {"n": "yields_to:w"}


def test_a_left_turn_waits_for_the_oncoming_vehicle_and_a_right_turn_does_not() -> None:
    rule = planner()
    oncoming = asking(rule, "e", "E_straight", 12.0, 7.0)
    left = answered(rule, [asking(rule, "w", "W_left", 12.0, 7.0), oncoming])
    assert going(left) == ["e"] and reasons(left) == {"w": "yields_to:e"}
    right = answered(rule, [asking(rule, "w", "W_right", 12.0, 7.0), oncoming])
    assert sorted(going(right)) == ["e", "w"]


def test_nobody_decides_far_from_the_line_and_nobody_waits_for_who_is_far() -> None:
    rule = planner()
    far = asking(rule, "s", "S_straight", 120.0, 13.0)
    answer = answered(rule, [asking(rule, "w", "W_straight", 2.0, 0.0), far])
    assert going(answer) == ["w"] and reasons(answer) == {"s": "too_far"}
    near = answered(rule, [asking(rule, "w", "W_straight", 2.0, 0.0), asking(rule, "s", "S_straight", 60.0, 13.0)])
    assert reasons(near)["w"] == "yields_to:s"


def test_an_announced_vehicle_that_is_not_asked_for_is_waited_for_too() -> None:
    rule = planner()
    rival = asking(rule, "s", "S_straight", 20.0, 9.0)
    answer = rule.plan([asking(rule, "w", "W_straight", 5.0, 4.0)], [Commitment(rival.body, rival.approach)], now_ms=0)
    assert reasons(answer) == {"w": "yields_to:s"}


def test_of_four_that_stand_and_wait_for_each_other_the_first_goes() -> None:
    rule = planner()
    asked = [asking(rule, arm, f"{arm}_straight", 0.5, 0.0, now_ms=k) for k, arm in enumerate("SENW")]
    answer = answered(rule, asked, now_ms=1000)
    assert going(answer) == ["S"]
    assert reasons(answer) == {"E": "yields_to:N", "N": "yields_to:W", "W": "yields_to:S"}
    moving = [asking(rule, arm, f"{arm}_straight", 0.5 + k, 1.0) for k, arm in enumerate("SENW")]
    assert going(answered(rule, moving)) == []
