"""Joint plans for car-like vehicles in free space: depots, car parks, blocked lanes.

A problem is a site with obstacles and vehicles that each have a start and a goal pose; a plan gives every
vehicle a drivable path in time, such that no footprint ever meets another, an obstacle or the border, and
vehicles stay at their goals as obstacles. What cannot be solved is a value that names vehicle and reason.

Frames and units: world frame W (ENU), metres, seconds, yaw counter-clockwise. The reference point of a
vehicle is the point that moves along its heading (the rear axle of a car).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Union

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError

Floats = npt.NDArray[np.float64]
Pose = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class FreeVehicle:
    """A vehicle with its task. Lengths are measured from the reference point."""

    name: str
    start: Pose
    """x_m, y_m, yaw_rad in W."""
    goal: Pose
    front_m: float
    """To the front bumper."""
    rear_m: float
    """Back to the rear bumper."""
    width_m: float
    turn_radius_m: float
    """Smallest radius of the reference point's path."""
    speed_mps: float
    """The speed at which it drives, forward and backward."""
    ramp_s: float = 0.0
    """Half the time that it takes to reach that speed: a start from rest is as late as if it had stood for so long."""
    dwell_s: float = 0.0
    """Stands for so long before it drives off and where it changes gear, to turn its wheels."""


class FixedPoses(Protocol):
    """Where a vehicle is that drives what it drives, whatever is planned; after ``end_s`` it stands."""

    end_s: float

    def __call__(self, t_s: Floats) -> tuple[Floats, Floats, Floats]:
        """x_m, y_m, yaw_rad of the reference point at times ``t_s`` from the plan's beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """A vehicle that is not planned for, but is in the way; of ``vehicle``, start and goal do not count."""

    vehicle: FreeVehicle
    poses: FixedPoses


@dataclass(frozen=True, slots=True)
class Disc:
    """A round obstacle."""

    x_m: float
    y_m: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Polygon:
    """An obstacle with straight edges, convex or not; its corners in either sense, not closed."""

    corners_m: tuple[tuple[float, float], ...]


Obstacle = Union[Disc, Polygon]  # noqa: UP007 - an alias that Python 3.10 evaluates


@dataclass(frozen=True, slots=True)
class FreeSpaceProblem:
    """Who goes where, and what is in the way."""

    vehicles: tuple[FreeVehicle, ...]
    obstacles: tuple[Obstacle, ...]
    border_m: tuple[float, float, float, float]
    """x low, y low, x high, y high: no part of a vehicle leaves it."""
    gap_m: float = 0.02
    """Kept between vehicles at all times."""
    clearance_m: float = 0.01
    """Kept to obstacles at all times; a start or goal that is nearer is refused."""
    slack_s: float = 0.0
    """Vehicles keep clear of each other even where one of two is up to this much earlier or later than planned."""
    fixed: tuple[Fixed, ...] = ()
    nodes_max: int | None = None
    """Search nodes to create in all; None: the planner's own budget, which grows with the number of vehicles."""


@dataclass(frozen=True, slots=True)
class FreePath:
    """A path in time: segments of constant curvature and speed, driven one after the other from t = 0."""

    vehicle: str
    start: Pose
    segments: tuple[tuple[float, float, float], ...]
    """(duration_s, curvature_1pm, speed_mps); a negative speed drives backwards, zero waits."""

    @property
    def arrival_s(self) -> float:
        return math.fsum(duration for duration, _, _ in self.segments)

    def states(self, step_s: float) -> Floats:
        """Rows (t_s, x_m, y_m, yaw_rad in (-pi, pi]) at every end of a segment and at most ``step_s`` apart."""
        rows = [(0.0, *self.start)]
        pose, begin = self.start, 0.0
        for duration, kappa, speed in self.segments:
            parts = max(1, math.ceil(duration / step_s - 1e-9))
            times = [duration * part / parts for part in range(1, parts + 1)]
            rows += [(begin + d, *_moved(pose, speed * d, kappa)) for d in times]
            pose, begin = rows[-1][1:], begin + duration
        out = np.array(rows)
        out[:, 3] = -((-out[:, 3] + math.pi) % math.tau - math.pi)
        return out


def _moved(pose: Pose, s: float, kappa: float) -> Pose:
    x, y, yaw = pose
    if kappa == 0.0:
        return x + s * math.cos(yaw), y + s * math.sin(yaw), yaw
    after = yaw + kappa * s
    return x + (math.sin(after) - math.sin(yaw)) / kappa, y - (math.cos(after) - math.cos(yaw)) / kappa, after


@dataclass(frozen=True, slots=True)
class Unsolved:
    """A vehicle without a path, and why."""

    vehicle: str
    reason: str


@dataclass(frozen=True, slots=True)
class FreeSpacePlan:
    """All paths, or what is in the way of them. Paths are given only if every vehicle has one."""

    paths: tuple[FreePath, ...]
    unsolved: tuple[Unsolved, ...]
    searches: int
    """Single-vehicle searches that were made."""

    @property
    def solved(self) -> bool:
        return not self.unsolved

    @property
    def flowtime_s(self) -> float:
        """Sum of the arrival times."""
        return math.fsum(path.arrival_s for path in self.paths)

    @property
    def makespan_s(self) -> float:
        return max((path.arrival_s for path in self.paths), default=0.0)


Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""

VEHICLES_MAX = 200
"""More are refused: at about 40,000 search nodes each, an answer would take minutes."""


def plan_free_space(problem: FreeSpaceProblem, progress: Progress | None = None) -> FreeSpacePlan:
    """Plan all vehicles of ``problem`` together; deterministic, and bounded by search budgets.

    Raises
    ------
    PlanError
        A malformed problem: two vehicles of one name, a length or speed that is not positive, a number that
        is not finite. Everything else, such as a start in collision, is an ``Unsolved`` of the plan.
    """
    from planners.free_fleet import Fleet
    from planners.priority import solve

    validate(problem)
    fleet = Fleet(problem)
    unsolved = fleet.misplaced()
    if unsolved or not problem.vehicles:
        return FreeSpacePlan((), tuple(unsolved), 0)
    return solve(fleet, progress or (lambda _what, _done, _of: None))


def misplaced(problem: FreeSpaceProblem) -> list[Unsolved]:
    """Vehicles whose start or goal cannot be: outside, in an obstacle, or on that of another vehicle."""
    from planners.free_fleet import Fleet

    validate(problem)
    return Fleet(problem).misplaced()


def validate(problem: FreeSpaceProblem) -> None:
    """Refuse what is no problem at all; see :func:`plan_free_space`."""
    if len(problem.vehicles) > VEHICLES_MAX:
        raise PlanError(
            f"{len(problem.vehicles)} vehicles in one free-space problem; the limit is {VEHICLES_MAX}, which"
            f" {problem.vehicles[VEHICLES_MAX].name!r} exceeds: plan them in several sites, or one after the other"
        )
    names = [vehicle.name for vehicle in problem.vehicles]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PlanError(f"vehicle {twice!r} is in the problem more than once; names must differ")
    x0, y0, x1, y1 = problem.border_m
    _finite("border", problem.border_m)
    if not (x1 > x0 and y1 > y0):
        raise PlanError(f"border {problem.border_m}: the low corner must be below the high one")
    if not (problem.gap_m > 0.0 and problem.clearance_m > 0.0):
        raise PlanError(f"gap_m = {problem.gap_m:g} and clearance_m = {problem.clearance_m:g} must be positive")
    for vehicle in problem.vehicles:
        _finite(f"vehicle {vehicle.name}", (*vehicle.start, *vehicle.goal))
        for field in ("front_m", "rear_m", "width_m", "turn_radius_m", "speed_mps"):
            value = getattr(vehicle, field)
            if not (math.isfinite(value) and (value > 0.0 or (field in {"front_m", "rear_m"} and value == 0.0))):
                raise PlanError(f"vehicle {vehicle.name}: {field} = {value} must be finite and positive")
        if vehicle.front_m + vehicle.rear_m <= 0.0:
            raise PlanError(f"vehicle {vehicle.name}: it has no length")
    for number, obstacle in enumerate(problem.obstacles):
        if isinstance(obstacle, Disc):
            _finite(f"obstacle {number}", (obstacle.x_m, obstacle.y_m, obstacle.radius_m))
            if obstacle.radius_m <= 0.0:
                raise PlanError(f"obstacle {number}: radius_m = {obstacle.radius_m} must be positive")
        else:
            _finite(f"obstacle {number}", [value for corner in obstacle.corners_m for value in corner])
            if len(obstacle.corners_m) < 3:
                raise PlanError(f"obstacle {number}: {len(obstacle.corners_m)} corners; a polygon has at least 3")


def _finite(what: str, values: Sequence[float]) -> None:
    for value in values:
        if not math.isfinite(value):
            raise PlanError(f"{what}: {value} is not a finite number")
