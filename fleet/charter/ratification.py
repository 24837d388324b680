"""When a charter counts: its text voted, its gate passed, its signatures there, its line of parents whole.

A *ratified charter* is the charter, the ballots and their tally, the digest of the gate's report and the signatures.
Anybody who has it can check all of it offline. It carries its ancestors, ratified themselves, back to the
first of the line: so that a vehicle that meets another charter of the same line knows what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.charter.ballots import Ballot, Tally, Verify, tally
from fleet.charter.canonical import statement
from fleet.charter.model import Charter
from fleet.charter.terms import OPERATOR, SAFETY_REVIEWER, Signatory
from fleet.errors import CharterError

DOMAIN = "ACCORD/ratify/v1"
LINE_MAX = 64
"""Ancestors that one charter may have."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One signature: ``signer`` is a public key, both in hexadecimal."""

    signer: str
    signature: str


@dataclass(frozen=True, slots=True)
class Ratified:
    """A charter and why it counts; ``gate`` is the sha256 of the gate's report, in hexadecimal."""

    charter: Charter
    ballots: tuple[Ballot, ...]
    tally: Tally
    gate: str
    seals: tuple[Seal, ...]


def signed_statement(charter: Charter, result: Tally, gate: str) -> bytes:
    """What a signatory signs: this text with these weights, by this tally, with this report of the gate."""
    return statement(DOMAIN, {"charter": charter.charter_id().hex(), "gate": gate, "tally": result.digest()})


def check_ratified(one: Ratified, parent: Charter | None, verify: Verify) -> str:
    """Empty, or why ``one`` does not count. An amendment is decided by the signatories of its ``parent``.

    Times of validity are not looked at: they concern the roll-out, and a charter that has expired was ratified all
    the same.
    """
    charter = one.charter
    if charter.parent != ("" if parent is None else parent.charter_id().hex()):
        return f"its parent is {charter.parent[:16] or 'none'}, and that is not the charter given as its parent"
    if not charter.signatories:
        return "it names no signatories, so nobody can ratify it"
    counted, refused = tally(charter, one.ballots, verify, parent or charter)
    if refused:
        return f"ballot of {refused[0].voter}: {refused[0].reason}"
    if counted != one.tally:
        return "its tally is not that of its ballots"
    if counted.outcome:
        return f"its text did not pass: {counted.outcome}"
    if (dict(charter.weights_milli), charter.starvation_bound_s) != (
        dict(counted.weights_milli),
        counted.starvation_bound_s,
    ):
        return "its weights are not those that were voted"
    if len(one.gate) != 64:
        return "it has passed no gate"
    return seals_fault(one, parent, verify)


def seals_fault(one: Ratified, parent: Charter | None, verify: Verify) -> str:
    """Empty, or what is missing of the signatures."""
    rules = one.charter if parent is None else parent
    known = {person.public_key: person for person in rules.signatories}
    data, signed = signed_statement(one.charter, one.tally, one.gate), []
    for seal in one.seals:
        person = known.get(seal.signer)
        if person is None:
            return f"signed by key {seal.signer[:16]}, which is no signatory's"
        if person in signed:
            return f"signed twice by {person.name}"
        try:
            signature = bytes.fromhex(seal.signature)
        except ValueError:
            signature = b""
        if not verify(bytes.fromhex(seal.signer), data, signature):
            return f"the signature of {person.name} is not on this text, tally and gate report"
        signed.append(person)
    return _quorum(rules, signed)


def _quorum(rules: Charter, signed: Sequence[Signatory]) -> str:
    if len(signed) < rules.signatures_min:
        return f"unsigned: {len(signed)} of {rules.signatures_min} signatures needed"
    if rules.people(SAFETY_REVIEWER) and not any(person.role == SAFETY_REVIEWER for person in signed):
        return "unsigned: no safety reviewer has signed"
    if not any(person.role == OPERATOR for person in signed):
        return "unsigned: no operator has signed"
    return ""


def check_line(line: Sequence[Ratified], verify: Verify) -> str:
    """Empty, or the first fault of a charter with its ancestors; the newest first."""
    if not 1 <= len(line) <= LINE_MAX + 1:
        return f"its line has {len(line)} charters; allowed are 1 to {LINE_MAX + 1}"
    for at, one in enumerate(line):
        parent = line[at + 1].charter if at + 1 < len(line) else None
        fault = check_ratified(one, parent, verify)
        if fault:
            return f"charter {one.charter.charter_id().hex()[:16]} ({one.charter.name}): {fault}"
    return ""


def chain_fault(line: Sequence[Charter]) -> str:
    """Empty, or where a line of charters, newest first, does not hang together."""
    for child, parent in zip(line, line[1:], strict=False):
        if child.parent != parent.charter_id().hex():
            return f"charter {child.name!r} names parent {child.parent[:16]}, which is not {parent.name!r}"
    return ""


def require(fault: str, what: str) -> None:
    """Raise :class:`CharterError` with ``what`` and ``fault`` unless there is none."""
    if fault:
        raise CharterError(f"{what}: {fault}")
