"""A PBFT-like protocol (Castro, Liskov 1999): pre-prepare, prepare, commit; quorums that tolerate f of 3f+1 liars.

A quorum is ceil((n + f + 1) / 2) with f = (n - 1) // 3, so that two quorums meet in f + 1. Batches of all who
wait; every node repeats what it has said about undecided numbers; who lags is told by those ahead. After a
timeout without progress the view changes, and the next primary proposes again what may have been decided.
Certificates inside a view change are taken at the word of the channel (no liar here forges them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from sim.peers.channel import Packet, Use
from sim.peers.table import RETRY_MS, Batch, Turns, batch_of, pack, unpack

TIMEOUT_MS = 600


def digest_of(batch: Batch) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode(batch)).digest()


class PbftNode:
    """One vehicle; ``members`` are known to all, and the first is the primary at the start."""

    def __init__(self, name: str, members: Sequence[str], seed: int) -> None:
        self.name, self.honest = name, True
        self.use: Use | None = None
        self.members = tuple(sorted(members))
        n = len(self.members)
        self.f = (n - 1) // 3
        self.quorum = (n + self.f + 2) // 2
        self.view = 0
        self._turns, self._done = Turns(), 0
        self._wants, self._asked_ms, self._said_ms, self._progress_ms = False, 0, 0, 0
        self._changing = 0
        self._waiting: dict[str, int] = {}
        self._batches: dict[bytes, Batch] = {}
        self._accepted: dict[int, tuple[int, bytes]] = {}
        """number -> (view, digest) of the pre-prepare taken."""
        self._prepares: dict[tuple[int, int, bytes], set[str]] = {}
        self._commits: dict[tuple[int, bytes], set[str]] = {}
        """A commit counts whatever its view: it says that its sender was prepared."""
        self._prepared: dict[int, tuple[int, bytes]] = {}
        self._decided: dict[int, bytes] = {}
        self._told: dict[tuple[int, bytes], set[str]] = {}
        self._changes: dict[int, dict[str, dict[int, tuple[int, bytes]]]] = {}
        self._status: dict[str, int] = {}

    @property
    def primary(self) -> str:
        return self.members[self.view % len(self.members)]

    def want(self, now_ms: int) -> None:
        self._wants, self._progress_ms = True, now_ms

    def tick(self, now_ms: int) -> list[Packet]:
        found: list[Packet] = []
        if self._wants and self.use is None and now_ms - self._asked_ms >= RETRY_MS:
            self._asked_ms = now_ms
            self._waiting.setdefault(self.name, now_ms)
            found.append(Packet(pack("request")))
        if self.primary == self.name and not self._changing and not self._undecided():
            found += self._propose(now_ms)
        if now_ms - self._said_ms >= RETRY_MS:
            self._said_ms = now_ms
            found += self._repeat()
        busy = self._wants and (self.use is None or bool(self._undecided()))
        patience_ms = TIMEOUT_MS * 2 ** min(4, max(0, self._changing - self.view))
        if busy and now_ms - self._progress_ms > patience_ms:
            self._progress_ms = now_ms
            self._changing = max(self._changing, self.view) + 1
            found += self._change(now_ms)
        return found

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        kind, *fields = unpack(raw)
        if kind == "request":
            if self._turns.given.get(sender, (0, 0))[0] <= now_ms:
                self._waiting.setdefault(sender, now_ms)
            return []
        handler: Any = {
            "preprepare": self._on_preprepare, "prepare": self._on_prepare, "commit": self._on_commit,
            "decided": self._on_decided, "status": self._on_status, "change": self._on_change,
            "newview": self._on_newview,
        }[kind]  # fmt: skip
        found: list[Packet] = handler(sender, now_ms, *fields)
        return found

    # --- normal case

    def _undecided(self) -> list[int]:
        """Numbers under way in this view."""
        return [n for n, (view, _) in self._accepted.items() if view == self.view and n not in self._decided]

    def _propose(self, now_ms: int) -> list[Packet]:
        open_now = [v for v in self._waiting if self._turns.given.get(v, (0, 0))[0] <= now_ms]
        self._waiting.clear()
        if not open_now:
            return []
        return self._preprepare(self._done, batch_of(sorted(open_now), now_ms), now_ms)

    def _preprepare(self, number: int, batch: Batch, now_ms: int) -> list[Packet]:
        said = [Packet(pack("preprepare", self.view, number, batch))]
        return said + self._on_preprepare(self.name, now_ms, self.view, number, batch)

    def _on_preprepare(self, sender: str, now_ms: int, view: int, number: int, batch: Any) -> list[Packet]:
        known = self._accepted.get(number)
        if view != self.view or sender != self.primary or self._changing > self.view or number < self._done:
            return []
        if known is not None and known[0] >= view:
            return []
        value = (batch[0], tuple(batch[1]))
        digest = digest_of(value)
        self._batches[digest] = value
        self._accepted[number] = (view, digest)
        return [
            Packet(pack("prepare", view, number, digest)),
            *self._on_prepare(self.name, now_ms, view, number, digest),
        ]

    def _on_prepare(self, sender: str, now_ms: int, view: int, number: int, digest: bytes) -> list[Packet]:
        votes = self._prepares.setdefault((view, number, digest), set())
        votes.add(sender)
        ready = self._accepted.get(number) == (view, digest) and len(votes) >= self.quorum
        if not ready or self._prepared.get(number) == (view, digest):
            return []
        self._prepared[number] = (view, digest)
        return [Packet(pack("commit", number, digest)), *self._on_commit(self.name, now_ms, number, digest)]

    def _on_commit(self, sender: str, now_ms: int, number: int, digest: bytes) -> list[Packet]:
        votes = self._commits.setdefault((number, digest), set())
        votes.add(sender)
        if len(votes) >= self.quorum and number not in self._decided:
            self._decided[number] = digest
            self._progress_ms = now_ms
        self._execute(now_ms)
        return []

    def _execute(self, now_ms: int) -> None:
        while self._done in self._decided and self._decided[self._done] in self._batches:
            self._turns.apply(self._batches[self._decided[self._done]])
            self._done += 1
            if self.use is None:
                self.use = self._turns.use_of(self.name, now_ms)

    # --- loss

    def _repeat(self) -> list[Packet]:
        """What was said of numbers that somebody may not have decided."""
        slowest = min([self._done, *(self._status.get(one, 0) for one in self.members if one != self.name)])
        found = [Packet(pack("status", self._done))] if self._wants else []
        for number in range(slowest, max([self._done, *(key + 1 for key in self._accepted)])):
            accepted, decided = self._accepted.get(number), self._decided.get(number)
            if decided is not None and decided in self._batches:
                found.append(Packet(pack("decided", number, self._batches[decided])))
            elif accepted is not None and accepted[0] == self.view and self.primary == self.name:
                found.append(Packet(pack("preprepare", self.view, number, self._batches[accepted[1]])))
            if accepted is not None:
                found.append(Packet(pack("prepare", accepted[0], number, accepted[1])))
            if number in self._prepared:
                found.append(Packet(pack("commit", number, self._prepared[number][1])))
        if self._changing > self.view:
            found.append(Packet(pack("change", self._changing, list(self._proofs()))))
        return found

    def _on_decided(self, sender: str, now_ms: int, number: int, batch: Any) -> list[Packet]:
        """At the word of f + 1, one of whom is honest, it is so."""
        value = (batch[0], tuple(batch[1]))
        digest = digest_of(value)
        self._batches[digest] = value
        told = self._told.setdefault((number, digest), set())
        told.add(sender)
        if len(told) > self.f and number not in self._decided:
            self._decided[number], self._progress_ms = digest, now_ms
        self._execute(now_ms)
        return []

    def _on_status(self, sender: str, now_ms: int, done: int) -> list[Packet]:
        self._status[sender] = max(self._status.get(sender, 0), done)
        return []

    # --- view change

    def _proofs(self) -> list[tuple[int, int, bytes, Batch]]:
        return [(number, view, digest, self._batches[digest]) for number, (view, digest) in self._prepared.items()]

    def _change(self, now_ms: int) -> list[Packet]:
        proofs = self._proofs()
        said = [Packet(pack("change", self._changing, proofs))]
        return said + self._on_change(self.name, now_ms, self._changing, proofs)

    def _on_change(self, sender: str, now_ms: int, view: int, proofs: Any) -> list[Packet]:
        if view <= self.view:
            return []
        for _, _, digest, batch in proofs:
            self._batches[digest] = (batch[0], tuple(batch[1]))
        told = self._changes.setdefault(view, {})
        told[sender] = {number: (seen, digest) for number, seen, digest, _ in proofs}
        found: list[Packet] = []
        if len(told) > self.f and self._changing < view:  # somebody honest wants it: join
            self._changing = view
            found += self._change(now_ms)
        if len(told) >= self.quorum and self.members[view % len(self.members)] == self.name and self.view < view:
            found += self._lead(view, now_ms)
        return found

    def _lead(self, view: int, now_ms: int) -> list[Packet]:
        highest: dict[int, tuple[int, bytes]] = {}
        for proofs in self._changes[view].values():
            for number, proof in proofs.items():
                highest[number] = max(highest.get(number, proof), proof)
        self.view, self._changing, self._progress_ms = view, 0, now_ms
        chosen = [(number, self._batches[digest]) for number, (_, digest) in sorted(highest.items())]
        found = [Packet(pack("newview", view, chosen))]
        for number, batch in chosen:
            found += self._preprepare(number, batch, now_ms)
        return found

    def _on_newview(self, sender: str, now_ms: int, view: int, chosen: Any) -> list[Packet]:
        if view <= self.view or sender != self.members[view % len(self.members)]:
            return []
        self.view, self._changing, self._progress_ms = view, 0, now_ms
        found: list[Packet] = []
        for number, batch in chosen:
            found += self._on_preprepare(sender, now_ms, view, number, batch)
        return found


class LyingPrimary(PbftNode):
    """Tells each half another order of passing, and votes for both."""

    def __init__(self, name: str, members: Sequence[str], seed: int) -> None:
        super().__init__(name, members, seed)
        self.honest = False

    def _preprepare(self, number: int, batch: Batch, now_ms: int) -> list[Packet]:
        others = [one for one in self.members if one != self.name]
        middle = (len(others) + 1) // 2
        found = []
        for half, value in ((others[:middle], batch), (others[middle:], (batch[0], tuple(reversed(batch[1]))))):
            digest = digest_of(value)
            to = tuple(half)
            found += [Packet(pack("preprepare", self.view, number, value), to)]
            found += [
                Packet(pack("prepare", self.view, number, digest), to),
                Packet(pack("commit", number, digest), to),
            ]
        return found

    def _repeat(self) -> list[Packet]:
        return []
