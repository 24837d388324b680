"""The running price of anarchy: what the fleet really lost, over what it would lose by the plan of greatest welfare.

The denominator is found when a vehicle first asks, from the same requests and commitments; the numerator is measured
when it has left the zone. It is a running figure, not the game's: the plan that it is held against did not know who
would come later. A mean below 2 s is called even (ratio 1): there is nothing to win.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.oversight.fairness import DELAY_MEAN_MS_MIN, SAMPLES_MIN, Window
from fleet.oversight.findings import CALL_PERSON, Finding
from fleet.oversight.snapshot import GroupView

PLANNED_MEAN_MS_MIN = 500
"""A smaller mean of the plan's delays counts as this: ratios of nearly nothing say nothing."""


class AnarchyMonitor:
    """``price_of_anarchy_milli_max``."""

    def __init__(self, thresholds: Mapping[str, int], window: Window) -> None:
        self._most, self._window = thresholds["price_of_anarchy_milli_max"], window
        self._since_ms = -1
        self.price_milli: int | None = None
        """The latest figure; None: too few have passed."""

    def look(self, view: GroupView) -> list[Finding]:
        """At most one finding."""
        known = [one for one in self._window.passed if one.planned_delay_ms >= 0]
        if len(known) < SAMPLES_MIN:
            self.price_milli, self._since_ms = None, -1
            return []
        realised = sum(max(0, one.delay_ms) for one in known)
        planned = max(sum(one.planned_delay_ms for one in known), PLANNED_MEAN_MS_MIN * len(known))
        calm = realised < DELAY_MEAN_MS_MIN * len(known)
        self.price_milli = 1000 if calm else max(1000, 1000 * realised // planned)
        if self.price_milli <= self._most:
            self._since_ms = -1
            return []
        self._since_ms = view.now_ms if self._since_ms < 0 else self._since_ms
        text = f"{len(known)} vehicles lost {realised} ms where the plan of greatest welfare loses {planned} ms"
        return [
            Finding("price_of_anarchy", ("fleet",), self._since_ms, self.price_milli, self._most, "1/1000", CALL_PERSON,
                    text)
        ]  # fmt: skip
