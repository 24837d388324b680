"""A path as a node drives it: plain floats for the control loop, and where zones lie on it.

Control runs tens of times a second on scalars, where Python lists are several times faster than
indexing NumPy arrays; the arrays stay available for compiled kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from planners.zone_map import Passage, Path, ZoneMap


@dataclass(frozen=True, slots=True, eq=False)
class Road:
    """One path with its passages, ready for look-ups.

    ``x``, ``y``, ``yaw``, ``kappa``: lists over samples every ``step_m``, as :class:`planners.zone_map.Path`.
    """

    path: Path
    step_m: float
    x: list[float]
    y: list[float]
    yaw: list[float]
    kappa: list[float]
    passages: tuple[Passage, ...]

    @property
    def length_m(self) -> float:
        return self.path.length_m

    def curvature(self, s_m: float) -> float:
        """Curvature (1/m) at ``s_m``, linear between samples, the end values outside."""
        u = min(max(s_m / self.step_m, 0.0), len(self.kappa) - 1.000001)
        k = int(u)
        f = u - k
        return self.kappa[k] * (1.0 - f) + self.kappa[k + 1] * f

    def project(self, x_m: float, y_m: float, near_s_m: float) -> tuple[float, float, float]:
        """(s_m, lateral_m, tangent_rad) of the point of the path next to (x, y), searched near ``near_s_m``.

        ``lateral_m`` is positive to the left. Beyond either end the path goes on straight.
        """
        last = len(self.x) - 1
        s = near_s_m
        for _ in range(3):
            k = min(max(int(s / self.step_m + 0.5), 0), last)
            cos, sin = math.cos(self.yaw[k]), math.sin(self.yaw[k])
            dx, dy = x_m - self.x[k], y_m - self.y[k]
            along, lateral = dx * cos + dy * sin, dy * cos - dx * sin
            s_new = k * self.step_m + along / max(0.2, 1.0 - self.kappa[k] * lateral)
            if abs(s_new - s) < self.step_m:
                s = s_new
                break
            s = s_new
        tangent = self.yaw[k] + self.kappa[k] * (s - k * self.step_m)
        return s, lateral, tangent

    def pose(self, s_m: float) -> tuple[float, float, float]:
        """(x_m, y_m, yaw_rad) of the path at ``s_m``; straight on beyond either end."""
        k = min(max(int(s_m / self.step_m), 0), len(self.x) - 1)
        ds = s_m - k * self.step_m
        yaw = self.yaw[k]
        mid = yaw + 0.5 * self.kappa[k] * ds if ds <= self.step_m else yaw
        return self.x[k] + ds * math.cos(mid), self.y[k] + ds * math.sin(mid), 2.0 * mid - yaw

    def next_passage(self, rear_s_m: float) -> Passage | None:
        """The first zone on the way that a rear bumper at ``rear_s_m`` has not cleared."""
        for passage in self.passages:
            if rear_s_m < passage.exit_s_m:
                return passage
        return None

    def passage(self, zone_id: str, s_m: float) -> Passage | None:
        """The passage of ``zone_id`` that a rear axle at ``s_m`` has not left; a loop may pass a zone twice."""
        return next((p for p in self.passages if p.zone_id == zone_id and s_m < p.exit_s_m), None)

    def after(self, passage: Passage) -> Passage | None:
        """The zone after ``passage`` on this path."""
        at = self.passages.index(passage) + 1
        return self.passages[at] if at < len(self.passages) else None


class Roads:
    """All roads of one zone map, built when first driven; all samples also flat, paths in order of ``names``."""

    def __init__(self, zone_map: ZoneMap) -> None:
        self.zone_map = zone_map
        self.names = tuple(sorted(zone_map.paths))
        paths = [zone_map.paths[name] for name in self.names]
        counts = np.array([0, *(len(path.x_m) for path in paths)])
        self.offsets = _flat([np.cumsum(counts)], np.int64)
        self.step_m = _flat([[path.step_m for path in paths]], np.float64)
        self.x_m = _flat([path.x_m for path in paths], np.float64)
        self.y_m = _flat([path.y_m for path in paths], np.float64)
        self.yaw_rad = _flat([path.yaw_rad for path in paths], np.float64)
        self.get = lru_cache(maxsize=None)(self._build)

    def _build(self, path_id: str) -> Road:
        path = self.zone_map.paths[path_id]
        columns = (path.x_m, path.y_m, path.yaw_rad, path.kappa_1pm)
        x, y, yaw, kappa = (column.tolist() for column in columns)
        return Road(path, path.step_m, x, y, yaw, kappa, self.zone_map.passages.get(path_id, ()))


def _flat(parts: list[Any], kind: Any) -> npt.NDArray[Any]:
    flat = np.ascontiguousarray(np.concatenate(parts or [[]]), dtype=kind)
    flat.setflags(write=False)
    return flat


def place_on(road: Road, x_m: float, y_m: float) -> float:
    """Where a node that knows nothing of its past finds itself on its path: s_m of the nearest point, in metres."""
    squared = (np.asarray(road.x) - x_m) ** 2 + (np.asarray(road.y) - y_m) ** 2
    return float(np.argmin(squared)) * road.step_m
