"""A run on a site: as in lanes, but all are there from the start, and who has arrived stays or leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fleet.cli.evidence_shelf import EvidenceShelf
from fleet.node.free_driver import FreeNode
from fleet.node.stopwatch import Stopwatch
from sim.car import Car
from sim.entrance import Present
from sim.records import RunLog
from sim.runner import Run
from sim.scenario import Scenario
from sim.site_node import SiteNodeFactory
from sim.stage import Actor, Stage
from sim.world import World

_DRAWN_STEP_M = 0.5


class AllAtOnce:
    """Everybody enters at the beginning."""

    def __init__(self, actors: Sequence[Actor]) -> None:
        self._outside = list(actors)

    @property
    def waiting(self) -> int:
        return len(self._outside)

    def outside(self) -> list[Actor]:
        """Who has not entered yet."""
        return self._outside

    def admit(self, now_ms: int, present: Sequence[Present]) -> list[tuple[Actor, float]]:
        """Who enters now, with what speed."""
        entering, self._outside = [(actor, 0.0) for actor in self._outside], []
        return entering


class SiteRun(Run):
    """The loop's state, on a site."""

    def __init__(
        self, scenario: Scenario, stage: Stage, world: World, factory: SiteNodeFactory, log: RunLog,
        watch: Stopwatch, shelf: EvidenceShelf, store_folder: Path | None = None,
    ) -> None:  # fmt: skip
        self._site = factory.site
        self._site_factory = factory
        self._parked: set[str] = set()
        super().__init__(scenario, stage, world, factory, log, watch, {}, AllAtOnce(stage.actors), shelf, store_folder)

    @property
    def under_way(self) -> int:
        return len(self._cars) - len(self._parked)

    def _depart(self) -> None:
        """Note who has arrived: by the node's word and by where the body is."""
        now_s = self.now_ms * 1e-3
        for name, car in list(self._cars.items()):
            node = car.node
            if not isinstance(node, FreeNode) or name in self._parked:
                continue
            if node.committed:
                self._sample_tracking(car, node, now_s)
            if not node.arrived or not node.kernel.stands:
                continue
            self._log.departed(name, round(now_s, 6))
            x, y, *_ = self._suite.row(car.slot)
            goal = self._site.tasks[name].goal
            self._log.sample("goal_error_m", float(np.hypot(x - goal[0], y - goal[1])))
            if self._site.tasks[name].leaves:
                self._remove(name, car)
            else:
                self._parked.add(name)

    def _sample_tracking(self, car: Car, node: FreeNode, now_s: float) -> None:
        """True place against plan, the stretch of the path being known from the plan's time."""
        road, plan = node.kernel.road, node.plan
        if road is None or plan is None:
            return
        x, y, yaw, *_ = self._suite.row(car.slot)
        s_plan, _, _ = self._site_factory.book.arrays(plan).at(now_s)
        if not road.begin_m <= s_plan <= road.end_m:
            return
        s_m, lateral_m, heading = road.project(x, y, s_plan)
        self._log.sample("tracking_lateral_m", abs(lateral_m))
        self._log.sample("tracking_longitudinal_m", abs(s_m - s_plan))
        turn = math.remainder(yaw - heading, math.tau)
        body = car.actor.vehicle.body
        front_m = body.length_m - body.rear_overhang_m
        ends = (lateral_m + front_m * math.sin(turn), lateral_m - body.rear_overhang_m * math.sin(turn))
        self._log.sample("tracking_heading_rad", abs(turn))
        self._log.sample("tracking_ends_m", max(map(abs, ends)))

    def _log_plan(self, now_ms: int, car: Car) -> None:
        if car.node is None or not car.node.committed or car.plan is None:
            return
        arcs = self._site_factory.book.arcs(car.plan.path_id)
        if arcs is None:
            return
        x, y, _ = arcs.poses(np.append(np.arange(0.0, arcs.length_m, _DRAWN_STEP_M), arcs.length_m))
        self._log.plan(now_ms, car.actor.vehicle_id, np.column_stack((x, y)))
