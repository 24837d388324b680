"""What a node remembers of the zone that it is dealing with."""

from __future__ import annotations

from dataclasses import dataclass

from planners.zone_map import Passage


@dataclass(slots=True)
class Engagement:
    """The zone that the vehicle is dealing with."""

    passage: Passage
    clear_rear_s_m: float
    standing_since_ms: int | None = None
    arrived_ms: int = 0
    aborting: str = ""
    cleared: bool = False
    """Said so to the others at least once."""
