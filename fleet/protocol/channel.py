"""How long the channel has lately been shut: what waiting times and decision times adapt to.

A sender repeats itself every ``INTENT_MS`` while it wants a plan, at least every ``INTENT_RELAXED_MS`` else;
what comes later than that, directly or by way of others, was lost before. The estimate is the longest such
wait, forgotten slowly: to have waited too long for a decision costs some tenths of a second, to have given
up too early costs the whole attempt.
"""

from __future__ import annotations

from fleet.protocol import limits

_FORGET = 16
"""A wait of one second is forgotten after this many seconds."""


class Channel:
    """The longest recent outage."""

    __slots__ = ("_at_ms", "_worst_ms")

    def __init__(self) -> None:
        self._worst_ms = 0
        self._at_ms = 0

    def waited(self, gap_ms: int, eager: bool, now_ms: int) -> None:
        """Somebody's word, of one that wanted a plan if ``eager``, is ``gap_ms`` behind the one before."""
        usual_ms = 2 * limits.INTENT_MS if eager else limits.INTENT_RELAXED_MS
        outage_ms = min(gap_ms - usual_ms, limits.PEER_SILENT_MS)
        if outage_ms > self.outage_ms(now_ms):
            self._worst_ms, self._at_ms = outage_ms, now_ms

    def outage_ms(self, now_ms: int) -> int:
        """0 on a channel that loses nothing, or only single datagrams."""
        return max(0, self._worst_ms - max(0, now_ms - self._at_ms) // _FORGET)
