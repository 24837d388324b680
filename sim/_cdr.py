"""CDR (little endian, XCDR1) for the few ROS 2 messages that a run writes.

Two forms. :class:`CdrWriter` is the plain one: it aligns each value as the standard says (relative to
the end of the four-byte encapsulation header) and can write anything. A :class:`Template` is a message
laid out once by it, whose numbers are then patched in place: odometry of 100 vehicles at 10 Hz is a
thousand messages per simulated second, and a patch costs about a microsecond.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HEADER = b"\x00\x01\x00\x00"
_STAMP = struct.Struct("<iI")
_POSE = struct.Struct("<7d")
_TWIST = struct.Struct("<6d")
_RGBA = struct.Struct("<4f")
_GRID = 8
"""Values are aligned to their size, at most this many bytes: a piece looks the same at the same offset in this grid."""

Rgba = tuple[float, float, float, float]


def stamp_of(time_ns: int) -> tuple[int, int]:
    """builtin_interfaces/Time of a time in nanoseconds."""
    return time_ns // 1_000_000_000, time_ns % 1_000_000_000


class CdrWriter:
    """Writes values one after the other; every method returns the offset at which its value stands."""

    def __init__(self) -> None:
        self.out = bytearray(HEADER)

    def _align(self, size: int) -> int:
        self.out += b"\0" * (-(len(self.out) - 4) % size)
        return len(self.out)

    def _put(self, code: str, size: int, values: Sequence[float]) -> int:
        at = self._align(size)
        self.out += struct.pack(f"<{len(values)}{code}", *values)
        return at

    def int32(self, *values: int) -> int:
        return self._put("i", 4, values)

    def uint32(self, *values: int) -> int:
        return self._put("I", 4, values)

    def float32(self, *values: float) -> int:
        return self._put("f", 4, values)

    def float64(self, *values: float) -> int:
        return self._put("d", 8, values)

    def byte(self, value: int) -> int:
        self.out.append(value)
        return len(self.out) - 1

    def text(self, value: str) -> int:
        raw = value.encode() + b"\0"
        at = self.uint32(len(raw))
        self.out += raw
        return at

    def raw(self, value: bytes) -> int:
        """A sequence of octets with its length in front."""
        at = self.uint32(len(value))
        self.out += value
        return at

    def header(self, time_ns: int, frame_id: str) -> int:
        """std_msgs/Header; the offset is that of the stamp."""
        sec, nanosec = stamp_of(time_ns)
        at = self.int32(sec)
        self.uint32(nanosec)
        self.text(frame_id)
        return at

    def pose(self, x_m: float, y_m: float, z_m: float, yaw_rad: float) -> int:
        return self.float64(x_m, y_m, z_m, 0.0, 0.0, math.sin(yaw_rad / 2), math.cos(yaw_rad / 2))


class OdometryTemplate:
    """nav_msgs/Odometry of one vehicle: pose of frame B (rear axle) in the world, twist in B."""

    __slots__ = ("_out", "_pose_at", "_twist_at")

    def __init__(self, frame_id: str, child_frame_id: str) -> None:
        cdr = CdrWriter()
        cdr.header(0, frame_id)
        cdr.text(child_frame_id)
        self._pose_at = cdr.pose(0.0, 0.0, 0.0, 0.0)
        cdr.float64(*([0.0] * 36))
        self._twist_at = cdr.float64(*([0.0] * 6))
        cdr.float64(*([0.0] * 36))
        self._out = cdr.out

    def encode(
        self, stamp: tuple[int, int], pose: tuple[float, float, float], speed_mps: float, yaw_rate: float
    ) -> bytes:
        """``pose``: x_m, y_m, yaw_rad."""
        out, half = self._out, pose[2] * 0.5
        _STAMP.pack_into(out, 4, *stamp)
        _POSE.pack_into(out, self._pose_at, pose[0], pose[1], 0.0, 0.0, 0.0, math.sin(half), math.cos(half))
        _TWIST.pack_into(out, self._twist_at, speed_mps, 0.0, 0.0, 0.0, 0.0, yaw_rate)
        return bytes(out)


def clock(time_ns: int) -> bytes:
    """rosgraph_msgs/Clock."""
    return HEADER + _STAMP.pack(*stamp_of(time_ns))


def octets(raw: bytes) -> bytes:
    """std_msgs/UInt8MultiArray without dimensions."""
    return HEADER + struct.pack("<III", 0, 0, len(raw)) + raw


_POSE_STAMPED = np.dtype([("sec", "<i4"), ("nanosec", "<u4"), ("size", "<u4"), ("frame", "S4"), ("pose", "<f8", 7)])


def path(time_ns: int, xy: Floats) -> bytes:
    """nav_msgs/Path in frame ``map`` along float64 [n, 2]; headings follow the polyline.

    With a frame id of three letters each PoseStamped but the first takes 72 bytes, so that they are
    one NumPy record array; the first stands four bytes earlier than the grid and is padded after.
    """
    n = len(xy)
    cdr = CdrWriter()
    cdr.header(time_ns, "map")
    cdr.uint32(n)
    if n == 0:
        return bytes(cdr.out)
    step = np.diff(xy, axis=0) if n > 1 else np.array([[1.0, 0.0]])
    half = 0.5 * np.arctan2(step[:, 1], step[:, 0])
    half = np.append(half, half[-1])[:n]
    poses = np.zeros(n, dtype=_POSE_STAMPED)
    poses["sec"], poses["nanosec"] = stamp_of(time_ns)
    poses["size"], poses["frame"] = 4, b"map"
    poses["pose"][:, :2] = xy
    poses["pose"][:, 5], poses["pose"][:, 6] = np.sin(half), np.cos(half)
    raw = poses.tobytes()
    return bytes(cdr.out) + raw[:16] + b"\0" * 4 + raw[16:]


class MarkerWriter:
    """visualization_msgs/MarkerArray. ``begin`` once, then one call per marker, then ``bytes``."""

    def __init__(self, count: int, time_ns: int) -> None:
        self.cdr = CdrWriter()
        self.cdr.uint32(count)
        self._time_ns = time_ns
        self.patches: list[tuple[int, int, int]] = []
        """For each marker the offsets of its stamp, pose and colour."""

    def marker(
        self,
        kind: int,
        name: tuple[str, int],
        scale: tuple[float, float, float],
        rgba: Rgba,
        *,
        lifetime_ms: int = 0,
        points: Sequence[tuple[float, float]] = (),
        text: str = "",
    ) -> None:
        """``kind``: 1 cube, 4 line strip, 9 text; ``name``: namespace and id; points in the world, z = 0."""
        cdr = self.cdr
        stamp_at = cdr.header(self._time_ns, "map")
        cdr.text(name[0])
        cdr.int32(name[1], kind, 0)
        pose_at = cdr.pose(0.0, 0.0, 0.0, 0.0)
        cdr.float64(*scale)
        rgba_at = cdr.float32(*rgba)
        cdr.int32(lifetime_ms // 1_000)
        cdr.uint32(lifetime_ms % 1_000 * 1_000_000)
        cdr.byte(0)  # frame_locked
        cdr.uint32(len(points))
        for x_m, y_m in points:
            cdr.float64(x_m, y_m, 0.0)
        cdr.uint32(0)  # colors
        cdr.text("")  # texture_resource
        cdr.header(0, "")  # texture: an empty CompressedImage
        cdr.text("")
        cdr.raw(b"")
        cdr.uint32(0)  # uv_coordinates
        cdr.text(text)
        cdr.text("")  # mesh_resource
        cdr.text("")  # mesh_file
        cdr.raw(b"")
        cdr.byte(0)  # mesh_use_embedded_materials
        self.patches.append((stamp_at, pose_at, rgba_at))


@lru_cache(maxsize=4096)
def _box_and_label(
    name: tuple[str, int], size: tuple[float, float, float], lifetime_ms: int, offset: int
) -> tuple[bytes, list[tuple[int, int, int]]]:
    """Two markers as bytes that begin ``offset`` behind a multiple of eight, and their patches counted from there."""
    writer = MarkerWriter(0, 0)
    out = writer.cdr.out
    out += bytes((offset - len(out) + len(HEADER)) % _GRID)
    first = len(out)
    vehicle_id, number = name
    writer.marker(1, ("vehicles", number), size, (0.0, 0.0, 0.0, 1.0), lifetime_ms=lifetime_ms)
    letter = (0.0, 0.0, 0.6 * size[1])
    writer.marker(9, ("labels", number), letter, (1.0, 1.0, 1.0, 1.0), lifetime_ms=lifetime_ms, text=vehicle_id)
    return bytes(out[first:]), [(a - first, b - first, c - first) for a, b, c in writer.patches]


class BoxesTemplate:
    """A MarkerArray with a box and a label per vehicle, laid out once per set of vehicles."""

    __slots__ = ("_out", "_patches", "height_m")

    def __init__(
        self, names: Sequence[tuple[str, int]], sizes: Sequence[tuple[float, float, float]], lifetime_ms: int
    ) -> None:
        """``names``: vehicle id and number; ``sizes``: length_m, width_m, height_m."""
        out = self._out = MarkerWriter(2 * len(names), 0).cdr.out
        self._patches: list[tuple[int, ...]] = []
        for name, size in zip(names, sizes, strict=True):
            piece, patches = _box_and_label(name, size, lifetime_ms, (len(out) - len(HEADER)) % _GRID)
            self._patches += [tuple(len(out) + at for at in offsets) for offsets in patches]
            out += piece
        self.height_m = [size[2] for size in sizes]

    def encode(self, stamp: tuple[int, int], centres: Sequence[Sequence[float]], colours: Sequence[Rgba]) -> bytes:
        """``centres``: x_m, y_m, yaw_rad of the footprint's centre per vehicle."""
        out = self._out
        for k, (x_m, y_m, yaw_rad) in enumerate(centres):
            height = self.height_m[k]
            stamp_at, pose_at, rgba_at = self._patches[2 * k]
            _STAMP.pack_into(out, stamp_at, *stamp)
            half = yaw_rad * 0.5
            _POSE.pack_into(out, pose_at, x_m, y_m, 0.5 * height, 0.0, 0.0, math.sin(half), math.cos(half))
            _RGBA.pack_into(out, rgba_at, *colours[k])
            stamp_at, pose_at, _ = self._patches[2 * k + 1]
            _STAMP.pack_into(out, stamp_at, *stamp)
            _POSE.pack_into(out, pose_at, x_m, y_m, 1.5 * height, 0.0, 0.0, 0.0, 1.0)
        return bytes(out)


def diagnostics(time_ns: int, statuses: Sequence[tuple[int, str, str, Sequence[tuple[str, str]]]]) -> bytes:
    """diagnostic_msgs/DiagnosticArray of (level, name, message, values)."""
    cdr = CdrWriter()
    cdr.header(time_ns, "")
    cdr.uint32(len(statuses))
    for level, name, message, values in statuses:
        cdr.byte(level)
        cdr.text(name)
        cdr.text(message)
        cdr.text(name)
        cdr.uint32(len(values))
        for key, value in values:
            cdr.text(key)
            cdr.text(value)
    return bytes(cdr.out)
