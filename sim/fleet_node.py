"""Builds the nodes of simulated vehicles: the parts that run on a vehicle, with simulated hardware and radio.

What is a pure function of the map or of signed bytes (decoded plans, checked signatures, flattened
paths) is computed once per process and shared; what a node knows, decides and promises is its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from fleet.charter.model import default_charter
from fleet.node.bodies import scale_of, wire_body
from fleet.node.controllers import CONTROLLERS
from fleet.node.driver import Node
from fleet.node.judge import ZoneJudge
from fleet.node.lanes import Lanes
from fleet.node.parts import NodeParts, Noter
from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.node.road import Roads
from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.ports import Ports
from fleet.protocol.records import Identity, LiveTube, Local, PlannedBatch
from fleet.protocol.wire import Entry, Intent, Proposal
from hardware.base import VehicleInterface
from planners.check_fast import FastVerifier
from planners.registry import PLANNERS
from sim.stage import Actor, Stage


class TimedKeyring:
    """A keyring whose work is booked as cryptography."""

    def __init__(self, keyring: Keyring, watch: Stopwatch) -> None:
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


class NodeFactory:
    """Makes the nodes of one run."""

    def __init__(
        self, stage: Stage, planner: str, seed: int, period_s: float, watch: Stopwatch, controller: str = "feedback"
    ) -> None:
        self._seed, self._period_s, self._watch = seed, period_s, watch
        self.roads = Roads(stage.zone_map)
        self.book = PlanBook(self.roads)
        self.lanes = Lanes(stage.conflicts, self.book)
        self.verifier = FastVerifier(stage.zone_map)
        self.controller = CONTROLLERS[controller]
        self.planner = PLANNERS[planner](stage.zone_map, stage.conflicts)
        self.planning_s: list[float] = []
        self._keyring = Keyring()
        self._codec = Codec(TimedKeyring(self._keyring, watch))
        self._charter_id = default_charter().charter_id()
        self._map_digest = bytes.fromhex(stage.zone_map.digest)[:8]

    def make(self, actor: Actor, hardware: VehicleInterface, note: Noter) -> Node:
        """The node of one vehicle, enrolled and ready for its first tick."""
        name = actor.vehicle_id
        signer = Signer(simulation_seed(self._seed, name))
        self._keyring.enrol(name, signer.public_key)
        around = Surroundings(self.roads, scale_of(actor.vehicle))
        judge = TimedJudge(name, self.verifier, self.book, self.lanes, around).timed_by(self._watch)
        zone_planner = TimedPlanner(self.planner, self.book, self.lanes).timed_by(self._watch, self.planning_s)
        identity = Identity(name, wire_body(actor.vehicle), self._charter_id, self._map_digest)
        draw = random.Random(f"{self._seed}/{name}").randrange
        ports = Ports(judge, zone_planner, TimedSigner(signer, self._watch), self._codec, draw)
        parts = NodeParts(
            name=name,
            vehicle=actor.vehicle,
            hardware=hardware,
            road=self.roads.get(actor.path_id),
            core=Core(identity, ports),
            judge=judge,
            zone_planner=zone_planner,
            planner=self.planner,
            book=self.book,
            lanes=self.lanes,
            around=around,
            note=note,
            codec=self._codec,
            session=self._seed,
            watch=self._watch,
            period_s=self._period_s,
            controller=self.controller,
        )
        return Node(parts, start_s_m=actor.start_s_m)
