"""The launch folder holds data only, and its values are those of the code."""

from __future__ import annotations

from pathlib import Path

import yaml

from hardware.vehicle import load_vehicle
from sim.scenario import Control
from sim.scenario_checks import MECHANISMS, PLANNERS

LAUNCH = Path(__file__).resolve().parents[1] / "launch"


def test_the_shared_parameters_are_those_of_the_simulator() -> None:
    data = yaml.safe_load((LAUNCH / "fleet.params.yaml").read_text(encoding="utf-8"))
    shared = data["/**"]["ros__parameters"]
    assert set(shared) == {"vehicle", "control_period_s", "planner", "mechanism"}
    assert shared["control_period_s"] == Control().period_s
    assert shared["planner"] in PLANNERS
    assert shared["mechanism"] in MECHANISMS
    assert load_vehicle(shared["vehicle"]).body.length_m > 0.0
