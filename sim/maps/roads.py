"""What the built-in maps are made of: lanes on straight arms, turns between them, names and outlines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fleet.errors import ConfigError
from planners.paths import build_path
from planners.zone_map import Floats, Path
from sim.maps.curves import bend

CORNER_LANES = 2.2
"""From the outer edge of the outer lane to where turns begin: 7.7 m."""
_EASE_LANES = 5.0 / 3.5
"""Steering from straight to a turn takes 5 m: 0.6 rad/s at most while braking for a right turn at 4.5 m/s2."""
TURN = {"E": 0, "N": 1, "W": 2, "S": 3}
"""Where an arm lies, in quarter turns from east."""
TURNS = {"left": 1, "straight": 0, "right": -1}

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class MapSource:
    """What a map file or built-in name stands for, before zones are found."""

    name: str
    paths: tuple[Path, ...]
    lanes: tuple[Polygon, ...]
    """Lane outlines in W, for drawing."""
    origins: dict[str, dict[str, str]]
    """approach -> movement -> path_id."""


@dataclass(frozen=True, slots=True)
class Roads:
    """Measures that all roads of a map share."""

    arm_m: float
    lane_width_m: float
    speed_limit_mps: float
    step_m: float

    def path(self, origin: str, movement: str, destination: str, points: Floats) -> Path:
        return build_path(
            f"{origin}_{movement}",
            origin,
            destination,
            points,
            self.speed_limit_mps,
            self.lane_width_m / 2.0,
            step_m=self.step_m,
        )

    @property
    def spacing_m(self) -> float:
        """Of points on bends: well below the step, so that the path's cubic keeps their curvature."""
        return 0.4 * self.step_m


def roads_of(arm_m: float, lane_width_m: float, speed_limit_mps: float, step_m: float | None) -> Roads:
    """Measures of a map; raises :class:`ConfigError` for a step too coarse for its turns."""
    step = lane_width_m / 14.0 if step_m is None else step_m
    if step > lane_width_m / 7.0:
        raise ConfigError(f"step_m is {step:g}; a seventh of the lane width, {lane_width_m / 7.0:g}, is the most")
    return Roads(float(arm_m), float(lane_width_m), float(speed_limit_mps), float(step))


def crossing(roads: Roads, turn: int, lane_m: float, box_m: float, ends_m: tuple[float, float]) -> Floats:
    """From the western arm, ``lane_m`` right of its middle, into the like lane of the arm that ``turn`` leads to.

    ``ends_m``: how far before and behind the middle of the junction the way begins and ends.
    """
    start = np.array([-ends_m[0], -lane_m])
    if turn == 0:
        return np.array([start, [ends_m[1], -lane_m]])
    tangent = box_m + turn * lane_m
    curve = bend(turn * math.pi / 2.0, tangent, _EASE_LANES * roads.lane_width_m, roads.spacing_m)
    end = np.array([turn * lane_m, turn * ends_m[1]])
    return np.vstack([start, curve + (-box_m, -lane_m), end])


def placed(points: Floats, angle_rad: float, at: Floats) -> Floats:
    """Turned about the origin, then moved; quarter turns are exact, so that opposite arms are mirror images."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    if abs(cos * sin) < 1e-9:
        cos, sin = float(round(cos)), float(round(sin))
    turned: Floats = points @ np.array([[cos, sin], [-sin, cos]]) + at
    return turned


def arm_of(quarters: int) -> str:
    """The arm that lies so many quarter turns from east."""
    return next(name for name, turn in TURN.items() if turn == quarters % 4)


def source(name: str, paths: tuple[Path, ...]) -> MapSource:
    """A map of these paths, by approach and movement as their names say."""
    origins: dict[str, dict[str, str]] = {}
    for path in paths:
        origins.setdefault(path.origin, {})[path.path_id.split("_", 1)[1]] = path.path_id
    return MapSource(name, paths, tuple(_corridor(path) for path in paths), origins)


def _corridor(path: Path) -> Polygon:
    """The lane along a path as an outline, with points only where it bends."""
    keep = np.flatnonzero(np.abs(path.kappa_1pm) > 1e-6)[::4]
    keep = np.unique(np.concatenate([[0], keep, [len(path.x_m) - 1]]))
    left = np.column_stack([-np.sin(path.yaw_rad), np.cos(path.yaw_rad)]) * path.half_width_m[:, None]
    at = np.column_stack([path.x_m, path.y_m])
    ring = np.vstack([(at + left)[keep], (at - left)[keep][::-1]])
    return tuple((round(float(x), 3), round(float(y), 3)) for x, y in ring)
