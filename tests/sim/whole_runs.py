"""Whole runs for tests: a scenario with changes, run quietly in this process, and its folder read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from sim.records import Summary
from sim.run_folder import RunFolder
from sim.runner import RunOptions, run
from sim.scenario import Overrides, load_scenario, override
from sim.trajectory_log import Trajectories, read_trajectories

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no shared/data beside the checkout")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run."""

    out: Path
    summary: Summary

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.out / "run.json").read_text(encoding="utf-8"))
        return manifest

    @property
    def vehicles(self) -> list[dict[str, Any]]:
        vehicles: list[dict[str, Any]] = json.loads((self.out / "vehicles.json").read_text(encoding="utf-8"))
        return vehicles

    @property
    def truth(self) -> Trajectories:
        return read_trajectories(self.out)

    def metric(self, name: str) -> Any:
        """The value of a metric; a name that does not exist is an error."""
        (found,) = [metric.value for metric in self.summary.metrics if metric.name == name]
        return found

    def safe(self) -> None:
        """Nobody touched, everybody arrived, and the status says so."""
        assert self.summary.verdict.endswith("all expectations met")
        assert (self.metric("contacts"), self.metric("unfinished")) == (0, 0)
        assert self.metric("vehicles") >= 1
        assert self.metric("finished") == self.metric("vehicles")
        assert self.summary.status == 0


def drive(source: str | Path, out: Path, *, mcap: bool = False, **changes: Any) -> Outcome:
    """Run a scenario by name or file; ``changes`` as on the command line."""
    scenario = override(load_scenario(str(source)), Overrides(**changes))
    summary = run(scenario, out, RunOptions(out=out, progress=False, mcap=mcap))
    if summary.interrupted:  # somebody wants the tests to end, not this run
        raise KeyboardInterrupt
    return Outcome(out, summary)


def write_scenario(folder: Path, text: str, name: str = "s") -> Path:
    """A scenario file with these keys."""
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\n{text}", encoding="utf-8")
    return file


def inside_zones(out: Path) -> dict[float, set[str]]:
    """Time -> vehicles whose true outline overlaps a zone, by geometry alone."""
    folder, truth = RunFolder.load(out), read_trajectories(out)
    zones = shapely.union_all([shapely.Polygon(ring) for _, rings in folder.map.zones for ring in rings])
    shapely.prepare(zones)
    size = {vehicle.id: (0.5 * vehicle.length_m, 0.5 * vehicle.width_m) for vehicle in folder.vehicles}
    half = np.array([size[name] for name in truth.vehicle_ids])[truth.vehicle]
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])[None] * half[:, None]
    cos, sin = np.cos(truth.state[:, 2])[:, None], np.sin(truth.state[:, 2])[:, None]
    x = truth.state[:, :1] + cos * corners[..., 0] - sin * corners[..., 1]
    y = truth.state[:, 1:2] + sin * corners[..., 0] + cos * corners[..., 1]
    within = shapely.intersects(zones, shapely.polygons(np.stack((x, y), axis=-1)))
    found: dict[float, set[str]] = {}
    for row in np.flatnonzero(within):
        found.setdefault(float(truth.t_s[row]), set()).add(truth.vehicle_ids[truth.vehicle[row]])
    return found
