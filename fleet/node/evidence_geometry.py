"""The map's part of checking evidence: where signed plans put bodies. Shares no code with planner or verifier."""

from __future__ import annotations

import math

from fleet.node.plan_book import PlanBook
from fleet.protocol.wire import VehicleBody

STEP_MS = 20


class MapGeometry:
    """See :class:`fleet.protocol.evidence.Geometry`; for the map that the plans were made on."""

    def __init__(self, book: PlanBook) -> None:
        self._book = book

    def overlap(self, plan: bytes, body: VehicleBody, other_plan: bytes) -> bool:
        """Every 20 ms: whether the other's reference point is inside the outline."""
        front_m = (body.length_mm - body.rear_mm) * 1e-3
        rear_m, half_m = body.rear_mm * 1e-3, 0.5e-3 * body.width_mm
        for at_ms in range(*self._common(plan, other_plan), STEP_MS):
            mine, theirs = self._book.place(plan, at_ms * 1e-3), self._book.place(other_plan, at_ms * 1e-3)
            if mine is None or theirs is None:
                return False
            x, y, yaw = mine[2:]
            dx, dy = theirs[2] - x, theirs[3] - y
            ahead_m = dx * math.cos(yaw) + dy * math.sin(yaw)
            aside_m = dy * math.cos(yaw) - dx * math.sin(yaw)
            if -rear_m <= ahead_m <= front_m and abs(aside_m) <= half_m:
                return True
        return False

    def deviation_mm(self, plan: bytes, stamp_ms: int, x_mm: int, y_mm: int) -> int | None:
        place = self._book.place(plan, stamp_ms * 1e-3)
        if place is None:
            return None
        return round(1000.0 * math.hypot(place[2] - x_mm * 1e-3, place[3] - y_mm * 1e-3))

    def _common(self, plan: bytes, other_plan: bytes) -> tuple[int, int]:
        """The time (ms) that both plans speak of; empty where one is no plan of this map."""
        a, b = self._book.decode(plan), self._book.decode(other_plan)
        if a is None or b is None:
            return 0, 0
        ends = [one.t0_ms + sum(dt_ms for dt_ms, _ in one.segments) for one in (a, b)]
        return max(a.t0_ms, b.t0_ms), min(ends)
