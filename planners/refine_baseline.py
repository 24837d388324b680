"""The direct way to refine, as a baseline: one nonlinear programme of all vehicles, by IPOPT or FATROP.

The same objective, speed curve, limits and allowed loss as ``planners/refine_problem.py``, with the motions
of all vehicles as unknowns at once (multiple shooting: place, speed and last acceleration at each knot).
Who passes whom is fixed as there; the coupling is written as functions of both places: the staircase of a
conflict set, ``Reach.open_m``, becomes a piecewise linear function through its inner corners, and ends
in a slope of 0.5 m. It binds at the knots only, which is a little less than the refinement keeps to.

Only what FATROP can take: all vehicles share one grid, and buffers are distances, not times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fleet.errors import PlanError, invariant
from planners.passing import CELL_MS, Reach, Relation, Traffic, states
from planners.refine import Job, casadi_module
from planners.refine_problem import Refinement, RefineWeights, SpeedCurve
from planners.timed_path import SegmentArrays
from planners.zone_map import Floats

SOLVERS = ("ipopt", "fatrop")
_OPEN_SLOPE_M = 0.5
_FAR_M = 1e3
_PER_VEHICLE = 3
_SPEED_SHARES = (0.25, 0.5, 0.75, 1.0)
_COUPLING_SHARES = (0.5, 1.0)
"""Shares of a step at which speed and coupling bind: with fewer, solutions cheat between the knots."""


@dataclass(frozen=True, slots=True)
class Solution:
    """``accel``: float64 [vehicle, step] or None; ``cost`` as the refinement counts it; ``seconds`` of the solver."""

    accel: Floats | None
    cost: float
    seconds: float
    iterations: int
    status: str


class JointProgramme:
    """The nonlinear programme of one scene, built for one solver.

    Parameters
    ----------
    jobs : sequence of Job
        Those with a refinement take part and must share one grid; the others are fixed as they came.
    """

    def __init__(self, traffic: Traffic, jobs: Sequence[Job], weights: RefineWeights, solver: str) -> None:
        if solver not in SOLVERS:
            raise PlanError(f"no baseline solver {solver!r}; known: {', '.join(SOLVERS)}")
        self._ca = casadi_module()
        self._traffic = traffic
        self._row = {i: k for k, i in enumerate(i for i, job in enumerate(jobs) if job.refinement is not None)}
        self._parts: list[Refinement] = [job.refinement for job in jobs if job.refinement is not None]
        self._steps = self._parts[0].steps
        for part in self._parts:
            shared = np.array_equal(part.steps.t_s, self._steps.t_s)
            invariant(shared, "the vehicles of a joint programme share one grid")
        self._weights = weights
        self._dt = np.diff(self._steps.t_s)
        relations = [relation for rows in traffic.behind for relation in rows]
        invariant(all(relation.pad == 0 for relation in relations), "the joint programme knows no buffers in time")
        self._relations = [r for r in relations if r.first in self._row or r.second in self._row]
        self._build(solver)

    def start(self, motions: Sequence[SegmentArrays]) -> Floats:
        """The unknowns of given motions, one per vehicle that takes part."""
        count = len(self._parts)
        known = [states(motion, self._steps.t_s) for motion in motions]
        accel = [np.diff(v) / self._dt for _, v in known]
        values: list[float] = []
        for k in range(len(self._dt) + 1):
            for c in range(count):
                before = self._parts[c].steps.a_mps2 if k == 0 else accel[c][k - 1]
                values += [known[c][0][k], known[c][1][k], before]
            if k < len(self._dt):
                values += [accel[c][k] for c in range(count)]
        return np.array(values)

    def solve(self, start: Floats, clock: Callable[[], float]) -> Solution:
        """Solve from ``start``; ``clock`` measures the solver alone."""
        began = clock()
        answer = self._solver(x0=start, lbx=self._low, ubx=self._high, lbg=self._g_low, ubg=self._g_high)
        seconds = clock() - began
        stats = self._solver.stats()
        values = np.array(answer["x"]).ravel()
        self.last = values
        count, width = len(self._parts), (_PER_VEHICLE + 1) * len(self._parts)
        accel = np.array(
            [values[k * width + _PER_VEHICLE * count : (k + 1) * width] for k in range(len(self._dt))]
        ).T.copy()
        g = np.array(answer["g"]).ravel()
        worst = max(float(np.max(self._g_low - g)), float(np.max(g - self._g_high)))
        if worst > 1e-4:
            return Solution(None, np.inf, seconds, int(stats["iter_count"]), str(stats["return_status"]))
        cost = sum(part.cost(row) for part, row in zip(self._parts, accel, strict=True))
        return Solution(accel, cost, seconds, int(stats["iter_count"]), str(stats["return_status"]))

    def _build(self, solver: str) -> None:
        ca, count = self._ca, len(self._parts)
        states_k = [ca.MX.sym(f"x{k}", _PER_VEHICLE * count) for k in range(len(self._dt) + 1)]
        controls = [ca.MX.sym(f"u{k}", count) for k in range(len(self._dt))]
        self._couplings = [self._coupling(relation) for relation in self._relations]
        self._curves = [self._curve(part.curve) for part in self._parts]
        unknowns: list[Any] = []
        bounds: list[tuple[float, float]] = []
        rows: list[Any] = []
        row_bounds: list[tuple[float, float]] = []
        equality: list[bool] = []
        cost = 0
        for k in range(len(self._dt) + 1):
            unknowns.append(states_k[k])
            bounds += self._state_bounds(k)
            if k < len(self._dt):
                unknowns.append(controls[k])
                bounds += [(-p.limits.brake_mps2_max, p.limits.accel_mps2_max) for p in self._parts]
                gap = states_k[k + 1] - self._driven(states_k[k], controls[k], float(self._dt[k]))
                rows.append(gap)
                row_bounds += [(0.0, 0.0)] * (_PER_VEHICLE * count)
                equality += [True] * (_PER_VEHICLE * count)
                cost = cost + self._stage_cost(k, states_k[k], controls[k])
                for row, low, high in self._stage_rows(k, states_k[k], controls[k]):
                    rows.append(row)
                    row_bounds.append((low, high))
                    equality.append(False)
        cost = cost + self._end_cost(states_k[-1])
        nlp = {"x": ca.vertcat(*unknowns), "f": cost, "g": ca.vertcat(*rows)}
        self._low, self._high = np.array(bounds).T
        self._g_low, self._g_high = np.array(row_bounds).T
        self._solver = ca.nlpsol("joint", solver, nlp, _options(solver, equality))

    def _state_bounds(self, k: int) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for part in self._parts:
            if k == 0:
                steps = part.steps
                found += [(value, value) for value in (steps.s_m, steps.v_mps, steps.a_mps2)]
            elif k == len(self._dt):
                found += [part.end_bounds, (part.v_end_mps, part.v_end_mps), (-np.inf, np.inf)]
            else:
                found += [(-np.inf, np.inf), (0.0, np.inf), (-np.inf, np.inf)]
        return found

    def _driven(self, x: Any, u: Any, dt: float) -> Any:
        ca, n = self._ca, _PER_VEHICLE
        after = []
        for c in range(len(self._parts)):
            s, v, a = x[n * c], x[n * c + 1], u[c]
            after += [s + v * dt + 0.5 * a * dt * dt, v + a * dt, a]
        return ca.vertcat(*after)

    def _stage_cost(self, k: int, x: Any, u: Any) -> Any:
        weights, dt = self._weights, self._dt
        before = dt[k] if k == 0 else 0.5 * (dt[k] + dt[k - 1])
        cost = 0
        for c in range(len(self._parts)):
            change = u[c] - x[_PER_VEHICLE * c + 2]
            cost = cost + weights.comfort * change * change / before + weights.energy * u[c] * u[c] * dt[k]
        return cost

    def _end_cost(self, x: Any) -> Any:
        cost = 0
        for c, part in enumerate(self._parts):
            s, a = x[_PER_VEHICLE * c], x[_PER_VEHICLE * c + 2]
            cost = cost + self._weights.comfort * a * a / self._dt[-1]
            if not part.stands:
                cost = cost - self._weights.time / max(1.0, part.v_end_mps) * s
        return cost

    def _stage_rows(self, k: int, x: Any, u: Any) -> list[tuple[Any, float, float]]:
        """(expression, low, high) of what binds within step k: speed, coupling, and the exit from the zone."""
        made = []
        t_k, dt = float(self._steps.t_s[k]), float(self._dt[k])
        for c, part in enumerate(self._parts):
            for share in _SPEED_SHARES:
                if k == len(self._dt) - 1 and share == 1.0:
                    continue  # the last speed is given
                s, v = self._at(c, x, u, share * dt)
                excess = part.excess_mps(t_k + share * dt)
                room = 2.0 * excess * part.steps.v_mps + excess * excess
                made.append((v * v - self._curves[c](s), -np.inf, room))
            if t_k <= part.clear_s < t_k + dt:
                made.append((self._at(c, x, u, part.clear_s - t_k)[0], part.clear_bound_m, np.inf))
        for relation, coupling in zip(self._relations, self._couplings, strict=True):
            for share in _COUPLING_SHARES:
                first = self._place(relation.first, k, x, u, share * dt - CELL_MS * 1e-3)
                second = self._place(relation.second, k, x, u, share * dt)
                slack = self._slack(relation, t_k + share * dt)
                made.append((second - coupling(first - relation.gap_m), -np.inf, slack))
        return made

    def _at(self, c: int, x: Any, u: Any, tau: float) -> tuple[Any, Any]:
        s, v, a = x[_PER_VEHICLE * c], x[_PER_VEHICLE * c + 1], u[c]
        return s + v * tau + 0.5 * a * tau * tau, v + a * tau

    def _place(self, i: int, k: int, x: Any, u: Any, tau: float) -> Any:
        if i in self._row:
            return self._at(self._row[i], x, u, tau)[0]
        s, _ = states(self._traffic.arrays[i], self._steps.t_s[k : k + 1] + tau)
        return self._ca.MX(float(s[0]))

    def _slack(self, relation: Relation, t_s: float) -> float:
        """What the plans as they came lack there: as in the refinement, no more than they keep is asked for."""
        arrays = self._traffic.arrays
        second = float(states(arrays[relation.second], np.array([t_s]))[0][0])
        first = float(states(arrays[relation.first], np.array([t_s - CELL_MS * 1e-3]))[0][0])
        nodes, values = _corners(relation.reach)
        return max(0.0, second - float(np.interp(first - relation.gap_m, nodes, values)))

    def _coupling(self, relation: Relation) -> Any:
        nodes, values = _corners(relation.reach)
        return self._ca.interpolant("open", "linear", [nodes.tolist()], values.tolist())

    def _curve(self, curve: SpeedCurve) -> Any:
        nodes = curve.step_m * np.arange(len(curve.square))
        nodes = np.concatenate([[-_FAR_M], nodes, [nodes[-1] + _FAR_M]])
        square = np.concatenate([curve.square[:1], curve.square, curve.square[-1:]])
        return self._ca.interpolant("curve", "linear", [nodes.tolist()], square.tolist())


def _corners(reach: Reach) -> tuple[Floats, Floats]:
    """The inner corners of a staircase, with both ends."""
    finite = np.flatnonzero(np.isfinite(reach.open_m))
    opens, first = np.unique(reach.open_m[finite], return_index=True)
    starts = reach.start_m + finite[first] * reach.step_m
    nodes = np.concatenate([[opens[0] - _FAR_M], opens, [opens[-1] + _OPEN_SLOPE_M, opens[-1] + _FAR_M]])
    values = np.concatenate([[starts[0]], starts, [starts[-1] + 0.25 * _FAR_M, starts[-1] + 0.5 * _FAR_M]])
    return nodes, values


def _options(solver: str, equality: list[bool]) -> dict[str, Any]:
    quiet = {"print_time": False, "error_on_fail": False}
    if solver == "ipopt":
        return {**quiet, "ipopt": {"print_level": 0, "sb": "yes", "max_iter": 500, "tol": 1e-6}}
    limits = {"print_level": 0, "max_iter": 500, "tolerance": 1e-6}
    return {**quiet, "structure_detection": "auto", "equality": equality, "fatrop": limits}
