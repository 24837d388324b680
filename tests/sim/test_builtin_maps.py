"""The built-in maps: geometry of the common workload, drivable bends, expected zones and conflicts, drawings."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
import pytest

from fleet.errors import ConfigError
from planners.conflicts import ConflictTables
from planners.zone_map import ErrorBudget, Footprint, ZoneMap
from planners.zones import build_zone_map
from sim.maps import BUILTIN_MAPS, build
from sim.maps.curves import bend, trace
from sim.maps.draw import draw_map

CAR = (Footprint(5.0, 1.8, 1.05), ErrorBudget(0.25, 0.5))
NAMES = ("four_way", "four_way_3lane", "t_junction", "merge", "roundabout")
SEVERAL = ("corridor3", "grid3x3")


def zones_of(name: str, **params: float) -> tuple[ZoneMap, ConflictTables]:
    source = build(name, **params)
    return build_zone_map(name, source.paths, [(p.path_id, *CAR) for p in source.paths], lanes=source.lanes)


@pytest.fixture(scope="module")
def four_way() -> tuple[ZoneMap, ConflictTables]:
    return zones_of("four_way", arm_m=80.0)


def test_the_registry_is_complete() -> None:
    assert tuple(BUILTIN_MAPS) == NAMES + SEVERAL


@pytest.mark.parametrize("name", NAMES)
def test_paths_are_drivable_and_named_after_what_they_do(name: str) -> None:
    source = build(name)
    for path in source.paths:
        assert path.path_id == f"{path.origin}_{path.movement}"
        assert source.origins[path.origin][path.movement] == path.path_id
        assert path.step_m == 0.25 and path.limit_mps.max() == 13.89
        # A car of 2.8 m wheelbase turns at 4.1 m; tighter than 6.5 m is not asked of it ...
        assert np.abs(path.kappa_1pm).max() < 1.0 / 6.5
        # ... and its wheel (0.8 rad/s at most) keeps up at all speeds that a plan can have there.
        speed = fastest(np.abs(path.kappa_1pm), path.step_m)
        steer = np.arctan(2.8 * path.kappa_1pm)
        assert np.abs(np.diff(steer) / path.step_m * speed[:-1]).max() < 0.7


def fastest(kappa: np.ndarray, step_m: float) -> np.ndarray:
    """Speed under 3 m/s2 lateral, 4.5 braking, 2.6 acceleration and 13.89 m/s."""
    square = np.minimum(13.89**2, 3.0 / np.maximum(kappa, 1e-9))
    for k in range(len(square) - 2, -1, -1):
        square[k] = min(square[k], square[k + 1] + 2.0 * 4.5 * step_m)
    for k in range(1, len(square)):
        square[k] = min(square[k], square[k - 1] + 2.0 * 2.6 * step_m)
    return np.sqrt(square)


def test_four_way_is_the_junction_of_the_common_workload() -> None:
    source = build("four_way")
    paths = {p.path_id: p for p in source.paths}
    assert sorted(source.origins) == ["E", "N", "S", "W"]
    assert all(sorted(ways) == ["left", "right", "straight"] for ways in source.origins.values())
    starts = {"W": (-250.0, -1.75), "S": (1.75, -250.0), "E": (250.0, 1.75), "N": (-1.75, 250.0)}
    exits = {"W": (-250.0, 1.75), "S": (-1.75, -250.0), "E": (250.0, -1.75), "N": (1.75, 250.0)}
    for path in paths.values():
        assert (path.x_m[0], path.y_m[0]) == pytest.approx(starts[path.origin], abs=1e-9)
        assert (path.x_m[-1], path.y_m[-1]) == pytest.approx(exits[path.destination], abs=0.126)
    assert {p.destination for p in paths.values() if p.origin == "W"} == {"N", "E", "S"}
    assert paths["W_left"].destination == "N" and paths["N_left"].destination == "E"


def test_a_corridor_is_three_junctions_one_after_the_other() -> None:
    found, _ = zones_of("corridor3", arm_m=60.0, spacing_m=80.0)
    assert list(found.zones) == ["zone0", "zone1", "zone2"]
    order = {path_id: [p.zone_id for p in passages] for path_id, passages in found.passages.items()}
    assert order["W_straight"] == ["zone0", "zone1", "zone2"] and order["E_straight"] == ["zone2", "zone1", "zone0"]
    assert order["W_left_2"] == ["zone0", "zone1"] and order["N2_straight"] == ["zone1"]
    assert order["N1_left_1"] == ["zone0", "zone1", "zone2"] and order["S3_left_1"] == ["zone2", "zone1", "zone0"]
    assert found.paths["W_left_2"].destination == "N2" and found.paths["S3_left_1"].destination == "W"
    for passages in found.passages.values():
        for one, following in pairwise(passages):
            assert following.line_s_m - one.exit_s_m > 40.0


@pytest.mark.parametrize("name", SEVERAL)
def test_ways_through_several_junctions_are_named_after_what_they_do(name: str) -> None:
    source = build(name)
    ends: dict[str, set[tuple[float, float]]] = {}
    for path in source.paths:
        assert path.path_id.startswith(f"{path.origin}_{path.movement}")
        assert np.abs(path.kappa_1pm).max() < 1.0 / 6.5
        ends.setdefault(f"into {path.origin}", set()).add((round(path.x_m[0], 2), round(path.y_m[0], 2)))
        ends.setdefault(f"out of {path.destination}", set()).add((round(path.x_m[-1]), round(path.y_m[-1])))
    # Whatever the way, an approach has one place to come in and an exit one to go out, a lane apart.
    assert all(len(places) == 1 for places in ends.values())
    for arm in source.origins:
        (x_in, y_in), (x_out, y_out) = *ends[f"into {arm}"], *ends[f"out of {arm}"]
        assert math.hypot(x_in - x_out, y_in - y_out) == pytest.approx(3.5, abs=0.6)


def test_a_grid_is_nine_junctions_and_turns_are_counted_from_the_approach() -> None:
    source = build("grid3x3")
    assert len(source.paths) == 84 and len(source.origins) == 12
    way = {path.path_id: path.destination for path in source.paths}
    assert (way["W1_straight"], way["W1_left_2"], way["W1_right_3"]) == ("E1", "N2", "S3")
    assert (way["E3_left_1"], way["N2_left_1"], way["S1_right_3"]) == ("S3", "E3", "E3")


def test_a_grid_without_links_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"spacing_m is 50; junctions with a link between need 64\.4"):
        build("grid3x3", spacing_m=50.0)


def test_three_lanes_turn_from_the_outer_ones() -> None:
    starts = {p.movement: p.y_m[0] for p in build("four_way_3lane").paths if p.origin == "W"}
    assert starts == pytest.approx({"left": -1.75, "straight": -5.25, "right": -8.75})


@pytest.mark.parametrize("name", NAMES)
def test_each_map_is_one_zone_that_no_path_passes_twice(name: str) -> None:
    found, _ = zones_of(name, arm_m=80.0)
    assert list(found.zones) == ["zone0"]
    assert all(len(passages) <= 1 for passages in found.passages.values())
    free = {path_id for path_id, passages in found.passages.items() if not passages}
    assert free == ({"N_right", "E_right", "S_right", "W_right"} if name == "four_way_3lane" else set())
    for passages in found.passages.values():
        for passage in passages:
            assert 40.0 < passage.line_s_m < passage.exit_s_m


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        ("W_straight", "N_straight", {"crossing"}),
        ("W_straight", "E_straight", set()),
        ("W_straight", "E_left", {"crossing"}),
        ("N_right", "S_straight", set()),
        ("N_left", "W_straight", {"merging", "following"}),
        ("S_right", "W_straight", {"merging", "following"}),
        ("W_straight", "W_left", {"following", "diverging"}),
        ("W_left", "W_left", {"following"}),
        ("W_left", "E_left", {"crossing"}),
        ("W_right", "E_left", {"merging", "following"}),
        ("W_right", "S_right", set()),
    ],
)
def test_who_meets_whom_at_four_way(
    four_way: tuple[ZoneMap, ConflictTables], one: str, other: str, kinds: set[str]
) -> None:
    for a, b in ((one, other), (other, one)):
        assert {c.kind for c in four_way[1].between(a, CAR, b, CAR)} == kinds


def test_the_four_approaches_are_alike(four_way: tuple[ZoneMap, ConflictTables]) -> None:
    for movement in ("left", "straight", "right"):
        rows = [four_way[0].passages[f"{arm}_{movement}"][0] for arm in "NESW"]
        assert len({(p.line_s_m, p.exit_s_m) for p in rows}) == 1


def test_the_same_map_has_the_same_digest(four_way: tuple[ZoneMap, ConflictTables]) -> None:
    again, _ = zones_of("four_way", arm_m=80.0)
    assert again.digest == four_way[0].digest
    assert zones_of("four_way", arm_m=81.0)[0].digest != again.digest


def test_a_junction_for_model_cars_is_the_same_at_scale() -> None:
    full, model = build("four_way", arm_m=90.0), build("four_way", arm_m=5.0, lane_width_m=3.5 / 18.0)
    for one, other in zip(full.paths, model.paths, strict=True):
        assert one.path_id == other.path_id
        assert other.x_m * 18.0 == pytest.approx(one.x_m, abs=1e-6)


def test_bends_are_symmetric_and_keep_their_room() -> None:
    points = bend(math.pi / 2.0, 9.0, 4.0, 0.1)
    assert points[-1] == pytest.approx((9.0, 9.0), abs=1e-9)
    mirrored = np.column_stack([9.0 - points[::-1, 1], 9.0 - points[::-1, 0]])
    assert mirrored == pytest.approx(points, abs=1e-9)
    circle, headings = trace([(5.0 * math.pi, 0.2, 0.2)], 0.1)
    assert circle[-1] == pytest.approx((0.0, 10.0), abs=1e-9) and headings[-1] == pytest.approx(math.pi)


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        ("five_way", {}, "not built in; known are four_way"),
        ("four_way", {"arms": 3}, "unknown parameter 'arms'"),
        ("four_way", {"arm_m": -1.0}, "arm_m is -1.0"),
        ("four_way", {"arm_m": math.nan}, "arm_m is nan"),
        ("four_way", {"arm_m": 5.0}, "the junction itself reaches to 11.2"),
        ("four_way", {"lanes": 4}, "lanes is 4"),
        ("four_way", {"lanes": True}, "lanes is True"),
        ("merge", {"arm_m": 20.0}, "at least 60"),
        ("roundabout", {"ring_m": 2.0}, "ring of 2 m"),
        ("roundabout", {"arm_m": 10.0}, "entry begins"),
        ("t_junction", {"step_m": 2.0}, "step_m is 2"),
    ],
)
def test_impossible_maps_are_refused_in_one_line(name: str, params: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, **params)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_a_drawing_shows_lanes_zone_and_vehicle(four_way: tuple[ZoneMap, ConflictTables], tmp_path: FilePath) -> None:
    from matplotlib.image import imread

    empty, driven = tmp_path / "maps" / "empty.png", tmp_path / "maps" / "driven.png"
    draw_map(four_way[0], empty)
    draw_map(four_way[0], driven, vehicles=[(CAR[0], (-1.75, 15.0, -math.pi / 2.0))])
    assert sorted(p.name for p in empty.parent.iterdir()) == ["driven.png", "empty.png"]
    first, second = imread(empty), imread(driven)
    assert first.shape == second.shape and min(first.shape[:2]) > 800
    changed = np.abs(first - second).max(axis=2) > 0.2
    assert 500 < changed.sum() < 0.02 * changed.size
    colours = {tuple(np.round(pixel * 255).astype(int)) for pixel in first[::5, ::5, :3].reshape(-1, 3)}
    assert {(0xDC, 0xDC, 0xD8), (0xF4, 0xF3, 0xEF)} <= colours


def test_a_map_without_zones_can_be_drawn(tmp_path: FilePath) -> None:
    source = build("four_way_3lane", arm_m=60.0)
    rights = [p for p in source.paths if p.movement == "right"]
    found, _ = build_zone_map("rights", rights, [(p.path_id, *CAR) for p in rights])
    assert not found.zones
    draw_map(found, tmp_path / "rights.png", detail=False)
    assert (tmp_path / "rights.png").stat().st_size > 5000
