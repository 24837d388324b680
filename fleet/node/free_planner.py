"""The protocol's Planner port off the road: goals heard in intents, one joint plan that fits a proposal.

The wanted path in an intent is the pose that its sender wants to reach. Whoever proposes plans for all that
are ready, around whatever everybody else does; what has no way now, or no room in the datagram, waits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError
from fleet.node.bodies import heard_body
from fleet.node.free_book import FreeBook
from fleet.node.free_judge import FreeJudge
from fleet.protocol.records import LiveTube, PlannedBatch
from fleet.protocol.wire import Intent
from planners.arcs import Arcs
from planners.check_timed import HEADING_RAD, Tube, joint_findings
from planners.free_space import (
    Fixed,
    FreeSpacePlan,
    FreeSpaceProblem,
    FreeVehicle,
    Obstacle,
    Polygon,
    Pose,
    plan_free_space,
)
from planners.free_timing import timed
from planners.interface import Body
from planners.timed_path import SegmentArrays

Floats = npt.NDArray[np.float64]

LEASE_MARGIN_MS = 2000
"""From the end of a plan to the lease's end: the time in which a late vehicle still reaches its goal."""
LEASE_MS_MAX = 110_000
ENTRY_BYTES_MAX = 780
"""Plans of one proposal; the rest of the datagram is signature, envelope and the names of up to 16 members."""
SLACKS_S = (1.3, 1.8)
"""What planner and verifier mean by slack differs by how ramps are approximated; if one is too little, the next."""
NODES_MAX = 400_000
"""Search budget of one attempt: about two seconds of one core at the worst, 0.1 s as a rule."""
_GAP_M, _CLEARANCE_M = 0.06, 0.03
_PARKED_M = 0.02
_WANTED = re.compile(r"\Ato (-?\d{1,7}) (-?\d{1,7}) (-?\d{1,6})\Z")


@dataclass(frozen=True, slots=True)
class Manners:
    """How vehicles drive on a site: common to the fleet, since everybody plans for everybody."""

    speed_mps: float
    accel_mps2: float
    dwell_s: float
    kappa_1pm: float
    """Largest curvature of plans."""


def wanted_text(goal: Pose) -> str:
    """A goal as the wanted path of an intent: mm and 1e-4 rad."""
    yaw = math.remainder(goal[2], math.tau)
    return f"to {round(goal[0] * 1000.0)} {round(goal[1] * 1000.0)} {round(yaw * 1e4)}"


def wanted_goal(text: str) -> Pose | None:
    """The goal in an intent; None where it names none."""
    match = _WANTED.match(text)
    if match is None:
        return None
    x_mm, y_mm, yaw = map(int, match.groups())
    return x_mm * 1e-3, y_mm * 1e-3, yaw * 1e-4


def site_vehicle(body: Body, manners: Manners, start: Pose, goal: Pose) -> FreeVehicle:
    """``body`` as the planner is given it: with the verifier's margins, and a little more."""
    foot, budget = body.footprint, body.budget
    along = budget.longitudinal_m + _PARKED_M
    side = 2.0 * (budget.lateral_m + HEADING_RAD * max(foot.front_m, foot.rear_m) + _PARKED_M)
    speed = min(manners.speed_mps, body.limits.speed_mps_max)
    accel = min(manners.accel_mps2, body.limits.accel_mps2_max, body.limits.brake_mps2_max)
    return FreeVehicle(
        body.vehicle, start, goal, foot.front_m + along, foot.rear_m + along, foot.width_m + side,
        1.0 / manners.kappa_1pm, speed, 0.5 * speed / accel, manners.dwell_s,
    )  # fmt: skip


class FreePlanner:
    """Plans for one site on behalf of one vehicle."""

    def __init__(self, book: FreeBook, judge: FreeJudge, manners: Manners, obstacles: Sequence[Obstacle]) -> None:
        self._book, self._judge, self._manners = book, judge, manners
        self._obstacles = tuple(obstacles)

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        bodies = {tube.vehicle: heard_body(tube.vehicle, tube.body) for tube in known if tube.body is not None}
        asked: dict[str, FreeVehicle] = {}
        refused: list[tuple[str, str]] = []
        for intent in vehicles:
            found = self._task(intent, bodies.get(intent.vehicle), switch_ms)
            if isinstance(found, str):
                refused.append((intent.vehicle, found))
            else:
                asked[intent.vehicle] = found
        others = self._judge.others(known, set(asked))
        if others is None:
            return PlannedBatch((), (*refused, *((name, "not_a_plan:announced") for name in asked)))
        standing = {t.vehicle: self._book.tube(bodies[t.vehicle], t.plan) for t in known if t.vehicle in asked}
        while asked:
            entries, failed = self._attempt(list(asked.values()), others, bodies, switch_ms)
            if entries:
                return PlannedBatch(tuple(entries), tuple(refused))
            # Who has no way stands in the others' way meanwhile; if it is nobody in particular, the last one waits.
            failed = failed or {list(asked)[-1]: "no_joint_plan"}
            refused += sorted(failed.items())
            for name in failed:
                del asked[name]
                tube = standing[name]
                others += [] if tube is None else [tube]
        return PlannedBatch((), tuple(refused))

    def _task(self, intent: Intent, body: Body | None, switch_ms: int) -> FreeVehicle | str:
        """A vehicle with start and goal; or why it cannot be planned for."""
        goal = wanted_goal(intent.path_id)
        tube = None if body is None else self._book.tube(body, intent.plan)
        if goal is None or body is None or tube is None:
            return "no_goal"
        if tube.end_s > switch_ms * 1e-3:
            return "still_moving"
        place = self._book.place(intent.plan, switch_ms * 1e-3)
        return "no_goal" if place is None else site_vehicle(body, self._manners, place[2:], goal)

    def _attempt(
        self, asked: list[FreeVehicle], others: Sequence[Tube], bodies: dict[str, Body], switch_ms: int
    ) -> tuple[list[tuple[str, bytes, int]], dict[str, str]]:
        """Entries of a proposal for all of ``asked``; or none, and who cannot go now and why."""
        seen = [Polygon(tuple(map(tuple, outline.tolist()))) for _, outline in self._judge.seen_obstacles()]
        problem = FreeSpaceProblem(
            tuple(asked), (*self._obstacles, *seen), self._book.site.border_m, _GAP_M, _CLEARANCE_M,
            fixed=tuple(self._fixed(tube, switch_ms * 1e-3) for tube in others), nodes_max=NODES_MAX,
        )  # fmt: skip
        for slack_s in SLACKS_S:
            answer = plan_free_space(replace(problem, slack_s=slack_s))
            if not answer.solved:
                return [], {one.vehicle: f"no_way:{one.reason[:48]}" for one in answer.unsolved}
            try:
                tubes = self._timed(answer, asked, bodies, switch_ms)
            except PlanError as error:
                return [], {asked[-1].name: f"too_long:{str(error)[:48]}"}
            if not joint_findings(tubes, others, from_s=switch_ms * 1e-3):
                return self._entries(tubes, asked)
        return [], {}

    def _timed(
        self, answer: FreeSpacePlan, asked: Sequence[FreeVehicle], bodies: dict[str, Body], switch_ms: int
    ) -> list[Tube]:
        tubes = []
        for path, vehicle in zip(answer.paths, asked, strict=True):
            tube = self._book.tube(bodies[vehicle.name], timed(path, vehicle, switch_ms).encode())
            if tube is None:
                raise PlanError(f"vehicle {vehicle.name}: its plan does not decode")
            tubes.append(tube)
        return tubes

    def _entries(
        self, tubes: Sequence[Tube], asked: Sequence[FreeVehicle]
    ) -> tuple[list[tuple[str, bytes, int]], dict[str, str]]:
        entries = [(t.plan.vehicle, t.plan.encode(), t.plan.end_ms + LEASE_MARGIN_MS) for t in tubes]
        late = [t.plan.vehicle for t in tubes if t.plan.end_ms - t.plan.t0_ms > LEASE_MS_MAX]
        if late:
            return [], dict.fromkeys(late, "takes_longer_than_a_lease")
        if len(entries) > 1 and sum(len(raw) + 20 for _, raw, _ in entries) > ENTRY_BYTES_MAX:
            return [], {asked[-1].name: "datagram_full"}
        return entries, {}

    def _fixed(self, tube: Tube, t0_s: float) -> Fixed:
        course = _Course(tube.arrays, Arcs(tube.path), t0_s)
        x, y, yaw = course(np.zeros(1))
        pose = (float(x[0]), float(y[0]), float(yaw[0]))
        return Fixed(site_vehicle(tube.body, self._manners, pose, pose), course)


class _Course:
    """Poses of a plan by the time since ``t0_s``."""

    def __init__(self, arrays: SegmentArrays, arcs: Arcs, t0_s: float) -> None:
        self._arrays, self._arcs, self._t0_s = arrays, arcs, t0_s
        self.end_s = float(arrays.t_s[-1]) - t0_s

    def __call__(self, t_s: Floats) -> tuple[Floats, Floats, Floats]:
        arrays = self._arrays
        at = np.clip(t_s + self._t0_s, arrays.t_s[0], arrays.t_s[-1])
        return self._arcs.poses(np.array([arrays.at(float(t))[0] for t in at]))
