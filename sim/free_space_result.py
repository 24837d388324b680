"""What becomes of a free-space plan: judged by the verifier, then written as ``plan.json``."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from fleet.errors import ConfigError
from planners.check_free import Track, check_free_space
from planners.free_space import (
    Disc,
    FreeSpacePlan,
    FreeSpaceProblem,
    Polygon,
    Progress,
    Unsolved,
    plan_free_space,
)
from sim.free_space_file import PUBLISHED_OVERHANG_M, published_cost
from sim.free_space_tolerance import Tolerated, tolerate

STEP_S = 0.1
"""Written states are at most this far apart."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged plan of ``problem`` and what it took."""

    problem: FreeSpaceProblem
    """As it was planned: with the border that the plan keeps, and the obstacles that the given poses leave."""
    plan: FreeSpacePlan
    planning_s: float
    """Wall time of the search; reading, compiling, judging and writing are not in it."""
    cpu_s: float
    """CPU time of the same."""
    findings: tuple[str, ...]
    """What the verifier objected to; a plan with findings is not solved."""
    tolerated: tuple[Tolerated, ...] = ()

    @property
    def solved(self) -> bool:
        return self.plan.solved and not self.findings


def solve_instance(problem: FreeSpaceProblem, progress: Progress | None = None) -> Answer:
    """Plan and judge ``problem``; obstacles that its poses slightly overlap count with the radius these leave.

    First no part of a body may leave the map. If then a vehicle has no way at all, the published rule holds:
    only the reference point must stay on the map.
    """
    importlib.import_module("planners.priority")  # compiles the kernels where that was not done before
    problem, tolerated = tolerate(problem)
    began, began_cpu = perf_counter(), process_time()
    plan = plan_free_space(problem, progress)
    if any("no other vehicle" in unsolved.reason for unsolved in plan.unsolved):
        x0, y0, x1, y1 = problem.border_m
        over = PUBLISHED_OVERHANG_M
        wider = replace(problem, border_m=(x0 - over, y0 - over, x1 + over, y1 + over))
        second = plan_free_space(wider, progress)
        if second.solved:
            problem, plan = wider, second
    planning_s, cpu_s = perf_counter() - began, process_time() - began_cpu
    return Answer(problem, plan, planning_s, cpu_s, tuple(judge(problem, plan)), tolerated)


def judge(problem: FreeSpaceProblem, plan: FreeSpacePlan) -> list[str]:
    """What the verifier finds wrong with the states of ``plan``, as they are written."""
    by_name = {vehicle.name: vehicle for vehicle in problem.vehicles}
    tracks = [
        Track(
            path.vehicle, path.states(STEP_S), v.start, v.goal, v.front_m, v.rear_m, v.width_m, v.speed_mps,
            v.turn_radius_m,
        )
        for path in plan.paths
        for v in (by_name[path.vehicle],)
    ]  # fmt: skip
    discs = [(o.x_m, o.y_m, o.radius_m) for o in problem.obstacles if isinstance(o, Disc)]
    polygons = [np.array(o.corners_m) for o in problem.obstacles if isinstance(o, Polygon)]
    return check_free_space(
        tracks,
        discs=np.array(discs, dtype=np.float64).reshape(-1, 3),
        polygons=polygons,
        border_m=problem.border_m,
        step_s_max=STEP_S,
    )


def as_json(instance: str, answer: Answer, *, clockwise: bool = False) -> dict[str, Any]:
    """The content of ``plan.json``; without a solution ``agents`` is empty and ``unsolved`` says who and why.

    ``clockwise`` writes yaw in the sense of the published planner's code.
    """
    sense = np.array([1.0, 1.0, 1.0, -1.0 if clockwise else 1.0])
    solved, plan = answer.solved, answer.plan
    unsolved = [*plan.unsolved, *(Unsolved("verifier", text) for text in answer.findings)]
    return {
        "instance": instance,
        "solved": solved,
        "planning_s": round(answer.planning_s, 6),
        "flowtime": published_cost(plan.flowtime_s) if solved else None,
        "makespan": published_cost(plan.makespan_s) if solved else None,
        "searches": plan.searches,
        "border_m": list(answer.problem.border_m),
        "agents": [
            {"name": path.vehicle, "states": (path.states(STEP_S) * sense).tolist()}
            for path in (plan.paths if solved else ())
        ],
        "yaw": "clockwise from x" if clockwise else "counter-clockwise from x",
        "unsolved": [{"name": one.vehicle, "reason": one.reason} for one in unsolved],
        "tolerated": [
            {
                "agent": one.vehicle,
                "at": one.at,
                "obstacle": [one.disc.x_m, one.disc.y_m],
                "overlap_m": one.overlap_m,
                "radius_m": one.radius_m,
            }
            for one in answer.tolerated
        ],
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write ``content``; its folder is made.

    Raises
    ------
    ConfigError
        The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
