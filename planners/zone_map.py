"""What planners know of the road: paths, zones, and where footprints of two paths touch.

Paths are arc-length parametrised centre lines sampled every ``step_m``; the *rear axle* of a vehicle
follows them, with the tangent as its heading (the kinematic bicycle without slip). Positions are in
the world frame W (ENU, metres); yaw is counter-clockwise from x in (-pi, pi].
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Footprint:
    """A vehicle's outline: a rectangle fixed to the rear axle (frame B, x forward).

    It reaches from ``-rear_m`` to ``length_m - rear_m`` along x and ``width_m / 2`` to either side.
    """

    length_m: float
    width_m: float
    rear_m: float
    """Rear overhang: from the rear axle back to the rear bumper."""

    @property
    def front_m(self) -> float:
        """From the rear axle forward to the front bumper."""
        return self.length_m - self.rear_m


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """How far a body may be from where its plan says; the verifier inflates footprints by it.

    Tracking and localisation together, of one vehicle. Measured figures: docs/reference/error-budget.md.
    """

    lateral_m: float
    longitudinal_m: float


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """What a plan may ask of a vehicle (not what the vehicle can do in an emergency)."""

    speed_mps_max: float
    accel_mps2_max: float
    brake_mps2_max: float
    lateral_accel_mps2_max: float
    jerk_mps3_max: float


@dataclass(frozen=True, slots=True)
class Path:
    """One way through the map, from an origin to a destination.

    Arrays are float64 [point], C-contiguous, read-only, at s = 0, step_m, 2 step_m, ...
    """

    path_id: str
    origin: str
    destination: str
    movement: str
    """left, straight, right, or u_turn: by the change of heading from the start to the end."""
    step_m: float
    x_m: Floats
    y_m: Floats
    yaw_rad: Floats
    kappa_1pm: Floats
    limit_mps: Floats
    """Legal speed limit at each point."""
    half_width_m: Floats
    """Free half width of the lane at each point (for drawing and for lateral room)."""

    @property
    def length_m(self) -> float:
        return (len(self.x_m) - 1) * self.step_m


@dataclass(frozen=True, slots=True)
class Passage:
    """Where one path passes one zone, as geometry of the path (vehicle-independent).

    A vehicle is before the zone while its *front* bumper is at or before ``line_s_m`` and has cleared
    it once its *rear* bumper is beyond ``exit_s_m``.
    """

    zone_id: str
    path_id: str
    line_s_m: float
    exit_s_m: float


@dataclass(frozen=True, slots=True)
class Zone:
    """A connected area that corridors of different paths share."""

    zone_id: str
    outline: tuple[tuple[tuple[float, float], ...], ...]
    """Exterior rings of the area's polygons in W (for drawing and for perception)."""
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One connected set of (s_i, s_j) at which the inflated footprints of two paths touch.

    For s_i anywhere in bin ``first_bin + k`` (that is [(first_bin + k) step_m, (first_bin + k + 1) step_m])
    footprints touch only if lo_m[k] <= s_j <= hi_m[k]; an empty bin has lo_m > hi_m.
    """

    kind: str
    """crossing, merging, diverging or following."""
    step_m: float
    first_bin: int
    lo_m: Floats
    hi_m: Floats


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """All of it, pinned by ``digest`` (sha256 over the canonical content) in every intent."""

    name: str
    digest: str
    paths: dict[str, Path]
    zones: dict[str, Zone]
    passages: dict[str, tuple[Passage, ...]]
    """path_id -> its passages in the order in which they are driven."""
    lanes: tuple[tuple[tuple[float, float], ...], ...] = field(default=(), repr=False)
    """Outlines of lanes in W, for drawing only."""
    obstacles: tuple[tuple[tuple[float, float], ...], ...] = field(default=(), repr=False)
    """Outlines of what stands in the way in W, for drawing only."""
