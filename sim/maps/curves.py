"""Curves that a car can follow: bends whose curvature rises and falls linearly (clothoid, arc, clothoid)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fleet.errors import ConfigError
from planners.zone_map import Floats

Piece = tuple[float, float, float]
"""Length in metres, curvature at its start and at its end in 1/m (left positive)."""


def trace(pieces: Sequence[Piece], spacing_m: float) -> tuple[Floats, Floats]:
    """Follow curvature from the origin, heading along x.

    Returns points float64 [n, 2] at most ``spacing_m`` apart and headings [n]. Headings are exact;
    positions are integrated by Simpson's rule on each interval (error far below a micrometre here).
    """
    points, headings = [np.zeros((1, 2))], [np.zeros(1)]
    for length, k0, k1 in pieces:
        if length <= 0.0:
            continue
        count = max(1, math.ceil(length / spacing_m))
        u = np.linspace(0.0, length, 2 * count + 1)
        yaw = headings[-1][-1] + k0 * u + (k1 - k0) * u * u / (2.0 * length)
        ahead = np.column_stack([np.cos(yaw), np.sin(yaw)])
        moves = (ahead[:-2:2] + 4.0 * ahead[1:-1:2] + ahead[2::2]) * (length / count / 6.0)
        points.append(points[-1][-1] + np.cumsum(moves, axis=0))
        headings.append(yaw[2::2])
    return np.concatenate(points), np.concatenate(headings)


def bend(turn_rad: float, tangent_m: float, ease_m: float, spacing_m: float) -> Floats:
    """A symmetric bend by ``turn_rad`` that starts and ends ``tangent_m`` from where its tangents cross.

    It starts at the origin along x. Curvature rises over ``ease_m``, stays, and falls over ``ease_m``.
    Raises :class:`ConfigError` where that does not fit.
    """
    size = abs(turn_rad)

    def pieces(radius_m: float) -> list[Piece]:
        kappa = math.copysign(1.0 / radius_m, turn_rad)
        return [(ease_m, 0.0, kappa), (radius_m * size - ease_m, kappa, kappa), (ease_m, kappa, 0.0)]

    def excess(radius_m: float) -> float:
        (x, y), _ = (part[-1] for part in trace(pieces(radius_m), spacing_m))
        return float(x - abs(y) / math.tan(size)) - tangent_m

    least = ease_m / size
    if excess(least) > 0.0:
        raise ConfigError(
            f"a bend of {math.degrees(size):.0f} degrees, eased over {ease_m:g} m, needs more room than {tangent_m:g} m"
        )
    return trace(pieces(_root(excess, least, tangent_m / math.tan(size / 2.0))), spacing_m)[0]


def ring_entry(ring_m: float, lane_m: float, entry_m: float, ease_m: float, spacing_m: float) -> Floats:
    """From the line y = -``lane_m``, driven along x, into a ring around the origin, driven counter-clockwise.

    A bend to the right of radius ``entry_m``, then one to the left that ends on the ring's circle, tangent
    to it and with its curvature. All curvature changes are linear, of length ``ease_m`` per change.
    """

    def pieces(hold_m: float) -> list[Piece]:
        right, left = -1.0 / entry_m, 1.0 / ring_m
        return [(ease_m, 0.0, right), (hold_m, right, right), (2.0 * ease_m, right, left)]

    def centre_of(hold_m: float) -> tuple[Floats, Floats]:
        points, headings = trace(pieces(hold_m), spacing_m)
        yaw = headings[-1]
        return points, points[-1] + ring_m * np.array([-math.sin(yaw), math.cos(yaw)])

    def excess(hold_m: float) -> float:
        # The farther to the right the bend goes, the lower lies the centre of the circle it ends on.
        return lane_m - float(centre_of(hold_m)[1][1])

    most = entry_m * math.pi / 2.0
    if excess(0.0) > 0.0 or excess(most) < 0.0:
        raise ConfigError(
            f"a lane {lane_m:g} m beside the middle cannot join a ring of {ring_m:g} m by a bend of {entry_m:g} m"
        )
    points, centre = centre_of(_root(excess, 0.0, most))
    return points - centre


def _root(function: Callable[[float], float], lo: float, hi: float) -> float:
    """Bisection to the last bit: ``function(lo)`` <= 0 <= ``function(hi)``."""
    for _ in range(80):
        mid = 0.5 * (lo + hi)
        if function(mid) > 0.0:
            hi = mid
        else:
            lo = mid
    return 0.5 * (lo + hi)
