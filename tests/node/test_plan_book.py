"""Plans from bytes: garbage is a value, and a plan puts its vehicle where it says."""

from __future__ import annotations

import dataclasses
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.plan_book import PlanBook
from tests.node.scenes import approach, junction

GOOD = approach("a", "S_left", 100.0, 12.0).encode()


def book() -> PlanBook:
    return PlanBook(junction().roads)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=80))
def test_garbage_is_no_plan_and_raises_nothing(raw: bytes) -> None:
    plan = book().decode(raw)
    assert plan is None or plan.encode() == raw
    if plan is None:
        assert book().place(raw, 0.0) is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_plans_are_none_or_other_plans_in_canonical_form(data: st.DataObject) -> None:
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    plan = book().decode(bytes(raw))
    assert plan is None or plan.encode() == bytes(raw)
    place = book().place(bytes(raw), 3.0)
    assert place is None or all(map(math.isfinite, place[1:]))


def test_every_truncation_and_every_extension_of_a_plan_is_none() -> None:
    raw = approach("a", "S_left", 100.0, 12.0).encode()
    assert book().decode(raw) is not None
    assert all(book().decode(raw[:k]) is None for k in range(len(raw)))
    assert book().decode(raw + b"\0") is None


def test_a_plan_on_an_unknown_path_has_no_place() -> None:
    plan = dataclasses.replace(approach("a", "S_left", 100.0, 12.0), path_id="elsewhere")
    assert not book().knows(plan)
    assert book().place(plan.encode(), 0.0) is None


def test_a_plan_has_its_vehicle_where_it_says_at_each_time_whatever_was_asked_before() -> None:
    plan, kept = approach("a", "S_left", 150.0, 12.0), book()
    for now_s in (0.0, 1.0, 1.0, 4.0, 30.0, 1.0):
        s, _, _ = plan.arrays().at(now_s)
        expected = ("S_left", s, *junction().roads.get("S_left").pose(s))
        assert kept.place(plan.encode(), now_s) == expected
