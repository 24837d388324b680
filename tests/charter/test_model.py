"""A charter's bytes are canonical and its id names its whole content."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.charter.document import charter_of
from fleet.charter.model import Charter, canonical_json, default_charter
from fleet.charter.rulebook import SAFETY_TIER, SOFT_RULES, Rulebook
from fleet.charter.terms import CommitmentTerms, Monitors, Norm, Oversight, Signatory
from fleet.errors import CharterError

ANA = Signatory("ana", "operator", "0" * 64)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEY = st.text(st.characters(max_codepoint=127), max_size=8)
VALUE = st.recursive(
    st.integers(-(2**53) + 1, 2**53 - 1) | TEXT | st.booleans(), lambda inner: st.dictionaries(KEY, inner, max_size=4)
)


def test_the_default_charter_keeps_its_id() -> None:
    charter = default_charter()
    assert charter.canonical().startswith(b'{"candidates":["own"],"commitments":{"ladder":["stake","lower_class",')
    assert charter.charter_id().hex() == "a507e237c5ccdbe8d4c7b9d5bc6b4e9df8d07f11dc145eea24ff6206b922af7a"


def test_every_field_is_part_of_the_id() -> None:
    base = default_charter()
    people = (Signatory("ana", "operator", "0" * 64), Signatory("sam", "safety_reviewer", "1" * 64))
    book = Rulebook(SAFETY_TIER, ("starved_ms",), SOFT_RULES, ())
    changed = [
        replace(base, name="other"), replace(base, starvation_bound_s=61), replace(base, parent="0" * 64),
        replace(base, weights_milli={"delay": 999, "stops": 1}), replace(base, weights_milli={"delay": 1000}),
        replace(base, signatories=people, signatures_min=2), replace(base, signatories=people, signatures_min=1),
        replace(base, not_after_s=7), replace(base, not_before_s=7), replace(base, poll_closes_s=7),
        replace(base, rulebook=book), replace(base, voting_rule="independent_markets"),
        replace(base, candidates=("own", "first_come")), replace(base, mechanism="karma"),
        replace(base, mechanism_parameters={"cap": 1}), replace(base, commitments=CommitmentTerms(notice_ms=1)),
        replace(base, norms=(Norm("n", "tolerated", "ana", 9),)), replace(base, oversight=Oversight(queue_max=1)),
        replace(base, monitors=Monitors({"gridlock_ms": 3000})),
    ]  # fmt: skip
    assert len({charter.charter_id() for charter in [base, *changed]}) == len(changed) + 1
    assert all(charter_of(json.loads(charter.canonical())) == charter for charter in [base, *changed])


def test_weights_do_not_depend_on_the_order_in_which_they_were_written() -> None:
    base = default_charter()
    turned = replace(base, weights_milli=dict(reversed(base.weights_milli.items())))
    assert turned.charter_id() == base.charter_id()


def test_a_charter_cannot_be_changed_through_the_mapping_it_was_made_from() -> None:
    weights = {"delay": 1000}
    charter = Charter(2, "x", "first_come", weights, 10)
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
        ((1,), "tuple"),
        ({"é": 1}, "ASCII"),
        (2**53, "2\\^53"),
        ("\ud800", "surrogate"),
    ],
)
def test_values_that_two_printers_may_write_differently_are_refused(value: object, match: str) -> None:
    with pytest.raises(CharterError, match=match):
        canonical_json(value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 1}, "version 1"), ({"name": ""}, "1 to 64"), ({"name": "x" * 65}, "1 to 64"),
        ({"name": "a\nb"}, "printable"), ({"mechanism": "auction"}, "auction"), ({"starvation_bound_s": 0}, "1..3600"),
        ({"starvation_bound_s": 3601}, "1..3600"), ({"weights_milli": {"delay": -1}}, "outside 0..1000"),
        ({"weights_milli": {"delay": 999}}, "add up to 999"), ({"weights_milli": {"speed": 1000}}, "speed"),
        ({"parent": "ABC"}, "hexadecimal"), ({"not_before_s": 9, "not_after_s": 9}, "is not after"),
        ({"candidates": ("first_come",)}, "begin with own"), ({"candidates": ()}, "empty"),
        ({"fallback": "karma"}, "must be first_come"), ({"signatures_min": 1}, "outside 0..0"),
        ({"signatories": (ANA, replace(ANA, name="bob")), "signatures_min": 1}, "one key is one voice"),
        ({"signatories": (ANA,)}, "signatures_min 0 is outside 1..1"),
    ],
)  # fmt: skip
def test_charters_outside_the_limits_are_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(CharterError, match=match):
        replace(default_charter(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"colour": 1}, "unknown key 'colour'"), ({"mechanism": 3}, "3 is not text"), ({"norms": {}}, "not a list"),
        ({"starvation_bound_s": True}, "not an integer"), ({"weights_milli": {"delay": 0.5}}, "not an integer"),
        ({"rulebook": {}}, "'duty' is missing"), ({"monitors": {"gridlock_ms": 1}}, "500..60000"),
        ({"oversight": {"audit_ppm": 0, "queue_max": 1, "triggers": ["tied"]}}, "people are told"),
        ({"commitments": {"ladder": [], "notice_ms": 0, "stake_points": 0}}, "consequence"),
    ],
)  # fmt: skip
def test_documents_with_anything_unknown_missing_or_mistyped_are_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(CharterError, match=match):
        charter_of({**default_charter().document(), **change})


def test_a_poll_is_the_same_before_and_after_its_tally_and_not_for_another_text() -> None:
    base = default_charter()
    voted = replace(base, weights_milli={"delay": 600, "stops": 400}, starvation_bound_s=45)
    assert voted.poll_id() == base.poll_id()
    assert voted.charter_id() != base.charter_id()
    assert replace(base, mechanism="karma").poll_id() != base.poll_id()


@pytest.mark.parametrize(("now_s", "why"), [(5, "not valid before 10"), (10, ""), (19, ""), (20, "expired at 20")])
def test_a_charter_is_valid_from_its_beginning_until_before_its_end(now_s: int, why: str) -> None:
    assert replace(default_charter(), not_before_s=10, not_after_s=20).valid_at(now_s).startswith(why)
