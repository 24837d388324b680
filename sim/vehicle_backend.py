"""A body of a world behind the hardware interface: the backend ``sim``.

One :class:`SensorSuite` per world fetches the truth once per tick for all its vehicles. What a node reads
is an estimate: localisation has a slowly varying bias, as satellite and lidar localisation have, not
white noise that a filter would remove.
"""

from __future__ import annotations

import math
from binascii import crc32

import numpy as np

from fleet.errors import HardwareError
from hardware.base import Applied, Capabilities, Command, Lifecycle, Track, VehicleState, Vitals
from hardware.gate import CommandGate
from hardware.mock import FaultSwitches
from hardware.vehicle import Vehicle
from sim.perception import Perception
from sim.world import World

BIAS_TIME_S = 5.0
"""Correlation time of the localisation's bias."""
_DRAWS = 64


class SensorSuite:
    """Truth of the present tick, shared by all simulated vehicles of one world, and their perception.

    Call :meth:`attach` for every body that others can see, :meth:`detach` before it is removed, and
    :meth:`tick` once after each advance of the world (a vehicle's ``read`` does it too).
    """

    def __init__(self, world: World, *, seed: int = 0, perception_period_s: float = 0.1) -> None:
        self.world, self.seed = world, seed
        self._perception = Perception(seed=seed, period_s=perception_period_s)
        self._drivers: dict[int, SimVehicle] = {}
        self._rows: dict[int, list[float]] = {}
        self._now_ns = -1

    def attach(self, slot: int, vehicle: Vehicle) -> None:
        """A body that others perceive, driven through a :class:`SimVehicle` or not."""
        self._perception.attach(slot, vehicle)
        self._now_ns = -1

    def detach(self, slot: int) -> None:
        self._perception.detach(slot)
        self._drivers.pop(slot, None)
        self._rows.pop(slot, None)

    def drive(self, slot: int, driver: SimVehicle) -> None:
        """``driver`` commands the body in ``slot``; its watchdog runs at every tick from now on."""
        self._drivers[slot] = driver

    def tick(self, now_ns: int) -> None:
        """Bring the truth up to ``now_ns`` and run every vehicle's watchdog; a second call does nothing."""
        if now_ns == self._now_ns:
            return
        self._now_ns = now_ns
        truth = self.world.truth()
        self._rows = dict(zip(truth.slots.tolist(), truth.state.tolist(), strict=True))
        self._perception.offer(truth, now_ns)
        for driver in self._drivers.values():
            driver.watch(now_ns)

    def row(self, slot: int) -> list[float]:
        """x, y, yaw, speed, acceleration, steering of the body at the present tick."""
        row = self._rows.get(slot)
        if row is None:
            raise HardwareError(f"slot {slot} holds no body at this tick; present: {sorted(self._rows)}")
        return row

    def tracks(self, slot: int) -> tuple[Track, ...]:
        return self._perception.tracks(slot)


class SimVehicle:
    """See :class:`hardware.base.VehicleInterface`; ``gate`` has the lifecycle's verbs.

    Parameters
    ----------
    suite : SensorSuite
        Of the world; ``slot`` must be attached to it.
    slot : int
    vehicle : Vehicle
    name : str
        Seeds this vehicle's localisation together with the suite's seed.
    faults : FaultSwitches, optional
    steer_rad : float
        Where the steering stands at the start.
    """

    def __init__(
        self,
        suite: SensorSuite,
        slot: int,
        vehicle: Vehicle,
        *,
        name: str,
        faults: FaultSwitches | None = None,
        steer_rad: float = 0.0,
    ) -> None:
        self.faults = faults or FaultSwitches()
        self.gate = CommandGate(vehicle, steer_rad)
        self._suite, self._slot, self._vehicle = suite, slot, vehicle
        key = np.array([suite.seed & 0xFFFFFFFFFFFFFFFF, crc32(name.encode())], dtype=np.uint64)
        self._generator = np.random.Generator(np.random.Philox(key=key))
        self._draws: list[list[float]] = []
        sensors = vehicle.sensors
        self._position_std, self._yaw_std = sensors.position_std_m, sensors.yaw_std_rad
        self._speed_std = sensors.speed_std_mps
        x, y, yaw, _ = self._draw()
        self._bias = (self._position_std * x, self._position_std * y, self._yaw_std * yaw)
        self._elapsed_ns, self._keep, self._fresh = 0, 1.0, 0.0
        self._estimate: VehicleState | None = None
        self._sent: Applied | None = None
        self._steer = steer_rad
        suite.drive(slot, self)
        self._send()

    @property
    def lifecycle(self) -> Lifecycle:
        return self.gate.lifecycle

    def read(self, now_ns: int) -> VehicleState:
        suite, faults, last = self._suite, self.faults, self._estimate
        suite.tick(now_ns)
        if last is not None and (last.stamp_ns == now_ns or faults.localisation_frozen):
            return last
        x, y, yaw, speed, accel, steer = suite.row(self._slot)
        bias_x, bias_y, bias_yaw, noise = self._wander(0 if last is None else now_ns - last.stamp_ns)
        # Wheel sensors know a standstill for sure.
        speed += self._speed_std * min(1.0, 2.0 * abs(speed)) * noise
        heading = yaw + bias_yaw + faults.yaw_bias_rad
        if not -math.pi < heading <= math.pi:
            heading = math.remainder(heading, 2.0 * math.pi)
        if faults.localisation_nan:
            x = math.nan
        self._estimate = VehicleState(
            now_ns, x + bias_x + faults.position_bias_x_m, y + bias_y + faults.position_bias_y_m, heading, speed, accel,
            steer, self._position_std + faults.localisation_std_m, self._yaw_std, faults.health,
        )  # fmt: skip
        return self._estimate

    def perceive(self, now_ns: int) -> tuple[Track, ...]:
        self._suite.tick(now_ns)
        return () if self.faults.perception_lost else self._suite.tracks(self._slot)

    def vitals(self, now_ns: int) -> Vitals:
        return self.faults.vitals(now_ns)

    def write(self, command: Command, now_ns: int) -> Applied:
        self._suite.tick(now_ns)
        answer = self.gate.submit(command, now_ns, self._suite.row(self._slot)[3])
        self._send()
        return answer

    def watch(self, now_ns: int) -> None:
        """Let the watchdog act; the suite calls it at every tick, also when the node is dead."""
        self.faults.press(self.gate)
        self.gate.watch(now_ns)
        self._send()

    def estop(self, reason: str) -> None:
        self.gate.estop(reason)
        self._send()

    def reset(self, operator: str) -> bool:
        cleared = self.gate.reset(operator, self._suite.row(self._slot)[3])
        self._send()
        return cleared

    def capabilities(self) -> Capabilities:
        return Capabilities("sim", True, True, self._vehicle.sensors.perception_range_m, self._suite.world.step_s)

    def _send(self) -> None:
        driven = self.gate.driven
        if driven is not self._sent:
            self._sent = driven
            self._steer, accel = self.faults.reaches(driven, self._steer)
            self._suite.world.command(self._slot, self._steer, accel, reverse=driven.reverse)

    def _draw(self) -> list[float]:
        """Four standard normal numbers."""
        if not self._draws:
            self._draws = self._generator.standard_normal((_DRAWS, 4)).tolist()
        return self._draws.pop()

    def _wander(self, elapsed_ns: int) -> tuple[float, float, float, float]:
        """First-order Gauss-Markov step of the localisation's bias, whose variance is stationary, and one more draw."""
        if elapsed_ns != self._elapsed_ns:
            self._elapsed_ns = elapsed_ns
            self._keep = math.exp(-elapsed_ns * 1e-9 / BIAS_TIME_S)
            self._fresh = math.sqrt(1.0 - self._keep * self._keep)
        keep, fresh, std = self._keep, self._fresh, self._position_std
        one, two, three, four = self._draw()
        x, y, yaw = self._bias
        x, y = keep * x + fresh * std * one, keep * y + fresh * std * two
        yaw = keep * yaw + fresh * self._yaw_std * three
        self._bias = (x, y, yaw)
        return x, y, yaw, four
