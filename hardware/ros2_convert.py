"""ROS 2 messages to records and back: pure functions, with every check that a message from outside needs.

What is wrong with a message is a value: a reader returns a :class:`Refused` in place of the record. Nothing here
knows a clock, a node or a topic. No element of an array passes through a Python loop: envelopes are taken by their
buffer and tracks as one numpy record array.

Tracks travel as ``sensor_msgs/PointCloud2`` with one point per road user and the named fields of :data:`TRACK`.
It is the only standard message that is a self-describing table: markers and paths carry no speed,
``vision_msgs`` neither that nor a yaw for trackers, and none of them converts without a loop. RViz shows it as it is.
"""

from __future__ import annotations

import array
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Twist, TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import UInt8MultiArray

from hardware.base import Track

ENVELOPE_BYTES_MAX = 1_400
"""One datagram with its headers; a protocol message has at most 1,200."""
QUATERNION_ERROR_MAX = 1e-3
"""Of the norm from 1. Rounding to float32 stays below 1e-6; what is beyond this was never normalised."""
STD_M_MAX = 1e3
_NS = 1_000_000_000
_FLOAT32, _UINT32 = PointField.FLOAT32, PointField.UINT32
TRACK = np.dtype(
    [("track_id", "<u4")]
    + [(name, "<f4") for name in ("x", "y", "z", "yaw", "speed", "length", "width", "position_std")]
)
"""One road user: centre of the outline in W (m), yaw (rad), speed (m/s), outline (m), one standard deviation (m)."""
_TRACKS_MAX = 1_000


class Refused(NamedTuple):
    """Why a message is not taken: a short ``reason`` to count by, and ``text`` with the value for people."""

    reason: str
    text: str


class PoseFix(NamedTuple):
    """A pose of B in W."""

    stamp_ns: int
    x_m: float
    y_m: float
    yaw_rad: float
    position_std_m: float
    yaw_std_rad: float


class Odometer(NamedTuple):
    """What one nav_msgs/Odometry says: a pose in the odometry's frame, and motion along B's x."""

    pose: PoseFix
    speed_mps: float
    yaw_rate_radps: float


EPOCH_NS = 1_577_836_800 * _NS
"""The fleet's clock counts from 2020-01-01 UTC: what is signed has 40 bits for a time in ms, good until 2054."""
_SIMULATED_NS = 10**17
"""Times below this (three years) are those of a simulator's clock, which starts at 0, and are not shifted."""


def fleet_ns(ros_ns: int) -> int:
    """The fleet's clock at a ROS time."""
    return ros_ns - EPOCH_NS if ros_ns >= EPOCH_NS + _SIMULATED_NS else ros_ns


def to_ns(stamp: Time) -> int:
    """A message's stamp on the fleet's clock."""
    return fleet_ns(int(stamp.sec) * _NS + int(stamp.nanosec))


def to_stamp(time_ns: int) -> Time:
    """A time of the fleet's clock as a message's stamp."""
    ros_ns = time_ns + EPOCH_NS if time_ns >= _SIMULATED_NS else time_ns
    return Time(sec=ros_ns // _NS, nanosec=ros_ns % _NS)


# --- poses


def read_pose(header: Any, pose: Pose, covariance: Any, frame_id: str) -> PoseFix | Refused:
    """A pose with its 6 x 6 covariance (row-major; x, y, z, roll, pitch, yaw), which must come in ``frame_id``."""
    if header.frame_id != frame_id:
        return Refused("frame", f"frame_id {header.frame_id!r}; it must be {frame_id!r}")
    stamp_ns = to_ns(header.stamp)
    if stamp_ns <= 0:
        return Refused("stamp", f"stamp {stamp_ns} ns; messages must be stamped")
    p, q = pose.position, pose.orientation
    if not math.isfinite(p.x + p.y + q.x + q.y + q.z + q.w):
        return Refused("not_finite", f"pose ({p.x}, {p.y}) with quaternion ({q.x}, {q.y}, {q.z}, {q.w})")
    norm = math.sqrt(q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w)
    if abs(norm - 1.0) > QUATERNION_ERROR_MAX:
        return Refused("quaternion", f"norm {norm:.4f}; it must be 1 within {QUATERNION_ERROR_MAX}")
    var_x, var_y, var_yaw = float(covariance[0]), float(covariance[7]), float(covariance[35])
    if not (0.0 <= var_x <= STD_M_MAX**2 and 0.0 <= var_y <= STD_M_MAX**2 and 0.0 <= var_yaw <= 100.0):
        return Refused("covariance", f"variances {var_x:g} m2, {var_y:g} m2, {var_yaw:g} rad2; below 0 or no numbers")
    yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
    return PoseFix(stamp_ns, p.x, p.y, yaw, math.sqrt(max(var_x, var_y)), math.sqrt(var_yaw))


def read_odometry(message: Odometry, frame_id: str, child_frame_id: str) -> Odometer | Refused:
    if message.child_frame_id != child_frame_id:
        return Refused("frame", f"child_frame_id {message.child_frame_id!r}; it must be {child_frame_id!r}")
    fix = read_pose(message.header, message.pose.pose, message.pose.covariance, frame_id)
    if isinstance(fix, Refused):
        return fix
    speed, turn = message.twist.twist.linear.x, message.twist.twist.angular.z
    if not math.isfinite(speed + turn):
        return Refused("not_finite", f"speed {speed} m/s, yaw rate {turn} rad/s")
    return Odometer(fix, speed, turn)


def write_odometry(odometer: Odometer, frame_id: str, child_frame_id: str) -> Odometry:
    message, fix = Odometry(), odometer.pose
    message.header.stamp, message.header.frame_id = to_stamp(fix.stamp_ns), frame_id
    message.child_frame_id = child_frame_id
    set_pose(message.pose.pose, fix.x_m, fix.y_m, fix.yaw_rad)
    covariance = message.pose.covariance
    covariance[0] = covariance[7] = fix.position_std_m**2
    covariance[35] = fix.yaw_std_rad**2
    message.twist.twist.linear.x, message.twist.twist.angular.z = odometer.speed_mps, odometer.yaw_rate_radps
    return message


def set_pose(pose: Pose, x_m: float, y_m: float, yaw_rad: float) -> None:
    """Fill a pose in the plane."""
    pose.position.x, pose.position.y = x_m, y_m
    pose.orientation.z, pose.orientation.w = math.sin(0.5 * yaw_rad), math.cos(0.5 * yaw_rad)


# --- commands


class Drive(NamedTuple):
    """What goes to a vehicle: the speed to reach, and the steering angle of the equivalent bicycle."""

    speed_mps: float
    steer_rad: float
    accel_mps2: float


def to_drive(steer_rad: float, accel_mps2: float, speed_mps: float, lead_s: float) -> Drive:
    """Acceleration as the speed that it leads to within ``lead_s``; never backwards."""
    return Drive(max(0.0, speed_mps + accel_mps2 * lead_s), steer_rad, accel_mps2)


def write_twist(drive: Drive, stamp_ns: int, base_frame: str, wheelbase_m: float) -> Twist:
    message = Twist()
    message.linear.x = drive.speed_mps
    message.angular.z = drive.speed_mps * math.tan(drive.steer_rad) / wheelbase_m
    return message


def write_twist_stamped(drive: Drive, stamp_ns: int, base_frame: str, wheelbase_m: float) -> TwistStamped:
    message = TwistStamped(twist=write_twist(drive, stamp_ns, base_frame, wheelbase_m))
    message.header.stamp, message.header.frame_id = to_stamp(stamp_ns), base_frame
    return message


def write_ackermann(drive: Drive, stamp_ns: int, base_frame: str, wheelbase_m: float) -> Any:
    from ackermann_msgs.msg import AckermannDriveStamped

    message = AckermannDriveStamped()
    message.header.stamp, message.header.frame_id = to_stamp(stamp_ns), base_frame
    message.drive.speed, message.drive.steering_angle = drive.speed_mps, drive.steer_rad
    message.drive.acceleration = drive.accel_mps2
    return message


def from_twist(twist: Twist, speed_mps: float, steer_rad: float, lead_s: float, wheelbase_m: float) -> Drive:
    """What a vehicle's speed loop of time constant ``lead_s`` makes of a twist; steering is held at standstill.

    A wanted speed of zero means a stop: then at least 1 m/s2 of braking, which holds a standing vehicle.
    """
    wanted = twist.linear.x
    if wanted > 0.01:
        steer_rad = math.atan(twist.angular.z * wheelbase_m / wanted)
    accel = (wanted - speed_mps) / lead_s
    return Drive(wanted, steer_rad, min(accel, -1.0) if wanted <= 0.0 else accel)


# --- tracks and envelopes


def _fields() -> list[PointField]:
    kinds = {"f": _FLOAT32, "u": _UINT32}
    return [
        PointField(name=name, offset=int(offset), datatype=kinds[kind.kind], count=1)
        for name, (kind, offset, *_) in (TRACK.fields or {}).items()
    ]


_FIELDS = _fields()
_LAYOUT = tuple((field.name, field.offset, field.datatype, field.count) for field in _FIELDS)


def write_tracks(tracks: Sequence[Track], stamp_ns: int, frame_id: str) -> PointCloud2:
    rows = [
        (one.track_id, one.x_m, one.y_m, 0.0, one.yaw_rad, one.speed_mps, one.length_m, one.width_m, one.position_std_m)
        for one in tracks
    ]
    message = PointCloud2(height=1, width=len(rows), fields=_FIELDS, point_step=TRACK.itemsize, is_dense=True)
    message.header.stamp, message.header.frame_id = to_stamp(stamp_ns), frame_id
    message.row_step = len(rows) * TRACK.itemsize
    message.data = array.array("B", np.array(rows, dtype=TRACK).tobytes())
    return message


def read_tracks(message: PointCloud2, frame_id: str) -> tuple[Track, ...] | Refused:
    if message.header.frame_id != frame_id:
        return Refused("frame", f"frame_id {message.header.frame_id!r}; it must be {frame_id!r}")
    layout = tuple((field.name, field.offset, field.datatype, field.count) for field in message.fields)
    if layout != _LAYOUT or message.point_step != TRACK.itemsize or message.is_bigendian:
        return Refused("layout", f"fields {[name for name, *_ in layout]}; they must be {list(TRACK.names or ())}")
    count, stamp_ns = message.width * message.height, to_ns(message.header.stamp)
    if count > _TRACKS_MAX or count * TRACK.itemsize != len(message.data):
        size = f"{count} tracks in {len(message.data)} bytes"
        return Refused("layout", f"{size}; at most {_TRACKS_MAX}, of {TRACK.itemsize} bytes each")
    if stamp_ns <= 0:
        return Refused("stamp", f"stamp {stamp_ns} ns; messages must be stamped")
    table = np.frombuffer(message.data, dtype=TRACK, count=count)
    columns = [table[name].tolist() for name in TRACK.names or ()]
    numbers = table.view(np.uint8).reshape(count, TRACK.itemsize)[:, 4:].copy().view("<f4")
    if not np.isfinite(numbers).all() or (count and (table["length"].min() <= 0.0 or table["width"].min() <= 0.0)):
        return Refused("not_finite", "a track has an outline or a place that is no number")
    return tuple(
        Track(track_id, stamp_ns, x, y, yaw, speed, length, width, std)
        for track_id, x, y, _, yaw, speed, length, width, std in zip(*columns, strict=True)
    )


def write_envelope(raw: bytes) -> UInt8MultiArray:
    """A signed datagram; its bytes are copied once, as a whole."""
    return UInt8MultiArray(data=array.array("B", raw))


def read_envelope(message: UInt8MultiArray) -> bytes | Refused:
    if not 0 < len(message.data) <= ENVELOPE_BYTES_MAX:
        return Refused("size", f"an envelope of {len(message.data)} bytes; 1 to {ENVELOPE_BYTES_MAX}")
    raw: bytes = message.data.tobytes()
    return raw
