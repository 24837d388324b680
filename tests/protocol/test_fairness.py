"""Who goes when, over minutes of arrivals at one place that everybody needs (properties F1, F2, F3, F6)."""

from __future__ import annotations

import random
from statistics import fmean, median

import pytest

from tests.protocol.harness import CROSS_MS, Car, World, bursty, intervals, violations

LANES = 4
SERVICE_MS = CROSS_MS + 50
"""The place is taken for so long by each, clocks and leases included."""


class Stream:
    """Poisson arrivals on ``LANES`` lanes; in each lane only the first wants its turn."""

    def __init__(self, seed: int, load: float, loss: float) -> None:
        self.rng = random.Random(seed)
        self.world = World(seed, tick_ms=50)
        if loss:
            self.world.fault = bursty(self.world.rng, loss, 5.0, (20, 40))
            self.world.perfect_eyes = True
        self.gap_ms = SERVICE_MS / load
        self.lanes: list[list[Car]] = [[] for _ in range(LANES)]
        self.arrived: dict[str, int] = {}
        self.headed: dict[str, int] = {}
        self.lane_of: dict[str, int] = {}

    def run(self, count: int) -> None:
        """Until ``count`` cars have come, and all of them are through."""
        while len(self.arrived) < count:
            self._until(self.world.now_ms + max(1, round(self.rng.expovariate(1.0 / self.gap_ms))))
            self._arrive()
        self._until(self.world.now_ms + 120_000)

    def _arrive(self) -> None:
        world, lane = self.world, self.rng.randrange(LANES)
        car = world.add(f"v{len(self.arrived):03}")
        car.wants = not self.lanes[lane]
        self.lanes[lane].append(car)
        self.arrived[car.name], self.lane_of[car.name] = world.now_ms, lane
        if car.wants:
            self.headed[car.name] = world.now_ms
        world.engage(car)

    def _until(self, end_ms: int) -> None:
        while self.world.now_ms < end_ms and any(self.lanes):
            self.world.run(min(50, end_ms - self.world.now_ms))
            for lane in self.lanes:
                while lane and lane[0].done_ms is not None:
                    lane.pop(0)
                if lane and not lane[0].wants:
                    lane[0].wants = True
                    self.headed[lane[0].name] = self.world.now_ms
        self.world.run(max(0, end_ms - self.world.now_ms))

    def starts_ms(self) -> dict[str, int]:
        """When each went in, by what was used, not by what was planned."""
        return {used.vehicle: intervals(used.plan)[0][1] for used in self.world.used if used.until_ms is not None}

    def overtaken(self) -> dict[str, int]:
        """How many that arrived after a car became the first of its lane went before it, from other lanes."""
        starts = self.starts_ms()
        return {
            name: sum(
                self.arrived[other] > self.headed[name] and starts[other] < starts[name]
                for other in starts
                if self.lane_of[other] != self.lane_of[name]
            )
            for name in starts
        }


def through(stream: Stream, count: int) -> dict[str, int]:
    """When each of ``count`` cars went in; all did, and never two at a time."""
    stream.run(count)
    starts = stream.starts_ms()
    assert len(starts) == count, f"{count - len(starts)} of {count} are not through"
    assert violations(stream.world) == []
    return starts


@pytest.mark.parametrize(("load", "loss"), [(0.8, 0.0), (0.5, 0.3)])
def test_f1_the_first_of_a_lane_is_overtaken_by_few_that_come_later(load: float, loss: float) -> None:
    stream = Stream(5, load, loss)
    starts = through(stream, 80)
    assert max(stream.overtaken().values()) <= 2 * (LANES - 1)
    assert max(starts[name] - stream.arrived[name] for name in starts) <= 60_000


def test_f2_f3_at_four_fifths_of_capacity_waits_are_alike_and_no_lane_bears_more() -> None:
    stream = Stream(5, 0.8, 0.0)
    starts = through(stream, 120)
    waits = sorted(starts[name] - stream.arrived[name] for name in starts)
    assert waits[-1] <= 60_000
    assert waits[int(0.99 * len(waits))] <= 6 * median(waits)
    shares = [fmean(starts[n] - stream.arrived[n] for n in starts if stream.lane_of[n] == k) for k in range(LANES)]
    assert sum(shares) ** 2 / (LANES * sum(x * x for x in shares)) >= 0.95


def test_f6_one_that_is_alone_has_its_turn_as_soon_as_it_has_listened() -> None:
    world = World(1, tick_ms=50)
    car = world.add("v0")
    world.engage(car)
    world.run(1_000, world.all_adopted)
    assert world.all_adopted()
    assert world.now_ms - car.arrived_ms <= world.tuning.listen_ms + world.tick_ms
