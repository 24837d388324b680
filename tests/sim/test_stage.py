"""The stage: map and cast of a scenario, and what is refused before anything is written."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import ConfigError
from hardware.vehicle import load_vehicle
from planners.paths import pose_at
from sim.scenario import Overrides, load_scenario, override
from sim.stage import Stage, build_stage, map_cache, outline_at, start_steer_rad
from tests.sim.commonroad_files import crossing_lanelets, document, moving
from tests.sim.whole_runs import DATA, needs_data, write_scenario

CAR = load_vehicle("car")


def stage_of(folder: Path, keys: str) -> Stage:
    return build_stage(load_scenario(str(write_scenario(folder, keys))))


def explicit(*vehicles: str, rest: str = "") -> str:
    lines = "".join(f"    - {{{vehicle}}}\n" for vehicle in vehicles)
    return f"map: {{builtin: four_way}}\nworld: kinematic\ndemand:\n  vehicles:\n{lines}{rest}"


# --- built-in maps


def test_a_vehicle_starts_with_its_rear_bumper_at_the_start_of_its_path(tmp_path: Path) -> None:
    (one,) = stage_of(tmp_path, explicit("id: a, path: N_left")).actors
    assert (one.start_s_m, one.speed_mps) == (CAR.body.rear_overhang_m, pytest.approx(13.89))
    assert (one.role, one.yields, one.recorded) == ("honest", True, False)


def test_a_vehicle_may_start_anywhere_at_any_speed(tmp_path: Path) -> None:
    (one,) = stage_of(tmp_path, explicit("id: a, path: N_left, start_s_m: 80.0, speed_mps: 3.0, arrival_s: 2.0")).actors
    assert (one.start_s_m, one.speed_mps, one.arrival_s, one.recorded) == (80.0, 3.0, 2.0, True)


def test_a_slow_vehicle_enters_at_its_own_speed(tmp_path: Path) -> None:
    (one,) = stage_of(tmp_path, explicit("id: a, path: N_left, vehicle: bicycle")).actors
    limit = load_vehicle("bicycle").limits.speed_mps_max
    assert limit < 13.89
    assert one.speed_mps == limit


def test_the_map_does_not_depend_on_the_traffic() -> None:
    """Nodes pin the map by its digest; two fleets of the same kind of vehicle must agree on it."""
    scenario = load_scenario("four_way")
    digests = {build_stage(override(scenario, Overrides(seed=seed))).zone_map.digest for seed in (1, 2, 3)}
    assert len(digests) == 1
    assert build_stage(load_scenario("t_junction")).zone_map.digest not in digests


def test_a_start_without_a_way_before_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vehicle a: start_s_m = 498 m leaves no way on path N_straight"):
        stage_of(tmp_path, explicit("id: a, path: N_straight, start_s_m: 498.0"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("id: a, path: N_straight, start_s_m: 100.0", "id: b, path: N_straight, start_s_m: 104.0"),
        ("id: a, path: N_straight, start_s_m: 250.0", "id: b, path: E_straight, start_s_m: 250.0"),
    ],
)
def test_vehicles_that_overlap_at_the_start_are_refused(tmp_path: Path, first: str, second: str) -> None:
    with pytest.raises(ConfigError, match=r"vehicles a and b overlap at the start \(t = 0 s, \d+\.\d\d m2 in common\)"):
        stage_of(tmp_path, explicit(first, second))


def test_one_place_at_two_times_is_no_overlap(tmp_path: Path) -> None:
    vehicles = ("id: a, path: N_straight, start_s_m: 100.0", "id: b, path: N_straight, start_s_m: 100.0, arrival_s: 9")
    assert len(stage_of(tmp_path, explicit(*vehicles)).actors) == 2


def test_vehicles_bumper_to_bumper_do_not_overlap(tmp_path: Path) -> None:
    vehicles = ("id: a, path: N_straight, start_s_m: 100.0", "id: b, path: N_straight, start_s_m: 105.1")
    assert len(stage_of(tmp_path, explicit(*vehicles)).actors) == 2


def test_a_start_in_an_obstacle_is_refused_and_one_beside_it_is_not(tmp_path: Path) -> None:
    x, y, _ = pose_at(build_stage(load_scenario("four_way")).zone_map.paths["N_straight"], 100.0)
    for aside, refused in ((0.0, True), (8.0, False)):
        corners = [[x + aside - 1, y - 1], [x + aside + 1, y - 1], [x + aside + 1, y + 1], [x + aside - 1, y + 1]]
        keys = explicit("id: a, path: N_straight, start_s_m: 100.0", rest=f"obstacles: [{corners}]\n")
        if refused:
            with pytest.raises(ConfigError, match="vehicle a starts in a static obstacle"):
                stage_of(tmp_path, keys)
        else:
            (ring,) = stage_of(tmp_path, keys).obstacles
            assert ring == pytest.approx(np.array(corners))


def test_outlines_lie_around_the_rear_axle_along_the_path(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, explicit("id: a, path: N_straight, start_s_m: 100.0"))
    path = stage.zone_map.paths["N_straight"]
    corners = outline_at(stage.actors[0], path)
    x, y, yaw = pose_at(path, 100.0)
    forward, left = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
    along, across = (corners - [x, y]) @ forward, (corners - [x, y]) @ left
    assert sorted(along) == pytest.approx([-1.05, -1.05, 3.95, 3.95])
    assert sorted(across) == pytest.approx([-0.9, -0.9, 0.9, 0.9])


def test_wheels_are_turned_for_the_bend_in_which_a_vehicle_starts(tmp_path: Path) -> None:
    middle = {}
    for turn in ("left", "straight", "right"):
        path = build_stage(load_scenario("four_way")).zone_map.paths[f"N_{turn}"]
        s_m = path.step_m * int(np.argmax(np.abs(path.kappa_1pm))) if turn != "straight" else 250.0
        stage = stage_of(tmp_path, explicit(f"id: a, path: N_{turn}, start_s_m: {s_m}, speed_mps: 1.0"))
        middle[turn] = start_steer_rad(stage.actors[0], stage.zone_map.paths[f"N_{turn}"])
    assert middle["straight"] == pytest.approx(0.0, abs=1e-6)
    assert middle["right"] < -0.1
    assert middle["left"] > 0.1
    assert max(map(abs, middle.values())) <= CAR.limits.steer_rad_max


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_CACHE_DIR", str(tmp_path / "mine"))
    assert map_cache().is_relative_to(tmp_path / "mine")
    cold = build_stage(load_scenario("t_junction"))
    assert any(map_cache().rglob("*"))
    warm = build_stage(load_scenario("t_junction"))
    assert warm.zone_map.digest == cold.zone_map.digest
    path = sorted(cold.zone_map.paths)[0]
    assert warm.zone_map.passages[path] == cold.zone_map.passages[path]


def test_a_broken_cache_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_CACHE_DIR", str(tmp_path))
    good = build_stage(load_scenario("merge"))
    files = [file for file in map_cache().rglob("*") if file.is_file()]
    for file in files:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert build_stage(load_scenario("merge")).zone_map.passages == good.zone_map.passages


# --- CommonRoad


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two roads that cross, one car on each, and one that is in the first one's way of driving."""
    pytest.importorskip("commonroad")
    cars = [moving(101, "car", -45.0, 0.0, 0.0, 8.0), moving(102, "car", 0.0, -50.0, math.pi / 2, 8.0)]
    (tmp_path / "map.xml").write_text(document([*crossing_lanelets(), *cars]), encoding="utf-8")
    return tmp_path


def test_a_recorded_fleet_starts_where_and_as_it_was_recorded(recorded: Path) -> None:
    stage = build_stage(load_scenario(str(recorded / "map.xml")))
    assert len(stage.actors) == 2
    for one in stage.actors:
        assert (one.recorded, one.arrival_s, one.role) == (True, 0.0, "honest")
        assert one.speed_mps == pytest.approx(8.0, abs=0.2)
    (zone,) = stage.zone_map.zones.values()
    assert len({passage.path_id for passage in zone.passages}) == 2


def test_a_recorded_vehicle_may_have_no_radio(recorded: Path) -> None:
    keys = "map: {commonroad: map.xml}\nworld: kinematic\ndemand: {recorded: true}\n"
    names = [one.vehicle_id for one in stage_of(recorded, keys).actors]
    silent = stage_of(recorded, keys + f"legacy: [{{vehicle: {names[0]}, yields: false}}]\n").actors
    assert [(one.role, one.yields) for one in silent] == [("legacy", False), ("honest", True)]
    everybody = stage_of(recorded, keys + "legacy: [{share: 1.0}]\n").actors
    assert [one.role for one in everybody] == ["legacy", "legacy"]
    with pytest.raises(ConfigError, match=r"legacy\[0\].vehicle: no vehicle 'nobody'"):
        stage_of(recorded, keys + "legacy: [{vehicle: nobody}]\n")


def test_a_counted_fleet_takes_the_vehicle_that_the_scenario_names(recorded: Path) -> None:
    keys = "map: {commonroad: map.xml}\nworld: kinematic\ndemand: {count: 2}\n"
    assert {one.vehicle.body.length_m for one in stage_of(recorded, keys).actors} == {5.0}
    bus = load_vehicle("bus").body
    found = {one.vehicle.body.length_m for one in stage_of(recorded, keys + "vehicle: bus\n").actors}
    assert found == {bus.length_m}


def test_other_demands_on_a_commonroad_map_are_refused(recorded: Path) -> None:
    keys = "map: {commonroad: map.xml}\nworld: kinematic\ndemand: {poisson: {vph: 300, until_s: 10}}\n"
    with pytest.raises(ConfigError, match=r"demand.poisson: a CommonRoad map takes recorded: true or count"):
        stage_of(recorded, keys)


def test_a_map_on_which_nobody_can_drive_is_refused_with_the_reasons(tmp_path: Path) -> None:
    pytest.importorskip("commonroad")
    far = moving(101, "car", 500.0, 500.0, 0.0, 8.0)
    (tmp_path / "map.xml").write_text(document([*crossing_lanelets(), far]), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nobody can drive on this map \(.*101"):
        build_stage(load_scenario(str(tmp_path / "map.xml")))


@needs_data
@pytest.mark.parametrize("name", ["USA_Peach-4_8_T-1", "FRA_Anglet-1_1_T-1"])
def test_nothing_of_a_recording_is_dropped_silently(name: str) -> None:
    """Who drives, what stands, and what was left out with a reason are together all that was recorded."""
    import xml.etree.ElementTree as ET

    pytest.importorskip("commonroad")
    file = DATA / "commonroad" / f"{name}.xml"
    stage = build_stage(load_scenario(str(file)))
    tree = ET.parse(file).getroot()
    recorded = [e for e in tree if e.tag in {"dynamicObstacle", "staticObstacle", "obstacle"}]
    assert len(stage.actors) + len(stage.obstacles) + len(stage.left_out) >= len(recorded) > 0
    assert all(what and why for what, why in stage.left_out)
