"""Built-in parametric maps: crossroads, a T junction, a merge and a roundabout, for right-hand traffic.

Approaches are named by the arm that a vehicle comes from; a path is ``<approach>_<movement>``. Shapes
scale with the lane width, so that ``lane_width_m: 0.2`` gives a junction for model cars. Figures below
are for 3.5 m. Turn radii come out as 6.8 m (right) and 10.3 m (left) with one lane, 17 m (left) with
three; a mid-size car can turn at 4.1 m.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fleet.errors import ConfigError
from planners.paths import build_path
from planners.zone_map import Floats, Path
from sim.maps.curves import bend, ring_entry

_CORNER_LANES = 2.2
"""From the outer edge of the outer lane to where turns begin: 7.7 m."""
_EASE_LANES = 5.0 / 3.5
"""Steering from straight to a turn takes 5 m: 0.6 rad/s at most while braking for a right turn at 4.5 m/s2."""
_RING_EASE_LANES = 4.0 / 3.5
_TURN = {"E": 0, "N": 1, "W": 2, "S": 3}
"""Where an arm lies, in quarter turns from east."""
_TURNS = {"left": 1, "straight": 0, "right": -1}

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
class _Roads:
    """What the maps share."""

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


def build(name: str, **params: Any) -> MapSource:
    """Build a map by name.

    Parameters
    ----------
    params : numbers
        ``arm_m`` (250), ``lane_width_m`` (3.5), ``speed_limit_mps`` (13.89), ``step_m`` (a fourteenth of
        the lane width: 0.25); ``lanes`` (crossroads only: 1 to 3 per approach), ``ring_m`` (roundabout: 16).

    Raises
    ------
    ConfigError
        Unknown name or parameter, a value out of range, or a shape that does not fit.
    """
    if name not in BUILTIN_MAPS:
        raise ConfigError(f"map {name!r} is not built in; known are {', '.join(BUILTIN_MAPS)}")
    known = inspect.signature(BUILTIN_MAPS[name]).parameters
    for key, value in params.items():
        if key not in known:
            raise ConfigError(f"map {name}: unknown parameter {key!r}; known are {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1e5:
            raise ConfigError(f"map {name}: {key} is {value!r}; it must be a number above 0 and below 100000")
    return BUILTIN_MAPS[name](**params)


def four_way(
    *,
    arm_m: float = 250.0,
    lane_width_m: float = 3.5,
    speed_limit_mps: float = 13.89,
    lanes: int = 1,
    step_m: float | None = None,
) -> MapSource:
    """Crossroads at the origin. With more lanes: left turns from the leftmost, right turns from the rightmost."""
    roads = _roads(arm_m, lane_width_m, speed_limit_mps, step_m)
    return _crossroads("four_way", roads, lanes, "NESW")


def four_way_3lane(
    *,
    arm_m: float = 250.0,
    lane_width_m: float = 3.5,
    speed_limit_mps: float = 13.89,
    lanes: int = 3,
    step_m: float | None = None,
) -> MapSource:
    """As ``four_way``; straight on from the middle lane, every movement into the like lane of its exit."""
    roads = _roads(arm_m, lane_width_m, speed_limit_mps, step_m)
    return _crossroads("four_way_3lane", roads, lanes, "NESW")


def t_junction(
    *, arm_m: float = 250.0, lane_width_m: float = 3.5, speed_limit_mps: float = 13.89, step_m: float | None = None
) -> MapSource:
    """A road from west to east and one that ends on it from the south."""
    return _crossroads("t_junction", _roads(arm_m, lane_width_m, speed_limit_mps, step_m), 1, "ESW")


def merge(
    *, arm_m: float = 250.0, lane_width_m: float = 3.5, speed_limit_mps: float = 13.89, step_m: float | None = None
) -> MapSource:
    """A road from west to east at y = 0 and a ramp that joins it from the right at 20 degrees."""
    roads = _roads(arm_m, lane_width_m, speed_limit_mps, step_m)
    angle = math.radians(20.0)
    tangent = 30.0 / 3.5 * lane_width_m
    if arm_m < 2.0 * tangent:
        raise ConfigError(f"map merge: arm_m is {arm_m:g}; the ramp needs at least {2.0 * tangent:g}")
    main = roads.path("main", "straight", "out", np.array([[-arm_m, 0.0], [arm_m, 0.0]]))
    curve = bend(-angle, tangent, tangent * 2.0 / 3.0, roads.spacing_m)
    curve = _placed(curve, angle, -tangent * np.array([math.cos(angle), math.sin(angle)]))
    start = -arm_m * np.array([math.cos(angle), math.sin(angle)])
    ramp = roads.path("ramp", "straight", "out", np.vstack([start, curve, [arm_m, 0.0]]))
    return _source("merge", roads, (main, ramp))


def roundabout(
    *,
    arm_m: float = 250.0,
    lane_width_m: float = 3.5,
    speed_limit_mps: float = 13.89,
    ring_m: float | None = None,
    step_m: float | None = None,
) -> MapSource:
    """Four arms on a one-lane ring (centre line radius ``ring_m``, 16 m), driven counter-clockwise."""
    roads = _roads(arm_m, lane_width_m, speed_limit_mps, step_m)
    ring = 16.0 / 3.5 * lane_width_m if ring_m is None else float(ring_m)
    lane = lane_width_m / 2.0
    entry = ring_entry(ring, lane, 3.5 * lane_width_m, _RING_EASE_LANES * lane_width_m, roads.spacing_m)
    if arm_m <= -float(entry[0, 0]):
        raise ConfigError(
            f"map roundabout: arm_m is {arm_m:g}; the entry begins {-float(entry[0, 0]):.3g} from the middle"
        )
    leave = entry[::-1] * (1.0, -1.0)
    begin = math.atan2(entry[-1, 1], entry[-1, 0])
    paths = []
    for arm in "NESW":
        for quarters, movement in ((1, "right"), (2, "straight"), (3, "left"), (4, "u_turn")):
            end = -begin - 2.0 * math.pi + quarters * math.pi / 2.0
            count = math.ceil((end - begin) * ring / roads.spacing_m)
            if count < 1:
                raise ConfigError(f"map roundabout: a ring of {ring:g} m is too small for its entries and exits")
            angle = np.linspace(begin, end, count + 1)[1:-1]
            circle = ring * np.column_stack([np.cos(angle), np.sin(angle)])
            out = _placed(np.vstack([leave, [-arm_m, lane]]), quarters * math.pi / 2.0, np.zeros(2))
            points = np.vstack([[-arm_m, -lane], entry, circle, out])
            exit_arm = _arm(_TURN[arm] + quarters)
            paths.append(
                roads.path(arm, movement, exit_arm, _placed(points, (_TURN[arm] - 2) * math.pi / 2.0, np.zeros(2)))
            )
    return _source("roundabout", roads, tuple(paths))


BUILTIN_MAPS: Mapping[str, Callable[..., MapSource]] = {
    "four_way": four_way,
    "four_way_3lane": four_way_3lane,
    "t_junction": t_junction,
    "merge": merge,
    "roundabout": roundabout,
}


def _roads(arm_m: float, lane_width_m: float, speed_limit_mps: float, step_m: float | None) -> _Roads:
    step = lane_width_m / 14.0 if step_m is None else step_m
    if step > lane_width_m / 7.0:
        raise ConfigError(f"step_m is {step:g}; a seventh of the lane width, {lane_width_m / 7.0:g}, is the most")
    return _Roads(float(arm_m), float(lane_width_m), float(speed_limit_mps), float(step))


def _crossroads(name: str, roads: _Roads, lanes: int, arms: str) -> MapSource:
    if lanes not in (1, 2, 3):
        raise ConfigError(f"map {name}: lanes is {lanes}; 1, 2 or 3 per approach are possible")
    lane_of = {"left": 0, "straight": int(lanes) // 2, "right": int(lanes) - 1}
    box = (lanes + _CORNER_LANES) * roads.lane_width_m
    if roads.arm_m <= box:
        raise ConfigError(f"map {name}: arm_m is {roads.arm_m:g}; the junction itself reaches to {box:g}")
    paths = []
    for arm in arms:
        for movement, turn in _TURNS.items():
            exit_arm = _arm(_TURN[arm] + 2 + turn)
            if exit_arm in arms:
                points = _crossing(roads, turn, (lane_of[movement] + 0.5) * roads.lane_width_m, box)
                placed = _placed(points, (_TURN[arm] - 2) * math.pi / 2.0, np.zeros(2))
                paths.append(roads.path(arm, movement, exit_arm, placed))
    return _source(name, roads, tuple(paths))


def _crossing(roads: _Roads, turn: int, lane_m: float, box_m: float) -> Floats:
    """From the western arm, ``lane_m`` right of its middle, into the like lane of the arm that ``turn`` leads to."""
    start = np.array([-roads.arm_m, -lane_m])
    if turn == 0:
        return np.array([start, [roads.arm_m, -lane_m]])
    tangent = box_m + turn * lane_m
    curve = bend(turn * math.pi / 2.0, tangent, _EASE_LANES * roads.lane_width_m, roads.spacing_m)
    end = np.array([turn * lane_m, turn * roads.arm_m])
    return np.vstack([start, curve + (-box_m, -lane_m), end])


def _placed(points: Floats, angle_rad: float, at: Floats) -> Floats:
    """Turned about the origin, then moved; quarter turns are exact, so that opposite arms are mirror images."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    if abs(cos * sin) < 1e-9:
        cos, sin = float(round(cos)), float(round(sin))
    turned: Floats = points @ np.array([[cos, sin], [-sin, cos]]) + at
    return turned


def _arm(quarters: int) -> str:
    return next(name for name, turn in _TURN.items() if turn == quarters % 4)


def _source(name: str, roads: _Roads, paths: tuple[Path, ...]) -> MapSource:
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
