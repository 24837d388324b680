"""The independent verifier: is this joint plan safe, whoever made it. Plain Python and NumPy.

Every vehicle judges every proposal with this before it votes, and each of its own plans before it
drives it. A plan is accepted only if it is *shown* to be safe: undecided is refused. It knows the map,
the bodies and the signed integers, and shares no code with any planner. ``planners/check_fast.py`` is
the same verifier with compiled kernels; docs/reference/verifier.md states what is assumed and shown.

Time. A pair is checked from max(from, both starts) on. After its end a plan that ended at standstill
stands for ever; one that ended in motion goes on at its speed (the path continued straight) and is
gone once its rear bumper is beyond the path's end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from fleet.errors import PlanError
from planners import check_gap, check_limits
from planners.check_track import (
    QUANTUM_M,
    Course,
    Finding,
    Ground,
    Outline,
    course_of,
    malformed,
    sane,
)  # fmt: skip
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget, Passage, ZoneMap

__all__ = ["Finding", "Verifier"]

COURSES_KEPT = 512
"""The same commitments are checked again at every proposal; a large junction holds about a hundred."""
SETTLE_S = 0.5
"""The tracking loop takes out a speed error with about this time constant, so it adds dv x SETTLE_S of position."""
LINE_TOLERANCE_M = 0.005
"""A front bumper this far beyond a line counts as standing at it: the plan's rounding may put it there."""


class Verifier:
    """Checks plans on one map.

    Parameters
    ----------
    zone_map : ZoneMap
        Raises :class:`PlanError` if one of its paths is not finite.
    """

    def __init__(self, zone_map: ZoneMap) -> None:
        self._grounds: dict[str, Ground] = {key: Ground.of(path) for key, path in zone_map.paths.items()}
        self._course = lru_cache(COURSES_KEPT)(course_of)

    def limits(self, body: Body, plan: TimedPath) -> tuple[Finding, ...]:
        """What the plan asks of its vehicle and of the law that it may not ask; empty if nothing.

        At most one finding of each kind, the first in time. Speed may exceed the lower of legal and
        vehicle limit by 0.05 m/s + 1 %; a plan that starts too fast is excused while it brakes by at
        least half its limit from 0.5 s on. The rule on jerk is stated in ``planners/check_limits.py``.
        """
        wrong = self._unusable(body, plan)
        if wrong is not None:
            return (wrong,)
        course, ground = self._course(plan), self._grounds[plan.path_id]
        return check_limits.findings_of(check_limits.violations(course, ground, body), plan.vehicle, plan.t0_ms)

    def pair(self, a: Commitment, b: Commitment, *, from_ms: int) -> Finding | None:
        """The first overlap of the inflated outlines at or after ``from_ms``, or None if shown to be clear."""
        wrong = self._unusable(a.body, a.plan) or self._unusable(b.body, b.plan)
        if wrong is not None:
            return wrong
        ref_ms = max(from_ms, a.plan.t0_ms, b.plan.t0_ms)
        status, t, value = check_gap.sweep(self._mover(a, ref_ms), self._mover(b, ref_ms))
        return _pair_finding(status, a.plan.vehicle, b.plan.vehicle, ref_ms * 1e-3 + t, value)

    def joint(self, plans: Sequence[Commitment], others: Sequence[Commitment], *, from_ms: int) -> tuple[Finding, ...]:
        """Limits of ``plans``, all pairs among them, and all pairs of ``plans`` with ``others``.

        A commitment in ``others`` of a vehicle that has a plan here is what the plan replaces, and is
        left out. Two plans of one vehicle are a finding (``segments``). A pair with a malformed plan
        is not checked further; its finding already refuses.
        """
        findings = [finding for c in plans for finding in self.limits(c.body, c.plan)]
        findings += _duplicates(plans)
        findings += [f for c in others if (f := self._unusable(c.body, c.plan)) is not None]
        for a, b in self._pairs(plans, others):
            finding = self.pair(a, b, from_ms=from_ms)
            if finding is not None:
                findings.append(finding)
        return tuple(findings)

    def clears(self, c: Commitment, passage: Passage) -> tuple[float, float] | None:
        """(time at which the front bumper crosses the line, time at which the rear bumper is beyond the exit).

        Seconds on the fleet's clock, of the nominal body. None if the plan never crosses the line (or is
        not on this path); the second is inf if it stays inside, the first is the plan's start if it
        begins inside.
        """
        if passage.path_id != c.plan.path_id or self._unusable(c.body, c.plan) is not None:
            return None
        course, footprint = self._course(c.plan), c.body.footprint
        line_s, t0_s = passage.line_s_m - footprint.front_m, c.plan.t0_ms * 1e-3
        if course.time_at(line_s + LINE_TOLERANCE_M) == math.inf:
            return None
        return t0_s + course.time_at(line_s), t0_s + course.time_at(passage.exit_s_m + footprint.rear_m)

    def start_matches(
        self, plan: TimedPath, s_m: float, v_mps: float, now_ms: int, budget: ErrorBudget
    ) -> Finding | None:
        """Is the vehicle where ``plan`` says it is now: |ds| + 0.5 s |dv| within the longitudinal budget.

        ``s_m`` is of the rear axle along the plan's path. Before the plan's start its first speed is
        extended backwards.
        """
        wrong = malformed(plan) or self._off_map(plan)
        if wrong is not None:
            return wrong
        planned_s, planned_v, _ = self._course(plan).at((now_ms - plan.t0_ms) * 1e-3)
        error = abs(planned_s - s_m) + SETTLE_S * abs(planned_v - v_mps)
        allowed = budget.longitudinal_m + QUANTUM_M
        return None if error <= allowed else Finding("start", plan.vehicle, "", now_ms * 1e-3, error, allowed)

    def contingency(
        self, body: Body, s_m: float, v_mps: float, stop_s_m: float, *, delay_s: float, brake_mps2: float
    ) -> Finding | None:
        """Can the front bumper stand at or before ``stop_s_m``: ``delay_s`` at constant speed, then braking.

        Nothing is inflated here: the caller passes the state it must assume. ``time_s`` of the finding is
        the time until standstill.
        """
        if not (brake_mps2 > 0.0 and delay_s >= 0.0):
            raise PlanError(f"contingency: brake_mps2 = {brake_mps2:g} must be > 0 and delay_s = {delay_s:g} >= 0")
        v = math.nan if math.isnan(v_mps) else max(0.0, v_mps)
        reach = s_m + body.footprint.front_m + v * delay_s + 0.5 * v * v / brake_mps2
        if reach <= stop_s_m:
            return None
        return Finding("zone", body.vehicle, "", delay_s + v / brake_mps2, reach, stop_s_m)

    def _unusable(self, body: Body, plan: TimedPath) -> Finding | None:
        wrong = malformed(plan) or self._off_map(plan)
        if wrong is not None:
            return wrong
        at, ground, s0_m = plan.t0_ms * 1e-3, self._grounds[plan.path_id], plan.s0_mm * 1e-3
        if not sane(body) or body.vehicle != plan.vehicle:
            return Finding("segments", plan.vehicle, "", at, math.nan, math.nan)
        if s0_m < -body.footprint.length_m:
            return Finding("path", plan.vehicle, "", at, s0_m, -body.footprint.length_m)
        if s0_m > ground.length_m + body.footprint.length_m:
            return Finding("path", plan.vehicle, "", at, s0_m, ground.length_m + body.footprint.length_m)
        return None

    def _off_map(self, plan: TimedPath) -> Finding | None:
        if plan.path_id in self._grounds:
            return None
        return Finding("path", plan.vehicle, "", plan.t0_ms * 1e-3, math.nan, math.nan)

    def _mover(self, c: Commitment, ref_ms: int) -> check_gap.Mover:
        course, ground = self._course(c.plan), self._grounds[c.plan.path_id]
        shift = (c.plan.t0_ms - ref_ms) * 1e-3
        gone = shift + gone_s(course, ground, c.body)
        pieces = tuple((shift + t, s, v, a) for t, s, v, a in course.pieces)
        return check_gap.Mover(ground, Outline.of(c.body, ground), pieces, gone)

    def _pairs(self, plans: Sequence[Commitment], others: Sequence[Commitment]) -> list[tuple[Commitment, Commitment]]:
        planned = {c.plan.vehicle for c in plans}
        rest = [c for c in others if c.plan.vehicle not in planned]
        usable = [c for c in plans if self._unusable(c.body, c.plan) is None]
        others_usable = [c for c in rest if self._unusable(c.body, c.plan) is None]
        return [
            (a, b)
            for k, a in enumerate(usable)
            for b in (*usable[k + 1 :], *others_usable)
            if a.plan.vehicle != b.plan.vehicle
        ]


def gone_s(course: Course, ground: Ground, body: Body) -> float:
    """When (s after t0) the rear bumper is beyond the path's end; inf for a body that stands before."""
    return course.time_at(ground.length_m + body.footprint.rear_m)


def _pair_finding(status: int, a: str, b: str, time_s: float, value: float) -> Finding | None:
    if status == check_gap.CLEAR:
        return None
    if status == check_gap.OVERLAP:
        return Finding("overlap", a, b, time_s, value, 0.0)
    return Finding("undecided", a, b, time_s, value, float(check_gap.EVALUATION_COUNT_MAX))


def _duplicates(plans: Sequence[Commitment]) -> list[Finding]:
    seen: set[str] = set()
    out = []
    for c in plans:
        if c.plan.vehicle in seen:
            out.append(Finding("segments", c.plan.vehicle, c.plan.vehicle, c.plan.t0_ms * 1e-3, 2.0, 1.0))
        seen.add(c.plan.vehicle)
    return out
