"""Compiled kernel of the physics world: actuators, suspension and tyres of all cars, one call per step.

Theory of operation. A car is one rigid body that floats on four massless suspension struts, as in a
raycast vehicle. For each corner the kernel takes the body-fixed point that touches the ground at rest:

1. its depth below the plane z = 0 and its vertical speed give the vertical load F_z (linear spring,
   damper and anti-roll bar around the static load, never negative), so load transfer emerges;
2. its horizontal speed gives the slip angle; the lateral force is Fiala's brush model (Pacejka, *Tire
   and Vehicle Dynamics*, 3rd ed., section 3.2), cornering stiffness proportional to F_z;
3. the longitudinal force is the corner's share, by load, of mass times actual acceleration (all-wheel
   drive with ideal brake distribution);
4. both are scaled back onto the friction circle mu F_z.

Because the roll axis lies on the ground, body roll causes no slip. There is no rolling or air drag: a
real power train's own controller makes up for them, and so set-points would hide them anyway.

Explicit integration bounds how stiff a contact may be. Slip is therefore computed with a speed of at
least ``v_reg``, and brakes never push harder than stops the contact within about one step, which is
also what holds a car at standstill without creep or chatter.

Symbols: h height of the centre of mass, L wheelbase, a and b its distance to the front and rear axle,
m mass, g gravity, v speed, t track width.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.vehicle import Vehicle
from planners._jit import kernel

Floats = npt.NDArray[np.float64]

GRAVITY_MPS2 = 9.81
STEP_S_MAX = 1.0 / 240.0
"""Longest internal step; regularisation is derived for it, so shorter ones are stable too."""
HOLD_MPS = 0.02
"""Below this speed, with no acceleration wanted, the brakes hold."""
HOLD_MPS2 = 3.0
_STABILITY = 0.8
"""Change of contact speed per step, as a fraction of what would stop it; 2 is unstable, 1 is monotone."""

MASS, BASE, HALF_TRACK, COM_HEIGHT, TO_FRONT, TO_REAR, SPRING, DAMPER, BAR, BAR_DAMPER = range(10)
FRICTION, STIFF_FRONT, STIFF_REAR, V_REG, STOP_RATE, STEER_LAG, ACCEL_LAG, STEER_MAX, STEER_RATE = range(10, 19)
PARAM_COUNT = 19


def com_height_m(vehicle: Vehicle) -> float:
    """Height of the centre of mass that the physics uses, m.

    Bodies that balance by leaning (motorcycles) are modelled with four wheels and an upright body; the
    height is lowered where needed so that they tip over only beyond twice their lateral limit.
    """
    body = vehicle.body
    return min(body.com_height_m, 0.25 * body.track_width_m * GRAVITY_MPS2 / vehicle.limits.lateral_accel_mps2_max)


def clearance_m(vehicle: Vehicle) -> float:
    """Ground clearance of the collision box, m: half a wheel radius."""
    return min(0.5 * vehicle.body.wheel_radius_m, 0.5 * vehicle.body.height_m)


def inertia_kgm2(vehicle: Vehicle) -> tuple[float, float, float]:
    """Principal inertia (roll, pitch, yaw) of a homogeneous box with the vehicle's dimensions, kg m^2."""
    body = vehicle.body
    x2, y2, z2 = body.length_m**2, body.width_m**2, body.height_m**2
    unit = body.mass_kg / 12.0
    return unit * (y2 + z2), unit * (x2 + z2), unit * (x2 + y2)


def physics_row(vehicle: Vehicle) -> list[float]:
    """One row of the kernel's parameters, in the order of the constants above.

    The centre of mass is midway between the axles. The ride frequency is raised where a file's value
    would let the body touch the ground under 1 g of load transfer or pitch without bound, and an
    anti-roll bar is added where roll would exceed about 0.1 rad per g.
    """
    body, limits, tyres = vehicle.body, vehicle.limits, vehicle.tyres
    height, mass, base, track = com_height_m(vehicle), body.mass_kg, body.wheelbase_m, body.track_width_m
    omega2 = max(
        (2.0 * math.pi * vehicle.suspension.ride_hz) ** 2,
        GRAVITY_MPS2 / clearance_m(vehicle),
        32.0 * GRAVITY_MPS2 * height / base**2,
    )
    spring = 0.25 * mass * omega2
    damper = 2.0 * vehicle.suspension.damping_ratio * spring / math.sqrt(omega2)
    lacking = 11.0 * mass * GRAVITY_MPS2 * height - spring * track**2
    bar = max(0.0, lacking / track**2)
    roll, pitch, yaw = inertia_kgm2(vehicle)
    couple = max(1.0, 0.25 * base**2 * mass / yaw) + height**2 * mass / roll
    stiffest = max(tyres.cornering_stiffness_front_prad, tyres.cornering_stiffness_rear_prad)
    v_reg = stiffest * GRAVITY_MPS2 * couple * STEP_S_MAX / _STABILITY
    stop_rate = _STABILITY / STEP_S_MAX / (1.0 + height**2 * mass / pitch)
    return [
        mass, base, 0.5 * track, height, 0.5 * base, 0.5 * base, spring, damper, bar, bar * damper / spring,
        tyres.friction, tyres.cornering_stiffness_front_prad, tyres.cornering_stiffness_rear_prad, v_reg, stop_rate,
        vehicle.actuators.steer_lag_s, vehicle.actuators.accel_lag_s, limits.steer_rad_max, limits.steer_rate_radps_max,
    ]  # fmt: skip


@kernel()
def next_steer(steer: float, wanted: float, row: Floats, lag: int, dt: float) -> float:
    """First-order lag with a rate limit and mechanical stops; ``row[lag:]`` starts the actuators' parameters."""
    stop: float = row[lag + 2]
    wanted = min(stop, max(-stop, wanted))
    change = (wanted - steer) * (1.0 - math.exp(-dt / row[lag]))
    most: float = row[lag + 3] * dt
    return steer + min(most, max(-most, change))


@kernel()
def next_accel(accel: float, wanted: float, speed: float, lag_s: float, dt: float) -> float:
    """First-order lag; at standstill the brakes release at once, and no drive is left under held brakes."""
    if speed < HOLD_MPS and ((wanted > 0.0 and accel < 0.0) or (wanted <= 0.0 and accel > 0.0)):
        accel = 0.0
    return accel + (wanted - accel) * (1.0 - math.exp(-dt / lag_s))


@kernel()
def _fiala(slip: float, stiffness: float, grip: float) -> float:
    """Lateral force of the brush model for the tangent of the slip angle."""
    full = 3.0 * grip / stiffness
    size = abs(slip)
    if size >= full:
        return -math.copysign(grip, slip)
    share = size / full
    return -math.copysign(grip * share * (3.0 - 3.0 * share + share * share), slip)


@kernel()
def _rotation(q: Floats, out: Floats) -> None:
    """Rotation matrix, row by row in ``out[9]``, of the quaternion x, y, z, w."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    out[0], out[1], out[2] = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)
    out[3], out[4], out[5] = 2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)
    out[6], out[7], out[8] = 2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)


@kernel("void(float64[:,::1], float64[:,::1], float64[:,::1], float64, float64[:,::1], float64[:,::1], float64[:,::1])")
def vehicle_wrenches(
    body: Floats, command: Floats, param: Floats, dt: float, actuator: Floats, corner: Floats, wrench: Floats
) -> None:
    """Move all actuators by ``dt`` and give the wrench of suspension and tyres on each body.

    Parameters
    ----------
    body : float64 [car, 13]
        Centre of mass x, y, z in W, quaternion x, y, z, w, velocity and angular velocity in W.
    command : float64 [car, 3]
        Wanted steering angle (equivalent bicycle), rad, acceleration, m/s^2, and gear, 1 ahead or -1 backwards.
    param : float64 [car, PARAM_COUNT]
    dt : float
        s.
    actuator : float64 [car, 2]
        Actual steering angle and acceleration; moved in place.
    corner : float64 [5, 9]
        Workspace: rows 0 to 3 hold r_x, r_y, depth, v_x, v_y, v_z, load of the corners front left and
        right, rear left and right; row 4 holds the rotation matrix.
    wrench : float64 [car, 6]
        Out: force, N, and torque about the centre of mass, N m, both in W.
    """
    for i in range(body.shape[0]):
        par, state = param[i], body[i]
        matrix = corner[4]
        _rotation(state[3:7], matrix)
        mass, half, low = par[MASS], par[HALF_TRACK], -par[COM_HEIGHT]
        for k in range(4):
            along = par[TO_FRONT] if k < 2 else -par[TO_REAR]
            side = half if k % 2 == 0 else -half
            rx = matrix[0] * along + matrix[1] * side + matrix[2] * low
            ry = matrix[3] * along + matrix[4] * side + matrix[5] * low
            rz = matrix[6] * along + matrix[7] * side + matrix[8] * low
            point = corner[k]
            point[0], point[1], point[2] = rx, ry, -(state[2] + rz)
            point[3] = state[7] + state[11] * rz - state[12] * ry
            point[4] = state[8] + state[12] * rx - state[10] * rz
            point[5] = state[9] + state[10] * ry - state[11] * rx
        total = 0.0
        for k in range(4):
            point, mate = corner[k], corner[k ^ 1]
            reach = par[TO_REAR] if k < 2 else par[TO_FRONT]
            load = 0.5 * mass * GRAVITY_MPS2 * reach / par[BASE] + par[SPRING] * point[2] - par[DAMPER] * point[5]
            load += par[BAR] * (point[2] - mate[2]) - par[BAR_DAMPER] * (point[5] - mate[5])
            # A body on its side or back has no wheel on the ground.
            point[6] = max(0.0, load) if matrix[8] > 0.3 else 0.0
            total += point[6]
        size = math.hypot(matrix[0], matrix[3])
        cos_yaw, sin_yaw = (matrix[0] / size, matrix[3] / size) if size > 1e-9 else (1.0, 0.0)
        rear_x, rear_y = 0.5 * (corner[2, 3] + corner[3, 3]), 0.5 * (corner[2, 4] + corner[3, 4])
        speed = abs(rear_x * cos_yaw + rear_y * sin_yaw)
        steer = next_steer(actuator[i, 0], command[i, 0], par, STEER_LAG, dt)
        accel = next_accel(actuator[i, 1], command[i, 1], speed, par[ACCEL_LAG], dt)
        actuator[i, 0], actuator[i, 1] = steer, accel
        brake = max(0.0, -accel)
        if command[i, 1] <= 0.0 and speed < HOLD_MPS:
            brake = max(brake, HOLD_MPS2)
        tan_steer = math.tan(steer)
        fx = fy = fz = tx = ty = tz = 0.0
        for k in range(4):
            point = corner[k]
            load = point[6]
            if load <= 0.0:
                continue
            # Ackermann geometry: all wheels roll about one centre.
            tangent = tan_steer / (1.0 - (half if k % 2 == 0 else -half) * tan_steer / par[BASE]) if k < 2 else 0.0
            cos_wheel = 1.0 / math.sqrt(1.0 + tangent * tangent)
            sin_wheel = tangent * cos_wheel
            ux = cos_yaw * cos_wheel - sin_yaw * sin_wheel
            uy = sin_yaw * cos_wheel + cos_yaw * sin_wheel
            rolling = point[3] * ux + point[4] * uy
            sliding = point[4] * ux - point[3] * uy
            grip = par[FRICTION] * load
            stiffness = (par[STIFF_FRONT] if k < 2 else par[STIFF_REAR]) * load
            lateral = _fiala(sliding / max(abs(rolling), par[V_REG]), stiffness, grip)
            share = mass * load / total
            if brake > 0.0:
                forward = -math.copysign(min(brake, par[STOP_RATE] * abs(rolling)), rolling) * share
            else:
                forward = command[i, 2] * accel * share
            asked = math.hypot(forward, lateral)
            if asked > grip:
                forward, lateral = forward * grip / asked, lateral * grip / asked
            wx, wy = forward * ux - lateral * uy, forward * uy + lateral * ux
            fx, fy, fz = fx + wx, fy + wy, fz + load
            arm = -state[2]
            tx += point[1] * load - arm * wy
            ty += arm * wx - point[0] * load
            tz += point[0] * wy - point[1] * wx
        out = wrench[i]
        out[0], out[1], out[2], out[3], out[4], out[5] = fx, fy, fz, tx, ty, tz


@kernel("void(float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1])")
def rear_axle_states(body: Floats, param: Floats, actuator: Floats, state: Floats) -> None:
    """Pose and speed of B from the bodies: x, y, yaw, speed, (untouched), steering into ``state`` [car, 6].

    B is the body-fixed point that is on the ground below the rear axle at rest; so neither roll nor
    pitch moves it, and its speed is that of the wheels.
    """
    matrix = np.empty(9)
    for i in range(body.shape[0]):
        row = body[i]
        _rotation(row[3:7], matrix)
        back, low = -param[i, TO_REAR], -param[i, COM_HEIGHT]
        rx = matrix[0] * back + matrix[2] * low
        ry = matrix[3] * back + matrix[5] * low
        rz = matrix[6] * back + matrix[8] * low
        vx = row[7] + row[11] * rz - row[12] * ry
        vy = row[8] + row[12] * rx - row[10] * rz
        yaw = math.atan2(matrix[3], matrix[0])
        state[i, 0], state[i, 1], state[i, 2] = row[0] + rx, row[1] + ry, yaw
        state[i, 3] = vx * math.cos(yaw) + vy * math.sin(yaw)
        state[i, 5] = actuator[i, 0]
