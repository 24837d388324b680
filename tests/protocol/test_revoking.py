"""Property X6: a revoked key has no voice from the moment of delivery, and nothing is undone too late."""

from __future__ import annotations

import random

from fleet.protocol import keys, limits
from fleet.protocol.table import Phase
from fleet.protocol.wire import Kind, Revocation, decode, encode_body, seal
from tests.protocol.harness import Car, StubKeys, World, intervals, public_key, violations


def world_of(*names: str) -> World:
    world = World()
    for name in names:
        world.engage(world.add(name))
    return world


def revoke(world: World, vehicle: str, *at: str) -> None:
    for name in at:
        car = world.cars[name]
        car.core.revoke((vehicle,), world.clock(car))
        world.drain(car)


def adopted(world: World, name: str) -> Car:
    world.run(5_000, lambda: world.cars[name].adopted is not None)
    assert world.cars[name].adopted is not None
    return world.cars[name]


def test_x6_from_delivery_on_nothing_it_says_is_heard() -> None:
    world = world_of("a", "z")
    world.run(250)
    a = world.cars["a"].core
    assert "z" in a.peers(world.now_ms)
    revoke(world, "z", "a")
    assert "z" not in a.peers(world.now_ms) and "z" not in a.heard(world.now_ms)
    before = a.stats.received.total()
    world.run(1_000)
    assert a.stats.refused["revoked"] > 0
    assert a.stats.received.total() > before, "it goes on talking"
    assert "z" not in a.heard(world.now_ms)


def test_x6_a_proposal_that_needs_its_signature_is_closed_and_a_new_one_refused() -> None:
    world = world_of("a", "b", "z")
    world.fault = lambda x, y, raw: () if x == "z" and decode(raw).kind is not Kind.INTENT else (20,)
    world.run(480)
    open_now = [b for b in world.cars["a"].core._at.ballots.values() if "z" in b.position and not b.closed]
    assert open_now
    revoke(world, "z", "a", "b")
    assert all(ballot.closed for ballot in open_now)
    world.cars["z"].engaged = False
    world.run(5_000, lambda: {used.vehicle for used in world.used} >= {"a", "b"})
    assert {used.vehicle for used in world.used} >= {"a", "b"}, "the others agree without it"
    assert violations(world) == []


def test_x6_before_the_point_of_no_return_a_commitment_that_rests_on_it_is_given_back() -> None:
    world = world_of("a", "z")
    a = adopted(world, "a")
    revoke(world, "z", "a")
    assert a.adopted is None and a.core.commitment is None
    assert any(kind == "release" for _, who, kind, _ in world.log if who == "a")


def test_x6_past_the_point_of_no_return_nothing_is_undone() -> None:
    world = world_of("a", "z")
    a = adopted(world, "a")
    begins = intervals(a.adopted.plan if a.adopted else b"")[0][1]
    world.run(5_000, lambda: world.clock(a) >= begins)
    assert a.core.phase is Phase.CROSSING
    revoke(world, "z", "a")
    assert a.adopted is not None
    world.run(3_000, lambda: a.done_ms is not None)
    assert a.done_ms is not None


def test_what_a_revoked_vehicle_holds_stays_in_the_way_until_it_dies() -> None:
    world = world_of("a", "z")
    world.cars["a"].wants = False
    z = adopted(world, "z")
    assert z.adopted is not None
    revoke(world, "z", "a")
    a = world.cars["a"]
    a.wants = True
    world.run(6_000, lambda: a.adopted is not None)
    assert violations(world) == []
    assert a.adopted is not None


def test_a_vehicle_whose_own_key_is_out_signs_nothing_more() -> None:
    world = world_of("a", "b")
    world.run(100)
    revoke(world, "a", "a")
    since = len(world.air)
    world.run(2_000)
    said = {decode(raw).kind for _, who, raw in world.air[since:] if who == "a" and decode(raw).sender == "a"}
    assert said == {Kind.INTENT}, "it says where it is, and promises nothing"


def notice(vehicle: str, number: int = 1, key: bytes | None = None, signer: str = keys.OFFICE) -> bytes:
    """The authority's datagram."""
    payload = encode_body(Revocation(number, 10_000, ((vehicle, key or public_key(vehicle)),)))
    covered = keys.statement("revocation", keys.EVERYWHERE, 0, keys.OFFICE, payload)
    return seal(Kind.REVOCATION, keys.EVERYWHERE, 0, keys.OFFICE, payload, StubKeys(signer).sign(covered))


def test_x6_a_notice_heard_by_one_silences_the_vehicle_at_once_and_reaches_all_within_a_second() -> None:
    world = world_of("a", "b", "c", "z")
    lossy = random.Random(4)
    world.fault = lambda x, y, raw: () if lossy.random() < 0.5 else (20,)
    world.run(450)
    world.queue.append((world.now_ms + 1, 10**9, "a", notice("z")))
    world.queue.sort()
    world.run(2)
    assert "z" in world.cars["a"].core._at.revoked, "at delivery"
    world.run(1_000)
    assert all("z" in world.cars[name].core._at.revoked for name in ("a", "b", "c"))
    assert [detail["vehicle"] for _, _, kind, detail in world.log if kind == "revoked"] == ["z"] * 4
    assert violations(world) == []


def test_x6_who_comes_later_is_told_too_and_a_vehicle_between_zones_takes_it() -> None:
    world = world_of("a", "b")
    late = world.add("late")
    late.core.step(notice("z"), world.now_ms)
    assert "z" in late.core._at.revoked, "engaged with no zone"
    world.drain(late)
    world.run(2_500)
    assert all("z" in world.cars[name].core._at.revoked for name in ("a", "b"))
    later = world.add("later")
    world.engage(later)
    world.run(1_000 + limits.NOTICE_MS)
    assert "z" in later.core._at.revoked


def test_a_notice_that_the_authority_has_not_signed_or_of_an_old_key_revokes_nobody() -> None:
    world = world_of("a", "z")
    a = world.cars["a"].core
    a.step(notice("z", signer="z"), world.now_ms)
    assert a.stats.refused["bad_signature"] == 1
    a.step(notice("z", key=bytes(32)), world.now_ms)
    assert not a._at.revoked, "z has a newer key"


def test_notices_passed_on_are_bounded_and_the_newest_stay() -> None:
    world = world_of("a")
    core = world.cars["a"].core
    for number in range(3 * limits.NOTICES_MAX):
        world.now_ms += 100
        core.step(notice(f"x{number}", number), world.now_ms)
    kept = core._notices._known
    assert sorted(kept.values()) == list(range(2 * limits.NOTICES_MAX, 3 * limits.NOTICES_MAX))
    assert len(core._at.revoked) == 3 * limits.NOTICES_MAX, "all are out all the same"
