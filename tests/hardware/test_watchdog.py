"""Deadlines and the supervisor's memory, as values: nothing is off, nothing old counts, what tripped stays tripped."""

from __future__ import annotations

import math

import pytest

from fleet.errors import HardwareError
from hardware.watchdog import LOOP_STALL_S, PACKET_BYTES, Deadline, Kind, Packet, Watch, decode, encode, limit_ns

MS = 1_000_000


@pytest.mark.parametrize("seconds", [0.0, -0.1, math.nan, math.inf, 11.0])
def test_a_limit_can_never_mean_switched_off(seconds: float) -> None:
    with pytest.raises(HardwareError, match="cannot be off"):
        limit_ns(seconds, "heartbeat")
    with pytest.raises(HardwareError, match="cannot be off"):
        Deadline(seconds, "heartbeat")
    with pytest.raises(HardwareError, match="cannot be off"):
        Watch(seconds)


def test_a_deadline_counts_from_the_first_look() -> None:
    deadline = Deadline(0.2, "beats")
    assert not deadline.late(5_000 * MS)
    assert not deadline.late(5_200 * MS)
    assert deadline.late(5_201 * MS)
    deadline.heard(5_300 * MS)
    assert deadline.left_ns(5_400 * MS) == 100 * MS
    assert deadline.left_ns(9_000 * MS) == 0


def test_packets_survive_the_wire_and_nothing_else_does() -> None:
    packet = Packet(Kind.BEAT, 7, -3)
    assert decode(encode(packet)) == packet
    for raw in (b"", encode(packet)[:-1], encode(packet) + b"x", b"\xff" * PACKET_BYTES, bytes(PACKET_BYTES)):
        assert decode(raw) is None


def beat(number: int, kind: Kind = Kind.BEAT) -> bytes:
    return encode(Packet(kind, number, 0))


def test_the_supervisor_trips_within_the_tables_time_and_not_before() -> None:
    watch = Watch()
    for number in range(10):
        watch.take(beat(number), number * 50 * MS)
    assert watch.look(450 * MS + int(LOOP_STALL_S * 1e9)) == ""
    assert watch.look(451 * MS + int(LOOP_STALL_S * 1e9)) == "loop_stall"


def test_beats_after_a_stall_do_not_release_the_brakes_but_an_operators_reset_does() -> None:
    watch = Watch()
    watch.take(beat(1), 0)
    watch.take(beat(2), 300 * MS)  # came too late: that it came at all does not undo it
    assert watch.tripped == "loop_stall"
    watch.take(beat(3), 310 * MS)
    watch.take(beat(4, Kind.GOODBYE), 320 * MS)
    assert watch.tripped and not watch.done
    watch.take(beat(5, Kind.RESET), 330 * MS)
    assert watch.look(340 * MS) == ""


def test_a_replayed_beat_is_no_sign_of_life() -> None:
    watch = Watch()
    watch.take(beat(5), 0)
    for now_ms in range(50, 300, 50):
        assert watch.take(beat(5), now_ms * MS) is None
    assert watch.look(250 * MS) == "loop_stall"


def test_a_closed_link_is_a_death_unless_it_said_goodbye() -> None:
    dead, gone = Watch(), Watch()
    dead.take(beat(1), 0)
    dead.closed()
    assert dead.look(1 * MS) == "node_died"
    gone.take(beat(1, Kind.GOODBYE), 0)
    gone.closed()
    assert gone.look(10_000 * MS) == "" and gone.done
