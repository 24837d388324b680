"""What does not count is refused with its reason: ballots, tallies, signatures, lines of parents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.charter.ballots import Ballot, tally
from fleet.charter.canonical import statement
from fleet.charter.model import Charter
from fleet.charter.ratification import Ratified, check_line, check_ratified
from fleet.charter.terms import OPERATOR, Signatory
from tests.charter.ballot_box import KEYS, OPERATORS, ballot, draft, key, ratified, sealed, sign, verify


def refusals(charter: Charter, *ballots: Ballot) -> list[str]:
    return [f"{one.voter}: {one.reason}" for one in tally(charter, ballots, verify, charter)[1]]


def test_five_ballots_give_weights_bound_and_a_passed_text() -> None:
    charter = draft()
    ballots = [ballot(charter, name, delay) for name, delay in zip(OPERATORS, (900, 700, 600, 500, 0), strict=True)]
    result, refused = tally(charter, ballots, verify, charter)
    assert (refused, result.outcome, result.yes, result.entitled) == ([], "", 5, 5)
    assert dict(result.weights_milli) == {"delay": 600, "energy": 0, "fairness": 0, "stops": 400, "urgency": 0}
    assert result.starvation_bound_s == 50
    assert tally(charter, ballots[::-1], verify, charter) == (result, [])


def test_forged_double_late_foreign_and_off_simplex_ballots_are_refused_with_the_reason() -> None:
    charter = draft()
    good = ballot(charter, "ana")
    forged = replace(ballot(charter, "ben"), weights_milli={"delay": 1000})
    off = sign(replace(ballot(charter, "cem"), weights_milli={"delay": 1001}), "cem")
    late = ballot(charter, "dora", stamp_s=1001)
    double = ballot(charter, "ana", 100, stamp_s=11)
    stranger = ballot(charter, "mallory")
    elsewhere = ballot(draft(mechanism="karma"), "eli")
    found = refusals(charter, good, forged, off, late, double, stranger, elsewhere)
    assert sorted(found) == sorted([
        "ben: forged: the signature is not this key's",
        "cem: charter weight delay 1001 is outside 0..1000",
        "dora: late: cast at 1001, the poll closed at 1000",
        "ana: double: this key has voted already",
        f"{key('mallory')[:16]}: key {key('mallory')[:16]} is no signatory's",
        f"eli: is for another text (poll {elsewhere.poll[:16]}, this is {charter.poll_id().hex()[:16]})",
    ])  # fmt: skip
    assert tally(charter, [good, double], verify, charter)[0].counted == (good.digest(),)


def test_a_signature_from_another_domain_is_no_ballot() -> None:
    charter = draft()
    unsigned = replace(ballot(charter, "ana"), signature="")
    other = KEYS["ana"].sign(statement("ACCORD/ratify/v1", unsigned.document())).hex()
    assert refusals(charter, replace(unsigned, signature=other)) == ["ana: forged: the signature is not this key's"]


def test_a_text_fails_without_two_thirds_or_against_the_safety_reviewer() -> None:
    charter = draft()
    few = [ballot(charter, name, approve=name in {"ana", "ben", "cem"}) for name in OPERATORS]
    assert "3 of 5 operators" in tally(charter, few, verify, charter)[0].outcome
    veto = [ballot(charter, name) for name in OPERATORS] + [ballot(charter, "sam", 0, approve=False)]
    result = tally(charter, veto, verify, charter)[0]
    assert result.outcome == "vetoed by safety reviewer sam"
    assert result.weights_milli["delay"] == 600  # the reviewer's weights do not count


def test_a_ratified_charter_is_checked_whole() -> None:
    assert check_ratified(ratified(draft()), None, verify) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: sealed(one, ("ana", "ben", "sam")), "3 of 4 signatures"),
        (lambda one: replace(one, seals=()), "unsigned: 0 of 4"),
        (lambda one: sealed(one, OPERATORS), "no safety reviewer has signed"),
        (lambda one: sealed(one, ("ana", "ana", "ben", "sam")), "signed twice by ana"),
        (lambda one: sealed(one, ("ana", "ben", "sam", "mallory")), "no signatory's"),
        (lambda one: replace(one, gate="b" * 64), "not on this text, tally and gate report"),
        (lambda one: replace(one, gate=""), "passed no gate"),
        (lambda one: replace(one, ballots=one.ballots[:4]), "tally is not that of its ballots"),
        (lambda one: replace(one, charter=replace(one.charter, weights_milli={"delay": 1000})), "not those that were"),
        (lambda one: replace(one, charter=replace(one.charter, mechanism="vcg")), "for another text"),
        (lambda one: replace(one, charter=replace(one.charter, parent="0" * 64)), "its parent"),
    ],
)  # fmt: skip
def test_whatever_is_missing_or_changed_afterwards_is_named(change, why: str) -> None:  # type: ignore[no-untyped-def]
    assert why in check_ratified(change(ratified(draft())), None, verify)


def test_an_amendment_is_decided_by_the_signatories_of_its_parent() -> None:
    """A text that leaves out the safety reviewer and names only friends is voted and signed by those it leaves out."""
    first = ratified(draft())
    takeover = draft(
        parent=first.charter.charter_id().hex(), signatories=(Signatory("mallory", OPERATOR, key("mallory")),),
        signatures_min=1,
    )  # fmt: skip
    own = [ballot(takeover, "mallory")]
    counted, refused = tally(takeover, own, verify, first.charter)
    assert (refused[0].reason, counted.outcome) == (
        f"key {key('mallory')[:16]} is no signatory's",
        "0 of 5 operators in favour; two thirds are 4",
    )
    lawful = ratified(takeover, first.charter)
    assert check_line([lawful, first], verify) == ""
    assert "no signatory's" in check_line([sealed(lawful, ("mallory",)), first], verify)


def test_a_line_must_hang_together() -> None:
    first = ratified(draft())
    second = ratified(draft(parent=first.charter.charter_id().hex(), name="next"), first.charter)
    assert check_line([second, first], verify) == ""
    assert "its parent is" in check_line([second], verify)
    other: Ratified = ratified(draft(name="other"))
    assert "its parent is" in check_line([second, other], verify)
