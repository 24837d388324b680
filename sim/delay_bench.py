"""Bodies in closed loop under communication delay: share of runs without a contact, and mean travel time.

Contacts are those of the world's own checker, which sees every body (``contacts`` of a run's metrics).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean

import msgspec

from sim.bench_table import Row, Section
from sim.network import NetworkConfig
from sim.run_folder import RunFolder
from sim.runner import RunOptions, run
from sim.scenario import load_scenario
from sim.scenario_records import Scenario

DELAYS_MS: tuple[float | None, ...] = (0.0, 50.0, 100.0, 200.0, 300.0, None)
"""None: unbounded. Every datagram is up to a minute late."""
BUSY_VPH, BUSY_S = 600.0, 60.0
PUBLISHED = (
    "Published for ten multirotors in free space (Kondo et al., Robust MADER, arXiv 2303.06222; figures as in their\n"
    "plotting scripts, github.com/mit-acl/rmader, rmader/other/paper_graphs). Another task with another way to go:\n"
    "the shares may be compared, and how a method's own time grows with delay, not the seconds.\n\n"
    "| method | one-way delay, ms: 0 | 50 | 100 | 200 | 300 |\n| --- | --- | --- | --- | --- | --- |\n"
    "| MADER: collision-free, % | 97 | 92 | 89 | 79 | 77 |\n"
    "| MADER: mean travel time, s | 8.19 | 9.09 | 9.18 | 9.25 | 8.64 |\n"
    "| RMADER: collision-free, % | 100 | 100 | 100 | 100 | 100 |\n"
    "| RMADER: mean travel time, s | 10.62 | 11.30 | 12.68 | 10.77 | 15.23 |"
)


def _busy() -> Scenario:
    """Poisson traffic of twice the common workload's density, for one minute."""
    base = load_scenario("four_way_300vph")
    replace = msgspec.structs.replace
    poisson = replace(base.demand.poisson, vph=BUSY_VPH, until_s=BUSY_S)
    return replace(base, demand=replace(base.demand, poisson=poisson))


WORKLOADS: dict[str, Callable[[], Scenario]] = {
    "eight vehicles": lambda: load_scenario("four_way"),
    f"{BUSY_VPH:.0f} veh/h and lane": _busy,
}


def _row(name: str, delay_ms: float | None, seeds: int) -> list[str]:
    base = WORKLOADS[name]()
    network = NetworkConfig(delay_ms=0.0, jitter_ms=60_000.0) if delay_ms is None else NetworkConfig(delay_ms=delay_ms)
    free, done, total, times = 0, 0, 0, []
    for seed in range(1, seeds + 1):
        scenario = msgspec.structs.replace(base, world="kinematic", network=network, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            summary = run(scenario, out, RunOptions(out, progress=False, mcap=False))
            values = {metric.name: metric.value for metric in summary.metrics}
            vehicles = RunFolder.load(out).vehicles
        free += values["contacts"] == 0
        done, total = done + int(values["finished"]), total + len(vehicles)
        times += [one.departure_s - one.arrival_s for one in vehicles if one.departure_s is not None]
    delay = "unbounded (to 60 s)" if delay_ms is None else f"{delay_ms:.0f}"
    travel = f"{mean(times):.1f}" if times else "-"
    return [name, delay, f"{free}/{seeds}", f"{done}/{total}", travel]


def delays(vehicles: int) -> Section:
    """Kinematic world, four-way junction; a seed of eight vehicles for each 160 of ``vehicles``, busy traffic once."""
    few = max(1, vehicles // 160)
    rows = [
        Row(f"{name}, {delay_ms} ms, seeds={seeds}", partial(_row, name, delay_ms, seeds))
        for name, seeds in zip(WORKLOADS, (few, max(1, few // 5)), strict=True)
        for delay_ms in DELAYS_MS
    ]
    return Section(
        "delays",
        "Four-way junction with bodies in closed loop (kinematic world, real signatures): what delay does to safety\n"
        "and travel time. Contacts are counted by the world's own checker. *Finished*: vehicles that left within the\n"
        "scenario's time.",
        ("workload", "one-way delay, ms", "runs without a contact", "finished", "mean travel time, s"),
        tuple(rows),
        PUBLISHED,
    )
