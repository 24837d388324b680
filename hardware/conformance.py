"""What every vehicle interface must do: one suite, the same assertions for every backend.

A port hands over a :data:`Maker`: from a start speed to a :class:`Rig` with a fresh, unconfigured vehicle that
drives at this speed (a real vehicle is driven up to it first). ``CASES`` are then run one by one, by the tests
of this project for ``sim``, ``mock`` and ``ros2``, and by ``fleet hil`` for any vehicle. Only ``Rig.lag_s``
differs between backends: how much later than in an ideal world an effect may show.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from fleet.errors import HardwareError
from hardware.base import Applied, Command, VehicleState
from hardware.gate import GatedVehicle
from hardware.mock import FaultSwitches
from hardware.vehicle import Vehicle

TICK_S = 0.05
NEIGHBOUR_M = 20.0
"""Where a rig that perceives has another vehicle: so far ahead, on the lane to the left or on the same."""


class ConformanceError(HardwareError):
    """A backend does not do what every vehicle must."""


class NotPossible(Exception):  # noqa: N818 - an outcome, not a failure
    """This backend cannot show it; the case is skipped with this reason."""


@dataclass
class Rig:
    """A vehicle under test, and time.

    Attributes
    ----------
    wait : callable
        Lets so many seconds pass and returns the time, ns.
    faults : FaultSwitches, optional
        None where faults cannot be faked; what needs them is skipped.
    lag_s : float
        Latency limit: an effect may come this much later than in an ideal world.
    """

    backend: str
    vehicle: GatedVehicle
    spec: Vehicle
    wait: Callable[[float], int]
    faults: FaultSwitches | None = None
    lag_s: float = 0.0
    now_ns: int = 0

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.now_ns = self.wait(TICK_S)
            self.vehicle.read(self.now_ns)

    def write(self, accel: float, steer: float = 0.0, shift_ns: int = 0) -> Applied:
        return self.vehicle.write(Command(self.now_ns + shift_ns, steer, accel), self.now_ns)

    def send(self, accel: float, steer: float = 0.0, *, ticks: int = 1) -> Applied:
        """The same command for some ticks; the last answer."""
        for _ in range(ticks):
            answer = self.write(accel, steer)
            self.tick()
        return answer

    def start(self) -> None:
        self.vehicle.gate.configure()
        self.vehicle.gate.activate()

    @property
    def state(self) -> VehicleState:
        return self.vehicle.read(self.now_ns)

    @property
    def speed(self) -> float:
        return self.state.speed_mps

    @property
    def driven(self) -> Applied:
        return self.vehicle.gate.driven

    @property
    def stands(self) -> bool:
        return abs(self.speed) < 1e-3 + 0.2 * self.spec.sensors.speed_std_mps

    def until(self, condition: Callable[[], bool], seconds: float, what: str, accel: float | None = None) -> float:
        """Ticks until ``condition``; the time it took, s."""
        begun_ns = self.now_ns
        while not condition():
            taken = (self.now_ns - begun_ns) * 1e-9
            require(taken <= seconds + self.lag_s, f"{what}: not within {seconds:.2f} s (+ {self.lag_s:.2f} s)")
            if accel is not None:
                self.write(accel)
            self.tick()
        return (self.now_ns - begun_ns) * 1e-9

    def stop_time_s(self, brake_mps2: float) -> float:
        """A bound on the time to standstill."""
        return 1.3 * max(0.0, self.speed) / brake_mps2 + 4.0 * self.spec.actuators.accel_lag_s + 0.5


Maker = Callable[[float], AbstractContextManager[Rig]]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    """A sentence."""
    run: Callable[[Maker], None]


CASES: list[Case] = []


def case(function: Callable[[Maker], None]) -> Callable[[Maker], None]:
    CASES.append(Case(function.__name__.replace("_", " "), function))
    return function


def require(condition: bool, text: str) -> None:
    if not condition:
        raise ConformanceError(text)


def refused(call: Callable[[], object], word: str) -> None:
    """``call`` must be refused as misuse, with ``word`` in the text."""
    try:
        call()
    except HardwareError as error:
        require(word in str(error), f"refused, but without {word!r}: {error}")
        return
    raise ConformanceError(f"was not refused ({word})")


def faults_of(rig: Rig) -> FaultSwitches:
    if rig.faults is None:
        raise NotPossible(f"faults cannot be switched on the backend {rig.backend}")
    return rig.faults


def near(value: float, wanted: float, tolerance: float, what: str) -> None:
    require(abs(value - wanted) <= tolerance, f"{what}: {value:.4g} instead of {wanted:.4g} +- {tolerance:.2g}")


def pace(spec: Vehicle, share: float) -> float:
    """A speed that this vehicle and a yard allow."""
    return share * min(25.0, spec.limits.speed_mps_max)
