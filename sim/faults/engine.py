"""The fault simulator's engine: one heap of events in integer milliseconds of true time.

An *event* is one of: a delivery to one receiver (also one that the channel drops, and each further
copy), a tick of a node or a liar, a passage of a body (point of no return, into or out of a resource),
or an act of a fault. Nothing else is counted.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fleet.protocol import ports
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.records import Identity, Tuning
from fleet.protocol.wire import VehicleBody
from sim.faults.body import Body
from sim.faults.case import CRASH_POINTS, START_MS, Case, Fault
from sim.faults.channel import Channel
from sim.faults.drivers import Unconnected
from sim.faults.liars import GHOST, Liar, Team
from sim.faults.liveness import Liveness
from sim.faults.node import Node
from sim.faults.observer import Observer, Violation
from sim.faults.plans import Plan, Roads
from sim.faults.signing import keys
from sim.faults.stub_planning import Judge, Planner

BODY = VehicleBody("car", 4500, 1800, 900, 13_900, 2600, 4500, 3000, 5000, 200, 500)
CHARTER = bytes(range(32))
MAP = b"mapdigest"

DELIVER, TICK, LIE, PASSAGE, FAULT, RESTART, RESUME, ENTER, HEAL, WATCH, DRIVE = range(11)
_NAMES = ("delivery", "tick", "lie", "passage", "fault", "restart", "resume", "enter", "heal", "watch", "drive")
_WATCH_MS = 500
_LAP_MS = (1_000, 5_000)
_VIOLATIONS_MAX = 20


@dataclass(slots=True)
class Outcome:
    """What one run gave."""

    case: Case
    events: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    digest: str = ""
    """Of everything sent and noted."""
    deliveries: int = 0
    adopted: int = 0
    by_sight: int = 0
    """Starts to cross without agreement (rule P9)."""
    contacts: int = 0
    """With bodies that had no right to be there."""
    end_ms: int = 0
    trace: list[tuple[int, str, str, dict[str, object]]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    """Numbers of the deliveries that did not arrive; only of a traced run."""

    @property
    def total(self) -> int:
        return sum(self.events.values())


class Engine:
    """One run of one case."""

    def __init__(self, case: Case, *, trace: bool = False) -> None:
        self.case = case
        self.now_ms = START_MS
        self.out = Outcome(case)
        self._trace = trace
        self._hash = hashlib.blake2b(digest_size=16)
        self._queue: list[tuple[int, int, int, object, object]] = []
        self._order = 0
        self._lost, self._sent = 0, 0
        self.roads = Roads(case.paths)
        self.channel = Channel(case, START_MS)
        self.rng = random.Random(f"{case.profile}:{case.seed}:engine")
        cars = [v for v in case.vehicles if v.role == "honest"]
        liars = [v for v in case.vehicles if v.role == "liar"]
        ghosts = [v.name + GHOST for v in liars]
        self._signers, verifier = keys([v.name for v in (*cars, *liars)] + ghosts, case.seed, case.real_keys)
        self.codec = Codec(verifier)
        self._judge = Judge(self.roads, case.eps_ms, case.everybody)
        self.tuning = Tuning(eps_ms=case.eps_ms)
        self.bodies: list[Body] = []
        self.nodes: dict[str, Node] = {v.name: Node(self, v) for v in cars}
        self.observer = Observer(self, verifier)
        self.liveness = Liveness(self)
        self.healed = False
        self.vehicle_body, self.charter_id, self.map_digest = BODY, CHARTER, MAP
        team = Team(self)
        self.liars = {v.name: Liar(team, v, self._signers) for v in liars}
        self.drivers = {v.name: Unconnected(self, v) for v in case.vehicles if v.role != "honest"}
        self._ears: dict[str, Node | Liar] = {**self.nodes, **self.liars}
        self.here: list[str] = []
        self._edits = bool(case.lost or case.moved or case.doubled)
        self._drop, self._move, self._twice = set(case.lost), dict(case.moved), dict(case.doubled)
        self._schedule_case()

    # Parts of the case.

    def new_core(self, node: Node) -> Core:
        draw = random.Random(f"{self.case.profile}:{self.case.seed}:{node.name}:{node.laps}").randrange
        signer = self._signers[node.name]
        given = ports.Ports(self._judge, Planner(self.roads), signer, self.codec, draw)
        return Core(Identity(node.name, BODY, CHARTER, MAP), given, self.tuning)

    def _schedule_case(self) -> None:
        case = self.case
        for vehicle in case.vehicles:
            self.at(START_MS + vehicle.enter_ms, ENTER, vehicle.name, None)
        for fault in case.faults:
            self.at(START_MS + fault.at_ms, FAULT, fault, None)
        self.at(START_MS + case.heal_ms, HEAL, None, None)

    def at(self, t_ms: int, kind: int, who: object, what: object) -> None:
        """Put an event into the future."""
        self._order += 1
        heapq.heappush(self._queue, (t_ms, self._order, kind, who, what))

    # The loop.

    def run(self) -> Outcome:
        """Until the case's end, or until every honest vehicle has crossed after healing."""
        queue, pop, ears = self._queue, heapq.heappop, self._ears
        counts = [0] * len(_NAMES)
        others: tuple[Any, ...] = (
            None, self._tick, self._lie, self._passage, self._fault, self._restart, self._resume, self._enter,
            self._heal, self._watch, self._drive,
        )  # fmt: skip
        end_ms = START_MS + self.case.end_ms
        liveness, violations = self.liveness, self.out.violations
        while queue:
            t_ms, _, kind, who, what = pop(queue)
            if t_ms > end_ms:
                break
            self.now_ms = t_ms
            counts[kind] += 1
            if kind == DELIVER:
                ears[who].hear(what)  # type: ignore[index,arg-type]
                continue
            others[kind](who, what)
            if liveness.finished or len(violations) >= _VIOLATIONS_MAX:
                break
        out = self.out
        self.liveness.end()
        self.observer.end()
        out.events = Counter(dict(zip(_NAMES, counts, strict=True)))
        out.events["lost"] = self._lost
        out.deliveries = self._sent
        out.end_ms = self.now_ms - START_MS
        out.digest = self._hash.hexdigest()
        return out

    def _tick(self, node: Node, version: int) -> None:
        if node.laps != version or node.body is None or node.body.gone:
            return
        if node.core is not None and node.paused_until_ms <= self.now_ms:
            node.tick()
        self.at(self.now_ms + node.case.tick_ms, TICK, node, version)

    def _lie(self, liar: Liar, _: object) -> None:
        if not self.healed:
            liar.tick()
            self.at(self.now_ms + liar.case.tick_ms, LIE, liar, None)

    def _drive(self, driver: Unconnected, _: object) -> None:
        if driver.decide():
            self.at(self.now_ms + 200, DRIVE, driver, None)

    def _enter(self, name: str, _: object) -> None:
        node = self.nodes.get(name)
        if node is not None:
            node.enter()
            self.at(self.now_ms + node.case.phase_ms, TICK, node, node.laps)
        else:
            driver = self.drivers[name]
            driver.enter()
            self.at(self.now_ms + 1, DRIVE, driver, None)
            if name in self.liars:
                self.at(self.now_ms + driver.case.phase_ms, LIE, self.liars[name], None)
        if name in self._ears and name not in self.here:
            self.here = sorted([*self.here, name])

    def leave(self, node: Node) -> None:
        """The vehicle has left the zone behind; before healing it comes back for another lap."""
        if node.body is not None:
            node.body.gone = True
            self.bodies.remove(node.body)
        self.here.remove(node.name)
        back_ms = self.now_ms + self.rng.randint(*_LAP_MS)
        if back_ms < START_MS + self.case.heal_ms:
            self.at(back_ms, ENTER, node.name, None)
        else:
            self.liveness.finish(node.name)

    # Bodies.

    def add_body(self, name: str, plan: Plan, offset_ms: float) -> Body:
        body = Body(name, self.roads, plan, offset_ms, self.now_ms)
        self.bodies.append(body)
        self.schedule_body(body)
        return body

    def schedule_body(self, body: Body) -> None:
        """Foresee what ``body`` passes on its plan; what an earlier plan foresaw is void."""
        body.version += 1
        for t, what, resource in body.passages(self.now_ms):
            early = what in ("exit", "clear", "kernel")
            t_ms = max(self.now_ms, math.floor(t) if early else math.ceil(t))
            self.at(t_ms, PASSAGE, body, (body.version, what, resource))

    def _passage(self, body: Body, passage: tuple[int, str, int]) -> None:
        version, what, resource = passage
        if version != body.version or body.gone:
            return
        node = self.nodes.get(body.name)
        if what == "kernel":
            if node is not None:
                node.at_no_return()
                self.observer.let_pass(node)
        else:
            self.observer.passed(body, node, what, resource)

    # The air.

    def broadcast(self, node: Node, raw: bytes) -> None:
        """``node`` sends to all that are here."""
        self.observer.sent(node, raw)
        self._hash.update(raw)
        self.transmit(node.name, raw, self.here)

    def transmit(self, sender: str, raw: bytes, receivers: list[str]) -> None:
        """Through the channel to each of ``receivers``."""
        now_ms, delays_of = self.now_ms, self.channel.delays
        active = self.channel.active(now_ms)
        queue, push = self._queue, heapq.heappush
        order, edits = self._order, self._edits
        for to in receivers:
            if to == sender:
                continue
            delays = delays_of(sender, to, now_ms, active)
            self._sent += 1
            if edits:
                delays = self._edited(delays)
            if not delays:
                self._lost += 1
                if self._trace:
                    self.out.lost.append(self._sent)
                continue
            for delay in delays:
                order += 1
                push(queue, (now_ms + delay, order, DELIVER, to, raw))
        self._order = order

    def _edited(self, delays: tuple[int, ...]) -> tuple[int, ...]:
        """What the case asks of this delivery besides."""
        number = self._sent
        if number in self._drop:
            return ()
        later = self._move.get(number, 0)
        delays = tuple(delay + later for delay in delays)
        if delays and number in self._twice:
            delays += (delays[0] + self._twice[number],)
        return delays

    def noted(self, name: str, kind: str, detail: dict[str, object]) -> None:
        """The core's notes: traced where asked for; they decide nothing."""
        self._hash.update(f"{self.now_ms}{name}{kind}".encode())
        if kind == "commit":
            self.out.adopted += 1
        elif kind == "by_sight":
            self.out.by_sight += 1
        if kind in ("commit", "by_sight"):
            self.liveness.progress()
        if self._trace:
            self.out.trace.append((self.now_ms - START_MS, name, kind, detail))

    # Faults.

    def _fault(self, fault: Fault, _: object) -> None:
        self._act(fault, "begins")
        node = self.nodes.get(fault.who)
        if node is None or self.healed:
            return
        kind = fault.kind
        if kind == "crash":
            node.armed = fault
            if CRASH_POINTS[fault.amount] == "anywhere" and node.core is not None:
                self.crashed(node)
        elif kind == "pause":
            self.pause(node, fault.for_ms)
        elif kind == "lease_pause":
            node.pauses = fault
        elif kind == "lost_estimate":
            node.blind_until_ms = self.now_ms + fault.for_ms
        elif kind == "clock_step":
            node.clock.step(fault.amount, self.now_ms)
            self.observer.clock_broken(node)
            self.at(self.now_ms + fault.for_ms, RESUME, node, "clock")

    def crashed(self, node: Node) -> None:
        """The node's process is gone; it starts again after the fault's time."""
        fault = node.armed
        if fault is None:
            return
        self._act(fault, "crash")
        node.crash(self.rng.randrange(1000) if CRASH_POINTS[fault.amount] == "torn_tail" else 0)
        self.observer.crashed(node)
        self.at(self.now_ms + fault.for_ms, RESTART, node, None)

    def _restart(self, node: Node, _: object) -> None:
        if node.core is None:
            node.restart()

    def pause(self, node: Node, for_ms: int) -> None:
        """SIGSTOP, then SIGCONT."""
        node.paused_until_ms = max(node.paused_until_ms, self.now_ms + for_ms)
        self.observer.slept(node)
        self.at(node.paused_until_ms, RESUME, node, "process")

    def pause_at_lease_end(self, node: Node, lease_end_ms: int) -> None:
        """Stop ``node`` across the end of the lease it has just taken."""
        fault, node.pauses = node.pauses, None
        if fault is not None:
            at_ms = max(self.now_ms, int(node.clock.true_ms(lease_end_ms, self.now_ms)) - 200)
            self.at(at_ms, FAULT, Fault("pause", at_ms - START_MS, fault.for_ms, node.name), None)

    def _resume(self, node: Node, what: str) -> None:
        if what == "clock":
            node.clock.mend(node.case.offset_ms, self.now_ms)
            node.trust_clock_again()
            return
        if node.core is None or node.paused_until_ms > self.now_ms:
            return
        waiting, node.inbox = node.inbox, []
        for raw in waiting:
            node.hear(raw)

    def _heal(self, *_: object) -> None:
        """Faults and lies end; what they left behind is for the protocol to mend."""
        self.healed = True
        self.channel.heal()
        for node in self.nodes.values():
            node.armed = node.pauses = None
        self.liveness.begin()
        self.at(self.now_ms + _WATCH_MS, WATCH, None, None)

    def _watch(self, *_: object) -> None:
        self.liveness.watch()
        self.at(self.now_ms + _WATCH_MS, WATCH, None, None)

    def _act(self, fault: Fault, what: str) -> None:
        if self._trace:
            self.out.trace.append((self.now_ms - START_MS, fault.who or "channel", f"{what}:{fault.kind}", {}))
