"""Plans of the fault simulator: integers along a stub path, and the resources that they use when.

A path is a line with the stop line at 0; it runs through resources (a resource is any place where paths
meet: a tube is an interval of time in it). Times in ms, lengths in mm, speeds in mm/ms (= m/s). A plan
is as a TimedPath of the real system is: start time, place and speed, then segments of constant
acceleration; a vehicle that has come to standstill while braking stays there.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from fleet.errors import PlanError

LENGTH_MM = 4500
"""Of every body: front bumper at s, rear bumper at s - LENGTH_MM."""
SPEED_MAX = 12.0
ACCEL_MMPS2 = 2000
BRAKE_MMPS2 = 2000
STOP_MM = -1000
"""Where an approach plan ends."""
CLOCKS_MS = 20
"""Twice the clock bound: what two honest clocks may differ by."""
SEGMENTS_MAX = 12

_HEAD = struct.Struct(">BQiHB")
_SEGMENT = struct.Struct(">Ih")

Path = tuple[tuple[int, int, int], ...]
"""(resource, entry s, exit s) in order; s of the front bumper at entry, of the rear bumper at exit."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One decoded plan."""

    path: int
    pieces: tuple[tuple[float, float, float, float], ...]
    """(time, place, speed, acceleration in mm/ms^2) from each time on; the last holds for ever."""
    raw: bytes

    def at(self, t_ms: float) -> tuple[float, float]:
        """Place and speed at ``t_ms``; before the start, those of the start."""
        pieces = self.pieces
        k = len(pieces) - 1
        while k and pieces[k][0] > t_ms:
            k -= 1
        t0, s, v, a = pieces[k]
        dt = t_ms - t0
        if dt <= 0.0:
            return s, v
        return s + (v + 0.5 * a * dt) * dt, v + a * dt

    def time_at(self, s_mm: float) -> float:
        """When the front bumper first reaches ``s_mm`` (ms); inf: never; -inf: it is there from the start."""
        pieces = self.pieces
        if pieces[0][1] >= s_mm:
            return -math.inf
        for k, (t0, s, v, a) in enumerate(pieces):
            end = pieces[k + 1][1] if k + 1 < len(pieces) else math.inf
            if end < s_mm:
                continue
            gap = s_mm - s
            if gap <= 0.0:
                return t0
            if a == 0.0:
                return t0 + gap / v if v > 0.0 else math.inf
            root = v * v + 2.0 * a * gap
            if root < 0.0:
                if k + 1 < len(pieces):
                    continue
                return math.inf
            return t0 + 2.0 * gap / (v + math.sqrt(root))
        return math.inf


def encode(path: int, t0_ms: int, s0_mm: int, v0_mmps: int, segments: tuple[tuple[int, int], ...]) -> bytes:
    """The bytes that are signed; segments are (duration in ms, acceleration in mm/s^2)."""
    return b"".join(
        (_HEAD.pack(path, t0_ms, s0_mm, v0_mmps, len(segments)), *(_SEGMENT.pack(dt, a) for dt, a in segments))
    )


def fields(raw: bytes) -> tuple[int, int, int, int, tuple[tuple[int, int], ...]] | None:
    """(path, t0, s0, v0, segments), or None where the bytes are no plan."""
    if len(raw) < _HEAD.size:
        return None
    path, t0, s0, v0, count = _HEAD.unpack_from(raw)
    if count > SEGMENTS_MAX or len(raw) != _HEAD.size + count * _SEGMENT.size:
        return None
    return path, t0, s0, v0, tuple(_SEGMENT.unpack_from(raw, _HEAD.size + k * _SEGMENT.size) for k in range(count))


class Roads:
    """Paths of one case, and every plan seen on them, decoded once."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self.clear_mm = tuple(max(exit_mm for _, _, exit_mm in path) + LENGTH_MM for path in paths)
        """s at which the rear bumper has left the last resource."""
        self._plans: dict[bytes, Plan | None] = {}
        self._uses: dict[bytes, tuple[tuple[int, float, float], ...]] = {}

    def plan(self, raw: bytes) -> Plan | None:
        """None where the bytes are no plan on any path here."""
        if raw in self._plans:
            return self._plans[raw]
        found = fields(raw)
        plan = None
        if found is not None and found[0] < len(self.paths):
            plan = Plan(found[0], _pieces(*found[1:]), raw)
        self._plans[raw] = plan
        return plan

    def own(self, raw: bytes) -> Plan:
        """A plan that the simulator itself made."""
        plan = self.plan(raw)
        if plan is None:
            raise PlanError(f"not a plan on one of {len(self.paths)} paths: {raw.hex()}")
        return plan

    def uses(self, raw: bytes) -> tuple[tuple[int, float, float], ...]:
        """(resource, from ms, until ms) of a plan; until is inf where it stays, from is -inf where it began inside."""
        known = self._uses.get(raw)
        if known is not None:
            return known
        plan = self.plan(raw)
        if plan is None:
            return self._uses.setdefault(raw, ())
        found = []
        for resource, entry, leave in self.paths[plan.path]:
            start = plan.time_at(entry)
            if start < math.inf and plan.pieces[0][1] < leave + LENGTH_MM:
                found.append((resource, math.floor(start) if start > -math.inf else start, _up(plan, leave)))
        self._uses[raw] = tuple(found)
        return self._uses[raw]


def clash(a: tuple[tuple[int, float, float], ...], b: tuple[tuple[int, float, float], ...]) -> bool:
    """Whether two uses overlap for some error of the two clocks."""
    for r, start, end in a:
        for q, begin, stop in b:
            if r == q and start < stop + CLOCKS_MS and begin < end + CLOCKS_MS:
                return True
    return False


def _up(plan: Plan, leave_mm: int) -> float:
    end = plan.time_at(leave_mm + LENGTH_MM)
    return math.ceil(end) if end < math.inf else end


def _pieces(
    t0_ms: int, s0_mm: int, v0_mmps: int, segments: tuple[tuple[int, int], ...]
) -> tuple[tuple[float, float, float, float], ...]:
    t, s, v = float(t0_ms), float(s0_mm), v0_mmps * 1e-3
    found = []
    for dt, accel in segments:
        a = accel * 1e-6
        found.append((t, s, v, a))
        if a < 0.0 and v + a * dt < 1e-9:  # stops within the segment and stays
            stop = -v / a
            s += 0.5 * v * stop
            found.append((t + stop, s, 0.0, 0.0))
            v = 0.0
        else:
            s += (v + 0.5 * a * dt) * dt
            v += a * dt
        t += dt
    found.append((t, s, v, 0.0))
    return tuple(found)


def approach(path: int, t0_ms: int, s0_mm: int, v0_mmps: int) -> bytes:
    """Drive on, then brake gently to standstill before the line."""
    run = STOP_MM - s0_mm
    if v0_mmps <= 0 or run <= 0:
        return encode(path, t0_ms, s0_mm, 0, ())
    brake = max(BRAKE_MMPS2, math.ceil(v0_mmps * v0_mmps / (2 * run)))
    cruise = int(max(0.0, run - v0_mmps * v0_mmps / (2 * brake)) * 1000 / v0_mmps)
    return encode(path, t0_ms, s0_mm, v0_mmps, ((cruise, 0), (v0_mmps * 1000 // brake + 1, -min(brake, 32_000))))


def departing(raw: bytes, depart_ms: int) -> bytes:
    """The plan ``raw`` until ``depart_ms``, then full acceleration to the speed limit and on."""
    found = fields(raw)
    if found is None:
        return raw
    path, t0, s0, v0, segments = found
    kept: list[tuple[int, int]] = []
    t, v = t0, v0 * 1e-3
    for dt, a in segments:
        dt = min(dt, depart_ms - t)
        if dt <= 0:
            break
        kept.append((dt, a))
        t += dt
        v = max(0.0, v + a * 1e-6 * dt)
    if t < depart_ms:
        kept.append((depart_ms - t, 0))
    rise = int(max(0.0, SPEED_MAX - v) * 1e6 / ACCEL_MMPS2)
    return encode(path, t0, s0, v0, (*kept, (rise, ACCEL_MMPS2)))


def braking(path: int, now_ms: int, s_mm: float, v: float, line_mm: int = 0) -> bytes:
    """Come to rest before ``line_mm`` if there is room, else with what full braking does."""
    room = line_mm - 300 - s_mm
    if v < 1e-3:
        return encode(path, now_ms, round(s_mm), 0, ())
    need = v * v * 1e6 / (2.0 * max(room, 1.0))
    brake = round(min(6000.0, max(1500.0, need)))
    return encode(path, now_ms, round(s_mm), round(v * 1000), ((round(v * 1e6 / brake) + 2, -brake),))
