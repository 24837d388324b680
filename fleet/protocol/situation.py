"""What one vehicle knows now, and the reasons it has against a proposal (rules P1, P3, P6, P10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from fleet.protocol import limits
from fleet.protocol.ballot import Ballot, Own
from fleet.protocol.ledger import Ledger
from fleet.protocol.outbox import Outbox
from fleet.protocol.peers import Peers
from fleet.protocol.ports import Ports
from fleet.protocol.records import Commitment, Identity, LiveTube, Local, Stats, Tuning
from fleet.protocol.table import HOLDING, OBSTRUCTING, UNCOMMITTED, Phase
from fleet.protocol.wire import Intent, Proposal, VehicleBody


@dataclass(frozen=True, slots=True)
class Objections:
    """Why a proposal is not signed now."""

    reasons: tuple[str, ...]
    final: bool
    """Some reason will not pass by itself while the proposal is open."""
    missing: tuple[str, ...]
    """Whom its members leave out."""


class Situation:
    """State shared by the parts of one core."""

    def __init__(self, identity: Identity, ports: Ports, tuning: Tuning) -> None:
        self.identity = identity
        self.me = identity.vehicle
        self.ports = ports
        self.tuning = tuning
        self.stats = Stats()
        self.peers = Peers(ports.codec, tuning.eps_ms)
        self.ledger = Ledger(tuning.eps_ms)
        self.outbox = Outbox(identity.vehicle, ports.signer, ports.codec, self.stats)
        self.ballots: dict[bytes, Ballot] = {}
        self.local: Local | None = None
        self.own: Intent | None = None
        """What this vehicle would say of itself, as of the last tick."""
        self.phase = Phase.APPROACH
        self.commitment: Commitment | None = None
        self.engaged = False
        self.engaged_ms = 0
        self.quiet_until_ms = 0
        """After a restart nothing is signed before (rule P11); 0: no restart."""
        self.announce = False
        """Something changed that peers should hear of at once."""
        self.revoked: set[str] = set()
        """Vehicles whose keys are out: bodies without a voice. Asked by name only, never gone through."""
        self.missed: dict[str, int] = {}
        """Members that refusals said were missing, and when: the next proposal names them, heard or not."""
        self.disowned: dict[bytes, int] = {}
        """Proposals refused or aborted by others before they came here, and when that was heard: never signed."""
        self.quarantined: dict[str, bytes] = {}
        """Peers that provably broke a rule, with the digest of the proof: their messages do not count."""
        self.named_ms: dict[str, int] = {}
        """When each peer last named this vehicle among those that it hears, by the stamp of its intent."""
        self.planless_until_ms = 0
        """Until then the own planner has just found no way for this vehicle: others may go first without bound."""

    @property
    def signs_from_ms(self) -> int:
        """Nothing is promised or adopted before: the vehicle listens first, and longer after a restart."""
        return max(self.engaged_ms + self.tuning.listen_ms, self.quiet_until_ms)

    def may_sign(self, now_ms: int) -> Local | None:
        """The own estimate if anything may be signed now: engaged, listened for a while, estimate recent."""
        local = self.local
        if local is None or not self.engaged or now_ms < self.signs_from_ms or self.me in self.revoked:
            return None
        return local if self.trusts_clock(now_ms) else None

    def trusts_clock(self, now_ms: int) -> bool:
        """Whether the own clock is good enough to sign anything by (rule P12), by a recent estimate."""
        local = self.local
        return (
            local is not None
            and local.clock_error_ms <= self.tuning.eps_ms
            and now_ms - local.now_ms <= limits.LOCAL_AGE_MS_MAX
        )

    def may_change(self, local: Local) -> bool:
        """Whether a plan could be adopted: nothing is held, or a holder before its point of no return wants another.

        What was wanted before the tube held was adopted is no wish for another one.
        """
        held = self.commitment
        if held is None:
            return self.phase in UNCOMMITTED
        return self.phase is Phase.COMMITTED and not local.pnr_passed and local.now_ms > held.adopted_ms

    def sync(self, now_ms: int) -> bool:
        """Work in what new intents say of their senders' tubes; whether any tube died."""
        died = False
        for vehicle in self.peers.take_changed():
            intent = self.peers.intent(vehicle)
            if intent is None:
                continue
            if self.me in intent.roster:
                self.named_ms[vehicle] = intent.stamp_ms
            if self.ledger.observe(vehicle, intent):
                died = True
        self.ledger.expire(now_ms)
        return died

    def own_live(self, now_ms: int) -> tuple[bytes, ...]:
        """Proposals in which the own tube is in use or may still be adopted."""
        live = [] if self.commitment is None else [self.commitment.proposal_hash]
        for ballot in self.ballots.values():
            pending = ballot.own is Own.ACCEPTED and not ballot.given_up and now_ms <= ballot.proposal.decide_by_ms
            if pending and ballot.names(self.me) and ballot.hash not in live:
                live.append(ballot.hash)
        return tuple(live)

    def known(self, now_ms: int, *, without: bytes = b"") -> list[LiveTube]:
        """Every live tube but those of proposal ``without``, then what every vehicle here announces."""
        self.sync(now_ms)
        tubes = [tube for tube in self.ledger.live() if tube.proposal_hash != without]
        for vehicle, intent in self.peers.within(now_ms, limits.PEER_SILENT_MS).items():
            tube = self._announced(vehicle, intent.phase, intent.plan, intent.body)
            if tube is not None:
                tubes.append(tube)
        if self.local is not None:
            tube = self._announced(self.me, self.announced_phase(), self.driven_plan(self.local), self.identity.body)
            if tube is not None:
                tubes.append(tube)
        return tubes

    def announced_phase(self) -> Phase:
        """The core's phase, but for a vehicle that says it is in the way."""
        if self.local is not None and self.local.phase in OBSTRUCTING:
            return self.local.phase
        return self.phase

    def driven_plan(self, local: Local) -> bytes:
        """The plan in force: a tube adopted since the last tick already counts."""
        if self.commitment is None or local.phase in OBSTRUCTING:
            return local.plan
        return self.commitment.plan

    def concerned(self, now_ms: int) -> dict[str, Intent]:
        """This vehicle and everybody heard who may have to be a member."""
        found = self.peers.concerned(now_ms)
        if self.own is not None:
            found[self.me] = self.own
        return found

    def outage_ms(self, now_ms: int) -> int:
        """How long it may take to be heard, by what has been heard, and by who does not hear this vehicle."""
        outage_ms = self.peers.channel.outage_ms(now_ms)
        if now_ms > self.engaged_ms + limits.FRESH_MS + limits.INTENT_RELAXED_MS:
            fresh = self.peers.fresh(now_ms).values()
            if any(self.me not in intent.roster and intent.phase is not Phase.CLEARED for intent in fresh):
                outage_ms = max(outage_ms, limits.FRESH_MS)
        return outage_ms

    def bodies(self, proposal: Proposal) -> dict[str, VehicleBody]:
        """Bodies of the batch, as far as their vehicles have been heard."""
        found = {}
        for entry in proposal.batch:
            intent = self.peers.intent(entry.vehicle)
            if entry.vehicle == self.me:
                found[entry.vehicle] = self.identity.body
            elif intent is not None:
                found[entry.vehicle] = intent.body
        return found

    def own_dead(self, now_ms: int) -> tuple[bytes, ...]:
        """Proposals still open to others in which the own tube, if any, is given up or never will be; newest first."""
        if not self.ballots and not self.disowned:
            return ()
        dead = [proposal for proposal in reversed(self.disowned) if proposal not in self.ballots]
        dead += [
            ballot.hash
            for ballot in reversed(self.ballots.values())
            if ballot.given_up and now_ms <= ballot.proposal.decide_by_ms + 2 * self.tuning.eps_ms
        ]
        return tuple(dead[: limits.DEAD_MAX])

    def objections(self, ballot: Ballot, local: Local, now_ms: int) -> Objections:
        """Typed reasons not to sign; the costly ones are looked for only where no cheap one is found."""
        proposal = ballot.proposal
        concerned = self.concerned(now_ms)
        final: list[str] = self._own_objections(proposal, local, now_ms)
        passing: list[str] = []
        final += [f"quarantined:{member}" for member in proposal.members if member in self.quarantined]
        if proposal.charter_id != self.identity.charter_id:
            final.append(f"charter_mismatch:{proposal.coordinator}")
        final += [
            f"charter_mismatch:{member}"
            for member in proposal.members
            if member in concerned and concerned[member].charter_id != self.identity.charter_id
        ]
        final += self._revoked(proposal)
        missing, gone = self._missing(proposal, concerned, local, now_ms)
        (passing if gone else final).extend([f"members_missing:{','.join(missing)}"] if missing else ())
        passing += [f"blocked:{why}" for why in local.blocking]
        passing += [f"unheard:{entry.vehicle}" for entry in proposal.batch if entry.vehicle not in concerned]
        if not final and not passing and ballot.deaths != self.ledger.deaths:
            found = self.ports.judge.verify(proposal, self.known(now_ms, without=ballot.hash), local)
            if self._may_give_way(ballot):
                passing += found
                ballot.deaths = self.ledger.deaths
            else:
                final += found
        elif ballot.deaths == self.ledger.deaths:
            passing.append("conflict:as_before")
        reasons = clip([*final, *passing], limits.REASONS_MAX, limits.REASON_CHARS_MAX)
        return Objections(reasons, bool(final), missing)

    def _may_give_way(self, ballot: Ballot) -> bool:
        """Whether what is in the way may be a promise that is about to end.

        Either its proposal has failed, and only its vehicle's word that the tube is dead has not come yet;
        or it is still open but came after ``ballot``: of two that exclude each other the older one is waited
        for, and everybody refuses the younger one at once.
        """
        age = (ballot.proposal.stamp_ms, ballot.proposal.coordinator)
        older = {
            other.hash
            for other in self.ballots.values()
            if not other.closed and not other.given_up and (other.proposal.stamp_ms, other.proposal.coordinator) < age
        }
        return any(tube.kind == "promise" and tube.proposal_hash not in older for tube in self.ledger.live())

    def adoption_objections(self, ballot: Ballot, local: Local, lease_end_ms: int, now_ms: int) -> tuple[str, ...]:
        """Reasons not to use the own tube although all have signed (rules P4, P5)."""
        reasons = [*self._state_objections(local), *(f"blocked:{why}" for why in local.blocking)]
        reasons += self._revoked(ballot.proposal)
        if now_ms >= lease_end_ms - self.tuning.eps_ms:
            reasons.append(f"lease:{lease_end_ms}")
        if not local.wants_commit or not self.may_change(local):
            reasons.append("not_wanted")
        if not reasons:
            reasons = list(self.ports.judge.verify(ballot.proposal, self.known(now_ms, without=ballot.hash), local))
        return clip(reasons, limits.REASONS_MAX, limits.REASON_CHARS_MAX)

    def _announced(self, vehicle: str, phase: Phase, plan: bytes, body: VehicleBody) -> LiveTube | None:
        kind = "occupancy" if phase in OBSTRUCTING else "approach"
        if phase in HOLDING:
            if any(tube.plan == plan for tube in self.ledger.of(vehicle).values()):
                return None
            kind = "occupancy"  # drives something else than the tube it holds: both are in the way
        return LiveTube(vehicle, plan, 0, b"", kind, body)

    def _state_objections(self, local: Local) -> list[str]:
        reasons = []
        if not local.estimate_ok:
            reasons.append("estimate")
        if not local.has_contingency:
            reasons.append("no_contingency")
        return reasons

    def _revoked(self, proposal: Proposal) -> list[str]:
        return [f"revoked:{vehicle}" for vehicle in proposal.members if vehicle in self.revoked]

    def _own_objections(self, proposal: Proposal, local: Local, now_ms: int) -> list[str]:
        reasons = self._state_objections(local)
        if now_ms < self.peers.full_until_ms:
            reasons.append("peers_full")
        if not self.ledger.room_for(len(proposal.batch)):
            reasons.append("tubes_full")
        if any(entry.vehicle == self.me for entry in proposal.batch):
            if not local.wants_commit or not self.may_change(local):
                reasons.append(f"{'not_wanted' if self.commitment is None else 'holds_commitment'}:{self.me}")
            if len(self.own_live(now_ms)) >= limits.LIVE_MAX:
                reasons.append("own_pending_full")
        elif self._starved(proposal, local, now_ms):
            reasons.append(f"starvation:{self.me}")
        return reasons

    def _starved(self, proposal: Proposal, local: Local, now_ms: int) -> bool:
        """Left out after waiting beyond the charter's bound, for somebody who came later."""
        if self.commitment is not None or not local.wants_commit:
            return False
        if now_ms - local.arrived_ms <= self.tuning.starvation_ms or self.planless_until_ms > now_ms:
            return False
        rivals = [self.peers.intent(entry.vehicle) for entry in proposal.batch]
        return any(
            rival is not None and rival.phase is not Phase.OCCUPYING and rival.arrived_ms > local.arrived_ms
            for rival in rivals
        )

    def _missing(
        self, proposal: Proposal, concerned: dict[str, Intent], local: Local, now_ms: int
    ) -> tuple[tuple[str, ...], bool]:
        """Who would have to be a member and is not; and whether all of them may be gone, unheard."""
        required = self.ports.judge.required_members(proposal.batch, concerned, local)
        missing = sorted(required - set(proposal.members) - {self.me})
        old_ms = now_ms - limits.INTENT_RELAXED_MS - limits.INTENT_MS
        gone = all(concerned[m].phase in HOLDING and concerned[m].stamp_ms < old_ms for m in missing if m in concerned)
        return tuple(missing[: limits.MEMBERS_MAX]), gone


def clip(texts: Iterable[str], count_max: int, chars_max: int) -> tuple[str, ...]:
    """Texts as messages may carry them: so many, so long, printable ASCII."""
    clean = ("".join(c if " " <= c <= "~" else "?" for c in text)[:chars_max] for text in texts)
    return tuple(islice(clean, count_max))
