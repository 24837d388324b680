"""The protocol's Planner port: intents to requests, joint plans to batches with leases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from fleet.node.bodies import heard_body, planning_body
from fleet.node.lanes import Lanes
from fleet.node.plan_book import PlanBook
from fleet.node.planner_guard import GuardedPlanner
from fleet.protocol.records import LiveTube, PlannedBatch
from fleet.protocol.wire import Intent
from planners.interface import Body, Commitment, JointPlan, JointPlanner, Request
from planners.timed_path import TimedPath

EXIT_ROOM_LENGTHS = 5.0
"""A vehicle keeps its claim until it is this many lengths beyond the zone, so that whoever follows it out
was planned behind it; after that, following is by sight."""
OPEN_MAX = 32
"""So many vehicles are ordered at once, in the order in which they came; the others wait behind them anyway."""
_STANDING_MPS = 0.05
LEASE_MARGIN_MS = 600
"""From leaving a zone by plan to the lease's end: clock bounds, tracking error, and one lost intent."""


class ZonePlanner:
    """Plans for one zone on behalf of one vehicle."""

    def __init__(
        self, planner: JointPlanner, book: PlanBook, lanes: Lanes, clock: Callable[[], float] | None = None
    ) -> None:
        self._planner = GuardedPlanner(planner)
        self._book = book
        self._lanes = lanes
        self._zone_id = ""
        self._clock = clock
        self.planning_s: list[float] = []
        """Wall time of each call, where a clock was given; for metrics only, nothing is decided by it."""
        self.beyond: Callable[[int], list[Commitment]] = lambda now_ms: []
        """Plans announced at other zones, at a time in ms."""
        self.waiting: Callable[[int], Mapping[str, Intent]] = lambda now_ms: {}
        """Everybody here who has no plan through the zone yet, at a time in ms."""
        self.planned: Callable[[Sequence[Request], Sequence[Commitment], JointPlan, int], None] | None = None
        """Told of each call for a proposal: what was asked, around what, the answer, and the time in ms."""

    @property
    def open_orders(self) -> bool:
        """See :class:`planners.interface.JointPlanner`."""
        return self._planner.open_orders

    def enter(self, zone_id: str) -> None:
        """Plan for this zone from now on."""
        self._zone_id = zone_id

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        began = self._clock() if self._clock else 0.0
        batch = self._plan(vehicles, known, now_ms, switch_ms)
        if self._clock:
            self.planning_s.append(self._clock() - began)
        return batch

    def _plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        answer, bodies, close = self._joint(vehicles, known, now_ms, switch_ms)
        named = {intent.vehicle for intent in vehicles}
        entries = []
        refused = [(refusal.vehicle, refusal.reason) for refusal in answer.refused if refusal.vehicle in named]
        refused += [(name, f"start_in_conflict:{close[name]}") for name in sorted(close) if name in named]
        for plan in answer.plans:
            if plan.vehicle not in named:
                continue
            lease = self.lease_end_ms(plan, bodies[plan.vehicle])
            if lease is None:
                refused.append((plan.vehicle, "never_clears"))
            else:
                entries.append((plan.vehicle, plan.encode(), lease))
        return PlannedBatch(tuple(entries), tuple(refused))

    def expected(self, name: str, known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> TimedPath | None:
        """What ``name`` would be given if everybody asked now; None: it would be refused."""
        answer, _, _ = self._joint((), known, now_ms, switch_ms)
        return next((plan for plan in answer.plans if plan.vehicle == name), None)

    def _joint(
        self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int
    ) -> tuple[JointPlan, dict[str, Body], dict[str, str]]:
        """(plans for ``vehicles``, and with open orders for all who wait; bodies; who is too close behind whom)."""
        bodies = {
            tube.vehicle: planning_body(heard_body(tube.vehicle, tube.body)) for tube in known if tube.body is not None
        }
        announced = {tube.plan: tube.vehicle for tube in known if tube.body is not None}
        asking = {intent.vehicle: intent for intent in vehicles}
        if self.open_orders:
            waiting = sorted(self.waiting(now_ms).values(), key=lambda intent: (intent.arrived_ms, intent.vehicle))
            for intent in waiting:
                if len(asking) < OPEN_MAX:
                    asking.setdefault(intent.vehicle, intent)
        wanted = {announced[intent.plan]: intent for intent in asking.values() if intent.plan in announced}
        plans = {t.vehicle: (bodies[t.vehicle], t.plan) for t in known if t.vehicle in bodies and t.body is not None}
        leaders = self._lanes.leaders(now_ms * 1e-3, plans, wanted)
        requests = []
        for name, intent in wanted.items():
            request = self._request(name, intent, bodies[name], leaders.get(name), switch_ms)
            if request is not None:
                requests.append(request)
        asked = {request.body.vehicle for request in requests}
        commitments = self._commitments(known, bodies, asked, now_ms)
        answer = self._planner.plan(requests, commitments, now_ms=now_ms)
        close = _too_close_behind(answer, leaders)
        if close:
            requests = [request for request in requests if request.body.vehicle not in close]
            asked -= close
            commitments = self._commitments(known, bodies, asked, now_ms)
            answer = self._planner.plan(requests, commitments, now_ms=now_ms)
        if self.planned is not None and vehicles:
            self.planned(requests, commitments, answer, now_ms)
        return answer, bodies, {name: leaders[name] for name in close}

    def _request(self, name: str, intent: Intent, body: Body, leader: str | None, switch_ms: int) -> Request | None:
        approach = self._book.decode(intent.plan)
        if approach is None or not self._book.knows(approach):
            return None
        road = self._book.roads.get(approach.path_id)
        passage = road.passage(self._zone_id, claim_s_m(approach, body))
        if passage is None:
            return None
        following = road.after(passage)
        stop = following.line_s_m if following else math.inf
        return Request(body, approach, switch_ms, self._zone_id, intent.arrived_ms, intent.urgency * 1e-3, stop, leader)

    def _commitments(
        self, known: Sequence[LiveTube], bodies: dict[str, Body], wanted: set[str], now_ms: int
    ) -> list[Commitment]:
        """Every tube that the batch must be clear of.

        That is all tubes of vehicles that are not planned for, but: of a vehicle with a live tube the
        announced approach does not count, nor does the approach of one that follows a vehicle of the
        batch in its lane (it adapts).
        """
        asked = []
        for tube in known:
            name, plan = tube.vehicle, self._book.decode(tube.plan)
            if name in wanted and plan is not None and self._book.knows(plan):
                asked.append((bodies[name], plan))
        live = {tube.vehicle for tube in known if tube.kind != "approach"}
        found: dict[tuple[str, bytes], Commitment] = {}
        for tube in known:
            if tube.vehicle in wanted or (tube.kind == "approach" and tube.vehicle in live):
                continue
            plan = self._book.decode(tube.plan)
            if plan is None or not self._book.knows(plan) or tube.vehicle not in bodies:
                continue
            other = (bodies[tube.vehicle], plan)
            gives_way = adapts(self._book, tube.kind, plan, now_ms)
            if gives_way and any(self._lanes.follows(now_ms * 1e-3, other, one) for one in asked):
                continue
            found[(tube.vehicle, tube.plan)] = Commitment(*other)
        named = {tube.vehicle for tube in known}
        for one in self.beyond(now_ms):
            pair = (planning_body(one.body), one.plan)
            behind = any(self._lanes.follows(now_ms * 1e-3, pair, mine) for mine in asked)
            if one.body.vehicle not in named and not behind:
                found[(one.body.vehicle, one.plan.encode())] = Commitment(*pair)
        return [found[key] for key in sorted(found)]

    def lease_end_ms(self, plan: TimedPath, body: Body) -> int | None:
        """When the plan is out of the zone (and its exit room), with margin; None: never."""
        road = self._book.roads.get(plan.path_id)
        passage = road.passage(self._zone_id, claim_s_m(plan, body))
        if passage is None:
            return None
        clear_s = clear_rear_s_m(road.length_m, passage.exit_s_m, road.after(passage), body)
        leaves = first_time_beyond(self._book, plan, clear_s + body.footprint.rear_m)
        return None if leaves is None else math.ceil(leaves * 1000.0) + LEASE_MARGIN_MS


def adapts(book: PlanBook, kind: str, plan: TimedPath, now_ms: int) -> bool:
    """Whether a vehicle with a tube of this kind can wait for who drives ahead of it in its lane."""
    return kind == "approach" or (kind == "occupancy" and book.arrays(plan).at(now_ms * 1e-3)[1] < _STANDING_MPS)


def _too_close_behind(answer: JointPlan, leaders: dict[str, str]) -> set[str]:
    """Followers that stand so close that the vehicle ahead got no plan for it; it goes first, they ask again."""
    found = set()
    for refusal in answer.refused:
        kind, _, other = refusal.reason.partition(":")
        if kind == "start_in_conflict" and leaders.get(other) == refusal.vehicle:
            found.add(other)
    return found


def claim_s_m(plan: TimedPath, body: Body) -> float:
    """A vehicle that starts ``plan`` may still claim every zone whose exit lies beyond this."""
    length = body.footprint.length_m
    return plan.s0_mm * 1e-3 - body.footprint.rear_m - EXIT_ROOM_LENGTHS * length


def clear_rear_s_m(length_m: float, exit_s_m: float, following: object | None, body: Body) -> float:
    """Where the rear bumper must be for the claim to end: the exit and room behind it for who follows.

    Where the next zone or the end of the path comes sooner, the room is what there is.
    """
    room = EXIT_ROOM_LENGTHS * body.footprint.length_m
    limit = length_m - body.footprint.length_m
    if following is not None:
        line = getattr(following, "line_s_m", math.inf)
        limit = min(limit, line - body.footprint.length_m - 0.3 * body.footprint.length_m)
    return max(exit_s_m, min(exit_s_m + room, limit))


def first_time_beyond(book: PlanBook, plan: TimedPath, s_m: float) -> float | None:
    """When (s on the fleet's clock) the rear axle is first beyond ``s_m``; None: the plan stops before."""
    arrays = book.arrays(plan)
    if arrays.s_m[0] > s_m:
        return float(arrays.t_s[0])
    for k in range(len(arrays.t_s) - 1):
        if arrays.s_m[k + 1] >= s_m:
            s0, v0, a = float(arrays.s_m[k]), float(arrays.v_mps[k]), float(arrays.a_mps2[k])
            gap = s_m - s0
            root = math.sqrt(max(0.0, v0 * v0 + 2.0 * a * gap))
            return float(arrays.t_s[k]) + (2.0 * gap / (v0 + root) if v0 + root > 0.0 else 0.0)
    v_end = float(arrays.v_mps[-1])
    return None if v_end < 1e-3 else float(arrays.t_s[-1]) + (s_m - float(arrays.s_m[-1])) / v_end
