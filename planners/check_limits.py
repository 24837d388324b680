"""Is one plan drivable: motion limits, the rule on jerk, and a proper end. Plain NumPy.

Speed squared is linear in s within a piece of constant acceleration, so speed is checked at the points
of the path that the body passes and at the knots of the plan; between them it cannot be higher than at
both, and limits there count as the higher of both ends.

The rule on jerk. Segments step in acceleration; a vehicle cannot. A plan is accepted if some
acceleration that changes by at most J per second stays within half of a tolerance of every long segment
throughout, and of every short one (no longer than a full swing from braking to accelerating takes) at
its middle. So a change spread over |da| / J as one segment of the mean acceleration passes whatever the
tolerance. The tolerance is the raw step that costs a tenth of the longitudinal error budget: a step da
made at rate J instead moves the body by da^3 / (24 J^2). For 15 m/s3 and 0.5 m that is 6.5 m/s2: half
steps pass, a raw swing from -4.5 to +2.6 m/s2 does not, nor does a staircase of smaller steps that is
as steep. Coming to a stand ends the chain: brakes let go of a standing vehicle at once.
"""

from __future__ import annotations

import math

import numpy as np

from planners.check_track import (
    KAPPA,
    LEGAL,
    QUANTUM_M,
    S0,
    STAND_MPS,
    Course,
    Finding,
    Floats,
    Ground,
)  # fmt: skip
from planners.interface import Body
from planners.zone_map import MotionLimits

LIMIT_KINDS = ("speed", "lateral", "accel", "brake", "jerk", "end")
"""Rows of a table of first violations: (s after t0 or nan, value, limit)."""

SPEED_TOLERANCE_MPS = 0.05
SPEED_TOLERANCE_SHARE = 0.01
"""Planners sample limits at other points than this check does; drivers' speedometers err by more."""
ACCEL_TOLERANCE_MPS2 = 0.01
JERK_BUDGET_SHARE = 0.1
"""Of the longitudinal error budget, what the smoothing of one step of acceleration may use."""
EXCESS_GRACE_S = 0.5
"""A plan that starts too fast (a lower limit, a push) must brake by half its limit after this time."""


def step_mps2_max(body: Body) -> float:
    """The raw step of acceleration that is tolerated."""
    room_m = JERK_BUDGET_SHARE * body.budget.longitudinal_m
    jerk = body.limits.jerk_mps3_max
    return (24.0 * jerk * jerk * room_m) ** (1.0 / 3.0) + ACCEL_TOLERANCE_MPS2


def violations(course: Course, ground: Ground, body: Body) -> Floats:
    """First violation of each kind: float64 [kind, 3], rows as :data:`LIMIT_KINDS`, nan where none."""
    limits = body.limits
    table = np.full((len(LIMIT_KINDS), 3), math.nan)
    _speeds(table, course, ground, limits)
    _accelerations(table, course, limits)
    _jerks(table[4], course, limits, step_mps2_max(body))
    if course.v_end_mps > STAND_MPS and course.pieces[-1][1] < ground.length_m - QUANTUM_M:
        table[5] = course.end_s, course.v_end_mps, STAND_MPS
    return table


def findings_of(table: Floats, vehicle: str, t0_ms: int) -> tuple[Finding, ...]:
    """The findings that a table of :func:`violations` states."""
    rows = zip(LIMIT_KINDS, table.tolist(), strict=True)
    start = t0_ms * 1e-3
    return tuple(Finding(kind, vehicle, "", start + t, *rest) for kind, (t, *rest) in rows if not math.isnan(t))


def _speeds(table: Floats, course: Course, ground: Ground, limits: MotionLimits) -> None:
    t, s, v = _passed(course, ground)
    row = np.clip(np.floor(s / ground.step_m), -1.0, len(ground.rows) - 2.0).astype(np.int64) + 1
    following = np.minimum(row + 1, len(ground.rows) - 1)
    at_point = s == ground.table[row, S0]
    following = np.where(at_point, row, following)
    legal = np.maximum(ground.table[row, LEGAL], ground.table[following, LEGAL])
    kappa = np.minimum(ground.table[row, KAPPA], ground.table[following, KAPPA])
    start = course.pieces[0][2]
    excused = start - 0.5 * limits.brake_mps2_max * np.maximum(0.0, t - EXCESS_GRACE_S)
    allowed = np.minimum(legal, limits.speed_mps_max)
    over = v > np.maximum(allowed * (1.0 + SPEED_TOLERANCE_SHARE) + SPEED_TOLERANCE_MPS, excused)
    _first(table[0], over, t, v, allowed)
    if course.reverse_mps < 0.0 and not table[0, 0] <= course.reverse_s:
        table[0] = course.reverse_s, course.reverse_mps, 0.0
    bend_mps = np.sqrt(limits.lateral_accel_mps2_max / np.maximum(kappa, 1e-12))
    over = v > np.maximum(bend_mps * (1.0 + SPEED_TOLERANCE_SHARE) + SPEED_TOLERANCE_MPS, excused)
    _first(table[1], over, t, v * v * kappa, np.full_like(v, limits.lateral_accel_mps2_max))


def _first(out: Floats, mask: np.ndarray, t: Floats, value: Floats, limit: Floats) -> None:
    if mask.any():
        k = int(np.argmin(np.where(mask, t, math.inf)))
        out[:] = t[k], value[k], limit[k]


def _passed(course: Course, ground: Ground) -> tuple[Floats, Floats, Floats]:
    """(t, s, v) at the plan's knots and at the points of the path between its start and its end."""
    knots = np.array(course.pieces)
    points = ground.table[1:, S0]
    points = points[(points > knots[0, 1]) & (points < knots[-1, 1])]
    piece = np.searchsorted(knots[:, 1], points, side="left") - 1
    t, s, v, a = knots[piece].T
    along = points - s
    speed = np.sqrt(np.maximum(0.0, v * v + 2.0 * a * along))
    with np.errstate(divide="ignore", invalid="ignore"):
        times = t + np.where(v + speed > 0.0, 2.0 * along / (v + speed), 0.0)
    return (
        np.concatenate([knots[:, 0], times]),
        np.concatenate([knots[:, 1], points]),
        np.concatenate([knots[:, 2], speed]),
    )


def _accelerations(table: Floats, course: Course, limits: MotionLimits) -> None:
    for start, _, a, _ in course.segments:
        if a > limits.accel_mps2_max + ACCEL_TOLERANCE_MPS2 and math.isnan(table[2, 0]):
            table[2] = start, a, limits.accel_mps2_max
        if -a > limits.brake_mps2_max + ACCEL_TOLERANCE_MPS2 and math.isnan(table[3, 0]):
            table[3] = start, -a, limits.brake_mps2_max


def _jerks(out: Floats, course: Course, limits: MotionLimits, tolerance_mps2: float) -> None:
    """Pairwise form of "some function of slope at most J passes through all cores"; exact for it."""
    jerk = limits.jerk_mps3_max
    swing_s = (limits.accel_mps2_max + limits.brake_mps2_max) / jerk + 0.002
    cores: list[tuple[float, float, float]] = []
    for start, dt, a, stands in course.segments:
        if stands:
            cores = [(start, start + dt, 0.0)]
            continue
        first, last = (start + 0.5 * dt, start + 0.5 * dt) if dt <= swing_s else (start, start + dt)
        for _, before_s, before in reversed(cores):
            step, allowed = abs(a - before), jerk * (first - before_s) + tolerance_mps2
            if step > allowed:
                out[:] = start, step, allowed
                return
        cores.append((first, last, a))
