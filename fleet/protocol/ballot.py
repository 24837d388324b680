"""One proposal as one member sees it: which signatures are known, and what this vehicle has said."""

from __future__ import annotations

from enum import Enum

from fleet.protocol import keys, limits
from fleet.protocol.wire import Certificate, Message, Proposal


class Own(Enum):
    """What this vehicle has said to a proposal; it says one thing, once."""

    NOTHING = "nothing"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Ballot:
    """A proposal, the votes known, and the state of the own tube in it."""

    __slots__ = (
        "closed",
        "complete_ms",
        "deaths",
        "given_up",
        "gossip_ms",
        "hash",
        "known_to",
        "last_word",
        "message",
        "own",
        "position",
        "proposal",
        "received_ms",
        "refusals",
        "refused_by",
        "repeats",
        "rounds",
        "votes",
    )  # fmt: skip

    def __init__(self, message: Message, proposal: Proposal, now_ms: int) -> None:
        self.message = message
        self.proposal = proposal
        self.hash = message.digest
        self.position = {member: index for index, member in enumerate(proposal.members)}
        self.votes: dict[int, bytes] = {}
        self.known_to: dict[str, int] = {}
        """By member, a bit for each signature that it is known to have; 0: it has the proposal at least."""
        self.own = Own.NOTHING
        self.last_word: Message | None = None
        """The own refusal, or the coordinator's abort, to be said again."""
        self.refused_by: dict[str, tuple[str, ...]] = {}
        self.received_ms = now_ms
        self.gossip_ms = now_ms
        self.rounds = 0
        self.repeats = 0
        self.refusals: dict[str, Message] = {}
        self.complete_ms: int | None = None
        self.given_up = False
        """The own tube will never be adopted (or is not any more)."""
        self.deaths = -1
        """``ledger.deaths`` when the judge last found tubes in the way."""
        self.closed = False
        """Refused, aborted or over: nothing more is expected of it."""

    @property
    def complete(self) -> bool:
        """Whether every member's signature is known. Unanimity, never a quorum: see table.py."""
        return len(self.votes) == len(self.proposal.members)

    @property
    def prefix(self) -> bytes:
        return self.hash[: keys.PREFIX_BYTES]

    @property
    def votes_mask(self) -> int:
        return sum(1 << index for index in self.votes)

    def names(self, vehicle: str) -> bool:
        """Whether ``vehicle`` has a tube in the batch."""
        return any(entry.vehicle == vehicle for entry in self.proposal.batch)

    def undecided(self, now_ms: int) -> bool:
        return not self.closed and self.complete_ms is None and now_ms <= self.proposal.decide_by_ms

    def patient(self, now_ms: int) -> bool:
        """Whether a refusal may wait for better knowledge: the first three quarters of the time there is."""
        return 4 * (now_ms - self.proposal.stamp_ms) < 3 * (self.proposal.decide_by_ms - self.proposal.stamp_ms)

    def missing(self) -> tuple[str, ...]:
        return tuple(member for member, index in self.position.items() if index not in self.votes)

    def says_again(self) -> bool:
        """Whether the last word is still worth repeating: nobody says that it was heard, so a few times must do."""
        self.repeats += 1
        return self.repeats <= limits.LAST_WORDS_MAX

    def learn(self, member: str, mask: int) -> None:
        """``member`` has shown that it knows these signatures, and therefore the proposal."""
        self.known_to[member] = self.known_to.get(member, 0) | mask

    def parts(self) -> list[Certificate]:
        """The signatures known so far, in as many messages as it takes."""
        votes, most = sorted(self.votes.items()), limits.CERTIFICATE_VOTES_MAX
        return [Certificate(self.hash, tuple(votes[at : at + most])) for at in range(0, len(votes), most)]

    def news(self, lacking: int) -> Certificate:
        """One message of signatures: all if they fit, else of those ``lacking`` somewhere, another part each round."""
        votes, most = sorted(self.votes.items()), limits.CERTIFICATE_VOTES_MAX
        if len(votes) > most:
            votes = [vote for vote in votes if lacking >> vote[0] & 1]
            first = self.rounds * most % len(votes) if len(votes) > most else 0
            votes = sorted((votes + votes)[first : first + min(most, len(votes))])
        return Certificate(self.hash, tuple(votes))
