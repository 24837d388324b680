"""The ground of zones: polygons of what two tubes both sweep, and rings around them for maps and perception."""

from __future__ import annotations

import math

import numpy as np
import shapely

from planners.tubes import Tube
from planners.zone_map import Conflict

_RING_POINTS_MAX = 40
_SWEEP_BINS = 4
"""Rectangles this far apart are joined by their hull; on the tightest turns this cuts off a few centimetres."""
_PARTS = 8


def shared_ground(one: Tube, other: Tube, conflict: Conflict) -> shapely.Geometry:
    """The ground on which the bodies of a conflict's two paths can touch.

    Found part by part along the first path, each with what the other body sweeps meanwhile: two vehicles
    in one lane after a merge do not make that lane part of the zone.
    """
    rows = np.flatnonzero(conflict.lo_m <= conflict.hi_m)
    shapes = []
    for part in np.array_split(rows, min(len(rows), _PARTS)):
        bins = part + conflict.first_bin
        a = _swept(one, int(bins[0]), int(bins[-1]) + 1)
        lo, hi = float(conflict.lo_m[part].min()), float(conflict.hi_m[part].max())
        b = _swept(other, round(lo / other.step_m), round(hi / other.step_m))
        shapes.append(a.intersection(b))
    both = shapely.union_all(shapes)
    # Bins that touch only by the tables' margin share no ground; then the last part stands for it.
    return both if both.area > 0.0 else a


def middle(shape: shapely.Geometry) -> tuple[int, int]:
    """Centre of the bounding box in whole decimetres, so that rounding cannot change the order."""
    x0, y0, x1, y1 = shape.bounds
    return round((x0 + x1) * 5.0), round((y0 + y1) * 5.0)


def rings(shape: shapely.Geometry) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Exterior rings around the shape, each with at most a few dozen points (bought with room, not with ground)."""
    found = []
    for part in sorted(_polygons(shape), key=lambda polygon: polygon.bounds):
        tolerance = 0.01 * math.sqrt(part.area)
        outline = part.buffer(tolerance).simplify(tolerance)
        while len(outline.exterior.coords) > _RING_POINTS_MAX + 1:
            tolerance *= 1.5
            outline = part.buffer(tolerance).simplify(tolerance)
        found.append(tuple((round(x, 3), round(y, 3)) for x, y in outline.exterior.coords[:-1]))
    return tuple(found)


def _swept(tube: Tube, first: int, last: int) -> shapely.Geometry:
    """What the body covers while its rear axle goes from sample ``first`` to ``last``."""
    at = np.unique(np.append(np.arange(first, last, _SWEEP_BINS), last))
    pieces = np.concatenate([tube.corners[at[:-1]], tube.corners[at[1:]]], axis=1)
    return shapely.union_all(shapely.convex_hull(shapely.multipoints(pieces)))


def _polygons(shape: shapely.Geometry) -> list[shapely.Polygon]:
    parts = shapely.get_parts(shape) if shape.geom_type in ("MultiPolygon", "GeometryCollection") else [shape]
    return [part for part in parts if part.geom_type == "Polygon" and part.area > 0.0]
