"""Vehicle files for road users of other data sets: the shipped file of that kind, at the recorded size."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from hardware.vehicle import Vehicle, load_vehicle
from planners.zone_map import Path

Floats = npt.NDArray[np.float64]

_FILE_OF_KIND = {
    "car": "car",
    "taxi": "car",
    "priorityVehicle": "car",
    "parkedVehicle": "car",
    "unknown": "car",
    "truck": "truck",
    "bus": "bus",
    "motorcycle": "motorcycle",
    "bicycle": "bicycle",
    "model_car_1_18": "model_car_1_18",
}
_TRACK_SHARE_MIN = 1.25
"""Least track width in heights of the centre of mass: tips at 0.625 g, above what tyres are asked for."""
STEER_SHARE = 0.9
"""Part of the steering range that paths may need; the rest is for tracking."""
_STEER_RATE_SHARE = 0.6
"""The same of the steering rate."""
_CAREFUL_MPS, _CAREFUL_SHARE = 12.0, 0.5
"""Up to this speed cars, lorries and buses keep within this share of their lateral error budget (measured: 8 cm
at most, where the budgets are 12 to 17 cm)."""
_NARROW_SHARE = 0.1
"""A path is narrow if it is over this part of its length."""


def drives(kind: str) -> bool:
    """Whether a road user of this CommonRoad type can be a vehicle of the fleet."""
    return kind in _FILE_OF_KIND


def vehicle_for(kind: str, length_m: float, width_m: float) -> Vehicle:
    """The shipped vehicle of a kind with its body scaled to the given outline.

    Wheelbase and overhangs go with the length, track with the width, mass with the area; limits, tyres,
    sensors and budgets stay. Motorcycles and bicycles are *not* two-wheelers here: they are narrow bodies
    on four wheels that do not lean, with a low centre of mass and a track that keeps them upright, so
    their outline and their dynamics along the path are right and their roll is not.

    Raises
    ------
    ConfigError
        A kind that does not drive, or an outline that is not a positive size.
    """
    if kind not in _FILE_OF_KIND:
        raise ConfigError(f"no vehicle file for a road user of type {kind!r}; known: {', '.join(_FILE_OF_KIND)}")
    if not (math.isfinite(length_m) and math.isfinite(width_m) and length_m > 0.0 and width_m > 0.0):
        raise ConfigError(f"a {kind} of {length_m} x {width_m} m has no usable size")
    name = "model_car_1_18" if length_m < 1.0 and _FILE_OF_KIND[kind] == "car" else _FILE_OF_KIND[kind]
    base = load_vehicle(name)
    body, along, across = base.body, length_m / base.body.length_m, width_m / base.body.width_m
    scaled = msgspec.structs.replace(
        body,
        length_m=length_m,
        width_m=width_m,
        wheelbase_m=body.wheelbase_m * along,
        rear_overhang_m=body.rear_overhang_m * along,
        track_width_m=max(body.track_width_m * across, _TRACK_SHARE_MIN * body.com_height_m),
        mass_kg=body.mass_kg * along * across,
    )
    return msgspec.structs.replace(base, body=scaled)


def kappa_1pm_max(vehicle: Vehicle) -> float:
    """The largest curvature that a path of this vehicle may have."""
    return STEER_SHARE * math.tan(vehicle.limits.steer_rad_max) / vehicle.body.wheelbase_m


def steering_caps(path: Path, vehicle: Vehicle) -> Floats:
    """The speed at each point of a path at which the wheels still turn as fast as its curvature changes, m/s.

    Float64 [point]. Long vehicles in tight bends need this: a lorry that enters a roundabout at the speed
    that its bends allow swings out by most of a metre, because its wheels cannot follow.
    """
    angle = np.arctan(vehicle.body.wheelbase_m * path.kappa_1pm)
    window = max(1, round(0.1 * vehicle.body.length_m / path.step_m))
    ahead, behind = np.minimum(np.arange(len(angle)) + window, len(angle) - 1), np.arange(len(angle)) - window
    rate = np.abs(angle[ahead] - angle[np.maximum(behind, 0)]) / (2 * window * path.step_m)
    # A change is felt as far around as it is measured.
    padded = np.pad(rate, window, mode="edge")
    spread = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1).max(axis=1)
    caps: Floats = _STEER_RATE_SHARE * vehicle.limits.steer_rate_radps_max / np.maximum(spread, 1e-6)
    return np.maximum(caps, 0.2 * vehicle.body.length_m)


def fitted(vehicle: Vehicle, path: Path) -> Vehicle:
    """``vehicle``, or where its lanes have no room for its lateral error budget beside it, one that drives carefully.

    A bus of 2.5 m in lanes of 2.8 m has 15 cm to either side. With its usual budget it and a bus beside it
    would have to take turns over the whole road. So it drives at 12 m/s at most, and claims the smaller error
    that goes with that.
    """
    room = path.half_width_m - 0.5 * vehicle.body.width_m
    narrow = (room > 0.0) & (room < 1.3 * vehicle.tracking.lateral_m)
    if float(narrow.mean()) < _NARROW_SHARE or vehicle.body.length_m < 1.0:
        return vehicle
    limits = msgspec.structs.replace(vehicle.limits, speed_mps_max=min(_CAREFUL_MPS, vehicle.limits.speed_mps_max))
    tracking = msgspec.structs.replace(vehicle.tracking, lateral_m=_CAREFUL_SHARE * vehicle.tracking.lateral_m)
    return msgspec.structs.replace(vehicle, limits=limits, tracking=tracking)
