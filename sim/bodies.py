"""What both worlds ask of a body, an obstacle and a duration, so that they refuse the same things in the same words."""

from __future__ import annotations

import math
from collections.abc import Container

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError, HardwareError

Floats = npt.NDArray[np.float64]


def lowest_free(taken: Container[int]) -> int:
    """The smallest slot that is not in ``taken``."""
    slot = 0
    while slot in taken:
        slot += 1
    return slot


def check_start(x_m: float, y_m: float, yaw_rad: float, speed_mps: float) -> None:
    """Raise :class:`ConfigError` unless a body can start so."""
    if not all(map(math.isfinite, (x_m, y_m, yaw_rad, speed_mps))):
        raise ConfigError(f"a body cannot start at x {x_m}, y {y_m}, yaw {yaw_rad}, speed {speed_mps}: not finite")
    if speed_mps < 0.0:
        raise ConfigError(f"a body cannot start at speed_mps {speed_mps:g}; the minimum is 0")


def convex_outline(outline: Floats) -> Floats:
    """``outline`` as counter-clockwise float64 [corner, 2]; :class:`ConfigError` if it is not convex or has no area."""
    points = np.ascontiguousarray(outline, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] < 3 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ConfigError(f"an obstacle needs at least 3 finite corners [corner, 2]; the shape is {points.shape}")
    edges = np.roll(points, -1, axis=0) - points
    after = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0]
    area = 0.5 * float(np.sum(points[:, 0] * np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) * points[:, 1]))
    if abs(area) < 1e-9:
        raise ConfigError(f"an obstacle has an area of {abs(area):g} m2; the minimum is 1e-9")
    scale = float(np.abs(edges).max()) ** 2
    if (turns * math.copysign(1.0, area) < -1e-9 * scale).any():
        raise ConfigError(f"an obstacle of {len(points)} corners is not convex: split it into convex parts")
    return points if area > 0.0 else np.ascontiguousarray(points[::-1])


def step_count(duration_s: float, step_s: float) -> int:
    """How many equal steps of at most ``step_s`` make up ``duration_s``, so that time is met exactly."""
    if not (math.isfinite(duration_s) and duration_s > 0.0):
        raise HardwareError(f"a world cannot advance by {duration_s} s; the duration must be positive")
    return max(1, math.ceil(duration_s / step_s - 1e-9))
