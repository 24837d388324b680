"""Defects of one line each, to be switched on in tests only: what the oracles must be able to see.

The list was written before any seed was looked at. Each patches protocol, store or kernel of the running
process through ``pytest.MonkeyPatch``; nothing of it exists in shipped code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fleet.protocol.ballot import Ballot, Own
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.ledger import Ledger
from fleet.protocol.outbox import Outbox
from fleet.protocol.peers import Peers
from fleet.protocol.records import Local
from fleet.protocol.restore import SEQ_AHEAD, Restored, restore
from fleet.protocol.situation import Objections, Situation
from fleet.protocol.voting import Voting
from fleet.protocol.wire import Abort, Reject, Vote
from sim.faults import node as node_module
from sim.faults import plans, stub_planning
from sim.faults.disk import Disk
from sim.faults.eyes import Eyes
from sim.faults.node import Node
from sim.faults.stub_planning import Judge

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect."""

    name: str
    what: str
    apply: Callable[[Patch], None]
    profile: str = "ci"
    """Whose faults can bring it to light."""
    case: str = ""
    """A kept case that shows it, where seeds that do are rare."""


def no_persist(patch: Patch) -> None:
    patch.setattr(Outbox, "persist", lambda self, record: None)


def no_fsync(patch: Patch) -> None:
    patch.setattr(Disk, "sync", lambda self: None)


def lock_per_epoch(patch: Patch) -> None:
    known, objections = Situation.known, Situation.objections

    def no_promises(self: Situation, now_ms: int, *, without: bytes = b"") -> list[Any]:
        return [tube for tube in known(self, now_ms, without=without) if tube.kind != "promise"]

    def one_per_epoch(self: Situation, ballot: Ballot, local: Local, now_ms: int) -> Objections:
        epochs = {b.proposal.epoch for b in self.ballots.values() if b.own is Own.ACCEPTED}
        if ballot.proposal.epoch in epochs:
            return Objections(("epoch",), True, ())
        return objections(self, ballot, local, now_ms)

    patch.setattr(Situation, "known", no_promises)
    patch.setattr(Situation, "objections", one_per_epoch)


def majority_vote(patch: Patch) -> None:
    patch.setattr(Ballot, "complete", property(lambda b: 2 * len(b.votes) > len(b.proposal.members)))


def eps_ignored(patch: Patch) -> None:
    """Tubes may follow each other without room for two clocks."""
    patch.setattr(plans, "CLOCKS_MS", 0)
    patch.setattr(stub_planning, "CLOCKS_MS", 0)


def expiry_without_eps(patch: Patch) -> None:
    init = Ledger.__init__
    patch.setattr(Ledger, "__init__", lambda self, eps_ms: init(self, 0))


def commit_after_lease(patch: Patch) -> None:
    """The judge lets a plan end after its lease."""
    alone = Judge._alone

    def late(self: Judge, *args: Any) -> list[str]:
        return [reason for reason in alone(self, *args) if not reason.startswith("lease:")]

    patch.setattr(Judge, "_alone", late)


def perceived_skipped(patch: Patch) -> None:
    tick = Core.tick
    patch.setattr(Core, "tick", lambda self, local: tick(self, replace(local, blocking=(), perceived=())))
    patch.setattr(Node, "_why_not", lambda self, now: "stopped" if self.stopped else "")


def sign_after_restart(patch: Patch) -> None:
    """Nothing of the log is known again."""
    patch.setattr(node_module, "restore", lambda records, me, now_ms, eps_ms: Restored(0, seq=now_ms + SEQ_AHEAD))


def no_quiet_after_restart(patch: Patch) -> None:
    """The log is known again, but what was refused is not, and may be signed."""
    patch.setattr(node_module, "restore", lambda *args: replace(restore(*args), quiet_until_ms=0))
    patch.setattr(Voting, "on_proposal", _any_proposal)


def _any_proposal(self: Voting, message: Any, proposal: Any, now_ms: int) -> str:
    if message.digest not in self._at.ballots and now_ms <= proposal.decide_by_ms:
        ballot = Ballot(message, proposal, now_ms)
        self._at.ballots[message.digest] = ballot
        self.consider(ballot, now_ms)
    return ""


def standing_leaves_out(patch: Patch) -> None:
    """A vehicle that stands agrees although a silent one waits too."""
    patch.setattr(Node, "_may_leave_out", lambda self: True)


def by_sight_without_looking(patch: Patch) -> None:
    """Who crosses by sight does not stop again for anybody who moves."""
    look = Eyes.look

    def stare(self: Eyes, now: int) -> None:
        look(self, now)
        if self._node.sight.active:
            self.moving = ()

    patch.setattr(Eyes, "look", stare)


def clock_doubt_unsaid(patch: Patch) -> None:
    """A clock that has jumped goes on being trusted (rule P12)."""
    patch.setattr(Node, "_watch_clock", lambda self: None)


def duplicate_vote_counted(patch: Patch) -> None:
    take = Voting._take

    def twice(self: Voting, message: Any, now_ms: int) -> str:
        ballot = self._at.ballots[message.body.proposal]
        if isinstance(message.body, Vote) and message.sender in ballot.position:
            free = [k for k in range(len(ballot.position)) if k not in ballot.votes]
            if free and ballot.position[message.sender] in ballot.votes:
                ballot.votes[free[0]] = message.signature
                self._completed(ballot, now_ms)
        return take(self, message, now_ms)

    patch.setattr(Voting, "_take", twice)


def release_before_clear(patch: Patch) -> None:
    tick = Core.tick

    def early(self: Core, local: Local) -> None:
        tick(self, replace(local, cleared=local.cleared or local.pnr_passed))

    patch.setattr(Core, "tick", early)


def absurd_plan_accepted(patch: Patch) -> None:
    """Speeds beyond every limit and plans that do not begin where the vehicle is."""
    alone = Judge._alone

    def lenient(self: Judge, *args: Any) -> list[str]:
        return [reason for reason in alone(self, *args) if reason.split(":")[0] not in ("limits", "coincide", "path")]

    patch.setattr(Judge, "_alone", lenient)


def stale_certificate(patch: Patch) -> None:
    """A certificate is used, and gossiped, after its decide_by."""
    adopt = Voting._adopt

    def late(self: Voting, ballot: Ballot, now_ms: int) -> None:
        adopt(self, ballot, min(now_ms, ballot.proposal.decide_by_ms))

    patch.setattr(Voting, "_adopt", late)
    patch.setattr(Voting, "_over", lambda self, ballot, now_ms: None)


def wrong_zone(patch: Patch) -> None:
    step = Core.step

    def any_zone(self: Core, raw: bytes, now_ms: int) -> None:
        message = self._codec.open(raw).message
        zone, session = self._zone, self._session
        if message is not None:
            self._zone, self._session = message.zone, message.session
        step(self, raw, now_ms)
        self._zone, self._session = zone, session

    patch.setattr(Core, "step", any_zone)


def promise_dropped_when_full(patch: Patch) -> None:
    add = Ledger.add

    def bounded(self: Ledger, *args: Any) -> None:
        for vehicle in sorted(self._tubes) if len(self) > 2 else ():
            self._tubes.pop(vehicle)
        self._count = sum(map(len, self._tubes.values()))
        add(self, *args)

    patch.setattr(Ledger, "add", bounded)


def abort_after_no_return(patch: Patch) -> None:
    take = Voting._take

    def give_up(self: Voting, message: Any, now_ms: int) -> str:
        held, subject = self._at.commitment, message.body.proposal
        if isinstance(message.body, (Abort, Reject)) and held is not None and held.proposal_hash == subject:
            self.end_commitment("released:abort", now_ms)
        return take(self, message, now_ms)

    patch.setattr(Voting, "_take", give_up)


def vote_on_expired(patch: Patch) -> None:
    patch.setattr(Ballot, "undecided", lambda self, now_ms: not self.closed and self.complete_ms is None)
    on_proposal = Voting.on_proposal

    def late(self: Voting, message: Any, proposal: Any, now_ms: int) -> str:
        return on_proposal(self, message, proposal, min(now_ms, proposal.decide_by_ms))

    patch.setattr(Voting, "on_proposal", late)


def roster_ignored(patch: Patch) -> None:
    patch.setattr(Situation, "_missing", lambda self, proposal, concerned, local, now_ms: ((), False))


def lease_off(patch: Patch) -> None:
    """Promises die when the decision is over, not when the lease is."""
    put = Ledger.put

    def short(self: Ledger, tube: Any) -> None:
        put(self, replace(tube, lease_end_ms=tube.decide_by_ms or tube.lease_end_ms))

    patch.setattr(Ledger, "put", short)


def signature_unchecked(patch: Patch) -> None:
    patch.setattr(Codec, "authenticate", lambda self, opened: True)


def certificate_unchecked(patch: Patch) -> None:
    patch.setattr(Codec, "check", lambda self, signer, covered, signature: True)


def replay_accepted(patch: Patch) -> None:
    hear = Peers.hear

    def any_age(self: Peers, opened: Any, sender: str, intent: Any, now_ms: int) -> str:
        peer = self._peers.get(sender)
        if peer is not None and self._codec.authenticate(opened):
            peer.intent, peer.opened, peer.heard_ms = intent, opened, now_ms
            self._changed[sender] = None
            self._memo.clear()
            return ""
        return hear(self, opened, sender, intent, now_ms)

    patch.setattr(Peers, "hear", any_age)


def live_list_forgets(patch: Patch) -> None:
    patch.setattr(
        Situation, "own_live",
        lambda self, now_ms: () if self.commitment is None else (self.commitment.proposal_hash,),
    )  # fmt: skip


def live_list_ignored(patch: Patch) -> None:
    """A tube counts as dead although its holder's intents list it, once decide_by has passed."""

    def denies(self: Ledger, intent: Any, proposal_hash: bytes, decide_by_ms: int) -> bool:
        return intent is not None and intent.stamp_ms >= decide_by_ms

    patch.setattr(Ledger, "denies", denies)


def denied_too_soon(patch: Patch) -> None:
    """An intent without the tube counts as its death although it may still be adopted."""

    def denies(self: Ledger, intent: Any, proposal_hash: bytes, decide_by_ms: int) -> bool:
        return intent is not None and proposal_hash not in intent.live

    patch.setattr(Ledger, "denies", denies)


def absent_dropped(patch: Patch) -> None:
    known = Situation.known

    def forget(self: Situation, now_ms: int, *, without: bytes = b"") -> list[Any]:
        here = set(self.peers.fresh(now_ms)) | {self.me}
        for vehicle in sorted(set(self.ledger._tubes) - here):
            for proposal_hash in list(self.ledger.of(vehicle)):
                self.ledger.remove(vehicle, proposal_hash)
        return known(self, now_ms, without=without)

    patch.setattr(Situation, "known", forget)


def abort_frees(patch: Patch) -> None:
    """An abort or a refusal kills every tube of its proposal."""
    take = Voting._take

    def free(self: Voting, message: Any, now_ms: int) -> str:
        ballot = self._at.ballots[message.body.proposal]
        if isinstance(message.body, (Abort, Reject)):
            for entry in ballot.proposal.batch:
                self._at.ledger.remove(entry.vehicle, ballot.hash)
        return take(self, message, now_ms)

    patch.setattr(Voting, "_take", free)


def enter_without_right(patch: Patch) -> None:
    """The kernel goes on at the point of no return whatever it holds."""
    patch.setattr(Node, "at_no_return", lambda self: setattr(self, "passed", True))
    patch.setattr(Core, "release", lambda self, reason, now_ms: None)


def stops_inside(patch: Patch) -> None:
    """A commitment can be given back beyond the point of no return."""
    tick = Core.tick

    def give_back(self: Core, local: Local) -> None:
        tick(self, local)
        if local.pnr_passed and not local.cleared and self.commitment is not None and local.blocking:
            self._voting.end_commitment("released:blocked", local.now_ms)

    patch.setattr(Core, "tick", give_back)


def votes_before_listening(patch: Patch) -> None:
    """After engaging, the vehicle signs at once, before it has heard who is here."""
    patch.setattr(Situation, "may_sign", lambda self, now_ms: self.local if self.engaged else None)


def judge_skips_batch(patch: Patch) -> None:
    verify = Judge.verify

    def apart(self: Judge, *args: Any) -> tuple[str, ...]:
        return tuple(reason for reason in verify(self, *args) if not reason.startswith("batch:"))

    patch.setattr(Judge, "verify", apart)


STAND, START = "p08-both-stand", "p09-both-start"
MUTANTS = (
    Mutant("no_persist", "a vote is sent and never written", no_persist),
    Mutant("no_fsync", "a vote is written and not flushed before it is sent", no_fsync),
    Mutant("lock_per_epoch", "one promise per epoch, not per tube", lock_per_epoch, "byzantine"),
    Mutant("majority_vote", "more than half of the members suffice", majority_vote),
    Mutant("eps_ignored", "tubes follow each other without room for two clocks", eps_ignored),
    Mutant("commit_after_lease", "a plan may end after its lease", commit_after_lease, "byzantine"),
    Mutant("perceived_skipped", "bodies that say nothing are not looked at", perceived_skipped, "nightly"),
    Mutant("sign_after_restart", "a restarted node signs at once", sign_after_restart, "nightly"),
    Mutant("no_quiet_after_restart", "after a restart the refused may be signed", no_quiet_after_restart, "nightly"),
    Mutant("standing_leaves_out", "one that stands leaves out one that stands", standing_leaves_out, "nightly", STAND),
    Mutant("by_sight_without_looking", "by sight, nobody is stopped for", by_sight_without_looking, "nightly", START),
    Mutant("clock_doubt_unsaid", "a clock that has jumped is trusted", clock_doubt_unsaid, "nightly"),
    Mutant("duplicate_vote_counted", "a vote heard twice counts twice", duplicate_vote_counted),
    Mutant("release_before_clear", "the tube is given back on entering", release_before_clear),
    Mutant("absurd_plan_accepted", "numbers beyond every limit are signed", absurd_plan_accepted, "byzantine"),
    Mutant("stale_certificate", "a certificate is used after decide_by", stale_certificate),
    Mutant("wrong_zone", "messages of other zones and sessions count", wrong_zone, "byzantine"),
    Mutant("promise_dropped_when_full", "a full ledger forgets promises", promise_dropped_when_full),
    Mutant("abort_after_no_return", "an abort ends a commitment at any time", abort_after_no_return, "byzantine"),
    Mutant("vote_on_expired", "votes after decide_by", vote_on_expired),
    Mutant("roster_ignored", "members may be left out", roster_ignored, "byzantine"),
    Mutant("lease_off", "promises end with the decision, not the lease", lease_off, "nightly"),
    Mutant("signature_unchecked", "datagrams in any name count", signature_unchecked, "byzantine"),
    Mutant("certificate_unchecked", "a certificate's signatures are not checked", certificate_unchecked, "byzantine"),
    Mutant("live_list_ignored", "after decide_by a tube counts as dead although it is listed", live_list_ignored),
    Mutant("denied_too_soon", "before decide_by a tube counts as dead if not listed", denied_too_soon),
    Mutant("absent_dropped", "the tubes of a vehicle not heard for 500 ms are forgotten", absent_dropped, "nightly"),
    Mutant("abort_frees", "an abort or refusal frees every tube of its proposal", abort_frees, "byzantine"),
    Mutant("enter_without_right", "the kernel does not ask before the line", enter_without_right),
    Mutant("stops_inside", "a commitment is given back beyond the point of no return", stops_inside, "nightly"),
    Mutant("votes_before_listening", "signs before it has heard who is here", votes_before_listening),
    Mutant("judge_skips_batch", "plans of one batch are not compared", judge_skips_batch, "byzantine"),
)  # fmt: skip
HARMLESS = (
    Mutant("replay_accepted", "an older intent replaces a newer one", replay_accepted, "byzantine"),
    Mutant("expiry_without_eps", "promises and denials end without the clock bound", expiry_without_eps),
    Mutant("live_list_forgets", "intents do not list tubes that may still be adopted", live_list_forgets),
)
"""Written as defects, then seen to be none: a promise outlives its tube by more than 2 eps already, and until
decide_by + 2 eps nobody takes a tube that is not listed for dead, while later only adopted tubes are listed. An
older intent kills no tube (its stamp is too early) and gives back only tubes that died: it costs time; rule X2
is tested by itself (test_rules.py)."""
SEEDS_MAX = 1000
"""A mutant that so many seeds do not catch counts as missed."""
