"""Rule P11 and property S8: power lost at any write or send, the log replayed, nobody endangered."""

from __future__ import annotations

import pytest

from fleet.errors import LocalProtocolError
from fleet.protocol import limits
from fleet.protocol.records import Adopt
from fleet.protocol.restore import binding_records, restore, unknown_past
from fleet.protocol.table import Phase
from fleet.protocol.wire import Intent, Kind, Proposal, Vote, decode
from tests.protocol.crashing import CrashWorld
from tests.protocol.harness import Car, bursty, make_plan, violations

EPS = 10


def world_of(*names: str, seed: int = 0) -> CrashWorld:
    world = CrashWorld(seed)
    for name in names:
        world.engage(world.add(name))
    return world


def until_adopted(world: CrashWorld, name: str) -> Car:
    world.run(5_000, lambda: world.cars[name].adopted is not None)
    assert world.cars[name].adopted is not None
    return world.cars[name]


def said_since(world: CrashWorld, name: str, since_ms: int) -> list[tuple[int, Kind]]:
    return [(at - since_ms, decode(raw).kind) for at, who, raw in world.air if who == name and at >= since_ms]


def votes_on_air_are_in_the_log(world: CrashWorld) -> bool:
    for name, log in world.logs.items():
        stored = set(log.records)
        for _, who, raw in world.air:
            if who == name and decode(raw).kind is Kind.VOTE and raw not in stored:
                return False
    return True


def run_with_crash(name: str, boundary: int, torn: int, down_ms: int, seed: int = 0) -> CrashWorld:
    world = world_of("a", "b", "c", seed=seed)
    if seed:
        world.fault = bursty(world.rng, 0.3, 3.0, (5, 60), 0.2)
        world.perfect_eyes = True  # rule P1: who is not heard for 300 ms is seen
    world.fuse = (name, boundary, torn)
    world.run(8_000, lambda: name in world.down_ms or world.all_done())
    if name in world.down_ms:
        world.run(down_ms)
        world.restart(world.cars[name])
        world.run(60_000, world.all_done)
    return world


def test_s8_power_lost_at_every_write_and_send_of_an_agreement_endangers_nobody() -> None:
    reference = world_of("a", "b", "c")
    reference.run(8_000, lambda: len(reference.used) == 3)
    boundaries, crashed = sum(reference.boundaries.values()), 0
    for name in ("a", "b", "c"):
        for boundary in range(1, reference.boundaries[name] + 1):
            world = run_with_crash(name, boundary, torn=7 * boundary, down_ms=(15, 700, 3_000)[boundary % 3])
            where = f"{name} at boundary {boundary}"
            assert violations(world) == [], where
            assert votes_on_air_are_in_the_log(world), where
            assert world.all_done(), f"{where}: not done {[n for n, c in world.cars.items() if c.done_ms is None]}"
            crashed += name in world.down_ms
    assert crashed == boundaries > 40


@pytest.mark.soak
def test_s8_power_lost_at_every_boundary_under_loss_and_reordering() -> None:
    crashed = 0
    for seed in range(1, 21):
        for name in ("a", "b", "c"):
            for boundary in range(1, 80, 2):
                world = run_with_crash(name, boundary, torn=seed, down_ms=(15, 700, 3_000)[boundary % 3], seed=seed)
                assert violations(world) == [], f"{name} at boundary {boundary}, seed {seed}"
                assert votes_on_air_are_in_the_log(world)
                crashed += name in world.down_ms
    assert crashed > 1_000


def rival_after_restart(mutant: bool) -> CrashWorld:
    """b has promised a its tube and loses power; when it is back it hears nobody and wants to cross."""
    world = world_of("a", "b")
    world.cars["b"].wants = False
    a, b = until_adopted(world, "a"), world.cars["b"]
    world.crash(b)
    world.fault = lambda x, y, raw: ()
    world.run(50)
    b.wants = True
    world.restart(b, forgetful=mutant)
    world.run(6_000, lambda: b.adopted is not None)
    assert isinstance(b.adopted, Adopt) and a is not b
    return world


def test_p11_a_promise_outlives_the_restart_of_its_voter() -> None:
    assert violations(rival_after_restart(mutant=False)) == []


def test_a_mutant_that_signs_after_a_restart_without_its_log_is_caught() -> None:
    assert violations(rival_after_restart(mutant=True)) != []


def test_p11_without_its_log_a_vehicle_signs_nothing_until_the_longest_lease_is_over() -> None:
    world = world_of("a", "b")
    until_adopted(world, "a")
    b = world.cars["b"]
    world.crash(b)
    world.run(500)
    back = world.now_ms
    world.restart(b, log_lost=True)
    world.run(limits.LEASE_MS_MAX + 5_000, lambda: b.done_ms is not None)
    promises = [after for after, kind in said_since(world, "b", back) if kind in {Kind.VOTE, Kind.PROPOSAL}]
    assert promises[0] > limits.LEASE_MS_MAX + 2 * EPS
    assert said_since(world, "b", back)[0][0] <= 2 * world.tick_ms, "it says where it is all the same"
    assert violations(world) == []


def test_p11_with_its_log_it_stays_quiet_until_every_old_proposal_is_decided() -> None:
    world = world_of("a", "b")
    until_adopted(world, "a")
    b = world.cars["b"]
    world.crash(b)
    world.run(100)
    back = world.now_ms
    world.restart(b)
    world.run(20_000, lambda: b.done_ms is not None)
    promises = [after for after, kind in said_since(world, "b", back) if kind in {Kind.VOTE, Kind.PROPOSAL}]
    assert limits.DECIDE_MS_MAX + 2 * EPS <= promises[0] <= limits.DECIDE_MS_MAX + 1_000


def test_p11_restarted_inside_the_zone_it_announces_occupation_first() -> None:
    world = world_of("a", "b")
    a = until_adopted(world, "a")
    plan = a.adopted.plan if a.adopted else b""
    world.run(5_000, lambda: world.clock(a) >= int(plan.split(b":")[1]) + 200)
    world.crash(a)
    world.run(300)
    back = world.now_ms
    world.restart(a)
    world.run(10_000, world.all_done)
    first = next(decode(raw) for at, who, raw in world.air if who == "a" and at >= back)
    assert isinstance(first.body, Intent) and first.body.phase is Phase.OCCUPYING
    assert first.body.held, "its tube is kept until the lease is over: it may not have been wiped from every table"
    assert world.all_done() and violations(world) == []


def test_p11_restarted_before_the_line_it_gives_its_tube_back() -> None:
    world = world_of("a", "b")
    a = until_adopted(world, "a")
    held = a.adopted.proposal_hash if a.adopted else b""
    world.crash(a)
    world.run(20)
    world.restart(a)
    world.run(200)
    releases = [d for _, who, kind, d in world.log if who == "a" and kind == "release"]
    assert releases[-1]["proposals"] == [held.hex()]
    tubes = world.cars["b"].core.known_tubes(world.now_ms)
    assert all((tube.vehicle, tube.proposal_hash) != ("a", held) for tube in tubes)
    assert restore(world.logs["a"].records, "a", world.now_ms, EPS).commitment is None, "given back for good"


def test_no_number_is_used_for_two_proposals_or_two_intents_over_a_restart() -> None:
    world = world_of("a", "b")
    a = until_adopted(world, "a")
    world.crash(a)
    world.restart(a)
    world.run(8_000, world.all_done)
    numbers: dict[tuple[str, int], bytes] = {}
    for _, who, raw in world.air:
        body = decode(raw).body
        if decode(raw).sender == who == "a" and isinstance(body, (Intent, Proposal)):
            key = (type(body).__name__, body.seq if isinstance(body, Intent) else body.epoch)
            assert numbers.setdefault(key, raw) == raw


def test_what_still_binds_is_all_that_a_compaction_keeps_and_restores_the_same() -> None:
    world = world_of("a", "b", "c")
    world.run(6_000, world.all_done)
    for name, log in world.logs.items():
        for now_ms in (10_500, world.now_ms, world.now_ms + 3_000):
            kept = binding_records(log.records, name, now_ms, EPS)
            assert restore(kept, name, now_ms, EPS) == restore(log.records, name, now_ms, EPS)
        late = binding_records(log.records, name, world.now_ms + limits.LEASE_MS_MAX, EPS)
        assert len(late) <= 1, "but for the last own proposal, which keeps the count, nothing binds any more"
        assert len(late) < len(log.records)


def test_restored_tubes_have_the_bodies_they_were_judged_with() -> None:
    world = world_of("a", "b", "c")
    world.run(2_000, lambda: len(world.used) == 3)
    restored = restore(world.logs["b"].records, "b", world.now_ms, EPS)
    assert {tube.vehicle for tube in restored.tubes} >= {"a", "c"}
    assert all(tube.body is not None for tube in restored.tubes if tube.vehicle != "b")


def test_a_log_of_something_else_and_a_second_restore_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="record 0 of the log of a is no message"):
        restore([b"rubbish"], "a", 0, EPS)
    core = world_of("a").cars["a"].core
    with pytest.raises(LocalProtocolError, match="restored once"):
        core.restore(unknown_past(0, EPS))


def test_only_own_votes_are_promises() -> None:
    world = world_of("a", "b")
    until_adopted(world, "a")
    proposal = next(raw for _, _, raw in world.air if decode(raw).kind is Kind.PROPOSAL)
    foreign = next(raw for _, who, raw in world.air if who == "b" and isinstance(decode(raw).body, Vote))
    assert restore([proposal, foreign], "a", world.now_ms, EPS).tubes == ()
    assert make_plan("a", "R1", 0)
