"""Published instances of car-like multi-agent path finding (CL-MAPF, Wen et al. 2022) as free-space problems.

The files give start and goal poses, the size of the map and the centres of round obstacles; vehicle and
obstacle radius are those of the published benchmark. One time unit of the benchmark is one second here.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from fleet.config import load_yaml
from fleet.errors import ConfigError
from planners.free_space import Disc, FreeSpaceProblem, FreeVehicle

FRONT_M, REAR_M, WIDTH_M = 2.0, 1.0, 2.0
TURN_RADIUS_M = 3.0
STEP_M = 3.0 * 0.706
"""The published limit of one step: what a vehicle drives in one time unit."""
OBSTACLE_RADIUS_M = 0.8

_TURN_SLACK = 1.0003
"""Paths are planned with a radius this much larger: curvature computed from chords of 0.1 time units keeps the limit."""
_BORDER_SLACK_M = 0.002
"""The files round pi to 3.14, which puts the corner of a body at the border 1.6 mm beyond it."""


class _Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    start: tuple[float, float, float]
    goal: tuple[float, float, float]


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dimensions: tuple[float, float]
    obstacles: list[tuple[float, float]] | None = None


class _Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    map: _Map
    agents: list[_Agent] | None = None


def load_instance(path: Path) -> FreeSpaceProblem:
    """Read a published instance.

    Raises
    ------
    ConfigError
        The file cannot be read, or is no instance; one line with file, line, key and value.
    """
    instance = load_yaml(path, _Instance)
    width_m, height_m = instance.map.dimensions
    if not (width_m > 0.0 and height_m > 0.0):
        raise ConfigError(f"{path}: map.dimensions: {width_m:g} x {height_m:g} m; both must be positive")
    vehicles = tuple(
        FreeVehicle(
            agent.name, agent.start, agent.goal, FRONT_M, REAR_M, WIDTH_M, TURN_RADIUS_M * _TURN_SLACK, STEP_M
        )
        for agent in instance.agents or []
    )
    # Maps without obstacles are published with one centre at (-1, -1).
    discs = tuple(Disc(x, y, OBSTACLE_RADIUS_M) for x, y in instance.map.obstacles or [] if x >= 0.0 or y >= 0.0)
    slack = _BORDER_SLACK_M
    return FreeSpaceProblem(vehicles, discs, (-slack, -slack, width_m + slack, height_m + slack))


def published_cost(time_s: float) -> float:
    """A time in the unit of the published flowtime and makespan: metres driven, a waited time unit counting one step."""
    return time_s * STEP_M


def finite(value: float) -> bool:
    return math.isfinite(value)
