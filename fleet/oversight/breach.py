"""When has a vehicle left its plan? A cumulative sum of what its error budget does not excuse, and what may follow.

Page's CUSUM (1954), one for each side: the sum of (residual - allowance) over time, never below 0; a breach is where
it passes ``BREACH_MM_S``. A single bad fix, or a second of tracking error, is none; somebody who brakes, races or stays
where it promised to drive is found in one to two seconds. This is accountability, not safety: the kernel acts at once.

Whole numbers (mm, ms), so that a verdict is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.charter.terms import CommitmentTerms
from planners.timed_path import TimedPath

BREACH_MM_S = 400
"""40 cm beyond what is allowed, for a second."""
EXCESS_MM_MAX = 1_000
"""More than this beyond the allowance counts as this: a few wild fixes are no breach, half a second of them is."""
SAMPLE_MS_MAX = 500
"""A longer gap between two observations counts as this: nobody is charged for what was not seen."""
FORGIVEN_MS = 30 * 24 * 3_600_000
"""A breach counts for the ladder for 30 days."""


class Cusum:
    """Residuals of one vehicle under one plan; ``allowance_mm`` is its longitudinal error budget."""

    def __init__(self, allowance_mm: int) -> None:
        self._allowance_mm = allowance_mm
        self._sums = [0, 0]
        self._last_ms: int | None = None
        self.found_ms: int | None = None
        """When the breach was found, once it was."""

    @property
    def charged_mm_s(self) -> int:
        """The greater of the two sums."""
        return max(self._sums) // 1000

    def take(self, stamp_ms: int, residual_mm: int) -> bool:
        """One observation, in the order of time; whether a breach has been found by now."""
        dt_ms = 0 if self._last_ms is None else min(SAMPLE_MS_MAX, max(0, stamp_ms - self._last_ms))
        self._last_ms = stamp_ms
        for side, value in enumerate((residual_mm, -residual_mm)):
            excess_mm = min(EXCESS_MM_MAX, value - self._allowance_mm)
            self._sums[side] = max(0, self._sums[side] + excess_mm * dt_ms)
        if self.found_ms is None and max(self._sums) > 1000 * BREACH_MM_S:
            self.found_ms = stamp_ms
        return self.found_ms is not None


def place_mm(plan: TimedPath, at_ms: int) -> int | None:
    """Where the plan puts the rear axle; None: before it begins or after its end, where nothing is promised."""
    if not plan.t0_ms <= at_ms <= plan.end_ms:
        return None
    time_ms, place, speed = plan.t0_ms, plan.s0_mm * 2_000_000, plan.v0_mmps * 1000
    for dt_ms, accel in plan.segments:
        dt = min(dt_ms, at_ms - time_ms)
        # In halves of a nm: speed in um/s, acceleration in mm/s^2, time in ms. Speed never drops below 0.
        moving = dt if speed + accel * dt >= 0 else speed // -accel
        place += 2 * speed * moving + accel * moving * moving
        speed, time_ms = max(0, speed + accel * dt), time_ms + dt_ms
        if time_ms >= at_ms:
            break
    return place // 2_000_000


def breach_ms(plan: TimedPath, allowance_mm: int, seen: Sequence[tuple[int, int]]) -> int | None:
    """When (stamp_ms, s_mm) in the order of time show a breach of ``plan``; None: they do not."""
    sums = Cusum(allowance_mm)
    for stamp_ms, s_mm in seen:
        promised = place_mm(plan, stamp_ms)
        if promised is not None and sums.take(stamp_ms, s_mm - promised):
            return sums.found_ms
    return None


@dataclass(frozen=True, slots=True)
class Consequence:
    """``step`` of the charter's ladder, for the ``count``-th breach that still counts; ``points`` are its stake."""

    vehicle: str
    step: str
    count: int
    points: int


class Ladder:
    """The charter's consequences, from mild to severe; there is none beyond the last, and never a physical one."""

    def __init__(self, terms: CommitmentTerms) -> None:
        self._terms = terms
        self._breaches: dict[str, list[int]] = {}

    def climb(self, vehicle: str, now_ms: int) -> Consequence:
        """What follows an upheld breach at ``now_ms``."""
        counted = [at_ms for at_ms in self._breaches.get(vehicle, []) if now_ms - at_ms < FORGIVEN_MS]
        counted.append(now_ms)
        self._breaches[vehicle] = counted
        step = self._terms.ladder[min(len(counted), len(self._terms.ladder)) - 1]
        return Consequence(vehicle, step, len(counted), self._terms.stake_points if step == "stake" else 0)
