"""The protocol's Judge port: is this proposal safe by what *this* vehicle knows, hears and sees (rule P1)?

It decides with the independent verifier, never with anything the planner computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleet.node.bodies import heard_body
from fleet.node.lanes import Lanes
from fleet.node.plan_book import PlanBook
from fleet.node.planning import adapts, claim_s_m, clear_rear_s_m, first_time_beyond
from fleet.node.surroundings import STATIONARY_MPS, Surroundings, silent_threats
from fleet.protocol.records import LiveTube, Local
from fleet.protocol.table import Phase
from fleet.protocol.wire import Entry, Intent, Proposal
from planners.check_fast import FastVerifier
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget

EPS_S = 0.010
"""Clock bound of the fleet (equal to the protocol's ``eps_ms``)."""
_SILENT_MARGIN_S = 1.0
"""A silent road user must be able to enter only so much later than a plan has left."""
_BEFORE = (Phase.APPROACH, Phase.WAITING)
_PREFIX_M, _PREFIX_MPS = 0.02, 0.02
"""A plan coincides with the announced one if they agree this closely when the decision falls."""


class ZoneJudge:
    """Judges proposals for one zone on one vehicle."""

    def __init__(self, name: str, verifier: FastVerifier, book: PlanBook, lanes: Lanes, around: Surroundings) -> None:
        self._name = name
        self._verifier = verifier
        self._book = book
        self._lanes = lanes
        self._around = around
        self._zone_id = ""
        self.beyond: Callable[[int], list[Commitment]] = lambda now_ms: []
        """Plans announced at other zones, at a time in ms."""

    def enter(self, zone_id: str) -> None:
        """Judge for this zone from now on."""
        self._zone_id = zone_id

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        bodies = {tube.vehicle: heard_body(tube.vehicle, tube.body) for tube in known if tube.body is not None}
        mine: list[Commitment] = []
        reasons: list[str] = []
        announced = {t.vehicle: t.plan for t in known if t.kind == "certificate"}
        announced.update({t.vehicle: t.plan for t in known if t.kind in {"approach", "occupancy"}})
        for entry in proposal.batch:
            plan = self._book.decode(entry.plan)
            if entry.vehicle not in bodies:
                reasons.append(f"unheard:{entry.vehicle}")
            elif plan is None or plan.vehicle != entry.vehicle or not self._book.knows(plan):
                reasons.append(f"not_a_plan:{entry.vehicle}")
            else:
                body = bodies[entry.vehicle]
                mine.append(Commitment(body, plan))
                reasons += self._entry(entry, plan, body, proposal, local)
                before = announced.get(entry.vehicle)
                if entry.vehicle == self._name:
                    before = local.plan
                if before is not None and not self._coincides(before, plan, local.now_ms, proposal.decide_by_ms):
                    reasons.append(f"start:{entry.vehicle}")
        if reasons:
            return tuple(reasons)
        others = self._others(known, bodies, mine, local.now_ms)
        findings = self._verifier.joint(mine, others, from_ms=local.now_ms)
        found = [f"{finding.kind}:{finding.vehicle}:{finding.other}" for finding in findings]
        return (*found, *self._against_old(known, bodies, mine, local.now_ms))

    def not_cleared(self, silent: Mapping[str, Intent]) -> tuple[str, ...]:
        """Of vehicles that fell silent, those that perception does not clear (rule P8).

        One is cleared when all bodies that no message accounts for, on the path that it announced and not
        beyond the zone, stand behind their line; none at all is in sight there: then it is too far off to
        reach the zone.
        """
        found = []
        for name, intent in silent.items():
            for row in self._around.silent_rows():
                for place in self._around.placements(row):
                    passage = self._book.roads.get(place.path_id).passage(self._zone_id, place.rear_s_m)
                    if place.path_id != intent.path_id or passage is None:
                        continue
                    if not self._around.stands_behind_a_line(row, self._zone_id, 0.5):
                        found.append(f"silent:{name}")
        return tuple(dict.fromkeys(found))

    def verify_alone(
        self, plan: TimedPath, body: Body, known: Sequence[LiveTube], now_ms: int, *, budget_share: float = 1.0
    ) -> tuple[str, ...]:
        """Whether a plan nobody voted on (crossing by sight) is clear of all known plans.

        ``budget_share`` scales all error budgets, for motion at walking pace among standing vehicles.
        """
        bodies = {tube.vehicle: heard_body(tube.vehicle, tube.body) for tube in known if tube.body is not None}
        mine = [Commitment(body, plan)]
        others = self._others(known, bodies, mine, now_ms)
        if budget_share < 1.0:
            mine, others = ([_thrifty(one, budget_share) for one in group] for group in (mine, others))
        findings = self._verifier.joint(mine, others, from_ms=now_ms)
        return tuple(f"{finding.kind}:{finding.vehicle}:{finding.other}" for finding in findings)

    def clash(self, a: Commitment, b: Commitment, now_ms: int) -> bool:
        """Whether two plans are not shown to be clear of each other."""
        return self._verifier.pair(a, b, from_ms=now_ms) is not None

    def _entry(self, entry: Entry, plan: TimedPath, body: Body, proposal: Proposal, local: Local) -> list[str]:
        """Lease, silent road users and exit room, for one vehicle of the batch."""
        road = self._book.roads.get(plan.path_id)
        passage = road.passage(self._zone_id, claim_s_m(plan, body))
        if passage is None:
            return [f"not_through_zone:{entry.vehicle}"]
        clear_s = clear_rear_s_m(road.length_m, passage.exit_s_m, road.after(passage), body)
        leaves_s = first_time_beyond(self._book, plan, clear_s + body.footprint.rear_m)
        if leaves_s is None:
            return [f"never_clears:{entry.vehicle}"]
        if leaves_s + EPS_S > entry.lease_end_ms * 1e-3:
            return [f"lease:{entry.vehicle}"]
        s_now, _, _ = self._book.arrays(plan).at(local.now_ms * 1e-3)
        exit_time = first_time_beyond(self._book, plan, passage.exit_s_m + body.footprint.rear_m)
        occupied_s = (exit_time if exit_time is not None else leaves_s) - local.now_ms * 1e-3
        threats = silent_threats(
            self._around, self._book.roads, self._zone_id, plan.path_id, s_now + body.footprint.front_m
        )
        for row, arrival_s in threats:
            if arrival_s < occupied_s + _SILENT_MARGIN_S:
                return [f"silent:{entry.vehicle}:{self._around.tracks[row].track_id}"]
        if entry.vehicle == self._name and self._exit_blocked(passage.exit_s_m, plan.path_id, body):
            return [f"exit_blocked:{entry.vehicle}"]
        return []

    def _exit_blocked(self, exit_s_m: float, path_id: str, body: Body) -> bool:
        """A silent road user that stands where this vehicle would have to wait beyond the zone."""
        for row in self._around.silent_rows():
            if self._around.tracks[row].speed_mps > STATIONARY_MPS:
                continue
            for place in self._around.placements(row):
                if place.path_id == path_id and exit_s_m <= place.rear_s_m < exit_s_m + 1.5 * body.footprint.length_m:
                    return True
        return False

    def _against_old(
        self, known: Sequence[LiveTube], bodies: Mapping[str, Body], batch: Sequence[Commitment], now_ms: int
    ) -> list[str]:
        """Tubes that vehicles of the batch got before and may still use: in the way of all others in it (rule P7)."""
        found = []
        named = {one.body.vehicle for one in batch}
        for tube in known:
            if tube.vehicle not in named or not tube.proposal_hash or tube.vehicle not in bodies:
                continue
            plan = self._book.decode(tube.plan)
            if plan is None or plan.vehicle != tube.vehicle or not self._book.knows(plan):
                continue
            old = Commitment(bodies[tube.vehicle], plan)
            for one in batch:
                if one.body.vehicle != tube.vehicle and self.clash(one, old, now_ms):
                    found.append(f"old_tube:{one.body.vehicle}:{tube.vehicle}")
        return found

    def _coincides(self, before: bytes, plan: TimedPath, now_ms: int, decide_by_ms: int) -> bool:
        old = self._book.decode(before)
        if old is None or old.path_id != plan.path_id:
            return False
        for at_ms in (now_ms, decide_by_ms):
            s_old, v_old, _ = self._book.arrays(old).at(at_ms * 1e-3)
            s_new, v_new, _ = self._book.arrays(plan).at(at_ms * 1e-3)
            if abs(s_old - s_new) > _PREFIX_M or abs(v_old - v_new) > _PREFIX_MPS:
                return False
        return True

    def _others(
        self, known: Sequence[LiveTube], bodies: Mapping[str, Body], batch: Sequence[Commitment], now_ms: int
    ) -> list[Commitment]:
        """What the batch must be clear of.

        Of a vehicle with a live tube, the announced approach does not count. An approach plan of a
        vehicle behind one of the batch in its lane does not either (it adapts), nor does one that stands
        there inside the zone: queues stand closer than two error budgets, and nobody could drive off first.
        """
        live = {tube.vehicle for tube in known if tube.kind != "approach"} | {c.body.vehicle for c in batch}
        found = []
        for tube in known:
            if tube.kind == "approach" and tube.vehicle in live:
                continue
            plan = self._book.decode(tube.plan)
            if plan is None or plan.vehicle != tube.vehicle or not self._book.knows(plan) or tube.vehicle not in bodies:
                continue  # not a plan of its own: its body is an obstacle to the sensors, its word is worth nothing
            other = Commitment(bodies[tube.vehicle], plan)
            if tube.vehicle in {c.body.vehicle for c in batch}:
                continue
            if adapts(self._book, tube.kind, plan, now_ms) and any(
                self._lanes.follows(now_ms * 1e-3, (other.body, plan), (c.body, c.plan)) for c in batch
            ):
                continue
            found.append(other)
        named = {tube.vehicle for tube in known} | {c.body.vehicle for c in batch}
        for other in self.beyond(now_ms):
            behind = any(self._lanes.follows(now_ms * 1e-3, (other.body, other.plan), (c.body, c.plan)) for c in batch)
            if other.body.vehicle not in named and not behind:
                found.append(other)
        return found

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        """Everybody heard whose path meets a path of the batch, but for followers that wait behind a leader.

        A vehicle that has nothing agreed cannot pass the one ahead of it in its lane, so while that one
        has nothing agreed either, or is in the batch, the follower's word adds nothing.
        """
        now_s = local.now_ms * 1e-3
        tubes: dict[str, tuple[str, Body, float]] = {}
        for entry in batch:
            plan = self._book.decode(entry.plan)
            if plan is not None and self._book.knows(plan) and entry.vehicle in peers:
                body = heard_body(entry.vehicle, peers[entry.vehicle].body)
                tubes[entry.vehicle] = (plan.path_id, body, self._book.arrays(plan).at(now_s)[0])
        plans = {name: (heard_body(name, intent.body), intent.plan) for name, intent in peers.items()}
        able = {name for name, intent in peers.items() if not intent.live and intent.phase in _BEFORE}
        leaders = self._lanes.leaders(now_s, plans, able)
        needed = set(tubes)
        for name in sorted(peers):
            intent = peers[name]
            plan = self._book.decode(intent.plan)
            if name in tubes or intent.phase is Phase.CLEARED or plan is None or not self._book.knows(plan):
                continue
            leader = leaders.get(name)
            if leader is not None and (leader in tubes or not peers[leader].held):
                continue
            place = (plan.path_id, heard_body(name, intent.body), self._book.arrays(plan).at(now_s)[0])
            if any(self._lanes.meet(tube, place) for tube in tubes.values()):
                needed.add(name)
        return frozenset(needed)


def _thrifty(one: Commitment, share: float) -> Commitment:
    body = one.body
    budget = ErrorBudget(share * body.budget.lateral_m, share * body.budget.longitudinal_m)
    return Commitment(Body(body.vehicle, body.footprint, body.limits, budget), one.plan)
