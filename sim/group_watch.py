"""The monitors of the group in a running simulation: snapshots from the truth, findings on record, responses done.

Twice a second the watch looks at every body where it really is. Findings go into the decision log as ``alarm``, what
was done about them as ``response``; cases for a person go into ``cases.jsonl`` of the run's folder. A response is an
order to the nodes, and they carry it out as on a road: the plainest order, more room, or a key that no longer counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fleet.cli.evidence_shelf import EvidenceShelf
from fleet.node.driver import Node
from fleet.oversight.findings import CALL_PERSON, FIRST_COME, QUARANTINE_KEY, RAISE_HEADWAY, Finding
from fleet.oversight.monitors import GroupMonitors
from fleet.oversight.snapshot import ORDER, STANDING_MMPS, Accounts, Accused, GroupView, Passed, VehicleView
from planners.interface import Commitment, JointPlan, Request
from planners.registry import make_planner
from planners.welfare import Welfare
from sim.breach_watch import BreachWatch
from sim.car import Car
from sim.fleet_node import NodeFactory
from sim.group_eyes import Refusals, Row, waits_of
from sim.group_metrics import PRICE
from sim.group_price import Prices
from sim.records import RunLog
from sim.run_folder import CASES
from sim.scenario_records import GroupOf, Scenario
from sim.stage import Stage

HOLD_MS = 60_000
"""An order to the nodes stands until nothing has called for it for so long."""
BREACH_MS = 5_000
"""After a breach, a vehicle counts as failing for so long."""


class GroupWatch:
    """Of one run on lanes."""

    def __init__(
        self, scenario: Scenario, stage: Stage, factory: NodeFactory, log: RunLog, out: Path, shelf: EvidenceShelf
    ) -> None:  # fmt: skip
        self._spec, self._factory, self._log, self._out = scenario.group, factory, log, out
        charter = factory.assembly.charters.line[0]
        self.monitors = GroupMonitors(charter)
        self._breaches = BreachWatch(charter, factory, log, shelf)
        self._operator = _named(self._spec.operators)
        self._software = _named(self._spec.software)
        self._planner = scenario.planner
        self._origin = {path_id: path.origin for path_id, path in stage.zone_map.paths.items()}
        welfare = Welfare.of_thousandths(charter.weights_milli, charter.starvation_bound_s)
        self._prices = Prices(
            make_planner("welfare", stage.zone_map, stage.conflicts, scenario.spacing.spacing, welfare), factory.roads
        )
        self._refusals = Refusals()
        factory.assembly.planned = self._on_planned
        self._due_ms = 0
        self._standing: dict[str, int] = {}
        self._approach: dict[str, str] = {}
        self._zone: dict[str, tuple[str, int]] = {}
        self._heard: dict[str, int] = {}
        self._overtaken: dict[str, int] = {}
        self._first: set[str] = set()
        """Who stands with nobody in the way."""
        self._failed: dict[str, tuple[int, str]] = {}
        self._accused: list[Accused] = []
        self._until: dict[str, int] = {}
        """Standing order -> when it ends."""
        self._case_count = 0

    # --- what it hears

    def hear(self, now_ms: int, node: str, kind: str, detail: Mapping[str, object]) -> None:
        """A node's note: quarantines with their proof, breaches, and who got a plan while others wait."""
        if kind == "quarantine" and detail.get("why") != "shown":
            proof = Accused(str(detail["vehicle"]), str(detail["evidence"]), str(detail["why"]))
            self._accused.append(proof)
        elif kind == "breach":
            self._failed[node] = now_ms, "breach"
        elif kind == "commit":
            self._served(node)

    def _served(self, node: str) -> None:
        """Everybody from elsewhere who came to that zone before, and has no plan, is passed over once more."""
        zone, since_ms = self._zone.get(node, ("", -1))
        origin = self._approach.get(node)
        for other, (theirs, before_ms) in self._zone.items():
            first = other in self._first  # who queues behind a body has not been passed over
            if first and theirs == zone and before_ms < since_ms and self._approach[other] != origin:
                self._overtaken[other] = self._overtaken.get(other, 0) + 1
        self._overtaken.pop(node, None)

    def _on_planned(
        self, name: str, requests: Sequence[Request], commitments: Sequence[Commitment], answer: JointPlan, now_ms: int
    ) -> None:
        self._refusals.take(
            now_ms, [(one.vehicle, one.reason) for one in answer.refused], [plan.vehicle for plan in answer.plans]
        )
        self._prices.ask(requests, commitments, now_ms)

    # --- looking

    def look(self, now_ms: int, cars: Mapping[str, Car], row_of: Callable[[int], Row]) -> None:
        """Take a snapshot if one is due, and do what follows from it; ``row_of`` is a body's truth by its slot."""
        for finding in self._breaches.look(now_ms, cars, row_of):
            self._tell(now_ms, finding, cars)
        if now_ms < self._due_ms:
            return
        rows = {name: row_of(car.slot) for name, car in cars.items()}
        period_ms = round(1000.0 * self._spec.period_s)
        self._due_ms = now_ms + period_ms
        self._prices.answer()
        passed = self._passed(now_ms, cars, rows)
        view = GroupView(
            now_ms, period_ms, tuple(self._view(now_ms, cars[name], rows, cars) for name in sorted(cars)),
            tuple(passed), tuple(self._accused), self._accounts(),
        )  # fmt: skip
        self._accused = []
        report = self.monitors.look(view)
        for finding in report.new:
            self._tell(now_ms, finding, cars)
        for finding in report.over:
            self._log.decision(now_ms, "group", "alarm_over", {"finding": finding.kind, "who": list(finding.who)})
        if self.monitors.anarchy.price_milli is not None:
            self._log.sample(PRICE, self.monitors.anarchy.price_milli * 1e-3)
        self._lift(now_ms)

    def _view(self, now_ms: int, car: Car, rows: Mapping[str, Row], cars: Mapping[str, Car]) -> VehicleView:
        name, speed_mmps = car.actor.vehicle_id, round(1000.0 * rows[car.actor.vehicle_id][3])
        standing = speed_mmps < STANDING_MMPS
        since_ms = self._standing.setdefault(name, now_ms) if standing else -1
        if not standing:
            self._standing.pop(name, None)
        self._approach[name] = self._origin[car.actor.path_id]
        zone, waits_since_ms = self._engaged(now_ms, car)
        holds = car.node is not None and car.node.committed
        order = "" if holds else self._refusals.blocker(name, now_ms)
        waits = waits_of(car, self._factory.roads.get(car.actor.path_id), rows, cars, order)
        self._first.discard(name)
        if standing and all(wait.cause == ORDER for wait in waits):
            self._first.add(name)
        return VehicleView(
            vehicle=name, zone=zone, approach=self._approach[name], operator=self._operator_of(name),
            vehicle_class=car.actor.vehicle.vehicle_class, software=self._software_of(car), speed_mmps=speed_mmps,
            travelled_mm=round(1000.0 * car.s_m), standing_since_ms=since_ms, waits_since_ms=waits_since_ms,
            waits=waits,
            holds=holds, passed_over=self._overtaken.get(name, 0), unheard_ms=self._unheard_ms(now_ms, car, zone, cars),
            failing=self._failing(now_ms, car),
        )  # fmt: skip

    def _engaged(self, now_ms: int, car: Car) -> tuple[str, int]:
        """The zone that a vehicle deals with, and since when; -1: not, or it has passed."""
        name = car.actor.vehicle_id
        zone_id = car.node.zone_id if isinstance(car.node, Node) else ""
        if not zone_id:
            self._zone.pop(name, None)
            self._overtaken.pop(name, None)
            return "", -1
        zone, since_ms = self._zone.get(name, ("", now_ms))
        if zone != zone_id:
            since_ms = self._prices.arrived_ms.get((name, zone_id), now_ms)
            self._overtaken.pop(name, None)
        self._zone[name] = zone_id, since_ms
        return zone_id, since_ms

    def _unheard_ms(self, now_ms: int, car: Car, zone: str, cars: Mapping[str, Car]) -> int:
        name = car.actor.vehicle_id
        near = [
            other.node for other in cars.values()
            if other is not car and other.node is not None and self._zone.get(other.actor.vehicle_id, ("",))[0] == zone
        ]  # fmt: skip
        if not zone or not near or any(name in node.core.heard(now_ms) for node in near):
            self._heard.pop(name, None)
            return 0
        return now_ms - self._heard.setdefault(name, now_ms)

    def _failing(self, now_ms: int, car: Car) -> str:
        if car.phase in {"dead", "fallback"}:
            return car.phase
        at_ms, why = self._failed.get(car.actor.vehicle_id, (-BREACH_MS, ""))
        return why if now_ms - at_ms < BREACH_MS else ""

    def _passed(self, now_ms: int, cars: Mapping[str, Car], rows: Mapping[str, Row]) -> list[Passed]:
        """Whose rear bumper has left its zone since the last look; the instant by its speed."""
        found = []
        for (name, zone), case in sorted(self._prices.cases.items()):
            car = cars.get(name)
            beyond_m = 0.0 if car is None else car.s_m - car.actor.vehicle.body.rear_overhang_m - case.exit_s_m
            if car is not None and beyond_m < 0.0:
                continue
            del self._prices.cases[(name, zone)]
            if car is None:  # it left the map between two looks, or was taken away
                continue
            at_ms = now_ms - round(1000.0 * beyond_m / max(0.5, rows[name][3]))
            found.append(
                Passed(
                    name, self._origin[car.actor.path_id], self._operator_of(name), car.actor.vehicle.vehicle_class,
                    at_ms, max(0, at_ms - case.alone_ms), case.planned_delay_ms,
                )
            )  # fmt: skip
        return sorted(found, key=lambda one: (one.at_ms, one.vehicle))

    def _operator_of(self, name: str) -> str:
        return self._operator.get(name) or self._factory.assembly.charters.line_of(name)[0].name

    def _software_of(self, car: Car) -> str:
        return self._software.get(car.actor.vehicle_id, "unconnected" if car.legacy is not None else self._planner)

    def _accounts(self) -> Accounts | None:
        """Of the mechanism, where it has any: what was made or lost, against nothing."""
        till = self._factory.till
        return None if till is None or till.ledger is None else Accounts(till.ledger.drift, 0)

    # --- doing

    def _tell(self, now_ms: int, finding: Finding, cars: Mapping[str, Car]) -> None:
        self._log.decision(now_ms, "group", "alarm", finding.detail())
        self._log.count(f"alarm_{finding.kind}")
        self._respond(now_ms, finding, cars)

    def _respond(self, now_ms: int, finding: Finding, cars: Mapping[str, Car]) -> None:
        if not self._spec.responses:
            return
        response = finding.response
        if response == QUARANTINE_KEY:
            self._quarantine(finding, cars)
        elif response == CALL_PERSON:
            self._case_count += 1
            add_case(self._out, self._case_count, now_ms, finding)
        else:
            self._until[response] = now_ms + HOLD_MS
            self._order()
        detail = {"response": response, "finding": finding.kind, "who": list(finding.who)}
        self._log.decision(now_ms, "group", "response", detail)

    def _order(self) -> None:
        orders = self._factory.assembly.group_orders
        if orders is not None:
            orders.first_come, orders.more_room = FIRST_COME in self._until, RAISE_HEADWAY in self._until

    def _lift(self, now_ms: int) -> None:
        """Orders end by themselves: a finding that is still there is found again."""
        for response in [one for one, until_ms in self._until.items() if now_ms >= until_ms]:
            del self._until[response]
            self._order()
            self._log.decision(
                now_ms, "group", "response", {"response": response, "finding": "", "who": [], "lifted": True}
            )

    @staticmethod
    def _quarantine(finding: Finding, cars: Mapping[str, Car]) -> None:
        digest = bytes.fromhex(finding.evidence)
        for name in sorted(cars):
            node = cars[name].node
            if isinstance(node, Node) and name not in finding.who:
                for liar in finding.who:
                    node.core.quarantine(liar, digest)


def watch_of(
    scenario: Scenario, stage: Stage, factory: object, log: RunLog, out: Path, shelf: EvidenceShelf
) -> GroupWatch | None:  # fmt: skip
    """The watch of a run; None where there is none: on a site, without nodes, or switched off."""
    if not isinstance(factory, NodeFactory) or factory.reactive or not scenario.group.watch:
        return None
    return GroupWatch(scenario, stage, factory, log, out, shelf)


def add_case(out: Path, number: int, now_ms: int, finding: Finding) -> None:
    """Put a case for a person into the folder of a run."""
    case = {"case": number, "time_ms": now_ms, "status": "open", **finding.detail()}
    with (out / CASES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(case, sort_keys=True) + "\n")


def _named(groups: Sequence[GroupOf]) -> dict[str, str]:
    return {vehicle: group.name for group in groups for vehicle in group.vehicles}
