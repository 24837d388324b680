"""Unconnected vehicles: human-like drivers without a radio, whom the fleet must live with.

Following is the intelligent driver model (Treiber, Hennecke, Helbing, Physical Review E 62, 2000,
equations 3 to 5). At a zone the driver accepts a gap: it goes when no rival arrives within its critical
gap (Highway Capacity Manual 6, chapter 20: 4 to 7 s by movement) and no rival has waited longer than it
(first stopped, first to go); the critical gap shrinks with its own waiting time (Mahmassani, Sheffi,
Transportation Research B 15, 1981). Queues then discharge with a follow-up time that the following model
gives by itself. A driver that does not yield takes no notice of the junction, only of the car ahead.

The model is for what traffic looks like, not for safety: honest vehicles treat the body as an obstacle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from hardware.vehicle import Vehicle
from planners.zone_map import Passage, Path

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an unconnected driver drives."""

    yields: bool = True
    """False: runs the junction, whoever comes."""
    time_headway_s: float = 1.2
    gap_m_min: float = 2.0
    """Bumper to bumper at standstill."""
    comfort_brake_mps2: float = 2.0
    critical_gap_s: float = 5.0
    critical_gap_s_min: float = 4.0
    """What impatience brings the critical gap down to, after ``patience_s`` of standing."""
    patience_s: float = 30.0
    courtesy_s: float = 4.0
    """So long each rival that stopped first is waited for while it could go and does not."""
    line_gap_m: float = 0.5
    """Distance from the front bumper to the line when waiting there."""


class Rival(NamedTuple):
    """Another vehicle whose way through the zone crosses this driver's, as the driver sees it."""

    arrival_s: float
    """Until its front is at the zone if it goes on as now; 0: inside; inf: it stands or has left."""
    waiting_since_s: float = math.inf
    """When it came to stand at its line; inf: it does not stand there."""
    vehicle: str = ""
    """Breaks ties between two that stopped at the same moment."""


STANDING_MPS = 0.2
"""Slower than this counts as standing."""
WAITING_BAND_M = 4.0
"""A vehicle that stands with its front no farther than this before the line waits at the line."""


class LegacyDriver:
    """Drives one vehicle along one path.

    Parameters
    ----------
    name : str
        The vehicle's id.
    path : Path
    passages : sequence of Passage
        The zones of ``path`` in the order in which they are driven.
    vehicle : Vehicle
    behaviour : Behaviour
    """

    def __init__(
        self, name: str, path: Path, passages: Sequence[Passage], vehicle: Vehicle, behaviour: Behaviour
    ) -> None:
        if behaviour.critical_gap_s_min > behaviour.critical_gap_s:
            least, usual = behaviour.critical_gap_s_min, behaviour.critical_gap_s
            raise ConfigError(f"critical_gap_s_min = {least:g} s is more than critical_gap_s = {usual:g} s")
        self._name, self._path, self._passages = name, path, tuple(passages)
        self._vehicle, self._behaviour = vehicle, behaviour
        self._front_m = vehicle.body.length_m - vehicle.body.rear_overhang_m
        self._speed_mps = speed_profile(path, vehicle, behaviour.comfort_brake_mps2)
        self._taken = 0  # passages decided for, by index
        self._waiting_since_s: float | None = None
        self._clear_since_s: float | None = None

    def command(
        self,
        now_s: float,
        s_m: float,
        v_mps: float,
        leader: tuple[float, float] | None,
        rivals: Sequence[Rival],
    ) -> float:
        """The acceleration wanted now, m/s2.

        Parameters
        ----------
        s_m, v_mps : float
            Rear axle along the path, and speed.
        leader : (gap_m, speed_mps) or None
            Bumper-to-bumper gap to the vehicle ahead on the same way, and its speed.
        rivals : sequence of Rival
            At the next zone; see :meth:`next_passage`.
        """
        limits, behaviour = self._vehicle.limits, self._behaviour
        wanted_mps = self._wanted_mps(s_m)
        accel = self._follow(v_mps, wanted_mps, leader)
        passage = self.next_passage(s_m)
        if passage is not None and self._holds(now_s, s_m, v_mps, passage, rivals):
            line_m = passage.line_s_m - (s_m + self._front_m)
            # The line is a standing leader; its gap is shortened so that the stop is line_gap_m before it.
            line_gap_m = line_m - behaviour.line_gap_m + behaviour.gap_m_min
            accel = min(accel, self._follow(v_mps, wanted_mps, (line_gap_m, 0.0)))
        return max(-limits.brake_mps2_max, min(limits.accel_mps2_plan, accel))

    def next_passage(self, s_m: float) -> Passage | None:
        """The first zone whose line the front bumper has not passed; None: none is left."""
        for passage in self._passages:
            if s_m + self._front_m <= passage.line_s_m:
                return passage
        return None

    def waiting_since_s(self) -> float | None:
        """When this vehicle came to stand at the line where it now stands, if it does."""
        return self._waiting_since_s

    def steer(self, x_m: float, y_m: float, yaw_rad: float, s_m: float, v_mps: float) -> float:
        """The bicycle's steering angle that follows the path, radians, positive to the left.

        Curvature of the path a steering lag ahead, plus linear feedback of lateral and heading error
        with critical damping over the distance L (e'' + 2 e'/L + e/L^2 = 0 in arc length).
        """
        body, limits = self._vehicle.body, self._vehicle.limits
        path = self._path
        ahead_m = s_m + v_mps * self._vehicle.actuators.steer_lag_s
        kappa = float(np.interp(ahead_m / path.step_m, np.arange(len(path.kappa_1pm)), path.kappa_1pm))
        at = min(max(s_m / path.step_m, 0.0), len(path.x_m) - 1.0)
        k = min(int(at), len(path.x_m) - 2)
        part = at - k
        px, py = (
            path.x_m[k] + part * (path.x_m[k + 1] - path.x_m[k]),
            path.y_m[k] + part * (path.y_m[k + 1] - path.y_m[k]),
        )
        path_yaw = float(path.yaw_rad[k]) + part * _wrap(float(path.yaw_rad[k + 1] - path.yaw_rad[k]))
        lateral_m = -math.sin(path_yaw) * (x_m - px) + math.cos(path_yaw) * (y_m - py)
        heading = _wrap(yaw_rad - path_yaw)
        length = max(1.5 * body.wheelbase_m, 0.6 * v_mps)
        steer = math.atan(body.wheelbase_m * (kappa - lateral_m / length**2 - 2.0 * heading / length))
        return max(-limits.steer_rad_max, min(limits.steer_rad_max, steer))

    def _wanted_mps(self, s_m: float) -> float:
        index = min(max(int(s_m / self._path.step_m), 0), len(self._speed_mps) - 1)
        return float(self._speed_mps[index])

    def _follow(self, v_mps: float, wanted_mps: float, leader: tuple[float, float] | None) -> float:
        limits, behaviour = self._vehicle.limits, self._behaviour
        accel = limits.accel_mps2_plan
        free = accel * (1.0 - (v_mps / max(wanted_mps, 0.1)) ** 4)
        if v_mps > wanted_mps:  # the model's fourth power brakes far too hard above the wanted speed
            free = max(free, -2.0 * behaviour.comfort_brake_mps2)
        if leader is None:
            return free
        gap_m, leader_mps = leader
        if gap_m <= 0.0:
            return -limits.brake_mps2_max
        root = 2.0 * math.sqrt(accel * behaviour.comfort_brake_mps2)
        dynamic = v_mps * behaviour.time_headway_s + v_mps * (v_mps - leader_mps) / root
        return free - accel * ((behaviour.gap_m_min + max(0.0, dynamic)) / gap_m) ** 2

    def _holds(self, now_s: float, s_m: float, v_mps: float, passage: Passage, rivals: Sequence[Rival]) -> bool:
        """Whether the driver brakes for the line of ``passage``; once it goes it does not think again.

        It judges the gap where comfortable braking still suffices, a second of thought included; before
        that it just drives on.
        """
        index = self._passages.index(passage)
        if not self._behaviour.yields or index < self._taken:
            return False
        line_m = passage.line_s_m - (s_m + self._front_m)
        if v_mps > STANDING_MPS or line_m > WAITING_BAND_M:
            self._waiting_since_s = None
        elif self._waiting_since_s is None:
            self._waiting_since_s = now_s
        stop_m = v_mps * v_mps / (2.0 * self._behaviour.comfort_brake_mps2)
        if line_m > stop_m + v_mps * 1.0 + self._behaviour.gap_m_min:
            return False
        if self._must_yield(now_s, rivals):
            return True
        self._taken, self._waiting_since_s, self._clear_since_s = index + 1, None, None
        return False

    def _must_yield(self, now_s: float, rivals: Sequence[Rival]) -> bool:
        """Whether a rival comes too soon, or stopped first and has had no time yet to go.

        That time counts from when the way became clear: else all who have waited long would start together.
        """
        behaviour, waiting = self._behaviour, self._waiting_since_s
        waited_s = 0.0 if waiting is None else now_s - waiting
        patience = max(0.0, 1.0 - waited_s / behaviour.patience_s)
        gap_s = behaviour.critical_gap_s_min + patience * (behaviour.critical_gap_s - behaviour.critical_gap_s_min)
        if any(rival.arrival_s < gap_s for rival in rivals):
            self._clear_since_s = None
            return True
        if self._clear_since_s is None:
            self._clear_since_s = now_s
        mine = (math.inf if waiting is None else waiting, self._name)
        earlier = sum(1 for r in rivals if math.isfinite(r.waiting_since_s) and (r.waiting_since_s, r.vehicle) < mine)
        idle_s = 0.0 if waiting is None else now_s - max(waiting, self._clear_since_s)
        return earlier > 0 and idle_s < behaviour.courtesy_s * earlier


def speed_profile(path: Path, vehicle: Vehicle, brake_mps2: float) -> Floats:
    """Highest speed per point of ``path``, float64 [point], m/s: limits, bends, and braking for what follows.

    v^2 at s is the least of v^2 + 2 b (s' - s) over all s' >= s.
    """
    limits = vehicle.limits
    bend = limits.lateral_accel_mps2_max / np.maximum(np.abs(path.kappa_1pm), 1e-6)
    squared = np.minimum(np.minimum(path.limit_mps, limits.speed_mps_max) ** 2, bend)
    ramp = 2.0 * brake_mps2 * path.step_m * np.arange(len(squared))
    least: Floats = np.minimum.accumulate((squared + ramp)[::-1])[::-1] - ramp
    return np.sqrt(least)


def _wrap(angle_rad: float) -> float:
    return (angle_rad + math.pi) % (2.0 * math.pi) - math.pi
