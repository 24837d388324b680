"""A car as an articulated PyBullet body: chassis, two steering hinges, four wheels that roll on the ground.

The reference for the physics world: its forces come from rigid wheels in frictional contact, driven by
joint motors, and share nothing with the compiled kernel.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hardware.vehicle import Vehicle

STEP_S = 1.0 / 480.0
WHEEL_KG = 12.0
WHEEL_ROLL_KGM2 = 0.6
_WHEEL = """<link name="{name}"><inertial><mass value="12"/>
<inertia ixx="0.5" iyy="0.6" izz="0.5" ixy="0" ixz="0" iyz="0"/>
</inertial><collision><geometry><sphere radius="{radius}"/></geometry></collision></link>
<joint name="{name}_roll" type="continuous"><parent link="{parent}"/><child link="{name}"/><origin xyz="{x} {y} {z}"/>
<axis xyz="0 1 0"/></joint>"""
_KNUCKLE = """<link name="{name}"><inertial><mass value="3"/>
<inertia ixx="0.3" iyy="0.3" izz="0.3" ixy="0" ixz="0" iyz="0"/>
</inertial></link>
<joint name="{name}_turn" type="revolute"><parent link="chassis"/><child link="{name}"/><origin xyz="{x} {y} {z}"/>
<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1e5" velocity="100"/></joint>"""


def _urdf(vehicle: Vehicle) -> str:
    body = vehicle.body
    x2, y2, z2 = body.length_m**2, body.width_m**2, body.height_m**2
    mass = body.mass_kg - 4 * WHEEL_KG - 6.0
    roll, pitch, yaw = mass / 12 * (y2 + z2), mass / 12 * (x2 + z2), mass / 12 * (x2 + y2)
    base, half, low = 0.5 * body.wheelbase_m, 0.5 * body.track_width_m, body.wheel_radius_m - body.com_height_m
    parts = [
        f'<robot name="car"><link name="chassis"><inertial><mass value="{mass}"/><inertia ixx="{roll}" iyy="{pitch}"'
        f' izz="{yaw}" ixy="0" ixz="0" iyz="0"/></inertial></link>'
    ]
    for side, y in (("left", half), ("right", -half)):
        parts.append(_KNUCKLE.format(name=f"knuckle_{side}", x=base, y=y, z=low))
        front = {"name": f"front_{side}", "parent": f"knuckle_{side}", "x": 0, "y": 0, "z": 0}
        rear = {"name": f"rear_{side}", "parent": "chassis", "x": -base, "y": y, "z": low}
        parts += [_WHEEL.format(radius=body.wheel_radius_m, **place) for place in (front, rear)]
    return "\n".join(parts) + "</robot>"


class ArticulatedCar:
    """One car alone in a pybullet server, B at the origin, heading along x; ``folder`` takes its URDF."""

    def __init__(self, pybullet: Any, vehicle: Vehicle, speed_mps: float, folder: Path) -> None:
        self.p, self.vehicle = pybullet, vehicle
        self.client = pybullet.connect(pybullet.DIRECT)
        p, body, one = pybullet, vehicle.body, self.client
        p.setGravity(0, 0, -9.81, physicsClientId=one)
        p.setPhysicsEngineParameter(fixedTimeStep=STEP_S, numSolverIterations=100, physicsClientId=one)
        ground = p.createMultiBody(0, p.createCollisionShape(p.GEOM_PLANE, physicsClientId=one), physicsClientId=one)
        p.changeDynamics(ground, -1, lateralFriction=1.0, physicsClientId=one)
        path = folder / "car.urdf"
        path.write_text(_urdf(vehicle), encoding="utf-8")
        self.car = p.loadURDF(
            str(path), [0.5 * body.wheelbase_m, 0, body.com_height_m], flags=p.URDF_USE_INERTIA_FROM_FILE,
            physicsClientId=one,
        )  # fmt: skip
        names = [p.getJointInfo(self.car, k, physicsClientId=one)[1].decode() for k in range(6)]
        self.knuckles = [names.index("knuckle_left_turn"), names.index("knuckle_right_turn")]
        self.wheels = [k for k, name in enumerate(names) if name.endswith("_roll")]
        for link in range(-1, 6):
            p.changeDynamics(
                self.car, link, lateralFriction=vehicle.tyres.friction, linearDamping=0, angularDamping=0,
                jointDamping=0.0, maxJointVelocity=1e3, rollingFriction=0.0, spinningFriction=0.0, physicsClientId=one,
            )  # fmt: skip
        omega = 2.0 * math.pi * vehicle.suspension.ride_hz
        spring = 0.25 * body.mass_kg * omega**2
        damper = 0.5 * vehicle.suspension.damping_ratio * body.mass_kg * omega
        for wheel in self.wheels:
            # A soft tyre stands in for the suspension, without which a wheel loses its load now and then.
            p.changeDynamics(self.car, wheel, contactStiffness=spring, contactDamping=damper, physicsClientId=one)
            p.setJointMotorControl2(self.car, wheel, p.VELOCITY_CONTROL, force=0.0, physicsClientId=one)
            p.resetJointState(self.car, wheel, 0.0, speed_mps / body.wheel_radius_m, physicsClientId=one)
        p.resetBaseVelocity(self.car, [speed_mps, 0, 0], [0, 0, 0], physicsClientId=one)

    def step(self, steer_rad: float, accel_mps2: float) -> None:
        """One step with the actual steering angle and acceleration (no lag: the caller brings the lagged ones)."""
        p, one, body = self.p, self.client, self.vehicle.body
        tangent = math.tan(steer_rad)
        for knuckle, side in zip(self.knuckles, (0.5, -0.5), strict=True):
            angle = math.atan(tangent / (1.0 - side * body.track_width_m * tangent / body.wheelbase_m))
            p.setJointMotorControl2(
                self.car, knuckle, p.POSITION_CONTROL, targetPosition=angle, force=2e4, positionGain=0.4,
                physicsClientId=one,
            )  # fmt: skip
        # Spinning the wheels up takes torque too, which a drive that tracks acceleration makes up for.
        inert_kg = body.mass_kg + 4.0 * WHEEL_ROLL_KGM2 / body.wheel_radius_m**2
        torque = inert_kg * accel_mps2 * body.wheel_radius_m / 4.0
        for wheel in self.wheels:
            p.setJointMotorControl2(self.car, wheel, p.TORQUE_CONTROL, force=torque, physicsClientId=one)
        p.stepSimulation(one)

    def rear_axle(self) -> tuple[float, float, float, float]:
        """x, y, yaw of B and speed along it."""
        (x, y, _), turn = self.p.getBasePositionAndOrientation(self.car, self.client)
        velocity, spin = self.p.getBaseVelocity(self.car, self.client)
        yaw = self.p.getEulerFromQuaternion(turn)[2]
        c, s, back = math.cos(yaw), math.sin(yaw), 0.5 * self.vehicle.body.wheelbase_m
        speed = (velocity[0] + back * s * spin[2]) * c + (velocity[1] - back * c * spin[2]) * s
        return x - back * c, y - back * s, yaw, speed

    def close(self) -> None:
        self.p.disconnect(self.client)
