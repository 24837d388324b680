"""Published poses that slightly overlap an obstacle: such an obstacle counts with the radius that the pose leaves.

Some published instances place a start or goal a few centimetres inside an obstacle of the published radius, so
that nobody can solve them as they are written. The planner stays strict; what is tolerated is decided here, once,
before planning and judging, and is written into the plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from planners.free_space import Disc, FreeSpaceProblem, FreeVehicle, Pose

OVERLAP_M_MAX = 0.20
"""A start or goal that overlaps an obstacle by more than this is refused, as is one that covers its centre."""

_MARGIN_M = 1e-6
"""Beyond the planner's clearance, so that rounding of the distance cannot make the pose too near again."""


@dataclass(frozen=True, slots=True)
class Tolerated:
    """One given pose and the obstacle that it overlaps."""

    vehicle: str
    at: str
    """start or goal."""
    disc: Disc
    """The obstacle as published."""
    overlap_m: float
    """How far the body reaches into it; 0 where it is only nearer than the clearance."""
    radius_m: float
    """The radius with which the obstacle counts instead: this pose, and every other, keeps the clearance from it."""


def tolerate(problem: FreeSpaceProblem) -> tuple[FreeSpaceProblem, tuple[Tolerated, ...]]:
    """The problem to plan and judge, with discs shrunk just enough for its poses, and what was shrunk for whom.

    What is not tolerated stays as it is, for the planner to refuse: deeper overlaps, polygons, other vehicles.
    """
    found: list[Tolerated] = []
    obstacles = list(problem.obstacles)
    for n, disc in enumerate(problem.obstacles):
        if isinstance(disc, Disc):
            near = _near_ends(problem.vehicles, disc, problem.clearance_m)
            radius_m = min((distance for _, _, distance in near), default=math.inf) - problem.clearance_m - _MARGIN_M
            if near:
                obstacles[n] = replace(disc, radius_m=radius_m)
            found += [Tolerated(name, at, disc, max(0.0, disc.radius_m - d), radius_m) for name, at, d in near]
    return (replace(problem, obstacles=tuple(obstacles)) if found else problem), tuple(found)


def _near_ends(vehicles: Sequence[FreeVehicle], disc: Disc, clearance_m: float) -> list[tuple[str, str, float]]:
    """(vehicle, start or goal, distance of the body from the centre) of all tolerated poses at ``disc``."""
    out = []
    least_m = max(disc.radius_m - OVERLAP_M_MAX, clearance_m + 2.0 * _MARGIN_M)
    for vehicle in vehicles:
        for at, pose in (("start", vehicle.start), ("goal", vehicle.goal)):
            distance = _distance_to_body(vehicle, pose, disc.x_m, disc.y_m)
            if least_m <= distance < disc.radius_m + clearance_m:
                out.append((vehicle.name, at, distance))
    return out


def _distance_to_body(vehicle: FreeVehicle, pose: Pose, x_m: float, y_m: float) -> float:
    """From a point to the body standing at ``pose``; 0 inside."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    dx, dy = x_m - pose[0], y_m - pose[1]
    ahead, left = dx * c + dy * s, dy * c - dx * s
    lengthwise = max(-vehicle.rear_m - ahead, 0.0, ahead - vehicle.front_m)
    return math.hypot(lengthwise, max(abs(left) - 0.5 * vehicle.width_m, 0.0))
