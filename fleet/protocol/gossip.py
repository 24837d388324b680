"""Saying again what somebody may have missed, at every tick.

While a proposal can still be decided, every member repeats all signatures it knows, not only its own, so
one good path from a voter to a holder is enough; and it repeats only while some member is not known to
have them. After ``decide_by`` a certificate lets nobody in any more, and that ends. Intents are passed on
where a roster shows that they did not arrive: a death of a tube that one member has not heard of would
otherwise stop all.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain

from fleet.protocol import limits
from fleet.protocol.ballot import Ballot, Own
from fleet.protocol.situation import Situation
from fleet.protocol.table import Phase


def gossip(at: Situation, now_ms: int) -> None:
    """Send what is due now."""
    for ballot in at.ballots.values() if at.trusts_clock(now_ms) else ():
        if now_ms > ballot.proposal.decide_by_ms or now_ms - ballot.gossip_ms < limits.GOSSIP_MS:
            continue
        if at.me not in ballot.position:
            continue
        ballot.gossip_ms = now_ms
        ballot.rounds += 1
        if ballot.last_word is not None and ballot.says_again():
            at.outbox.send(ballot.last_word)
        if ballot.closed or ballot.own is Own.REFUSED:
            continue
        _listen(at, ballot)
        others = [member for member in ballot.proposal.members if member != at.me]
        wanting = ballot.complete_ms is None and any(member not in ballot.known_to for member in others)
        if wanting and _repeats_proposal(at, ballot):
            at.outbox.send(ballot.message)
        lacking = 0
        for member in others:
            lacking |= ballot.votes_mask & ~ballot.known_to.get(member, 0)
        if lacking:
            at.outbox.post(ballot.news(lacking))


def _listen(at: Situation, ballot: Ballot) -> None:
    """Learn from the newest intents which signatures their senders have."""
    for member in ballot.proposal.members:
        intent = at.peers.intent(member)
        if intent is None:
            continue
        if ballot.prefix in intent.certificates:
            ballot.learn(member, (1 << len(ballot.proposal.members)) - 1)
        for prefix, mask in intent.votes_known:
            if prefix == ballot.prefix:
                ballot.learn(member, mask)


def _repeats_proposal(at: Situation, ballot: Ballot) -> bool:
    """The coordinator does every round, the others in turn: the way from the coordinator may be the bad one."""
    if ballot.proposal.coordinator == at.me:
        return True
    turns = -(-len(ballot.position) // limits.REPEATERS_MAX)
    return (ballot.position[at.me] + ballot.rounds) % turns == 0


class Relay:
    """Passes on intents of peers that others do not hear."""

    def __init__(self) -> None:
        self._round = 0
        self._last_ms = 0
        self._passed: dict[str, int] = {}

    def tick(self, at: Situation, now_ms: int) -> None:
        """Send what is due now."""
        if now_ms - self._last_ms < (limits.GOSSIP_MS if at.outage_ms(now_ms) else 2 * limits.GOSSIP_MS):
            return
        self._last_ms = now_ms
        self._round += 1
        fresh = at.peers.fresh(now_ms)
        deaf = [
            (name, intent.roster)
            for name, intent in fresh.items()
            if len(intent.roster) < limits.ROSTER_MAX and intent.phase is not Phase.CLEARED
        ]
        names = fresh.keys()
        if all(names <= {name, *roster} for name, roster in deaf):  # the usual case: everybody hears everybody
            if self._passed:
                self._passed = {vehicle: seq for vehicle, seq in self._passed.items() if vehicle in fresh}
            return
        listeners = {name for name, _ in deaf}
        heard_by = Counter(chain.from_iterable(roster for _, roster in deaf))
        left = limits.RELAYS_MAX
        for vehicle, intent in fresh.items():
            if left == 0:
                break
            by_all = heard_by[vehicle] >= len(deaf) - (vehicle in listeners)
            if by_all or intent.seq == self._passed.get(vehicle):
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
