"""From the records of a stable log to what still binds after a restart (rule P11). Pure.

What a restarted vehicle knows again: every promise it has given whose lease is not over, with the bodies
it judged by; the tube it had adopted; the number of its last proposal. What it does not know: what it
*refused* or gave up without a word on disk, and which promises others have freed since. The second costs
time only, for an intent of the other vehicle frees the tube again. The first is why a restarted vehicle
stays quiet until every proposal from before the crash is past its ``decide_by``: it never says two things
to one proposal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.errors import LocalProtocolError, RemoteProtocolError
from fleet.protocol import limits
from fleet.protocol.records import Commitment, LiveTube
from fleet.protocol.wire import Certificate, Intent, Message, Proposal, Release, VehicleBody, Vote, decode

SEQ_AHEAD = 1_000
"""Intents are not stored. Their numbers run with the clock and ahead of it by one per intent said within one
millisecond; a restarted vehicle begins this far ahead, so that no number is ever used for two intents."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a core begins with after a restart."""

    quiet_until_ms: int
    """Nothing is promised or adopted before; intents, which say where the vehicle is, may be sent."""
    tubes: tuple[LiveTube, ...] = ()
    commitment: Commitment | None = None
    zone: str = ""
    session: int = -1
    """Of the commitment."""
    epoch: int = 0
    seq: int = 0


def unknown_past(now_ms: int, eps_ms: int) -> Restored:
    """For a vehicle without its log: it waits until every promise it may have given is dead."""
    return Restored(now_ms + limits.LEASE_MS_MAX + 2 * eps_ms, seq=now_ms + SEQ_AHEAD)


def restore(records: Sequence[bytes], me: str, now_ms: int, eps_ms: int) -> Restored:
    """Read the log of vehicle ``me`` at ``now_ms``.

    Raises
    ------
    LocalProtocolError
        A record is no message; the log's checksums held, so another program has written it.
    """
    book = _Book(records, me)
    tubes, held, place = [], None, ("", -1)
    for digest, message in book.promised.items():
        for entry in _proposal(message).batch:
            kind = "promise"
            if entry.vehicle == me:
                if digest not in book.adopted or digest in book.released or now_ms >= entry.lease_end_ms - eps_ms:
                    continue
                kind = "certificate"
                held = Commitment(digest, entry.plan, entry.lease_end_ms, now_ms, _proposal(message).members)
                place = (message.zone, message.session)
            if now_ms <= entry.lease_end_ms + 2 * eps_ms:
                body = book.bodies.get(entry.vehicle)
                decide_by_ms = _proposal(message).decide_by_ms
                tubes.append(LiveTube(entry.vehicle, entry.plan, entry.lease_end_ms, digest, kind, body, decide_by_ms))
    return Restored(
        now_ms + limits.DECIDE_MS_MAX + 2 * eps_ms, tuple(tubes), held, *place, book.epoch, now_ms + SEQ_AHEAD
    )


def binding_records(records: Sequence[bytes], me: str, now_ms: int, eps_ms: int) -> tuple[bytes, ...]:
    """Those records without which :func:`restore` would say something else, now or later."""
    book = _Book(records, me)
    alive = {
        digest: {entry.vehicle for entry in _proposal(message).batch}
        for digest, message in book.promised.items()
        if any(now_ms <= entry.lease_end_ms + 2 * eps_ms for entry in _proposal(message).batch)
    }
    named = set().union(*alive.values()) if alive else set()
    kept = []
    for raw, message in book.messages:
        body = message.body
        if isinstance(body, Proposal):
            needed = message.digest in alive or message is book.last_own
        elif isinstance(body, Intent):
            needed = message.sender in named and message is book.last_intent[message.sender]
        elif isinstance(body, Release):
            needed = any(digest in alive for digest in body.proposals)
        else:
            needed = isinstance(body, (Vote, Certificate)) and body.proposal in alive
        if needed:
            kept.append(raw)
    return tuple(kept)


class _Book:
    """The records of a log by what they are about."""

    def __init__(self, records: Sequence[bytes], me: str) -> None:
        self.messages: list[tuple[bytes, Message]] = []
        self.promised: dict[bytes, Message] = {}
        """Proposals that ``me`` has signed."""
        self.adopted: set[bytes] = set()
        self.released: set[bytes] = set()
        self.bodies: dict[str, VehicleBody] = {}
        self.last_intent: dict[str, Message] = {}
        self.last_own: Message | None = None
        self.epoch = 0
        proposals: dict[bytes, Message] = {}
        for index, raw in enumerate(records):
            try:
                message = decode(raw)
            except RemoteProtocolError as error:
                raise LocalProtocolError(f"record {index} of the log of {me} is no message: {error}") from error
            self.messages.append((raw, message))
            body, mine = message.body, message.sender == me
            if isinstance(body, Proposal):
                proposals[message.digest] = message
                if mine:
                    self.last_own, self.epoch = message, body.epoch
            elif isinstance(body, Intent):
                self.bodies[message.sender] = body.body
                self.last_intent[message.sender] = message
            elif isinstance(body, Vote) and mine and body.proposal in proposals:
                self.promised[body.proposal] = proposals[body.proposal]
            elif isinstance(body, Certificate) and mine:
                self.adopted.add(body.proposal)
            elif isinstance(body, Release) and mine:
                self.released.update(body.proposals)


def _proposal(message: Message) -> Proposal:
    if not isinstance(message.body, Proposal):
        raise LocalProtocolError(f"a {message.kind.name.lower()} was kept as a proposal")
    return message.body
