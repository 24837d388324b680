"""What a run is, for its ``run.json``: scenario, seed, planner, versions, command."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from sim.charter_setup import Charters, no_charters
from sim.scenario import Scenario
from sim.stage import Stage
from sim.till import mechanism_of


def manifest(
    scenario: Scenario, stage: Stage, command_line: str, charters: Charters | None = None
) -> dict[str, object]:
    """The part of ``run.json`` that is known before the run."""
    charters = charters or no_charters()
    names = ("accord-fleet", "numpy", "numba", "shapely", "casadi", "pybullet", "msgspec", "pynacl", "pyarrow")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {
        "scenario": {"name": scenario.name, "path": scenario.source, "sha256": scenario.source_sha256},
        "seed": scenario.seed,
        "planner": scenario.planner if stage.site is None else "free_space",
        "controller": scenario.control.controller,
        "backend": scenario.world,
        "mechanism": mechanism_of(scenario, charters.line[0]),
        "spacing": asdict(scenario.spacing.spacing),
        **charters.manifest(),
        "map_digest": stage.zone_map.digest,
        "versions": versions,
        "command_line": command_line or " ".join(sys.argv),
        "left_out": [{"what": what, "why": why} for what, why in stage.left_out],
    }
