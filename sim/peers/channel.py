"""Virtual time and one faulty broadcast medium for all protocols of the comparison.

Delivery first, then ticks in order of name, at every millisecond at which there are any. Losses are independent,
or come in bursts: then a directed link is up or down for whole slots of one tick, by a Gilbert-Elliott chain of its
own. So a fade lasts as long however much is said in it, and saying a thing twice in a slot buys nothing (in
``sim/network.py`` bursts are counted in datagrams). This channel can also speak to some receivers only, which a
liar needs, and cut the fleet in two.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

TICK_MS = 50
"""20 Hz, each participant at a phase of its own; also the slot of a fading link."""
CROSS_MS = 1_000
GAP_MS = 20
"""Between two uses of the shared place: what two clocks may differ by."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram and who gets it; None: everybody."""

    raw: bytes
    to: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """A vehicle has the right to the shared place from ``start_ms`` to ``end_ms``; it knew at ``known_ms``."""

    vehicle: str
    start_ms: int
    end_ms: int
    known_ms: int


class Peer(Protocol):
    """One participant; a vehicle that wants the place once, or a server."""

    name: str
    honest: bool
    use: Use | None

    def tick(self, now_ms: int) -> list[Packet]: ...

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]: ...

    def want(self, now_ms: int) -> None:
        """From now on the vehicle asks for its turn."""
        ...


@dataclass(frozen=True, slots=True)
class Medium:
    """Faults of the channel."""

    delay_ms: tuple[int, int] = (20, 20)
    loss: float = 0.0
    burst: float = 1.0
    """Mean length of a fade in slots of one tick; 1: each datagram is lost by itself."""
    split_ms: tuple[int, int] = (0, 0)
    """From when to when the two halves do not hear each other, since the start of asking."""
    halves: tuple[frozenset[str], ...] = ()


class Link:
    """A directed link that fades: up or down for whole slots, which begin at a time of its own."""

    def __init__(self, medium: Medium, seed: int) -> None:
        self._rng = random.Random(seed)
        self._leave = 1.0 / medium.burst
        self._enter = min(1.0, medium.loss * self._leave / (1.0 - medium.loss)) if medium.loss < 1.0 else 1.0
        self._down = self._rng.random() < medium.loss
        self._shift_ms = self._rng.randrange(TICK_MS)
        self._slot = -1

    def down(self, now_ms: int) -> bool:
        slot = (now_ms + self._shift_ms) // TICK_MS
        for _ in range(slot - self._slot if self._slot >= 0 else 0):
            self._down = self._rng.random() >= self._leave if self._down else self._rng.random() < self._enter
        self._slot = slot
        return self._down


class Channel:
    """Carries what peers say until everybody has its turn, or time is up."""

    def __init__(self, peers: Sequence[Peer], medium: Medium, seed: int) -> None:
        self.peers = {peer.name: peer for peer in sorted(peers, key=lambda one: one.name)}
        self.medium = medium
        self.now_ms, self.asked_ms = 10_000, -1
        self.messages = self.bytes = self.events = 0
        self._rng = random.Random(seed)
        self._queue: list[tuple[int, int, str, str, bytes]] = []
        self._count = 0
        self._links: dict[tuple[str, str], Link] = {}
        self._phase_ms = {name: self._rng.randrange(TICK_MS) for name in self.peers}

    def run(self, duration_ms: int, *, until_done: bool = False) -> None:
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms and not (until_done and self.done()):
            next_ms = min(self.now_ms + 1 + (at - self.now_ms - 1) % TICK_MS for at in self._phase_ms.values())
            if self._queue:
                next_ms = min(next_ms, max(self.now_ms + 1, self._queue[0][0]))
            self.now_ms = min(end_ms, next_ms)
            while self._queue and self._queue[0][0] <= self.now_ms:
                _, _, sender, to, raw = heapq.heappop(self._queue)
                self.events += 1
                self._say(to, self.peers[to].hear(sender, raw, self.now_ms))
            for name, peer in self.peers.items():
                if self.now_ms % TICK_MS == self._phase_ms[name]:
                    self.events += 1
                    self._say(name, peer.tick(self.now_ms))

    def ask(self) -> None:
        """Every vehicle wants its turn from now on; traffic is counted from here."""
        self.asked_ms, self.messages, self.bytes = self.now_ms, 0, 0
        for peer in self.peers.values():
            peer.want(self.now_ms)

    def done(self) -> bool:
        return all(peer.use is not None for peer in self.peers.values() if peer.honest)

    def uses(self) -> list[Use]:
        """Of the honest, in order of time."""
        found = [peer.use for peer in self.peers.values() if peer.honest and peer.use is not None]
        return sorted(found, key=lambda use: (use.start_ms, use.vehicle))

    def _say(self, sender: str, packets: Collection[Packet]) -> None:
        for packet in packets:
            self.messages += 1
            self.bytes += len(packet.raw)
            for to in self.peers if packet.to is None else packet.to:
                if to != sender and not self._lost(sender, to):
                    self._count += 1
                    delay = self._rng.randint(*self.medium.delay_ms)
                    heapq.heappush(self._queue, (self.now_ms + max(1, delay), self._count, sender, to, packet.raw))

    def _lost(self, sender: str, to: str) -> bool:
        medium, rng = self.medium, self._rng
        since = self.now_ms - self.asked_ms
        split = self.asked_ms >= 0 and medium.split_ms[0] <= since < medium.split_ms[1]
        if split and not any({sender, to} <= half for half in medium.halves):
            return True
        if medium.loss <= 0.0:
            return False
        if medium.burst <= 1.0:
            return rng.random() < medium.loss
        if (sender, to) not in self._links:
            self._links[sender, to] = Link(medium, rng.getrandbits(32))
        return self._links[sender, to].down(self.now_ms)


def unsafe(uses: Sequence[Use]) -> int:
    """The omniscient checker: pairs of vehicles that have the right to the one place at one time."""
    return sum(
        a.start_ms < b.end_ms and b.start_ms < a.end_ms for index, a in enumerate(uses) for b in uses[index + 1 :]
    )
