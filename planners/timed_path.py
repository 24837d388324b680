"""TimedPath: the plan that vehicles sign, in integers, so that every machine hashes the same bytes.

A TimedPath says where along a named path of the zone map a vehicle's rear axle is at each time:
``s0_mm`` and ``v0_mmps`` at ``t0_ms``, then segments of constant acceleration. Before ``t0_ms`` and
after the last segment nothing is promised; by construction the last segment ends either at
standstill or beyond the end of the path (the vehicle has left the map).

Wire form: one byte of version, then LEB128 varints (zigzag where signed), strings with their length
in front. Eight segments of a usual plan take about 44 bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError

_VERSION = 1
SEGMENT_COUNT_MAX = 64
"""More segments than this are refused: a plan is a few manoeuvres, not a recording."""
DURATION_MS_MAX = 600_000
_INT_MAX = 2**40


@dataclass(frozen=True, slots=True)
class TimedPath:
    """A vehicle's signed plan along one path.

    Attributes
    ----------
    vehicle, path_id : str
        Who drives, and the path of the zone map (pinned elsewhere by the map's digest).
    t0_ms : int
        Start, in milliseconds of the fleet's common clock.
    s0_mm, v0_mmps : int
        Arc length of the rear axle along the path and speed (never negative) at ``t0_ms``.
    segments : tuple of (dt_ms, a_mmps2)
        Constant acceleration for ``dt_ms`` > 0 each. Speed never drops below zero.
    """

    vehicle: str
    path_id: str
    t0_ms: int
    s0_mm: int
    v0_mmps: int
    segments: tuple[tuple[int, int], ...]

    @property
    def end_ms(self) -> int:
        return self.t0_ms + sum(dt for dt, _ in self.segments)

    def encode(self) -> bytes:
        """The canonical bytes: what is hashed and signed."""
        out = bytearray([_VERSION])
        for text in (self.vehicle, self.path_id):
            raw = text.encode()
            put_varint(out, len(raw))
            out += raw
        put_varint(out, self.t0_ms)
        put_varint(out, zigzag(self.s0_mm))
        put_varint(out, self.v0_mmps)
        put_varint(out, len(self.segments))
        for dt_ms, a_mmps2 in self.segments:
            put_varint(out, dt_ms)
            put_varint(out, zigzag(a_mmps2))
        return bytes(out)

    @staticmethod
    def decode(raw: bytes) -> TimedPath:
        """Parse canonical bytes; anything else raises :class:`PlanError`."""
        try:
            return _decode(raw)
        except (IndexError, UnicodeDecodeError) as error:
            raise PlanError(f"timed path of {len(raw)} bytes is truncated or not text") from error

    def arrays(self) -> SegmentArrays:
        """The segments as float64 knots in SI units, for evaluation and kernels."""
        return SegmentArrays.of(self)


@dataclass(frozen=True, slots=True)
class SegmentArrays:
    """Knots of a TimedPath: state at the start of each segment, plus one closing knot with a = 0.

    ``t_s``, ``s_m``, ``v_mps``, ``a_mps2``: float64 [segment + 1], times on the fleet's clock.
    """

    t_s: npt.NDArray[np.float64]
    s_m: npt.NDArray[np.float64]
    v_mps: npt.NDArray[np.float64]
    a_mps2: npt.NDArray[np.float64]
    _t: tuple[float, ...]
    _rows: tuple[tuple[float, float, float, float], ...]

    @staticmethod
    def of(plan: TimedPath) -> SegmentArrays:
        t, s, v = plan.t0_ms * 1e-3, plan.s0_mm * 1e-3, plan.v0_mmps * 1e-3
        rows = []
        for dt_ms, a_mmps2 in plan.segments:
            a, dt = a_mmps2 * 1e-3, dt_ms * 1e-3
            rows.append((t, s, v, a))
            s += v * dt + 0.5 * a * dt * dt
            v = max(0.0, v + a * dt)
            t += dt
        rows.append((t, s, v, 0.0))
        table = np.array(rows, dtype=np.float64).T.copy()
        table.setflags(write=False)
        return SegmentArrays(table[0], table[1], table[2], table[3], tuple(row[0] for row in rows), tuple(rows))

    @staticmethod
    def of_knots(
        t_s: npt.NDArray[np.float64],
        s_m: npt.NDArray[np.float64],
        v_mps: npt.NDArray[np.float64],
        a_mps2: npt.NDArray[np.float64],
    ) -> SegmentArrays:
        """From knots that are no plan of integers: float64 [segment + 1] each, the last acceleration 0."""
        times = tuple(t_s.tolist())
        rows = tuple(zip(times, s_m.tolist(), v_mps.tolist(), a_mps2.tolist(), strict=True))
        return SegmentArrays(t_s, s_m, v_mps, a_mps2, times, rows)

    def at(self, t_s: float) -> tuple[float, float, float]:
        """(s_m, v_mps, a_mps2) at ``t_s``; constant speed is assumed outside the plan's time span."""
        k = max(0, bisect_right(self._t, t_s) - 1)
        t, s, v, a = self._rows[k]
        dt = t_s - t
        if dt < 0.0:
            a = 0.0
        return s + v * dt + 0.5 * a * dt * dt, max(0.0, v + a * dt), a


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ((-value) << 1) - 1


def unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -((value + 1) >> 1)


def put_varint(out: bytearray, value: int) -> None:
    if not 0 <= value < _INT_MAX:
        raise PlanError(f"timed path value {value} is outside 0..2^40")
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


class VarintReader:
    """A cursor over canonical bytes that accepts only the shortest form of each varint."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.raw[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise PlanError("timed path holds a varint that is not in shortest form")
                return value
            shift += 7
            if shift > 42:
                raise PlanError("timed path holds a varint of more than 42 bits")

    def text(self) -> str:
        size = self.varint()
        if size > 255:
            raise PlanError(f"timed path holds a name of {size} bytes; the limit is 255")
        raw = self.raw[self.at : self.at + size]
        if len(raw) != size:
            raise IndexError
        self.at += size
        return raw.decode()


def _decode(raw: bytes) -> TimedPath:
    reader = VarintReader(raw)
    version = reader.varint()
    if version != _VERSION:
        raise PlanError(f"timed path has version {version}; this program knows {_VERSION}")
    vehicle, path_id = reader.text(), reader.text()
    t0_ms, s0_mm, v0_mmps = reader.varint(), unzigzag(reader.varint()), reader.varint()
    count = reader.varint()
    if count > SEGMENT_COUNT_MAX:
        raise PlanError(f"timed path has {count} segments; the limit is {SEGMENT_COUNT_MAX}")
    segments = tuple((reader.varint(), unzigzag(reader.varint())) for _ in range(count))
    if reader.at != len(raw):
        raise PlanError(f"timed path has {len(raw) - reader.at} bytes too many")
    if sum(dt for dt, _ in segments) > DURATION_MS_MAX:
        raise PlanError(f"timed path lasts longer than {DURATION_MS_MAX} ms")
    return TimedPath(vehicle, path_id, t0_ms, s0_mm, v0_mmps, segments)
