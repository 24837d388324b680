"""The refinement of one vehicle, all others fixed, as a convex problem: numbers for a quadratic programme.

The unknowns are accelerations, each constant over one step of the vehicle's own grid of time; place and
speed at any time are linear in them. So are all bounds:

- barrier and floor of ``planners/passing.py``, for each step at its most critical instant;
- the tangent of the highest speed that limits, bends, braking and acceleration allow, at the place where
  the plan is now. That curve is concave between corners and its corners point upwards, so that a tangent
  errs by the curvature only, and a second round from the solution takes care of that;
- how much later than the plan as it came the zone may be cleared and the end be reached.

What is minimised is stated at :class:`RefineWeights`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planners.interface import Body
from planners.passing import states
from planners.timed_path import SegmentArrays
from planners.zone_map import Floats, Path

Ints = npt.NDArray[np.intp]

_STANDING_MPS = 0.005
_SLOW_MPS = 3.0
"""Below this speed the speed row also keeps the vehicle from reversing, and its limit is taken as constant."""
_SPEED_INSTANTS = 4
"""Instants of a step among which the one nearest to the speed curve gets the row."""
_SPEED_MARGIN_MPS = 0.01
_BEND_SHARE = 0.99


@dataclass(frozen=True, slots=True)
class RefineWeights:
    """What a refined plan minimises: the integral of comfort x jerk^2 + energy x acceleration^2, plus time x delay.

    Jerk is the change of acceleration from step to step over the step. The square of the acceleration
    stands for energy: what braking destroys has to be driven up again.
    """

    comfort: float = 1.0
    """Per m2/s5."""
    energy: float = 0.05
    """Per m2/s3."""
    time: float = 40.0
    """Per second that the vehicle is later than by the plan as it came."""
    loss_s_max: float = 0.1
    """No vehicle clears its zone, or is done with its manoeuvres, later than this after the plan as it came."""
    step_count: int = 50


@dataclass(frozen=True, slots=True)
class SpeedCurve:
    """The highest speed at each point of a path that can be kept to: float64 [point] of v squared."""

    step_m: float
    square: Floats

    @staticmethod
    def of(path: Path, body: Body) -> SpeedCurve:
        """Limits and bends, widened to where braking or acceleration makes them felt."""
        limits = body.limits
        bend = _BEND_SHARE * np.sqrt(limits.lateral_accel_mps2_max / np.maximum(np.abs(path.kappa_1pm), 1e-9))
        caps = np.minimum(np.minimum(path.limit_mps, limits.speed_mps_max) - _SPEED_MARGIN_MPS, bend)
        square = np.square(caps)
        rise = 2.0 * path.step_m * np.arange(len(square))
        up, down = limits.accel_mps2_max * rise, limits.brake_mps2_max * rise
        square = np.minimum.accumulate(square - up) + up
        square = (np.minimum.accumulate((square + down)[::-1])[::-1]) - down
        return SpeedCurve(path.step_m, square)

    def tangent(self, s_m: Floats) -> tuple[Floats, Floats]:
        """(speed, slope d speed / d s) at ``s_m``; constant beyond both ends."""
        place = np.clip(s_m / self.step_m, 0.0, len(self.square) - 1.001)
        k = place.astype(np.int64)
        rise = (self.square[k + 1] - self.square[k]) / self.step_m
        outside = (s_m <= 0.0) | (s_m >= (len(self.square) - 1) * self.step_m)
        speed = np.sqrt(np.maximum(self.square[k] + rise * (place - k) * self.step_m, 1e-4))
        return speed, np.where(outside, 0.0, rise / (2.0 * speed))


@dataclass(frozen=True, slots=True)
class Steps:
    """The vehicle's own grid: ``t_s`` float64 [step + 1], from the switch to the end of its manoeuvres.

    ``s_m``, ``v_mps``, ``a_mps2``: its state where the grid begins.
    """

    t_s: Floats
    s_m: float
    v_mps: float
    a_mps2: float

    def place_rows(self, t_s: Floats) -> Floats:
        """What each step's acceleration adds to s at ``t_s``: float64 [time, step]."""
        since = t_s[:, None] - self.t_s[None, :-1]
        driven = np.clip(since, 0.0, np.diff(self.t_s)[None, :])
        return driven * (since - 0.5 * driven)

    def coasting(self, t_s: Floats) -> Floats:
        """s at ``t_s`` without acceleration."""
        return self.s_m + self.v_mps * (t_s - self.t_s[0])

    def speed_rows(self, t_s: Floats) -> Floats:
        """What each step's acceleration adds to v at ``t_s``: float64 [time, step]."""
        return np.clip(t_s[:, None] - self.t_s[None, :-1], 0.0, np.diff(self.t_s)[None, :])

    def driven(self, accel: Floats) -> SegmentArrays:
        """The motion with these accelerations, and constant speed after it."""
        dt = np.diff(self.t_s)
        v = np.concatenate([[self.v_mps], self.v_mps + np.cumsum(accel * dt)])
        s = np.concatenate([[self.s_m], self.s_m + np.cumsum(v[:-1] * dt + 0.5 * accel * dt * dt)])
        return SegmentArrays.of_knots(self.t_s, s, v, np.concatenate([accel, [0.0]]))


@dataclass(frozen=True, slots=True)
class Programme:
    """min 1/2 x' H x + g' x with low <= rows x <= high and bounds on x itself; float64, ``rows`` [row, unknown]."""

    hessian: Floats
    gradient: Floats
    rows: Floats
    low: Floats
    high: Floats
    unknown_low: Floats
    unknown_high: Floats


class Refinement:
    """One vehicle's problem. Motions are given as accelerations, float64 [step].

    Parameters
    ----------
    planned : SegmentArrays
        The plan as it came; ``clear_s`` is when it clears its zone.
    instants_s : float64 [instant]
        The common grid of time on which barrier and floor are given.
    """

    def __init__(
        self, steps: Steps, planned: SegmentArrays, clear_s: float, body: Body, curve: SpeedCurve,
        weights: RefineWeights, instants_s: Floats,
    ) -> None:  # fmt: skip
        self.steps, self.limits, self.curve = steps, body.limits, curve
        dt = np.diff(steps.t_s)
        self.planned: Floats = np.diff(states(planned, steps.t_s)[1]) / dt
        """The plan as it came, its corners moved to the grid."""
        self._bound_ends(planned, min(clear_s, float(steps.t_s[-1])), weights)
        self.hessian, self.gradient = _smoothness(dt, steps.a_mps2, weights)
        self._constant = weights.comfort * steps.a_mps2**2 / float(dt[0])
        if not self.stands:
            price = weights.time / max(1.0, self.v_end_mps)
            self.gradient -= price * self._ends[1]
            self._constant += price * self._end_room_m
        share = np.arange(1, _SPEED_INSTANTS + 1) / _SPEED_INSTANTS
        self._fine_s: Floats = (steps.t_s[:-1, None] + dt[:, None] * share[None, :]).ravel()
        self._fine_places, self._fine_speeds = steps.place_rows(self._fine_s), steps.speed_rows(self._fine_s)
        self._fine_coasting = steps.coasting(self._fine_s)
        planned_s, planned_v = states(planned, self._fine_s)
        excess = np.maximum(planned_v - curve.tangent(planned_s)[0], self._over_curve(self.planned))
        self._excess: Floats = np.maximum(0.0, excess)
        self._lay_cells(instants_s)

    def _bound_ends(self, planned: SegmentArrays, clear_s: float, weights: RefineWeights) -> None:
        """What the zone's exit and the end of the grid allow."""
        self.clear_s = clear_s
        ends_s = np.array([clear_s, self.steps.t_s[-1]])
        planned_s, planned_v = states(planned, ends_s)
        self._ends = self.steps.place_rows(ends_s)
        coasting = self.steps.coasting(ends_s)
        on_grid = coasting + self._ends @ self.planned
        self.stands = bool(planned_v[1] < _STANDING_MPS)
        self.v_end_mps = 0.0 if self.stands else float(planned_v[1])
        least = np.minimum(planned_s - np.maximum(planned_v, 1.0) * weights.loss_s_max, on_grid)
        self.clear_bound_m = float(least[0])
        self.end_bounds = (float(least[1]), float(max(planned_s[1], on_grid[1])) if self.stands else math.inf)
        self._ends_low = least - coasting
        self._ends_high = np.array([math.inf, self.end_bounds[1] - coasting[1]])
        self._end_room_m = float(planned_s[1] - coasting[1])

    def _lay_cells(self, instants_s: Floats) -> None:
        """The instants of the common grid within each step, as rows of the programme to choose from."""
        edges = np.minimum(np.searchsorted(instants_s, self.steps.t_s + 1e-9), len(instants_s) - 1)
        self._first, self._last = int(edges[0]), int(edges[-1])
        within = instants_s[self._first : self._last]
        self._cell_places, self._cell_coasting = self.steps.place_rows(within), self.steps.coasting(within)
        offsets = np.arange(max(1, int(np.diff(edges).max())))
        index = np.minimum(edges[:-1, None] + offsets[None, :], np.maximum(edges[1:, None] - 1, self._first))
        self._cell_index = np.minimum(index, self._last - 1) - self._first
        self._step_numbers = np.arange(len(index))

    def cost(self, accel: Floats) -> float:
        """The objective of these accelerations."""
        return float(0.5 * accel @ self.hessian @ accel + self.gradient @ accel + self._constant)

    def programme(self, accel: Floats, barrier: Floats, floor: Floats, spared: Floats) -> Programme:
        """The rows around the motion ``accel``; bounds as in :meth:`planners.passing.Traffic.barrier`.

        ``spared``: float64 [step], how much slower than the speed curve to stay.
        """
        speed_rows, speed_low, speed_high = self._speed_rows(accel)
        speed_high[:-1] -= spared[:-1]
        place = self._cell_coasting + self._cell_places @ accel
        below, above = barrier[self._first - 1 : self._last - 1], floor[self._first : self._last]
        with np.errstate(invalid="ignore"):
            low = self._worst(place - below)
            high = self._worst(above - place)
        rows = np.concatenate([speed_rows, self._cell_places[low], self._cell_places[high], self._ends])
        unbounded = np.full(len(self.hessian), math.inf)
        lower = [speed_low, -unbounded, above[high] - self._cell_coasting[high], self._ends_low]
        upper = [speed_high, below[low] - self._cell_coasting[low], unbounded, self._ends_high]
        limits = self.limits
        return Programme(
            self.hessian, self.gradient, rows, np.concatenate(lower), np.concatenate(upper),
            np.full(len(self.hessian), -limits.brake_mps2_max), np.full(len(self.hessian), limits.accel_mps2_max),
        )  # fmt: skip

    def _worst(self, beyond: Floats) -> Ints:
        """For each step the cell in which ``beyond`` is greatest."""
        return self._cell_index[self._step_numbers, np.argmax(beyond[self._cell_index], axis=1)]

    def _speed_rows(self, accel: Floats) -> tuple[Floats, Floats, Floats]:
        """Rows and bounds of speed, for each step at its most critical of a few instants."""
        v_start = self.steps.v_mps
        s = self._fine_coasting + self._fine_places @ accel
        v = v_start + self._fine_speeds @ accel
        speed, slope = self.curve.tangent(s)
        worst = np.argmax((v - speed).reshape(-1, _SPEED_INSTANTS), axis=1)
        slow = v.reshape(-1, _SPEED_INSTANTS).min(axis=1) < _SLOW_MPS
        worst[slow] = worst[-1] = _SPEED_INSTANTS - 1
        worst += self._step_numbers * _SPEED_INSTANTS
        slope = np.where(slow, 0.0, slope[worst])
        slope[-1] = 0.0
        rows = self._fine_speeds[worst] - slope[:, None] * self._fine_places[worst]
        high = (speed + self._excess)[worst] - slope * (s - self._fine_coasting)[worst] - v_start
        low = np.where(slow, -v_start, -math.inf)
        low[-1] = high[-1] = self.v_end_mps - v_start
        return rows, low, high

    def beyond_m(self, accel: Floats, barrier: Floats, floor: Floats) -> float:
        """How far a motion goes beyond barrier or floor at an instant of the common grid."""
        place = self._cell_coasting + self._cell_places @ accel
        over = place - barrier[self._first - 1 : self._last - 1]
        under = floor[self._first : self._last] - place
        return float(max(over.max(initial=-math.inf), under.max(initial=-math.inf)))

    def speeding_mps(self, accel: Floats) -> Floats:
        """How much faster a motion is in each step than it may be, float64 [step], at least 0."""
        over = (self._over_curve(accel) - self._excess).reshape(-1, _SPEED_INSTANTS).max(axis=1)
        return np.maximum(over, 0.0)

    def excess_mps(self, at_s: float) -> float:
        """By how much the plan as it came exceeds the speed curve about then, which it may go on doing."""
        return float(np.interp(at_s, self._fine_s, self._excess))

    def _over_curve(self, accel: Floats) -> Floats:
        s = self._fine_coasting + self._fine_places @ accel
        over: Floats = self.steps.v_mps + self._fine_speeds @ accel - self.curve.tangent(s)[0]
        return over


def _smoothness(dt: Floats, before_mps2: float, weights: RefineWeights) -> tuple[Floats, Floats]:
    """Hessian and gradient of comfort and energy; the last step goes on at constant speed."""
    count = len(dt)
    between = np.concatenate([[dt[0]], 0.5 * (dt[1:] + dt[:-1]), [dt[-1]]])
    change = np.zeros((count + 1, count))
    change[np.arange(count), np.arange(count)] = 1.0
    change[np.arange(1, count + 1), np.arange(count)] = -1.0
    hessian = 2.0 * weights.comfort * (change.T / between) @ change + np.diag(2.0 * weights.energy * dt)
    gradient = np.zeros(count)
    gradient[0] = -2.0 * weights.comfort * before_mps2 / between[0]
    return hessian, gradient
