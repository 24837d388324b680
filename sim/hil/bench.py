"""Benches without hardware: ``mock`` (ideal vehicles) and ``sim`` (a simulated world), both in virtual time.

Latencies here are those of the software path, measured with the machine's clock: nothing else takes time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from fleet.errors import HardwareError
from hardware.bench import BenchInfo, Trial
from hardware.conformance import Rig, pace
from hardware.failsafe import Phase
from hardware.limits import comfort_mps2
from hardware.replay import replay
from hardware.vehicle import Vehicle
from sim.conformance_rigs import mock_rig, sim_rig
from sim.hil.fleet import PERIOD_MS
from sim.hil.trials import EGO, PEER, fleet_in, inject, trial
from sim.hil.yard import MockYard, SimYard, Yard
from sim.kinematic_world import KinematicWorld

_PERIOD_S = PERIOD_MS * 1e-3


class VirtualBench:
    """See :class:`hardware.bench.Bench`. ``name`` is mock or sim."""

    def __init__(self, vehicle: Vehicle, name: str) -> None:
        self.info, self.vehicle = BenchInfo(name=name), vehicle
        self._mock = name == "mock"

    @property
    def tick_period_s(self) -> float:
        return _PERIOD_S

    def interlock(self) -> bool:
        return True

    def rig(self, speed_mps: float) -> AbstractContextManager[Rig]:
        if self._mock:
            return mock_rig(self.vehicle, speed_mps)
        return sim_rig(KinematicWorld(), self.vehicle, speed_mps)

    def latency_s(self, count: int) -> list[float]:
        found = []
        with self.rig(0.0) as rig:
            rig.start()
            rig.tick()
            for turn in range(count):
                accel = 0.001 * (1 + turn % 7)
                begun = time.perf_counter()
                rig.write(accel)
                while rig.driven.accel_mps2 != accel:
                    rig.tick()
                found.append(time.perf_counter() - begun)
                rig.tick()
        return found

    def tick_intervals_s(self, count: int) -> list[float]:
        """The CPU time of a turn of node and guard: how late a loop would be that has a core for itself."""
        fleet = fleet_in(Phase.IDLE, self.vehicle, self._yard)
        if fleet is None:
            raise HardwareError("the node never drove")
        node, found = fleet.members[EGO].node, []
        for _ in range(count):
            if fleet.rear_beyond_exit_m(EGO) > 0.0:
                again = fleet_in(Phase.IDLE, self.vehicle, self._yard)
                fleet = again or fleet
                node = fleet.members[EGO].node
            tick = node.tick
            spent: list[float] = []
            node.tick = _timed(tick, spent)  # type: ignore[method-assign]
            fleet.tick()
            node.tick = tick  # type: ignore[method-assign]
            found.append(_PERIOD_S + spent[0])
        return found

    def estop_latency_s(self, count: int) -> list[float]:
        full = self.vehicle.limits.brake_mps2_max
        return self._until_braking(count, full, lambda rig: rig.vehicle.estop("bench"))

    def deadman_s(self, count: int) -> list[float]:
        return self._until_braking(count, comfort_mps2(self.vehicle), lambda rig: None)

    def _until_braking(self, count: int, brake_mps2: float, trigger: Callable[[Rig], None]) -> list[float]:
        """Virtual time, and the machine's within it."""
        found = []
        for _ in range(count):
            with self.rig(pace(self.vehicle, 0.3)) as rig:
                rig.start()
                rig.send(0.0, ticks=2)
                rig.write(0.0)
                begun_ns, begun = rig.now_ns, time.perf_counter()
                trigger(rig)
                while rig.driven.accel_mps2 > -brake_mps2:
                    rig.tick()
                found.append((rig.now_ns - begun_ns) * 1e-9 + time.perf_counter() - begun)
        return found

    def trial(self, cause: str, phase: Phase) -> Trial | None:
        return trial(cause, phase, self.vehicle, self._yard)

    def agree(self, nodes: int) -> Mapping[str, float]:
        fleet = fleet_in(Phase.NEGOTIATING, self.vehicle, self._yard)
        if fleet is None:
            return {"contacts": 0.0, "crossed": 0.0}
        begun_ms, commit_ms = fleet.now_ms, 0
        names = (EGO, PEER)
        while fleet.now_ms < 60_000 and not all(fleet.rear_beyond_exit_m(name) > 0.0 for name in names):
            fleet.tick()
            if not commit_ms and all(fleet.members[name].node.committed for name in names):
                commit_ms = fleet.now_ms - begun_ms
        crossed = sum(fleet.rear_beyond_exit_m(name) > 0.0 for name in names)
        fleet.yard.close()
        return {"contacts": fleet.contacts, "crossed": crossed, "commit_ms": commit_ms, "nodes": nodes}

    def evidence(self) -> Mapping[str, str]:
        """A black box of an emergency stop, replayed."""
        fleet = fleet_in(Phase.COMMITTED, self.vehicle, self._yard)
        if fleet is None or not inject(fleet, "estop"):
            return {}
        for _ in range(10):
            fleet.tick()
        dumps = fleet.members[EGO].dumps
        fleet.yard.close()
        if not dumps:
            raise HardwareError("an emergency stop left no black box")
        found = replay(dumps[0][1], self.vehicle)
        if found.differences:
            raise HardwareError(f"the black box replays differently: {found.differences[0]}")
        return {"black box": dumps[0][0]}

    def close(self) -> None:
        """Nothing outlives a case."""

    def _yard(self, vehicle: Vehicle) -> Yard:
        return MockYard(vehicle) if self._mock else SimYard(vehicle, KinematicWorld(), seed=7)


def mock_bench(vehicle: Vehicle, options: Mapping[str, str]) -> VirtualBench:
    """Takes no options."""
    return VirtualBench(vehicle, "mock")


def sim_bench(vehicle: Vehicle, options: Mapping[str, str]) -> VirtualBench:
    """Takes no options."""
    return VirtualBench(vehicle, "sim")


def _timed(tick: Callable[..., tuple[bytes, ...]], spent: list[float]) -> Callable[..., tuple[bytes, ...]]:
    def run(now_ms: int, inbox: list[bytes]) -> tuple[bytes, ...]:
        begun = time.process_time()
        out = tick(now_ms, inbox)
        spent.append(time.process_time() - begun)
        return out

    return run
