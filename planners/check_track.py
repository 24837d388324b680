"""What the verifier checks, in the form in which it checks it: findings, grounds, courses and outlines.

A *ground* is a path of the map as piecewise-linear geometry with bounds on how much it turns; a
*course* is a TimedPath as pieces of constant acceleration along which s never decreases; an *outline*
is a footprint with everything added that the body may be off by. Nothing here is shared with the
planner: a defect in the planner's geometry or arithmetic must not excuse itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError
from planners.interface import Body
from planners.timed_path import DURATION_MS_MAX, SEGMENT_COUNT_MAX, TimedPath
from planners.zone_map import Path

Floats = npt.NDArray[np.float64]
Piece = tuple[float, float, float, float]

YAW_ERROR_RAD = 0.01
"""Heading error: three standard deviations of the localisation that ships (0.003 rad), rounded up."""
CLOCK_ERROR_S = 0.005
"""How far a vehicle's clock may be from the fleet's; it moves the body by that time's travel."""
QUANTUM_M = 0.001
"""TimedPaths carry millimetres, and millisecond knots and rounded accelerations add about as much."""
SLACK_M = 0.001
"""Added to each outline and given back between two evaluations, so that steps never become zero."""
STAND_MPS = 0.02
"""Rounding a stop to ms and mm/s2 leaves up to this speed: 4.5 m/s2 x 1 ms + 0.5 mm/s2 x 30 s."""
BACKSLIDE_M = 0.001
"""How far a rounded stop may roll back before it counts as reversing."""
_INT_MAX = 2**40
_BODY_MAX = 1e6

UNITS = {
    "overlap": "m", "speed": "m/s", "accel": "m/s2", "brake": "m/s2", "lateral": "m/s2", "jerk": "m/s2",
    "start": "m", "end": "m/s", "path": "m", "segments": "", "undecided": "evaluations", "zone": "m",
}  # fmt: skip

S0, X, Y, YAW, CX, CY, BEND, TURN, SWAY, KAPPA, LEGAL = range(11)
"""Columns of a ground's table."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a plan is not accepted.

    Attributes
    ----------
    kind : str
        ``overlap`` (value: gap of the inflated outlines), ``undecided`` (evaluations used; counts as
        refusal), ``speed``, ``accel``, ``brake``, ``lateral`` (motion limits), ``jerk`` (step of
        acceleration), ``start`` (not where the body is), ``end`` (neither stands nor has left),
        ``path`` (unknown, or started off it), ``segments`` (malformed plan or body), ``zone`` (cannot
        stop at a line).
    vehicle, other : str
        Who; ``other`` is empty where only one vehicle is concerned.
    time_s : float
        When, on the fleet's clock.
    value, limit : float
        What was found and what would have been accepted, in the kind's unit.
    """

    kind: str
    vehicle: str
    other: str
    time_s: float
    value: float
    limit: float

    def __str__(self) -> str:
        who = f"{self.vehicle} and {self.other}" if self.other else self.vehicle
        unit = UNITS.get(self.kind, "")
        text = f"{self.kind}: {who} at {self.time_s:.3f} s: {self.value:.4g} {unit}".rstrip()
        return f"{text}, limit {self.limit:.4g} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Ground:
    """A path as bins of its sampling, one row each, extended straight before its start and after its end.

    ``table``: float64 [bin, 11]. Bin 0 lies before the start, bin k + 1 between points k and k + 1, the
    last one after the end. In a bin, with d = s - S0: position (X, Y) + d (CX, CY), yaw YAW + d BEND
    (not wrapped). TURN is the sum of the changes of (CX, CY) up to the bin and SWAY that of yaw up to
    its first point; their differences bound how far position and heading leave a straight motion.
    KAPPA (absolute) and LEGAL are curvature and speed limit at the bin's first point.
    """

    length_m: float
    step_m: float
    table: Floats
    rows: tuple[tuple[float, ...], ...]
    """The same table for scalar code."""
    sagitta_m: float
    """Most that an arc bulges from its chord between two points: max kappa step^2 / 8."""
    yaw_sag_rad: float
    """Most that heading leaves its linear interpolation: max change of kappa x step / 8."""

    @staticmethod
    def of(path: Path) -> Ground:
        """Tabulate ``path``; raises :class:`PlanError` if it has under two points or is not finite."""
        columns = (path.x_m, path.y_m, path.yaw_rad, path.kappa_1pm, path.limit_mps)
        count = len(path.x_m)
        if count < 2 or path.step_m <= 0.0 or not all(len(c) == count and np.isfinite(c).all() for c in columns):
            raise PlanError(f"path {path.path_id}: needs at least 2 finite points of equal count, step_m > 0")
        step, yaw = path.step_m, np.unwrap(path.yaw_rad)
        table = np.zeros((count + 1, 11))
        point = np.concatenate([[0], np.arange(count)])
        table[:, S0] = point * step
        table[:, X], table[:, Y], table[:, YAW] = path.x_m[point], path.y_m[point], yaw[point]
        table[:, KAPPA], table[:, LEGAL] = np.abs(path.kappa_1pm[point]), path.limit_mps[point]
        table[1:count, CX], table[1:count, CY] = np.diff(path.x_m) / step, np.diff(path.y_m) / step
        table[1:count, BEND] = np.diff(yaw) / step
        for end in (0, count):
            table[end, CX], table[end, CY] = math.cos(table[end, YAW]), math.sin(table[end, YAW])
        table[1:, TURN] = np.cumsum(np.hypot(np.diff(table[:, CX]), np.diff(table[:, CY])))
        table[2:, SWAY] = np.cumsum(np.abs(np.diff(yaw)))
        table.setflags(write=False)
        sagitta = float(table[:, KAPPA].max()) * step * step / 8.0
        yaw_sag = float(np.abs(np.diff(path.kappa_1pm)).max()) * step / 8.0
        return Ground((count - 1) * step, step, table, tuple(map(tuple, table.tolist())), sagitta, yaw_sag)

    def row(self, s_m: float) -> tuple[float, ...]:
        """The row of the bin that holds ``s_m``."""
        k = math.floor(min(max(s_m / self.step_m, -1.0), float(len(self.rows) - 2)))
        return self.rows[k + 1]


@dataclass(frozen=True, slots=True)
class Course:
    """A TimedPath as pieces (t, s, v, a): t in seconds after ``t0_ms``, s and v at the piece's start.

    s never decreases and v is never negative. The last piece begins at the plan's end and lasts for
    ever: standing, or at constant speed if the plan ended in motion.
    """

    t0_ms: int
    pieces: tuple[Piece, ...]
    segments: tuple[tuple[float, float, float, bool], ...]
    """As signed: (start, dt, a, whether the body stands throughout), for the rule on jerk."""
    end_s: float
    v_end_mps: float
    """Speed at the plan's end before a remainder of rounding is taken for standstill."""
    reverse_mps: float
    """Lowest speed the signed segments ask for where that is reversing, else 0."""
    reverse_s: float

    def time_at(self, s_m: float) -> float:
        """First time (s after t0) at which the body is at or beyond ``s_m``; inf if never."""
        for k, (t, s, v, a) in enumerate(self.pieces):
            if s >= s_m:
                return t
            last = k + 1 == len(self.pieces)
            if last:
                return t + (s_m - s) / v if v > 0.0 else math.inf
            if self.pieces[k + 1][1] >= s_m:
                root = math.sqrt(max(0.0, v * v + 2.0 * a * (s_m - s)))
                return min(t + 2.0 * (s_m - s) / (v + root) if v + root > 0.0 else t, self.pieces[k + 1][0])
        return math.inf

    def at(self, t_s: float) -> tuple[float, float, float]:
        """(s_m, v_mps, a_mps2) at ``t_s`` after t0; constant speed is taken before."""
        k = 0
        while k + 1 < len(self.pieces) and self.pieces[k + 1][0] <= t_s:
            k += 1
        t, s, v, a = self.pieces[k]
        d = t_s - t
        return (s + v * d, v, 0.0) if d < 0.0 else (s + v * d + 0.5 * a * d * d, v + a * d, a)


def malformed(plan: TimedPath) -> Finding | None:
    """The plan's integers are out of the ranges that the wire form and a plan may have."""
    duration = sum(dt for dt, _ in plan.segments)
    values = (plan.t0_ms, abs(plan.s0_mm), plan.v0_mmps, *(abs(a) for _, a in plan.segments))
    at = plan.t0_ms * 1e-3
    if len(plan.segments) > SEGMENT_COUNT_MAX:
        return Finding("segments", plan.vehicle, "", at, float(len(plan.segments)), float(SEGMENT_COUNT_MAX))
    if any(dt <= 0 for dt, _ in plan.segments) or not 0 <= duration <= DURATION_MS_MAX:
        return Finding("segments", plan.vehicle, "", at, float(duration), float(DURATION_MS_MAX))
    if plan.v0_mmps < 0 or plan.t0_ms < 0 or max(values) >= _INT_MAX:
        return Finding("segments", plan.vehicle, "", at, float(max(values, key=abs)), float(_INT_MAX))
    return None


def course_of(plan: TimedPath) -> Course:
    """The pieces of a plan that is not :func:`malformed`."""
    t, s, v = 0.0, plan.s0_mm * 1e-3, plan.v0_mmps * 1e-3
    pieces: list[Piece] = []
    segments: list[tuple[float, float, float, bool]] = []
    reverse, reverse_s, elapsed_ms = 0.0, 0.0, 0
    for dt_ms, a_mmps2 in plan.segments:
        a, dt = a_mmps2 * 1e-3, dt_ms * 1e-3
        after = v + a * dt
        segments.append((t, dt, a, v <= STAND_MPS and a == 0.0))
        if after >= 0.0:
            pieces.append((t, s, v, a))
            s += v * dt + 0.5 * a * dt * dt
        else:
            if -after > STAND_MPS or after * after > -2.0 * a * BACKSLIDE_M:
                reverse, reverse_s = min((reverse, reverse_s), (after, t + dt))
            if v > 0.0:
                pieces.append((t, s, v, a))
                s += -0.5 * v * v / a
            pieces.append((t - v / a, s, 0.0, 0.0))
        v, elapsed_ms = max(0.0, after), elapsed_ms + dt_ms
        t = elapsed_ms * 1e-3
    pieces.append((t, s, 0.0 if v <= STAND_MPS else v, 0.0))
    return Course(plan.t0_ms, tuple(pieces), tuple(segments), t, v, reverse, reverse_s)


@dataclass(frozen=True, slots=True)
class Outline:
    """An inflated footprint in frame B: reaches ``front_m`` ahead, ``back_m`` behind, ``half_m`` to each side."""

    front_m: float
    back_m: float
    half_m: float

    @staticmethod
    def of(body: Body, ground: Ground) -> Outline:
        """Footprint + tracking and localisation + yaw error + quantisation + sampling of the path + slack.

        The clock's share depends on speed and is added where the speed is known.
        """
        print_, budget = body.footprint, body.budget
        swing = math.sin(YAW_ERROR_RAD) * 0.5
        reach = max(print_.front_m, print_.rear_m)
        always = QUANTUM_M + SLACK_M + ground.sagitta_m + reach * ground.yaw_sag_rad
        along = budget.longitudinal_m + print_.width_m * swing + always
        across = budget.lateral_m + print_.length_m * swing + always
        return Outline(print_.front_m + along, print_.rear_m + along, 0.5 * print_.width_m + across)


def sane(body: Body) -> bool:
    """Every number of ``body`` is positive (errors and overhang: not negative), finite and not absurd."""
    f, b, m = body.footprint, body.budget, body.limits
    positive = (f.length_m, f.width_m, m.speed_mps_max, m.accel_mps2_max, m.brake_mps2_max,
                m.lateral_accel_mps2_max, m.jerk_mps3_max)  # fmt: skip
    return (
        all(0.0 < value <= _BODY_MAX for value in positive)
        and all(0.0 <= value <= _BODY_MAX for value in (f.rear_m, b.lateral_m, b.longitudinal_m))
        and f.rear_m <= f.length_m
    )
