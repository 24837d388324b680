"""The same faults with bodies: the real node in a world, its case drawn from a seed (S10, L6).

What a channel, a crash and an unconnected driver can do is drawn here and run by ``sim/runner.py``: the whole
node with perception, planner, verifier and safety kernel, and the omniscient checker as the judge. Partitions,
clocks and liars have no counterpart in a world; they are drawn for the core alone (draw.py).
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sim.crashes import Crash
from sim.network import NetworkConfig
from sim.records import Summary
from sim.scenario import Scenario, load_scenario
from sim.scenario_records import Demand, Legacy

VEHICLES = (4, 12)
DURATION_S = 240.0
_SCENARIOS = ("four_way", "four_way", "roundabout")


@dataclass(slots=True)
class ClosedReport:
    """Sums over runs."""

    world: str
    runs: int = 0
    vehicle_hours: float = 0.0
    failed: list[tuple[int, str]] = field(default_factory=list)
    dims: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0

    @property
    def status(self) -> int:
        return 3 if self.failed else 0


def draw_scenario(seed: int, world: str) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario of ``seed``, and the dimensions of the fault model that it has."""
    rng = random.Random(f"closed:{seed}")
    base = load_scenario(rng.choice(_SCENARIOS))
    count = rng.randint(*VEHICLES)
    names = [f"v{index:03d}" for index in range(count)]
    network, dims = _network(rng, names)
    legacy = tuple(
        Legacy(vehicle=name, yields=rng.random() < 0.7) for name in names if rng.random() < rng.choice((0.0, 0.0, 0.3))
    )
    silent = {one.vehicle for one in legacy}
    crashes = tuple(_crash(rng, name) for name in names if name not in silent and rng.random() < 0.1)
    dims += [f"unconnected, {'keeps to the rules' if one.yields else 'drives without right'}" for one in legacy]
    dims += [_kind_of(crash) for crash in crashes]
    drawn = msgspec.structs.replace(
        base, name=f"soak_{world}_{seed}", world=world, seed=seed, demand=Demand(count=count), network=network,
        legacy=legacy, faults=crashes, duration_s_max=DURATION_S,
        expectations={"contacts_caused_by_honest": 0} if any(not one.yields for one in legacy) else {"contacts": 0},
    )  # fmt: skip
    return drawn, (f"vehicles {count:2d}", base.name, *dims)


def _network(rng: random.Random, names: list[str]) -> tuple[NetworkConfig, list[str]]:
    loss = rng.choice((0.0, 0.1, 0.3, 0.5, 0.8, 1.0))
    burst = rng.choice((None, 3.0, 5.0)) if 0.0 < loss < 1.0 else None
    delay_ms, jitter_ms = float(rng.choice((5, 20, 50, 100, 300))), float(rng.choice((0, 20, 200)))
    duplicate, reorder = rng.choice((0.0, 0.2, 1.0)), rng.choice((0.0, 0.2))
    dead = tuple(name for name in names if rng.random() < rng.choice((0.0, 0.0, 0.2)))
    dims = [f"delay {delay_ms:.0f} ms"]
    if loss:
        dims.append(f"loss {loss:.0%} {'independent' if burst is None else 'bursts'}")
    dims += [word for word, on in (("duplicates", duplicate), ("reordering", reorder or jitter_ms)) if on]
    dims += ["dead radio"] if dead else []
    config = NetworkConfig(
        delay_ms=delay_ms, jitter_ms=jitter_ms, loss=loss, burst_mean=burst, duplicate=duplicate, reorder=reorder,
        dead=dead or False,
    )  # fmt: skip
    return config, dims


def _crash(rng: random.Random, vehicle: str) -> Crash:
    crash_s = rng.uniform(2.0, 30.0)
    lasts_s = rng.choice((0.5, 3.0, 10.0))
    stays = rng.random() < 0.2
    return Crash(
        vehicle=vehicle, crash_s=crash_s, restart_s=None if stays else crash_s + lasts_s,
        log_lost=not stays and rng.random() < 0.2,
    )  # fmt: skip


def _kind_of(crash: Crash) -> str:
    if crash.restart_s is None:
        return "crash, stays down"
    return "crash, log lost" if crash.log_lost else "crash, restarts"


def closed_loop(seeds: range, world: str, out: Path, say: Callable[[str], None]) -> ClosedReport:
    """Run every seed; the folder of one that fails is kept."""
    from sim.runner import RunOptions, run

    report = ClosedReport(world)
    for seed in seeds:
        scenario, dims = draw_scenario(seed, world)
        folder = out / f"{world}-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        summary = run(scenario, folder, RunOptions(out=folder, progress=False, mcap=False))
        report.runs += 1
        report.dims.update(set(dims))
        _take(report, seed, summary)
        say(f"seed {seed}: {'FAILED' if summary.failed else 'fine'} ({', '.join(dims)})")
        if summary.interrupted:
            break
        if not summary.failed:
            shutil.rmtree(folder, ignore_errors=True)
    return report


def _take(report: ClosedReport, seed: int, summary: Summary) -> None:
    report.unfinished += int(next((m.value or 0 for m in summary.metrics if m.name == "unfinished"), 0))
    for check in summary.failed:
        report.failed.append((seed, str(check)))


def closed_table(report: ClosedReport) -> str:
    """The report as text."""
    lines = [f"world {report.world}: {report.runs} runs, {report.unfinished} vehicles still under way at the end", ""]
    lines += [
        "fault dimension                       runs",
        *(f"{n:36s} {c:7d}" for n, c in sorted(report.dims.items())),
    ]
    lines += ["", f"runs with a contact caused by an honest vehicle: {len(report.failed)} of {report.runs}"]
    for seed, text in report.failed:
        lines += [f"  {text}", f"    again: fleet soak --world {report.world} --seeds {seed}"]
    return "\n".join(lines)
