"""Keeps what was heard just long enough to notice that somebody contradicts itself, and makes evidence of it.

A witness looks at authentic messages only, in any order; memory is bounded per kind, the oldest goes first.
It is no part of the core: a node, a soak or an audit of a log each run one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from fleet.protocol.evidence import Evidence, Fault, accused_by
from fleet.protocol.wire import Intent, Message, Proposal, Reject, Release, Vote

REMEMBERED_MAX = 2048
"""Of each kind of fact."""

_K = TypeVar("_K")
_Suspicion = tuple[Fault, tuple[Message, ...]]


class Witness:
    """Finds every proven fault of two kinds: one number used twice, and a word taken back."""

    def __init__(self) -> None:
        self._intents: dict[tuple[str, str, int, int], Message] = {}
        self._epochs: dict[tuple[str, str, int, int], Message] = {}
        self._proposals: dict[bytes, Message] = {}
        self._votes: dict[tuple[str, bytes], Message] = {}
        self._refusals: dict[tuple[str, bytes], Message] = {}
        self._dead: dict[tuple[str, bytes], Message] = {}
        self._alive: dict[tuple[str, bytes], Message] = {}
        """The newest word of each."""

    def hear(self, message: Message) -> list[Evidence]:
        """Take an authentic message; returns the evidence that it completes, without certificates."""
        found = ((fault, said) for fault, said in self._find(message) if accused_by(fault, said))
        return [Evidence(fault, tuple(one.raw for one in said)) for fault, said in found]

    def _find(self, message: Message) -> Iterator[_Suspicion]:
        body, sender = message.body, message.sender
        place = (sender, message.zone, message.session)
        if isinstance(body, Intent):
            before = _keep(self._intents, (*place, body.seq), message)
            if before.statement != message.statement:
                yield Fault.FORKED_INTENT, (before, message)
            yield from self._tubes(message, body)
        elif isinstance(body, Proposal):
            before = _keep(self._epochs, (*place, body.epoch), message)
            if before.digest != message.digest:
                yield Fault.FORKED_PROPOSAL, (before, message)
            _keep(self._proposals, message.digest, message)
            for vote in [vote for (_, digest), vote in self._votes.items() if digest == message.digest]:
                yield from self._both(vote.sender, message.digest)
        elif isinstance(body, Vote):
            _keep(self._votes, (sender, body.proposal), message)
            yield from self._both(sender, body.proposal)
        elif isinstance(body, Reject):
            _keep(self._refusals, (sender, body.proposal), message)
            yield from self._both(sender, body.proposal)
        elif isinstance(body, Release):
            for digest in body.proposals:
                _keep(self._dead, (sender, digest), message)
                yield from self._revived(sender, digest)

    def _both(self, sender: str, digest: bytes) -> Iterator[_Suspicion]:
        said = self._proposals.get(digest), self._votes.get((sender, digest)), self._refusals.get((sender, digest))
        proposal, vote, refusal = said
        if proposal is not None and vote is not None and refusal is not None:
            yield Fault.VOTE_AND_REFUSAL, (proposal, vote, refusal)

    def _tubes(self, message: Message, body: Intent) -> Iterator[_Suspicion]:
        for digest in body.dead:
            _keep(self._dead, (message.sender, digest), message)
            yield from self._revived(message.sender, digest)
        for digest in body.live:
            known = self._alive.get((message.sender, digest))
            if known is None or not isinstance(known.body, Intent) or known.body.seq < body.seq:
                self._alive.pop((message.sender, digest), None)
                _keep(self._alive, (message.sender, digest), message)
            yield from self._revived(message.sender, digest)
        proposal = self._proposals.get(body.held)
        if proposal is not None:
            yield Fault.LEFT_COMMITMENT, (proposal, message)

    def _revived(self, sender: str, digest: bytes) -> Iterator[_Suspicion]:
        dead, alive = self._dead.get((sender, digest)), self._alive.get((sender, digest))
        if dead is not None and alive is not None and (dead.zone, dead.session) == (alive.zone, alive.session):
            yield Fault.REVIVED_TUBE, (dead, alive)


def _keep(memory: dict[_K, Message], key: _K, message: Message) -> Message:
    """What was known under ``key``, or ``message``, which is known from now on."""
    known = memory.get(key)
    if known is not None:
        return known
    if len(memory) >= REMEMBERED_MAX:
        del memory[next(iter(memory))]
    memory[key] = message
    return message
