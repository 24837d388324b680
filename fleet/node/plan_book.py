"""Decoded plans and bodies, remembered: a plan is announced ten times a second but decoded once.

Everything here is a pure function of bytes that peers signed, so that one book may serve all nodes
of a simulation; on a vehicle it serves one.
"""

from __future__ import annotations

import math
from functools import lru_cache

from fleet.errors import PlanError
from fleet.node.road import Roads
from planners.timed_path import SegmentArrays, TimedPath

_REMEMBERED = 8192
Place = tuple[str, float, float, float, float]


class PlanBook:
    """Plans by their bytes, and where they put a vehicle at a time."""

    def __init__(self, roads: Roads) -> None:
        self.roads = roads
        self.decode = lru_cache(maxsize=_REMEMBERED)(_decode_or_none)
        self.arrays = lru_cache(maxsize=_REMEMBERED)(SegmentArrays.of)
        self._places: dict[bytes, Place | None] = {}
        self._places_at_s = -math.inf

    def knows(self, plan: TimedPath) -> bool:
        return plan.path_id in self.roads.zone_map.paths

    def place(self, raw: bytes, now_s: float) -> Place | None:
        """(path_id, s_m, x_m, y_m, yaw_rad) of the rear axle by the plan; None: the bytes are no usable plan."""
        if now_s != self._places_at_s:
            self._places.clear()
            self._places_at_s = now_s
        if raw not in self._places:
            self._places[raw] = self._locate(raw, now_s)
        return self._places[raw]

    def _locate(self, raw: bytes, now_s: float) -> Place | None:
        plan = self.decode(raw)
        if plan is None or not self.knows(plan):
            return None
        s, _, _ = self.arrays(plan).at(now_s)
        return plan.path_id, s, *self.roads.get(plan.path_id).pose(s)


def _decode_or_none(raw: bytes) -> TimedPath | None:
    """The plan, or None where a peer sent bytes that are no plan: a peer's fault is a value, not an exception."""
    try:
        return TimedPath.decode(raw)
    except PlanError:
        return None
