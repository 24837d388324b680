"""Whose turn it is to propose, and how long to wait: the charter's order with ranked back-off (rule P15).

An error here costs time, never safety: anybody may propose anything, and everybody judges it.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.protocol import limits
from fleet.protocol.ports import Draw
from fleet.protocol.table import UNCOMMITTED, Phase
from fleet.protocol.wire import Intent

_LUCK = 1 << 16


def order_key(vehicle: str, intent: Intent) -> tuple[bool, int, str]:
    """First come, first served; but whoever stands in everybody's way goes before all."""
    return (intent.phase is not Phase.OCCUPYING, intent.arrived_ms, vehicle)


def candidates(
    intents: Mapping[str, Intent], charter_id: bytes, *, arrived_since_ms: int, heard_since_ms: int
) -> list[str]:
    """Vehicles that can be planned for, or may be by now, in the mechanism's order.

    That is those that have just arrived, and those whose last words are old: they may have become ready since.
    """
    able = [
        vehicle
        for vehicle, intent in intents.items()
        if (intent.ready or intent.arrived_ms >= arrived_since_ms or intent.stamp_ms < heard_since_ms)
        and (intent.ready if intent.held else intent.phase in UNCOMMITTED)
        and intent.charter_id == charter_id
    ]
    return sorted(able, key=lambda vehicle: order_key(vehicle, intents[vehicle]))


class Turn:
    """Waiting times of one vehicle."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.failures = 0
        self._not_before_ms = 0
        self._quiet_since_ms = 0
        self._rank = -1
        self._luck = 0
        self._decide_ms = limits.DECIDE_MS_START

    def reset(self, now_ms: int) -> None:
        """Start anew at another zone; what was learned of the channel's speed is kept."""
        self.failures = 0
        self._not_before_ms = 0
        self._rank = -1
        self._quiet_since_ms = now_ms

    def progress(self, now_ms: int) -> None:
        """Something was decided or freed, or is being decided: those of lower rank wait from here."""
        self._quiet_since_ms = now_ms

    def due(self, rank: int, now_ms: int, outage_ms: int) -> bool:
        """Whether the vehicle at ``rank`` of the order may propose now.

        Where ``outage_ms`` is long, an open proposal of somebody of better rank may not have come here yet.
        """
        if rank != self._rank:
            self._rank = rank
            self._luck = self._draw(_LUCK) if rank else 0
        wait_ms = (limits.JITTER_MS + min(outage_ms, limits.OUTAGE_WAIT_MS)) * self._luck // _LUCK
        # Back-off and rank add up: otherwise the first's back-off and the second's rank end together.
        return now_ms >= max(self._quiet_since_ms, self._not_before_ms) + rank * limits.RANK_MS + wait_ms

    def decide_ms(self, latency_ms: int, outage_ms: int, count: int) -> int:
        """How long the next proposal of ``count`` members stays open, from delay and outages seen and past success.

        Two have one way there and one back, and wait for both; among many there is soon a way round.
        """
        count = max(2, count)
        across_ms = 150 + 4 * latency_ms + outage_ms * (count + 6) // count
        if outage_ms:
            across_ms = max(across_ms, limits.OUTAGE_DECIDE_MS // count)
        return min(limits.DECIDE_MS_MAX, max(self._decide_ms, across_ms))

    def succeeded(self, now_ms: int) -> None:
        self.failures = 0
        self._not_before_ms = 0
        self._decide_ms = max(limits.DECIDE_MS_MIN, self._decide_ms * 3 // 4)
        self.progress(now_ms)

    def timed_out(self, now_ms: int) -> None:
        """No answer from some member: the next attempt stays open twice as long."""
        self._decide_ms = min(limits.DECIDE_MS_MAX, 2 * self._decide_ms)
        self.failed(now_ms)

    def failed(self, now_ms: int) -> None:
        """Refused, or no plan: wait longer each time, up to a bound."""
        step = limits.BACKOFF_MS[min(self.failures, len(limits.BACKOFF_MS) - 1)]
        self.failures += 1
        self._not_before_ms = now_ms + step + self._draw(limits.JITTER_MS)
        self.progress(now_ms)
