"""The seam between ``fleet hil`` and what it runs on: a bench with one vehicle, or with two nodes.

A bench of the mock, of simulated worlds, of the ROS 2 bridge and of a real vehicle on rollers all look like
this; the suite (``hardware/hil.py``) never asks which it is, but for :class:`BenchInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from fleet.errors import HardwareError
from hardware.conformance import Rig
from hardware.failsafe import Phase
from hardware.vehicle import Vehicle


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchInfo:
    """What the suite must know of a bench.

    Attributes
    ----------
    missing : str
        Empty, or why this bench cannot run here and how to install what it needs: everything is skipped then.
    real : bool
        A real vehicle hangs on it: nothing runs without the interlock.
    real_time : bool
        Time passes by itself; a simulated one is as fast as the machine.
    output_latency_s : float
        Limit from a command, or an emergency stop, to the actuators (design: 0.05 s sim, 0.1 s ROS 2).
    """

    name: str
    missing: str = ""
    real: bool = False
    real_time: bool = False
    output_latency_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one cause in one phase.

    Attributes
    ----------
    effect : str
        Empty if the motion was as the table says, else what was seen instead.
    latency_s : float, optional
        From the cause to the first output that shows its action.
    reached : bool
        The phase came about at all; otherwise the trial is an error of the bench.
    """

    effect: str
    latency_s: float | None = None
    reached: bool = True


class Bench(Protocol):
    """One vehicle to be tested, and whatever drives it."""

    info: BenchInfo
    vehicle: Vehicle

    def interlock(self) -> bool:
        """Whether the bench interlock is closed: wheels free or roped off, a hand on the button. Asked often."""
        ...

    def rig(self, speed_mps: float) -> AbstractContextManager[Rig]:
        """A fresh vehicle, as the conformance suite wants it."""
        ...

    def latency_s(self, count: int) -> list[float]:
        """``count`` times from writing a command to that command at the actuators, s."""
        ...

    def tick_intervals_s(self, count: int) -> list[float]:
        """``count`` measured intervals of the control loop, s; its period is ``tick_period_s``."""
        ...

    def estop_latency_s(self, count: int) -> list[float]:
        """``count`` times from an emergency stop's trigger to full braking at the actuators, s."""
        ...

    def deadman_s(self, count: int) -> list[float]:
        """``count`` times from the last command of a node that falls silent to braking at the actuators, s."""
        ...

    @property
    def tick_period_s(self) -> float: ...

    def trial(self, cause: str, phase: Phase) -> Trial | None:
        """Bring a node into ``phase``, inject ``cause``, watch the motion; None: cannot be expressed here."""
        ...

    def agree(self, nodes: int) -> Mapping[str, float]:
        """Let two nodes or more cross by agreement; figures, with ``contacts`` and ``crossed`` among them."""
        ...

    def evidence(self) -> Mapping[str, str]:
        """Files that this bench has left and checked, by kind, such as the black box; for the report."""
        ...

    def close(self) -> None:
        """Into a safe state, whatever happened."""
        ...


class AbsentBench:
    """A bench that is not there: everything is skipped, with the reason."""

    def __init__(self, name: str, vehicle: Vehicle, missing: str) -> None:
        self.info, self.vehicle = BenchInfo(name=name, missing=missing), vehicle
        self.tick_period_s = 0.05

    def interlock(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    def _absent(self, *_: object) -> NoReturn:
        raise HardwareError(self.info.missing)

    rig = latency_s = tick_intervals_s = estop_latency_s = deadman_s = trial = agree = evidence = _absent
