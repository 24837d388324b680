"""What the monitors of the group may ask of every node: the plainest order, and more room between vehicles.

Both only change what is *proposed*. Every proposal goes to the judges of all members as before, so nodes that follow
an order a little earlier or later than others lose time at most. The planners for it are made before they are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planners.first_come import FirstCome
from planners.interface import Conflicts, JointPlanner
from planners.spacing import Spacing
from planners.zone_map import ZoneMap

MORE_CROSSING_S, MORE_HEADWAY_S, MORE_STANDSTILL_M = 0.4, 0.6, 1.0
"""One more of each of the comfortable spacing."""


def roomier(spacing: Spacing) -> Spacing:
    """``spacing`` as it is after the response ``raise_headway``."""
    return replace(
        spacing,
        crossing_s=spacing.crossing_s + MORE_CROSSING_S,
        headway_s=spacing.headway_s + MORE_HEADWAY_S,
        standstill_m=spacing.standstill_m + MORE_STANDSTILL_M,
    )


@dataclass(slots=True)
class GroupOrders:
    """One for all nodes of a process; ``instead`` is what they propose by while an order stands, else None."""

    plain: JointPlanner
    plain_roomy: JointPlanner
    own_roomy: JointPlanner
    first_come: bool = False
    more_room: bool = False

    @staticmethod
    def of(zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing, own_roomy: JointPlanner) -> GroupOrders:
        """Ready for a map; ``own_roomy`` is the fleet's planner, made with :func:`roomier` spacing."""
        plain, roomy = (FirstCome(zone_map, conflicts, room) for room in (spacing, roomier(spacing)))
        return GroupOrders(plain, roomy, own_roomy)

    @property
    def instead(self) -> JointPlanner | None:
        """The joint planner that the standing orders ask for."""
        if self.first_come:
            return self.plain_roomy if self.more_room else self.plain
        return self.own_roomy if self.more_room else None
