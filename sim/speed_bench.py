"""How fast a run goes with everything on: signatures, full protocol, logging with MCAP, one core.

A case is measured while its number of vehicles is on the map: from the first moment at which all are
there (or as many as asked for), over a window of simulated time. Compilation and free-flow runs come
before. Each repeat builds the run anew.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from fleet.cli.evidence_shelf import EvidenceShelf
from fleet.node.stopwatch import Stopwatch
from sim.entrance import Entrance
from sim.fleet_node import NodeFactory
from sim.records import RunLog
from sim.runner import Run, settle_memory
from sim.scenario import CountDemand, Demand, MapSpec, PoissonDemand, Scenario, load_scenario
from sim.stage import build_stage
from sim.worlds import make_world


@dataclass(frozen=True, slots=True)
class Case:
    """A number of vehicles in a world, on a map and demand that bring them there at once."""

    name: str
    world: str
    vehicles: int
    map: MapSpec
    demand: Demand
    window_s: float
    factor_wanted: float


CASES = (
    Case(
        "PyBullet, 8 vehicles", "bullet", 8, MapSpec(builtin="four_way"),
        Demand(count=CountDemand(vehicles=8, headway_s=2.0)), 20.0, 5.0,
    ),
    Case(
        "PyBullet, 32 vehicles", "bullet", 32, MapSpec(builtin="four_way"),
        Demand(count=CountDemand(vehicles=48, headway_s=2.4)), 15.0, 1.5,
    ),
    Case(
        "kinematic, 100 vehicles, 300 veh/h and lane", "kinematic", 100,
        MapSpec(builtin="four_way_3lane", arm_m=800.0),
        Demand(poisson=PoissonDemand(vph=300.0, until_s=400.0)), 8.0, 3.0,
    ),
    Case(
        "kinematic, 100 vehicles, 450 veh/h and lane", "kinematic", 100,
        MapSpec(builtin="four_way_3lane", arm_m=550.0),
        Demand(poisson=PoissonDemand(vph=450.0, until_s=200.0)), 8.0, 3.0,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """Real-time factors of the repeats of a case, vehicles on the map, and seconds by part (median run)."""

    case: Case
    factors: tuple[float, ...]
    vehicles_mean: float
    parts_s: dict[str, float]

    @property
    def factor(self) -> float:
        return median(self.factors)


def measure(case: Case, repeats: int, say: Callable[[str], None]) -> Figure:
    """Run ``case`` ``repeats`` times on one core."""
    pinned = _pin()
    try:
        found = []
        for number in range(repeats):
            found.append(_once(case))
            say(f"{case.name}: {number + 1} of {repeats}: {found[-1][0]:.2f}x real time")
    finally:
        if pinned is not None:
            os.sched_setaffinity(0, pinned)
    ordered = sorted(found, key=lambda one: one[0])
    middle = ordered[len(ordered) // 2]
    return Figure(case, tuple(one[0] for one in found), middle[1], middle[2])


def _pin() -> set[int] | None:
    """Keep to one core where the system allows it; returns the cores allowed before."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    return before


def _once(case: Case) -> tuple[float, float, dict[str, float]]:
    base = load_scenario("four_way")
    fields = {name: getattr(base, name) for name in Scenario.__struct_fields__}
    scenario = Scenario(**{**fields, "map": case.map, "demand": case.demand, "world": case.world})
    watch = Stopwatch(perf_counter)
    stage = build_stage(scenario)
    world = make_world(case.world)
    period_s = scenario.control.period_s
    factory = NodeFactory(stage, scenario.planner, scenario.seed, period_s, watch, spacing=scenario.spacing.spacing)
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog.create(Path(folder) / "run", {"seed": scenario.seed}, stage.zone_map)
        entrance = Entrance(stage, factory.roads, factory.verifier)
        shelf = EvidenceShelf(Path(folder), factory.office.certificate)
        running = Run(scenario, stage, world, factory, log, watch, {}, entrance, shelf)
        while running.on_map < case.vehicles:
            running.step()
        settle_memory()
        watch.restart()
        began, steps, seen = perf_counter(), round(case.window_s / period_s), 0
        for _ in range(steps):
            running.step()
            seen += running.on_map
        wall = perf_counter() - began
        parts = dict(watch.seconds)
        log.finish(status=0, interrupted=True, wall_s=wall, sim_s=0.0, timings={}, expectations={})
    world.close()
    return case.window_s / wall, seen / steps, parts


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table, with the share of each part."""
    lines = [
        "| case | vehicles on the map (mean) | x real time (median, min-max) | wanted | parts of wall time |",
        "| --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        total = sum(figure.parts_s.values())
        parts = sorted(figure.parts_s.items(), key=lambda one: -one[1])
        shares = ", ".join(f"{name} {100.0 * seconds / total:.0f} %" for name, seconds in parts)
        spread = f"{figure.factor:.1f} ({min(figure.factors):.1f}-{max(figure.factors):.1f})"
        lines.append(
            f"| {figure.case.name} | {figure.vehicles_mean:.0f} | {spread} | {figure.case.factor_wanted:g} | {shares} |"
        )
    return "\n".join(lines)
