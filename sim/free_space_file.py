"""Published instances of car-like multi-agent path finding (CL-MAPF, Wen et al. 2022) as free-space problems.

The files give start and goal poses, the size of the map and the centres of round obstacles; vehicle and
obstacle radius are those of the published benchmark. One time unit of the benchmark is one second here.
"""

from __future__ import annotations

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
"""Paths are planned with a radius this much larger, so that curvature computed from chords keeps the limit."""
_BORDER_SLACK_M = 0.002
"""The files round pi to 3.14, which puts the corner of a body at the border 1.6 mm beyond it."""

PUBLISHED_OVERHANG_M = min(FRONT_M, REAR_M, 0.5 * WIDTH_M)
"""The published rule keeps only the reference point on the map. A body that stays within this of the map does that."""


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


def load_instance(
    path: Path, *, obstacle_radius_m: float = OBSTACLE_RADIUS_M, clockwise: bool = False
) -> FreeSpaceProblem:
    """Read a published instance.

    ``clockwise`` reads yaw as the published planner's own code counts it, clockwise from x; the problem has it
    counter-clockwise either way.

    Raises
    ------
    ConfigError
        The file cannot be read, or is no instance; one line with file, line, key and value.
    """
    instance = load_yaml(path, _Instance)
    if not instance.agents:
        raise ConfigError(f"{path}: agents: none; an instance has at least one")
    width_m, height_m = instance.map.dimensions
    if not (width_m > 0.0 and height_m > 0.0):
        raise ConfigError(f"{path}: map.dimensions: {width_m:g} x {height_m:g} m; both must be positive")
    sense = -1.0 if clockwise else 1.0
    vehicles = tuple(
        FreeVehicle(
            agent.name, (*agent.start[:2], sense * agent.start[2]), (*agent.goal[:2], sense * agent.goal[2]),
            FRONT_M, REAR_M, WIDTH_M, TURN_RADIUS_M * _TURN_SLACK, STEP_M,
        )
        for agent in instance.agents
    )  # fmt: skip
    # Maps without obstacles are published with one centre at (-1, -1).
    discs = tuple(Disc(x, y, obstacle_radius_m) for x, y in instance.map.obstacles or [] if x >= 0.0 or y >= 0.0)
    slack = _BORDER_SLACK_M
    return FreeSpaceProblem(vehicles, discs, (-slack, -slack, width_m + slack, height_m + slack))


def published_cost(time_s: float) -> float:
    """A time in the unit of the published flowtime and makespan: metres driven; a waited time unit counts one step."""
    return time_s * STEP_M
