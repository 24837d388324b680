"""The mock vehicle: mirrors commands exactly, with switches for faults. For tests of nodes and bench rigs.

It integrates an ideal bicycle (no lag, no friction, no noise), so whatever differs from the command is
the gate's doing or a switched fault.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.errors import HardwareError
from hardware.base import Applied, Capabilities, Command, Health, Lifecycle, Track, VehicleState, Vitals
from hardware.gate import CommandGate
from hardware.vehicle import Vehicle

FIRMWARE = "simulated"


@dataclass(slots=True)
class FaultSwitches:
    """Faults that a test or a scenario turns on and off while a vehicle runs; all off at first."""

    localisation_frozen: bool = False
    """The last estimate is repeated with its old stamp."""
    localisation_error: bool = False
    """The localisation says itself that it cannot be trusted: health ``ERROR``."""
    position_bias_x_m: float = 0.0
    position_bias_y_m: float = 0.0
    yaw_bias_rad: float = 0.0
    """Biases in W that nobody is told of."""
    perception_lost: bool = False
    """No tracks; the sensors say so: health ``DEACTIVATE``."""

    localisation_nan: bool = False
    """The pose is not a number, and nobody says so."""
    localisation_std_m: float = 0.0
    """Added to the standard deviation that the localisation admits."""
    steer_stuck: bool = False
    """The steering stays where it was when this was switched on."""
    steer_offset_rad: float = 0.0
    """A linkage out of true: the wheels stand so much farther left."""
    drive_mps2: float = 0.0
    """A drive that runs away: added to whatever is driven."""
    brake_share: float = 1.0
    """Brakes have this share of their force."""
    battery: float | None = 0.9
    temperature_c: float | None = 35.0
    estop_pressed: bool = False
    """A button on the vehicle, held down."""
    manual: bool = False
    """The switch with which a person takes over."""

    @property
    def health(self) -> Health:
        if self.localisation_error:
            return Health.ERROR
        return Health.DEACTIVATE if self.perception_lost else Health.OK

    def vitals(self, now_ns: int) -> Vitals:
        return Vitals(now_ns, self.battery, self.temperature_c, self.estop_pressed, self.manual, FIRMWARE)

    def reaches(self, driven: Applied, steer_rad: float) -> tuple[float, float]:
        """What arrives at the wheels of (steering, acceleration); ``steer_rad`` is where the steering stands."""
        accel = driven.accel_mps2
        steer = steer_rad if self.steer_stuck else driven.steer_rad + self.steer_offset_rad
        return steer, (accel * self.brake_share if accel < 0.0 else accel) + self.drive_mps2

    def press(self, gate: CommandGate) -> None:
        """Tell the gate of the inputs that people hold."""
        gate.press("button", pressed=self.estop_pressed)
        if self.manual and not gate.manual_by:
            gate.take_over("switch")


class MockVehicle:
    """See :class:`hardware.base.VehicleInterface`.

    Parameters
    ----------
    vehicle : Vehicle
    start : tuple of float
        x, y, yaw of B in W and speed.
    faults : FaultSwitches, optional
    tracks : tuple of Track
        What ``perceive`` answers; assign ``tracks`` to change it.
    """

    def __init__(
        self,
        vehicle: Vehicle,
        start: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
        *,
        faults: FaultSwitches | None = None,
        tracks: tuple[Track, ...] = (),
    ) -> None:
        self.faults = faults or FaultSwitches()
        self.tracks = tracks
        self.gate = CommandGate(vehicle)
        self._vehicle = vehicle
        self._x, self._y, self._yaw, self._speed = start
        self._steer = 0.0
        self._now_ns: int | None = None
        self._estimate: VehicleState | None = None

    @property
    def lifecycle(self) -> Lifecycle:
        return self.gate.lifecycle

    def read(self, now_ns: int) -> VehicleState:
        self._pass_time(now_ns)
        faults = self.faults
        if faults.localisation_frozen and self._estimate is not None:
            return self._estimate
        driven, sensors = self.gate.driven, self._vehicle.sensors
        self._steer, accel = faults.reaches(driven, self._steer)
        accel = accel if self._speed > 0.0 or accel > 0.0 else 0.0
        x = math.nan if faults.localisation_nan else self._x + faults.position_bias_x_m
        self._estimate = VehicleState(
            now_ns, x, self._y + faults.position_bias_y_m,
            math.remainder(self._yaw + faults.yaw_bias_rad, 2.0 * math.pi), self._speed, accel, self._steer,
            sensors.position_std_m + faults.localisation_std_m, sensors.yaw_std_rad, faults.health,
        )  # fmt: skip
        return self._estimate

    def perceive(self, now_ns: int) -> tuple[Track, ...]:
        self._pass_time(now_ns)
        return () if self.faults.perception_lost else self.tracks

    def vitals(self, now_ns: int) -> Vitals:
        self._pass_time(now_ns)
        return self.faults.vitals(now_ns)

    def write(self, command: Command, now_ns: int) -> Applied:
        self._pass_time(now_ns)
        return self.gate.submit(command, now_ns, self._speed)

    def estop(self, reason: str) -> None:
        self.gate.estop(reason)

    def reset(self, operator: str) -> bool:
        return self.gate.reset(operator, self._speed)

    def capabilities(self) -> Capabilities:
        return Capabilities("mock", True, False, self._vehicle.sensors.perception_range_m, 0.001)

    def shove(self, left_m: float) -> None:
        """A gust, or a pothole: the body is ``left_m`` farther to its left, and the localisation sees it."""
        self._x -= left_m * math.sin(self._yaw)
        self._y += left_m * math.cos(self._yaw)

    @property
    def truth(self) -> tuple[float, float, float, float]:
        """x, y, yaw of B in W and speed, whatever the localisation says."""
        return self._x, self._y, self._yaw, self._speed

    def _pass_time(self, now_ns: int) -> None:
        """Drive exactly what is at the actuators, up to each moment at which the watchdog may change it."""
        if self._now_ns is None:
            self._now_ns = now_ns
        if now_ns < self._now_ns:
            raise HardwareError(f"time went back from {self._now_ns} ns to {now_ns} ns")
        self.faults.press(self.gate)
        while self._now_ns < now_ns:
            step_ns = min(now_ns - self._now_ns, 10_000_000)
            self._integrate(step_ns * 1e-9)
            self._now_ns += step_ns
            self.gate.watch(self._now_ns)
        self.gate.watch(now_ns)

    def _integrate(self, dt_s: float) -> None:
        self._steer, accel = self.faults.reaches(self.gate.driven, self._steer)
        after = max(0.0, self._speed + accel * dt_s)
        way = 0.5 * (self._speed + after) * dt_s
        if after == 0.0 and accel < 0.0:
            way = -0.5 * self._speed * self._speed / accel
        turn = way * math.tan(self._steer) / self._vehicle.body.wheelbase_m
        self._x += way * math.cos(self._yaw + 0.5 * turn)
        self._y += way * math.sin(self._yaw + 0.5 * turn)
        self._yaw, self._speed = self._yaw + turn, after
