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

import numpy as np

from planners._blocking import CELL_MS
from planners._profile import Drive
from planners.blocking import AFTER, BEFORE, UNDECIDED, margin_m
from planners.interface import Refusal
from planners.profile import Start, arrays_of, drive_from, knots_sampled, profile_knots, sampled, start_at
from planners.rounding import integer_plan
from planners.tasks import EASE, Task, Tasks
from planners.timed_path import SEGMENT_COUNT_MAX, TimedPath
from planners.zone_map import Floats

GENTLE_LOSS_S = 0.1
"""What a milder way to wait may cost at the exit of the zone."""
_RETRIES = 4
_RETRY_S = 0.03


class Sequential(Tasks):
    """Plans one vehicle at a time against plans that are fixed."""

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
        verdict = ""
        for shaped, shape in shapes:
            plan, verdict = self._tried(task, shaped, shape, free)
            if not verdict:
                return plan
        late = self.late(task, task.start.time_ms)
        if isinstance(late, TimedPath):
            return late
        return Refusal(task.body.vehicle, "cannot_stop" if verdict == "barrier" else verdict)

    def _tried(
        self, task: Task, drive: Drive, shape: tuple[float, float, float], free: Floats
    ) -> tuple[TimedPath, str]:
        """One shape in integers and what the checks say, a little later where rounding passed the barrier."""
        v_low, stand, until = shape
        plan, verdict = task.approach, "barrier"
        for retry in range(_RETRIES):
            again = drive._replace(stop=drive.stop - retry * margin_m(task.body))
            later = until + retry * _RETRY_S if until > drive.t else until
            knots = profile_knots(again, task.sections, (v_low, stand, later), self.room)
            plan = self.rounded(task, task.start, knots)
            verdict = self.check(task, plan, free)
            if verdict != "barrier":
                return plan, verdict
        return plan, verdict

    def late(self, task: Task, go_ms: int) -> TimedPath | Refusal:
        """Stay on the approach until as early as possible, not before ``go_ms``; then as fast as can be."""
        for _ in range(len(task.blocking.state) + 1):
            found = self.barrier(task, staying=True)
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
                    over = self._over(task, self._staying(task, middle, stop), free)
                    low, high = (middle, high) if over else (low, middle)
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
        drive = drive_from(start, task.grid.base_ms, task.body, task.path, stop_s_m=stop, ease=EASE)
        knots = profile_knots(drive, task.sections, (math.inf, math.inf, drive.t), self.room)
        return self.rounded(task, start, knots)

    def rounded(self, task: Task, start: Start, knots: Floats) -> TimedPath:
        """The integer plan that continues ``task.approach`` from ``start`` by ``knots``."""
        return integer_plan(task.body, task.path, task.approach, start, knots)

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
