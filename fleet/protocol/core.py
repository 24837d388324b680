"""The agreement core of one vehicle: messages and ticks in, effects out. Theory of operation: table.py.

A driver calls ``step`` for every datagram and ``tick`` at least every 100 ms; after each it does what
``ready`` returns, in the order of its fields, and calls ``advance``. The core has no clock (time is an
argument), no I/O, and no chance but the injected generator: equal calls give equal effects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fleet.errors import LocalProtocolError
from fleet.protocol import limits
from fleet.protocol.codec import Opened
from fleet.protocol.contradiction import of_intents
from fleet.protocol.gossip import Relay, gossip
from fleet.protocol.ports import Ports
from fleet.protocol.proposing import Proposing
from fleet.protocol.records import Commitment, Contradiction, Identity, LiveTube, Local, Ready, Stats, Tuning
from fleet.protocol.restore import Restored
from fleet.protocol.revoking import Notices, revoke
from fleet.protocol.situation import Situation, clip
from fleet.protocol.table import HOLDING, OBSERVED, UNCOMMITTED, Event, Phase, after
from fleet.protocol.turn import Turn
from fleet.protocol.voting import Voting
from fleet.protocol.wire import Intent, Kind, Message, Proposal, Release

_KIND_NAMES = {kind: kind.name.lower() for kind in Kind}


class Core:
    """One vehicle's part in agreement, engaged with one zone at a time."""

    def __init__(self, identity: Identity, ports: Ports, tuning: Tuning | None = None) -> None:
        self._at = Situation(identity, ports, tuning or Tuning())
        self._turn = Turn(ports.draw)
        self._voting = Voting(self._at, self._turn)
        self._proposing = Proposing(self._at, self._voting, self._turn)
        self._relay = Relay()
        self._notices = Notices()
        self._codec = ports.codec
        self._me = identity.vehicle
        self._zone = ""
        self._session = -1
        self._seq = 0
        self._said: Intent | None = None
        self._said_ms = 0
        self._latest_ms = 0
        self._restored: Restored | None = None
        self._left = ("", -1, 0)
        """Zone and session engaged with before, and until when proposals from then may be open."""

    # Engagement.

    def engage(self, zone: str, session: int, now_ms: int) -> None:
        """Begin to speak and listen for ``zone``; nothing is signed for the first ``listen_ms``.

        ``session`` (0 to 2^53) is common to the fleet and sets apart runs: messages of another are not heard.
        """
        if self._zone:
            raise LocalProtocolError(f"engaged with zone {self._zone}; disengage before engaging with {zone}")
        at = self._at
        self._zone, self._session = zone, session
        at.outbox.zone, at.outbox.session = zone, session
        self._pass_time(now_ms)
        at.engaged, at.engaged_ms, at.local, at.phase = True, now_ms, None, Phase.APPROACH
        if self._left[:2] == (zone, session):  # what was said to its proposals is forgotten: say nothing twice
            at.quiet_until_ms = max(at.quiet_until_ms, self._left[2])
        self._take_up(zone, session, now_ms)
        self._said = None
        self._turn.reset(now_ms)

    def restore(self, restored: Restored) -> None:
        """Begin with what the stable log says (rule P11); once, before engaging with any zone.

        A commitment is taken up when its zone is engaged with. A vehicle that can still stop before the line
        should :meth:`release` it then; one that cannot announces where it is, and the lease runs out.
        """
        if self._zone or self._restored is not None:
            raise LocalProtocolError("a core is restored once, before it engages with a zone")
        at = self._at
        self._restored, self._seq = restored, restored.seq
        at.quiet_until_ms = restored.quiet_until_ms
        self._proposing.resume(restored.epoch)
        for tube in restored.tubes:
            at.ledger.put(replace(tube, body=at.identity.body) if tube.vehicle == self._me else tube)

    def disengage(self, now_ms: int) -> None:
        """Leave the zone's agreement. Promises to others are kept until they die; own tubes are given back.

        Raises
        ------
        LocalProtocolError
            A commitment past the point of no return is held and the zone not cleared.
        """
        at = self._at
        if at.commitment is not None:
            self.release("disengaged", now_ms)
        self._voting.give_up_pending("disengaged", now_ms)
        if at.local is not None:
            at.phase = Phase.CLEARED
            self._say(at.local, now_ms)
        self._left = (self._zone, self._session, now_ms + limits.DECIDE_MS_MAX + 2 * at.tuning.eps_ms)
        self._zone, self._session = "", -1
        at.engaged, at.local = False, None
        at.peers.clear()
        at.named_ms.clear()
        self._voting.clear()

    def release(self, reason: str, now_ms: int) -> None:
        """Give the commitment back before the point of no return, such as when it cannot be driven.

        Raises
        ------
        LocalProtocolError
            Nothing is held, or the point of no return is passed (rule P6: only clearing ends it then).
        """
        local = self._at.local
        if local is not None and local.pnr_passed and not local.cleared:
            raise LocalProtocolError("past the point of no return a commitment ends only by clearing the zone")
        self._voting.end_commitment(f"released:{reason}", now_ms)
        self._flush(now_ms)

    def revoke(self, vehicles: Iterable[str], now_ms: int) -> None:
        """The keys of ``vehicles`` are out, by a list that the node has checked; effective at once.

        Nothing is undone past the point of no return, and what they hold stays in the way until it dies.
        """
        for vehicle in sorted(vehicles):
            revoke(self._at, self._voting, vehicle, now_ms)
        self._flush(now_ms)

    # Input.

    def step(self, raw: bytes, now_ms: int) -> None:
        """Take one datagram. Whatever it holds, nothing is raised; see ``stats.refused``."""
        opened = self._codec.open(raw)
        message = opened.message
        stats = self._at.stats
        if message is None:
            stats.refused["malformed"] += 1
            return
        sender = message.sender
        if sender in self._at.quarantined:
            stats.refused["quarantined"] += 1
            return
        if message.kind is Kind.REVOCATION:
            self._on_revocation(opened, message, now_ms)
            return
        if message.zone != self._zone or message.session != self._session or sender == self._me:
            return
        stats.received_bytes += len(raw)
        kind = message.kind
        stats.received[_KIND_NAMES[kind]] += 1
        if sender in self._at.revoked:
            stats.refused["revoked"] += 1
            return
        peers = self._at.peers
        if not peers.spend(sender, now_ms):
            stats.refused["flood"] += 1
            return
        body = message.body
        if isinstance(body, Intent):
            why = peers.hear(opened, sender, body, now_ms)
            if why:
                stats.refused[why] += 1
            if (body.live or body.dead) and not why:
                self._accuse(self._voting.given_back.intent(message, body), now_ms)
            elif why == "contradiction" and self._codec.authenticate(opened):
                newest = peers.newest(sender)
                self._accuse(None if newest is None else of_intents(newest, message), now_ms)
            return
        if not self._codec.authenticate(opened):
            why = "bad_signature"
        elif isinstance(body, Proposal):
            why = self._voting.on_proposal(message, body, now_ms)
        elif isinstance(body, Release):
            why = self._voting.on_release(message, body, now_ms)
        else:
            why = self._voting.on_ballot_message(message, now_ms)
        if why:
            stats.refused[why] += 1
        self._flush(now_ms)

    def tick(self, local: Local) -> None:
        """Time passes: observe the own vehicle, do what is due, speak if it is time to."""
        at, now_ms = self._at, local.now_ms
        if not self._zone:
            at.ledger.expire(now_ms)
            return
        self._pass_time(now_ms)
        at.local = local
        if at.sync(now_ms):
            self._turn.progress(now_ms)
        at.peers.expire(now_ms)
        self._observe(local, now_ms)
        if at.ballots:  # voting looks at the own intent as at those of others
            at.own = self._intent(local, now_ms)
        self._voting.tick(now_ms)
        at.own = own = self._intent(local, now_ms)
        self._speak(local, own, now_ms)  # before proposing: others judge a proposal by the plan they have heard of
        self._proposing.tick(now_ms)
        gossip(at, now_ms)
        self._relay.tick(at, now_ms)
        self._notices.tick(at, now_ms)
        self._flush(now_ms)

    # Output.

    def ready(self) -> Ready:
        """What to do now; the same until :meth:`advance`."""
        return self._at.outbox.ready()

    def advance(self, ready: Ready | None = None) -> None:
        """``ready`` (if not given: what the last call of :meth:`ready` returned) has been done, in order."""
        self._at.outbox.advance(ready)

    @property
    def stats(self) -> Stats:
        return self._at.stats

    @property
    def eps_ms(self) -> int:
        """Bound on the error of every clock of the fleet."""
        return self._at.tuning.eps_ms

    @property
    def phase(self) -> Phase:
        """What is announced now."""
        return self._at.announced_phase()

    @property
    def commitment(self) -> Commitment | None:
        return self._at.commitment

    def may_enter(self, now_ms: int) -> bool:
        """Whether the point of no return may be passed now (rule P5): a tube is held and its lease lives."""
        held = self._at.commitment
        return held is not None and now_ms < held.lease_end_ms - self._at.tuning.eps_ms

    def frozen_until_ms(self, now_ms: int) -> int:
        """Until then the plan driven must not be replaced, since a proposal signed starts from it; 0: it may."""
        if self._at.commitment is not None:
            return 0
        own = self._at.own_live(now_ms)
        return max((b.proposal.decide_by_ms for b in self._at.ballots.values() if b.hash in own), default=0)

    def known_tubes(self, now_ms: int) -> tuple[LiveTube, ...]:
        """All tubes that this vehicle must keep clear of or reckon with, its own included."""
        return tuple(self._at.known(now_ms))

    def peers(self, now_ms: int) -> dict[str, Intent]:
        """Fresh intents by vehicle, in order of id."""
        return self._at.peers.fresh(now_ms)

    def heard(self, now_ms: int) -> dict[str, Intent]:
        """Intents of all that spoke within ``PEER_SILENT_MS``, in order of id: bodies that are accounted for."""
        return self._at.peers.within(now_ms, limits.PEER_SILENT_MS)

    def waiting(self, now_ms: int) -> dict[str, Intent]:
        """Everybody here under the same charter, this vehicle included, who has no tube and could be given one."""
        at = self._at
        fresh = dict(at.peers.fresh(now_ms))
        if at.own is not None and self._zone:
            fresh[self._me] = at.own
        return {
            name: intent
            for name, intent in sorted(fresh.items())
            if intent.phase in UNCOMMITTED
            and not intent.held
            and not at.ledger.of(name)
            and intent.charter_id == at.identity.charter_id
        }

    def decision_ms(self, now_ms: int) -> int:
        """How long a decision may take as the channel is now: a proposal stays open for so long."""
        at = self._at
        return self._turn.decide_ms(at.peers.latency_ms(now_ms), at.outage_ms(now_ms), len(at.concerned(now_ms)))

    def is_heard_by(self, vehicle: str, now_ms: int) -> bool:
        """Whether ``vehicle`` has lately said that it hears this one; if not, it may leave this one out (rule P8).

        A node must take one that moves, and does not, for a body that no message accounts for.
        """
        named_ms = self._at.named_ms.get(vehicle)
        return named_ms is not None and now_ms - named_ms <= limits.HEARS_MS

    def silent(self, now_ms: int) -> dict[str, Intent]:
        """Last words of vehicles that fell silent without having cleared the zone, in order of id (rule P8).

        While perception does not show one of them standing behind its line or unable to reach the zone, the
        node must name it in ``Local.blocking``: that nothing is heard of it does not mean that it is gone.
        """
        return self._at.peers.silent(now_ms)

    def quarantine(self, vehicle: str, evidence_digest: bytes) -> None:
        """Do without ``vehicle``, which provably broke a rule: its messages no longer count, its body does.

        ``evidence_digest`` (32 bytes) names the proof, which the caller has verified: for what others have
        found, or breaches that the core cannot see. What the core sees itself it quarantines itself, and
        hands the proof out as a ``Contradiction`` in ``Ready.to_apply``.
        """
        self._voting.quarantine(vehicle, evidence_digest, self._latest_ms, kind="shown")
        if self._zone:
            self._flush(self._latest_ms)

    @property
    def quarantined(self) -> dict[str, bytes]:
        """Those the core does without, with the digest of the proof."""
        return self._at.quarantined

    # Private.

    def _on_revocation(self, opened: Opened, message: Message, now_ms: int) -> None:
        """Concerns all zones, engaged or not; the authority's bucket is a stranger's."""
        at = self._at
        why = "flood"
        if at.peers.spend(message.sender, now_ms):
            why = self._notices.take(at, self._voting, opened, message, now_ms)
        if why:
            at.stats.refused[why] += 1
        self._flush(now_ms)

    def _accuse(self, found: Contradiction | None, now_ms: int) -> None:
        if found is not None:
            self._voting.accuse(found, now_ms)
            self._flush(now_ms)

    def _pass_time(self, now_ms: int) -> None:
        """Time never goes back, not between zones either: what was signed later must carry a later stamp."""
        if now_ms < self._latest_ms:
            raise LocalProtocolError(f"time went back from {self._latest_ms} to {now_ms} ms")
        self._latest_ms = now_ms

    def _take_up(self, zone: str, session: int, now_ms: int) -> None:
        """The commitment from before a restart, if it is one through this zone and its lease lives."""
        restored, at = self._restored, self._at
        if restored is None or restored.commitment is None or (restored.zone, restored.session) != (zone, session):
            return
        if now_ms < restored.commitment.lease_end_ms - at.tuning.eps_ms:
            at.commitment, at.phase = restored.commitment, Phase.COMMITTED
        self._restored = replace(restored, commitment=None)

    def _observe(self, local: Local, now_ms: int) -> None:
        """The own vehicle's state as events of the table, and the end of the own lease."""
        at = self._at
        before = self.phase if self._said is None else self._said.phase
        held = at.commitment
        if held is not None:
            if local.cleared:
                self._voting.end_commitment("cleared", now_ms)
            elif not local.pnr_passed and not at.trusts_clock(now_ms):
                self._voting.end_commitment("clock_doubt", now_ms)
            elif now_ms >= held.lease_end_ms - at.tuning.eps_ms:
                self._lease_over(held, local, now_ms)
            elif local.pnr_passed:
                at.phase = after(at.phase, Event.PASSED)
        elif local.cleared:
            at.phase = after(at.phase, Event.CLEARED)
        else:
            at.phase = after(at.phase, OBSERVED.get(local.phase, Event.SEEN_MOVING))
            if local.pnr_passed and at.phase in (Phase.APPROACH, Phase.WAITING):
                at.phase = after(at.phase, Event.SEEN_INSIDE)
                if before is not Phase.OCCUPYING:
                    at.outbox.note("pnr_without_commitment", phase=local.phase.name)
        if self.phase is not before:
            at.announce = True

    def _lease_over(self, held: Commitment, local: Local, now_ms: int) -> None:
        """Before the point of no return the right is gone; past it, leaving the zone comes first (rule P6)."""
        at = self._at
        if not local.pnr_passed or now_ms > held.lease_end_ms + limits.OVERDUE_MS_MAX:
            self._voting.end_commitment("lease_end", now_ms)
        elif at.phase in HOLDING:
            at.phase = after(after(at.phase, Event.PASSED), Event.OVERDUE)
            at.outbox.note("overdue", proposal=held.proposal_hash.hex(), lease_end_ms=held.lease_end_ms)
            at.announce = True

    def _flush(self, now_ms: int) -> None:
        """Say at once what peers should know at once."""
        local = self._at.local
        if self._at.announce and local is not None and self._zone:
            self._say(local, now_ms)

    def _speak(self, local: Local, own: Intent, now_ms: int) -> None:
        """Say ``own`` when it is time to, or when the plan has changed."""
        since_ms, said = now_ms - self._said_ms, self._said
        changed = said is not None and (own.plan != said.plan or own.ready is not said.ready)
        soon = changed and since_ms >= limits.INTENT_GAP_MS_MIN
        if said is None or soon or since_ms >= self._period_ms(now_ms):
            self._say(local, now_ms, own)

    def _period_ms(self, now_ms: int) -> int:
        at = self._at
        wants = at.local is None or at.local.wants_commit
        settled = at.phase is not Phase.FALLBACK and not (wants and at.phase in UNCOMMITTED)
        if settled and not any(ballot.undecided(now_ms) for ballot in at.ballots.values()):
            calm = at.phase is Phase.CLEARED and at.outage_ms(now_ms) == 0
            return limits.INTENT_CLEARED_MS if calm else limits.INTENT_RELAXED_MS
        return limits.INTENT_MS

    def _say(self, local: Local, now_ms: int, made: Intent | None = None) -> None:
        """Send an intent (``made``, if it is there already); what is too long loses names heard and seen."""
        if not self._at.trusts_clock(now_ms):
            return
        self._at.announce = False
        names = limits.ROSTER_MAX
        while True:
            intent = made or self._intent(local, now_ms, names)
            try:
                self._at.outbox.post(intent)
                break
            except LocalProtocolError:
                if names == 0:
                    raise
                names, made = names // 2, None
        self._seq = intent.seq
        self._said, self._said_ms = intent, now_ms

    def _intent(self, local: Local, now_ms: int, names_max: int = limits.ROSTER_MAX) -> Intent:
        at, who = self._at, self._at.identity
        held = at.commitment
        ballots = at.ballots
        open_now = [b for b in ballots.values() if b.undecided(now_ms)][-limits.LIVE_MAX :] if ballots else ()
        willing = local.wants_commit and at.may_change(local)
        able = local.has_contingency and local.estimate_ok and not local.blocking
        return Intent(
            vehicle=who.vehicle, seq=max(self._seq + 1, now_ms), stamp_ms=now_ms, phase=self.phase,
            path_id=local.path_id, body=who.body, arrived_ms=local.arrived_ms, eta_ms=local.eta_ms,
            urgency=local.urgency, charter_id=who.charter_id, map_digest=who.map_digest,
            ready=willing and able and now_ms >= at.signs_from_ms - limits.INTENT_MS,
            plan=at.driven_plan(local),
            held=b"" if held is None else held.proposal_hash,
            lease_end_ms=0 if held is None else held.lease_end_ms,
            live=at.own_live(now_ms), dead=at.own_dead(now_ms), certificates=tuple(self._voting.certificates),
            votes_known=tuple((b.prefix, b.votes_mask) for b in open_now),
            roster=tuple(at.peers.fresh(now_ms))[:names_max],
            perceived_count=len(local.perceived),
            perceived=clip(local.perceived, min(names_max, limits.PERCEIVED_MAX), limits.ID_CHARS_MAX)
            if local.perceived
            else (),
        )  # fmt: skip
