"""Trials of the failsafe table: bring a node into a phase, let something go wrong, watch the vehicle's motion.

What counts is what the body does and what is at the actuators; nothing is asked of the part that decided it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.bench import Trial
from hardware.failsafe import Action, Effect, Latch, Phase, row_of
from hardware.limits import comfort_mps2
from hardware.vehicle import Vehicle
from sim.hil.fleet import PERIOD_MS, GuardedFleet, Member
from sim.hil.yard import Yard

EGO, PEER = "ego", "peer"
ANNOUNCE_S = 11.0
"""Nodes announce themselves so long before the line."""
_STANDS_MPS = 0.02
_BUILD_UP_S = 0.45
"""A wrong actuator shows in speed or pose only after a while; the table's time runs from there."""
_SLACK_S = 2 * PERIOD_MS * 1e-3

YardMaker = Callable[[Vehicle], Yard]


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the two begin: seconds before the line at the limit of the map, and the share of it they drive."""

    ego_s: float
    peer_s: float
    share: float = 0.95


_STARTS = {
    Phase.IDLE: _Start(ANNOUNCE_S + 4.0, ANNOUNCE_S + 3.0),
    Phase.NEGOTIATING: _Start(ANNOUNCE_S + 0.3, ANNOUNCE_S + 0.3),
    Phase.COMMITTED: _Start(ANNOUNCE_S - 2.0, ANNOUNCE_S - 2.5),
    Phase.PAST_NO_RETURN: _Start(4.0, 5.0),
    Phase.STOPPED: _Start(4.0, 9.0, 0.0),
}


def fleet_in(phase: Phase, vehicle: Vehicle, make_yard: YardMaker) -> GuardedFleet | None:
    """Two vehicles, one of them in ``phase``; None if it never came to that."""
    limit, start = min(13.89, 0.7 * vehicle.limits.speed_mps_max), _STARTS[phase]
    speed = start.share * limit
    ego = ("S_straight", start.ego_s * limit, speed)
    peer = ("E_straight", start.peer_s * limit, 0.95 * limit)
    fleet = GuardedFleet(vehicle, make_yard(vehicle), {EGO: ego, PEER: peer})
    if phase is Phase.STOPPED:
        fleet.block(EGO, 0.6 * vehicle.body.length_m)
    settle_ms = {Phase.IDLE: 600, Phase.COMMITTED: 800, Phase.STOPPED: 2000}.get(phase, 0)
    while fleet.now_ms < 30_000:
        fleet.tick()
        if fleet.members[EGO].phase is phase and fleet.now_ms >= settle_ms:
            return fleet
    return None


def trial(cause: str, phase: Phase, vehicle: Vehicle, make_yard: YardMaker) -> Trial | None:
    """One cell of the matrix; None if this yard cannot express the cause."""
    fleet = fleet_in(phase, vehicle, make_yard)
    if fleet is None:
        return Trial(f"phase {phase.value} never came", reached=False)
    try:
        if not inject(fleet, cause):
            return None
        if phase is Phase.STOPPED and cause != "object":
            fleet.unblock()  # from here on it would drive, were it not for the cause
        return _Watch(fleet, cause, phase).run()
    finally:
        fleet.yard.close()


def recovery(cause: str, vehicle: Vehicle, make_yard: YardMaker) -> str:
    """After a stop: what ends it ends it, and nothing else. Empty, or what was wrong."""
    fleet = fleet_in(Phase.IDLE, vehicle, make_yard)
    if fleet is None or not inject(fleet, cause):
        return "could not be brought about"
    ego, row = fleet.members[EGO], row_of(cause)
    try:
        watch = _Watch(fleet, cause, Phase.IDLE)
        if watch.run().effect:
            return "no standstill to recover from"
        clear(fleet)
        if row.latch is Latch.NO:
            return "" if _moves(fleet, cause, row.recover_s + 12.0) else "does not go on by itself"
        if _moves(fleet, "", 3.0):
            return "went on by itself although it is latched"
        cleared = ego.guard.hand_back("operator") if cause == "manual" else ego.guard.reset("operator")
        if not cleared:
            return "no reset although the cause is gone and it stands"
        if _moves(fleet, "", 2.0):
            return "the reset started motion"
        ego.guard.activate(())
        return "" if _moves(fleet, "", 12.0) else "does not drive after it was activated"
    finally:
        fleet.yard.close()


def inject(fleet: GuardedFleet, cause: str) -> bool:
    """Let ``cause`` begin at the ego vehicle; False if the yard cannot."""
    ego, faults = fleet.members[EGO], fleet.members[EGO].faults
    if cause == "estop":
        faults.estop_pressed = True
    elif cause in row_of("command_stale").causes:
        ego.line.fault = cause
    elif cause in ("loop_stall", "node_died"):
        ego.running = False
    elif cause == "supervisor_lost":
        ego.heart.dead = True
    elif cause == "clock":
        ego.clock_error_s = 0.05
    elif cause == "peer_lost":
        fleet.members[PEER].radio = False
    elif cause == "object":
        stop_m = ego.node.kernel.stop_distance_m(fleet.speed(EGO))
        fleet.block(EGO, 1.5 * stop_m + 2.0 * fleet.vehicle.body.length_m)
    elif cause == "tracking":
        return fleet.yard.shove(EGO, 2.0 * fleet.vehicle.tracking.lateral_m)
    elif cause == "equivocation":
        fleet.forge(PEER)
    elif cause == "steer_mismatch":
        faults.steer_offset_rad = 0.12
    elif cause == "speed_mismatch":
        faults.drive_mps2 = 0.4 * fleet.vehicle.limits.brake_mps2_max
    elif cause == "battery":
        faults.battery = 0.05
    elif cause == "temperature":
        faults.temperature_c = None
    elif cause == "manual":
        faults.manual = True
    else:
        _break_localisation(ego, cause, fleet.now_ms)
    return True


def _break_localisation(ego: Member, cause: str, now_ms: int) -> None:
    faults = ego.faults
    if cause == "localisation_error":
        faults.localisation_error = True
    elif cause == "localisation_frozen":
        faults.localisation_frozen = True
    elif cause == "localisation_nan":
        faults.localisation_nan = True
    elif cause == "localisation_uncertain":
        faults.localisation_std_m = 10.0
    elif cause == "localisation_jump":  # there and back, as between two hypotheses
        faults.position_bias_x_m = 2.0 if now_ms // 200 % 2 else -2.0


def clear(fleet: GuardedFleet) -> None:
    """All causes end."""
    ego, faults = fleet.members[EGO], fleet.members[EGO].faults
    ego.line.fault, ego.running, ego.heart.dead, ego.clock_error_s = "", True, False, 0.0
    faults.estop_pressed = faults.localisation_error = faults.localisation_frozen = faults.manual = False
    faults.localisation_nan = False
    faults.localisation_std_m = faults.position_bias_x_m = faults.steer_offset_rad = faults.drive_mps2 = 0.0
    faults.battery, faults.temperature_c = 0.9, 35.0
    fleet.unblock()


def _moves(fleet: GuardedFleet, cause: str, seconds: float) -> bool:
    end_ms = fleet.now_ms + 1000 * seconds
    while fleet.now_ms < end_ms:
        fleet.tick()
        if fleet.speed(EGO) > 5.0 * _STANDS_MPS:
            return True
    return False


class _Watch:
    """What the ego vehicle does after the cause."""

    def __init__(self, fleet: GuardedFleet, cause: str, phase: Phase) -> None:
        self.fleet, self.cause = fleet, cause
        self.row = row_of(cause)
        self.effect = self.row.effects[list(Phase).index(phase)]
        self.begun_ms = fleet.now_ms
        self.contacts = fleet.contacts
        self.latency_s: float | None = None
        self.trespassed = False
        self.comfort = comfort_mps2(fleet.vehicle)

    def run(self) -> Trial:
        wrong = getattr(self, f"_{self.effect.name.lower()}")()
        if self.fleet.contacts > self.contacts:
            wrong = "contact"
        if not wrong and self._must_brake() and self.effect is Effect.HALT:
            limit_s = (self.row.detect_s or 0.0) + _SLACK_S + (_BUILD_UP_S if "mismatch" in self.cause else 0.0)
            if self.latency_s is None or self.latency_s > limit_s:
                wrong = f"brakes after {self.latency_s} s; limit {limit_s:.2f} s"
        return Trial(wrong, self.latency_s)

    def _must_brake(self) -> bool:
        return self.row.action >= Action.COMFORT_STOP and self.cause != "manual"

    # --- effects; each returns what is wrong

    def _halt(self) -> str:
        if self._stands():  # it may drive off until the cause is noticed
            self._until(lambda: False, (self.row.detect_s or 0.0) + _SLACK_S)
        speed = self.fleet.speed(EGO)
        bound_s = 1.5 * speed / self.comfort + (self.row.detect_s or 0.0) + 3.0
        if self.row.action is Action.GUARD:
            bound_s += 25.0
        if not self._until(self._stands, bound_s):
            return f"still at {self.fleet.speed(EGO):.2f} m/s after {bound_s:.1f} s"
        return self._stays(1.0)

    def _before_zone(self) -> str:
        if not self._until(self._stands, 40.0):
            return "never stood before the zone"
        if self.fleet.front_before_line_m(EGO) < -0.3 * self._scale:
            return f"stands {-self.fleet.front_before_line_m(EGO):.2f} m beyond the line"
        return "went into the zone without a right" if self.trespassed else ""

    def _finish(self) -> str:
        if not self._until(lambda: self.fleet.rear_beyond_exit_m(EGO) > 0.0 or self._stands(), 20.0) or self._stands():
            return f"did not finish: {self.fleet.speed(EGO):.2f} m/s, {self.fleet.rear_beyond_exit_m(EGO):.1f} m"
        return ""

    def _finish_and_halt(self) -> str:
        return self._finish() or self._halt()

    def _hold(self) -> str:
        x, y, *_ = self.fleet.yard.truth(EGO)
        self._until(lambda: False, 3.0)
        x2, y2, *_ = self.fleet.yard.truth(EGO)
        noticed_s = (self.row.detect_s or 0.0) + _SLACK_S  # until then it may drive off
        allowed = 0.1 * max(0.3, self._scale) + 0.5 * self.fleet.vehicle.limits.accel_mps2_plan * noticed_s**2
        moved = ((x2 - x) ** 2 + (y2 - y) ** 2) ** 0.5
        if self.cause == "speed_mismatch":  # a drive that runs away shows by moving
            allowed = 0.2 * self.fleet.vehicle.limits.brake_mps2_max * (0.3 + _BUILD_UP_S + _SLACK_S) ** 2 + 0.2
        if moved > allowed or not self._stands():
            return f"moved {moved:.2f} m, {self.fleet.speed(EGO):.2f} m/s; allowed {allowed:.2f} m"
        return ""

    def _go_on(self) -> str:
        if not self._until(lambda: self.fleet.rear_beyond_exit_m(EGO) > 0.0, 75.0):
            return f"never crossed: {self.fleet.front_before_line_m(EGO):.1f} m before its line"
        return "went into the zone without a right" if self.trespassed else ""

    # ---

    @property
    def _scale(self) -> float:
        return self.fleet.members[EGO].node.scale

    def _stands(self) -> bool:
        return abs(self.fleet.speed(EGO)) < _STANDS_MPS

    def _stays(self, seconds: float) -> str:
        """But for the last centimetres, in which a vehicle creeps up to the gap that it keeps."""
        moved = self._until(lambda: abs(self.fleet.speed(EGO)) > 5.0 * _STANDS_MPS, seconds)
        return f"moves again at {self.fleet.speed(EGO):.2f} m/s" if moved else ""

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        end_ms = self.fleet.now_ms + 1000 * seconds
        while not condition():
            if self.fleet.now_ms >= end_ms:
                return False
            self._tick()
        return True

    def _tick(self) -> None:
        fleet, ego = self.fleet, self.fleet.members[EGO]
        if self.cause == "localisation_jump":
            _break_localisation(ego, self.cause, fleet.now_ms)
        if self.cause == "loop_stall" and fleet.now_ms - self.begun_ms >= 600:
            ego.running = True
        fleet.tick()
        self.trespassed |= fleet.trespasses(EGO)
        driven = ego.line.gate.driven
        if self.latency_s is None and driven.accel_mps2 <= -0.95 * self.comfort:
            self.latency_s = (fleet.now_ms - self.begun_ms) * 1e-3
