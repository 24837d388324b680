"""Offers bind as the greatest fixed point, whatever order they come in; stakes add up; logs cannot be rewritten."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.charter.terms import CommitmentTerms
from fleet.errors import CharterError
from fleet.node.signing import Signer, simulation_seed, verify_with
from fleet.oversight.breach import FORGIVEN_MS, Ladder
from fleet.oversight.chained_log import ChainedLog, Head, LogEntry, first_fault, head_statement, is_fork
from fleet.oversight.commitments import OFFERS_MAX, Bound, Offer, Stakes, bind

CHARTER = "c" * 64
NAMES = "abcdef"


def offer(vehicle: str, *needs: tuple[str, ...], number: int = 1, **more: object) -> Offer:
    values: dict[str, object] = {"charter_id": CHARTER, "expires_ms": 1_000, **more}
    return Offer(vehicle, number, vehicle, needs, **values)  # type: ignore[arg-type]


def bound(*offers: Offer) -> str:
    return "".join(one.vehicle for one in now(*offers).bound)


def now(*offers: Offer) -> Bound:
    return bind(offers, charter_id=CHARTER, now_ms=0)


CONDITIONS = st.lists(st.lists(st.sampled_from(NAMES + "z"), max_size=3).map(tuple), max_size=3).map(tuple)


@given(st.tuples(*[CONDITIONS] * len(NAMES)), st.permutations(range(len(NAMES))))
def test_what_binds_is_the_greatest_set_that_holds_itself_up_in_any_order(
    needs: tuple[tuple[tuple[str, ...], ...], ...], order: list[int]
) -> None:
    offers = [offer(name, *need) for name, need in zip(NAMES, needs, strict=True)]

    def holds(chosen: set[str]) -> bool:
        return all(
            not one.needs or any(set(alternative) <= chosen for alternative in one.needs)
            for one in offers
            if one.vehicle in chosen
        )

    fixed = [set(c) for size in range(len(NAMES) + 1) for c in combinations(NAMES, size) if holds(set(c))]
    greatest = set().union(*fixed)
    answer = now(*[offers[k] for k in order])
    assert holds(greatest)
    assert {one.vehicle for one in answer.bound} == greatest
    assert answer.bound == now(*offers).bound
    assert answer.steps <= sum(len(alternative) for need in needs for alternative in need)


def test_two_that_need_each_other_bind_together_and_one_that_needs_a_stranger_does_not() -> None:
    assert bound(offer("a", ("b",)), offer("b", ("a",))) == "ab"
    assert bound(offer("a", ("b",)), offer("b", ("stranger",))) == ""
    assert bound(offer("a", ("b",), ("c",)), offer("b", ("x",)), offer("c")) == "ac"


def test_expired_offers_and_those_under_another_charter_bind_nobody() -> None:
    assert bound(offer("a", ("b",)), offer("b", ("a",), expires_ms=0)) == ""
    assert bound(offer("a", ("b",)), offer("b", ("a",), charter_id="d" * 64)) == ""


def test_two_different_offers_of_one_number_are_void_and_a_newer_one_replaces_both() -> None:
    twice = offer("a"), offer("a", ("b",))
    assert now(*twice).bound == ()
    assert set(now(*twice).void) == set(twice)
    assert bound(*twice, offer("a", number=2)) == "a"


def test_more_offers_than_can_be_weighed_bind_nobody_rather_than_the_first() -> None:
    many = [offer(f"v{k}") for k in range(OFFERS_MAX + 1)]
    assert now(*many).bound == ()
    assert len(now(*many[1:]).bound) == OFFERS_MAX


def test_an_offer_with_too_many_conditions_is_refused_with_the_limit() -> None:
    with pytest.raises(CharterError, match="limits are 8 and 16"):
        offer("a", *[("b",)] * 9)


@given(st.lists(st.tuples(st.sampled_from("lgf"), st.sampled_from("ab"), st.sampled_from("pq"), st.integers(0, 60))))
def test_stakes_never_appear_or_vanish(moves: list[tuple[str, str, str, int]]) -> None:
    stakes = Stakes({"a": 100, "b": 30})
    for move, vehicle, promise, points in moves:
        if move == "l":
            stakes.lock(vehicle, promise, points)
        elif move == "g":
            stakes.give_back(vehicle, promise)
        else:
            stakes.forfeit(vehicle, promise)
        assert stakes.drift == 0
        assert min(stakes.balance("a"), stakes.balance("b"), stakes.pool) >= 0


def test_the_ladder_goes_from_mild_to_severe_stays_on_top_and_forgives() -> None:
    ladder = Ladder(CommitmentTerms(stake_points=5))
    found = [ladder.climb("a", 1_000 * k) for k in range(4)]
    assert [one.step for one in found] == ["stake", "lower_class", "operator_review", "operator_review"]
    assert [one.points for one in found] == [5, 0, 0, 0]
    assert ladder.climb("b", 0).step == "stake"
    assert ladder.climb("a", FORGIVEN_MS + 10_000).step == "stake"


SIGNER = Signer(simulation_seed(1, "a"))


def log_of(count: int) -> ChainedLog:
    log = ChainedLog("a", SIGNER.sign)
    for k in range(count):
        log.append(k, "commit", {"k": k})
    return log


@given(st.integers(0, 5), st.sampled_from(["change", "drop", "insert", "cut"]))
def test_no_entry_of_a_log_can_be_changed_dropped_put_in_or_cut_off(place: int, how: str) -> None:
    log = log_of(6)
    head = log.head()
    assert head is not None
    entries = list(log.entries)
    assert first_fault(entries, [head], SIGNER.public_key, verify_with) == ""
    if how == "change":
        entries[place] = replace(entries[place], body={"k": -1})
    elif how == "drop":
        del entries[place]
    elif how == "insert":
        entries.insert(place, LogEntry(place, entries[place].prev, 0, "commit", {}))
    else:
        entries = entries[:place]
    assert first_fault(entries, [head], SIGNER.public_key, verify_with) != ""


def test_two_heads_of_one_place_prove_a_second_log_and_nobody_can_make_them_for_somebody_else() -> None:
    honest, other = log_of(3), log_of(2)
    other.append(9, "release", {})
    first, second = honest.head(), other.head()
    assert first is not None and second is not None
    assert is_fork(first, second, SIGNER.public_key, verify_with)
    assert not is_fork(first, first, SIGNER.public_key, verify_with)
    forger = Signer(simulation_seed(1, "forger"))
    forged = Head("a", 2, "f" * 64, forger.sign(head_statement("a", 2, "f" * 64)))
    assert not is_fork(first, forged, SIGNER.public_key, verify_with)
