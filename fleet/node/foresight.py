"""What a vehicle expects to be agreed on, as long as its planner leaves the passing order open.

Early promises are what makes a reservation server slow: an order that is fixed when vehicles are still far
away cannot take those in that come later. So with ``open_orders`` a vehicle asks for its plan late: when
the plan it drives would soon fall behind the one that it expects, by the time that a decision takes. Until
then it drives as if its expectation were agreed, but so that it stands at the line if it never is. An
expectation is the joint plan of all who wait, by what this vehicle has heard; a wrong one costs time only.
"""

from __future__ import annotations

from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.protocol.core import Core
from planners.timed_path import SegmentArrays, TimedPath

RENEW_MS = 500
"""Between two looks ahead of one vehicle."""
RESERVE_MS = 300
"""Beyond the time that a decision is given: for its turn to propose, and one attempt that fails."""
_BEHIND_M = 0.4
"""So far the driven plan may fall behind the expected one before agreement is due (model cars in proportion)."""
_MOVED_M = 0.5
"""An expectation that differs by less than this changes no plan (model cars in proportion)."""
_STEP_MS = 100


class Foresight:
    """One vehicle's expectation at one zone."""

    def __init__(self, name: str, core: Core, planner: ZonePlanner, book: PlanBook, scale: float) -> None:
        self._name, self._core, self._planner, self._book, self._scale = name, core, planner, book, scale
        self.plan: TimedPath | None = None
        self.due = not planner.open_orders
        """Whether agreement is wanted now."""
        self._looked_ms: int | None = None
        self._followed: TimedPath | None = None

    def enter(self) -> None:
        """Nothing is expected at a zone that has just been engaged with."""
        self.plan = self._followed = self._looked_ms = None
        self.due = not self._planner.open_orders

    def settle(self) -> None:
        """A plan is held: nothing is expected, and should it be lost, another one is due at once."""
        self.plan = self._followed = None
        self.due = True

    def look(self, now_ms: int, driven: SegmentArrays) -> None:
        """Renew the expectation if it is time to, and see whether agreement is due."""
        if self.due or (self._looked_ms is not None and now_ms - self._looked_ms < RENEW_MS):
            return
        core = self._core
        if not core.waiting(now_ms).keys() & {self._name}:
            return
        self._looked_ms = now_ms
        decision_ms = core.decision_ms(now_ms)
        self.plan = self._planner.expected(self._name, core.known_tubes(now_ms), now_ms, now_ms + decision_ms)
        until_ms = now_ms + RENEW_MS + decision_ms + RESERVE_MS
        self.due = self.plan is None or self._gap_m(self.plan, driven, now_ms, until_ms) > _BEHIND_M * self._scale

    def has_moved(self, now_ms: int, line_s_m: float) -> bool:
        """Whether the expectation is another one than the plan driven was made with."""
        new, old = self.plan, self._followed
        if new is None or new is old:
            return False
        if old is None:
            return True
        before, after = self._book.arrays(old), self._book.arrays(new)
        for ahead_ms in range(0, 12_000, 5 * _STEP_MS):
            s_m = after.at((now_ms + ahead_ms) * 1e-3)[0]
            if abs(s_m - before.at((now_ms + ahead_ms) * 1e-3)[0]) > _MOVED_M * self._scale:
                return True
            if s_m > line_s_m:
                return False
        return False

    def follow(self) -> TimedPath | None:
        """The guide for a plan that is made now."""
        self._followed = self.plan
        return self.plan

    def _gap_m(self, expected: TimedPath, driven: SegmentArrays, now_ms: int, until_ms: int) -> float:
        """How far ``driven`` falls behind."""
        ahead = self._book.arrays(expected)
        times_s = [0.001 * ms for ms in range(now_ms, until_ms + _STEP_MS, _STEP_MS)]
        return max(ahead.at(t_s)[0] - driven.at(t_s)[0] for t_s in times_s)
