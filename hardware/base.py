"""The vehicle interface: what a node may know of and ask from a real or simulated vehicle.

Lifecycle ``unconfigured -> inactive -> active -> finalized`` plus ``error``; only an *active* vehicle
moves. In *inactive*, commands are accepted, limited and answered but not driven (brakes hold); in
*error* the vehicle brakes to standstill and holds. Drivers do not sleep, prompt, write files or read
clocks: time is an argument, in nanoseconds of the fleet's clock. Expected trouble is a value
(``Health``); exceptions are for misuse.

Frames: W is ENU; B is at the rear axle centre, x forward, y left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

BODY_FRAME = "base_link"
"""The frame in which commands are meant: B, by the name that ROS gives it. Others are refused."""


class Lifecycle(Enum):
    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    ACTIVE = "active"
    FINALIZED = "finalized"
    ERROR = "error"


class Health(Enum):
    OK = "ok"
    DEACTIVATE = "deactivate"
    ERROR = "error"


class VehicleState(NamedTuple):
    """The estimate of the vehicle's own state (localisation and wheel sensors, not ground truth)."""

    stamp_ns: int
    x_m: float
    y_m: float
    yaw_rad: float
    """Pose of B in W."""
    speed_mps: float
    """Along B's x; negative when reversing."""
    accel_mps2: float
    steer_rad: float
    """Of the equivalent bicycle's front wheel; positive to the left."""
    position_std_m: float
    yaw_std_rad: float
    health: Health


class Track(NamedTuple):
    """One road user as the sensors see it. ``track_id`` is local to the sensor and says nothing of identity."""

    track_id: int
    stamp_ns: int
    x_m: float
    y_m: float
    """Centre of the outline in W."""
    yaw_rad: float
    speed_mps: float
    length_m: float
    width_m: float
    position_std_m: float


class Command(NamedTuple):
    """What the node asks for until the next command."""

    stamp_ns: int
    steer_rad: float
    accel_mps2: float
    """Longitudinal acceleration wanted; negative brakes. Standstill is held while speed is zero and
    the wanted acceleration is not positive."""
    reverse: bool = False
    """Gear: a positive acceleration drives backwards. Changed at standstill only; until then the gate brakes."""
    frame_id: str = BODY_FRAME


class Applied(NamedTuple):
    """What was really sent after limits."""

    steer_rad: float
    accel_mps2: float
    limited_by: tuple[str, ...]
    """One short reason per limit that acted, such as ``steer_rate`` or ``inactive``."""
    reverse: bool = False


class Vitals(NamedTuple):
    """What the vehicle says of itself beside its motion. ``None`` is *unknown*, which preflight counts as failed."""

    stamp_ns: int
    battery: float | None
    """Charge or fuel left, 0 to 1."""
    temperature_c: float | None
    """The hottest of drive, battery and computer."""
    estop_pressed: bool | None
    """Whether any emergency stop input of the vehicle (button, radio remote, bumper) is actuated now."""
    manual: bool | None
    """Whether a person has taken over."""
    firmware: str | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Answerable before connecting."""

    backend: str
    can_perceive: bool
    can_reverse: bool
    perception_range_m: float
    control_period_s: float
    """Shortest period at which commands make a difference."""


class VehicleInterface(Protocol):
    """One vehicle. Backends: ``sim`` (any world), ``mock``, ``ros2``."""

    def read(self, now_ns: int) -> VehicleState: ...

    def perceive(self, now_ns: int) -> tuple[Track, ...]: ...

    def vitals(self, now_ns: int) -> Vitals: ...

    def write(self, command: Command, now_ns: int) -> Applied: ...

    def estop(self, reason: str) -> None:
        """Latch the emergency stop: brake to standstill and hold until ``reset``."""
        ...

    def reset(self, operator: str) -> bool:
        """Clear a latched stop; only at standstill with its cause gone. True if cleared.

        Never starts motion: an active vehicle is inactive afterwards, and somebody has to activate it."""
        ...

    def capabilities(self) -> Capabilities: ...

    @property
    def lifecycle(self) -> Lifecycle: ...
