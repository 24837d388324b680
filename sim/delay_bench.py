"""Bodies in closed loop under communication delay: share of runs without a contact, and mean travel time.

The published rows beside it are of RMADER and MADER (multirotors in a free space, 10 agents: another task,
so only the collision-free share may be compared, not the time).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import msgspec

from sim.network import NetworkConfig
from sim.run_folder import RunFolder
from sim.runner import RunOptions, run
from sim.scenario import load_scenario

DELAYS_MS: tuple[float | None, ...] = (0.0, 50.0, 100.0, 200.0, 300.0, None)
"""None: unbounded. Every datagram is up to a minute late."""
PUBLISHED = {
    "RMADER": "100 % at the delays of its benchmark",
    "next best asynchronous decentralised planner": "83 %",
}
"""Kondo et al., arXiv 2303.06222 (abstract). Rows by delay: not available here."""


def table(runs: int, say: Callable[[str], None]) -> str:
    """Eight vehicles at ``four_way``, kinematic world, ``runs`` seeds for each delay."""
    base = load_scenario("four_way")
    lines = [
        "| one-way delay, ms | collision-free runs | finished | mean travel time, s |",
        "| --- | --- | --- | --- |",
    ]
    for delay_ms in DELAYS_MS:
        network = NetworkConfig(delay_ms=0.0, jitter_ms=60_000.0)
        if delay_ms is not None:
            network = NetworkConfig(delay_ms=delay_ms)
        free, done, total, times = 0, 0, 0, []
        for seed in range(1, runs + 1):
            scenario = msgspec.structs.replace(base, world="kinematic", network=network, seed=seed)
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                summary = run(scenario, out, RunOptions(out, progress=False, mcap=False))
                values = {metric.name: metric.value for metric in summary.metrics}
                vehicles = RunFolder.load(out).vehicles
            free += values["contacts"] == 0
            done, total = done + int(values["finished"]), total + len(vehicles)
            times += [one.departure_s - one.arrival_s for one in vehicles if one.departure_s is not None]
        name = "unbounded (to 60 s)" if delay_ms is None else f"{delay_ms:.0f}"
        lines.append(f"| {name} | {free}/{runs} | {done}/{total} | {mean(times):.1f} |" if times else f"| {name} | - |")
        say(lines[-1])
    published = [f"- {name}: collision-free {share}" for name, share in PUBLISHED.items()]
    return "\n".join([*lines, "", "Published (Kondo et al., arXiv 2303.06222):", *published])
