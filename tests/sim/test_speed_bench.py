"""The speed bench runs: a small case gives a factor and the parts of its time."""

from __future__ import annotations

from dataclasses import replace

from sim.speed_bench import CASES, measure, table


def test_a_case_is_measured_with_everything_on() -> None:
    case = replace(next(one for one in CASES if "kinematic" in one.name), vehicles=2, window_s=0.5)
    found = measure(case, 1, lambda line: None)
    text = table([found])
    assert case.name in text and "protocol" in text
