"""Zones of small maps whose answer is known, and what a map's digest depends on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import shapely

from fleet.errors import PlanError
from planners.paths import build_path
from planners.zone_map import ErrorBudget, Floats, Footprint, Path, ZoneMap
from planners.zones import build_zone_map, geometry_digest

CAR = Footprint(5.0, 1.8, 1.05)
BUDGET = ErrorBudget(0.25, 0.5)


def path(path_id: str, points: list[tuple[float, float]] | Floats) -> Path:
    return build_path(path_id, "a", "b", np.array(points, dtype=np.float64), 13.89, 1.75, step_m=0.25)


def street(y_m: float = 0.0) -> Path:
    return path("street", [(-60.0, y_m), (60.0, y_m)])


def side_street(name: str, x_m: float) -> Path:
    return path(name, [(x_m, -40.0), (x_m, 40.0)])


def zone_map(*paths: Path, body: Footprint = CAR) -> ZoneMap:
    return build_zone_map("test", paths, [(p.path_id, body, BUDGET) for p in paths])[0]


def test_one_crossing_is_one_zone_with_line_and_exit() -> None:
    found = zone_map(street(), side_street("one", 0.0))
    (passage,) = found.passages["street"]
    # First touch: the inflated front (0.5 m ahead) meets the other's inflated side (1.15 m); the line is 1 m before.
    assert passage.line_s_m == pytest.approx(60.0 - 1.15 - 0.5 - 1.0, abs=0.26)
    assert passage.line_s_m <= 60.0 - 1.15 - 0.5 - 1.0
    assert passage.exit_s_m == pytest.approx(60.0 + 1.15 + 0.5, abs=0.26)
    assert passage.exit_s_m >= 60.0 + 1.15 + 0.5
    (ring,) = found.zones["zone0"].outline
    square = shapely.Polygon(ring)
    assert square.covers(shapely.box(-1.15, -1.15, 1.15, 1.15))
    assert square.area < 2.0 * 2.3**2


@pytest.mark.parametrize(("gap_m", "count"), [(8.0, 1), (20.0, 2)])
def test_crossings_are_one_zone_unless_a_vehicle_can_wait_between(gap_m: float, count: int) -> None:
    found = zone_map(street(), side_street("one", 0.0), side_street("two", gap_m))
    assert len(found.zones) == count
    assert len(found.passages["street"]) == count
    assert found.passages["one"][0].zone_id == "zone0"
    assert found.passages["two"][0].zone_id == f"zone{count - 1}"


def test_the_longest_vehicle_decides_whether_there_is_room_to_wait() -> None:
    roads = [street(), side_street("one", 0.0), side_street("two", 20.0)]
    truck = Footprint(12.0, 2.2, 2.0)
    cars = [(p.path_id, CAR, BUDGET) for p in roads]
    assert len(build_zone_map("m", roads, cars)[0].zones) == 2
    assert len(build_zone_map("m", roads, [*cars, ("street", truck, BUDGET)])[0].zones) == 1
    assert len(build_zone_map("m", roads, [*cars, ("one", truck, BUDGET)])[0].zones) == 2


def test_zones_that_enclose_another_on_a_path_take_it_in() -> None:
    # "around" crosses the street at 0 and at 16 m and has no room to wait between; "two" crosses at 8 m.
    angle = np.linspace(math.pi, 0.0, 300)
    bow = np.column_stack([8.0 + 8.0 * np.cos(angle), 2.5 * np.sin(angle)])
    around = path("around", np.vstack([[(0.0, -30.0)], bow, [(16.0, -30.0)]]))
    found = zone_map(street(), around, side_street("two", 8.0))
    assert len(found.zones) == 1
    assert len(found.passages["street"]) == 1


def ring_path(name: str, first_deg: float, sweep_deg: float, radius_m: float) -> Path:
    """A stretch of a ring entered and left along its radius' tangent."""
    angle = np.radians(np.linspace(first_deg, first_deg + sweep_deg, 900))
    circle = radius_m * np.column_stack([np.cos(angle), np.sin(angle)])
    tangent = np.column_stack([-np.sin(angle), np.cos(angle)])
    bend_in = circle[0] - np.linspace(15.0, 0.1, 150)[:, None] * tangent[0]
    bend_out = circle[-1] + np.linspace(0.1, 15.0, 150)[:, None] * tangent[-1]
    return path(name, np.vstack([bend_in, circle, bend_out]))


def test_waiting_places_on_a_small_ring_are_one_zone_and_on_a_large_one_are_not() -> None:
    small = zone_map(*(ring_path(f"p{k}", 90.0 * k, 300.0, 16.0) for k in range(4)))
    large = zone_map(*(ring_path(f"p{k}", 90.0 * k, 300.0, 40.0) for k in range(4)))
    assert len(small.zones) == 1
    assert len(large.zones) == 4


def test_following_and_branching_alone_make_no_zone() -> None:
    angle = np.linspace(0.0, 1.2, 200)
    branch = np.column_stack([10.0 * np.sin(angle), 10.0 - 10.0 * np.cos(angle)])
    found = zone_map(street(), path("branch", np.vstack([[(-60.0, 0.0)], branch])))
    assert not found.zones
    assert found.passages == {"street": (), "branch": ()}


def test_a_path_that_starts_inside_a_zone_keeps_its_passage() -> None:
    found = zone_map(street(), path("inside", [(0.0, -1.0), (0.0, 40.0)]))
    (passage,) = found.passages["inside"]
    assert passage.line_s_m < CAR.front_m
    assert passage.exit_s_m > 0.0


def test_no_vehicle_before_its_line_or_past_its_exit_touches_another_path() -> None:
    from planners.conflicts import ConflictTables

    roads = [street(), side_street("one", 0.0), side_street("two", 7.0)]
    found, tables = build_zone_map("m", roads, [(p.path_id, CAR, BUDGET) for p in roads])
    assert isinstance(tables, ConflictTables)
    (passage,) = found.passages["street"]
    for other in ("one", "two"):
        for conflict in tables.between("street", (CAR, BUDGET), other, (CAR, BUDGET)):
            rows = (np.flatnonzero(conflict.lo_m <= conflict.hi_m) + conflict.first_bin) * 0.25
            assert rows[0] + CAR.front_m >= passage.line_s_m + 1.0 - 1e-9
            assert rows[-1] + 0.25 - CAR.rear_m <= passage.exit_s_m + 1e-9


def test_scale_models_get_the_same_zones() -> None:
    def scaled(way: Path) -> Path:
        return dataclasses.replace(
            way, step_m=way.step_m / 18.0, x_m=way.x_m / 18.0, y_m=way.y_m / 18.0, kappa_1pm=way.kappa_1pm * 18.0
        )

    roads = [street(), side_street("one", 0.0), side_street("two", 20.0)]
    model = Footprint(5.0 / 18.0, 0.1, 1.05 / 18.0)
    budget = ErrorBudget(0.25 / 18.0, 0.5 / 18.0)
    small = [scaled(road) for road in roads]
    found, _ = build_zone_map("m", small, [(p.path_id, model, budget) for p in small])
    full = zone_map(*roads)
    for one, other in zip(found.passages["street"], full.passages["street"], strict=True):
        assert one.line_s_m * 18.0 == pytest.approx(other.line_s_m, abs=1e-6)


def test_the_digest_depends_on_geometry_and_vehicles_only() -> None:
    roads = [street(), side_street("one", 0.0)]
    base = zone_map(*roads)
    assert base.digest == zone_map(*roads).digest == zone_map(*reversed(roads)).digest
    assert len(base.digest) == 64
    moved = zone_map(roads[0], side_street("one", 0.002))
    assert moved.digest != base.digest
    slower = dataclasses.replace(roads[0], limit_mps=roads[0].limit_mps * 0.5)
    assert geometry_digest([slower]) != geometry_digest([roads[0]])
    assert zone_map(*roads, body=Footprint(8.0, 1.8, 1.05)).digest != base.digest


def test_unknown_and_double_paths_are_refused() -> None:
    with pytest.raises(PlanError, match="'nowhere'"):
        build_zone_map("m", [street()], [("nowhere", CAR, BUDGET)])
    with pytest.raises(PlanError, match="1 different names"):
        build_zone_map("m", [street(), street(3.0)], [])
