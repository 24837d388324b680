"""What every vehicle interface must do, run against each backend with the same assertions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from fleet.errors import HardwareError
from hardware.base import Command, Health, Lifecycle, Track
from hardware.gate import RECOVERY_COUNT
from hardware.limits import comfort_mps2
from hardware.mock import FaultSwitches, MockVehicle
from hardware.vehicle import load_vehicle
from sim.bullet_world import BulletWorld
from sim.kinematic_world import KinematicWorld
from sim.vehicle_backend import SensorSuite, SimVehicle
from sim.world import World

CAR = load_vehicle("car")
TICK_NS = 50_000_000
COMFORT = comfort_mps2(CAR)
OTHER = Track(0, 0, 20.0, 0.0, 0.0, 0.0, 5.0, 1.8, 0.1)


@dataclass
class Rig:
    """A vehicle, a neighbour 20 m ahead on the other lane, and time."""

    backend: str
    vehicle: MockVehicle | SimVehicle
    pass_time: Callable[[float], object]
    faults: FaultSwitches = field(default_factory=FaultSwitches)
    now_ns: int = 0

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.pass_time(TICK_NS * 1e-9)
            self.now_ns += TICK_NS
            self.vehicle.read(self.now_ns)

    def send(self, accel: float, steer: float = 0.0, *, ticks: int = 1):
        answer = None
        for _ in range(ticks):
            answer = self.vehicle.write(Command(self.now_ns, steer, accel), self.now_ns)
            self.tick()
        return answer

    @property
    def speed(self) -> float:
        return self.vehicle.read(self.now_ns).speed_mps

    def start(self) -> None:
        self.vehicle.gate.configure()
        self.vehicle.gate.activate()

    def stop(self) -> None:
        self.send(-3.0, ticks=60)


def mock_rig(speed: float) -> Iterator[Rig]:
    faults = FaultSwitches()
    vehicle = MockVehicle(CAR, (0.0, 0.0, 0.0, speed), faults=faults, tracks=(OTHER,))
    yield Rig("mock", vehicle, lambda seconds: None, faults)


def sim_rig(world: World, speed: float) -> Iterator[Rig]:
    suite, faults = SensorSuite(world, seed=3), FaultSwitches()
    slot, other = world.add(CAR, 0.0, 0.0, 0.0, speed), world.add(CAR, 18.5, 4.0, 0.0, 0.0)
    for each in (slot, other):
        suite.attach(each, CAR)
    vehicle = SimVehicle(suite, slot, CAR, name="a", faults=faults)
    suite.tick(0)
    yield Rig("sim", vehicle, world.advance, faults)
    world.close()


@pytest.fixture(params=["mock", "sim-kinematic", "sim-bullet"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[float], Rig]]:
    open_rigs: list[Iterator[Rig]] = []

    def build(speed: float = 0.0) -> Rig:
        if request.param == "mock":
            source = mock_rig(speed)
        elif request.param == "sim-kinematic":
            source = sim_rig(KinematicWorld(), speed)
        else:
            pytest.importorskip("pybullet", reason="pybullet has wheels for Python 3.10 and 3.11 only")
            source = sim_rig(BulletWorld(), speed)
        open_rigs.append(source)
        return next(source)

    yield build
    for source in open_rigs:
        next(source, None)


def test_capabilities_are_known_before_connecting(make) -> None:
    rig = make()
    known = rig.vehicle.capabilities()
    assert rig.vehicle.lifecycle is Lifecycle.UNCONFIGURED
    assert known.backend == rig.backend
    assert known.can_perceive
    assert not known.can_reverse
    assert known.perception_range_m == CAR.sensors.perception_range_m
    assert known.control_period_s > 0.0


def test_lifecycle_moves_only_as_drawn(make) -> None:
    gate = make().vehicle.gate
    with pytest.raises(HardwareError, match="activate a vehicle in state unconfigured"):
        gate.activate()
    gate.configure()
    with pytest.raises(HardwareError, match="configure a vehicle in state inactive"):
        gate.configure()
    gate.activate()
    gate.deactivate()
    gate.finalize()
    with pytest.raises(HardwareError, match="finalize a vehicle in state finalized"):
        gate.finalize()


@pytest.mark.parametrize("finished", [False, True])
def test_a_command_outside_the_lifecycle_is_misuse(make, finished: bool) -> None:
    rig = make()
    if finished:
        rig.vehicle.gate.finalize()
    with pytest.raises(HardwareError, match="command in state"):
        rig.vehicle.write(Command(0, 0.0, 1.0), 0)


def test_inactive_answers_but_does_not_drive(make) -> None:
    rig = make()
    rig.vehicle.gate.configure()
    answer = rig.send(1.0, ticks=20)
    assert "inactive" in answer.limited_by
    assert answer.accel_mps2 > 0.0
    assert rig.speed == 0.0


def test_active_drives_what_is_asked(make) -> None:
    rig = make()
    rig.start()
    answer = rig.send(1.0, ticks=40)
    assert answer.limited_by == ()
    assert (answer.accel_mps2, answer.steer_rad) == (1.0, 0.0)
    assert rig.speed == pytest.approx(2.0, abs=0.2)
    state = rig.vehicle.read(rig.now_ns)
    assert state.x_m == pytest.approx(2.0, abs=0.4)
    assert state.accel_mps2 == pytest.approx(1.0, abs=0.05)
    assert state.health is Health.OK


def test_steering_left_turns_left(make) -> None:
    rig = make(5.0)
    rig.start()
    rig.send(0.0, 0.1, ticks=40)
    state = rig.vehicle.read(rig.now_ns)
    assert state.yaw_rad == pytest.approx(10.0 * math.tan(0.1) / CAR.body.wheelbase_m, rel=0.1)
    assert state.y_m > 0.5
    assert state.steer_rad == pytest.approx(0.1, abs=1e-3)


def test_an_estimate_carries_its_stamp_and_does_not_change_when_read_again(make) -> None:
    rig = make(5.0)
    rig.start()
    rig.send(0.0, ticks=3)
    state = rig.vehicle.read(rig.now_ns)
    assert state.stamp_ns == rig.now_ns
    assert rig.vehicle.read(rig.now_ns) == state
    assert state.position_std_m == CAR.sensors.position_std_m


@pytest.mark.parametrize(
    ("accel", "steer", "reason"),
    [(99.0, 0.0, "accel"), (-99.0, 0.0, "brake"), (0.0, 3.0, "steer"), (0.0, 0.5, "steer_rate"), (3.9, 0.0, "jerk")],
)
def test_each_limit_acts_and_says_so(make, accel: float, steer: float, reason: str) -> None:
    rig = make(4.0)
    rig.start()
    rig.send(0.0)
    answer = rig.vehicle.write(Command(rig.now_ns, steer, accel), rig.now_ns)
    limits = CAR.limits
    assert reason in answer.limited_by
    assert -limits.brake_mps2_max <= answer.accel_mps2 <= limits.accel_mps2_max
    assert abs(answer.steer_rad) <= limits.steer_rate_radps_max * TICK_NS * 1e-9 + 1e-9


def test_lateral_acceleration_and_speed_are_limited(make) -> None:
    rig = make(30.0)
    rig.start()
    for _ in range(20):
        rig.vehicle.write(Command(rig.now_ns, 0.5, 0.0), rig.now_ns)
        rig.tick()
    answer = rig.vehicle.write(Command(rig.now_ns, 0.5, 0.0), rig.now_ns)
    assert "lateral_accel" in answer.limited_by
    assert math.tan(answer.steer_rad) * 30.0**2 / CAR.body.wheelbase_m < 1.7 * CAR.limits.lateral_accel_mps2_max
    fast = make(CAR.limits.speed_mps_max + 0.5)
    fast.start()
    assert "speed" in fast.send(1.0).limited_by


@pytest.mark.parametrize("bad", [(math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (0.0, -math.inf)])
def test_a_command_that_is_not_finite_brakes(make, bad: tuple[float, float]) -> None:
    rig = make(8.0)
    rig.start()
    rig.send(0.0, 0.05, ticks=4)
    answer = rig.vehicle.write(Command(rig.now_ns, *bad), rig.now_ns)
    assert "non_finite" in answer.limited_by
    assert answer.accel_mps2 == -COMFORT
    assert answer.steer_rad == pytest.approx(0.05)
    rig.tick(4)
    assert rig.speed < 7.9


@pytest.mark.parametrize(("shift_ms", "reason"), [(100, "future"), (-500, "stale"), (-40, "stamp_order")])
def test_a_command_with_an_impossible_stamp_is_not_taken(make, shift_ms: int, reason: str) -> None:
    rig = make(8.0)
    rig.start()
    rig.send(-0.5, ticks=20)
    rig.vehicle.write(Command(rig.now_ns, 0.0, -0.5), rig.now_ns)
    answer = rig.vehicle.write(Command(rig.now_ns + shift_ms * 1_000_000, 0.2, 3.0), rig.now_ns)
    assert reason in answer.limited_by
    assert (answer.accel_mps2, answer.steer_rad) == (-0.5, 0.0)


def test_silence_is_a_comfortable_stop_then_an_emergency_stop_with_held_steering(make) -> None:
    rig = make(15.0)
    rig.start()
    rig.send(0.0, 0.02, ticks=10)
    rig.tick(3)  # 0.2 s since the last command
    assert rig.vehicle.gate.driven.accel_mps2 == 0.0
    rig.tick()
    assert rig.vehicle.gate.driven == (pytest.approx(0.02), -COMFORT, ("command_stale",))
    rig.tick(6)
    assert rig.vehicle.gate.driven.accel_mps2 == -CAR.limits.brake_mps2_max
    rig.tick(60)
    assert abs(rig.speed) < 1e-3


def test_a_vehicle_that_never_got_a_command_does_not_move(make) -> None:
    rig = make()
    rig.start()
    rig.tick(40)
    assert abs(rig.speed) < 1e-6


def test_after_silence_ten_valid_commands_are_needed(make) -> None:
    rig = make(10.0)
    rig.start()
    rig.send(0.0, ticks=5)
    rig.tick(6)
    reasons = [rig.send(1.0).limited_by for _ in range(RECOVERY_COUNT + 2)]
    assert reasons[: RECOVERY_COUNT - 1] == [("recovering",)] * (RECOVERY_COUNT - 1)
    assert "recovering" not in reasons[RECOVERY_COUNT - 1]


def test_an_emergency_stop_latches_until_an_operator_resets_it_at_standstill(make) -> None:
    rig = make(10.0)
    rig.start()
    rig.send(0.0, ticks=5)
    rig.vehicle.estop("button")
    rig.vehicle.estop("second cause")
    assert rig.vehicle.gate.estop_reason == "button"
    assert not rig.vehicle.reset("operator")  # still moving
    answer = rig.send(2.0, ticks=3)
    assert answer.limited_by == ("estop",)
    assert answer.accel_mps2 == -CAR.limits.brake_mps2_max
    rig.send(2.0, ticks=50)
    assert abs(rig.speed) < 1e-3
    assert rig.vehicle.reset("operator")
    rig.tick(20)
    assert rig.vehicle.lifecycle is Lifecycle.INACTIVE
    rig.send(1.0, ticks=20)
    assert abs(rig.speed) < 1e-3  # a reset starts nothing, whatever is asked
    rig.vehicle.gate.activate()
    with pytest.raises(HardwareError, match="operator"):
        rig.vehicle.reset("")
    rig.send(1.0, ticks=40)
    assert rig.speed > 0.5


def test_a_reset_without_a_stop_changes_nothing(make) -> None:
    rig = make()
    rig.start()
    assert not rig.vehicle.reset("operator")


def test_a_failed_vehicle_brakes_to_standstill_and_holds(make) -> None:
    rig = make(10.0)
    rig.start()
    rig.send(0.0, ticks=5)
    rig.vehicle.gate.fail("steering motor")
    assert rig.vehicle.lifecycle is Lifecycle.ERROR
    assert rig.send(3.0, ticks=60).limited_by == ("steering motor",)
    assert abs(rig.speed) < 1e-3


def test_standstill_is_held_while_nothing_is_wanted(make) -> None:
    rig = make(3.0)
    rig.start()
    rig.stop()
    before = rig.vehicle.read(rig.now_ns)
    rig.send(0.0, 0.3, ticks=40)
    after = rig.vehicle.read(rig.now_ns)
    assert abs(after.speed_mps) < 1e-3
    assert math.hypot(after.x_m - before.x_m, after.y_m - before.y_m) < 6.0 * CAR.sensors.position_std_m


def test_faults_show_as_health_or_as_nothing(make) -> None:
    rig = make(5.0)
    rig.start()
    rig.send(0.0, ticks=4)
    rig.faults.localisation_frozen = True
    frozen = rig.vehicle.read(rig.now_ns)
    rig.send(0.0, ticks=4)
    assert rig.vehicle.read(rig.now_ns) == frozen
    rig.faults.localisation_frozen = False
    rig.send(0.0)
    assert rig.vehicle.read(rig.now_ns).stamp_ns == rig.now_ns
    rig.faults.position_bias_y_m = 2.0
    rig.send(0.0)
    biased = rig.vehicle.read(rig.now_ns)
    assert biased.y_m == pytest.approx(2.0, abs=0.3)
    assert biased.health is Health.OK  # nobody is told
    rig.faults.localisation_error = True
    rig.send(0.0)
    assert rig.vehicle.read(rig.now_ns).health is Health.ERROR


def test_others_are_perceived_unless_perception_is_lost(make) -> None:
    rig = make()
    rig.start()
    rig.tick(2)
    (track,) = rig.vehicle.perceive(rig.now_ns)
    assert track.x_m == pytest.approx(20.0, abs=0.6)
    assert (track.length_m, track.width_m) == (CAR.body.length_m, CAR.body.width_m)
    assert rig.vehicle.perceive(rig.now_ns)[0].track_id == track.track_id
    rig.faults.perception_lost = True
    assert rig.vehicle.perceive(rig.now_ns) == ()
    rig.tick()
    assert rig.vehicle.read(rig.now_ns).health is Health.DEACTIVATE
