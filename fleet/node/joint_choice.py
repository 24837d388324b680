"""The joint planner of a charter that lists several candidates: plans of each, and the best by the charter's rulebook.

It stands where a joint planner stands. Nothing of safety rests on it: the plan it answers goes to the judges of
all members like any other. But a candidate that the independent verifier finds fault with never wins over one that it
does not, since that is the first rule of every rulebook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fleet.charter.model import Charter
from fleet.charter.rulebook import SAFETY_TIER, TIER_NAMES, Choice, choose
from fleet.node.planner_guard import GuardedPlanner
from planners.check import Verifier
from planners.interface import Body, Commitment, JointPlan, JointPlanner, Request
from planners.plan_facts import PlanFacts, plan_facts
from planners.timed_path import TimedPath

TOLERANCE_MMPS, TOLERANCE_MMPS2 = 50, 50
"""What rounding to integers may add to a plan at a limit; less is no violation."""
NEVER_MS = 120_000
"""A vehicle without a plan counts as one that is clear so much later (as in ``planners/welfare.py``)."""
_FAIRNESS_MS = 60_000
"""Waits w add w^2 over this, twice the welfare's 30 s."""
_MJ_PER_MS = 100
"""100 J/kg braked away count as 1 s."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One choice, for the decision log."""

    candidates: tuple[str, ...]
    violations: tuple[Mapping[str, int], ...]
    chosen: str
    rule: str
    """That decided; of a rank with several, the one that made most of the difference. Empty: none did, and the first
    of those that tie is taken."""
    tier: str
    tied: tuple[str, ...]


class RulebookPlanner:
    """See :class:`planners.interface.JointPlanner`.

    Parameters
    ----------
    candidates : mapping of str to JointPlanner
        The fleet's own first.
    charter : Charter
    verifier : Verifier
        Independent of all planners.
    judged : callable
        A body as the verifier takes it, from the (wider) one that planners get.
    clear_mm : callable
        Where the rear axle of a request's vehicle has left the zone, in mm along its path.
    """

    def __init__(
        self, candidates: Mapping[str, JointPlanner], charter: Charter, verifier: Verifier,
        judged: Callable[[Body], Body], clear_mm: Callable[[Request], int],
    ) -> None:  # fmt: skip
        self._planners = {name: GuardedPlanner(planner) for name, planner in candidates.items()}
        own = next(iter(self._planners.values()))
        self._own = next(iter(candidates.values()))
        self.name, self.open_orders, self.patience_ms = own.name, own.open_orders, own.patience_ms
        self._book, self._bound_ms = charter.compiled(), 1000 * charter.starvation_bound_s
        self._verifier, self._judged, self._clear_mm = verifier, judged, clear_mm
        self.last: Weighed | None = None
        """Of the last call, if there was anything to choose."""

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """The best of the candidates' joint plans by the rulebook."""
        self.last = None
        answers: dict[str, JointPlan] = {}
        for name, planner in self._planners.items():
            answer = planner.plan(requests, commitments, now_ms=now_ms)
            if all(set(answer.plans) != set(other.plans) for other in answers.values()):
                answers[name] = answer
        names = tuple(answers)
        if len(names) == 1:
            return answers[names[0]]
        rows = [self.violations(answers[name], requests, now_ms) for name in names]
        choice = self._verified(rows, list(answers.values()), requests, commitments, now_ms)
        decided = self._decisive(rows, choice)
        self.last = Weighed(
            names,
            tuple({rule: row[k] for k, rule in enumerate(self._book.names) if row[k]} for row in rows),
            names[choice.index],
            self._book.names[decided] if decided >= 0 else "",
            TIER_NAMES[self._book.tier[decided]] if decided >= 0 else "",
            tuple(names[k] for k in choice.tied) if len(choice.tied) > 1 else (),
        )
        return answers[names[choice.index]]

    def _decisive(self, rows: Sequence[Sequence[int]], choice: Choice) -> int:
        """The rule, of the rank that decided, in which the chosen plan is best against some other; -1: none is."""
        if choice.rank < 0:
            return -1
        best = rows[choice.index]
        gains = {
            rule: weight * max(row[rule] - best[rule] for row in rows) for rule, weight in self._book.rows[choice.rank]
        }
        return max(gains, key=lambda rule: (gains[rule], -rule))

    def violations(self, answer: JointPlan, requests: Sequence[Request], now_ms: int) -> list[int]:
        """By rule, as the compiled rulebook names them; what the verifier finds is left at 0."""
        by_name = {request.body.vehicle: request for request in requests}
        plans = [(by_name[plan.vehicle], plan) for plan in answer.plans]
        found = measured(plans, requests, self._clear_mm, now_ms, self._bound_ms)
        return [found.get(name, 0) for name in self._book.names]

    def _verified(
        self, rows: list[list[int]], answers: Sequence[JointPlan], requests: Sequence[Request],
        commitments: Sequence[Commitment], now_ms: int,
    ) -> Choice:  # fmt: skip
        """The choice with the verifier's findings filled in where they matter.

        Findings are the first rule of every book and cannot be fewer than none. So the best plan by all other rules is
        best of all if it has none: mostly one plan is verified, not each.
        """
        bodies = {request.body.vehicle: self._judged(request.body) for request in requests}
        others = [Commitment(self._judged(one.body), one.plan) for one in commitments]
        first, known = self._book.names.index(SAFETY_TIER[0]), set[int]()
        while True:
            choice = choose(self._book, rows)
            if choice.index in known:
                return choice
            known.add(choice.index)
            mine = [Commitment(bodies[plan.vehicle], plan) for plan in answers[choice.index].plans]
            rows[choice.index][first] = len(self._verifier.joint(mine, others, from_ms=now_ms))

    def approach(
        self, body: Body, path_id: str, state: tuple[float, float, float], *, now_ms: int, stop_s_m: float,
        leader: Commitment | None, guide: TimedPath | None = None,
    ) -> TimedPath:  # fmt: skip
        """The own planner's; nothing is chosen without agreement."""
        return self._own.approach(body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide)


def measured(
    plans: Sequence[tuple[Request, TimedPath]], requests: Sequence[Request], clear_mm: Callable[[Request], int],
    now_ms: int, bound_ms: int,
) -> dict[str, int]:  # fmt: skip
    """Violations of all rules but the verifier's, from the integers of the plans.

    ``delay`` is the time until a vehicle is clear: what it would need alone is the same in every candidate.
    """
    facts = {request.body.vehicle: plan_facts(plan, request.switch_ms, clear_mm(request)) for request, plan in plans}
    clear = {r.body.vehicle: _clear_ms(facts.get(r.body.vehicle), now_ms) for r in requests}
    wait = {r.body.vehicle: max(0, clear[r.body.vehicle] - r.arrived_ms) for r in requests}
    ordered = sorted((r.arrived_ms, clear[r.body.vehicle]) for r in requests)
    limits = {request.body.vehicle: request.body.limits for request, _ in plans}
    speed = [one.speed_mmps_max - int(limits[name].speed_mps_max * 1000.0) for name, one in facts.items()]
    brake = [one.brake_mmps2_max - int(limits[name].brake_mps2_max * 1000.0) for name, one in facts.items()]
    return {
        "over_speed_mmps": max((over for over in speed if over > TOLERANCE_MMPS), default=0),
        "over_brake_mmps2": max((over for over in brake if over > TOLERANCE_MMPS2), default=0),
        "without_plan": len(requests) - len(plans),
        "starved_ms": sum(max(0, one - bound_ms) for one in wait.values()),
        "overtaken": sum(
            earlier[0] < later[0] and later[1] < earlier[1]
            for k, earlier in enumerate(ordered)
            for later in ordered[k + 1 :]
        ),
        "delay": sum(clear[r.body.vehicle] - now_ms for r in requests),
        "energy": sum(one.braked_milli_jpkg // _MJ_PER_MS for one in facts.values()),
        "fairness": sum(one * one // _FAIRNESS_MS for one in wait.values()),
        "stops": sum(1000 * min(1, one.stops) for one in facts.values()),
        "urgency": sum(int(r.urgency * 1000.0) * (clear[r.body.vehicle] - now_ms) // 1000 for r in requests),
    }


def _clear_ms(facts: PlanFacts | None, now_ms: int) -> int:
    return now_ms + NEVER_MS if facts is None or facts.clear_ms is None else max(now_ms, facts.clear_ms)
