"""Karma accounts: two signatures, one chain, nothing made and nothing lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import RemoteProtocolError
from fleet.mechanism.accounts import Ledger, Receipt, gini, replay, signed
from fleet.mechanism.interface import OFFICE
from fleet.node.signing import Keyring, Signer

NAMES = ("a", "b", "c", OFFICE)
SIGNERS = {name: Signer(bytes([k + 1]) * 32) for k, name in enumerate(NAMES)}
RING = Keyring({name: signer.public_key for name, signer in SIGNERS.items()})


def ledger(**balances: int) -> Ledger:
    return Ledger(balances or {"a": 12, "b": 12, "c": 0}, RING.verify)


def paid(book: Ledger, payer: str, payee: str, units: int, crossing: str = "x") -> Receipt:
    return signed(book.draft("z", crossing, payer, payee, units, 5), SIGNERS[payer].sign, SIGNERS[payee].sign)


def test_a_receipt_moves_units_and_replays_from_its_lines() -> None:
    book = ledger()
    assert book.append(paid(book, "a", "b", 3)) == ""
    assert book.append(paid(book, "b", "c", 5, "y")) == ""
    lines = [receipt.line() for receipt in book.receipts]
    again, why = replay({"a": 12, "b": 12, "c": 0}, (), map(Receipt.from_line, lines), RING.verify)
    assert (why, again.balances, again.last) == ("", {"a": 9, "b": 10, "c": 5}, book.last)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"units": 4}, "not signed by a"), ({"payee": "c"}, "not signed by a"), ({"units": 0}, "0 units"),
        ({"units": 13}, "a has 12"), ({"index": 1}, "does not follow"), ({"prev": "1" * 64}, "does not follow"),
        ({"payee": "a"}, "not two accounts"), ({"payee": "nobody"}, "not two accounts"),
        ({"payee_signature": b"\0" * 64}, "not signed by b"), ({"zone": OFFICE}, "not signed by @office"),
    ],
)  # fmt: skip
def test_what_is_not_exactly_what_both_signed_moves_nothing(change: dict[str, object], why: str) -> None:
    book = ledger()
    forged = replace(paid(book, "a", "b", 3), **change)
    assert why in book.append(forged)
    assert book.balances == {"a": 12, "b": 12, "c": 0}


def test_a_receipt_cannot_be_played_again() -> None:
    book = ledger()
    first = paid(book, "a", "b", 3)
    assert book.append(first) == ""
    assert "does not follow" in book.append(first)
    assert "has paid b for this crossing already" in book.append(paid(book, "a", "b", 3))


def test_the_cap_cuts_what_is_drafted_and_refuses_what_is_not() -> None:
    book = ledger(a=12, b=39)
    assert book.draft("z", "x", "a", "b", 5, 0).units == 1
    whole = replace(book.draft("z", "x", "a", "b", 5, 0), units=5)
    assert "would hold 44 of 40" in book.append(signed(whole, SIGNERS["a"].sign, SIGNERS["b"].sign))


def test_who_does_not_sign_for_what_it_owes_cannot_bid_it_again() -> None:
    book = ledger()
    book.owe("a", 10)
    assert book.spendable("a") == 2
    book.owe("a", -10)
    assert book.spendable("a") == 12
    book.open("fresh")
    assert book.spendable("fresh") == 0


def test_redistribution_lifts_those_who_have_none_by_the_office_alone() -> None:
    book = ledger(a=20, b=0, c=1)
    assert book.redistribute(7, SIGNERS[OFFICE].sign) == 1
    assert book.balances == {"a": 19, "b": 1, "c": 1}
    assert book.drift == 0
    assert ledger(a=20, b=0, c=1).redistribute(7, SIGNERS["a"].sign) == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.integers(-3, 60)), max_size=12))
def test_units_are_conserved_whatever_is_tried(moves: list[tuple[str, str, int]]) -> None:
    book = ledger()
    for number, (payer, payee, units) in enumerate(moves):
        whole = replace(book.draft("z", f"x{number}", payer, payee, 1, 0), units=units)
        book.append(signed(whole, SIGNERS[payer].sign, SIGNERS[payee].sign))
    assert book.drift == 0
    assert all(0 <= balance <= book.cap for balance in book.balances.values())


def test_lines_that_are_no_receipts_are_refused() -> None:
    line = paid(ledger(), "a", "b", 3).line()
    for wrong in ({**line, "units": "3"}, {**line, "more": 1}, {k: v for k, v in line.items() if k != "prev"}):
        with pytest.raises(RemoteProtocolError, match="not a receipt"):
            Receipt.from_line(wrong)


def test_gini_is_zero_for_even_and_near_one_for_one_owner() -> None:
    assert gini([3, 3, 3]) == pytest.approx(0.0)
    assert gini([0] * 99 + [5]) == pytest.approx(0.99)
    assert gini([]) == gini([0, 0]) == 0.0
