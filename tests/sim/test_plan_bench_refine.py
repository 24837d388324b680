"""The refinement bench on its smallest scenes: figures are taken from what it measures, and can be bad."""

from __future__ import annotations

import itertools

from sim import plan_bench_refine as bench


def ticking() -> bench.Clock:
    ticks = itertools.count()
    return lambda: float(next(ticks))


def test_figures_of_small_crowds() -> None:
    ground, said = bench.Ground.four_way(), []
    assert bench.crowd(ground, 5, 4) == bench.crowd(ground, 5, 4)
    figures = bench.smoothness(ground, [0, 1], 4, ticking(), said.append)
    assert (figures.scenes, figures.feasible_share, len(said)) == (2, 1.0, 2)
    assert figures.jerk_share < 0.6
    assert figures.delay_share < 1.02
    assert figures.seconds == (1.0, 1.0)
    against = bench.comparison(ground, [2], 2, ticking(), said.append)
    assert against.unsolved == 0
    assert 0.9 < against.cost_shares[0] < 1.2
    assert against.feasible[0][0]
    text = bench.table([figures], [against])
    assert "| 4 | 2 | 1000 / 1000 |" in text
    assert "| 2 | 1 (0) |" in text
