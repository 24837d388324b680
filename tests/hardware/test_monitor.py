"""The monitor and the guard: no false alarm, each cause within its time, nothing before preflight."""

from __future__ import annotations

import math

import pytest

from fleet.errors import HardwareError
from hardware.base import Command, Health, Lifecycle
from hardware.black_box import BlackBox
from hardware.failsafe import Action, row_of
from hardware.guard import DOUBT_MS, Guard
from hardware.mock import FaultSwitches, MockVehicle
from hardware.vehicle import load_vehicle
from sim.bullet_world import BulletWorld
from sim.hil.fleet import Heart
from sim.kinematic_world import KinematicWorld
from sim.vehicle_backend import SensorSuite, SimVehicle

CAR = load_vehicle("car")
TICK_MS = 50


class Drive:
    """A guarded mock at 10 m/s."""

    def __init__(self, clock_error_s: float | None = 0.0) -> None:
        self.faults = FaultSwitches()
        self.mock = MockVehicle(CAR, (0.0, 0.0, 0.0, 10.0), faults=self.faults)
        self.error_s = clock_error_s
        self.kept: list[str] = []
        self.guard = Guard(
            self.mock, CAR, clock_error_s=lambda now_ns: self.error_s, black_box=BlackBox({}),
            keep=lambda reason, data: self.kept.append(reason),
        )  # fmt: skip
        self.now_ms = 0
        self.mock.gate.configure()
        self.guard.read(0)

    def tick(self, accel: float = 0.0, count: int = 1) -> None:
        for _ in range(count):
            self.now_ms += TICK_MS
            now_ns = self.now_ms * 1_000_000
            self.guard.read(now_ns)
            self.guard.write(Command(now_ns, 0.0, accel), now_ns)

    def until(self, cause: str, seconds: float = 3.0) -> float:
        begun = self.now_ms
        while cause not in self.guard.decision.causes:
            assert self.now_ms - begun < 1000 * seconds, f"{cause} was never noticed"
            self.tick()
        return (self.now_ms - begun) * 1e-3


def driving(**options: float | None) -> Drive:
    drive = Drive(**options)
    drive.guard.activate(())
    drive.tick(count=4)
    assert drive.guard.decision.causes == ()
    return drive


def switch(drive: Drive, cause: str) -> None:
    values = {
        "estop": ("estop_pressed", True), "localisation_error": ("localisation_error", True),
        "localisation_frozen": ("localisation_frozen", True), "localisation_uncertain": ("localisation_std_m", 1.0),
        "localisation_nan": ("localisation_nan", True), "localisation_jump": ("position_bias_x_m", 2.0),
        "battery": ("battery", 0.1), "temperature": ("temperature_c", 95.0), "manual": ("manual", True),
    }  # fmt: skip
    name, value = values[cause]
    setattr(drive.faults, name, value)


@pytest.mark.parametrize(
    "cause",
    ["estop", "localisation_error", "localisation_frozen", "localisation_uncertain", "localisation_nan",
     "localisation_jump", "battery", "temperature", "manual"],
)  # fmt: skip
def test_each_cause_acts_within_its_time_and_writes_the_black_box(cause: str) -> None:
    drive = driving()
    switch(drive, cause)
    bound_s = row_of(cause).detect_s or 0.0
    took_s = drive.until(cause)
    assert took_s <= bound_s + 1.5 * TICK_MS * 1e-3
    if bound_s >= 1.0:
        assert took_s >= 0.8 * bound_s, "noticed before the table's time: a flicker would stop the vehicle"
    assert any(cause in reason for reason in drive.kept)


@pytest.mark.parametrize("name", ["battery", "temperature_c"])
def test_what_is_not_known_counts_as_bad(name: str) -> None:
    drive = driving()
    setattr(drive.faults, name, None)
    drive.until(name.split("_")[0])
    assert driving().guard.clock_error_ms(0) == 0
    unknown = Drive(clock_error_s=None)
    unknown.until("clock")
    assert unknown.guard.clock_error_ms(unknown.now_ms) == DOUBT_MS
    not_a_number = Drive(clock_error_s=math.nan)
    not_a_number.until("clock")


def test_a_flicker_shorter_than_the_bound_changes_nothing() -> None:
    drive = driving()
    for _ in range(5):
        drive.faults.battery = 0.1
        drive.tick(count=10)
        drive.faults.battery = 0.9
        drive.tick(count=2)
    assert drive.guard.decision.causes == ()


def test_a_clock_is_trusted_again_only_after_five_seconds() -> None:
    drive = driving()
    drive.error_s = 0.011
    drive.until("clock")
    assert drive.guard.decision.action is Action.SIGN_NOTHING
    drive.error_s = 0.0
    drive.tick(count=98)
    assert drive.guard.clock_error_ms(drive.now_ms) == DOUBT_MS
    drive.tick(count=4)
    assert drive.guard.clock_error_ms(drive.now_ms) == 0


def test_the_node_sees_a_lost_localisation_for_two_seconds_after_it_came_back() -> None:
    drive = driving()
    drive.faults.localisation_error = True
    drive.tick(count=2)
    drive.faults.localisation_error = False
    drive.tick(count=38)
    assert drive.guard.read(drive.now_ms * 1_000_000).health is Health.ERROR
    drive.tick(count=4)
    assert drive.guard.read(drive.now_ms * 1_000_000).health is Health.OK


def test_nothing_goes_out_before_every_check_has_passed() -> None:
    drive = Drive()
    with pytest.raises(HardwareError, match="preflight failed: clock, key"):
        drive.guard.activate(("clock", "key"))
    assert drive.guard.lifecycle is Lifecycle.INACTIVE
    drive.tick(2.0, count=40)
    assert drive.mock.truth[3] < 10.0  # inactive holds the brakes
    drive.faults.battery = 0.01
    drive.tick(count=30)
    with pytest.raises(HardwareError, match="not fit to drive: battery"):
        drive.guard.activate(())


def test_a_node_whose_supervisor_brakes_knows_and_latches() -> None:
    drive, heart = driving(), Heart()
    drive.guard._heart = heart
    heart.holding = True
    drive.tick()
    assert drive.guard.decision.causes == ("loop_stall",)
    assert drive.mock.gate.estop_reason == "loop_stall"
    heart.holding = False
    drive.tick(count=60)
    assert "loop_stall" in drive.guard.decision.causes
    assert drive.guard.reset("anna") and drive.guard.decision.action is Action.EMERGENCY
    drive.tick()
    assert drive.guard.decision.causes == () and drive.guard.lifecycle is Lifecycle.INACTIVE


def test_an_input_that_is_no_number_reaches_the_gate_and_brakes() -> None:
    drive = driving()
    drive.faults.battery = 0.01
    drive.tick(count=30)
    drive.now_ms += TICK_MS
    answer = drive.guard.write(Command(drive.now_ms * 1_000_000, 0.0, math.nan), drive.now_ms * 1_000_000)
    assert answer.accel_mps2 < 0.0


@pytest.mark.parametrize("world", ["kinematic", "bullet"])
def test_hard_driving_is_no_alarm(world: str) -> None:
    """Full drive, full braking, full steering on a world with lags, slip and sensor noise."""
    if world == "bullet":
        pytest.importorskip("pybullet", reason="pybullet has wheels for Python 3.10 and 3.11 only")
    body = BulletWorld() if world == "bullet" else KinematicWorld()
    suite = SensorSuite(body, seed=5)
    slot = body.add(CAR, 0.0, 0.0, 0.0, 0.0)
    suite.attach(slot, CAR)
    vehicle = SimVehicle(suite, slot, CAR, name="a")
    guard = Guard(vehicle, CAR, clock_error_s=lambda now_ns: 0.0)
    suite.tick(0)
    vehicle.gate.configure()
    guard.read(0)
    guard.activate(())
    phases = ((60, 0.0, 4.0), (40, 0.15, 1.0), (40, -0.15, 0.0), (30, 0.0, -7.0), (40, 0.3, 2.0), (60, 0.0, -2.0))
    now_ms = 0
    for count, steer, accel in phases:
        for _ in range(count):
            body.advance(TICK_MS * 1e-3)
            now_ms += TICK_MS
            guard.read(now_ms * 1_000_000)
            guard.write(Command(now_ms * 1_000_000, steer, accel), now_ms * 1_000_000)
            assert guard.decision.causes == (), f"at {now_ms} ms, steering {steer}, accel {accel}"
    body.close()


@pytest.mark.parametrize(("name", "value"), [("brake_share", 0.4), ("steer_offset_rad", 0.12), ("drive_mps2", 2.5)])
def test_a_wrong_actuator_is_noticed_in_a_world_with_lags(name: str, value: float) -> None:
    world = KinematicWorld()
    suite, faults = SensorSuite(world, seed=5), FaultSwitches()
    slot = world.add(CAR, 0.0, 0.0, 0.0, 15.0)
    suite.attach(slot, CAR)
    vehicle = SimVehicle(suite, slot, CAR, name="a", faults=faults)
    guard = Guard(vehicle, CAR, clock_error_s=lambda now_ns: 0.0)
    suite.tick(0)
    vehicle.gate.configure()
    guard.read(0)
    guard.activate(())
    setattr(faults, name, value)
    for now_ms in range(TICK_MS, 1500, TICK_MS):
        world.advance(TICK_MS * 1e-3)
        guard.read(now_ms * 1_000_000)
        guard.write(Command(now_ms * 1_000_000, 0.0, -5.0 if name == "brake_share" else 0.1), now_ms * 1_000_000)
    assert guard.decision.action is Action.EMERGENCY
    assert any("mismatch" in cause for cause in guard.decision.causes)
    world.close()
