"""Streams ordered again and again: what is kept, and that the exact search finds what trying all orders finds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sim.plan_bench_rolling import EPOCH_S, Stream, ours, rolled


def traffic(seed: int, count: int, within_s: float) -> Stream:
    """Vehicles of two lanes; who meets keeps 1 to 3 s."""
    rng = np.random.default_rng(seed)
    lane = rng.integers(0, 2, count)
    apart = rng.uniform(1.0, 3.0, (count, count))
    leader = np.array([max((u for u in range(v) if lane[u] == lane[v]), default=-1) for v in range(count)])
    return Stream(np.sort(rng.uniform(0.0, within_s, count)), apart, leader)


def test_a_stream_is_rolled_the_same_every_time() -> None:
    stream = traffic(1, 14, 40.0)
    one, two = (rolled(stream, ours(lambda: 0.0)) for _ in range(2))
    assert one == two
    assert one.delay_s >= 0.0 and one.most >= 2


@pytest.mark.parametrize("seed", range(5))
def test_few_that_come_at_once_are_ordered_as_trying_all_orders_says(seed: int) -> None:
    stream = traffic(seed, 5, EPOCH_S / 10)
    found = ours(lambda: 0.0)(stream.earliest_s, stream.apart_s, stream.leader)[0]
    best = math.inf
    for order in itertools.permutations(range(5)):
        if all(lead < 0 or order.index(lead) < order.index(v) for v, lead in enumerate(stream.leader.tolist())):
            entry = stream.earliest_s.copy()
            for p, v in enumerate(order):
                entry[list(order[p + 1 :])] = np.maximum(
                    entry[list(order[p + 1 :])], entry[v] + stream.apart_s[v, list(order[p + 1 :])]
                )
            best = min(best, float(entry.sum()))
    assert float(found.sum()) == pytest.approx(best, abs=1e-6)
