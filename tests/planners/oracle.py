"""What the tests of the verifier judge it by: shapely polygons at densely sampled times, and scenes to try.

Nothing here is taken from the verifier: plans are evaluated through ``SegmentArrays``, paths through
``np.interp``, outlines as polygons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget, Footprint, MotionLimits, Path, ZoneMap

FOOTPRINT = Footprint(length_m=5.0, width_m=1.8, rear_m=1.05)
BUDGET = ErrorBudget(lateral_m=0.25, longitudinal_m=0.5)
LIMITS = MotionLimits(36.0, 2.6, 4.5, 3.0, 15.0)


def body(
    vehicle: str, footprint: Footprint = FOOTPRINT, budget: ErrorBudget = BUDGET, limits: MotionLimits = LIMITS
) -> Body:
    return Body(vehicle, footprint, limits, budget)


def commitment(
    vehicle: str,
    path_id: str,
    s0_m: float,
    v0_mps: float,
    segments: Sequence[tuple[int, int]],
    t0_ms: int = 0,
    **parts: Any,
) -> Commitment:
    """``parts`` may give footprint, budget and limits of the body."""
    plan = TimedPath(vehicle, path_id, t0_ms, round(s0_m * 1e3), round(v0_mps * 1e3), tuple(segments))
    return Commitment(body(vehicle, **parts), plan)


def path_of(
    path_id: str,
    start: tuple[float, float, float],
    parts: Sequence[tuple[float, float]],
    step_m: float = 0.25,
    limit_mps: float = 13.89,
) -> Path:
    """Arcs and lines, (length_m, kappa_1pm) each, from (x, y, yaw); closed forms, sampled every step."""
    count = int(sum(length for length, _ in parts) / step_m + 1e-9) + 1
    rows = np.empty((count, 4))
    for k in range(count):
        x, y, yaw = start
        rest, bend = k * step_m, 0.0
        for length, kappa in parts:
            d, bend = min(rest, length), kappa
            after = yaw + kappa * d
            if kappa == 0.0:
                x, y = x + d * math.cos(yaw), y + d * math.sin(yaw)
            else:
                x, y = x + (math.sin(after) - math.sin(yaw)) / kappa, y - (math.cos(after) - math.cos(yaw)) / kappa
            yaw, rest = after, rest - d
            if rest <= 0.0:
                break
        rows[k] = x, y, math.atan2(math.sin(yaw), math.cos(yaw)), bend
    columns = [np.ascontiguousarray(rows[:, k]) for k in range(4)]
    return Path(path_id, "from", "to", "straight", step_m, *columns, np.full(count, limit_mps), np.full(count, 1.75))


def map_of(*paths: Path) -> ZoneMap:
    return ZoneMap("test", "0" * 64, {path.path_id: path for path in paths}, {}, {})


def crossing() -> ZoneMap:
    """Four straight ways of 200 m across the origin and four right turns of 15 m radius, keeping right."""
    paths = []
    for k in range(4):
        yaw = k * math.pi / 2.0
        c, s = round(math.cos(yaw)), round(math.sin(yaw))
        start = (-100.0 * c + 1.75 * s, -100.0 * s - 1.75 * c, yaw)
        paths.append(path_of(f"straight{k}", start, [(200.0, 0.0)]))
        paths.append(path_of(f"right{k}", start, [(83.25, 0.0), (15.0 * math.pi / 2.0, -1.0 / 15.0), (83.25, 0.0)]))
    return map_of(*paths)


def poses(path: Path, s_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, yaw at ``s_m``; straight before the start and after the end."""
    at = np.arange(len(path.x_m)) * path.step_m
    yaw = np.unwrap(path.yaw_rad)
    over = s_m - np.clip(s_m, 0.0, at[-1])
    heading = np.interp(s_m, at, yaw)
    x, y = np.interp(s_m, at, path.x_m), np.interp(s_m, at, path.y_m)
    return x + over * np.cos(heading), y + over * np.sin(heading), heading


def motion(plan: TimedPath, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s and v at times of the fleet's clock; after a plan that ended at standstill it stands."""
    knots = plan.arrays()
    k = np.clip(np.searchsorted(knots.t_s, times_s, side="right") - 1, 0, len(knots.t_s) - 1)
    d = times_s - knots.t_s[k]
    v0 = np.where((k == len(knots.t_s) - 1) & (knots.v_mps[k] <= 0.02), 0.0, knots.v_mps[k])
    return knots.s_m[k] + v0 * d + 0.5 * knots.a_mps2[k] * d * d, np.maximum(0.0, v0 + knots.a_mps2[k] * d)


def outlines(
    zone_map: ZoneMap,
    c: Commitment,
    times_s: np.ndarray,
    *,
    along_m: float = 0.0,
    across_m: float = 0.0,
    clock_s: float = 0.0,
) -> np.ndarray:
    """Polygons [time] of the footprint with the error budget and the extra margins given."""
    s, v = motion(c.plan, times_s)
    x, y, yaw = poses(zone_map.paths[c.plan.path_id], s)
    f, b = c.body.footprint, c.body.budget
    front = f.front_m + b.longitudinal_m + along_m + clock_s * v
    rear = f.rear_m + b.longitudinal_m + along_m + clock_s * v
    side = f.width_m / 2.0 + b.lateral_m + across_m
    cos, sin = np.cos(yaw), np.sin(yaw)
    corners = np.stack(
        [
            np.stack([x + ex * cos - ey * sin, y + ex * sin + ey * cos], axis=-1)
            for ex, ey in ((front, side), (-rear, side), (-rear, -side), (front, -side))
        ],
        axis=1,
    )
    return shapely.polygons(corners)


def present(zone_map: ZoneMap, c: Commitment, times_s: np.ndarray) -> np.ndarray:
    """Whether the body is on the map: from its start until its rear bumper is beyond the path's end."""
    s, _ = motion(c.plan, times_s)
    length_m = zone_map.paths[c.plan.path_id].length_m
    return (times_s >= c.plan.t0_ms * 1e-3 - 1e-12) & (s - c.body.footprint.rear_m < length_m)


def gaps(zone_map: ZoneMap, a: Commitment, b: Commitment, times_s: np.ndarray, **margins: float) -> np.ndarray:
    """Distances [time], 0 where they overlap, inf where one of them is not on the map."""
    both = present(zone_map, a, times_s) & present(zone_map, b, times_s)
    out = np.full(len(times_s), np.inf)
    times = times_s[both]
    out[both] = shapely.distance(outlines(zone_map, a, times, **margins), outlines(zone_map, b, times, **margins))
    return out
