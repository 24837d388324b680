"""The charters of one process: who has which, with which ancestors, and the joint planner of each.

Planners are made when a charter is entered, before anybody drives by it: nothing is parsed, checked or compiled in
the control loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fleet.charter.model import Charter, default_charter
from fleet.node.bodies import judged_body
from fleet.node.joint_choice import RulebookPlanner
from fleet.node.planning import claim_s_m
from fleet.node.road import Roads
from planners.check import Verifier
from planners.interface import Conflicts, JointPlanner, Request
from planners.registry import make_planner
from planners.spacing import Spacing
from planners.welfare import Welfare
from planners.zone_map import ZoneMap

Line = tuple[Charter, ...]
"""A charter and its ancestors, the newest first."""
Make = Callable[[str, Charter], JointPlanner]
"""A candidate of a charter by name; ``own`` is the fleet's planner."""


def planner_maker(own: str, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing) -> Make:
    """Makes planners that weigh by the charter's weights; ``own`` is the name that ``--planner`` takes."""

    def make(name: str, charter: Charter) -> JointPlanner:
        welfare = in_seconds(Welfare.of_thousandths(charter.weights_milli, charter.starvation_bound_s))
        return make_planner(own if name == "own" else name, zone_map, conflicts, spacing, welfare)

    return make


def in_seconds(welfare: Welfare) -> Welfare:
    """The same welfare in seconds of delay of one vehicle, the unit that the planner's margins are in."""
    if welfare.delay <= 0.0:
        return welfare
    names = ("delay", "urgency", "stops", "energy", "fairness")
    return replace(welfare, **{name: getattr(welfare, name) / welfare.delay for name in names})


class CharterBook:
    """``line`` is that of every vehicle without one of its own."""

    def __init__(self, make: Make, roads: Roads, verifier: Verifier, line: Sequence[Charter] = ()) -> None:
        self._make, self._roads, self._verifier = make, roads, verifier
        self._lines: dict[str, Line] = {}
        self.planners: dict[bytes, JointPlanner] = {}
        """By charter id."""
        self.line: Line = tuple(line) or (default_charter(),)
        self.enter(self.line)

    def enter(self, line: Line) -> None:
        """Make what is needed to drive by any charter of ``line``."""
        for charter in line:
            if charter.charter_id() not in self.planners:
                self.planners[charter.charter_id()] = self._planner(charter)

    def assign(self, vehicle: str, line: Line) -> None:
        """Give one vehicle a line of its own."""
        self.enter(line)
        self._lines[vehicle] = line

    def line_of(self, vehicle: str) -> Line:
        """That of ``vehicle``."""
        return self._lines.get(vehicle, self.line)

    def planner_of(self, vehicle: str) -> JointPlanner:
        """By its newest charter."""
        return self.planners[self.line_of(vehicle)[0].charter_id()]

    def _planner(self, charter: Charter) -> JointPlanner:
        found = {name: self._make(name, charter) for name in charter.candidates}
        if len(found) == 1:
            return found["own"]
        return RulebookPlanner(found, charter, self._verifier, judged_body, self._clear_mm)

    def _clear_mm(self, request: Request) -> int:
        """Where the rear bumper has left the zone; a vehicle that is beyond already is clear where it is."""
        road, body = self._roads.get(request.approach.path_id), request.body
        passage = road.passage(request.zone_id, claim_s_m(request.approach, body))
        exit_m = 0.0 if passage is None else passage.exit_s_m
        return round(1000.0 * (exit_m + body.footprint.rear_m))
