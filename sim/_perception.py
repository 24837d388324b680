"""Compiled kernel of perception: who sees whom, for all observers at once.

The sensor sits on the roof above the observer's centre. A target is seen if its centre or one of its
corners is within range and field of view and the line of sight to it crosses no third vehicle.

Cost. Each observer sorts the outlines around it into sectors of bearing; a line of sight is tested
only against the outlines in its own sector, about two instead of all others. Bearings are the
diamond angle (monotone in the true one, no trigonometry).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from planners._jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SECTOR_COUNT = 256
_INSET = 1.0 - 1e-9
"""Outlines block a hair less than their size, so that touching a corner blocks nothing."""


@kernel()
def _bearing(x: float, y: float) -> float:
    """Diamond angle in [0, 4): grows with the true angle from x, counter-clockwise."""
    size = abs(x) + abs(y)
    if size <= 0.0:
        return 0.0
    across = y / size
    if x < 0.0:
        return 2.0 - across
    return across if across >= 0.0 else min(4.0 + across, 3.9999999999999996)


@kernel()
def _lay_out(pose: Floats, half: Floats, outline: Floats) -> None:
    """Centre, four corners, direction cosine and sine of each body into ``outline`` [body, 12]."""
    for i in range(pose.shape[0]):
        c, s = math.cos(pose[i, 2]), math.sin(pose[i, 2])
        outline[i, 0], outline[i, 1], outline[i, 10], outline[i, 11] = pose[i, 0], pose[i, 1], c, s
        for k in range(4):
            along = half[i, 0] if k < 2 else -half[i, 0]
            side = half[i, 1] if k == 0 or k == 3 else -half[i, 1]
            outline[i, 2 + 2 * k] = pose[i, 0] + along * c - side * s
            outline[i, 3 + 2 * k] = pose[i, 1] + along * s + side * c


@kernel()
def _crosses(i: int, dx: float, dy: float, j: int, outline: Floats, half: Floats) -> bool:
    """Whether the segment from the centre of ``i`` by (dx, dy) passes through the inside of ``j`` (slab method)."""
    rx, ry = outline[i, 0] - outline[j, 0], outline[i, 1] - outline[j, 1]
    c, s = outline[j, 10], outline[j, 11]
    low, high = 0.0, 1.0
    at, way, size = rx * c + ry * s, dx * c + dy * s, half[j, 0] * _INSET
    for _ in range(2):
        if abs(way) < 1e-12:
            if abs(at) >= size:
                return False
        else:
            middle, reach = -at / way, size / abs(way)
            low, high = max(low, middle - reach), min(high, middle + reach)
            if low >= high:
                return False
        at, way, size = ry * c - rx * s, dy * c - dx * s, half[j, 1] * _INSET
    return True


@kernel()
def _enter(i: int, j: int, used: int, outline: Floats, half: Floats, head: Ints, following: Ints, item: Ints) -> int:
    """Put outline ``j`` into every sector that it covers as seen from ``i``; returns the entries used."""
    x, y = outline[i, 0], outline[i, 1]
    dx, dy = x - outline[j, 0], y - outline[j, 1]
    c, s = outline[j, 10], outline[j, 11]
    if abs(dx * c + dy * s) < half[j, 0] and abs(dy * c - dx * s) < half[j, 1]:
        return used  # the sensor is inside: two bodies overlap, and nothing sensible can be said
    middle = _bearing(-dx, -dy)
    low = high = 0.0
    for k in range(2, 10, 2):
        away = _bearing(outline[j, k] - x, outline[j, k + 1] - y) - middle
        if away > 2.0:
            away -= 4.0
        elif away < -2.0:
            away += 4.0
        low, high = min(low, away), max(high, away)
    first = math.floor((middle + low) * (SECTOR_COUNT / 4.0) - 1e-9)
    last = math.floor((middle + high) * (SECTOR_COUNT / 4.0) + 1e-9)
    for k in range(first, last + 1):
        sector = k & (SECTOR_COUNT - 1)
        item[used], following[used] = j, head[sector]
        head[sector] = used
        used += 1
    return used


@kernel()
def _sees(
    i: int, j: int, sensor: Floats, outline: Floats, half: Floats, head: Ints, following: Ints, item: Ints
) -> bool:
    """Whether any of the five points of ``j`` is within range, within the field of view and not hidden."""
    reach2, narrow = sensor[i, 0] * sensor[i, 0], sensor[i, 1] < 2.0 * math.pi - 1e-9
    edge = math.cos(0.5 * sensor[i, 1]) if narrow else -1.0
    for k in range(0, 10, 2):
        dx, dy = outline[j, k] - outline[i, 0], outline[j, k + 1] - outline[i, 1]
        distance2 = dx * dx + dy * dy
        if distance2 > reach2:
            continue
        if narrow and dx * outline[i, 10] + dy * outline[i, 11] < edge * math.sqrt(distance2):
            continue
        entry = head[int(_bearing(dx, dy) * (SECTOR_COUNT / 4.0)) & (SECTOR_COUNT - 1)]
        clear = True
        while entry >= 0 and clear:
            m = item[entry]
            clear = m == j or not _crosses(i, dx, dy, m, outline, half)
            entry = following[entry]
        if clear:
            return True
    return False


@kernel(
    "int64(float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], int64[::1], int64[::1], int64[::1],"
    " int64[::1], int64[::1], int64[::1])"
)
def visible_pairs(
    pose: Floats, half: Floats, sensor: Floats, outline: Floats, near: Ints, head: Ints, following: Ints,
    item: Ints, first: Ints, target: Ints,
) -> int:  # fmt: skip
    """Targets that each observer sees, in ascending order.

    Parameters
    ----------
    pose : float64 [body, 3]
        Centre x, y of the outline and yaw, in W.
    half : float64 [body, 2]
        Half length and half width, m.
    sensor : float64 [body, 2]
        Range, m, and field of view, rad, about the heading; a range of 0 sees nothing.
    outline, near : float64 [body, 12], int64 [body]
        Workspace: geometry of all bodies, and the bodies near the present observer.
    head, following, item : int64 [SECTOR_COUNT], int64 [body * (SECTOR_COUNT + 2)] twice
        Workspace: linked lists of outlines by sector.
    first, target : int64 [body + 1], int64 [body * (body - 1)]
        Out: observer i sees ``target[first[i]:first[i + 1]]``.

    Returns
    -------
    int
        Pairs found.
    """
    size, found = pose.shape[0], 0
    _lay_out(pose, half, outline)
    for i in range(size):
        first[i] = found
        if sensor[i, 0] <= 0.0:
            continue
        head[:] = -1
        used = near_count = 0
        for j in range(size):
            reach = sensor[i, 0] + half[j, 0] + half[j, 1]
            dx, dy = pose[j, 0] - pose[i, 0], pose[j, 1] - pose[i, 1]
            if j != i and dx * dx + dy * dy <= reach * reach:
                used = _enter(i, j, used, outline, half, head, following, item)
                near[near_count] = j
                near_count += 1
        for k in range(near_count):
            if _sees(i, near[k], sensor, outline, half, head, following, item):
                target[found] = near[k]
                found += 1
    first[size] = found
    return found
