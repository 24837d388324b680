"""Evidence against a vehicle that a third party can check offline: signed bytes that no honest node says. Pure.

Two strengths. *Proven*: the accused's own signatures contradict each other; no coalition of others can make
them, so nobody honest can be framed, whoever lies. *Attested*: others have signed what they saw; it is worth
as much as they are, and the verdict names them. Only what is proven is a reason for quarantine (rule P14).

==================== ==================================================================================
fault                messages, in this order
==================== ==================================================================================
forked_intent        two intents of one number that differ
forked_proposal      two proposals of one epoch, within the longest lease of each other, that differ
vote_and_refusal     a proposal, a vote for it and a refusal of it, by one vehicle
revived_tube         a word that a tube is dead (release, refusal, or intent) and a later intent that it lives
left_commitment      a proposal, and an intent that holds its tube and says that it drives something else
overlapping_promise  P, an intent before and one after all time in which Q could be signed, both with the tube
                     of P live, then Q and the accused's vote for it: space and time promised to another
observed_breach      a proposal, an intent that holds its tube, and observations of the body elsewhere
==================== ==================================================================================

What is *not* evidence: two votes for overlapping tubes alone. The first may have died by a word of its
vehicle, so an honest voter signs both; a rule that convicts it would let a liar frame anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from fleet.errors import RemoteProtocolError
from fleet.protocol import keys, limits
from fleet.protocol.enrolment import KeyCertificate, KeyVerifier, check_certificate
from fleet.protocol.records import Contradiction
from fleet.protocol.table import HOLDING
from fleet.protocol.wire import Entry, Intent, Message, Proposal, Reject, Release, VehicleBody, Vote, decode

BREACH_MM = 3_000
"""A body this far from where its commitment puts it is no matter of tracking or of two clocks."""
MESSAGES_MAX = 8


class Fault(Enum):
    """What is held against a vehicle; the values are those of evidence files."""

    FORKED_INTENT = "forked_intent"
    FORKED_PROPOSAL = "forked_proposal"
    VOTE_AND_REFUSAL = "vote_and_refusal"
    REVIVED_TUBE = "revived_tube"
    LEFT_COMMITMENT = "left_commitment"
    OVERLAPPING_PROMISE = "overlapping_promise"
    OBSERVED_BREACH = "observed_breach"


@dataclass(frozen=True, slots=True)
class Observation:
    """``observer`` has seen ``vehicle``'s rear axle there; W, mm, ms of the fleet's clock."""

    observer: str
    vehicle: str
    stamp_ms: int
    x_mm: int
    y_mm: int
    signature: bytes

    def statement(self, zone: str, session: int) -> bytes:
        """The bytes under the observer's signature."""
        return observation_statement(zone, session, self.observer, self.vehicle, (self.stamp_ms, self.x_mm, self.y_mm))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Raw signed bytes, and the certificates of the keys that signed them."""

    fault: Fault
    messages: tuple[bytes, ...]
    certificates: tuple[KeyCertificate, ...] = ()
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """``proven`` and ``attested`` exclude each other; with neither, ``reason`` says what is wrong with the evidence."""

    proven: bool
    attested: bool
    accused: str
    reason: str
    witnesses: tuple[str, ...] = ()


class Geometry(Protocol):
    """The map's part of a check. Without one, faults that need it are not decided."""

    def overlap(self, plan: bytes, body: VehicleBody, other_plan: bytes) -> bool:
        """Whether the reference point of ``other_plan`` comes into ``body`` on ``plan``: overlap for any other body."""
        ...

    def deviation_mm(self, plan: bytes, stamp_ms: int, x_mm: int, y_mm: int) -> int | None:
        """How far a place is from where ``plan`` puts the vehicle then; None: the plan says nothing."""
        ...


class _Unproven(Exception):
    """What is wrong with the evidence."""


def observation_statement(
    zone: str, session: int, observer: str, vehicle: str, seen: tuple[int, int, int]
) -> bytes:  # fmt: skip
    """``seen``: stamp_ms, x_mm, y_mm."""
    name = vehicle.encode()
    stamp_ms, x_mm, y_mm = seen
    place = x_mm.to_bytes(8, "big", signed=True) + y_mm.to_bytes(8, "big", signed=True)
    payload = len(name).to_bytes(1, "big") + name + stamp_ms.to_bytes(8, "big") + place
    return keys.statement("observation", zone, session, observer, payload)


def verify(
    evidence: Evidence, authority: bytes, verify_key: KeyVerifier, *, eps_ms: int = 10, geometry: Geometry | None = None
) -> Verdict:
    """Judge ``evidence``; whatever it holds, nothing is raised.

    Parameters
    ----------
    authority : bytes
        Public key that the reader trusts; never taken from the evidence.
    verify_key : KeyVerifier
        Ed25519.
    eps_ms : int
        The fleet's bound on clock errors.
    geometry : Geometry, optional
        For ``overlapping_promise`` and ``observed_breach``.
    """
    try:
        messages = _open(evidence, authority, verify_key)
        if evidence.fault is Fault.OBSERVED_BREACH:
            accused, seen_by = _observed(evidence, messages, verify_key, geometry)
            return Verdict(False, True, accused, f"seen by {', '.join(seen_by)}", seen_by)
        if evidence.fault is Fault.OVERLAPPING_PROMISE:
            accused = _overlapping(messages, eps_ms, geometry)
        else:
            accused = _RULES[evidence.fault](messages)
    except (_Unproven, RemoteProtocolError) as error:
        return Verdict(False, False, "", str(error))
    return Verdict(True, False, accused, f"{evidence.fault.value}: {accused} has signed both")


_OF_CONTRADICTION = {
    "intent": Fault.FORKED_INTENT, "proposal": Fault.FORKED_PROPOSAL,
    "answer": Fault.VOTE_AND_REFUSAL, "given_back": Fault.REVIVED_TUBE,
}  # fmt: skip


def of_contradiction(found: Contradiction, certificates: tuple[KeyCertificate, ...]) -> Evidence:
    """The evidence that a core's :class:`Contradiction` is; ``certificates``: of the accused's key."""
    said = (found.proposal, found.first, found.second) if found.proposal else (found.first, found.second)
    return Evidence(_OF_CONTRADICTION[found.kind], said, certificates)


def accused_by(fault: Fault, messages: Sequence[Message]) -> str:
    """Whom ``messages`` convict of a fault that needs no map, signatures aside; empty: nobody."""
    try:
        return _RULES[fault](messages)
    except _Unproven:
        return ""


# --- signatures


def _open(evidence: Evidence, authority: bytes, verify_key: KeyVerifier) -> list[Message]:
    """Every message, signed by a key that was its sender's at that time, all of one zone and session."""
    if not 0 < len(evidence.messages) <= MESSAGES_MAX:
        raise _Unproven(f"{len(evidence.messages)} messages; evidence has 1 to {MESSAGES_MAX}")
    for certificate in evidence.certificates:
        check_certificate(certificate, authority, verify_key)
    messages = [decode(raw) for raw in evidence.messages]
    proposals = {m.digest: m.body.stamp_ms for m in messages if isinstance(m.body, Proposal)}
    for message in messages:
        body = message.body
        if isinstance(body, (Vote, Reject)):
            said_ms = proposals.get(body.proposal)
            if said_ms is None:
                raise _Unproven("a vote or refusal without its proposal cannot be dated")
        elif isinstance(body, (Intent, Proposal, Release)):
            said_ms = body.stamp_ms
        else:
            raise _Unproven(f"a {message.kind.name.lower()} is evidence of nothing")
        _signed(evidence, verify_key, (message.sender, said_ms, message.statement, message.signature))
    if len({(message.zone, message.session) for message in messages}) != 1:
        raise _Unproven("the messages are of several zones or sessions")
    return messages


def _signed(evidence: Evidence, verify_key: KeyVerifier, said: tuple[str, int, bytes, bytes]) -> None:
    sender, said_ms, covered, signature = said
    fitting = [one for one in evidence.certificates if one.vehicle == sender and one.covers(said_ms)]
    if not fitting:
        raise _Unproven(f"no certificate of {sender} for {said_ms} ms")
    if not any(verify_key(one.public_key, covered, signature) for one in fitting):
        raise _Unproven(f"a message is not signed by {sender}")


# --- faults


def _one_sender(messages: Sequence[Message]) -> str:
    senders = {message.sender for message in messages}
    if len(senders) != 1:
        raise _Unproven(f"said by several: {', '.join(sorted(senders))}")
    return messages[0].sender


def _two(messages: Sequence[Message]) -> tuple[Message, Message]:
    if len(messages) != 2:
        raise _Unproven(f"{len(messages)} messages; this fault takes 2")
    return messages[0], messages[1]


def _forked_intent(messages: Sequence[Message]) -> str:
    first, second = _two(messages)
    a, b = first.body, second.body
    if not (isinstance(a, Intent) and isinstance(b, Intent)) or a.seq != b.seq or first.statement == second.statement:
        raise _Unproven("not two different intents of one number")
    return _one_sender(messages)


def _forked_proposal(messages: Sequence[Message]) -> str:
    first, second = _two(messages)
    a, b = first.body, second.body
    if not (isinstance(a, Proposal) and isinstance(b, Proposal)) or a.epoch != b.epoch or first.digest == second.digest:
        raise _Unproven("not two different proposals of one epoch")
    if abs(a.stamp_ms - b.stamp_ms) > limits.LEASE_MS_MAX:
        raise _Unproven("the proposals are so far apart that their number may have come round, or a log been lost")
    return _one_sender(messages)


def _vote_and_refusal(messages: Sequence[Message]) -> str:
    if len(messages) != 3:
        raise _Unproven(f"{len(messages)} messages; this fault takes 3")
    proposal, vote, reject = messages
    if not (isinstance(proposal.body, Proposal) and isinstance(vote.body, Vote) and isinstance(reject.body, Reject)):
        raise _Unproven("not a proposal, a vote and a refusal")
    if not vote.body.proposal == reject.body.proposal == proposal.digest:
        raise _Unproven("the vote and the refusal are not about the proposal")
    return _one_sender((vote, reject))


def _revived_tube(messages: Sequence[Message]) -> str:
    """The proposal stands before a refusal, to date it; else there are two messages."""
    words = [message for message in messages if not isinstance(message.body, Proposal)]
    dead, alive = _two(words)
    if not isinstance(alive.body, Intent):
        raise _Unproven("the second is not an intent")
    live = set(alive.body.live)
    if isinstance(dead.body, Release):
        ended = set(dead.body.proposals) if dead.body.stamp_ms < alive.body.stamp_ms else set()
    elif isinstance(dead.body, Intent):
        ended = set(dead.body.dead) if dead.body.seq < alive.body.seq else set()
    elif isinstance(dead.body, Reject):
        ended = {dead.body.proposal}  # who refuses has not signed: its tube has never lived
    else:
        ended = set()
    if not ended & live:
        raise _Unproven("no tube is said to be dead first and alive later")
    return _one_sender(words)


def _holding(messages: Sequence[Message]) -> tuple[Message, Intent, Entry | None]:
    """(proposal, intent that holds a tube of it, the tube's entry)."""
    proposal, intent = _two(messages)
    if not isinstance(proposal.body, Proposal) or not isinstance(intent.body, Intent):
        raise _Unproven("not a proposal and an intent")
    if intent.body.held != proposal.digest:
        raise _Unproven("the intent does not hold a tube of the proposal")
    mine = [entry for entry in proposal.body.batch if entry.vehicle == intent.sender]
    return proposal, intent.body, mine[0] if mine else None


def _left_commitment(messages: Sequence[Message]) -> str:
    _, said, entry = _holding(messages)
    if said.phase not in HOLDING:
        raise _Unproven(f"in phase {said.phase.name} a vehicle says openly that it has left its plan")
    if entry is not None and (said.plan, said.lease_end_ms) == (entry.plan, entry.lease_end_ms):
        raise _Unproven("the intent says what was agreed")
    return messages[1].sender


def _overlapping(messages: Sequence[Message], eps_ms: int, geometry: Geometry | None) -> str:
    if len(messages) != 5 or geometry is None:
        raise _Unproven("five messages and the map are needed")
    first, before, after, second, vote = messages
    accused = _one_sender((before, after, vote))
    p, i1, i2, q = first.body, before.body, after.body, second.body
    if not (isinstance(p, Proposal) and isinstance(q, Proposal) and isinstance(i1, Intent) and isinstance(i2, Intent)):
        raise _Unproven("not a proposal, two intents and a proposal")
    if not isinstance(vote.body, Vote) or vote.body.proposal != second.digest:
        raise _Unproven("the vote is not for the second proposal")
    if first.digest not in i1.live or first.digest not in i2.live:
        raise _Unproven("the first tube is not said to live")
    if i1.stamp_ms > q.stamp_ms - 2 * eps_ms or i2.stamp_ms < q.decide_by_ms:
        raise _Unproven("the first tube may not have lived when the second was signed")
    if any(entry.vehicle == accused for entry in q.batch):
        raise _Unproven("the second gives the accused a tube in place of the first")
    mine = [entry.plan for entry in p.batch if entry.vehicle == accused]
    if not mine or not any(geometry.overlap(mine[0], i1.body, entry.plan) for entry in q.batch):
        raise _Unproven("the tubes do not overlap")
    return accused


def _observed(
    evidence: Evidence, messages: Sequence[Message], verify_key: KeyVerifier, geometry: Geometry | None
) -> tuple[str, tuple[str, ...]]:
    if geometry is None:
        raise _Unproven("the map is needed")
    proposal, said, entry = _holding(messages)
    accused = said.vehicle
    if entry is None or not evidence.observations:
        raise _Unproven("no tube of the accused, or no observation")
    for seen in evidence.observations:
        covered = seen.statement(proposal.zone, proposal.session)
        _signed(evidence, verify_key, (seen.observer, seen.stamp_ms, covered, seen.signature))
        if seen.vehicle != accused or seen.observer == accused:
            raise _Unproven("an observation is not of the accused, or its own")
        if not said.stamp_ms <= seen.stamp_ms <= entry.lease_end_ms:
            raise _Unproven("an observation is from before the commitment or after its lease")
        off_mm = geometry.deviation_mm(entry.plan, seen.stamp_ms, seen.x_mm, seen.y_mm)
        if off_mm is None or off_mm <= BREACH_MM:
            raise _Unproven(f"{off_mm} mm from its plan; a breach is more than {BREACH_MM} mm")
    return accused, tuple(sorted({seen.observer for seen in evidence.observations}))


_RULES: dict[Fault, Callable[[Sequence[Message]], str]] = {
    Fault.FORKED_INTENT: _forked_intent,
    Fault.FORKED_PROPOSAL: _forked_proposal,
    Fault.VOTE_AND_REFUSAL: _vote_and_refusal,
    Fault.REVIVED_TUBE: _revived_tube,
    Fault.LEFT_COMMITMENT: _left_commitment,
}
