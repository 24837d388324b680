"""Refinement with CasADi: smoother plans for the order that a joint planner decided.

The vehicles of a joint plan are refined one by one in passing order, in a few sweeps: each gets the
optimum of its convex problem (``planners/refine_problem.py``) with all others as they are at that
moment. Every step keeps the order and the buffers, so a sweep may end anywhere. The result is rounded to
integers and judged by the independent verifier; a vehicle that it names keeps the plan it had, and says so.

The quadratic programmes are dense (accelerations only) and go to DAQP, a dual active-set solver that
CasADi brings along: for 50 steps it takes a third of a millisecond, where the sparse solvers that
CasADi also has (qrqp, OSQP, HPIPM, PIQP) take one to nine on the same problem.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fleet.errors import PlanError
from planners.check_fast import FastVerifier
from planners.interface import Body, Commitment, Conflicts, JointPlan, JointPlanner, Request
from planners.passing import Reaches, Traffic
from planners.profile import start_at
from planners.refine_problem import Programme, Refinement, RefineWeights, SpeedCurve, Steps
from planners.refined_path import refined_path
from planners.spacing import COMFORTABLE, Spacing
from planners.timed_path import SEGMENT_COUNT_MAX, SegmentArrays, TimedPath
from planners.zone_map import Floats, MotionLimits, ZoneMap

SWEEPS = 2
ROUNDS_MAX = 8
"""Programmes per vehicle and sweep: bounds are taken along the motion of the one before."""
BEYOND_M_MAX = 0.02
"""Between the instants at which a programme bounds it, a motion may go this far into a buffer."""
SPEEDING_MPS_MAX = 0.05
"""The same of speed; the verifier tolerates 0.05 m/s + 1 %."""
UNMOVED_M = 0.01
"""A vehicle whose bounds have all moved less than this since its last programme keeps its optimum."""
TAIL_S = 1.5
"""The grid reaches this far beyond the last change of speed, so that it can be made more gently."""
STEP_MS_MIN = 80
SPAN_S_MAX = 60.0
"""Plans whose last change of speed lies farther ahead are left as they came."""
CALM_SHARE = 0.2
"""Where the plan does not change its acceleration for TAIL_S on either side, steps are up to this much sparser."""
JOINED_M = 0.003
_SOLVER = "daqp"
_TOLERANCE = 1e-5
_ITERATIONS_MAX = 500


@dataclass(frozen=True, slots=True)
class RefinedPlan:
    """Plans in passing order, each refined or as it came.

    ``status``: (vehicle, word) in the same order; ``refined``, or why the plan is as it came: ``steady`` (no
    change of speed to refine), ``long`` (does not fit the steps), ``infeasible``, ``segments``,
    ``refused:<finding>`` (by the verifier). ``iterations``: quadratic programmes solved.
    """

    plans: tuple[TimedPath, ...]
    status: tuple[tuple[str, str], ...]
    iterations: int

    @property
    def refined(self) -> bool:
        """Whether any plan differs from what came."""
        return any(word == "refined" for _, word in self.status)


class DenseSolver:
    """Quadratic programmes of one shape: built once, solved in place."""

    def __init__(self, unknown_count: int, row_count: int) -> None:
        casadi = casadi_module()
        self.unknown_count, self.row_count = unknown_count, row_count
        dense = casadi.Sparsity.dense
        shape = {"h": dense(unknown_count, unknown_count), "a": dense(row_count, unknown_count)}
        options = {"error_on_fail": False, "daqp": {"iter_limit": _ITERATIONS_MAX}}
        solver = casadi.conic("dense", _SOLVER, shape, options)
        buffer, self._evaluate = solver.buffer()
        names = [solver.name_in(k) for k in range(solver.n_in())]
        self._in = {name: np.zeros(solver.nnz_in(k)) for k, name in enumerate(names)}
        for k, name in enumerate(names):
            buffer.set_arg(k, memoryview(self._in[name]))
        self._found = np.zeros(unknown_count)
        buffer.set_res(solver.index_out("x"), memoryview(self._found))
        # The buffer keeps no reference to its function, nor the evaluation one to its buffer.
        self._kept = (solver, buffer)

    def solve(self, programme: Programme) -> Floats | None:
        """The unknowns, float64 [unknown], or None where there are none within the bounds."""
        given = self._in
        given["h"][:] = programme.hessian.ravel()
        given["g"][:] = programme.gradient
        given["a"][:] = programme.rows.ravel(order="F")
        given["lba"][:], given["uba"][:] = programme.low, programme.high
        given["lbx"][:], given["ubx"][:] = programme.unknown_low, programme.unknown_high
        self._evaluate()
        found = np.clip(self._found, programme.unknown_low, programme.unknown_high)
        reached = programme.rows @ found
        met = np.all(reached >= programme.low - _TOLERANCE) and np.all(reached <= programme.high + _TOLERANCE)
        return found if met else None


class Refiner:
    """Refines joint plans on one map. Not for use by two threads at once."""

    def __init__(
        self,
        zone_map: ZoneMap,
        conflicts: Conflicts,
        weights: RefineWeights | None = None,
        spacing: Spacing = COMFORTABLE,
    ) -> None:
        weights = weights or RefineWeights()
        self._map, self._weights, self._spacing = zone_map, weights, spacing
        self._reaches = Reaches(conflicts)
        # One row of speed, barrier and floor per step, and the two ends.
        self._solver = DenseSolver(weights.step_count, 3 * weights.step_count + 2)
        self._verifier = FastVerifier(zone_map)
        self._curves: dict[tuple[str, MotionLimits], SpeedCurve] = {}

    def refine(
        self, joint_plan: JointPlan, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int
    ) -> RefinedPlan:
        """Smooth the plans of ``joint_plan``, which answered ``requests``, in the order that they have.

        Each coincides with its request's approach until ``switch_ms``, as before.
        """
        if not joint_plan.plans:
            return RefinedPlan((), (), 0)
        traffic, jobs = self.jobs(joint_plan, requests, commitments, now_ms=now_ms)
        iterations = self.sweep(traffic, jobs)
        return self.finish(traffic, jobs, iterations, now_ms=now_ms)

    def jobs(
        self, joint_plan: JointPlan, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int,
        step_ms: int = 0,
    ) -> tuple[Traffic, list[Job]]:  # fmt: skip
        """What is to be refined: who passes whom, and one problem per plan of ``joint_plan``."""
        asked = {request.body.vehicle: request for request in requests}
        members = [Commitment(asked[plan.vehicle].body, plan) for plan in joint_plan.plans]
        planned = {plan.vehicle for plan in joint_plan.plans}
        fixed = [Commitment(r.body, r.approach) for r in requests if r.body.vehicle not in planned]
        fixed += [c for c in commitments if c.plan.vehicle not in asked]
        base_ms = min([now_ms, *(request.switch_ms for request in requests)])
        traffic = Traffic(members + fixed, len(members), self._reaches, self._spacing, base_ms)
        jobs = [self._job(member, asked[member.plan.vehicle], traffic, step_ms) for member in members]
        for i, job in enumerate(jobs):
            if job.refinement is not None:
                traffic.allow(i, job.refinement.steps.driven(job.refinement.planned))
        return traffic, jobs

    def sweep(self, traffic: Traffic, jobs: list[Job]) -> int:
        """Bring every job to its optimum in turn, a few times; returns the number of programmes solved."""
        iterations = 0
        for _ in range(SWEEPS):
            for i, job in enumerate(jobs):
                if job.refinement is not None:
                    iterations += self._improve(i, job, job.refinement, traffic)
        return iterations

    def finish(self, traffic: Traffic, jobs: list[Job], iterations: int, *, now_ms: int) -> RefinedPlan:
        """Round to integers, and take back whatever the independent verifier refuses."""
        plans = [self._rounded(job) for job in jobs]
        self._judge(jobs, plans, list(traffic.members[traffic.free_count :]), now_ms)
        return RefinedPlan(tuple(plans), tuple((job.member.plan.vehicle, job.word) for job in jobs), iterations)

    def _improve(self, i: int, job: Job, refinement: Refinement, traffic: Traffic) -> int:
        """One vehicle's optimum with all others as they are; returns the number of programmes solved."""
        barrier, floor = bounds = traffic.barrier(i), traffic.floor(i)
        if job.bounds is not None and all(map(_unmoved, bounds, job.bounds)):
            return 0
        accel = refinement.planned if job.accel is None else job.accel
        spared = np.zeros(self._weights.step_count)
        for count in range(1, ROUNDS_MAX + 1):
            found = self._solver.solve(refinement.programme(accel, barrier, floor, spared))
            if found is None:
                return count
            accel = found
            inside = refinement.beyond_m(accel, barrier, floor) <= BEYOND_M_MAX
            speeding = refinement.speeding_mps(accel)
            if inside and speeding.max() <= SPEEDING_MPS_MAX:
                job.accel, job.word, job.bounds = accel, "refined", bounds
                traffic.move(i, refinement.steps.driven(accel))
                return count
            if count > 1:  # where tangents at two places take turns, neither ever holds
                spared += speeding
        return ROUNDS_MAX

    def _rounded(self, job: Job) -> TimedPath:
        plan, body = job.member.plan, job.member.body
        if job.refinement is None or job.accel is None:
            return plan
        path = self._map.paths[plan.path_id]
        motion = job.refinement.steps.driven(job.accel)
        made = refined_path(body, path, plan, job.switch_ms, motion, joined_m=JOINED_M)
        if len(made.segments) <= SEGMENT_COUNT_MAX:
            return made
        job.word = "segments"
        return plan

    def _judge(self, jobs: list[Job], plans: list[TimedPath], fixed: list[Commitment], now_ms: int) -> None:
        """Take back what the verifier refuses, until it refuses nothing or nothing is left to take back."""
        changed = {job.member.plan.vehicle: k for k, job in enumerate(jobs) if job.word == "refined"}
        while changed:
            made = [Commitment(job.member.body, plan) for job, plan in zip(jobs, plans, strict=True)]
            named: dict[str, str] = {}
            for finding in self._verifier.joint(made, fixed, from_ms=now_ms):
                for vehicle in (finding.vehicle, finding.other):
                    named.setdefault(vehicle, finding.kind)
            wrong = [vehicle for vehicle in changed if vehicle in named]
            for vehicle in wrong:
                k = changed.pop(vehicle)
                plans[k], jobs[k].word = jobs[k].member.plan, f"refused:{named[vehicle]}"
            if not wrong:
                return

    def curve(self, path_id: str, body: Body) -> SpeedCurve:
        """The speed curve of a path for the limits of ``body``, remembered."""
        key = (path_id, body.limits)
        if key not in self._curves:
            self._curves[key] = SpeedCurve.of(self._map.paths[path_id], body)
        return self._curves[key]

    def steps(self, plan: TimedPath, arrays: SegmentArrays, switch_ms: int, step_ms: int = 0) -> Steps | str:
        """The grid of one vehicle, or why there is none; ``step_ms`` = 0: as long as its manoeuvres need."""
        changing = np.flatnonzero(arrays.a_mps2[:-1])
        last_s = float(arrays.t_s[changing[-1] + 1]) if len(changing) else -math.inf
        if last_s <= switch_ms * 1e-3 + 0.05:
            return "steady"
        count = self._weights.step_count
        tail_s = TAIL_S if arrays.v_mps[-1] > 0.005 else 0.0
        end_s = last_s + tail_s
        if not step_ms and end_s - switch_ms * 1e-3 > SPAN_S_MAX:
            return "long"
        start = start_at(plan, switch_ms)
        if step_ms:
            knots_ms = switch_ms + step_ms * np.arange(count + 1)
        else:
            changes = np.diff(arrays.a_mps2, prepend=0.0) != 0.0
            knots_ms = _knots_ms(arrays.t_s[changes], switch_ms, end_s, count)
        return Steps(knots_ms * 1e-3, start.s_m, start.v_umps * 1e-6, start.a_mps2)

    def _job(self, member: Commitment, request: Request, traffic: Traffic, step_ms: int) -> Job:
        plan, body, arrays = member.plan, member.body, member.plan.arrays()
        steps = self.steps(plan, arrays, request.switch_ms, step_ms)
        if isinstance(steps, str):
            return Job(member, request.switch_ms, None, steps)
        passage = next(p for p in self._map.passages[plan.path_id] if p.zone_id == request.zone_id)
        clear_s = _reached_s(arrays, passage.exit_s_m + body.footprint.rear_m)
        curve = self.curve(plan.path_id, body)
        refinement = Refinement(steps, arrays, clear_s, body, curve, self._weights, traffic.t_s)
        return Job(member, request.switch_ms, refinement, "infeasible")


@dataclass(slots=True)
class Job:
    """One vehicle while it is refined; ``refinement`` is None where ``word`` says why there is nothing to refine."""

    member: Commitment
    switch_ms: int
    refinement: Refinement | None
    word: str
    accel: Floats | None = None
    """The best so far; None: the plan as it came."""
    bounds: tuple[Floats, Floats] | None = None
    """Barrier and floor that this is the best for."""


class RefinedPlanner:
    """A joint planner whose answers are refined: ``<name>+refine``."""

    def __init__(self, inner: JointPlanner, refiner: Refiner) -> None:
        self._inner, self._refiner = inner, refiner
        self.name = f"{inner.name}+refine"
        self.open_orders = inner.open_orders

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """See :class:`planners.interface.JointPlanner`."""
        answer = self._inner.plan(requests, commitments, now_ms=now_ms)
        refined = self._refiner.refine(answer, requests, commitments, now_ms=now_ms)
        return JointPlan(refined.plans, answer.refused)

    def approach(
        self,
        body: Body,
        path_id: str,
        state: tuple[float, float, float],
        *,
        now_ms: int,
        stop_s_m: float,
        leader: Commitment | None,
        guide: TimedPath | None = None,
    ) -> TimedPath:
        """See :class:`planners.interface.JointPlanner`."""
        return self._inner.approach(
            body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide
        )


def _knots_ms(changes_s: Floats, from_ms: int, until_s: float, count: int) -> Floats:
    """Times of a grid that is fine where the plan changes its acceleration: float64 [step + 1], whole ms."""
    until_s = max(until_s, from_ms * 1e-3 + count * STEP_MS_MIN * 1e-3)
    t = np.arange(from_ms * 1e-3, until_s + 0.05, 0.05)
    near = np.searchsorted(changes_s, t - TAIL_S) < np.searchsorted(changes_s, t + TAIL_S)
    passed = np.concatenate([[0.0], np.cumsum(np.where(near[1:], 1.0, CALM_SHARE))])
    knots = np.interp(np.linspace(0.0, passed[-1], count + 1), passed, t)
    return np.rint((knots - knots[0]) * 1e3) + from_ms


def _unmoved(now: Floats, before: Floats) -> bool:
    return bool(np.allclose(now, before, rtol=0.0, atol=UNMOVED_M))


def _reached_s(arrays: SegmentArrays, s_m: float) -> float:
    """When the motion reaches ``s_m``; inf if never."""
    k = max(0, int(np.searchsorted(arrays.s_m, s_m)) - 1)
    v, a, gap = float(arrays.v_mps[k]), float(arrays.a_mps2[k]), s_m - float(arrays.s_m[k])
    root = math.sqrt(max(0.0, v * v + 2.0 * a * gap))
    return float(arrays.t_s[k]) + 2.0 * gap / (v + root) if v + root > 0.005 else math.inf


def casadi_module() -> Any:
    """CasADi with the solver that is used, or an error that says what to install."""
    try:
        import casadi
    except ImportError as error:
        raise PlanError("refinement needs CasADi, which is not installed: pip install 'casadi>=3.7'") from error
    if not casadi.has_conic(_SOLVER):
        raise PlanError(f"CasADi {casadi.__version__} has no solver {_SOLVER!r}: pip install 'casadi>=3.7'")
    return casadi
