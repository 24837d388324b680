"""A free-space problem as arrays for the kernels, and the search of one vehicle's path among others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleet.errors import invariant
from planners import _free_search
from planners._free_maps import contacts, distance_field, gap_to_obstacles, sampled, way_around
from planners._reeds_shepp import reeds_shepp
from planners.free_space import Disc, FixedPoses, Floats, FreeSpaceProblem, FreeVehicle, Unsolved

Ints = npt.NDArray[np.int64]

_STEP_M = 0.265
"""What the fastest vehicle drives from one sample to the next."""
_ARC_RADII = 0.353
"""Length of an arc of the search in turning radii (20 degrees)."""
_BENDS = (0.0, 1.0, -1.0, 0.5, -0.5)
"""Forward curvatures of the search, in shares of the largest; backward only the first three."""
_CELL_M = 0.5
_CELL_YAW_BINS = 36
_BOUND = 1.02
_POLISH = 150
_NODES_LEAST = 100
"""What a search counts at least: setting it up costs that much."""
_SAMPLES, _SAMPLES_MAX = 5_000, 400_000
"""Room for the samples of one path: enough for four times the way across the site, within 16 MB."""
_BEGINNINGS = (0.25, 0.5, 0.75, 1.0)
"""When a vehicle that finds no way at once begins instead, as shares of the time until all others have arrived."""
_COPY_SHARE = 0.2
"""Copies of a route with a slack are this share of the vehicle's length apart."""
_FIXED_STRAY_M = 0.03
"""Between two samples, 0.2 s apart, a body that brakes or turns leaves the straight line by at most this."""
_CORNERS = ((1, 1), (1, -1), (-1, -1), (-1, 1))


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard one search tries: ``weight`` of the estimate (1 is exact, more is greedier), nodes to create at
    most, length of its arcs and size of its cells as shares of the usual, and whether the estimate knows the way
    around obstacles (which costs a map per goal)."""

    weight: float
    nodes_max: int
    fineness: float = 1.0
    around: bool = False


QUICK = Effort(1.5, 4_000)
CAREFUL = Effort(1.1, 4_000)
EFFORTS = (QUICK, Effort(2.0, 15_000, around=True), Effort(2.5, 40_000, fineness=0.5, around=True))
"""Tried in turn until one finds a path: most searches end in the first after a few dozen nodes."""


@dataclass(frozen=True, slots=True)
class Route:
    """A vehicle's path as the kernels use it."""

    vehicle: int
    segments: Floats
    """[segment, 3]: duration, curvature, signed speed."""
    samples: Floats
    """[sample, 5], see ``_footprints``."""
    arrival_s: float


@dataclass(frozen=True, slots=True)
class Blocked:
    """No path was found: ``outcome`` of the search, and how often each other vehicle was in the way."""

    outcome: int
    hits: Ints


class Fleet:
    """The arrays of a problem and the workspaces of its searches. Not for two threads at once."""

    def __init__(self, problem: FreeSpaceProblem) -> None:
        self.problem = problem
        self.count = len(problem.vehicles)
        everybody = (*problem.vehicles, *(one.vehicle for one in problem.fixed))
        self.bodies = np.array([_body(vehicle) for vehicle in everybody]).reshape(len(everybody), 10)
        self.starts = np.array([vehicle.start for vehicle in problem.vehicles], dtype=np.float64).reshape(-1, 3)
        self.goals = np.array([vehicle.goal for vehicle in problem.vehicles], dtype=np.float64).reshape(-1, 3)
        self.capsules = _capsules(problem)
        self.border = np.array(problem.border_m, dtype=np.float64)
        self.searches = 0
        self.nodes = 0
        """Searches made and nodes created so far."""
        speed = max((vehicle.speed_mps for vehicle in problem.vehicles), default=1.0)
        self.step_s = _STEP_M / speed
        low, high = self.border[:2], self.border[2:]
        self.field_cell = min(2.0, max(0.25, float((high - low).max()) / 100.0))
        shape = [max(1, math.ceil(extent / self.field_cell)) for extent in (high - low)[::-1]]
        self.field = np.empty(shape)
        distance_field(self.capsules, self.border, self.field_cell, self.field)
        self._around: dict[int, Floats] = {}
        self.fixed = [self._fixed(self.count + n, one.poses) for n, one in enumerate(problem.fixed)]
        """Vehicles that drive what they drive, whatever is planned."""
        slowest = min((vehicle.speed_mps for vehicle in problem.vehicles), default=1.0)
        rows = math.ceil(4.0 * float((high - low).sum()) / slowest / self.step_s)
        self._work = _Workspace(max(effort.nodes_max for effort in EFFORTS), min(_SAMPLES_MAX, max(_SAMPLES, rows)))

    def body(self, vehicle: int) -> Floats:
        body: Floats = self.bodies[vehicle]
        return body

    def search(self, vehicle: int, others: Sequence[Route], efforts: Sequence[Effort] = EFFORTS) -> Route | Blocked:
        """A path of ``vehicle`` that keeps clear of ``others``, by the first of ``efforts`` that finds one.

        Where vehicles keep a slack in time, they wait long for each other; the search finds that only after
        many nodes. So after the first effort it is tried from later beginnings, and the last is left out.
        """
        answer: Route | Blocked = Blocked(_free_search.EXHAUSTED, np.zeros(len(others), dtype=np.int64))
        waits = self.problem.slack_s > 0.0 and len(efforts) > 1
        for effort in efforts[:-1] if waits else efforts:
            answer = self._search(vehicle, others, effort)
            if isinstance(answer, Route) or answer.outcome == _free_search.GOAL_TAKEN:
                break
            later = self._later(vehicle, others, effort) if waits and effort is efforts[0] else None
            if later is not None:
                return later
        return answer

    def _later(self, vehicle: int, others: Sequence[Route], effort: Effort) -> Route | None:
        """A path that begins when some, or all, of the others have arrived; None: it cannot wait, or finds none."""
        present = [*others, *self.fixed]
        last_s = max((route.arrival_s for route in present), default=0.0) + self.problem.slack_s
        stands = Route(vehicle, np.empty((0, 3)), self._standing(vehicle, self.starts), 0.0)
        met = self.contacts(stands, present)
        met_s = self.step_s * float(met[met >= 0].min()) if (met >= 0).any() else math.inf
        for share in _BEGINNINGS:
            wait = math.ceil(share * last_s / self.step_s)
            if (wait + 1) * self.step_s >= met_s:
                return None
            answer = self._search(vehicle, others, effort, wait) if wait else None
            if isinstance(answer, Route):
                return answer
        return None

    def _search(self, vehicle: int, others: Sequence[Route], effort: Effort, wait: int = 0) -> Route | Blocked:
        """One search, from ``wait`` samples after the beginning on: until then the vehicle stands."""
        self.searches += 1
        owner, work = self.problem.vehicles[vehicle], self._work
        arc_m = effort.fineness * _ARC_RADII * owner.turn_radius_m
        duration = max(1, round(arc_m / (owner.speed_mps * self.step_s)))
        around = self._way_around(vehicle) if effort.around else np.empty((0, 0))
        present = [*others, *self.fixed]
        samples, offsets, whose = self._smeared(present, wait)
        bodies = self.bodies[[present[n].vehicle for n in whose]]
        last_s = max((route.arrival_s for route in present), default=0.0) + self.problem.slack_s - wait * self.step_s
        limit_s = (len(work.scratch) - 2) * self.step_s
        reach_s = float(self.border[2] - self.border[0] + self.border[3] - self.border[1]) / owner.speed_mps
        settings = np.array(
            [
                self.step_s, self.problem.gap_m, self.problem.clearance_m, effort.fineness * _CELL_M,
                effort.fineness * math.tau / _CELL_YAW_BINS, effort.weight,
                _BOUND, self.field_cell, min(last_s + 3.0 * reach_s, limit_s),
                *(float(math.ceil(stood_s / self.step_s - 1e-9)) for stood_s in _stops(owner)),
            ]
        )  # fmt: skip
        hits = np.zeros(len(whose), dtype=np.int64)
        work.stamp += 1
        outcome, count, nodes = _free_search.search(
            self.starts[vehicle], self.goals[vehicle], self.bodies[vehicle], _primitives(owner), duration,
            self.capsules, self.border, self.field, around, samples, offsets, bodies, settings, effort.nodes_max,
            _POLISH,
            work.poses, work.links, work.heap_keys, work.heap_ids, work.table, work.stamp, hits, work.scratch,
            work.segments,
        )  # fmt: skip
        self.nodes += max(int(nodes), _NODES_LEAST)
        if outcome != _free_search.FOUND or count < 0:
            return Blocked(int(outcome), np.bincount(whose, hits, len(present))[: len(others)].astype(np.int64))
        found = work.segments[:count]
        waited = [[wait * self.step_s, 0.0, 0.0]] if wait else np.empty((0, 3))
        return self.route(vehicle, np.concatenate((waited, found)))

    def route(self, vehicle: int, segments: Floats) -> Route:
        count = sampled(self.starts[vehicle], segments, self.step_s, self.bodies[vehicle], self._work.scratch)
        invariant(count > 0, "a path is longer than its samples may be")
        return Route(vehicle, segments, self._work.scratch[:count].copy(), float(segments[:, 0].sum()))

    def shortest_s(self, vehicle: int) -> float:
        """Time of the shortest path without any obstacle."""
        (x, y, yaw), goal = self.starts[vehicle], self.goals[vehicle]
        c, s, k = math.cos(yaw), math.sin(yaw), float(self.bodies[vehicle, 1])
        dx, dy = goal[0] - x, goal[1] - y
        bend, length = np.empty(5), np.empty(5)
        radii = reeds_shepp((dx * c + dy * s) * k, (dy * c - dx * s) * k, goal[2] - yaw, bend, length)
        return float(radii / k / self.bodies[vehicle, 0])

    def contacts(self, route: Route, others: Sequence[Route]) -> Ints:
        """Per other the first sample interval in which it meets ``route``, -1 for never."""
        samples, offsets, whose = self._smeared(others)
        out = np.empty(len(whose), dtype=np.int64)
        bodies = self.bodies[[others[n].vehicle for n in whose]]
        contacts(
            route.samples, self.bodies[route.vehicle], samples, offsets, bodies, self.step_s, self.problem.gap_m, out
        )
        first = np.full(len(others), np.iinfo(np.int64).max)
        np.minimum.at(first, whose[out >= 0], out[out >= 0])
        return np.where(first < np.iinfo(np.int64).max, first, -1)

    def _smeared(self, routes: Sequence[Route], after: int = 0) -> tuple[Floats, Ints, Ints]:
        """Samples of ``routes`` and where each begins; with a slack in time, each some times, earlier and later.

        The third array says which route each is. Copies are so close in time that they overlap in space.
        All begin ``after`` samples after the beginning.
        """
        slack = round(self.problem.slack_s / self.step_s)
        if slack == 0:
            return (*_joined(routes), np.arange(len(routes)))
        copies, whose = [], []
        for n, route in enumerate(routes):
            body = self.bodies[route.vehicle]
            apart = max(1, int(_COPY_SHARE * 2.0 * body[5] / (body[0] * self.step_s)))
            shifts = (0,) if len(route.samples) < 2 else sorted({*range(-slack, slack, apart), 0, slack})
            shifted = [_shifted(_shifted(route.samples, k), -after) for k in shifts]
            copies += [Route(route.vehicle, route.segments, samples, 0.0) for samples in shifted]
            whose += [n] * len(shifts)
        return (*_joined(copies), np.array(whose, dtype=np.int64))

    def misplaced(self) -> list[Unsolved]:
        """Vehicles whose start or goal cannot be: outside, in an obstacle, or on that of another vehicle."""
        out: list[Unsolved] = []
        for what, poses in (("start", self.starts), ("goal", self.goals)):
            stands = [Route(m, np.empty((0, 3)), self._standing(m, poses), 0.0) for m in range(self.count)]
            for n, vehicle in enumerate(self.problem.vehicles):
                reason = self._off_site(n, poses[n]) or self._on_another(stands[n], stands, what)
                if reason and all(one.vehicle != vehicle.name for one in out):
                    x, y, yaw = poses[n]
                    out.append(Unsolved(vehicle.name, f"{what} ({x:g}, {y:g}, {yaw:g}) {reason}"))
        return out

    def _off_site(self, n: int, pose: Floats) -> str | None:
        corners = _outline(self.bodies[n], pose)
        x0, y0, x1, y1 = self.border
        beyond = max(float((self.border[:2] - corners).max()), float((corners - self.border[2:]).max()))
        if beyond > 0.0:
            return f"is outside the site: {beyond:.3f} m beyond [{x0:g}, {x1:g}] x [{y0:g}, {y1:g}]"
        for obstacle in self.problem.obstacles:
            if not isinstance(obstacle, Disc) and _contains(obstacle.corners_m, (float(pose[0]), float(pose[1]))):
                return "is inside an obstacle"
        gap = gap_to_obstacles(pose, self.bodies[n], self.capsules)
        if gap >= self.problem.clearance_m:
            return None
        how = f"overlaps an obstacle by {-gap:.3f} m" if gap < 0.0 else f"is {gap:.4f} m from an obstacle"
        return f"{how}; the least gap is {self.problem.clearance_m:g} m"

    def _on_another(self, own: Route, stands: Sequence[Route], what: str) -> str | None:
        met = [int(m) for m in np.flatnonzero(self.contacts(own, stands) >= 0) if m != own.vehicle]
        return f"overlaps the {what} of {self.problem.vehicles[met[0]].name}" if met else None

    def _standing(self, vehicle: int, poses: Floats) -> Floats:
        out = np.empty((2, 5))
        count = sampled(poses[vehicle], np.empty((0, 3)), self.step_s, self.bodies[vehicle], out)
        return out[:count].copy()

    def _fixed(self, vehicle: int, poses: FixedPoses) -> Route:
        """The route of a vehicle that is not planned for; its samples bulge as an arc of the planner's would."""
        times = self.step_s * np.arange(1 + math.ceil(max(0.0, poses.end_s) / self.step_s))
        x, y, yaw = poses(times)
        body = self.bodies[vehicle]
        c, s = np.cos(yaw), np.sin(yaw)
        stray = np.full(len(times), _FIXED_STRAY_M if len(times) > 1 else 0.0)
        samples = np.column_stack((x + body[6] * c, y + body[6] * s, c, s, stray))
        return Route(vehicle, np.empty((0, 3)), np.ascontiguousarray(samples), float(times[-1]))

    def _way_around(self, vehicle: int) -> Floats:
        if vehicle not in self._around:
            owner, cell = self.problem.vehicles[vehicle], self.field_cell
            out = np.empty_like(self.field)
            row = min(max(int((owner.goal[1] - self.border[1]) / cell), 0), out.shape[0] - 1)
            column = min(max(int((owner.goal[0] - self.border[0]) / cell), 0), out.shape[1] - 1)
            keys, ids = np.empty(8 * out.size + 8), np.empty(8 * out.size + 8, dtype=np.int64)
            inscribed = min(0.5 * owner.width_m, owner.front_m, owner.rear_m)
            way_around(self.field, cell, inscribed, row, column, out, keys, ids)
            self._around[vehicle] = out
        return self._around[vehicle]


class _Workspace:
    """What searches write into, kept between them."""

    def __init__(self, nodes: int, samples: int) -> None:
        self.poses = np.empty((nodes, 3))
        self.links = np.empty((nodes, 3), dtype=np.int64)
        self.heap_keys = np.empty(nodes + 1)
        self.heap_ids = np.empty(nodes + 1, dtype=np.int64)
        self.table = np.zeros((1 << math.ceil(math.log2(2 * nodes)), 2), dtype=np.int64)
        self.stamp = 0
        self.scratch = np.empty((samples, 5))
        self.segments = np.empty((5_000, 3))


def _joined(routes: Sequence[Route]) -> tuple[Floats, Ints]:
    offsets = np.zeros(len(routes) + 1, dtype=np.int64)
    if not routes:
        return np.empty((0, 5)), offsets
    np.cumsum([len(route.samples) for route in routes], out=offsets[1:])
    return np.concatenate([route.samples for route in routes]), offsets


def _shifted(samples: Floats, later: int) -> Floats:
    if later <= 0:
        return samples[min(-later, len(samples) - 1) :]
    return np.concatenate((np.repeat(samples[:1], later, axis=0), samples))


def _stops(vehicle: FreeVehicle) -> tuple[float, float, float]:
    """Seconds that a vehicle stands before it drives off, where it changes gear, and where it stops."""
    ramp_s, dwell_s = vehicle.ramp_s, vehicle.dwell_s
    return ramp_s + dwell_s, 2.0 * ramp_s + dwell_s, ramp_s


def _primitives(vehicle: FreeVehicle) -> Floats:
    kappa, v = 1.0 / vehicle.turn_radius_m, vehicle.speed_mps
    ahead = [(bend * kappa, v) for bend in _BENDS]
    return np.array([*ahead, *((bend * kappa, -v) for bend in _BENDS[:3]), (0.0, 0.0)])


def _body(vehicle: FreeVehicle) -> tuple[float, ...]:
    """In the order of the columns of ``_footprints``."""
    half_length, half_width = 0.5 * (vehicle.front_m + vehicle.rear_m), 0.5 * vehicle.width_m
    offset, kappa = 0.5 * (vehicle.front_m - vehicle.rear_m), 1.0 / vehicle.turn_radius_m
    reach = math.hypot(max(vehicle.front_m, vehicle.rear_m), half_width)
    return (
        vehicle.speed_mps, kappa, vehicle.front_m, vehicle.rear_m, half_width, half_length, offset,
        math.hypot(half_length, half_width), reach, vehicle.speed_mps * math.hypot(1.0, offset * kappa),
    )  # fmt: skip


def _outline(body: Floats, pose: Floats) -> Floats:
    c, s = math.cos(pose[2]), math.sin(pose[2])
    local = np.array([(body[2] if ahead > 0 else -body[3], side * body[4]) for ahead, side in _CORNERS])
    out: Floats = local @ np.array([[c, s], [-s, c]]) + pose[:2]
    return out


def _capsules(problem: FreeSpaceProblem) -> Floats:
    rows: list[tuple[float, ...]] = []
    for obstacle in problem.obstacles:
        if isinstance(obstacle, Disc):
            rows.append((obstacle.x_m, obstacle.y_m, obstacle.x_m, obstacle.y_m, obstacle.radius_m))
        else:
            corners = obstacle.corners_m
            rows += [(*p, *q, 0.0) for p, q in zip(corners, (*corners[1:], corners[0]), strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)


def _contains(corners: Sequence[tuple[float, float]], point: tuple[float, float]) -> bool:
    """Whether the polygon contains the point (even-odd rule)."""
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return inside
