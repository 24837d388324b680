"""Builds the nodes of simulated vehicles: the parts that run on a vehicle, with simulated hardware and radio.

What is a pure function of the map or of signed bytes (decoded plans, checked signatures, flattened
paths) is computed once per process and shared; what a node knows, decides and promises is its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from fleet.charter.model import default_charter
from fleet.node.bodies import scale_of, wire_body
from fleet.node.controllers import CONTROLLERS
from fleet.node.driver import Node
from fleet.node.judge import ZoneJudge
from fleet.node.lanes import Lanes
from fleet.node.parts import NO_DOUBTS, Doubts, NodeParts, Noter
from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.node.road import Roads
from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.node.stable_log import Medium, StableLog
from fleet.node.stable_media import FileMedium, MemoryMedium
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol import keys
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.enrolment import VALID_MS_MAX, KeyCertificate, certificate_statement
from fleet.protocol.ports import Ports
from fleet.protocol.records import Identity, LiveTube, Local, PlannedBatch, Tuning
from fleet.protocol.restore import Restored, binding_records, restore, unknown_past
from fleet.protocol.wire import Entry, Intent, Proposal
from hardware.base import VehicleInterface
from planners.check_fast import FastVerifier
from planners.first_come import FirstCome
from planners.registry import PLANNERS
from planners.spacing import COMFORTABLE, Spacing
from sim import reactive
from sim.crashes import place_on
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
        self, stage: Stage, planner: str, seed: int, period_s: float, watch: Stopwatch, controller: str = "feedback",
        spacing: Spacing = COMFORTABLE,
    ) -> None:  # fmt: skip
        self._seed, self._period_s, self._watch = seed, period_s, watch
        self.roads = Roads(stage.zone_map)
        self.book = PlanBook(self.roads)
        self.lanes = Lanes(stage.conflicts, self.book)
        self.verifier = FastVerifier(stage.zone_map)
        self.controller = CONTROLLERS[controller]
        self.reactive = planner == reactive.NAME
        """Vehicles have no nodes; the planner is then for free-flow times only."""
        maker = PLANNERS[FirstCome.name if self.reactive else planner]
        self.planner = maker(stage.zone_map, stage.conflicts, spacing)
        self.planning_s: list[float] = []
        self._keyring = Keyring()
        self._media: dict[str, Medium] = {}
        self._codec = Codec(TimedKeyring(self._keyring, watch))
        self._charter_id = default_charter().charter_id()
        self._map_digest = bytes.fromhex(stage.zone_map.digest)[:8]

    def make(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, store_folder: Path | None = None,
        doubts: Doubts = NO_DOUBTS,
    ) -> Node:  # fmt: skip
        """The node of one vehicle, enrolled and ready for its first tick.

        Its stable log is a file in ``store_folder``, or in memory.
        """
        name = actor.vehicle_id
        self._keyring.enrol(name, Signer(simulation_seed(self._seed, name)).public_key)
        medium = MemoryMedium(name) if store_folder is None else FileMedium(store_folder / f"{name}.log")
        self._media[name] = medium
        return self._node(actor, hardware, note, actor.start_s_m, None, doubts)

    def restart(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, now_ms: int, *, log_lost: bool
    ) -> Node:  # fmt: skip
        """The node of a vehicle whose node has died: it has its stable log (or not even that) and its senses."""
        name, eps_ms = actor.vehicle_id, Tuning().eps_ms
        if log_lost:
            self._media[name].replace(b"")
            restored = unknown_past(now_ms, eps_ms)
        else:
            restored = restore(self._log(name).records, name, now_ms, eps_ms)
        state = hardware.read(now_ms * 1_000_000)
        start_s_m = place_on(self.roads.get(actor.path_id), state.x_m, state.y_m)
        return self._node(actor, hardware, note, start_s_m, restored)

    def certificate(self, name: str) -> KeyCertificate:
        """Of a vehicle's key, by an authority of this simulation: for evidence that others judge offline."""
        office = Signer(simulation_seed(self._seed, keys.OFFICE))
        key = Signer(simulation_seed(self._seed, name)).public_key
        signature = office.sign(certificate_statement(name, key, 0, VALID_MS_MAX))
        return KeyCertificate(office.public_key, name, key, 0, VALID_MS_MAX, signature)

    def close(self) -> None:
        """Let go of the stable logs."""
        for medium in self._media.values():
            medium.close()

    def _log(self, name: str) -> StableLog:
        return StableLog(self._media[name], partial(binding_records, me=name, eps_ms=Tuning().eps_ms))

    def _node(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, start_s_m: float, restored: Restored | None,
        doubts: Doubts = NO_DOUBTS,
    ) -> Node:  # fmt: skip
        name = actor.vehicle_id
        signer = Signer(simulation_seed(self._seed, name))
        around = Surroundings(self.roads, scale_of(actor.vehicle))
        judge = TimedJudge(name, self.verifier, self.book, self.lanes, around).timed_by(self._watch)
        zone_planner = TimedPlanner(self.planner, self.book, self.lanes).timed_by(self._watch, self.planning_s)
        identity = Identity(name, wire_body(actor.vehicle), self._charter_id, self._map_digest)
        draw = random.Random(f"{self._seed}/{name}").randrange
        ports = Ports(judge, zone_planner, TimedSigner(signer, self._watch), self._codec, draw)
        core = Core(identity, ports)
        if restored is not None:
            core.restore(restored)
        parts = NodeParts(
            name=name,
            vehicle=actor.vehicle,
            hardware=hardware,
            road=self.roads.get(actor.path_id),
            core=core,
            judge=judge,
            zone_planner=zone_planner,
            planner=self.planner,
            book=self.book,
            lanes=self.lanes,
            around=around,
            note=note,
            codec=self._codec,
            store=self._log(name),
            session=self._seed,
            watch=self._watch,
            period_s=self._period_s,
            controller=self.controller,
            doubts=doubts,
        )
        return Node(parts, start_s_m=start_s_m)

    def make_reactive(self, actor: Actor, hardware: SimVehicle) -> ReactiveCar:
        """One vehicle that only avoids what it sees."""
        return ReactiveCar(actor.vehicle, hardware, self.roads.get(actor.path_id), self._period_s, actor.start_s_m)
