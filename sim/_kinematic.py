"""Compiled kernel of the kinematic world: rear-axle bicycles, and overlap of rectangles and convex obstacles.

Each internal step moves the actuators exactly as the physics world does, then drives an exact circular
arc at constant acceleration, so the only error is holding the steering for one step. Friction limits
the resultant of longitudinal and lateral acceleration to mu g. Bodies that overlap are reported and
drive on through each other: this world is for runs in which contacts are counted, not for crashes.

Overlap is tested with the separating-axis theorem, which is exact for convex outlines; candidates come
from a sweep along x over an order that is nearly sorted already.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.vehicle import Vehicle
from planners._jit import kernel
from sim._vehicle import GRAVITY_MPS2, HOLD_MPS, next_accel, next_steer

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BASE, FRICTION, CENTRE, HALF_LENGTH, HALF_WIDTH, REACH, STEER_LAG, ACCEL_LAG, STEER_MAX, STEER_RATE = range(10)
PARAM_COUNT = 10


def kinematic_row(vehicle: Vehicle) -> list[float]:
    """One row of the kernel's parameters, in the order of the constants above."""
    body, limits = vehicle.body, vehicle.limits
    return [
        body.wheelbase_m, vehicle.tyres.friction, 0.5 * body.length_m - body.rear_overhang_m, 0.5 * body.length_m,
        0.5 * body.width_m, math.hypot(0.5 * body.length_m, 0.5 * body.width_m),
        vehicle.actuators.steer_lag_s, vehicle.actuators.accel_lag_s, limits.steer_rad_max, limits.steer_rate_radps_max,
    ]  # fmt: skip


@kernel()
def _drive(state: Floats, row: Floats, steer_wanted: float, accel_wanted: float, gear: float, dt: float) -> None:
    """One body by one internal step; ``state`` is x, y, yaw, speed, acceleration, steering.

    ``gear`` is 1 ahead and -1 backwards; a body that rolls the other way is braked by its drive.
    """
    speed = abs(state[3])
    way_sign = gear if speed == 0.0 else math.copysign(1.0, state[3])
    steer = next_steer(state[5], steer_wanted, row, STEER_LAG, dt)
    accel = next_accel(state[4], accel_wanted, speed, row[ACCEL_LAG], dt)
    state[4], state[5] = accel, steer
    grip = row[FRICTION] * GRAVITY_MPS2
    felt = min(grip, max(-grip, accel))
    if way_sign != gear and felt > 0.0:
        felt = -felt
    if accel_wanted <= 0.0 and speed < HOLD_MPS:
        felt = -grip
    after = max(0.0, speed + felt * dt)
    way = 0.5 * (speed + after) * dt
    if after == 0.0 and felt < 0.0:
        way = -0.5 * speed * speed / felt
    curvature = math.tan(steer) / row[BASE]
    side = math.sqrt(max(0.0, grip * grip - felt * felt))
    if speed * speed * abs(curvature) > side:
        curvature = math.copysign(side / (speed * speed), curvature)
    way *= way_sign
    turn = curvature * way
    # sin(u)/u of half the turn: the chord of an arc, without dividing by a vanishing curvature.
    half = 0.5 * turn
    chord = way * (math.sin(half) / half if abs(half) > 1e-6 else 1.0)
    state[0] += chord * math.cos(state[2] + half)
    state[1] += chord * math.sin(state[2] + half)
    yaw = state[2] + turn
    if yaw > math.pi:
        yaw -= 2.0 * math.pi
    elif yaw <= -math.pi:
        yaw += 2.0 * math.pi
    state[2], state[3] = yaw, way_sign * after


@kernel()
def _outline(state: Floats, row: Floats, out: Floats) -> None:
    """Centre x, y, direction cosine and sine, least and greatest x of the outline into ``out[6]``."""
    c, s = math.cos(state[2]), math.sin(state[2])
    x, y = state[0] + row[CENTRE] * c, state[1] + row[CENTRE] * s
    reach = abs(row[HALF_LENGTH] * c) + abs(row[HALF_WIDTH] * s)
    out[0], out[1], out[2], out[3], out[4], out[5] = x, y, c, s, x - reach, x + reach


@kernel()
def _rectangle_depth(a: Floats, pa: Floats, b: Floats, pb: Floats) -> float:
    """Least overlap of two rectangles over their four axes, m; not positive if they are apart."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    c, s = abs(a[2] * b[2] + a[3] * b[3]), abs(a[2] * b[3] - a[3] * b[2])
    la, wa, lb, wb = pa[HALF_LENGTH], pa[HALF_WIDTH], pb[HALF_LENGTH], pb[HALF_WIDTH]
    depth: float = la + lb * c + wb * s - abs(dx * a[2] + dy * a[3])
    depth = min(depth, wa + lb * s + wb * c - abs(dy * a[2] - dx * a[3]))
    depth = min(depth, lb + la * c + wa * s - abs(dx * b[2] + dy * b[3]))
    last: float = wb + la * s + wa * c - abs(dy * b[2] - dx * b[3])
    return min(depth, last)


@kernel()
def _obstacle_depth(a: Floats, pa: Floats, corners: Floats) -> float:
    """Least overlap of a rectangle and a counter-clockwise convex polygon over all axes; not positive if apart."""
    depth = np.inf
    for k in range(2):
        ux, uy = (a[2], a[3]) if k == 0 else (-a[3], a[2])
        low, high = np.inf, -np.inf
        for m in range(corners.shape[0]):
            along = (corners[m, 0] - a[0]) * ux + (corners[m, 1] - a[1]) * uy
            low, high = min(low, along), max(high, along)
        half = pa[HALF_LENGTH] if k == 0 else pa[HALF_WIDTH]
        depth = min(depth, half - low, half + high)
    for m in range(corners.shape[0]):
        after = (m + 1) % corners.shape[0]
        ex, ey = corners[after, 0] - corners[m, 0], corners[after, 1] - corners[m, 1]
        size = math.hypot(ex, ey)
        if size <= 0.0:
            continue
        ux, uy = ey / size, -ex / size
        reach = pa[HALF_LENGTH] * abs(ux * a[2] + uy * a[3]) + pa[HALF_WIDTH] * abs(uy * a[2] - ux * a[3])
        depth = min(depth, reach - ((a[0] - corners[m, 0]) * ux + (a[1] - corners[m, 1]) * uy))
    return depth


@kernel()
def _note(contact: Floats, count: int, time_s: float, a: int, b: int, depth: float) -> int:
    """Keep the first time and the greatest depth of a pair; returns the new count, never above capacity."""
    for k in range(count):
        if contact[k, 1] == a and contact[k, 2] == b:
            contact[k, 3] = max(contact[k, 3], depth)
            return count
    if count < contact.shape[0]:
        contact[count, 0], contact[count, 1], contact[count, 2], contact[count, 3] = time_s, a, b, depth
        count += 1
    return count


@kernel(
    "int64(float64[:,::1], float64[:,::1], float64[:,::1], float64, int64, float64[:,::1], int64[::1],"
    " float64[:,::1], float64[:,::1], int64[::1], float64[:,::1])"
)
def kinematic_advance(
    state: Floats, command: Floats, param: Floats, dt: float, steps: int, corner: Floats, first: Ints,
    box: Floats, outline: Floats, order: Ints, contact: Floats,
) -> int:  # fmt: skip
    """Move all bodies by ``steps`` internal steps of ``dt``.

    Parameters
    ----------
    state : float64 [body, 6]
        x, y, yaw of B in W, speed, actual acceleration, actual steering; moved in place.
    command : float64 [body, 3]
        Wanted steering, rad, acceleration, m/s^2, and gear, 1 ahead or -1 backwards.
    param : float64 [body, PARAM_COUNT]
    corner, first : float64 [corner, 2], int64 [obstacle + 1]
        Counter-clockwise convex obstacles; obstacle k has corners ``first[k]`` to ``first[k + 1]``.
    box : float64 [obstacle, 4]
        Least x, least y, greatest x, greatest y of each obstacle.
    outline, order : float64 [body, 6], int64 [body]
        Workspace; ``order`` is kept between calls because it is nearly sorted then.
    contact : float64 [capacity, 4]
        Out: time since the start, row of the one body, row of the other or -1 - obstacle, depth.

    Returns
    -------
    int
        Contacts found, one per pair.
    """
    size, count = state.shape[0], 0
    for step in range(steps):
        for i in range(size):
            _drive(state[i], param[i], command[i, 0], command[i, 1], command[i, 2], dt)
            _outline(state[i], param[i], outline[i])
        for i in range(1, size):
            moved, k = order[i], i
            while k > 0 and outline[order[k - 1], 4] > outline[moved, 4]:
                order[k] = order[k - 1]
                k -= 1
            order[k] = moved
        now = (step + 1) * dt
        for i in range(size):
            a = order[i]
            for k in range(i + 1, size):
                b = order[k]
                if outline[b, 4] > outline[a, 5]:
                    break
                reach = param[a, REACH] + param[b, REACH]
                if abs(outline[b, 1] - outline[a, 1]) > reach:
                    continue
                depth = _rectangle_depth(outline[a], param[a], outline[b], param[b])
                if depth > 0.0:
                    count = _note(contact, count, now, min(a, b), max(a, b), depth)
        for k in range(first.shape[0] - 1):
            corners = corner[first[k] : first[k + 1]]
            for i in range(size):
                if outline[i, 5] < box[k, 0] or outline[i, 4] > box[k, 2]:
                    continue
                if outline[i, 1] + param[i, REACH] < box[k, 1] or outline[i, 1] - param[i, REACH] > box[k, 3]:
                    continue
                depth = _obstacle_depth(outline[i], param[i], corners)
                if depth > 0.0:
                    count = _note(contact, count, now, i, -1 - k, depth)
    return count
