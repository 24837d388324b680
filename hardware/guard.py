"""The guard: a vehicle interface around a backend, through which a node drives real vehicles.

It runs the monitor once per tick, puts the failsafe table's action between the node and the gate, keeps the
black box, beats the supervisor, and lets nothing out before the preflight report says so. A node cannot tell
it from the backend; what it must know beyond a bad estimate (:class:`Doubts` of ``fleet.node.parts``) the
guard answers by ``clock_error_ms`` and ``unfit``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from fleet.errors import HardwareError
from hardware.base import Applied, Capabilities, Command, Health, Lifecycle, Track, VehicleState, Vitals
from hardware.black_box import BlackBox
from hardware.failsafe import Action, row_of
from hardware.gate import GatedVehicle
from hardware.limits import comfort_mps2
from hardware.monitor import Decision, Monitor, Observation
from hardware.vehicle import Vehicle

DOUBT_MS = 1_000
"""Reported as the clock's error while the table forbids to sign; above every bound that a fleet may use."""
_CALM = Decision(Action.CONTINUE, (), True, Health.OK)


class Heart(Protocol):
    """The link to the supervisor (``hardware.supervisor.Link``), or a stand-in for it."""

    holding: bool
    """It has tripped and brakes."""

    def beat(self, now_ns: int) -> None: ...

    def lost(self, now_ns: int) -> bool: ...

    def reset(self, now_ns: int) -> None: ...


class Guard:
    """See :class:`hardware.base.VehicleInterface`.

    Parameters
    ----------
    hardware : GatedVehicle
        The backend.
    vehicle : Vehicle
    clock_error_s : callable
        From the time (ns) to a bound on the clock's error, s; None: unknown, which counts as bad.
    heart : Heart, optional
        The supervisor. A vehicle that can do harm has one; ``fleet node`` never leaves it out.
    black_box : BlackBox, optional
    keep : callable, optional
        Called with (reason, bytes) when the black box is to be written; must not take long.

    Attributes
    ----------
    must_finish : callable
        Whether the node is past the point of no return of a commitment; set once the node exists.
    decision : Decision
        Of the present tick.
    """

    def __init__(
        self,
        hardware: GatedVehicle,
        vehicle: Vehicle,
        *,
        clock_error_s: Callable[[int], float | None],
        heart: Heart | None = None,
        black_box: BlackBox | None = None,
        keep: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.hardware, self.vehicle = hardware, vehicle
        self.monitor = Monitor(vehicle)
        self.must_finish: Callable[[], bool] = lambda: False
        self.decision = _CALM
        self.black_box, self._keep = black_box, keep
        self._clock_error_s, self._heart = clock_error_s, heart
        self._now_ns = -1
        self._state: VehicleState | None = None
        self._comfort = comfort_mps2(vehicle)
        if black_box is not None:
            hardware.gate.tap = self._record_gate

    # --- the vehicle interface

    @property
    def lifecycle(self) -> Lifecycle:
        return self.hardware.lifecycle

    def capabilities(self) -> Capabilities:
        return self.hardware.capabilities()

    def vitals(self, now_ns: int) -> Vitals:
        return self.hardware.vitals(now_ns)

    def perceive(self, now_ns: int) -> tuple[Track, ...]:
        tracks = self.hardware.perceive(now_ns)
        self._record("tracks", tracks)
        return tracks

    def read(self, now_ns: int) -> VehicleState:
        """The estimate, with the health that the monitor gives it; decides for this tick."""
        if self._state is not None and now_ns == self._now_ns:
            return self._state
        self._now_ns = now_ns
        self._open_page(now_ns)
        state = self.hardware.read(now_ns)
        lost = holds = False
        if self._heart is not None:
            self._heart.beat(now_ns)
            lost, holds = self._heart.lost(now_ns), self._heart.holding
        seen = Observation(
            now_ns, state, self.hardware.gate.driven, self.hardware.vitals(now_ns), self._clock_error_s(now_ns),
            lost, holds, self.must_finish(),
        )  # fmt: skip
        before, self.decision = self.decision, self.monitor.step(seen)
        self._record("tick", seen, self.decision)
        if self.decision.action is Action.EMERGENCY:
            self.hardware.estop(next(one for one in self.decision.causes if row_of(one).action is Action.EMERGENCY))
        fresh = [cause for cause in self.decision.causes if cause not in before.causes]
        if fresh:
            self._dump(",".join(fresh))
        self._state = state if self.decision.health is state.health else state._replace(health=self.decision.health)
        return self._state

    def write(self, command: Command, now_ns: int) -> Applied:
        """Send ``command``, or what the table makes of it; the reasons then name the causes."""
        self.read(now_ns)
        shaped = self._shape(command)
        answer = self.hardware.write(shaped, now_ns)
        if shaped is not command:
            answer = answer._replace(limited_by=(*answer.limited_by, *self.decision.causes))
        self._record("command", command, answer)
        return answer

    def estop(self, reason: str) -> None:
        self.hardware.estop(reason)

    def reset(self, operator: str) -> bool:
        """Clear stops and latched causes, at standstill and with their causes gone. The vehicle is inactive then."""
        gate = self.hardware.gate
        if gate.estop_reason and not self.hardware.reset(operator):
            return False
        cleared = self.monitor.reset(operator, math.inf if self._state is None else self._state.speed_mps)
        self._record("reset", operator, cleared)
        if cleared and gate.lifecycle is Lifecycle.ACTIVE:
            gate.deactivate()  # what was latched in the monitor alone: a reset never starts motion
        if cleared and self._heart is not None:
            self._heart.reset(self._now_ns)
        return cleared

    # --- before and beside driving

    def note(self, kind: str, datagrams: Iterable[bytes]) -> None:
        """For the node's loop: what it heard (``rx``) and said (``tx``) goes into the black box."""
        for raw in datagrams:
            self._record(kind, raw.hex())

    def activate(self, failed_checks: tuple[str, ...]) -> None:
        """Let commands out; ``failed_checks`` are those of the preflight report just made.

        Raises
        ------
        HardwareError
            A check has failed, or something latched is not cleared.
        """
        if failed_checks:
            raise HardwareError(
                f"preflight failed: {', '.join(failed_checks)}; nothing moves (fleet preflight says more)"
            )
        if self.decision.action >= Action.LEAVE:
            raise HardwareError(f"not fit to drive: {', '.join(self.decision.causes)}; clear the cause and reset")
        self.hardware.gate.activate()

    def hand_back(self, operator: str) -> bool:
        """End a manual override at standstill; the vehicle is inactive then."""
        speed = math.inf if self._state is None else self._state.speed_mps
        return self.hardware.gate.hand_back(operator, speed) and self.monitor.reset(operator, speed)

    def clock_error_ms(self, now_ms: int) -> int:
        """For the node: a bound on the clock's error, ms; above every limit while nothing may be signed."""
        error_s = self._clock_error_s(now_ms * 1_000_000)
        if error_s is None or not self.decision.signs:
            return DOUBT_MS
        return math.ceil(error_s * 1e3)

    def unfit(self, now_ms: int) -> str:
        """For the node: why the vehicle is stopping, whatever was agreed, or empty."""
        return ",".join(self.decision.causes) if self.decision.action >= Action.COMFORT_STOP else ""

    # ---

    def _shape(self, command: Command) -> Command:
        """What the action makes of a command; what is no number is left to the gate."""
        action = self.decision.action
        if action < Action.COMFORT_STOP or action is Action.HAND_OVER or not math.isfinite(command.accel_mps2):
            return command
        if action is Action.COMFORT_STOP:
            return command._replace(accel_mps2=min(command.accel_mps2, -self._comfort))
        held = self.hardware.gate.driven.steer_rad
        brake = self._comfort if action is Action.STOP_IN_LANE else self.vehicle.limits.brake_mps2_max
        return command._replace(steer_rad=held, accel_mps2=min(command.accel_mps2, -brake))

    def _open_page(self, now_ns: int) -> None:
        box = self.black_box
        if box is not None and box.wants_page(now_ns):
            box.open_page(now_ns, [self.monitor.snapshot(), self.hardware.gate.snapshot()])

    def _record(self, kind: str, *values: object) -> None:
        if self.black_box is not None:
            self.black_box.add(kind, self._now_ns, *(_plain(value) for value in values))

    def _record_gate(self, verb: str, arguments: tuple[object, ...], driven: Applied) -> None:
        self._record("gate", verb, arguments, driven)

    def _dump(self, reason: str) -> None:
        if self.black_box is not None and self._keep is not None:
            self._keep(reason, self.black_box.dump(reason, self._now_ns))


def _plain(value: object) -> object:
    """Records as lists and enums as their values, for JSON."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Health | Lifecycle | Action) else value
