"""From lanelets to a drivable path: one smooth centre line per chain, entered at a vehicle's real pose.

The centre line depends only on the lanelets around a place, not on who drives: vehicles that follow
the same lanelets get the same curve there. A vehicle that was recorded beside it starts at its own pose
and is led onto it by a quintic in the lateral offset, so that tracking begins without error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError
from planners.paths import build_path, pose_at, project
from planners.zone_map import Path
from sim.maps.lanes import LaneGraph

Floats = npt.NDArray[np.float64]

SMOOTH_M = (1.5, 2.0, 2.75, 3.75, 5.0)
"""Smoothing lengths at full scale, tried in order until the vehicle can steer the curve."""
BEYOND_M = 300.0
"""A route ends at an exit of the map, or this far beyond what is known of it."""
_LEAD_M = 30.0
"""Lane before the vehicle that takes part in the smoothing, so that it does not depend on the start."""
_SETTLE_MPS2 = 1.0
"""Lateral acceleration that leading a vehicle onto its centre line may add."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A chain of lanelets; the vehicle leaves it for the next leg beside ``(leave_x_m, leave_y_m)``."""

    chain: tuple[int, ...]
    leave_x_m: float = math.nan
    leave_y_m: float = math.nan


@dataclass(frozen=True, slots=True)
class Start:
    """Pose of the rear axle in W and speed with which a vehicle begins; ``back_m`` is the path behind it."""

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    back_m: float


@dataclass(frozen=True, slots=True)
class Route:
    path: Path
    start_s_m: float
    """The rear axle's place on the path."""


def route_path(
    graph: LaneGraph, path_id: str, legs: tuple[Leg, ...], start: Start, *, scale: float, kappa_1pm_max: float
) -> Route:
    """The path of one vehicle from ``start`` through ``legs`` and on to an exit of the map.

    Parameters
    ----------
    legs : tuple of Leg
        From :func:`sim.maps.matching.match`; the last is continued along the straightest successors.
    scale : float
        Of the map; lengths of this module are for full scale and shrink with it.
    kappa_1pm_max : float
        What the vehicle can steer.

    Raises
    ------
    PlanError
        No smoothing makes the way drivable; the text names place, curvature and limit.
    """
    origin, destination = str(legs[0].chain[0]), ""
    reason: PlanError | None = None
    for smooth_m in SMOOTH_M:
        try:
            curve, destination = _curve(graph, path_id, legs, start, smooth_m * scale, scale)
            route = _enter(curve, path_id, origin, destination, start, scale, kappa_1pm_max)
            _check_curvature(route, kappa_1pm_max)
            return route
        except PlanError as error:
            reason = reason or error
    raise reason or PlanError(f"path {path_id}: no smoothing to try")


def _check_curvature(route: Route, kappa_1pm_max: float) -> None:
    kappa = np.abs(route.path.kappa_1pm)
    worst = int(np.argmax(kappa))
    if kappa[worst] > kappa_1pm_max:
        x, y = route.path.x_m[worst], route.path.y_m[worst]
        raise PlanError(
            f"path {route.path.path_id}: curvature {kappa[worst]:.3f} 1/m at ({x:.1f}, {y:.1f});"
            f" the vehicle steers at most {kappa_1pm_max:.3f} 1/m"
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """A centre line with attributes: float64 [point, 2], [point], [point]."""

    xy: Floats
    limit: Floats
    half: Floats

    def cut(self, first: int, last: int | None) -> _Line:
        return _Line(self.xy[first:last], self.limit[first:last], self.half[first:last])

    def then(self, other: _Line) -> _Line:
        return _Line(
            *(
                np.concatenate(pair)
                for pair in ((self.xy, other.xy), (self.limit, other.limit), (self.half, other.half))
            )
        )


def chain_line(graph: LaneGraph, chain: tuple[int, ...], spacing_m: float) -> tuple[Floats, Floats, Floats]:
    """Points (float64 [n, 2]), speed limit and half width (float64 [n]) along a chain, at most ``spacing_m`` apart."""
    points, limits, halves = [], [], []
    for key in chain:
        lanelet = graph.lanelets[key]
        center = lanelet.center
        station = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(center, axis=0).T))))
        at = np.linspace(0.0, station[-1], max(1, math.ceil(station[-1] / spacing_m)) + 1)
        at = np.unique(np.concatenate((at, station)))
        points.append(np.column_stack([np.interp(at, station, center[:, axis]) for axis in (0, 1)]))
        limits.append(np.full(len(at), lanelet.limit_mps))
        halves.append(np.maximum(np.interp(at, station, lanelet.half_width_m), 0.1 * spacing_m))
    return np.concatenate(points), np.concatenate(limits), np.concatenate(halves)


def _curve(
    graph: LaneGraph, path_id: str, legs: tuple[Leg, ...], start: Start, smooth_m: float, scale: float
) -> tuple[Path, str]:
    """The smoothed centre line from well behind the start to the exit, and the id of the last lanelet."""
    lead = _LEAD_M * scale + start.back_m
    first = graph.backward(legs[0].chain, behind_m=lead)
    onward = graph.onward(legs[-1].chain, beyond_m=BEYOND_M * scale)
    spacing = 0.5 * scale
    if len(legs) == 1:
        before = first[: len(first) - len(legs[0].chain)]
        line = _Line(*chain_line(graph, before + onward, spacing))
    else:
        line = _Line(*chain_line(graph, first, spacing))
        for k in range(1, len(legs)):
            chain = onward if k == len(legs) - 1 else legs[k].chain
            chain = graph.backward(chain, behind_m=lead)
            line = _change(line, _Line(*chain_line(graph, chain, spacing)), legs[k - 1], start.speed_mps, scale)
    ahead = line.xy[0] - lead * _direction(line.xy)
    line = _Line(ahead[None], line.limit[:1], line.half[:1]).then(line)
    curve = build_path(path_id, "", "", line.xy, line.limit, line.half, step_m=0.25 * scale, smooth_m=smooth_m)
    return curve, str(onward[-1])


def _direction(xy: Floats) -> Floats:
    chord = xy[min(4, len(xy) - 1)] - xy[0]
    return chord / np.hypot(*chord)


def _change(before: _Line, after: _Line, leg: Leg, speed_mps: float, scale: float) -> _Line:
    """Leave ``before`` for ``after`` around the place where the record changes lane, along a cubic."""
    length = min(max(2.5 * speed_mps, 15.0 * scale), 45.0 * scale)
    where = np.array([leg.leave_x_m, leg.leave_y_m])
    a = _station_before(before.xy, where, 0.5 * length)
    b = _station_after(after.xy, where, 0.5 * length)
    head, tail = before.cut(0, a + 1), after.cut(b, None)
    gap = float(np.hypot(*(tail.xy[0] - head.xy[-1])))
    t_head, t_tail = _tangent(before.xy, a) * gap, _tangent(after.xy, b) * gap
    count = max(4, math.ceil(gap / (0.5 * scale)))
    u = np.linspace(0.0, 1.0, count + 1)[1:-1, None]
    cubic = (
        head.xy[-1] * (1 + 2 * u) * (1 - u) ** 2
        + t_head * u * (1 - u) ** 2
        + tail.xy[0] * u * u * (3 - 2 * u)
        + t_tail * u * u * (u - 1)
    )
    limit, half = min(head.limit[-1], tail.limit[0]), min(head.half[-1], tail.half[0])
    middle = _Line(cubic, np.full(len(cubic), limit), np.full(len(cubic), half))
    return head.then(middle).then(tail)


def _tangent(xy: Floats, k: int) -> Floats:
    chord = xy[min(k + 2, len(xy) - 1)] - xy[max(k - 2, 0)]
    return chord / max(float(np.hypot(*chord)), 1e-9)


def _nearest(xy: Floats, where: Floats) -> tuple[int, Floats]:
    station = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))))
    return int(np.argmin(np.hypot(*(xy - where).T))), station


def _station_before(xy: Floats, where: Floats, distance: float) -> int:
    k, station = _nearest(xy, where)
    return int(np.searchsorted(station, station[k] - distance, side="right")) - 1 if station[k] > distance else 0


def _station_after(xy: Floats, where: Floats, distance: float) -> int:
    k, station = _nearest(xy, where)
    return min(int(np.searchsorted(station, station[k] + distance)), len(xy) - 2)


def _enter(
    curve: Path, path_id: str, origin: str, destination: str, start: Start, scale: float, kappa_1pm_max: float
) -> Route:
    """Cut ``curve`` behind the start and lead the vehicle from its own pose onto it."""
    step = curve.step_m
    s0, e0 = project(curve, start.x_m, start.y_m, near_s=_guess(curve, start))
    s0 = max(s0, 0.0)
    _, _, yaw = pose_at(curve, s0)
    k = min(round(s0 / step), len(curve.x_m) - 1)
    change = max(-1.0, min(1.0, math.remainder(start.yaw_rad - yaw, math.tau)))
    slope = math.tan(change) * (1.0 - float(curve.kappa_1pm[k]) * e0)
    count = math.ceil(start.back_m / step)
    ahead = math.floor((curve.length_m - s0) / step)
    if ahead < 8:
        raise PlanError(f"path {path_id}: only {curve.length_m - s0:.1f} m of lane lie ahead of the vehicle")
    budget = min(_SETTLE_MPS2 * scale / max(start.speed_mps, 1e-3) ** 2, 0.35 * kappa_1pm_max)
    settle = max(8.0 * scale, math.sqrt(5.77 * abs(e0) / budget), 3.94 * abs(slope) / budget)
    # A heading error held over this length would carry the vehicle half a metre to the side.
    settle = max(min(settle, 40.0 * scale, 2.5 * scale / max(abs(slope), 1e-3)), 8.0 * scale)
    settle = min(settle, 0.9 * ahead * step)
    run = step * np.arange(-count, ahead + 1, dtype=np.float64)
    offset = _settling(run, e0, slope, settle)
    at = np.clip(s0 + run, 0.0, curve.length_m)
    grid = np.arange(len(curve.x_m)) * step
    heading = np.interp(at, grid, np.unwrap(curve.yaw_rad))
    base = np.array([pose_at(curve, float(s))[:2] for s in s0 + run])
    points = base + offset[:, None] * np.column_stack((-np.sin(heading), np.cos(heading)))
    limit = curve.limit_mps[np.clip(np.round(at / step).astype(int), 0, len(grid) - 1)]
    half = np.interp(at, grid, curve.half_width_m)
    path = build_path(path_id, origin, destination, points, limit, half, step_m=step)
    place, _ = project(path, start.x_m, start.y_m, near_s=count * step)
    return Route(path, place)


def _guess(curve: Path, start: Start) -> float:
    """The nearest point of the curve that runs in the vehicle's direction."""
    distance = np.hypot(curve.x_m - start.x_m, curve.y_m - start.y_m)
    against = np.cos(curve.yaw_rad - start.yaw_rad) < 0.3
    return int(np.argmin(distance + 1e6 * against)) * curve.step_m


def _settling(run: Floats, e0: float, slope: float, length: float) -> Floats:
    """Offset that leaves e0 with ``slope`` at run = 0 and has gone, with two derivatives, at ``length``."""
    u = np.clip(run / length, 0.0, 1.0)
    keep = 1.0 - u**3 * (10.0 - 15.0 * u + 6.0 * u * u)
    lean = u - 6.0 * u**3 + 8.0 * u**4 - 3.0 * u**5
    straight = np.minimum(run, 0.0) * slope
    return e0 * keep + slope * length * lean + straight
