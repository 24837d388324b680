"""Urgency with evidence: signed, bounded in time and number, and capped at what was issued."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.errors import ConfigError
from fleet.mechanism.claims import ClaimDesk, Credential, Grant
from fleet.mechanism.interface import Claim, Evidence, Meter, Situation
from fleet.mechanism.orders import EmergencyOnly
from fleet.node.signing import Keyring, Signer

CITY = Signer(b"\7" * 32)
RING = Keyring({"city": CITY.public_key})


def credential(**changes: object) -> Credential:
    values = {
        "evidence": Evidence.EMERGENCY, "issuer": "city", "vehicle": "amb", "urgency_milli_max": 800,
        "valid_from_ms": 0, "valid_until_ms": 10_000, "passes_max": 2, **changes,
    }  # fmt: skip
    bare = Credential(**values)  # type: ignore[arg-type]
    return replace(bare, signature=CITY.sign(bare.statement()))


def desk(*held: Credential) -> ClaimDesk:
    made = ClaimDesk(RING.verify)
    assert made.hold(held) == ()
    return made


def test_a_credential_is_worth_what_it_says_and_no_more() -> None:
    assert desk(credential()).grant("amb", 1000, ("z", 5), 5) == Grant(Evidence.EMERGENCY, 800, "capped:800")
    assert desk(credential()).grant("amb", 700, ("z", 5), 5) == Grant(Evidence.EMERGENCY, 700)
    assert desk(credential()).grant("other", 700, ("z", 5), 5) == Grant(Evidence.NONE, 700, "no_credential")


def test_passes_are_counted_by_visit_and_end() -> None:
    one = desk(credential())
    assert [one.grant("amb", 500, ("z", visit), 5).evidence for visit in (1, 1, 2, 2)] == [Evidence.EMERGENCY] * 4
    assert one.grant("amb", 500, ("z", 3), 5) == Grant(Evidence.NONE, 500, "passes_used:2")


@pytest.mark.parametrize(("now_ms", "reason"), [(10_001, "expired"), (-1, "not_yet_valid")])
def test_outside_its_time_it_is_worth_nothing(now_ms: int, reason: str) -> None:
    assert desk(credential()).grant("amb", 500, ("z", 1), now_ms) == Grant(Evidence.NONE, 500, reason)


def test_a_forged_or_altered_credential_is_not_held() -> None:
    forged = replace(credential(), vehicle="mine")
    one = ClaimDesk(RING.verify)
    assert one.hold([forged, replace(credential(), issuer="me")]) == (
        "bad_signature:mine by city", "bad_signature:amb by me",
    )  # fmt: skip
    assert one.grant("mine", 500, ("z", 1), 5).evidence is Evidence.NONE


@pytest.mark.parametrize(
    "wrong", [{"evidence": Evidence.NONE}, {"urgency_milli_max": 0}, {"passes_max": 0}, {"valid_until_ms": 10**9}]
)
def test_credentials_that_bind_nothing_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="credential of amb"):
        credential(**wrong)


def test_emergency_only_looks_at_evidence_not_at_words() -> None:
    loud, quiet = Claim("loud", 1, "a", 1000), Claim("amb", 2, "b", 100, Evidence.EMERGENCY)
    ticket = Claim("taxi", 0, "c", 1000, Evidence.TICKET)
    choice = EmergencyOnly().decide(Situation.of("z", 1, 9, [loud, quiet, ticket]), Meter(99))
    assert choice.order == ("amb", "taxi", "loud")
