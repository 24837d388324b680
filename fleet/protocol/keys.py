"""What exactly is signed and hashed: domain, zone, session and sender in front of the payload's own bytes.

Every part carries its length, so that no two different messages share one statement. A signature for one
kind, zone or session says nothing in another.
"""

from __future__ import annotations

import hashlib

from fleet.errors import invariant

SIGNATURE_BYTES = 64
KEY_BYTES = 32
OFFICE = "@office"
"""The sender of what the authority itself says on air; no vehicle can be enrolled under a name with an @."""
EVERYWHERE = "*"
"""The zone of what is said to all, whatever zone they are engaged with; its session is 0."""
HASH_BYTES = 32
PREFIX_BYTES = 8
"""Of a hash where it only saves traffic and no safety rests on it."""


def statement(kind_name: str, zone: str, session: int, sender: str, payload: bytes) -> bytes:
    """The bytes under a signature of ``sender``."""
    zone_raw, sender_raw = zone.encode(), sender.encode()
    invariant(len(zone_raw) < 256 and len(sender_raw) < 256, f"name too long to sign: {zone!r}, {sender!r}")
    return b"".join(
        (
            b"ACCORD/", kind_name.encode(), b"/v1\0",
            bytes([len(zone_raw)]), zone_raw, session.to_bytes(8, "big"),
            bytes([len(sender_raw)]), sender_raw, payload,
        )
    )  # fmt: skip


def proposal_hash(zone: str, session: int, coordinator: str, payload: bytes) -> bytes:
    """The name of a proposal: sha256 of the statement its coordinator signed (zone and session included)."""
    return hashlib.sha256(statement("proposal", zone, session, coordinator, payload)).digest()


def vote_payload(proposal: bytes) -> bytes:
    """The one form of ``[proposal hash, true]`` in MessagePack, so that a signature on it is transferable."""
    invariant(len(proposal) == HASH_BYTES, f"a proposal hash has {HASH_BYTES} bytes, not {len(proposal)}")
    return b"\x92\xc4\x20" + proposal + b"\xc3"


def vote_statement(zone: str, session: int, voter: str, proposal: bytes) -> bytes:
    """What ``voter`` signs to accept; certificates are checked against it without the vote's datagram."""
    return statement("vote", zone, session, voter, vote_payload(proposal))
