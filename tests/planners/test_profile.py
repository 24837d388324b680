"""Speed profiles against slow twins, analytic cases and the independent verifier's rules."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from fleet.errors import PlanError
from planners import _blocking, _profile
from planners._profile import Drive
from planners.check import Verifier
from planners.interface import Body
from planners.profile import (
    SECTION_COUNT_MAX,
    Sections,
    Start,
    Workspace,
    drive_from,
    lag_s,
    profile_knots,
    sections_of,
    speed_caps,
    start_at,
)  # fmt: skip
from planners.rounding import integer_plan
from planners.timed_path import TimedPath
from planners.zone_map import Floats, MotionLimits, Path
from tests.planners.oracle import FOOTPRINT, LIMITS, body, map_of, path_of

FAST = settings(max_examples=40, deadline=None)
ROOM = Workspace()

RANGES = ((4.0, 40.0), (0.8, 4.0), (1.5, 8.0), (1.0, 5.0), (8.0, 40.0))
vehicles = st.builds(MotionLimits, *(st.floats(low, high) for low, high in RANGES))
bends = st.sampled_from([0.0, 0.02, -0.05, 0.1, -0.2])
roads = st.lists(st.tuples(st.floats(5.0, 60.0), bends), min_size=1, max_size=6)


def flat(*limits: tuple[float, float]) -> Sections:
    """Sections from (start, speed)."""
    return Sections(np.array([start for start, _ in limits]), np.array([v * v for _, v in limits]))


def ideal(drive: Drive, sections: Sections, shape: tuple[float, float, float] = (0.0, math.inf, -1.0)) -> Floats:
    count = _profile.profile(drive, sections.start_m, sections.square, *shape, ROOM.work(sections), ROOM.knots)
    return ROOM.knots[:, : count + 1].copy()


def positions(knots: Floats, times: Floats) -> Floats:
    k = np.maximum(np.searchsorted(knots[0], times, side="right") - 1, 0)
    x = times - knots[0, k]
    return knots[1, k] + (knots[2, k] + 0.5 * knots[3, k] * x) * x


def twin_time(drive: Drive, sections: Sections, end: float, count: int = 6_000) -> float:
    """Time to ``end`` by the textbook: w on a fine grid of s, one pass from the back and one from the front."""
    s = np.linspace(drive.s, end, count)
    ds = s[1] - s[0]
    w = sections.square[np.maximum(np.searchsorted(sections.start_m, s, side="right") - 1, 0)].copy()
    if end >= drive.stop - 1e-9:
        w[-1] = 0.0
    for k in range(count - 2, -1, -1):
        w[k] = min(w[k], w[k + 1] + 2.0 * drive.slope * ds)
    w[0] = min(w[0], drive.v**2)
    for k in range(1, count):
        w[k] = min(w[k], w[k - 1] + 2.0 * drive.accel * ds)
    v = np.sqrt(w)
    return float(np.sum(2.0 * ds / (v[1:] + v[:-1])))


def drive_at(v: float, accel: float = 2.0, brake: float = 4.0, stop: float = math.inf, gone: float = 200.0) -> Drive:
    return Drive(0.0, 0.0, v, 0.0, 0.3, accel, brake, 0.6 * brake, brake, stop, gone)


# --- the fastest profile -------------------------------------------------------------------------


def test_time_from_rest_is_the_square_root_law() -> None:
    knots = ideal(drive_at(0.0, gone=100.0), flat((-1e6, 100.0)))
    assert knots[0, -1] == pytest.approx(math.sqrt(2.0 * 100.0 / 2.0), rel=1e-12)
    assert knots[2, -1] == pytest.approx(math.sqrt(2.0 * 2.0 * 100.0), rel=1e-12)


def test_from_rest_to_rest_is_a_triangle_then_a_trapezium() -> None:
    short = ideal(drive_at(0.0, stop=30.0), flat((-1e6, 100.0)))
    peak = math.sqrt(2.0 * 30.0 * 2.0 * 4.0 / 6.0)
    assert short[0, -1] == pytest.approx(peak / 2.0 + peak / 4.0)
    assert short[3].tolist()[:2] == pytest.approx([2.0, -4.0])
    long = ideal(drive_at(0.0, stop=150.0), flat((-1e6, 10.0)))
    assert long[0, -1] == pytest.approx(5.0 + 2.5 + (150.0 - 25.0 - 12.5) / 10.0)


@FAST
@given(
    st.floats(0.0, 12.0), st.floats(0.5, 4.0), st.floats(1.0, 8.0), st.booleans(),
    st.lists(st.tuples(st.floats(5.0, 40.0), st.floats(2.0, 15.0)), min_size=1, max_size=5),
)  # fmt: skip
def test_profile_takes_as_long_as_the_fine_grid_says(
    v0: float, accel: float, brake: float, stops: bool, parts: list[tuple[float, float]]
) -> None:
    starts = np.concatenate([[-1e6], np.cumsum([length for length, _ in parts])[:-1]])
    sections = flat(*zip(starts.tolist(), [v for _, v in parts], strict=True))
    drive = drive_at(v0, accel, brake, stop=180.0 if stops else math.inf, gone=180.0)
    knots = ideal(drive, sections)
    inside = np.linspace(0.0, 179.0, 400)
    w_top = sections.square[np.maximum(np.searchsorted(sections.start_m, inside, side="right") - 1, 0)]
    w_now = np.interp(inside, knots[1], knots[2] ** 2)
    reachable = w_top + 2.0 * brake * 1e-9
    assume(bool((v0**2 - 2.0 * brake * inside <= reachable + 1e-6).all()))
    assert (w_now <= w_top + 1e-6).all()
    assert knots[0, -1] == pytest.approx(twin_time(drive, sections, 180.0), rel=5e-3, abs=0.02)


@FAST
@given(st.floats(0.0, 14.0), st.floats(0.0, 20.0), st.floats(0.01, 10.0), st.floats(0.0, 8.0))
def test_going_later_is_never_ahead(v0: float, tau: float, more: float, v_low: float) -> None:
    sections = flat((-1e6, 14.0), (60.0, 6.0), (75.0, 14.0))
    drive = drive_at(v0, stop=190.0)
    times = np.linspace(0.0, 60.0, 600)
    early, late = (ideal(drive, sections, (v_low, math.inf, when)) for when in (tau, tau + more))
    assert (positions(late, times) <= positions(early, times) + 1e-6).all()


# --- below a barrier -----------------------------------------------------------------------------


@FAST
@given(
    st.floats(0.0, 14.0),
    st.lists(st.tuples(st.floats(0.5, 15.0), st.floats(0.0, 60.0)), min_size=1, max_size=5),
)
def test_the_earliest_profile_keeps_below_the_barrier_and_nothing_earlier_does(
    v0: float, corners: list[tuple[float, float]]
) -> None:
    con_t = np.cumsum([dt for dt, _ in corners])
    drive = drive_at(v0)
    con_u = drive.s + 0.5 * v0 * v0 / drive.brake + 3.0 + np.cumsum([du for _, du in corners])
    sections, shape, work = flat((-1e6, 14.0)), np.zeros(2), ROOM.work(flat((-1e6, 14.0)))
    count = _profile.earliest(
        drive, sections.start_m, sections.square, con_t, con_u, len(con_t), 150.0, work, ROOM.knots, shape
    )
    assert count > 0
    driven = ROOM.smoothed(drive, count).copy()
    assert (positions(driven, con_t) <= con_u + 1e-9).all()
    tau = float(shape[0])
    if tau > drive.t:
        hard = drive._replace(ease=drive.brake)
        before = profile_knots(hard, sections, (0.0, math.inf, max(0.0, tau - 0.02)), ROOM)
        assert (positions(before, con_t) > con_u - 0.02 * 14.0).any()


def test_a_barrier_that_is_too_close_has_no_profile() -> None:
    drive, sections = drive_at(10.0), flat((-1e6, 14.0))
    near, when, work, out = np.array([8.0]), np.array([5.0]), ROOM.work(sections), np.zeros(2)
    count = _profile.earliest(drive, sections.start_m, sections.square, when, near, 1, 50.0, work, ROOM.knots, out)
    assert count == 0


def test_the_mildest_way_loses_no_more_than_it_may() -> None:
    drive, sections, out, shape = drive_at(13.0), flat((-1e6, 14.0)), np.zeros(2), np.zeros(4)
    con_t, con_u, work = np.array([9.0]), np.array([60.0]), ROOM.work(flat((-1e6, 14.0)))
    args = (drive, sections.start_m, sections.square, con_t, con_u, 1)
    assert _profile.earliest(*args, 80.0, work, ROOM.knots, out) > 0
    slowest = ROOM.knots[2, :2].min()
    wish = np.array([80.0, out[1] + 0.1, 1.0])
    assert _profile.gentle(*args, wish, work, ROOM.knots, shape) == 1
    mild = drive._replace(ease=float(shape[3]))
    way = (float(shape[0]), float(shape[1]), float(shape[2]))
    knots = ideal(mild, sections, way)
    k = int(np.searchsorted(knots[1], 80.0)) - 1
    x = wish[1] - knots[0, k]
    assert knots[1, k] + knots[2, k] * x + 0.5 * knots[3, k] * x * x >= 80.0
    assert knots[2].min() > slowest + 0.2
    driven = profile_knots(mild, sections, way, ROOM)
    assert positions(driven, con_t)[0] <= con_u[0] + 1e-9


# --- limits along the path -----------------------------------------------------------------------


@FAST
@given(roads, vehicles)
def test_sections_are_few_and_never_above_the_limits(parts: list[tuple[float, float]], limits: MotionLimits) -> None:
    path = path_of("p", (0.0, 0.0, 0.0), parts)
    sections, caps = sections_of(path, limits), speed_caps(path, limits)
    assert len(sections.start_m) <= 2 * SECTION_COUNT_MAX
    s = np.arange(len(caps)) * path.step_m
    allowed = np.sqrt(sections.square[np.searchsorted(sections.start_m, s, side="right") - 1])
    assert (allowed <= caps + 1e-9).all()
    assert allowed.max() >= 0.85 * caps.min()


def test_a_straight_road_keeps_its_limit() -> None:
    sections = sections_of(path_of("p", (0.0, 0.0, 0.0), [(200.0, 0.0)]), LIMITS)
    assert len(sections.square) == 1
    assert math.sqrt(sections.square[0]) == pytest.approx(13.89, abs=0.006)


def test_a_path_without_a_usable_limit_is_refused() -> None:
    with pytest.raises(PlanError, match="must be finite and > 0"):
        sections_of(path_of("p", (0.0, 0.0, 0.0), [(20.0, 0.0)], limit_mps=0.0), LIMITS)


# --- integers ------------------------------------------------------------------------------------


def made(path: Path, who: Body, s0: float, v0: float, *, stop: float, shape: tuple[float, float, float]) -> TimedPath:
    sections = sections_of(path, who.limits)
    v0 = min(v0, 0.98 * math.sqrt(float(sections.square[max(0, int(np.searchsorted(sections.start_m, s0)) - 1)])))
    start = Start((), 2000, s0, round(v0 * 1000.0) * 1000, 0.0)
    drive = drive_from(start, 2000, who, path, stop_s_m=stop, ease=0.6)
    if drive.s + 0.5 * drive.v**2 / drive.brake >= stop:
        reject()
    return integer_plan(who, path, None, start, profile_knots(drive, sections, shape, ROOM))


@settings(max_examples=120, deadline=None)
@given(roads, vehicles, st.floats(0.0, 30.0), st.booleans(), st.floats(0.0, 8.0), st.floats(0.0, 20.0))
def test_integer_plans_are_drivable_by_the_verifiers_rules(
    parts: list[tuple[float, float]], limits: MotionLimits, v0: float, stops: bool, v_low: float, tau: float
) -> None:
    path, who = path_of("p", (0.0, 0.0, 0.0), parts), body("a", limits=limits)
    stop = path.length_m - 2.0 if stops else math.inf
    sections = sections_of(path, limits)
    # A start from which limits ahead cannot be kept is another matter.
    first = math.sqrt(float(sections.square.min()))
    plan = made(path, who, 0.0, min(v0, first), stop=stop, shape=(v_low, math.inf, tau))
    findings = Verifier(map_of(path)).limits(who, plan)
    assert findings == ()
    assert len(plan.segments) <= 64
    arrays = plan.arrays()
    if stops:
        assert plan.v0_mmps * 1000 + sum(dt * a for dt, a in plan.segments) == 0
        assert arrays.v_mps[-1] < 1e-9
        assert stop - 0.5 < arrays.s_m[-1] < stop + 0.1
    else:
        assert arrays.s_m[-1] >= path.length_m + FOOTPRINT.rear_m
    assert TimedPath.decode(plan.encode()) == plan


def test_rounding_follows_the_profile_closely() -> None:
    path, who = path_of("p", (0.0, 0.0, 0.0), [(300.0, 0.0)]), body("a")
    sections, start = sections_of(path, LIMITS), Start((), 0, 0.0, 12_345_000, 0.0)
    drive = drive_from(start, 0, who, path, stop_s_m=math.inf, ease=0.6)
    knots = profile_knots(drive, sections, (3.0, math.inf, 12.0), ROOM).copy()
    plan = integer_plan(who, path, None, start, knots)
    times = np.linspace(0.0, knots[0, -1], 300)
    driven = np.array([plan.arrays().at(t)[0] for t in times])
    assert np.abs(driven - positions(knots, times)).max() < 0.02


def test_acceleration_steps_are_halved_and_a_lag_apart() -> None:
    path, who = path_of("p", (0.0, 0.0, 0.0), [(300.0, 0.0)]), body("a")
    plan = made(path, who, 0.0, 0.0, stop=math.inf, shape=(0.0, math.inf, -1.0))
    lag_ms = round(lag_s(LIMITS) * 1000.0)
    assert [a for _, a in plan.segments][:3] == pytest.approx([1300, 2600, 1300], abs=5)
    assert plan.segments[0][0] == pytest.approx(lag_ms, abs=1) and plan.segments[2][0] == pytest.approx(lag_ms, abs=1)


@pytest.mark.parametrize("switch_ms", [900, 1000, 1001, 1500, 2000, 2500, 3999, 4000, 9000])
def test_the_plan_driven_so_far_is_kept_bit_for_bit(switch_ms: int) -> None:
    approach = TimedPath("a", "p", 1000, 20_000, 10_000, ((1000, 0), (500, -1000), (3250, -2923), (1, -250)))
    path, who = path_of("p", (0.0, 0.0, 0.0), [(300.0, 0.0)]), body("a")
    start = start_at(approach, switch_ms)
    s, v, _ = approach.arrays().at(max(start.time_ms, 1000) * 1e-3)
    assert start.s_m == pytest.approx(s, abs=1e-9) and start.v_umps * 1e-6 == pytest.approx(v, abs=1e-9)
    drive = drive_from(start, 0, who, path, stop_s_m=math.inf, ease=0.6)
    knots = profile_knots(drive, sections_of(path, LIMITS), (0.0, math.inf, -1.0), ROOM)
    plan = integer_plan(who, path, approach, start, knots)
    assert (plan.t0_ms, plan.s0_mm, plan.v0_mmps) == (1000, 20_000, 10_000)
    for t_ms in range(1000, switch_ms, 37):
        assert plan.arrays().at(t_ms * 1e-3) == pytest.approx(approach.arrays().at(t_ms * 1e-3), abs=1e-9)
    assert Verifier(map_of(path)).limits(who, plan) == ()


# --- blocking kernels against plain loops --------------------------------------------------------


@FAST
@given(st.data())
def test_barrier_and_clash_are_what_plain_loops_say(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    cells, bins, first, step = 80, 30, 12, 0.5
    rows = np.sort(rng.uniform(0.0, 60.0, (2, cells + 1)), axis=1)
    if rng.random() < 0.5:
        rows[1, cells // 2 :] = math.inf
    lo = rng.uniform(5.0, 40.0, bins)
    hi = lo + rng.uniform(0.0, 12.0, bins)
    lo[rng.integers(bins)], hi[rng.integers(bins)] = math.inf, -math.inf
    kind, row, n0 = int(rng.integers(2)), int(rng.integers(2)), int(rng.integers(20))
    pad, gap = np.array([4, 7]), np.array([0.0, 0.8])
    items, steps, state = np.array([[row, 0, first, bins, kind]]), np.array([step]), np.array([1])
    free = np.full(cells + 1, math.inf)
    far = np.maximum.accumulate(hi)
    bins_of = np.array([lo, hi, np.minimum.accumulate(lo[::-1])[::-1], far])
    _blocking.barrier(items, steps, state, far, rows, pad, gap, kind, n0, free)
    own = np.sort(rng.uniform(0.0, 40.0, cells + 1))
    found, state0 = np.zeros(1, dtype=np.int64), np.array([0])
    cell = _blocking.clash(items, steps, state0, 0, bins_of, rows, pad, gap, own, n0, found)
    for n in range(n0, cells + 1):
        s_j = rows[row, max(0, n - pad[kind])] - gap[kind]
        shut = [k for k in range(bins) if hi[k] >= s_j]
        assert free[n] == ((first + shut[0]) * step if shut else math.inf)
    meets = [
        n
        for n in range(n0, cells)
        for k in range(bins)
        if own[n] <= (first + k + 1) * step
        and own[n + 1] >= (first + k) * step
        and lo[k] <= rows[row, min(cells, n + 1 + pad[kind])] + gap[kind]
        and hi[k] >= rows[row, max(0, n - pad[kind])] - gap[kind]
    ]
    assert (cell, found[0]) == ((meets[0], 0) if meets else (cells, -1))


@FAST
@given(st.data())
def test_fewer_constraints_say_the_same(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    free = np.sort(np.round(rng.uniform(0.0, 90.0, 101), 0))
    free[int(rng.integers(20, 102)) :] = math.inf
    con = np.zeros((2, 101))
    count = _blocking.constraints(free, np.array([0.0, 0.05]), 3, 14.0, 0.0, con[0], con[1])
    own = np.minimum.accumulate(rng.uniform(0.0, 0.7, 102))[::-1].cumsum() + rng.uniform(0.0, 40.0)
    kept = all(np.interp(con[0, c], np.arange(102) * 0.05, own) <= con[1, c] + 1e-9 for c in range(count))
    assert kept == bool((own[4:102] <= free[3:101] + 1e-9).all())


_CASE = """
import math
from planners.first_come import FirstCome
from tests.planners.test_first_come import cross, request
zone_map, tables = cross()
planner = FirstCome(zone_map, tables)
ways = enumerate((("a", "we"), ("b", "sn")))
asked = [request(planner, zone_map, name, path, 60.0, 12.0, k) for k, (name, path) in ways]
print([plan.encode().hex() for plan in planner.plan(asked, [], now_ms=0).plans])
"""


def test_without_compilation_the_same_bytes_come_out() -> None:
    root = FilePath(__file__).parents[2]
    said = []
    for jit_off in ("0", "1"):
        env = {**os.environ, "NUMBA_DISABLE_JIT": jit_off, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", _CASE]
        run = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
        said.append(run.stdout)
    assert said[0] == said[1] and len(said[0]) > 100
