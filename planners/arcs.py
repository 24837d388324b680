"""Where a path of arcs lies: poses, gear and curvature along it, for planners and nodes."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from planners.arc_path import KAPPA_UNIT_1PM, YAW_UNIT_RAD, ArcPath, Pose

Floats = npt.NDArray[np.float64]


class Arcs:
    """Geometry of one path."""

    def __init__(self, path: ArcPath) -> None:
        self.path = path
        x, y, yaw = path.start[0] * 1e-3, path.start[1] * 1e-3, path.start[2] * YAW_UNIT_RAD
        s, rows = 0.0, [(0.0, x, y, yaw)]
        for length, kappa in path.arcs:
            run, turn = length * 1e-3, length * 1e-3 * kappa * KAPPA_UNIT_1PM
            half = 0.5 * turn
            chord = run * (math.sin(half) / half if abs(half) > 1e-9 else 1.0)
            x, y, yaw = x + chord * math.cos(yaw + half), y + chord * math.sin(yaw + half), yaw + turn
            s += abs(run)
            rows.append((s, x, y, yaw))
        self._s, self._x, self._y, self._yaw = np.array(rows, dtype=np.float64).T.copy()
        self._s_list = self._s.tolist()
        self._gear = np.array([1.0 if length > 0 else -1.0 for length, _ in path.arcs])
        self._kappa = np.array([kappa * KAPPA_UNIT_1PM for _, kappa in path.arcs])

    @property
    def length_m(self) -> float:
        return float(self._s[-1])

    def gear(self, s_m: float) -> int:
        """1 where the vehicle drives ahead at ``s_m``, -1 backwards; a cusp belongs to what comes after it."""
        return 1 if not self.path.arcs else int(self._gear[self._arc(s_m)])

    def curvature(self, s_m: float) -> float:
        """Change of yaw per metre driven *ahead*: the steering, whatever the gear."""
        return 0.0 if not self.path.arcs else float(self._kappa[self._arc(s_m)])

    def pose(self, s_m: float) -> Pose:
        """x_m, y_m, yaw_rad of the reference point at ``s_m``; before the start and after the end it stands there."""
        x, y, yaw = self.poses(np.array([s_m]))
        return float(x[0]), float(y[0]), float(yaw[0])

    def poses(self, s_m: Floats) -> tuple[Floats, Floats, Floats]:
        """As :meth:`pose`, element by element; yaw is not wrapped."""
        if not self.path.arcs:
            whole = np.ones_like(s_m)
            return self._x[0] * whole, self._y[0] * whole, self._yaw[0] * whole
        s_m = np.clip(s_m, 0.0, self._s[-1])
        k = np.clip(np.searchsorted(self._s, s_m, side="right") - 1, 0, len(self._gear) - 1)
        run = (s_m - self._s[k]) * self._gear[k]
        turn = self._kappa[k] * run
        chord = run * np.sinc(turn / (2.0 * np.pi))
        middle = self._yaw[k] + 0.5 * turn
        return self._x[k] + chord * np.cos(middle), self._y[k] + chord * np.sin(middle), self._yaw[k] + turn

    def _arc(self, s_m: float) -> int:
        return min(max(bisect_right(self._s_list, s_m + 1e-9) - 1, 0), len(self._gear) - 1)
