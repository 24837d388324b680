"""Runs a bridge: the world, its ROS 2 side, and the records of a run. Ends when everybody has left, or on Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from sim.bridge import STEP_S, BridgeWorld, warm_world, write_report
from sim.interrupt import Interrupt
from sim.manifest import manifest
from sim.records import RunLog, VehicleInfo
from sim.runner import RunOptions, settle_memory
from sim.scenario import Scenario
from sim.stage import Stage, build_stage

TRACKS_NS = 100_000_000
BATTERY_NS = 500_000_000
STATUS_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """What the command line adds to a scenario; ``period_ns`` between two odometry messages."""

    world: str
    out: Path
    period_ns: int
    duration_s: float


class _Due:
    """True once per period."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns, self._count = period_ns, -1

    def __call__(self, now_ns: int) -> bool:
        count = now_ns // self._period_ns
        due, self._count = count != self._count, count
        return due


def run_bridge(scenario: Scenario, options: BridgeOptions, ready: Callable[[BridgeWorld], None]) -> dict[str, Any]:
    """Run until it is over; returns the report, which is also ``bridge.json`` in the folder."""
    from hardware.ros2_bridge import Bridge, close_middleware, open_middleware

    stage = build_stage(scenario)
    warm_world(options.world, stage.actors[0].vehicle)
    owned = open_middleware()
    began = perf_counter()
    try:
        with Interrupt() as interrupt:
            log = _open_log(scenario, stage, options)
            bridge = Bridge(STEP_S, lambda now_ns: turn(now_ns), lambda raw, now_ns: hear(raw, now_ns))
            start_ns = bridge.now_ns()

            def record(time_ns: int, names: list[str], rows: np.ndarray) -> None:
                log.truth((time_ns - start_ns) * 1e-9, names, rows, ["free"] * len(names))

            world = BridgeWorld(stage, options.world, scenario.seed, start_ns, record)
            world.clock_ns = bridge.now_ns
            ports = {name: bridge.port(body) for name, body in world.bodies.items()}
            odometry, tracks = _Due(options.period_ns), _Due(TRACKS_NS)
            battery, status = _Due(BATTERY_NS), _Due(STATUS_NS)
            end_ns = start_ns + round(options.duration_s * 1e9)

            def hear(raw: bytes, now_ns: int) -> None:
                log.envelope((now_ns - start_ns) // 1_000_000, "fleet", raw)
                log.count("messages")
                log.count("bytes", len(raw))

            def turn(now_ns: int) -> bool:
                world.advance_to(now_ns)
                now_ns = world.now_ns
                due = (odometry(now_ns), tracks(now_ns), battery(now_ns))
                for name in world.bodies:
                    if due[0]:
                        ports[name].publish_state(now_ns)
                    if due[1]:
                        ports[name].publish_tracks(now_ns)
                    if due[2]:
                        ports[name].publish_battery()
                if status(now_ns):
                    write_report(world, options.out / "bridge.json")
                return not world.over and now_ns < end_ns

            settle_memory()
            ready(world)
            bridge.spin(lambda: interrupt.caught is not None)
            for one in world.contacts:
                log.contact((one["t_ns"] - start_ns) * 1e-9, *one["between"], one["depth_m"])
            for name, at_ns in world.left.items():
                log.departed(name, round((at_ns - start_ns) * 1e-9, 6))
            write_report(world, options.out / "bridge.json")
            log.finish(
                status=3 if world.contacts else 0, interrupted=interrupt.caught is not None,
                wall_s=perf_counter() - began, sim_s=(world.now_ns - start_ns) * 1e-9, timings={}, expectations={},
            )  # fmt: skip
            world.close()
            return world.report()
    finally:
        if owned:
            close_middleware()


def _open_log(scenario: Scenario, stage: Stage, options: BridgeOptions) -> RunLog:
    run = RunOptions(out=options.out, progress=False)
    log = RunLog.create(options.out, manifest(scenario, stage, run.command_line), stage.zone_map, mcap=True)
    for actor in stage.actors:
        path, body = stage.zone_map.paths[actor.path_id], actor.vehicle.body
        log.vehicle(
            VehicleInfo(
                vehicle_id=actor.vehicle_id, vehicle_class=actor.vehicle.vehicle_class, length_m=body.length_m,
                width_m=body.width_m, wheelbase_m=body.wheelbase_m, rear_m=body.rear_overhang_m, origin=path.origin,
                destination=path.destination, path_id=actor.path_id, role=actor.role, arrival_s=0.0, free_flow_s=None,
            )
        )  # fmt: skip
    return log
