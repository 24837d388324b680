"""``decisions.jsonl``: every decision of the fleet, one JSON object per line, chained by hashes.

A line is the canonical JSON of ``{detail, i, kind, node, prev, t_ms}`` (keys sorted, no spaces,
numbers rounded to 1e-6) with ``hash`` put in at its sorted place; ``hash`` is the SHA-256 of the
canonical JSON *without* it. ``prev`` is the hash of the line before, 64 zeros at the start. Whoever
alters, removes or inserts a line has to rewrite all that follow; the last hash also stands in
``run.json``. Nothing here depends on the wall clock, so the same run gives the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fleet.errors import ConfigError

FILE_NAME = "decisions.jsonl"
GENESIS = "0" * 64
_FLUSH_MS = 1_000
"""Simulated time between flushes: what a killed run may lose."""
_BYTES_MAX = 1 << 18
_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Decision:
    """One record as read back."""

    index: int
    time_ms: int
    node: str
    kind: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """``bad_line`` is the first line (from 1) that breaks the chain, None if all hold."""

    count: int
    last_hash: str
    bad_line: int | None
    reason: str


class DecisionLog:
    """Writer; a record costs about 10 us."""

    def __init__(self, folder: Path) -> None:
        self._file = open(folder / FILE_NAME, "wb", buffering=0)  # noqa: SIM115 - closed by close()
        self._lines: list[bytes] = []
        self._bytes = 0
        self._flushed_ms = 0
        self.count = 0
        self.last_hash = GENESIS
        self.kinds: dict[str, int] = {}

    def append(self, time_ms: int, node: str, kind: str, detail: Mapping[str, object]) -> None:
        """Add one record. ``detail`` may hold text, numbers, bytes (written as hex), enums, lists and mappings."""
        head = b'{"detail":' + _canonical.encode(_plain_mapping(detail))
        tail = b'"i":%d,"kind":%s,"node":%s,"prev":"%s","t_ms":%d}' % (
            self.count,
            _canonical.encode(str(kind)),
            _canonical.encode(node),
            self.last_hash.encode(),
            time_ms,
        )
        digest = hashlib.sha256(head + b"," + tail).hexdigest()
        line = head + b',"hash":"' + digest.encode() + b'",' + tail + b"\n"
        self.last_hash = digest
        self.count += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self._lines.append(line)
        self._bytes += len(line)
        if time_ms - self._flushed_ms >= _FLUSH_MS or self._bytes > _BYTES_MAX:
            self.flush()
            self._flushed_ms = time_ms

    def flush(self) -> None:
        """Hand whole lines to the operating system."""
        if self._lines:
            self._file.write(b"".join(self._lines))
            self._lines.clear()
            self._bytes = 0

    def close(self) -> None:
        self.flush()
        self._file.close()


def _plain_mapping(value: Mapping[Any, object]) -> dict[str, Any]:
    return {key if type(key) is str else str(_plain(key)): _plain(item) for key, item in value.items()}


def _plain(value: object) -> Any:
    """The value as JSON types that print alike everywhere; ordered by how often a type occurs."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float):
        # + 0.0 turns -0.0 into 0.0; what is not finite has no JSON form and is told apart by name.
        return round(float(value), 6) + 0.0 if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=lambda item: _canonical.encode(item))
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, int):
        return int(value)
    return str(value)


def read_decisions(folder: Path) -> Iterator[Decision]:
    """The records of a run folder in order; an incomplete last line (a killed run) is left out.

    Raises
    ------
    ConfigError
        The file is missing, or a complete line is not a record.
    """
    path = folder / FILE_NAME
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in enumerate(_lines(path), start=1):
        try:
            raw = decode(line)
            record = Decision(raw["i"], raw["t_ms"], raw["node"], raw["kind"], raw["detail"])
        except (msgspec.DecodeError, KeyError) as error:
            raise ConfigError(f"{path}:{number}: not a decision record: {error}") from error
        yield record


def check_chain(folder: Path) -> ChainCheck:
    """Recompute every hash of ``decisions.jsonl``; the audit of a log needs nothing else."""
    prev, count = GENESIS, 0
    for number, line in enumerate(_lines(folder / FILE_NAME), start=1):
        try:
            raw = msgspec.json.decode(line)
            digest = raw.pop("hash")
        except (msgspec.DecodeError, KeyError, AttributeError):
            return ChainCheck(count, prev, number, "not a decision record")
        if raw.get("i") != count:
            return ChainCheck(count, prev, number, f"record {raw.get('i')} stands where {count} belongs")
        if raw.get("prev") != prev:
            return ChainCheck(count, prev, number, "prev is not the hash of the line before")
        if hashlib.sha256(_canonical.encode(raw)).hexdigest() != digest:
            return ChainCheck(count, prev, number, "content does not match its hash")
        prev, count = digest, count + 1
    return ChainCheck(count, prev, None, "")


def _lines(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise ConfigError(f"{path}: missing; is {path.parent} the folder of a run?")
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
