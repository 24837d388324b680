"""A fleet's people with real keys, for tests of polls and ratification."""

from __future__ import annotations

from dataclasses import replace

from fleet.charter.ballots import Ballot, tally, with_tally
from fleet.charter.model import Charter, default_charter
from fleet.charter.ratification import Ratified, Seal, signed_statement
from fleet.charter.terms import OPERATOR, SAFETY_REVIEWER, Signatory
from fleet.node.signing import Signer, simulation_seed, verify_with

OPERATORS = ("ana", "ben", "cem", "dora", "eli")
KEYS = {name: Signer(simulation_seed(7, name)) for name in (*OPERATORS, "sam", "mallory")}
GATE = "a" * 64
verify = verify_with


def key(name: str) -> str:
    return KEYS[name].public_key.hex()


def draft(**changes: object) -> Charter:
    people = [Signatory(name, OPERATOR, key(name)) for name in OPERATORS]
    people.append(Signatory("sam", SAFETY_REVIEWER, key("sam")))
    base = replace(default_charter(), name="north", signatories=tuple(people), signatures_min=4, poll_closes_s=1000)
    return replace(base, **changes)  # type: ignore[arg-type]


def ballot(charter: Charter, name: str, delay: int = 600, *, approve: bool = True, stamp_s: int = 10) -> Ballot:
    weights = {"delay": delay, "stops": 1000 - delay}
    return sign(Ballot(charter.poll_id().hex(), key(name), approve, weights, 50, stamp_s), name)


def sign(unsigned: Ballot, name: str) -> Ballot:
    return replace(unsigned, signature=KEYS[name].sign(unsigned.statement()).hex())


def ratified(
    charter: Charter, parent: Charter | None = None, signers: tuple[str, ...] = (*OPERATORS, "sam")
) -> Ratified:
    ballots = tuple(ballot(charter, name) for name in OPERATORS)
    result, _ = tally(charter, ballots, verify, parent or charter)
    final = with_tally(charter, result)
    return sealed(Ratified(final, ballots, result, GATE, ()), signers)


def sealed(one: Ratified, signers: tuple[str, ...]) -> Ratified:
    data = signed_statement(one.charter, one.tally, one.gate)
    return replace(one, seals=tuple(Seal(key(name), KEYS[name].sign(data).hex()) for name in signers))
