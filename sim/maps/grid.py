"""Several junctions: a corridor of three and a grid of three by three, for what one junction does to the next.

Roads are numbered from west to east (``N1`` comes in from the north on the westernmost of them) and from
south to north. A way goes straight through, or turns once: ``left_2`` at the second junction it comes to.
"""

from __future__ import annotations

import math

import numpy as np

from fleet.errors import ConfigError
from planners.zone_map import Floats, Path
from sim.maps.roads import CORNER_LANES, TURN, TURNS, MapSource, Roads, arm_of, crossing, placed, roads_of, source

_LINK_LANES_MIN = 12.0
"""Least free road between two junctions: room for a queue of six cars."""


def corridor3(
    *,
    arm_m: float = 150.0,
    spacing_m: float = 120.0,
    lane_width_m: float = 3.5,
    speed_limit_mps: float = 13.89,
    step_m: float | None = None,
) -> MapSource:
    """Three crossroads in a row on a road from west to east, ``spacing_m`` apart."""
    return _grid("corridor3", roads_of(arm_m, lane_width_m, speed_limit_mps, step_m), spacing_m, (3, 1))


def grid3x3(
    *,
    arm_m: float = 150.0,
    spacing_m: float = 120.0,
    lane_width_m: float = 3.5,
    speed_limit_mps: float = 13.89,
    step_m: float | None = None,
) -> MapSource:
    """Nine crossroads of three roads each way, ``spacing_m`` apart."""
    return _grid("grid3x3", roads_of(arm_m, lane_width_m, speed_limit_mps, step_m), spacing_m, (3, 3))


def _grid(name: str, roads: Roads, spacing_m: float, size: tuple[int, int]) -> MapSource:
    """``size``: how many roads run from south to north, and from west to east."""
    box_m = (1.0 + CORNER_LANES) * roads.lane_width_m
    least_m = 2.0 * box_m + _LINK_LANES_MIN * roads.lane_width_m
    if spacing_m < least_m:
        raise ConfigError(f"map {name}: spacing_m is {spacing_m:g}; junctions with a link between need {least_m:g}")
    if roads.arm_m <= box_m:
        raise ConfigError(f"map {name}: arm_m is {roads.arm_m:g}; the junction itself reaches to {box_m:g}")
    paths: list[Path] = []
    for arm in "NESW":
        across = size[1 - TURN[arm] % 2]
        for road in range(across):
            paths += _from(arm, road, roads, spacing_m, size)
    return source(name, tuple(paths))


def _from(arm: str, road: int, roads: Roads, spacing_m: float, size: tuple[int, int]) -> list[Path]:
    """All ways of one approach."""
    along = size[TURN[arm] % 2]  # junctions that it passes
    origin = _name(arm, road, size)
    found = [roads.path(origin, "straight", _name(arm_of(TURN[arm] + 2), road, size),
                        _way(arm, road, 0, along, roads, spacing_m, size))]  # fmt: skip
    for movement in ("left", "right"):
        exit_arm = arm_of(TURN[arm] + 2 + TURNS[movement])
        for count in range(1, along + 1):
            # Junctions are met in the order of their roads' numbers from west and south, else in reverse.
            crossed = count - 1 if arm in "WS" else along - count
            destination = _name(exit_arm, crossed, size)
            points = _way(arm, road, TURNS[movement], count, roads, spacing_m, size)
            found.append(roads.path(origin, f"{movement}_{count}", destination, points))
    return found


def _way(arm: str, road: int, turn: int, count: int, roads: Roads, spacing_m: float, size: tuple[int, int]) -> Floats:
    """Points of the way that turns at junction ``count`` (from 1), or goes straight on past it, in W."""
    lane_m, box_m = 0.5 * roads.lane_width_m, (1.0 + CORNER_LANES) * roads.lane_width_m
    along, across = size[TURN[arm] % 2], size[1 - TURN[arm] % 2]
    beyond = along - count
    if turn:
        # Junctions still to be passed on the road turned into: it leads to higher numbers or to lower ones.
        outward = arm_of(TURN[arm] + 2 + turn) in "EN"
        beyond = across - 1 - road if outward else road
    ends_m = roads.arm_m + (count - 1) * spacing_m, roads.arm_m + beyond * spacing_m
    points = crossing(roads, turn, lane_m, box_m, ends_m)
    crossed = count - 1 if arm in "WS" else along - count
    column, row = (crossed, road) if arm in "WE" else (road, crossed)
    middle = spacing_m * np.array([column - 0.5 * (size[0] - 1), row - 0.5 * (size[1] - 1)])
    return placed(points, (TURN[arm] - 2) * math.pi / 2.0, middle)


def _name(arm: str, road: int, size: tuple[int, int]) -> str:
    across = size[1 - TURN[arm] % 2]
    return arm if across == 1 else f"{arm}{road + 1}"
