"""What every node has promised, and which tubes are dead by their holder's own word (checks S2, P3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.faults.tubes import Tubes, meet


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal as its bytes say it."""

    decide_by_ms: int
    members: tuple[str, ...]
    batch: dict[str, tuple[bytes, int]]
    """vehicle -> (plan, lease end)."""
    lease_end_ms: int


class Promises:
    """Votes by voter; deaths of tubes by holder."""

    def __init__(self, tubes: Tubes, eps_ms: int) -> None:
        self._tubes = tubes
        self._eps_ms = eps_ms
        self.proposals: dict[bytes, Proposed] = {}
        self.votes: dict[tuple[bytes, str], bytes] = {}
        """(proposal, voter) -> signature."""
        self._given: dict[str, list[bytes]] = {}
        self.dead_tubes: set[tuple[bytes, str]] = set()
        """(proposal, holder)."""
        self._open: dict[str, dict[bytes, int]] = {}

    def copy(self) -> Promises:
        """Goes on by itself."""
        other = Promises(self._tubes, self._eps_ms)
        other.proposals, other.votes = dict(self.proposals), dict(self.votes)
        other._given, other.dead_tubes = dict(self._given), set(self.dead_tubes)
        other._open = {holder: dict(mine) for holder, mine in self._open.items()}
        return other

    def proposal(self, digest: bytes, body: list[Any]) -> None:
        """A proposal was sent."""
        if digest in self.proposals:
            return
        batch = {vehicle: (plan, lease) for vehicle, plan, lease in body[5]}
        latest = max(lease for _, lease in batch.values())
        self.proposals[digest] = Proposed(body[3], tuple(body[4]), batch, latest)
        for vehicle in batch:
            self._open.setdefault(vehicle, {})[digest] = body[3]

    def dead(self, digest: bytes, holder: str) -> None:
        """``holder`` says that its tube of the proposal is given back."""
        self.dead_tubes.add((digest, holder))
        self._open.get(holder, {}).pop(digest, None)

    def intent(self, sender: str, *, stamp_ms: int, live: list[bytes], dead: list[bytes]) -> None:
        """What an intent says of its sender's tubes: those not listed after decide_by + 2 eps are dead."""
        mine = self._open.get(sender)
        if not mine:
            return
        over = [
            digest
            for digest, decide_by_ms in mine.items()
            if digest not in live and (digest in dead or stamp_ms >= decide_by_ms + 2 * self._eps_ms)
        ]
        for digest in over:
            self.dead(digest, sender)

    def vote(self, voter: str, digest: bytes, signature: bytes, now_ms: int) -> list[str]:
        """Count a vote; how it breaks a promise of the same voter that is still alive."""
        if (digest, voter) in self.votes:
            return []
        self.votes[digest, voter] = signature
        given = self._given.get(voter, [])
        batch = self.proposals[digest].batch
        faults = [f"{voter} signs a batch in which {pair} meet" for pair in self._inside(batch)]
        alive = [old for old in given if now_ms <= self.proposals[old].lease_end_ms + 2 * self._eps_ms]
        for old in alive:
            for holder, (plan, lease_end_ms) in self.proposals[old].batch.items():
                if self._is_dead(old, holder, voter, now_ms) or now_ms > lease_end_ms + 2 * self._eps_ms:
                    continue
                for vehicle, (other, _) in batch.items():
                    if vehicle != holder and meet(self._tubes.of(plan), self._tubes.of(other)) is not None:
                        faults.append(f"{voter} promises {vehicle} what it has promised {holder}")
        self._given[voter] = [*alive, digest]
        return faults

    def alive_until_ms(self, holders: set[str]) -> int:
        """The latest lease of a tube of one of ``holders`` that somebody has signed and no word has ended; 0: none."""
        signed = {digest for digest, _ in self.votes}
        return max(
            (
                lease_end_ms
                for digest in signed
                for vehicle, (_, lease_end_ms) in self.proposals[digest].batch.items()
                if vehicle in holders and (digest, vehicle) not in self.dead_tubes
            ),
            default=0,
        )

    def _is_dead(self, digest: bytes, holder: str, voter: str, now_ms: int) -> bool:
        """By the holder's word; of its own tube the voter knows without a word that its time has passed."""
        if (digest, holder) in self.dead_tubes:
            return True
        return holder == voter and now_ms > self.proposals[digest].decide_by_ms

    def _inside(self, batch: dict[str, tuple[bytes, int]]) -> list[str]:
        items = sorted(batch.items())
        return [
            f"{a} and {b}"
            for index, (a, (plan, _)) in enumerate(items)
            for b, (other, _) in items[:index]
            if meet(self._tubes.of(plan), self._tubes.of(other)) is not None
        ]
