"""The joint planners by the names that ``--planner`` takes."""

from __future__ import annotations

from collections.abc import Callable

from planners.all_way_stop import AllWayStop
from planners.first_come import FirstCome
from planners.interface import Conflicts, JointPlanner
from planners.zone_map import ZoneMap

PLANNERS: dict[str, Callable[[ZoneMap, Conflicts], JointPlanner]] = {
    FirstCome.name: FirstCome,
    AllWayStop.name: AllWayStop,
}
