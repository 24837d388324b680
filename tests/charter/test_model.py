"""A charter's bytes are canonical and its id names its whole content."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.charter.model import Charter, canonical_json, default_charter
from fleet.errors import CharterError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEY = st.text(st.characters(max_codepoint=127), max_size=8)
VALUE = st.recursive(
    st.integers(-(2**53) + 1, 2**53 - 1) | TEXT | st.booleans(), lambda inner: st.dictionaries(KEY, inner, max_size=4)
)


def test_the_default_charter_keeps_its_id() -> None:
    charter = default_charter()
    assert charter.canonical() == (
        b'{"mechanism":"first_come","name":"default","parent":"","starvation_bound_s":60,"version":1,'
        b'"weights_milli":{"delay":1000,"energy":0,"stops":0,"urgency":0}}'
    )
    assert charter.charter_id().hex() == "7839ba9eae1359c96d8216dbc4d4106cb7902c59a9dbd9e56cd5aa5c6e85af57"


def test_every_field_is_part_of_the_id() -> None:
    base = default_charter()
    changed = [
        replace(base, name="other"), replace(base, starvation_bound_s=61), replace(base, parent="0" * 64),
        replace(base, weights_milli={"delay": 1001}), replace(base, weights_milli={}),
    ]  # fmt: skip
    assert len({charter.charter_id() for charter in [base, *changed]}) == 6


def test_weights_do_not_depend_on_the_order_in_which_they_were_written() -> None:
    base = default_charter()
    turned = replace(base, weights_milli=dict(reversed(base.weights_milli.items())))
    assert turned.charter_id() == base.charter_id()


def test_a_charter_cannot_be_changed_through_the_mapping_it_was_made_from() -> None:
    weights = {"delay": 1}
    charter = Charter(1, "x", "first_come", weights, 10)
    before = charter.charter_id()
    weights["delay"] = 2
    assert charter.charter_id() == before


@given(VALUE)
def test_canonical_bytes_are_json_that_says_the_same_and_is_a_fixed_point(value: object) -> None:
    raw = canonical_json(value)
    assert json.loads(raw) == value
    assert canonical_json(json.loads(raw)) == raw
    assert b"\n" not in raw


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (1.5, "float"),
        ({"a": None}, "NoneType"),
        ([1], "list"),
        ({"é": 1}, "ASCII"),
        (2**53, "2\\^53"),
        ("\ud800", "surrogate"),
    ],
)
def test_values_that_two_printers_may_write_differently_are_refused(value: object, match: str) -> None:
    with pytest.raises(CharterError, match=match):
        canonical_json(value)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"name": ""}, {"name": "x" * 65}, {"mechanism": "auction"}, {"starvation_bound_s": 0},
        {"starvation_bound_s": 3601}, {"weights_milli": {"delay": -1}}, {"parent": "ABC"},
    ],
)  # fmt: skip
def test_charters_outside_the_limits_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(CharterError):
        replace(default_charter(), **change)  # type: ignore[arg-type]
