"""Vehicle files: one YAML file describes one real or simulated vehicle, the same for both.

Every number has a unit in its name; see ``hardware/vehicles/`` for the files that ship.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fleet.config import load_yaml
from fleet.errors import ConfigError

Positive = Annotated[float, msgspec.Meta(gt=0.0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Outline and mass. The outline is a rectangle around the rear axle; height is for physics."""

    length_m: Positive
    width_m: Positive
    height_m: Positive
    wheelbase_m: Positive
    track_width_m: Positive
    rear_overhang_m: NonNegative
    mass_kg: Positive
    com_height_m: Positive
    wheel_radius_m: Positive


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What plans may ask for (``*_plan``) and what the vehicle can do (the rest)."""

    speed_mps_max: Positive
    accel_mps2_plan: Positive
    brake_mps2_plan: Positive
    accel_mps2_max: Positive
    brake_mps2_max: Positive
    """Guaranteed in an emergency; used for contingencies."""
    lateral_accel_mps2_max: Positive
    jerk_mps3_max: Positive
    steer_rad_max: Positive
    steer_rate_radps_max: Positive


class Actuators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First-order lags of the drive and steering actuators."""

    accel_lag_s: Positive
    steer_lag_s: Positive


class Tyres(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Friction and normalised cornering stiffness (per unit of vertical load, 1/rad)."""

    friction: Positive
    cornering_stiffness_front_prad: Positive
    cornering_stiffness_rear_prad: Positive


class Suspension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ride frequency and damping ratio of each corner; stiffness follows from the mass."""

    ride_hz: Positive
    damping_ratio: Positive


class Sensors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Localisation and perception errors (one standard deviation) and coverage."""

    position_std_m: NonNegative
    yaw_std_rad: NonNegative
    speed_std_mps: NonNegative
    perception_range_m: Positive
    perception_fov_rad: Positive
    perception_position_std_m: NonNegative
    perception_speed_std_mps: NonNegative


class Tracking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The error budget that plans of this vehicle are inflated by."""

    lateral_m: Positive
    longitudinal_m: Positive


class Ros2(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the vehicle is reached over ROS 2; of no meaning to vehicles that are not."""

    command: Literal["twist_stamped", "twist", "ackermann"] = "twist_stamped"
    """The message it takes: ``geometry_msgs/TwistStamped`` (ros2_control's steering controllers),
    ``geometry_msgs/Twist``, or ``ackermann_msgs/AckermannDriveStamped``."""
    speed_lead_s: Annotated[float, msgspec.Meta(ge=0.05, le=1.0)] = 0.2
    """Time constant of its speed loop. A wanted acceleration goes out as the speed that it leads to in this time."""
    map_frame: str = "map"
    """The fleet's frame W, in which poses must come."""
    odom_frame: str = "map"
    """Frame of its odometry. Where it is not ``map_frame``, ``localisation`` gives the pose in W."""
    base_frame: str = "base_link"
    localisation: bool = False
    """Whether the pose in W comes as geometry_msgs/PoseWithCovarianceStamped, and odometry carries it on."""


class Vehicle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vehicle file."""

    vehicle_class: str
    body: Body
    limits: Limits
    actuators: Actuators
    tyres: Tyres
    suspension: Suspension
    sensors: Sensors
    tracking: Tracking
    ros2: Ros2 = Ros2()
    description: str = ""


VEHICLES = Path(__file__).parent / "vehicles"


def load_vehicle(name_or_path: str) -> Vehicle:
    """A vehicle by the name of a file that ships (``car``) or by path.

    Raises
    ------
    ConfigError
        The file is missing or not a vehicle; the text names file, line, key, value and limit.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = VEHICLES / f"{name_or_path}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in VEHICLES.glob("*.yaml")))
            raise ConfigError(f"no vehicle named {name_or_path!r}; known: {known}, or the path of a .yaml file")
    vehicle = load_yaml(path, Vehicle)
    _check(path, vehicle)
    return vehicle


def digest(vehicle: Vehicle) -> str:
    """Short hash of everything that a vehicle file says."""
    return hashlib.sha256(msgspec.json.encode(vehicle)).hexdigest()[:16]


def _check(path: Path, vehicle: Vehicle) -> None:
    body = vehicle.body
    if body.rear_overhang_m + body.wheelbase_m > body.length_m:
        raise ConfigError(
            f"{path}: body: rear_overhang_m + wheelbase_m = {body.rear_overhang_m + body.wheelbase_m:g} m"
            f" is longer than length_m = {body.length_m:g} m"
        )
    ros2 = vehicle.ros2
    if not ros2.localisation and ros2.odom_frame != ros2.map_frame:
        raise ConfigError(
            f"{path}: ros2: odom_frame = {ros2.odom_frame!r} is not map_frame = {ros2.map_frame!r}; then the pose"
            " must come from somewhere else: set localisation: true"
        )
