"""The one driver loop of a vehicle: sense, agree, plan, guard, drive. The same in simulation and on hardware.

Each tick runs in the order of the architecture's data flow: read the state, take in datagrams, look
around (at the sensors' rate), let the agreement core do its part (every ``AGREE_MS``), and let the
safety kernel command the vehicle. Nothing here decides what is safe: the judge does for plans, the
kernel for motion. The driver keeps one invariant: what the vehicle drives is a TimedPath that ends at
standstill before anything it holds no right to, or off the map.
"""

from __future__ import annotations

import math

from fleet.node.accounting import Accounting
from fleet.node.bodies import planner_body, scale_of
from fleet.node.charter_book import Line
from fleet.node.effects import carry_out
from fleet.node.engagement import Engagement
from fleet.node.foresight import Foresight
from fleet.node.hearing import Hearing
from fleet.node.kernel import Kernel, Rest, usable
from fleet.node.own_plan import OwnPlan
from fleet.node.parts import Counters, NodeParts
from fleet.node.planner_guard import GuardedPlanner
from fleet.node.planning import clear_rear_s_m
from fleet.node.self_watch import SelfWatch
from fleet.node.sight import BySight
from fleet.node.surroundings import ANNOUNCE_S
from fleet.node.voice import PLAIN, Voice
from fleet.protocol.records import Adopt, Drop, Local
from fleet.protocol.records import Commitment as Held
from fleet.protocol.table import Phase
from hardware.base import Applied
from planners.interface import Body
from planners.timed_path import TimedPath
from planners.zone_map import Passage

AGREE_MS = 50
LOOK_MS = 100
"""Sensors deliver tracks at this rate."""
ANNOUNCE_LENGTHS = 6.0
"""A vehicle announces itself at least this many lengths before the line, however low the limit is."""
_NEAR_LEADER_M = 40.0
_GONE_LENGTHS = 12.0
"""So far beyond its last zone nobody who is planned through it looks at a vehicle any more; it falls silent."""
_CALM_AHEAD_M = 15.0
_STRAIGHT_1PM = 0.002
_CALM_PERIOD_S_MAX = 0.05
_PERIOD_NS = 1_000_000
_BOUND = (Phase.CROSSING, Phase.OCCUPYING)


class Node:
    """One vehicle's node."""

    def __init__(self, parts: NodeParts, *, start_s_m: float) -> None:
        self.name = parts.name
        self._parts = parts
        self.core = parts.core
        self.body: Body = planner_body(parts.name, parts.vehicle)
        self.scale = scale_of(parts.vehicle)
        tracker = parts.controller(parts.vehicle, parts.period_s)
        self.kernel = Kernel(parts.vehicle, parts.period_s, self.scale, tracker)
        self.kernel.status.s_m = start_s_m
        self.kernel.road = parts.road
        self.counters = Counters()
        self.phase = Phase.APPROACH
        self.applied: Applied | None = None
        self.road = parts.road
        self._engagement: Engagement | None = None
        self._committed: TimedPath | None = None
        self._plan_raw = b""
        self._hearing = Hearing(parts.name, parts.core, parts.codec, parts.book, parts.session)
        self.voice: Voice = PLAIN
        """What it says of its urgency; set before the first tick."""
        self._self_watch = SelfWatch(self.kernel.status, self.body.budget, self.counters, parts.note)
        self._wanted = True
        self._calm = False
        self._period_ms = max(1, round(parts.period_s * 1000.0))
        self._agreed_ms = -1
        self._several_zones = len(parts.book.roads.zone_map.zones) > 1
        planner = GuardedPlanner(parts.planner)
        self._accounting = Accounting(self._hearing, parts.judge, parts.lanes, parts.book, self.body, self.scale)
        self._own = OwnPlan(self.kernel, self._hearing, parts.judge, planner, self.body, self.scale)
        self.sight = BySight(parts.core, parts.around, parts.judge, planner, parts.book, self.body, self.scale)
        parts.judge.beyond = self._hearing.beyond
        parts.zone_planner.beyond = self._hearing.beyond
        parts.zone_planner.waiting = parts.core.waiting
        self.sight.strangers = lambda: parts.seat.unknown
        self.foresight = Foresight(parts.name, parts.core, parts.zone_planner, parts.book, self.scale)

    @property
    def plan(self) -> TimedPath | None:
        """What the vehicle drives now."""
        return self.kernel.plan

    @property
    def listens(self) -> bool:
        """Whether anything that is said concerns this vehicle: it deals with a zone that it has not cleared."""
        return self._engagement is not None and not self._engagement.cleared

    @property
    def zone_id(self) -> str:
        """Of the zone that it deals with and has not cleared; empty: none."""
        return self._engagement.passage.zone_id if self._engagement and not self._engagement.cleared else ""

    @property
    def committed(self) -> bool:
        """Whether that is an agreed plan through a zone."""
        return self._committed is not None

    def order_charter(self, line: Line, why: str) -> None:
        """Take another charter up as soon as that is safe; ``why``: rollout or rollback."""
        self._parts.seat.order(line, why)

    @property
    def spoken(self) -> tuple[str, int, int] | None:
        """(zone, since when it waits, urgency) as it says them; None: it is engaged with no zone."""
        engagement = self._engagement
        if engagement is None:
            return None
        zone_id, arrived_ms = engagement.passage.zone_id, engagement.arrived_ms
        return zone_id, arrived_ms, self.voice.urgency_milli(zone_id, arrived_ms)

    @property
    def phase_name(self) -> str:
        """For logs: the announced phase, or ``free`` away from zones."""
        return "free" if self._engagement is None else self._parts.core.phase.name.lower()

    @property
    def front_s_m(self) -> float:
        return self.kernel.status.s_m + self.body.footprint.front_m

    @property
    def rear_s_m(self) -> float:
        return self.kernel.status.s_m - self.body.footprint.rear_m

    def tick(self, now_ms: int, inbox: list[bytes]) -> tuple[bytes, ...]:
        """One turn of the loop; returns the datagrams to broadcast."""
        # By the clock, not by turns: agreement is due at whole multiples, which must not all be skipped.
        if self._calm and now_ms // self._period_ms % 2 and not inbox:
            return ()
        parts, kernel = self._parts, self.kernel
        now_ns = now_ms * _PERIOD_NS
        state = parts.hardware.read(now_ns)
        heading_error = kernel.locate(state)
        watch = parts.watch
        outbox = self.hear(now_ms, inbox) if inbox else ()  # what was adopted is driven before anything is decided
        if now_ms - parts.around.stamp_ms >= self._look_ms():
            watch.enter("perception")
            self._look(now_ms)
            watch.leave()
        agree_ms = self._agree_ms()  # due once in every such period; turns need not come at multiples of it
        if now_ms // agree_ms != self._agreed_ms // agree_ms or kernel.plan is None:
            self._agreed_ms = now_ms
            self._engage(now_ms)
            self._keep_plan(now_ms)
            watch.enter("protocol")
            outbox += self._agree(now_ms, usable(state, now_ns))
            watch.leave()
        command = kernel.command(now_ns, state, heading_error, parts.around)
        self.applied = parts.hardware.write(command, now_ns)
        if self._self_watch.look(now_ms, committed=self.committed) and self._engagement is not None:
            self._engagement.aborting = "tracking"
        self._calm = self._is_calm()
        return outbox

    def hear(self, now_ms: int, inbox: list[bytes]) -> tuple[bytes, ...]:
        """Take datagrams in, also between turns; returns what they call for, since a vote does not wait."""
        watch = self._parts.watch
        watch.enter("protocol")
        zone_id = self._engagement.passage.zone_id if self._engagement else ""
        for raw in inbox:
            self._parts.core.step(raw, now_ms)
            if self._several_zones:
                self._hearing.overhear(raw, zone_id, now_ms)
        outbox = self._carry_out(now_ms)
        watch.leave()
        return outbox

    def _is_calm(self) -> bool:
        """Alone on a straight, with nothing to agree on: every other tick is enough (commands hold for 0.2 s)."""
        if self.listens or self.sight.active:
            return False
        status = self.kernel.status
        leader = status.leader
        near = leader is not None and leader.gap_m < _NEAR_LEADER_M * self.scale
        bend = max(abs(self.road.curvature(status.s_m)), abs(self.road.curvature(status.s_m + _CALM_AHEAD_M)))
        return (
            not near and bend < _STRAIGHT_1PM and self._parts.period_s <= _CALM_PERIOD_S_MAX and not status.braking_for
        )

    def _look_ms(self) -> int:
        """Where nothing has to be agreed and nobody is near ahead, looking less often is enough."""
        leader = self.kernel.status.leader
        busy = self.listens or (leader is not None and leader.gap_m < _NEAR_LEADER_M * self.scale)
        return LOOK_MS if busy else 3 * LOOK_MS

    def _agree_ms(self) -> int:
        """Those who want nothing for now (followers, and who has its plan) take turns half as often.

        They answer what they are asked at once all the same.
        """
        return AGREE_MS if self._wanted else 2 * AGREE_MS

    # --- sensing

    def _look(self, now_ms: int) -> None:
        """Take new tracks, tell who of them speaks, and see whether a commitment still stands."""
        parts = self._parts
        tracks = parts.hardware.perceive(now_ms * _PERIOD_NS)
        engagement = self._engagement
        if engagement is None or engagement.cleared:
            parts.around.update(now_ms, tracks, ())
            self.kernel.accounted = frozenset()
            return
        seen_ms = tracks[0].stamp_ns // _PERIOD_NS if tracks else now_ms
        parts.around.update(now_ms, tracks, self._hearing.places(now_ms, seen_ms))
        self.kernel.look(parts.around)
        self.sight.note_speed(now_ms, self.kernel.status.v_mps)
        if self._by_sight_matters(now_ms):
            self.sight.observe(now_ms, engagement.passage.zone_id, self.road.path.path_id)
        self._account(now_ms, engagement)
        if self._committed is not None and not self.kernel.status.past_no_return:
            threat = self._accounting.threat(now_ms, self._committed, engagement.passage, self.front_s_m, parts.around)
            if not threat and self.sight.is_slow(now_ms):
                threat = self._hearing.unheard_by(now_ms)
            engagement.aborting = threat or engagement.aborting
        if self.sight.active and self.sight.must_stop(
            now_ms, self.road, engagement.passage, self.front_s_m, self.kernel.status.v_mps
        ):
            self._stop_by_sight(now_ms, engagement)

    def _by_sight_matters(self, now_ms: int) -> bool:
        """Whether the vehicle may come to cross by sight: it has nothing agreed and is slow, or hears nobody."""
        return self._committed is None and (self.sight.is_slow(now_ms) or not self._hearing.heard(now_ms))

    def _account(self, now_ms: int, engagement: Engagement) -> None:
        """Tell the kernel who of those ahead is accounted for; give a plan back that somebody else is in the way of."""
        kernel = self.kernel
        # What is not where its plan says is clear of nobody by that plan.
        plan = kernel.plan if abs(kernel.status.longitudinal_error_m) <= self.body.budget.longitudinal_m else None
        kernel.accounted, others = self._accounting.of(now_ms, plan, kernel.status.ahead, self._parts.around)
        if others and self._committed is not None and not kernel.status.past_no_return:
            engagement.aborting = f"leader:{min(others)}"

    # --- engagement with a zone

    def _engage(self, now_ms: int) -> None:
        """Announce at the next zone in time. A cleared zone is left only for the next one: until then the
        vehicle goes on saying where it is, so that nobody has to take it for a silent one."""
        parts, engagement = self._parts, self._engagement
        if engagement is not None and not engagement.cleared:
            claim_end_m = engagement.passage.exit_s_m if self._committed is None else engagement.clear_rear_s_m
            engagement.cleared = self.rear_s_m >= claim_end_m
            if engagement.cleared:
                self.sight.active = False
                self._self_watch.begin()
            return
        passage = self.road.next_passage(self.rear_s_m)
        if passage is None and engagement is not None:
            gone_m = engagement.clear_rear_s_m + _GONE_LENGTHS * self.body.footprint.length_m
            if self.rear_s_m > gone_m:
                parts.core.disengage(now_ms)
                self._engagement = None
        if passage is None or (engagement is not None and passage is engagement.passage):
            return
        k = min(int(max(0.0, self.kernel.status.s_m) / self.road.step_m), len(self.road.x) - 1)
        limit = min(float(self.road.path.limit_mps[k]), self.body.limits.speed_mps_max)
        reach = max(ANNOUNCE_S * limit, ANNOUNCE_LENGTHS * self.body.footprint.length_m)
        if passage.line_s_m - self.front_s_m > reach:
            return
        clear = clear_rear_s_m(self.road.length_m, passage.exit_s_m, self.road.after(passage), self.body)
        if engagement is not None:
            parts.core.disengage(now_ms)
        arrived_ms = self.voice.arrived_ms(passage.zone_id, now_ms)
        self._engagement = Engagement(passage, clear, arrived_ms=arrived_ms)
        self.sight.enter(now_ms)
        parts.judge.enter(passage.zone_id)
        parts.zone_planner.enter(passage.zone_id)
        self.foresight.enter()
        parts.seat.new_zone(now_ms)
        parts.core.engage(passage.zone_id, parts.session, now_ms)
        if parts.core.commitment is not None:
            self._resume(now_ms, parts.core.commitment, passage)

    def _resume(self, now_ms: int, held: Held, passage: Passage) -> None:
        """A commitment from before a restart is given back, if the vehicle can stop before the line: it has not
        looked around for a while, and others have not heard of it (rule P8).

        Else it is driven on while the body is where its plan says (P6); if not, the zone is announced as occupied.
        """
        plan = self._parts.book.decode(held.plan)
        s_plan_m = math.inf if plan is None else self._parts.book.arrays(plan).at(now_ms * 1e-3)[0]
        if self.kernel.can_stop_before(passage.line_s_m):
            self._parts.core.release("restarted", now_ms)
        elif plan is not None and abs(self.kernel.status.s_m - s_plan_m) <= self.body.budget.longitudinal_m:
            self._committed = plan
            self._drive(plan, committed=True, line_s_m=passage.line_s_m)

    # --- the vehicle's own plan

    def _line_s_m(self) -> float:
        """The next line that the vehicle has no right to pass."""
        engagement = self._engagement
        if engagement is not None and not engagement.cleared:
            return engagement.passage.line_s_m
        passage = self.road.next_passage(self.rear_s_m)
        return passage.line_s_m if passage else math.inf

    def _keep_plan(self, now_ms: int) -> None:
        """Make or renew the own plan when it no longer says what the vehicle does."""
        if self._committed is not None or self.sight.active:
            return
        if self.kernel.plan is None:
            self._own_plan(now_ms, from_reference=False)
        elif now_ms >= self._parts.core.frozen_until_ms(now_ms):
            self._look_ahead(now_ms)
            line = self._line_s_m()
            stale, strayed = self._own.is_stale(now_ms, line)
            if stale or (self._own.may_change(now_ms) and self.foresight.has_moved(now_ms, line)):
                self._own_plan(now_ms, from_reference=not strayed)

    def _look_ahead(self, now_ms: int) -> None:
        """Renew what is expected of the joint plan while this vehicle waits for a part in it."""
        engagement, arrays = self._engagement, self.kernel.arrays
        if engagement is None or engagement.cleared or arrays is None:
            return
        watch = self._parts.watch
        watch.enter("planning")
        self.foresight.look(now_ms, arrays)
        watch.leave()

    def _own_plan(self, now_ms: int, *, from_reference: bool) -> None:
        """Drive to the next line that the vehicle has no right to pass, and no farther."""
        line = self._line_s_m()
        unheard = not self._hearing.heard(now_ms) and bool(self._parts.around.tracks)
        radio_dead = self._engagement is not None and unheard
        path_id = self.road.path.path_id
        guide = None if radio_dead else self.foresight.follow()
        plan = self._own.make(now_ms, path_id, line, from_reference=from_reference, radio_dead=radio_dead, guide=guide)
        inside = self.front_s_m > line + 0.5 * self.scale
        self._drive(plan, committed=False, line_s_m=math.inf if inside else line)

    def _drive(self, plan: TimedPath, *, committed: bool, line_s_m: float) -> None:
        self.kernel.follow(self.road, plan, self._parts.book.arrays(plan), committed=committed, line_s_m=line_s_m)
        self._plan_raw = plan.encode()

    # --- agreement

    def _agree(self, now_ms: int, estimate_ok: bool) -> tuple[bytes, ...]:
        """Run the core for this tick and do what it asks, in its order."""
        core, engagement = self._parts.core, self._engagement
        self._mind_charter(now_ms, engagement)
        if engagement is not None:
            clock_error_ms, unfit = self._parts.doubts.clock_error_ms(now_ms), self._parts.doubts.unfit(now_ms)
            lost = unfit or ("" if estimate_ok else "estimate")
            engagement.aborting = lost or engagement.aborting
            if engagement.aborting:
                self._abort(now_ms, engagement)
            self.phase = self._observe(now_ms, engagement, lost=bool(lost))
            core.tick(self._local(now_ms, engagement, not lost, clock_error_ms))
        return self._carry_out(now_ms)

    def _mind_charter(self, now_ms: int, engagement: Engagement | None) -> None:
        """Which charter to speak, by what the others here speak."""
        core, seat = self._parts.core, self._parts.seat
        free = self._committed is None and core.commitment is None and not core.frozen_until_ms(now_ms)
        away = engagement is None or engagement.cleared
        standing = away or (self.kernel.status.v_mps < 0.1 * max(self.scale, 0.2) and not self.sight.active)
        seat.tick(now_ms, {} if away else core.heard(now_ms), free=free, standing=standing)

    def _carry_out(self, now_ms: int) -> tuple[bytes, ...]:
        """Do what the core asks, in its order; returns what it wants sent."""
        parts = self._parts
        return carry_out(parts.core, parts.store, parts.note, now_ms, self._adopt, self._drop)

    def _observe(self, now_ms: int, engagement: Engagement, *, lost: bool) -> Phase:
        """The vehicle's physical phase at the zone."""
        passage, kernel = engagement.passage, self.kernel
        if engagement.cleared:
            return Phase.CLEARED
        if self.sight.active:
            return Phase.FALLBACK
        if lost and self._committed is not None and self._parts.core.phase in _BOUND:
            return Phase.OCCUPYING  # it stops in the way, whatever its plan says: those who still can shall stop
        standing = kernel.status.v_mps < 0.1 * max(self.scale, 0.2)
        if not standing:
            engagement.standing_since_ms = None
        elif engagement.standing_since_ms is None:
            engagement.standing_since_ms = now_ms
        before = self.front_s_m <= passage.line_s_m + 0.5 * self.scale
        stray = self._parts.core.commitment is not None  # held before a restart, and too late to stop before the line
        inside = self._committed is None and (not before or stray or kernel.status.rest is Rest.NONE)
        at_line = before and passage.line_s_m - self.front_s_m < 3.0 * self.scale
        stuck = standing and self._committed is None and (inside or at_line)
        if stuck and self._start_by_sight(now_ms, engagement, inside=inside):
            return Phase.FALLBACK
        if inside:
            return Phase.OCCUPYING
        return Phase.WAITING if standing and at_line else Phase.APPROACH

    def _local(self, now_ms: int, engagement: Engagement, estimate_ok: bool, clock_error_ms: int) -> Local:
        status = self.kernel.status
        self._wanted = self._wants_commit(now_ms, engagement)
        room = max(0.0, engagement.passage.line_s_m - self.front_s_m)
        silent = self._parts.around.silent_rows()
        return Local(
            now_ms=now_ms,
            phase=self.phase,
            path_id=self.road.path.path_id,
            arrived_ms=engagement.arrived_ms,
            eta_ms=now_ms + int(1000.0 * room / max(1.0 * self.scale, status.v_mps)),
            plan=self._plan_raw,
            urgency=self.voice.urgency_milli(engagement.passage.zone_id, engagement.arrived_ms),
            wants_commit=self._wanted,
            pnr_passed=self._committed is not None and status.past_no_return,
            has_contingency=status.rest is not Rest.NONE,
            cleared=self.phase is Phase.CLEARED,
            perceived=tuple(f"t{self._parts.around.tracks[row].track_id}" for row in silent[:8]),
            blocking=self._parts.judge.not_cleared(self._parts.core.silent(now_ms)),
            estimate_ok=estimate_ok,
            clock_error_ms=clock_error_ms,
        )

    def _wants_commit(self, now_ms: int, engagement: Engagement) -> bool:
        """Where the order is open, a vehicle wants its part when it is due.

        Followers wait for the vehicle ahead to have its plan: until then nothing can be agreed for them.

        Nor does a vehicle that is not where its plan says: a plan that continues the old one would be broken at once.
        """
        if self._committed is not None or self.sight.active or engagement.cleared or self._parts.seat.unsettled:
            return False
        if abs(self.kernel.status.longitudinal_error_m) > 0.7 * self.body.budget.longitudinal_m:
            return False
        if self.sight.held_back(now_ms, self.road):
            return False
        if not self.foresight.due and self._hearing.heard(now_ms):
            return False
        leader = self.kernel.status.leader
        if leader is None or leader.peer is None or leader.crossing:
            return True
        ahead = self._hearing.heard(now_ms).get(leader.peer)
        return ahead is None or bool(ahead.live) or ahead.phase not in {Phase.APPROACH, Phase.WAITING}

    def _adopt(self, now_ms: int, effect: Adopt) -> None:
        plan = self._parts.book.decode(effect.plan)
        engagement = self._engagement
        if plan is None or engagement is None:
            return
        self._committed = plan
        self._self_watch.begin()
        self.foresight.settle()
        self._drive(plan, committed=True, line_s_m=engagement.passage.line_s_m)

    def _drop(self, now_ms: int, effect: Drop) -> None:
        """The right is gone: drive on only what needs none."""
        if self._committed is not None:
            self._committed = None
            self._own_plan(now_ms, from_reference=True)

    def _abort(self, now_ms: int, engagement: Engagement) -> None:
        """Give a commitment back while the vehicle can still stop before the line."""
        reason, engagement.aborting = engagement.aborting, ""
        crossing = self.kernel.status.past_no_return or self._parts.core.phase in _BOUND
        if self._committed is None or crossing:  # what has crossed can come to stand before the line all the same
            return
        self.counters.aborts += 1
        self._parts.core.release(reason, now_ms)
        self._committed = None
        self._own_plan(now_ms, from_reference=True)

    # --- crossing by sight

    def _start_by_sight(self, now_ms: int, engagement: Engagement, *, inside: bool) -> bool:
        """Start to cross without agreement, if rule P9 allows it now."""
        parts, passage, since = self._parts, engagement.passage, engagement.standing_since_ms
        if since is None:
            return False
        plan = self.sight.start(now_ms, self.road, passage, self.kernel.status.s_m, since, inside=inside)
        if plan is None:
            return False
        self.counters.fallbacks += 1
        parts.note(now_ms, "fallback", {"zone": passage.zone_id, "waited_ms": now_ms - since, "inside": inside})
        following = self.road.after(passage)
        self._drive(plan, committed=False, line_s_m=following.line_s_m if following else math.inf)
        return True

    def _stop_by_sight(self, now_ms: int, engagement: Engagement) -> None:
        self.sight.active = False
        engagement.standing_since_ms = None
        self._parts.note(now_ms, "fallback_yield", {"zone": engagement.passage.zone_id})
        self._own_plan(now_ms, from_reference=False)
