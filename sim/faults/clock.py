"""A node's clock over true time: offset, drift between two synchronisations, and steps."""

from __future__ import annotations

SYNC_MS = 10_000
"""How often the drift is taken out: what keeps a sound clock within its bound."""


class Clock:
    """Reads ``true + offset + drift``; the offset may be stepped."""

    __slots__ = ("drift_ppm", "offset_ms", "since_ms")

    def __init__(self, offset_ms: float, drift_ppm: int, since_ms: int) -> None:
        self.offset_ms = offset_ms
        self.drift_ppm = drift_ppm
        self.since_ms = since_ms

    def read(self, true_ms: float) -> int:
        """What the clock shows at ``true_ms``."""
        return int(true_ms + self.error_ms(true_ms))

    def error_ms(self, true_ms: float) -> float:
        return self.offset_ms + self.drift_ppm * 1e-6 * ((true_ms - self.since_ms) % SYNC_MS)

    def true_ms(self, shown_ms: float, near_ms: float) -> float:
        """When the clock shows ``shown_ms``, as seen from ``near_ms``."""
        return shown_ms - self.error_ms(near_ms)

    def step(self, by_ms: float, now_ms: int) -> None:
        """A jump, such as a leap second taken wrongly."""
        self.offset_ms = self.error_ms(now_ms) + by_ms
        self.since_ms = now_ms

    def mend(self, offset_ms: float, now_ms: int) -> None:
        """Synchronised again."""
        self.offset_ms, self.since_ms, self.drift_ppm = offset_ms, now_ms, 0
