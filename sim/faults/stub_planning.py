"""Judge and planner of the fault simulator: the ports' contract over intervals of resources.

What the real verifier proves with geometry, the judge proves with intervals of time; the rules that it
must keep are the same (fleet/protocol/ports.py). The oracles (checks*.py) share nothing with this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.protocol.records import LiveTube, Local, PlannedBatch
from fleet.protocol.wire import Entry, Intent, Proposal
from sim.faults.plans import CLOCKS_MS, SPEED_MAX, Roads, clash, departing, fields

LEASE_MARGIN_MS = 300
LEASE_TAIL_MS_MAX = 3_000
"""A lease that outlives the use of its tube by more would only block others."""
HORIZON_MS = 40_000
"""Plans that begin later are not judged: nothing can be known of that time."""
COINCIDE_MM = 150.0
_TRIES = 60


class Judge:
    """Typed reasons against a proposal."""

    def __init__(self, roads: Roads, eps_ms: int, everybody: bool) -> None:
        self._roads = roads
        self._eps_ms = eps_ms
        self._everybody = everybody

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        roads = self._roads
        reasons = []
        uses = [roads.uses(entry.plan) for entry in proposal.batch]
        for index, entry in enumerate(proposal.batch):
            reasons += self._alone(entry, proposal, known, uses[index])
            for other in range(index):
                if clash(uses[index], uses[other]):
                    reasons.append(f"batch:{entry.vehicle}:{proposal.batch[other].vehicle}")
            for tube in known:
                if tube.vehicle != entry.vehicle and clash(uses[index], roads.uses(tube.plan)):
                    reasons.append(f"conflict:{entry.vehicle}:{tube.vehicle}")
        return tuple(reasons)

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        """Whoever's announced path shares a resource with the batch; where the case says so, everybody."""
        if self._everybody:
            return frozenset(peers)
        used = {resource for entry in batch for resource, _, _ in self._roads.uses(entry.plan)}
        return frozenset(v for v, intent in peers.items() if not used.isdisjoint(self._resources(intent)))

    def _resources(self, intent: Intent) -> set[int]:
        """Of an intent whose path is unknown: all."""
        index = int(intent.path_id[1:]) if intent.path_id[1:].isdecimal() else -1
        paths = self._roads.paths
        chosen = (paths[index],) if 0 <= index < len(paths) else paths
        return {resource for path in chosen for resource, _, _ in path}

    def _alone(
        self, entry: Entry, proposal: Proposal, known: Sequence[LiveTube], uses: tuple[tuple[int, float, float], ...]
    ) -> list[str]:
        """What speaks against one plan by itself."""
        plan = self._roads.plan(entry.plan)
        reasons = []
        if plan is None or not uses:
            return [f"malformed:{entry.vehicle}"]
        for t0, _, v, a in plan.pieces:
            if v > SPEED_MAX + 0.1 or abs(a) > 6.1e-3 or t0 > proposal.stamp_ms + HORIZON_MS:
                reasons.append(f"limits:{entry.vehicle}")
                break
        last = max(end for _, _, end in uses)
        if last > entry.lease_end_ms - 2 * self._eps_ms or entry.lease_end_ms > last + LEASE_TAIL_MS_MAX:
            reasons.append(f"lease:{entry.vehicle}")
        for tube in known:
            if tube.vehicle == entry.vehicle and tube.kind in ("approach", "occupancy"):
                reasons += self._coincides(entry, proposal, tube.plan)
        return reasons

    def _coincides(self, entry: Entry, proposal: Proposal, announced: bytes) -> list[str]:
        now, old = self._roads.plan(entry.plan), self._roads.plan(announced)
        if now is None or old is None or now.path != old.path:
            return [f"path:{entry.vehicle}"]
        for t_ms in (proposal.stamp_ms, (proposal.stamp_ms + proposal.decide_by_ms) // 2, proposal.decide_by_ms):
            if abs(now.at(t_ms)[0] - old.at(t_ms)[0]) > COINCIDE_MM:
                return [f"coincide:{entry.vehicle}"]
        return []


class Planner:
    """Each in turn as early as the others' tubes leave room."""

    def __init__(self, roads: Roads) -> None:
        self._roads = roads

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        roads = self._roads
        entries: list[tuple[str, bytes, int]] = []
        refused: list[tuple[str, str]] = []
        taken = [(tube.vehicle, roads.uses(tube.plan)) for tube in known]
        for intent in vehicles:
            others = [uses for vehicle, uses in taken if vehicle != intent.vehicle and uses]
            plan = self._earliest(intent.plan, switch_ms, others)
            if plan is None:
                refused.append((intent.vehicle, "no_gap"))
                continue
            uses = roads.uses(plan)
            entries.append((intent.vehicle, plan, int(max(end for _, _, end in uses)) + LEASE_MARGIN_MS))
            taken.append((intent.vehicle, uses))
        return PlannedBatch(tuple(entries), tuple(refused))

    def _earliest(
        self, announced: bytes, switch_ms: int, others: list[tuple[tuple[int, float, float], ...]]
    ) -> bytes | None:
        """Leave the announced plan as soon as it is clear of ``others``; None within the horizon: not at all."""
        if fields(announced) is None:
            return None
        depart_ms, horizon_ms = switch_ms, switch_ms + HORIZON_MS // 2
        for _ in range(_TRIES):
            if depart_ms > horizon_ms:
                return None
            plan = departing(announced, depart_ms)
            uses = self._roads.uses(plan)
            if not uses or uses[0][1] < switch_ms:
                return None
            late = _late_ms(uses, others)
            if late <= 0:
                return plan
            depart_ms += max(50, late)
        return None


def _late_ms(uses: tuple[tuple[int, float, float], ...], others: list[tuple[tuple[int, float, float], ...]]) -> int:
    """By how much later all of ``uses`` would have to be to follow what they run into; 0: nothing."""
    late = 0.0
    for other in others:
        for r, start, end in uses:
            for q, begin, stop in other:
                if r == q and start < stop + CLOCKS_MS and begin < end + CLOCKS_MS:
                    late = max(late, stop + CLOCKS_MS - start)
    return int(min(late, 1e6))
