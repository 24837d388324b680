"""Whether anybody honest could be framed: from the bytes that honest vehicles send (X3, rule P14).

Two checks, beside the observer's look at every proof that a core hands out. What one honest vehicle says is
compared with all that it has said before, by an own reading of bytes: one intent for a number, one proposal for
an epoch, a vote or a refusal for a proposal, never both, and no tube live again after it was given back. And
every proof that a core hands out goes before the offline verifier of evidence (fleet/protocol/evidence.py): it
must convict the one that it names.
"""

from __future__ import annotations

from fleet.errors import RemoteProtocolError
from fleet.protocol.evidence import Fault, accused_by
from fleet.protocol.records import Contradiction
from fleet.protocol.wire import Reject, decode
from sim.faults.reading import INTENT, PROPOSAL, REJECT, RELEASE, VOTE, Read

_FAULTS = {
    "intent": Fault.FORKED_INTENT, "proposal": Fault.FORKED_PROPOSAL, "answer": Fault.VOTE_AND_REFUSAL,
    "given_back": Fault.REVIVED_TUBE,
}  # fmt: skip


class Framing:
    """What each honest vehicle has said."""

    def __init__(self) -> None:
        self._said: dict[tuple[object, ...], bytes] = {}
        self._given_back: dict[tuple[str, bytes], int] = {}
        self.proposals: dict[bytes, bytes] = {}
        """Datagrams by hash, whoever sent them."""

    def convicts(self, proof: Contradiction) -> str:
        """Whom the offline verifier convicts by ``proof``, signatures aside; empty: nobody."""
        raws = [proof.first, proof.second]
        try:
            messages = [decode(raw) for raw in raws]
            subject = next((m.body.proposal for m in messages if isinstance(m.body, Reject)), b"")
            if subject in self.proposals:
                messages.insert(0, decode(self.proposals[subject]))
        except RemoteProtocolError:
            return ""
        return accused_by(_FAULTS[proof.kind], messages)

    def says(self, message: Read) -> list[str]:
        """Take a datagram of an honest vehicle; what in it could be held against its sender."""
        kind, body, who = message.kind, message.body, message.sender
        if kind == INTENT:
            return [*self._once(message, "intent", body[1]), *self._tubes(message)]
        if kind == PROPOSAL:
            return self._once(message, "proposal", body[1])
        if kind in (VOTE, REJECT):
            return self._once(message, "answer", body[0])
        if kind == RELEASE:
            for proposal in body[0]:
                self._given_back.setdefault((who, proposal), body[1])
        return []

    def _once(self, message: Read, what: str, key: object) -> list[str]:
        """One datagram only for one key; a refusal may come again with other reasons."""
        said = bytes([message.kind]) if what == "answer" else message.payload
        before = self._said.setdefault((what, message.sender, key), said)
        return [] if before == said else [f"{message.sender} signs two {what}s for {key!r}"]

    def _tubes(self, message: Read) -> list[str]:
        body, who = message.body, message.sender
        found = [
            f"{who} lists a tube as live that it has given back"
            for proposal in body[15]
            if body[2] > self._given_back.get((who, proposal), body[2])
        ]
        for proposal in body[16]:
            self._given_back.setdefault((who, proposal), body[2])
        return found
