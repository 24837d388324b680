"""Delay against demand on the common intersection workload: every planner, and SUMO where it is installed.

One row is one planner at one demand, means over the seeds. Every run drives exactly the arrivals of one
table ``arrival_s,approach,movement``, in the kinematic world, and goes on until the junction is empty (or
until the longest time allowed; such rows are marked, and their delays are too small: those of who arrived).
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from fleet.errors import ConfigError
from sim.demand import poisson
from sim.maps.builtin import build
from sim.metrics import jain
from sim.network import NetworkConfig
from sim.peer_sumo import CONTROLLERS, Sumo, Trip
from sim.run_folder import RunFolder
from sim.runner import RunOptions, run
from sim.scenario import Demand, MapSpec, PoissonDemand, Scenario, SpacingChoice, load_scenario

PLANNERS = (
    "welfare",
    "first_come",
    "tile_reservation",
    "signal_actuated",
    "signal_fixed",
    "right_before_left",
    "all_way_stop",
    "reactive",
)
DELAY_MS = 20.0
_ARRIVALS_S = 900.0
FILLED_S = 150.0
"""By then a saturated junction has filled up; flows are counted from here to the last arrival."""
_DASHED_FROM = "SUMO"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is driven: ``vph`` per hour *and lane*, one table per demand and seed."""

    vph: tuple[int, ...]
    seeds: tuple[int, ...]
    lanes: int = 1
    tables: Path | None = None
    """Folder of ``four_way_{lanes}lane_{vph}vph_seed{seed}.csv``; None: drawn anew, Poisson, from each seed."""
    duration_s_max: float = 3_600.0
    until_s: float = _ARRIVALS_S
    """Of drawn arrivals: no later than this."""
    spacing: str = "tight"
    """What plans of the agreeing planners keep between vehicles: the buffers of AIM4, or ``comfortable``."""
    workers: int = 1
    """Processes; each run is one process's, and the same whatever their number."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run."""

    vehicles: int
    finished: int
    mean_delay_s: float
    p95_delay_s: float
    delay_s_max: float
    wait_s_max: float
    jain: float
    throughput_vph: float
    flow_vph: float
    """Vehicles that left between ``FILLED_S`` and the last arrival, per hour."""
    contacts: int


@dataclass(frozen=True, slots=True)
class Row:
    """One planner at one demand: the runs of all seeds."""

    planner: str
    vph: int
    runs: tuple[Figures, ...]

    @property
    def complete(self) -> bool:
        return all(one.finished == one.vehicles for one in self.runs)

    def mean(self, name: str) -> float:
        """The mean over the seeds of one figure."""
        return fmean(float(getattr(one, name)) for one in self.runs)


def measure(work: Workload, planners: Sequence[str], sumo: Path | None, say: Say) -> list[Row]:
    """All rows; those of SUMO only if the folder of its programs is given.

    Raises
    ------
    ConfigError
        A table is missing, a planner unknown, or SUMO failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tables = {(vph, seed): _table(work, vph, seed, folder) for vph in work.vph for seed in work.seeds}
        keys = [(name, vph, seed) for name in planners for vph in work.vph for seed in work.seeds]
        jobs = [_Job(work, name, tables[vph, seed], seed) for name, vph, seed in keys]
        rows = []
        with _mapped(min(work.workers, len(jobs))) as mapped:
            figures = mapped(_own, jobs)
            for planner in planners:
                for vph in work.vph:
                    rows.append(_told(Row(planner, vph, tuple(next(figures) for _ in work.seeds)), say))
        if sumo is not None:
            rows += _peers(work, Sumo(sumo, folder), tables, say)
        return rows


@dataclass(frozen=True, slots=True)
class _Job:
    """One run of ours."""

    work: Workload
    planner: str
    table: Path
    seed: int


@contextmanager
def _mapped(workers: int) -> Iterator[Callable[..., Iterator[Figures]]]:
    """A ``map`` in order, over processes if there are to be several."""
    if workers < 2:
        yield map
        return
    with get_context("spawn").Pool(workers) as pool:
        yield pool.imap


def _own(job: _Job) -> Figures:
    work, table = job.work, job.table
    base = load_scenario("four_way")
    fields = {name: getattr(base, name) for name in Scenario.__struct_fields__}
    changed = {
        "map": MapSpec(builtin="four_way" if work.lanes == 1 else "four_way_3lane", lanes=work.lanes),
        "demand": Demand(csv=str(table)),
        "world": "kinematic",
        "planner": job.planner,
        "spacing": SpacingChoice(preset=work.spacing),
        "seed": job.seed,
        "network": NetworkConfig(delay_ms=DELAY_MS),
        "duration_s_max": work.duration_s_max,
        "expectations": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        summary = run(Scenario(**{**fields, **changed}), out, RunOptions(out, progress=False, mcap=False))
        left_s = [one.departure_s for one in RunFolder.load(out).vehicles if one.departure_s is not None]
    values: dict[str, Any] = {metric.name: metric.value for metric in summary.metrics}
    return Figures(
        vehicles=values["vehicles"],
        finished=values["finished"],
        mean_delay_s=_number(values["mean_delay_s"]),
        p95_delay_s=_number(values["p95_delay_s"]),
        delay_s_max=_number(values["delay_s_max"]),
        wait_s_max=_number(values["wait_s_max"]),
        jain=_number(values["jain"]),
        throughput_vph=_number(values["throughput_vph"]),
        flow_vph=_flow_vph(left_s, work.until_s),
        contacts=values["contacts"],
    )


def _flow_vph(left_s: Sequence[float], until_s: float) -> float:
    if until_s <= FILLED_S:
        return float("nan")
    return 3_600.0 * sum(FILLED_S < t <= until_s for t in left_s) / (until_s - FILLED_S)


def _number(value: float | int | None) -> float:
    return float("nan") if value is None else float(value)


def _peers(work: Workload, sumo: Sumo, tables: dict[tuple[int, int], Path], say: Say) -> Iterable[Row]:
    say(f"SUMO {sumo.version()}")
    for controller in CONTROLLERS:
        for vph in work.vph:
            trips = (sumo.run(controller, tables[vph, seed], work.lanes, seed) for seed in work.seeds)
            yield _told(Row(controller.name, vph, tuple(_of_trips(one, work.until_s) for one in trips)), say)


def _of_trips(trips: Sequence[Trip], until_s: float = _ARRIVALS_S) -> Figures:
    """The figures of SUMO's trips, by the definitions of our own metrics."""
    delays = np.array([trip.delay_s for trip in trips])
    approaches = sorted({trip.approach for trip in trips})
    means = [fmean(t.delay_s for t in trips if t.approach == approach) for approach in approaches]
    span_s = max(trip.left_s for trip in trips) - min(trip.scheduled_s for trip in trips)
    return Figures(
        vehicles=len(trips),
        finished=len(trips),
        mean_delay_s=float(delays.mean()),
        p95_delay_s=float(np.percentile(delays, 95)),
        delay_s_max=float(delays.max()),
        wait_s_max=max(trip.waited_s for trip in trips),
        jain=_number(jain(means)),
        throughput_vph=3_600.0 * len(trips) / span_s,
        flow_vph=_flow_vph([trip.left_s for trip in trips], until_s),
        contacts=0,
    )


def _table(work: Workload, vph: int, seed: int, folder: Path) -> Path:
    """The table of one demand and seed: the given one, or one drawn now."""
    if work.tables is not None:
        found = work.tables / f"four_way_{work.lanes}lane_{vph}vph_seed{seed}.csv"
        if not found.is_file():
            raise ConfigError(f"{found}: no such table; the folder must hold one for each demand and seed")
        return found
    source = build("four_way" if work.lanes == 1 else "four_way_3lane", lanes=work.lanes)
    drawn = poisson(PoissonDemand(vph=float(vph), until_s=work.until_s), source, "car", seed)
    written = folder / f"{vph}vph_seed{seed}.csv"
    with written.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("arrival_s", "approach", "movement"))
        rows.writerows((f"{one.arrival_s:.3f}", *one.path_id.split("_", 1)) for one in drawn)
    return written


def _told(row: Row, say: Say) -> Row:
    say(f"{row.planner}, {row.vph} veh/h: mean delay {row.mean('mean_delay_s'):.2f} s{'' if row.complete else ' *'}")
    return row


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table; a star marks rows in which somebody had not left when time was over."""
    lines = [
        "| planner | veh/h, lane | mean delay, s | p95, s | max, s | longest wait, s | Jain | veh/h out | contacts |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        star = "" if row.complete else " *"
        lines.append(
            f"| {row.planner} | {row.vph} | {row.mean('mean_delay_s'):.2f}{star} | {row.mean('p95_delay_s'):.1f} |"
            f" {row.mean('delay_s_max'):.0f} | {row.mean('wait_s_max'):.0f} | {row.mean('jain'):.2f} |"
            f" {row.mean('throughput_vph'):.0f} | {sum(one.contacts for one in row.runs)} |"
        )
    if not all(row.complete for row in rows):
        lines += ["", "\\* stopped with vehicles still on their way; delays are those of the vehicles that had left."]
    return "\n".join(lines)


SATURATION_VPH, SATURATION_S = 1_400, 450.0
"""Per hour and lane: far beyond what any of the planners lets through; and until when."""


def saturation(work: Workload, planners: Sequence[str], sumo: Path | None, say: Say) -> str:
    """How many vehicles an hour come through when more want to than can, as a Markdown table.

    Of ``work`` the seeds, lanes, spacing and workers count; arrivals are drawn.
    """
    full = replace(work, vph=(SATURATION_VPH,), tables=None, duration_s_max=SATURATION_S, until_s=SATURATION_S)
    lines = ["| planner | veh/h through | of seeds |", "| --- | --- | --- |"]
    for row in measure(full, planners, sumo, say):
        flows = ", ".join(f"{one.flow_vph:.0f}" for one in row.runs)
        lines.append(f"| {row.planner} | {row.mean('flow_vph'):.0f} | {flows} |")
    return "\n".join(lines)


def plot(rows: Sequence[Row], out: Path) -> None:
    """Mean delay against demand, one line per planner, as a PNG at ``out``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.0, 5.0), layout="constrained")
    for planner in dict.fromkeys(row.planner for row in rows):
        own = sorted((row for row in rows if row.planner == planner), key=lambda row: row.vph)
        style = "--" if planner.startswith(_DASHED_FROM) else "-"
        delays = [max(row.mean("mean_delay_s"), 0.01) for row in own]
        (line,) = axes.plot([row.vph for row in own], delays, style, marker="o", label=planner)
        cut = [(row.vph, delay) for row, delay in zip(own, delays, strict=True) if not row.complete]
        if cut:
            axes.plot(*zip(*cut, strict=True), "^", color=line.get_color(), markersize=10)
    axes.set(xlabel="demand, veh/h and lane", ylabel="mean delay, s (triangle: stopped early, more)", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    pyplot.close(figure)
