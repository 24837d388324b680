"""What tests judge free-space plans by: shapely polygons at dense times; and problems to try."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from planners.free_space import Disc, FreePath, FreeSpacePlan, FreeSpaceProblem, FreeVehicle, Polygon, Pose

DENSE_S = 0.02


def car(name: str, start: Pose, goal: Pose, **other: float) -> FreeVehicle:
    """A vehicle of the published size; ``other`` replaces fields."""
    fields = {"front_m": 2.0, "rear_m": 1.0, "width_m": 2.0, "turn_radius_m": 3.0, "speed_mps": 2.0} | other
    return FreeVehicle(name, start, goal, **fields)


def site(*vehicles: FreeVehicle, obstacles: Sequence[Disc | Polygon] = (), size_m: float = 30.0) -> FreeSpaceProblem:
    return FreeSpaceProblem(vehicles, tuple(obstacles), (0.0, 0.0, size_m, size_m))


def outlines(vehicle: FreeVehicle, path: FreePath, times_s: np.ndarray) -> np.ndarray:
    """Footprints at ``times_s``, each segment in closed form (not by the states that the plan writes)."""
    begins = np.concatenate(([0.0], np.cumsum([segment[0] for segment in path.segments])))
    poses = [np.array(path.start)]
    for duration, kappa, speed in path.segments:
        poses.append(_driven(poses[-1], duration * speed, kappa))
    rows = []
    for t in np.minimum(times_s, begins[-1]):
        k = min(int(np.searchsorted(begins, t, side="right")) - 1, len(path.segments) - 1)
        rows.append(
            _driven(poses[k], (t - begins[k]) * path.segments[k][2], path.segments[k][1]) if k >= 0 else poses[0]
        )
    x, y, yaw = np.array(rows).T
    c, s, half = np.cos(yaw), np.sin(yaw), vehicle.width_m / 2.0
    ends = ((vehicle.front_m, half), (vehicle.front_m, -half), (-vehicle.rear_m, -half), (-vehicle.rear_m, half))
    return shapely.polygons(
        np.stack([np.stack((x + u * c - v * s, y + u * s + v * c), axis=1) for u, v in ends], axis=1)
    )


def _driven(pose: np.ndarray, s: float, kappa: float) -> np.ndarray:
    """Complex numbers instead of the planner's sines: a turn about the centre of the circle."""
    place, heading = complex(pose[0], pose[1]), complex(math.cos(pose[2]), math.sin(pose[2]))
    if kappa == 0.0:
        moved = place + heading * s
        return np.array([moved.real, moved.imag, pose[2]])
    centre = place + heading * 1j / kappa
    moved = centre + (place - centre) * complex(math.cos(kappa * s), math.sin(kappa * s))
    return np.array([moved.real, moved.imag, pose[2] + kappa * s])


def shape_of(obstacle: Disc | Polygon) -> BaseGeometry:
    if isinstance(obstacle, Disc):
        # Inscribed polygon of 256 corners: at most 1e-4 of the radius too small.
        return shapely.Point(obstacle.x_m, obstacle.y_m).buffer(obstacle.radius_m, quad_segs=64)
    return shapely.Polygon(obstacle.corners_m)


def faults(problem: FreeSpaceProblem, plan: FreeSpacePlan, dense_s: float = DENSE_S) -> list[str]:
    """Every contact that shapely sees, ends that do not fit, and limits that are broken."""
    found = []
    times = np.arange(0.0, plan.makespan_s + 2.0 * dense_s, dense_s)
    bodies = [outlines(v, path, times) for v, path in zip(problem.vehicles, plan.paths, strict=True)]
    box = shapely.box(*problem.border_m).buffer(1e-9)
    for n, (vehicle, path) in enumerate(zip(problem.vehicles, plan.paths, strict=True)):
        last = path.states(0.1)[-1, 1:]
        off = math.hypot(last[0] - vehicle.goal[0], last[1] - vehicle.goal[1])
        if off > 1e-6 or abs(math.remainder(last[2] - vehicle.goal[2], math.tau)) > 1e-6 or path.start != vehicle.start:
            found.append(f"{vehicle.name} does not go from its start to its goal")
        for _, kappa, speed in path.segments:
            if abs(kappa) > 1.0 / vehicle.turn_radius_m + 1e-12 or abs(speed) > vehicle.speed_mps + 1e-12:
                found.append(f"{vehicle.name} breaks its limits")
        if not shapely.contains_properly(box, bodies[n]).all() and not shapely.within(bodies[n], box).all():
            found.append(f"{vehicle.name} leaves the site")
        found += [
            f"{vehicle.name} meets {obstacle}"
            for obstacle in problem.obstacles
            if shapely.intersects(bodies[n], shape_of(obstacle)).any()
        ]
        found += [
            f"{vehicle.name} meets {problem.vehicles[m].name} at {times[np.argmax(met)]:.2f}"
            for m in range(n)
            if (met := shapely.intersects(bodies[n], bodies[m])).any()
        ]
    return found


def random_problem(seed: int) -> FreeSpaceProblem:
    """1 to 8 vehicles of different size, reach and speed among discs and polygons; poses free of contact."""
    rng = np.random.default_rng(seed)
    size = float(rng.uniform(18.0, 45.0))
    obstacles: list[Disc | Polygon] = []
    for _ in range(int(rng.integers(0, 9))):
        x, y = rng.uniform(0.0, size, 2)
        if rng.random() < 0.5:
            obstacles.append(Disc(float(x), float(y), float(rng.uniform(0.2, 1.8))))
        else:
            count = int(rng.integers(3, 7))
            angles = (np.arange(count) + rng.uniform(0.0, 0.4, count)) * math.tau / count
            reach = rng.uniform(0.5, 2.5, len(angles))
            corners = zip(x + reach * np.cos(angles), y + reach * np.sin(angles), strict=True)
            obstacles.append(Polygon(tuple((float(u), float(v)) for u, v in corners)))
    walls = (
        shapely.union_all([shape_of(obstacle) for obstacle in obstacles]) if obstacles else shapely.Point(-99.0, -99.0)
    )
    taken: dict[str, list[BaseGeometry]] = {"start": [], "goal": []}
    vehicles = []
    for n in range(int(rng.integers(1, 9))):
        front, rear, width = (float(rng.uniform(low, high)) for low, high in ((0.8, 3.2), (0.3, 1.2), (0.8, 2.2)))
        limits = {"turn_radius_m": float(rng.uniform(1.5, 5.0)), "speed_mps": float(rng.uniform(0.5, 3.0))}
        poses: dict[str, Pose] = {}
        for what, others in taken.items():
            for _ in range(200):
                pose = (*(float(v) for v in rng.uniform(0.0, size, 2)), float(rng.uniform(-math.pi, math.pi)))
                probe = FreeVehicle("", pose, pose, front, rear, width, **limits)
                body = outlines(probe, FreePath("", pose, ()), np.zeros(1))[0]
                free = shapely.box(0.05, 0.05, size - 0.05, size - 0.05).contains(body) and walls.distance(body) > 0.05
                if free and all(other.distance(body) > 0.05 for other in others):
                    poses[what] = pose
                    break
        if len(poses) < 2:
            continue
        for what, pose in poses.items():
            probe = FreeVehicle("", pose, pose, front, rear, width, **limits)
            taken[what].append(outlines(probe, FreePath("", pose, ()), np.zeros(1))[0])
        vehicles.append(FreeVehicle(f"v{n}", poses["start"], poses["goal"], front, rear, width, **limits))
    return FreeSpaceProblem(tuple(vehicles), tuple(obstacles), (0.0, 0.0, size, size))
