"""Failures with a common cause, and how much of the fleet would share one.

A fleet of one software fails as one. The share of the most frequent software is watched against the charter; and
where several vehicles of one software, class or operator fail within a short while, far more often than the others,
the cause is taken to be common until a person says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fleet.oversight.findings import CALL_PERSON, RAISE_HEADWAY, Finding
from fleet.oversight.snapshot import GroupView

FAILED_WINDOW_MS = 10_000
FAILED_MIN = 3
"""Fewer are chance."""
RATE_MIN = 3
"""The group fails at least so many times as often as all others together."""
FLEET_MIN = 4
"""Of fewer vehicles every share is large."""
GROUPINGS = ("software", "vehicle_class", "operator")


class CommonCauseMonitor:
    """``monoculture_milli_max``, and correlated failures."""

    def __init__(self, thresholds: Mapping[str, int]) -> None:
        self._share_max = thresholds["monoculture_milli_max"]
        self._failed: dict[str, int] = {}
        """Vehicle -> when it was last seen failing."""
        self._began: dict[str, int] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._since_ms = -1
        self.share_milli = 0
        """Of the most frequent software, now."""

    def look(self, view: GroupView) -> list[Finding]:
        """Correlated failures first, then the monoculture."""
        for one in view.vehicles:
            self._known[one.vehicle] = {grouping: getattr(one, grouping) for grouping in GROUPINGS}
            if one.failing:
                if view.now_ms - self._failed.get(one.vehicle, -FAILED_WINDOW_MS) >= FAILED_WINDOW_MS:
                    self._began[one.vehicle] = view.now_ms
                self._failed[one.vehicle] = view.now_ms
        present = {one.vehicle for one in view.vehicles}
        recent = {name for name, at_ms in self._failed.items() if view.now_ms - at_ms < FAILED_WINDOW_MS}
        for name in [name for name in self._known if name not in present | recent]:
            del self._known[name]
        self._failed = {name: at_ms for name, at_ms in self._failed.items() if name in recent}
        return [*self._correlated(recent), *self._monoculture(view)]

    def _correlated(self, recent: set[str]) -> list[Finding]:
        found = []
        for grouping in GROUPINGS:
            groups = Counter(self._known[name][grouping] for name in self._known)
            failed = Counter(self._known[name][grouping] for name in recent)
            for group in sorted(failed):
                others, others_failed = len(self._known) - groups[group], len(recent) - failed[group]
                # Rates as cross products, with one failure of the others taken for granted.
                often = failed[group] * others >= RATE_MIN * (others_failed + 1) * groups[group]
                if not others:  # nobody to compare with
                    often = 2 * failed[group] >= groups[group]
                if not group or failed[group] < FAILED_MIN or not often:
                    continue
                who = tuple(sorted(name for name in recent if self._known[name][grouping] == group))
                since_ms = min(self._began[name] for name in who)
                text = f"{failed[group]} of {groups[group]} of {grouping} {group} fail within {FAILED_WINDOW_MS} ms"
                named, most = (f"{grouping} {group}", *who), FAILED_MIN - 1
                found.append(
                    Finding("correlated_failure", named, since_ms, failed[group], most, "vehicles", RAISE_HEADWAY, text)
                )
        return found[:1]

    def _monoculture(self, view: GroupView) -> list[Finding]:
        named = Counter(one.software for one in view.vehicles if one.software)
        total = sum(named.values())
        if total < FLEET_MIN:
            return []
        most = max(sorted(named), key=lambda name: named[name])
        self.share_milli = 1000 * named[most] // total
        if self.share_milli <= self._share_max:
            self._since_ms = -1
            return []
        self._since_ms = view.now_ms if self._since_ms < 0 else self._since_ms
        text = f"{named[most]} of {total} vehicles run {most}: one defect would stop them all"
        return [
            Finding(
                "monoculture", (most,), self._since_ms, self.share_milli, self._share_max, "1/1000", CALL_PERSON, text
            )
        ]
