"""Recorded road users as a fleet: who drives where from when, what stands in the way, who is left out.

Every obstacle of the file ends in exactly one of three lists: vehicles of the fleet (with a path),
static obstacles, or those left out, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import shapely

from fleet.errors import ConfigError, PlanError
from hardware.vehicle import Vehicle
from planners.zone_map import Path
from sim.maps.commonroad import CommonRoadMap, RecordedObstacle
from sim.maps.matching import Candidate, Matcher
from sim.maps.routes import Route, Start, route_path
from sim.vehicle_kinds import drives, kappa_1pm_max, steering_caps, vehicle_for

__all__ = ["RecordedFleet", "RecordedVehicle", "Unmapped", "recorded_fleet", "vehicle_for"]

Floats = npt.NDArray[np.float64]

_MOVED_M_MIN = 0.5
"""Less than this over the whole record is standing still."""
_QUEUE_HEADING_RAD = math.radians(35.0)
_CLEARANCE_M = 0.1
"""Beside a static obstacle, a path needs this much room on top of half the vehicle's width."""
_BEHIND_M = 0.5
"""Path behind the rear bumper at the start."""


@dataclass(frozen=True, slots=True)
class RecordedVehicle:
    """One vehicle of the fleet as it was when first recorded."""

    vehicle_id: str
    path_id: str
    start_s_m: float
    """The rear axle's place on the path."""
    arrival_s: float
    speed_mps: float
    """At the start; the recorded speed, lowered where the path's first curve or the vehicle demands it."""
    length_m: float
    width_m: float
    kind: str
    origin: str
    destination: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A road user or part of the file that takes no part, and why."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordedFleet:
    """The fleet of a CommonRoad file. ``outlines``: static obstacles, float64 [corner, 2], convex, in W."""

    vehicles: tuple[RecordedVehicle, ...]
    paths: tuple[Path, ...]
    outlines: tuple[Floats, ...]
    unmapped: tuple[Unmapped, ...]


@dataclass(slots=True)
class _Building:
    """The fleet while it grows: ``boxes`` are the outlines of vehicles at their first record."""

    vehicles: list[RecordedVehicle] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    boxes: list[shapely.Polygon] = field(default_factory=list)
    parked: list[shapely.Polygon] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)

    def leave_out(self, obstacle: RecordedObstacle, reason: str) -> None:
        self.unmapped.append(Unmapped(f"{obstacle.kind} {obstacle.obstacle_id}", reason))


def recorded_fleet(cr_map: CommonRoadMap) -> RecordedFleet:
    """Map the recorded road users of a file onto its lanes.

    A vehicle starts at its first recorded pose, inside the junction if it was recorded there, follows the
    lanelets that it was recorded on and goes on to an exit. One that never moves waits if it stands in a
    lane and points along it, and is a static obstacle otherwise. Of two that overlap at the start, the
    one with the later arrival (then the higher id) is left out.
    """
    building = _Building(unmapped=[Unmapped(what, why) for what, why in cr_map.skipped])
    building.parked, flat = static_hulls(cr_map)
    building.unmapped += flat
    moving: list[RecordedObstacle] = []
    matchers: dict[str, Matcher] = {}
    for obstacle in sorted(cr_map.obstacles, key=lambda one: (float(one.t_s[0]), one.obstacle_id)):
        group = "bicycle" if obstacle.kind == "bicycle" else "car"
        if group not in matchers:
            matchers[group] = Matcher(cr_map.graph, scale=cr_map.scale, kind=group)
        if not drives(obstacle.kind):
            building.leave_out(obstacle, f"a {obstacle.kind} does not drive in lanes")
        elif _is_parked(obstacle, matchers[group], cr_map.scale):
            building.parked.append(_box(obstacle))
        else:
            moving.append(obstacle)
    for obstacle in moving:
        group = "bicycle" if obstacle.kind == "bicycle" else "car"
        reason = _add(building, obstacle, matchers[group], cr_map)
        if reason:
            building.leave_out(obstacle, reason)
    vehicles, paths = tuple(building.vehicles), tuple(building.paths)
    return RecordedFleet(vehicles, paths, corners_of(building.parked), tuple(building.unmapped))


def static_hulls(cr_map: CommonRoadMap) -> tuple[list[shapely.Polygon], list[Unmapped]]:
    """Convex hulls of the static obstacles, and those that have no area."""
    hulls: list[shapely.Polygon] = []
    flat: list[Unmapped] = []
    for key, outline in cr_map.outlines:
        hull = shapely.convex_hull(shapely.MultiPoint(outline))
        if isinstance(hull, shapely.Polygon) and hull.area > 0.0:
            hulls.append(hull)
        else:
            flat.append(Unmapped(f"obstacle {key}", "its outline has no area"))
    return hulls, flat


def corners_of(hulls: list[shapely.Polygon]) -> tuple[Floats, ...]:
    """Corners of each hull, float64 [corner, 2], without the closing one."""
    return tuple(np.array(one.exterior.coords[:-1], dtype=np.float64) for one in hulls)


def _is_parked(obstacle: RecordedObstacle, matcher: Matcher, scale: float) -> bool:
    """Never moves, and does not wait in a lane."""
    moved = float(np.hypot(np.ptp(obstacle.x_m), np.ptp(obstacle.y_m)))
    if moved >= _MOVED_M_MIN * scale or float(np.max(obstacle.speed_mps)) >= 2.0 * scale:
        return False
    if obstacle.kind == "parkedVehicle":
        return True
    found = matcher.candidates(float(obstacle.x_m[0]), float(obstacle.y_m[0]), float(obstacle.yaw_rad[0]))
    return not any(_waits_in(one, obstacle.width_m) for one in found)


def _waits_in(lane: Candidate, width_m: float) -> bool:
    room = max(0.5 * lane.half_width_m, lane.half_width_m - 0.5 * width_m + 0.2 * lane.half_width_m)
    return abs(lane.heading_rad) <= _QUEUE_HEADING_RAD and abs(lane.lateral_m) <= room


def _box(obstacle: RecordedObstacle) -> shapely.Polygon:
    """The outline at the first record."""
    cos, sin = math.cos(obstacle.yaw_rad[0]), math.sin(obstacle.yaw_rad[0])
    a, b = 0.5 * obstacle.length_m, 0.5 * obstacle.width_m
    corners = np.array([[a, b], [-a, b], [-a, -b], [a, -b]]) @ np.array([[cos, sin], [-sin, cos]])
    return shapely.Polygon(corners + np.array([obstacle.x_m[0], obstacle.y_m[0]]))


def _add(building: _Building, obstacle: RecordedObstacle, matcher: Matcher, cr_map: CommonRoadMap) -> str | None:
    """Add one vehicle with its path; the reason if that is not possible."""
    try:
        vehicle = vehicle_for(obstacle.kind, obstacle.length_m, obstacle.width_m)
    except ConfigError as error:
        return str(error)
    box = _box(obstacle)
    for other, at in zip(building.vehicles, building.boxes, strict=True):
        if other.arrival_s == float(obstacle.t_s[0]) and box.intersects(at):
            return f"overlaps {other.vehicle_id} at the start by {box.intersection(at).area:.2f} m2"
    if any(box.intersects(one) for one in building.parked):
        return "overlaps a static obstacle at the start"
    legs = matcher.match(obstacle.x_m, obstacle.y_m, obstacle.yaw_rad)
    if not legs:
        return "its first record lies in no lane that runs its way"
    try:
        route = route_path(
            cr_map.graph,
            f"p{obstacle.obstacle_id}",
            legs,
            _start(obstacle, vehicle, cr_map.scale),
            scale=cr_map.scale,
            kappa_1pm_max=kappa_1pm_max(vehicle),
        )
    except PlanError as error:
        return str(error)
    if route.path.length_m - route.start_s_m < vehicle.body.length_m:
        return f"only {route.path.length_m - route.start_s_m:.1f} m of lane lie ahead of it"
    if is_blocked(route.path, vehicle, building.parked):
        return "a static obstacle stands in its way"
    building.boxes.append(box)
    building.paths.append(steerable(route.path, vehicle))
    building.vehicles.append(_vehicle(obstacle, vehicle, route))
    return None


def _start(obstacle: RecordedObstacle, vehicle: Vehicle, scale: float) -> Start:
    """The recorded centre, moved back to the rear axle."""
    body = vehicle.body
    back = 0.5 * body.length_m - body.rear_overhang_m
    yaw = float(obstacle.yaw_rad[0])
    return Start(
        x_m=float(obstacle.x_m[0]) - back * math.cos(yaw),
        y_m=float(obstacle.y_m[0]) - back * math.sin(yaw),
        yaw_rad=yaw,
        speed_mps=max(0.0, float(obstacle.speed_mps[0])),
        back_m=body.rear_overhang_m + _BEHIND_M * scale,
    )


def is_blocked(path: Path, vehicle: Vehicle, parked: list[shapely.Polygon]) -> bool:
    """Whether a static obstacle reaches into the strip that the vehicle needs along the path."""
    if not parked:
        return False
    room = 0.5 * vehicle.body.width_m + min(_CLEARANCE_M, 0.05 * vehicle.body.width_m)
    corridor = shapely.LineString(np.column_stack((path.x_m, path.y_m))).buffer(room, cap_style="flat")
    return any(corridor.intersects(one) for one in parked)


def steerable(path: Path, vehicle: Vehicle) -> Path:
    """``path`` with its limit lowered where the vehicle's wheels turn too slowly for it."""
    limit = np.minimum(path.limit_mps, steering_caps(path, vehicle))
    limit.setflags(write=False)
    return replace(path, limit_mps=limit)


def _vehicle(obstacle: RecordedObstacle, vehicle: Vehicle, route: Route) -> RecordedVehicle:
    speed = max(0.0, float(obstacle.speed_mps[0]))
    return RecordedVehicle(
        vehicle_id=f"v{obstacle.obstacle_id}",
        path_id=route.path.path_id,
        start_s_m=route.start_s_m,
        arrival_s=float(obstacle.t_s[0]),
        speed_mps=min(speed, feasible_speed(route.path, route.start_s_m, vehicle)),
        length_m=obstacle.length_m,
        width_m=obstacle.width_m,
        kind=obstacle.kind,
        origin=route.path.origin,
        destination=route.path.destination,
    )


def feasible_speed(path: Path, s_m: float, vehicle: Vehicle) -> float:
    """The highest speed at ``s_m`` from which every curve ahead is reached at a speed that it allows.

    With 90 % of the lateral acceleration and 80 % of the braking that plans may use, and wheels that turn in time.
    """
    limits = vehicle.limits
    first = min(max(round(s_m / path.step_m), 0), len(path.x_m) - 1)
    kappa = np.maximum(np.abs(path.kappa_1pm[first:]), 1e-6)
    ahead = np.arange(len(kappa)) * path.step_m
    bend = np.minimum(0.9 * limits.lateral_accel_mps2_max / kappa, steering_caps(path, vehicle)[first:] ** 2)
    square = bend + 2.0 * 0.8 * limits.brake_mps2_plan * ahead
    return min(limits.speed_mps_max, math.sqrt(float(square.min())))
