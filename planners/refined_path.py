"""From a refined motion back to the integers that vehicles sign, and how rough a plan is.

A refined motion has as many steps as its grid; neighbours that hardly differ are joined, because every
segment is bytes in every message that carries the plan.
"""

from __future__ import annotations

import math

import numpy as np

from planners.interface import Body
from planners.passing import states
from planners.profile import start_at
from planners.rounding import integer_plan
from planners.timed_path import SegmentArrays, TimedPath
from planners.zone_map import Floats, Path

JERK_WINDOW_S = 0.2
"""Jerk is the change of acceleration over this time, as in the metrics of a run (docs/reference/metrics.md)."""
_JERK_STEP_S = 0.1


def refined_path(
    body: Body, path: Path, planned: TimedPath, switch_ms: int, motion: SegmentArrays, *, joined_m: float
) -> TimedPath:
    """The plan that drives ``planned`` until ``switch_ms`` and then ``motion``.

    Steps are joined as long as that moves the body by no more than ``joined_m`` each time.
    """
    start = start_at(planned, switch_ms)
    knots = _joined(np.array([motion.t_s - motion.t_s[0], motion.s_m, motion.v_mps, motion.a_mps2]), joined_m)
    return integer_plan(body, path, planned, start, knots)


def _joined(knots: Floats, joined_m: float) -> Floats:
    """``knots`` (rows t, s, v, a) without those whose removal moves the body least."""
    t, v = knots[0], knots[2]
    moving = v > 1e-3
    # Standstill keeps its corners: a plan that stands must stand exactly.
    fixed = np.concatenate([[True], ~(moving[:-2] & moving[1:-1] & moving[2:]), [True]])
    at = np.arange(len(t))
    while len(at) > 2:
        dt = np.diff(t[at])
        moved = 0.5 * np.abs(np.diff(np.diff(v[at]) / dt)) * dt[1:] * dt[:-1]
        moved[fixed[at[1:-1]]] = math.inf
        low = moved <= joined_m
        # Of neighbours only the one that matters least goes in one pass.
        low[1:] &= moved[1:] < moved[:-1]
        low[:-1] &= moved[:-1] <= moved[1:]
        if not low.any():
            break
        at = at[np.concatenate([[True], ~low, [True]])]
    dt = np.diff(t[at])
    a = np.concatenate([np.diff(v[at]) / dt, [0.0]])
    s = np.concatenate([[knots[1, 0]], knots[1, 0] + np.cumsum(0.5 * (v[at][1:] + v[at][:-1]) * dt)])
    return np.array([t[at], s, v[at], a])


def jerk_rms(plan: TimedPath, from_ms: int, until_ms: int) -> float:
    """Root mean square of the jerk of a plan between two times, m/s3.

    The acceleration is the mean over ``JERK_WINDOW_S`` (a difference of speeds), jerk its change over
    the same time, every 0.1 s: what a recording of the plan, driven exactly, would give.
    """
    t = np.arange(from_ms * 1e-3, until_ms * 1e-3 + 1e-9, _JERK_STEP_S)
    arrays = plan.arrays()
    w = JERK_WINDOW_S
    speeds = [states(arrays, t + k * w)[1] for k in (-1.0, 0.0, 1.0)]
    jerk = (speeds[2] - 2.0 * speeds[1] + speeds[0]) / (w * w)
    return float(math.sqrt(np.mean(jerk * jerk))) if len(t) else 0.0
