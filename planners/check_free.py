"""Verifier of free-space plans: are these timed poses drivable, and does no footprint ever meet anything?

It judges the poses that are written down, knows nothing of how they were found, and has its own geometry
(NumPy only). Between two states a vehicle drives one arc. The gap between two bodies cannot shrink faster
than K, the sum of the speeds of their fastest corners: over an interval [t0, t1] it stays above
(gap(t0) + gap(t1) - K (t1 - t0)) / 2. Where that does not prove a gap, the interval is halved, down to
``_SHORTEST_S``; what is not proven then is a finding. So it is sound between states as well as at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHORTEST_S = 2e-4
_SAME = 1e-6
"""Metres, radians and shares that count as equal: what double precision leaves after a long path, times a thousand."""


@dataclass(frozen=True, slots=True)
class Track:
    """What one vehicle is to do, and what it is."""

    name: str
    states: Floats
    """[state, 4]: t_s from 0, x_m, y_m, yaw_rad of the reference point in W; after the last it stands."""
    start: tuple[float, float, float]
    goal: tuple[float, float, float]
    front_m: float
    rear_m: float
    width_m: float
    speed_mps_max: float
    turn_radius_m_min: float


def check_free_space(
    tracks: Sequence[Track],
    *,
    discs: Floats,
    polygons: Sequence[Floats],
    border_m: tuple[float, float, float, float],
    step_s_max: float,
) -> list[str]:
    """Everything that is wrong with ``tracks``, one line each; empty if the plan is proven.

    Parameters
    ----------
    discs : float64 [disc, 3]
        x_m, y_m, radius_m.
    polygons : float64 [corner, 2] each
    border_m : x low, y low, x high, y high
    step_s_max : float
        Longest time from one state to the next.
    """
    findings = [fault for track in tracks for fault in _motion_faults(track, step_s_max)]
    if findings or not tracks:
        return findings
    fleet = Poses(tracks)
    for n, track in enumerate(tracks):
        findings += _border_faults(track, fleet, n, border_m)
        inside = [k for k, polygon in enumerate(polygons) if _contains(polygon, track.states[0, 1:3])]
        findings += [f"{track.name}: starts inside polygon {k}" for k in inside]
    shapes = [(np.array([[x, y]]), radius, f"disc {k}") for k, (x, y, radius) in enumerate(discs)]
    for k, polygon in enumerate(polygons):
        ring = np.vstack((polygon, polygon[:1]))
        shapes += [(ring[e : e + 2], 0.0, f"polygon {k}") for e in range(len(polygon))]
    return findings + _obstacle_faults(fleet, shapes) + _pair_faults(fleet)


def _motion_faults(track: Track, step_s_max: float) -> list[str]:
    """Faults of one track by itself: times, ends, speed, curvature, sideways motion."""
    rows, name = track.states, track.name
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows) or not np.isfinite(rows).all():
        return [f"{name}: states are not finite rows of t, x, y, yaw"]
    dt = np.diff(rows[:, 0])
    if rows[0, 0] != 0.0 or (dt <= 0.0).any() or (dt > step_s_max + 1e-9).any():
        return [f"{name}: times do not rise from 0 in steps of at most {step_s_max:g} s"]
    faults = []
    for what, pose, row in (("start", track.start, rows[0]), ("goal", track.goal, rows[-1])):
        off = np.hypot(row[1] - pose[0], row[2] - pose[1]) + abs(_turn(row[3] - pose[2]))
        if off > _SAME:
            faults.append(f"{name}: its {'first' if what == 'start' else 'last'} state is {off:.2g} from its {what}")
    along, across, turn = _arcs(rows)
    speed = np.abs(along) / dt
    kappa_max = 1.0 / track.turn_radius_m_min
    for bad, text in (
        (np.abs(across) > _SAME, "moves sideways"),
        (speed > track.speed_mps_max * (1.0 + _SAME), f"is faster than {track.speed_mps_max:g} m/s"),
        (
            np.abs(turn) > np.abs(along) * kappa_max * (1.0 + _SAME) + 1e-9,
            f"turns tighter than {track.turn_radius_m_min:g} m",
        ),
    ):
        if bad.any():
            faults.append(f"{name}: {text} at t = {rows[int(np.argmax(bad)), 0]:.2f} s")
    return faults


def _arcs(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Per interval: signed arc length, how far the chord leaves the arc's, and the change of yaw."""
    turn = _turn(np.diff(rows[:, 3]))
    middle = rows[:-1, 3] + 0.5 * turn
    dx, dy = np.diff(rows[:, 1]), np.diff(rows[:, 2])
    chord = dx * np.cos(middle) + dy * np.sin(middle)
    across = dy * np.cos(middle) - dx * np.sin(middle)
    return chord / np.sinc(turn / (2.0 * np.pi)), across, turn


def _turn(angle: Floats | float) -> Floats:
    out: Floats = np.asarray(angle) - 2.0 * np.pi * np.round(np.asarray(angle) / (2.0 * np.pi))
    return out


class Poses:
    """All tracks in flat arrays, so that poses of many vehicles at many times are one call."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.tracks = tracks
        self.end_s = np.array([track.states[-1, 0] for track in tracks])
        self._span = float(self.end_s.max()) + 1.0
        self._keys = np.concatenate([track.states[:, 0] + n * self._span for n, track in enumerate(tracks)])
        self._rows = np.concatenate([track.states for track in tracks])
        parts = [_arcs(track.states) for track in tracks]
        stand = np.zeros(1)
        self._along = np.concatenate([np.concatenate((along, stand)) for along, _, _ in parts])
        self._turns = np.concatenate([np.concatenate((turn, stand)) for _, _, turn in parts])
        self._dt = np.concatenate([np.concatenate((np.diff(track.states[:, 0]), stand + 1.0)) for track in tracks])
        self.front, self.rear, self.half, self.speed, radius = (
            np.array([getattr(track, field) for track in tracks])
            for field in ("front_m", "rear_m", "width_m", "speed_mps_max", "turn_radius_m_min")
        )
        self.half = 0.5 * self.half
        self.reach = np.hypot(np.maximum(self.front, self.rear), self.half)
        self.rate = self.speed * (1.0 + self.reach / radius)
        """No point of a body is faster."""

    def poses(self, who: Ints, t_s: Floats) -> tuple[Floats, Floats, Floats]:
        """x, y, yaw of vehicles ``who`` at ``t_s``, element by element, on the arcs between states."""
        t_s = np.minimum(t_s, self.end_s[who])
        k = np.searchsorted(self._keys, t_s + who * self._span + 1e-12, side="right") - 1
        share = np.clip((t_s - self._rows[k, 0]) / self._dt[k], 0.0, 1.0)
        turn = share * self._turns[k]
        chord = share * self._along[k] * np.sinc(turn / (2.0 * np.pi))
        middle = self._rows[k, 3] + 0.5 * turn
        return (
            self._rows[k, 1] + chord * np.cos(middle),
            self._rows[k, 2] + chord * np.sin(middle),
            self._rows[k, 3] + turn,
        )

    def outlines(self, who: Ints, t_s: Floats) -> Floats:
        """Corners of the footprints, [element, 4, 2], counter-clockwise."""
        x, y, yaw = self.poses(who, t_s)
        c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
        ahead = np.stack((self.front[who], -self.rear[who], -self.rear[who], self.front[who]), axis=1)
        left = self.half[who][:, None] * np.array([1.0, 1.0, -1.0, -1.0])
        return np.stack((x[:, None] + ahead * c - left * s, y[:, None] + ahead * s + left * c), axis=2)


def _border_faults(track: Track, fleet: Poses, n: int, border_m: tuple[float, float, float, float]) -> list[str]:
    """A corner stays within (turn x arc + turn^2 x reach) / 8 of the straight line between two states."""
    along, _, turn = _arcs(track.states)
    stray = np.abs(turn) * (np.abs(along) + np.abs(turn) * fleet.reach[n]) / 8.0
    corners = fleet.outlines(np.full(len(track.states), n), track.states[:, 0]).reshape(-1, 8)
    low, high = np.tile(border_m[:2], 4), np.tile(border_m[2:], 4)
    room = np.minimum(corners - low, high - corners).min(axis=1)
    bad = np.concatenate(([room[0] < -_SAME], np.minimum(room[:-1], room[1:]) - stray < -_SAME))
    return [f"{track.name}: leaves the site at t = {track.states[int(np.argmax(bad)), 0]:.2f} s"] if bad.any() else []


def _obstacle_faults(fleet: Poses, shapes: Sequence[tuple[Floats, float, str]]) -> list[str]:
    findings = []
    for n, track in enumerate(fleet.tracks):
        t = track.states[:, 0]
        if len(t) < 2:
            t = np.array([0.0, 0.1])
        x, y, _ = fleet.poses(np.full(len(t), n), t)
        for shape, radius, what in shapes:
            centre = shape.mean(axis=0)
            far = fleet.reach[n] + radius + float(np.hypot(*(shape - centre).T).max()) + fleet.rate[n] * 0.1
            near = np.flatnonzero(np.hypot(x - centre[0], y - centre[1])[:-1] <= far)
            if len(near):
                who = np.full(len(near), n)

                def gap(
                    index: Ints, at: Floats, who: Ints = who, shape: Floats = shape, radius: float = radius
                ) -> Floats:
                    outline = fleet.outlines(who[index], at)
                    return gaps(outline, np.broadcast_to(shape, (len(at), *shape.shape))) - radius

                when = _unproven(t[near], t[near + 1], np.full(len(near), fleet.rate[n]), gap)
                if when is not None:
                    findings.append(f"{track.name}: meets {what} at t = {when[1]:.3f} s (gap {when[2]:.4f} m)")
    return findings


def _pair_faults(fleet: Poses) -> list[str]:
    count = len(fleet.tracks)
    grid = np.arange(0.0, float(fleet.end_s.max()) + 0.2, 0.1)
    place = np.array([fleet.poses(np.full(len(grid), n), grid)[:2] for n in range(count)])
    first, second, when = [], [], []
    for a in range(count):
        for b in range(a + 1, count):
            far = fleet.reach[a] + fleet.reach[b] + 0.1 * (fleet.speed[a] + fleet.speed[b])
            near = np.flatnonzero(np.hypot(*(place[a] - place[b]))[:-1] <= far)
            first.append(np.full(len(near), a))
            second.append(np.full(len(near), b))
            when.append(near)
    if not when or not sum(len(part) for part in when):
        return []
    one, two, k = np.concatenate(first), np.concatenate(second), np.concatenate(when)

    def gap(index: Ints, at: Floats) -> Floats:
        return gaps(fleet.outlines(one[index], at), fleet.outlines(two[index], at))

    found = _unproven(grid[k], grid[k + 1], fleet.rate[one] + fleet.rate[two], gap)
    if found is None:
        return []
    index, at, left = found
    names = fleet.tracks[int(one[index])].name, fleet.tracks[int(two[index])].name
    return [f"{names[0]} and {names[1]} meet at t = {at:.3f} s (gap {left:.4f} m)"]


def _unproven(t0: Floats, t1: Floats, rate: Floats, gap) -> tuple[int, float, float] | None:  # type: ignore[no-untyped-def]
    """The first element whose gap is not proven over its interval: (element, time, gap found there)."""
    index = np.arange(len(t0))
    g0, g1 = gap(index, t0), gap(index, t1)
    while len(index):
        touch = np.flatnonzero(np.minimum(g0, g1) <= 0.0)
        if len(touch):
            n = int(touch[np.argmin(t0[touch])])
            return int(index[n]), float(t0[n] if g0[n] <= 0.0 else t1[n]), float(min(g0[n], g1[n]))
        open_ = g0 + g1 <= rate[index] * (t1 - t0)
        index, t0, t1, g0, g1 = index[open_], t0[open_], t1[open_], g0[open_], g1[open_]
        if len(index) and float((t1 - t0).max()) < _SHORTEST_S:
            return int(index[0]), float(t0[0]), float(min(g0[0], g1[0]))
        middle = 0.5 * (t0 + t1)
        gm = gap(index, middle)
        index, t0, t1 = np.tile(index, 2), np.concatenate((t0, middle)), np.concatenate((middle, t1))
        g0, g1 = np.concatenate((g0, gm)), np.concatenate((gm, g1))
    return None


def gaps(a: Floats, b: Floats) -> Floats:
    """Distances between convex outlines a [n, p, 2] and b [n, q, 2] (q = 1: points, 2: segments); 0 if they touch."""
    apart = np.zeros(len(a), dtype=bool)
    for outline in (a, b):
        if outline.shape[1] < 2:
            continue
        edge = np.roll(outline, -1, axis=1) - outline
        for normal in np.moveaxis(np.stack((-edge[..., 1], edge[..., 0]), axis=2), 1, 0):
            pa, pb = np.einsum("npk,nk->np", a, normal), np.einsum("npk,nk->np", b, normal)
            apart |= (pa.max(axis=1) < pb.min(axis=1)) | (pb.max(axis=1) < pa.min(axis=1))
    out: Floats = np.where(apart, np.minimum(_to_edges(a, b), _to_edges(b, a)), 0.0)
    return out


def _to_edges(points: Floats, outline: Floats) -> Floats:
    """Smallest distance from any of ``points`` to any edge of ``outline``."""
    edge = np.roll(outline, -1, axis=1) - outline
    length2 = np.maximum((edge * edge).sum(axis=2), 1e-30)
    offset = points[:, :, None] - outline[:, None]
    share = np.clip((offset * edge[:, None]).sum(axis=3) / length2[:, None], 0.0, 1.0)
    rest = offset - share[..., None] * edge[:, None]
    out: Floats = np.sqrt((rest * rest).sum(axis=3)).min(axis=(1, 2))
    return out


def _contains(polygon: Floats, point: Floats) -> bool:
    """Whether the ring winds around the point."""
    ray = polygon - point
    after = np.roll(ray, -1, axis=0)
    angle = np.arctan2(ray[:, 0] * after[:, 1] - ray[:, 1] * after[:, 0], (ray * after).sum(axis=1))
    return abs(float(angle.sum())) > np.pi
