"""A path of arcs as the controller drives it, stretch by stretch between cusps.

Steering cannot jump from one arc to the next: it turns at the vehicle's rate. So the controller is given the
mean curvature over the way that a turn of the wheels takes, half before and half after each change. Within
a stretch that is what the vehicle can follow; before its first arc the wheels are turned while it stands.
"""

from __future__ import annotations

import math

from planners.arcs import Arcs

_SAMPLES = 5


class FreeRoad:
    """One stretch of a path: ``begin_m`` to ``end_m`` along it, ahead (``gear`` 1) or backwards (-1)."""

    def __init__(self, arcs: Arcs, s_m: float, smooth_m: float) -> None:
        cusps = (0.0, *arcs.path.cusps_m, arcs.length_m)
        self._arcs, self._smooth_m = arcs, smooth_m
        self.begin_m = max((c for c in cusps[:-1] if c <= s_m + 1e-6), default=0.0)
        self.end_m = next((c for c in cusps[1:] if c > self.begin_m + 1e-6), arcs.length_m)
        self.gear = arcs.gear(0.5 * (self.begin_m + self.end_m))

    def curvature(self, s_m: float) -> float:
        """Curvature to steer for at ``s_m``, per metre driven ahead."""
        low = max(self.begin_m, s_m - 0.5 * self._smooth_m)
        high = max(low, min(self.end_m, s_m + 0.5 * self._smooth_m))
        if high <= low:
            return self._arcs.curvature(min(max(s_m, self.begin_m), max(self.begin_m, self.end_m - 1e-6)))
        step = (high - low) / _SAMPLES
        return math.fsum(self._arcs.curvature(low + (k + 0.5) * step) for k in range(_SAMPLES)) / _SAMPLES

    def project(self, x_m: float, y_m: float, near_s_m: float) -> tuple[float, float, float]:
        """(s_m, lateral_m, yaw_rad) of the place on this stretch next to (x, y); beyond both ends it goes on straight.

        ``lateral_m`` is positive to the left of the vehicle's heading, whatever the gear.
        """
        s = min(max(near_s_m, self.begin_m), self.end_m)
        along = lateral = yaw = 0.0
        for _ in range(4):
            # The end of a stretch belongs to the next one, which leads back.
            at = min(max(s, self.begin_m), max(self.begin_m, self.end_m - 1e-6))
            x, y, yaw = self._arcs.pose(at)
            dx, dy = x_m - x, y_m - y
            c, sn = math.cos(yaw), math.sin(yaw)
            along, lateral = dx * c + dy * sn, dy * c - dx * sn
            kappa = self._arcs.curvature(at)
            s_new = at + self.gear * along / max(0.2, 1.0 - kappa * lateral)
            if abs(s_new - s) < 1e-4:
                s = s_new
                break
            s = s_new
        return s, lateral, yaw
