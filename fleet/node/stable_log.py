"""Stable storage of a node: what it has promised, on disk before it is on air (rule P2).

Form
----
The log is a row of *frames*, one per ``append``. Every append is flushed to the medium before it
returns, and only then may anything of it be sent; so at most the last frame can be incomplete.

=======  ==========================================================
bytes    content of a frame, integers little endian
=======  ==========================================================
4        ``ACL1``
8        number of the frame; they follow each other without a gap
4        bytes of the payload
4        CRC-32 of the payload
4        CRC-32 of the 20 bytes before
...      payload: records, each with its length in 4 bytes
=======  ==========================================================

Recovery: a broken frame with no whole frame behind it is a *torn tail*, the trace of a crash during an
append whose records were never sent; it is cut off. A broken frame with a whole one behind it was flushed
once and has rotted: promises are lost, and the log is refused with a clear error instead of a guess. The
header has a checksum of its own, so that a damaged length cannot pass the rest of the log off as a tail.

Size: beyond ``COMPACT_BYTES`` the records that still bind are written anew and replace the file at once.
If those alone are more than ``BYTES_MAX``, the append fails and nothing is sent: own promises are never
dropped (rule P13).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Protocol

from fleet.errors import ConfigError, LocalProtocolError

MAGIC = b"ACL1"
COMPACT_BYTES = 128 * 1024
BYTES_MAX = 4 * 1024 * 1024
_HEAD = struct.Struct("<4sQII")
_CRC = struct.Struct("<I")
_HEAD_BYTES = _HEAD.size + _CRC.size

Keep = Callable[[Sequence[bytes], int], Sequence[bytes]]
"""(records, now_ms) -> those that still bind, in their order."""


class Medium(Protocol):
    """Where the bytes are; a file, or memory in simulation. Errors of the device are ``OSError``."""

    name: str

    def read(self) -> bytes: ...

    def append(self, data: bytes) -> None:
        """On return the bytes survive a loss of power."""
        ...

    def replace(self, data: bytes) -> None:
        """At once: after a crash the content is the old or the new one, whole."""
        ...

    def close(self) -> None: ...


class StableLog:
    """An append-only log of records.

    Parameters
    ----------
    medium : Medium
    keep : callable
        Chooses what a compaction keeps, such as :func:`fleet.protocol.restore.binding_records`.

    Raises
    ------
    ConfigError
        The content is damaged in the middle, or is no log.
    """

    def __init__(self, medium: Medium, keep: Keep) -> None:
        self._medium, self._keep = medium, keep
        self._failed = ""
        content = medium.read()
        self._records, self._number, good = _replay(content, medium.name)
        self.torn_bytes = len(content) - good
        """Cut off at the end when the log was opened."""
        if self.torn_bytes:
            medium.replace(content[:good])
        self._size = good
        self._compact_at = max(COMPACT_BYTES, 2 * good)

    @property
    def records(self) -> tuple[bytes, ...]:
        """What is stored, in the order of writing."""
        return tuple(self._records)

    @property
    def size_bytes(self) -> int:
        return self._size

    def append(self, records: Sequence[bytes], now_ms: int) -> None:
        """Store ``records`` together: after a crash all of them are there, or none.

        Raises
        ------
        LocalProtocolError
            The medium failed (now or before), or what still binds does not fit. Nothing that depends on
            the records may be sent, and the node has to stop: its memory is ahead of its log.
        """
        if self._failed:
            raise LocalProtocolError(f"{self._medium.name}: not written since an earlier failure ({self._failed})")
        try:
            if self._size >= self._compact_at:
                self._compact(now_ms)
            frame = _frame(self._number, records)
            if self._size + len(frame) > BYTES_MAX:
                raise OSError(f"{self._size + len(frame)} bytes; a log has at most {BYTES_MAX}")
            self._medium.append(frame)
        except OSError as error:
            self._failed = error.strerror or str(error)
            raise LocalProtocolError(f"{self._medium.name}: cannot store a promise: {self._failed}") from error
        self._number += 1
        self._size += len(frame)
        self._records += records

    def _compact(self, now_ms: int) -> None:
        kept = list(self._keep(self._records, now_ms))
        frame = _frame(self._number, kept)
        self._medium.replace(frame)
        self._records, self._size = kept, len(frame)
        self._number += 1
        self._compact_at = max(COMPACT_BYTES, 2 * self._size)


def _frame(number: int, records: Sequence[bytes]) -> bytes:
    payload = b"".join(_CRC.pack(len(record)) + record for record in records)
    head = _HEAD.pack(MAGIC, number, len(payload), zlib.crc32(payload))
    return head + _CRC.pack(zlib.crc32(head)) + payload


def _replay(content: bytes, name: str) -> tuple[list[bytes], int, int]:
    """(records, number of the next frame, bytes that are good)."""
    records: list[bytes] = []
    at, number = 0, -1
    while at < len(content):
        found = _whole(content, at)
        if found is None:
            later = _next_whole(content, at + 1)
            if later < 0:
                break
            raise ConfigError(
                f"{name}: damaged at byte {at}, with whole records from byte {later} on: promises may be lost."
                " Move the file away and restart; the node then signs nothing until every lease is over"
            )
        this, payload = found
        if number >= 0 and this != number:
            raise ConfigError(f"{name}: frame {this} at byte {at} where {number} should be: frames are missing")
        records += _records(payload)
        number = this + 1
        at += _HEAD_BYTES + len(payload)
    return records, max(number, 0), at


def _whole(content: bytes, at: int) -> tuple[int, bytes] | None:
    """(number, payload) of the frame at ``at``, or None if it is not all there."""
    head = content[at : at + _HEAD_BYTES]
    if len(head) < _HEAD_BYTES or head[:4] != MAGIC:
        return None
    if zlib.crc32(head[: _HEAD.size]) != _CRC.unpack(head[_HEAD.size :])[0]:
        return None
    _, number, length, crc = _HEAD.unpack(head[: _HEAD.size])
    payload = content[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
    return (number, payload) if len(payload) == length and zlib.crc32(payload) == crc else None


def _next_whole(content: bytes, start: int) -> int:
    """Where the next whole frame begins, or -1."""
    at = content.find(MAGIC, start)
    while at >= 0 and _whole(content, at) is None:
        at = content.find(MAGIC, at + 1)
    return at


def _records(payload: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(payload):
        length = _CRC.unpack(payload[at : at + 4])[0]
        found.append(payload[at + 4 : at + 4 + length])
        at += 4 + length
    return found
