"""The kinematic world: bicycles without mass for large counts, behind the same interface as the physics world."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fleet.errors import HardwareError
from hardware.vehicle import Vehicle
from sim._kinematic import PARAM_COUNT, kinematic_advance, kinematic_row
from sim.bodies import check_start, convex_outline, lowest_free, step_count
from sim.world import Contact, Truth

Floats = npt.NDArray[np.float64]


class KinematicWorld:
    """See :class:`sim.world.World`. Bodies that overlap are reported and drive on through each other.

    Time advances in equal steps of at most ``step_s`` that add up to each duration exactly.
    """

    name = "kinematic"

    def __init__(self) -> None:
        self.step_s = 0.0125
        self._time_ns = 0
        self._bodies: dict[int, list[float]] = {}
        """The kernel's parameters of each slot."""
        self._commands: dict[int, tuple[float, float, float]] = {}
        self._obstacles: list[Floats] = []
        self._present: list[int] = []
        self._state, self._accel = np.zeros((0, 6)), np.zeros(0)
        self._rebuild()

    def add(
        self, vehicle: Vehicle, x_m: float, y_m: float, yaw_rad: float, speed_mps: float, steer_rad: float = 0.0
    ) -> int:
        check_start(x_m, y_m, yaw_rad, speed_mps)
        slot = lowest_free(self._bodies)
        self._bodies[slot] = kinematic_row(vehicle)
        self._commands[slot] = (steer_rad, 0.0, 1.0)
        self._rebuild((x_m, y_m, math.remainder(yaw_rad, 2.0 * math.pi), speed_mps, 0.0, steer_rad))
        return slot

    def remove(self, slot: int) -> None:
        self._check(slot)
        del self._bodies[slot], self._commands[slot]
        self._rebuild()

    def add_obstacle(self, outline: Floats) -> None:
        self._obstacles.append(convex_outline(outline))
        self._rebuild()

    def command(self, slot: int, steer_rad: float, accel_mps2: float, *, reverse: bool = False) -> None:
        if slot not in self._commands:
            self._check(slot)
        self._commands[slot] = (steer_rad, accel_mps2, -1.0 if reverse else 1.0)

    def advance(self, duration_s: float) -> tuple[Contact, ...]:
        count = step_count(duration_s, self.step_s)
        self._take_commands()
        before = self._state[:, 3].copy()
        found = kinematic_advance(
            self._state, self._command, self._param, duration_s / count, count, self._corner, self._first,
            self._box, self._outline, self._order, self._contact,
        )  # fmt: skip
        start_s = self._time_ns * 1e-9
        self._time_ns += round(duration_s * 1e9)
        self._accel = (self._state[:, 3] - before) / duration_s
        return tuple(self._contact_of(row, start_s) for row in self._contact[:found].tolist())

    def truth(self) -> Truth:
        state = self._state.copy()
        state[:, 4] = self._accel
        return Truth(self._time_ns * 1e-9, self._slots.copy(), state)

    def close(self) -> None:
        """Nothing is held open."""

    def _contact_of(self, row: list[float], start_s: float) -> Contact:
        a, b = int(row[1]), int(row[2])
        return Contact(start_s + row[0], self._present[a], self._present[b] if b >= 0 else -1, row[3])

    def _check(self, slot: int) -> None:
        if slot not in self._bodies:
            raise HardwareError(f"slot {slot} holds no body; taken: {sorted(self._bodies)}")

    def _take_commands(self) -> None:
        wanted = [self._commands[slot] for slot in self._present]
        self._command[:] = np.array(wanted, dtype=np.float64).reshape(-1, 3)
        if not np.isfinite(self._command).all():
            bad = next(s for s in self._present if not all(map(math.isfinite, self._commands[s])))
            raise HardwareError(f"slot {bad} was commanded {self._commands[bad]}: not finite")

    def _rebuild(self, newcomer: tuple[float, ...] = ()) -> None:
        """Lay the arrays out for what is present, in ascending slot order; the slot not known yet is the newcomer."""
        states = dict(zip(self._present, zip(self._state.tolist(), self._accel.tolist(), strict=True), strict=True))
        self._present = sorted(self._bodies)
        count = len(self._present)
        kept = [states.get(slot, (list(newcomer), 0.0)) for slot in self._present]
        self._state = np.array([state for state, _ in kept], dtype=np.float64).reshape(count, 6)
        self._accel = np.array([accel for _, accel in kept], dtype=np.float64)
        self._slots = np.array(self._present, dtype=np.int64)
        params = [self._bodies[slot] for slot in self._present]
        self._param = np.array(params, dtype=np.float64).reshape(count, PARAM_COUNT)
        self._command, self._outline = np.zeros((count, 3)), np.zeros((count, 6))
        self._order = np.arange(count, dtype=np.int64)
        obstacles = self._obstacles
        self._corner = np.concatenate(obstacles) if obstacles else np.zeros((0, 2))
        self._first = np.cumsum([0] + [len(points) for points in obstacles], dtype=np.int64)
        boxes = [np.concatenate((points.min(axis=0), points.max(axis=0))) for points in obstacles]
        self._box = np.array(boxes, dtype=np.float64).reshape(len(obstacles), 4)
        # Room for every pair, so that no contact can be lost.
        self._contact = np.zeros((count * (count - 1) // 2 + count * len(obstacles), 4))
