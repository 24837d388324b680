"""Plan one vehicle against plans that are fixed: the step that sequential planners repeat.

The vehicle starts with the fastest profile. While that meets a fixed plan, with buffers on both sides,
passing after that plan is decided and the earliest profile behind the new barrier is found; so a gap
*before* a fixed plan is used where there is room. Three shapes are then tried for what was decided: the
gentlest that loses almost nothing, braking first (highest speed as the barrier opens), and staying on
the approach as long as needed, which no follower on the same lane can object to. Whatever is found is
rounded to integers and checked once more as such.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fleet.errors import PlanError
from planners import _blocking, _profile
from planners._blocking import CELL_MS
from planners._profile import Drive
from planners.blocking import AFTER, BEFORE, CELL_COUNT, UNDECIDED, Blocking, Obstacle, TableStore, TimeGrid, margin_m
from planners.interface import Body, Conflicts, Refusal, Request
from planners.profile import (
    Sections, Start, Workspace, arrays_of, drive_from, integer_plan, knots_sampled, profile_knots, sampled, sections_of,
    size_scale, start_at,
)  # fmt: skip
from planners.timed_path import SEGMENT_COUNT_MAX, TimedPath
from planners.zone_map import Floats, MotionLimits, Passage, Path, ZoneMap

AIM_SHORT_M = 0.3
"""Plans stand this far before the line they must not pass (model cars in proportion)."""
GENTLE_LOSS_S = 0.1
"""What a milder way to wait may cost at the exit of the zone."""
_EASE = 0.6
"""Share of the braking limit that is used while there is room."""
_ROLL_MPS_MIN = 1.0
"""Slower than this a vehicle had better drive on and stand (model cars in proportion)."""
_NEVER = 1e4
_RETRIES = 4
_RETRY_S = 0.03


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


class Sequential:
    """Tables, sections and scratch space for planning vehicles one by one on a map."""

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts) -> None:
        self.zone_map = zone_map
        self.tables = TableStore(conflicts)
        self.room = Workspace()
        self._sections: dict[tuple[str, MotionLimits], Sections] = {}
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
        """Take back a grid's rows, which may have grown."""
        self._rows = grid.rows

    def task(self, request: Request, obstacles: list[Obstacle], grid: TimeGrid) -> Task | Refusal:
        """Prepare to plan ``request`` against ``obstacles`` (which must not hold the vehicle's own plan)."""
        body, approach = request.body, request.approach
        path = self.path(approach.path_id)
        passage = self.passage(path.path_id, request.zone_id)
        clear, front = passage.exit_s_m + body.footprint.rear_m, body.footprint.front_m
        line = request.stop_s_m - front
        if line <= clear:
            return Refusal(body.vehicle, "no_room_before_next_zone")
        stop = max(line - AIM_SHORT_M * size_scale(body), 0.5 * (line + clear))
        start = start_at(approach, request.switch_ms)
        blocking = Blocking(body, path.path_id, obstacles, grid, self.tables)
        sections = self.sections(path, body.limits)
        task = Task(body, path, sections, approach, start, clear, stop, line, blocking, grid, grid.mark())
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

    # What is decided, and the barrier that follows from it.

    def barrier(self, task: Task) -> tuple[Floats, float] | Refusal:
        """(free [instant], where the rear axle may stand in the end) for the items decided as AFTER."""
        free, blocking = self._free, task.blocking
        free[:] = math.inf
        if (blocking.state == AFTER).any() and not self.lower(task, free):
            return Refusal(task.body.vehicle, "cannot_stop")
        stop = min(task.stop_m, float(free[-1]) - 2.0 * margin_m(task.body))
        if stop <= task.clear_s_m:
            obstacle = blocking.obstacles[blocking.worst(-1)]
            late = obstacle.plan.end_ms >= task.grid.end_ms
            return Refusal(task.body.vehicle, "horizon" if late else f"blocked_by:{obstacle.vehicle}")
        return free, stop

    def lower(self, task: Task, free: Floats) -> bool:
        """Lower ``free`` to the barrier of what is decided; False if braking is too late for it."""
        for k, ease in enumerate((_EASE, 1.0)):
            if self._braking_of[k] is not task:
                drive = self.drive(task, math.inf, ease)
                knots = profile_knots(drive, task.sections, (0.0, math.inf, _NEVER), self.room)
                knots_sampled(knots, CELL_MS, self._braking[k])
                self._braking_of[k] = task
            if task.blocking.lower(task.cell, self._braking[k], free):
                return True
        return False

    def drive(self, task: Task, stop: float, ease: float = _EASE) -> Drive:
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
        wish = np.array([reach[0], reach[1], _ROLL_MPS_MIN * size_scale(task.body)])
        found = _profile.gentle(
            drive, sections.start_m, sections.square, con_t, con_u, count, wish, work, self.room.knots, shape
        )
        if not found:
            return None
        return drive._replace(ease=float(shape[3])), (float(shape[0]), float(shape[1]), float(shape[2]))

    # The shapes.

    def early(self, task: Task) -> TimedPath | Refusal:
        """Decide what to pass after, then the gentlest shape of it that the checks accept."""
        for _ in range(len(task.blocking.state) + 1):
            found = self.barrier(task)
            if isinstance(found, Refusal):
                return found
            free, stop = found
            drive = self.drive(task, stop)
            s_ref = task.clear_s_m if task.clear_s_m > drive.s else min(stop - 0.1, drive.gone)
            knots, tau, t_ref = self.fastest(task, drive, free, s_ref)
            if knots is None:
                return Refusal(task.body.vehicle, "cannot_stop")
            knots_sampled(knots, CELL_MS, self._own)
            item = task.blocking.clash(self._own, task.cell, wanted=UNDECIDED, hard=False)
            if item < 0:
                return self._shaped(task, free, stop, (tau, s_ref, t_ref))
            task.blocking.state[item] = AFTER
        return Refusal(task.body.vehicle, "horizon")

    def _shaped(self, task: Task, free: Floats, stop: float, reach: tuple[float, float, float]) -> TimedPath | Refusal:
        """The first shape that passes the checks: gentle, braking first, late."""
        tau, s_ref, t_ref = reach
        drive = self.drive(task, stop)
        shapes = [(drive._replace(ease=drive.brake), (0.0, math.inf, tau))]
        if tau > drive.t:
            mild = self.mildest(task, drive, free, (s_ref, t_ref + GENTLE_LOSS_S))
            shapes = [*([] if mild is None else [mild]), *shapes]
        for drive, (v_low, stand, until) in shapes:
            for retry in range(_RETRIES):
                again = drive._replace(stop=stop - retry * margin_m(task.body))
                shape = (v_low, stand, until + retry * _RETRY_S if until > drive.t else until)
                plan = self.rounded(task, task.start, profile_knots(again, task.sections, shape, self.room))
                verdict = self.check(task, plan, free)
                if verdict != "barrier":
                    break
            if not verdict:
                return plan
        late = self.late(task, task.start.time_ms)
        if isinstance(late, TimedPath):
            return late
        return Refusal(task.body.vehicle, "cannot_stop" if verdict == "barrier" else verdict)

    def late(self, task: Task, go_ms: int) -> TimedPath | Refusal:
        """Stay on the approach until as early as possible, not before ``go_ms``; then as fast as can be."""
        for _ in range(len(task.blocking.state) + 1):
            found = self.barrier(task)
            if isinstance(found, Refusal):
                return found
            free, stop = found
            ends = np.flatnonzero(free[task.cell :] < math.inf)
            first = max(go_ms, task.start.time_ms)
            last = max(first, task.grid.base_ms + (task.cell + int(ends[-1]) + 2) * CELL_MS if len(ends) else 0)
            plan = self._staying(task, first, stop)
            if self._over(task, plan, free):
                low, high = first, last
                while high - low > 10:
                    middle = (low + high) // 2
                    low, high = (middle, high) if self._over(task, self._staying(task, middle, stop), free) else (low, middle)
                plan = self._staying(task, high, stop)
                if self._over(task, plan, free):
                    return Refusal(task.body.vehicle, "cannot_stop")
            verdict = self.check(task, plan, free)
            if not verdict:
                return plan
            item = task.blocking.clash(self._own, task.cell, wanted=UNDECIDED, hard=False)
            if item < 0:
                return Refusal(task.body.vehicle, verdict)
            task.blocking.state[item] = AFTER
        return Refusal(task.body.vehicle, "horizon")

    def _staying(self, task: Task, go_ms: int, stop: float) -> TimedPath:
        start = start_at(task.approach, go_ms)
        drive = drive_from(start, task.grid.base_ms, task.body, task.path, stop_s_m=stop, ease=_EASE)
        knots = profile_knots(drive, task.sections, (math.inf, math.inf, drive.t), self.room)
        return self.rounded(task, start, knots)

    def rounded(self, task: Task, start: Start, knots: Floats) -> TimedPath:
        """The integer plan that continues ``task.approach`` from ``start`` by ``knots``."""
        return integer_plan(task.body.vehicle, task.path, task.approach, start, knots, task.body)

    # What every answer is checked for, as integers.

    def _over(self, task: Task, plan: TimedPath, free: Floats) -> bool:
        sampled(plan, task.grid.base_ms, CELL_MS, self._own)
        return bool((self._own[task.cell + 1 :] > free[task.cell : -1] + 1e-6).any())

    def check(self, task: Task, plan: TimedPath, free: Floats) -> str:
        """Why ``plan`` is no answer, or an empty string."""
        if plan.end_ms >= task.grid.end_ms or len(plan.segments) > SEGMENT_COUNT_MAX:
            return "horizon"
        if self._over(task, plan, free):
            return "barrier"
        s_end = float(arrays_of(plan).s_m[-1])
        if s_end <= task.clear_s_m:
            return "horizon"
        if s_end > task.line_m:
            return "cannot_stop"
        item = task.blocking.clash(self._own, task.cell, wanted=BEFORE, hard=True)
        if item >= 0:
            return self._already(task, item)
        item = task.blocking.clash(self._own, task.cell, wanted=UNDECIDED, hard=False)
        return f"blocked_by:{task.blocking.obstacles[item].vehicle}" if item >= 0 else ""

    def _already(self, task: Task, item: int) -> str:
        """The vehicle is ahead of ``item`` and meets it: at its very start, or because it is too slow?"""
        until = self._own.copy()
        until[task.cell + 2 :] = math.inf
        again = task.blocking.clash(until, task.cell, wanted=BEFORE, hard=True)
        reason = "start_in_conflict" if again >= 0 else "blocked_by"
        return f"{reason}:{task.blocking.obstacles[item if again < 0 else again].vehicle}"
