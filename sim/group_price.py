"""What each vehicle would lose by the plan of greatest welfare, and what it really lost, zone by zone.

A vehicle's case is opened when a joint planner is first asked for it: then the same question goes to the planner of
greatest welfare (what the fleet could have had), and to the same for it alone (what it would take with nobody there).
The case is closed when its rear bumper has really left the zone. The planners' clock is not charged for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.node.planner_guard import GuardedPlanner
from fleet.node.planning import claim_s_m
from fleet.node.road import Roads
from planners.interface import Commitment, JointPlan, JointPlanner, Request
from planners.plan_facts import plan_facts

ASKED_MAX = 12
"""So many are ordered exactly; those of a longer list that were asked for later are left out."""
REFUSED_MS = 120_000
"""A vehicle that the plan of greatest welfare refuses; as in ``planners/welfare.py``."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a planner was asked when it first heard of ``fresh`` vehicles."""

    fresh: tuple[str, ...]
    requests: tuple[Request, ...]
    commitments: tuple[Commitment, ...]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Case:
    """One vehicle at one zone; times on the fleet's clock."""

    exit_s_m: float
    arrived_ms: int
    alone_ms: int
    planned_delay_ms: int


class Prices:
    """The open cases of a run."""

    def __init__(self, welfare: JointPlanner, roads: Roads) -> None:
        self._welfare, self._roads = GuardedPlanner(welfare), roads
        self._questions: list[Question] = []
        self._known: set[tuple[str, str]] = set()
        self.arrived_ms: dict[tuple[str, str], int] = {}
        """(vehicle, zone) -> when it announced itself, as others heard."""
        self.cases: dict[tuple[str, str], Case] = {}

    def ask(self, requests: Sequence[Request], commitments: Sequence[Commitment], now_ms: int) -> None:
        """Keep a question for :meth:`answer`, if somebody is new in it."""
        fresh = [r for r in requests if (r.body.vehicle, r.zone_id) not in self._known]
        if not fresh:
            return
        self._known |= {(r.body.vehicle, r.zone_id) for r in fresh}
        self.arrived_ms |= {(r.body.vehicle, r.zone_id): r.arrived_ms for r in fresh}
        first = sorted(requests, key=lambda r: (r.arrived_ms, r.body.vehicle))[:ASKED_MAX]
        names = tuple(r.body.vehicle for r in fresh)
        self._questions.append(Question(names, tuple(first), tuple(commitments), now_ms))

    def answer(self) -> None:
        """Open the cases of all questions that were kept."""
        for question in self._questions:
            together = self._clear_ms(self._plan(question.requests, question.commitments, question.now_ms), question)
            for request in question.requests:
                name = request.body.vehicle
                if name not in question.fresh:
                    continue
                alone_ms = self._clear_ms(self._plan((request,), (), question.now_ms), question).get(name)
                exit_s_m = self._exit_s_m(request)
                if alone_ms is not None and exit_s_m is not None:
                    lost_ms = max(0, together.get(name, alone_ms + REFUSED_MS) - alone_ms)
                    case = Case(exit_s_m, request.arrived_ms, alone_ms, lost_ms)
                    self.cases[(name, request.zone_id)] = case
        self._questions.clear()

    def _plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], now_ms: int) -> JointPlan:
        return self._welfare.plan(requests, commitments, now_ms=now_ms)

    def _exit_s_m(self, request: Request) -> float | None:
        road = self._roads.get(request.approach.path_id)
        passage = road.passage(request.zone_id, claim_s_m(request.approach, request.body))
        return None if passage is None else passage.exit_s_m

    def _clear_ms(self, answer: JointPlan, question: Question) -> dict[str, int]:
        by_name = {request.body.vehicle: request for request in question.requests}
        found = {}
        for plan in answer.plans:
            request = by_name[plan.vehicle]
            exit_s_m = self._exit_s_m(request)
            if exit_s_m is None:
                continue
            clear_mm = round(1000.0 * (exit_s_m + request.body.footprint.rear_m))
            clear_ms = plan_facts(plan, question.now_ms, clear_mm).clear_ms
            if clear_ms is not None:
                found[plan.vehicle] = clear_ms
        return found
