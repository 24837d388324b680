"""The safety kernel off the road: drives one plan along arcs, ahead and backwards, and stops for what it sees.

It never waits for planner, protocol or network. Every plan it has ends at standstill, and at any time the
vehicle may stop on its own path: nothing static is in the way there (the verifier saw to it), and whoever
else comes keeps the slack in time in which to stop as well. It overrides the plan's acceleration, never its
steering:

1. where the way that the vehicle needs to stop, swept by its body, meets a body as the sensors see it, it brakes;
2. without a fresh state estimate it brakes with the steering held.
"""

from __future__ import annotations

import math
from typing import Union

import numpy as np
import numpy.typing as npt

from fleet.node.control import Reference, Tracker
from fleet.node.free_road import FreeRoad
from fleet.node.kernel import Rest, Status, usable
from fleet.node.surroundings import Surroundings
from hardware.base import Command, VehicleState
from hardware.vehicle import Vehicle
from planners.arcs import Arcs
from planners.check_free import gaps
from planners.timed_path import SegmentArrays, TimedPath

Floats = npt.NDArray[np.float64]
Size = Union[Floats, float]  # noqa: UP007 - an alias that Python 3.10 evaluates

BRAKE_MPS2 = 2.0
"""Own braking off the road; the verifier's slack reckons with it."""
REACTION_S = 0.3
"""Age of what the sensors show, and the brakes' lag."""
GUARD_M = 0.08
"""What the vehicle keeps from a body it brakes for."""
_SWEEP_STEP_M = 0.25
_CUSP_AHEAD_M = 0.015
_STOPPED_MPS = 0.02


class FreeKernel:
    """One vehicle's."""

    def __init__(self, vehicle: Vehicle, period_s: float) -> None:
        self.vehicle = vehicle
        self._tracker = Tracker(vehicle, period_s)
        body = vehicle.body
        self._front_m, self._rear_m = body.length_m - body.rear_overhang_m, body.rear_overhang_m
        self._half_m = 0.5 * body.width_m
        self._reach_m = math.hypot(max(self._front_m, self._rear_m), self._half_m)
        self._steer_held = 0.0
        self._reverse = False
        self.road: FreeRoad | None = None
        self.arcs: Arcs | None = None
        self.plan: TimedPath | None = None
        self.arrays: SegmentArrays | None = None
        self.status = Status()

    @property
    def stands(self) -> bool:
        return abs(self.status.v_mps) < _STOPPED_MPS

    def follow(self, plan: TimedPath, arcs: Arcs, arrays: SegmentArrays) -> None:
        """Drive ``plan`` from now on; the vehicle is where it begins."""
        self.plan, self.arcs, self.arrays = plan, arcs, arrays
        self.road = None
        self.status.s_m = plan.s0_mm * 1e-3

    def locate(self, state: VehicleState, now_ms: int) -> float:
        """Project the estimate on the stretch that the plan drives now; returns the heading error (rad)."""
        if self.arcs is None or self.arrays is None or not usable(state, state.stamp_ns):
            return 0.0
        s_ref, _, _ = self.arrays.at(now_ms * 1e-3)
        if self.road is None or not self.road.begin_m <= s_ref + _CUSP_AHEAD_M < self.road.end_m:
            self.road = FreeRoad(self.arcs, s_ref + _CUSP_AHEAD_M, self._smooth_m())
            self.status.s_m = min(max(self.status.s_m, self.road.begin_m), self.road.end_m)
        s, lateral, yaw = self.road.project(state.x_m, state.y_m, self.status.s_m)
        status = self.status
        status.s_m, status.lateral_m, status.v_mps = s, lateral, state.speed_mps
        status.accel_mps2 = state.accel_mps2
        return math.remainder(state.yaw_rad - yaw, math.tau)

    def command(self, now_ns: int, state: VehicleState, heading_error_rad: float, around: Surroundings) -> Command:
        """The command for this tick; :meth:`locate` came first."""
        status, road, arrays = self.status, self.road, self.arrays
        now_s = now_ns * 1e-9
        status.rest = Rest.PLAN_END
        if road is None or arrays is None or not usable(state, now_ns):
            status.braking_for = "state"
            return Command(now_ns, self._steer_held, -self.vehicle.limits.brake_mps2_plan, self._reverse)
        s_ref, v_ref, _ = arrays.at(now_s)
        _, v_ahead, a_ahead = arrays.at(now_s + self._tracker.accel_lead_s)
        rest = v_ref < 1e-3 and v_ahead < 1e-3 and a_ahead <= 0.0
        speed = road.gear * state.speed_mps
        status.longitudinal_error_m = status.s_m - s_ref
        status.braking_for = ""
        accel = self._tracker.accelerate(Reference(s_ref, v_ref, a_ahead, rest, arrays, now_s), status.s_m, speed)
        # Backwards the way unwinds in the other sense: the same heading error leads off to the other side.
        steer = self._tracker.steer(road, status.s_m, status.lateral_m, road.gear * heading_error_rad, speed)
        self._steer_held, self._reverse = steer, road.gear < 0
        return Command(now_ns, steer, min(accel, self._guard(speed, around, now_s)), self._reverse)

    def _guard(self, speed_mps: float, around: Surroundings, now_s: float) -> float:
        """Largest acceleration that keeps the way to a stop clear of all bodies seen (inf: nothing is in the way)."""
        road, arcs, status = self.road, self.arcs, self.status
        if road is None or arcs is None or not len(around.table):
            return math.inf
        v = max(0.0, speed_mps)
        stop_m = v * REACTION_S + v * v / (2.0 * BRAKE_MPS2) + GUARD_M
        last_m = min(road.end_m, status.s_m + stop_m)
        boxes = self._near(around, status.s_m, stop_m, arcs)
        if not len(boxes) or last_m <= status.s_m:
            return math.inf
        places = np.linspace(status.s_m, last_m, 1 + max(1, math.ceil((last_m - status.s_m) / _SWEEP_STEP_M)))
        own = _outlines(*arcs.poses(places), self._front_m, self._rear_m, self._half_m)
        many, few = len(places), len(boxes)
        gap = gaps(np.repeat(own, few, axis=0), np.tile(boxes, (many, 1, 1))).reshape(many, few)
        # What it is close to already it may leave: only what comes closer on the way counts.
        hit = (gap < GUARD_M) & (gap < gap[0] - 1e-3)
        hit[0] = False
        if not hit.any():
            return math.inf
        room = max(0.05, float(places[int(np.argmax(hit.any(axis=1)))]) - status.s_m - _SWEEP_STEP_M)
        status.braking_for = "leader"
        return -min(self.vehicle.limits.brake_mps2_max, max(BRAKE_MPS2, v * v / (2.0 * room)))

    def _near(self, around: Surroundings, s_m: float, stop_m: float, arcs: Arcs) -> Floats:
        """Outlines of the bodies within reach of the way to a stop."""
        x, y, _ = arcs.pose(s_m)
        table = around.table
        reach = self._reach_m + stop_m + 0.5 * np.hypot(table[:, 4], table[:, 5]) + GUARD_M
        rows = table[np.hypot(table[:, 0] - x, table[:, 1] - y) <= reach]
        return _outlines(rows[:, 0], rows[:, 1], rows[:, 2], 0.5 * rows[:, 4], 0.5 * rows[:, 4], 0.5 * rows[:, 5])

    def _smooth_m(self) -> float:
        """The way that turning the wheels from straight to the path's tightest arc takes."""
        limits, arrays = self.vehicle.limits, self.arrays
        if self.arcs is None or arrays is None:
            return 0.0
        angle = math.atan(self.vehicle.body.wheelbase_m * self.arcs.path.kappa_max_1pm)
        return float(arrays.v_mps.max()) * angle / limits.steer_rate_radps_max


def _outlines(x: Floats, y: Floats, yaw: Floats, front: Size, rear: Size, half: Size) -> Floats:
    """Corners of bodies, [body, 4, 2], from reference points and how far they reach from them."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    one = np.ones_like(x)
    ahead = np.stack((front * one, -rear * one, -rear * one, front * one), axis=1)
    left = (half * one)[:, None] * np.array([1.0, 1.0, -1.0, -1.0])
    return np.stack((x[:, None] + ahead * c - left * s, y[:, None] + ahead * s + left * c), axis=2)
