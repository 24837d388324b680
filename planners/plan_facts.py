"""What one plan does on its way out of a zone, in integers: two machines compute the same from the same signed bytes.

Time in ms, place in mm, speed in mm/s, as in :class:`planners.timed_path.TimedPath`; inside, speed is carried in
um/s and place in halves of a nm, so that no segment is rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planners.timed_path import TimedPath

STAND_MS = 100
"""A speed of 0 for so long is a stop."""
_HALVES = 2_000_000
"""Halves of 1e-6 mm in a mm."""


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """``clear_ms``: on the fleet's clock; None: the plan never gets there, and the rest is of all of it."""

    clear_ms: int | None
    stops: int
    braked_milli_jpkg: int
    """Kinetic energy per mass that it brakes away, in mJ/kg."""
    speed_mmps_max: int
    brake_mmps2_max: int


def plan_facts(plan: TimedPath, from_ms: int, clear_mm: int) -> PlanFacts:
    """Facts of ``plan`` from ``from_ms`` until the rear axle is at ``clear_mm``."""
    at_ms, place, speed = plan.t0_ms, plan.s0_mm * _HALVES, plan.v0_mmps * 1000
    goal = clear_mm * _HALVES
    stops, braked, fastest, hardest = 0, 0, plan.v0_mmps, 0
    for dt_ms, accel in plan.segments:
        after = max(0, speed + accel * dt_ms)
        reached = place + 2 * speed * dt_ms + accel * dt_ms * dt_ms
        if at_ms + dt_ms > from_ms:
            fastest, hardest = max(fastest, after // 1000), max(hardest, -accel)
            braked += max(0, speed * speed - after * after)
            stops += speed == 0 and after == 0 and dt_ms >= STAND_MS and place < goal
        if reached >= goal:
            return PlanFacts(at_ms + _time_to(goal - place, speed, accel), stops, _mj(braked), fastest, hardest)
        at_ms, place, speed = at_ms + dt_ms, reached, after
    clear = None if speed == 0 else at_ms - (-(goal - place) // (2 * speed))
    return PlanFacts(clear, stops, _mj(braked), fastest, hardest)


def _time_to(room: int, speed: int, accel: int) -> int:
    """Whole ms, rounded up, until ``room`` (halves of 1e-6 mm) is driven; it is, within the segment."""
    if room <= 0:
        return 0
    root = math.isqrt(max(0, speed * speed + accel * room))
    return -(-room // max(1, speed + root))


def _mj(braked: int) -> int:
    """From (um/s)^2, twice the energy, to mJ/kg."""
    return braked // (2 * 10**9)
