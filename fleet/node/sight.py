"""Crossing by sight: what a vehicle does that cannot agree (rule P9), and how a jam inside a zone comes apart.

Before its line a vehicle that has stood without agreement crosses when the right of way says so and its
way through is clear of every plan it knows. Inside a zone, vehicles may stand closer to each other than
plans with error budgets allow, for instance where they were first switched on; no plan can be agreed
for them then. After a while the first of them (by name) creeps on at walking pace, kept from whatever
stands in its corridor by the safety kernel alone, while all others stand; only until it is clear of them,
so that the rest of its way can be agreed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fleet.node.bodies import planning_body
from fleet.node.judge import ZoneJudge
from fleet.node.plan_book import PlanBook
from fleet.node.planner_guard import GuardedPlanner
from fleet.node.planning import first_time_beyond
from fleet.node.right_of_way import RightOfWay
from fleet.node.road import Road
from fleet.node.surroundings import Surroundings
from fleet.protocol import limits
from fleet.protocol.core import Core
from fleet.protocol.table import Phase
from planners.interface import Body
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget, MotionLimits, Passage

WAIT_MS = 2500
"""Standing at the line for so long without agreement, and hearing nobody or seeing somebody silent wait, a vehicle
crosses by sight; where it hears all, agreement is still likely, and it waits for as long as its planner says."""
JAM_MS = 5000
JAM_TURN_MS = 3000
"""A jam inside a zone is left alone for ``JAM_MS``, then each vehicle in it has a turn of ``JAM_TURN_MS`` to start."""
STUCK_MS = 4000
FREE_MS = 500
"""A creeping vehicle looks this often whether it has come clear of the others ..."""
SPARE_M = 0.3
"""... by this much more than its error budget: planners want more room than the verifier."""
SLOW_MPS = 1.0
"""Below this a vehicle watches who stands at the other lines, and since when."""
CREEP_MPS = 1.5
CREEP_BUDGET_SHARE = 0.6
"""At walking pace neither tyre slip nor actuator lag matter; what is left of the budget is localisation."""


class BySight:
    """One vehicle's crossing by sight at its present zone."""

    def __init__(
        self, core: Core, around: Surroundings, judge: ZoneJudge, planner: GuardedPlanner, book: PlanBook,
        body: Body, scale: float,
    ) -> None:  # fmt: skip
        self._core, self._around = core, around
        self._judge, self._planner, self._book = judge, planner, book
        self._body, self._scale = body, scale
        self._right_of_way = RightOfWay(book.roads, scale)
        self.strangers: Callable[[], bool] = lambda: False
        """Whether somebody is heard with whom nothing can ever be agreed on."""
        self.active = False
        self._creeping = False
        self._moved_ms = self._looked_ms = self._slow_ms = 0

    def enter(self, now_ms: int) -> None:
        """A new zone: nothing is known of who waits there."""
        self._right_of_way = RightOfWay(self._book.roads, self._scale)
        self.active = self._creeping = False
        self._slow_ms = now_ms

    def observe(self, now_ms: int, zone_id: str, path_id: str) -> None:
        """New tracks are there."""
        self._right_of_way.observe(now_ms, self._around, zone_id, path_id)

    def start(
        self, now_ms: int, road: Road, passage: Passage, s_m: float, since_ms: int, *, inside: bool
    ) -> TimedPath | None:
        """The plan to cross by, if the vehicle, standing since ``since_ms``, may start now."""
        if now_ms < self._core.frozen_until_ms(now_ms):
            return None
        if inside:
            free = self._jam_lets_go(now_ms, passage, since_ms)
        else:
            free = self._my_turn(now_ms, road, passage, since_ms)
        if not free:
            return None
        following = road.after(passage)
        stop = following.line_s_m if following else math.inf
        plan = self._planner.approach(
            planning_body(self._slow() if inside else self._body), road.path.path_id, (s_m, 0.0, 0.0), now_ms=now_ms,
            stop_s_m=stop, leader=None,
        )  # fmt: skip
        clear = first_time_beyond(self._book, plan, passage.exit_s_m + self._body.footprint.rear_m)
        known, share = self._core.known_tubes(now_ms), CREEP_BUDGET_SHARE if inside else 1.0
        if clear is None or self._judge.verify_alone(plan, self._body, known, now_ms, budget_share=share):
            return None
        self.active, self._creeping, self._moved_ms, self._looked_ms = True, inside, now_ms, now_ms
        return plan

    def note_speed(self, now_ms: int, v_mps: float) -> None:
        """Remember when the vehicle was slow."""
        if v_mps <= SLOW_MPS * self._scale:
            self._slow_ms = now_ms

    def is_slow(self, now_ms: int) -> bool:
        """Whether others may take it for one that stands: it is slow, has just been, or is new here."""
        return now_ms - self._slow_ms < limits.SHOWN_MS

    def held_back(self, now_ms: int, road: Road) -> bool:
        """Whether a vehicle that stands, or has just begun to move, may not agree to go, not even with itself.

        One that moves may leave out a silent one that stands: that one sees it, and agrees on nothing.
        """
        return self.is_slow(now_ms) and self._right_of_way.silent_waits(self._around, road.path.origin)

    def must_stop(self, now_ms: int, road: Road, passage: Passage, front_s_m: float, v_mps: float) -> bool:
        """While crossing: whether to stop again, for somebody with the earlier turn or because the way is shut."""
        if v_mps > 0.1 * self._scale:
            self._moved_ms = now_ms
        if now_ms - self._moved_ms > STUCK_MS:
            return True
        rear_axle_m = front_s_m - self._body.footprint.front_m
        if self._creeping and self._came_clear(now_ms, road, passage, (rear_axle_m, v_mps, 0.0)):
            return True
        if self._creeping or front_s_m >= passage.line_s_m + 0.6 * self._scale:
            return False
        return self._right_of_way.must_yield(self._around, passage.zone_id, road.path.origin)

    def _came_clear(self, now_ms: int, road: Road, passage: Passage, state: tuple[float, float, float]) -> bool:
        """Whether the rest of the way is clear of all known plans with room to spare: then it can be agreed on."""
        if now_ms - self._looked_ms < FREE_MS:
            return False
        self._looked_ms = now_ms
        following = road.after(passage)
        stop = following.line_s_m if following else math.inf
        body, spare = planning_body(self._body), SPARE_M * self._scale
        plan = self._planner.approach(body, road.path.path_id, state, now_ms=now_ms, stop_s_m=stop, leader=None)
        budget = ErrorBudget(body.budget.lateral_m + spare, body.budget.longitudinal_m + spare)
        wide = Body(body.vehicle, body.footprint, body.limits, budget)
        return not self._judge.verify_alone(plan, wide, self._core.known_tubes(now_ms), now_ms)

    def _my_turn(self, now_ms: int, road: Road, passage: Passage, since_ms: int) -> bool:
        hopeless = self.strangers() or not self._core.peers(now_ms)
        alone = hopeless or self._right_of_way.silent_waits(self._around, road.path.origin)
        patience_ms = WAIT_MS if alone else self._planner.patience_ms
        if now_ms - since_ms < patience_ms:
            return False
        return not self._right_of_way.may_enter(now_ms, self._around, passage.zone_id, road.path.origin, since_ms)

    def _jam_lets_go(self, now_ms: int, passage: Passage, since_ms: int) -> bool:
        """The vehicle's turn among those that stand inside: by name, one at a time, and nobody moves."""
        peers = self._core.peers(now_ms)
        if any(intent.phase in {Phase.CROSSING, Phase.FALLBACK} for intent in peers.values()):
            return False
        standing = sorted(name for name, intent in peers.items() if intent.phase is Phase.OCCUPYING)
        earlier = sum(1 for name in standing if name < self._body.vehicle)
        turns = len(standing) + 1
        waited = now_ms - since_ms - JAM_MS
        if waited < 0 or (waited // JAM_TURN_MS) % turns != earlier:
            return False
        return self._right_of_way.all_stand(self._around, passage.zone_id)

    def _slow(self) -> Body:
        limits = self._body.limits
        slow = MotionLimits(
            min(limits.speed_mps_max, CREEP_MPS * max(self._scale, 0.1)),
            0.5 * limits.accel_mps2_max,
            limits.brake_mps2_max,
            limits.lateral_accel_mps2_max,
            limits.jerk_mps3_max,
        )
        return Body(self._body.vehicle, self._body.footprint, slow, self._body.budget)
