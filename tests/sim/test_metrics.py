"""Metrics against analytic scenes, slow twins and independent libraries."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import box

from fleet.errors import ConfigError
from sim import _metrics
from sim.decision_log import Decision
from sim.metric_defs import BY_NAME, EXPECTATION_NAMES, Metric, check_expectations, validate_expectations
from sim.metrics import Analysis, analyse, jain
from sim.run_folder import DrawnMap, DrawnPath, VehicleRecord
from sim.scene import Scene, build_scene
from sim.trajectory_log import Trajectories

TESTDATA = Path(__file__).parent / "testdata"
HERTZ = 20
pose = st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.floats(-7, 7), st.floats(0.2, 3.0), st.floats(0.2, 2.0))


def record(name: str, **changes: object) -> VehicleRecord:
    values: dict[str, object] = {
        "id": name,
        "vehicle_class": "car",
        "length_m": 4.0,
        "width_m": 2.0,
        "wheelbase_m": 2.6,
        "rear_m": 1.0,
        "origin": "S",
        "destination": "N",
        "path_id": "",
        "role": "honest",
        "arrival_s": 0.0,
        "departure_s": None,
        "free_flow_s": None,
        "delay_s": None,
    }
    return VehicleRecord(**(values | changes))  # type: ignore[arg-type]


def straight(path_id: str, start: tuple[float, float], yaw: float, length_m: float = 200.0) -> DrawnPath:
    s = np.arange(0.0, length_m, 1.0)
    points = np.column_stack([start[0] + s * math.cos(yaw), start[1] + s * math.sin(yaw), np.full(len(s), yaw)])
    return DrawnPath(path_id, 1.0, points, ())


def scene_of(tracks: dict[str, np.ndarray], vehicles: list[VehicleRecord], *paths: DrawnPath) -> tuple[Scene, DrawnMap]:
    """``tracks``: float64 [sample, 5] of x, y, yaw, speed, accel of the centre at 20 Hz, from t = 0."""
    rows = [
        (k / HERTZ, j, *track[k, :5], 0.0)
        for k in range(max(map(len, tracks.values())))
        for j, track in enumerate(tracks.values())
        if k < len(track)
    ]
    table = np.array(rows)
    zeros = np.zeros(len(table), dtype=np.int64)
    trajectories = Trajectories(
        table[:, 0].copy(), table[:, 1].astype(np.int64), table[:, 2:].copy(), zeros, tuple(tracks), ("idle",)
    )
    drawn = DrawnMap("m", "0", (), (), {path.path_id: path for path in paths})
    return build_scene(trajectories, vehicles, drawn), drawn


def run_analysis(
    scene: Scene, drawn: DrawnMap, decisions: tuple[Decision, ...] = (), **samples: list[float]
) -> Analysis:
    return analyse(scene, drawn, decisions, counters={}, samples=samples, sim_s=10.0, wall_s=2.0)


def values_of(analysis: Analysis) -> dict[str, float | int | None]:
    return {metric.name: metric.value for metric in analysis.metrics}


def along(x0: float, y0: float, yaw: float, speed: float, seconds: float = 4.0) -> np.ndarray:
    t = np.arange(int(seconds * HERTZ) + 1) / HERTZ
    zero = np.zeros(len(t))
    return np.column_stack(
        [x0 + speed * t * math.cos(yaw), y0 + speed * t * math.sin(yaw), zero + yaw, zero + speed, zero]
    )


@settings(max_examples=300, deadline=None)
@given(a=pose, b=pose)
def test_the_gap_of_two_rectangles_is_shapelys(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    def polygon(p: tuple[float, ...]):
        return affinity.translate(
            affinity.rotate(box(-p[3], -p[4], p[3], p[4]), p[2], (0, 0), use_radians=True), p[0], p[1]
        )

    assert _metrics.rectangle_gap(*a, *b) == pytest.approx(polygon(a).distance(polygon(b)), abs=1e-9)
    assert _metrics.rectangle_gap(*a, *b) == pytest.approx(_metrics.rectangle_gap(*b, *a), abs=1e-9)


def test_the_least_gap_is_that_of_a_search_over_all_pairs_and_instants() -> None:
    rng = np.random.default_rng(4)
    tracks = {f"v{k}": np.column_stack([rng.uniform(-40, 40, (50, 2)), rng.uniform(-3, 3, (50, 3))]) for k in range(7)}
    scene, drawn = scene_of(tracks, [record(name) for name in tracks])
    names = list(tracks)
    slow = min(
        _metrics.rectangle_gap(*tracks[a][k, :3], 2.0, 1.0, *tracks[b][k, :3], 2.0, 1.0)
        for k in range(50)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    )
    assert values_of(run_analysis(scene, drawn))["gap_m_min"] == pytest.approx(slow, rel=1e-8)


def test_overlap_in_the_truth_is_a_contact_even_if_the_world_missed_it() -> None:
    scene, drawn = scene_of({"a": along(0, 0, 0, 5), "b": along(20, 0, math.pi, 5)}, [record("a"), record("b")])
    analysis = run_analysis(scene, drawn)
    assert [(c.a, c.b, c.by_honest) for c in analysis.contacts] == [("a", "b", True)]
    assert analysis.contacts[0].time_s == pytest.approx(1.6, abs=0.051)
    assert values_of(analysis)["gap_m_min"] == 0.0


PASSING, STRIKING = along(3, 0, 0, 5), along(10, -10, math.pi / 2, 5)
"""At 1.4 s the front of the second meets the middle of the first one's side."""


@pytest.mark.parametrize(
    ("a", "b", "roles", "by_honest"),
    [
        pytest.param(
            PASSING, STRIKING, ("honest", "legacy"), False, id="a legacy car drives into the side of an honest one"
        ),
        pytest.param(
            PASSING, STRIKING, ("legacy", "honest"), True, id="an honest car drives into the side of a legacy one"
        ),
        pytest.param(
            along(0, 0, 0, 0),
            along(20, 0, math.pi, 6),
            ("honest", "legacy"),
            False,
            id="an honest car that stands is hit",
        ),
        pytest.param(
            along(0, 0, 0, 2), along(-15, 0, 0, 8), ("honest", "legacy"), False, id="an honest car is hit from behind"
        ),
        pytest.param(
            along(-15, 0, 0, 8),
            along(0, 0, 0, 2),
            ("honest", "honest"),
            True,
            id="one honest car hits another from behind",
        ),
    ],
)
def test_a_contact_is_caused_by_an_honest_vehicle_that_moves_and_touches_with_its_front(
    a, b, roles, by_honest: bool
) -> None:
    scene, drawn = scene_of({"a": a, "b": b}, [record("a", role=roles[0]), record("b", role=roles[1])])
    analysis = run_analysis(scene, drawn)
    assert len(analysis.contacts) == 1 and analysis.contacts[0].by_honest is by_honest
    assert values_of(analysis)["contacts_caused_by_honest"] == int(by_honest)


def test_contact_records_of_the_world_count_once_per_pair() -> None:
    scene, drawn = scene_of({"a": along(0, 0, 0, 5), "b": along(0, 50, 0, 5)}, [record("a"), record("b")])
    hits = tuple(
        Decision(k, 1_000 + k, "world", "contact", {"a": x, "b": y, "depth_m": 0.0})
        for k, (x, y) in enumerate(["ab", "ba", "ab"])
    )
    assert values_of(run_analysis(scene, drawn, hits))["contacts"] == 1


def test_time_to_collision_is_gap_over_closing_speed() -> None:
    path = straight("p", (0.0, 0.0), 0.3)
    c, s = math.cos(0.3), math.sin(0.3)
    vehicles = [record("a", path_id="p"), record("b", path_id="p")]
    scene, drawn = scene_of(
        {"a": along(5 * c, 5 * s, 0.3, 12, 2), "b": along(65 * c, 65 * s, 0.3, 7, 2)}, vehicles, path
    )
    # bumpers are 56 m apart and close at 5 m/s for 2 s: 46 m / 5 m/s at the end
    assert values_of(run_analysis(scene, drawn))["time_to_collision_s_min"] == pytest.approx(46 / 5, rel=1e-6)


@pytest.mark.parametrize(("gap_m", "violations"), [(7.72, 1), (7.83, 0)])
def test_rss_distance_at_50_kmh_is_7_8_m(gap_m: float, violations: int) -> None:
    path = straight("p", (0.0, 0.0), 0.0)
    v = 50 / 3.6
    vehicles = [record("a", path_id="p"), record("b", path_id="p")]
    scene, drawn = scene_of({"a": along(5, 0, 0, v), "b": along(9 + gap_m, 0, 0, v)}, vehicles, path)
    assert values_of(run_analysis(scene, drawn))["rss_violations"] == violations


def rss_state(rss, units, speed_mps: float):
    """An ad-rss object state with the vehicle-vehicle parameters; what does not matter here has any valid value."""
    state = rss.core.RelativeObjectState()
    state.object_type = rss.world.ObjectType.OtherVehicle
    dynamics, free, lane = state.dynamics, state.unstructured_object_state, state.structured_object_state
    lon, lat, other = dynamics.alpha_lon, dynamics.alpha_lat, dynamics.unstructured_settings
    lon.accel_max, lon.brake_min = units.Acceleration(2.0), units.Acceleration(-6.0)
    lon.brake_max, lon.brake_min_correct = units.Acceleration(-8.0), units.Acceleration(-3.0)
    lat.accel_max, lat.brake_min = units.Acceleration(0.2), units.Acceleration(-0.8)
    dynamics.response_time, dynamics.max_speed_on_acceleration = units.Duration(0.2), units.Speed(100.0)
    other.pedestrian_turning_radius, other.vehicle_min_radius = units.Distance(2.0), units.Distance(3.5)
    other.drive_away_max_angle, other.vehicle_yaw_rate_change = units.Angle(2.4), units.AngularAcceleration(0.3)
    other.vehicle_trajectory_calculation_step = units.Duration(0.2)
    free.yaw, free.yaw_rate, free.steering_angle = units.Angle(0.0), units.AngularVelocity(0.0), units.Angle(0.0)
    free.dimension.length, free.dimension.width = units.Distance(4.0), units.Distance(2.0)
    free.center_point.x, free.center_point.y = units.Distance(0.0), units.Distance(0.0)
    free.speed_range.minimum = free.speed_range.maximum = units.Speed(speed_mps)
    lane.distance_to_enter_intersection, lane.distance_to_leave_intersection = (
        units.Distance(10.0),
        units.Distance(20.0),
    )
    lane.velocity.speed_lon_min = lane.velocity.speed_lon_max = units.Speed(speed_mps)
    lane.velocity.speed_lat_min = lane.velocity.speed_lat_max = units.Speed(0.0)
    return state


@pytest.mark.parametrize(("v", "w"), [(13.9, 13.9), (12.0, 5.0), (8.0, 0.0), (0.0, 0.0), (9.5, 9.0)])
def test_rss_distance_is_that_of_the_ad_rss_library(v: float, w: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the binding registers a converter twice
        rss = pytest.importorskip("ad_rss", reason="ad-rss is not installed").rss
        units = pytest.importorskip("ad_physics", reason="ad-physics is not installed").physics
    need = units.Distance(0.0)
    leader, follower = rss_state(rss, units, w), rss_state(rss, units, v)
    assert rss.structured.calculateSafeLongitudinalDistanceSameDirection(leader, follower, need)
    path = straight("p", (0.0, 0.0), 0.0)
    vehicles = [record("a", path_id="p"), record("b", path_id="p")]
    for gap_m, violations in ((need.mDistance + 0.01, 0), (need.mDistance - 0.01, 1)):
        scene, drawn = scene_of({"a": along(5, 0, 0, v, 0.0), "b": along(9 + gap_m, 0, 0, w, 0.0)}, vehicles, path)
        assert values_of(run_analysis(scene, drawn))["rss_violations"] == violations


def test_only_honest_followers_count_for_rss_and_a_pause_starts_a_new_episode() -> None:
    path = straight("p", (0.0, 0.0), 0.0)
    gap = np.full(161, 3.0)
    gap[60:100] = 30.0  # two seconds of safety
    gap[20:30] = 30.0  # half a second: still the same episode
    follower, leader = along(5, 0, 0, 10, 8), along(9, 0, 0, 10, 8)
    leader[:, 0] += gap
    for role, count in (("honest", 2), ("legacy", 0)):
        vehicles = [record("a", path_id="p", role=role), record("b", path_id="p")]
        scene, drawn = scene_of({"a": follower, "b": leader}, vehicles, path)
        assert values_of(run_analysis(scene, drawn))["rss_violations"] == count


def test_a_leader_on_another_path_counts_where_the_lanes_coincide_only() -> None:
    merging = straight("q", (-60.0, 60.0), -math.pi / 4, 85.0)
    joined = straight("t", (1.0, 0.0), 0.0, 140.0)
    q = DrawnPath("q", 1.0, np.vstack([merging.points, joined.points]), ())
    vehicles = [record("a", path_id="p"), record("b", path_id="q")]
    p = straight("p", (-100.0, 0.0), 0.0, 240.0)
    scene, drawn = scene_of({"a": along(10, 0, 0, 10, 1), "b": along(18, 0, 0, 5, 1)}, vehicles, p, q)
    assert values_of(run_analysis(scene, drawn))["rss_violations"] == 1
    beside = {"a": along(-40, 0, 0, 10, 1), "b": along(-35, 35, -math.pi / 4, 5, 1)}
    scene, drawn = scene_of(beside, vehicles, p, q)
    assert values_of(run_analysis(scene, drawn))["rss_violations"] == 0


def test_post_encroachment_time_of_a_right_angle_crossing() -> None:
    # a (2 m wide, 4 m long, 8 m/s along x) frees the last of b's lane when its rear is at x = 1, at (1 + 2 + 20) / 8 s;
    # b (10 m/s along y) reaches it when its front is at y = -1, at (50 - 2 - 1) / 10 s.
    a, b = along(-20, 0, 0, 8, 8), along(0, -50, math.pi / 2, 10, 8)
    scene, drawn = scene_of({"a": a, "b": b}, [record("a"), record("b")])
    analysis = run_analysis(scene, drawn)
    expected = min(4.7 + (y + 1) / 10 - (23 / 8) for y in (-1.0,))
    assert values_of(analysis)["post_encroachment_s_min"] == pytest.approx(expected, abs=0.15)
    crossing = [e for e in analysis.encounters if e.crossing]
    assert [(e.first, e.second) for e in crossing] == [("a", "b")]


def test_following_is_no_post_encroachment() -> None:
    scene, drawn = scene_of({"a": along(0, 0, 0, 10), "b": along(-10, 0, 0, 10)}, [record("a"), record("b")])
    analysis = run_analysis(scene, drawn)
    assert values_of(analysis)["post_encroachment_s_min"] is None
    assert [(e.first, e.second, e.crossing) for e in analysis.encounters] == [("a", "b", False)]


def test_stops_waits_jerk_and_energy_of_a_stop_and_go() -> None:
    dt = 1 / HERTZ
    accel = np.concatenate([np.full(100, -2.0), np.zeros(60), np.full(100, 2.0), np.zeros(40)])
    speed = np.maximum(0.0, 10.0 + np.concatenate([[0.0], np.cumsum(accel[:-1]) * dt]))
    track = np.column_stack([np.cumsum(speed) * dt, np.zeros(len(speed)), np.zeros(len(speed)), speed, accel])
    scene, drawn = scene_of({"a": track}, [record("a", arrival_s=-2.5)])
    analysis = run_analysis(scene, drawn)
    values = values_of(analysis)
    assert analysis.stops == {"a": 1} and values["stops_per_vehicle"] == 1.0
    assert analysis.waits_s["a"] == pytest.approx(2.5 + 3.0, abs=0.4)  # outside the arm, then at standstill
    # Jerk is the difference of 0.2 s means over 0.2 s: a step of 2 m/s2 gives 10 m/s3.
    assert values["jerk_mps3_max"] == pytest.approx(10.0)
    i = np.arange(1, len(speed))
    power = speed[i] * (accel[i] + 0.0981 + 0.5 * 1.2 * 0.7 / 1500 * speed[i] ** 2)
    assert values["energy_kj_per_km"] == pytest.approx(
        1500 * np.maximum(0, power).sum() * dt / (track[-1, 0] - track[0, 0]), rel=1e-6
    )


def test_traffic_metrics_count_the_finished_only() -> None:
    vehicles = [
        record("a", origin="N", departure_s=20.0, free_flow_s=10.0, delay_s=4.0),
        record("b", origin="S", departure_s=30.0, free_flow_s=10.0, delay_s=8.0),
        record("c", origin="S", departure_s=36.0, delay_s=None),
        record("d", origin="E"),
    ]
    scene, drawn = scene_of({name: along(0, 20 * k, 0, 5) for k, name in enumerate("abcd")}, vehicles)
    values = values_of(run_analysis(scene, drawn))
    assert (values["vehicles"], values["finished"], values["unfinished"], values["finished_share"]) == (4, 3, 1, 0.75)
    assert (values["mean_delay_s"], values["delay_s_max"]) == (6.0, 8.0)
    assert values["throughput_vph"] == pytest.approx(3 * 3600 / 36)
    assert values["jain"] == pytest.approx(12**2 / (2 * (16 + 64)))


def test_jain_is_one_for_even_shares_and_one_nth_for_one_taker() -> None:
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1.0)
    assert jain([0.0, 0.0, 5.0, -0.1]) == pytest.approx(0.25)
    assert jain([0.0, 0.0]) == 1.0
    assert jain([1.0]) is None


def test_agreement_latency_comes_from_samples_or_from_the_log() -> None:
    scene, drawn = scene_of({"a": along(0, 0, 0, 5)}, [record("a")])
    log = (
        Decision(0, 100, "a", "proposal", {"proposal": "x"}),
        Decision(1, 130, "b", "vote", {"proposal": "x"}),
        Decision(2, 250, "b", "commit", {"proposal": "x"}),
        Decision(3, 900, "a", "commit", {"proposal": "x"}),
        Decision(4, 950, "a", "refusal", {}),
        Decision(5, 960, "a", "fallback", {}),
    )
    values = values_of(run_analysis(scene, drawn, log))
    assert values["agreement_latency_s_p50"] == pytest.approx(0.15)
    assert (values["commits"], values["refusals"], values["fallbacks"], values["breaches"]) == (2, 1, 1, 0)
    values = values_of(run_analysis(scene, drawn, log, agreement_latency_s=[0.1, 0.3], planning_s=[0.002]))
    assert (values["agreement_latency_s_p50"], values["planning_s_p99"]) == pytest.approx((0.2, 0.002))


def test_a_run_without_vehicles_has_metrics_too() -> None:
    none = Trajectories(np.empty(0), np.empty(0, np.int64), np.empty((0, 6)), np.empty(0, np.int64), (), ())
    drawn = DrawnMap("m", "0", (), (), {})
    values = values_of(run_analysis(build_scene(none, [], drawn), drawn))
    assert (values["contacts"], values["vehicles"], values["gap_m_min"], values["mean_delay_s"]) == (0, 0, None, None)


def metric(name: str, value: float | int | None) -> Metric:
    return Metric(name, "", value, "x/1")


def test_expectations_are_bounds_equalities_or_all() -> None:
    metrics = [
        metric("contacts", 0),
        metric("mean_delay_s", 5.2),
        metric("gap_m_min", 0.4),
        metric("finished", 7),
        metric("vehicles", 8),
        metric("jain", 0.96),
    ]
    bounds = {
        "contacts": 0,
        "mean_delay_s_max": 5,
        "gap_m_min": 0.3,
        "finished": "all",
        "jain_min": 0.95,
        "finished_max": "all",
    }
    checks = check_expectations(metrics, bounds)
    assert [check.met for check in checks] == [True, False, True, False, True, True]
    assert checks[1].text == "mean_delay_s is 5.2 s, expected <= 5"
    assert checks[3].text == "finished is 7, expected = all"


def test_nothing_measured_fails_unless_it_means_that_nothing_happened() -> None:
    checks = check_expectations(
        [metric("gap_m_min", None), metric("mean_delay_s", None)], {"gap_m_min": 0.5, "mean_delay_s_max": 5}
    )
    assert [(check.met, "not measured" in check.text) for check in checks] == [(True, True), (False, True)]


def test_an_unknown_expectation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"s\.yaml: expectations\.contcats: no such metric; nearest: contacts, "):
        validate_expectations(["contcats"], source="s.yaml")
    with pytest.raises(ConfigError, match="neither a number nor 'all'"):
        check_expectations([metric("finished", 1)], {"finished": "most"})
    assert {
        "contacts",
        "finished_share_min",
        "delay_s_max",
        "gap_m_min",
        "jain_min",
        "p95_delay_s_max",
    } <= EXPECTATION_NAMES


def test_the_reference_explains_every_definition() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    missing = [d.name for d in BY_NAME.values() if f"`{d.name}`" not in text or f"`{d.definition}`" not in text]
    assert missing == []


@pytest.mark.parametrize("path", sorted(TESTDATA.glob("scene_*.json")), ids=lambda path: path.stem)
def test_recorded_scenes_give_the_expected_metrics(path: Path) -> None:
    raw = json.loads(path.read_text())
    tracks = {name: along(*track["start"], track["speed_mps"], raw["seconds"]) for name, track in raw["tracks"].items()}
    vehicles = [record(name, **track.get("vehicle", {})) for name, track in raw["tracks"].items()]
    paths = [straight(name, tuple(p["start"]), p["yaw_rad"], p["length_m"]) for name, p in raw["paths"].items()]
    scene, drawn = scene_of(tracks, vehicles, *paths)
    got = values_of(run_analysis(scene, drawn))
    for name, expected in raw["expected"].items():
        assert got[name] == (pytest.approx(expected, abs=raw["tolerance"]) if expected is not None else None), name
