"""How long a decision takes: all losses and sizes, over many seeds (rules L1, L8; gossip rounds).

    python -m tests.protocol.measure_latency [--seeds 1000] [--sizes 2,8] [--losses 0.5] [--bursts 1,5]

Every vehicle ticks at 20 Hz at a phase of its own and hears the others for 3 s before it wants a plan.
One sample is one vehicle: from the first proposal that has a tube for it until it adopts one, failed
attempts included. A batch may hold all; who is left out of it, since the proposer had not heard it lately,
is named by a later one: the column ``all`` is the time from the first proposal of the run to the last adoption.

The channel loses time slots, not datagrams: a directed link is up or down for a whole slot of 50 ms (one
tick), by a Gilbert-Elliott chain with the mean burst given in slots. Saying a thing twice within a slot
buys nothing, as with a real fade. ``independent`` loses each datagram by itself.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.protocol.limits import BATCH_MAX
from fleet.protocol.records import Tuning
from tests.protocol.harness import Fault, World, violations

TICK_MS = 50
DELAY_MS = 20
ACQUAINT_MS = 3_000
LIMIT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    latencies_ms: tuple[int, ...]
    """Of each vehicle; ``LIMIT_MS`` where it never adopted."""
    all_ms: int
    """From the first proposal to the last adoption."""
    decided_ms: tuple[int, ...]
    """From a proposal's stamp to the certificate, wherever one became known."""
    failures: int
    """Most attempts in a row without a commitment."""
    datagrams: int
    sent_bytes: int
    unsafe: tuple[str, ...]


def fading(world: World, loss: float, burst: float, delay_ms: int = DELAY_MS, slot_ms: int = TICK_MS) -> Fault:
    """Directed links that are up or down for whole slots; slots of different links begin at different times."""
    leave = 1.0 / burst
    enter = min(1.0, loss * leave / (1.0 - loss)) if loss < 1.0 else 1.0
    links: dict[tuple[str, str], tuple[int, bool, random.Random, int]] = {}

    def fault(a: str, b: str, raw: bytes) -> Sequence[int]:
        if (a, b) not in links:
            rng = random.Random(world.rng.getrandbits(32))
            links[a, b] = (-1, rng.random() < loss, rng, rng.randrange(slot_ms))
        slot, down, rng, shift = links[a, b]
        now_slot = (world.now_ms + shift) // slot_ms
        for _ in range(now_slot - slot if slot >= 0 else 0):
            down = rng.random() >= leave if down else rng.random() < enter
        links[a, b] = (now_slot, down, rng, shift)
        return () if down else (delay_ms,)

    return fault


def independent(world: World, loss: float, delay_ms: int = DELAY_MS) -> Fault:
    return lambda a, b, raw: () if world.rng.random() < loss else (delay_ms,)


def run(seed: int, count: int, loss: float, burst: float, *, acquaint_ms: int = ACQUAINT_MS) -> Sample:
    """One run of ``count`` vehicles; ``burst`` of 1 slot or less means independent losses."""
    world = World(seed, TICK_MS, Tuning(batch_max=min(count, BATCH_MAX), listen_ms=acquaint_ms))
    world.leave_ms = LIMIT_MS
    world.fault = fading(world, loss, burst) if burst > 1.0 else independent(world, loss)
    for index in range(count):
        car = world.add(f"v{index:02}", f"R{index % 4}")
        world.engage(car)
    began = world.now_ms
    world.run(LIMIT_MS, world.all_adopted)
    named: dict[str, int] = {}
    for at, _, kind, detail in world.log:
        if kind == "proposal":
            for name in detail["batch"]:  # type: ignore[attr-defined]
                named.setdefault(name, at)
    adopted = {used.vehicle: used.from_ms for used in reversed(world.used)}
    latencies = tuple(adopted[name] - named[name] if name in adopted else LIMIT_MS for name in sorted(world.cars))
    return Sample(
        latencies,
        world.now_ms - min(named.values(), default=began) if world.all_adopted() else LIMIT_MS,
        tuple(ms for car in world.cars.values() for ms in car.core.stats.latencies_ms),
        failures_in_a_row(world),
        len(world.air),
        sum(len(raw) for _, _, raw in world.air),
        tuple(violations(world)),
    )


def failures_in_a_row(world: World) -> int:
    """The longest run of proposals, in order of their time, that nobody committed to."""
    committed = {detail["proposal"] for _, _, kind, detail in world.log if kind == "commit"}
    worst = now = 0
    for _, _, kind, detail in world.log:
        if kind == "proposal":
            now = 0 if detail["proposal"] in committed else now + 1
            worst = max(worst, now)
    return worst


def percentile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1e6) // 1_000_000) - 1))]


def row(seeds: int, count: int, loss: float, burst: float) -> str:
    """One line of the table."""
    samples = [run(seed, count, loss, burst) for seed in range(seeds)]
    latencies = [ms for sample in samples for ms in sample.latencies_ms]
    in_a_row = [sample.failures for sample in samples]
    cells = [
        str(count), f"{100 * loss:.0f} %", "independent" if burst <= 1.0 else f"{burst:g} slots", str(len(latencies)),
        *(str(percentile(latencies, share)) for share in (0.5, 0.99, 0.999)), str(max(latencies)),
        str(percentile([ms for s in samples for ms in s.decided_ms] or [0], 0.999)),
        str(percentile([s.all_ms for s in samples], 0.99)), str(percentile([s.all_ms for s in samples], 0.999)),
        str(percentile(in_a_row, 0.999)), f"{sum(s.datagrams for s in samples) / seeds:.0f}",
        f"{sum(s.sent_bytes for s in samples) / seeds / 1000:.0f}", str(sum(bool(s.unsafe) for s in samples)),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--sizes", default="2,4,8,16")
    parser.add_argument("--losses", default="0,0.1,0.3,0.5,0.9")
    parser.add_argument("--bursts", default="1,5")
    given = parser.parse_args()
    print("| n | loss | bursts | samples | p50 ms | p99 ms | p99.9 ms | max ms | one attempt p99.9 ms "
          "| all p99 ms | all p99.9 ms | failed in a row p99.9 | datagrams | kB | unsafe |")  # fmt: skip
    print("| " + " | ".join(["---"] * 15) + " |")
    for count in map(int, given.sizes.split(",")):
        for loss in map(float, given.losses.split(",")):
            for burst in map(float, given.bursts.split(",")) if loss else (1.0,):
                print(row(given.seeds, count, loss, burst), flush=True)


if __name__ == "__main__":
    main()
