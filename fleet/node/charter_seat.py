"""Which charter a vehicle speaks and plans by: its own, an older one that it has in common with others, or none.

A vehicle carries its charter with all ancestors. Everybody states one id in every intent, and the core agrees only
with those who state the same. Where others state another, each vehicle by itself does this:

1. It hears an ancestor of its own charter: it speaks that one at once.
2. It goes on hearing an id that is not in its line for ``HEARD_MS``: it speaks the first charter of its line. Two
   branches of one line meet there.
3. It still hears a strange id ``STRANGE_MS`` later: they have nothing in common. It speaks its own again, so that its
   place and plan are known, agrees on nothing, crosses by sight as at an all-way stop, and calls a person.
4. At each new zone, and every ``RETURN_MS`` of the fleet's clock, it speaks its own again; what was said before does
   not count then. So one passing stranger does not bind a busy place for ever.

A new charter (roll-out, or rollback) is taken up only away from zones, or at a standstill with nothing agreed, pending
or signed. Vehicles that have it and such that do not yet meet in the older one, by rule 1.

The core reads the id at each use; changing it while nothing is signed or held changes only what is said from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.charter.model import Charter
from fleet.errors import invariant
from fleet.node.group_orders import GroupOrders
from fleet.node.joint_choice import RulebookPlanner, Weighed
from fleet.node.parts import Noter
from fleet.protocol.records import Identity
from fleet.protocol.table import HOLDING, Phase
from fleet.protocol.wire import Intent, VehicleBody
from planners.interface import Body, Commitment, JointPlan, JointPlanner, Request
from planners.timed_path import TimedPath

HEARD_MS = 400
"""Two intents, and time for the other to find my charter in its line."""
STRANGE_MS = 1500
RETURN_MS = 10_000
STALE_MS = 60
"""Intents stamped so soon after a return may still have been said before it."""

_PASSING = (*HOLDING, Phase.CLEARED)
"""Who has agreed already finishes by what he agreed on."""


class SpokenIdentity(Identity):
    """An identity whose charter may change while a core has it; see :class:`CharterSeat`."""

    __slots__ = ("_line", "_spoken")
    _line: tuple[bytes, ...]
    _spoken: int

    def __init__(self, vehicle: str, body: VehicleBody, map_digest: bytes, line: Sequence[bytes]) -> None:
        for name, value in (("vehicle", vehicle), ("body", body), ("map_digest", map_digest)):
            object.__setattr__(self, name, value)
        self.speak(line, 0)

    def speak(self, line: Sequence[bytes], at: int) -> None:
        """State the id at place ``at`` of ``line`` from now on."""
        object.__setattr__(self, "_line", tuple(line))
        object.__setattr__(self, "_spoken", at)

    @property
    def charter_id(self) -> bytes:  # type: ignore[override]
        """Of the charter spoken now."""
        return self._line[self._spoken]


class CharterSeat:
    """One vehicle's place under its charter."""

    def __init__(self, name: str, line: Sequence[Charter], note: Noter) -> None:
        invariant(bool(line), f"vehicle {name} has no charter")
        self._name, self._note = name, note
        self._line = tuple(line)
        self._ids = tuple(one.charter_id() for one in self._line)
        self._at = 0
        self._ordered: tuple[tuple[Charter, ...], str] | None = None
        self._identity: SpokenIdentity | None = None
        self._strange_since_ms: int | None = None
        self._returned_ms = 0
        self.unknown = False
        """Others here have nothing in common with this vehicle: it agrees on nothing."""

    def identity(self, body: VehicleBody, map_digest: bytes) -> SpokenIdentity:
        """The identity of the vehicle's core."""
        self._identity = SpokenIdentity(self._name, body, map_digest, self._ids)
        return self._identity

    @property
    def charter(self) -> Charter:
        """The charter spoken now; the planner follows it."""
        return self._line[self._at]

    @property
    def charter_id(self) -> bytes:
        """Its id."""
        return self._ids[self._at]

    @property
    def unsettled(self) -> bool:
        """Somebody here speaks a charter that is not in this vehicle's line: nothing can be agreed on with him."""
        return self._strange_since_ms is not None or self.unknown

    def order(self, line: Sequence[Charter], why: str) -> None:
        """Take ``line`` up as soon as that is safe; ``why``: rollout or rollback."""
        self._ordered = (tuple(line), why)

    def new_zone(self, now_ms: int) -> None:
        """Speak the own charter: other vehicles are there."""
        self._strange_since_ms, self.unknown = None, False
        self._return(now_ms, "new_zone")

    def tick(self, now_ms: int, peers: Mapping[str, Intent], *, free: bool, standing: bool) -> None:
        """Look at what the others speak.

        ``free``: nothing is agreed, pending or signed. ``standing``: at a standstill, or away from zones.
        """
        if not free:
            return
        if self._ordered is not None and standing:
            self._swap(now_ms, *self._ordered)
        if now_ms // RETURN_MS != self._returned_ms // RETURN_MS and not self.unknown:
            self._return(now_ms, "return")
        heard = {
            intent.charter_id: name
            for name, intent in sorted(peers.items(), reverse=True)
            if intent.phase not in _PASSING and intent.stamp_ms >= self._returned_ms + STALE_MS
        }
        heard.pop(self._ids[self._at], None)
        older = max((self._ids.index(one) for one in heard if one in self._ids), default=-1)
        if older > self._at and not self.unknown:
            self._speak(now_ms, older, "older_charter", heard[self._ids[older]])
        strange = [one for one in heard if one not in self._ids]
        if not strange:
            if self.unknown:
                self._note(now_ms, "charter", {"state": "settled", "charter": self.charter_id})
            self._strange_since_ms, self.unknown = None, False
            return
        self._face(now_ms, min(strange), heard)

    def _face(self, now_ms: int, strange: bytes, heard: Mapping[bytes, str]) -> None:
        """Somebody speaks a charter that is not in the line."""
        if self._strange_since_ms is None:
            self._strange_since_ms = now_ms
        lasted_ms = now_ms - self._strange_since_ms
        last = len(self._line) - 1
        if not self.unknown and lasted_ms >= HEARD_MS + STRANGE_MS:
            self.unknown = True
            self._speak(now_ms, 0, "unknown_charter", heard[strange])
            detail = {"reason": "charter_mismatch", "peer": heard[strange], "peer_charter": strange,
                      "charter": self._ids[0], "response": "all_way_stop_by_sight"}  # fmt: skip
            self._note(now_ms, "escalation", detail)
        elif not self.unknown and lasted_ms >= HEARD_MS and self._at < last:
            self._speak(now_ms, last, "base_charter", heard[strange])

    def _return(self, now_ms: int, why: str) -> None:
        self._returned_ms = now_ms
        if self._at:
            self._speak(now_ms, 0, why, "")

    def _swap(self, now_ms: int, line: tuple[Charter, ...], why: str) -> None:
        before = self._ids[self._at]
        self._line, self._ordered = line, None
        self._ids, self._at = tuple(one.charter_id() for one in line), 0
        self._strange_since_ms, self.unknown, self._returned_ms = None, False, now_ms
        self._state()
        self._note(now_ms, "charter", {"state": why, "from": before, "to": self._ids[0], "name": self.charter.name})

    def _speak(self, now_ms: int, at: int, why: str, peer: str) -> None:
        if at == self._at:
            return
        before, self._at = self._ids[self._at], at
        self._state()
        detail = {"state": why, "from": before, "to": self._ids[at], "name": self.charter.name}
        self._note(now_ms, "charter", {**detail, "peer": peer} if peer else detail)

    def _state(self) -> None:
        if self._identity is not None:
            self._identity.speak(self._ids, self._at)


class SpokenPlanner:
    """The joint planner of one vehicle: that of the charter it speaks now, or what the group's monitors ask for.

    All are of one kind.
    """

    def __init__(
        self, seat: CharterSeat, planners: Mapping[bytes, JointPlanner], own: JointPlanner,
        orders: GroupOrders | None = None,
    ) -> None:  # fmt: skip
        self._seat, self._planners, self._orders = seat, planners, orders
        self.name, self.open_orders = own.name, getattr(own, "open_orders", False)
        patience_ms = getattr(own, "patience_ms", None)
        if patience_ms is not None:
            self.patience_ms = patience_ms

    @property
    def weighed(self) -> Weighed | None:
        """What the rulebook chose at the last call; None: there was nothing to choose."""
        now = self._now
        return now.last if isinstance(now, RulebookPlanner) else None

    @property
    def _now(self) -> JointPlanner:
        ordered = None if self._orders is None else self._orders.instead
        return self._planners[self._seat.charter_id] if ordered is None else ordered

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """See :class:`planners.interface.JointPlanner`."""
        return self._now.plan(requests, commitments, now_ms=now_ms)

    def approach(
        self, body: Body, path_id: str, state: tuple[float, float, float], *, now_ms: int, stop_s_m: float,
        leader: Commitment | None, guide: TimedPath | None = None,
    ) -> TimedPath:  # fmt: skip
        """See :class:`planners.interface.JointPlanner`."""
        return self._now.approach(body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide)
