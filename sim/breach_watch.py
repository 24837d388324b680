"""Who leaves its agreed plan in a running simulation: found by sums of residuals, recorded, and made a case.

Ten times a second every vehicle with an agreed plan is held against it, by the truth. A plan counts until its vehicle
says that it is over or given back; a node that dies says nothing, so its body is still held to it. What follows is
the charter's ladder, and a file that ``fleet evidence verify`` judges: the office of the simulation has everybody's
keys and signs the commitment for the accused and what was seen for those who stood near.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleet.charter.model import Charter
from fleet.cli.breach_files import write_breach
from fleet.cli.evidence_shelf import EvidenceShelf
from fleet.node.bodies import planner_body
from fleet.oversight.breach import BREACH_MM_S, Cusum, Ladder, place_mm
from fleet.oversight.breach_case import BreachCase, Sighting, SignedCommitment
from fleet.oversight.findings import CALL_PERSON, Finding
from planners.timed_path import TimedPath
from sim.car import Car
from sim.fleet_node import NodeFactory
from sim.group_eyes import Row
from sim.records import RunLog

PERIOD_MS = 100
KEPT = 60
"""Places of the last 6 s: longer than any breach takes to be found."""
WITNESSES_MAX = 4
SIGHT_M = 100.0
"""Whose place on its path another vehicle can still tell."""


@dataclass(slots=True)
class _Held:
    plan: TimedPath
    sums: Cusum
    allowance_mm: int
    seen: deque[tuple[int, int, tuple[str, ...]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """(stamp_ms, s_mm, who was near)."""


class BreachWatch:
    """Of one run."""

    def __init__(self, charter: Charter, factory: NodeFactory, log: RunLog, shelf: EvidenceShelf) -> None:
        self._charter_id, self._ladder = charter.charter_id().hex(), Ladder(charter.commitments)
        self._factory, self._log, self._shelf = factory, log, shelf
        self._held: dict[str, _Held] = {}
        self._due_ms = 0

    def look(self, now_ms: int, cars: Mapping[str, Car], row_of: Callable[[int], Row]) -> list[Finding]:
        """Breaches that have been found since the last look."""
        if now_ms < self._due_ms:
            return []
        self._due_ms = now_ms + PERIOD_MS
        self._held = {name: held for name, held in self._held.items() if name in cars}
        return [found for name in sorted(cars) for found in self._of(now_ms, cars[name], cars, row_of)]

    def _of(
        self, now_ms: int, car: Car, cars: Mapping[str, Car], row_of: Callable[[int], Row]
    ) -> list[Finding]:  # fmt: skip
        name = car.actor.vehicle_id
        if car.node is not None:
            if not car.node.committed or car.plan is None:
                self._held.pop(name, None)
            elif name not in self._held or self._held[name].plan is not car.plan:
                budget = planner_body(name, car.actor.vehicle).budget
                allowance_mm = round(1000.0 * budget.longitudinal_m)
                self._held[name] = _Held(car.plan, Cusum(allowance_mm), allowance_mm)
        held = self._held.get(name)
        promised = None if held is None else place_mm(held.plan, now_ms)
        if held is None or promised is None or held.sums.found_ms is not None:
            return []
        s_mm = round(1000.0 * car.s_m)
        held.seen.append((now_ms, s_mm, self._near(car, cars, row_of)))
        if not held.sums.take(now_ms, s_mm - promised):
            return []
        return [self._found(now_ms, name, held, s_mm - promised)]

    def _near(self, car: Car, cars: Mapping[str, Car], row_of: Callable[[int], Row]) -> tuple[str, ...]:
        """Who could see it: vehicles with a living node within reach, the nearest first."""
        x, y, *_ = row_of(car.slot)
        away = []
        for name, other in cars.items():
            if other is not car and other.node is not None:
                ox, oy, *_ = row_of(other.slot)
                away.append((round(math.hypot(ox - x, oy - y), 3), name))
        return tuple(name for distance, name in sorted(away)[:WITNESSES_MAX] if distance <= SIGHT_M)

    def _found(self, now_ms: int, name: str, held: _Held, residual_mm: int) -> Finding:
        consequence = self._ladder.climb(name, now_ms)
        detail = {"step": consequence.step, "count": consequence.count, "points": consequence.points}
        self._log.decision(now_ms, name, "consequence", detail)
        began_ms = next(
            stamp_ms for stamp_ms, s_mm, _ in held.seen
            if abs(s_mm - (place_mm(held.plan, stamp_ms) or s_mm)) > held.allowance_mm
        )  # fmt: skip
        path = self._write(now_ms, name, held)
        text = f"{name} is {residual_mm} mm from where it promised to be; {path.parent.name}/{path.name}"
        figure = held.sums.charged_mm_s
        return Finding("breach", (name,), began_ms, figure, BREACH_MM_S, "mm s", CALL_PERSON, text)

    def _write(self, now_ms: int, name: str, held: _Held) -> Path:
        sign = self._factory.office.signer
        digest = self._factory.book.roads.zone_map.digest
        bare = SignedCommitment(name, self._charter_id, digest, held.plan.encode(), held.allowance_mm)
        commitment = replace(bare, signature=sign(name).sign(bare.statement()))
        sightings, witnesses = [], {name}
        for stamp_ms, s_mm, near in held.seen:
            for observer in near:
                one = Sighting(observer, name, held.plan.path_id, stamp_ms, s_mm)
                sightings.append(replace(one, signature=sign(observer).sign(one.statement())))
                witnesses.add(observer)
        path = self._shelf.certify(sorted(witnesses)) / f"breach-{name}-{now_ms}.json"
        write_breach(path, BreachCase(commitment, tuple(sightings)))
        return path
