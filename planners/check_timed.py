"""Verifier of agreed free-space plans: TimedPaths along arcs, driven with errors, by vehicles that may stop.

What is checked of one plan: that the vehicle can drive it, and that its body, larger by the error budget,
meets no obstacle and stays on the site. Of two plans: that the bodies stay apart wherever each is within
``SLACK_S`` of where its plan has it. This slack is what makes stopping safe: a vehicle may brake at
any time, and whoever comes behind sees it stand and brakes in turn, before the two bodies meet.

The geometry is that of ``check_free`` (NumPy); nothing is shared with the planner but the plans' format.
Between two sampled times a body moves at most K dt. A pair of time cells is proven apart when the gap at
their middles exceeds the sum of both; otherwise both are divided, down to ``_SHORTEST_S``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planners.arc_path import KAPPA_UNIT_1PM, YAW_UNIT_RAD, ArcPath
from planners.check_free import Track, check_free_space, gaps
from planners.interface import Body
from planners.timed_path import SegmentArrays, TimedPath

Floats = npt.NDArray[np.float64]

SLACK_S = 0.8
"""A vehicle at 1.4 m/s that brakes with 2 m/s2, 0.3 s after it might have seen why, stands 0.9 m, or 0.65 s of its
way, farther on; the rest is for clock bounds and lateness within the error budget."""
SPEED_MPS_MAX = 2.0
"""The slack is too short to stop in from more than this: 0.3 s and 1 m, or 0.8 s."""
HEADING_RAD = 0.035
"""Error of the heading, which turns the ends of a body to the side. With the lateral budget of 0.12 m the ends of a
car may be 0.26 m off; measured 0.235 m, where wheels turn from one arc to the next (docs/reference/error-budget.md)."""
_ROUNDING_M = 0.004
"""Rounded arcs, and a body that gathers speed between two samples."""
_CUSP_M, _CUSP_MPS = 0.01, 0.02
_STEP_S = 0.1
_CELL_S = 0.2
_SHORTEST_S = 0.004
_CELLS_MAX = 200_000
"""More open cells than this prove nothing either: no honest plan has a tenth, and a liar's must not take long."""


@dataclass(frozen=True, slots=True)
class Tube:
    """A plan with its path, and the body that drives it."""

    body: Body
    plan: TimedPath
    path: ArcPath
    arrays: SegmentArrays
    line: Line

    @property
    def end_s(self) -> float:
        return self.plan.end_ms * 1e-3

    def poses(self, t_s: Floats) -> tuple[Floats, Floats, Floats]:
        """x_m, y_m, yaw_rad of the reference point at ``t_s``, element by element; it stands before and after."""
        s_m, _ = self.places(t_s)
        return self.line.poses(s_m)

    def places(self, t_s: Floats) -> tuple[Floats, Floats]:
        """Arc length and speed at ``t_s``."""
        arrays = self.arrays
        t_s = np.clip(t_s, arrays.t_s[0], arrays.t_s[-1])
        k = np.clip(np.searchsorted(arrays.t_s, t_s, side="right") - 1, 0, len(arrays.t_s) - 1)
        dt = t_s - arrays.t_s[k]
        s_m = arrays.s_m[k] + arrays.v_mps[k] * dt + 0.5 * arrays.a_mps2[k] * dt * dt
        return s_m, np.maximum(0.0, arrays.v_mps[k] + arrays.a_mps2[k] * dt)


class Line:
    """Where the arcs of a path lie: per arc begin, pose there, sense and curvature."""

    def __init__(self, path: ArcPath) -> None:
        lengths = np.array([length for length, _ in path.arcs] or [0], dtype=np.float64) * 1e-3
        self._kappa = np.array([kappa for _, kappa in path.arcs] or [0], dtype=np.float64) * KAPPA_UNIT_1PM
        self._sense = np.sign(lengths)
        self.knots_m = np.concatenate(([0.0], np.cumsum(np.abs(lengths))))
        yaw = path.start[2] * YAW_UNIT_RAD + np.concatenate(([0.0], np.cumsum(lengths * self._kappa)))
        dx, dy = _arc(lengths, self._kappa, yaw[:-1])
        self._x = path.start[0] * 1e-3 + np.concatenate(([0.0], np.cumsum(dx)))
        self._y = path.start[1] * 1e-3 + np.concatenate(([0.0], np.cumsum(dy)))
        self._yaw = yaw

    def poses(self, s_m: Floats) -> tuple[Floats, Floats, Floats]:
        """x_m, y_m, yaw_rad at arc lengths ``s_m``; the ends where they are beyond them."""
        s_m = np.clip(s_m, 0.0, self.knots_m[-1])
        k = np.clip(np.searchsorted(self.knots_m, s_m, side="right") - 1, 0, len(self._kappa) - 1)
        run = self._sense[k] * (s_m - self.knots_m[k])
        dx, dy = _arc(run, self._kappa[k], self._yaw[k])
        return self._x[k] + dx, self._y[k] + dy, self._yaw[k] + run * self._kappa[k]


def _arc(run_m: Floats, kappa_1pm: Floats, yaw_rad: Floats) -> tuple[Floats, Floats]:
    """Displacement along arcs, by the difference of sines over the curvature; straight where there is none."""
    bends = np.abs(kappa_1pm) > 1e-9
    safe = np.where(bends, kappa_1pm, 1.0)
    after = yaw_rad + kappa_1pm * run_m
    dx = np.where(bends, (np.sin(after) - np.sin(yaw_rad)) / safe, run_m * np.cos(yaw_rad))
    dy = np.where(bends, (np.cos(yaw_rad) - np.cos(after)) / safe, run_m * np.sin(yaw_rad))
    return dx, dy


@dataclass(frozen=True, slots=True)
class SiteShapes:
    """Obstacles and border of a site, for the verifier."""

    discs: Floats
    polygons: tuple[Floats, ...]
    border_m: tuple[float, float, float, float]


def motion_findings(tube: Tube, kappa_max_1pm: float) -> list[str]:
    """What the vehicle could not drive: speed, braking, curvature, driving through a cusp, the plan's end."""
    plan, path, arrays, limits = tube.plan, tube.path, tube.arrays, tube.body.limits
    found = []
    accel = arrays.a_mps2
    if float(arrays.v_mps.max()) > min(limits.speed_mps_max, SPEED_MPS_MAX) + 1e-3:
        found.append("speed")
    if float(accel.max()) > limits.accel_mps2_max + 1e-3 or float(accel.min()) < -limits.brake_mps2_max - 1e-3:
        found.append("acceleration")
    if path.kappa_max_1pm > kappa_max_1pm + 1e-6:
        found.append("curvature")
    if plan.s0_mm < 0 or float(arrays.s_m[-1]) > path.length_m + _CUSP_M:
        found.append("beyond_path")
    if float(arrays.v_mps[-1]) > _CUSP_MPS:
        found.append("never_stops")
    for cusp_m in path.cusps_m:
        stands = (np.abs(arrays.s_m - cusp_m) <= _CUSP_M) & (arrays.v_mps <= _CUSP_MPS)
        passed = float(arrays.s_m[0]) < cusp_m - _CUSP_M and float(arrays.s_m[-1]) > cusp_m + _CUSP_M
        if passed and not stands.any():
            found.append("cusp")
    return found


def site_findings(tube: Tube, site: SiteShapes, *, from_s: float) -> list[str]:
    """Where the body, larger by its budget, meets an obstacle or leaves the site after ``from_s``."""
    track = _track(tube, from_s)
    return check_free_space(
        [track], discs=site.discs, polygons=site.polygons, border_m=site.border_m, step_s_max=_STEP_S
    )  # fmt: skip


def apart(
    a: Tube, b: Tube, *, from_s: float, until_s: float = math.inf, slack_s: float = SLACK_S
) -> float | None:  # fmt: skip
    """A time between ``from_s`` and ``until_s`` at which two vehicles are not proven apart; None: there is none.

    Each may be up to ``slack_s`` from where its plan has it at that time, the one early and the other late.
    """
    fleet = _Pair(a, b)
    end_s = min(until_s, max(a.end_s, b.end_s, from_s) + slack_s)
    count = max(1, math.ceil((end_s - from_s) / _CELL_S))
    middle = from_s + _CELL_S * (np.arange(count) + 0.5)
    offsets = _CELL_S * np.arange(-math.ceil(slack_s / _CELL_S), math.ceil(slack_s / _CELL_S) + 1)
    ta = np.repeat(middle, len(offsets))
    tb = ta + np.tile(offsets, count)
    seen = tb > from_s - 0.5 * _CELL_S
    ta, tb, half = ta[seen], tb[seen], 0.5 * _CELL_S
    while len(ta):
        move = fleet.move(0, ta, half) + fleet.move(1, tb, half)
        near = fleet.far_gap(ta, tb) <= move
        ta, tb, move = ta[near], tb[near], move[near]
        gap = fleet.gap(ta, tb)
        open_ = gap <= move
        ta, tb, gap = ta[open_], tb[open_], gap[open_]
        touching = gap <= 0.0
        if touching.any() or (len(ta) and (half < _SHORTEST_S or len(ta) > _CELLS_MAX)):
            return float(ta[touching].min() if touching.any() else ta.min())
        half *= 0.5
        ta = np.concatenate((ta - half, ta - half, ta + half, ta + half))
        tb = np.concatenate((tb - half, tb + half, tb - half, tb + half))
    return None


class _Pair:
    """Outlines of two vehicles at times of their own, and bounds on how they move."""

    def __init__(self, a: Tube, b: Tube) -> None:
        self._tubes = (a, b)
        self._sizes = (_grown(a.body), _grown(b.body))
        self._reach = tuple(math.hypot(max(size[0], size[1]), size[2]) for size in self._sizes)

    def move(self, which: int, t_s: Floats, half_s: float) -> Floats:
        """No point of the body moves farther within ``half_s`` of ``t_s``."""
        tube = self._tubes[which]
        before, _ = tube.places(t_s - half_s)
        at, _ = tube.places(t_s)
        after, _ = tube.places(t_s + half_s)
        turn = 1.0 + self._reach[which] * tube.path.kappa_max_1pm
        bound: Floats = np.maximum(at - before, after - at) * turn
        return bound

    def far_gap(self, ta: Floats, tb: Floats) -> Floats:
        xa, ya, _ = self._tubes[0].poses(ta)
        xb, yb, _ = self._tubes[1].poses(tb)
        bound: Floats = np.hypot(xa - xb, ya - yb) - self._reach[0] - self._reach[1]
        return bound

    def gap(self, ta: Floats, tb: Floats) -> Floats:
        return gaps(_outlines(self._tubes[0], self._sizes[0], ta), _outlines(self._tubes[1], self._sizes[1], tb))


def _grown(body: Body) -> tuple[float, float, float]:
    """Front, rear and half width of a body, larger by all that its place may be off."""
    foot, budget = body.footprint, body.budget
    side = 0.5 * foot.width_m + budget.lateral_m + HEADING_RAD * max(foot.front_m, foot.rear_m)
    return foot.front_m + budget.longitudinal_m + _ROUNDING_M, foot.rear_m + budget.longitudinal_m + _ROUNDING_M, side


def _outlines(tube: Tube, size: tuple[float, float, float], t_s: Floats) -> Floats:
    x, y, yaw = tube.poses(t_s)
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    ahead = np.array([size[0], -size[1], -size[1], size[0]])
    left = size[2] * np.array([1.0, 1.0, -1.0, -1.0])
    return np.stack((x[:, None] + ahead * c - left * s, y[:, None] + ahead * s + left * c), axis=2)


def _track(tube: Tube, from_s: float) -> Track:
    """The rest of a plan as states on arcs, of a body that is larger by its budget."""
    front, rear, half = _grown(tube.body)
    times = _times(tube, from_s)
    x, y, yaw = tube.poses(times)
    states = np.column_stack((times - times[0], x, y, yaw))
    speed = float(tube.arrays.v_mps.max())
    kappa = max(tube.path.kappa_max_1pm, 1e-6)
    ends = [(float(row[1]), float(row[2]), float(row[3])) for row in (states[0], states[-1])]
    return Track(
        tube.plan.vehicle, states, ends[0], ends[1], front, rear, 2.0 * half,
        max(1.001 * speed, 1e-3) + 1e-3, (1.0 - 1e-6) / kappa,
    )  # fmt: skip


def _times(tube: Tube, from_s: float) -> Floats:
    """From ``from_s`` to the end in steps of at most ``_STEP_S``, with every time at which an arc begins."""
    arrays, end_s = tube.arrays, max(tube.end_s, from_s)
    begin_s = max(from_s, float(arrays.t_s[0]))
    grid = np.linspace(begin_s, max(end_s, begin_s), max(1, math.ceil((end_s - begin_s) / (0.9 * _STEP_S))) + 1)
    marks = [float(t) for t in arrays.t_s if begin_s < t < end_s]
    for s_m in tube.line.knots_m.tolist():
        t = _time_at(arrays, s_m)
        if t is not None and begin_s < t < end_s:
            marks.append(t)
    times = np.unique(np.concatenate((grid, marks)))
    # Times that only rounding sets apart are one.
    return times[np.concatenate(([True], np.diff(times) > 1e-6))]


def _time_at(arrays: SegmentArrays, s_m: float) -> float | None:
    """When the plan is first at ``s_m``."""
    for k in range(len(arrays.t_s) - 1):
        if arrays.s_m[k] <= s_m <= arrays.s_m[k + 1]:
            gap, v, a = s_m - float(arrays.s_m[k]), float(arrays.v_mps[k]), float(arrays.a_mps2[k])
            root = math.sqrt(max(0.0, v * v + 2.0 * a * gap))
            return float(arrays.t_s[k]) + (2.0 * gap / (v + root) if v + root > 0.0 else 0.0)
    return None


def tube_of(body: Body, plan: TimedPath) -> Tube:
    """A plan with its path unpacked; raises :class:`fleet.errors.PlanError` where its name is no path."""
    path = ArcPath.parse(plan.path_id)
    return Tube(body, plan, path, plan.arrays(), Line(path))


def joint_findings(batch: Sequence[Tube], others: Sequence[Tube], *, from_s: float) -> list[str]:
    """Pairs of ``batch``, and of ``batch`` with ``others``, that are not proven apart."""
    found = []
    for n, one in enumerate(batch):
        for other in (*batch[:n], *others):
            if other.body.vehicle == one.body.vehicle:
                continue
            when = apart(one, other, from_s=from_s)
            if when is not None:
                found.append(f"conflict:{one.body.vehicle}:{other.body.vehicle}")
    return found
