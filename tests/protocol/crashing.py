"""The harness with stable logs: cars that lose power at any write or send, torn writes, and come back."""

from __future__ import annotations

import random
from functools import partial

from fleet.node.stable_log import StableLog
from fleet.node.stable_media import MemoryMedium
from fleet.protocol.core import Core
from fleet.protocol.ports import Ports
from fleet.protocol.records import Adopt, Identity, Ready
from fleet.protocol.restore import binding_records, restore, unknown_past
from fleet.protocol.table import Phase
from tests.protocol.harness import BODY, CHARTER, MAP, Car, StubJudge, StubKeys, StubPlanner, World, intervals

STANDS_MS = 60_000
"""How long the announced plan of a vehicle that stands in the zone says that it stands there."""


class PowerLoss(Exception):
    """The node is gone at this point."""


class TornMedium(MemoryMedium):
    """Writes only a part of the next append when told to, and then loses power."""

    cut: int | None = None

    def append(self, data: bytes) -> None:
        if self.cut is not None:
            super().append(data[: self.cut % len(data)])
            raise PowerLoss
        super().append(data)


class CrashWorld(World):
    """As ``World``; ``fuse`` = (car, boundary, bytes of a torn write) says where one car loses power."""

    def __init__(self, seed: int = 0, **kwargs: object) -> None:
        super().__init__(seed, **kwargs)  # type: ignore[arg-type]
        self.media: dict[str, TornMedium] = {}
        self.logs: dict[str, StableLog] = {}
        self.boundaries: dict[str, int] = {}
        self.fuse: tuple[str, int, int] | None = None
        self.down_ms: dict[str, int] = {}
        self.restarts_ms: dict[str, int] = {}

    def add(self, name: str, path: str = "R1", charter: bytes = CHARTER, skew_ms: int = 0) -> Car:
        self.media[name] = TornMedium(name)
        self.logs[name] = self.open_log(name)
        return super().add(name, path, charter, skew_ms)

    def open_log(self, name: str) -> StableLog:
        return StableLog(self.media[name], partial(binding_records, me=name, eps_ms=self.tuning.eps_ms))

    def drain(self, car: Car) -> None:
        try:
            super().drain(car)
        except PowerLoss:
            self.crash(car)

    def do(self, car: Car, ready: Ready) -> None:
        """Each write, each datagram and the effects can be the last thing a node does."""
        if ready.to_persist:
            if self.burns(car):
                self.media[car.name].cut = self.fuse[2] if self.fuse else 0
            self.logs[car.name].append(ready.to_persist, self.clock(car))
        for raw in ready.to_send:
            if self.burns(car):
                raise PowerLoss
            super().do(car, Ready(to_send=(raw,)))
        if (ready.to_persist or ready.to_send) and self.burns(car):
            raise PowerLoss
        effects = tuple(e for e in ready.to_apply if car.adopted is not None or isinstance(e, Adopt))
        if any(isinstance(effect, Adopt) for effect in effects):
            car.overrides = {}
        super().do(car, Ready(to_persist=ready.to_persist, to_apply=effects, notes=ready.notes))

    def burns(self, car: Car) -> bool:
        number = self.boundaries[car.name] = self.boundaries.get(car.name, 0) + 1
        return self.fuse is not None and self.fuse[:2] == (car.name, number)

    def crash(self, car: Car) -> None:
        """The node dies. The body stops: before the zone if its tube has not begun, else where it is."""
        car.off, self.fuse = True, None
        self.down_ms[car.name] = self.now_ms
        if car.adopted is not None:
            begins = min(start for _, start, _ in intervals(car.adopted.plan))
            used = next(one for one in reversed(self.used) if one.vehicle == car.name)
            if self.clock(car) < begins - 150:
                used.until_ms = self.now_ms
            else:
                stands = self.clock(car) + STANDS_MS
                where = ",".join(f"{r}:{self.clock(car)}:{stands}" for r, _, _ in intervals(car.adopted.plan))
                car.overrides = {"phase": Phase.OCCUPYING, "plan": f"{car.name}|{where}".encode()}
        car.adopted = None

    def restart(self, car: Car, *, log_lost: bool = False, forgetful: bool = False) -> None:
        """A new core from the log. ``forgetful`` is the mutant that reads no log and waits for nothing."""
        name, now_ms = car.name, self.clock(car)
        self.media[name].cut = None
        if log_lost or forgetful:
            self.media[name].replace(b"")
        self.logs[name] = self.open_log(name)
        draw = random.Random(self.rng.getrandbits(32)).randrange
        ports = Ports(StubJudge(name), StubPlanner(), StubKeys(name), self.codec, draw)
        car.core = Core(Identity(name, BODY, CHARTER, MAP), ports, self.tuning)
        eps_ms = self.tuning.eps_ms
        if log_lost:
            car.core.restore(unknown_past(now_ms, eps_ms))
        elif not forgetful:
            car.core.restore(restore(self.logs[name].records, name, now_ms, eps_ms))
        car.off, self.restarts_ms[name] = False, self.now_ms
        car.arrived_ms = now_ms
        if not car.engaged:
            return
        self.engage(car)
        if car.core.commitment is not None and not car.overrides:
            car.core.release("restarted", now_ms)
            self.drain(car)
