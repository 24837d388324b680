"""The nodes of simulated vehicles: the parts that run on a vehicle, with simulated hardware, radio and keys."""

from __future__ import annotations

import random
from pathlib import Path

from fleet.node.assembly import Assembly, Berth, past_of
from fleet.node.controllers import CONTROLLERS
from fleet.node.driver import Node
from fleet.node.parts import NO_DOUBTS, Doubts, Noter
from fleet.node.road import place_on
from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.node.stable_log import Medium
from fleet.node.stable_media import FileMedium, MemoryMedium
from fleet.node.stopwatch import Stopwatch
from fleet.protocol import keys
from fleet.protocol.enrolment import VALID_MS_MAX, KeyCertificate, certificate_statement
from fleet.protocol.records import Tuning
from fleet.protocol.restore import Restored, unknown_past
from hardware.base import VehicleInterface
from planners.first_come import FirstCome
from planners.interface import JointPlanner
from planners.registry import PLANNERS
from planners.spacing import COMFORTABLE, Spacing
from sim import reactive
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


class NodeFactory:
    """Makes the nodes of one run."""

    def __init__(
        self, stage: Stage, planner: str, seed: int, period_s: float, watch: Stopwatch, controller: str = "feedback",
        spacing: Spacing = COMFORTABLE,
    ) -> None:  # fmt: skip
        self._seed, self._period_s = seed, period_s
        self.reactive = planner == reactive.NAME
        """Vehicles have no nodes; the planner is then for free-flow times only."""
        maker = PLANNERS[FirstCome.name if self.reactive else planner]
        self._keyring = Keyring()
        self._media: dict[str, Medium] = {}
        self.assembly = Assembly(
            stage.zone_map, stage.conflicts, maker(stage.zone_map, stage.conflicts, spacing), self._keyring,
            session=seed, period_s=period_s, watch=watch, controller=CONTROLLERS[controller],
        )  # fmt: skip
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
            restored = past_of(self._media[name], name, now_ms)
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

    def _node(
        self, actor: Actor, hardware: VehicleInterface, note: Noter, start_s_m: float, restored: Restored | None,
        doubts: Doubts = NO_DOUBTS,
    ) -> Node:  # fmt: skip
        name = actor.vehicle_id
        signer = Signer(simulation_seed(self._seed, name))
        draw = random.Random(f"{self._seed}/{name}").randrange
        return self.assembly.node(
            Berth(name, actor.vehicle, actor.path_id), hardware, signer, self._media[name], draw, note,
            start_s_m=start_s_m, restored=restored, doubts=doubts,
        )  # fmt: skip

    def make_reactive(self, actor: Actor, hardware: SimVehicle) -> ReactiveCar:
        """One vehicle that only avoids what it sees."""
        return ReactiveCar(actor.vehicle, hardware, self.roads.get(actor.path_id), self._period_s, actor.start_s_m)
