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


class PlanBook:
    """Plans by their bytes, and where they put the centre of a footprint at a time."""

    def __init__(self, roads: Roads) -> None:
        self.roads = roads
        self.decode = lru_cache(maxsize=_REMEMBERED)(_decode_or_none)
        self.arrays = lru_cache(maxsize=_REMEMBERED)(SegmentArrays.of)
        self._centres: dict[tuple[bytes, float], tuple[float, float] | None] = {}
        self._centres_at_s = -math.inf

    def knows(self, plan: TimedPath) -> bool:
        return plan.path_id in self.roads.zone_map.paths

    def centre(self, raw: bytes, centre_ahead_m: float, now_s: float) -> tuple[float, float] | None:
        """Where (x, y in W) the plan puts a point ``centre_ahead_m`` ahead of the rear axle; None: unusable."""
        if now_s != self._centres_at_s:
            self._centres.clear()
            self._centres_at_s = now_s
        key = (raw, centre_ahead_m)
        if key not in self._centres:
            self._centres[key] = self._locate(raw, centre_ahead_m, now_s)
        return self._centres[key]

    def _locate(self, raw: bytes, centre_ahead_m: float, now_s: float) -> tuple[float, float] | None:
        plan = self.decode(raw)
        if plan is None or not self.knows(plan):
            return None
        s, _, _ = self.arrays(plan).at(now_s)
        x, y, yaw = self.roads.get(plan.path_id).pose(s)
        return x + centre_ahead_m * math.cos(yaw), y + centre_ahead_m * math.sin(yaw)


def _decode_or_none(raw: bytes) -> TimedPath | None:
    """The plan, or None where a peer sent bytes that are no plan: a peer's fault is a value, not an exception."""
    try:
        return TimedPath.decode(raw)
    except PlanError:
        return None
