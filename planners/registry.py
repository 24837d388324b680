"""The joint planners by the names that ``--planner`` takes."""

from __future__ import annotations

from collections.abc import Callable

from planners.all_way_stop import AllWayStop
from planners.first_come import FirstCome
from planners.interface import Conflicts, JointPlanner
from planners.right_before_left import RightBeforeLeft
from planners.signals import SignalActuated, SignalFixed
from planners.tile_reservation import TileReservation
from planners.zone_map import ZoneMap

PLANNERS: dict[str, Callable[[ZoneMap, Conflicts], JointPlanner]] = {
    FirstCome.name: FirstCome,
    TileReservation.name: TileReservation,
    SignalFixed.name: SignalFixed,
    SignalActuated.name: SignalActuated,
    RightBeforeLeft.name: RightBeforeLeft,
    AllWayStop.name: AllWayStop,
}
