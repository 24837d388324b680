"""Driving without any agreement: each vehicle avoids the others it sees, and assumes that they do the same.

The baseline ``reactive``: reciprocal velocity obstacles (van den Berg, Lin, Manocha, ICRA 2008; the
half-plane form of it is ORCA, 2011) with the choice of velocities reduced to speeds along the own path. For
every speed that it could go for, a vehicle predicts itself along its path and everybody it sees straight
on at the speed seen. Of those that are not ahead of it in its own lane it expects half of the change: it tries
twice the change against them. The cost of a speed is the distance to the wanted one plus ``_FEAR_M`` over
the time until the bodies, as rows of discs, would touch.

There is no radio, no planner, no verifier and no safety kernel; the contacts it has are what it is. Sensors,
state estimate, tracking controller and the limits of the hardware gate are those of every other vehicle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fleet.node.bodies import scale_of
from fleet.node.control import Tracker
from fleet.node.road import Road
from hardware.base import Command, Track
from hardware.vehicle import Vehicle
from sim.legacy import speed_profile
from sim.vehicle_backend import SimVehicle

Floats = npt.NDArray[np.float64]

NAME = "reactive"
LOOK_MS = 100
HORIZON_S, STEP_S = 5.0, 0.25
SPEED_COUNT = 21
_FEAR_M = 60.0
"""A touch in four seconds costs as much as standing still at 50 km/h does."""
_SPARE_M = 0.3
"""Added to the sum of two radii: localisation and sensors of both."""
_NEAR_M = 70.0
_LANE_RAD = math.radians(45.0)
_RESPONSE_S = 0.5
"""In which the chosen speed is gone for."""
_COMFORT = 0.6
_NS = 1_000_000


class ReactiveCar:
    """One vehicle that avoids what it sees."""

    def __init__(self, vehicle: Vehicle, hardware: SimVehicle, road: Road, period_s: float, start_s_m: float) -> None:
        self._vehicle, self._hardware, self._road = vehicle, hardware, road
        self._tracker = Tracker(vehicle, period_s)
        self._scale = scale_of(vehicle)
        self._cap_mps = speed_profile(road.path, vehicle, _COMFORT * vehicle.limits.brake_mps2_plan)
        body = vehicle.body
        self._discs_m, self._radius_m = discs(body.length_m, body.width_m)
        self._centre_m = 0.5 * body.length_m - body.rear_overhang_m
        self._times_s = np.arange(1, round(HORIZON_S / STEP_S) + 1) * STEP_S
        self._s_m, self._goal_mps, self._looked_ms = start_s_m, math.inf, -LOOK_MS

    def tick(self, now_ms: int) -> None:
        """Sense, choose a speed, and command the vehicle."""
        state = self._hardware.read(now_ms * _NS)
        s, lateral, tangent = self._road.project(state.x_m, state.y_m, self._s_m)
        self._s_m, v = s, max(0.0, state.speed_mps)
        if now_ms - self._looked_ms >= LOOK_MS:
            self._looked_ms = now_ms
            self._goal_mps = self._choose(v, self._hardware.perceive(now_ms * _NS))
        limits = self._vehicle.limits
        wanted = (min(self._goal_mps, self._allowed_mps(s)) - v) / _RESPONSE_S
        accel = max(-limits.brake_mps2_max, min(limits.accel_mps2_plan, wanted))
        steer = self._tracker.steer(self._road, s, lateral, math.remainder(state.yaw_rad - tangent, math.tau), v)
        self._hardware.write(Command(now_ms * _NS, steer, accel), now_ms * _NS)

    def _allowed_mps(self, s_m: float) -> float:
        return float(self._cap_mps[min(max(int(s_m / self._road.step_m), 0), len(self._cap_mps) - 1)])

    def _choose(self, v_mps: float, tracks: Sequence[Track]) -> float:
        """The speed of least cost; the lower of two that cost the same."""
        allowed = self._allowed_mps(self._s_m)
        speeds = np.linspace(0.0, allowed, SPEED_COUNT)
        touch_s = np.full(SPEED_COUNT, math.inf)
        alone, doubled = self._travelled(v_mps, speeds), self._travelled(v_mps, np.maximum(0.0, 2.0 * speeds - v_mps))
        for track in tracks:
            share = self._relation(track)
            if share is not None:
                own = self._bodies(alone if share == 1.0 else doubled)
                touch_s = np.minimum(touch_s, self._touch_s(own, track))
        cost = np.abs(allowed - speeds) + _FEAR_M * self._scale / np.maximum(touch_s, 0.5 * STEP_S)
        return float(speeds[int(np.argmin(cost))])

    def _relation(self, track: Track) -> float | None:
        """The share of avoiding that is this vehicle's: all for who is ahead in its lane, none (None) for who is
        behind or far away, half for the others."""
        x, y, yaw = self._road.pose(self._s_m + self._centre_m)
        dx, dy = track.x_m - x, track.y_m - y
        distance = math.hypot(dx, dy)
        if distance > _NEAR_M * self._scale:
            return None
        s, lateral, tangent = self._road.project(track.x_m, track.y_m, self._s_m + self._centre_m + distance)
        along = abs(math.remainder(track.yaw_rad - tangent, math.tau)) < _LANE_RAD
        in_lane = along and abs(lateral) < 0.5 * (track.width_m + self._vehicle.body.width_m)
        behind = dx * math.cos(yaw) + dy * math.sin(yaw) < 0.0
        same_way = abs(math.remainder(track.yaw_rad - yaw, math.tau)) < _LANE_RAD
        if behind and same_way:
            return None
        return 1.0 if in_lane and s > self._s_m + self._centre_m else 0.5

    def _travelled(self, v_mps: float, goals_mps: Floats) -> Floats:
        """Way driven, float64 [goal, time], if speed goes to each goal as fast as plans may and stays there."""
        limits = self._vehicle.limits
        rate = np.where(goals_mps > v_mps, limits.accel_mps2_plan, -limits.brake_mps2_plan)[:, None]
        change_s = ((goals_mps - v_mps)[:, None] / rate).clip(0.0)
        ramp_s = np.minimum(self._times_s[None, :], change_s)
        rest_s = self._times_s[None, :] - ramp_s
        way: Floats = v_mps * ramp_s + 0.5 * rate * ramp_s**2 + goals_mps[:, None] * rest_s
        return way

    def _bodies(self, way_m: Floats) -> Floats:
        """Centres of the own discs along the path, float64 [goal, time, disc, 2]."""
        path = self._road.path
        s = np.clip(self._s_m + way_m, 0.0, path.length_m)
        k = np.minimum((s / path.step_m).astype(np.int64), len(path.x_m) - 1)
        cos, sin = np.cos(path.yaw_rad[k]), np.sin(path.yaw_rad[k])
        ahead = s - k * path.step_m
        offset = self._centre_m + self._discs_m + ahead[..., None]
        return np.stack(
            (path.x_m[k][..., None] + offset * cos[..., None], path.y_m[k][..., None] + offset * sin[..., None]), -1
        )

    def _touch_s(self, own: Floats, track: Track) -> Floats:
        """When each goal's discs first touch those of ``track``; inf: not within the horizon. Float64 [goal]."""
        offset, radius = discs(track.length_m, track.width_m)
        cos, sin = math.cos(track.yaw_rad), math.sin(track.yaw_rad)
        along = offset[None, :] + (track.speed_mps * self._times_s)[:, None]
        other = np.stack((track.x_m + along * cos, track.y_m + along * sin), -1)
        reach = self._radius_m + radius + _SPARE_M * self._scale
        apart = own[:, :, :, None, :] - other[None, :, None, :, :]
        touching = ((apart**2).sum(-1) < reach * reach).any(axis=(2, 3))
        first = touching.argmax(axis=1)
        return np.where(touching.any(axis=1), self._times_s[first], math.inf)


def discs(length_m: float, width_m: float) -> tuple[Floats, float]:
    """(offsets of their centres along a body from its own, radius) of the discs that cover a rectangle."""
    count = max(1, math.ceil(length_m / width_m))
    pitch = length_m / count
    return (np.arange(count) - 0.5 * (count - 1)) * pitch, 0.5 * math.hypot(pitch, width_m)
