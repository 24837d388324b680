"""Passing orders of a stream of vehicles, chosen again and again: our search beside CP-SAT.

Entry times only, without dynamics, so that both solve the same problem: a vehicle may enter when it has come, and so
long after another that it meets; cost is the sum of delays. Every two seconds all who are near and have not entered are
ordered anew; who enters until then is fixed. What vehicles keep between each other is taken from the order model of
the four-way junction, from standstill. CP-SAT (OR-Tools) is optional and runs in a process of its own, because its
protobuf and that of other packages exclude each other.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fleet.errors import ConfigError
from planners import _order_cells, _order_moves, _order_search
from planners._order_cells import Model
from planners.order_search import EXACT_COUNT_MAX, MOVES_PER_VEHICLE, NODES_MAX, WINDOW_NODES
from planners.zone_map import Floats
from sim.plan_bench_order import Bench
from sim.plan_bench_refine import Ground, crowd

Clock = Callable[[], float]
Say = Callable[[str], None]
Solve = Callable[[Floats, Floats, "np.ndarray"], tuple[Floats, float]]
"""(earliest entry, separation [first, after], leader) -> (entry times, seconds)"""
EPOCH_S, SIGHT_S, UNTIL_S = 2.0, 11.0, 300.0
LIMIT_S = 20.0
"""Of one solve of CP-SAT."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Vehicles in the order of their coming, float64 [vehicle] and [first, after] (-inf: they do not meet)."""

    earliest_s: Floats
    apart_s: Floats
    leader: np.ndarray


@dataclass(frozen=True, slots=True)
class Rolled:
    """One stream ordered by one solver."""

    delay_s: float
    seconds: tuple[float, ...]
    """Of each solve of two vehicles or more."""
    most: int
    """Vehicles ordered at once."""


def stream(vph: int, seed: int) -> Stream:
    """Poisson arrivals on four approaches, each on one of the twelve paths."""
    rng = np.random.default_rng(seed)
    apart, origins = _separations()
    comers: list[tuple[float, int]] = []
    for origin in sorted(set(origins)):
        kinds, t = [k for k, name in enumerate(origins) if name == origin], 0.0
        while (t := t + max(1.0, rng.exponential(3600.0 / vph))) < UNTIL_S:
            comers.append((t, int(rng.choice(kinds))))
    comers.sort()
    kind = np.array([k for _, k in comers])
    leader, last = np.full(len(comers), -1, dtype=np.int64), {}
    for v, k in enumerate(kind):
        leader[v] = last.get(origins[k], -1)
        last[origins[k]] = v
    return Stream(np.array([t for t, _ in comers]), apart[np.ix_(kind, kind)], leader)


def _separations() -> tuple[Floats, list[str]]:
    """Seconds between two that start from standstill, by path; and where each path begins."""
    ground = Ground.four_way()
    bench = Bench(ground, lambda: 0.0, lambda _: None)
    names = sorted(ground.zone_map.paths)
    apart, known = np.full((len(names), len(names)), -math.inf), np.zeros((len(names), len(names)), dtype=bool)
    for seed in range(200):
        model = bench.model(crowd(ground, seed, 16))
        kind = [names.index(request.approach.path_id) for request in model.requests]
        for i, one in enumerate(kind):
            for j, two in enumerate(kind):
                if i != j and not known[one, two] and model.tables.leader[i] < 0 and model.tables.leader[j] < 0:
                    gap_s = model.tables.after[i, j, -2] - model.tables.tau[i, -2]
                    # Never below 0: who passes first enters first, so that what is fixed is fixed with all before it.
                    apart[one, two] = gap_s if gap_s == -math.inf else max(gap_s, 0.0)
                    known[one, two] = True
    same = [[names[a].split("_")[0] == names[b].split("_")[0] for b in range(len(names))] for a in range(len(names))]
    apart[np.array(same)] = np.maximum(apart[np.array(same)], 1.0)  # one lane: never at once
    return apart, [ground.zone_map.paths[name].origin for name in names]


def rolled(traffic: Stream, solve: Solve) -> Rolled:
    """Order the stream epoch by epoch; the delay is that of the entry times kept."""
    count = len(traffic.earliest_s)
    entry = np.full(count, math.nan)
    seconds, most, now = [], 0, 0.0
    while np.isnan(entry).any():
        near = [v for v in range(count) if math.isnan(entry[v]) and traffic.earliest_s[v] <= now + SIGHT_S]
        if near:
            low = np.maximum(traffic.earliest_s[near], now)
            for v in np.flatnonzero(~np.isnan(entry)):
                low = np.maximum(low, entry[v] + traffic.apart_s[v, near])
            place = {v: k for k, v in enumerate(near)}
            leader = np.array([place.get(int(traffic.leader[v]), -1) for v in near], dtype=np.int64)
            apart = traffic.apart_s[np.ix_(near, near)]
            enters, spent = solve(low, apart, leader) if len(near) > 1 else (low, math.nan)
            if len(near) > 1:
                seconds.append(spent)
            most = max(most, len(near))
            for v, t in zip(near, enters.tolist(), strict=True):
                if t < now + EPOCH_S:
                    entry[v] = t
        now += EPOCH_S
    return Rolled(float((entry - traffic.earliest_s).sum()), tuple(seconds), most)


def ours(clock: Clock) -> Solve:
    """The search of the planner ``welfare``, with its budgets."""

    def solve(low: Floats, apart: Floats, leader: np.ndarray) -> tuple[Floats, float]:
        count = len(low)
        began = clock()
        tau = low[:, None] + np.array([0.0, 10.0, 100.0, 1000.0])
        after = np.ascontiguousarray(tau[:, None, :] + apart[:, :, None])
        after[np.arange(count), np.arange(count)] = -math.inf
        none, free = np.zeros(count + 1, dtype=np.int64), np.full(count, math.inf)
        model = Model(tau, tau - low[:, None], after, np.zeros((0, 2)), none, free, np.full(count, 1e3), leader)
        order = np.arange(count, dtype=np.int64)
        order = order[np.argsort(low, kind="stable")] if not (leader >= 0).any() else order
        out = np.zeros(2, dtype=np.int64)
        if count <= EXACT_COUNT_MAX:
            best = order.copy()
            _order_search.search(model, order, 0, count, low.copy(), NODES_MAX, 0.0, best, out)
        else:
            best = order
            _order_moves.improve(model, best, 0, low.copy(), MOVES_PER_VEHICLE * count, WINDOW_NODES, 1, out)
        _order_cells.evaluate(model, best, enters := low.copy(), np.empty(count))
        return enters, clock() - began

    return solve


@contextmanager
def cp_sat(folder: Path) -> Iterator[Solve]:
    """CP-SAT from the packages in ``folder``, one worker, in a process that answers lines of JSON."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    script = Path(__file__).with_name("peer_cp_sat.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(LIMIT_S)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip

        def solve(low: Floats, apart: Floats, leader: np.ndarray) -> tuple[Floats, float]:
            if process.stdin is None or process.stdout is None:
                raise ConfigError("CP-SAT: no pipe to its process")
            asked = {"low": low.tolist(), "apart": np.where(np.isinf(apart), -1e6, apart).tolist()}
            process.stdin.write(json.dumps({**asked, "leader": leader.tolist()}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise ConfigError(f"{folder}: OR-Tools cannot be used from there; --ortools names its folder")
            found = json.loads(answer)
            return np.maximum(low, np.array(found["entry_s"])), found["seconds"]

        try:
            yield solve
        finally:
            process.kill()


def table(vph: Sequence[int], seeds: Sequence[int], folder: Path | None, clock: Clock, say: Say) -> str:
    """Both solvers on the same streams, as Markdown."""
    lines = ["| veh/h, lane | vehicles | at once, most | delay, s each: search | CP-SAT | share | ms, median: search "
             "| CP-SAT | times faster |", "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    if folder is None:
        return "Left out: CP-SAT is not part of the project; install ortools into a folder and name it with --ortools."
    with cp_sat(folder) as theirs:
        for demand in vph:
            for seed in seeds:
                traffic = stream(demand, seed)
                rolled(traffic, ours(clock))  # warm
                one, two = rolled(traffic, ours(clock)), rolled(traffic, theirs)
                count, ms = len(traffic.earliest_s), [1e3 * float(np.median(r.seconds)) for r in (one, two)]
                faster = sum(two.seconds) / sum(one.seconds)
                lines.append(
                    f"| {demand} | {count} | {one.most} | {one.delay_s / count:.3f} | {two.delay_s / count:.3f} |"
                    f" {one.delay_s / two.delay_s:.3f} | {ms[0]:.2f} | {ms[1]:.1f} | {faster:.0f} |"
                )
                say(f"rolling, {demand} veh/h, seed {seed}: {one.delay_s / two.delay_s:.3f} of CP-SAT's delay")
    return "\n".join(lines)
