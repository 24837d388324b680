"""The controllers by the names that ``--controller`` takes."""

from __future__ import annotations

from fleet.node.control import Tracker
from fleet.node.parts import ControllerMaker
from hardware.vehicle import Vehicle


def _predictive(vehicle: Vehicle, period_s: float) -> Tracker:
    from fleet.node.mpc import PredictiveTracker  # CasADi only where it is asked for

    return PredictiveTracker(vehicle, period_s)


CONTROLLERS: dict[str, ControllerMaker] = {"feedback": Tracker, "mpc": _predictive}
