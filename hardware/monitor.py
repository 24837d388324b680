"""The vehicle's monitor: from what is observed at a tick to what must be done about it, by the failsafe table.

Pure: values in, values out, the same decision bit for bit when the same observations are put in again (the
black box relies on it). A cause acts once it has been present for the table's time, and ends once it has been
absent for the table's recovery time, or, latched, by an operator's reset. What the gate, the kernel and the
agreement core see for themselves (rows ``seen_by`` others) is theirs; the monitor adds what none of them sees.

Actuators are compared with the first-order lags of the vehicle file: a model runs along with what is driven
and leaks towards what is measured, so that slopes and drag fade out of it and a stuck actuator does not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from fleet.errors import HardwareError
from hardware.base import Applied, Health, VehicleState, Vitals
from hardware.failsafe import Action, Latch, Phase, row_of, worst
from hardware.limits import STANDSTILL_MPS
from hardware.vehicle import Vehicle

CLOCK_ERROR_S_MAX = 0.01
"""The protocol's bound eps on the error of a clock (``Tuning.eps_ms``; a test keeps them equal)."""
BATTERY_MIN = 0.15
TEMPERATURE_C_MAX = 80.0
STALL_NS = 200_000_000
_FROZEN_NS = 100_000_000
"""With an older estimate than this the localisation is not alive; it acts after the table's 0.3 s in all."""
_LEAK_S = 0.3
_SPEED_SHARE = 0.045
"""Of full braking: a speed that is so far (per m/s2) from the model's is no noise."""
_STEER_RAD = 0.06
_NOISE = 4.0
"""Standard deviations."""
_JUMP_M = 0.5
_OF_GATE = ("estop", "manual")


class Observation(NamedTuple):
    """All that the monitor decides by."""

    now_ns: int
    state: VehicleState
    driven: Applied
    """At the actuators since the last tick."""
    vitals: Vitals
    clock_error_s: float | None
    supervisor_lost: bool
    supervisor_holds: bool
    """It took the node for dead, and brakes."""
    must_finish: bool
    """Past the point of no return of a commitment."""


class Decision(NamedTuple):
    """What is to be done at this tick."""

    action: Action
    causes: tuple[str, ...]
    """All that act, in order of name."""
    signs: bool
    """Whether this vehicle may sign anything."""
    health: Health
    """Of the estimate, as the node shall see it."""


class MonitorState(NamedTuple):
    """All that a monitor remembers, as plain values."""

    since: tuple[tuple[str, int], ...]
    acting: tuple[tuple[str, int], ...]
    last_ns: int
    stamp_ns: int
    pose: tuple[float, float]
    speed_mps: float
    model: tuple[float, float, float]


class Monitor:
    """One vehicle's monitor. Call :meth:`step` once per tick."""

    def __init__(self, vehicle: Vehicle) -> None:
        limits, sensors = vehicle.limits, vehicle.sensors
        self._vehicle = vehicle
        self._speed_tolerance = _SPEED_SHARE * limits.brake_mps2_max + _NOISE * sensors.speed_std_mps
        self._jump_m = max(_NOISE * sensors.position_std_m, min(_JUMP_M, 0.5 * vehicle.body.length_m))
        self._std_m_max = max(3.0 * sensors.position_std_m, 0.5 * vehicle.tracking.lateral_m)
        self._since: dict[str, int] = {}
        """Cause -> since when it is present."""
        self._acting: dict[str, int] = {}
        """Cause -> when it was present last."""
        self._last_ns = -1
        self._stamp_ns = -1
        self._pose = (math.nan, math.nan)
        self._speed = 0.0
        self._model = (0.0, 0.0, 0.0)
        """Steering, acceleration and speed that the actuators should have brought about."""

    def step(self, seen: Observation) -> Decision:
        """The decision for this tick."""
        present = self._present(seen)
        now_ns = seen.now_ns
        for cause in sorted(present):
            since_ns = self._since.setdefault(cause, now_ns)
            bound_s = row_of(cause).detect_s or 0.0
            waited = now_ns - since_ns >= bound_s * 1e9 - self._half_tick_ns(now_ns)
            if waited or present[cause] or cause in self._acting:
                self._acting[cause] = now_ns
        for cause in [one for one in self._since if one not in present]:
            del self._since[cause]
        for cause, last_ns in list(self._acting.items()):
            row = row_of(cause)
            if row.latch is Latch.NO and cause not in present and now_ns - last_ns >= row.recover_s * 1e9:
                del self._acting[cause]
        self._remember(seen)
        return self._decide(seen)

    def reset(self, operator: str, speed_mps: float) -> bool:
        """Clear what is latched and no longer present, at standstill. True if nothing latched is left.

        Emergency stops and overrides are the gate's: it has said yes before this is asked."""
        if not operator:
            raise HardwareError("a reset needs the operator's name")
        if abs(speed_mps) > STANDSTILL_MPS:
            return False
        for cause in list(self._acting):
            if row_of(cause).latch is Latch.OPERATOR and (cause in _OF_GATE or cause not in self._since):
                del self._acting[cause]
        return not any(row_of(cause).latch is Latch.OPERATOR for cause in self._acting)

    def _half_tick_ns(self, now_ns: int) -> int:
        """What is decided now is driven before the next look: a bound ends at the nearest tick."""
        return (now_ns - self._last_ns) // 2 if self._last_ns >= 0 else 0

    def _decide(self, seen: Observation) -> Decision:
        causes = tuple(sorted(self._acting))
        action = worst(causes)
        if action is Action.COMFORT_STOP and seen.must_finish:
            action = Action.SIGN_NOTHING if "clock" in causes else Action.LEAVE
        lost = any(cause.startswith("localisation") for cause in causes)
        return Decision(action, causes, "clock" not in causes, Health.ERROR if lost else seen.state.health)

    # --- what is wrong now; True: acts at once, for its own time was waited for already

    def _present(self, seen: Observation) -> dict[str, bool]:
        found: dict[str, bool] = {}
        vitals = seen.vitals
        if vitals.estop_pressed or "estop" in seen.driven.limited_by:
            found["estop"] = True
        if vitals.manual or "manual" in seen.driven.limited_by:
            found["manual"] = True
        if seen.supervisor_lost:
            found["supervisor_lost"] = True
        if seen.supervisor_holds or (self._last_ns >= 0 and seen.now_ns - self._last_ns > STALL_NS):
            found["loop_stall"] = True
        if seen.clock_error_s is None or not seen.clock_error_s <= CLOCK_ERROR_S_MAX:
            found["clock"] = False
        if vitals.battery is None or not vitals.battery >= BATTERY_MIN:
            found["battery"] = False
        if vitals.temperature_c is None or not vitals.temperature_c <= TEMPERATURE_C_MAX:
            found["temperature"] = False
        found.update(self._localisation(seen))
        found.update(self._actuators(seen))
        return found

    def _localisation(self, seen: Observation) -> dict[str, bool]:
        state = seen.state
        if not math.isfinite(state.x_m + state.y_m + state.yaw_rad + state.speed_mps + state.steer_rad):
            return {"localisation_nan": True}
        found: dict[str, bool] = {}
        if state.health is Health.ERROR:
            found["localisation_error"] = True
        if seen.now_ns - state.stamp_ns > _FROZEN_NS:
            found["localisation_frozen"] = seen.now_ns - state.stamp_ns > 3 * _FROZEN_NS
        if not state.position_std_m <= self._std_m_max:
            found["localisation_uncertain"] = False
        elapsed_ns = state.stamp_ns - self._stamp_ns
        if self._stamp_ns >= 0 and elapsed_ns > 0 and math.isfinite(self._pose[0]):
            way = math.hypot(state.x_m - self._pose[0], state.y_m - self._pose[1])
            driven = 0.5 * (abs(state.speed_mps) + abs(self._speed)) * elapsed_ns * 1e-9
            if abs(way - driven) > self._jump_m:
                found["localisation_jump"] = True
            elif way == 0.0 and driven > 0.0 and abs(state.speed_mps) > 10.0 * STANDSTILL_MPS:
                found["localisation_frozen"] = False
        return found

    def _actuators(self, seen: Observation) -> dict[str, bool]:
        """Compare with the model; it starts anew where nothing can be compared."""
        state, elapsed_s = seen.state, (seen.now_ns - self._last_ns) * 1e-9
        fresh = state.stamp_ns > self._stamp_ns and math.isfinite(state.speed_mps + state.steer_rad)
        gap_ns = state.stamp_ns - self._stamp_ns if self._stamp_ns >= 0 else STALL_NS + 1
        if not fresh or gap_ns > STALL_NS or not 0.0 < elapsed_s <= STALL_NS * 1e-9:
            if fresh:
                self._model = (state.steer_rad, state.accel_mps2, state.speed_mps)
            return {}
        actuators = self._vehicle.actuators
        steer, accel, speed = self._model
        steer += (seen.driven.steer_rad - steer) * -math.expm1(-elapsed_s / actuators.steer_lag_s)
        kept = math.exp(-elapsed_s / actuators.accel_lag_s)
        wanted = seen.driven.accel_mps2
        speed += wanted * elapsed_s + (accel - wanted) * actuators.accel_lag_s * (1.0 - kept)
        accel, speed = wanted + (accel - wanted) * kept, max(0.0, speed)
        found: dict[str, bool] = {}
        if abs(state.speed_mps - speed) > self._speed_tolerance:
            found["speed_mismatch"] = False
        if abs(state.steer_rad - steer) > _STEER_RAD:
            found["steer_mismatch"] = False
        speed += (state.speed_mps - speed) * -math.expm1(-elapsed_s / _LEAK_S)
        self._model = (steer, accel, speed)
        return found

    def _remember(self, seen: Observation) -> None:
        state = seen.state
        self._last_ns = seen.now_ns
        if state.stamp_ns > self._stamp_ns:
            self._stamp_ns, self._speed = state.stamp_ns, state.speed_mps
            self._pose = (state.x_m, state.y_m)

    # --- for replays

    def snapshot(self) -> MonitorState:
        return MonitorState(
            tuple(sorted(self._since.items())), tuple(sorted(self._acting.items())), self._last_ns, self._stamp_ns,
            self._pose, self._speed, self._model,
        )  # fmt: skip

    def restore(self, state: MonitorState) -> None:
        self._since, self._acting = dict(state.since), dict(state.acting)
        self._last_ns, self._stamp_ns, self._pose = state.last_ns, state.stamp_ns, state.pose
        self._speed, self._model = state.speed_mps, state.model


def phase_of(*, engaged: bool, committed: bool, past_no_return: bool, standing: bool) -> Phase:
    """The column of the failsafe table in which a node is."""
    if committed:
        return Phase.PAST_NO_RETURN if past_no_return else Phase.COMMITTED
    if standing:
        return Phase.STOPPED
    return Phase.NEGOTIATING if engaged else Phase.IDLE
