"""Zones one after the other: everybody asks for the next one, and nobody stands inside one for want of room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sim.whole_runs import drive, inside_zones, write_scenario

STANDING_MPS = 0.2


def stood_inside(out: Path, speeds: dict[tuple[float, str], float]) -> set[str]:
    """Vehicles that stood with a part of their outline in a zone, by the truth."""
    return {
        vehicle
        for time_s, vehicles in inside_zones(out).items()
        for vehicle in vehicles
        if speeds[time_s, vehicle] < STANDING_MPS
    }


def test_whatever_its_phase_a_vehicle_between_two_zones_announces_itself_at_the_next(tmp_path: Path) -> None:
    # Ticks come every 50 ms and agreement every 100 ms: entering 50 ms apart, vehicles are at either phase.
    ways = [("a", "W_straight", 0.0), ("b", "E_straight", 0.05), ("c", "W_straight", 8.1), ("d", "E_straight", 8.15)]
    cars = "".join(f"    - {{id: {name}, path: {path}, arrival_s: {at_s}}}\n" for name, path, at_s in ways)
    text = f"map: {{builtin: corridor3, arm_m: 90, spacing_m: 90}}\nworld: kinematic\ndemand:\n  vehicles:\n{cars}"
    run = drive(write_scenario(tmp_path, text), tmp_path / "out", duration_s=90.0)
    run.safe()
    assert run.metric("delay_s_max") < 3.0
    assert run.metric("commits") == 12


@pytest.mark.soak
@pytest.mark.parametrize("name", ["corridor3_busy", "grid3x3_busy"])
def test_beyond_capacity_nobody_blocks_a_zone_and_everybody_arrives(tmp_path: Path, name: str) -> None:
    run = drive(name, tmp_path / "out")
    run.safe()
    truth = run.truth
    names = np.asarray(truth.vehicle_ids)[truth.vehicle]
    speeds = {(float(t), str(v)): float(s) for t, v, s in zip(truth.t_s, names, truth.state[:, 3], strict=True)}
    assert stood_inside(tmp_path / "out", speeds) == set()
