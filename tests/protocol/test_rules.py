"""One test per rule of the protocol, named as a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.errors import LocalProtocolError
from fleet.protocol import limits
from fleet.protocol.records import Adopt, Tuning
from fleet.protocol.situation import Situation
from fleet.protocol.table import OBSERVED, TRANSITIONS, Event, Phase, after
from fleet.protocol.wire import Certificate, Entry, Intent, Kind, Message, Proposal, Release, Vote, decode
from tests.protocol.harness import CHARTER, SESSION, ZONE, Car, StubKeys, World, intervals, make_plan, violations
from tests.protocol.liar import Equivocator


def world_of(*names: str, path: str = "R1", **kwargs: int) -> World:
    world = World(**kwargs)
    for name in names:
        world.engage(world.add(name, path))
    return world


def kinds(world: World, name: str) -> list[str]:
    return [kind for _, who, kind, _ in world.log if who == name]


def reasons(world: World, name: str) -> list[str]:
    found: list[str] = []
    for _, who, kind, detail in world.log:
        if who == name and kind in {"refusal", "no_proposal"}:
            found += detail["reasons"]  # type: ignore[arg-type]
    return found


def messages(world: World, kind: Kind, sender: str | None = None) -> list[tuple[int, Message]]:
    sealed = [(at, decode(raw)) for at, who, raw in world.air if sender in (None, who)]
    return [(at, message) for at, message in sealed if message.kind is kind]


def until_adopted(world: World, name: str) -> Car:
    world.run(5_000, lambda: world.cars[name].adopted is not None)
    assert world.cars[name].adopted is not None
    return world.cars[name]


# P1


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ({"has_contingency": False}, "no_contingency"),
        ({"estimate_ok": False}, "estimate"),
        ({"blocking": ("body 7",)}, "blocked:body 7"),
    ],
)
def test_p1_a_voter_that_cannot_stop_or_see_or_locate_itself_does_not_sign(
    override: dict[str, object], reason: str
) -> None:
    world = world_of("a", "b")
    world.cars["b"].overrides = override
    world.cars["b"].wants = False
    world.run(600)
    assert reason in reasons(world, "b")
    assert "vote" not in kinds(world, "b")
    assert world.used == []


def test_p1_a_voter_refuses_members_that_leave_out_somebody_it_hears() -> None:
    world = world_of("a", "b", "c")
    world.fault = lambda a, b, raw: () if {a, b} == {"a", "c"} else (20,)  # a and c do not hear each other
    world.run(3_000, world.all_adopted)
    assert {"members_missing:a", "members_missing:c"} & set(reasons(world, "b"))
    certified = [detail["members"] for _, _, kind, detail in world.log if kind == "certificate"]
    assert set(certified) == {3}, "in the end all three agree, though two never hear each other directly"


def test_p1_nothing_is_signed_before_having_listened() -> None:
    world = world_of("a", tuning=Tuning(listen_ms=400))  # type: ignore[arg-type]
    world.run(399)
    assert messages(world, Kind.VOTE) == []
    world.run(60)
    assert len(messages(world, Kind.VOTE)) == 1


def test_p1_vehicles_of_another_charter_are_not_planned_with_and_stop_the_agreement() -> None:
    world = world_of("a")
    world.engage(world.add("x", "R1", charter=bytes(32)))
    world.run(800)
    assert "charter_mismatch:x" in reasons(world, "a")
    assert world.used == []


def test_p1_after_the_starvation_bound_a_vehicle_refuses_to_be_left_out() -> None:
    world = World(tuning=Tuning(starvation_ms=500, batch_max=1))
    old = world.add("old")
    world.engage(old)
    old.core._proposing.tick = lambda now_ms: None  # type: ignore[method-assign]  # it only votes
    world.run(600)
    world.engage(world.add("new"))
    world.run(1_000)
    assert "starvation:old" in reasons(world, "old")
    assert world.used == []


# P2


def test_p2_a_vote_is_persisted_with_its_proposal_before_it_is_sent() -> None:
    world = world_of("a", "b")
    world.run(500, world.all_adopted)
    for name in ("a", "b"):
        votes = [message.raw for _, message in messages(world, Kind.VOTE, name)]
        assert votes
        for raw in votes:
            vote = decode(raw).body
            assert isinstance(vote, Vote)
            stored = [decode(record) for record in world.persisted[name]]
            at = [message.raw for message in stored].index(raw)
            assert stored[at - 1].kind is Kind.PROPOSAL and stored[at - 1].digest == vote.proposal


def test_p2_in_one_ready_the_vote_is_both_to_persist_and_to_send() -> None:
    world = world_of("a")
    car = world.cars["a"]
    car.core.tick(replace(world.local(car), now_ms=world.now_ms + 400))
    ready = car.core.ready()
    votes = [raw for raw in ready.to_send if decode(raw).kind is Kind.VOTE]
    assert len(votes) == 1 and votes[0] in ready.to_persist
    assert car.core.ready() is ready
    with pytest.raises(LocalProtocolError):
        car.core.advance(replace(ready))
    car.core.advance(ready)
    assert not car.core.ready()


def test_p2_a_promise_outlives_silence_until_its_lease_and_two_eps() -> None:
    world = world_of("a", "b")
    a, b = until_adopted(world, "a"), world.cars["b"]
    assert a.adopted is not None
    lease_end = a.adopted.lease_end_ms
    a.off = True
    b.wants = False
    b.overrides = {"wants_commit": False, "blocking": ("quiet",)}
    eps = world.tuning.eps_ms

    def held() -> bool:
        return any(t.vehicle == "a" and t.proposal_hash for t in b.core.known_tubes(world.now_ms))

    world.run(lease_end + 2 * eps - world.now_ms)
    assert held()
    world.run(world.tick_ms + 1)
    assert not held()


def test_p2_a_promise_outlives_the_engagement_with_the_zone() -> None:
    world = world_of("a", "b")
    until_adopted(world, "a")
    b = world.cars["b"]
    world.run(100)
    b.core.disengage(world.now_ms)
    assert "a" in {tube.vehicle for tube in b.core.known_tubes(world.now_ms)}


@pytest.mark.parametrize("says_dead", [True, False])
def test_p2_intents_free_a_tube_whose_release_was_lost(says_dead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not says_dead:  # the rule by itself: not listed as live after the decision time
        monkeypatch.setattr(Situation, "own_dead", lambda self, now_ms: ())
    world = world_of("a", "b")
    drop_release = {"on": False}
    world.fault = lambda x, y, raw: () if drop_release["on"] and decode(raw).kind is Kind.RELEASE else (20,)
    a, b = until_adopted(world, "a"), world.cars["b"]
    world.run(100)
    drop_release["on"] = True
    a.core.release("test", world.now_ms)
    world.drain(a)
    assert a.adopted is None
    a.wants = False
    b.wants = False
    decide_by = max(t.decide_by_ms for t in b.core.known_tubes(world.now_ms) if t.vehicle == "a")
    world.run(decide_by + 2 * world.tuning.eps_ms - world.now_ms)
    held = "a" in {t.vehicle for t in b.core.known_tubes(world.now_ms) if t.proposal_hash}
    assert held is not says_dead
    world.run(150)
    assert "a" not in {t.vehicle for t in b.core.known_tubes(world.now_ms) if t.proposal_hash}


# P3


def test_p3_of_two_proposals_for_one_space_an_honest_vehicle_signs_one() -> None:
    world = world_of("a", "b")
    world.liars["z"] = liar = Equivocator(world, "z", 10_000)
    for car in world.cars.values():
        car.core._proposing.tick = lambda now_ms: None  # type: ignore[method-assign]  # only the liar proposes
    world.rng.random = lambda: 0.99  # type: ignore[method-assign]  # both stories to everybody
    world.run(700)
    assert liar.epoch == 2
    for name in ("a", "b"):
        signed = {m.body.proposal for _, m in messages(world, Kind.VOTE, name)}  # type: ignore[union-attr]
        assert len(signed) == 1
    assert violations(world) == [] and len(world.used) == 1


# P4


def test_p4_no_vehicle_adopts_on_less_than_all_signatures() -> None:
    world = world_of("a", "b", "c")
    world.fault = lambda x, y, raw: () if x == "c" and decode(raw).kind in (Kind.VOTE, Kind.CERTIFICATE) else (20,)
    world.run(1_500)
    assert {name for name in ("a", "b", "c") if "commit" in kinds(world, name)} <= {"c"}
    assert "timeout" in kinds(world, "a")


def test_p4_a_certificate_after_the_decision_time_lets_nobody_in() -> None:
    world = world_of("a", "b")
    world.fault = lambda x, y, raw: (400,) if decode(raw).kind in (Kind.VOTE, Kind.CERTIFICATE) else (20,)
    world.run(950)
    certified = [(t, who) for t, who, kind, _ in world.log if kind == "certificate"]
    commits = [(t, who) for t, who, kind, _ in world.log if kind == "commit"]
    for at, who in commits:
        assert any(who == w and at >= t for t, w in certified)
    for used in world.used:
        first = next(m.body for _, m in messages(world, Kind.PROPOSAL) if used.plan in m.raw)
        assert isinstance(first, Proposal) and used.from_ms <= first.decide_by_ms


def test_p4_the_commitment_ends_with_its_lease_less_eps() -> None:
    world = world_of("a")
    car = until_adopted(world, "a")
    assert car.adopted is not None
    lease_end = car.adopted.lease_end_ms
    car.overrides = {"cleared": False, "pnr_passed": False}
    world.run(lease_end - world.tuning.eps_ms - world.now_ms - 1)
    assert car.adopted is not None and car.core.may_enter(world.now_ms)
    world.run(world.tick_ms + 1)
    assert car.adopted is None and not car.core.may_enter(world.now_ms)


# P5, P6


def test_p5_a_vehicle_without_a_live_tube_may_not_enter_and_says_so_if_it_does() -> None:
    world = world_of("a", "b")
    world.cars["a"].wants = False
    world.cars["a"].overrides = {"pnr_passed": True}
    world.run(300)
    assert not world.cars["a"].core.may_enter(world.now_ms)
    assert world.cars["a"].core.phase is Phase.OCCUPYING
    assert "pnr_without_commitment" in kinds(world, "a")
    assert {(t.vehicle, t.kind) for t in world.cars["b"].core.known_tubes(world.now_ms)} >= {("a", "occupancy")}


def test_p6_after_the_point_of_no_return_only_clearing_ends_a_commitment() -> None:
    world = world_of("a")
    car = until_adopted(world, "a")
    car.overrides = {"pnr_passed": True}
    world.run(100)
    assert car.core.phase is Phase.CROSSING
    with pytest.raises(LocalProtocolError, match="point of no return"):
        car.core.release("second thoughts", world.now_ms)
    with pytest.raises(LocalProtocolError, match="point of no return"):
        car.core.disengage(world.now_ms)
    car.overrides = {"pnr_passed": True, "cleared": True}
    world.run(100)
    assert car.done_ms is not None and car.core.phase is Phase.CLEARED


def test_p6_a_holder_refuses_another_tube_for_itself() -> None:
    world = world_of("a", "b")
    until_adopted(world, "a")
    world.liars["z"] = liar = Equivocator(world, "z", 10_000)
    world.run(300)
    start = world.now_ms + 400
    entry = Entry("a", make_plan("a", "R9", start), start + 1300)
    liar.say(
        Proposal("z", 9, world.now_ms, world.now_ms + 300, ("a", "b", "z"), (entry,), CHARTER, bytes(8)), ["a", "b"]
    )
    world.run(100)
    assert "holds_commitment:a" in reasons(world, "a")


# P9, P10


def test_p9_without_radio_everybody_who_sees_somebody_waits_and_nobody_signs() -> None:
    world = world_of("a", "b")
    world.perfect_eyes = True
    world.fault = lambda x, y, raw: ()
    world.run(3_000)
    assert messages(world, Kind.VOTE) == [] and world.used == []


def test_p9_who_crosses_by_sight_is_an_obstacle_to_all_who_hear_it() -> None:
    world = world_of("a", "b")
    a, b = world.cars["a"], world.cars["b"]
    crossing = make_plan("a", "R1", world.now_ms + 300)
    a.overrides = {"phase": Phase.FALLBACK, "wants_commit": False, "plan": crossing}
    world.run(600, lambda: b.adopted is not None)
    assert b.adopted is not None
    assert intervals(b.adopted.plan)[0][1] >= intervals(crossing)[0][2]


def test_p10_a_body_that_nobody_accounts_for_keeps_vehicles_from_proposing() -> None:
    world = world_of("a")
    world.cars["a"].overrides = {"blocking": ("track 4 may reach the zone",), "perceived": ("t4",)}
    world.run(1_000)
    assert world.cars["a"].planner.calls == 0 and world.used == []
    said = messages(world, Kind.INTENT, "a")[-1][1].body
    assert isinstance(said, Intent) and said.perceived == ("t4",) and not said.ready


# P13


def test_p13_a_flood_from_one_sender_is_cut_to_its_bucket() -> None:
    world = world_of("a", "b")
    world.run(600)
    b = world.cars["b"]
    flood = messages(world, Kind.INTENT, "a")[-1][1].raw
    for _ in range(500):
        b.core.step(flood, world.now_ms)
    burst = limits.TOKENS_MS_MAX // limits.TOKEN_MS
    assert b.core.stats.refused["flood"] >= 500 - burst - 1


def test_p13_more_peers_than_the_table_holds_stop_the_signing() -> None:
    world = world_of("a")
    for index in range(limits.PEERS_MAX + 1):
        Equivocator(world, f"n{index:03}", 10_000).say(Equivocator(world, f"n{index:03}", 1).intent(), ["a"])
        world.run(12)
    world.run(40)
    assert world.cars["a"].core.stats.refused["peers_full"] == 1
    entry = Entry("a", make_plan("a", "R1", world.now_ms + 400), world.now_ms + 1700)
    liar = Equivocator(world, "n000", 1)
    liar.say(Proposal("n000", 1, world.now_ms, world.now_ms + 300, ("a", "n000"), (entry,), CHARTER, bytes(8)), ["a"])
    world.run(40)
    assert "peers_full" in reasons(world, "a")
    assert world.used == []


def test_p13_undecided_proposals_of_one_coordinator_are_limited() -> None:
    world = world_of("a")
    world.liars["z"] = liar = Equivocator(world, "z", 10_000)
    world.run(150)
    for epoch in range(7):
        start = world.now_ms + 2_000 + 2_000 * epoch
        entry = Entry("a", make_plan("a", "R1", start), start + 1300)
        proposal = Proposal("z", epoch, world.now_ms, world.now_ms + 900, ("a", "z"), (entry,), CHARTER, bytes(8))
        liar.say(proposal, ["a"])
    world.run(40)
    assert world.cars["a"].core.stats.refused["ballots_full"] == 7 - limits.BALLOTS_PER_SENDER_MAX


def test_p13_a_conflict_set_beyond_the_limit_is_not_proposed() -> None:
    names = [f"v{index:02}" for index in range(limits.MEMBERS_MAX + 1)]
    world = world_of(*names)
    world.run(500)
    assert any(reason.startswith("members_over_limit:33") for reason in reasons(world, "v00"))
    assert world.used == []


# P15


def test_p15_the_first_to_arrive_proposes_for_all() -> None:
    world = World()
    for name in ("c", "a", "b"):
        world.engage(world.add(name))
        world.run(40)
    world.run(2_000, world.all_adopted)
    proposals = messages(world, Kind.PROPOSAL)
    assert {message.sender for _, message in proposals} == {"c"}
    bodies = {m.digest: m.body for _, m in proposals}
    order = [entry.vehicle for body in bodies.values() for entry in body.batch]  # type: ignore[union-attr]
    assert order == ["c", "a", "b"]


def test_p15_if_the_first_is_mute_another_proposes_after_its_rank() -> None:
    world = world_of("a", "b")
    world.cars["a"].core._proposing.tick = lambda now_ms: None  # type: ignore[method-assign]
    world.run(1_500, world.all_adopted)
    assert {message.sender for _, message in messages(world, Kind.PROPOSAL)} == {"b"}
    assert world.all_adopted()
    first = messages(world, Kind.PROPOSAL)[0][0]
    assert 300 + limits.RANK_MS <= first - 10_000 <= 300 + limits.RANK_MS + limits.JITTER_MS + 2 * world.tick_ms


def test_p15_a_vehicle_that_blocks_the_zone_goes_before_those_who_came_first() -> None:
    world = world_of("a", "b")
    world.cars["b"].overrides = {"phase": Phase.OCCUPYING}
    world.run(2_000, world.all_adopted)
    proposal = messages(world, Kind.PROPOSAL)[0][1].body
    assert isinstance(proposal, Proposal)
    assert [entry.vehicle for entry in proposal.batch] == ["b", "a"]


# The table, replays, lies about others.


def test_every_observation_is_defined_without_a_commitment_and_agreement_only_where_it_makes_sense() -> None:
    for phase in (Phase.APPROACH, Phase.WAITING, Phase.OCCUPYING, Phase.FALLBACK, Phase.CLEARED):
        for event in OBSERVED.values():
            assert isinstance(after(phase, event), Phase)
    with pytest.raises(LocalProtocolError, match="FALLBACK has no transition on ADOPTED"):
        after(Phase.FALLBACK, Event.ADOPTED)
    assert {before for before, event in TRANSITIONS if event is Event.LOST} == {Phase.COMMITTED, Phase.OCCUPYING}


def test_old_foreign_and_forged_messages_are_not_taken() -> None:
    world = world_of("a", "b")
    world.run(300)
    b = world.cars["b"]
    raw = messages(world, Kind.INTENT, "a")[-1][1].raw
    b.core.step(raw, world.now_ms)
    assert b.core.stats.refused["replayed"] >= 1
    world.cars["a"].off = True
    forger = Equivocator(world, "forger", 1)
    forged = decode(forger.say(forger.intent(), []))
    broken = forged.raw.replace(forged.signature, StubKeys("somebody").sign(forged.statement))
    b.core.step(broken, world.now_ms)
    assert b.core.stats.refused["bad_signature"] == 1
    assert "forger" not in b.core.peers(world.now_ms)
    late = forger.say(forger.intent(), [])
    b.core.step(late, world.now_ms + limits.FRESH_MS + world.tuning.eps_ms + 1)
    assert b.core.stats.refused["not_fresh"] == 1
    b.core.step(b"\x93\x01\x02", world.now_ms)
    assert b.core.stats.refused["malformed"] == 1


@pytest.mark.parametrize(("zone", "session"), [("zone-2", 7), ("zone-1", 8)])
def test_x2_what_was_said_in_one_zone_and_session_counts_for_nothing_in_another(zone: str, session: int) -> None:
    world = world_of("a", "b")
    world.run(900)
    said = [raw for _, who, raw in world.air if who == "a"]
    assert {decode(raw).kind for raw in said} >= {Kind.INTENT, Kind.PROPOSAL, Kind.VOTE, Kind.CERTIFICATE}
    other = world.add("c")
    other.core.engage(zone, session, world.now_ms)
    for raw in said:
        other.core.step(raw, world.now_ms)
    assert other.core.peers(world.now_ms) == {} and other.core.known_tubes(world.now_ms) == ()
    assert other.core.stats.received.total() == 0 and not other.core._at.ballots


def test_a_certificate_with_a_forged_signature_adds_nothing() -> None:
    world = world_of("a", "b")
    world.liars["z"] = liar = Equivocator(world, "z", 10_000)
    world.fault = lambda x, y, raw: () if x == "b" and decode(raw).kind is not Kind.INTENT else (20,)
    world.run(450)
    proposal = next(m for _, m in messages(world, Kind.PROPOSAL, "a"))
    assert isinstance(proposal.body, Proposal)
    at = proposal.body.members.index("b")
    liar.say(Certificate(proposal.digest, ((at, bytes(64)),)), ["a"])
    world.run(40)
    assert world.cars["a"].core.stats.refused["bad_certificate"] == 1
    assert world.cars["a"].adopted is None


def test_a_release_frees_only_the_tubes_of_its_sender() -> None:
    world = world_of("a", "b")
    world.liars["z"] = liar = Equivocator(world, "z", 10_000)
    a = until_adopted(world, "a")
    assert isinstance(a.adopted, Adopt)
    liar.say(Release((a.adopted.proposal_hash,), world.now_ms), ["b"])
    world.run(50)
    held = {(t.vehicle, t.proposal_hash) for t in world.cars["b"].core.known_tubes(world.now_ms)}
    assert ("a", a.adopted.proposal_hash) in held


def test_engaging_twice_and_time_going_back_are_defects_of_the_caller() -> None:
    world = world_of("a")
    core = world.cars["a"].core
    with pytest.raises(LocalProtocolError, match="engaged with zone"):
        core.engage(ZONE, SESSION, world.now_ms)
    world.run(100)
    with pytest.raises(LocalProtocolError, match="time went back"):
        core.tick(replace(world.local(world.cars["a"]), now_ms=world.now_ms - 90))
