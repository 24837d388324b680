"""Perception against a plain twin with shapely, and what the sensors may and may not tell."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon

from fleet.errors import HardwareError
from hardware.vehicle import Vehicle, load_vehicle
from sim.perception import Perception
from sim.world import Truth

CAR, BUS = load_vehicle("car"), load_vehicle("bus")
PERIOD_NS = 100_000_000


def with_sensors(vehicle: Vehicle, **changes: float) -> Vehicle:
    return msgspec.structs.replace(vehicle, sensors=msgspec.structs.replace(vehicle.sensors, **changes))


EXACT = {"perception_position_std_m": 0.0, "perception_speed_std_mps": 0.0}
SHARP = with_sensors(CAR, **EXACT)


def truth_of(centres: list[tuple[float, float, float]], vehicles: list[Vehicle], speed: float = 3.0) -> Truth:
    """Bodies in slots 0, 1, ... with outline centres at x, y, yaw."""
    state = np.zeros((len(centres), 6))
    for row, (x, y, yaw), vehicle in zip(state, centres, vehicles, strict=True):
        ahead = 0.5 * vehicle.body.length_m - vehicle.body.rear_overhang_m
        row[:4] = x - ahead * math.cos(yaw), y - ahead * math.sin(yaw), yaw, speed
    return Truth(0.0, np.arange(len(centres), dtype=np.int64), state)


def look(centres: list[tuple[float, float, float]], vehicles: list[Vehicle], **options: int) -> Perception:
    perception = Perception(**options)
    for slot, vehicle in enumerate(vehicles):
        perception.attach(slot, vehicle)
    perception.offer(truth_of(centres, vehicles), PERIOD_NS)
    return perception


def seen(perception: Perception, slot: int) -> list[tuple[float, float]]:
    return [(round(track.x_m, 6), round(track.y_m, 6)) for track in perception.tracks(slot)]


def corners(centre: tuple[float, float, float], vehicle: Vehicle) -> list[tuple[float, float]]:
    x, y, yaw = centre
    a, b, c, s = 0.5 * vehicle.body.length_m, 0.5 * vehicle.body.width_m, math.cos(yaw), math.sin(yaw)
    return [(x + c * u - s * v, y + s * u + c * v) for u, v in ((a, b), (a, -b), (-a, -b), (-a, b))]


def plainly_seen(i: int, centres: list[tuple[float, float, float]], vehicles: list[Vehicle]) -> set[int]:
    outlines = [Polygon(corners(c, v)) for c, v in zip(centres, vehicles, strict=True)]
    sensors, (x, y, yaw) = vehicles[i].sensors, centres[i]
    result = set()
    for j in range(len(centres)):
        for px, py in [centres[j][:2], *corners(centres[j], vehicles[j])]:
            off = math.remainder(math.atan2(py - y, px - x) - yaw, 2.0 * math.pi)
            if j == i or math.hypot(px - x, py - y) > sensors.perception_range_m:
                continue
            if abs(off) > 0.5 * sensors.perception_fov_rad:
                continue
            ray = LineString([(x, y), (px, py)])
            if all(k in (i, j) or ray.intersection(outlines[k]).length < 1e-7 for k in range(len(centres))):
                result.add(j)
                break
    return result


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), narrow=st.booleans(), count=st.integers(2, 25))
def test_visibility_is_what_shapely_says(seed: int, narrow: bool, count: int) -> None:
    rng = np.random.default_rng(seed)
    centres: list[tuple[float, float, float]] = []
    vehicles: list[Vehicle] = []
    fov = 2.0 if narrow else 2.0 * math.pi
    while len(centres) < count:
        centre = (*rng.uniform(-40.0, 40.0, 2).tolist(), float(rng.uniform(-3.1, 3.1)))
        body = BUS if rng.random() < 0.3 else CAR
        mine = Polygon(corners(centre, body)).buffer(0.05)
        if not any(mine.intersects(Polygon(corners(c, v))) for c, v in zip(centres, vehicles, strict=True)):
            centres.append(centre)
            vehicles.append(with_sensors(body, **EXACT, perception_range_m=45.0, perception_fov_rad=fov))
        elif rng.random() < 0.02:
            break
    perception = look(centres, vehicles)
    for i in range(len(centres)):
        expected = [(round(centres[j][0], 6), round(centres[j][1], 6)) for j in plainly_seen(i, centres, vehicles)]
        assert sorted(seen(perception, i)) == sorted(expected)


def test_a_car_behind_a_bus_is_hidden_and_one_that_looks_out_is_seen() -> None:
    bus = with_sensors(BUS, **EXACT)
    vehicles = [SHARP, bus, SHARP]
    across = math.pi / 2
    assert seen(look([(0.0, 0.0, 0.0), (15.0, 0.0, across), (30.0, 0.0, 0.0)], vehicles), 0) == [(15.0, 0.0)]
    assert len(seen(look([(0.0, 0.0, 0.0), (15.0, 0.0, across), (30.0, 14.0, 0.0)], vehicles), 0)) == 2


def test_range_and_field_of_view() -> None:
    near = with_sensors(SHARP, perception_range_m=20.0)
    assert seen(look([(0.0, 0.0, 0.0), (22.4, 0.0, 0.0)], [near, near]), 0) == [(22.4, 0.0)]  # its rear end
    assert seen(look([(0.0, 0.0, 0.0), (22.6, 0.0, 0.0)], [near, near]), 0) == []
    ahead = with_sensors(SHARP, perception_fov_rad=math.radians(120.0))
    places = [(0.0, 0.0, 1.0), (20.0 * math.cos(1.0), 20.0 * math.sin(1.0), 0.0), (-20.0, 0.0, 0.0)]
    assert len(seen(look(places, [ahead] * 3), 0)) == 1


def test_noise_has_the_stated_size_and_no_bias() -> None:
    count = 60
    centres = [(0.0, 0.0, 0.0)] + [(30.0 * math.cos(k * 0.1), 30.0 * math.sin(k * 0.1), k * 0.1) for k in range(count)]
    vehicles = [CAR] * len(centres)
    perception = Perception(seed=4)
    for slot in range(len(centres)):
        perception.attach(slot, CAR)
    errors = []
    truth = truth_of(centres, vehicles)
    for k in range(40):
        perception.offer(truth, k * PERIOD_NS)
        for track in perception.tracks(0):
            x, y, yaw = min(centres[1:], key=lambda c, t=track: math.hypot(c[0] - t.x_m, c[1] - t.y_m))
            turned = math.remainder(track.yaw_rad - yaw, 2 * math.pi)
            errors.append((track.x_m - x, track.y_m - y, turned, track.speed_mps - 3.0))
    table = np.array(errors)
    sensors = CAR.sensors
    stated = np.array([sensors.perception_position_std_m] * 2 + [sensors.perception_position_std_m / 2.5, 0.15])
    assert len(table) > 1500
    assert table.std(axis=0) == pytest.approx(stated, rel=0.08)
    assert np.abs(table.mean(axis=0) / stated).max() < 0.1


def test_results_do_not_depend_on_who_asks_first_and_do_depend_on_the_seed() -> None:
    centres = [(12.0 * k, 5.0 * (k % 3), 0.2 * k) for k in range(8)]
    one, two = look(centres, [CAR] * 8, seed=1), look(centres, [CAR] * 8, seed=1)
    forward = [one.tracks(slot) for slot in range(8)]
    backward = [two.tracks(slot) for slot in reversed(range(8))][::-1]
    assert forward == backward
    assert look(centres, [CAR] * 8, seed=2).tracks(0) != forward[0]


def test_snapshots_are_taken_once_per_period() -> None:
    vehicles = [SHARP, SHARP]
    perception = look([(0.0, 0.0, 0.0), (20.0, 0.0, 0.0)], vehicles)
    first = perception.tracks(0)
    perception.offer(truth_of([(0.0, 0.0, 0.0), (25.0, 0.0, 0.0)], vehicles), PERIOD_NS + 50_000_000)
    assert perception.tracks(0) is first
    perception.offer(truth_of([(0.0, 0.0, 0.0), (25.0, 0.0, 0.0)], vehicles), 2 * PERIOD_NS)
    (track,) = perception.tracks(0)
    assert (track.x_m, track.stamp_ns) == (pytest.approx(25.0), 2 * PERIOD_NS)


def test_track_numbers_stay_with_the_body_and_a_new_body_in_a_slot_is_somebody_else() -> None:
    vehicles = [SHARP] * 3
    centres = [(0.0, 0.0, 0.0), (20.0, 0.0, 0.0), (0.0, 20.0, 0.0)]
    perception = look(centres, vehicles)
    before = {round(t.x_m): t.track_id for t in perception.tracks(0)}
    perception.detach(1)
    perception.attach(1, SHARP)
    assert perception.tracks(1) == ()  # it was not there when the sensors looked
    perception.offer(truth_of(centres, vehicles), 2 * PERIOD_NS)
    after = {round(t.x_m): t.track_id for t in perception.tracks(0)}
    assert after[0] == before[0]
    assert after[20] not in before.values()


def test_a_track_tells_size_and_not_identity() -> None:
    (track,) = look([(0.0, 0.0, 0.0), (20.0, 0.0, 0.0)], [SHARP, BUS]).tracks(0)
    assert (track.length_m, track.width_m) == (BUS.body.length_m, BUS.body.width_m)
    assert track.track_id == 0  # a count of this sensor, neither slot nor name


def test_what_was_never_attached_cannot_be_detached() -> None:
    with pytest.raises(HardwareError, match="slot 3"):
        Perception().detach(3)
