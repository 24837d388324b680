"""Speed profiles of one vehicle on one path: limits as sections, starts, and the kernels' host.

``planners/_profile.py`` holds the theory. Here a path's pointwise limits become a few sections and a
plan being driven becomes a start; ``planners/rounding.py`` makes integers of the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError
from planners import _profile
from planners._profile import KNOT_COUNT, Drive
from planners.interface import Body
from planners.timed_path import SegmentArrays, TimedPath
from planners.zone_map import Floats, MotionLimits, Path

SECTION_COUNT_MAX = 16
_SECTION_LOSS_S = 0.015
"""Sections that cost less time than this when joined are joined."""
_SPEED_MARGIN_MPS = 0.005
"""Kept below limits: what rounding to ms and mm/s2 may add to a speed."""
_BEND_SHARE = 0.99
"""Share of the speed that lateral acceleration allows: where short pieces are joined, speeds move a little."""
_SHARE_OF_SWING = 0.8
"""Lag in shares of the time that a swing from full braking to full acceleration takes at the jerk limit.

Two half steps this far apart never leave a course that changes at the jerk limit by more than a
tenth of the swing.
"""
PLANS_KEPT = 1024
_LAG_S_MAX = 0.5
"""Vehicles that swing more slowly than this are driven more gently: their changes of mind would last too long."""
_STANDING_MPS = 0.005
_FAR = 1e6


@dataclass(frozen=True, slots=True)
class Sections:
    """A piecewise constant speed limit: ``start_m`` and ``square`` (limit squared), float64 [section].

    The first section starts far before the path, the last never ends.
    """

    start_m: Floats
    square: Floats


def usable(limits: MotionLimits) -> tuple[float, float]:
    """(acceleration, braking) that plans ask for: the limits, in proportion less where jerk allows only slow swings."""
    swing = limits.accel_mps2_max + limits.brake_mps2_max
    share = min(1.0, _LAG_S_MAX * limits.jerk_mps3_max / (_SHARE_OF_SWING * swing))
    return share * limits.accel_mps2_max, share * limits.brake_mps2_max


def lag_s(limits: MotionLimits) -> float:
    """How far the two copies of an ideal profile lie apart (see ``planners/_profile.py``)."""
    return max(0.05, _SHARE_OF_SWING * sum(usable(limits)) / limits.jerk_mps3_max)


def size_scale(body: Body) -> float:
    """Distances kept are for cars; a model car keeps them in proportion to its length."""
    return min(1.0, body.footprint.length_m / 5.0)


def speed_caps(path: Path, limits: MotionLimits) -> Floats:
    """Highest speed at each point of ``path``: legal limit, vehicle, and lateral acceleration; m/s."""
    return np.minimum(np.minimum(path.limit_mps, limits.speed_mps_max), _bend_caps(path, limits))


def _bend_caps(path: Path, limits: MotionLimits) -> Floats:
    return np.sqrt(limits.lateral_accel_mps2_max / np.maximum(np.abs(path.kappa_1pm), 1e-9))


def sections_of(path: Path, limits: MotionLimits) -> Sections:
    """Few sections that never allow more than :func:`speed_caps`, also after smoothing.

    The smoothed body is half a lag of travel behind one copy and ahead of the other, so each section
    is widened by that distance at its own speed.
    """
    caps = np.minimum(speed_caps(path, limits), _BEND_SHARE * _bend_caps(path, limits))
    if not np.all(np.isfinite(caps)) or caps.min() <= 0.0:
        raise PlanError(f"path {path.path_id}: speed limits must be finite and > 0; found {caps.min():g} m/s")
    cells = np.minimum(caps[:-1], caps[1:])
    edges, speeds = _joined(cells, path.step_m)
    lag = lag_s(limits)
    speeds = np.maximum(speeds - _SPEED_MARGIN_MPS, 0.9 * speeds)
    start = np.concatenate([[-_FAR], edges[1:-1]])
    end = np.concatenate([edges[1:-1], [_FAR]])
    reach = 0.5 * lag * speeds + 0.02 * path.step_m
    marks = np.unique(np.concatenate([start - reach, end + reach]))
    marks = np.concatenate([[-_FAR], marks[(marks > -0.5 * _FAR) & (marks < 0.5 * _FAR)]])
    middle = np.concatenate([0.5 * (marks[1:] + marks[:-1]), marks[-1:] + 1.0])
    covered = (start - reach)[None, :] <= middle[:, None]
    covered &= middle[:, None] <= (end + reach)[None, :]
    widened = np.where(covered, speeds[None, :], np.inf).min(axis=1)
    keep = np.concatenate([[True], widened[1:] != widened[:-1]])
    start_m, square = marks[keep].copy(), widened[keep] ** 2
    start_m.setflags(write=False)
    square.setflags(write=False)
    return Sections(start_m, square)


def _joined(cells: Floats, step_m: float) -> tuple[Floats, Floats]:
    """Edges and speeds of runs of cells, joined downwards while that costs little time."""
    quantum = float(cells.max()) / 200.0
    level = np.where(cells >= cells.max() - 1e-9, cells, np.floor(cells / quantum) * quantum)
    level = np.where(level <= 0.0, cells, level)
    first = np.flatnonzero(np.concatenate([[True], level[1:] != level[:-1]]))
    edges = np.concatenate([first, [len(cells)]]) * step_m
    speeds = np.minimum.reduceat(cells, first)
    while len(speeds) > 1:
        length = np.diff(edges)
        left_higher = speeds[:-1] > speeds[1:]
        lost = np.where(left_higher, length[:-1], length[1:])
        cost = lost * np.abs(1.0 / speeds[:-1] - 1.0 / speeds[1:])
        k = int(np.argmin(cost))
        if cost[k] > _SECTION_LOSS_S and len(speeds) <= SECTION_COUNT_MAX:
            break
        speeds[k] = min(speeds[k], speeds[k + 1])
        speeds, edges = np.delete(speeds, k + 1), np.delete(edges, k + 1)
    return edges, speeds


@dataclass(frozen=True, slots=True)
class Start:
    """Where a new profile may begin: the segments driven until then, and the state after them."""

    segments: tuple[tuple[int, int], ...]
    time_ms: int
    s_m: float
    v_umps: int
    """Speed in micrometres per second: exact, because mm/s2 x ms is that."""
    a_mps2: float


def start_at(plan: TimedPath, switch_ms: int) -> Start:
    """Drive ``plan`` until ``switch_ms`` (or stand where it ends, or begin where it begins)."""
    time, s, v_um = plan.t0_ms, plan.s0_mm * 1e-3, plan.v0_mmps * 1000
    done: list[tuple[int, int]] = []
    a_mmps2 = 0
    for dt, a in plan.segments:
        if time >= switch_ms:
            break
        dt = min(dt, switch_ms - time)
        v, acc, seconds = v_um * 1e-6, a * 1e-3, dt * 1e-3
        s += v * seconds + 0.5 * acc * seconds * seconds
        v_um = max(0, v_um + a * dt)
        time += dt
        a_mmps2 = a
        done.append((dt, a))
    if time < switch_ms:
        if done and done[-1][1] == 0:
            done[-1] = (done[-1][0] + switch_ms - time, 0)
        else:
            done.append((switch_ms - time, 0))
        s += v_um * 1e-6 * (switch_ms - time) * 1e-3
        time, a_mmps2 = switch_ms, 0
    return Start(tuple(done), time, s, v_um, a_mmps2 * 1e-3 if v_um else 0.0)


def drive_from(start: Start, base_ms: int, body: Body, path: Path, *, stop_s_m: float, ease: float) -> Drive:
    """The kernels' start: the ideal profile whose mean of two copies continues ``start`` smoothly.

    ``stop_s_m`` is where the rear axle must stand in the end, or inf; ``ease`` in (0, 1] is the share of
    the braking limit used while yielding.
    """
    lag, (accel, brake) = lag_s(body.limits), usable(body.limits)
    v, a = start.v_umps * 1e-6, start.a_mps2
    ahead = v + 0.5 * a * lag
    if ahead < 0.0:
        ahead, a = 0.0, -2.0 * v / lag
    gone = path.length_m + body.footprint.rear_m + 0.02
    return Drive(
        (start.time_ms - base_ms) * 1e-3, start.s_m + 0.5 * v * lag, ahead, a, lag, accel,
        brake, ease * brake, brake, stop_s_m, gone,
    )  # fmt: skip


class Workspace:
    """Scratch arrays of the profile kernels, owned by one planner and used again for each call."""

    def __init__(self) -> None:
        self.knots = np.zeros((4, KNOT_COUNT))
        self.smooth = np.zeros((4, 2 * KNOT_COUNT))
        self.shape = np.zeros(4)
        self._work = np.zeros((6, 0))

    def work(self, sections: Sections) -> Floats:
        """Room for both envelopes over ``sections``."""
        columns = 2 * len(sections.start_m) + 4
        if self._work.shape[1] != columns:
            self._work = np.zeros((6, columns))
        return self._work

    def smoothed(self, drive: Drive, count: int) -> Floats:
        """The first ``count`` pieces of ``knots`` as driven: view of float64 [4, knot], rows t, s, v, a."""
        return self.smooth[:, : _profile.smooth(drive, self.knots, count, self.smooth) + 1]


def profile_knots(drive: Drive, sections: Sections, shape: tuple[float, float, float], room: Workspace) -> Floats:
    """The smoothed profile of (v_low, stand, tau): a view of float64 [4, knot], rows t, s, v, a.

    Times count from the base of ``drive``; the view lasts until the workspace is used again.
    """
    work = room.work(sections)
    return room.smoothed(drive, _profile.profile(drive, sections.start_m, sections.square, *shape, work, room.knots))


def knots_sampled(knots: Floats, step_ms: int, out: Floats) -> None:
    """s of a smoothed profile at n step after its base; standing or inf (gone) after its end."""
    after = 0.0 if knots[2, -1] < _STANDING_MPS else math.inf
    rows = np.ascontiguousarray(knots)
    _profile.sample(rows[0], rows[1], rows[2], rows[3], 0.0, step_ms * 1e-3, after, out)


@lru_cache(PLANS_KEPT)
def arrays_of(plan: TimedPath) -> SegmentArrays:
    """``plan.arrays()``, remembered: the same commitments are asked for at every call."""
    return plan.arrays()


def sampled(plan: TimedPath, base_ms: int, step_ms: int, out: npt.NDArray[np.float64]) -> None:
    """s of the rear axle at base + n step for each n; standing or inf (gone) after the plan's end."""
    arrays = arrays_of(plan)
    after = 0.0 if arrays.v_mps[-1] < _STANDING_MPS else math.inf
    _profile.sample(arrays.t_s, arrays.s_m, arrays.v_mps, arrays.a_mps2, base_ms * 1e-3, step_ms * 1e-3, after, out)
