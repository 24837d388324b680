"""The compiled verifier answers as the plain one does, measures as shapely does, and keeps its time."""

from __future__ import annotations

import os
import statistics
import time

import numpy as np
import pytest
import shapely

from planners import _check, check_gap, check_limits, check_track
from planners.check import Finding, Verifier
from planners.check_fast import FastVerifier
from planners.interface import Commitment
from planners.timed_path import SEGMENT_COUNT_MAX, TimedPath
from planners.zone_map import Passage
from tests.planners.oracle import BUDGET, body, commitment, crossing, map_of
from tests.planners.test_check import ABSURD, random_commitment, random_map

CROSSING = crossing()
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") == "1"


def close(a: Finding, b: Finding) -> bool:
    same = (a.kind, a.vehicle, a.other) == (b.kind, b.vehicle, b.other)
    numbers = ((a.time_s, b.time_s), (a.value, b.value), (a.limit, b.limit))
    return same and all(np.isclose(x, y, rtol=1e-9, atol=1e-6, equal_nan=True) for x, y in numbers)


def agree(a: tuple[Finding, ...], b: tuple[Finding, ...]) -> bool:
    return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes near the origin, some touching others' corners nearly, some aligned, some far."""
    yaw = rng.choice([0.0, np.pi / 2, 1.0], count) * rng.uniform(-np.pi, np.pi, count)
    spread = rng.choice([3.0, 12.0, 300.0], count)
    at = rng.normal(0.0, 1.0, (count, 2)) * spread[:, None]
    sizes = rng.uniform(0.05, 8.0, (count, 3))
    return np.ascontiguousarray(np.column_stack([at, np.cos(yaw), np.sin(yaw), sizes]))


def polygons(boxes: np.ndarray) -> np.ndarray:
    x, y, cos, sin, ahead, behind, side = boxes.T
    corners = ((ahead, side), (-behind, side), (-behind, -side), (ahead, -side))
    return shapely.polygons(
        np.stack([np.stack([x + p * cos - q * sin, y + p * sin + q * cos], axis=-1) for p, q in corners], axis=1)
    )


def worst_gap_error(count: int, seed: int) -> tuple[float, int, int]:
    """Largest error in metres against shapely, pairs on the wrong side of touching, pairs that overlap."""
    rng = np.random.default_rng(seed)
    a, b, out = random_boxes(rng, count), random_boxes(rng, count), np.empty(count)
    _check.rectangle_gaps(a, b, out)
    truth = shapely.distance(polygons(a), polygons(b))
    wrong = (out > 1e-9) != (truth > 1e-9)
    return float(np.abs(np.maximum(out, 0.0) - truth).max()), int(wrong.sum()), int((truth == 0.0).sum())


def test_gaps_of_rectangles_agree_with_shapely() -> None:
    error, wrong, overlapping = worst_gap_error(20_000, 1)
    assert error <= 1e-9
    assert wrong == 0
    assert 1_000 < overlapping < 19_000


@pytest.mark.skipif(os.environ.get("ACCORD_SOAK") != "1", reason="a million pairs: set ACCORD_SOAK=1")
def test_gaps_of_a_million_rectangles_agree_with_shapely() -> None:
    for seed in range(20):
        error, wrong, _ = worst_gap_error(50_000, 100 + seed)
        assert error <= 1e-9
        assert wrong == 0


def test_plain_and_compiled_gaps_are_equal_and_depths_are_negative() -> None:
    rng = np.random.default_rng(2)
    a, b, out = random_boxes(rng, 2_000), random_boxes(rng, 2_000), np.empty(2_000)
    _check.rectangle_gaps(a, b, out)
    plain = [check_gap.rectangle_gap(tuple(x), tuple(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(out, plain, rtol=0.0, atol=1e-12)
    touching = shapely.intersects(polygons(a), polygons(b))
    assert (out[touching] <= 0.0).all()


def test_the_constants_of_both_twins_are_equal() -> None:
    for name in ("CLOCK_ERROR_S", "SLACK_M", "STAND_MPS", "QUANTUM_M"):
        assert getattr(_check, name) == getattr(check_track, name)
    for name in ("SPEED_TOLERANCE_MPS", "SPEED_TOLERANCE_SHARE", "ACCEL_TOLERANCE_MPS2", "EXCESS_GRACE_S"):
        assert getattr(_check, name) == getattr(check_limits, name)
    assert _check.EVALUATION_COUNT_MAX == check_gap.EVALUATION_COUNT_MAX
    assert _check.CIRCLE_STEP_S_MIN == check_gap._CIRCLE_STEP_S_MIN
    assert _check.TRIES == check_gap._TRIES
    assert _check.SEGMENT_COUNT_MAX == SEGMENT_COUNT_MAX
    columns = (check_track.S0, check_track.X, check_track.CX, check_track.TURN, check_track.SWAY, check_track.LEGAL)
    assert columns == (0, 1, 4, 7, 8, 10), "the kernels number the columns"


def test_both_give_the_same_findings_in_500_random_joint_plans() -> None:
    overlaps = clear = 0
    for seed in range(500):
        rng = np.random.default_rng(10_000 + seed)
        zone_map = random_map(rng)
        cs = [random_commitment(rng, name, path) for name, path in (("a", "p"), ("b", "q"), ("c", "p"))]
        plain = Verifier(zone_map).joint(cs[:2], cs[2:], from_ms=1_000)
        fast = FastVerifier(zone_map).joint(cs[:2], cs[2:], from_ms=1_000)
        assert agree(plain, fast), f"seed {seed}: {plain} / {fast}"
        overlaps += any(f.kind == "overlap" for f in plain)
        clear += not any(f.kind == "overlap" for f in plain)
    assert overlaps > 100
    assert clear > 50


def test_both_give_the_same_limits_and_pairs_one_by_one() -> None:
    rng = np.random.default_rng(7)
    zone_map = random_map(rng)
    plain, fast = Verifier(zone_map), FastVerifier(zone_map)
    for _ in range(300):
        a, b = random_commitment(rng, "a", "p"), random_commitment(rng, "b", "q")
        assert agree(plain.limits(a.body, a.plan), fast.limits(a.body, a.plan))
        one, two = plain.pair(a, b, from_ms=0), fast.pair(a, b, from_ms=0)
        assert (one is None) == (two is None)
        assert one is None or two is None or close(one, two)


@pytest.mark.parametrize("plan", ABSURD)
def test_absurd_plans_get_the_same_findings(plan: TimedPath) -> None:
    bad, good = Commitment(body("a"), plan), commitment("b", "straight1", 10.0, 10.0, [(20_000, 0)])
    plain, fast = Verifier(CROSSING), FastVerifier(CROSSING)
    assert [f.kind for f in plain.limits(bad.body, plan)] == [f.kind for f in fast.limits(bad.body, plan)]
    for plans, others in (([bad, good], []), ([good], [bad])):
        one, two = plain.joint(plans, others, from_ms=0), fast.joint(plans, others, from_ms=0)
        assert [(f.kind, f.vehicle, f.other) for f in one] == [(f.kind, f.vehicle, f.other) for f in two]


def test_what_is_inherited_works_on_the_compiled_verifier() -> None:
    fast, plain = FastVerifier(CROSSING), Verifier(CROSSING)
    c = commitment("a", "straight0", 60.0, 10.0, [(20_000, 0)])
    passage = Passage("z", "straight0", 90.0, 110.0)
    assert fast.clears(c, passage) == plain.clears(c, passage)
    assert fast.start_matches(c.plan, 61.0, 10.0, 0, BUDGET) == plain.start_matches(c.plan, 61.0, 10.0, 0, BUDGET)
    assert fast.joint([], [c], from_ms=0) == ()
    assert FastVerifier(map_of()).joint([], [], from_ms=0) == ()


def eight_vehicles() -> list[Commitment]:
    """Two from each side, two of them turning, crossing one after the other within 20 s; clear of each other."""
    out = []
    for k in range(8):
        path = ("straight0", "straight1", "straight3", "right2")[k % 4]
        wait_ms = 2_500 * k
        drive = [(wait_ms + 100, 0), (174, 1300), (1_900, 2600), (174, 1300), (40_000, 0)]
        out.append(commitment(f"v{k}", path, 78.0 - 9.0 * (k // 4), 0.0, drive))
    return out


def timed(verifier: Verifier, cs: list[Commitment], count: int) -> float:
    """Median seconds of a joint check whose plans were not seen before."""
    seconds = []
    for _ in range(count):
        verifier._course.cache_clear()
        if isinstance(verifier, FastVerifier):
            verifier._rows.cache_clear()
        begin = time.perf_counter()
        verifier.joint(cs, [], from_ms=0)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


@pytest.mark.skipif(INTERPRETED, reason="kernels are interpreted")
def test_a_joint_plan_of_eight_vehicles_is_checked_in_time() -> None:
    """The figures are 1 ms and 50 ms; the limits here leave room for a busy machine."""
    cs = eight_vehicles()
    plain, fast = Verifier(CROSSING), FastVerifier(CROSSING)
    assert plain.joint(cs, [], from_ms=0) == fast.joint(cs, [], from_ms=0) == ()
    assert timed(fast, cs, 50) < 0.003
    assert timed(plain, cs, 5) < 0.15
