"""Rule P14: who provably breaks a rule is done without; nobody honest is ever framed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from fleet.protocol import keys, limits
from fleet.protocol.records import Contradiction
from fleet.protocol.wire import Entry, Intent, Message, Proposal, Reject, Release, Vote, decode, encode_body, seal
from tests.protocol.harness import CHARTER, SESSION, ZONE, StubKeys, StubVerifier, World, bursty, make_plan, violations
from tests.protocol.liar import Equivocator


def with_liar(*names: str) -> tuple[World, Equivocator]:
    world = World()
    for name in names:
        car = world.add(name)
        car.wants = False
        world.engage(car)
    world.liars["z"] = liar = Equivocator(world, "z", 10_000)
    liar.next_ms = 10**9  # it speaks only when told to
    world.run(450)
    return world, liar


def proofs(world: World, name: str) -> list[Contradiction]:
    return [proof for who, proof in world.proofs if who == name]


def proposal(world: World, epoch: int, start_ms: int) -> Proposal:
    entry = Entry("a", make_plan("a", "R1", start_ms), start_ms + 1300)
    return Proposal("z", epoch, world.now_ms, world.now_ms + 600, ("a", "b", "z"), (entry,), CHARTER, bytes(8))


def say_twice(world: World, liar: Equivocator, kind: str) -> None:
    """Both halves of a contradiction, to everybody."""
    to = sorted(world.cars)
    start_ms = world.now_ms + 1_000
    if kind == "intent":
        said = liar.intent()
        liar.say(said, to)
        liar.say(msgspec.structs.replace(said, eta_ms=said.eta_ms + 1), to)
    elif kind == "proposal":
        liar.say(proposal(world, 1, start_ms), to)
        liar.say(proposal(world, 1, start_ms + 5), to)
    elif kind == "answer":
        digest = decode(liar.say(proposal(world, 1, start_ms), to)).digest
        liar.say(Vote(digest, True), to)
        liar.say(Reject(digest, ("no",)), to)
    else:
        digest = bytes(range(32))
        liar.say(Release((digest,), world.now_ms), to)
        world.run(100)
        liar.say(msgspec.structs.replace(liar.intent(), live=(digest,)), to)
    world.run(60)


@pytest.mark.parametrize("kind", ["intent", "proposal", "answer", "given_back"])
def test_p14_two_messages_that_contradict_are_a_proof_and_the_sender_is_done_without(kind: str) -> None:
    world, liar = with_liar("a", "b")
    say_twice(world, liar, kind)
    for name in ("a", "b"):
        core = world.cars[name].core
        [proof] = proofs(world, name)
        assert (proof.vehicle, proof.kind) == ("z", kind)
        assert set(core.quarantined) == {"z"} and core.quarantined["z"] == proof.digest
        assert "z" not in core.heard(world.now_ms), "its body is now one that no message accounts for"
        for raw in (proof.first, proof.second):
            message = decode(raw)
            assert message.sender == "z"
            assert StubVerifier().verify("z", message.statement, message.signature), "anybody can check it"
    before = world.cars["a"].core.stats.refused["quarantined"]
    liar.say(liar.intent(), ["a", "b"])
    world.run(60)
    assert world.cars["a"].core.stats.refused["quarantined"] > before
    assert "z" not in world.cars["a"].core.peers(world.now_ms)


def test_p14_the_others_agree_without_the_liar_at_once() -> None:
    world, liar = with_liar("a", "b")
    say_twice(world, liar, "intent")
    for car in world.cars.values():
        car.wants = True
    world.run(1_500, world.all_adopted)
    assert world.all_adopted() and violations(world) == []
    members = [detail["members"] for _, _, kind, detail in world.log if kind == "proposal"]
    assert members and all("z" not in names for names in members)  # type: ignore[operator]


def test_p14_what_the_liar_holds_stays_in_the_way_until_its_lease_ends() -> None:
    world, liar = with_liar("a", "b")
    start_ms = world.now_ms + 700
    plan = make_plan("z", "R1", start_ms)
    entry = Entry("z", plan, start_ms + 1300)
    said = Proposal("z", 1, world.now_ms, world.now_ms + 400, ("a", "b", "z"), (entry,), CHARTER, bytes(8))
    liar.say(liar.intent(), ["a", "b"])
    world.run(30)
    digest = decode(liar.say(said, ["a", "b"])).digest
    liar.say(Vote(digest, True), ["a", "b"])
    world.run(60)
    say_twice(world, liar, "intent")
    core = world.cars["a"].core
    assert "z" in core.quarantined
    world.run(entry.lease_end_ms + world.tuning.eps_ms - world.now_ms)
    assert plan in {tube.plan for tube in core.known_tubes(world.now_ms)}
    world.run(4 * world.tuning.eps_ms)
    assert plan not in {tube.plan for tube in core.known_tubes(world.now_ms)}


def test_p14_a_forged_half_frames_nobody() -> None:
    world, liar = with_liar("a", "b")
    said = next(decode(raw) for _, who, raw in reversed(world.air) if who == "b")
    assert isinstance(said.body, Intent)
    other = msgspec.structs.replace(said.body, eta_ms=said.body.eta_ms + 1)
    forged = forge(liar, said, other)
    world.cars["a"].core.step(forged, world.now_ms)
    world.drain(world.cars["a"])
    assert proofs(world, "a") == [] and world.cars["a"].core.quarantined == {}


def forge(liar: Equivocator, said: Message, body: Intent) -> bytes:
    """``body`` under b's name, signed by the liar."""
    payload = encode_body(body)
    covered = keys.statement("intent", ZONE, SESSION, "b", payload)
    return seal(said.kind, ZONE, SESSION, "b", payload, StubKeys(liar.name).sign(covered))


def test_p14_the_same_datagram_again_is_no_contradiction() -> None:
    world, _ = with_liar("a", "b")
    raw = next(raw for _, who, raw in reversed(world.air) if who == "b")
    for _ in range(3):
        world.cars["a"].core.step(bytes(bytearray(raw)), world.now_ms)
    assert world.cars["a"].core.quarantined == {}


def test_p14_under_loss_delay_and_duplicates_nobody_honest_is_ever_framed() -> None:
    for seed in range(12):
        world = World(seed, tick_ms=50)
        world.fault = bursty(world.rng, 0.4, 4.0, (1, 300), duplicate=0.5)
        for index in range(4):
            world.engage(world.add(f"v{index}", f"R{index % 2}", skew_ms=world.rng.randint(-10, 10)))
        world.run(3_000)
        for car in world.cars.values():  # leaving and coming back is where a vehicle could contradict itself
            if car.core.commitment is None or not world.local(car).pnr_passed:
                car.core.disengage(world.clock(car))
                world.drain(car)
                car.core.engage("zone-1", 7, world.clock(car))
        world.run(3_000)
        assert world.proofs == [], f"seed {seed}"


def test_p14_what_others_have_found_is_taken_on_the_nodes_word_and_the_list_is_bounded() -> None:
    world, _ = with_liar("a", "b")
    core = world.cars["a"].core
    core.quarantine("b", bytes(32))
    assert "b" not in core.heard(world.now_ms) and core.quarantined == {"b": bytes(32)}
    core.quarantine("a", bytes(32))
    assert "a" not in core.quarantined, "nobody does without itself"
    for index in range(limits.QUARANTINE_MAX + 3):
        core.quarantine(f"n{index}", bytes(32))
    assert len(core.quarantined) == limits.QUARANTINE_MAX
    world.drain(world.cars["a"])
    assert any(kind == "quarantine_full" for _, _, kind, _ in world.log)


def test_p14_a_proof_has_one_name_whichever_half_was_seen_first() -> None:
    proof = Contradiction("z", "intent", b"one", b"two")
    assert proof.digest == replace(proof, first=b"two", second=b"one").digest and len(proof.digest) == 32
