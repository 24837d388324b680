"""Builds the nodes of simulated vehicles: the parts that run on a vehicle, with simulated hardware and radio.

What is a pure function of the map or of signed bytes (decoded plans, checked signatures, flattened
paths) is computed once per process and shared; what a node knows, decides and promises is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.node.bodies import scale_of
from fleet.node.controllers import CONTROLLERS
from fleet.node.driver import Node
from fleet.node.judge import ZoneJudge
from fleet.node.lanes import Lanes
from fleet.node.parts import NodeParts, Noter
from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.node.road import Roads
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.records import LiveTube, Local, PlannedBatch
from fleet.protocol.restore import Restored
from fleet.protocol.wire import Entry, Intent, Proposal
from hardware.base import VehicleInterface
from planners.check_fast import FastVerifier
from planners.first_come import FirstCome
from planners.registry import make_planner
from planners.spacing import COMFORTABLE, Spacing
from planners.welfare import Welfare
from sim import reactive
from sim.crashes import place_on
from sim.node_office import NodeOffice
from sim.reactive import ReactiveCar
from sim.stage import Actor, Stage
from sim.vehicle_backend import SimVehicle


def clean_store(out: Path) -> Path:
    """The folder of the nodes' stable logs within a run's folder, without those of a run before."""
    folder = out / "store"
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.log"):
        left.unlink()
    return folder


class TimedJudge(ZoneJudge):
    """A judge whose work is booked as verification."""

    def timed_by(self, watch: Stopwatch) -> TimedJudge:
        self._watch = watch
        return self

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        self._watch.enter("verification")
        answer = super().verify(proposal, known, local)
        self._watch.leave()
        return answer

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        self._watch.enter("verification")
        answer = super().required_members(batch, peers, local)
        self._watch.leave()
        return answer


class TimedPlanner(ZonePlanner):
    """A planner whose work is booked as planning, each call also as a sample."""

    def timed_by(self, watch: Stopwatch, samples_s: list[float]) -> TimedPlanner:
        self._watch, self._samples_s = watch, samples_s
        return self

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        self._watch.enter("planning")
        answer = super().plan(vehicles, known, now_ms, switch_ms)
        self._samples_s.append(self._watch.leave())
        return answer


class NodeFactory:
    """Makes the nodes of one run."""

    def __init__(
        self, stage: Stage, planner: str, seed: int, period_s: float, watch: Stopwatch, controller: str = "feedback",
        spacing: Spacing = COMFORTABLE,
    ) -> None:  # fmt: skip
        self._period_s, self._watch = period_s, watch
        self.roads = Roads(stage.zone_map)
        self.book = PlanBook(self.roads)
        self.lanes = Lanes(stage.conflicts, self.book)
        self.verifier = FastVerifier(stage.zone_map)
        self.controller = CONTROLLERS[controller]
        self.reactive = planner == reactive.NAME
        """Vehicles have no nodes; the planner is then for free-flow times only."""
        charter = default_charter()
        welfare = Welfare.of_thousandths(charter.weights_milli, charter.starvation_bound_s)
        name = FirstCome.name if self.reactive else planner
        self.planner = make_planner(name, stage.zone_map, stage.conflicts, spacing, welfare)
        self.planning_s: list[float] = []
        self.office = NodeOffice(seed, watch, stage.zone_map.digest)

    def make(self, actor: Actor, hardware: VehicleInterface, note: Noter, store_folder: Path | None = None) -> Node:
        """The node of one vehicle, enrolled and ready for its first tick.

        Its stable log is a file in ``store_folder``, or in memory.
        """
        self.office.enrol(actor.vehicle_id, store_folder)
        return self._node(actor, hardware, note, actor.start_s_m, None)

    def restart(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, now_ms: int, *, log_lost: bool
    ) -> Node:  # fmt: skip
        """The node of a vehicle whose node has died: it has its stable log (or not even that) and its senses."""
        restored = self.office.past(actor.vehicle_id, now_ms, log_lost=log_lost)
        state = hardware.read(now_ms * 1_000_000)
        start_s_m = place_on(self.roads.get(actor.path_id), state.x_m, state.y_m)
        return self._node(actor, hardware, note, start_s_m, restored)

    def close(self) -> None:
        """Let go of the stable logs."""
        self.office.close()

    def _node(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, start_s_m: float, restored: Restored | None
    ) -> Node:
        name, office = actor.vehicle_id, self.office
        around = Surroundings(self.roads, scale_of(actor.vehicle))
        judge = TimedJudge(name, self.verifier, self.book, self.lanes, around).timed_by(self._watch)
        zone_planner = TimedPlanner(self.planner, self.book, self.lanes).timed_by(self._watch, self.planning_s)
        parts = NodeParts(
            name=name,
            vehicle=actor.vehicle,
            hardware=hardware,
            road=self.roads.get(actor.path_id),
            core=office.core(actor, judge, zone_planner, restored),
            judge=judge,
            zone_planner=zone_planner,
            planner=self.planner,
            book=self.book,
            lanes=self.lanes,
            around=around,
            note=note,
            codec=office.codec,
            store=office.log(name),
            session=office.seed,
            watch=self._watch,
            period_s=self._period_s,
            controller=self.controller,
        )
        return Node(parts, start_s_m=start_s_m)

    def make_reactive(self, actor: Actor, hardware: SimVehicle) -> ReactiveCar:
        """One vehicle that only avoids what it sees."""
        return ReactiveCar(actor.vehicle, hardware, self.roads.get(actor.path_id), self._period_s, actor.start_s_m)
