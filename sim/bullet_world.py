"""The physics world: rigid cars in PyBullet, carried and driven by the forces of one compiled kernel per step.

The only module that imports pybullet. ``docs/reference/vehicle-model.md`` gives the model and its validation.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError, HardwareError
from hardware.vehicle import Vehicle
from sim._vehicle import (
    GRAVITY_MPS2,
    PARAM_COUNT,
    STEP_S_MAX,
    clearance_m,
    com_height_m,
    inertia_kgm2,
    physics_row,
    rear_axle_states,
    vehicle_wrenches,
)
from sim.bodies import check_start, convex_outline, lowest_free, step_count
from sim.quiet import quiet
from sim.world import Contact, Truth

Floats = npt.NDArray[np.float64]

_PACK = struct.Struct("13d")
_OBSTACLE_HEIGHT_M = 3.0
_WORLD_FRAME = 2  # pybullet.WORLD_FRAME
_GROUND = -2
"""What the ground is called in the table of bodies; obstacles are -1, as in ``Contact``."""


def _pybullet() -> Any:
    try:
        with quiet():
            return import_module("pybullet")
    except ImportError as error:
        raise ConfigError(
            "pybullet is not installed: pip install pybullet (wheels exist for Python 3.10 and 3.11),"
            " or run with --world kinematic"
        ) from error


@dataclass(slots=True)
class _Car:
    """What a slot holds. ``state`` is the last truth row; actuators live in the world's arrays."""

    body_id: int
    param: list[float]
    actuator: list[float]
    state: list[float]


class BulletWorld:
    """See :class:`sim.world.World`. A pybullet server of its own, in this process, without graphics.

    Time advances in equal steps of at most ``step_s`` that add up to each duration exactly. Building the
    same world twice gives bit-equal runs.
    """

    name = "bullet"

    def __init__(self) -> None:
        self._p = _pybullet()
        self.step_s = STEP_S_MAX
        self._client: int = self._p.connect(self._p.DIRECT)
        self._time_ns = 0
        self._cars: dict[int, _Car] = {}
        self._commands: dict[int, tuple[float, float, float]] = {}
        self._slot_of_body: dict[int, int] = {}
        self._order: list[int] = []
        self._actuator, self._state = np.zeros((0, 2)), np.zeros((0, 6))
        self._corner = np.zeros((5, 9))
        p, client = self._p, self._client
        p.setGravity(0.0, 0.0, -GRAVITY_MPS2, physicsClientId=client)
        p.setPhysicsEngineParameter(deterministicOverlappingPairs=1, physicsClientId=client)
        plane = p.createCollisionShape(p.GEOM_PLANE, physicsClientId=client)
        ground = p.createMultiBody(0.0, plane, physicsClientId=client)
        self._slot_of_body[ground] = _GROUND
        self._rebuild()

    def add(
        self, vehicle: Vehicle, x_m: float, y_m: float, yaw_rad: float, speed_mps: float, steer_rad: float = 0.0
    ) -> int:
        check_start(x_m, y_m, yaw_rad, speed_mps)
        self._save_actuators()
        slot = lowest_free(self._cars)
        turning_radps = speed_mps * math.tan(steer_rad) / vehicle.body.wheelbase_m
        body_id = self._create(vehicle, x_m, y_m, yaw_rad, speed_mps, turning_radps)
        start = [x_m, y_m, math.remainder(yaw_rad, 2.0 * math.pi), speed_mps, 0.0, steer_rad]
        self._cars[slot] = _Car(body_id, physics_row(vehicle), [steer_rad, 0.0], start)
        self._commands[slot] = (steer_rad, 0.0, 1.0)
        self._slot_of_body[body_id] = slot
        self._rebuild()
        return slot

    def _create(
        self, vehicle: Vehicle, x_m: float, y_m: float, yaw_rad: float, speed_mps: float, turning_radps: float
    ) -> int:
        """A box whose frame is the centre of mass, midway between the axles; its outline is the file's."""
        p, client, body = self._p, self._client, vehicle.body
        height, clearance = com_height_m(vehicle), clearance_m(vehicle)
        ahead = 0.5 * body.wheelbase_m
        shape = p.createCollisionShape(
            p.GEOM_BOX,
            halfExtents=[0.5 * body.length_m, 0.5 * body.width_m, 0.5 * (body.height_m - clearance)],
            collisionFramePosition=[
                0.5 * body.length_m - body.rear_overhang_m - ahead, 0.0, 0.5 * (body.height_m + clearance) - height,
            ],
            physicsClientId=client,
        )  # fmt: skip
        cos_yaw, sin_yaw = math.cos(yaw_rad), math.sin(yaw_rad)
        body_id: int = p.createMultiBody(
            body.mass_kg,
            shape,
            basePosition=[x_m + ahead * cos_yaw, y_m + ahead * sin_yaw, height],
            baseOrientation=[0.0, 0.0, math.sin(0.5 * yaw_rad), math.cos(0.5 * yaw_rad)],
            useMaximalCoordinates=1,  # a plain rigid body: half the cost of a multi-body without links
            physicsClientId=client,
        )
        p.changeDynamics(
            body_id, -1, mass=body.mass_kg, localInertiaDiagonal=inertia_kgm2(vehicle), linearDamping=0.0,
            angularDamping=0.0, restitution=0.0, lateralFriction=0.5,
            activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING, physicsClientId=client,
        )  # fmt: skip
        across = ahead * turning_radps
        velocity = [speed_mps * cos_yaw - across * sin_yaw, speed_mps * sin_yaw + across * cos_yaw, 0.0]
        p.resetBaseVelocity(body_id, velocity, [0.0, 0.0, turning_radps], physicsClientId=client)
        return body_id

    def remove(self, slot: int) -> None:
        car = self._car(slot)
        self._save_actuators()
        self._p.removeBody(car.body_id, physicsClientId=self._client)
        del self._cars[slot], self._commands[slot], self._slot_of_body[car.body_id]
        self._rebuild()

    def add_obstacle(self, outline: Floats) -> None:
        points = convex_outline(outline)
        p, client = self._p, self._client
        middle = points.mean(axis=0)
        vertices = [[x, y, z] for z in (0.0, _OBSTACLE_HEIGHT_M) for x, y in (points - middle).tolist()]
        shape = p.createCollisionShape(p.GEOM_MESH, vertices=vertices, physicsClientId=client)
        body_id: int = p.createMultiBody(0.0, shape, basePosition=[*middle.tolist(), 0.0], physicsClientId=client)
        self._slot_of_body[body_id] = -1

    def command(self, slot: int, steer_rad: float, accel_mps2: float, *, reverse: bool = False) -> None:
        if slot not in self._commands:
            self._car(slot)
        self._commands[slot] = (steer_rad, accel_mps2, -1.0 if reverse else 1.0)

    def advance(self, duration_s: float) -> tuple[Contact, ...]:
        count = step_count(duration_s, self.step_s)
        dt = duration_s / count
        self._take_commands()
        p, client = self._p, self._client
        p.setTimeStep(dt, physicsClientId=client)
        touching: dict[tuple[int, int], Contact] = {}
        start_s = self._time_ns * 1e-9
        for k in range(count):
            self._push(dt)
            p.stepSimulation(client)
            self._fetch()
            points = p.getContactPoints(physicsClientId=client)
            if points:
                # Bullet finds contacts where the bodies are before it moves them.
                self._note(points, start_s + k * dt, touching)
        self._time_ns += round(duration_s * 1e9)
        self._measure(duration_s)
        return tuple(touching.values())

    def truth(self) -> Truth:
        return Truth(self._time_ns * 1e-9, self._slots.copy(), self._state.copy())

    def close(self) -> None:
        if self._client >= 0:
            self._p.disconnect(physicsClientId=self._client)
            self._client = -1

    def _push(self, dt: float) -> None:
        """Call the kernel on where the bodies are and apply its wrenches."""
        p, client = self._p, self._client
        vehicle_wrenches(self._body, self._command, self._param, dt, self._actuator, self._corner, self._wrench)
        force, torque = p.applyExternalForce, p.applyExternalTorque
        for body_id, place, row in zip(self._ids, self._places, self._wrench.tolist(), strict=True):
            force(body_id, -1, row[:3], place, _WORLD_FRAME, client)
            torque(body_id, -1, row[3:], _WORLD_FRAME, client)

    def _fetch(self) -> None:
        """Read where all bodies are. The hot loop: locals, and bytes written past numpy's item assignment."""
        client, buffer, places = self._client, self._buffer, []
        pose, velocity, pack = self._p.getBasePositionAndOrientation, self._p.getBaseVelocity, _PACK.pack_into
        offset = 0
        for body_id in self._ids:
            place, turn = pose(body_id, client)
            speed, spin = velocity(body_id, client)
            pack(buffer, offset, *place, *turn, *speed, *spin)
            places.append(place)
            offset += _PACK.size
        self._places = places

    def _measure(self, duration_s: float) -> None:
        """Bring the truth up to date; acceleration is the change of speed over the whole duration."""
        before = self._state[:, 3].copy()
        rear_axle_states(self._body, self._param, self._actuator, self._state)
        self._state[:, 4] = (self._state[:, 3] - before) / duration_s

    def _note(self, points: Any, time_s: float, touching: dict[tuple[int, int], Contact]) -> None:
        """Keep the first time and the greatest depth of each touching pair; wheels and ground do not count."""
        for point in points:
            depth, pair = -point[8], (point[1], point[2])
            a, b = self._slot_of_body[pair[0]], self._slot_of_body[pair[1]]
            if depth < 0.0 or _GROUND in (a, b):
                continue
            if a < 0 or 0 <= b < a:
                a, b = b, a
            known = touching.get(pair)
            if known is None:
                touching[pair] = Contact(time_s, a, b, depth)
            elif depth > known.depth_m:
                touching[pair] = Contact(known.time_s, a, b, depth)

    def _car(self, slot: int) -> _Car:
        if slot not in self._cars:
            raise HardwareError(f"slot {slot} holds no body; taken: {sorted(self._cars)}")
        return self._cars[slot]

    def _take_commands(self) -> None:
        wanted = [self._commands[slot] for slot in self._order]
        self._command[:] = np.array(wanted, dtype=np.float64).reshape(-1, 3)
        if not np.isfinite(self._command).all():
            bad = next(s for s in self._order if not all(map(math.isfinite, self._commands[s])))
            raise HardwareError(f"slot {bad} was commanded {self._commands[bad]}: not finite")

    def _save_actuators(self) -> None:
        """Put what the arrays know back into the cars, before the arrays are laid out anew."""
        for slot, actuator, state in zip(self._order, self._actuator.tolist(), self._state.tolist(), strict=True):
            self._cars[slot].actuator, self._cars[slot].state = actuator, state

    def _rebuild(self) -> None:
        """Lay the arrays out for the cars present, in ascending slot order."""
        self._order = sorted(self._cars)
        cars = [self._cars[slot] for slot in self._order]
        count = len(cars)
        self._ids = [car.body_id for car in cars]
        self._slots = np.array(self._order, dtype=np.int64)
        self._param = np.array([car.param for car in cars], dtype=np.float64).reshape(count, PARAM_COUNT)
        self._actuator = np.array([car.actuator for car in cars], dtype=np.float64).reshape(count, 2)
        self._state = np.array([car.state for car in cars], dtype=np.float64).reshape(count, 6)
        self._body, self._wrench, self._command = np.zeros((count, 13)), np.zeros((count, 6)), np.zeros((count, 3))
        self._buffer = self._body.data.cast("B") if count else memoryview(bytearray())
        self._fetch()
