"""A scenario made concrete: the map with its zones, who comes, what stands in the way."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from fleet.node.bodies import planner_body, planning_body
from hardware.vehicle import Vehicle, load_vehicle
from planners.conflicts import ConflictTables
from planners.paths import pose_at
from planners.zone_map import Path, ZoneMap
from planners.zones import build_zone_map
from sim.attackers import with_attackers
from sim.demand import Arrival, arrivals, with_legacy
from sim.maps.builtin import build
from sim.scenario import CountDemand, Scenario
from sim.site import Site, build_site, pose_text

Floats = npt.NDArray[np.float64]
Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Actor:
    """One vehicle of a run, before it enters."""

    vehicle_id: str
    vehicle: Vehicle
    path_id: str
    arrival_s: float
    start_s_m: float
    speed_mps: float
    role: str
    yields: bool
    recorded: bool
    """Starts in the middle of the map, at the place and time of a recording."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a run takes place on. ``left_out``: (what, why) of a recording's parts that take no part."""

    name: str
    zone_map: ZoneMap
    conflicts: ConflictTables
    actors: tuple[Actor, ...]
    obstacles: tuple[Floats, ...]
    left_out: tuple[tuple[str, str], ...]
    site: Site | None = None
    """An area without lanes; then the zone map has no paths."""

    def placed(self, actor: Actor) -> tuple[float, float, float, float]:
        """x_m, y_m, yaw_rad and steer_rad with which ``actor`` starts."""
        if self.site is not None:
            return (*self.site.tasks[actor.vehicle_id].start, 0.0)
        path = self.zone_map.paths[actor.path_id]
        return (*pose_at(path, actor.start_s_m), start_steer_rad(actor, path))

    def ends(self, actor: Actor) -> tuple[str, str]:
        """Where ``actor`` comes from and where it goes, by name."""
        if self.site is not None:
            task = self.site.tasks[actor.vehicle_id]
            return pose_text(task.start), pose_text(task.goal)
        path = self.zone_map.paths[actor.path_id]
        return path.origin, path.destination


def build_stage(scenario: Scenario) -> Stage:
    """Build map, zones and cast of ``scenario``.

    Raises
    ------
    ConfigError
        The scenario names what does not exist, or two vehicles overlap at the start.
    """
    if scenario.map.builtin is not None:
        return _builtin(scenario, scenario.map.builtin)
    if scenario.map.site is not None:
        return _site(scenario)
    return _commonroad(scenario)


def map_cache() -> FilePath:
    """Where conflict tables are kept between runs."""
    base = os.environ.get("ACCORD_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(FilePath.home() / ".cache")
    return FilePath(base) / "accord" / "maps"


def _builtin(scenario: Scenario, name: str) -> Stage:
    source = build(name, **scenario.map.parameters())
    by_id = {path.path_id: path for path in source.paths}
    cast = tuple(_actor(arrival, by_id) for arrival in with_attackers(arrivals(scenario, source), scenario))
    # Every path is part of the map, driven or not, so that a map's digest does not depend on the traffic.
    bodies = {actor.vehicle.vehicle_class: actor.vehicle for actor in cast}
    pairs = [_pair(path.path_id, vehicle) for path in source.paths for _, vehicle in sorted(bodies.items())]
    return _stage(scenario, source.name, source.paths, pairs, cast, source.lanes, (), ())


def _site(scenario: Scenario) -> Stage:
    site = build_site(scenario)
    cast = tuple(
        Actor(task.vehicle_id, task.vehicle, "", 0.0, 0.0, 0.0, "honest", True, True) for task in site.tasks.values()
    )
    return Stage(scenario.name, site.zone_map, ConflictTables({}, site.zone_map.digest), cast, site.outlines, (), site)


def _actor(arrival: Arrival, paths: dict[str, Path]) -> Actor:
    vehicle = load_vehicle(arrival.vehicle)
    path = paths[arrival.path_id]
    start = vehicle.body.rear_overhang_m if arrival.start_s_m is None else arrival.start_s_m
    if start > path.length_m - vehicle.body.length_m:
        raise ConfigError(
            f"vehicle {arrival.vehicle_id}: start_s_m = {start:g} m leaves no way on path {path.path_id},"
            f" which is {path.length_m:.1f} m long"
        )
    k = min(int(start / path.step_m), len(path.limit_mps) - 1)
    limit = min(float(path.limit_mps[k]), vehicle.limits.speed_mps_max)
    speed = limit if arrival.speed_mps is None else arrival.speed_mps
    return Actor(
        arrival.vehicle_id, vehicle, arrival.path_id, arrival.arrival_s, start, speed,
        arrival.role, arrival.yields, arrival.start_s_m is not None,
    )  # fmt: skip


def _commonroad(scenario: Scenario) -> Stage:
    from sim.crossing import explicit_fleet
    from sim.maps.commonroad import load_commonroad
    from sim.recorded import recorded_fleet
    from sim.vehicle_kinds import fitted, vehicle_for

    road = load_commonroad(scenario.map.commonroad or "")
    count = scenario.demand.count
    if scenario.demand.recorded:
        found = recorded_fleet(road)
    elif count is not None:
        number = count.vehicles if isinstance(count, CountDemand) else count
        # The scenario's default car is no choice: then the map decides.
        vehicle = None if scenario.vehicle in {"car", "fitting"} else load_vehicle(scenario.vehicle)
        found = explicit_fleet(road, count=number, vehicle=vehicle, seed=scenario.seed)
    else:
        raise ConfigError(
            f"{scenario.source}: demand.{scenario.demand.kind()}: a CommonRoad map takes recorded: true or count"
        )
    if not found.vehicles:
        reasons = "; ".join(f"{one.label}: {one.reason}" for one in found.unmapped[:3])
        raise ConfigError(f"{scenario.source}: nobody can drive on this map ({reasons or 'it records nobody'})")
    paths = {path.path_id: path for path in found.paths}
    cast = tuple(
        Actor(
            one.vehicle_id, fitted(vehicle_for(one.kind, one.length_m, one.width_m), paths[one.path_id]),
            one.path_id, one.arrival_s,
            one.start_s_m, one.speed_mps, "honest", True, True,
        )
        for one in found.vehicles
    )  # fmt: skip
    cast = with_legacy(cast, scenario)
    pairs = [_pair(actor.path_id, actor.vehicle) for actor in cast]
    lanes = tuple(lanelet.outline for lanelet in road.lanelets.values())
    left_out = tuple((one.label, one.reason) for one in found.unmapped)
    return _stage(scenario, road.name, found.paths, pairs, cast, lanes, found.outlines, left_out)


def _pair(path_id: str, vehicle: Vehicle) -> tuple[str, object, object]:
    body = planning_body(planner_body("", vehicle))
    return path_id, body.footprint, body.budget


def _stage(
    scenario: Scenario, name: str, paths: tuple[Path, ...], pairs: list, cast: tuple[Actor, ...],
    lanes: tuple[Ring, ...], outlines: tuple[Floats, ...], left_out: tuple[tuple[str, str], ...],
) -> Stage:  # fmt: skip
    zone_map, conflicts = build_zone_map(name, paths, pairs, lanes=lanes, cache_dir=map_cache())
    obstacles = (*outlines, *(np.array(ring, dtype=np.float64) for ring in scenario.obstacles))
    _refuse_overlaps(cast, zone_map, obstacles)
    return Stage(name, zone_map, conflicts, cast, tuple(obstacles), left_out)


def _refuse_overlaps(cast: tuple[Actor, ...], zone_map: ZoneMap, obstacles: tuple[Floats, ...]) -> None:
    """Vehicles that start at one time in one place are a mistake in the scenario."""
    import shapely

    placed = [
        (actor, shapely.Polygon(outline_at(actor, zone_map.paths[actor.path_id]))) for actor in cast if actor.recorded
    ]
    for index, (actor, box) in enumerate(placed):
        for other, other_box in placed[:index]:
            if actor.arrival_s == other.arrival_s and box.intersects(other_box):
                raise ConfigError(
                    f"vehicles {other.vehicle_id} and {actor.vehicle_id} overlap at the start"
                    f" (t = {actor.arrival_s:g} s, {box.intersection(other_box).area:.2f} m2 in common);"
                    " move one of them"
                )
        for ring in obstacles:
            if box.intersects(shapely.Polygon(ring)):
                raise ConfigError(f"vehicle {actor.vehicle_id} starts in a static obstacle; move one of them")


def outline_at(actor: Actor, path: Path) -> Floats:
    """Corners of an actor's outline at its start, float64 [4, 2] in W."""
    x, y, yaw = pose_at(path, actor.start_s_m)
    body = actor.vehicle.body
    front, rear, side = body.length_m - body.rear_overhang_m, -body.rear_overhang_m, 0.5 * body.width_m
    corners = np.array([[front, side], [rear, side], [rear, -side], [front, -side]])
    c, s = np.cos(yaw), np.sin(yaw)
    turned: Floats = corners @ np.array([[c, s], [-s, c]]) + np.array([x, y])
    return turned


def start_steer_rad(actor: Actor, path: Path) -> float:
    """The steering angle with which an actor follows its path at the start."""
    k = min(int(actor.start_s_m / path.step_m), len(path.kappa_1pm) - 1)
    angle = float(np.arctan(actor.vehicle.body.wheelbase_m * path.kappa_1pm[k]))
    return max(-actor.vehicle.limits.steer_rad_max, min(actor.vehicle.limits.steer_rad_max, angle))
