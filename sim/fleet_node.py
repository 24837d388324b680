"""The nodes of simulated vehicles: the parts that run on a vehicle, with simulated hardware, radio and keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fleet.charter.model import Charter, default_charter
from fleet.node.assembly import Assembly, Berth
from fleet.node.charter_book import Make, planner_maker
from fleet.node.controllers import CONTROLLERS
from fleet.node.driver import Node
from fleet.node.group_orders import GroupOrders, roomier
from fleet.node.parts import NO_DOUBTS, Doubts, Noter
from fleet.node.ranked import ranked_maker
from fleet.node.road import place_on
from fleet.node.stopwatch import Stopwatch
from fleet.protocol.restore import Restored
from hardware.base import VehicleInterface
from planners.first_come import FirstCome
from planners.interface import Conflicts, JointPlanner
from planners.right_before_left import Insisting
from planners.spacing import COMFORTABLE, Spacing
from planners.zone_map import ZoneMap
from sim import reactive
from sim.node_office import NodeOffice
from sim.reactive import ReactiveCar
from sim.scenario import Scenario
from sim.stage import Actor, Stage
from sim.till import Till, has_mechanism
from sim.vehicle_backend import SimVehicle


def clean_store(out: Path) -> Path:
    """The folder of the nodes' stable logs within a run's folder, without those of a run before."""
    folder = out / "store"
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.log"):
        left.unlink()
    return folder


def insisting(zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing) -> Make:
    """Makes the planner of drivers who insist on their right of way, to show a gridlock."""
    return lambda name, charter: Insisting(zone_map, conflicts, spacing)


class NodeFactory:
    """Makes the nodes of one run."""

    def __init__(
        self, stage: Stage, planner: str, seed: int, period_s: float, watch: Stopwatch, controller: str = "feedback",
        spacing: Spacing = COMFORTABLE, line: Sequence[Charter] = (), scenario: Scenario | None = None,
    ) -> None:  # fmt: skip
        self._period_s = period_s
        self.reactive = planner == reactive.NAME
        """Vehicles have no nodes; the planner is then for free-flow times only."""
        self.office = NodeOffice(seed, watch, stage.zone_map.digest)
        name = FirstCome.name if self.reactive else planner
        site = stage.zone_map, stage.conflicts
        make = planner_maker(name, *site, spacing)
        if scenario is not None and scenario.group.insist:
            make = insisting(*site, spacing)
        watched = scenario is not None and scenario.group.watch
        roomy = planner_maker(name, *site, roomier(spacing))
        self.till: Till | None = None
        charter = line[0] if line else default_charter()
        if scenario is not None and has_mechanism(scenario, charter):
            self.till = Till(scenario, stage, self.office, charter)
            make, roomy = (ranked_maker(one, self.till.rank) for one in (make, roomy))
        self.assembly = Assembly(
            *site, make, self.office.keyring,
            session=seed, period_s=period_s, watch=watch, controller=CONTROLLERS[controller], line=line,
        )  # fmt: skip
        if watched:
            self.assembly.group_orders = GroupOrders.of(*site, spacing, roomy("own", charter))
        shared = self.assembly
        self.roads, self.book, self.verifier = shared.roads, shared.book, shared.verifier
        self.controller, self.planning_s = shared.controller, shared.planning_s

    @property
    def planner(self) -> JointPlanner:
        return self.assembly.planner

    def make(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, store_folder: Path | None = None,
        doubts: Doubts = NO_DOUBTS,
    ) -> Node:  # fmt: skip
        """The node of one vehicle, enrolled and ready for its first tick.

        Its stable log is a file in ``store_folder``, or in memory.
        """
        self.office.enrol(actor.vehicle_id, store_folder)
        return self._node(actor, hardware, note, actor.start_s_m, None, doubts)

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
        self, actor: Actor, hardware: VehicleInterface, note: Noter, start_s_m: float, restored: Restored | None,
        doubts: Doubts = NO_DOUBTS,
    ) -> Node:  # fmt: skip
        name, office, till = actor.vehicle_id, self.office, self.till
        heard = note if till is None else till.listen(name, note)
        node = self.assembly.node(
            Berth(name, actor.vehicle, actor.path_id), hardware, office.signer(name), office.medium(name),
            office.draw(name), heard, start_s_m=start_s_m, restored=restored, doubts=doubts,
        )  # fmt: skip
        if till is not None:
            node.voice = till.voice(name, note)
            till.attend(name, node)
        return node

    def make_reactive(self, actor: Actor, hardware: SimVehicle) -> ReactiveCar:
        """One vehicle that only avoids what it sees."""
        return ReactiveCar(actor.vehicle, hardware, self.roads.get(actor.path_id), self._period_s, actor.start_s_m)
