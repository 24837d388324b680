"""Free flow: how long each movement takes alone in the same world, measured, not planned.

All movements of a run are driven at once in one world of the same kind, each on its own ground far from
the others, by the same kernel and controller that drive in the run, with every zone free.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.node.bodies import planner_body, scale_of
from fleet.node.control import Tracker
from fleet.node.kernel import Kernel
from fleet.node.parts import ControllerMaker
from fleet.node.plan_book import PlanBook
from fleet.node.surroundings import Surroundings
from planners.interface import JointPlanner
from planners.paths import pose_at
from sim.stage import Actor, start_steer_rad
from sim.vehicle_backend import SensorSuite, SimVehicle
from sim.world import World

SPACING_M = 4000.0
"""Between two movements; farther than any sensor or path reaches."""
TIME_S_MAX = 600.0
Key = tuple[str, object, float, float]


def movement_of(actor: Actor) -> Key:
    """What the free-flow time of an actor depends on."""
    return actor.path_id, actor.vehicle, actor.start_s_m, actor.speed_mps


def free_flow_s(
    actors: Iterable[Actor], world: World, planner: JointPlanner, book: PlanBook, period_ms: int, seed: int,
    controller: ControllerMaker = Tracker,
) -> dict[Key, float]:  # fmt: skip
    """Travel time of every distinct movement, from its start to the front bumper's passing the path's end.

    A movement that does not end within ``TIME_S_MAX`` is left out.
    """
    alone = {movement_of(actor): actor for actor in actors}
    suite = SensorSuite(world, seed=seed)
    drives = [
        _Drive(key, actor, index, world, suite, planner, book, period_ms, controller)
        for index, (key, actor) in enumerate(alone.items())
    ]
    found: dict[Key, float] = {}
    now_ms = 0
    while drives and now_ms < TIME_S_MAX * 1000.0:
        for drive in drives:
            drive.tick(now_ms)
        world.advance(period_ms * 1e-3)
        now_ms += period_ms
        suite.tick(now_ms * 1_000_000)
        for drive in drives:
            crossed = drive.crossed_s(now_ms, suite)
            if crossed is not None:
                found[drive.key] = crossed
                suite.detach(drive.slot)
                world.remove(drive.slot)
        drives = [drive for drive in drives if drive.key not in found]
    return found


class _Drive:
    """One movement, displaced by ``offset_m`` along x so that it meets nobody."""

    def __init__(
        self, key: Key, actor: Actor, index: int, world: World, suite: SensorSuite, planner: JointPlanner,
        book: PlanBook, period_ms: int, controller: ControllerMaker,
    ) -> None:  # fmt: skip
        self.key = key
        self._offset_m = index * SPACING_M
        road = book.roads.get(actor.path_id)
        x, y, yaw = pose_at(road.path, actor.start_s_m)
        steer = start_steer_rad(actor, road.path)
        self.slot = world.add(actor.vehicle, x + self._offset_m, y, yaw, actor.speed_mps, steer)
        suite.attach(self.slot, actor.vehicle)
        self._hardware = SimVehicle(suite, self.slot, actor.vehicle, name=f"solo{index}", steer_rad=steer)
        self._hardware.gate.configure()
        self._hardware.gate.activate()
        self._road, self._front_m = road, actor.vehicle.body.length_m - actor.vehicle.body.rear_overhang_m
        self._around = Surroundings(book.roads, scale_of(actor.vehicle))
        self._kernel = Kernel(
            actor.vehicle, period_ms * 1e-3, scale_of(actor.vehicle), controller(actor.vehicle, period_ms * 1e-3)
        )
        self._kernel.status.s_m = actor.start_s_m
        body = planner_body("solo", actor.vehicle)
        plan = planner.approach(
            body, actor.path_id, (actor.start_s_m, actor.speed_mps, 0.0), now_ms=0, stop_s_m=float("inf"),
            leader=None
        )
        self._kernel.follow(road, plan, book.arrays(plan), committed=True, line_s_m=float("inf"))
        self._last_front_m = actor.start_s_m + self._front_m
        self._period_s = period_ms * 1e-3

    def tick(self, now_ms: int) -> None:
        state = self._hardware.read(now_ms * 1_000_000)
        state = state._replace(x_m=state.x_m - self._offset_m)
        error = self._kernel.locate(state)
        self._hardware.write(self._kernel.command(now_ms * 1_000_000, state, error, self._around), now_ms * 1_000_000)

    def crossed_s(self, now_ms: int, suite: SensorSuite) -> float | None:
        """When the front bumper passed the end of the path, by the truth, between two ticks."""
        x, y, *_ = suite.row(self.slot)
        s, _, _ = self._road.project(x - self._offset_m, y, self._last_front_m - self._front_m)
        front, before = s + self._front_m, self._last_front_m
        self._last_front_m = front
        end = self._road.length_m
        if front < end:
            return None
        share = (end - before) / max(1e-9, front - before)
        return now_ms * 1e-3 - self._period_s * (1.0 - min(1.0, max(0.0, share)))
