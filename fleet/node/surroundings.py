"""What a node makes of its sensors: who is ahead, which tracks speak, which are silent, who may come.

A *silent* track is a road user that no fresh message accounts for: an unconnected vehicle, a node with
a dead radio, or a liar about its place. It is an obstacle with a reachable set (rule P10).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from fleet.node.road import Road, Roads
from hardware.base import Track
from planners._guard import associate, corridor_leader, nearest_samples

Floats = npt.NDArray[np.float64]

STATIONARY_MPS = 0.4
"""Below this measured speed a road user counts as standing (three times the sensor's error)."""
ANNOUNCE_S = 11.0
"""A vehicle announces itself this long before the line at the legal limit."""
_SPEEDING = 1.2
"""A silent road user may exceed the limit by this factor."""
_SILENT_ACCEL_MPS2 = 3.5
"""ad-rss suggests this as other road users' largest acceleration."""
_HEADING_GATE_RAD = 0.6
_NEW_SHARE = 0.2
_TABLE = slice(Track._fields.index("x_m"), Track._fields.index("width_m") + 1)
_LANE_GATE_M = 1.6
"""A track this far from a centre line, with that heading, may be on the path."""


@dataclass(frozen=True, slots=True)
class Leader:
    """A road user in the corridor."""

    row: int
    gap_m: float
    speed_mps: float
    """Along the own path; negative: it comes towards."""
    crossing: bool
    silent: bool
    peer: str | None

    def after(self, since_s: float, moved_m: float) -> Leader:
        """The same ``since_s`` later, the vehicle having moved by ``moved_m``: everybody keeps the speed seen."""
        along = 0.0 if self.crossing else self.speed_mps
        gap = max(0.0, self.gap_m + along * since_s - moved_m)
        return Leader(self.row, gap, self.speed_mps, self.crossing, self.silent, self.peer)


@dataclass(frozen=True, slots=True)
class Placement:
    """A track on one of the map's paths: where its front and rear bumpers are."""

    path_id: str
    front_s_m: float
    rear_s_m: float


class Surroundings:
    """The latest tracks, as arrays, with who they belong to."""

    def __init__(self, roads: Roads, scale: float) -> None:
        self._roads = roads
        self._scale = scale
        self.stamp_ms = -1
        self.tracks: Sequence[Track] = ()
        self.table: Floats = np.empty((0, 6))
        self._leader_out: Floats = np.empty(0)
        self.peer_of: list[str | None] = []
        self._announced: list[tuple[float, float] | None] = []
        self._placements: dict[int, tuple[Placement, ...]] = {}
        self._standing: dict[int, tuple[float, float]] = {}

    def update(self, stamp_ms: int, tracks: Sequence[Track], heard: Iterable[tuple[str, tuple[float, float]]]) -> None:
        """Take new tracks; ``heard`` gives each fresh peer's announced centre position now."""
        self.stamp_ms, self.tracks = stamp_ms, tracks
        count = len(tracks)
        self._placements.clear()
        numbers = np.fromiter(chain.from_iterable(tracks), np.float64, count * len(Track._fields))
        self.table = numbers.reshape(count, len(Track._fields))[:, _TABLE].copy()
        self._steady(tracks)
        self._leader_out = np.empty(4 * count)
        peers = list(heard)
        self.peer_of, self._announced = [None] * count, [None] * count
        if count and peers:
            expected = np.array([place for _, place in peers], dtype=np.float64)
            match = np.empty(count, dtype=np.int64)
            associate(self.table, expected, 2.5 * self._scale, match)
            self.peer_of = [peers[k][0] if k >= 0 else None for k in match.tolist()]
            self._announced = [peers[k][1] if k >= 0 else None for k in match.tolist()]

    def strayed_m(self, row: int) -> float:
        """How far track ``row``, which speaks, is from where it says that it is."""
        announced = self._announced[row]
        return math.inf if announced is None else math.dist(announced, self.table[row, :2].tolist())

    def _steady(self, tracks: Sequence[Track]) -> None:
        """Put those that stand at the mean of late looks, since only the noise moves."""
        before, self._standing = self._standing, {}
        for row in np.flatnonzero(np.abs(self.table[:, 3]) <= STATIONARY_MPS * self._scale).tolist():
            track = tracks[row]
            x, y = before.get(track.track_id, (track.x_m, track.y_m))
            if math.hypot(track.x_m - x, track.y_m - y) > 1.0 * self._scale:
                x, y = track.x_m, track.y_m
            mean = (x + _NEW_SHARE * (track.x_m - x), y + _NEW_SHARE * (track.y_m - y))
            self._standing[track.track_id] = mean
            self.table[row, :2] = mean

    def silent_rows(self) -> list[int]:
        return [row for row, peer in enumerate(self.peer_of) if peer is None]

    def corridor(self, road: Road, front_s_m: float, half_width_m: float, horizon_m: float) -> list[Leader]:
        """The tracks in the corridor of the path ahead of the front bumper, nearest first."""
        if not len(self.table):
            return []
        path = road.path
        nearest = corridor_leader(
            path.x_m, path.y_m, path.yaw_rad, path.step_m, front_s_m, half_width_m, horizon_m,
            0.5 * self._scale, self.table, self._leader_out,
        )  # fmt: skip
        if nearest < 0:
            return []
        found = []
        for row, (gap, along, _, cosine) in enumerate(self._leader_out.reshape(-1, 4).tolist()):
            if gap < math.inf:
                peer = self.peer_of[row]
                found.append(Leader(row, gap, along, abs(cosine) < 0.8, peer is None, peer))
        found.sort(key=lambda one: (one.gap_m, one.row))
        return found

    def placements(self, row: int) -> tuple[Placement, ...]:
        """All paths of the map that track ``row`` may be on."""
        if row not in self._placements:
            self._place(sorted({row, *self.silent_rows()} - self._placements.keys()))
        return self._placements[row]

    def _place(self, rows: list[int]) -> None:
        """Find the placements of several rows at once: mostly all silent ones are asked for."""
        roads = self._roads
        samples = np.empty((len(rows), len(roads.names)), dtype=np.int64)
        nearest_samples(
            np.array(rows), self.table, roads.x_m, roads.y_m, roads.yaw_rad, roads.step_m, roads.offsets,
            _LANE_GATE_M * self._scale, _HEADING_GATE_RAD, samples,
        )  # fmt: skip
        found: dict[int, list[Placement]] = {row: [] for row in rows}
        on_row, on_path = np.nonzero(samples >= 0)
        for n, p in zip(on_row.tolist(), on_path.tolist(), strict=True):
            row, centre = rows[n], float(samples[n, p] * roads.step_m[p])
            half = 0.5 * float(self.table[row, 4])
            found[row].append(Placement(roads.names[p], centre + half, centre - half))
        self._placements.update((row, tuple(placements)) for row, placements in found.items())

    def stands_behind_a_line(self, row: int, zone_id: str, slack_m: float) -> bool:
        """Whether track ``row`` stands, on at least one of the ways that it may be on, behind the line.

        Ways that part in the zone have lines of their own: who waits at the last of them is beyond the others.
        """
        if float(self.table[row, 3]) >= STATIONARY_MPS * min(1.0, self._scale * 2.0):
            return False
        for place in self.placements(row):
            passage = self._roads.get(place.path_id).passage(zone_id, place.rear_s_m)
            if passage is not None and place.front_s_m <= passage.line_s_m + slack_m:
                return True
        return False

    def arrival_s(self, row: int, distance_m: float, limit_mps: float) -> float:
        """The earliest time in which track ``row`` can cover ``distance_m``; inf while it stands."""
        v = max(0.0, float(self.table[row, 3]))
        if v < STATIONARY_MPS * min(1.0, self._scale * 2.0):
            return math.inf
        if distance_m <= 0.0:
            return 0.0
        cap = max(v, _SPEEDING * limit_mps)
        accel = _SILENT_ACCEL_MPS2 * self._scale
        to_cap_s = (cap - v) / accel
        to_cap_m = v * to_cap_s + 0.5 * accel * to_cap_s**2
        if distance_m <= to_cap_m:
            return (math.sqrt(v * v + 2.0 * accel * distance_m) - v) / accel
        return to_cap_s + (distance_m - to_cap_m) / cap


def silent_threats(
    around: Surroundings, roads: Roads, zone_id: str, path_id: str, front_s_m: float
) -> list[tuple[int, float]]:
    """Silent tracks that may be in the zone while a vehicle on ``path_id`` passes it.

    Returns (row, earliest time in seconds at which the track is in the zone; 0 where it is there
    already). Tracks that stand behind their line wait (rule P8); tracks behind the vehicle in its own
    lane cannot get in its way; tracks ahead in its own lane are threats at once.
    """
    found = []
    for row in around.silent_rows():
        times = []
        own_lane_behind = False
        waits = around.stands_behind_a_line(row, zone_id, 0.5)
        for place in around.placements(row):
            passage = roads.get(place.path_id).passage(zone_id, place.rear_s_m)
            if passage is None:
                continue
            if place.path_id == path_id:
                if place.front_s_m < front_s_m:
                    own_lane_behind = True
                else:
                    times.append(0.0)
                continue
            if place.front_s_m > passage.line_s_m + 0.5:
                if not waits:
                    times.append(0.0)
                continue
            path = roads.zone_map.paths[place.path_id]
            limit = float(path.limit_mps[min(int(place.front_s_m / path.step_m), len(path.limit_mps) - 1)])
            room = passage.line_s_m - place.front_s_m
            if room <= ANNOUNCE_S * limit:  # farther off nobody has to have spoken yet
                times.append(around.arrival_s(row, room, limit))
        if times and not own_lane_behind and min(times) < math.inf:
            found.append((row, min(times)))
    return found
