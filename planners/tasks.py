"""What planning one vehicle starts from: its task, the barrier of what is decided, profiles below it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fleet.errors import PlanError
from planners import _blocking, _profile
from planners._blocking import CELL_MS
from planners._profile import Drive
from planners.blocking import AFTER, CELL_COUNT, Blocking, Obstacle, TableStore, TimeGrid, margin_m
from planners.interface import Body, Conflicts, Refusal, Request
from planners.profile import (
    Sections,
    Start,
    Workspace,
    drive_from,
    knots_sampled,
    profile_knots,
    sampled,
    sections_of,
    size_scale,
    start_at,
)  # fmt: skip
from planners.spacing import COMFORTABLE, Spacing
from planners.timed_path import TimedPath
from planners.zone_map import Floats, MotionLimits, Passage, Path, ZoneMap

AIM_SHORT_M = 0.3
"""Plans stand this far before the line they must not pass (model cars in proportion)."""
EASE = 0.6
"""Share of the braking limit that is used while there is room."""
ROLL_MPS_MIN = 1.0
"""Slower than this a vehicle had better drive on and stand (model cars in proportion)."""
_NEVER = 1e4


@dataclass(frozen=True, slots=True)
class Outset:
    """Where a vehicle starts, and where it may end."""

    path: Path
    sections: Sections
    start: Start
    clear_s_m: float
    """The rear axle has cleared the zone from here on."""
    stop_m: float
    """Where the rear axle should stand in the end, or inf."""
    line_m: float
    """Where it may stand at most."""


@dataclass(frozen=True, slots=True)
class Task:
    """One vehicle to be planned: what all shapes share."""

    body: Body
    path: Path
    sections: Sections
    approach: TimedPath
    start: Start
    clear_s_m: float
    """The rear axle has cleared the zone from here on."""
    stop_m: float
    """Where the rear axle should stand in the end, or inf."""
    line_m: float
    """Where it may stand at most."""
    blocking: Blocking
    grid: TimeGrid
    mark: int = 0
    """The grid's rows from here on are this task's own."""

    @property
    def cell(self) -> int:
        return self.grid.cell(self.start.time_ms)


class Tasks:
    """Tables, sections and scratch space for planning vehicles one by one on a map."""

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        self.zone_map = zone_map
        self.spacing = spacing
        self.tables = TableStore(conflicts)
        self.room = Workspace()
        self._sections: dict[tuple[str, MotionLimits], Sections] = {}
        self._starts: dict[tuple[int, int], tuple[TimedPath, Start]] = {}
        self._rows = np.empty((16, CELL_COUNT + 1))
        self._free = np.empty(CELL_COUNT + 1)
        self._own = np.empty(CELL_COUNT + 1)
        self._braking = np.empty((2, CELL_COUNT + 1))
        self._braking_of: list[Task | None] = [None, None]
        self._con = np.empty((2, CELL_COUNT + 1))
        self._out = np.empty(2)

    def path(self, path_id: str) -> Path:
        """The path of that name; raises :class:`PlanError` if the map has none."""
        path = self.zone_map.paths.get(path_id)
        if path is None:
            raise PlanError(f"path {path_id!r} is not in map {self.zone_map.name!r}")
        return path

    def passage(self, path_id: str, zone_id: str) -> Passage:
        """Where a path passes a zone; raises :class:`PlanError` if it does not."""
        for passage in self.zone_map.passages.get(path_id, ()):
            if passage.zone_id == zone_id:
                return passage
        raise PlanError(f"path {path_id!r} does not pass zone {zone_id!r}")

    def sections(self, path: Path, limits: MotionLimits) -> Sections:
        """:func:`planners.profile.sections_of`, remembered."""
        key = (path.path_id, limits)
        if key not in self._sections:
            self._sections[key] = sections_of(path, limits)
        return self._sections[key]

    def grid(self, base_ms: int) -> TimeGrid:
        """An empty grid of time that starts a second before ``base_ms``."""
        return TimeGrid((base_ms - 1000) // CELL_MS * CELL_MS, self._rows)

    def keep(self, grid: TimeGrid) -> None:
        """The end of a call: take back the grid's rows, which may have grown."""
        self._rows = grid.rows
        self._starts.clear()

    def start(self, request: Request) -> Start:
        """Where the plan of ``request`` may change, remembered until the call ends."""
        key = (id(request.approach), request.switch_ms)
        found = self._starts.get(key)
        if found is None:
            # With the plan itself, so that nobody else gets its number.
            found = self._starts[key] = (request.approach, start_at(request.approach, request.switch_ms))
        return found[1]

    def outset(self, request: Request, grid: TimeGrid) -> Outset | Refusal:
        """Where ``request`` starts and may end."""
        body, approach = request.body, request.approach
        path = self.path(approach.path_id)
        passage = self.passage(path.path_id, request.zone_id)
        clear, front = passage.exit_s_m + body.footprint.rear_m, body.footprint.front_m
        line = request.stop_s_m - front
        if line <= clear:
            return Refusal(body.vehicle, "no_room_before_next_zone")
        stop = max(line - AIM_SHORT_M * size_scale(body), 0.5 * (line + clear))
        start = self.start(request)
        if start.time_ms >= grid.end_ms:
            return Refusal(body.vehicle, "horizon")
        return Outset(path, self.sections(path, body.limits), start, clear, stop, line)

    def task(self, request: Request, obstacles: list[Obstacle], grid: TimeGrid) -> Task | Refusal:
        """Prepare to plan ``request`` against ``obstacles`` (which must not hold the vehicle's own plan)."""
        outset, body = self.outset(request, grid), request.body
        if isinstance(outset, Refusal):
            return outset
        path, start = outset.path, outset.start
        blocking = Blocking(body, path.path_id, obstacles, grid, self.tables, self.spacing)
        task = Task(
            body, path, outset.sections, request.approach, start, outset.clear_s_m, outset.stop_m, outset.line_m,
            blocking, grid, grid.mark(),
        )  # fmt: skip
        self._let_followers_brake(task, blocking.place(start.s_m, task.cell))
        return task

    def _let_followers_brake(self, task: Task, items: list[int]) -> None:
        """Followers without agreement drive on until this vehicle's plan is known, then can brake for it."""
        rows: dict[str, int] = {}
        grid = task.grid
        for item in items:
            follower = task.blocking.obstacles[item]
            if follower.vehicle not in rows:
                rows[follower.vehicle] = row = grid.new_row()
                path, start = self.path(follower.plan.path_id), start_at(follower.plan, task.start.time_ms)
                sections = self.sections(path, follower.body.limits)
                drive = drive_from(start, grid.base_ms, follower.body, path, stop_s_m=math.inf, ease=1.0)
                knots = profile_knots(drive, sections, (0.0, math.inf, _NEVER), self.room)
                knots_sampled(knots, CELL_MS, grid.rows[row])
                known = grid.rows[grid.row(follower)]
                grid.rows[row, : task.cell + 1] = known[: task.cell + 1]
                np.minimum(grid.rows[row], known, out=grid.rows[row])
            task.blocking.items[item, 0] = rows[follower.vehicle]

    def barrier(self, task: Task, *, staying: bool = False) -> tuple[Floats, float] | Refusal:
        """(free [instant], where the rear axle may stand in the end) for the items decided as AFTER.

        ``staying``: the vehicle stays on its approach; buffers that this cannot keep are given up.
        """
        free, blocking = self._free, task.blocking
        free[:] = math.inf
        kept = self._approaching if staying else self.lower
        if (blocking.state == AFTER).any() and not kept(task, free):
            return Refusal(task.body.vehicle, "cannot_stop")
        stop = min(task.stop_m, float(free[-1]) - 2.0 * margin_m(task.body))
        if stop <= task.clear_s_m:
            obstacle = blocking.obstacles[blocking.worst(-1)]
            late = obstacle.plan.end_ms >= task.grid.end_ms
            return Refusal(task.body.vehicle, "horizon" if late else f"blocked_by:{obstacle.vehicle}")
        return free, stop

    def lower(self, task: Task, free: Floats) -> bool:
        """Lower ``free`` to the barrier of what is decided; False if braking is too late for it."""
        for k, ease in enumerate((EASE, 1.0)):
            if self._braking_of[k] is not task:
                drive = self.drive(task, math.inf, ease)
                knots = profile_knots(drive, task.sections, (0.0, math.inf, _NEVER), self.room)
                knots_sampled(knots, CELL_MS, self._braking[k])
                self._braking_of[k] = task
            if task.blocking.lower(task.cell, self._braking[k], free):
                return True
        return False

    def _approaching(self, task: Task, free: Floats) -> bool:
        sampled(task.approach, task.grid.base_ms, CELL_MS, self._own)
        return task.blocking.lower(task.cell, self._own, free)

    def drive(self, task: Task, stop: float, ease: float = EASE) -> Drive:
        """Where the kernels start for ``task``."""
        return drive_from(task.start, task.grid.base_ms, task.body, task.path, stop_s_m=stop, ease=ease)

    def constraints(self, task: Task, free: Floats) -> tuple[Floats, Floats, int]:
        """The barrier ``free`` as the kernels take it."""
        v_max = math.sqrt(float(task.sections.square.max())) + 0.01
        grid = np.array([0.0, CELL_MS * 1e-3])
        count = _blocking.constraints(free, grid, task.cell, v_max, margin_m(task.body), self._con[0], self._con[1])
        return self._con[0], self._con[1], count

    def fastest(self, task: Task, drive: Drive, free: Floats, s_ref: float) -> tuple[Floats | None, float, float]:
        """(smoothed knots or None, tau, time at ``s_ref``) of the earliest profile below ``free``."""
        con_t, con_u, count = self.constraints(task, free)
        sections, work = task.sections, self.room.work(task.sections)
        pieces = _profile.earliest(
            drive, sections.start_m, sections.square, con_t, con_u, count, s_ref, work, self.room.knots, self._out
        )
        return self.room.smoothed(drive, pieces) if pieces else None, float(self._out[0]), float(self._out[1])

    def mildest(
        self, task: Task, drive: Drive, free: Floats, reach: tuple[float, float]
    ) -> tuple[Drive, tuple[float, float, float]] | None:
        """The mildest braking and (v_low, stand, tau) below ``free`` that get to reach[0] (s) by reach[1] (t)."""
        con_t, con_u, count = self.constraints(task, free)
        if not count or drive.v < 0.1 or reach[1] == math.inf:
            return None
        sections, work, shape = task.sections, self.room.work(task.sections), self.room.shape
        wish = np.array([reach[0], reach[1], ROLL_MPS_MIN * size_scale(task.body)])
        found = _profile.gentle(
            drive, sections.start_m, sections.square, con_t, con_u, count, wish, work, self.room.knots, shape
        )
        if not found:
            return None
        return drive._replace(ease=float(shape[3])), (float(shape[0]), float(shape[1]), float(shape[2]))
