"""Stable storage of one node: an append-only log with checksums, what of it a crash leaves, and what a restart reads.

``append`` writes to the page cache, ``sync`` makes it durable; a crash keeps what was synced and any part
of the rest (a torn tail). A restarted node reads the log up to the first record that is not whole.
"""

from __future__ import annotations

import struct
import zlib

_FRAME = struct.Struct(">II")


class Disk:
    """One node's log."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self._cached = bytearray()

    def append(self, record: bytes) -> None:
        self._cached += _FRAME.pack(len(record), zlib.crc32(record)) + record

    def sync(self) -> None:
        self.durable += self._cached
        self._cached.clear()

    def crash(self, kept_permille: int) -> None:
        """Lose what was not synced, but for its first ``kept_permille`` thousandths."""
        self.durable += self._cached[: len(self._cached) * kept_permille // 1000]
        self._cached.clear()

    def holds(self, record: bytes) -> bool:
        """Whether ``record`` is durable."""
        return record in self.durable

    def records(self) -> list[bytes]:
        """Whole records, in order; a torn tail ends them and is cut off."""
        found, at, data = [], 0, bytes(self.durable)
        while at + _FRAME.size <= len(data):
            length, checksum = _FRAME.unpack_from(data, at)
            record = data[at + _FRAME.size : at + _FRAME.size + length]
            if len(record) < length or zlib.crc32(record) != checksum:
                break
            found.append(record)
            at += _FRAME.size + length
        del self.durable[at:]
        return found
