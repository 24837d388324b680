"""Many members, many zones, floods: it still works, in bounded space, and decides as fast."""

from __future__ import annotations

import tracemalloc

import pytest

from fleet.protocol import limits
from fleet.protocol.codec import Codec
from fleet.protocol.records import Tuning
from fleet.protocol.wire import Certificate, Release, decode
from sim.peers.channel import Medium
from sim.peers.runs import percentile, run_accord
from tests.protocol.harness import Car, StubVerifier, World, violations
from tests.protocol.liar import Equivocator


def test_32_members_agree_in_one_zone_and_every_datagram_fits() -> None:
    world = World(1, tick_ms=50, tuning=Tuning(batch_max=4))
    for index in range(limits.MEMBERS_MAX):
        car = world.add(f"vehicle-{index:02}", f"R{index}")
        car.wants = index < 4
        world.engage(car)
    world.run(1_500, lambda: len(world.used) == 4)
    assert {used.vehicle for used in world.used} == {f"vehicle-{index:02}" for index in range(4)}
    certified = [detail["members"] for _, _, kind, detail in world.log if kind == "certificate"]
    assert set(certified) == {limits.MEMBERS_MAX}
    parts = [body for _, _, raw in world.air if isinstance(body := decode(raw).body, Certificate)]
    assert max(len(part.votes) for part in parts) == limits.CERTIFICATE_VOTES_MAX
    assert max(len(raw) for _, _, raw in world.air) <= limits.DATAGRAM_BYTES_MAX
    adopted = [raw for raw in world.persisted["vehicle-00"] if isinstance(decode(raw).body, Certificate)]
    positions = {position for raw in adopted for position, _ in decode(raw).body.votes}  # type: ignore[union-attr]
    assert positions == set(range(limits.MEMBERS_MAX)), "what is on disk is the whole certificate"
    assert violations(world) == []


def test_100_zones_in_one_process_do_not_disturb_each_other() -> None:
    worlds = []
    for seed in range(100):
        world = World(seed, tick_ms=50)
        world.codec = worlds[0].codec if worlds else world.codec  # one memory of parsed datagrams for all
        for name in ("a", "b"):
            world.engage(world.add(name, "R1"))
        worlds.append(world)
    for _ in range(10):
        for world in worlds:
            world.run(100)
    assert all(world.all_adopted() for world in worlds)
    assert all(violations(world) == [] for world in worlds)


def decision_ms(flood: int, invented: bool) -> tuple[int, Car]:
    """Time until two vehicles have agreed while somebody sends ``flood`` datagrams every 10 ms."""
    world = World(3, tick_ms=50)
    cars = [world.add(name) for name in ("a", "b")]
    for car in cars:
        world.engage(car)
    liars = [Equivocator(world, f"z{index}", 10**6) for index in range(200 if invented else 1)]
    began, said = world.now_ms, 0
    while not world.all_adopted() and world.now_ms < began + 3_000:
        for _ in range(flood):
            liar = liars[said % len(liars)]
            said += 1
            liar.say(Release((said.to_bytes(32, "big"),), world.now_ms), ["a", "b"])
        world.run(10)
    assert world.all_adopted()
    return world.now_ms - began, cars[0]


@pytest.mark.parametrize("invented", [False, True])
def test_x8_ten_times_the_traffic_does_not_delay_a_decision(invented: bool) -> None:
    calm, _ = decision_ms(0, invented)
    flooded, car = decision_ms(10, invented)  # 1,000 a second: ten times what two vehicles and gossip need
    assert flooded <= 1.2 * calm
    assert car.core.stats.refused["flood"] > 0


def test_s14_memory_is_bounded_under_a_flood_of_everything() -> None:
    world = World(3, tick_ms=50)
    world.codec = Codec(StubVerifier(), memo_max=256)
    car = world.add("a")
    car.wants = False
    world.engage(car)
    world.run(100)
    liar = Equivocator(world, "z", 10**6)

    def flood(count: int) -> None:
        for index in range(count):
            world.now_ms += 1
            name = f"n{index % 500}"
            car.core.step(Equivocator(world, name, 1).say(Equivocator(world, name, 1).intent(), []), world.now_ms)
            car.core.step(liar.say(Certificate(index.to_bytes(32, "big"), ((0, bytes(64)),)), []), world.now_ms)
            if index % 50 == 0:
                world.tick(car)
        world.air.clear()
        world.log.clear()

    tracemalloc.start()
    flood(600)  # more than the memory of parsed datagrams holds: every table is full now
    before, _ = tracemalloc.get_traced_memory()
    flood(600)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 500_000, "a flood that goes on costs no further memory"


@pytest.mark.parametrize(("count", "bound_ms"), [(2, 2_000), (8, 1_000)])
def test_l1_at_half_loss_in_bursts_of_five_nearly_all_decisions_are_in_time(count: int, bound_ms: int) -> None:
    """A sample of the table in docs/benchmarks.md: fleet bench protocol --section latency gives the rest."""
    tally = run_accord(count, Medium(loss=0.5, burst=5.0), range(60 // count))
    assert tally.unsafe == 0 and tally.unfinished == 0
    assert sum(ms > bound_ms for ms in tally.latencies_ms) <= 0.02 * tally.vehicles


def test_gossip_reaches_all_of_eight_within_ten_rounds_and_proposals_rarely_fail_at_half_loss() -> None:
    tally = run_accord(8, Medium(loss=0.5, burst=5.0), range(20))
    assert len(tally.rounds) >= 160
    assert percentile(tally.rounds, 0.99) <= 10
    assert max(tally.failures) <= 3, "L8"
