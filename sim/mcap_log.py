"""``run.mcap``: the run as ROS 2 messages (CDR, profile ``ros2``), for Foxglove and ``ros2 bag play``.

| topic | type | rate |
| --- | --- | --- |
| ``/clock`` | rosgraph_msgs/Clock | 10 Hz |
| ``/<vehicle>/odom`` | nav_msgs/Odometry | 10 Hz; pose of the rear axle, as ROS's ``base_link`` |
| ``/<vehicle>/committed_path`` | nav_msgs/Path | on each commitment |
| ``/fleet/map`` | visualization_msgs/MarkerArray | once, at the start |
| ``/fleet/markers`` | visualization_msgs/MarkerArray | 5 Hz: boxes coloured by phase, with labels |
| ``/fleet/diagnostics`` | diagnostic_msgs/DiagnosticArray | 1 Hz: counters, phase of each vehicle |
| ``/fleet/envelopes`` | std_msgs/UInt8MultiArray | every signed datagram as sent |

Times are simulated. Rates are thinned here, so the caller simply passes every instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from planners.zone_map import ZoneMap
from sim import _cdr
from sim.mcap_schemas import MESSAGES, definition
from sim.phases import rgba_of

Floats = npt.NDArray[np.float64]

FILE_NAME = "run.mcap"
_ODOMETRY_NS = 100_000_000
_MARKERS_NS = 200_000_000
_DIAGNOSTICS_NS = 1_000_000_000
_SLACK_NS = 1_000_000
"""A caller's clock may be a hair early because of rounding."""
_PATH_POINTS_MAX = 200
_MAP_RGBA = (0.55, 0.58, 0.62, 1.0)
_ZONE_RGBA = (0.95, 0.65, 0.2, 1.0)


class _Every:
    """True once per period of simulated time."""

    __slots__ = ("_next_ns", "_period_ns")

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._next_ns = -1

    def due(self, time_ns: int) -> bool:
        if time_ns + _SLACK_NS < self._next_ns:
            return False
        self._next_ns = time_ns - (time_ns + _SLACK_NS) % self._period_ns + _SLACK_NS + self._period_ns
        return True


class McapLog:
    """Writer; ``truth`` costs about 15 us per vehicle and 10 Hz instant."""

    def __init__(self, folder: Path, zone_map: ZoneMap) -> None:
        from mcap.writer import CompressionType, Writer

        self._file = open(folder / FILE_NAME, "wb")  # noqa: SIM115 - closed by close()
        self._writer: Any = Writer(self._file, chunk_size=1 << 20, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library="accord-fleet")
        self._schemas = {name: self._writer.register_schema(name, "ros2msg", definition(name)) for name in MESSAGES}
        self._sequence: dict[int, int] = {}
        self._clock = self._channel("/clock", "rosgraph_msgs/msg/Clock")
        self._markers = self._channel("/fleet/markers", "visualization_msgs/msg/MarkerArray")
        self._diagnostics = self._channel("/fleet/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")
        self._envelopes = self._channel("/fleet/envelopes", "std_msgs/msg/UInt8MultiArray")
        self._odometry: dict[str, tuple[int, _cdr.OdometryTemplate, float]] = {}
        self._paths: dict[str, int] = {}
        self._shape: dict[str, tuple[int, tuple[float, float, float]]] = {}
        self._boxes: tuple[tuple[str, ...], _cdr.BoxesTemplate] | None = None
        self._odometry_due, self._markers_due = _Every(_ODOMETRY_NS), _Every(_MARKERS_NS)
        self._diagnostics_due = _Every(_DIAGNOSTICS_NS)
        self._put(self._channel("/fleet/map", "visualization_msgs/msg/MarkerArray"), 0, _map_markers(zone_map))

    def vehicle(self, vehicle_id: str, size: tuple[float, float, float], wheelbase_m: float) -> None:
        """Announce a vehicle; ``size``: length_m, width_m and a height for drawing."""
        name = ros_name(vehicle_id)
        channel = self._channel(f"/{name}/odom", "nav_msgs/msg/Odometry")
        self._odometry[vehicle_id] = (channel, _cdr.OdometryTemplate("map", f"{name}/base_link"), wheelbase_m)
        self._shape[vehicle_id] = (len(self._shape), size)

    def truth(
        self, time_ns: int, vehicle_ids: Sequence[str], state: Floats, centres: Floats, phases: Sequence[str]
    ) -> None:
        """``state``: float64 [n, 6] of the rear axle; ``centres``: float64 [n, 2] of the footprints."""
        if self._odometry_due.due(time_ns):
            stamp = _cdr.stamp_of(time_ns)
            self._put(self._clock, time_ns, _cdr.clock(time_ns))
            yaw_rate = np.tan(state[:, 5]) * state[:, 3]
            for vehicle_id, row, turn in zip(vehicle_ids, state.tolist(), yaw_rate.tolist(), strict=True):
                channel, template, wheelbase_m = self._odometry[vehicle_id]
                self._put(
                    channel, time_ns, template.encode(stamp, (row[0], row[1], row[2]), row[3], turn / wheelbase_m)
                )
        if vehicle_ids and self._markers_due.due(time_ns):
            ids = tuple(vehicle_ids)
            if self._boxes is None or self._boxes[0] != ids:
                shapes = [self._shape[vehicle_id] for vehicle_id in ids]
                names = [(vehicle_id, number) for vehicle_id, (number, _) in zip(ids, shapes, strict=True)]
                self._boxes = ids, _cdr.BoxesTemplate(names, [size for _, size in shapes], 2 * _MARKERS_NS // 1_000_000)
            placed = np.column_stack([centres, state[:, 2]]).tolist()
            raw = self._boxes[1].encode(_cdr.stamp_of(time_ns), placed, [rgba_of(phase) for phase in phases])
            self._put(self._markers, time_ns, raw)

    def diagnostics(
        self, time_ns: int, vehicle_ids: Sequence[str], phases: Sequence[str], counters: Mapping[str, int]
    ) -> None:
        """Counters of the run and each vehicle's phase, at most once a second."""
        if not self._diagnostics_due.due(time_ns):
            return
        values = [(name, str(counters[name])) for name in sorted(counters)]
        statuses: list[tuple[int, str, str, Sequence[tuple[str, str]]]] = [
            (0, "fleet", f"{len(vehicle_ids)} vehicles", values)
        ]
        statuses += [(0, vehicle_id, phase, ()) for vehicle_id, phase in zip(vehicle_ids, phases, strict=True)]
        self._put(self._diagnostics, time_ns, _cdr.diagnostics(time_ns, statuses))

    def plan(self, time_ns: int, vehicle_id: str, xy: Floats) -> None:
        """The committed path, float64 [n, 2] in W, thinned to 200 points."""
        channel = self._paths.get(vehicle_id)
        if channel is None:
            channel = self._channel(f"/{ros_name(vehicle_id)}/committed_path", "nav_msgs/msg/Path")
            self._paths[vehicle_id] = channel
        if len(xy) > _PATH_POINTS_MAX:
            xy = xy[np.linspace(0, len(xy) - 1, _PATH_POINTS_MAX).round().astype(np.int64)]
        self._put(channel, time_ns, _cdr.path(time_ns, xy))

    def envelope(self, time_ns: int, raw: bytes) -> None:
        self._put(self._envelopes, time_ns, _cdr.octets(raw))

    def close(self) -> None:
        self._writer.finish()
        self._file.close()

    def _channel(self, topic: str, message: str) -> int:
        return int(self._writer.register_channel(topic, "cdr", self._schemas[message]))

    def _put(self, channel: int, time_ns: int, raw: bytes) -> None:
        sequence = self._sequence.get(channel, 0)
        self._sequence[channel] = sequence + 1
        self._writer.add_message(channel, time_ns, raw, time_ns, sequence)


def ros_name(vehicle_id: str) -> str:
    """A vehicle id as a ROS name: letters, digits and underscores, not starting with a digit."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", vehicle_id)
    return name if name and not name[0].isdigit() else f"v{name}"


def _map_markers(zone_map: ZoneMap) -> bytes:
    rings = [ring for zone_id in sorted(zone_map.zones) for ring in zone_map.zones[zone_id].outline]
    writer = _cdr.MarkerWriter(len(zone_map.lanes) + len(rings) + len(zone_map.obstacles), 0)
    for number, lane in enumerate(zone_map.lanes):
        writer.marker(4, ("lanes", number), (0.1, 0.0, 0.0), _MAP_RGBA, points=_closed(lane))
    for number, ring in enumerate(rings):
        writer.marker(4, ("zones", number), (0.2, 0.0, 0.0), _ZONE_RGBA, points=_closed(ring))
    for number, outline in enumerate(zone_map.obstacles):
        writer.marker(4, ("obstacles", number), (0.3, 0.0, 0.0), _MAP_RGBA, points=_closed(outline))
    return bytes(writer.cdr.out)


def _closed(ring: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    points = [(float(x), float(y)) for x, y in ring]
    return points + points[:1] if points and points[0] != points[-1] else points
