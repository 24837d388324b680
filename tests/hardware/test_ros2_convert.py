"""Messages and records: every value survives the way there and back, and what is wrong is refused with its reason."""

from __future__ import annotations

import array
import math

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'accord-fleet[ros]'")

from hardware.base import Command, Health, Lifecycle, Track
from hardware.ros2_clock import STEP_NS, WatchedClock
from hardware.ros2_convert import (
    EPOCH_NS,
    Odometer,
    PoseFix,
    Refused,
    from_twist,
    read_envelope,
    read_odometry,
    read_tracks,
    to_drive,
    to_ns,
    to_stamp,
    write_envelope,
    write_odometry,
    write_tracks,
    write_twist,
)  # fmt: skip
from hardware.ros2_vehicle import FUTURE_NS, OLD_NS, PREDICT_NS, Ros2Vehicle
from hardware.vehicle import load_vehicle

CAR = load_vehicle("car")
NOW = 218_000_000_000 * 1_000_000
MS = 1_000_000


def odometry(stamp_ns: int = NOW, *, x: float = 1.0, yaw: float = 0.5, speed: float = 3.0, turn: float = 0.1):
    fix = PoseFix(stamp_ns, x, 2.0, yaw, 0.02, 0.003)
    return write_odometry(Odometer(fix, speed, turn), "map", "base_link")


def vehicle() -> tuple[Ros2Vehicle, list, list]:
    sent, stops = [], []
    made = Ros2Vehicle(CAR, lambda drive, now_ns: sent.append((drive, now_ns)), stops.append)
    return made, sent, stops


def tracks(stamp_ns: int = NOW, frame: str = "map"):
    return write_tracks([Track(7, stamp_ns, 1.5, -2.5, 0.25, 4.0, 5.0, 1.75, 0.125)], stamp_ns, frame)


@pytest.mark.parametrize("time_ns", [0, 5_000_000_001, NOW, NOW + 999_999_999])
def test_a_time_survives_as_a_stamp(time_ns: int) -> None:
    assert to_ns(to_stamp(time_ns)) == time_ns


def test_the_fleets_clock_fits_into_what_is_signed() -> None:
    in_2050_ns = 2_524_608_000 * 10**9
    assert (in_2050_ns - EPOCH_NS) // MS < 2**40


def test_odometry_survives() -> None:
    found = read_odometry(odometry(), "map", "base_link")
    assert isinstance(found, Odometer)
    assert found.pose == pytest.approx(PoseFix(NOW, 1.0, 2.0, 0.5, 0.02, 0.003))
    assert (found.speed_mps, found.yaw_rate_radps) == (3.0, 0.1)


def spoil(message, what: str):
    pose = message.pose.pose
    if what == "frame":
        message.header.frame_id = "odom"
    elif what == "child":
        message.child_frame_id = "base_footprint"
    elif what == "nan":
        pose.position.x = math.nan
    elif what == "quaternion":
        pose.orientation.w *= 1.1
    elif what == "zero_quaternion":
        pose.orientation.z = pose.orientation.w = 0.0
    elif what == "stamp":
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    elif what == "covariance":
        message.pose.covariance[7] = -1.0
    elif what == "speed":
        message.twist.twist.linear.x = math.inf
    return message


BAD = {
    "frame": "frame", "child": "frame", "nan": "not_finite", "quaternion": "quaternion",
    "zero_quaternion": "quaternion", "stamp": "stamp", "covariance": "covariance", "speed": "not_finite",
}  # fmt: skip


@pytest.mark.parametrize(("what", "reason"), BAD.items())
def test_bad_odometry_is_refused_counted_and_never_used(what: str, reason: str) -> None:
    found = read_odometry(spoil(odometry(), what), "map", "base_link")
    assert isinstance(found, Refused)
    assert found.reason == reason
    hardware, _, _ = vehicle()
    hardware.on_tracks(tracks(), NOW)
    assert hardware.on_odometry(odometry(), NOW)
    before = hardware.read(NOW)
    assert not hardware.on_odometry(spoil(odometry(NOW + 20 * MS, x=50.0), what), NOW + 20 * MS)
    after = hardware.read(NOW + 20 * MS)
    assert math.hypot(after.x_m - before.x_m, after.y_m - before.y_m) < 0.1
    assert hardware.refused == {f"odom/{reason}": 1}
    assert hardware.last_refusal.startswith("odom: ")


@pytest.mark.parametrize(
    ("stamp_ns", "reason"), [(NOW + FUTURE_NS + MS, "future"), (NOW - OLD_NS - MS, "old"), (NOW, "order")]
)
def test_odometry_out_of_time_is_refused(stamp_ns: int, reason: str) -> None:
    hardware, _, _ = vehicle()
    assert hardware.on_odometry(odometry(NOW), NOW)
    assert not hardware.on_odometry(odometry(stamp_ns), NOW)
    assert hardware.refused == {f"odom/{reason}": 1}


def test_an_estimate_is_carried_on_for_a_while_and_then_shows_its_age() -> None:
    hardware, _, _ = vehicle()
    hardware.on_odometry(odometry(yaw=0.0, turn=0.0), NOW)
    late = NOW + PREDICT_NS
    state = hardware.read(late)
    assert state.x_m == pytest.approx(1.0 + 3.0 * PREDICT_NS * 1e-9)
    assert state.stamp_ns == late
    old = hardware.read(late + MS)
    assert (old.x_m, old.stamp_ns) == (1.0, NOW)


def test_without_tracks_the_vehicle_is_blind_and_says_so() -> None:
    hardware, _, _ = vehicle()
    hardware.on_odometry(odometry(), NOW)
    assert hardware.read(NOW).health is Health.DEACTIVATE
    hardware.on_tracks(tracks(), NOW)
    assert hardware.read(NOW).health is Health.OK
    assert len(hardware.perceive(NOW)) == 1
    assert hardware.perceive(NOW + 600 * MS) == ()


def test_tracks_survive() -> None:
    assert read_tracks(tracks(), "map") == (Track(7, NOW, 1.5, -2.5, 0.25, 4.0, 5.0, 1.75, 0.125),)
    assert read_tracks(write_tracks([], NOW, "map"), "map") == ()


def test_bad_tracks_are_refused() -> None:
    cut, other, none = tracks(), tracks(), tracks()
    cut.data = cut.data[:-1]
    other.fields = other.fields[:-1]
    none.data[8:12] = array.array("B", b"\x00\x00\xc0\x7f")  # NaN
    reasons = [found.reason for found in (read_tracks(one, "map") for one in (cut, other, none, tracks(frame="odom")))]
    assert reasons == ["layout", "layout", "not_finite", "frame"]


@pytest.mark.parametrize("size", [1, 500, 1_400])
def test_an_envelope_survives_byte_by_byte(size: int) -> None:
    raw = bytes(k % 251 for k in range(size))
    assert read_envelope(write_envelope(raw)) == raw


def test_an_envelope_that_is_no_datagram_is_refused() -> None:
    assert isinstance(read_envelope(write_envelope(b"")), Refused)
    assert isinstance(read_envelope(write_envelope(bytes(1_401))), Refused)


@pytest.mark.parametrize("accel", [-2.0, 0.0, 1.5])
@pytest.mark.parametrize("steer", [-0.3, 0.0, 0.2])
def test_a_command_survives_as_a_twist(accel: float, steer: float) -> None:
    drive = to_drive(steer, accel, 5.0, 0.2)
    found = from_twist(write_twist(drive, NOW, "base_link", 2.8), 5.0, 0.0, 0.2, 2.8)
    assert found.accel_mps2 == pytest.approx(accel)
    assert found.steer_rad == pytest.approx(steer)


def test_a_wanted_speed_of_zero_brakes_and_keeps_the_steering() -> None:
    drive = to_drive(0.3, -3.0, 0.1, 0.2)
    found = from_twist(write_twist(drive, NOW, "base_link", 2.8), 0.0, 0.25, 0.2, 2.8)
    assert found.accel_mps2 <= -1.0
    assert found.steer_rad == 0.25


def test_a_command_that_stays_away_is_a_stop_on_the_topic() -> None:
    hardware, sent, _ = vehicle()
    hardware.on_odometry(odometry(speed=5.0), NOW)
    hardware.read(NOW)
    hardware.gate.configure()
    hardware.gate.activate()
    assert hardware.lifecycle is Lifecycle.ACTIVE
    hardware.write(Command(NOW, 0.0, 1.0), NOW)
    assert sent[-1][0].speed_mps > 5.0
    hardware.drive(NOW + 250 * MS)
    assert sent[-1][0].speed_mps < 5.0


def test_a_stop_goes_out_and_a_reset_only_at_standstill() -> None:
    hardware, _, stops = vehicle()
    hardware.on_odometry(odometry(speed=5.0), NOW)
    hardware.read(NOW)
    hardware.estop("test")
    assert not hardware.reset("anna")
    hardware.on_odometry(odometry(NOW + 20 * MS, speed=0.0), NOW + 20 * MS)
    hardware.read(NOW + 20 * MS)
    assert hardware.reset("anna")
    assert stops == [True, False]


def test_a_step_of_the_clock_makes_its_error_unknown_until_an_operator_trusts_it() -> None:
    ros, steady = [NOW], [0]
    clock = WatchedClock(lambda: ros[0], lambda: steady[0], lambda: 0.001, simulated=False)
    for step in (20 * MS, 20 * MS + STEP_NS // 2):
        ros[0] += step
        steady[0] += 20 * MS
        assert clock.error_s(clock.now_ns()) == 0.001
    before = clock.now_ns()
    ros[0] -= 3_000 * MS
    assert clock.now_ns() == before, "time does not go back"
    assert clock.error_s(before) is None
    clock.trust()
    assert clock.error_s(clock.now_ns()) == 0.001
