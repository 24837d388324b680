"""Tiles: a relation that holds the exact one and what a grid adds to it, checked against shapely."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from planners.first_come import FirstCome
from planners.interface import Conflicts
from planners.paths import pose_at
from planners.tile_reservation import STATIC_BUFFER_M, TILE_M, TileConflicts, TileReservation
from planners.zone_map import Path
from tests.planners.oracle import BUDGET, FOOTPRINT
from tests.planners.test_first_come import builtin, judged, request, time_at

OUTLINE = (FOOTPRINT, BUDGET)


def holds(tables: Conflicts, one: str, s_i: float, other: str, s_j: float) -> bool:
    for table in tables.between(one, OUTLINE, other, OUTLINE):
        k = math.floor(s_i / table.step_m) - table.first_bin
        if 0 <= k < len(table.lo_m) and table.lo_m[k] <= s_j <= table.hi_m[k]:
            return True
    return False


def tiles_under(path: Path, s_m: float) -> set[tuple[int, int]]:
    """Tiles that the buffered body overlaps by more than a sliver, by shapely."""
    x, y, yaw = pose_at(path, s_m)
    along = aside = STATIC_BUFFER_M
    box = shapely.box(-FOOTPRINT.rear_m - along, -0.9 - aside, FOOTPRINT.front_m + along, 0.9 + aside)
    c, s = math.cos(yaw), math.sin(yaw)
    hull = shapely.transform(box, lambda p: p @ np.array([[c, s], [-s, c]]) + (x, y))
    west, south, east, north = (math.floor(value / TILE_M) for value in hull.bounds)
    grid = [(i, j) for i in range(west, east + 1) for j in range(south, north + 1)]
    return {
        (i, j)
        for i, j in grid
        if hull.intersection(shapely.box(i * TILE_M, j * TILE_M, (i + 1) * TILE_M, (j + 1) * TILE_M)).area > 0.03
    }


@pytest.mark.parametrize(
    ("one", "other"), [("W_straight", "N_straight"), ("W_left", "E_straight"), ("W_right", "E_left")]
)
def test_bodies_on_a_common_tile_exclude_each_other(one: str, other: str) -> None:
    zone_map, exact = builtin("four_way")
    tables = TileConflicts(zone_map, exact)
    first, second = zone_map.passages[one][0], zone_map.passages[other][0]
    draw = np.random.default_rng(7)
    found = 0
    for _ in range(150):
        s_i = draw.uniform(first.line_s_m - FOOTPRINT.front_m, first.exit_s_m + FOOTPRINT.rear_m)
        s_j = draw.uniform(second.line_s_m - FOOTPRINT.front_m, second.exit_s_m + FOOTPRINT.rear_m)
        common = tiles_under(zone_map.paths[one], s_i) & tiles_under(zone_map.paths[other], s_j)
        if common:
            found += 1
            assert holds(tables, one, s_i, other, s_j), (s_i, s_j)
            assert holds(tables, other, s_j, one, s_i), (s_i, s_j)
        if holds(exact, one, s_i, other, s_j):
            assert holds(tables, one, s_i, other, s_j), (s_i, s_j)
    assert found > 10


def test_the_grid_adds_a_tile_or_two_and_leaves_lanes_alone() -> None:
    zone_map, exact = builtin("four_way")
    tables = TileConflicts(zone_map, exact)
    (fine,), (coarse,) = (t.between("W_straight", OUTLINE, "N_straight", OUTLINE) for t in (exact, tables))
    cells = [sum(np.maximum(0.0, one.hi_m - one.lo_m)[one.lo_m <= one.hi_m]) for one in (fine, coarse)]
    assert cells[0] < cells[1] < 2.0 * cells[0]
    assert tables.between("W_straight", OUTLINE, "W_left", OUTLINE) == exact.between(
        "W_straight", OUTLINE, "W_left", OUTLINE
    )


def test_a_reservation_is_kept_clear_of_and_costs_more_than_exact_geometry() -> None:
    zone_map, exact = builtin("four_way")
    server, precise = TileReservation(zone_map, exact), FirstCome(zone_map, exact)
    asked = [
        request(server, zone_map, name, path, 170.0, 12.0, k)
        for k, (name, path) in enumerate([("a", "W_straight"), ("b", "N_straight"), ("c", "E_left"), ("d", "S_right")])
    ]
    answer = server.plan(asked, [], now_ms=0)
    assert [plan.vehicle for plan in answer.plans] == ["a", "b", "c", "d"]
    assert judged(zone_map, answer, asked, []) == []
    assert server.plan(list(reversed(asked)), [], now_ms=0) == answer
    best = {plan.vehicle: plan for plan in precise.plan(asked, [], now_ms=0).plans}
    waits = [
        time_at(plan, zone_map.passages[plan.path_id][0].exit_s_m)
        - time_at(best[plan.vehicle], zone_map.passages[plan.path_id][0].exit_s_m)
        for plan in answer.plans
    ]
    assert waits[0] == pytest.approx(0.0, abs=1e-6)
    assert waits[1] > -0.02 and sum(waits) > 0.05
