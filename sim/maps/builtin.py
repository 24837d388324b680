"""Built-in parametric maps: crossroads, a T junction, a merge, a roundabout, a corridor and a grid; right-hand traffic.

Approaches are named by the arm that a vehicle comes from; a path is ``<approach>_<movement>``. Shapes
scale with the lane width, so that ``lane_width_m: 0.2`` gives a junction for model cars. Figures below
are for 3.5 m. Turn radii come out as 6.8 m (right) and 10.3 m (left) with one lane, 17 m (left) with
three; a mid-size car can turn at 4.1 m.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fleet.errors import ConfigError
from sim.maps.curves import bend, ring_entry
from sim.maps.grid import corridor3, grid3x3
from sim.maps.roads import CORNER_LANES, TURN, TURNS, MapSource, Roads, arm_of, crossing, placed, roads_of, source

_RING_EASE_LANES = 4.0 / 3.5


def build(name: str, **params: Any) -> MapSource:
    """Build a map by name.

    Parameters
    ----------
    params : numbers
        ``arm_m`` (250), ``lane_width_m`` (3.5), ``speed_limit_mps`` (13.89), ``step_m`` (a fourteenth of
        the lane width: 0.25); ``lanes`` (crossroads only: 1 to 3 per approach), ``ring_m`` (roundabout: 16),
        ``spacing_m`` (between the junctions of ``corridor3`` and ``grid3x3``: 120).

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
    roads = roads_of(arm_m, lane_width_m, speed_limit_mps, step_m)
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
    roads = roads_of(arm_m, lane_width_m, speed_limit_mps, step_m)
    return _crossroads("four_way_3lane", roads, lanes, "NESW")


def t_junction(
    *, arm_m: float = 250.0, lane_width_m: float = 3.5, speed_limit_mps: float = 13.89, step_m: float | None = None
) -> MapSource:
    """A road from west to east and one that ends on it from the south."""
    return _crossroads("t_junction", roads_of(arm_m, lane_width_m, speed_limit_mps, step_m), 1, "ESW")


def merge(
    *, arm_m: float = 250.0, lane_width_m: float = 3.5, speed_limit_mps: float = 13.89, step_m: float | None = None
) -> MapSource:
    """A road from west to east at y = 0 and a ramp that joins it from the right at 20 degrees."""
    roads = roads_of(arm_m, lane_width_m, speed_limit_mps, step_m)
    angle = math.radians(20.0)
    tangent = 30.0 / 3.5 * lane_width_m
    if arm_m < 2.0 * tangent:
        raise ConfigError(f"map merge: arm_m is {arm_m:g}; the ramp needs at least {2.0 * tangent:g}")
    main = roads.path("main", "straight", "out", np.array([[-arm_m, 0.0], [arm_m, 0.0]]))
    curve = bend(-angle, tangent, tangent * 2.0 / 3.0, roads.spacing_m)
    curve = placed(curve, angle, -tangent * np.array([math.cos(angle), math.sin(angle)]))
    start = -arm_m * np.array([math.cos(angle), math.sin(angle)])
    ramp = roads.path("ramp", "straight", "out", np.vstack([start, curve, [arm_m, 0.0]]))
    return source("merge", (main, ramp))


def roundabout(
    *,
    arm_m: float = 250.0,
    lane_width_m: float = 3.5,
    speed_limit_mps: float = 13.89,
    ring_m: float | None = None,
    step_m: float | None = None,
) -> MapSource:
    """Four arms on a one-lane ring (centre line radius ``ring_m``, 16 m), driven counter-clockwise."""
    roads = roads_of(arm_m, lane_width_m, speed_limit_mps, step_m)
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
            out = placed(np.vstack([leave, [-arm_m, lane]]), quarters * math.pi / 2.0, np.zeros(2))
            points = np.vstack([[-arm_m, -lane], entry, circle, out])
            exit_arm = arm_of(TURN[arm] + quarters)
            paths.append(
                roads.path(arm, movement, exit_arm, placed(points, (TURN[arm] - 2) * math.pi / 2.0, np.zeros(2)))
            )
    return source("roundabout", tuple(paths))


BUILTIN_MAPS: Mapping[str, Callable[..., MapSource]] = {
    "four_way": four_way,
    "four_way_3lane": four_way_3lane,
    "t_junction": t_junction,
    "merge": merge,
    "roundabout": roundabout,
    "corridor3": corridor3,
    "grid3x3": grid3x3,
}


def _crossroads(name: str, roads: Roads, lanes: int, arms: str) -> MapSource:
    if lanes not in (1, 2, 3):
        raise ConfigError(f"map {name}: lanes is {lanes}; 1, 2 or 3 per approach are possible")
    lane_of = {"left": 0, "straight": int(lanes) // 2, "right": int(lanes) - 1}
    box = (lanes + CORNER_LANES) * roads.lane_width_m
    if roads.arm_m <= box:
        raise ConfigError(f"map {name}: arm_m is {roads.arm_m:g}; the junction itself reaches to {box:g}")
    paths = []
    for arm in arms:
        for movement, turn in TURNS.items():
            exit_arm = arm_of(TURN[arm] + 2 + turn)
            if exit_arm in arms:
                lane_m = (lane_of[movement] + 0.5) * roads.lane_width_m
                points = crossing(roads, turn, lane_m, box, (roads.arm_m, roads.arm_m))
                ways = placed(points, (TURN[arm] - 2) * math.pi / 2.0, np.zeros(2))
                paths.append(roads.path(arm, movement, exit_arm, ways))
    return source(name, tuple(paths))
