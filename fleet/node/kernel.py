"""The safety kernel: the only part of a node that moves the vehicle.

Theory of operation
-------------------
The kernel drives along one TimedPath. It never waits for planner, protocol or network; if they go
silent it drives the plan it has, and every plan it has ends at standstill or off the map.

Two kinds of plan:

- *own*: needs nobody's consent, for it ends at standstill before the next zone the vehicle has no
  right to enter. Traffic ahead is followed with the sensors.
- *committed*: passes a zone by right of a certificate (or, without radio, by perception's leave).

At every tick the kernel holds a verified way out (rule S4): on an own plan, braking before the line;
on a committed plan before its point of no return, the same; past it, the committed plan itself, which
was verified to its end (rules P5, P6). ``Status`` says which one, and the driver logs when none is left.

The kernel overrides the plan's acceleration, never its steering:

1. a road user ahead that no verified plan accounts for is kept at RSS distance (Shalev-Shwartz 2017,
   eq. 2, with the vehicle-vehicle parameters of the hardware reference);
2. without a fresh state estimate it brakes with the steering held;
3. when even full braking would only just stop before the line, it brakes, whatever the plan says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from fleet.node.control import Reference, Tracker
from fleet.node.envelope import Envelope
from fleet.node.road import Road
from fleet.node.rss import LEADER_BRAKE_MPS2, rss_distance_m
from fleet.node.surroundings import Leader, Surroundings
from hardware.base import Command, Health, VehicleState
from hardware.vehicle import Vehicle
from planners.timed_path import SegmentArrays, TimedPath

STALE_STATE_S = 0.3
"""An older estimate than this is no estimate (failsafe table: localisation, 0.3 s)."""
_GAP_MIN_M = 1.0
_FOLLOW_TIME_S = 0.55
_FOLLOW_GAIN = 0.5
_FOLLOW_SPEED_GAIN = 1.2
FOLLOWER = (_FOLLOW_GAIN, _FOLLOW_SPEED_GAIN, _FOLLOW_TIME_S)
"""By sight behind somebody without a plan: 1/s2 on the gap, 1/s on the speed difference, s of headway. A string of
such followers amplifies what its first one does (``fleet/oversight/string_stability.py``); from 1.8 1/s on it would
not, but then comes to a stop less gently."""
_CREEP_MPS = 0.05
_HOLD_MPS2 = 0.5
"""At the line a standing vehicle is held: a plan that wants on would else creep over it tick by tick."""
_GUARANTEED = 0.8
"""Share of the vehicle's full braking that contingencies count on (brake fade, grade, wet road)."""


class Rest(Enum):
    """How the vehicle would come to rest if nothing more were heard."""

    PLAN_END = "plan_end"
    BEFORE_LINE = "before_line"
    FINISH = "finish"
    NONE = "none"


@dataclass(slots=True)
class Status:
    """What one tick found; read by the driver and the log."""

    s_m: float = 0.0
    lateral_m: float = 0.0
    v_mps: float = 0.0
    accel_mps2: float = 0.0
    longitudinal_error_m: float = 0.0
    rest: Rest = Rest.PLAN_END
    past_no_return: bool = False
    braking_for: str = ""
    """Empty, or what the kernel overrides the plan for: leader, line, state."""
    ahead: list[Leader] = field(default_factory=list)
    """Road users in the corridor, nearest first."""

    @property
    def leader(self) -> Leader | None:
        return self.ahead[0] if self.ahead else None


class Kernel:
    """One vehicle's safety kernel."""

    def __init__(self, vehicle: Vehicle, period_s: float, scale: float, tracker: Tracker | None = None) -> None:
        self.vehicle = vehicle
        self._scale = scale
        self._tracker = tracker or Tracker(vehicle, period_s)
        self._envelope = Envelope(vehicle)
        self._front_m = vehicle.body.length_m - vehicle.body.rear_overhang_m
        self._brake_sure = _GUARANTEED * vehicle.limits.brake_mps2_max
        self._delay_s = vehicle.actuators.accel_lag_s + 2.0 * period_s
        self._half_width = 0.5 * vehicle.body.width_m + 0.5 * vehicle.tracking.lateral_m
        self._steer_held = 0.0
        self._old_s = 2.0 * period_s
        self._since_m = 0.0
        """Driven since the estimate was taken."""
        self.road: Road | None = None
        self.plan: TimedPath | None = None
        self.arrays: SegmentArrays | None = None
        self.committed = False
        self.line_s_m = math.inf
        self.accounted: frozenset[str] = frozenset()
        """Vehicles ahead whose announced plans this vehicle's plan is clear of by the verifier.

        An agreed plan then needs no guard; on an own plan RSS distance is kept all the same, since the
        other is free to change its mind."""
        self._looked: list[Leader] = []
        """What was in the corridor at the last look, when the front bumper was at ``_looked_front_m``."""
        self._looked_ms = -1
        self._looked_front_m = 0.0
        self.status = Status()

    def follow(self, road: Road, plan: TimedPath, arrays: SegmentArrays, *, committed: bool, line_s_m: float) -> None:
        """Drive ``plan``; ``line_s_m`` is the line before which the vehicle can still stop by right."""
        self.road, self.plan, self.arrays = road, plan, arrays
        self.committed, self.line_s_m = committed, line_s_m
        self.status.past_no_return = not self.can_stop_before(line_s_m)

    def stop_distance_m(self, v_mps: float) -> float:
        """Distance to a sure standstill, with actuation delay."""
        return v_mps * self._delay_s + v_mps * v_mps / (2.0 * self._brake_sure)

    def can_stop_before(self, line_s_m: float) -> bool:
        """Whether the front bumper can still stop at ``line_s_m`` (the point of no return lies ahead)."""
        front = self.status.s_m + self._since_m + self._front_m
        return front + self.stop_distance_m(self.status.v_mps) <= line_s_m

    def locate(self, state: VehicleState) -> float:
        """Project the estimate on the road; fills the status. Returns the heading error (rad)."""
        status, road = self.status, self.road
        if road is None or not usable(state, state.stamp_ns):
            return 0.0
        s, lateral, tangent = road.project(state.x_m, state.y_m, status.s_m)
        status.s_m, status.lateral_m, status.v_mps = s, lateral, state.speed_mps
        status.accel_mps2 = state.accel_mps2
        return math.remainder(state.yaw_rad - tangent, 2.0 * math.pi)

    def command(self, now_ns: int, state: VehicleState, heading_error_rad: float, around: Surroundings) -> Command:
        """The command for this tick; :meth:`locate` came first."""
        status, road, arrays = self.status, self.road, self.arrays
        now_s = now_ns * 1e-9
        if road is None or arrays is None:
            return self._within(now_ns, self._steer_held, -self._brake_sure)
        if not usable(state, now_ns):
            status.braking_for = "state"
            return self._within(now_ns, self._steer_held, self._blind())
        v, age_s = status.v_mps, max(0.0, now_s - state.stamp_ns * 1e-9)
        self._since_m = v * age_s
        s_ref, v_ref, _ = arrays.at(now_s)
        _, v_ahead, a_ahead = arrays.at(now_s + self._tracker.accel_lead_s)
        rest = v_ref < 1e-3 and v_ahead < 1e-3 and a_ahead <= 0.0
        status.longitudinal_error_m = status.s_m - s_ref
        accel = self._tracker.accelerate(Reference(s_ref, v_ref, a_ahead, rest, arrays, now_s), status.s_m, v)
        steer = self._tracker.steer(road, status.s_m, status.lateral_m, heading_error_rad, v)
        status.braking_for = ""
        if age_s > self._old_s:
            accel = min(accel, 0.0)
        accel = min(accel, self._before_line(v), self._behind_others(v, around, now_s))
        return self._within(now_ns, steer, accel)

    def _within(self, now_ns: int, steer_rad: float, accel_mps2: float) -> Command:
        """The first of the two clamps."""
        self._steer_held, accel = self._envelope.bound(now_ns * 1e-9, self.status.v_mps, steer_rad, accel_mps2)
        return Command(now_ns, self._steer_held, accel)

    def _blind(self) -> float:
        """Braking without an estimate: as a plan brakes where the last one leaves room for that, else fully."""
        status, limits = self.status, self.vehicle.limits
        v = status.v_mps
        run_m = v * (self._delay_s + STALE_STATE_S) + v * v / (2.0 * limits.brake_mps2_plan)
        gently = status.s_m + self._front_m + run_m <= self.line_s_m or (self.committed and status.past_no_return)
        return -(limits.brake_mps2_plan if gently else limits.brake_mps2_max)

    def _before_line(self, v_mps: float) -> float:
        """Hold the last chance to stop before the line; says what contingency is left."""
        status = self.status
        status.past_no_return = not self.can_stop_before(self.line_s_m)
        if self.committed:
            status.rest = Rest.FINISH if status.past_no_return else Rest.BEFORE_LINE
            return math.inf
        if not status.past_no_return:
            status.rest = Rest.PLAN_END
            return math.inf
        room = self.line_s_m - status.s_m - self._since_m - self._front_m
        if v_mps < _CREEP_MPS:
            status.rest = Rest.PLAN_END
            return -_HOLD_MPS2 * self._scale
        status.rest = Rest.PLAN_END if room > -0.3 * self._scale else Rest.NONE
        status.braking_for = "line"
        needed = v_mps * v_mps / (2.0 * max(0.05 * self._scale, room))
        return -min(self.vehicle.limits.brake_mps2_max, max(needed, _HOLD_MPS2 * self._scale))

    def look(self, around: Surroundings) -> None:
        """See who is in the corridor, once for each new set of tracks; :meth:`locate` came first."""
        if self.road is None or around.stamp_ms == self._looked_ms:
            return
        status = self.status
        self._looked_ms, self._looked_front_m = around.stamp_ms, status.s_m + self._front_m
        reach = self.stop_distance_m(status.v_mps) + (2.0 * status.v_mps + 8.0 * self._scale)
        self._looked = around.corridor(self.road, self._looked_front_m, self._half_width, reach)
        status.ahead = self._looked

    def _behind_others(self, v_mps: float, around: Surroundings, now_s: float) -> float:
        """Largest acceleration that keeps RSS distance to what is ahead (inf: nothing is in the way)."""
        status = self.status
        self.look(around)
        moved, since_s = status.s_m + self._front_m - self._looked_front_m, now_s - self._looked_ms * 1e-3
        status.ahead = [one.after(since_s, moved) for one in self._looked] if moved else self._looked
        accel = math.inf
        for leader in status.ahead:
            accounted = leader.peer is not None and leader.peer in self.accounted
            if not (accounted and self.committed):
                accel = min(accel, self._behind(v_mps, leader, accounted))
        return accel

    def _behind(self, v_mps: float, leader: Leader, accounted: bool) -> float:
        gap_min = _GAP_MIN_M * self._scale
        v_lead = max(0.0, leader.speed_mps) if not leader.crossing else 0.0
        if leader.gap_m < self.rss_distance_m(v_mps, v_lead):
            self.status.braking_for = "leader"
            room = max(0.05 * self._scale, leader.gap_m - 0.5 * gap_min)
            closing = max(0.0, v_mps * v_mps - v_lead * v_lead) / (2.0 * room)
            return -min(self.vehicle.limits.brake_mps2_max, max(closing, 0.4 * self.vehicle.limits.brake_mps2_plan))
        if accounted:
            return math.inf
        wanted = gap_min + _FOLLOW_TIME_S * v_mps
        return _FOLLOW_GAIN * (leader.gap_m - wanted) + _FOLLOW_SPEED_GAIN * (v_lead - v_mps) + 0.2 * self._scale

    def rss_distance_m(self, v_mps: float, v_lead_mps: float) -> float:
        """RSS distance with this vehicle's limits, at least the standstill gap."""
        limits = self.vehicle.limits
        distance = rss_distance_m(
            v_mps,
            v_lead_mps,
            accel_mps2=limits.accel_mps2_plan,
            brake_mps2=limits.brake_mps2_max,
            leader_brake_mps2=max(LEADER_BRAKE_MPS2 * self._scale, limits.brake_mps2_max),
        )
        return max(0.6 * _GAP_MIN_M * self._scale, distance)


def usable(state: VehicleState, now_ns: int) -> bool:
    """Whether the vehicle can be driven by this estimate: trusted by its source, fresh, and numbers."""
    fresh = (now_ns - state.stamp_ns) * 1e-9 <= STALE_STATE_S
    numbers = math.isfinite(state.x_m + state.y_m + state.yaw_rad + state.speed_mps)
    return fresh and numbers and state.health is Health.OK
