"""Unconnected drivers: following, stopping at the line, gaps, queues, and steering along the path."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fleet.errors import ConfigError
from hardware.vehicle import load_vehicle
from planners.paths import pose_at, project
from planners.zone_map import Passage, Path
from sim.legacy import Behaviour, LegacyDriver, Rival, speed_profile
from sim.maps import build

CAR = load_vehicle("car")
FRONT_M = CAR.body.length_m - CAR.body.rear_overhang_m
LINE_M = 200.0
DT_S = 0.05


@pytest.fixture(scope="module")
def paths() -> dict[str, Path]:
    return {path.path_id: path for path in build("four_way").paths}


def driver(path: Path, **behaviour: float | bool) -> LegacyDriver:
    passage = Passage("zone0", path.path_id, LINE_M, LINE_M + 30.0)
    return LegacyDriver("me", path, (passage,), CAR, Behaviour(**behaviour))  # type: ignore[arg-type]


def drive(
    one: LegacyDriver,
    duration_s: float,
    *,
    s_m: float = 0.0,
    v_mps: float = 13.89,
    rivals=lambda t: (),
    leader=lambda t: None,
):  # type: ignore[no-untyped-def]
    """Rows (t_s, s_m, v_mps, a_mps2) of a point that does as it is told."""
    rows = []
    for k in range(round(duration_s / DT_S)):
        t = k * DT_S
        ahead = leader(t)
        gap = None if ahead is None else (ahead[0] - CAR.body.rear_overhang_m - (s_m + FRONT_M), ahead[1])
        accel = one.command(t, s_m, v_mps, gap, rivals(t))
        rows.append((t, s_m, v_mps, accel))
        after = max(0.0, v_mps + accel * DT_S)
        s_m += 0.5 * (v_mps + after) * DT_S
        v_mps = after
    return np.array(rows)


def test_alone_it_goes_through_at_the_speed_limit(paths: dict[str, Path]) -> None:
    rows = drive(driver(paths["N_straight"]), 25.0)
    assert rows[-1, 1] > 300.0
    assert rows[:, 2].min() == pytest.approx(13.89, abs=0.05)


def test_it_stops_at_the_line_while_somebody_crosses_and_goes_when_they_are_gone(paths: dict[str, Path]) -> None:
    rows = drive(driver(paths["N_straight"]), 60.0, rivals=lambda t: (Rival(0.0),) if t < 30.0 else ())
    standing = rows[(rows[:, 0] > 25.0) & (rows[:, 0] < 30.0)]
    gap_m = LINE_M - (standing[:, 1] + FRONT_M)
    assert standing[:, 2].max() < 0.3
    assert np.all((gap_m > 0.2) & (gap_m < 4.0))
    assert rows[:, 3].min() > -CAR.limits.brake_mps2_plan - 1e-9
    assert rows[-1, 1] > LINE_M + 30.0


@pytest.mark.parametrize(("arrival_s", "goes"), [(4.5, False), (5.5, True)])
def test_a_gap_is_accepted_from_the_critical_gap_on(paths: dict[str, Path], arrival_s: float, goes: bool) -> None:
    rows = drive(driver(paths["N_straight"]), 30.0, rivals=lambda t: (Rival(arrival_s),))
    assert bool(rows[-1, 1] > LINE_M) is goes


def test_waiting_makes_impatient_but_only_down_to_the_least_gap(paths: dict[str, Path]) -> None:
    def gone_s(arrival_s: float) -> float:
        rows = drive(driver(paths["N_straight"]), 90.0, rivals=lambda t: (Rival(arrival_s),))
        past = rows[rows[:, 1] + FRONT_M > LINE_M]
        return float(past[0, 0]) if len(past) else math.inf

    assert gone_s(4.8) < gone_s(4.3) < 70.0
    assert gone_s(3.9) == math.inf


def test_a_decision_to_go_is_kept(paths: dict[str, Path]) -> None:
    """Whoever has begun to cross does not stop in the middle for a late rival."""
    one = driver(paths["N_straight"])
    rows = drive(one, 30.0, rivals=lambda t: () if t < 13.0 else (Rival(0.5),))
    assert rows[rows[:, 0] > 13.0][0, 1] + FRONT_M < LINE_M
    assert rows[-1, 1] > LINE_M + 30.0


def test_one_that_does_not_yield_runs_the_junction(paths: dict[str, Path]) -> None:
    rows = drive(driver(paths["N_straight"], yields=False), 25.0, rivals=lambda t: (Rival(0.0),))
    assert rows[:, 2].min() == pytest.approx(13.89, abs=0.05)


def test_who_stopped_first_goes_first_but_is_not_waited_for_in_vain(paths: dict[str, Path]) -> None:
    path = paths["N_straight"]
    start = {"s_m": LINE_M - FRONT_M - 0.5, "v_mps": 0.0}

    def first_move_s(rival: Rival) -> float:
        rows = drive(driver(path), 15.0, rivals=lambda t: (rival,), **start)
        return float(rows[rows[:, 2] > 0.5][0, 0])

    assert first_move_s(Rival(math.inf, 5.0, "other")) < 1.0
    assert first_move_s(Rival(math.inf, -3.0, "other")) == pytest.approx(4.3, abs=0.4)
    assert first_move_s(Rival(math.inf, 0.0, "zz")) < 1.0
    assert first_move_s(Rival(math.inf, 0.0, "aa")) > 4.0


def test_following_keeps_the_equilibrium_gap(paths: dict[str, Path]) -> None:
    """Treiber's equilibrium: gap = (s0 + v T) / sqrt(1 - (v / v0)^4)."""
    behaviour, speed = Behaviour(yields=False), 8.0
    rows = drive(driver(paths["N_straight"], yields=False), 45.0, leader=lambda t: (40.0 + speed * t, speed))
    t, s = rows[-1, 0], rows[-1, 1]
    gap = 40.0 + speed * t - CAR.body.rear_overhang_m - (s + FRONT_M)
    expected = (behaviour.gap_m_min + speed * behaviour.time_headway_s) / math.sqrt(1.0 - (speed / 13.89) ** 4)
    assert gap == pytest.approx(expected, rel=0.02)
    assert rows[-1, 2] == pytest.approx(speed, abs=0.05)


def test_it_stops_behind_a_standing_car(paths: dict[str, Path]) -> None:
    rows = drive(driver(paths["N_straight"], yields=False), 40.0, leader=lambda t: (150.0, 0.0))
    gap = 150.0 - CAR.body.rear_overhang_m - (rows[:, 1] + FRONT_M)
    assert gap.min() > 1.0
    assert gap[-1] == pytest.approx(Behaviour().gap_m_min, abs=0.6)


def test_a_queue_discharges_with_a_usual_follow_up_time(paths: dict[str, Path]) -> None:
    """2 to 4 s between cars that start from a queue: Highway Capacity Manual 6, chapter 20, gives 2.2 to 3.5 s."""
    path = paths["N_straight"]
    cars = [driver(path) for _ in range(5)]
    s = [LINE_M - FRONT_M - 1.0 - 7.0 * k for k in range(5)]
    v = [0.0] * 5
    crossed: dict[int, float] = {}
    for step in range(800):
        t = step * DT_S
        for k, one in enumerate(cars):
            leader = (s[k - 1] - CAR.body.rear_overhang_m - (s[k] + FRONT_M), v[k - 1]) if k else None
            after = max(0.0, v[k] + one.command(t, s[k], v[k], leader, ()) * DT_S)
            s[k] += 0.5 * (v[k] + after) * DT_S
            v[k] = after
            if s[k] + FRONT_M > LINE_M:
                crossed.setdefault(k, t)
    headways = np.diff([crossed[k] for k in range(5)])
    assert np.all((headways > 1.5) & (headways < 4.0))
    assert headways.mean() == pytest.approx(2.4, abs=0.6)


def test_bends_are_taken_at_the_lateral_limit_and_braked_for(paths: dict[str, Path]) -> None:
    path = paths["N_right"]
    speed = speed_profile(path, CAR, 2.0)
    lateral = speed**2 * np.abs(path.kappa_1pm)
    assert lateral.max() <= CAR.limits.lateral_accel_mps2_max + 1e-9
    assert np.diff(speed**2).min() / (2.0 * path.step_m) >= -2.0 - 1e-6
    slow = np.argmin(speed)
    assert lateral[slow] == pytest.approx(CAR.limits.lateral_accel_mps2_max, rel=0.02)


@pytest.mark.parametrize("name", ["N_left", "N_right", "N_straight"])
def test_steering_holds_the_path_from_an_offset(paths: dict[str, Path], name: str) -> None:
    """Kinematic bicycle with steering lag, 0.3 m beside the path at the start."""
    path = paths[name]
    one = LegacyDriver("me", path, (), CAR, Behaviour(yields=False))
    x, y, yaw = pose_at(path, 150.0)
    x, y = x - 0.3 * math.sin(yaw), y + 0.3 * math.cos(yaw)
    s, v, steer, errors, dt = 150.0, 12.0, 0.0, [], 0.02
    for _ in range(1000):
        wanted = one.steer(x, y, yaw, s, v)
        steer += (wanted - steer) * dt / CAR.actuators.steer_lag_s
        v = max(1.0, v + one.command(0.0, s, v, None, ()) * dt)
        yaw += v * math.tan(steer) / CAR.body.wheelbase_m * dt
        x, y = x + v * math.cos(yaw) * dt, y + v * math.sin(yaw) * dt
        s, lateral = project(path, x, y, near_s=s)
        errors.append(lateral)
    assert errors[0] == pytest.approx(0.3, abs=0.05)
    assert np.abs(errors[400:]).max() < 0.15
    assert abs(errors[-1]) < 0.02


def test_a_critical_gap_below_its_least_is_refused(paths: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r"critical_gap_s_min = 4 s is more than critical_gap_s = 3 s"):
        driver(paths["N_straight"], critical_gap_s=3.0)
