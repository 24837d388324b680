"""Saying again what somebody may have missed, every 100 ms.

While a proposal can still be decided, every member repeats all signatures it knows, not only its own, so
one good path from a voter to a holder is enough. After ``decide_by`` a certificate lets nobody in any
more, and that ends. Intents are passed on where a roster shows that they did not arrive: a death of a tube
that one member has not heard of would otherwise stop all.
"""

from __future__ import annotations

from fleet.protocol import limits
from fleet.protocol.ballot import Ballot, Own
from fleet.protocol.situation import Situation
from fleet.protocol.table import Phase


def gossip(at: Situation, now_ms: int) -> None:
    """Send what is due now."""
    for ballot in at.ballots.values():
        over = ballot.closed or now_ms > ballot.proposal.decide_by_ms
        if over or ballot.own is not Own.ACCEPTED or now_ms - ballot.gossip_ms < limits.GOSSIP_MS:
            continue
        ballot.gossip_ms = now_ms
        ballot.rounds += 1
        if ballot.complete_ms is not None:
            if not all(_certified(at, ballot, member) for member in ballot.proposal.members):
                at.outbox.post(ballot.certificate())
            continue
        if _repeats_proposal(at, ballot):
            at.outbox.send(ballot.message)
        if not all(_knows(at, ballot, member) for member in ballot.proposal.members):
            at.outbox.post(ballot.certificate())


def _repeats_proposal(at: Situation, ballot: Ballot) -> bool:
    """The coordinator does every round, and one member in turn: the way from the coordinator may be the bad one."""
    members = ballot.proposal.members
    return ballot.proposal.coordinator == at.me or members[ballot.rounds % len(members)] == at.me


def _certified(at: Situation, ballot: Ballot, member: str) -> bool:
    """Whether ``member`` has said that it has the certificate."""
    intent = at.peers.intent(member)
    return member == at.me or (intent is not None and ballot.prefix in intent.certificates)


def _knows(at: Situation, ballot: Ballot, member: str) -> bool:
    """Whether ``member`` has said that it has every signature known here."""
    if member == at.me:
        return True
    intent = at.peers.intent(member)
    if intent is None:
        return False
    if ballot.prefix in intent.certificates:
        return True
    mask = ballot.votes_mask
    return any(prefix == ballot.prefix and known & mask == mask for prefix, known in intent.votes_known)


class Relay:
    """Passes on intents of peers that others do not hear."""

    def __init__(self) -> None:
        self._round = 0
        self._last_ms = 0
        self._passed: dict[str, int] = {}

    def tick(self, at: Situation, now_ms: int) -> None:
        """Send what is due now."""
        if now_ms - self._last_ms < limits.GOSSIP_MS:
            return
        self._last_ms = now_ms
        self._round += 1
        fresh = at.peers.fresh(now_ms)
        deaf = [
            (name, intent.roster)
            for name, intent in fresh.items()
            if len(intent.roster) < limits.ROSTER_MAX and intent.phase is not Phase.CLEARED
        ]
        left = limits.RELAYS_MAX
        for vehicle, intent in fresh.items():
            if left == 0:
                break
            if intent.seq == self._passed.get(vehicle) or all(vehicle in roster or vehicle == j for j, roster in deaf):
                continue
            raw = at.peers.relayable(vehicle, now_ms)
            if raw and self._is_mine(at.me, vehicle, deaf):
                at.outbox.relay(raw)
                self._passed[vehicle] = intent.seq
                left -= 1
        self._passed = {vehicle: seq for vehicle, seq in self._passed.items() if vehicle in fresh}

    def _is_mine(self, me: str, vehicle: str, deaf: list[tuple[str, tuple[str, ...]]]) -> bool:
        """Whether this vehicle is one of the two that pass ``vehicle`` on in this round; it moves on each round."""
        able = sorted([me, *(name for name, roster in deaf if vehicle in roster)])
        behind = (able.index(me) - self._round) % len(able)
        return behind < 2
