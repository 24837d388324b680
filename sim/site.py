"""A site made concrete: border and obstacles for planner, verifier and world, and who goes from where to where.

What can be seen to be impossible before the run is refused here, with the vehicle and the reason: a start in
an obstacle or on another vehicle, a goal that cannot be stood on, a gate too narrow for a body with its
error budget.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError, PlanError
from fleet.node.bodies import planner_body
from fleet.node.free_planner import Manners, site_vehicle
from hardware.vehicle import Vehicle, load_vehicle
from planners.check_timed import SiteShapes
from planners.free_space import (
    Disc,
    FreeSpaceProblem,
    FreeVehicle,
    Obstacle,
    Polygon,
    Pose,
    misplaced,
    plan_free_space,
)
from planners.zone_map import Passage, Path, Zone, ZoneMap
from sim.scenario import Scenario, SiteSpec

Floats = npt.NDArray[np.float64]

ZONE_ID = "site"
STEER_SHARE = 0.85
"""Part of the steering that plans use; the rest is for tracking."""
DWELL_S = 0.9
"""Standing before each start: the wheels turn from one side to the other in this, at 0.8 rad/s and 0.36 rad."""
_ROUND_CORNERS = 24
_ALONE_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Task:
    """One vehicle's."""

    vehicle_id: str
    vehicle: Vehicle
    start: Pose
    goal: Pose
    leaves: bool


@dataclass(frozen=True, slots=True)
class Site:
    """Border, obstacles and tasks; ``zone_map`` pins them by its digest."""

    zone_map: ZoneMap
    shapes: SiteShapes
    obstacles: tuple[Obstacle, ...]
    outlines: tuple[Floats, ...]
    """Convex outlines of the obstacles, for the world: discs as polygons around them."""
    manners: Manners
    tasks: dict[str, Task]


def build_site(scenario: Scenario) -> Site:
    """The site of ``scenario``.

    Raises
    ------
    ConfigError
        A vehicle cannot be where it starts or where it is to go, or has no way even alone.
    """
    spec = scenario.map.site
    if spec is None:
        raise ConfigError(f"{scenario.source}: map.site is missing")
    tasks = {
        one.id: Task(one.id, load_vehicle(one.vehicle or scenario.vehicle), one.start, one.goal, one.leaves)
        for one in scenario.demand.tasks or ()
    }
    rings = tuple(tuple((float(x), float(y)) for x, y in ring) for ring in scenario.obstacles)
    obstacles = (*(Disc(*disc) for disc in spec.discs), *(Polygon(ring) for ring in rings))
    outlines = (*(_round(*disc) for disc in spec.discs), *(np.array(ring) for ring in rings))
    shapes = SiteShapes(
        np.array(spec.discs, dtype=np.float64).reshape(-1, 3), tuple(np.array(ring) for ring in rings), spec.border_m
    )
    manners = _manners(scenario.source, spec, tasks)
    site = Site(_zone_map(scenario, spec, outlines), shapes, obstacles, outlines, manners, tasks)
    _refuse_impossible(scenario.source, site)
    return site


def pose_text(pose: Pose) -> str:
    """A pose for tables and records."""
    return f"({pose[0]:g}, {pose[1]:g}, {pose[2]:.3g} rad)"


def site_problem(site: Site) -> FreeSpaceProblem:
    """All tasks of a site as one problem, with the margins that its vehicles plan with."""
    vehicles = tuple(_free_vehicle(task, site.manners) for task in site.tasks.values())
    return FreeSpaceProblem(vehicles, site.obstacles, site.shapes.border_m, nodes_max=_ALONE_NODES)


def _refuse_impossible(source: str, site: Site) -> None:
    problem = site_problem(site)
    try:
        found = misplaced(problem)
        if found:
            budget = "with its error budget and margins, "
            raise ConfigError(f"{source}: vehicle {found[0].vehicle}: {budget}its {found[0].reason}")
        for vehicle in problem.vehicles:
            answer = plan_free_space(replace(problem, vehicles=(vehicle,)))
            if not answer.solved:
                raise ConfigError(f"{source}: vehicle {vehicle.name}: {answer.unsolved[0].reason}")
    except PlanError as error:
        raise ConfigError(f"{source}: {error}") from error


def _free_vehicle(task: Task, manners: Manners) -> FreeVehicle:
    return site_vehicle(planner_body(task.vehicle_id, task.vehicle), manners, task.start, task.goal)


def _manners(source: str, spec: SiteSpec, tasks: dict[str, Task]) -> Manners:
    least, who = 0.0, ""
    for task in tasks.values():
        radius = task.vehicle.body.wheelbase_m / math.tan(STEER_SHARE * task.vehicle.limits.steer_rad_max)
        if radius > least:
            least, who = radius, task.vehicle_id
    wanted = least if spec.turn_radius_m is None else spec.turn_radius_m
    if wanted < least - 1e-9:
        raise ConfigError(
            f"{source}: map.site.turn_radius_m: {wanted:g} m; vehicle {who} turns no tighter than {least:.2f} m"
            f" with {STEER_SHARE:g} of its steering"
        )
    # An even number of the plan's units, so that half of it is one as well.
    return Manners(spec.speed_mps, spec.accel_mps2, DWELL_S, 2e-4 * math.floor(0.5e4 / wanted))


def _round(x_m: float, y_m: float, radius_m: float) -> Floats:
    """A polygon around a disc."""
    angle = 2.0 * math.pi * np.arange(_ROUND_CORNERS) / _ROUND_CORNERS
    size = radius_m / math.cos(math.pi / _ROUND_CORNERS)
    return np.column_stack((x_m + size * np.cos(angle), y_m + size * np.sin(angle)))


def _zone_map(scenario: Scenario, spec: SiteSpec, outlines: tuple[Floats, ...]) -> ZoneMap:
    """The site as one zone without paths: what intents pin, and what reports draw."""
    x0, y0, x1, y1 = spec.border_m
    ring = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    content = msgspec.json.encode([scenario.name, spec, scenario.obstacles])
    paths: dict[str, Path] = {}
    passages: dict[str, tuple[Passage, ...]] = {}
    return ZoneMap(
        scenario.name,
        hashlib.sha256(content).hexdigest(),
        paths,
        {ZONE_ID: Zone(ZONE_ID, (ring,), ())},
        passages,
        (ring,),
        tuple(tuple((float(x), float(y)) for x, y in outline) for outline in outlines),
    )
