"""A vehicle that is on the map, as the runner keeps it: its body's slot, and who drives it."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.node.driver import Node
from fleet.node.free_driver import FreeNode
from planners.timed_path import TimedPath
from sim import reactive
from sim.legacy_traffic import LegacyCar
from sim.reactive import ReactiveCar
from sim.stage import Actor
from sim.vehicle_backend import SimVehicle


@dataclass(slots=True)
class Car:
    """At most one of ``node``, ``legacy`` and ``reactive`` drives; none does while a node is dead."""

    actor: Actor
    slot: int
    front_m: float
    """From the rear axle to the front bumper."""
    s_m: float
    """The rear axle's place on the path."""
    node: Node | FreeNode | None = None
    legacy: LegacyCar | None = None
    reactive: ReactiveCar | None = None
    hardware: SimVehicle | None = None
    radio: int = -1
    """Index in the network; -1: none."""
    plan: TimedPath | None = None
    listens: bool = True

    @property
    def phase(self) -> str:
        """For logs; a vehicle without a node has no radio, or its node is dead."""
        if self.node is not None:
            return self.node.phase_name
        if self.reactive is not None:
            return reactive.NAME
        return "legacy" if self.hardware is None else "dead"
