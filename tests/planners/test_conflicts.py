"""Conflict tables against shapely: never too small, hardly too large; transpose, kinds, and the cache on disk."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path as FilePath

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import PlanError
from planners import _conflicts
from planners.conflicts import ConflictTables, Outline, transposed
from planners.paths import build_path
from planners.tubes import Tube
from planners.zone_map import Conflict, ErrorBudget, Floats, Footprint, Path

CAR: Outline = (Footprint(5.0, 1.8, 1.05), ErrorBudget(0.25, 0.5))
VAN: Outline = (Footprint(7.2, 2.1, 1.6), ErrorBudget(0.1, 0.2))
EXACT: Outline = (Footprint(5.0, 1.8, 1.05), ErrorBudget(0.0, 0.0))


def path(path_id: str, points: Floats | list[tuple[float, float]], step_m: float = 0.25) -> Path:
    return build_path(path_id, "a", "b", np.array(points, dtype=np.float64), 13.89, 1.75, step_m=step_m)


def arc(start: tuple[float, float], yaw: float, kappas: list[float], piece_m: float) -> Floats:
    """Points every 0.1 m along constant-curvature pieces."""
    kappa = np.repeat(kappas, round(piece_m / 0.1))
    heading = yaw + np.concatenate([[0.0], np.cumsum(kappa) * 0.1])
    mid = (heading[1:] + heading[:-1]) / 2.0
    moves = 0.1 * np.column_stack([np.cos(mid), np.sin(mid)])
    return np.vstack([[start], np.array(start) + np.cumsum(moves, axis=0)])


def rectangles(way: Path, outline: Outline, s_m: Floats) -> Floats:
    """Exact inflated rectangles at any arc length, as shapely polygons; pose interpolated between samples."""
    footprint, budget = outline
    at = np.arange(len(way.x_m)) * way.step_m
    x, y, yaw = (np.interp(s_m, at, v) for v in (way.x_m, way.y_m, np.unwrap(way.yaw_rad)))
    front, rear = footprint.front_m + budget.longitudinal_m, -footprint.rear_m - budget.longitudinal_m
    side = footprint.width_m / 2.0 + budget.lateral_m
    body = np.array([[front, side], [rear, side], [rear, -side], [front, -side]])
    cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    corners = np.stack(
        [x[:, None] + cos * body[:, 0] - sin * body[:, 1], y[:, None] + sin * body[:, 0] + cos * body[:, 1]], -1
    )
    return np.asarray(shapely.polygons(corners))


def covered(conflicts: tuple[Conflict, ...], s_i: Floats, s_j: Floats) -> np.ndarray:
    """bool [i, j]: whether some conflict of the table holds (s_i, s_j)."""
    out = np.zeros((len(s_i), len(s_j)), dtype=bool)
    for conflict in conflicts:
        k = np.floor(s_i / conflict.step_m).astype(int) - conflict.first_bin
        inside = (k >= 0) & (k < len(conflict.lo_m))
        lo = np.where(inside, conflict.lo_m[np.clip(k, 0, len(conflict.lo_m) - 1)], np.inf)
        hi = np.where(inside, conflict.hi_m[np.clip(k, 0, len(conflict.lo_m) - 1)], -np.inf)
        out |= (lo[:, None] <= s_j[None, :]) & (s_j[None, :] <= hi[:, None])
    return out


def tables(*paths: Path, cache_dir: FilePath | None = None) -> ConflictTables:
    return ConflictTables({p.path_id: p for p in paths}, "digest", cache_dir)


bends = st.lists(st.floats(-0.24, 0.24), min_size=4, max_size=4)
outlines = st.builds(
    lambda length, width, rear, lateral, longitudinal: (
        Footprint(length, width, rear * length), ErrorBudget(lateral, longitudinal)
    ),
    st.floats(0.5, 12.0), st.floats(0.3, 2.6), st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.floats(0.0, 1.0),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(bends, bends, st.floats(-math.pi, math.pi), st.floats(-8, 8), outlines, outlines, st.integers(0, 10**6))
def test_no_touching_pair_is_outside_the_tables(
    bends_a: list[float], bends_b: list[float], yaw: float, offset: float, one: Outline, other: Outline, seed: int
) -> None:
    a = path("a", arc((0.0, 0.0), 0.0, bends_a, 6.0))
    b = path("b", arc((8.0 - 10.0 * math.cos(yaw), offset - 10.0 * math.sin(yaw)), yaw, bends_b, 6.0), step_m=0.2)
    table = tables(a, b)
    rng = np.random.default_rng(seed)
    s_a, s_b = rng.uniform(0.0, a.length_m, 70), rng.uniform(0.0, b.length_m, 70)
    touching = shapely.intersects(rectangles(a, one, s_a)[:, None], rectangles(b, other, s_b)[None, :])
    assert not (touching & ~covered(table.between("a", one, "b", other), s_a, s_b)).any()
    assert not (touching.T & ~covered(table.between("b", other, "a", one), s_b, s_a)).any()


@pytest.mark.parametrize("yaw", [math.pi / 2.0, 2.4, 0.4])
def test_a_crossing_holds_few_cells_that_never_touch(yaw: float) -> None:
    a = path("a", arc((0.0, 0.0), 0.0, [0.1, -0.1, 0.15], 10.0))
    start = np.array([a.x_m[60], a.y_m[60]]) - 18.0 * np.array([math.cos(yaw), math.sin(yaw)])
    b = path("b", arc((float(start[0]), float(start[1])), yaw, [0.0, 0.0, -0.12], 12.0))
    table = tables(a, b)
    conflicts = table.between("a", CAR, "b", CAR)
    assert {c.kind for c in conflicts} == {"crossing"}
    claimed = sum(float(np.maximum(c.hi_m - c.lo_m, 0.0).sum()) * c.step_m for c in conflicts)
    s_a, s_b = np.arange(0.0, a.length_m, 0.1), np.arange(0.0, b.length_m, 0.1)
    touching = shapely.intersects(rectangles(a, CAR, s_a)[:, None], rectangles(b, CAR, s_b)[None, :])
    # Closed cells alone cost about half a step around the rim of a set some 9 m wide.
    assert 1.0 <= claimed / (float(touching.sum()) * 0.01) < 1.15


def test_swept_hulls_agree_with_shapely_bin_by_bin() -> None:
    a = path("a", arc((0.0, 0.0), 0.0, [0.0, 0.15, -0.1], 8.0))
    b = path("b", arc((8.0, -9.0), 1.8, [0.05, -0.2, 0.1], 8.0))
    tube_a, tube_b = Tube.of(a, *CAR), Tube.of(b, *VAN)
    hulls = [
        shapely.convex_hull(shapely.multipoints(np.concatenate([t.corners[:-1], t.corners[1:]], axis=1)))
        for t in (tube_a, tube_b)
    ]
    distance = shapely.distance(hulls[0][:, None], hulls[1][None, :])
    runs = np.empty((2000, 3), dtype=np.int64)
    count = _conflicts.scan(*tube_a.kernel_arrays, *tube_b.kernel_arrays, runs)
    ours = np.zeros(distance.shape, dtype=bool)
    for row, first, last in runs[:count]:
        ours[row, first : last + 1] = True
    assert ours.sum() > 1000
    assert not ((distance == 0.0) & ~ours).any()
    assert not ((distance > 0.02) & ours).any()
    assert (ours & (distance > 0.0)).sum() < 0.01 * ours.sum()


def test_slack_holds_what_corners_do_between_samples() -> None:
    way = path("a", arc((0.0, 0.0), 0.0, [0.2, 0.2], 10.0), step_m=1.0)
    tube = Tube.of(way, *VAN)
    hulls = shapely.convex_hull(shapely.multipoints(np.concatenate([tube.corners[:-1], tube.corners[1:]], axis=1)))
    bins = np.arange(1, len(hulls) - 1)
    true = []
    for s_m in bins + 0.5:
        angle = 0.2 * float(s_m)  # on a circle of 5 m radius the exact pose is known
        x, y = 5.0 * math.sin(angle), 5.0 - 5.0 * math.cos(angle)
        # Three samples, 2 m in all: the middle one is the pose in question.
        here = dataclasses.replace(
            way, x_m=np.full(3, x), y_m=np.full(3, y), yaw_rad=np.full(3, angle), kappa_1pm=np.full(3, 0.2)
        )
        true.append(shapely.points(Tube.of(here, *VAN).corners[1]))
    beyond = shapely.distance(np.array(true), hulls[bins][:, None]).max(axis=1)
    assert beyond.min() > 0.03  # so the slack is needed ...
    assert (beyond <= tube.slack_m[bins] + 1e-3).all()  # ... and enough (the path itself is good to a millimetre)


def test_a_small_output_table_is_grown() -> None:
    a, b = path("a", [(0.0, 0.0), (300.0, 0.0)]), path("b", [(150.0, -150.0), (150.0, 150.0)])
    tubes = [Tube.of(way, *CAR) for way in (a, b)]
    few, many = (np.empty((n, 3), dtype=np.int64) for n in (2, 500))
    counts = [_conflicts.scan(*tubes[0].kernel_arrays, *tubes[1].kernel_arrays, out) for out in (few, many)]
    assert counts[0] == counts[1] > 2
    assert np.array_equal(few[:, :2], many[:2, :2])


def test_a_true_transpose_holds_exactly_the_same_cells() -> None:
    a = path("a", [(-30.0, 0.0), (30.0, 0.0)])
    b = path("b", arc((-3.0, -20.0), 1.4, [0.0, 0.02, -0.05], 14.0), step_m=0.2)
    table = tables(a, b)
    forward, backward = table.between("a", CAR, "b", VAN), table.between("b", VAN, "a", CAR)
    s_a, s_b = (np.arange(len(p.x_m) - 1) + 0.5 for p in (a, b))
    cells = covered(forward, s_a * 0.25, s_b * 0.2)
    assert cells.any()
    assert np.array_equal(cells, covered(backward, s_b * 0.2, s_a * 0.25).T)
    again = transposed(backward[0], 0.25)
    assert again.first_bin == forward[0].first_bin and np.allclose(again.lo_m, forward[0].lo_m)


def test_bins_are_closed_intervals() -> None:
    a, b = path("a", [(0.0, 0.0), (20.0, 0.0)]), path("b", [(0.0, 1.8), (20.0, 1.8)])
    (conflict,) = tables(a, b).between("a", EXACT, "b", EXACT)  # side by side, exactly touching
    assert conflict.kind == "crossing"
    assert conflict.lo_m[40] <= 10.0 - 5.0 and conflict.hi_m[40] >= 10.25 + 5.0
    apart = path("b", [(0.0, 1.81), (20.0, 1.81)])
    assert tables(a, apart).between("a", EXACT, "b", EXACT) == ()


def test_one_path_is_followed_within_a_vehicle_length() -> None:
    a = path("a", [(0.0, 0.0), (60.0, 0.0)])
    (conflict,) = tables(a).between("a", CAR, "a", CAR)
    assert conflict.kind == "following" and len(conflict.lo_m) == 240
    assert conflict.lo_m[120] == pytest.approx(30.0 - 6.0, abs=0.2501)
    assert conflict.hi_m[120] == pytest.approx(30.25 + 6.0, abs=0.2501)


def test_a_branch_is_cut_into_following_and_diverging() -> None:
    straight = path("a", [(0.0, 0.0), (80.0, 0.0)])
    branch = path("b", np.vstack([[0.0, 0.0], arc((40.0, 0.0), 0.0, [0.1, 0.1, 0.0], 8.0)]))
    following, diverging = tables(straight, branch).between("a", CAR, "b", CAR)
    assert (following.kind, diverging.kind) == ("following", "diverging")
    assert following.first_bin == 0 and 40.0 < len(following.lo_m) * 0.25 < 45.0
    assert diverging.hi_m.max() < 56.0


def test_a_merge_is_cut_into_merging_and_following() -> None:
    main = path("a", [(-40.0, 0.0), (60.0, 0.0)])
    curve = arc((0.0, 0.0), math.pi, [-0.05, -0.05, 0.0], 8.0)[::-1]
    ramp = path("b", np.vstack([curve, [60.0, 0.0]]))
    conflicts = {c.kind: c for c in tables(main, ramp).between("a", CAR, "b", CAR)}
    assert sorted(conflicts) == ["following", "merging"]
    following = conflicts["following"]
    assert (following.first_bin + len(following.lo_m)) * 0.25 == pytest.approx(100.0)
    assert conflicts["merging"].first_bin < following.first_bin + 4


@pytest.mark.parametrize(
    ("offset_m", "kinds"), [(0.0, {"following"}), (0.6, {"following"}), (1.6, {"following", "merging"})]
)
def test_a_path_that_begins_in_a_lane_follows_and_one_beside_it_merges(offset_m: float, kinds: set[str]) -> None:
    u = np.linspace(0.0, 1.0, 200)
    settling = np.column_stack([30.0 + 20.0 * u, offset_m * (1.0 - u) ** 3 * (1.0 + 3.0 * u + 6.0 * u * u)])
    lane, started = path("a", [(0.0, 0.0), (100.0, 0.0)]), path("b", np.vstack([settling, [100.0, 0.0]]))
    table = tables(lane, started)
    for one, other in (("a", "b"), ("b", "a")):
        assert {c.kind for c in table.between(one, CAR, other, CAR)} == kinds


def test_narrow_parallel_lanes_are_one_long_crossing() -> None:
    a, b = path("a", [(0.0, 0.0), (300.0, 0.0)]), path("b", [(0.0, 2.2), (300.0, 2.2)])
    (conflict,) = tables(a, b).between("a", CAR, "b", CAR)
    assert conflict.kind == "crossing" and len(conflict.lo_m) == 1200


def test_two_crossings_of_one_pair_are_two_conflicts() -> None:
    a = path("a", [(0.0, 0.0), (100.0, 0.0)])
    over_and_back = np.vstack([arc((20.0, -20.0), math.pi / 2.0, [0.0, -0.05, -0.05, 0.0], 31.4)])
    conflicts = tables(a, path("b", over_and_back)).between("a", CAR, "b", CAR)
    assert [c.kind for c in conflicts] == ["crossing", "crossing"]


def test_a_loop_meets_itself_in_a_crossing_apart_from_following() -> None:
    loop = path("a", arc((0.0, 0.0), 0.0, [0.0, 0.1, 0.1, 0.1, 0.0], 15.7))
    conflicts = tables(loop).between("a", CAR, "a", CAR)
    assert sorted(c.kind for c in conflicts) == ["crossing", "crossing", "following"]


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(PlanError, match="'z'"):
        tables(path("a", [(0.0, 0.0), (20.0, 0.0)])).between("a", CAR, "z", CAR)


def same(one: tuple[Conflict, ...], other: tuple[Conflict, ...]) -> bool:
    return len(one) == len(other) and all(
        (a.kind, a.step_m, a.first_bin) == (b.kind, b.step_m, b.first_bin)
        and np.array_equal(a.lo_m, b.lo_m)
        and np.array_equal(a.hi_m, b.hi_m)
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture
def pair() -> tuple[Path, Path]:
    return path("a", [(-30.0, 0.0), (30.0, 0.0)]), path("b", [(0.0, -30.0), (0.0, 30.0)])


def test_a_second_process_reads_what_the_first_wrote(
    pair: tuple[Path, Path], tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tables(*pair, cache_dir=tmp_path).between("a", CAR, "b", VAN)
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr("planners.conflicts._compute", lambda *_: pytest.fail("computed in spite of the cache"))
    assert same(first, tables(*pair, cache_dir=tmp_path).between("a", CAR, "b", VAN))


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text"])
def test_a_corrupt_file_is_computed_again(pair: tuple[Path, Path], tmp_path: FilePath, damage: str) -> None:
    good = tables(*pair, cache_dir=tmp_path).between("a", CAR, "b", CAR)
    (file,) = tmp_path.rglob("*.npz")
    raw = bytearray(file.read_bytes())
    raw[-400] ^= 0xFF
    file.write_bytes(
        {"empty": b"", "truncated": bytes(raw[: len(raw) // 2]), "flipped": bytes(raw), "text": b"no archive"}[damage]
    )
    assert same(good, tables(*pair, cache_dir=tmp_path).between("a", CAR, "b", CAR))


def test_other_geometry_of_the_same_names_is_not_read_from_the_cache(
    pair: tuple[Path, Path], tmp_path: FilePath
) -> None:
    before = tables(*pair, cache_dir=tmp_path).between("a", CAR, "b", CAR)
    moved = dataclasses.replace(pair[1], x_m=pair[1].x_m + 1e-4 + 3.0)
    after = tables(pair[0], moved, cache_dir=tmp_path).between("a", CAR, "b", CAR)
    assert after[0].first_bin != before[0].first_bin


def test_an_unwritable_cache_costs_only_time(pair: tuple[Path, Path], tmp_path: FilePath) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert tables(*pair, cache_dir=blocked).between("a", CAR, "b", CAR)
