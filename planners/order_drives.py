"""The vehicles of one call as rows of numbers: where they start, what they can do, and their speed limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from planners.blocking import TimeGrid, margin_m
from planners.interface import Body, Request
from planners.profile import lag_s, size_scale, usable
from planners.rounding import rounding_limits
from planners.sequential import Sequential
from planners.tasks import EASE, ROLL_MPS_MIN, Outset
from planners.zone_map import Floats, Footprint, MotionLimits, Path


class Drives(NamedTuple):
    """Vehicles as kernels take them."""

    drive: Floats
    """[vehicle, field of ``_profile.Drive``]: gentle braking, nowhere to stand"""
    sec_s: Floats
    """[section of all vehicles]: where it begins; m"""
    sec_w: Floats
    """[section of all vehicles]: highest speed squared"""
    sec_of: npt.NDArray[np.int64]
    """[vehicle + 1]: whose sections are where"""
    ends: Floats
    """[vehicle]: where it has cleared the zone, where it should stand at the end, and where at most; m"""
    start_m: Floats
    """[vehicle]: where its plan may change"""
    facts: Floats
    """[vehicle]: see :func:`_facts`"""


class DriveStore:
    """What is the same for all vehicles of one kind on one path, remembered."""

    def __init__(self, sequential: Sequential) -> None:
        self._sequential = sequential
        self._known: dict[tuple[str, Footprint, MotionLimits], tuple[float, ...]] = {}

    def drives(self, vehicles: Sequence[tuple[Request, Outset]], grid: TimeGrid) -> Drives:
        """``vehicles`` as rows; their motion continues smoothly as :func:`planners.profile.drive_from` says."""
        facts = np.array([self._of(request.body, outset.path) for request, outset in vehicles])
        starts = np.array([(o.start.time_ms - grid.base_ms, o.start.v_umps, o.start.a_mps2, o.start.s_m,
                            o.clear_s_m, o.stop_m, o.line_m) for _, o in vehicles])  # fmt: skip
        lag, v, a = facts[:, 0], starts[:, 1] * 1e-6, starts[:, 2].copy()
        ahead = v + 0.5 * a * lag
        below = ahead < 0.0
        a[below], ahead[below] = -2.0 * v[below] / lag[below], 0.0
        drive = np.empty((len(vehicles), 11))
        drive[:, 0], drive[:, 1], drive[:, 2], drive[:, 3] = starts[:, 0] * 1e-3, starts[:, 3] + 0.5 * v * lag, ahead, a
        drive[:, 4:9], drive[:, 9], drive[:, 10] = facts[:, :5], np.inf, facts[:, 5]
        sections = [outset.sections for _, outset in vehicles]
        sec_of = np.zeros(len(vehicles) + 1, dtype=np.int64)
        np.cumsum([len(one.start_m) for one in sections], out=sec_of[1:])
        return Drives(
            drive, np.concatenate([one.start_m for one in sections]), np.concatenate([one.square for one in sections]),
            sec_of, starts[:, 4:].copy(), starts[:, 3].copy(), facts,
        )  # fmt: skip

    def _of(self, body: Body, path: Path) -> tuple[float, ...]:
        key = (path.path_id, body.footprint, body.limits)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _facts(body, path, self._sequential)
        return found


def _facts(body: Body, path: Path, sequential: Sequential) -> tuple[float, ...]:
    """Lag, acceleration, braking (hardest, gentle, hardest), s where it is gone; margin, gap in a lane and across,
    slowest roll; acceleration, braking and jerk for rounding, s where its body has left the map, free of margins."""
    accel, brake = usable(body.limits)
    gap = [sequential.spacing.gap_m(body.footprint, shared=shared) for shared in (True, False)]
    rear_m = path.length_m + body.footprint.rear_m
    return (
        lag_s(body.limits), accel, brake, EASE * brake, brake, rear_m + 0.02,
        margin_m(body), *gap, ROLL_MPS_MIN * size_scale(body), *rounding_limits(body.limits), rear_m + 0.001,
    )  # fmt: skip
