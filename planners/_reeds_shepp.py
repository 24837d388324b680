"""Compiled kernel: shortest path of a car that also drives backwards, in free space (Reeds and Shepp 1990).

All lengths here are in turning radii and all poses relative to the start. A word is a family of the
paper (equations 8.1 to 8.11) with the signs of its parts; time-flip (drive it backwards) and reflection
(mirror left and right) turn 11 words into 44. Parts with equal bounds share their code.

Symbols: x, y, phi goal pose; t, u, v free arc lengths of a word, negative where driven backwards.
"""

from __future__ import annotations

import numpy as np
from numba import float64, types

from planners._jit import kernel

_EPS = 1e-10
_WORDS = 11
_PI = np.pi


@kernel()
def _wrap(angle):
    return angle - 2.0 * _PI * np.floor(angle / (2.0 * _PI) + 0.5)


@kernel()
def _tau_omega(u, v, xi, eta, phi):
    delta = _wrap(u - v)
    a = np.sin(u) - np.sin(delta)
    b = np.cos(u) - np.cos(delta) - 1.0
    t1 = np.arctan2(eta * a - xi * b, xi * a + eta * b)
    t2 = 2.0 * (np.cos(delta) - np.cos(v) - np.cos(u)) + 3.0
    tau = _wrap(t1 + _PI) if t2 < 0.0 else _wrap(t1)
    return tau, _wrap(tau - u + v - phi)


@kernel()
def _left_straight_left(x, y, phi, s, c, limit):
    xi, eta = x - s, y - 1.0 + c
    u = np.sqrt(xi * xi + eta * eta)
    if u >= limit:
        return False, 0.0, 0.0, 0.0
    t = np.arctan2(eta, xi)
    v = _wrap(phi - t)
    return t >= -_EPS and v >= -_EPS, t, u, v


@kernel()
def _left_straight_right(x, y, phi, s, c, limit):
    xi, eta = x + s, y - 1.0 - c
    u2 = xi * xi + eta * eta - 4.0
    if u2 < 0.0 or u2 >= limit * limit:
        return False, 0.0, 0.0, 0.0
    u = np.sqrt(u2)
    t = _wrap(np.arctan2(eta, xi) + np.arctan2(2.0, u))
    v = _wrap(t - phi)
    return t >= -_EPS and v >= -_EPS, t, u, v


@kernel()
def _left_right_left(x, y, phi, s, c):
    xi, eta = x - s, y - 1.0 + c
    rho = np.sqrt(xi * xi + eta * eta)
    if rho > 4.0:
        return False, 0.0, 0.0, 0.0
    u = -2.0 * np.arcsin(0.25 * rho)
    t = _wrap(np.arctan2(eta, xi) + 0.5 * u + _PI)
    return t >= -_EPS, t, u, _wrap(phi - t + u)


@kernel()
def _four_arcs_outer(x, y, phi, s, c):
    xi, eta = x + s, y - 1.0 - c
    rho = 0.25 * (2.0 + np.sqrt(xi * xi + eta * eta))
    if rho > 1.0:
        return False, 0.0, 0.0, 0.0
    u = np.arccos(rho)
    t, v = _tau_omega(u, -u, xi, eta, phi)
    return t >= -_EPS and v <= _EPS, t, u, v


@kernel()
def _four_arcs_inner(x, y, phi, s, c):
    xi, eta = x + s, y - 1.0 - c
    rho = (20.0 - xi * xi - eta * eta) / 16.0
    if rho < 0.0 or rho > 1.0:
        return False, 0.0, 0.0, 0.0
    u = -np.arccos(rho)
    t, v = _tau_omega(u, u, xi, eta, phi)
    return t >= -_EPS and v >= -_EPS, t, u, v


@kernel()
def _left_right_straight_left(x, y, phi, s, c, limit):
    xi, eta = x - s, y - 1.0 + c
    rho2 = xi * xi + eta * eta
    if rho2 < 4.0:
        return False, 0.0, 0.0, 0.0
    r = np.sqrt(rho2 - 4.0)
    u = 2.0 - r
    if u > _EPS or -u >= limit:
        return False, 0.0, 0.0, 0.0
    t = _wrap(np.arctan2(eta, xi) + np.arctan2(r, -2.0))
    v = _wrap(phi - 0.5 * _PI - t)
    return t >= -_EPS and v <= _EPS, t, u, v


@kernel()
def _left_right_straight_right(x, y, phi, s, c, limit):
    xi, eta = x + s, y - 1.0 - c
    rho = np.sqrt(xi * xi + eta * eta)
    u = 2.0 - rho
    if u > _EPS or -u >= limit:
        return False, 0.0, 0.0, 0.0
    t = np.arctan2(xi, -eta)
    v = _wrap(t + 0.5 * _PI - phi)
    return t >= -_EPS and v <= _EPS, t, u, v


@kernel()
def _five_parts(x, y, phi, s, c, limit):
    xi, eta = x + s, y - 1.0 - c
    rho2 = xi * xi + eta * eta
    if rho2 < 4.0:
        return False, 0.0, 0.0, 0.0
    u = 4.0 - np.sqrt(rho2 - 4.0)
    if u > _EPS or -u >= limit:
        return False, 0.0, 0.0, 0.0
    t = _wrap(np.arctan2((4.0 - u) * xi - 2.0 * eta, -2.0 * xi + (u - 4.0) * eta))
    v = _wrap(t - phi)
    return t >= -_EPS and v >= -_EPS, t, u, v


@kernel()
def _word(k, x, y, phi, s, c, limit):
    """Word ``k`` for one flip: (exists, t, u, v, fixed length). ``limit`` bounds u; s, c of phi."""
    half = 0.5 * _PI
    if k == 0:
        ok, t, u, v = _left_straight_left(x, y, phi, s, c, limit)
        return ok, t, u, v, 0.0
    if k == 1:
        ok, t, u, v = _left_straight_right(x, y, phi, s, c, limit)
        return ok, t, u, v, 0.0
    if k == 2:
        ok, t, u, v = _left_right_left(x, y, phi, s, c)
        return ok, t, u, v, 0.0
    if k == 4:
        ok, t, u, v = _four_arcs_outer(x, y, phi, s, c)
        return ok, t, u, v, abs(u)
    if k == 5:
        ok, t, u, v = _four_arcs_inner(x, y, phi, s, c)
        return ok, t, u, v, abs(u)
    if k == 6:
        ok, t, u, v = _left_right_straight_left(x, y, phi, s, c, limit - half)
        return ok, t, u, v, half
    if k == 7:
        ok, t, u, v = _left_right_straight_right(x, y, phi, s, c, limit - half)
        return ok, t, u, v, half
    if k == 8:
        ok, t, u, v = _five_parts(x, y, phi, s, c, limit - 2.0 * half)
        return ok, t, u, v, 2.0 * half
    # The same words read from the goal backwards.
    xb, yb = x * c + y * s, x * s - y * c
    if k == 3:
        ok, t, u, v = _left_right_left(xb, yb, phi, s, c)
        return ok, t, u, v, 0.0
    if k == 9:
        ok, t, u, v = _left_right_straight_left(xb, yb, phi, s, c, limit - half)
    else:
        ok, t, u, v = _left_right_straight_right(xb, yb, phi, s, c, limit - half)
    return ok, t, u, v, half


@kernel()
def _write(k, t, u, v, along, side, bend, length):
    """The parts of word ``k``: steering (1 left, 0 straight, -1 right) and signed length, zeros behind."""
    half = 0.5 * _PI
    for part in range(5):
        bend[part] = 0.0
        length[part] = 0.0
    if k == 0:
        bend[0], bend[2] = 1.0, 1.0
        length[0], length[1], length[2] = t, u, v
    elif k == 1:
        bend[0], bend[2] = 1.0, -1.0
        length[0], length[1], length[2] = t, u, v
    elif k == 2:
        bend[0], bend[1], bend[2] = 1.0, -1.0, 1.0
        length[0], length[1], length[2] = t, u, v
    elif k == 3:
        bend[0], bend[1], bend[2] = 1.0, -1.0, 1.0
        length[0], length[1], length[2] = v, u, t
    elif k == 4 or k == 5:
        bend[0], bend[1], bend[2], bend[3] = 1.0, -1.0, 1.0, -1.0
        length[0], length[1], length[3] = t, u, v
        length[2] = -u if k == 4 else u
    elif k == 6 or k == 7:
        bend[0], bend[1] = 1.0, -1.0
        bend[3] = 1.0 if k == 6 else -1.0
        length[0], length[1], length[2], length[3] = t, -half, u, v
    elif k == 8:
        bend[0], bend[1], bend[3], bend[4] = 1.0, -1.0, 1.0, -1.0
        length[0], length[1], length[2], length[3], length[4] = t, -half, u, -half, v
    else:
        bend[0] = 1.0 if k == 9 else -1.0
        bend[2], bend[3] = -1.0, 1.0
        length[0], length[1], length[2], length[3] = v, u, -half, t
    for part in range(5):
        bend[part] *= side
        length[part] *= along


@kernel()
def shortest_word(x, y, phi, wanted, bend, length):
    """Length of the shortest path to (x, y, phi), written into ``bend`` and ``length`` where ``wanted``."""
    s0, c0 = np.sin(phi), np.cos(phi)
    phi = _wrap(phi)
    best = np.inf
    best_k, best_along, best_side = 0, 1.0, 1.0
    best_t, best_u, best_v = 0.0, 0.0, 0.0
    for flip in range(4):
        along = 1.0 if flip < 2 else -1.0
        side = 1.0 if flip % 2 == 0 else -1.0
        for k in range(_WORDS):
            ok, t, u, v, fixed = _word(k, along * x, side * y, along * side * phi, along * side * s0, c0, best)
            if ok:
                total = abs(t) + abs(u) + abs(v) + fixed
                if total < best - 1e-12:
                    best = total
                    best_k, best_along, best_side = k, along, side
                    best_t, best_u, best_v = t, u, v
    if wanted:
        _write(best_k, best_t, best_u, best_v, best_along, best_side, bend, length)
    return best


@kernel(float64(float64, float64, float64, float64[::1], float64[::1]))
def reeds_shepp(x, y, phi, bend, length):
    """Shortest path from the origin to (x, y, phi) at unit turning radius; returns its length.

    Parameters
    ----------
    x, y, phi : float
        Goal in the frame of the start, in turning radii and radians.
    bend, length : float64 [5]
        Written: steering (1 left, 0 straight, -1 right) and signed length of each part.
    """
    return shortest_word(x, y, phi, True, bend, length)


@kernel(types.int64(float64, float64, float64, float64[::1], float64[:, ::1], float64[:, ::1]))
def all_words(x, y, phi, total, bend, length):
    """Every existing word (up to 44) to (x, y, phi): total lengths, steering and lengths; returns the count."""
    s0, c0 = np.sin(phi), np.cos(phi)
    phi = _wrap(phi)
    count = 0
    for flip in range(4):
        along = 1.0 if flip < 2 else -1.0
        side = 1.0 if flip % 2 == 0 else -1.0
        for k in range(_WORDS):
            ok, t, u, v, fixed = _word(k, along * x, side * y, along * side * phi, along * side * s0, c0, np.inf)
            if ok:
                total[count] = abs(t) + abs(u) + abs(v) + fixed
                _write(k, t, u, v, along, side, bend[count], length[count])
                count += 1
    return count
