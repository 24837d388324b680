"""The physics world against theory (bicycle model, stopping distance, friction) and against an articulated body.

Each tolerance is about twice the deviation seen; ``docs/reference/vehicle-model.md`` lists the deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hardware.vehicle import Vehicle, load_vehicle
from sim._vehicle import GRAVITY_MPS2, V_REG, inertia_kgm2, physics_row, vehicle_wrenches
from sim.bullet_world import BulletWorld
from tests.sim.articulated import STEP_S, ArticulatedCar

pybullet = pytest.importorskip("pybullet", reason="pybullet has wheels for Python 3.10 and 3.11 only")

CAR = load_vehicle("car")
BASE = CAR.body.wheelbase_m
TICK_S = 0.05

Law = Callable[[float, np.ndarray], tuple[float, float]]


def manoeuvre(law: Law, speed_mps: float, seconds: float, tick_s: float = TICK_S, vehicle: Vehicle = CAR) -> np.ndarray:
    """Rows of time and truth while ``law(time, state)`` gives steering and acceleration."""
    world = BulletWorld()
    world.add(vehicle, 0.0, 0.0, 0.0, speed_mps)
    rows = [(0.0, *world.truth().state[0])]
    for k in range(round(seconds / tick_s)):
        world.command(0, *law(k * tick_s, world.truth().state[0]))
        world.advance(tick_s)
        rows.append(((k + 1) * tick_s, *world.truth().state[0]))
    world.close()
    return np.array(rows)


def hold(speed_mps: float, steer_rad: float) -> Law:
    return lambda t, state: (steer_rad, 3.0 * (speed_mps - state[3]))


@pytest.mark.parametrize(("speed", "lateral"), [(5.0, 1.0), (10.0, 2.0), (15.0, 2.5), (20.0, 3.0)])
def test_steady_cornering_has_the_radius_of_the_understeering_bicycle(speed: float, lateral: float) -> None:
    gradient = (1.0 / CAR.tyres.cornering_stiffness_front_prad - 1.0 / CAR.tyres.cornering_stiffness_rear_prad) / 9.81
    steer = BASE * lateral / speed**2
    table = manoeuvre(hold(speed, steer), speed, 10.0)
    late = table[-60:]
    rate = np.polyfit(late[:, 0], np.unwrap(late[:, 3]), 1)[0]
    actual = float(late[:, 4].mean())
    expected = actual * math.tan(steer) / (BASE + gradient * actual**2)
    assert rate == pytest.approx(expected, rel=0.015)
    # Without understeer the answer would differ by more than the tolerance where it matters.
    assert gradient * 20.0**2 / BASE > 2 * 0.015


def test_a_step_of_steering_gives_the_yaw_response_of_the_linear_bicycle() -> None:
    speed, steer, dt = 15.0, 0.02, 1.0 / 240.0
    table = manoeuvre(hold(speed, steer), speed, 2.0, tick_s=dt)
    mass, inertia, half = CAR.body.mass_kg, inertia_kgm2(CAR)[2], 0.5 * BASE
    front = CAR.tyres.cornering_stiffness_front_prad * 0.5 * mass * GRAVITY_MPS2
    rear = CAR.tyres.cornering_stiffness_rear_prad * 0.5 * mass * GRAVITY_MPS2
    slip = rate = 0.0
    expected = []
    for angle in table[1:, 6]:
        force_front = front * (angle - (slip + half * rate) / speed)
        force_rear = -rear * (slip - half * rate) / speed
        slip += dt * ((force_front + force_rear) / mass - speed * rate)
        rate += dt * half * (force_front - force_rear) / inertia
        expected.append(rate)
    seen = np.diff(table[:, 3]) / dt
    final = expected[-1]
    assert np.abs(seen - expected).max() < 0.05 * final
    assert seen[-1] == pytest.approx(final, rel=0.02)
    reach = [np.argmax(np.array(rates) > 0.63 * final) * dt for rates in (seen, expected)]
    assert reach[0] == pytest.approx(reach[1], abs=0.01)


@pytest.mark.parametrize(("speed", "brake"), [(8.0, 2.0), (15.0, 4.5), (25.0, 7.0)])
def test_stopping_distance_is_that_of_the_lagged_deceleration(speed: float, brake: float) -> None:
    table = manoeuvre(lambda t, state: (0.0, -brake), speed, speed / brake + 1.5)
    lag = CAR.actuators.accel_lag_s
    expected = speed**2 / (2.0 * brake) + speed * lag - 0.5 * brake * lag**2
    assert table[-1, 1] == pytest.approx(expected, rel=0.01)
    assert table[:, 4].min() > -5e-3


@pytest.mark.parametrize(("asked", "speed"), [(-12.0, 25.0), (12.0, 5.0)])
def test_tyres_limit_what_is_asked_for_to_mu_g(asked: float, speed: float) -> None:
    table = manoeuvre(lambda t, state: (0.0, asked), speed, 2.0)
    felt = abs((table[-1, 4] - table[10, 4]) / (table[-1, 0] - table[10, 0]))
    assert felt == pytest.approx(CAR.tyres.friction * 9.81, rel=0.02)


def test_tyres_limit_lateral_acceleration_to_mu_g() -> None:
    table = manoeuvre(hold(15.0, 0.3), 15.0, 1.5, tick_s=0.01)
    middle = table[:, 1:3] + 0.5 * BASE * np.column_stack((np.cos(table[:, 3]), np.sin(table[:, 3])))
    felt = np.hypot(*np.diff(middle, n=2, axis=0).T) / 0.01**2
    assert felt[80:].mean() == pytest.approx(CAR.tyres.friction * 9.81, rel=0.03)
    assert felt[10:].max() < 1.05 * CAR.tyres.friction * 9.81


def test_standstill_is_held_for_ten_seconds_within_a_millimetre() -> None:
    table = manoeuvre(lambda t, state: (0.3, -2.0), 3.0, 13.0)
    rest = table[table[:, 0] >= 3.0]
    assert np.ptp(rest[:, 1]) < 1e-3
    assert np.ptp(rest[:, 2]) < 1e-3
    assert np.abs(rest[-100:, 4]).max() < 1e-6


def test_wanted_acceleration_is_tracked_on_the_straight() -> None:
    table = manoeuvre(lambda t, state: (0.0, 1.5), 2.0, 4.0)
    assert table[20:, 5] == pytest.approx(1.5, rel=0.005)


def test_light_and_heavy_steps_agree() -> None:
    coarse = manoeuvre(hold(10.0, 0.06), 10.0, 4.0)
    fine = manoeuvre(hold(10.0, 0.06), 10.0, 4.0, tick_s=0.00125)
    assert coarse[-1, 1:4] == pytest.approx(fine[-1, 1:4], abs=0.05)


@pytest.mark.parametrize("shape", ["turn", "lane_change"])
def test_paths_are_those_of_an_articulated_car(shape: str, tmp_path: Path) -> None:
    speed = 6.0

    def law(t: float, state: np.ndarray) -> tuple[float, float]:
        steer = 0.1 if shape == "turn" else 0.06 * math.sin(2.0 * math.pi * t / 3.0)
        return (steer if t < 3.0 else 0.0 if shape == "lane_change" else steer), 2.0 * (speed - state[3])

    # Rigid wheels do not understeer; so neither may the car that is compared with them.
    tyres = msgspec.structs.replace(CAR.tyres, cornering_stiffness_front_prad=18.0, cornering_stiffness_rear_prad=18.0)
    table = manoeuvre(law, speed, 4.0, tick_s=0.025, vehicle=msgspec.structs.replace(CAR, tyres=tyres))
    car = ArticulatedCar(pybullet, CAR, speed, tmp_path)
    rows = []
    for k in range(round(4.0 / STEP_S)):
        car.step(float(np.interp(k * STEP_S, table[:, 0], table[:, 6])), 2.0 * (speed - car.rear_axle()[3]))
        rows.append(car.rear_axle())
    car.close()
    other = np.array(rows)
    travelled = np.cumsum(np.hypot(np.diff(other[:, 0]), np.diff(other[:, 1])))
    length = np.cumsum(np.hypot(np.diff(table[:, 1]), np.diff(table[:, 2])))
    at = np.linspace(1.0, min(travelled[-1], length[-1]) - 0.1, 50)
    # Compared by distance travelled: the rigid wheels' speed has an error of its own.
    gap = np.hypot(*(np.interp(at, travelled, other[1:, k]) - np.interp(at, length, table[1:, k + 1]) for k in (0, 1)))
    turned = np.interp(at, travelled, other[1:, 2]) - np.interp(at, length, table[1:, 3])
    print(f"{shape}: largest distance {gap.max():.3f} m, heading {np.abs(turned).max():.4f} rad over {at[-1]:.1f} m")
    assert gap.max() < 0.3  # of which 0.17 m in the turn is the slip angle of the rear tyres, which rigid wheels lack
    assert np.abs(turned).max() < 0.02


def test_braking_is_that_of_an_articulated_car(tmp_path: Path) -> None:
    table = manoeuvre(lambda t, state: (0.0, -4.0), 10.0, 2.2, tick_s=0.025)
    car = ArticulatedCar(pybullet, CAR, 10.0, tmp_path)
    lag = CAR.actuators.accel_lag_s
    for k in range(round(2.2 / STEP_S)):
        car.step(0.0, -4.0 * (1.0 - math.exp(-k * STEP_S / lag)))
    x, y, _, speed = car.rear_axle()
    car.close()
    print(f"braking: distance {table[-1, 1]:.3f} and {x:.3f} m, speed {table[-1, 4]:.3f} and {speed:.3f} m/s")
    assert table[-1, 1] == pytest.approx(x, rel=0.03)
    assert table[-1, 4] == pytest.approx(speed, abs=0.4)  # the wheels' own inertia makes the articulated car 2 % slower
    assert abs(y) < 0.05


# The compiled kernel against a plain twin, and its symmetries.


def plain_wrench(body: np.ndarray, steer: float, accel: float, row: list[float]) -> np.ndarray:
    """The wrench as the reference page states it, one corner at a time, with no brakes."""
    mass, base, half, height, to_front, to_rear, spring, damper, bar, bar_damper, mu, c_front, c_rear, v_reg = row[:14]
    turn = Rotation.from_quat(body[3:7])
    forward = turn.apply([1.0, 0.0, 0.0])
    forward[2] = 0.0
    forward /= np.linalg.norm(forward)
    corners = [(to_front, half), (to_front, -half), (-to_rear, half), (-to_rear, -half)]
    arms = [turn.apply([x, y, -height]) for x, y in corners]
    speeds = [body[7:10] + np.cross(body[10:13], arm) for arm in arms]
    depths = [-(body[2] + arm[2]) for arm in arms]
    loads = []
    for k in range(4):
        mate = k ^ 1
        load = mass * GRAVITY_MPS2 / 4.0 + spring * depths[k] - damper * speeds[k][2]
        load += bar * (depths[k] - depths[mate]) - bar_damper * (speeds[k][2] - speeds[mate][2])
        loads.append(max(0.0, load))
    total = np.zeros(6)
    for k, (_, y) in enumerate(corners):
        if loads[k] == 0.0:
            continue
        angle = math.atan2(math.tan(steer), 1.0 - y * math.tan(steer) / base) if k < 2 else 0.0
        along = Rotation.from_rotvec([0.0, 0.0, angle]).apply(forward)
        across = np.cross([0.0, 0.0, 1.0], along)
        stiffness, grip = (c_front if k < 2 else c_rear) * loads[k], mu * loads[k]
        slip = (speeds[k] @ across) / max(abs(speeds[k] @ along), v_reg)
        if abs(slip) < 3.0 * grip / stiffness:
            lateral = -stiffness * slip + stiffness**2 / (3.0 * grip) * abs(slip) * slip
            lateral -= stiffness**3 / (27.0 * grip**2) * slip**3
        else:
            lateral = -math.copysign(grip, slip)
        push = mass * accel * loads[k] / sum(loads)
        scale = min(1.0, grip / math.hypot(push, lateral))
        force = scale * (push * along + lateral * across) + [0.0, 0.0, loads[k]]
        arm = np.array([arms[k][0], arms[k][1], -body[2]])
        total += np.concatenate((force, np.cross(arm, force)))
    return total


def wrench(body: np.ndarray, steer: float, accel: float, wanted: float) -> np.ndarray:
    """The kernel's answer with actuators at rest in ``steer`` and ``accel``."""
    out = np.zeros((1, 6))
    actuator, command = np.array([[steer, accel]]), np.array([[steer, wanted, 1.0]])
    row = np.array([physics_row(CAR)])
    vehicle_wrenches(np.ascontiguousarray(body.reshape(1, 13)), command, row, 1 / 240, actuator, np.zeros((5, 9)), out)
    return out[0]


def random_body(rng: np.random.Generator, speed: float) -> np.ndarray:
    yaw, lean = rng.uniform(-3.0, 3.0), rng.uniform(-0.03, 0.03, 2)
    turn = Rotation.from_euler("ZYX", [yaw, lean[0], lean[1]])
    velocity = turn.apply([speed, rng.uniform(-1.0, 1.0), rng.uniform(-0.1, 0.1)])
    place = [*rng.uniform(-50.0, 50.0, 2), CAR.body.com_height_m + rng.uniform(-0.03, 0.03)]
    return np.concatenate((place, turn.as_quat(), velocity, rng.uniform(-0.4, 0.4, 3)))


def test_the_kernel_equals_its_plain_twin() -> None:
    rng = np.random.default_rng(11)
    for _ in range(100):
        body, steer, accel = random_body(rng, rng.uniform(0.5, 30.0)), rng.uniform(-0.5, 0.5), rng.uniform(0.01, 9.0)
        expected = plain_wrench(body, steer, accel, physics_row(CAR))
        assert wrench(body, steer, accel, accel) == pytest.approx(expected, rel=1e-9, abs=1e-5)


def test_at_rest_the_wrench_carries_the_weight_and_nothing_else() -> None:
    body = np.array([5.0, 6.0, CAR.body.com_height_m, 0.0, 0.0, 0.0, 1.0] + [0.0] * 6)
    weight = CAR.body.mass_kg * GRAVITY_MPS2
    assert wrench(body, 0.2, 0.0, -1.0) == pytest.approx([0.0, 0.0, weight, 0.0, 0.0, 0.0], abs=1e-6)
    body[2] += 1.0
    assert np.abs(wrench(body, 0.2, 2.0, 2.0)).max() == 0.0  # in the air
    body[2:7] = [0.9, math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]
    assert np.abs(wrench(body, 0.2, 2.0, 2.0)).max() == 0.0  # on its side


def test_horizontal_force_never_exceeds_friction() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        body = random_body(rng, rng.uniform(0.0, 30.0))
        accel = rng.uniform(-20.0, 20.0)
        force = wrench(body, rng.uniform(-0.6, 0.6), accel, accel)
        assert math.hypot(force[0], force[1]) <= CAR.tyres.friction * force[2] * (1.0 + 1e-9)


def test_regularisation_reaches_only_to_walking_speed() -> None:
    assert physics_row(CAR)[V_REG] < 2.0
