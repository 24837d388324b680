"""What a node is made of, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleet.node.control import Tracker
from fleet.node.judge import ZoneJudge
from fleet.node.lanes import Lanes
from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.node.road import Road
from fleet.node.stable_log import StableLog
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from hardware.base import VehicleInterface
from hardware.vehicle import Vehicle
from planners.interface import JointPlanner

if TYPE_CHECKING:
    from fleet.node.charter_seat import CharterSeat

Noter = Callable[[int, str, Mapping[str, object]], None]
ControllerMaker = Callable[[Vehicle, float], Tracker]
"""From a vehicle and the period of its ticks to the controller that follows plans."""


class Doubts(Protocol):
    """What the vehicle doubts about itself, beyond its estimate; on hardware the guard answers (``hardware.guard``)."""

    def clock_error_ms(self, now_ms: int) -> int:
        """A bound on the clock's error; above ``Tuning.eps_ms`` nothing is signed (rule P12)."""
        ...

    def unfit(self, now_ms: int) -> str:
        """Why the vehicle is stopping, whatever was agreed, or empty."""
        ...


class NoDoubts:
    """Of a vehicle in a simulation that switches none of these faults."""

    def clock_error_ms(self, now_ms: int) -> int:
        return 0

    def unfit(self, now_ms: int) -> str:
        return ""


NO_DOUBTS = NoDoubts()


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What a node is made of; the caller builds them, so that simulation and hardware differ only here."""

    name: str
    vehicle: Vehicle
    hardware: VehicleInterface
    road: Road
    core: Core
    judge: ZoneJudge
    zone_planner: ZonePlanner
    planner: JointPlanner
    book: PlanBook
    lanes: Lanes
    around: Surroundings
    note: Noter
    codec: Codec
    seat: CharterSeat
    store: StableLog
    """What is signed is in it before it is sent."""
    session: int
    """Of the fleet: messages of another session are not for us."""
    watch: Stopwatch
    period_s: float
    controller: ControllerMaker = Tracker
    doubts: Doubts = NO_DOUBTS


@dataclass(slots=True)
class Counters:
    """What a run reports of this node."""

    fallbacks: int = 0
    breaches: int = 0
    aborts: int = 0
    kernel_overrides: int = 0
    no_contingency: int = 0
