"""Where the time goes: exclusive wall time by part, for reports. Nothing is ever decided by it."""

from __future__ import annotations

from collections.abc import Callable


class Stopwatch:
    """Attributes time to the innermost part entered; ``clock`` returns seconds, such as ``time.perf_counter``."""

    __slots__ = ("_clock", "_since", "_stack", "seconds")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stack: list[str] = ["other"]
        self._since = clock()
        self.seconds: dict[str, float] = {}

    def restart(self) -> None:
        """Forget what was booked; what has not been booked yet goes too."""
        self.seconds.clear()
        self._since = self._clock()

    def enter(self, part: str) -> None:
        now = self._clock()
        top = self._stack[-1]
        self.seconds[top] = self.seconds.get(top, 0.0) + now - self._since
        self._stack.append(part)
        self._since = now

    def leave(self) -> float:
        """Close the innermost part; returns the seconds since it was last entered or returned to."""
        now = self._clock()
        top = self._stack.pop()
        spent = now - self._since
        self.seconds[top] = self.seconds.get(top, 0.0) + spent
        self._since = now
        return spent
