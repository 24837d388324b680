"""All monitors of a group together: what is new, what goes on, and what has passed.

Read-only. A harm is told once when it begins, with its first response; if it goes on for ``INSIST_MS`` although that
was done, a person is called. What has been gone for ``GONE_MS`` is told to be over, and may be found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fleet.charter.model import Charter
from fleet.oversight.common_cause import CommonCauseMonitor
from fleet.oversight.efficiency import AnarchyMonitor
from fleet.oversight.fairness import WINDOW_MS, FairnessMonitor, StarvationMonitor, Window
from fleet.oversight.findings import CALL_PERSON, Finding
from fleet.oversight.integrity import IntegrityMonitor
from fleet.oversight.snapshot import GroupView
from fleet.oversight.waiting import WaitMonitor

INSIST_MS = 10_000
GONE_MS = 2_000
"""A circle that opens for one snapshot has not been resolved."""


@dataclass(slots=True)
class _Episode:
    finding: Finding
    told_ms: int
    seen_ms: int
    insisted: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Of one snapshot: new findings (also a person called for an old one), and those that are over."""

    new: tuple[Finding, ...]
    over: tuple[Finding, ...]


class GroupMonitors:
    """Of one fleet under one charter; ``window_ms`` is the sliding window of the figures of fairness."""

    def __init__(self, charter: Charter, window_ms: int = WINDOW_MS) -> None:
        limits: Mapping[str, int] = charter.monitors.thresholds
        self.window = Window(window_ms)
        self.waiting = WaitMonitor(limits)
        self.fairness = FairnessMonitor(limits, self.window)
        self.starvation = StarvationMonitor(1000 * charter.starvation_bound_s)
        self.anarchy = AnarchyMonitor(limits, self.window)
        self.common_cause = CommonCauseMonitor(limits)
        self.integrity = IntegrityMonitor(limits)
        self._episodes: dict[tuple[str, tuple[str, ...]], _Episode] = {}

    def look(self, view: GroupView) -> Report:
        """Take one snapshot; they come in the order of time."""
        self.window.take(view)
        found = [
            finding
            for monitor in (
                self.waiting, self.starvation, self.integrity, self.common_cause, self.fairness, self.anarchy,
            )
            for finding in monitor.look(view)
        ]  # fmt: skip
        new = [told for finding in found for told in self._told(finding, view.now_ms)]
        return Report(tuple(new), tuple(self._over(view.now_ms)))

    def _told(self, finding: Finding, now_ms: int) -> list[Finding]:
        episode = self._same(finding)
        if episode is None:
            self._episodes[finding.key] = _Episode(finding, now_ms, now_ms, finding.response == CALL_PERSON)
            return [finding]
        episode.seen_ms = now_ms
        if episode.insisted or now_ms - episode.told_ms < INSIST_MS:
            return []
        episode.insisted = True
        return [replace(finding, response=CALL_PERSON)]

    def _same(self, finding: Finding) -> _Episode | None:
        """The episode that a finding belongs to: a circle that grows or shrinks by one is still the same jam."""
        same = self._episodes.get(finding.key)
        if same is not None or finding.kind not in {"gridlock", "livelock", "correlated_failure"}:
            return same
        alike = (
            episode
            for (kind, who), episode in sorted(self._episodes.items())
            if kind == finding.kind and len(set(who) & set(finding.who)) > 1
        )
        return next(alike, None)

    def _over(self, now_ms: int) -> list[Finding]:
        gone = [key for key, episode in self._episodes.items() if now_ms - episode.seen_ms >= GONE_MS]
        return [self._episodes.pop(key).finding for key in sorted(gone)]
