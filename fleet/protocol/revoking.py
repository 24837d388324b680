"""A key is out: from now on its holder is a body and not a voice (property X6).

At once, at the call: its messages are not heard, its intents are forgotten (so that its body, if it has
one, is a silent one to the sensors), proposals that need its signature are closed and new ones refused.
The tubes it holds stay obstacles until they die: revoking a key moves no vehicle.

Never backwards past the point of no return: what was agreed with it stands where somebody can no longer
stop. Before that point a commitment that rests on its signature is given back.

A node learns of it from its operator (``Core.revoke``), or on air: the authority's own signed datagram, which
every vehicle that takes it passes on as it is, at once and then again and again.
"""

from __future__ import annotations

from fleet.protocol import limits
from fleet.protocol.codec import Opened
from fleet.protocol.situation import Situation
from fleet.protocol.voting import Voting
from fleet.protocol.wire import Message, Revocation


def revoke(at: Situation, voting: Voting, vehicle: str, now_ms: int) -> None:
    """Silence ``vehicle``; the own id stops this vehicle's own signing."""
    if vehicle in at.revoked:
        return
    at.revoked.add(vehicle)
    at.outbox.note("revoked", vehicle=vehicle)
    at.peers.forget(vehicle)
    for ballot in list(at.ballots.values()):
        if vehicle in ballot.position:
            voting.close(ballot, f"revoked:{vehicle}", now_ms)
    held = at.commitment
    beyond = at.local is not None and at.local.pnr_passed
    if held is not None and vehicle in held.members and not beyond:
        voting.end_commitment(f"released:revoked:{vehicle}", now_ms)


class Notices:
    """Revocations heard on air, by number and then digest, to be passed on."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._turn = 0
        self._said_ms = 0

    def take(self, at: Situation, voting: Voting, opened: Opened, message: Message, now_ms: int) -> str:
        """Take a message; returns why not, or nothing. It is believed whatever way it has come."""
        register = at.ports.register
        if not isinstance(message.body, Revocation) or message.raw in self._known:
            return ""
        if register is None:
            return "no_register"
        if not at.ports.codec.authenticate(opened):
            return "bad_signature"
        for vehicle in register.revoke_keys(message.body.keys):
            revoke(at, voting, vehicle, now_ms)
        self._known[message.raw] = message.body.number
        if len(self._known) > limits.NOTICES_MAX:
            del self._known[min(self._known, key=lambda raw: (self._known[raw], raw))]
        if message.raw in self._known:
            at.outbox.relay(message.raw)
        return ""

    def tick(self, at: Situation, now_ms: int) -> None:
        """Say one of them again if it is time to."""
        if not self._known or now_ms - self._said_ms < limits.NOTICE_MS:
            return
        self._said_ms = now_ms
        self._turn = (self._turn + 1) % len(self._known)
        at.outbox.relay(sorted(self._known)[self._turn])
