"""Messages as bytes: MessagePack arrays in one signed envelope; every length and range is checked here.

The payload is signed and hashed as it stands in the datagram and is never encoded again. The envelope
itself is not signed as bytes, so it must be in its one canonical form: two datagrams that differ mean
two different things. Whatever is wrong with bytes from outside, the one error is RemoteProtocolError.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Union

import msgspec
from msgspec import Meta, Struct

from fleet.errors import LocalProtocolError, RemoteProtocolError
from fleet.protocol import keys, limits
from fleet.protocol.table import Phase

VERSION = 1


class Kind(IntEnum):
    """Message kinds; the lower-case names are part of what is signed."""

    INTENT = 1
    PROPOSAL = 2
    VOTE = 3
    REJECT = 4
    CERTIFICATE = 5
    RELEASE = 6
    ABORT = 7
    REVOCATION = 8


Id = Annotated[str, Meta(pattern=rf"\A[!-~]{{1,{limits.ID_CHARS_MAX}}}\Z")]
ZoneId = Annotated[str, Meta(pattern=rf"\A[!-~]{{1,{limits.ZONE_CHARS_MAX}}}\Z")]
PathId = Annotated[str, Meta(pattern=rf"\A[ -~]{{0,{limits.PATH_CHARS_MAX}}}\Z")]
Text = Annotated[str, Meta(pattern=rf"\A[ -~]{{0,{limits.REASON_CHARS_MAX}}}\Z")]
Hash = Annotated[bytes, Meta(min_length=keys.HASH_BYTES, max_length=keys.HASH_BYTES)]
Prefix = Annotated[bytes, Meta(min_length=keys.PREFIX_BYTES, max_length=keys.PREFIX_BYTES)]
Signature = Annotated[bytes, Meta(min_length=keys.SIGNATURE_BYTES, max_length=keys.SIGNATURE_BYTES)]
Key = Annotated[bytes, Meta(min_length=keys.KEY_BYTES, max_length=keys.KEY_BYTES)]
PlanBytes = Annotated[bytes, Meta(max_length=limits.PLAN_BYTES_MAX)]
Ms = Annotated[int, Meta(ge=0, le=2**48)]
Count = Annotated[int, Meta(ge=0, le=65_535)]
Mask = Annotated[int, Meta(ge=0, lt=1 << limits.MEMBERS_MAX)]
Size = Annotated[int, Meta(ge=0, le=1_000_000)]
PositiveSize = Annotated[int, Meta(ge=1, le=1_000_000)]


class VehicleBody(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What planners and verifiers need to know of a vehicle; integers, milli-units."""

    vehicle_class: Id
    length_mm: PositiveSize
    width_mm: PositiveSize
    rear_mm: Size
    """Rear overhang, from the rear axle."""
    speed_mmps_max: PositiveSize
    accel_mmps2_max: PositiveSize
    brake_mmps2_max: PositiveSize
    lateral_mmps2_max: PositiveSize
    jerk_mmps3_max: PositiveSize
    budget_lateral_mm: Size
    budget_longitudinal_mm: Size


class Intent(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a vehicle says of itself, ten times a second."""

    vehicle: Id
    """The sender."""
    seq: Ms
    """Rises with every intent of one sender, over restarts too (it starts at the clock)."""
    stamp_ms: Ms
    phase: Phase
    path_id: PathId
    body: VehicleBody
    arrived_ms: Ms
    """When the sender first announced itself for this zone; never changes."""
    eta_ms: Ms
    urgency: Annotated[int, Meta(ge=0, le=1000)]
    charter_id: Hash
    map_digest: Annotated[bytes, Meta(min_length=8, max_length=32)]
    ready: bool
    """Wants a plan and could adopt one now."""
    plan: PlanBytes
    """What the sender drives now: its approach plan, its adopted plan, or what it does without either."""
    held: Annotated[bytes, Meta(max_length=keys.HASH_BYTES)]
    """Hash of the proposal whose tube is adopted; empty: none."""
    lease_end_ms: Ms
    """Of the tube held; 0: none."""
    live: Annotated[tuple[Hash, ...], Meta(max_length=limits.LIVE_MAX)]
    """Proposals in which the sender's own tube may be or come into use. Whatever is not listed is dead
    once its ``decide_by`` has passed."""
    dead: Annotated[tuple[Hash, ...], Meta(max_length=limits.DEAD_MAX)]
    """Proposals, not yet past their ``decide_by``, in which the sender's tube is given up for good: a
    Release that is said again until nobody needs it."""
    certificates: Annotated[tuple[Prefix, ...], Meta(max_length=limits.CERTIFICATES_MAX)]
    votes_known: Annotated[tuple[tuple[Prefix, Mask], ...], Meta(max_length=limits.LIVE_MAX)]
    """Undecided proposals with a bit per member whose signature the sender has."""
    roster: Annotated[tuple[Id, ...], Meta(max_length=limits.ROSTER_MAX)]
    perceived_count: Count
    perceived: Annotated[tuple[Text, ...], Meta(max_length=limits.PERCEIVED_MAX)]
    """Bodies seen that no message accounts for; names are the sender's own."""

    def __post_init__(self) -> None:
        if self.held and (len(self.held) != keys.HASH_BYTES or self.held not in self.live):
            raise ValueError("the tube held is not listed as live")
        if any(proposal in self.live for proposal in self.dead):
            raise ValueError("a tube is listed as live and as dead")


class Entry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One vehicle's tube in a proposal."""

    vehicle: Id
    plan: PlanBytes
    lease_end_ms: Ms


class Proposal(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Plans for a batch of vehicles, to be signed by every member."""

    coordinator: Id
    epoch: Count
    stamp_ms: Ms
    decide_by_ms: Ms
    members: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=limits.MEMBERS_MAX)]
    batch: Annotated[tuple[Entry, ...], Meta(min_length=1, max_length=limits.BATCH_MAX)]
    charter_id: Hash
    commitments_digest: Prefix
    """Of the tubes it was planned against; tells apart an unsafe plan from one made with less knowledge."""
    passenger: Annotated[bytes, Meta(max_length=limits.PASSENGER_BYTES_MAX)] = b""
    """Bytes that the agreement carries but does not read."""

    def __post_init__(self) -> None:
        vehicles = [entry.vehicle for entry in self.batch]
        if list(self.members) != sorted(set(self.members)):
            raise ValueError("members are not sorted and distinct")
        if len(set(vehicles)) != len(vehicles) or not set(vehicles) <= set(self.members):
            raise ValueError("the batch names a vehicle twice or one that is no member")
        if self.coordinator not in self.members:
            raise ValueError("the coordinator is no member")
        if not self.stamp_ms <= self.decide_by_ms <= self.stamp_ms + limits.DECIDE_MS_MAX:
            raise ValueError("decide_by_ms is outside the time that a decision may take")
        for entry in self.batch:
            if not self.decide_by_ms < entry.lease_end_ms <= self.stamp_ms + limits.LEASE_MS_MAX:
                raise ValueError("a lease ends before the decision or too late")


class Vote(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Acceptance; its payload is the fixed form of keys.vote_payload."""

    proposal: Hash
    accept: bool

    def __post_init__(self) -> None:
        if not self.accept:
            raise ValueError("a refusal is a message of its own kind")


class Reject(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Refusal with typed reasons (``kind:detail``)."""

    proposal: Hash
    reasons: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=limits.REASONS_MAX)]
    missing: Annotated[tuple[Id, ...], Meta(max_length=limits.MEMBERS_MAX)] = ()
    """Whom the sender hears and would have to be a member: the coordinator need not hear them to name them."""
    counter: PlanBytes = b""
    """Counter-offer: the plan that the sender drives now and that a new proposal must start from."""


class Certificate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Signatures known for a proposal, by position in its members; those of all members are the certificate.

    More than ``CERTIFICATE_VOTES_MAX`` come in several messages: a receiver joins whatever parts it gets.
    """

    proposal: Hash
    votes: Annotated[
        tuple[tuple[Annotated[int, Meta(ge=0, lt=limits.MEMBERS_MAX)], Signature], ...],
        Meta(min_length=1, max_length=limits.CERTIFICATE_VOTES_MAX),
    ]

    def __post_init__(self) -> None:
        positions = [position for position, _ in self.votes]
        if positions != sorted(set(positions)):
            raise ValueError("positions do not rise")


class Release(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sender gives its own tubes of these proposals back, for good."""

    proposals: Annotated[tuple[Hash, ...], Meta(min_length=1, max_length=limits.LIVE_MAX)]
    stamp_ms: Ms


class Abort(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The coordinator no longer pursues its proposal; frees nothing by itself."""

    proposal: Hash
    reason: Text
    stamp_ms: Ms


class Revocation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The authority says that keys are out, for good: the one message that no vehicle sends, only passes on.

    What is said in several messages adds up, in any order; nothing brings a key back.
    """

    number: Ms
    """Of the list that it is part of; rises."""
    issued_ms: Ms
    keys: Annotated[tuple[tuple[Id, Key], ...], Meta(min_length=1, max_length=limits.REVOKED_KEYS_MAX)]


class Envelope(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The datagram."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    kind: Kind
    zone: ZoneId
    session: Annotated[int, Meta(ge=0, le=2**53)]
    sender: Id
    payload: Annotated[bytes, Meta(max_length=limits.DATAGRAM_BYTES_MAX)]
    signature: Signature


Body = Union[Intent, Proposal, Vote, Reject, Certificate, Release, Abort, Revocation]  # noqa: UP007 - evaluated at run time

_BODIES: dict[Kind, type[Body]] = {
    Kind.INTENT: Intent, Kind.PROPOSAL: Proposal, Kind.VOTE: Vote, Kind.REJECT: Reject,
    Kind.CERTIFICATE: Certificate, Kind.RELEASE: Release, Kind.ABORT: Abort, Kind.REVOCATION: Revocation,
}  # fmt: skip
KIND_OF: dict[type, Kind] = {body: kind for kind, body in _BODIES.items()}
_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPES = msgspec.msgpack.Decoder(Envelope)
_DECODERS = {kind: msgspec.msgpack.Decoder(body) for kind, body in _BODIES.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed datagram. Parsed is not authentic: see codec.py."""

    kind: Kind
    zone: str
    session: int
    sender: str
    body: Body
    signature: bytes
    statement: bytes
    """The bytes that the signature must cover."""
    digest: bytes
    """The proposal's hash; empty for other kinds."""
    raw: bytes


def encode_body(body: Body) -> bytes:
    """The payload of ``body``, to be signed and then kept as it is."""
    return keys.vote_payload(body.proposal) if isinstance(body, Vote) else _ENCODER.encode(body)


def with_plan(intent: Intent, plan: bytes) -> Intent:
    """``intent`` as if it announced ``plan``; for planning only, since nobody signed it."""
    return msgspec.structs.replace(intent, plan=plan)


def seal(kind: Kind, zone: str, session: int, sender: str, payload: bytes, signature: bytes) -> bytes:
    """The datagram; raises :class:`LocalProtocolError` when it would be longer than one datagram may be."""
    raw = _ENCODER.encode(Envelope(VERSION, kind, zone, session, sender, payload, signature))
    if len(raw) > limits.DATAGRAM_BYTES_MAX:
        raise LocalProtocolError(
            f"{kind.name.lower()} of {len(raw)} bytes; a datagram has at most {limits.DATAGRAM_BYTES_MAX}"
        )
    return raw


def decode(raw: bytes) -> Message:
    """Parse one datagram; everything but the signature is checked.

    Raises
    ------
    RemoteProtocolError
        Not exactly one well-formed, canonical message within all limits.
    """
    if not 0 < len(raw) <= limits.DATAGRAM_BYTES_MAX:
        raise RemoteProtocolError(f"datagram of {len(raw)} bytes; allowed are 1 to {limits.DATAGRAM_BYTES_MAX}")
    try:
        envelope = _ENVELOPES.decode(raw)
        body = _DECODERS[envelope.kind].decode(envelope.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise RemoteProtocolError(f"datagram of {len(raw)} bytes: {error}") from error
    if _ENCODER.encode(envelope) != raw:
        raise RemoteProtocolError("the envelope is not in canonical form")
    if isinstance(body, Vote) and envelope.payload != keys.vote_payload(body.proposal):
        raise RemoteProtocolError("the vote is not in canonical form")
    if isinstance(body, Proposal) and body.coordinator != envelope.sender:
        raise RemoteProtocolError(f"{envelope.sender} sent a proposal of {body.coordinator}")
    if isinstance(body, Intent) and body.vehicle != envelope.sender:
        raise RemoteProtocolError(f"{envelope.sender} sent an intent of {body.vehicle}")
    kind = envelope.kind
    by_office = envelope.sender == keys.OFFICE and envelope.zone == keys.EVERYWHERE and envelope.session == 0
    if by_office is not (kind is Kind.REVOCATION) or (envelope.sender == keys.OFFICE and not by_office):
        raise RemoteProtocolError(f"a {kind.name.lower()} from {envelope.sender} in {envelope.zone}: not its place")
    covered = keys.statement(kind.name.lower(), envelope.zone, envelope.session, envelope.sender, envelope.payload)
    digest = b""
    if kind is Kind.PROPOSAL:
        digest = keys.proposal_hash(envelope.zone, envelope.session, envelope.sender, envelope.payload)
    return Message(
        kind, envelope.zone, envelope.session, envelope.sender, body, envelope.signature, covered, digest, raw
    )
