"""The last gate before any actuator: lifecycle, latched e-stop, manual override, the command watchdog, limits.

Every backend sends its commands through a :class:`CommandGate`, so that a simulated vehicle refuses
exactly what a real one refuses.

Rules, most severe first: finalized or unconfigured is misuse (``HardwareError``); ``error`` and a latched
e-stop brake with ``brake_mps2_max``; a person who has taken over drives, and nobody else; no valid command
for 0.2 s is a comfortable stop, for 0.5 s an emergency stop, until 10 valid commands have come; inactive
holds the brakes. Steering is held meanwhile. Whoever clears a stop or hands back gets an inactive vehicle:
nothing moves before somebody activates it. None of the times can be switched off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

from fleet.errors import HardwareError
from hardware.base import BODY_FRAME, Applied, Command, Lifecycle, VehicleInterface
from hardware.limits import STANDSTILL_MPS, clamp, comfort_mps2
from hardware.vehicle import Vehicle

STALE_NS = 200_000_000
"""Without a valid command for longer than this: comfortable stop. ArduPilot Rover's loop limit is the same."""
EMERGENCY_NS = STALE_NS + 300_000_000
FUTURE_NS = 20_000_000
"""A command stamped further ahead than this comes from a wrong clock."""
RECOVERY_COUNT = 10

_UNFINISHED = (Lifecycle.UNCONFIGURED, Lifecycle.INACTIVE, Lifecycle.ACTIVE, Lifecycle.ERROR)
_UNTAKEN = frozenset(("stale", "future", "stamp_order", "wrong_frame"))
"""Faults of a command that leave driven what is driven; the watchdog runs on."""


class GateState(NamedTuple):
    """All that a gate remembers: plain values, so that a black box can keep them and a replay can start there."""

    lifecycle: str
    driven: Applied
    accepted_ns: int | None
    """When the last valid command came, or when waiting for the first one began."""
    sent_ns: int | None
    latest_ns: int
    tripped: bool
    streak: int
    estop_reason: str
    pressed: tuple[str, ...]
    manual_by: str


Tap = Callable[[str, tuple[object, ...], Applied], None]
"""Hears every call that may change what is driven: verb, arguments, what is driven afterwards."""


class CommandGate:
    """Decides what is driven; the backend drives it. Knows no clock: time is an argument.

    Attributes
    ----------
    lifecycle : Lifecycle
    driven : Applied
        What must be at the actuators now.
    tap : callable, optional
        See :data:`Tap`; the black box sets it.
    recovery_count : int
        Valid commands in a row after a silence before they are driven. Of two gates in series only one may ask for
        many: while the second still waits, the first would take the vehicle for broken.
    """

    def __init__(self, vehicle: Vehicle, steer_rad: float = 0.0) -> None:
        self.vehicle = vehicle
        self.recovery_count = RECOVERY_COUNT
        self.lifecycle = Lifecycle.UNCONFIGURED
        self.driven = Applied(steer_rad, -comfort_mps2(vehicle), ("unconfigured",))
        self.tap: Tap | None = None
        self._accepted_ns: int | None = None
        self._sent_ns: int | None = None
        self._latest_ns = -(2**62)
        self._tripped, self._streak = False, 0
        self._estop_reason = ""
        self._pressed: frozenset[str] = frozenset()
        self._manual_by = ""

    @property
    def estop_reason(self) -> str:
        """Why the emergency stop is latched; empty if it is not."""
        return self._estop_reason

    @property
    def manual_by(self) -> str:
        """Who has taken over; empty while autonomy has the vehicle."""
        return self._manual_by

    # --- lifecycle

    def configure(self) -> None:
        self._move("configure", (Lifecycle.UNCONFIGURED,), Lifecycle.INACTIVE)
        self._brake(comfort_mps2(self.vehicle), "inactive")
        self._tell("configure")

    def activate(self) -> None:
        """Commands are driven from now on. Nothing moves before the first one."""
        if self._estop_reason or self._manual_by:
            held = f"the emergency stop is latched ({self._estop_reason})" if self._estop_reason else "a person drives"
            raise HardwareError(f"cannot activate a vehicle while {held}: reset or hand back first")
        self._move("activate", (Lifecycle.INACTIVE,), Lifecycle.ACTIVE)
        self._accepted_ns = None
        self._tripped, self._streak = False, 0
        self.driven = self.driven._replace(accel_mps2=0.0, limited_by=())
        self._tell("activate")

    def deactivate(self) -> None:
        self._move("deactivate", (Lifecycle.ACTIVE,), Lifecycle.INACTIVE)
        self._brake(comfort_mps2(self.vehicle), "inactive")
        self._tell("deactivate")

    def finalize(self) -> None:
        self._move("finalize", _UNFINISHED, Lifecycle.FINALIZED)
        self._brake(self.vehicle.limits.brake_mps2_max, "finalized")
        self._tell("finalize")

    def fail(self, reason: str) -> None:
        """A fault that the vehicle cannot drive with: brake to standstill and hold."""
        self.lifecycle = Lifecycle.ERROR
        self._brake(self.vehicle.limits.brake_mps2_max, reason)
        self._tell("fail", reason)

    # --- commands

    def submit(self, command: Command, now_ns: int, speed_mps: float) -> Applied:
        """Take a command; the answer is what is driven because of it (or in spite of it)."""
        if self.lifecycle in (Lifecycle.UNCONFIGURED, Lifecycle.FINALIZED):
            raise HardwareError(f"a command in state {self.lifecycle.value}: configure and activate the vehicle first")
        answer = self._submit(command, now_ns, speed_mps)
        if self.tap is not None:
            self.tap("submit", (command, now_ns, speed_mps), self.driven)
        return answer

    def watch(self, now_ns: int) -> Applied:
        """Let time pass: the watchdog acts here if no valid command came. Returns ``driven``."""
        before = self.driven
        self._watch(now_ns)
        if self.tap is not None and self.driven is not before:
            self.tap("watch", (now_ns,), self.driven)
        return self.driven

    # --- people

    def estop(self, reason: str) -> None:
        """Latch; the first reason is kept."""
        if not self._estop_reason:
            self._latch(reason)
            self._tell("estop", reason)

    def press(self, source: str, *, pressed: bool) -> None:
        """The level of an emergency stop input: pressing latches, and there is no reset before it is let go."""
        if (source in self._pressed) == pressed:
            return
        self._pressed = self._pressed | {source} if pressed else self._pressed - {source}
        if pressed and not self._estop_reason:
            self._latch(source)
        self._tell("press", source, pressed)

    def reset(self, operator: str, speed_mps: float) -> bool:
        """Clear a latched stop at standstill, its inputs let go. An active vehicle is inactive afterwards."""
        if not operator:
            raise HardwareError("a reset needs the operator's name")
        if not self._estop_reason or self._pressed or abs(speed_mps) > STANDSTILL_MPS:
            return False
        self._estop_reason = ""
        self._stand_by("reset")
        self._tell("reset", operator, speed_mps)
        return True

    def take_over(self, by: str) -> None:
        """A person drives from now on, by :meth:`drive_manually`; autonomy's commands are answered only.

        At once: what autonomy drove on is let go, its braking is kept until the person's first command."""
        if not by:
            raise HardwareError("taking over needs a name")
        if self._manual_by != by:
            self._manual_by = by
            self._accepted_ns = None
            driven = self.driven
            self.driven = driven._replace(accel_mps2=min(0.0, driven.accel_mps2), limited_by=("manual",))
            self._tell("take_over", by)

    def drive_manually(self, command: Command, now_ns: int, speed_mps: float) -> Applied:
        """As :meth:`submit`, from the person who has taken over; limits and the watchdog count for people too."""
        if not self._manual_by:
            raise HardwareError("a manual command without take_over")
        answer = self._submit(command, now_ns, speed_mps, manual=True)
        if self.tap is not None:
            self.tap("drive_manually", (command, now_ns, speed_mps), self.driven)
        return answer

    def hand_back(self, operator: str, speed_mps: float) -> bool:
        """End the override at standstill; the vehicle is inactive until somebody activates it."""
        if not operator:
            raise HardwareError("handing back needs the operator's name")
        if not self._manual_by or abs(speed_mps) > STANDSTILL_MPS:
            return False
        self._manual_by = ""
        self._stand_by("handed_back")
        self._tell("hand_back", operator, speed_mps)
        return True

    # --- for replays

    def snapshot(self) -> GateState:
        return GateState(
            self.lifecycle.value, self.driven, self._accepted_ns, self._sent_ns, self._latest_ns, self._tripped,
            self._streak, self._estop_reason, tuple(sorted(self._pressed)), self._manual_by,
        )  # fmt: skip

    def restore(self, state: GateState) -> None:
        self.lifecycle, self.driven = Lifecycle(state.lifecycle), state.driven
        self._accepted_ns, self._sent_ns, self._latest_ns = state.accepted_ns, state.sent_ns, state.latest_ns
        self._tripped, self._streak, self._estop_reason = state.tripped, state.streak, state.estop_reason
        self._pressed, self._manual_by = frozenset(state.pressed), state.manual_by

    # ---

    def _submit(self, command: Command, now_ns: int, speed_mps: float, *, manual: bool = False) -> Applied:
        if bool(self._manual_by) != manual:
            self._watch(now_ns)
            return self.driven._replace(limited_by=(*self.driven.limited_by, "manual"))
        since_ns = STALE_NS if self._sent_ns is None else min(STALE_NS, now_ns - self._sent_ns)
        self._sent_ns = now_ns
        if self.lifecycle is Lifecycle.ERROR or self._estop_reason:
            return self.driven
        fault = self._fault(command, now_ns)
        if fault in _UNTAKEN:
            self._streak = 0
            self._watch(now_ns)
            return self.driven._replace(limited_by=(*self.driven.limited_by, fault))
        answer = clamp(command, self.vehicle, self.driven, since_ns * 1e-9, speed_mps)
        if self.lifecycle is Lifecycle.INACTIVE:
            return answer._replace(limited_by=(*answer.limited_by, "inactive"))
        if fault:
            self._streak = 0
            self.driven = answer
            self._watch(now_ns)
            return self.driven
        self._watch(now_ns)
        self._accepted_ns, self._latest_ns = now_ns, command.stamp_ns
        self._streak += 1
        if self._tripped and self._streak < self.recovery_count:
            self._brake(comfort_mps2(self.vehicle), "recovering")
            return self.driven
        self._tripped = False
        self.driven = answer
        return answer

    def _watch(self, now_ns: int) -> None:
        if self.lifecycle is not Lifecycle.ACTIVE or self._estop_reason:
            return
        if self._accepted_ns is None:
            self._accepted_ns = now_ns
        age_ns = now_ns - self._accepted_ns
        if age_ns > STALE_NS:
            self._tripped, self._streak = True, 0
            emergency = age_ns > EMERGENCY_NS
            brake = self.vehicle.limits.brake_mps2_max if emergency else comfort_mps2(self.vehicle)
            self._brake(brake, "command_lost" if emergency else "command_stale")

    def _fault(self, command: Command, now_ns: int) -> str:
        if command.frame_id != BODY_FRAME:
            return "wrong_frame"
        if command.stamp_ns > now_ns + FUTURE_NS:
            return "future"
        if command.stamp_ns < now_ns - STALE_NS:
            return "stale"
        if command.stamp_ns < self._latest_ns:
            return "stamp_order"
        return "" if math.isfinite(command.steer_rad) and math.isfinite(command.accel_mps2) else "non_finite"

    def _latch(self, reason: str) -> None:
        self._estop_reason = reason or "unnamed"
        self._brake(self.vehicle.limits.brake_mps2_max, "estop")

    def _stand_by(self, reason: str) -> None:
        """After a stop or an override nothing moves before the vehicle is activated."""
        if self.lifecycle is Lifecycle.ACTIVE:
            self.lifecycle = Lifecycle.INACTIVE
        self._accepted_ns = None
        self._brake(comfort_mps2(self.vehicle), reason)

    def _brake(self, brake_mps2: float, reason: str) -> None:
        driven = self.driven
        if driven.accel_mps2 != -brake_mps2 or driven.limited_by != (reason,):
            self.driven = driven._replace(accel_mps2=-brake_mps2, limited_by=(reason,))

    def _move(self, verb: str, allowed: tuple[Lifecycle, ...], after: Lifecycle) -> None:
        if self.lifecycle not in allowed:
            raise HardwareError(f"cannot {verb} a vehicle in state {self.lifecycle.value}")
        self.lifecycle = after

    def _tell(self, verb: str, *arguments: object) -> None:
        if self.tap is not None:
            self.tap(verb, arguments, self.driven)


class GatedVehicle(VehicleInterface, Protocol):
    """A backend with its gate, which has the lifecycle's verbs."""

    @property
    def gate(self) -> CommandGate: ...
