"""The choice among thousands of plans agrees with the charter's own, which is plain; facts of plans are exact."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.charter.rulebook import arrays, choose
from fleet.errors import PlanError
from planners.plan_facts import plan_facts
from planners.profile import arrays_of
from planners.rulebook_choice import best_plans
from planners.timed_path import TimedPath


def test_it_agrees_with_the_choice_of_the_charter_on_random_books_and_plans() -> None:
    draw = random.Random(1)
    for _ in range(300):
        rules, plans = draw.randint(1, 14), draw.randint(1, 40)
        book = arrays(
            [str(r) for r in range(rules)], [2] * rules, [draw.randint(0, 4) for _ in range(rules)],
            [draw.choice((0, 1, 5, 1000)) for _ in range(rules)],
        )  # fmt: skip
        table = [[draw.choice((0, 0, 0, 1, 2)) for _ in range(rules)] for _ in range(plans)]
        chosen = choose(book, table)
        best = best_plans(np.array(table, dtype=np.int64).T.copy(), book.rows)
        assert tuple(best) == chosen.tied
        assert best[0] == chosen.index


@pytest.mark.parametrize("wrong", [np.zeros((3, 0), np.int64), np.zeros((3, 2)), np.zeros(3, np.int64)])
def test_arrays_of_another_form_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(PlanError, match=r"int64 \[rule, plan\]"):
        best_plans(wrong, [[(0, 1)]])


SEGMENT = st.tuples(st.integers(1, 5000), st.integers(-3000, 3000))


@given(st.integers(0, 15_000), st.lists(SEGMENT, min_size=1, max_size=6), st.integers(0, 200_000))
def test_times_speeds_and_braking_are_those_of_the_plan_as_everybody_evaluates_it(
    v0: int, segments: list[tuple[int, int]], clear_mm: int
) -> None:
    plan, speed = [], v0 * 1000
    for dt, a in segments:  # no plan brakes below standstill
        a = max(a, -(speed // dt))
        plan.append((dt, a))
        speed += a * dt
    path = TimedPath("v", "p", 1000, 0, v0, tuple(plan))
    facts, knots = plan_facts(path, 1000, clear_mm), arrays_of(path)
    if facts.clear_ms is not None:
        s_m = knots.at(facts.clear_ms * 1e-3)[0]
        assert s_m * 1000.0 >= clear_mm - 1e-3
        if facts.clear_ms > 1000:
            before = knots.at((facts.clear_ms - 1) * 1e-3)
            assert before[0] * 1000.0 <= clear_mm + 1e-3
    else:
        assert float(knots.s_m[-1]) * 1000.0 < clear_mm
        assert float(knots.v_mps[-1]) < 1e-9
        assert facts.speed_mmps_max == pytest.approx(float(knots.v_mps.max()) * 1000.0, abs=1.001)
        assert facts.brake_mmps2_max == max(0, -min(a for _, a in plan))
        braked = sum(
            max(0.0, 0.5 * (float(a) ** 2 - float(b) ** 2)) for a, b in zip(knots.v_mps, knots.v_mps[1:], strict=False)
        )
        assert facts.braked_milli_jpkg == pytest.approx(1000.0 * braked, abs=1.001)


def test_a_stop_is_a_standstill_of_a_tenth_of_a_second_before_it_is_clear() -> None:
    plan = TimedPath("v", "p", 0, 0, 2000, ((1000, -2000), (5000, 0), (2000, 2000)))
    assert plan_facts(plan, 0, 3000).stops == 1
    assert plan_facts(plan, 0, 1000).stops == 0  # clear when it comes to stand
    assert plan_facts(plan, 6500, 3000).stops == 0  # before the switch
    assert plan_facts(plan, 0, 3000).clear_ms == 6000 + 1415
