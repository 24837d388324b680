"""A body on its path: where it is, and when it will pass what the oracles and its kernel care for."""

from __future__ import annotations

import math

from sim.faults.plans import LENGTH_MM, Plan, Roads

_REACTION_MS = 300.0
_BRAKE = 6.0e-3
"""Full braking, mm/ms^2: with it the point of no return is physical."""
_KERNEL_REACTION_MS = 500.0
_KERNEL_BRAKE = 4.5e-3
"""What the vehicle's own kernel counts on."""
MOVING = 0.05
"""mm/ms; slower is standing."""


class Body:
    """One vehicle's metal."""

    __slots__ = (
        "_rest", "_rest_ms", "_roads", "clear_mm", "gone", "name", "offset_ms", "path", "plan", "resources",
        "since_ms", "version",
    )  # fmt: skip

    def __init__(self, name: str, roads: Roads, plan: Plan, offset_ms: float, since_ms: int = 0) -> None:
        self.name = name
        self._roads = roads
        self.plan = plan
        self.path = plan.path
        self.clear_mm = roads.clear_mm[plan.path]
        self.resources = frozenset(resource for resource, _, _ in roads.paths[plan.path])
        self.offset_ms = offset_ms
        """Of the kernel's clock when the plan was taken: a later step of the clock does not move the body."""
        self.since_ms = since_ms
        """When it came into sight."""
        self.version = 0
        self.gone = False
        self._foresee_rest()

    def at(self, true_ms: float) -> tuple[float, float]:
        """Front bumper (mm from the line) and speed (mm/ms)."""
        if true_ms >= self._rest_ms:  # most bodies stand most of the time
            return self._rest
        return self.plan.at(true_ms + self.offset_ms)

    def _foresee_rest(self) -> None:
        """Note from when on the plan has it stand for good."""
        t, s, v, a = self.plan.pieces[-1]
        self._rest_ms = t - self.offset_ms if v == 0.0 and a == 0.0 else math.inf
        self._rest = (s, 0.0)

    def follow(self, plan: Plan, offset_ms: float, since_ms: int = 0) -> None:
        self.plan = plan
        self.offset_ms = offset_ms
        self.version += 1
        self._foresee_rest()

    def is_threat(self, true_ms: float) -> bool:
        """Not yet clear, and moving or beyond the line."""
        s, v = self.at(true_ms)
        return s < self.clear_mm and (v > MOVING or s > 0.0)

    def inside(self, true_ms: float) -> bool:
        s = self.at(true_ms)[0]
        return 0.0 < s < self.clear_mm

    def uses(self, true_ms: float) -> list[int]:
        """Resources that it is in now."""
        s = self.at(true_ms)[0]
        return [r for r, entry, leave in self._roads.paths[self.path] if entry <= s < leave + LENGTH_MM]

    def passages(self, now_ms: float) -> list[tuple[float, str, int]]:
        """(true time, what, resource) from ``now_ms`` on: entries and exits, no-return points, clear."""
        plan, offset = self.plan, self.offset_ms
        found = []
        for resource, entry, leave in self._roads.paths[self.path]:
            found.append((plan.time_at(entry) - offset, "enter", resource))
            found.append((plan.time_at(leave + LENGTH_MM) - offset, "exit", resource))
        found.append((plan.time_at(self.clear_mm) - offset, "clear", -1))
        line = plan.time_at(0.0) - offset
        if now_ms <= line < math.inf:
            found.append((self._no_return(now_ms, line, _KERNEL_REACTION_MS, _KERNEL_BRAKE), "kernel", -1))
            found.append((self._no_return(now_ms, line, _REACTION_MS, _BRAKE), "no_return", -1))
        return [(t, what, resource) for t, what, resource in found if now_ms <= t < math.inf]

    def _no_return(self, low: float, high: float, reaction_ms: float, brake: float) -> float:
        """First time from ``low`` on at which braking no longer ends before the line."""
        for _ in range(22):
            middle = 0.5 * (low + high)
            s, v = self.at(middle)
            if s + v * reaction_ms + v * v / (2.0 * brake) > 0.0:
                high = middle
            else:
                low = middle
        return high
