"""What the oracles read from emitted bytes: MessagePack by position, hashes and statements computed anew.

Nothing of fleet.protocol is used here, so that a defect of its parser or hashing cannot hide itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

INTENT, PROPOSAL, VOTE, REJECT, CERTIFICATE, RELEASE, ABORT = range(1, 8)
_NAMES = {INTENT: b"intent", PROPOSAL: b"proposal", VOTE: b"vote"}
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True)
class Read:
    """One datagram."""

    kind: int
    zone: str
    session: int
    sender: str
    payload: bytes
    signature: bytes
    body: Any
    """The payload's fields in order."""

    @property
    def digest(self) -> bytes:
        """A proposal's hash."""
        return hashlib.sha256(statement(self.kind, self.zone, self.session, self.sender, self.payload)).digest()


def read(raw: bytes) -> Read | None:
    """None where the bytes are no datagram of known form."""
    try:
        _, kind, zone, session, sender, payload, signature = _decode(raw)
        return Read(kind, zone, session, sender, payload, signature, _decode(payload))
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None


def statement(kind: int, zone: str, session: int, sender: str, payload: bytes) -> bytes:
    """The bytes under a signature, as protocol.md says: domain, zone, session, sender, payload."""
    where, who = zone.encode(), sender.encode()
    head = b"ACCORD/" + _NAMES[kind] + b"/v1\0" + bytes([len(where)]) + where + session.to_bytes(8, "big")
    return head + bytes([len(who)]) + who + payload
