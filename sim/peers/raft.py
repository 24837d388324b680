"""A Raft-like leader protocol (Ongaro, Ousterhout 2014): majority elections, a replicated log, majority commit.

On a broadcast medium the leader sends one datagram for all followers, with every entry that the slowest may
lack; so retransmission is the next heartbeat. Requests are repeated until applied. Raft trusts its leader.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from sim.peers.channel import Packet, Use
from sim.peers.table import RETRY_MS, Batch, Turns, batch_of, pack, unpack

HEARTBEAT_MS = 50
ELECTION_MS = (300, 600)


class RaftNode:
    """One vehicle; ``members`` are known to all, and the first leads at the start."""

    def __init__(self, name: str, members: Sequence[str], seed: int) -> None:
        self.name, self.honest = name, True
        self.use: Use | None = None
        self.members = tuple(sorted(members))
        self._rng = random.Random(f"{seed}/{name}")
        self._wants, self._asked_ms, self._sent_ms = False, 0, 0
        self.term, self.voted, self.leader = 1, self.members[0], self.members[0]
        self.log: list[tuple[int, Batch]] = []
        self.commit = 0
        self._applied, self._turns = 0, Turns()
        self._match: dict[str, int] = {}
        self._votes: set[str] = set()
        self._waiting: dict[str, int] = {}
        self._deadline_ms = 0
        self._leads = self.name == self.leader

    @property
    def majority(self) -> int:
        return len(self.members) // 2 + 1

    def want(self, now_ms: int) -> None:
        self._wants = True

    def tick(self, now_ms: int) -> list[Packet]:
        found: list[Packet] = []
        if self._deadline_ms == 0:
            self._wait(now_ms)
        if self._wants and self.use is None and now_ms - self._asked_ms >= RETRY_MS:
            self._asked_ms = now_ms
            found.append(Packet(pack("request")))
            self._waiting.setdefault(self.name, now_ms)
        if self._leads:
            if self._propose(now_ms) or now_ms - self._sent_ms >= HEARTBEAT_MS:
                found += self._append(now_ms)
        elif now_ms >= self._deadline_ms:
            self.term, self.voted, self.leader = self.term + 1, self.name, ""
            self._votes = {self.name}
            self._wait(now_ms)
            found.append(Packet(pack("elect", self.term, len(self.log), self._last_term())))
            self._elected(now_ms)
        return found

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        kind, *fields = unpack(raw)
        if kind == "request":
            self._waiting.setdefault(sender, now_ms)
            return []
        term = fields[0]
        if term > self.term:
            self.term, self.voted, self.leader, self._leads = term, "", "", False
        if term < self.term:
            return []
        if kind == "elect":
            return self._elect(sender, fields[1], fields[2], now_ms)
        if kind == "vote" and fields[1] == self.name and not self._leads:
            self._votes.add(sender)
            self._elected(now_ms)
        elif kind == "append":
            return self._take(sender, fields, now_ms)
        elif kind == "ack" and self._leads:
            self._match[sender] = max(self._match.get(sender, 0), fields[1])
            self._advance(now_ms)
        return []

    # --- leading

    def _propose(self, now_ms: int) -> bool:
        """One entry for all who wait and have no turn ahead, in the log or under way."""
        ahead = {vehicle for _, batch in self.log[self._applied :] for vehicle in batch[1]}
        open_now = [v for v in self._waiting if v not in ahead and self._turns.given.get(v, (0, 0))[0] <= now_ms]
        self._waiting.clear()
        if not open_now:
            return False
        self.log.append((self.term, batch_of(sorted(open_now), now_ms)))
        self._advance(now_ms)
        return True

    def _append(self, now_ms: int) -> list[Packet]:
        self._sent_ms = now_ms
        start = min((self._match.get(one, 0) for one in self.members if one != self.name), default=0)
        before = self.log[start - 1][0] if start else 0
        return [Packet(pack("append", self.term, start, before, self.log[start:], self.commit))]

    def _advance(self, now_ms: int) -> None:
        known = sorted([len(self.log), *(self._match.get(one, 0) for one in self.members if one != self.name)])
        agreed = known[len(known) - self.majority]
        if agreed > self.commit and self.log[agreed - 1][0] == self.term:
            self.commit = agreed
        self._apply(now_ms)

    def _elected(self, now_ms: int) -> None:
        if not self._leads and len(self._votes) >= self.majority:
            self._leads, self.leader, self._match, self._sent_ms = True, self.name, {}, 0
            self.log.append((self.term, (0, ())))  # entries of old terms are only committed below one of the own

    # --- following

    def _elect(self, sender: str, length: int, last_term: int, now_ms: int) -> list[Packet]:
        fresh = (last_term, length) >= (self._last_term(), len(self.log))
        if self.voted not in ("", sender) or not fresh:
            return []
        self.voted = sender
        self._wait(now_ms)
        return [Packet(pack("vote", self.term, sender))]

    def _take(self, sender: str, fields: list[object], now_ms: int) -> list[Packet]:
        _, start, before, entries, commit = fields
        self.leader, self._leads = sender, False
        self._wait(now_ms)
        first = int(start)  # type: ignore[call-overload]
        if first > len(self.log) or (first and self.log[first - 1][0] != before):
            return [Packet(pack("ack", self.term, self.commit))]
        for offset, (term, (not_before, vehicles)) in enumerate(entries):  # type: ignore[arg-type]
            at = first + offset
            if at < len(self.log) and self.log[at][0] != term:
                del self.log[at:]
            if at == len(self.log):
                self.log.append((term, (not_before, tuple(vehicles))))
        upto = first + len(entries)  # type: ignore[arg-type]
        self.commit = max(self.commit, min(int(commit), upto))  # type: ignore[call-overload]
        self._apply(now_ms)
        return [Packet(pack("ack", self.term, upto))]

    def _apply(self, now_ms: int) -> None:
        for _, batch in self.log[self._applied : self.commit]:
            self._turns.apply(batch)
        if self._applied < self.commit and self.use is None:
            self.use = self._turns.use_of(self.name, now_ms)
        self._applied = max(self._applied, self.commit)

    def _last_term(self) -> int:
        return self.log[-1][0] if self.log else 0

    def _wait(self, now_ms: int) -> None:
        self._deadline_ms = now_ms + self._rng.randint(*ELECTION_MS)


class LyingLeader(RaftNode):
    """Sends each follower a log of its own, in which that one goes first, and counts all acknowledgements."""

    def __init__(self, name: str, members: Sequence[str], seed: int) -> None:
        super().__init__(name, members, seed)
        self.honest = False

    def _append(self, now_ms: int) -> list[Packet]:
        self._sent_ms = now_ms
        found = []
        for follower in (one for one in self.members if one != self.name):
            log = [
                (term, (ms, (follower, *(v for v in vehicles if v != follower)) if follower in vehicles else vehicles))
                for term, (ms, vehicles) in self.log
            ]
            found.append(Packet(pack("append", self.term, 0, 0, log, self.commit), (follower,)))
        return found
