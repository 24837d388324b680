"""A vehicle watches itself: overrides of its kernel, and whether it keeps to the plan it has agreed on."""

from __future__ import annotations

from fleet.node.kernel import Rest, Status
from fleet.node.parts import Counters, Noter
from planners.zone_map import ErrorBudget


class SelfWatch:
    """Counts overrides, and notes a breach of the error budget of a committed plan once."""

    def __init__(self, status: Status, budget: ErrorBudget, counters: Counters, note: Noter) -> None:
        self._status, self._budget, self._counters, self._note = status, budget, counters, note
        self._breached = False

    def begin(self) -> None:
        """Another plan, or another crossing: what was noted before is over."""
        self._breached = False

    def look(self, now_ms: int, *, committed: bool) -> bool:
        """Whether the plan should be given back: it was left beyond its budget, and the vehicle can still stop."""
        status, counters, budget = self._status, self._counters, self._budget
        if status.braking_for:
            counters.kernel_overrides += 1
        if status.rest is Rest.NONE:
            counters.no_contingency += 1
        if not committed or self._breached:
            return False
        if abs(status.longitudinal_error_m) <= budget.longitudinal_m and abs(status.lateral_m) <= budget.lateral_m:
            return False
        self._breached = True
        counters.breaches += 1
        detail = {"lateral_m": round(status.lateral_m, 3), "longitudinal_m": round(status.longitudinal_error_m, 3)}
        self._note(now_ms, "breach", detail)
        return not status.past_no_return
