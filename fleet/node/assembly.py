"""Puts the node of a vehicle together: the same parts in simulation and on hardware.

What is a pure function of the map or of signed bytes (decoded plans, checked signatures, flattened
paths) is computed once per process and shared; what a node knows, decides and promises is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from fleet.charter.model import Charter
from fleet.node.bodies import scale_of, wire_body
from fleet.node.charter_book import CharterBook, Make
from fleet.node.charter_seat import CharterSeat, SpokenPlanner
from fleet.node.control import Tracker
from fleet.node.driver import Node
from fleet.node.group_orders import GroupOrders
from fleet.node.judge import ZoneJudge
from fleet.node.lanes import Lanes
from fleet.node.parts import NO_DOUBTS, ControllerMaker, Doubts, NodeParts, Noter
from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.node.road import Roads
from fleet.node.signing import Signer
from fleet.node.stable_log import Medium, StableLog
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.ports import Draw, Ports, Verifier
from fleet.protocol.records import LiveTube, Local, PlannedBatch, Tuning
from fleet.protocol.restore import Restored, binding_records, restore
from fleet.protocol.wire import Entry, Intent, Proposal
from hardware.base import VehicleInterface
from hardware.vehicle import Vehicle
from planners.check_fast import FastVerifier
from planners.conflicts import ConflictTables
from planners.interface import Commitment, JointPlan, JointPlanner, Request
from planners.zone_map import ZoneMap

Planned = Callable[[str, Sequence[Request], Sequence[Commitment], JointPlan, int], None]


class TimedKeyring:
    """A keyring whose work is booked as cryptography."""

    def __init__(self, keyring: Verifier, watch: Stopwatch) -> None:
        self._keyring, self._watch = keyring, watch

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        self._watch.enter("crypto")
        answer = self._keyring.verify(sender, data, signature)
        self._watch.leave()
        return answer


class TimedSigner:
    """A signer whose work is booked as cryptography."""

    def __init__(self, signer: Signer, watch: Stopwatch) -> None:
        self._signer, self._watch = signer, watch

    def sign(self, data: bytes) -> bytes:
        self._watch.enter("crypto")
        signature = self._signer.sign(data)
        self._watch.leave()
        return signature


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


@dataclass(frozen=True, slots=True)
class Berth:
    """One vehicle of an assembly: who it is, its body and its way."""

    name: str
    vehicle: Vehicle
    path_id: str


class Assembly:
    """What the nodes of one process share: the map, the plans decoded, the keys believed.

    Parameters
    ----------
    zone_map : ZoneMap
    conflicts : ConflictTables
    make : callable
        Makes the joint planner of a charter.
    keyring : Verifier
        Whose signatures count.
    session : int
        Of the fleet; every member must have the same.
    period_s : float
    watch : Stopwatch
    controller : callable, optional
    line : sequence of Charter, optional
        The fleet's charter and its ancestors, the newest first; left out: the built-in charter.
    """

    def __init__(
        self, zone_map: ZoneMap, conflicts: ConflictTables, make: Make, keyring: Verifier, *,
        session: int, period_s: float, watch: Stopwatch, controller: ControllerMaker = Tracker,
        line: Sequence[Charter] = (),
    ) -> None:  # fmt: skip
        self.roads = Roads(zone_map)
        self.book = PlanBook(self.roads)
        self.lanes = Lanes(conflicts, self.book)
        self.verifier = FastVerifier(zone_map)
        self.charters = CharterBook(make, self.roads, self.verifier, line)
        self.controller = controller
        self.group_orders: GroupOrders | None = None
        """What the group's monitors ask for; set before the first node is made."""
        self.planned: Planned | None = None
        """See :attr:`ZonePlanner.planned`, with the vehicle that proposes in front."""
        self.planning_s: list[float] = []
        self._session, self._period_s, self._watch = session, period_s, watch
        self._codec = Codec(TimedKeyring(keyring, watch))
        self._map_digest = bytes.fromhex(zone_map.digest)[:8]

    @property
    def planner(self) -> JointPlanner:
        """By the fleet's charter."""
        return self.charters.planner_of("")

    def node(
        self, berth: Berth, hardware: VehicleInterface, signer: Signer, medium: Medium, draw: Draw, note: Noter, *,
        start_s_m: float, restored: Restored | None = None, doubts: Doubts = NO_DOUBTS,
    ) -> Node:  # fmt: skip
        """A node that is ready for its first tick; ``restored`` where its predecessor has died."""
        name, vehicle = berth.name, berth.vehicle
        around = Surroundings(self.roads, scale_of(vehicle))
        judge = TimedJudge(name, self.verifier, self.book, self.lanes, around).timed_by(self._watch)
        charters = self.charters
        seat = CharterSeat(name, charters.line_of(name), note)
        planner = SpokenPlanner(seat, charters.planners, charters.planner_of(name), self.group_orders)
        zone_planner = TimedPlanner(planner, self.book, self.lanes).timed_by(self._watch, self.planning_s)
        zone_planner.planned = partial(self._on_planned, name, planner, note)
        identity = seat.identity(wire_body(vehicle), self._map_digest)
        ports = Ports(judge, zone_planner, TimedSigner(signer, self._watch), self._codec, draw)
        core = Core(identity, ports, Tuning(starvation_ms=1000 * seat.charter.starvation_bound_s))
        if restored is not None:
            core.restore(restored)
        parts = NodeParts(
            name=name,
            vehicle=vehicle,
            hardware=hardware,
            road=self.roads.get(berth.path_id),
            core=core,
            judge=judge,
            zone_planner=zone_planner,
            planner=planner,
            seat=seat,
            book=self.book,
            lanes=self.lanes,
            around=around,
            note=note,
            codec=self._codec,
            store=stable_log(medium, name),
            session=self._session,
            watch=self._watch,
            period_s=self._period_s,
            controller=self.controller,
            doubts=doubts,
        )
        return Node(parts, start_s_m=start_s_m)

    def _on_planned(
        self, name: str, planner: SpokenPlanner, note: Noter, requests: Sequence[Request],
        commitments: Sequence[Commitment], answer: JointPlan, now_ms: int,
    ) -> None:  # fmt: skip
        weighed = planner.weighed
        if weighed is not None:
            note(now_ms, "choice", asdict(weighed))
        if self.planned is not None:
            self.planned(name, requests, commitments, answer, now_ms)


def stable_log(medium: Medium, name: str) -> StableLog:
    """The log of one vehicle in ``medium``."""
    return StableLog(medium, partial(binding_records, me=name, eps_ms=Tuning().eps_ms))


def past_of(medium: Medium, name: str, now_ms: int) -> Restored:
    """What binds a vehicle that comes back and has its log."""
    return restore(stable_log(medium, name).records, name, now_ms, Tuning().eps_ms)
