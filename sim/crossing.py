"""A fleet for a map without recorded traffic: vehicles on the approaches of its busiest crossing.

The crossing is the place where most centre lines of lanelets cross. Approaches are the points where
lanes enter it; vehicles stand before them in rows, each with a movement drawn from the seed such that
the movements differ.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from fleet.errors import ConfigError, PlanError
from hardware.vehicle import Vehicle
from planners.paths import build_path, pose_at, project
from planners.zone_map import Path
from sim.maps.commonroad import CommonRoadMap
from sim.maps.lanes import LaneGraph, heading, turn
from sim.maps.routes import BEYOND_M, SMOOTH_M, chain_line
from sim.recorded import RecordedFleet, RecordedVehicle, Unmapped, corners_of, is_blocked, static_hulls, steerable
from sim.vehicle_kinds import kappa_1pm_max, vehicle_for

Floats = npt.NDArray[np.float64]

_REACH_M = 14.0
"""Half the size of a crossing at full scale: crossings within this of each other belong together."""
_CIRCUIT_BEYOND_M = 40.0
"""On a track without exits, routes end this far behind the crossing."""
_STOP_GAP_M = 6.0
_ROW_GAP_M = 6.0


@dataclass(frozen=True, slots=True)
class _Approach:
    """A point where lanes enter the crossing, and the lanelets that begin there.

    ``at_edge``: there is no crossing; lanes begin here at the edge of the map, and rows stand beyond it.
    """

    entries: tuple[int, ...]
    at_edge: bool


def explicit_fleet(
    cr_map: CommonRoadMap, *, count: int = 8, vehicle: Vehicle | None = None, seed: int = 0
) -> RecordedFleet:
    """``count`` vehicles on the approaches of the map's busiest crossing, at rest or slow enough to stop.

    Parameters
    ----------
    vehicle : Vehicle, optional
        Default: a car, or on the map of a scale model the 1:18 car at the size of its lanes.
    seed : int
        Draws the movement of each vehicle.

    Returns
    -------
    RecordedFleet
        All arriving at 0 s. Vehicles for which there is no room are listed as unmapped.

    Raises
    ------
    ConfigError
        The map has no lane on which such a vehicle can drive.
    """
    kind, body = _default_vehicle(cr_map) if vehicle is None else (vehicle.vehicle_class, vehicle)
    approaches = _approaches(cr_map)
    if not approaches:
        raise ConfigError(f"{cr_map.name}: no lane leads anywhere; nothing to drive on")
    random = np.random.default_rng(seed)
    order = [int(k) for k in random.permutation(len(approaches))]
    movements = itertools.cycle(("straight", "left", "right"))
    vehicles: list[RecordedVehicle] = []
    paths: list[Path] = []
    boxes: list[shapely.Polygon] = []
    parked, missing = static_hulls(cr_map)
    rows = math.ceil(count / len(approaches))
    for row in range(count):
        for k in order:
            if len(vehicles) == count:
                break
            # From an edge of the map they stand as far in as all rows need.
            place = (row, rows - 1) if approaches[k].at_edge else (row, -1)
            placed = _place(cr_map, approaches[k], place, next(movements), f"p{len(vehicles) + 1}", body)
            if placed is None or is_blocked(placed[0], body, parked):
                continue
            path, start_s, speed = placed
            box = _box(path, start_s, body)
            # Side by side only where both error budgets fit in between, with room to spare.
            if any(box.distance(other) < 2.5 * body.tracking.lateral_m for other in boxes):
                continue
            boxes.append(box)
            paths.append(path)
            vehicles.append(_vehicle(path, start_s, speed, body, kind, len(vehicles) + 1))
    if not vehicles:
        raise ConfigError(f"{cr_map.name}: no lane of its crossing can be driven by a {kind}")
    missing += [Unmapped(f"vehicle {k + 1}", "no room on the approaches") for k in range(len(vehicles), count)]
    return RecordedFleet(tuple(vehicles), tuple(paths), corners_of(parked), tuple(missing))


def _default_vehicle(cr_map: CommonRoadMap) -> tuple[str, Vehicle]:
    if cr_map.scale == 1.0:
        return "car", vehicle_for("car", 5.0, 1.8)
    lane_m = 3.0 * cr_map.scale
    return "model_car_1_18", vehicle_for("model_car_1_18", 0.22 * lane_m / 0.15, 0.107 * lane_m / 0.15)


def _approaches(cr_map: CommonRoadMap) -> list[_Approach]:
    """Where lanes enter the busiest crossing; on a map without one, its entries."""
    graph = cr_map.graph
    inside = _crossing_lanelets(cr_map)
    at_edge = not inside
    if at_edge:
        inside = {key for key, one in graph.lanelets.items() if not one.predecessors and graph.drivable(key)}
        inside = inside or {key for key in graph.lanelets if graph.drivable(key)}
    groups: list[tuple[Floats, float, list[int]]] = []
    for key in sorted(inside):
        if any(before in inside for before in graph.lanelets[key].predecessors):
            continue
        line = graph.lanelets[key].center
        yaw = heading(line, at_end=False)
        for start, other, members in groups:
            if math.hypot(*(start - line[0])) < 1.0 * cr_map.scale and abs(turn(yaw, other)) < math.radians(45.0):
                members.append(key)
                break
        else:
            groups.append((line[0], yaw, [key]))
    return [_Approach(tuple(members), at_edge) for _, _, members in groups]


def _crossing_lanelets(cr_map: CommonRoadMap) -> set[int]:
    graph, reach = cr_map.graph, _REACH_M * cr_map.scale
    keys = [key for key in graph.lanelets if graph.drivable(key)]
    lines = [shapely.LineString(graph.lanelets[key].center) for key in keys]
    first, second = shapely.STRtree(lines).query(lines, predicate="crosses")
    found: list[tuple[float, float, int, int]] = []
    for i, j in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        a, b = graph.lanelets[keys[i]], graph.lanelets[keys[j]]
        related = set(a.predecessors) & set(b.predecessors) or set(a.successors) & set(b.successors)
        bend = abs(turn(heading(a.center, at_end=False), heading(b.center, at_end=False)))
        if i < j and not related and math.radians(25.0) < bend < math.radians(155.0):
            for point in shapely.get_parts(lines[i].intersection(lines[j])):
                place = point.centroid
                found.append((place.x, place.y, keys[i], keys[j]))
    if not found:
        return set()
    places = np.array([row[:2] for row in found])
    near = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) <= reach
    best = int(np.argmax(near.sum(axis=1)))
    return {key for k in np.flatnonzero(near[best]) for key in found[k][2:]}


def _place(
    cr_map: CommonRoadMap, approach: _Approach, place: tuple[int, int], wanted: str, path_id: str, vehicle: Vehicle
) -> tuple[Path, float, float] | None:
    """(path, start, speed) of a vehicle before an approach, or None if there is no lane for it.

    ``place``: its row, and the number of rows beyond the entry that the first row stands at (-1: none).
    """
    graph, scale, body = cr_map.graph, cr_map.scale, vehicle.body
    front = body.length_m - body.rear_overhang_m
    pitch = body.length_m + _ROW_GAP_M * scale
    beyond = (place[1] + 1) * pitch
    gap = _STOP_GAP_M * scale + place[0] * pitch - beyond
    behind = gap + body.length_m + 0.5 * scale
    for entry in sorted(approach.entries, key=lambda key: (_movement(graph, key) != wanted, key)):
        chain = graph.backward((entry,), behind_m=max(0.0, behind))
        chain = graph.onward(chain, beyond_m=_beyond(graph) * scale)
        for smooth_m in SMOOTH_M:
            try:
                path, start_s = _cut(graph, chain, entry, behind, gap + front, path_id, smooth_m * scale, scale)
            except PlanError:
                continue
            if start_s is None or path.length_m - start_s < 2.0 * body.length_m:
                continue
            if float(np.abs(path.kappa_1pm).max()) <= kappa_1pm_max(vehicle):
                limit = float(path.limit_mps[0])
                stop = math.sqrt(vehicle.limits.brake_mps2_plan * _STOP_GAP_M * scale)
                return steerable(path, vehicle), start_s, min(0.5 * limit, 0.7 * stop, vehicle.limits.speed_mps_max)
    return None


def _movement(graph: LaneGraph, key: int) -> str:
    line = graph.lanelets[key].center
    change = turn(heading(line, at_end=False), heading(line, at_end=True))
    return "straight" if abs(change) < math.radians(40.0) else "left" if change > 0.0 else "right"


def _beyond(graph: LaneGraph) -> float:
    circuit = all(one.successors for one in graph.lanelets.values())
    return _CIRCUIT_BEYOND_M if circuit else BEYOND_M


def _cut(
    graph: LaneGraph,
    chain: tuple[int, ...],
    entry: int,
    behind: float,
    ahead: float,
    path_id: str,
    smooth_m: float,
    scale: float,
) -> tuple[Path, float | None]:
    """The path from ``behind`` before the entry, and the rear axle's place ``ahead`` before it.

    Smoothed from the start of the chain on, so that paths of one lane coincide.
    """
    step = 0.25 * scale
    xy, limit, half = chain_line(graph, chain, 2.0 * step)
    curve = build_path(path_id, "", "", xy, limit, half, step_m=step, smooth_m=smooth_m)
    place = graph.lanelets[entry].center[0]
    at, _ = project(curve, float(place[0]), float(place[1]))
    first = max(0, math.floor((at - behind) / step))
    if at - ahead - first * step < 0.0:
        return curve, None
    points = np.column_stack((curve.x_m, curve.y_m))[first:]
    path = build_path(
        path_id, str(chain[0]), str(chain[-1]), points, curve.limit_mps[first:], curve.half_width_m[first:], step_m=step
    )
    return path, at - ahead - first * step


def _box(path: Path, start_s: float, vehicle: Vehicle) -> shapely.Polygon:
    x, y, yaw = pose_at(path, start_s)
    body = vehicle.body
    front, rear, side = body.length_m - body.rear_overhang_m, -body.rear_overhang_m, 0.5 * body.width_m
    corners = np.array([[front, side], [rear, side], [rear, -side], [front, -side]])
    cos, sin = math.cos(yaw), math.sin(yaw)
    return shapely.Polygon(corners @ np.array([[cos, sin], [-sin, cos]]) + np.array([x, y]))


def _vehicle(path: Path, start_s: float, speed: float, vehicle: Vehicle, kind: str, number: int) -> RecordedVehicle:
    return RecordedVehicle(
        vehicle_id=f"v{number}",
        path_id=path.path_id,
        start_s_m=start_s,
        arrival_s=0.0,
        speed_mps=speed,
        length_m=vehicle.body.length_m,
        width_m=vehicle.body.width_m,
        kind=kind,
        origin=path.origin,
        destination=path.destination,
    )
