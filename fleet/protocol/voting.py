"""Proposals, votes, certificates and releases: from bytes heard to a tube adopted (rules P1 to P6)."""

from __future__ import annotations

from collections import deque

from fleet.errors import LocalProtocolError
from fleet.protocol import keys, limits
from fleet.protocol.ballot import Ballot, Own
from fleet.protocol.contradiction import GivenBack, of_answers, of_proposals
from fleet.protocol.records import Adopt, Commitment, Contradiction, Drop, Local
from fleet.protocol.situation import Objections, Situation
from fleet.protocol.table import Event, after
from fleet.protocol.turn import Turn
from fleet.protocol.wire import Abort, Certificate, Message, Proposal, Reject, Release, Vote


class Voting:
    """One vehicle's part in all ballots it knows."""

    def __init__(self, situation: Situation, turn: Turn) -> None:
        self._at = situation
        self._turn = turn
        self.given_back = GivenBack()
        self._orphans: deque[Message] = deque(maxlen=limits.ORPHANS_MAX)
        self.certificates: deque[bytes] = deque(maxlen=limits.CERTIFICATES_MAX)
        self._unsaid: deque[bytes] = deque(maxlen=limits.LIVE_MAX)
        """Given back while nothing could be signed: before the first estimate, or in doubt about the clock."""

    def clear(self) -> None:
        """Forget the ballots of a zone that was left; promises stay in the ledger."""
        self._at.ballots.clear()
        self._at.missed.clear()
        self._at.disowned.clear()
        self.given_back.clear()
        self._orphans.clear()
        self.certificates.clear()
        self._unsaid.clear()

    # What is heard. Each returns why a message was not taken, or nothing.

    def on_proposal(self, message: Message, proposal: Proposal, now_ms: int) -> str:
        at = self._at
        if message.digest in at.ballots:
            return ""
        age_ms = now_ms - proposal.stamp_ms
        found = of_proposals(at.ballots, message, proposal)
        if found is not None:
            self.accuse(found, now_ms)
            return "contradiction"
        if now_ms > proposal.decide_by_ms:
            return "too_late"
        if age_ms < -2 * at.tuning.eps_ms:
            return "not_fresh"
        if proposal.stamp_ms <= at.engaged_ms + 2 * at.tuning.eps_ms:
            return "before_engagement"  # it may have been answered in an engagement, or a life, that is forgotten
        open_now = [ballot for ballot in at.ballots.values() if ballot.undecided(now_ms)]
        theirs = sum(ballot.proposal.coordinator == proposal.coordinator for ballot in open_now)
        if len(at.ballots) >= limits.BALLOTS_MAX or theirs >= limits.BALLOTS_PER_SENDER_MAX:
            return "ballots_full"
        ballot = Ballot(message, proposal, now_ms)
        at.ballots[message.digest] = ballot
        if at.me in ballot.position:
            self._turn.progress(now_ms)
        if message.digest in at.disowned:
            ballot.own, ballot.closed, ballot.given_up = Own.REFUSED, True, ballot.names(at.me)
            return ""
        for orphan in [o for o in self._orphans if _subject(o) == message.digest]:
            self._orphans.remove(orphan)
            self._take(orphan, now_ms)
        self.consider(ballot, now_ms)
        return ""

    def on_ballot_message(self, message: Message, now_ms: int) -> str:
        """A vote, refusal, certificate or abort."""
        if _subject(message) in self._at.ballots:
            return self._take(message, now_ms)
        if isinstance(message.body, (Abort, Reject)):
            self._disown(_subject(message), now_ms)
        else:
            self._orphans.append(message)
        return ""

    def on_release(self, message: Message, release: Release, now_ms: int) -> str:
        """The sender's own tubes are dead, by its own word."""
        found = self.given_back.release(message, release, self._at.peers.newest(message.sender))
        if found is not None:
            self.accuse(found, now_ms)
        for proposal_hash in release.proposals:
            if self._at.ledger.remove(message.sender, proposal_hash):
                self._turn.progress(now_ms)
        return ""

    def consider(self, ballot: Ballot, now_ms: int) -> None:
        """Sign or refuse once, if this vehicle is a member and may sign now; otherwise a later tick does."""
        at = self._at
        if ballot.own is not Own.NOTHING or at.me not in ballot.position or not ballot.undecided(now_ms):
            return
        local = at.may_sign(now_ms)
        if local is None:
            return
        looked = ballot.deaths
        objections = at.objections(ballot, local, now_ms)
        waits = objections.reasons and not objections.final and ballot.deaths != looked
        if waits and self._yields_to(ballot, local, now_ms):
            objections = at.objections(ballot, local, now_ms)
        if not objections.reasons:
            self.accept(ballot, now_ms)
        elif objections.final or not ballot.patient(now_ms):
            self._refuse(ballot, objections, local, now_ms)

    def accept(self, ballot: Ballot, now_ms: int) -> None:
        """Promise to keep clear: on disk first, then on air."""
        at = self._at
        ballot.own = Own.ACCEPTED
        at.ledger.add(ballot.proposal, ballot.hash, "promise", at.bodies(ballot.proposal))
        vote = at.outbox.sign(Vote(ballot.hash, True))
        for entry in ballot.proposal.batch:
            newest = at.peers.newest(entry.vehicle)
            if newest is not None:
                at.outbox.persist(newest.raw)  # the body that the tube was judged with
        at.outbox.persist(ballot.message.raw)
        at.outbox.persist(vote.raw)
        if ballot.proposal.coordinator == at.me:
            at.outbox.send(ballot.message)
        at.outbox.send(vote)
        at.outbox.note("vote", proposal=ballot.hash.hex(), coordinator=ballot.proposal.coordinator)
        ballot.votes[ballot.position[at.me]] = vote.signature
        self._completed(ballot, now_ms)

    def tick(self, now_ms: int) -> None:
        """Late votes and adoptions, and the end of what was not decided in time."""
        at = self._at
        if self._unsaid and at.trusts_clock(now_ms):
            self._say_release(tuple(self._unsaid), now_ms)
            self._unsaid.clear()
        for proposal in [p for p, ms in at.disowned.items() if now_ms - ms > limits.DECIDE_MS_MAX]:
            del at.disowned[proposal]
        for ballot in list(at.ballots.values()):
            self.consider(ballot, now_ms)
            if ballot.complete_ms is not None:
                self._adopt(ballot, now_ms)
            if now_ms > ballot.proposal.decide_by_ms:
                self._over(ballot, now_ms)
            if now_ms > ballot.proposal.decide_by_ms + limits.FRESH_MS + at.tuning.eps_ms:
                del at.ballots[ballot.hash]

    def end_commitment(self, reason: str, now_ms: int) -> None:
        """Give the adopted tube back and say so."""
        at = self._at
        held = at.commitment
        if held is None:
            raise LocalProtocolError(f"no commitment to give back ({reason})")
        at.commitment = None
        at.phase = after(at.phase, Event.CLEARED if reason == "cleared" else Event.LOST)
        at.ledger.remove(at.me, held.proposal_hash)
        if held.proposal_hash in at.ballots:
            at.ballots[held.proposal_hash].given_up = True
        self._release((held.proposal_hash,), reason, now_ms)
        at.outbox.apply(Drop(held.proposal_hash, reason))
        self._turn.progress(now_ms)

    def give_up_pending(self, reason: str, now_ms: int, *, keep: bytes = b"") -> None:
        """The own tubes not adopted yet will not be, but for ``keep``."""
        given = []
        for ballot in self._at.ballots.values():
            if self._is_pending(ballot) and ballot.hash != keep:
                ballot.given_up = True
                self._at.ledger.remove(self._at.me, ballot.hash)
                given.append(ballot.hash)
        if given:
            self._release(tuple(given), reason, now_ms)

    def accuse(self, found: Contradiction, now_ms: int) -> None:
        """Proof against a peer: pass it on to the node, and do without the peer."""
        self._at.outbox.apply(found)
        self.quarantine(found.vehicle, found.digest, now_ms, kind=found.kind)

    def quarantine(self, vehicle: str, evidence_digest: bytes, now_ms: int, *, kind: str) -> None:
        """From now on ``vehicle`` is a body, not a peer (rules P10, P14); its tubes are respected until they die."""
        at = self._at
        if vehicle in at.quarantined or vehicle == at.me:
            return
        full = len(at.quarantined) >= limits.QUARANTINE_MAX
        at.outbox.note(
            "quarantine_full" if full else "quarantine", vehicle=vehicle, evidence=evidence_digest.hex(), why=kind
        )
        if full:
            return
        at.quarantined[vehicle] = evidence_digest
        at.peers.forget(vehicle)
        for ballot in at.ballots.values():
            if vehicle in ballot.position:
                self.close(ballot, f"quarantined:{vehicle}", now_ms)

    # Private.

    def _yields_to(self, older: Ballot, local: Local, now_ms: int) -> bool:
        """Whether proposals of this vehicle were given up since they alone stand in the way of an ``older`` one.

        Its coordinator has promised the older one and refuses the younger: nothing can come of that any more,
        and the refusal may be long on its way.
        """
        at, age = self._at, (older.proposal.stamp_ms, older.proposal.coordinator)
        doomed = [
            ballot
            for ballot in at.ballots.values()
            if ballot.proposal.coordinator == at.me and ballot.undecided(now_ms)
            and (ballot.proposal.stamp_ms, at.me) > age and older.proposal.coordinator in ballot.position
        ]  # fmt: skip
        hashes = {ballot.hash for ballot in doomed}
        rest = [tube for tube in at.known(now_ms, without=older.hash) if tube.proposal_hash not in hashes]
        if not doomed or at.ports.judge.verify(older.proposal, rest, local):
            return False
        for ballot in doomed:
            self.close(ballot, f"older:{older.proposal.coordinator}", now_ms, yielding=True)
        return True

    def _disown(self, proposal: bytes, now_ms: int) -> None:
        """Somebody has refused or aborted a proposal that is not known here: say at once that it never will be signed.

        Those who promised this vehicle a tube in it need not wait for its ``decide_by``.
        """
        held = self._at.commitment
        if held is not None and held.proposal_hash == proposal:
            return  # late words about what was agreed long ago
        disowned = self._at.disowned
        if proposal not in disowned and len(disowned) < limits.DEAD_MAX:  # full: what has been said dead stays so
            disowned[proposal] = now_ms
            self._at.announce = True

    def _take(self, message: Message, now_ms: int) -> str:
        ballot = self._at.ballots[_subject(message)]
        body = message.body
        if message.sender not in ballot.position:
            return "not_a_member"
        if isinstance(body, Vote):
            position = ballot.position[message.sender]
            ballot.votes.setdefault(position, message.signature)
            ballot.learn(message.sender, 1 << position)
            if self._contradicts(ballot, message.sender, now_ms):
                return "contradiction"
            self._completed(ballot, now_ms)
        elif isinstance(body, Certificate):
            ballot.learn(message.sender, sum(1 << position for position, _ in body.votes))
            return self._merge(ballot, body, now_ms)
        elif isinstance(body, Reject):
            ballot.refusals.setdefault(message.sender, message)
            if self._contradicts(ballot, message.sender, now_ms):
                return "contradiction"
            if body.counter and message.sender not in ballot.refused_by:  # refusals are said again and again
                self._at.peers.offer(message.sender, body.counter)
            if ballot.proposal.coordinator == self._at.me:
                self._at.missed.update(dict.fromkeys(body.missing, now_ms))
            self._at.ledger.remove(message.sender, ballot.hash)  # who refuses will never adopt its own tube in it
            self._refused(ballot, message.sender, body.reasons, now_ms)
        elif isinstance(body, Abort) and message.sender == ballot.proposal.coordinator:
            self.close(ballot, "aborted", now_ms)
        return ""

    def _contradicts(self, ballot: Ballot, member: str, now_ms: int) -> bool:
        """Whether ``member`` has both accepted and refused; then it is a liar."""
        refusal = ballot.refusals.get(member)
        found = None if refusal is None else of_answers(ballot, member, refusal)
        if found is not None:
            self.accuse(found, now_ms)
        return found is not None

    def _merge(self, ballot: Ballot, certificate: Certificate, now_ms: int) -> str:
        """Take the signatures that are new and good."""
        at, members = self._at, ballot.proposal.members
        problem = ""
        for position, signature in certificate.votes:
            if position >= len(members):
                return "bad_certificate"
            if position in ballot.votes:
                continue
            covered = keys.vote_statement(at.outbox.zone, at.outbox.session, members[position], ballot.hash)
            if at.ports.codec.check(members[position], covered, signature):
                ballot.votes[position] = signature
                self._contradicts(ballot, members[position], now_ms)
            else:
                problem = "bad_certificate"
        self._completed(ballot, now_ms)
        return problem

    def _completed(self, ballot: Ballot, now_ms: int) -> None:
        """If all have signed: a certificate. Its tubes are live for everybody who knows it."""
        at, proposal = self._at, ballot.proposal
        if ballot.complete_ms is not None or not ballot.complete:
            return
        ballot.complete_ms = now_ms
        self.certificates.append(ballot.prefix)
        denied = [
            entry.vehicle
            for entry in proposal.batch
            if at.ledger.denies(at.peers.intent(entry.vehicle), ballot.hash, proposal.decide_by_ms)
            or (ballot.own is Own.ACCEPTED and not at.ledger.has(entry.vehicle, ballot.hash))
        ]
        at.ledger.add(proposal, ballot.hash, "certificate", at.bodies(proposal), frozenset(denied))
        at.stats.decide(max(0, now_ms - proposal.stamp_ms))
        at.outbox.note(
            "certificate", proposal=ballot.hash.hex(), members=len(proposal.members), age_ms=now_ms - proposal.stamp_ms
        )
        if proposal.coordinator == at.me:
            self._turn.succeeded(now_ms)
            if len(proposal.members) > 1 and at.trusts_clock(now_ms):
                for part in ballot.parts():
                    at.outbox.post(part)
        else:
            self._turn.progress(now_ms)
        self._adopt(ballot, now_ms)

    def _adopt(self, ballot: Ballot, now_ms: int) -> None:
        at = self._at
        entry = next((entry for entry in ballot.proposal.batch if entry.vehicle == at.me), None)
        if entry is None or not self._is_pending(ballot) or now_ms > ballot.proposal.decide_by_ms:
            return
        local = at.may_sign(now_ms)
        if local is None:
            return
        reasons = at.adoption_objections(ballot, local, entry.lease_end_ms, now_ms)
        if reasons:
            self._give_up(ballot, f"not_adopted:{reasons[0]}", now_ms)
            return
        replaced = at.commitment
        at.phase = after(at.phase, Event.ADOPTED)
        at.commitment = Commitment(ballot.hash, entry.plan, entry.lease_end_ms, now_ms, ballot.proposal.members)
        for part in ballot.parts():
            at.outbox.persist(at.outbox.sign(part).raw)
        if replaced is not None:
            at.ledger.remove(at.me, replaced.proposal_hash)
            if replaced.proposal_hash in at.ballots:
                at.ballots[replaced.proposal_hash].given_up = True
            at.outbox.apply(Drop(replaced.proposal_hash, "replaced"))
            self._release((replaced.proposal_hash,), "replaced", now_ms)
        at.outbox.apply(Adopt(ballot.hash, entry.plan, entry.lease_end_ms))
        at.outbox.note("commit", proposal=ballot.hash.hex(), lease_end_ms=entry.lease_end_ms)
        at.announce = True
        self.give_up_pending("other_adopted", now_ms, keep=ballot.hash)

    def _is_pending(self, ballot: Ballot) -> bool:
        """Whether the own tube is promised by this vehicle, not adopted, and not given up."""
        held = self._at.commitment
        return (
            ballot.own is Own.ACCEPTED
            and not ballot.given_up
            and ballot.names(self._at.me)
            and (held is None or held.proposal_hash != ballot.hash)
        )

    def _refuse(self, ballot: Ballot, objections: Objections, local: Local, now_ms: int) -> None:
        at, reasons = self._at, objections.reasons
        ballot.own = Own.REFUSED
        ballot.given_up = ballot.names(at.me)
        for reason in reasons:
            at.stats.objections[reason.partition(":")[0]] += 1
        at.outbox.note(
            "refusal", proposal=ballot.hash.hex(), coordinator=ballot.proposal.coordinator, reasons=list(reasons),
            same_knowledge=ballot.proposal.commitments_digest == at.ledger.digest(),
        )  # fmt: skip
        if ballot.proposal.coordinator != at.me:
            counter = local.plan if ballot.names(at.me) and at.commitment is None else b""
            ballot.last_word = at.outbox.post(Reject(ballot.hash, reasons, objections.missing, counter))
            at.announce = at.announce or bool(counter)
        self._refused(ballot, at.me, reasons, now_ms)

    def _refused(self, ballot: Ballot, who: str, reasons: tuple[str, ...], now_ms: int) -> None:
        """Some member will never sign: the own tube in it is given up at once, so that others may go on."""
        ballot.refused_by.setdefault(who, reasons)
        self.close(ballot, f"refused_by:{who}", now_ms)

    def close(self, ballot: Ballot, why: str, now_ms: int, *, yielding: bool = False) -> None:
        """Nothing comes of it any more: the own tube in it is given up, and others are told.

        Whoever is ``yielding`` has not failed, and need not wait before it proposes again.
        """
        at = self._at
        if ballot.complete_ms is not None or ballot.closed:
            return
        ballot.closed = True
        if ballot.own is Own.NOTHING and ballot.names(at.me):
            ballot.own = Own.REFUSED  # too late to sign: those who promised this vehicle its tube may know at once
            self._give_up(ballot, why, now_ms)
        elif self._is_pending(ballot):
            self._give_up(ballot, why, now_ms)
        if ballot.proposal.coordinator == at.me:
            if yielding:
                self._turn.progress(now_ms)
            else:
                self._turn.failed(now_ms)
            if at.trusts_clock(now_ms):
                ballot.last_word = at.outbox.post(Abort(ballot.hash, why[: limits.REASON_CHARS_MAX], now_ms))
            at.outbox.note("abort", proposal=ballot.hash.hex(), why=why)

    def _over(self, ballot: Ballot, now_ms: int) -> None:
        """``decide_by`` has passed: what is not adopted now never will be."""
        at = self._at
        if self._is_pending(ballot):
            ballot.given_up = True
            at.ledger.remove(at.me, ballot.hash)
        if ballot.complete_ms is None and not ballot.closed:
            ballot.closed = True
            if at.me in ballot.position:
                at.outbox.note("timeout", proposal=ballot.hash.hex(), missing=list(ballot.missing()))
            if ballot.proposal.coordinator == at.me:
                at.stats.failed += 1
                self._turn.timed_out(now_ms)

    def _give_up(self, ballot: Ballot, reason: str, now_ms: int) -> None:
        ballot.given_up = True
        self._at.ledger.remove(self._at.me, ballot.hash)
        self._release((ballot.hash,), reason, now_ms)

    def _release(self, proposals: tuple[bytes, ...], reason: str, now_ms: int) -> None:
        at = self._at
        if at.trusts_clock(now_ms):
            self._say_release(proposals, now_ms)
        else:
            self._unsaid.extend(proposals)
        at.outbox.note("release", proposals=[proposal.hex() for proposal in proposals], reason=reason)
        at.announce = True

    def _say_release(self, proposals: tuple[bytes, ...], now_ms: int) -> None:
        self._at.outbox.persist(self._at.outbox.post(Release(proposals, now_ms)).raw)


def _subject(message: Message) -> bytes:
    """The proposal that a vote, refusal, certificate or abort is about."""
    body = message.body
    return body.proposal if isinstance(body, (Vote, Reject, Certificate, Abort)) else b""
