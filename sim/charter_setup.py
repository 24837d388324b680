"""The charters of a run, from a scenario: whose is which, and what is rolled out when.

Charters are read and checked before the run's folder is claimed; a run never begins under one that does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.charter.model import Charter, default_charter
from fleet.errors import ConfigError
from fleet.node.charter_book import CharterBook, Line
from fleet.node.charter_files import load_charter
from fleet.node.driver import Node
from sim.car import Car
from sim.fleet_node import NodeFactory
from sim.scenario_records import Scenario
from sim.till import charter_of


@dataclass(frozen=True, slots=True)
class Due:
    """One roll-out, read."""

    at_ms: int
    line: Line
    vehicles: frozenset[str] | None


class Charters:
    """Of one run."""

    def __init__(self, line: Line, own: dict[str, Line], rollouts: list[Due]) -> None:
        self.line, self.own = line, own
        self._rollouts = sorted(rollouts, key=lambda one: one.at_ms)
        self._next = 0

    def enter(self, book: CharterBook) -> None:
        """Make the planners of every charter that this run may come to."""
        for vehicle, line in self.own.items():
            book.assign(vehicle, line)
        for one in self._rollouts:
            book.enter(one.line)

    def due(self, now_ms: int, book: CharterBook, present: Collection[str]) -> Iterator[tuple[str, Line, str]]:
        """(vehicle, line, rollout or rollback) to be told now; who comes later has it from the start."""
        while self._next < len(self._rollouts) and self._rollouts[self._next].at_ms <= now_ms:
            one = self._rollouts[self._next]
            self._next += 1
            before = book.line if one.vehicles is None else book.line_of(min(one.vehicles))
            why = "rollback" if one.line[0] in before[1:] else "rollout"
            if one.vehicles is None:
                book.line = one.line
            for name in one.vehicles or ():
                book.assign(name, one.line)
            told = sorted(name for name in present if name not in self.own) if one.vehicles is None else one.vehicles
            for name in told:
                if name in present:
                    yield name, one.line, why

    def roll_out(
        self, now_ms: int, factory: object, cars: Mapping[str, Car],
        note: Callable[[int, str, str, Mapping[str, object]], None],
    ) -> None:  # fmt: skip
        """Tell the vehicles that are there what is due now."""
        if not isinstance(factory, NodeFactory):
            return
        for name, line, why in self.due(now_ms, factory.assembly.charters, cars):
            node = cars[name].node
            if isinstance(node, Node):
                node.order_charter(line, why)
                note(now_ms, name, "charter", {"state": f"{why}_ordered", "to": line[0].charter_id()})

    def manifest(self) -> dict[str, object]:
        """For ``run.json``."""
        found = [_entry(self.line[0], "all others" if self.own else "all")]
        by_id: dict[bytes, list[str]] = {}
        for vehicle, line in sorted(self.own.items()):
            by_id.setdefault(line[0].charter_id(), []).append(vehicle)
        heads = {line[0].charter_id(): line[0] for line in self.own.values()}
        found += [_entry(heads[one], " ".join(names)) for one, names in by_id.items()]
        found += [_entry(one.line[0], f"from {one.at_ms * 1e-3:g} s") for one in self._rollouts]
        return {"charter_id": self.line[0].charter_id().hex(), "charters": found}


def _entry(charter: Charter, who: str) -> dict[str, object]:
    return {"name": charter.name, "id": charter.charter_id().hex(), "of": who}


def no_charters() -> Charters:
    """The built-in charter for everybody."""
    return Charters((default_charter(),), {}, [])


def charters_of(scenario: Scenario) -> Charters:
    """Read what a scenario names.

    Raises
    ------
    CharterError
        A charter does not count.
    ConfigError
        A vehicle is in two fleets.
    """
    start_s, allow_draft = scenario.start_unix_s, scenario.allow_draft
    began_s = time.time_ns() // 1_000_000_000 if start_s is None else start_s
    own: dict[str, Line] = {}
    for fleet in scenario.fleets:
        line = load_charter(Path(fleet.charter), began_s, allow_draft=allow_draft)
        for vehicle in fleet.vehicles:
            if vehicle in own:
                raise ConfigError(f"{scenario.source}: fleets: vehicle {vehicle} is in two fleets")
            own[vehicle] = line
    found = [
        Due(
            round(1000.0 * one.at_s),
            load_charter(Path(one.charter), began_s + int(one.at_s), allow_draft=allow_draft),
            None if one.vehicles is None else frozenset(one.vehicles),
        )
        for one in scenario.rollout
    ]
    line: Line = (charter_of(scenario),)
    if scenario.charter is not None:
        line = load_charter(Path(scenario.charter), began_s, allow_draft=allow_draft)
    return Charters(line, own, found)
