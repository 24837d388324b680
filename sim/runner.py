"""Runs a scenario: bodies in a world, a node on each, datagrams between them, and a record of it all.

One loop of fixed steps. Within a step, in this order: bodies enter; each node takes its datagrams and
ticks, in the order of names; drivers without a radio act; the truth is logged; physics advances;
bodies that reached their destination leave. Nothing depends on wall time but the timings in the report.

The folder of the run is claimed last, when everything that can be wrong with a scenario has been found.
From then on it is always closed properly: at the end, after Ctrl-C, and after a defect.
"""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fleet.cli.evidence_shelf import EvidenceShelf
from fleet.errors import ConfigError, FleetError
from fleet.node.parts import Noter
from fleet.node.stopwatch import Stopwatch
from planners.registry import PLANNERS
from planners.timed_path import TimedPath
from sim import reactive
from sim.attackers import urgency_of
from sim.car import Car
from sim.charter_setup import Charters, charters_of
from sim.crashes import Crashes, Switch
from sim.entrance import Entrance, Gate
from sim.fleet_node import NodeFactory, clean_store
from sim.group_watch import GroupWatch, watch_of
from sim.interrupt import Interrupt
from sim.legacy_traffic import LegacyCar
from sim.manifest import manifest
from sim.network import Network
from sim.progress import Progress
from sim.records import RunLog, Summary, VehicleInfo
from sim.scenario import Scenario
from sim.solo import free_flow_s, movement_of
from sim.stage import Actor, Stage, build_stage
from sim.vehicle_backend import SensorSuite, SimVehicle
from sim.world import Contact, World
from sim.worlds import make_world

if TYPE_CHECKING:
    from sim.site_node import SiteNodeFactory

Floats = npt.NDArray[np.float64]

_MS = 1_000_000
_NEAR_END_M = 5.0
_RELOCATE_MS = 500
"""Away from zones and ends, a vehicle's place on its path is carried on by its speed for so long."""
_RADIO = "fleet"
"""The one topic of the medium; a radio that nobody reads is switched to none."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to a scenario."""

    out: Path
    progress: bool = True
    mcap: bool = True
    command_line: str = ""
    prepare: Callable[[NodeFactory], None] | None = None
    """Called with the factory of the nodes before the run."""


def settle_memory() -> None:
    """Take what set-up left out of the garbage collector's sight: a full collection would stop the run for 0.2 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(scenario: Scenario, out: Path, options: RunOptions) -> Summary:
    """Run ``scenario`` and write the files of a run into ``out``.

    Raises
    ------
    ConfigError
        The scenario cannot be staged; nothing has been written then.
    """
    _check_planner(scenario.planner)
    began, watch = perf_counter(), Stopwatch(perf_counter)
    with Progress(options.progress) as progress, contextlib.closing(make_world(scenario.world)) as world:
        progress.say(f"building {scenario.name}")
        stage = build_stage(scenario)
        period_ms = round(scenario.control.period_s * 1000.0)
        charters = charters_of(scenario)
        factory: NodeFactory | SiteNodeFactory
        if stage.site is None:
            factory = NodeFactory(
                stage, scenario.planner, scenario.seed, period_ms * 1e-3, watch, scenario.control.controller,
                scenario.spacing.spacing, charters.line, scenario,
            )  # fmt: skip
            charters.enter(factory.assembly.charters)
            if options.prepare is not None:
                options.prepare(factory)
            progress.say("measuring free flow")
            with contextlib.closing(make_world(scenario.world)) as alone:
                solo = factory.planner, factory.book, period_ms, scenario.seed, factory.controller
                free = free_flow_s(stage.actors, alone, *solo)
        else:
            from sim.site_node import SiteNodeFactory

            factory = SiteNodeFactory(stage.site, scenario.seed, period_ms * 1e-3, watch, charters.line[0])
        for outline in stage.obstacles:
            world.add_obstacle(outline)
        with Interrupt() as interrupt:
            about = manifest(scenario, stage, options.command_line, charters)
            log = RunLog.create(out, about, stage.zone_map, mcap=options.mcap)
            watch.restart()
            store = clean_store(out) if scenario.control.store == "files" else None
            shelf = EvidenceShelf(out, factory.office.certificate)
            if isinstance(factory, NodeFactory):
                entrance = Entrance(stage, factory.roads, factory.verifier)
                running = Run(scenario, stage, world, factory, log, watch, free, entrance, shelf, store)
            else:
                from sim.site_run import SiteRun

                running = SiteRun(scenario, stage, world, factory, log, watch, shelf, store)
            running.charters, started = charters, perf_counter()
            running.group = watch_of(scenario, stage, factory, log, out, shelf)

            def finish(status: int) -> Summary:
                timings = {**running.timings(), "setup": started - began}
                return log.finish(
                    status=status,
                    interrupted=interrupt.caught is not None,
                    wall_s=perf_counter() - started,
                    sim_s=running.now_ms * 1e-3,
                    timings=timings,
                    expectations=scenario.expectations,
                )

            try:
                running.loop(progress, interrupt)
            except Exception as error:
                # What was recorded until here is made readable, if that still works; the error goes on.
                with contextlib.suppress(Exception):
                    finish(2 if isinstance(error, FleetError) else 1)
                raise
            progress.say("interrupted; writing the report" if interrupt.caught else "writing the report")
            return finish(interrupt.status)


def _check_planner(name: str) -> None:
    known = sorted((*PLANNERS, reactive.NAME))
    if name not in known:
        raise ConfigError(f"no planner named {name!r}; known: {', '.join(known)}")


class Run:
    """The loop's state."""

    def __init__(
        self, scenario: Scenario, stage: Stage, world: World, factory: NodeFactory | SiteNodeFactory, log: RunLog,
        watch: Stopwatch, free: Mapping[object, float], entrance: Gate, shelf: EvidenceShelf,
        store_folder: Path | None = None,
    ) -> None:  # fmt: skip
        self._scenario, self._stage, self._world = scenario, stage, world
        self._factory, self._log, self._watch = factory, log, watch
        self._free, self._shelf = free, shelf
        self._store_folder = store_folder
        self._till = factory.till
        if self._till is not None:
            self._till.begin(partial(log.decision_of, "mechanism"))
        self._crashes = Crashes(scenario.faults)
        self._period_ms = round(scenario.control.period_s * 1000.0)
        # Truth is logged at the ticks, and between them where a tick is longer than the log's period.
        self._parts = max(1, math.ceil(scenario.control.period_s / scenario.control.log_period_s - 1e-9))
        self._network = Network(scenario.network, scenario.seed)
        self._suite = SensorSuite(world, seed=scenario.seed)
        self._entrance = entrance
        self._cars: dict[str, Car] = {}
        self._by_slot: dict[int, str] = {}
        self._positions: Floats = np.zeros((64, 2))
        self._touching: set[tuple[str, str]] = set()
        self._samples_taken = 0
        self._proposed_ms: dict[str, int] = {}
        """Proposal -> when it was made."""
        self.now_ms = 0
        self.charters: Charters | None = None
        self.group: GroupWatch | None = None

    def loop(self, progress: Progress, interrupt: Interrupt) -> None:
        """Step until everybody has left, the time is over, or somebody interrupts."""
        end_ms = round(self._scenario.duration_s_max * 1000.0)
        total = len(self._stage.actors)
        progress.start(f"{self._scenario.name}, {self._scenario.world}", total)
        settle_memory()
        while self.now_ms < end_ms and (self.under_way or self._entrance.waiting) and interrupt.caught is None:
            self.step()
            progress.update(total - self.under_way - self._entrance.waiting, self.now_ms * 1e-3)
        self._log_truth()
        self._close()

    @property
    def on_map(self) -> int:
        """How many vehicles are on the map now."""
        return len(self._cars)

    @property
    def under_way(self) -> int:
        """How many of them have not arrived."""
        return len(self._cars)

    def timings(self) -> dict[str, float]:
        """Wall seconds by part of the loop."""
        return dict(self._watch.seconds)

    def step(self) -> None:
        """One period of the world: enter, think, log, move, leave."""
        now_ms, watch = self.now_ms, self._watch
        watch.enter("perception")
        self._suite.tick(now_ms * _MS)
        watch.leave()
        self._enter()
        for switch in self._crashes.due(now_ms):
            self._switch(now_ms, switch)
        if self.charters is not None:
            self.charters.roll_out(now_ms, self._factory, self._cars, self._log.decision)
        watch.enter("control")
        self._drive(now_ms)
        watch.leave()
        if self.group is not None:
            watch.enter("oversight")
            self.group.look(now_ms, self._cars, self._suite.row)
            watch.leave()
        watch.enter("logging")
        self._log_truth()
        watch.leave()
        part_s = self._period_ms * 1e-3 / self._parts
        for part in range(1, self._parts + 1):
            watch.enter("physics")
            contacts = self._world.advance(part_s)
            watch.leave()
            self._note_contacts(contacts)
            if part < self._parts:
                watch.enter("logging")
                self._log_between(now_ms * 1e-3 + part * part_s)
                watch.leave()
        self.now_ms = now_ms + self._period_ms
        watch.enter("perception")
        self._suite.tick(self.now_ms * _MS)
        watch.leave()
        self._depart()

    # --- bodies

    def _enter(self) -> None:
        for actor, speed_mps in self._entrance.admit(self.now_ms, self._cars_now()):
            x, y, yaw, steer = self._stage.placed(actor)
            slot = self._world.add(actor.vehicle, x, y, yaw, speed_mps, steer)
            self._suite.attach(slot, actor.vehicle)
            self._announce(actor)
            self._by_slot[slot] = actor.vehicle_id
            front = actor.vehicle.body.length_m - actor.vehicle.body.rear_overhang_m
            car = Car(actor, slot, front, actor.start_s_m)
            if actor.role == "legacy":
                car.legacy = LegacyCar(actor, self._stage, self._factory.roads)
            else:
                hardware = SimVehicle(self._suite, slot, actor.vehicle, name=actor.vehicle_id, steer_rad=steer)
                hardware.gate.configure()
                hardware.gate.activate()
                car.hardware = hardware
                if isinstance(self._factory, NodeFactory) and self._factory.reactive:
                    car.reactive = self._factory.make_reactive(actor, hardware)
                else:
                    car.radio = self._network.register(actor.vehicle_id)
                    car.node = self._factory.make(actor, hardware, self._noter(actor.vehicle_id), self._store_folder)
            self._cars[actor.vehicle_id] = car
            self._suite.tick(self.now_ms * _MS)

    def _cars_now(self) -> list[tuple[Actor, float, float, TimedPath | None]]:
        """(actor, s_m, speed, plan) of everybody on the map, by the truth."""
        found = []
        for car in self._cars.values():
            row = self._suite.row(car.slot)
            found.append((car.actor, car.s_m, row[3], car.node.plan if car.node else None))
        return found

    def _announce(self, actor: Actor) -> None:
        body = actor.vehicle.body
        origin, destination = self._stage.ends(actor)
        info = VehicleInfo(
            vehicle_id=actor.vehicle_id, vehicle_class=actor.vehicle.vehicle_class, length_m=body.length_m,
            width_m=body.width_m, wheelbase_m=body.wheelbase_m, rear_m=body.rear_overhang_m, origin=origin,
            destination=destination, path_id=actor.path_id, role=actor.role, arrival_s=actor.arrival_s,
            free_flow_s=self._free.get(movement_of(actor)), urgency=urgency_of(self._scenario, actor.vehicle_id),
        )  # fmt: skip
        self._log.vehicle(info)

    def _depart(self) -> None:
        now_s = self.now_ms * 1e-3
        for name, car in list(self._cars.items()):
            row = self._suite.row(car.slot)
            road = self._factory.roads.get(car.actor.path_id)
            before_m = car.s_m + car.front_m
            committed = car.node is not None and car.node.committed
            near_end = before_m > road.length_m - _NEAR_END_M
            if committed or near_end or car.legacy is not None or self.now_ms % _RELOCATE_MS == 0:
                car.s_m, lateral_m, _ = road.project(row[0], row[1], car.s_m)
                if car.node is not None and committed and car.plan is not None:
                    s_plan, _, _ = self._factory.book.arrays(car.plan).at(now_s)
                    self._log.sample("tracking_lateral_m", abs(lateral_m))
                    self._log.sample("tracking_longitudinal_m", abs(car.s_m - s_plan))
            else:
                car.s_m += row[3] * self._period_ms * 1e-3
            front_m = car.s_m + car.front_m
            if front_m < road.length_m:
                continue
            share = (road.length_m - before_m) / max(1e-9, front_m - before_m)
            at_s = now_s - self._period_ms * 1e-3 * (1.0 - min(1.0, max(0.0, share)))
            self._log.departed(name, round(at_s, 6))
            self._remove(name, car)

    def _remove(self, name: str, car: Car) -> None:
        self._collect(car)
        self._suite.detach(car.slot)
        self._world.remove(car.slot)
        del self._by_slot[car.slot]
        if car.radio >= 0:
            self._network.unregister(name)
        del self._cars[name]

    # --- nodes

    def _switch(self, now_ms: int, switch: Switch) -> None:
        """A node dies or comes back; the body, its watchdog and its log are where they were."""
        name, car = switch.vehicle, self._cars.get(switch.vehicle)
        if car is None or car.hardware is None or switch.on is (car.node is not None):
            return
        if switch.on:
            restart = self._factory.restart
            car.node = restart(car.actor, car.hardware, self._noter(name), now_ms, log_lost=switch.log_lost)
            car.radio, car.listens = self._network.register(name), True
        else:
            self._collect(car)
            self._network.unregister(name)
            car.node, car.plan, car.radio = None, None, -1
        self._log.decision(now_ms, name, "restart" if switch.on else "crash", {"log_lost": switch.log_lost})

    def _drive(self, now_ms: int) -> None:
        network, watch = self._network, self._watch
        outgoing: list[tuple[Car, bytes]] = []
        for name in sorted(self._cars):
            car = self._cars[name]
            if car.reactive is not None:
                car.reactive.tick(now_ms)
            if car.node is None:
                continue
            inbox = network.poll(car.radio, now_ms)
            for raw in car.node.tick(now_ms, inbox):
                outgoing.append((car, raw))
            if car.node.listens is not car.listens:
                car.listens = car.node.listens
                network.subscribe(car.radio, None if car.listens else ())
            plan = car.node.plan
            if plan is not car.plan:
                car.plan = plan
                self._log_plan(now_ms, car)
        if outgoing:
            watch.enter("network")
            positions = self._radio_positions()
            for car, raw in outgoing:
                network.broadcast(now_ms, car.radio, raw, positions, topic=_RADIO)
                self._log.count("messages")
                self._log.count("bytes", len(raw))
            watch.leave()
            watch.enter("logging")
            for car, raw in outgoing:
                self._log.envelope(now_ms, car.actor.vehicle_id, raw)
            watch.leave()
        self._drive_legacy(now_ms)

    def _radio_positions(self) -> Floats:
        for car in self._cars.values():
            if car.radio >= 0:
                if car.radio >= len(self._positions):
                    self._positions = np.vstack((self._positions, np.zeros_like(self._positions)))
                x, y, *_ = self._suite.row(car.slot)
                self._positions[car.radio] = (x, y)
        return self._positions

    def _drive_legacy(self, now_ms: int) -> None:
        silent = [car for car in self._cars.values() if car.legacy is not None]
        if not silent:
            return
        others = [(car.actor, car.s_m, self._suite.row(car.slot)) for car in self._cars.values()]
        for car in silent:
            if car.legacy is not None:
                steer, accel = car.legacy.command(now_ms * 1e-3, car.s_m, self._suite.row(car.slot), others)
                self._world.command(car.slot, steer, accel)

    # --- records

    def _noter(self, name: str) -> Noter:
        """Writes a node's notes; measures how long each agreement took, from the proposal to each commit."""
        log, proposed_ms, shelf = self._log, self._proposed_ms, self._shelf

        def note(now_ms: int, kind: str, detail: Mapping[str, object]) -> None:
            log.decision(now_ms, name, kind, detail)
            if self.group is not None:
                self.group.hear(now_ms, name, kind, detail)
            if kind == "proposal":
                proposed_ms[str(detail["proposal"])] = now_ms
            elif kind == "commit":
                log.sample("agreement_latency_s", (now_ms - proposed_ms[str(detail["proposal"])]) * 1e-3)
            elif kind == "contradiction":
                shelf.take(detail)

        return note

    def _log_truth(self) -> None:
        if not self._cars:
            return
        self._log_rows(self.now_ms * 1e-3, [self._suite.row(car.slot) for car in self._cars.values()])
        samples = self._factory.planning_s
        for value in samples[self._samples_taken :]:
            self._log.sample("planning_s", value)
        self._samples_taken = len(samples)

    def _log_between(self, time_s: float) -> None:
        truth = self._world.truth()
        rows = dict(zip(truth.slots.tolist(), truth.state.tolist(), strict=True))
        if rows:
            self._log_rows(time_s, [rows[car.slot] for car in self._cars.values()])

    def _log_rows(self, time_s: float, rows: list[list[float]]) -> None:
        phases = [car.phase for car in self._cars.values()]
        self._log.truth(time_s, list(self._cars), np.array(rows), phases)

    def _log_plan(self, now_ms: int, car: Car) -> None:
        if car.node is None or not car.node.committed or car.plan is None:
            return
        path = self._stage.zone_map.paths[car.actor.path_id]
        arrays = self._factory.book.arrays(car.plan)
        first = max(0, int(arrays.s_m[0] / path.step_m))
        last = min(len(path.x_m), int(arrays.s_m[-1] / path.step_m) + 2)
        stride = max(1, int(1.0 / path.step_m))
        xy = np.column_stack((path.x_m[first:last:stride], path.y_m[first:last:stride]))
        if len(xy):
            self._log.plan(now_ms, car.actor.vehicle_id, xy)

    def _note_contacts(self, contacts: tuple[Contact, ...]) -> None:
        """Each touch once, when it begins."""
        present = set()
        for contact in contacts:
            a = self._by_slot.get(contact.slot_a, "?")
            b = self._by_slot.get(contact.slot_b, "obstacle")
            pair = (min(a, b), max(a, b))
            present.add(pair)
            if pair not in self._touching:
                self._log.contact(round(contact.time_s, 4), pair[0], pair[1], contact.depth_m)
        self._touching = present

    def _collect(self, car: Car) -> None:
        """A leaving node's counters."""
        node = car.node
        if node is None:
            return
        log, counters = self._log, node.counters
        log.count("fallbacks", counters.fallbacks)
        log.count("breaches", counters.breaches)
        log.count("aborts", counters.aborts)
        log.count("kernel_override_ticks", counters.kernel_overrides)
        log.count("no_contingency_ticks", counters.no_contingency)

    def _close(self) -> None:
        if self._till is not None:
            self._till.close(self.now_ms, self._log.folder)
        self._factory.close()
        for car in self._cars.values():
            self._collect(car)
        for actor in self._entrance.outside():
            self._announce(actor)
        for name, value in self._network.counts().items():
            self._log.count(f"network_{name}", value)
