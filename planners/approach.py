"""Plans of a vehicle without agreement: drive on, keep behind the leader, stand at the line.

Braking is comfortable where there is room and rises to the vehicle's limit as it runs out. Where even
that cannot stop the vehicle in time it brakes as hard as its limits allow; keeping it from harm is then
the safety kernel's work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planners._blocking import CELL_MS
from planners._profile import Drive
from planners.blocking import AFTER, HEADWAY, UNDECIDED, Blocking, Obstacle, margin_m
from planners.interface import Body, Commitment
from planners.profile import Start, profile_knots, sampled, size_scale, usable
from planners.rounding import integer_plan
from planners.tasks import AIM_SHORT_M, EASE, Task, Tasks
from planners.timed_path import TimedPath
from planners.zone_map import Floats

_LOSS_S = 0.3
"""What a milder way to keep behind the leader may cost at the line."""
_BESIDE_M = 0.1
"""A guided vehicle may be this far ahead of its guide: rounding, and the braking that comes a cell later."""
_STAY_M = 0.05
"""Standing vehicles do not creep forward by less than this."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What an approach has to heed; fields as in :meth:`planners.interface.JointPlanner.approach`."""

    stop_s_m: float
    leader: Commitment | None
    guide: TimedPath | None = None


def approach_plan(
    sequential: Tasks, body: Body, path_id: str, state: tuple[float, float, float], now_ms: int, ahead: Ahead
) -> TimedPath:
    """See :meth:`planners.interface.JointPlanner.approach`."""
    path = sequential.path(path_id)
    stop_s_m, leader = ahead.stop_s_m, ahead.leader
    start = _start(body, state, now_ms)
    grid = sequential.grid(now_ms)
    obstacles = [] if leader is None else [Obstacle(leader.plan.vehicle, leader.body, leader.plan)]
    blocking = Blocking(body, path_id, obstacles, grid, sequential.tables, sequential.spacing)
    stop = stop_s_m - body.footprint.front_m
    short = min(AIM_SHORT_M * size_scale(body), max(0.0, 0.5 * (stop - start.s_m)))
    nothing = TimedPath(body.vehicle, path_id, now_ms, 0, 0, ())
    sections = sequential.sections(path, body.limits)
    task = Task(body, path, sections, nothing, start, stop - short, stop - short, stop, blocking, grid)
    blocking.place(start.s_m, task.cell)
    # In its lane the leader is ahead even where it stands closer than both error budgets, as in a queue.
    blocking.state[(blocking.state == UNDECIDED) | (blocking.items[:, 4] == HEADWAY)] = AFTER
    knots = None if ahead.guide is None else _guided(sequential, task, ahead.guide)
    if knots is None:
        knots = _driving(sequential, task)
    sequential.keep(grid)
    if knots is None:
        return TimedPath(body.vehicle, path_id, now_ms, round(start.s_m * 1000.0), 0, ((1000, 0),))
    return integer_plan(body, path, None, start, knots)


def _guided(sequential: Tasks, task: Task, guide: TimedPath) -> Floats | None:
    """The earliest profile that is nowhere before the line ahead of ``guide``; None: there is none, or no need.

    Braking for the line comes as late as comfort allows: until then the vehicle drives as it expects to.
    """
    free = np.full(task.grid.rows.shape[1], math.inf)
    if not sequential.lower(task, free):
        return None
    expected = np.empty(len(free))
    sampled(guide, task.grid.base_ms, CELL_MS, expected)
    # A cell binds at its end; from the line on the guide says nothing to a vehicle that will stand there.
    expected[expected > task.stop_m] = math.inf
    free[:-1] = np.minimum(free[:-1], expected[1:] + _BESIDE_M * size_scale(task.body))
    stop = min(task.stop_m, float(free[-1]) - 2.0 * margin_m(task.body))
    drive = _comfortable(sequential.drive(task, math.inf, 1.0)._replace(stop=stop))
    s_ref = min(stop - AIM_SHORT_M * size_scale(task.body), drive.gone)
    knots, tau, t_ref = sequential.fastest(task, drive, free, s_ref)
    if knots is None or tau <= drive.t:
        return knots
    mild = sequential.mildest(task, drive, free, (s_ref, t_ref + _LOSS_S))
    if mild is not None:
        return profile_knots(mild[0], task.sections, mild[1], sequential.room)
    return profile_knots(drive._replace(ease=drive.brake), task.sections, (0.0, math.inf, tau), sequential.room)


def _start(body: Body, state: tuple[float, float, float], now_ms: int) -> Start:
    """``state`` in the integers of a plan; its acceleration within what plans ask for."""
    s_m, v_mps, a_mps2 = state
    accel, brake = usable(body.limits)
    v_umps = max(0, round(v_mps * 1000.0)) * 1000
    a_mps2 = min(max(a_mps2, -brake), accel) if v_umps else 0.0
    return Start((), now_ms, round(s_m * 1000.0) * 1e-3, v_umps, a_mps2)


def _driving(sequential: Tasks, task: Task) -> Floats | None:
    """The profile of the mildest braking that keeps all limits, else of the hardest; None to stand still."""
    standing = task.start.v_umps == 0
    free = np.full(task.grid.rows.shape[1], math.inf)
    hard = sequential.drive(task, math.inf, 1.0)
    halt_m = hard.s + 0.5 * hard.v * hard.v / hard.brake
    if sequential.lower(task, free):
        stop = min(task.stop_m, float(free[-1]) - 2.0 * margin_m(task.body))
        if standing and stop - task.start.s_m < _STAY_M * size_scale(task.body):
            return None
        # With nothing to stop for, a vehicle drives as one that has an agreement: its free flow is that.
        drive = hard._replace(stop=stop)
        if stop < math.inf:
            drive = _comfortable(drive)
        s_ref = min(stop - AIM_SHORT_M * size_scale(task.body), drive.gone)
        knots, tau, t_ref = sequential.fastest(task, drive, free, s_ref)
        if halt_m <= task.line_m and knots is not None:
            mild = sequential.mildest(task, drive, free, (s_ref, t_ref + _LOSS_S)) if tau > drive.t else None
            if mild is not None:
                return profile_knots(mild[0], task.sections, mild[1], sequential.room)
            shape = (0.0, math.inf, tau)
            return profile_knots(drive._replace(ease=drive.brake), task.sections, shape, sequential.room)
    if standing:
        return None
    return profile_knots(hard._replace(stop=halt_m), task.sections, (math.inf, math.inf, hard.t), sequential.room)


def _comfortable(drive: Drive) -> Drive:
    """Brake no harder than comfort asks for, or than it takes to stand in time."""
    room = drive.stop - drive.s
    needed = 0.5 * drive.v * drive.v / room if room > 0.0 else drive.brake
    share = min(drive.brake, max(EASE * drive.brake, needed))
    return drive._replace(ease=EASE * drive.brake, slope=share)
