"""Accord's own core on the channel of the comparison, with the geometry of one shared place, and a lying member.

Each vehicle sees the bodies of the others (rules P8 and P10): one that it does not hear keeps it from
agreeing, as the real node's perception does; one that is quarantined is seen to stand (liars here have no
turn to use) and keeps nobody. The baselines know their members from the start instead.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence

from fleet.protocol import keys
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.ports import Ports, Signer
from fleet.protocol.records import Adopt, Drop, Identity, LiveTube, Local, Note, PlannedBatch, Tuning
from fleet.protocol.table import Phase
from fleet.protocol.wire import KIND_OF, Body, Entry, Intent, Proposal, VehicleBody, Vote, decode, encode_body, seal
from sim.peers.channel import CROSS_MS, GAP_MS, Packet, Use

ZONE, SESSION = "place", 1
CHARTER, MAP = bytes(32), bytes(8)
BODY = VehicleBody("car", 4500, 1800, 900, 13_900, 2600, 4500, 3000, 5000, 200, 500)
LEASE_MS = 300
NO_RETURN_MS = 150


class StubKeys:
    """Keyed hashes in place of signatures: as long, as unforgeable within a bench, and quick."""

    def __init__(self, name: str) -> None:
        self._key = name.encode()

    def sign(self, data: bytes) -> bytes:
        return hashlib.sha512(self._key + b"\0" + data).digest()


class StubVerifier:
    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        return StubKeys(sender).sign(data) == signature


def plan_of(start_ms: int) -> bytes:
    return b"%d" % start_ms


def clash(a: bytes, b: bytes) -> bool:
    """An approach plan (empty) clashes with nothing."""
    return bool(a) and bool(b) and abs(int(a) - int(b)) < CROSS_MS + GAP_MS


class PlaceJudge:
    """Everybody heard is a member; turns must be clear of each other."""

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        found = []
        for index, entry in enumerate(proposal.batch):
            others = [(o.vehicle, o.plan) for o in proposal.batch[:index]] + [(t.vehicle, t.plan) for t in known]
            found += [f"conflict:{entry.vehicle}:{v}" for v, p in others if v != entry.vehicle and clash(entry.plan, p)]
            if int(entry.plan) < proposal.decide_by_ms or int(entry.plan) + CROSS_MS > entry.lease_end_ms:
                found.append(f"time:{entry.vehicle}")
        return tuple(found)

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        return frozenset(peers)


class PlacePlanner:
    """The earliest turns that are free."""

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        entries: list[tuple[str, bytes, int]] = []
        for intent in vehicles:
            taken = [t.plan for t in known if t.vehicle != intent.vehicle] + [plan for _, plan, _ in entries]
            start_ms = switch_ms + NO_RETURN_MS
            while hits := [int(other) for other in taken if clash(plan_of(start_ms), other)]:
                start_ms = min(hits) + CROSS_MS + GAP_MS
            entries.append((intent.vehicle, plan_of(start_ms), start_ms + CROSS_MS + LEASE_MS))
        return PlannedBatch(tuple(entries))


class AccordNode:
    """One vehicle with the core as it is; with ``listen_ms`` it signs nothing for so long."""

    def __init__(
        self, name: str, members: Sequence[str], seed: int, codec: Codec, *,
        listen_ms: int = Tuning().listen_ms, signer: Signer | None = None,
    ) -> None:  # fmt: skip
        self.name, self.honest = name, True
        self.use: Use | None = None
        self._others = [one for one in sorted(members) if one != name]
        draw = random.Random(f"{seed}/{name}").randrange
        ports = Ports(PlaceJudge(), PlacePlanner(), signer or StubKeys(name), codec, draw)
        self.core = Core(Identity(name, BODY, CHARTER, MAP), ports, Tuning(listen_ms=listen_ms))
        self.notes: list[tuple[int, Note]] = []
        self._held: Adopt | None = None
        self._wants, self._engaged, self._arrived_ms = False, False, 0

    def want(self, now_ms: int) -> None:
        self._wants = True

    def tick(self, now_ms: int) -> list[Packet]:
        if not self._engaged:
            self._engaged, self._arrived_ms = True, now_ms
            self.core.engage(ZONE, SESSION, now_ms)
        self.core.tick(self._local(now_ms))
        return self._drain(now_ms)

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        if not self._engaged:
            return []
        self.core.step(raw, now_ms)
        return self._drain(now_ms)

    def _local(self, now_ms: int) -> Local:
        start_ms = 0 if self._held is None else int(self._held.plan)
        cleared = self._held is not None and now_ms >= start_ms + CROSS_MS
        gone = self.use is not None and self._held is None
        accounted = {*self.core.heard(now_ms), *self.core.quarantined}
        return Local(
            now_ms=now_ms, phase=Phase.CLEARED if gone else Phase.WAITING, path_id="", arrived_ms=self._arrived_ms,
            eta_ms=now_ms, plan=b"" if self._held is None else self._held.plan,
            wants_commit=self._wants and self.use is None,
            pnr_passed=self._held is not None and now_ms >= start_ms - NO_RETURN_MS, cleared=cleared,
            blocking=tuple(f"unheard:{other}" for other in self._others if other not in accounted),
        )  # fmt: skip

    def _drain(self, now_ms: int) -> list[Packet]:
        found: list[Packet] = []
        while ready := self.core.ready():
            found += [Packet(raw) for raw in ready.to_send]
            self.notes += [(now_ms, note) for note in ready.notes]
            for effect in ready.to_apply:
                if isinstance(effect, Adopt):
                    self._held = effect
                    self.use = Use(self.name, int(effect.plan), int(effect.plan) + CROSS_MS, now_ms)
                elif isinstance(effect, Drop):
                    self._held = None
                    if effect.reason != "cleared":
                        self.use = None
            self.core.advance(ready)
        return found


class LyingMember:
    """Promises the same turn to each half of the others, in proposals of one number, and signs everything."""

    def __init__(self, name: str, members: Sequence[str]) -> None:
        self.name, self.honest = name, False
        self.use: Use | None = None
        self._others = [one for one in sorted(members) if one != name]
        self._able: set[str] = set()
        self._spoke_ms = self._lied_ms = self._seq = 0

    def want(self, now_ms: int) -> None: ...

    def tick(self, now_ms: int) -> list[Packet]:
        found = []
        if now_ms - self._spoke_ms >= 100:
            self._spoke_ms = now_ms
            found.append(Packet(self._say(self._intent(now_ms))))
        if len(self._able) >= 2 and now_ms - self._lied_ms >= 250:
            self._lied_ms = now_ms
            found += self._equivocate(now_ms)
        return found

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        message = decode(raw)
        if isinstance(message.body, Intent):
            (self._able.add if message.body.ready and not message.body.held else self._able.discard)(sender)
        elif isinstance(message.body, Proposal):
            return [Packet(self._say(Vote(message.digest, True)))]
        return []

    def _equivocate(self, now_ms: int) -> list[Packet]:
        middle = len(self._others) // 2
        start_ms, found = now_ms + 500 + NO_RETURN_MS, []
        for half in (self._others[:middle], self._others[middle:]):
            able = [one for one in half if one in self._able]
            if able:
                entry = Entry(able[0], plan_of(start_ms), start_ms + CROSS_MS + LEASE_MS)
                for members in (tuple(sorted((*self._others, self.name))), tuple(sorted((*half, self.name)))):
                    raw = self._say(Proposal(self.name, 1, now_ms, now_ms + 500, members, (entry,), CHARTER, bytes(8)))
                    vote = self._say(Vote(decode(raw).digest, True))
                    found += [Packet(raw, tuple(half)), Packet(vote, tuple(half))]
        return found

    def _intent(self, now_ms: int) -> Intent:
        self._seq = max(self._seq + 1, now_ms)
        return Intent(
            vehicle=self.name, seq=self._seq, stamp_ms=now_ms, phase=Phase.WAITING, path_id="", body=BODY,
            arrived_ms=now_ms, eta_ms=now_ms, urgency=0, charter_id=CHARTER, map_digest=MAP, ready=False, plan=b"",
            held=b"", lease_end_ms=0, live=(), dead=(), certificates=(), votes_known=(), roster=(),
            perceived_count=0, perceived=(),
        )  # fmt: skip

    def _say(self, body: Body) -> bytes:
        kind, payload = KIND_OF[type(body)], encode_body(body)
        covered = keys.statement(kind.name.lower(), ZONE, SESSION, self.name, payload)
        return seal(kind, ZONE, SESSION, self.name, payload, StubKeys(self.name).sign(covered))


def shared_codec() -> Codec:
    return Codec(StubVerifier())
