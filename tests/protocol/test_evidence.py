"""Property X3: equivocation becomes a transferable proof, and nobody honest is ever framed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.protocol.evidence import BREACH_MM, Evidence, Fault, Verdict, accused_by, verify
from fleet.protocol.table import Phase
from fleet.protocol.wire import Entry, Intent, Message, Proposal, Reject, Release, Vote, decode
from fleet.protocol.witness import Witness
from tests.protocol.court import (
    AUTHORITY,
    Intervals,
    certificate,
    honest_traffic,
    judge,
    observe,
    say,
    verify_key,
)
from tests.protocol.harness import BODY, CHARTER, MAP

NOW = 20_000
SEEDS = range(4)


def intent(sender: str = "z", **changes: object) -> Intent:
    base = Intent(
        vehicle=sender, seq=NOW, stamp_ms=NOW, phase=Phase.WAITING, path_id="R1", body=BODY, arrived_ms=1, eta_ms=0,
        urgency=0, charter_id=CHARTER, map_digest=MAP, ready=False, plan=f"{sender}|".encode(), held=b"",
        lease_end_ms=0, live=(), dead=(), certificates=(), votes_known=(), roster=(), perceived_count=0, perceived=(),
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def proposal(
    coordinator: str, *entries: Entry, epoch: int = 1, stamp_ms: int = NOW, others: tuple[str, ...] = ()
) -> bytes:
    members = tuple(sorted({coordinator, *others, *(entry.vehicle for entry in entries)}))
    return say(coordinator, Proposal(coordinator, epoch, stamp_ms, stamp_ms + 500, members, entries, CHARTER, bytes(8)))


def entry(vehicle: str, start: int = NOW + 2_000) -> Entry:
    return Entry(vehicle, f"{vehicle}|R1:{start}:{start + 1_000}".encode(), start + 1_300)


def proven(verdict: Verdict, accused: str = "z") -> bool:
    return verdict.proven and not verdict.attested and verdict.accused == accused


P = proposal("a", entry("z"), others=("z",))
HASH = decode(P).digest


# Every true equivocation is provable.


def test_two_intents_of_one_number_are_proof() -> None:
    assert proven(judge(Fault.FORKED_INTENT, say("z", intent()), say("z", intent(eta_ms=7))))


def test_two_proposals_of_one_epoch_are_proof() -> None:
    first, second = proposal("z", entry("a")), proposal("z", entry("b"))
    assert proven(judge(Fault.FORKED_PROPOSAL, first, second))
    late = proposal("z", entry("b", NOW + 200_000), stamp_ms=NOW + 120_001)
    assert not judge(Fault.FORKED_PROPOSAL, first, late).proven, "the number may have come round"


def test_a_vote_and_a_refusal_are_proof() -> None:
    assert proven(judge(Fault.VOTE_AND_REFUSAL, P, say("z", Vote(HASH, True)), say("z", Reject(HASH, ("no",)))))


@pytest.mark.parametrize(
    "dead",
    [say("z", Release((HASH,), NOW)), say("z", intent(dead=(HASH,)))],
)
def test_a_tube_said_to_be_dead_and_then_alive_is_proof(dead: bytes) -> None:
    alive = say("z", intent(seq=NOW + 50, stamp_ms=NOW + 50, live=(HASH,)))
    assert proven(judge(Fault.REVIVED_TUBE, dead, alive))
    before = say("z", intent(seq=NOW - 50, stamp_ms=NOW - 50, live=(HASH,)))
    assert not judge(Fault.REVIVED_TUBE, dead, before).proven, "alive first and dead later is what always happens"


def test_a_refused_tube_said_to_be_alive_is_proof_at_any_time() -> None:
    refusal = say("z", Reject(HASH, ("no",)))
    assert proven(judge(Fault.REVIVED_TUBE, P, refusal, say("z", intent(seq=5, stamp_ms=NOW - 9, live=(HASH,)))))


def test_holding_a_tube_and_saying_that_one_drives_another_is_proof() -> None:
    mine = entry("z")
    held = intent(phase=Phase.CROSSING, held=HASH, live=(HASH,), lease_end_ms=mine.lease_end_ms, plan=mine.plan)
    assert not judge(Fault.LEFT_COMMITMENT, P, say("z", held)).proven
    other = msgspec.structs.replace(held, plan=b"z|R2:1:2")
    assert proven(judge(Fault.LEFT_COMMITMENT, P, say("z", other)))
    openly = msgspec.structs.replace(other, phase=Phase.OCCUPYING)
    assert not judge(Fault.LEFT_COMMITMENT, P, say("z", openly)).proven, "it does not hide it"


def overlap_case(start: int = NOW + 2_500, **changes: object) -> Verdict:
    q = proposal("b", entry("c", start), stamp_ms=NOW + 500, others=("z",))
    vote = say("z", Vote(decode(q).digest, True))
    before = say("z", intent(seq=1, stamp_ms=NOW + 480, live=(HASH,)))
    after = intent(seq=NOW + 1_000, stamp_ms=NOW + 1_000, live=(HASH,))
    return judge(Fault.OVERLAPPING_PROMISE, P, before, say("z", msgspec.structs.replace(after, **changes)), q, vote)


def test_promising_another_what_one_holds_oneself_is_proof() -> None:
    assert proven(overlap_case())
    assert not overlap_case(start=NOW + 9_000).proven, "no overlap"
    assert not overlap_case(stamp_ms=NOW + 999).proven, "the vote may have come after the tube was given up"
    assert not overlap_case(live=()).proven


def test_a_breach_that_others_saw_is_attested_and_never_proven() -> None:
    mine = entry("z")
    held = say(
        "z", intent(phase=Phase.CROSSING, held=HASH, live=(HASH,), lease_end_ms=mine.lease_end_ms, plan=mine.plan)
    )
    seen = (observe("a", "z", NOW + 100, BREACH_MM + 1), observe("b", "z", NOW + 100, BREACH_MM + 500))
    verdict = judge(Fault.OBSERVED_BREACH, P, held, observations=seen)
    assert (verdict.proven, verdict.attested, verdict.accused) == (False, True, "z")
    assert verdict.witnesses == ("a", "b")
    near = (observe("a", "z", NOW + 100, BREACH_MM),)
    assert not judge(Fault.OBSERVED_BREACH, P, held, observations=near).attested
    own = (observe("z", "z", NOW + 100, 9_000),)
    assert not judge(Fault.OBSERVED_BREACH, P, held, observations=own).attested
    forged = (replace(seen[0], x_mm=9_999),)
    assert not judge(Fault.OBSERVED_BREACH, P, held, observations=forged).attested


# Nothing else is evidence.


def test_evidence_needs_certificates_of_the_readers_authority() -> None:
    fork = (say("z", intent()), say("z", intent(eta_ms=7)))
    for certificates in ((), (certificate("z", by="mallory"),), (certificate("a"),)):
        verdict = verify(Evidence(Fault.FORKED_INTENT, fork, certificates), AUTHORITY, verify_key)
        assert not verdict.proven and verdict.reason
    late = replace(certificate("z"), not_after_ms=NOW - 1)
    assert not verify(Evidence(Fault.FORKED_INTENT, fork, (late,)), AUTHORITY, verify_key).proven


def test_messages_of_two_zones_or_senders_do_not_add_up() -> None:
    first = say("z", intent())
    assert not judge(Fault.FORKED_INTENT, first, say("z", intent(eta_ms=7), zone="zone-2")).proven
    assert not judge(Fault.FORKED_INTENT, first, say("z", intent(eta_ms=7), session=8)).proven
    assert not judge(Fault.FORKED_INTENT, first, say("y", intent("y", seq=NOW))).proven
    assert not judge(Fault.FORKED_INTENT, first, first).proven, "a replay is no fork"


def test_nothing_that_honest_vehicles_say_in_hard_times_contradicts_itself() -> None:
    """Exhaustive over all pairs that could, in worlds with loss, crashes, restarts and a liar."""
    looked = 0
    for seed in SEEDS:
        said = honest_traffic(seed)
        by_sender: dict[str, list[Message]] = {}
        for message in said:
            by_sender.setdefault(message.sender, []).append(message)
        proposals = [m for m in said if isinstance(m.body, Proposal)]
        for own in by_sender.values():
            for pair in combinations([m for m in own if isinstance(m.body, (Intent, Proposal, Release, Reject))], 2):
                for both in (pair, pair[::-1]):
                    looked += 1
                    for fault in (Fault.FORKED_INTENT, Fault.FORKED_PROPOSAL, Fault.REVIVED_TUBE):
                        assert accused_by(fault, both) == "", f"seed {seed}: {fault}"
            for one in proposals:
                for other in own:
                    assert accused_by(Fault.LEFT_COMMITMENT, (one, other)) == "", f"seed {seed}"
                votes = [m for m in own if isinstance(m.body, Vote) and m.body.proposal == one.digest]
                refusals = [m for m in own if isinstance(m.body, Reject) and m.body.proposal == one.digest]
                assert not (votes and refusals), f"seed {seed}: {own[0].sender} has said two things"
    assert looked > 10_000


def test_no_honest_vote_promises_what_the_voter_provably_held() -> None:
    looked = 0
    for seed in SEEDS:
        said = honest_traffic(seed)
        proposals = {m.digest: m for m in said if isinstance(m.body, Proposal)}
        for vote in (m for m in said if isinstance(m.body, Vote) and m.body.proposal in proposals):
            second = proposals[vote.body.proposal]  # type: ignore[union-attr]
            intents = [m for m in said if m.sender == vote.sender and isinstance(m.body, Intent)]
            for first in proposals.values():
                holding = [m for m in intents if first.digest in m.body.live]  # type: ignore[union-attr]
                if len(holding) > 1 and first is not second:
                    looked += 1
                    parts = (first, holding[0], holding[-1], second, vote)
                    verdict = judge(Fault.OVERLAPPING_PROMISE, *(part.raw for part in parts))
                    assert not verdict.proven, f"seed {seed}: {verdict}"
    assert looked > 10


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_mutated_recombined_and_replayed_honest_messages_prove_nothing(data: st.DataObject) -> None:
    said = honest_traffic(data.draw(st.sampled_from(list(SEEDS))))
    fault = data.draw(st.sampled_from(list(Fault)))
    wanted = {Fault.FORKED_INTENT: (Intent, Intent), Fault.FORKED_PROPOSAL: (Proposal, Proposal)}.get(fault)
    kinds = wanted or data.draw(
        st.sampled_from([(Proposal, Vote, Reject), (Release, Intent), (Proposal, Intent), (Proposal, Reject, Intent)])
    )
    parts = []
    for kind in kinds:
        pool = [message for message in said if isinstance(message.body, kind)]
        if not pool:
            return
        parts.append(data.draw(st.sampled_from(pool)).raw)
    mutant = bytearray(parts[-1])
    for _ in range(data.draw(st.integers(0, 2))):
        mutant[data.draw(st.integers(0, len(mutant) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    messages = (*parts[:-1], bytes(mutant))
    certificates = tuple(certificate(f"v{index}") for index in range(4))
    verdict = verify(Evidence(fault, messages, certificates), AUTHORITY, verify_key, geometry=Intervals())
    assert not verdict.proven and not verdict.attested


@given(st.lists(st.binary(max_size=300), max_size=9), st.sampled_from(list(Fault)))
@settings(max_examples=50, deadline=None)
def test_rubbish_is_a_reason_and_never_an_exception(messages: list[bytes], fault: Fault) -> None:
    verdict = verify(Evidence(fault, tuple(messages), (certificate("z"),)), AUTHORITY, verify_key)
    assert not verdict.proven and verdict.reason


# The witness.


def test_a_witness_finds_every_fork_in_any_order_and_accuses_nobody_honest() -> None:
    for seed in SEEDS:
        witness = Witness()
        assert [one for message in honest_traffic(seed) for one in witness.hear(message)] == []
    mine = entry("z")
    lies = [
        say("z", intent()), say("z", intent(eta_ms=7)),
        proposal("z", entry("a")), proposal("z", entry("b")),
        P, say("z", Vote(HASH, True)), say("z", Reject(HASH, ("no",))),
        say("z", Release((HASH,), NOW)), say("z", intent(seq=NOW + 50, stamp_ms=NOW + 50, live=(HASH,))),
        say("z", intent(seq=9, phase=Phase.CROSSING, held=HASH, live=(HASH,), lease_end_ms=mine.lease_end_ms)),
    ]  # fmt: skip
    expected = set(Fault) - {Fault.OVERLAPPING_PROMISE, Fault.OBSERVED_BREACH}
    for order in (lies, lies[::-1], lies[5:] + lies[:5]):
        witness = Witness()
        said = [one for raw in order for one in witness.hear(decode(raw))]
        late = set() if order is lies else {Fault.LEFT_COMMITMENT}  # needs the proposal first
        assert {one.fault for one in said} >= expected - late
        assert all(proven(judge(one.fault, *one.messages)) for one in said)
