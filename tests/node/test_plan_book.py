"""Plans from bytes: garbage is a value, and a plan puts its vehicle where it says."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.plan_book import PlanBook
from tests.node.scenes import CENTRE_M, approach, junction


def book() -> PlanBook:
    return PlanBook(junction().roads)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=80))
def test_garbage_is_no_plan_and_raises_nothing(raw: bytes) -> None:
    plan = book().decode(raw)
    assert plan is None or plan.encode() == raw
    if plan is None:
        assert book().centre(raw, 1.0, 0.0) is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_plans_are_none_or_other_plans_in_canonical_form(data: st.DataObject) -> None:
    raw = bytearray(approach("a", "S_left", 100.0, 12.0).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    plan = book().decode(bytes(raw))
    assert plan is None or plan.encode() == bytes(raw)
    place = book().centre(bytes(raw), 1.0, 3.0)
    assert place is None or all(map(math.isfinite, place))


def test_every_truncation_and_every_extension_of_a_plan_is_none() -> None:
    raw = approach("a", "S_left", 100.0, 12.0).encode()
    assert book().decode(raw) is not None
    assert all(book().decode(raw[:k]) is None for k in range(len(raw)))
    assert book().decode(raw + b"\0") is None


def test_a_plan_on_an_unknown_path_has_no_place() -> None:
    plan = dataclasses.replace(approach("a", "S_left", 100.0, 12.0), path_id="elsewhere")
    assert not book().knows(plan)
    assert book().centre(plan.encode(), 1.0, 0.0) is None


@pytest.mark.parametrize("now_s", [0.0, 1.0, 4.0, 30.0])
def test_the_centre_is_where_the_plan_has_the_vehicle_at_that_time(now_s: float) -> None:
    plan, kept = approach("a", "S_left", 150.0, 12.0), book()
    s, _, _ = plan.arrays().at(now_s)
    x, y, yaw = junction().roads.get("S_left").pose(s)
    expected = (x + CENTRE_M * math.cos(yaw), y + CENTRE_M * math.sin(yaw))
    for _ in range(2):  # the second from memory
        assert kept.centre(plan.encode(), CENTRE_M, now_s) == pytest.approx(expected, abs=1e-9)
    assert kept.centre(plan.encode(), CENTRE_M + 1.0, now_s) != pytest.approx(expected, abs=0.5)
