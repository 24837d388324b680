"""Fills what a node loads and compiles when it first needs it, before anything depends on its pace.

A first plan, a first verification and a first signature take up to a second each (compiled kernels are read from
their cache, or made); with a vehicle under way that would be a stalled loop.
"""

from __future__ import annotations

from contextlib import closing
from time import perf_counter

from fleet.node.stopwatch import Stopwatch
from hardware.mock import MockVehicle
from planners.paths import pose_at
from sim.fleet_node import NodeFactory
from sim.stage import Stage

_PERIOD_MS = 50
_SECONDS_MAX = 30


def warm(stage: Stage, planner: str) -> bool:
    """Let the first vehicles of ``stage`` agree and cross in memory, on ideal mocks; True if they agreed."""
    factory = NodeFactory(stage, planner, 0, _PERIOD_MS * 1e-3, Stopwatch(perf_counter))
    with closing(factory):
        nodes = []
        for actor in stage.actors[:3]:
            x, y, yaw = pose_at(stage.zone_map.paths[actor.path_id], actor.start_s_m)
            vehicle = MockVehicle(actor.vehicle, (x, y, yaw, 0.0))
            vehicle.gate.configure()
            vehicle.gate.activate()
            nodes.append(factory.make(actor, vehicle, lambda now_ms, kind, detail: None))
        said: list[bytes] = []
        agreed = False
        for now_ms in range(0, _SECONDS_MAX * 1000, _PERIOD_MS):
            heard, said = said, []
            for node in nodes:
                said += node.tick(now_ms, heard)
            agreed = agreed or all(node.committed for node in nodes)
            if agreed and not any(node.committed for node in nodes):
                break
    return agreed
