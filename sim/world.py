"""What a world is: bodies that move under commands, and the truth about them.

A world knows nothing of plans or messages. ``sim/vehicle_backend.py`` puts each body behind the
hardware interface; the runner logs ``truth``. All bodies' quantities are arrays over *slots*; a
slot is given by :meth:`add` and freed by :meth:`remove`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hardware.vehicle import Vehicle

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Truth:
    """True state of all bodies at ``time_s``; rows in ascending slot order; arrays are copies.

    ``state``: float64 [body, 6]: x_m, y_m, yaw_rad of the rear axle B in W, speed_mps along B's x,
    accel_mps2, steer_rad.
    """

    time_s: float
    slots: Ints
    state: Floats


@dataclass(frozen=True, slots=True)
class Contact:
    """Two bodies that touch; ``slot_b`` = -1 for a static obstacle."""

    time_s: float
    slot_a: int
    slot_b: int
    depth_m: float


class World(Protocol):
    """``name`` is what ``--world`` takes: ``bullet`` or ``kinematic``."""

    name: str
    step_s: float
    """Internal physics step."""

    def add(
        self, vehicle: Vehicle, x_m: float, y_m: float, yaw_rad: float, speed_mps: float, steer_rad: float = 0.0
    ) -> int:
        """Put a body with B at this pose, its wheels turned by ``steer_rad``; returns its slot (lowest free one)."""
        ...

    def remove(self, slot: int) -> None: ...

    def add_obstacle(self, outline: Floats) -> None:
        """A static convex polygon, float64 [corner, 2] in W."""
        ...

    def command(self, slot: int, steer_rad: float, accel_mps2: float, *, reverse: bool = False) -> None:
        """Set-points that hold until changed; actuator lag, rate limits and friction act on them.

        A positive acceleration drives ahead, with ``reverse`` backwards; a negative one brakes either way.
        """
        ...

    def advance(self, duration_s: float) -> tuple[Contact, ...]:
        """Step the physics; contacts that were seen in any internal step, one per pair."""
        ...

    def truth(self) -> Truth: ...

    def close(self) -> None: ...
