"""Deadlines and heartbeats: whether somebody has been heard of lately. Values in, values out; no clock.

Two processes watch each other. The node beats with every tick; the supervisor (``hardware/supervisor.py``)
answers each beat. Whoever stops answering for longer than the limit is taken for dead: the supervisor then
brakes through a path of its own, the node brakes through the path it has. Zero or a negative limit is
refused: there is no way to switch a deadline off.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from fleet.errors import HardwareError

LOOP_STALL_S = 0.2
"""A loop that is silent for longer has stalled (failsafe table; ArduPilot Rover uses the same)."""
_PACKET = struct.Struct("<BQq")
PACKET_BYTES = _PACKET.size


def limit_ns(seconds: float, what: str) -> int:
    """A time limit in ns.

    Raises
    ------
    HardwareError
        Zero, negative, not finite, or above 10 s: none of these may stand for *switched off*.
    """
    if not 0.0 < seconds <= 10.0:
        raise HardwareError(f"{what}: a limit of {seconds} s; it must be above 0 and at most 10 s, and cannot be off")
    return round(seconds * 1e9)


class Deadline:
    """Trips when nothing was heard for longer than the limit; counting starts with the first look.

    Parameters
    ----------
    limit_s : float
    what : str
        For messages.
    """

    def __init__(self, limit_s: float, what: str) -> None:
        self.limit_ns = limit_ns(limit_s, what)
        self.what = what
        self._heard_ns: int | None = None

    def heard(self, now_ns: int) -> None:
        self._heard_ns = now_ns

    def age_ns(self, now_ns: int) -> int:
        """Time since something was heard, or since the first look."""
        if self._heard_ns is None:
            self._heard_ns = now_ns
        return now_ns - self._heard_ns

    def late(self, now_ns: int) -> bool:
        return self.age_ns(now_ns) > self.limit_ns

    def left_ns(self, now_ns: int) -> int:
        """Until it would trip; never negative."""
        return max(0, self.limit_ns - self.age_ns(now_ns))


class Kind(IntEnum):
    """What a heartbeat packet says; the integers are the wire form."""

    BEAT = 1
    RESET = 2
    """The operator has reset the vehicle at standstill: a tripped supervisor watches again."""
    GOODBYE = 3
    """The vehicle stands and its node ends: not a death."""
    HOLDING = 4
    """From the supervisor: it has tripped and brakes."""


@dataclass(frozen=True, slots=True)
class Packet:
    kind: Kind
    number: int
    """Counts up; an old packet is no sign of life."""
    stamp_ns: int


def encode(packet: Packet) -> bytes:
    return _PACKET.pack(packet.kind, packet.number, packet.stamp_ns)


def decode(raw: bytes) -> Packet | None:
    """None for anything that is not a whole packet of a known kind."""
    if len(raw) != PACKET_BYTES:
        return None
    kind, number, stamp_ns = _PACKET.unpack(raw)
    return Packet(Kind(kind), number, stamp_ns) if kind in Kind._value2member_map_ else None


class Watch:
    """What a supervisor knows: whether the node lives, and that it once did not.

    Attributes
    ----------
    tripped : str
        Empty, or the reason for braking; latched until a reset by an operator comes from a living node.
    done : bool
        The node has said goodbye.
    """

    def __init__(self, limit_s: float = LOOP_STALL_S) -> None:
        self._deadline = Deadline(limit_s, "heartbeat of the node")
        self._number = -1
        self.tripped = ""
        self.done = False

    def take(self, raw: bytes, now_ns: int) -> Packet | None:
        """A packet from the node; None if it is no fresh sign of life."""
        packet = decode(raw)
        if packet is None or packet.number <= self._number or packet.kind is Kind.HOLDING:
            return None
        self.look(now_ns)  # what comes after the limit does not undo that the limit was passed
        self._number = packet.number
        self._deadline.heard(now_ns)
        if packet.kind is Kind.RESET:
            self.tripped = ""
        elif packet.kind is Kind.GOODBYE and not self.tripped:
            self.done = True
        return packet

    def closed(self) -> None:
        """The node's end of the link is gone."""
        if not self.done:
            self.tripped = self.tripped or "node_died"

    def look(self, now_ns: int) -> str:
        """Let time pass; returns ``tripped``."""
        if not self.tripped and not self.done and self._deadline.late(now_ns):
            self.tripped = "loop_stall"
        return self.tripped

    def left_ns(self, now_ns: int) -> int:
        return self._deadline.left_ns(now_ns)
