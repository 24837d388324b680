"""What planners keep between plans, on top of the conflict geometry that the verifier insists on.

The verifier asks for no more than that inflated footprints never touch. These buffers are for comfort and
for robustness; a fleet that trusts its budgets plans with smaller ones (``TIGHT``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planners.zone_map import Footprint

FULL_SIZE_LENGTH_M = 5.0


@dataclass(frozen=True, slots=True)
class Spacing:
    """Buffers in time and along the lane, 0 or more; 0 leaves the conflict geometry alone."""

    crossing_s: float = 0.4
    """Between two vehicles that use the same place from different lanes."""
    headway_s: float = 0.6
    """Behind another vehicle in a lane: keeps the RSS distance at 50 km/h (7.8 m) and less than 2,300 veh/h do."""
    standstill_m: float = 1.0
    """Kept between vehicles of a lane in addition to both error budgets; model cars in proportion."""
    crossing_m: float = 0.0
    """The same between different lanes."""

    def cells(self, cell_ms: int, *, shared: bool) -> int:
        """Whole cells of ``cell_ms`` that hold the buffer in time; ``shared``: on a lane that both drive."""
        return math.ceil(round((self.headway_s if shared else self.crossing_s) * 1e6) / (cell_ms * 1000))

    def gap_m(self, outline: Footprint, *, shared: bool) -> float:
        """The buffer in distance for a vehicle of this outline."""
        if not shared:
            return self.crossing_m
        return self.standstill_m * min(1.0, outline.length_m / FULL_SIZE_LENGTH_M)


COMFORTABLE = Spacing()
TIGHT = Spacing(crossing_s=0.1, headway_s=0.25, standstill_m=0.25)
"""Those of the AIM4 simulator (Dresner and Stone 2008; its reservation grid's defaults): 0.1 s between uses of a
place, 0.25 s at the edges where lanes begin and end, 0.25 m around the body."""
PRESETS = {"comfortable": COMFORTABLE, "tight": TIGHT}
