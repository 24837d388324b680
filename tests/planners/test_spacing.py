"""Buffers between plans: what they are, and that plans keep them."""

from __future__ import annotations

import numpy as np
import pytest

from planners.first_come import FirstCome
from planners.interface import JointPlan
from planners.spacing import COMFORTABLE, TIGHT, Spacing
from tests.planners.oracle import FOOTPRINT
from tests.planners.test_first_come import builtin, cross, judged, request


def both(spacing: Spacing) -> JointPlan:
    """Two vehicles that would meet in the middle of a crossing, planned with ``spacing``."""
    zone_map, tables = cross()
    planner = FirstCome(zone_map, tables, spacing)
    asked = [
        request(planner, zone_map, "a", "we", 60.0, 12.0, 0),
        request(planner, zone_map, "b", "sn", 60.0, 12.0, 1),
    ]
    answer = planner.plan(asked, [], now_ms=0)
    assert not answer.refused and not judged(zone_map, answer, asked, [])
    return answer


def enters_s(answer: JointPlan) -> float:
    """When the second vehicle's front bumper passes its line."""
    arrays = answer.plans[1].arrays()
    times = np.arange(0.0, 30.0, 0.01)
    front = np.array([arrays.at(t)[0] for t in times]) + FOOTPRINT.front_m
    return float(times[np.argmax(front > 125.0)])


def test_smaller_buffers_let_the_second_vehicle_in_earlier_and_the_verifier_still_agrees() -> None:
    comfortable, tight, none = (enters_s(both(spacing)) for spacing in (COMFORTABLE, TIGHT, Spacing(0.0, 0.0, 0.0)))
    assert comfortable - tight == pytest.approx(COMFORTABLE.crossing_s - TIGHT.crossing_s, abs=0.15)
    assert tight - none == pytest.approx(TIGHT.crossing_s, abs=0.12)


@pytest.mark.parametrize(
    ("seconds", "cells"), [(0.0, 0), (0.05, 1), (0.1, 2), (0.25, 5), (0.26, 6), (0.4, 8), (0.6, 12)]
)
def test_a_buffer_in_time_is_never_rounded_down(seconds: float, cells: int) -> None:
    assert Spacing(crossing_s=seconds).cells(50, shared=False) == cells
    assert Spacing(headway_s=seconds).cells(50, shared=True) == cells


def test_followers_keep_the_headway_that_is_asked_for() -> None:
    zone_map, tables = builtin("four_way")
    for spacing in (COMFORTABLE, TIGHT):
        planner = FirstCome(zone_map, tables, spacing)
        first = request(planner, zone_map, "l", "N_straight", 150.0, 13.0, 0)
        second = request(planner, zone_map, "f", "N_straight", 130.0, 13.0, 1, leader=first)
        answer = planner.plan([first, second], [], now_ms=0)
        front, back = answer.plans[0].arrays(), answer.plans[1].arrays()
        gaps = [
            front.at(t - spacing.headway_s)[0] - back.at(t)[0] - FOOTPRINT.length_m for t in np.arange(2.0, 12.0, 0.05)
        ]
        assert min(gaps) >= spacing.standstill_m
