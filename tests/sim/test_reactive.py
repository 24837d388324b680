"""Reactive driving: what it sees decides, it gives half of the way, and what it causes is counted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fleet.node.road import Roads
from hardware.vehicle import load_vehicle
from planners.paths import pose_at
from sim.kinematic_world import KinematicWorld
from sim.reactive import NAME, ReactiveCar, discs
from sim.scenario import load_scenario
from sim.stage import build_stage
from sim.vehicle_backend import SensorSuite, SimVehicle
from tests.sim.whole_runs import drive, write_scenario

CAR = load_vehicle("car")
PERIOD_MS = 50
Start = tuple[str, float, float]
"""Path, s of the rear axle, speed."""


@pytest.fixture(scope="module")
def roads() -> Roads:
    return Roads(build_stage(load_scenario("four_way")).zone_map)


def driven(roads: Roads, starts: list[Start], seconds: float, *, still: int = 0) -> list[tuple[float, float]]:
    """(s, speed) of each vehicle after so long; the last ``still`` of them are nobody's and stand where they are."""
    world = KinematicWorld()
    suite = SensorSuite(world, seed=1)
    cars: list[tuple[int, ReactiveCar | None]] = []
    for number, (path_id, s_m, speed_mps) in enumerate(starts):
        road = roads.get(path_id)
        slot = world.add(CAR, *pose_at(road.path, s_m), speed_mps)
        suite.attach(slot, CAR)
        hardware = SimVehicle(suite, slot, CAR, name=f"v{number}")
        hardware.gate.configure()
        hardware.gate.activate()
        own = number < len(starts) - still
        cars.append((slot, ReactiveCar(CAR, hardware, road, PERIOD_MS * 1e-3, s_m) if own else None))
    for now_ms in range(0, round(1000 * seconds), PERIOD_MS):
        suite.tick(now_ms * 1_000_000)
        for _, car in cars:
            if car is not None:
                car.tick(now_ms)
        assert world.advance(PERIOD_MS * 1e-3) == ()
    rows = dict(zip(world.truth().slots.tolist(), world.truth().state.tolist(), strict=True))
    found = []
    for (slot, _), (path_id, s_m, _) in zip(cars, starts, strict=True):
        x, y, _, speed, *_ = rows[slot]
        found.append((roads.get(path_id).project(x, y, s_m + 10.0)[0], speed))
    return found


def test_discs_cover_the_rectangle() -> None:
    offset, radius = discs(5.0, 1.8)
    assert len(offset) == 3 and radius == pytest.approx(math.hypot(5.0 / 6.0, 0.9))
    assert offset[-1] + math.sqrt(radius**2 - 0.81) == pytest.approx(2.5)


def test_alone_it_drives_at_the_limit(roads: Roads) -> None:
    ((s_m, speed_mps),) = driven(roads, [("W_straight", 50.0, 10.0)], 8.0)
    assert speed_mps == pytest.approx(13.89, abs=0.3) and s_m > 140.0


def test_it_stops_behind_who_stands_in_its_lane_and_ignores_who_drives_beside_or_behind(roads: Roads) -> None:
    (own, other) = driven(roads, [("W_straight", 50.0, 13.0), ("W_straight", 150.0, 0.0)], 20.0, still=1)
    assert own[1] < 0.1 and 5.0 < other[0] - own[0] < 20.0
    (alone,) = driven(roads, [("W_straight", 50.0, 13.0)], 5.0)
    (own, _, _) = driven(
        roads, [("W_straight", 50.0, 13.0), ("E_straight", 330.0, 0.0), ("W_straight", 40.0, 0.0)], 5.0, still=2
    )
    assert own[0] == pytest.approx(alone[0], abs=0.5)


def test_two_that_cross_share_the_avoiding(roads: Roads) -> None:
    one, other = driven(roads, [("W_straight", 150.0, 13.0), ("N_straight", 152.0, 13.0)], 7.0)
    (alone,) = driven(roads, [("W_straight", 150.0, 13.0)], 7.0)
    lost = sorted([alone[0] - one[0], alone[0] + 2.0 - other[0]])
    assert -0.5 < lost[0] < lost[1] and lost[1] > 4.0


def test_one_flag_chooses_it_and_its_run_is_recorded_as_what_it_is(tmp_path: Path) -> None:
    text = "map: {builtin: four_way}\ndemand: {count: 4}\nworld: kinematic\nexpectations: {finished: all}\n"
    file = write_scenario(tmp_path, text)
    runs = [drive(file, tmp_path / name, planner=NAME, duration_s=60.0) for name in ("a", "b")]
    assert runs[0].metric("messages") == 0 and runs[0].metric("commits") == 0
    assert runs[0].metric("finished") == 4
    # Contacts are always expected to be none, whoever drives.
    assert runs[0].summary.status == (3 if runs[0].metric("contacts") else 0)
    assert (tmp_path / "a" / "trajectories.parquet").read_bytes() == (
        tmp_path / "b" / "trajectories.parquet"
    ).read_bytes()
