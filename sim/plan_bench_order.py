"""How good and how fast the order search is, on crowds from seeds; times are CPU times of a warm process.

Three tables: times against the number of vehicles (search alone, and the whole call with its verified-form plans);
the optimality gap on sets of 8 to 10; marginal welfare. The gap compares what the plans really cost, taken from the
integers, with the proven optimum of the order model: that is model error and optimality together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fleet.errors import PlanError
from planners.first_come import FirstCome
from planners.interface import Commitment, Request
from planners.marginal import marginal_welfare
from planners.order import WelfareOrder
from planners.order_call import Call, call_of
from planners.order_model import OrderModel
from planners.order_search import best_order, decided
from planners.order_value import value_of
from planners.welfare import Welfare
from sim.plan_bench_refine import Ground, crowd

Clock = Callable[[], float]
Say = Callable[[str], None]
COUNTS = (2, 4, 8, 10, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds at one number of vehicles, one entry per call."""

    vehicles: int
    search_s: tuple[float, ...]
    """Model and search."""
    call_s: tuple[float, ...]
    first_come_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """One set: costs in seconds of delay by the default weights."""

    vehicles: int
    optimum: float
    """Of the order model, proven."""
    welfare: float
    """Of the plans of ``welfare``, from their integers."""
    first_come: float


class Bench:
    """The planner with its parts in reach."""

    def __init__(self, ground: Ground, clock: Clock, say: Say) -> None:
        self._ground, self._clock, self._say = ground, clock, say
        self._planner = WelfareOrder(ground.zone_map, ground.conflicts)
        self._first_come = FirstCome(ground.zone_map, ground.conflicts)
        self._welfare = Welfare()

    def times(self, counts: Sequence[int], scenes: int) -> list[Times]:
        """Each scene once to fill caches, then measured."""
        found = []
        for count in counts:
            rows = []
            for seed in range(scenes):
                asked = crowd(self._ground, seed, count)
                for planner in (self._planner, self._first_come):
                    planner.plan(asked, [], now_ms=0)
                rows.append((
                    self._timed(lambda asked=asked: self._searched(asked)),
                    self._timed(lambda asked=asked: self._planner.plan(asked, [], now_ms=0)),
                    self._timed(lambda asked=asked: self._first_come.plan(asked, [], now_ms=0)),
                ))  # fmt: skip
            found.append(Times(count, *(tuple(column) for column in zip(*rows, strict=True))))
            self._say(f"{count} vehicles: search {1e3 * float(np.median(found[-1].search_s)):.2f} ms")
        return found

    def replans(self, committed: Sequence[int], scenes: int) -> list[tuple[int, tuple[float, ...]]]:
        """(commitments; seconds): one more vehicle behind so many that have their plans."""
        found = []
        for count in committed:
            seconds = []
            for seed in range(scenes):
                asked = crowd(self._ground, seed, count + 1)
                bodies = {one.body.vehicle: one.body for one in asked}
                done = self._planner.plan(asked[:-1], [], now_ms=0).plans
                live = [Commitment(bodies[plan.vehicle], plan) for plan in done]
                last = asked[-1:]
                self._planner.plan(last, live, now_ms=0)
                seconds.append(self._timed(lambda last=last, live=live: self._planner.plan(last, live, now_ms=0)))
            found.append((count, tuple(seconds)))
            self._say(f"replan among {count}: {1e3 * float(np.median(seconds)):.2f} ms")
        return found

    def gaps(self, seeds: Sequence[int]) -> list[Gap]:
        """Sets of 8, 9 and 10 in turn."""
        found = []
        for seed in seeds:
            asked = crowd(self._ground, seed, 8 + seed % 3)
            call = self._call(asked)
            model = self._planner._models.model(call)
            order = best_order(model, 0, self._welfare)
            number = {request.body.vehicle: v for v, request in enumerate(model.requests)}
            costs = []
            for planner in (self._planner, self._first_come):
                plans = {number[plan.vehicle]: plan for plan in planner.plan(asked, [], now_ms=0).plans}
                costs.append(value_of(model, plans, call.grid, self._welfare).cost)
            found.append(Gap(len(asked), decided(model, order)[0], *costs))
            if seed % 100 == 99:
                self._say(f"optimality: {len(found)} sets")
        return found

    def marginals(self, counts: Sequence[int], scenes: int) -> list[tuple[int, tuple[float, ...]]]:
        """(vehicles; seconds) of the marginal welfare of all vehicles of a crowd, its model given."""
        found = []
        for count in counts:
            seconds = []
            for seed in range(scenes):
                model = self._planner._models.model(self._call(crowd(self._ground, seed, count)))
                seconds.append(self._timed(lambda model=model: marginal_welfare(model.tables, model.low)))
            found.append((count, tuple(seconds)))
        return found

    def model(self, asked: Sequence[Request]) -> OrderModel:
        """The planner's order model of ``asked``."""
        return self._planner._models.model(self._call(asked))

    def _searched(self, asked: Sequence[Request]) -> None:
        best_order(self.model(asked), 0, self._welfare)

    def _call(self, asked: Sequence[Request]) -> Call:
        inner = self._planner._inner
        fixed, grid = inner.prepared(asked, [], 0)
        call = call_of(inner.sequential, self._planner._stores, inner.order(asked), fixed, grid)
        if call is None:
            raise PlanError(f"none of {len(asked)} vehicles of a crowd can be planned")
        return call

    def _timed(self, job: Callable[[], object]) -> float:
        began = self._clock()
        job()
        return self._clock() - began


def table(
    times: Sequence[Times],
    gaps: Sequence[Gap],
    marginals: Sequence[tuple[int, tuple[float, ...]]],
    replans: Sequence[tuple[int, tuple[float, ...]]],
) -> str:
    """All figures as Markdown."""
    lines = ["| vehicles | order search, ms | whole call, ms | first_come, ms |", "| --- | --- | --- | --- |"]
    lines += [f"| {t.vehicles} | {_both(t.search_s)} | {_both(t.call_s)} | {_both(t.first_come_s)} |" for t in times]
    share = np.array([one.welfare / max(one.optimum, 1.0) - 1.0 for one in gaps])
    total = [sum(getattr(one, name) for one in gaps) for name in ("optimum", "welfare", "first_come")]
    lines += [
        "",
        f"Medians / 99th percentiles. Optimality on {len(gaps)} sets of 8 to 10: all plans together cost"
        f" {100.0 * (total[1] / total[0] - 1.0):+.2f} % against the model's optimum (median set"
        f" {100.0 * float(np.median(share)):+.2f} %, 95th percentile {100.0 * float(np.percentile(share, 95)):+.2f} %);"
        f" first come, first served {100.0 * (total[2] / total[0] - 1.0):+.0f} %.",
        "",
        "| marginal welfare, vehicles | ms |",
        "| --- | --- |",
        *(f"| {count} | {_both(seconds)} |" for count, seconds in marginals),
        "",
        "| one more among | ms |",
        "| --- | --- |",
        *(f"| {count} committed | {_both(seconds)} |" for count, seconds in replans),
    ]
    return "\n".join(lines)


def _both(seconds: Sequence[float]) -> str:
    return f"{1e3 * float(np.median(seconds)):.2f} / {1e3 * float(np.percentile(seconds, 99)):.2f}"


def plot(times: Sequence[Times], gaps: Sequence[Gap], out: Path) -> None:
    """``order_time.png`` and ``order_gap.png`` in the folder ``out``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    out.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7.0, 4.5), layout="constrained")
    for name, label in (("search_s", "order search"), ("call_s", "whole call"), ("first_come_s", "first_come")):
        columns = [np.array(getattr(one, name)) * 1e3 for one in times]
        count = [one.vehicles for one in times]
        (line,) = axes.plot(count, [np.median(c) for c in columns], "-o", label=label)
        axes.plot(count, [np.percentile(c, 99) for c in columns], ":", color=line.get_color())
    axes.set(xlabel="vehicles in one call", ylabel="CPU time, ms (dotted: 99th percentile)", xscale="log", yscale="log")
    axes.set_xticks([one.vehicles for one in times], [str(one.vehicles) for one in times])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(out / "order_time.png", dpi=120)
    pyplot.close(figure)
    figure, axes = pyplot.subplots(figsize=(7.0, 4.5), layout="constrained")
    for name, label in (("welfare", "welfare"), ("first_come", "first_come")):
        loss = np.sort([100.0 * (getattr(one, name) / max(one.optimum, 1.0) - 1.0) for one in gaps])
        axes.plot(loss, np.arange(1, len(loss) + 1) / len(loss), label=label)
    axes.set(xlabel="cost above the optimum of the model, %", ylabel="share of sets", xscale="symlog", ylim=(0.0, 1.0))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(out / "order_gap.png", dpi=120)
    pyplot.close(figure)
