"""Who is heard, at this zone and at others, and what they say they drive.

A node agrees only with vehicles at its own zone. What vehicles at other zones announce is overheard:
it tells who a track is, and where somebody stands on whom this vehicle would run after its zone.
"""

from __future__ import annotations

import math

from fleet.node.bodies import heard_body
from fleet.node.plan_book import PlanBook
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.limits import FRESH_MS, NEWCOMER_MS
from fleet.protocol.table import Phase
from fleet.protocol.wire import Intent
from planners.interface import Commitment

OVERHEARD_MS = 2000
"""An overheard intent counts for so long, as one of the own zone does: bursts of five lost intents are common."""


class Hearing:
    """Intents of every zone, of the last two seconds."""

    def __init__(self, name: str, core: Core, codec: Codec, book: PlanBook, session: int) -> None:
        self._name, self._core, self._codec, self._book = name, core, codec, book
        self._session = session
        self._elsewhere: dict[str, Intent] = {}
        self._merged: dict[str, Intent] = {}
        self._merged_ms = -1

    def overhear(self, raw: bytes, zone_id: str, now_ms: int) -> None:
        """Keep an intent that is not for ``zone_id``, the zone this vehicle deals with.

        As at the own zone, what comes from another session, is old, or is not newer than what its sender
        has said already is a replay, and refused before its signature is looked at.
        """
        opened = self._codec.open(raw)
        message = opened.message
        if message is None or message.zone == zone_id or message.sender == self._name:
            return
        intent = message.body
        if not isinstance(intent, Intent) or message.session != self._session:
            return
        known = self._elsewhere.get(message.sender)
        eps_ms = self._core.eps_ms
        if not -2 * eps_ms <= now_ms - intent.stamp_ms <= FRESH_MS + eps_ms:
            return
        if known is not None and (intent.seq <= known.seq or intent.stamp_ms < known.stamp_ms):
            return
        if message.sender not in self._core.quarantined and self._codec.authenticate(opened):
            self._elsewhere[message.sender] = intent

    def heard(self, now_ms: int) -> dict[str, Intent]:
        """Fresh intents by sender; what is said at the own zone comes before what was overheard."""
        if self._merged_ms == now_ms:
            return self._merged
        here = self._merged = self._core.heard(now_ms)
        self._merged_ms = now_ms
        if not self._elsewhere:
            return here
        for name in [n for n, intent in self._elsewhere.items() if now_ms - intent.stamp_ms > OVERHEARD_MS]:
            del self._elsewhere[name]
        self._merged = {**self._elsewhere, **here}
        return self._merged

    def beyond(self, now_ms: int) -> list[Commitment]:
        """Plans announced at other zones, to keep clear of."""
        here = self._core.heard(now_ms)
        found = [
            self._commitment(name, intent) for name, intent in sorted(self.heard(now_ms).items()) if name not in here
        ]
        return [one for one in found if one is not None]

    def commitment(self, name: str, now_ms: int) -> Commitment | None:
        """What ``name`` says it drives; None: not heard, or no usable plan."""
        intent = self.heard(now_ms).get(name)
        return None if intent is None else self._commitment(name, intent)

    def _commitment(self, name: str, intent: Intent) -> Commitment | None:
        plan = self._book.decode(intent.plan)
        if plan is None or not self._book.knows(plan):
            return None
        return Commitment(heard_body(name, intent.body), plan)

    def unheard_by(self, now_ms: int) -> str:
        """Why a vehicle that is slow must not rely on its plan: one that comes, and does not hear it, may take it for
        a silent one that stands, and leave it out (rule P8). Empty: everybody who comes hears it."""
        for peer, intent in self._core.heard(now_ms).items():
            comes = intent.phase in (Phase.APPROACH, Phase.COMMITTED)
            comes = comes and now_ms - intent.arrived_ms > NEWCOMER_MS
            if comes and not self._core.is_heard_by(peer, now_ms):
                return f"unheard_by:{peer}"
        return ""

    def places(self, now_ms: int, at_ms: int) -> list[tuple[str, tuple[float, float]]]:
        """Where each vehicle heard by now says that the centre of its outline was at ``at_ms``."""
        found = []
        at_s = at_ms * 1e-3
        for name, intent in self.heard(now_ms).items():
            place = self._book.place(intent.plan, at_s)
            if place is not None:
                _, _, x, y, yaw = place
                ahead_m = (0.5 * intent.body.length_mm - intent.body.rear_mm) * 1e-3
                found.append((name, (x + ahead_m * math.cos(yaw), y + ahead_m * math.sin(yaw))))
        return found
