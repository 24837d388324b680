"""Signals: nobody passes on red, green is kept while somebody comes, left turns yield, and plans stay clear."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from fleet.errors import PlanError
from planners.gate import comer, passes_line_ms
from planners.interface import Commitment, JointPlan, JointPlanner, Request
from planners.signals import CYCLE_MS, GREEN_MAX_MS, GREEN_MIN_MS, YELLOW_MS, SignalActuated, SignalFixed
from planners.timed_path import TimedPath
from tests.planners.oracle import FOOTPRINT, body
from tests.planners.test_first_come import builtin, judged

PHASE_MS = CYCLE_MS // 2


def asking(
    planner: JointPlanner, vehicle: str, path_id: str, to_line_m: float, v_mps: float, now_ms: int = 0
) -> Request:
    zone_map, _ = builtin("four_way")
    passage = zone_map.passages[path_id][0]
    who = body(vehicle)
    s_m = passage.line_s_m - to_line_m - FOOTPRINT.front_m
    line = passage.line_s_m if to_line_m > 0.0 else math.inf
    approach = planner.approach(who, path_id, (s_m, v_mps, 0.0), now_ms=now_ms, stop_s_m=line, leader=None)
    return Request(who, approach, now_ms + 300, passage.zone_id, now_ms, 1.0, math.inf)


def answered(planner: JointPlanner, asked: Sequence[Request], now_ms: int = 0) -> JointPlan:
    answer = planner.plan(asked, [], now_ms=now_ms)
    bodies = {one.body.vehicle: one.body for one in asked}
    assert judged(builtin("four_way")[0], answer, list(asked), []) == []
    assert {plan.vehicle for plan in answer.plans} | {one.vehicle for one in answer.refused} == set(bodies)
    return answer


def going(answer: JointPlan) -> list[str]:
    return [plan.vehicle for plan in answer.plans]


def line_ms(request: Request, plan: TimedPath) -> float:
    return passes_line_ms(builtin("four_way")[0], request, plan)


def test_the_fixed_signal_lets_its_green_phase_pass_and_nobody_else() -> None:
    planner = SignalFixed(*builtin("four_way"))
    for start_ms, green, red in ((0, "E_straight", "N_straight"), (PHASE_MS, "N_straight", "E_straight")):
        asked = [asking(planner, "g", green, 60.0, 13.0, start_ms), asking(planner, "r", red, 60.0, 13.0, start_ms)]
        answer = answered(planner, asked, start_ms)
        assert going(answer) == ["g"]
        assert [(one.vehicle, one.reason) for one in answer.refused] == [("r", "red")]


def test_green_is_of_no_use_to_who_is_too_far_away() -> None:
    planner = SignalFixed(*builtin("four_way"))
    now_ms = PHASE_MS - YELLOW_MS - 500
    near, far = (
        asking(planner, "near", "E_straight", 25.0, 13.0, now_ms),
        asking(planner, "far", "W_straight", 110.0, 13.0, now_ms),
    )
    answer = answered(planner, [near, far], now_ms)
    assert going(answer) == ["near"] and answer.refused[0].reason == "red"
    assert line_ms(near, answer.plans[0]) <= PHASE_MS
    assert going(answered(planner, [asking(planner, "far", "W_straight", 110.0, 13.0)])) == ["far"]


def test_nobody_is_granted_on_yellow_but_who_is_inside_goes_on() -> None:
    planner = SignalFixed(*builtin("four_way"))
    now_ms = PHASE_MS - YELLOW_MS
    asked = [
        asking(planner, "a", "E_straight", 20.0, 13.0, now_ms),
        asking(planner, "b", "N_straight", -8.0, 3.0, now_ms),
    ]
    answer = answered(planner, asked, now_ms)
    assert going(answer) == ["b"] and answer.refused[0].reason == "red"


def test_a_left_turn_yields_to_the_oncoming_vehicle_even_if_it_came_first() -> None:
    planner = SignalFixed(*builtin("four_way"))
    left, oncoming = asking(planner, "a", "E_left", 50.0, 10.0), asking(planner, "b", "W_straight", 55.0, 12.0)
    assert going(answered(planner, [left, oncoming])) == ["b", "a"]
    follower = Request(
        *(getattr(asking(planner, "c", "E_straight", 62.0, 10.0), name) for name in Request.__slots__[:-1]), "a"
    )
    first, *rest = going(answered(planner, [left, follower, oncoming]))
    assert first == "b" and set(rest) <= {"a", "c"} and rest[0] == "a"


def test_a_map_whose_paths_are_all_compatible_is_always_green() -> None:
    planner = SignalFixed(*builtin("merge"))
    assert len(planner.phases("zone0")) == 2
    phase, until_ms = planner.green("zone0", [], 0)
    assert phase is planner.phases("zone0")[0] and until_ms == PHASE_MS


# --- actuated ------------------------------------------------------------------------------------


def shown(planner: SignalActuated, cars: Sequence[tuple[str, float]], now_ms: int) -> str:
    """Arms that have green, or yellow, with cars (path, m before the line) present."""
    zone_map, _ = builtin("four_way")
    found = []
    for number, (path_id, to_line_m) in enumerate(cars):
        s_mm = round(1000.0 * (zone_map.passages[path_id][0].line_s_m - to_line_m - FOOTPRINT.front_m))
        plan = TimedPath(f"v{number}", path_id, now_ms, s_mm, 5000, ((1000, 0),))
        one = comer(zone_map, body(f"v{number}"), plan, "zone0", now_ms)
        assert one is not None and one.to_line_m == pytest.approx(to_line_m, abs=1e-3)
        found.append(one)
    phase, _ = planner.green("zone0", found, now_ms)
    return "yellow" if phase is None else "".join(sorted({path_id[0] for path_id in phase.paths}))


def test_green_rests_where_it_is_if_nobody_waits_elsewhere() -> None:
    planner = SignalActuated(*builtin("four_way"))
    assert [shown(planner, [("E_straight", 100.0)], t) for t in range(0, 200_000, 10_000)] == ["EW"] * 20


def test_green_goes_to_who_waits_once_nobody_comes_any_more() -> None:
    planner = SignalActuated(*builtin("four_way"))
    waits = [("N_straight", 1.0)]
    assert shown(planner, waits, 0) == "EW"
    assert shown(planner, waits, GREEN_MIN_MS - 100) == "EW"
    assert shown(planner, waits, GREEN_MIN_MS) == "yellow"
    assert shown(planner, waits, GREEN_MIN_MS + YELLOW_MS - 1) == "yellow"
    assert shown(planner, waits, GREEN_MIN_MS + YELLOW_MS) == "NS"


def test_who_comes_keeps_green_but_not_for_ever() -> None:
    planner = SignalActuated(*builtin("four_way"))
    cars = [("E_straight", 30.0), ("N_straight", 1.0)]
    states = {t: shown(planner, cars, t) for t in range(0, GREEN_MAX_MS + 1, 1000)}
    assert states.pop(GREEN_MAX_MS) == "yellow" and set(states.values()) == {"EW"}
    far = SignalActuated(*builtin("four_way"))
    cars = [("E_straight", 80.0), ("N_straight", 1.0)]
    assert [shown(far, cars, t) for t in (0, GREEN_MIN_MS)] == ["EW", "yellow"]


def test_the_actuated_signal_grants_only_what_is_near() -> None:
    planner = SignalActuated(*builtin("four_way"))
    near, far = asking(planner, "near", "E_straight", 30.0, 13.0), asking(planner, "far", "W_straight", 120.0, 13.0)
    assert going(answered(planner, [near, far])) == ["near"]


def test_malformed_calls_raise_and_an_empty_one_is_answered() -> None:
    planner = SignalFixed(*builtin("four_way"))
    one = asking(planner, "a", "E_straight", 30.0, 13.0)
    other = Request(*(getattr(one, name) if name != "zone_id" else "elsewhere" for name in Request.__slots__))
    with pytest.raises(PlanError, match="several zones"):
        planner.plan([one, other], [], now_ms=0)
    assert planner.plan([], [Commitment(one.body, one.approach)], now_ms=0) == JointPlan((), ())
