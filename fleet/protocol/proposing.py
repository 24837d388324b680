"""Making a proposal: who is in it, what is asked of the planner, and the fit into one datagram (rule P15)."""

from __future__ import annotations

from fleet.errors import FleetError, LocalProtocolError
from fleet.protocol import limits
from fleet.protocol.ballot import Ballot
from fleet.protocol.records import LiveTube, Local, PlannedBatch
from fleet.protocol.situation import Situation
from fleet.protocol.turn import Turn, candidates
from fleet.protocol.voting import Voting
from fleet.protocol.wire import Entry, Intent, Message, Proposal


class Proposing:
    """Proposes when it is this vehicle's turn."""

    def __init__(self, situation: Situation, voting: Voting, turn: Turn) -> None:
        self._at = situation
        self._voting = voting
        self._turn = turn
        self._epoch = 0
        self._able = False

    def resume(self, epoch: int) -> None:
        """Go on numbering after ``epoch``: no number is used for two proposals, over restarts too."""
        self._epoch = epoch

    def tick(self, now_ms: int) -> None:
        """Propose for this vehicle and others if nothing is open and its turn has come."""
        at, own = self._at, self._at.own
        local = at.may_sign(now_ms)
        if local is None or own is None or not own.ready:
            self._able = False
            return
        if not self._able:
            self._able = True
            self._turn.progress(now_ms)
        if any(ballot.undecided(now_ms) and at.me in ballot.position for ballot in at.ballots.values()):
            self._turn.progress(now_ms)
            return
        intents = at.concerned(now_ms)
        waiting = {v: i for v, i in intents.items() if v == at.me or not at.ledger.has_certificate(v, besides=i.held)}
        outage_ms = at.outage_ms(now_ms)
        if any(i.votes_known and now_ms - i.stamp_ms <= 2 * limits.INTENT_MS for i in intents.values()):
            self._turn.progress(now_ms)  # somebody knows of a proposal that may not have come here
        arrived_ms, heard_ms = now_ms - at.tuning.listen_ms - limits.INTENT_MS, now_ms - 2 * limits.INTENT_MS
        order = candidates(waiting, at.identity.charter_id, arrived_since_ms=arrived_ms, heard_since_ms=heard_ms)
        if len(intents) == 2 and order[0] != at.me and intents[order[0]].stamp_ms < heard_ms:
            self._turn.progress(now_ms)  # two have no way round: its vote can come no sooner than its own proposal
            return
        if not self._turn.due(order.index(at.me), now_ms, outage_ms):
            return
        able = [vehicle for vehicle in order if self._is_able(intents[vehicle], now_ms, outage_ms)]
        chosen = able[: at.tuning.batch_max]
        if at.me not in chosen:
            chosen = [*chosen[: at.tuning.batch_max - 1], at.me]
        self._propose([intents[vehicle] for vehicle in chosen], local, now_ms)

    def _is_able(self, intent: Intent, now_ms: int, outage_ms: int) -> bool:
        """Whether it can be planned for now.

        One with a tube that may still come into use, for all that is known here, would refuse, or drive that one.
        """
        at = self._at
        fresh = intent.stamp_ms >= now_ms - limits.FRESH_MS - at.tuning.eps_ms
        settled = at.ledger.of(intent.vehicle).keys() <= {intent.held}
        return fresh and settled and (intent.ready or (outage_ms > 0 and self._has_listened(intent, now_ms)))

    def _has_listened(self, intent: Intent, now_ms: int) -> bool:
        """Whether it may have become ready since it was last heard: where there are outages, its word comes late."""
        ready_ms = intent.arrived_ms + self._at.tuning.listen_ms - limits.INTENT_MS
        return not intent.held and intent.stamp_ms < ready_ms <= now_ms - self._at.tuning.eps_ms

    def _propose(self, wanted: list[Intent], local: Local, now_ms: int) -> None:
        at = self._at
        decide_by_ms = now_ms + self._turn.decide_ms(
            at.peers.latency_ms(now_ms), at.outage_ms(now_ms), len(at.concerned(now_ms))
        )
        known = at.known(now_ms)
        try:
            planned = at.ports.planner.plan(wanted, known, now_ms, decide_by_ms)
        except FleetError as error:
            planned = PlannedBatch((), ((at.me, f"planner:{error}"),))
        if any(vehicle == at.me for vehicle, _ in planned.refused):
            at.planless_until_ms = now_ms + limits.BACKOFF_MS[-1] + limits.DECIDE_MS_MAX
        if not planned.entries:
            at.outbox.note("no_plan", refused=[list(pair) for pair in planned.refused])
            self._turn.failed(now_ms)
            return
        message = self._fitting(planned, local, now_ms, decide_by_ms)
        if message is None:
            self._turn.failed(now_ms)
            return
        self._open(message, planned, known, local, now_ms)

    def _fitting(self, planned: PlannedBatch, local: Local, now_ms: int, decide_by_ms: int) -> Message | None:
        """The longest head of the batch that fits the limits of members and datagram; later plans depend on earlier."""
        at = self._at
        concerned = at.concerned(now_ms)
        at.missed = {name: ms for name, ms in at.missed.items() if now_ms - ms <= limits.PEER_SILENT_MS}
        missed = {name for name in at.missed if name not in concerned}
        for count in range(min(len(planned.entries), limits.BATCH_MAX), 0, -1):
            batch = tuple(Entry(*entry) for entry in planned.entries[:count])
            required = at.ports.judge.required_members(batch, concerned, local)
            members = tuple(sorted({entry.vehicle for entry in batch} | required | missed | {at.me}))
            foreign = [v for v in members if v in concerned and concerned[v].charter_id != at.identity.charter_id]
            if foreign:
                reason = [f"charter_mismatch:{vehicle}" for vehicle in foreign]
            elif len(members) > limits.MEMBERS_MAX:
                reason = [f"members_over_limit:{len(members)}"]
            else:
                try:
                    return at.outbox.sign(self._proposal(members, batch, now_ms, decide_by_ms))
                except (LocalProtocolError, ValueError) as error:
                    reason = [f"not_a_message:{error}"]
        at.outbox.note("no_proposal", reasons=reason)
        return None

    def _proposal(self, members: tuple[str, ...], batch: tuple[Entry, ...], now_ms: int, decide_by_ms: int) -> Proposal:
        at = self._at
        return Proposal(
            coordinator=at.me, epoch=(self._epoch + 1) % 65_536, stamp_ms=now_ms, decide_by_ms=decide_by_ms,
            members=members, batch=batch, charter_id=at.identity.charter_id, commitments_digest=at.ledger.digest(),
        )  # fmt: skip

    def _open(self, message: Message, planned: PlannedBatch, known: list[LiveTube], local: Local, now_ms: int) -> None:
        """Judge the own proposal like anybody's; what this vehicle would not sign it does not send."""
        at, proposal = self._at, message.body
        if not isinstance(proposal, Proposal):
            raise LocalProtocolError("a proposal was sealed as something else")
        self._epoch = proposal.epoch
        ballot = Ballot(message, proposal, now_ms)
        reasons = at.objections(ballot, local, now_ms).reasons
        if reasons:
            at.outbox.note("refusal", proposal=ballot.hash.hex(), coordinator=at.me, reasons=list(reasons))
            at.stats.objections["own"] += 1
            self._turn.failed(now_ms)
            return
        at.outbox.note(
            "proposal", proposal=ballot.hash.hex(), epoch=proposal.epoch, members=list(proposal.members),
            batch=[entry.vehicle for entry in proposal.batch], decide_by_ms=proposal.decide_by_ms,
            against=len(known), refused=[list(pair) for pair in planned.refused],
        )  # fmt: skip
        at.ballots[ballot.hash] = ballot
        self._voting.accept(ballot, now_ms)
