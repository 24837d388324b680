"""A world in real time behind the interfaces of real vehicles: ``fleet sim-bridge`` without its middleware.

The world follows the fleet's clock in steps of :data:`STEP_S`. If the machine, or a debugger, holds it up for longer
than :data:`LAG_S_MAX`, the world does not make up for it: the time lost is counted, and every gate sees how long no
command came. What counts is judged here, by the world: contacts, and when who stood.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fleet.errors import HardwareError
from fleet.node.road import Roads
from hardware.base import Command, Lifecycle, Track, VehicleState
from hardware.gate import STANDSTILL_MPS
from hardware.vehicle import Vehicle
from planners.paths import pose_at
from sim.stage import Actor, Stage, start_steer_rad
from sim.vehicle_backend import SensorSuite, SimVehicle
from sim.world import Contact, World
from sim.worlds import make_world

STEP_S = 0.01
LAG_S_MAX = 0.3
RECORD_NS = 50_000_000
AGES_MAX = 20_000
"""So many ages of commands, from their stamp to the actuators, are kept of each vehicle."""


def warm_world(name: str, vehicle: Vehicle) -> None:
    """Let two vehicles meet in a world that is thrown away: kernels that load in the middle of a run would stop it."""
    world = make_world(name)
    suite = SensorSuite(world)
    slots = [world.add(vehicle, 1.2 * k * vehicle.body.length_m, 0.0, 0.0, 0.0) for k in range(3)]
    for slot in slots:
        suite.attach(slot, vehicle)
    drivers = [SimVehicle(suite, slot, vehicle, name=f"{slot}") for slot in slots]
    for driver in drivers:
        driver.gate.configure()
        driver.gate.activate()
    for tick in range(1, 300):
        now_ns = round(tick * STEP_S * 1e9)
        world.advance(STEP_S)
        suite.tick(now_ns)
        for turn, driver in enumerate(drivers):
            driver.read(now_ns)
            driver.perceive(now_ns)
            driver.write(Command(now_ns, 0.1 * turn, 1.0), now_ns)
    world.close()


class Body:
    """One vehicle of the world, as its drivers see it. See :class:`hardware.ros2_bridge.Plant`."""

    def __init__(self, actor: Actor, slot: int, hardware: SimVehicle, note: Callable[[str, str], None]) -> None:
        self.actor, self.slot, self.hardware = actor, slot, hardware
        self.name: str = actor.vehicle_id
        self.vehicle: Vehicle = actor.vehicle
        self.ages_us: deque[int] = deque(maxlen=AGES_MAX)
        self.stale = False
        self.counts: Counter[str] = Counter()
        """Commands, and the reasons for which the vehicle's gate changed them."""
        self.gone = False
        self.s_m = actor.start_s_m
        self.stood_ns = 0
        """Since when it stands; 0: it moves."""
        self._note = note

    def state(self, now_ns: int) -> VehicleState:
        return self.hardware.read(now_ns)

    def tracks(self, now_ns: int) -> tuple[Track, ...]:
        return self.hardware.perceive(now_ns)

    def command(self, command: Command, now_ns: int) -> None:
        self.counts["commands"] += 1
        self.ages_us.append((now_ns - command.stamp_ns) // 1000)
        self.counts.update(self.hardware.write(command, now_ns).limited_by)

    def stop(self, on: bool) -> None:
        gate = self.hardware.gate
        if on:
            if not gate.estop_reason:
                self._note(self.name, "estop")
            self.hardware.estop("ros2")
        elif self.hardware.reset("operator") and gate.lifecycle is Lifecycle.INACTIVE:
            gate.activate()
            self._note(self.name, "reset")

    @property
    def latched(self) -> bool:
        return bool(self.hardware.gate.estop_reason)

    def event(self, kind: str) -> None:
        """Something of the middleware: counted, not listed."""
        self.counts[kind] += 1


class BridgeWorld:
    """The world of a staged scenario with all its vehicles in it from the start, at standstill.

    Parameters
    ----------
    stage : Stage
    world : str
        ``bullet`` or ``kinematic``.
    seed : int
    start_ns : int
        The fleet's clock now.
    record : callable, optional
        Called at 20 Hz with (time_ns, names, rows) of the truth.
    """

    def __init__(
        self, stage: Stage, world: str, seed: int, start_ns: int,
        record: Callable[[int, list[str], np.ndarray], None] | None = None,
    ) -> None:  # fmt: skip
        self.stage = stage
        self.clock_ns: Callable[[], int] = lambda: self.now_ns
        """For the times of events between two steps; the bridge puts the fleet's clock here."""
        self.world: World = make_world(world)
        self.roads = Roads(stage.zone_map)
        self._suite = SensorSuite(self.world, seed=seed)
        self._record = record
        self.bodies: dict[str, Body] = {}
        """Who is on the map."""
        self.all_bodies: dict[str, Body] = {}
        self.contacts: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.left: dict[str, int] = {}
        """Who has reached the end of its path, and when."""
        self.start_ns = self.now_ns = start_ns
        self.lost_s = 0.0
        self.speeds: dict[str, float] = {}
        self.steps = 0
        self._recorded_ns = -1
        self._touching: set[tuple[str, str]] = set()
        for outline in stage.obstacles:
            self.world.add_obstacle(outline)
        for actor in stage.actors:
            self._place(actor)
        self._suite.tick(start_ns)

    @property
    def real_time_factor(self) -> float:
        """World time over wall time."""
        wall_s = (self.now_ns - self.start_ns) * 1e-9
        return 1.0 - self.lost_s / wall_s if wall_s > 0.0 else 1.0

    @property
    def over(self) -> bool:
        """Everybody has left."""
        return not self.bodies

    def advance_to(self, now_ns: int) -> None:
        """Let the world follow the clock."""
        behind_s = (now_ns - self.now_ns) * 1e-9
        if behind_s < 0.5 * STEP_S:
            return
        if behind_s > LAG_S_MAX:
            self.lost_s += behind_s - STEP_S
            self.events.append({"t_ns": self.now_ns, "vehicle": "", "kind": "time_lost", "s": round(behind_s, 3)})
            self.counts["time_lost"] += 1
            behind_s = STEP_S
        parts = max(1, round(behind_s / STEP_S))
        for part in range(1, parts + 1):
            self._contacts(self.world.advance(behind_s / parts))
            self._suite.tick(now_ns - round((parts - part) * behind_s / parts * 1e9))
            self.steps += 1
        self.now_ns = now_ns
        self._watch(now_ns)

    def _place(self, actor: Actor) -> None:
        path = self.stage.zone_map.paths[actor.path_id]
        x, y, yaw = pose_at(path, actor.start_s_m)
        steer = start_steer_rad(actor, path)
        slot = self.world.add(actor.vehicle, x, y, yaw, 0.0, steer)
        self._suite.attach(slot, actor.vehicle)
        hardware = SimVehicle(self._suite, slot, actor.vehicle, name=actor.vehicle_id, steer_rad=steer)
        hardware.gate.recovery_count = 1  # as drive-by-wire does; the node's own gate asks for ten
        hardware.gate.configure()
        hardware.gate.activate()
        self.bodies[actor.vehicle_id] = self.all_bodies[actor.vehicle_id] = Body(actor, slot, hardware, self.note)

    def note(self, vehicle: str, kind: str) -> None:
        """Something that happened to one vehicle now."""
        self.events.append({"t_ns": self.clock_ns(), "vehicle": vehicle, "kind": kind})

    def _watch(self, now_ns: int) -> None:
        """Who stands, who has left; the truth for the record."""
        rows = {name: self._suite.row(body.slot) for name, body in self.bodies.items()}
        if self._record is not None and now_ns // RECORD_NS != self._recorded_ns // RECORD_NS and rows:
            self._recorded_ns = now_ns
            self._record(now_ns, list(rows), np.array(list(rows.values())))
        self.speeds = {name: round(row[3], 3) for name, row in rows.items()}
        for name, row in rows.items():
            body = self.bodies[name]
            standing = abs(row[3]) <= STANDSTILL_MPS
            if standing and not body.stood_ns:
                body.stood_ns = now_ns
                self.note(name, "stands")
            elif not standing and body.stood_ns:
                body.stood_ns = 0
                self.note(name, "moves")
            stale = "command_stale" in body.hardware.gate.driven.limited_by
            if stale and not body.stale:
                self.note(name, "command_stale")
            body.stale = stale
            road = self.roads.get(body.actor.path_id)
            body.s_m, _, _ = road.project(row[0], row[1], body.s_m)
            front = body.vehicle.body.length_m - body.vehicle.body.rear_overhang_m
            if body.s_m + front >= road.length_m:
                self._leave(name, now_ns)

    def _leave(self, name: str, now_ns: int) -> None:
        body = self.bodies.pop(name)
        body.gone = True
        self.left[name] = now_ns
        self.note(name, "left")
        self._suite.detach(body.slot)
        self.world.remove(body.slot)

    def row(self, name: str) -> list[float]:
        """True x, y, yaw, speed, acceleration, steering of a body that is still there."""
        if name not in self.bodies:
            raise HardwareError(f"{name} has left, or never was; present: {sorted(self.bodies)}")
        return self._suite.row(self.bodies[name].slot)

    def _contacts(self, found: tuple[Contact, ...]) -> None:
        names = {body.slot: name for name, body in self.bodies.items()}
        present = set()
        for contact in found:
            a, b = names.get(contact.slot_a, "?"), names.get(contact.slot_b, "obstacle")
            pair = (min(a, b), max(a, b))
            present.add(pair)
            if pair not in self._touching:
                self.contacts.append({"t_ns": self.now_ns, "between": list(pair), "depth_m": round(contact.depth_m, 4)})
        self._touching = present

    def report(self) -> dict[str, Any]:
        """What came of it, by the truth."""
        return {
            "contacts": self.contacts, "left": self.left, "present": sorted(self.bodies), "events": self.events,
            "real_time_factor": round(self.real_time_factor, 4), "lost_s": round(self.lost_s, 3),
            "t_ns": self.now_ns, "speeds": self.speeds, "counts": dict(self.counts),
            "gates": {name: dict(body.counts) for name, body in self.all_bodies.items()},
            "command_ages_us": {name: list(body.ages_us) for name, body in self.all_bodies.items()},
            "seconds": round((self.now_ns - self.start_ns) * 1e-9, 3),
        }  # fmt: skip

    def close(self) -> None:
        self.world.close()


def write_report(world: BridgeWorld, file: Path) -> None:
    """``bridge.json``; readers see the old or the new content, whole."""
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(world.report()) + "\n", encoding="utf-8")
    beside.replace(file)
