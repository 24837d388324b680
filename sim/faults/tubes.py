"""Tubes as the oracles see them: their own reading of plan bytes (nothing shared with plans.py)."""

from __future__ import annotations

import struct

_BODY_MM = 4500.0
FOREVER = 1e15


class Tubes:
    """When a plan is in which resource, by the clock that the plan is told in."""

    def __init__(self, paths: tuple[tuple[tuple[int, int, int], ...], ...]) -> None:
        self._paths = paths
        self._known: dict[bytes, dict[int, tuple[float, float]]] = {}
        self._knots: dict[bytes, list[tuple[float, float, float]]] = {}

    def of(self, raw: bytes) -> dict[int, tuple[float, float]]:
        """resource -> (front bumper in, rear bumper out) in ms; bytes that are no plan use nothing."""
        known = self._known.get(raw)
        if known is None:
            known = self._known[raw] = self._read(raw)
        return known

    def demands(self, raw: bytes) -> tuple[float, float]:
        """Highest speed (m/s) and acceleration of either sign (m/s^2) of a plan."""
        self.of(raw)
        knots = self._knots.get(raw, [])
        rates = [
            abs(v_end - v) / (t_end - t) * 1000.0
            for (t, _, v), (t_end, _, v_end) in zip(knots, knots[1:], strict=False)
            if t_end - t > 2.0  # a step of rounding is no demand
        ]
        return max((v for _, _, v in knots), default=0.0), max(rates, default=0.0)

    def place(self, raw: bytes, t_ms: float) -> float:
        """Where a plan has the front bumper at ``t_ms`` (mm)."""
        self.of(raw)
        t, s, v = 0.0, 0.0, 0.0
        for knot in self._knots.get(raw, []):
            if knot[0] > t_ms:
                share = (t_ms - t) / (knot[0] - t) if t else 0.0
                return s + (v + 0.5 * (knot[2] - v) * share) * (t_ms - t) if t else knot[1]
            t, s, v = knot
        return s + v * (t_ms - t)

    def _read(self, raw: bytes) -> dict[int, tuple[float, float]]:
        if len(raw) < 16:
            return {}
        path, begin, place, speed, count = struct.unpack(">BQiHB", raw[:16])
        if path >= len(self._paths) or len(raw) != 16 + 6 * count:
            return {}
        steps = [(dt, a / 1000.0) for dt, a in struct.iter_unpack(">Ih", raw[16:])]
        knots = self._knots[raw] = _knots(float(begin), float(place), speed / 1000.0, steps)
        return {
            resource: (_when(knots, entry), _when(knots, leave + _BODY_MM))
            for resource, entry, leave in self._paths[path]
            if place < leave + _BODY_MM and _when(knots, entry) < FOREVER
        }


def meet(a: dict[int, tuple[float, float]], b: dict[int, tuple[float, float]], shift_ms: float = 0.0) -> int | None:
    """A resource in which both are at one time, ``b`` being ``shift_ms`` later than it says; None: there is none."""
    for resource, (start, end) in a.items():
        other = b.get(resource)
        if other is not None and start < other[1] + shift_ms and other[0] + shift_ms < end:
            return resource
    return None


def _knots(t: float, s: float, v: float, steps: list[tuple[int, float]]) -> list[tuple[float, float, float]]:
    """(time in ms, place in mm, speed in m/s) at the ends of all steps; standstill splits a step."""
    found = [(t, s, v)]
    for dt, a in steps:
        v_end = v + a * dt / 1000.0
        if v_end < 0.0:
            stop = dt * v / (v - v_end)
            s += v * stop / 2.0
            t, v = t + dt, 0.0
            found += [(t - dt + stop, s, 0.0), (t, s, 0.0)]
            continue
        s += (v + v_end) / 2.0 * dt
        t, v = t + dt, v_end
        found.append((t, s, v))
    return found


def _when(knots: list[tuple[float, float, float]], s_mm: float) -> float:
    """First time at ``s_mm``: Newton's method within the step that passes it."""
    if knots[0][1] >= s_mm:
        return -FOREVER
    for (t, s, v), (t_end, s_end, v_end) in zip(knots, knots[1:], strict=False):
        if s_end < s_mm:
            continue
        dt = t_end - t
        x = dt * (s_mm - s) / (s_end - s)
        for _ in range(8):
            slope = v + (v_end - v) * x / dt
            if slope <= 1e-9:
                break
            x -= (s + (v + slope) / 2.0 * x - s_mm) / slope
            x = min(max(x, 0.0), dt)
        return t + x
    t, s, v = knots[-1]
    return t + (s_mm - s) / v if v > 0.0 else FOREVER
