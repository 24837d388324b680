"""The stable log: torn at any byte it opens with whole appends only; rotten in the middle it is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import ConfigError, LocalProtocolError
from fleet.node import stable_log
from fleet.node.stable_log import StableLog
from fleet.node.stable_media import FileMedium, MemoryMedium

Batches = list[list[bytes]]
BATCHES: Batches = [[b"proposal", b"vote"], [b"certificate"], [b""], [b"x" * 300, b"ACL1 inside a record"]]


def keep_all(records: Sequence[bytes], now_ms: int) -> Sequence[bytes]:
    return records


def written(batches: Batches) -> bytes:
    medium = MemoryMedium()
    log = StableLog(medium, keep_all)
    for batch in batches:
        log.append(batch, 0)
    return medium.read()


def flat(batches: Batches) -> tuple[bytes, ...]:
    return tuple(record for batch in batches for record in batch)


def test_what_was_appended_is_there_again() -> None:
    log = StableLog(MemoryMedium(content=written(BATCHES)), keep_all)
    assert log.records == flat(BATCHES)
    assert log.torn_bytes == 0


def test_torn_at_any_byte_whole_appends_are_kept_and_the_log_goes_on() -> None:
    content = written(BATCHES)
    ends = [len(written(BATCHES[:count])) for count in range(len(BATCHES) + 1)]
    for size in range(len(content) + 1):
        medium = MemoryMedium(content=content[:size])
        log = StableLog(medium, keep_all)
        count = sum(end <= size for end in ends) - 1
        assert log.records == flat(BATCHES[:count]), f"torn after {size} bytes"
        assert log.torn_bytes == size - ends[count]
        log.append([b"after"], 0)
        assert StableLog(medium, keep_all).records == (*flat(BATCHES[:count]), b"after")


@given(at=st.integers(0, 10_000), tail=st.binary(max_size=80))
@settings(max_examples=60, deadline=None)
def test_rubbish_behind_the_last_append_is_a_torn_tail(at: int, tail: bytes) -> None:
    content = written(BATCHES)
    log = StableLog(MemoryMedium(content=content + tail), keep_all)
    assert log.records == flat(BATCHES)
    assert log.torn_bytes == len(tail)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_a_flipped_bit_never_loses_a_flushed_promise_in_silence(at: int, bit: int) -> None:
    content = bytearray(written(BATCHES))
    last = len(written(BATCHES[:-1]))
    content[at % len(content)] ^= 1 << bit
    if at % len(content) < last:
        with pytest.raises(ConfigError, match=r"damaged at byte \d+, with whole records"):
            StableLog(MemoryMedium("v1.log", bytes(content)), keep_all)
    else:  # no frame behind it: like a crash during the last append, whose records were never sent
        assert StableLog(MemoryMedium(content=bytes(content)), keep_all).records == flat(BATCHES[:-1])


def test_frames_that_are_missing_are_noticed() -> None:
    first, both = len(written(BATCHES[:1])), len(written(BATCHES[:2]))
    content = written(BATCHES)
    with pytest.raises(ConfigError, match="frames are missing"):
        StableLog(MemoryMedium(content=content[:first] + content[both:]), keep_all)


def test_a_long_log_is_compacted_to_what_still_binds() -> None:
    medium = MemoryMedium()
    log = StableLog(medium, lambda records, now_ms: records[-2:])
    for number in range(2_000):
        log.append([b"%06d" % number + bytes(500)], number)
    assert log.size_bytes < 2 * stable_log.COMPACT_BYTES
    assert len(medium.read()) == log.size_bytes
    assert StableLog(medium, keep_all).records == log.records
    assert log.records[-1].startswith(b"001999")


def test_promises_that_do_not_fit_are_not_given() -> None:
    log = StableLog(MemoryMedium("v1.log"), keep_all)
    for _ in range(stable_log.BYTES_MAX // 100_100):
        log.append([bytes(100_000)], 0)
    with pytest.raises(LocalProtocolError, match=r"v1\.log: cannot store a promise: \d+ bytes; a log has at most"):
        log.append([bytes(100_000)], 0)
    with pytest.raises(LocalProtocolError, match="earlier failure"):
        log.append([b"small"], 0)


def test_a_failing_disk_stops_the_log_for_good() -> None:
    class Full(MemoryMedium):
        def append(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    log = StableLog(Full("v1.log"), keep_all)
    with pytest.raises(LocalProtocolError, match="No space left on device"):
        log.append([b"vote"], 0)
    assert log.records == ()


def test_a_file_is_flushed_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda file, data: events.append("write") or write(file, data))
    monkeypatch.setattr(os, "fsync", lambda file: events.append("fsync") or fsync(file))
    medium = FileMedium(tmp_path / "v1.log")
    log = StableLog(medium, keep_all)
    events.clear()
    log.append([b"vote"], 0)
    assert events == ["write", "fsync"]
    medium.close()


def test_a_file_is_private_locked_and_there_again(tmp_path: Path) -> None:
    path = tmp_path / "v1.log"
    medium = FileMedium(path)
    assert not medium.existed
    StableLog(medium, keep_all).append([b"vote"], 0)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="another node is using this log"):
        FileMedium(path)
    medium.close()
    again = FileMedium(path)
    assert again.existed
    assert StableLog(again, keep_all).records == (b"vote",)
    again.close()


def test_a_file_is_replaced_at_once_and_stays_locked(tmp_path: Path) -> None:
    medium = FileMedium(tmp_path / "v1.log")
    log = StableLog(medium, lambda records, now_ms: records[-1:])
    for number in range(400):
        log.append([b"%04d" % number + bytes(1000)], 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1.log"]
    assert log.size_bytes < 2 * stable_log.COMPACT_BYTES
    with pytest.raises(ConfigError, match="another node"):
        FileMedium(tmp_path / "v1.log")
    medium.close()


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"v1\.log: No such file or directory"):
        FileMedium(tmp_path / "absent" / "v1.log")
