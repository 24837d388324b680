"""The joint planners by the names that ``--planner`` takes.

``<name>+refine`` is the planner of that name with its answers refined (``planners/refine.py``, needs CasADi).
"""

from __future__ import annotations

from typing import Protocol

from planners.all_way_stop import AllWayStop
from planners.first_come import FirstCome
from planners.interface import Conflicts, JointPlanner
from planners.order import WelfareOrder
from planners.right_before_left import RightBeforeLeft
from planners.signals import SignalActuated, SignalFixed
from planners.spacing import COMFORTABLE, Spacing
from planners.tile_reservation import TileReservation
from planners.zone_map import ZoneMap


class Maker(Protocol):
    """What makes a planner for a map."""

    def __call__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> JointPlanner: ...


def refined(maker: Maker) -> Maker:
    """The maker of the same planner, refined; CasADi is imported when one is made."""

    def make(zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> JointPlanner:
        from planners.refine import RefinedPlanner, Refiner

        return RefinedPlanner(maker(zone_map, conflicts, spacing), Refiner(zone_map, conflicts, spacing=spacing))

    return make


PLANNERS: dict[str, Maker] = {
    FirstCome.name: FirstCome,
    TileReservation.name: TileReservation,
    SignalFixed.name: SignalFixed,
    SignalActuated.name: SignalActuated,
    RightBeforeLeft.name: RightBeforeLeft,
    AllWayStop.name: AllWayStop,
    WelfareOrder.name: WelfareOrder,
    f"{FirstCome.name}+refine": refined(FirstCome),
    f"{WelfareOrder.name}+refine": refined(WelfareOrder),
}
