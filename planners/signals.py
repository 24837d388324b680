"""Traffic signals as baselines: fixed times and actuated, on phases found from the map.

A signal gives way to its green phase only. A vehicle gets a plan if its phase shows green now and the
plan takes it over the line before the yellow ends; else it is refused with ``red`` and stands at its
line. Turns that yield are planned after all others of the call. There is no all-red: plans are clear of
each other whatever the signal shows, so the next phase starts as early as geometry allows. Nor does
anybody know the next green in advance. Both favour the signal over a real one.

The actuated signal is a device beside the road: it has a state, which one object keeps for all vehicles
of a run. It sees who comes within ``DETECT_S`` of the line, keeps green while somebody does, between
``GREEN_MIN_MS`` and ``GREEN_MAX_MS``, and skips phases that nobody waits for (the figures are the defaults
of SUMO's actuated signals, and of the Signal Timing Manual, 2nd edition, chapter 5).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planners.gate import Comer, Gated, passes_line_ms
from planners.interface import Commitment, Conflicts, JointPlan, Refusal, Request
from planners.phases import Phase, phases_of
from planners.spacing import COMFORTABLE, Spacing
from planners.zone_map import ZoneMap

CYCLE_MS = 45_000
PHASE_MS_MIN = 11_000
"""With many phases the fixed cycle is longer than ``CYCLE_MS``, so that each is at least this long."""
YELLOW_MS = 3_000
GREEN_MIN_MS, GREEN_MAX_MS = 5_000, 50_000
DETECT_S = 3.0
"""A vehicle this near to its line at the speed limit keeps its phase green."""
GRANT_MS = 5_000
"""The actuated signal, which does not know when its green will end, lets nobody pass later than this from now:
a vehicle at 50 km/h begins to brake for a line about 3 s before it."""


class Signal(Gated, ABC):
    """What both signals share; a subclass says which phase has green, and until when its vehicles may enter."""

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        super().__init__(zone_map, conflicts, spacing)
        self._phases: dict[str, tuple[Phase, ...]] = {}

    def phases(self, zone_id: str) -> tuple[Phase, ...]:
        """The phases of a zone in the order in which they have green."""
        if zone_id not in self._phases:
            self._phases[zone_id] = phases_of(self._zone_map, self._conflicts, zone_id)
        return self._phases[zone_id]

    @abstractmethod
    def green(self, zone_id: str, comers: Sequence[Comer], now_ms: int) -> tuple[Phase | None, float]:
        """(the phase that shows green or None, the time in ms until which its vehicles may pass the line)."""

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Plan those who have green; see :class:`planners.interface.JointPlanner`."""
        comers = self.comers(requests, commitments, now_ms)
        if not requests:
            return JointPlan((), ())
        phase, until_ms = self.green(requests[0].zone_id, list(comers.values()), now_ms)
        inside = {name for name, one in comers.items() if one.inside}
        paths = frozenset() if phase is None else phase.paths
        held = {
            r.body.vehicle: "red" for r in requests if r.body.vehicle not in inside and r.approach.path_id not in paths
        }
        answer = self._in_turn(requests, held, phase, commitments, now_ms)
        return self._in_time(requests, inside, answer, until_ms)

    def _in_turn(
        self, requests: Sequence[Request], held: dict[str, str], phase: Phase | None,
        commitments: Sequence[Commitment], now_ms: int,
    ) -> JointPlan:  # fmt: skip
        """Those that yield after those that do not; a vehicle behind one that yields waits for it."""
        yielding = frozenset() if phase is None else phase.yielding
        later: set[str] = set()
        for request in requests:
            vehicle = request.body.vehicle
            if vehicle not in held and (request.approach.path_id in yielding or request.lane_leader in later):
                later.add(vehicle)
        if not later:
            return self.let_through(requests, held, commitments, now_ms)
        first = self.let_through(requests, {**held, **dict.fromkeys(later, "yields")}, commitments, now_ms)
        bodies = {request.body.vehicle: request.body for request in requests}
        agreed = [*commitments, *(Commitment(bodies[plan.vehicle], plan) for plan in first.plans)]
        planned = {plan.vehicle for plan in first.plans}
        refused = {one.vehicle: one.reason for one in first.refused if one.vehicle not in later}
        rest = [request for request in requests if request.body.vehicle not in planned]
        second = self.let_through(rest, refused, agreed, now_ms)
        return JointPlan(first.plans + second.plans, second.refused)

    def _in_time(self, requests: Sequence[Request], inside: set[str], answer: JointPlan, until_ms: float) -> JointPlan:
        """``answer`` without the plans that pass their line when green and yellow are over."""
        asked = {request.body.vehicle: request for request in requests}
        late = {
            plan.vehicle
            for plan in answer.plans
            if plan.vehicle not in inside and passes_line_ms(self._zone_map, asked[plan.vehicle], plan) > until_ms
        }
        plans = tuple(plan for plan in answer.plans if plan.vehicle not in late)
        return JointPlan(plans, answer.refused + tuple(Refusal(vehicle, "red") for vehicle in sorted(late)))


class SignalFixed(Signal):
    """The joint planner ``signal_fixed``: equal phases, the cycle starts with the fleet's clock."""

    name = "signal_fixed"

    def green(self, zone_id: str, comers: Sequence[Comer], now_ms: int) -> tuple[Phase | None, float]:
        """See :class:`Signal`; nobody is looked at."""
        phases = self.phases(zone_id)
        if len(phases) == 1:
            return phases[0], math.inf
        length_ms = max(CYCLE_MS // len(phases), PHASE_MS_MIN)
        number, into_ms = divmod(now_ms, length_ms)
        phase = phases[number % len(phases)]
        return (phase if into_ms < length_ms - YELLOW_MS else None), now_ms - into_ms + length_ms


@dataclass(slots=True)
class _Head:
    """What an actuated signal shows."""

    index: int = 0
    since_ms: int = 0
    yellow_until_ms: int | None = None


class SignalActuated(Signal):
    """The joint planner ``signal_actuated``."""

    name = "signal_actuated"

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        super().__init__(zone_map, conflicts, spacing)
        self._heads: dict[str, _Head] = {}

    def green(self, zone_id: str, comers: Sequence[Comer], now_ms: int) -> tuple[Phase | None, float]:
        """See :class:`Signal`; brings the signal up to ``now_ms``, which must not go back."""
        phases = self.phases(zone_id)
        head = self._heads.setdefault(zone_id, _Head(since_ms=now_ms))
        before = [one for one in comers if not one.inside]
        if head.yellow_until_ms is not None and now_ms >= head.yellow_until_ms:
            head.index, head.since_ms = self._next(phases, head.index, before), now_ms
            head.yellow_until_ms = None
        if head.yellow_until_ms is None and self._ends(phases[head.index], before, now_ms - head.since_ms):
            head.yellow_until_ms = now_ms + YELLOW_MS
        if head.yellow_until_ms is not None:
            return None, head.yellow_until_ms
        return phases[head.index], min(now_ms + GRANT_MS, head.since_ms + GREEN_MAX_MS + YELLOW_MS)

    def _ends(self, phase: Phase, before: Sequence[Comer], on_ms: int) -> bool:
        """Whether green ends: somebody waits elsewhere, and it has been long or nobody comes any more."""
        if on_ms < GREEN_MIN_MS or all(one.path_id in phase.paths for one in before):
            return False
        return on_ms >= GREEN_MAX_MS or not any(self._near(one) for one in _on(phase, before))

    def _near(self, one: Comer) -> bool:
        path = self._zone_map.paths[one.path_id]
        return one.to_line_m <= DETECT_S * float(path.limit_mps[0])

    def _next(self, phases: Sequence[Phase], index: int, before: Sequence[Comer]) -> int:
        """The next phase in the cycle that somebody waits for."""
        order = [(index + k) % len(phases) for k in range(1, len(phases) + 1)]
        return next((k for k in order if any(_on(phases[k], before))), order[0])


def _on(phase: Phase, before: Iterable[Comer]) -> list[Comer]:
    return [one for one in before if one.path_id in phase.paths]
