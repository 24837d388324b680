"""The approach of a vehicle that expects a plan: along it as long as it can still stand at the line."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.check import Verifier
from planners.first_come import FirstCome
from planners.timed_path import TimedPath
from tests.planners.oracle import FOOTPRINT, body
from tests.planners.test_first_come import LINE_M, cross, request

TIMES_S = np.arange(0.0, 30.0, 0.05)


def expected(s_m: float, v_mps: float, busy_s: float) -> tuple[FirstCome, TimedPath]:
    """What "a" would get behind a vehicle that crosses ``busy_s`` later than "a" could."""
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables)
    own = request(planner, zone_map, "a", "we", s_m, v_mps, 1, switch_ms=0)
    first = request(planner, zone_map, "b", "sn", max(0.0, s_m - 13.0 * busy_s), 13.0, 0, switch_ms=0)
    answer = planner.plan([first, own], [], now_ms=0)
    assert not answer.refused
    return planner, answer.plans[1]


def places(plan: TimedPath) -> np.ndarray:
    arrays = plan.arrays()
    return np.array([arrays.at(t)[0] for t in TIMES_S])


@settings(max_examples=30, deadline=None)
@given(st.floats(20.0, 80.0), st.floats(6.0, 13.8), st.floats(0.0, 4.0))
def test_it_is_never_ahead_of_its_guide_before_the_line_and_stands_there(
    s_m: float, v_mps: float, busy_s: float
) -> None:
    planner, guide = expected(s_m, v_mps, busy_s)
    plan = planner.approach(body("a"), "we", (s_m, v_mps, 0.0), now_ms=0, stop_s_m=LINE_M, leader=None, guide=guide)
    own, wanted = places(plan), places(guide)
    before = wanted + FOOTPRINT.front_m < LINE_M
    assert (own - wanted)[before].max() <= 0.2
    end = plan.arrays()
    assert end.v_mps[-1] < 0.005 and LINE_M - 1.0 <= end.s_m[-1] + FOOTPRINT.front_m <= LINE_M
    assert Verifier(cross()[0]).limits(body("a"), plan) == ()


def test_where_there_is_room_it_drives_as_it_expects_to() -> None:
    planner, guide = expected(20.0, 13.0, 0.3)
    plan = planner.approach(body("a"), "we", (20.0, 13.0, 0.0), now_ms=0, stop_s_m=LINE_M, leader=None, guide=guide)
    free = planner.approach(body("a"), "we", (20.0, 13.0, 0.0), now_ms=0, stop_s_m=LINE_M, leader=None)
    own, wanted, alone = places(plan), places(guide), places(free)
    early = TIMES_S < 4.5
    assert (alone - wanted)[early].max() > 1.5
    assert abs(own - wanted)[early].max() < 1.0


def test_a_guide_that_cannot_be_kept_any_more_is_left_out() -> None:
    planner, guide = expected(20.0, 13.0, 2.0)
    behind = replace(guide, s0_mm=guide.s0_mm - 60_000)
    args = {"now_ms": 0, "stop_s_m": LINE_M, "leader": None}
    plan = planner.approach(body("a"), "we", (95.0, 13.0, 0.0), guide=behind, **args)  # type: ignore[arg-type]
    alone = planner.approach(body("a"), "we", (95.0, 13.0, 0.0), **args)  # type: ignore[arg-type]
    assert plan == alone


def test_beyond_the_line_a_guide_says_nothing() -> None:
    planner, guide = expected(90.0, 3.0, 0.0)
    plan = planner.approach(body("a"), "we", (90.0, 3.0, 0.0), now_ms=0, stop_s_m=LINE_M, leader=None, guide=guide)
    assert plan.arrays().s_m[-1] + FOOTPRINT.front_m == pytest.approx(LINE_M - 0.3, abs=0.3)
    assert math.isfinite(float(places(plan)[-1]))
