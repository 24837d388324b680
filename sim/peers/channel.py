"""Virtual time and one faulty broadcast medium for all protocols of the comparison.

Delivery first, then ticks in order of name, at every millisecond at which there are any. Each directed link
loses by a Gilbert-Elliott chain of its own (or independently, with bursts of one), as ``sim/network.py`` does;
this one can also speak to some receivers only, which a liar needs, and cut the fleet in two.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

TICK_MS = 25
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
    """Mean length of a loss burst; 1: independent."""
    split_ms: tuple[int, int] = (0, 0)
    """From when to when the two halves do not hear each other, since the start of asking."""
    halves: tuple[frozenset[str], ...] = ()


class Channel:
    """Carries what peers say until everybody has its turn, or time is up."""

    def __init__(self, peers: Sequence[Peer], medium: Medium, seed: int) -> None:
        self.peers = {peer.name: peer for peer in sorted(peers, key=lambda one: one.name)}
        self.medium = medium
        self.now_ms, self.asked_ms = 10_000, -1
        self.messages = self.bytes = 0
        self._rng = random.Random(seed)
        self._queue: list[tuple[int, int, str, str, bytes]] = []
        self._count = 0
        self._bad: dict[tuple[str, str], bool] = {}
        self._offset = {name: self._rng.randrange(TICK_MS) for name in self.peers}

    def run(self, duration_ms: int, *, until_done: bool = False) -> None:
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms and not (until_done and self.done()):
            self.now_ms += 1
            while self._queue and self._queue[0][0] <= self.now_ms:
                _, _, sender, to, raw = heapq.heappop(self._queue)
                self._say(to, self.peers[to].hear(sender, raw, self.now_ms))
            for name, peer in self.peers.items():
                if self.now_ms % TICK_MS == self._offset[name]:
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
        leave = 1.0 / medium.burst
        enter = min(1.0, medium.loss * leave / max(1e-9, 1.0 - medium.loss))
        state = self._bad.get((sender, to))
        if state is None or medium.burst == 1.0:
            bad = rng.random() < medium.loss
        else:
            bad = rng.random() >= leave if state else rng.random() < enter
        self._bad[sender, to] = bad
        return bad


def unsafe(uses: Sequence[Use]) -> int:
    """The omniscient checker: pairs of vehicles that have the right to the one place at one time."""
    return sum(
        a.start_ms < b.end_ms and b.start_ms < a.end_ms for index, a in enumerate(uses) for b in uses[index + 1 :]
    )
