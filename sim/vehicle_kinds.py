"""Vehicle files for road users of other data sets: the shipped file of that kind, at the recorded size."""

from __future__ import annotations

import math

import msgspec

from fleet.errors import ConfigError
from hardware.vehicle import Vehicle, load_vehicle

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
