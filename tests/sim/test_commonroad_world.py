"""CommonRoad files of every kind, made here: their recorded vehicles drive to the end and touch nobody."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import shapely

from planners.zones import build_zone_map
from sim.crossing import explicit_fleet
from sim.maps.commonroad import load_commonroad
from sim.recorded import recorded_fleet
from sim.scenario import load_scenario
from sim.stage import build_stage, outline_at
from sim.vehicle_kinds import fitted, steering_caps, vehicle_for
from tests.sim.commonroad_files import bound, document
from tests.sim.commonroad_scenes import SCENES, random_scene
from tests.sim.commonroad_world import World, arc, straight
from tests.sim.whole_runs import Outcome, drive

pytest.importorskip("commonroad", reason="the extra commonroad is not installed")

soak = pytest.mark.soak
needs_bullet = pytest.mark.skipif(importlib.util.find_spec("pybullet") is None, reason="pybullet is not installed")
SLOWEST_S = 40.0
"""Nobody may lose more than this in any scene but the jam and the ring."""


def written(folder: Path, world: World, version: str = "2020a") -> Path:
    file = folder / "scene.xml"
    file.write_text(world.xml(version))
    return file


def driven(
    folder: Path, name: str, *, version: str = "2020a", world: str = "kinematic", slowest_s: float = SLOWEST_S
) -> Outcome:
    run = drive(written(folder, SCENES[name](), version), folder / "out", world=world, duration_s=180.0)
    run.safe()
    assert run.metric("delay_s_max") < slowest_s
    return run


# --- what a file says


@pytest.mark.parametrize("name", sorted(set(SCENES) - {"congested"}))
def test_both_versions_tell_of_the_same_fleet(tmp_path: Path, name: str) -> None:
    fleets = []
    for version in ("2018b", "2020a"):
        cr_map = load_commonroad(written(tmp_path, SCENES[name](), version))
        found = recorded_fleet(cr_map) if cr_map.obstacles else explicit_fleet(cr_map)
        fleets.append([(v.vehicle_id, v.kind, v.arrival_s, v.origin, v.destination) for v in found.vehicles])
        if cr_map.obstacles:
            assert len(found.vehicles) + len(found.outlines) + len(found.unmapped) >= len(cr_map.obstacles)
    assert fleets[0] == fleets[1]
    assert fleets[0]


def test_a_bound_that_runs_backwards_is_turned_round(tmp_path: Path) -> None:
    left, right = straight((0.0, 1.7), (60.0, 1.7)), straight((0.0, -1.7), (60.0, -1.7))
    for one, other in ((left, right[::-1]), (left[::-1], right)):
        file = tmp_path / "turned.xml"
        file.write_text(document([f'<lanelet id="1">{bound("leftBound", one)}{bound("rightBound", other)}</lanelet>']))
        lanelet = load_commonroad(file).lanelets[1]
        assert lanelet.center[0] == pytest.approx([0.0, 0.0])
        assert lanelet.center[-1] == pytest.approx([60.0, 0.0])
        assert lanelet.half_width_m == pytest.approx(1.7)


def test_a_road_without_crossing_or_traffic_is_filled_from_its_edge(tmp_path: Path) -> None:
    cr_map = load_commonroad(written(tmp_path, SCENES["empty_small"]()))
    fleet = explicit_fleet(cr_map, count=8)
    assert len(fleet.vehicles) >= 4
    assert len(fleet.vehicles) + len(fleet.unmapped) == 8
    assert all(one.reason == "no room on the approaches" for one in fleet.unmapped)


# --- what the vehicles are given


def test_wheels_that_turn_slowly_lower_the_speed_where_the_bend_changes(tmp_path: Path) -> None:
    world = World()
    world.lane(1, arc((0.0, 14.0), 14.0, -1.5708 - 1.6, -1.5708))
    world.lane(2, arc((0.0, -14.0), 14.0, 1.5708, 1.5708 - 1.6))
    world.link(1, 2)
    world.user("truck", [1, 2], 4.0, 4.0)
    fleet = recorded_fleet(load_commonroad(written(tmp_path, world)))
    (path,), lorry = fleet.paths, vehicle_for("truck", 8.5, 2.5)
    car = vehicle_for("car", 4.5, 1.8)
    swing = int(np.argmin(steering_caps(path, lorry)))
    assert np.hypot(path.x_m[swing], path.y_m[swing]) < 6.0
    assert path.limit_mps[swing] < 5.0 < path.limit_mps[swing + 40]
    assert steering_caps(path, lorry)[swing] < 0.75 * steering_caps(path, car)[swing]
    angle = np.arctan(lorry.body.wheelbase_m * path.kappa_1pm)
    turn = np.abs(np.diff(angle)) / path.step_m
    assert (turn * path.limit_mps[1:]).max() < 0.9 * lorry.limits.steer_rate_radps_max
    # At the speed that its bend of 14 m allows, the lorry could not follow.
    assert (turn * np.sqrt(lorry.limits.lateral_accel_mps2_max * 14.0)).max() > lorry.limits.steer_rate_radps_max


def test_a_bus_in_a_narrow_lane_drives_carefully_and_makes_no_zone_of_the_road(tmp_path: Path) -> None:
    fleet = recorded_fleet(load_commonroad(written(tmp_path, SCENES["narrow"]())))
    paths = {path.path_id: path for path in fleet.paths}
    for one in fleet.vehicles:
        usual = vehicle_for(one.kind, one.length_m, one.width_m)
        careful = fitted(usual, paths[one.path_id])
        assert (careful != usual) == (one.kind in {"bus", "truck"})
        assert careful.tracking.lateral_m == (0.5 if careful != usual else 1.0) * usual.tracking.lateral_m
    stage = build_stage(load_scenario(str(tmp_path / "scene.xml")))
    assert not any(p.exit_s_m - p.line_s_m > 60.0 for zone in stage.zone_map.zones.values() for p in zone.passages)


def test_lanes_side_by_side_are_a_zone_only_if_bodies_would_touch_with_half_the_error_budget() -> None:
    from fleet.node.bodies import planner_body, planning_body
    from planners.paths import build_path

    body = planning_body(planner_body("", vehicle_for("truck", 8.5, 2.5)))
    for gap, expected in ((0.1, 1), (0.25, 0), (0.6, 0)):
        paths = [
            build_path(f"p{k}", "", "", straight(*ends), 10.0, 1.5, step_m=0.25)
            for k, ends in enumerate((((0.0, 0.0), (80.0, 0.0)), ((80.0, 2.5 + gap), (0.0, 2.5 + gap))))
        ]
        pairs = [(path.path_id, body.footprint, body.budget) for path in paths]
        zone_map, _ = build_zone_map("side", paths, pairs)
        assert len(zone_map.zones) == expected


# --- whole runs


@needs_bullet
def test_a_junction_recorded_in_full_swing_empties_in_physics(tmp_path: Path) -> None:
    run = driven(tmp_path, "crossing", world="bullet")
    assert run.metric("vehicles") == 18
    assert run.metric("mean_delay_s") < 12.0


def test_a_motorway_recorded_within_braking_distance_of_its_zones_comes_apart(tmp_path: Path) -> None:
    """Gaps below a second at 22 to 35 m/s, and lines nearer than anybody can stop: some have to stand for a while."""
    run = driven(tmp_path, "highway", version="2018b")
    assert run.metric("vehicles") == 12
    assert run.metric("mean_delay_s") < 10.0
    truth = run.truth
    for index in range(12):
        own = truth.vehicle == index
        standing = np.flatnonzero(truth.state[own, 3] < 0.1)
        assert len(standing) == 0 or float(np.ptp(truth.t_s[own][standing])) < 20.0


def test_vehicles_that_appear_later_wait_for_room(tmp_path: Path) -> None:
    run = driven(tmp_path, "later", version="2018b")
    truth = run.truth
    late = {one["id"]: one["arrival_s"] for one in run.vehicles if one["arrival_s"] > 0.0}
    assert len(late) == 7
    for index, name in enumerate(truth.vehicle_ids):
        first = float(truth.t_s[truth.vehicle == index].min())
        assert first >= late.get(name, 0.0) - 1e-9


def test_a_jam_inside_a_junction_comes_apart(tmp_path: Path) -> None:
    run = driven(tmp_path, "jam", slowest_s=120.0)
    assert run.metric("vehicles") == 8


def test_opposing_lorries_pass_on_a_country_road_without_slowing_down(tmp_path: Path) -> None:
    run = driven(tmp_path, "two_way", version="2018b")
    assert run.metric("delay_s_max") < 2.0


def test_the_recordings_made_here_begin_apart() -> None:
    for seed in range(8):
        world, boxes = random_scene(seed), []
        for _, _, (length, width), ((step, x, y, yaw, _), *_) in world.users:
            box = shapely.affinity.rotate(shapely.box(-length / 2, -width / 2, length / 2, width / 2), yaw,
                                          origin=(0, 0), use_radians=True)  # fmt: skip
            box = shapely.affinity.translate(box, x, y)
            assert not any(other == step and box.intersects(at) for other, at in boxes)
            boxes.append((step, box))


def test_a_vehicle_starts_where_it_was_recorded(tmp_path: Path) -> None:
    world = SCENES["later"]()
    stage = build_stage(load_scenario(str(written(tmp_path, world))))
    recorded = {f"v{key}": rows[0] for key, _, _, rows in world.users}
    for actor in stage.actors:
        step, x, y, _, _ = recorded[actor.vehicle_id]
        middle = outline_at(actor, stage.zone_map.paths[actor.path_id]).mean(axis=0)
        assert middle == pytest.approx([x, y], abs=0.02)
        assert actor.arrival_s == pytest.approx(0.1 * step)


# --- all of it, when asked for


@soak
@needs_bullet
@pytest.mark.parametrize("version", ["2018b", "2020a"])
@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_in_physics(tmp_path: Path, name: str, version: str) -> None:
    driven(tmp_path, name, version=version, world="bullet")


@soak
@needs_bullet
@pytest.mark.parametrize("seed", range(60))
def test_random_scenes_in_physics(tmp_path: Path, seed: int) -> None:
    file = written(tmp_path, random_scene(seed), "2018b" if seed % 3 else "2020a")
    run = drive(file, tmp_path / "out", world="bullet", duration_s=180.0)
    run.safe()
    assert run.metric("delay_s_max") < 2.0 * SLOWEST_S
