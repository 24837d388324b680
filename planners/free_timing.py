"""From a free-space path at steps of speed to what a vehicle can drive: arcs and a TimedPath with ramps.

The planner drives at one speed and stands where a vehicle starts, stops or changes gear. A vehicle that
brakes and gathers speed instead begins its ramp while the planner's still stands, and ends it as much
later: with ramps of ``2 ramp_s`` both are in one place again behind them, and at most
``speed x ramp_s / 4`` apart within.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.errors import PlanError, invariant
from planners.arc_path import ArcPath
from planners.free_space import FreePath, FreeVehicle
from planners.timed_path import TimedPath

_RAMP_MS_LEAST = 40


@dataclass(slots=True)
class _Stretch:
    """Arcs driven without a stop, from ``begin_s`` to ``end_s`` of the planner's time."""

    begin_s: float
    end_s: float
    arcs: list[tuple[float, float]]

    @property
    def length_m(self) -> float:
        return math.fsum(abs(length) for length, _ in self.arcs)


def timed(path: FreePath, vehicle: FreeVehicle, t0_ms: int) -> TimedPath:
    """``path``, begun at ``t0_ms``, as a plan to sign; its name is the path.

    Raises
    ------
    PlanError
        It has more arcs or segments than a plan may have, or the planner left no time for a ramp.
    """
    stretches = _stretches(path)
    segments: list[tuple[int, int]] = []
    arcs: list[tuple[float, float]] = []
    now_ms = 0
    for stretch in stretches:
        begin_ms = round(1000.0 * (stretch.begin_s - vehicle.ramp_s))
        wait_ms = begin_ms - now_ms
        if wait_ms < -2:
            raise PlanError(f"vehicle {path.vehicle}: no time to brake before the stop at {stretch.begin_s:.2f} s")
        if wait_ms > 0:
            segments.append((wait_ms, 0))
        now_ms += max(0, wait_ms)
        whole_ms = max(4 * _RAMP_MS_LEAST, round(1000.0 * (stretch.end_s + vehicle.ramp_s)) - now_ms)
        ramp_ms, accel_mmps2, cruise_ms, driven_mm = _ramps(stretch.length_m, whole_ms, vehicle)
        segments.append((ramp_ms, accel_mmps2))
        segments += [(cruise_ms, 0)] if cruise_ms else []
        segments.append((ramp_ms, -accel_mmps2))
        now_ms += 2 * ramp_ms + cruise_ms
        share = driven_mm * 1e-3 / stretch.length_m
        arcs += [(length * share, kappa) for length, kappa in stretch.arcs]
    whole = ArcPath.of(path.start, arcs)
    return TimedPath(path.vehicle, whole.text, t0_ms, 0, 0, tuple(segments))


def standing(vehicle: str, pose: tuple[float, float, float], t0_ms: int) -> TimedPath:
    """The plan of a vehicle that stays where it is."""
    return TimedPath(vehicle, ArcPath.of(pose, []).text, t0_ms, 0, 0, ())


def stopping(plan: TimedPath, now_ms: int, brake_mmps2: int) -> TimedPath:
    """The plan of a vehicle that stops on the path of ``plan``, from where that has it at ``now_ms``."""
    s_m, v_mps, _ = plan.arrays().at(now_ms * 1e-3)
    s_mm, v_mmps = round(s_m * 1000.0), round(v_mps * 1000.0)
    brake_ms = max(1, round(1000.0 * v_mmps / brake_mmps2)) if v_mmps > 0 else 0
    segments = ((brake_ms, -math.ceil(1000.0 * v_mmps / brake_ms)),) if brake_ms else ()
    return TimedPath(plan.vehicle, plan.path_id, now_ms, s_mm, v_mmps, segments)


def _stretches(path: FreePath) -> list[_Stretch]:
    found: list[_Stretch] = []
    at, stood, gear = 0.0, True, 0.0
    for duration, kappa, speed in path.segments:
        if speed == 0.0:
            stood = True
        else:
            if stood or speed * gear < 0.0:
                found.append(_Stretch(at, at, []))
            found[-1].arcs.append((speed * duration, kappa))
            found[-1].end_s = at + duration
            stood, gear = False, speed
        at += duration
    return found


def _ramps(length_m: float, whole_ms: int, vehicle: FreeVehicle) -> tuple[int, int, int, float]:
    """Ramp time, acceleration, time between the ramps and the millimetres driven, for a stretch in ``whole_ms``.

    A trapezoid of area ``length_m``: with ramps as short as the vehicle's, or lower where it would be
    shorter than two of them. What rounding the acceleration loses is driven a few milliseconds longer.
    """
    length_mm, full_ms = length_m * 1000.0, max(_RAMP_MS_LEAST, round(2000.0 * vehicle.ramp_s))
    ramp_ms = min(full_ms, whole_ms // 2)
    speed_mmps = 1000.0 * length_mm / (whole_ms - ramp_ms)
    accel_mmps2 = math.floor(1000.0 * speed_mmps / ramp_ms)
    invariant(accel_mmps2 > 0, "a stretch without a length")
    top_mmps = accel_mmps2 * ramp_ms * 1e-3
    missing_ms = round((length_mm - top_mmps * (whole_ms - ramp_ms) * 1e-3) / top_mmps * 1000.0)
    cruise_ms = whole_ms - 2 * ramp_ms + max(0, missing_ms)
    return ramp_ms, accel_mmps2, cruise_ms, top_mmps * (cruise_ms + ramp_ms) * 1e-3
