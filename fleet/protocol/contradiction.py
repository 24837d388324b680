"""Two signed messages of one sender that no honest vehicle can have signed both (rule P14).

An honest vehicle says each of these once, over restarts too, whatever the network does:

- ``intent``: one intent for one sequence number;
- ``proposal``: one proposal for one epoch and stamp;
- ``answer``: to one proposal a vote or a refusal, never both;
- ``given_back``: what it has given back for good (a Release, or ``dead`` in an intent) it does not list as
  live in an intent stamped later.

Promises that overlap are no proof by themselves: the first may have died in between by a word that the
accuser leaves out. Both datagrams together convince anybody who knows the sender's key; nobody can be framed
without that key, since both signatures are checked here, and by whoever is shown them.
"""

from __future__ import annotations

from fleet.protocol import keys, limits
from fleet.protocol.ballot import Ballot
from fleet.protocol.records import Contradiction
from fleet.protocol.wire import Intent, Kind, Message, Proposal, Release, seal


def of_intents(first: Message, second: Message) -> Contradiction | None:
    """Two intents with one sequence number; both are authentic."""
    a, b = first.body, second.body
    if not isinstance(a, Intent) or not isinstance(b, Intent) or a.seq != b.seq:
        return None
    return _found("intent", first, second) if first.statement != second.statement else None


def of_proposals(known: dict[bytes, Ballot], second: Message, proposal: Proposal) -> Contradiction | None:
    """Another proposal of the same coordinator, epoch and stamp."""
    for ballot in known.values():
        other = ballot.proposal
        said = (other.coordinator, other.epoch, other.stamp_ms)
        if said == (proposal.coordinator, proposal.epoch, proposal.stamp_ms) and ballot.hash != second.digest:
            return _found("proposal", ballot.message, second)
    return None


def of_answers(ballot: Ballot, member: str, refusal: Message) -> Contradiction | None:
    """A vote known for ``ballot``, and the same member's refusal; the vote's datagram follows from its signature."""
    signature = ballot.votes.get(ballot.position[member])
    if signature is None:
        return None
    vote = seal(Kind.VOTE, refusal.zone, refusal.session, member, keys.vote_payload(ballot.hash), signature)
    return Contradiction(member, "answer", vote, refusal.raw, ballot.message.raw)


class GivenBack:
    """What each sender has given back for good: proposal hash to the message and its stamp, newest kept."""

    def __init__(self) -> None:
        self._said: dict[str, dict[bytes, tuple[int, Message]]] = {}

    def clear(self) -> None:
        self._said.clear()

    def release(self, message: Message, release: Release, newest: Message | None) -> Contradiction | None:
        """Take a Release; ``newest`` is its sender's newest intent, which may have come before it."""
        self._note(message, release.proposals, release.stamp_ms)
        if newest is not None and isinstance(newest.body, Intent):
            return self._check(newest, newest.body)
        return None

    def intent(self, message: Message, intent: Intent) -> Contradiction | None:
        """Take an intent."""
        found = self._check(message, intent) if intent.live else None
        if intent.dead:
            self._note(message, intent.dead, intent.stamp_ms)
        return found

    def _note(self, message: Message, proposals: tuple[bytes, ...], stamp_ms: int) -> None:
        said = self._said.setdefault(message.sender, {})
        if len(self._said) > limits.PEERS_MAX:
            del self._said[next(iter(self._said))]
        for proposal in proposals:
            said.setdefault(proposal, (stamp_ms, message))
        while len(said) > limits.GIVEN_BACK_MAX:
            del said[next(iter(said))]

    def _check(self, message: Message, intent: Intent) -> Contradiction | None:
        for proposal, (stamp_ms, earlier) in self._said.get(message.sender, {}).items():
            if proposal in intent.live and intent.stamp_ms > stamp_ms:
                return _found("given_back", earlier, message)
        return None


def _found(kind: str, first: Message, second: Message) -> Contradiction:
    return Contradiction(second.sender, kind, first.raw, second.raw)
