"""Recorded road users on their lanes: start pose, route, exit, who waits, who is parked, who is left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import ConfigError
from hardware.vehicle import load_vehicle
from planners.paths import pose_at, project
from sim.crossing import explicit_fleet
from sim.maps.commonroad import CommonRoadMap, load_commonroad
from sim.recorded import RecordedFleet, RecordedVehicle, feasible_speed, recorded_fleet
from sim.vehicle_kinds import drives, kappa_1pm_max, vehicle_for
from tests.sim.commonroad_files import crossing_lanelets, document, lanelet, moving, straight

pytest.importorskip("commonroad", reason="the extra commonroad is not installed")

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "commonroad"
PUBLISHED = [
    "DEU_Flensburg-10_1_T-1",
    "FRA_Anglet-1_1_T-1",
    "USA_Lanker-1_3_T-1",
    "USA_Peach-4_8_T-1",
    "ZAM_Tjunction-1_97_T-1",
]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the published CommonRoad files are not at {DATA}")


def fleet_of(tmp_path: Path, parts: list[str]) -> tuple[CommonRoadMap, RecordedFleet]:
    file = tmp_path / "scenario.xml"
    file.write_text(document(parts))
    cr_map = load_commonroad(file)
    return cr_map, recorded_fleet(cr_map)


def center_at_start(fleet: RecordedFleet, vehicle: RecordedVehicle) -> tuple[float, float, float]:
    path = next(one for one in fleet.paths if one.path_id == vehicle.path_id)
    body = vehicle_for(vehicle.kind, vehicle.length_m, vehicle.width_m).body
    x, y, yaw = pose_at(path, vehicle.start_s_m)
    ahead = 0.5 * body.length_m - body.rear_overhang_m
    return x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), yaw


def test_a_vehicle_starts_at_its_pose_and_settles_on_the_centre_line(tmp_path: Path) -> None:
    _, fleet = fleet_of(tmp_path, [*crossing_lanelets(), moving(30, "car", -45.0, 0.6, 0.03, 5.0)])
    (vehicle,), (path,) = fleet.vehicles, fleet.paths
    assert (vehicle.vehicle_id, vehicle.origin, vehicle.destination, vehicle.arrival_s) == ("v30", "1", "3", 0.0)
    assert center_at_start(fleet, vehicle) == pytest.approx((-45.0, 0.6, 0.03), abs=2e-3)
    body = vehicle_for("car", 4.5, 1.8).body
    assert vehicle.start_s_m >= body.rear_overhang_m
    assert np.abs(path.y_m[path.x_m > -5.0]).max() < 0.02 and path.x_m[-1] == pytest.approx(60.0, abs=0.2)
    assert np.abs(path.kappa_1pm).max() < 0.06


def test_the_recorded_branch_is_taken_and_continued_to_an_exit(tmp_path: Path) -> None:
    turning = moving(31, "car", 1.5, -5.0, 1.1, 4.0, steps=0)
    _, fleet = fleet_of(tmp_path, [*crossing_lanelets(), turning, moving(32, "car", 0.1, -40.0, math.pi / 2, 8.0)])
    ways = {one.vehicle_id: (one.origin, one.destination) for one in fleet.vehicles}
    assert ways == {"v31": ("21", "3"), "v32": ("11", "13")}


def test_two_followers_in_a_lane_share_their_centre_line(tmp_path: Path) -> None:
    cars = [moving(30, "car", -30.0, 0.1, 0.0, 6.0), moving(31, "car", -50.0, -0.4, 0.0, 6.0)]
    _, fleet = fleet_of(tmp_path, [*crossing_lanelets(), *cars])
    leader, follower = fleet.paths
    apart = [
        abs(project(leader, float(x), float(y))[1]) for x, y in zip(follower.x_m, follower.y_m, strict=True) if x > 0
    ]
    assert max(apart) < 0.01


def test_waiting_in_a_lane_is_driving_and_standing_beside_it_is_parked(tmp_path: Path) -> None:
    still = [
        moving(30, "car", -20.0, 0.3, 0.0, 0.0),
        moving(31, "car", -35.0, 4.0, 0.0, 0.0),
        moving(32, "car", 0.0, -30.0, 0.2, 0.0),
        moving(33, "parkedVehicle", 0.4, -50.0, math.pi / 2, 0.0),
    ]
    _, fleet = fleet_of(tmp_path, [*crossing_lanelets(), *still])
    assert [one.vehicle_id for one in fleet.vehicles] == ["v30"]
    assert len(fleet.outlines) == 3 and fleet.unmapped == ()


def test_nobody_is_dropped_without_a_reason(tmp_path: Path) -> None:
    parts = [
        *crossing_lanelets(),
        moving(30, "car", -40.0, 0.0, 0.0, 5.0),
        moving(31, "car", -42.0, 0.3, 0.0, 5.0),
        moving(32, "pedestrian", -20.0, 5.0, 0.0, 1.0),
        moving(33, "car", -30.0, 20.0, 0.0, 5.0),
        moving(34, "car", 30.0, 0.0, math.pi, 5.0),
        moving(35, "train", -20.0, 0.0, 0.0, 5.0),
        moving(36, "car", 0.0, -50.0, math.pi / 2, 5.0),
        moving(37, "parkedVehicle", 0.4, 40.0, math.pi / 2, 0.0),
    ]
    cr_map, fleet = fleet_of(tmp_path, parts)
    reasons = {one.label: one.reason for one in fleet.unmapped}
    assert reasons["car 31"].startswith("overlaps v30 at the start")
    assert "does not drive" in reasons["pedestrian 32"] and "does not drive" in reasons["train 35"]
    assert "no lane" in reasons["car 33"] and "no lane" in reasons["car 34"]
    assert "static obstacle" in reasons["car 36"]
    assert len(fleet.vehicles) + len(fleet.outlines) + len(reasons) == len(cr_map.obstacles)


def test_a_change_of_lane_becomes_one_gentle_path(tmp_path: Path) -> None:
    same = '<adjacent{} ref="{}" drivingDir="same"/>'
    parts = [
        lanelet(1, straight((0.0, 0.0), (200.0, 0.0)), same.format("Left", 2)),
        lanelet(2, straight((0.0, 3.5), (200.0, 3.5)), same.format("Right", 1)),
        moving(30, "car", 10.0, -0.2, math.atan2(3.7, 110.0), 14.0, steps=80),
    ]
    _, fleet = fleet_of(tmp_path, parts)
    (path,) = fleet.paths
    assert path.y_m[-1] == pytest.approx(3.5, abs=0.02) and abs(path.y_m[20]) < 0.5
    assert path.origin == "1" and path.destination == "2"
    # At 14 m/s this is at most 3 m/s2 across.
    assert np.abs(path.kappa_1pm).max() < 3.0 / 14.0**2
    assert fleet.vehicles[0].speed_mps == 14.0


def test_a_start_too_fast_for_its_first_curve_is_slowed(tmp_path: Path) -> None:
    _, fleet = fleet_of(tmp_path, [*crossing_lanelets(), moving(31, "car", 1.5, -5.0, 1.1, 15.0, steps=0)])
    (vehicle,), (path,) = fleet.vehicles, fleet.paths
    body = vehicle_for("car", 4.5, 1.8)
    assert 3.0 < vehicle.speed_mps < 6.0
    assert vehicle.speed_mps == feasible_speed(path, vehicle.start_s_m, body)


def test_a_circuit_is_driven_once(tmp_path: Path) -> None:
    angle = np.linspace(0.0, math.tau, 161)
    ring = 20.0 * np.column_stack((np.cos(angle), np.sin(angle)))
    parts = [lanelet(k, ring[40 * k - 40 : 40 * k + 1], f'<successor ref="{k % 4 + 1}"/>') for k in (1, 2, 3, 4)]
    _, fleet = fleet_of(
        tmp_path,
        [*parts, moving(30, "car", 20.0 * math.cos(0.4), 20.0 * math.sin(0.4), 0.4 + math.pi / 2, 3.0, steps=3)],
    )
    (path,) = fleet.paths
    assert 0.75 * math.tau * 20.0 < path.length_m < 1.05 * math.tau * 20.0
    assert np.median(path.kappa_1pm) == pytest.approx(0.05, abs=2e-3) and path.kappa_1pm.max() < 0.08


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recordings_are_mapped_completely(name: str) -> None:
    cr_map = load_commonroad(DATA / f"{name}.xml")
    fleet = recorded_fleet(cr_map)
    assert len(fleet.vehicles) == len(cr_map.obstacles) and not fleet.unmapped and not fleet.outlines
    recorded = {f"v{one.obstacle_id}": one for one in cr_map.obstacles}
    paths = {one.path_id: one for one in fleet.paths}
    for vehicle in fleet.vehicles:
        path, record = paths[vehicle.path_id], recorded[vehicle.vehicle_id]
        x, y, yaw = center_at_start(fleet, vehicle)
        assert math.hypot(x - record.x_m[0], y - record.y_m[0]) < 5e-3
        assert abs(math.remainder(yaw - record.yaw_rad[0], math.tau)) < 5e-3
        body = vehicle_for(vehicle.kind, vehicle.length_m, vehicle.width_m)
        assert np.abs(path.kappa_1pm).max() <= kappa_1pm_max(body)
        assert np.abs(np.hypot(np.diff(path.x_m), np.diff(path.y_m)) - path.step_m).max() < 2e-3
        assert vehicle.speed_mps <= feasible_speed(path, vehicle.start_s_m, body) + 1e-9
        # The rest of the record stays near the path; one driver cuts his left turn by 3.4 m.
        beside = [
            float(np.hypot(path.x_m - a, path.y_m - b).min()) for a, b in zip(record.x_m, record.y_m, strict=True)
        ]
        assert np.mean(beside) < 1.6 and max(beside) < 3.6


@needs_data
def test_model_cars_cross_the_intersection_of_the_lab_track() -> None:
    cr_map = load_commonroad(DATA / "LabMapCommonRoad.xml")
    fleet = explicit_fleet(cr_map, count=8)
    assert len(fleet.vehicles) == 8 and not fleet.unmapped
    limit = kappa_1pm_max(load_vehicle("model_car_1_18"))
    inside = 0
    for vehicle, path in zip(fleet.vehicles, fleet.paths, strict=True):
        assert (vehicle.length_m, vehicle.width_m) == pytest.approx((0.22, 0.107))
        assert 3.0 < path.length_m < 7.0 and np.abs(path.kappa_1pm).max() < limit
        front = vehicle.start_s_m + 0.185
        middle = np.hypot(path.x_m - 2.25, path.y_m - 2.0)
        inside += middle.min() < 0.45
        assert int(np.argmin(middle)) * path.step_m > front + 0.3
    assert inside == 8
    assert fleet.vehicles == explicit_fleet(cr_map, count=8).vehicles
    assert {one.origin for one in fleet.vehicles} != {one.origin for one in explicit_fleet(cr_map, count=3).vehicles}


def test_a_map_without_traffic_gets_cars_before_its_crossing(tmp_path: Path) -> None:
    file = tmp_path / "empty.xml"
    file.write_text(document(crossing_lanelets()))
    fleet = explicit_fleet(load_commonroad(file), count=9, seed=3)
    assert len(fleet.vehicles) + len(fleet.unmapped) == 9
    assert {one.origin for one in fleet.vehicles} == {"1", "11"}
    for vehicle, path in zip(fleet.vehicles, fleet.paths, strict=True):
        front = pose_at(path, vehicle.start_s_m + 3.95)
        assert math.hypot(front[0], front[1]) > 14.0
        assert vehicle.speed_mps**2 / (2 * 4.5) < 6.0


def test_vehicles_keep_their_proportions_and_stay_upright() -> None:
    bus = vehicle_for("bus", 18.0, 2.55)
    assert bus.body.wheelbase_m == pytest.approx(5.9 * 1.5) and bus.body.mass_kg == pytest.approx(19500.0)
    for kind, length_m, width_m in (
        ("motorcycle", 1.7, 0.5),
        ("bicycle", 1.5, 0.5),
        ("truck", 7.2, 2.2),
        ("car", 0.25, 0.12),
    ):
        vehicle = vehicle_for(kind, length_m, width_m)
        body, across = vehicle.body, vehicle.limits.lateral_accel_mps2_max
        assert (body.length_m, body.width_m) == (length_m, width_m)
        assert body.rear_overhang_m + body.wheelbase_m < body.length_m
        assert 0.5 * body.track_width_m / body.com_height_m * 9.81 > 1.5 * across
    assert not drives("pedestrian")
    with pytest.raises(ConfigError, match="pedestrian"):
        vehicle_for("pedestrian", 0.5, 0.5)
    with pytest.raises(ConfigError, match="no usable size"):
        vehicle_for("car", math.nan, 1.8)
