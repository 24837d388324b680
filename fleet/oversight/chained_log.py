"""A vehicle's own log, of which no entry can be changed, dropped or put in later without it being seen.

Each entry holds the hash of the one before. The vehicle signs heads (index and hash) and gives them out; two signed
heads of one index that differ are proof, against it alone, that it keeps two logs (Haeberlen et al., PeerReview,
2007). A correct vehicle keeps one, so nobody can ever hold two such heads of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fleet.charter.canonical import digest_of, statement

ENTRY, HEAD = "accord/log-entry/1", "accord/log-head/1"
START = "0" * 64
Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, data, signature): whether it is that key's signature."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """``prev`` is the hash of the entry before, 64 zeros for the first; ``body`` takes what canonical JSON takes."""

    index: int
    prev: str
    time_ms: int
    kind: str
    body: Mapping[str, object]

    def hash(self) -> str:
        """64 hexadecimal digits."""
        whole = {"body": dict(self.body), "index": self.index, "kind": self.kind, "prev": self.prev,
                 "time_ms": self.time_ms}  # fmt: skip
        return digest_of(ENTRY, whole).hex()


@dataclass(frozen=True, slots=True)
class Head:
    """``vehicle`` says: entry ``index`` of my log has this hash, and all before hang on it."""

    vehicle: str
    index: int
    hash: str
    signature: bytes

    def statement(self) -> bytes:
        """The bytes under the signature."""
        return head_statement(self.vehicle, self.index, self.hash)


def head_statement(vehicle: str, index: int, digest: str) -> bytes:
    """What a head's signature covers."""
    return statement(HEAD, {"hash": digest, "index": index, "vehicle": vehicle})


class ChainedLog:
    """The log of one vehicle, growing."""

    def __init__(self, vehicle: str, sign: Callable[[bytes], bytes]) -> None:
        self.vehicle, self._sign = vehicle, sign
        self.entries: list[LogEntry] = []

    def append(self, time_ms: int, kind: str, body: Mapping[str, object]) -> LogEntry:
        """Add an entry; what is in it stays as it is."""
        prev = self.entries[-1].hash() if self.entries else START
        self.entries.append(LogEntry(len(self.entries), prev, time_ms, kind, dict(body)))
        return self.entries[-1]

    def head(self) -> Head | None:
        """The newest entry's, signed; None: there is none."""
        if not self.entries:
            return None
        last = self.entries[-1]
        digest = last.hash()
        return Head(self.vehicle, last.index, digest, self._sign(head_statement(self.vehicle, last.index, digest)))


def first_fault(entries: Sequence[LogEntry], heads: Sequence[Head], key: bytes, verify: Verify) -> str:
    """Why a log shown is not the one that its heads were given out for; empty: it is."""
    prev, hashes = START, []
    for place, entry in enumerate(entries):
        if entry.index != place or entry.prev != prev:
            return f"entry {place} does not hang on the one before"
        prev = entry.hash()
        hashes.append(prev)
    for head in heads:
        if not verify(key, head.statement(), head.signature):
            return f"head {head.index} is not signed by {head.vehicle}"
        if head.index >= len(hashes):
            return f"head {head.index} was given out, but the log ends at {len(hashes) - 1}"
        if hashes[head.index] != head.hash:
            return f"entry {head.index} is not what its head was given out for"
    return ""


def is_fork(first: Head, second: Head, key: bytes, verify: Verify) -> bool:
    """Whether two heads prove that their vehicle keeps two logs."""
    same = (first.vehicle, first.index) == (second.vehicle, second.index)
    signed = all(verify(key, head.statement(), head.signature) for head in (first, second))
    return same and first.hash != second.hash and signed
