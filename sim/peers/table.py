"""The replicated state of the baselines: a table of turns that grows by batches of requests, and their datagrams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sim.peers.channel import CROSS_MS, GAP_MS, Use

SIGNATURE = bytes(64)
"""The baselines' messages carry as many bytes of signature as Accord's; the channel vouches for the sender."""
RETRY_MS = 100
LEAD_MS = 500
"""A turn begins at least this long after it was put into a batch, so that all can hear of it in time."""

Batch = tuple[int, tuple[str, ...]]
"""(not before ms, vehicles in passing order)."""
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder().decode


def pack(kind: str, *fields: object) -> bytes:
    return _ENCODE((kind, *fields)) + SIGNATURE


def unpack(raw: bytes) -> tuple[Any, ...]:
    return tuple(_DECODE(raw[: -len(SIGNATURE)]))


class Turns:
    """Deterministic: equal batches in equal order give equal turns."""

    def __init__(self) -> None:
        self._free_ms = 0
        self.given: dict[str, tuple[int, int]] = {}

    def apply(self, batch: Batch) -> None:
        """A vehicle's newer turn replaces its old one."""
        for vehicle in batch[1]:
            start_ms = max(batch[0], self._free_ms)
            self.given[vehicle] = (start_ms, start_ms + CROSS_MS)
            self._free_ms = start_ms + CROSS_MS + GAP_MS

    def use_of(self, vehicle: str, now_ms: int) -> Use | None:
        """The vehicle's turn, if it hears of it before it begins; a turn missed has to be asked for again."""
        turn = self.given.get(vehicle)
        return Use(vehicle, *turn, now_ms) if turn is not None and now_ms < turn[0] else None


def batch_of(waiting: Iterable[str], now_ms: int) -> Batch:
    return now_ms + LEAD_MS, tuple(waiting)
