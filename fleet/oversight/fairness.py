"""Is one approach, operator or class paying for the others? Jain's and Gini's figures over a window, and starvation.

All in thousandths and by whole numbers, so that a threshold is crossed on every machine or on none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from fleet.oversight.findings import CALL_PERSON, FIRST_COME, Finding
from fleet.oversight.snapshot import GroupView, Passed

WINDOW_MS = 300_000
"""Five minutes: at 300 vehicles an hour and lane, 25 of each lane."""
SAMPLES_MIN = 30
GROUP_SAMPLES_MIN = 8
"""A group with fewer is left out: its mean says little."""
DELAY_MEAN_MS_MIN = 2_000
"""Where nobody waits, differences are noise: a mean below this is fair enough."""
GROUPINGS = ("approach", "operator", "vehicle_class")


def jain_milli(shares: Sequence[int]) -> int:
    """Jain's index (sum x)^2 / (n sum x^2) in thousandths; 1000: even. Negative shares count as 0."""
    x = [max(0, share) for share in shares]
    square = len(x) * sum(value * value for value in x)
    return 1000 if square == 0 else 1000 * sum(x) ** 2 // square


def gini_milli(shares: Sequence[int]) -> int:
    """Gini's coefficient in thousandths; 0: even. Negative shares count as 0."""
    x = sorted(max(0, share) for share in shares)
    total, count = sum(x), len(x)
    if total == 0:
        return 0
    return 1000 * sum((2 * rank - count - 1) * value for rank, value in enumerate(x, 1)) // (count * total)


class Window:
    """Who passed within the last ``WINDOW_MS``."""

    def __init__(self, window_ms: int = WINDOW_MS) -> None:
        self._window_ms = window_ms
        self.passed: deque[Passed] = deque()

    def take(self, view: GroupView) -> None:
        """Add those who have passed; forget those that are too long ago."""
        self.passed.extend(view.passed)
        while self.passed and self.passed[0].at_ms <= view.now_ms - self._window_ms:
            self.passed.popleft()


class FairnessMonitor:
    """``jain_milli_min`` over the groups' mean delays; ``gini_milli_max`` within the whole fleet's groups."""

    def __init__(self, thresholds: Mapping[str, int], window: Window) -> None:
        self._jain_min, self._gini_max, self._window = (
            thresholds["jain_milli_min"], thresholds["gini_milli_max"], window,
        )  # fmt: skip
        self._since: dict[tuple[str, str], int] = {}
        self.figures: dict[str, tuple[int, int]] = {}
        """Grouping -> (Jain, Gini) in thousandths, where there were enough to tell."""

    def look(self, view: GroupView) -> list[Finding]:
        """Figures by approach, operator and class; each against its threshold."""
        self.figures = {}
        found: list[Finding] = []
        if len(self._window.passed) < SAMPLES_MIN:
            self._since.clear()
            return found
        for grouping in GROUPINGS:
            means = self._means(grouping)
            if len(means) < 2:
                continue
            jain, gini = jain_milli(list(means.values())), gini_milli(list(means.values()))
            self.figures[grouping] = jain, gini
            worst = max(sorted(means), key=lambda name: means[name])
            told = f"{worst} waits {means[worst]} ms on average, {len(means)} groups by {grouping}"
            calm = max(means.values()) < DELAY_MEAN_MS_MIN
            found += self._judge(
                view, ("jain", grouping), jain, self._jain_min, not calm and jain < self._jain_min, told
            )
            found += self._judge(
                view, ("gini", grouping), gini, self._gini_max, not calm and gini > self._gini_max, told
            )
        return found

    def _means(self, grouping: str) -> dict[str, int]:
        delays: dict[str, list[int]] = {}
        for one in self._window.passed:
            delays.setdefault(getattr(one, grouping), []).append(max(0, one.delay_ms))
        return {
            name: sum(values) // len(values)
            for name, values in sorted(delays.items())
            if name and len(values) >= GROUP_SAMPLES_MIN
        }

    def _judge(
        self, view: GroupView, key: tuple[str, str], figure: int, threshold: int, harm: bool, told: str
    ) -> list[Finding]:  # fmt: skip
        if not harm:
            self._since.pop(key, None)
            return []
        since_ms = self._since.setdefault(key, view.now_ms)
        return [Finding(key[0], (key[1],), since_ms, figure, threshold, "1/1000", CALL_PERSON, told)]


class StarvationMonitor:
    """Nobody waits longer at one zone than the charter's starvation bound."""

    def __init__(self, bound_ms: int) -> None:
        self._bound_ms = bound_ms
        self.longest_ms = 0

    def look(self, view: GroupView) -> list[Finding]:
        """One finding for each who has waited longer."""
        found = []
        for one in view.vehicles:
            if one.waits_since_ms < 0 or one.holds:
                continue
            waited_ms = view.now_ms - one.waits_since_ms
            self.longest_ms = max(self.longest_ms, waited_ms)
            if waited_ms > self._bound_ms:
                text = f"{one.vehicle} has waited {waited_ms} ms at {one.zone} without a plan"
                since_ms = one.waits_since_ms + self._bound_ms
                found.append(
                    Finding("starvation", (one.vehicle,), since_ms, waited_ms, self._bound_ms, "ms", FIRST_COME, text)
                )
        return found
