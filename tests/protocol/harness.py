"""Several cores on virtual time, with stub geometry (a tube is a list of ``resource:start:end``) and a faulty network.

The checker at the end shares no code with the stub judge: it looks only at what was applied.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.ports import Ports
from fleet.protocol.records import Adopt, Contradiction, Drop, Identity, LiveTube, Local, PlannedBatch, Ready, Tuning
from fleet.protocol.table import Phase
from fleet.protocol.wire import Entry, Intent, Proposal, VehicleBody

BODY = VehicleBody("car", 4500, 1800, 900, 13_900, 2600, 4500, 3000, 5000, 200, 500)
CHARTER = bytes(range(32))
MAP = b"mapdigest"
ZONE, SESSION = "zone-1", 7
CROSS_MS = 1000
LEASE_MARGIN_MS = 300
CLOCKS_MS = 20


class StubKeys:
    """Keyed hashes in place of signatures: as unforgeable within a test, and a hundred times faster."""

    def __init__(self, vehicle: str) -> None:
        self.vehicle = vehicle

    def sign(self, data: bytes) -> bytes:
        return hashlib.sha512(b"key of " + self.vehicle.encode() + data).digest()


class StubVerifier:
    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        return StubKeys(sender).sign(data) == signature


def public_key(vehicle: str) -> bytes:
    """What stands for a vehicle's public key where only its name matters."""
    return hashlib.sha256(b"public key of " + vehicle.encode()).digest()


class StubRegister:
    """A vehicle's own register: everybody has one key."""

    def revoke_keys(self, entries: Sequence[tuple[str, bytes]]) -> tuple[str, ...]:
        return tuple(sorted(vehicle for vehicle, key in entries if key == public_key(vehicle)))


def intervals(plan: bytes) -> list[tuple[str, int, int]]:
    """``a|R1:100:200,R2:200:300`` as tuples; an approach plan (``a|``) has none."""
    text = plan.decode().partition("|")[2]
    return [(r, int(s), int(e)) for r, s, e in (item.split(":") for item in text.split(",") if item)]


def clash(a: bytes, b: bytes) -> bool:
    """Whether two tubes overlap for some error of the two clocks: geometry has to allow for them."""
    return any(
        r == q and s < v + CLOCKS_MS and u < e + CLOCKS_MS for r, s, e in intervals(a) for q, u, v in intervals(b)
    )


class StubJudge:
    """Interval geometry; everybody heard is required."""

    def __init__(self, me: str) -> None:
        self.me = me

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        reasons = []
        for index, entry in enumerate(proposal.batch):
            for other in proposal.batch[:index]:
                if clash(entry.plan, other.plan):
                    reasons.append(f"batch:{entry.vehicle}:{other.vehicle}")
            for tube in known:
                if tube.vehicle != entry.vehicle and clash(entry.plan, tube.plan):
                    reasons.append(f"conflict:{entry.vehicle}:{tube.vehicle}")
            if any(s < proposal.decide_by_ms or e > entry.lease_end_ms for _, s, e in intervals(entry.plan)):
                reasons.append(f"time:{entry.vehicle}")
        return tuple(reasons)

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        return frozenset(peers)


class StubPlanner:
    """Earliest common free time of all resources on the path (``R1+R2``), one after the other."""

    def __init__(self) -> None:
        self.calls = 0

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        self.calls += 1
        entries: list[tuple[str, bytes, int]] = []
        for intent in vehicles:
            others = [t.plan for t in known if t.vehicle != intent.vehicle] + [plan for _, plan, _ in entries]
            start = switch_ms + 100
            while True:
                plan = make_plan(intent.vehicle, intent.path_id, start)
                hits = [e for o in others if clash(plan, o) for _, _, e in intervals(o) if e + CLOCKS_MS > start]
                if not hits:
                    break
                start = min(hits) + CLOCKS_MS
            entries.append((intent.vehicle, plan, start + CROSS_MS + LEASE_MARGIN_MS))
        return PlannedBatch(tuple(entries))


def make_plan(vehicle: str, path: str, start_ms: int) -> bytes:
    items = ",".join(f"{r}:{start_ms}:{start_ms + CROSS_MS}" for r in path.split("+"))
    return f"{vehicle}|{items}".encode()


@dataclass
class Car:
    """One vehicle: a core and a body that follows whatever was adopted."""

    name: str
    core: Core
    path: str
    planner: StubPlanner
    offset_ms: int = 0
    """Of this car's tick within the tick period."""
    skew_ms: int = 0
    wants: bool = True
    arrived_ms: int = 0
    adopted: Adopt | None = None
    done_ms: int | None = None
    engaged: bool = False
    off: bool = False
    overrides: dict[str, object] = field(default_factory=dict)


@dataclass
class Used:
    """An adopted tube as the omniscient observer keeps it."""

    vehicle: str
    plan: bytes
    from_ms: int
    until_ms: int | None = None


class Liar(Protocol):
    """A participant without a core: it hears, and sends what it likes through ``World.deliver``."""

    def hear(self, raw: bytes) -> None: ...

    def tick(self) -> None: ...


Fault = Callable[[str, str, bytes], Sequence[int]]
"""(from, to, datagram) -> delays in ms of the copies that arrive."""


class World:
    """Cars, virtual time and the network."""

    def __init__(self, seed: int = 0, tick_ms: int = 25, tuning: Tuning | None = None, real_keys: bool = False) -> None:
        self.rng = random.Random(seed)
        self.tick_ms = tick_ms
        self.tuning = tuning or Tuning()
        self.real_keys = real_keys
        self.codec = Codec(StubVerifier())
        self.now_ms = 10_000
        self.cars: dict[str, Car] = {}
        self.queue: list[tuple[int, int, str, bytes]] = []
        self.sent = 0
        self.fault: Fault = lambda a, b, raw: (20,)
        self.used: list[Used] = []
        self.log: list[tuple[int, str, str, dict[str, object]]] = []
        self.persisted: dict[str, list[bytes]] = {}
        self.air: list[tuple[int, str, bytes]] = []
        self.taps: list[Callable[[int, str, bytes], None]] = []
        self.perfect_eyes = False
        self.leave_ms = 300
        """From clearing the zone to falling silent."""
        self.liars: dict[str, Liar] = {}
        self.proofs: list[tuple[str, Contradiction]] = []

    def add(self, name: str, path: str = "R1", charter: bytes = CHARTER, skew_ms: int = 0) -> Car:
        planner = StubPlanner()
        draw = random.Random(self.rng.getrandbits(32)).randrange
        ports = Ports(StubJudge(name), planner, StubKeys(name), self.codec, draw, StubRegister())
        core = Core(Identity(name, BODY, charter, MAP), ports, self.tuning)
        car = Car(name, core, path, planner, offset_ms=self.rng.randrange(self.tick_ms), skew_ms=skew_ms)
        self.cars[name] = car
        return car

    def engage(self, car: Car) -> None:
        car.arrived_ms, car.engaged = self.now_ms, True
        car.core.engage(ZONE, SESSION, self.now_ms + car.skew_ms)

    def clock(self, car: Car) -> int:
        return self.now_ms + car.skew_ms

    def run(self, duration_ms: int, until: Callable[[], bool] | None = None) -> None:
        """Deliveries first, then ticks in order of name, at every millisecond at which there are any."""
        end = self.now_ms + duration_ms
        while self.now_ms < end:
            due = [self._next_tick_ms(car) for car in self.cars.values() if car.engaged and not car.off]
            if self.queue:
                due.append(max(self.now_ms + 1, self.queue[0][0]))
            self.now_ms = min([end, *due])
            while self.queue and self.queue[0][0] <= self.now_ms:
                _, _, to, raw = heapq.heappop(self.queue)
                if to in self.liars:
                    self.liars[to].hear(raw)
                    continue
                car = self.cars[to]
                if car.engaged and not car.off:
                    car.core.step(raw, self.clock(car))
                    self.drain(car)
            for name in sorted(self.cars):
                car = self.cars[name]
                if car.engaged and not car.off and self.now_ms % self.tick_ms == car.offset_ms:
                    self.tick(car)
            for name in sorted(self.liars):
                self.liars[name].tick()
            if until is not None and until():
                return

    def _next_tick_ms(self, car: Car) -> int:
        return self.now_ms + 1 + (car.offset_ms - self.now_ms - 1) % self.tick_ms

    def local(self, car: Car) -> Local:
        now = self.clock(car)
        start, end = (0, 0)
        if car.adopted is not None:
            spans = intervals(car.adopted.plan)
            start, end = min(s for _, s, _ in spans), max(e for _, _, e in spans)
        held = car.adopted is not None
        cleared = held and now >= end
        blocking: tuple[str, ...] = ()
        if self.perfect_eyes:
            heard = car.core.heard(now)
            others = (o for o in sorted(self.cars) if o != car.name and self.cars[o].engaged)
            blocking = tuple(f"unheard:{o}" for o in others if o not in heard)
        values: dict[str, object] = {
            "now_ms": now, "phase": Phase.APPROACH if car.done_ms is None else Phase.CLEARED, "path_id": car.path,
            "arrived_ms": car.arrived_ms, "eta_ms": now + 1000,
            "plan": car.adopted.plan if car.adopted else f"{car.name}|".encode(),
            "wants_commit": car.wants and not held and car.done_ms is None,
            "pnr_passed": held and now >= start - 150, "cleared": cleared, "blocking": blocking,
        }  # fmt: skip
        return Local(**{**values, **car.overrides})  # type: ignore[arg-type]

    def tick(self, car: Car) -> None:
        car.core.tick(self.local(car))
        self.drain(car)
        if car.done_ms is not None and car.engaged and self.now_ms > car.done_ms + self.leave_ms:
            car.core.disengage(self.clock(car))
            car.engaged = False
            self.drain(car)

    def drain(self, car: Car) -> None:
        while ready := car.core.ready():
            self.do(car, ready)
            car.core.advance(ready)

    def do(self, car: Car, ready: Ready) -> None:
        self.persisted.setdefault(car.name, []).extend(ready.to_persist)
        for raw in ready.to_send:
            self.broadcast(car.name, raw)
        for effect in ready.to_apply:
            if isinstance(effect, Adopt):
                assert car.adopted is None
                car.adopted = effect
                self.used.append(Used(car.name, effect.plan, self.now_ms))
            elif isinstance(effect, Drop):
                assert car.adopted is not None and car.adopted.proposal_hash == effect.proposal_hash
                car.adopted = None
                next(u for u in reversed(self.used) if u.vehicle == car.name).until_ms = self.now_ms
                if effect.reason == "cleared":
                    car.done_ms = self.now_ms
            else:
                self.proofs.append((car.name, effect))
        for kind, detail in ready.notes:
            self.log.append((self.now_ms, car.name, kind, detail))

    def broadcast(self, sender: str, raw: bytes) -> None:
        self.air.append((self.now_ms, sender, raw))
        for tap in self.taps:
            tap(self.now_ms, sender, raw)
        for to in sorted({*self.cars, *self.liars}):
            if to != sender:
                self.deliver(sender, to, raw)

    def deliver(self, sender: str, to: str, raw: bytes) -> None:
        for delay in self.fault(sender, to, raw):
            self.sent += 1
            heapq.heappush(self.queue, (self.now_ms + delay, self.sent, to, raw))

    def all_done(self) -> bool:
        return all(car.done_ms is not None for car in self.cars.values())

    def all_adopted(self) -> bool:
        names = {used.vehicle for used in self.used}
        return all(name in names for name in self.cars)


def violations(world: World) -> list[str]:
    """S1, omniscient: two honest vehicles in one resource at one time. Written apart from StubJudge."""
    occupied: dict[str, list[tuple[int, int, str]]] = {}
    for used in world.used:
        skew = world.cars[used.vehicle].skew_ms
        for part in used.plan.decode().split("|")[1].split(","):
            resource, start, end = part.split(":")
            stop = int(end) - skew if used.until_ms is None else min(int(end) - skew, used.until_ms)
            if stop > int(start) - skew:
                occupied.setdefault(resource, []).append((int(start) - skew, stop, used.vehicle))
    found = []
    for resource, spans in sorted(occupied.items()):
        spans.sort()
        for (_, end, who), (start, _, other) in zip(spans, spans[1:], strict=False):
            if start < end and who != other:
                found.append(f"{resource}: {who} until {end}, {other} from {start}")
    return found


def bursty(rng: random.Random, loss: float, burst: float, delays: tuple[int, int], duplicate: float = 0.0) -> Fault:
    """Gilbert-Elliott loss per directed link, uniform delay (which reorders), duplicates."""
    bad: dict[tuple[str, str], bool] = {}
    leave = 1.0 / burst
    enter = loss * leave / (1.0 - loss) if loss < 1.0 else 1.0

    def fault(a: str, b: str, raw: bytes) -> Sequence[int]:
        state = bad.get((a, b), rng.random() < loss)
        bad[(a, b)] = (rng.random() >= leave) if state else (rng.random() < enter)
        if state:
            return ()
        copies = 2 if rng.random() < duplicate else 1
        return [rng.randint(*delays) for _ in range(copies)]

    return fault
