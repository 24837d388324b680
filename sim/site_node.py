"""Builds the nodes of a site's vehicles; what is shared by all and what is each one's own is as in fleet_node.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.charter.model import Charter
from fleet.errors import HardwareError
from fleet.node.bodies import scale_of
from fleet.node.free_book import FreeBook
from fleet.node.free_driver import FreeNode, FreeParts
from fleet.node.free_judge import FreeJudge
from fleet.node.free_planner import FreePlanner
from fleet.node.parts import Noter
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.records import LiveTube, Local, PlannedBatch
from fleet.protocol.restore import Restored
from fleet.protocol.wire import Entry, Intent, Proposal
from hardware.base import VehicleInterface
from sim.node_office import NodeOffice
from sim.site import ZONE_ID, Site
from sim.stage import Actor


class TimedFreeJudge(FreeJudge):
    """A judge whose work is booked as verification."""

    def timed_by(self, watch: Stopwatch) -> TimedFreeJudge:
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


class TimedFreePlanner(FreePlanner):
    """A planner whose work is booked as planning, each call also as a sample."""

    def timed_by(self, watch: Stopwatch, samples_s: list[float]) -> TimedFreePlanner:
        self._watch, self._samples_s = watch, samples_s
        return self

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        self._watch.enter("planning")
        answer = super().plan(vehicles, known, now_ms, switch_ms)
        self._samples_s.append(self._watch.leave())
        return answer


class SiteNodeFactory:
    """Makes the nodes of one run on a site."""

    reactive = False
    till = None
    """Vehicles on a site go by arrival."""

    def __init__(
        self, site: Site, seed: int, period_s: float, watch: Stopwatch, charter: Charter | None = None
    ) -> None:
        self.site, self._period_s, self._watch = site, period_s, watch
        self.book = FreeBook(site.zone_map, site.shapes)
        self.roads = self.book.roads
        self.planning_s: list[float] = []
        self.office = NodeOffice(seed, watch, site.zone_map.digest, charter)

    def make(self, actor: Actor, hardware: VehicleInterface, note: Noter, store_folder: Path | None = None) -> FreeNode:
        """The node of one vehicle, enrolled and ready for its first tick."""
        if not hardware.capabilities().can_reverse:
            raise HardwareError(f"vehicle {actor.vehicle_id} cannot reverse; on a site every vehicle must")
        self.office.enrol(actor.vehicle_id, store_folder)
        return self._node(actor, hardware, note, None)

    def restart(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, now_ms: int, *, log_lost: bool
    ) -> FreeNode:  # fmt: skip
        """The node of a vehicle whose node has died: it has its stable log (or not even that) and its senses."""
        return self._node(actor, hardware, note, self.office.past(actor.vehicle_id, now_ms, log_lost=log_lost))

    def close(self) -> None:
        """Let go of the stable logs."""
        self.office.close()

    def _node(self, actor: Actor, hardware: VehicleInterface, note: Noter, restored: Restored | None) -> FreeNode:
        name, office, site = actor.vehicle_id, self.office, self.site
        around = Surroundings(self.book.roads, scale_of(actor.vehicle))
        judge = TimedFreeJudge(name, self.book, around, site.manners.kappa_1pm).timed_by(self._watch)
        planner = TimedFreePlanner(self.book, judge, site.manners, site.obstacles)
        planner.timed_by(self._watch, self.planning_s)
        parts = FreeParts(
            name=name,
            vehicle=actor.vehicle,
            hardware=hardware,
            goal=site.tasks[name].goal,
            zone_id=ZONE_ID,
            core=office.core(actor, judge, planner, restored),
            judge=judge,
            book=self.book,
            around=around,
            note=note,
            codec=office.codec,
            store=office.log(name),
            session=office.seed,
            watch=self._watch,
            period_s=self._period_s,
        )
        return FreeNode(parts)
