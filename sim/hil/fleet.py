"""A small fleet of real nodes behind guards, with an ideal radio, for the benches' trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import shapely

from fleet.node.driver import Node
from fleet.node.parts import Noter
from fleet.node.signing import Signer, simulation_seed
from fleet.node.stopwatch import Stopwatch
from fleet.protocol import keys
from fleet.protocol.wire import Intent, Kind, decode, encode_body, seal
from hardware.black_box import BlackBox
from hardware.failsafe import Phase
from hardware.guard import Guard
from hardware.mock import FaultSwitches
from hardware.monitor import phase_of
from hardware.vehicle import Vehicle, digest
from planners.zone_map import Passage
from sim.fleet_node import NodeFactory
from sim.hil.yard import Line, Yard, crossroads
from sim.stage import Actor

PERIOD_MS = 50
NS = 1_000_000
SEED = 1


@dataclass
class Heart:
    """A supervisor that always answers, until it is switched off. The real one is tested with real processes."""

    dead: bool = False
    holding: bool = False

    def beat(self, now_ns: int) -> None:
        """Nobody counts."""

    def lost(self, now_ns: int) -> bool:
        return self.dead

    def reset(self, now_ns: int) -> None:
        """Nothing latched."""


@dataclass
class Member:
    """One vehicle with its node."""

    node: Node
    guard: Guard
    line: Line
    faults: FaultSwitches
    heart: Heart
    clock_error_s: float = 0.0
    radio: bool = True
    running: bool = True
    """False: the node's loop does not run."""
    dumps: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def phase(self) -> Phase:
        node, status = self.node, self.node.kernel.status
        standing = abs(status.v_mps) < 0.05 * max(0.2, node.scale)
        return phase_of(
            engaged=node.listens, committed=node.committed, past_no_return=status.past_no_return, standing=standing
        )


class GuardedFleet:
    """Vehicles on the crossroads, from (path, front bumper's distance before the line, speed).

    Time is virtual; one :meth:`tick` is one turn of everybody.
    """

    def __init__(self, vehicle: Vehicle, yard: Yard, starts: Mapping[str, tuple[str, float, float]]) -> None:
        self.vehicle, self.yard = vehicle, yard
        self.stage = crossroads(vehicle)
        factory = NodeFactory(self.stage, "first_come", SEED, PERIOD_MS * 1e-3, Stopwatch(lambda: 0.0))
        self.roads = factory.roads
        self.now_ms = 0
        self.notes: list[tuple[int, str, str, dict[str, object]]] = []
        self.members: dict[str, Member] = {}
        self.contacts = 0
        self._air: list[tuple[str, bytes]] = []
        self._forge = ""
        self._obstacle: shapely.Polygon | None = None
        body = vehicle.body
        self.front_m, self.rear_m = body.length_m - body.rear_overhang_m, body.rear_overhang_m
        for name, (path_id, room_m, speed) in starts.items():
            passage = self.stage.zone_map.passages[path_id][0]
            start = passage.line_s_m - self.front_m - room_m
            self.members[name] = self._member(factory, name, path_id, start, speed)
        yard.advance(0.0, 0)

    def _member(self, factory: NodeFactory, name: str, path_id: str, start_s_m: float, speed: float) -> Member:
        hardware, faults = self.yard.add(name, self.roads.get(path_id).pose(start_s_m), speed)
        line, heart, dumps = Line(hardware), Heart(), []  # type: ignore[var-annotated]
        guard = Guard(
            line, self.vehicle, clock_error_s=lambda now_ns: self.members[name].clock_error_s, heart=heart,
            black_box=BlackBox({"vehicle_id": name, "config_digest": digest(self.vehicle)}),
            keep=lambda reason, data: dumps.append((reason, data)),
        )  # fmt: skip
        actor = Actor(name, self.vehicle, path_id, 0.0, start_s_m, speed, "honest", True, False)
        node = factory.make(actor, guard, self._noter(name), doubts=guard)
        guard.must_finish = lambda: node.committed and node.kernel.status.past_no_return
        hardware.gate.configure()
        guard.activate(())
        return Member(node, guard, line, faults, heart, dumps=dumps)

    def _noter(self, name: str) -> Noter:
        return lambda now_ms, kind, detail: self.notes.append((now_ms, name, kind, dict(detail)))

    def tick(self) -> None:
        """One turn of every node that runs, then time passes."""
        sent: list[tuple[str, bytes]] = []
        for name, member in self.members.items():
            if not member.running:
                continue
            inbox = [raw for sender, raw in self._air if sender != name] if member.radio else []
            out = member.node.tick(self.now_ms, inbox)
            member.guard.note("rx", inbox)
            member.guard.note("tx", out)
            if member.radio:
                sent += [(name, raw) for raw in out]
        self._air = self._with_forgery(sent)
        self.now_ms += PERIOD_MS
        self.yard.advance(PERIOD_MS * 1e-3, self.now_ms * NS)
        self.contacts += self._touching()

    def forge(self, name: str) -> None:
        """From now on ``name`` says every other thing too: two intents with one number, both signed."""
        self._forge = name

    def _with_forgery(self, sent: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        found = list(sent)
        for sender, raw in sent:
            message = decode(raw)
            if sender != self._forge or not isinstance(message.body, Intent):
                continue
            payload = encode_body(msgspec.structs.replace(message.body, eta_ms=message.body.eta_ms + 777))
            covered = keys.statement("intent", message.zone, message.session, sender, payload)
            signature = Signer(simulation_seed(SEED, sender)).sign(covered)
            found.append((sender, seal(Kind.INTENT, message.zone, message.session, sender, payload, signature)))
        return found

    def block(self, name: str, gap_m: float) -> None:
        """Put a standing body in the path of ``name``, so far ahead of its front bumper."""
        road = self.members[name].node.road
        pose = road.pose(self._s_m(name) + self.front_m + gap_m + self.rear_m)
        self.yard.block(pose)
        self._obstacle = self._outline(*pose)

    def unblock(self) -> None:
        self.yard.unblock()
        self._obstacle = None

    # --- what is true

    def speed(self, name: str) -> float:
        return self.yard.truth(name)[3]

    def front_before_line_m(self, name: str) -> float:
        """How far the front bumper is from the line, by the truth; negative beyond it."""
        return self._passage(name).line_s_m - self._s_m(name) - self.front_m

    def rear_beyond_exit_m(self, name: str) -> float:
        return self._s_m(name) - self.rear_m - self._passage(name).exit_s_m

    def trespasses(self, name: str) -> bool:
        """In the zone with neither a commitment nor perception's leave."""
        node = self.members[name].node
        inside = self.front_before_line_m(name) < -0.3 * node.scale and self.rear_beyond_exit_m(name) < 0.0
        return inside and not node.committed and not node.sight.active

    def _passage(self, name: str) -> Passage:
        return self.stage.zone_map.passages[self.members[name].node.road.path.path_id][0]

    def _s_m(self, name: str) -> float:
        road = self.members[name].node.road
        x, y, *_ = self.yard.truth(name)
        near = self.members[name].node.kernel.status.s_m
        return road.project(x, y, near)[0]

    def _touching(self) -> int:
        shapes = [self._outline(*self.yard.truth(name)[:3]) for name in self.members]
        shapes += [self._obstacle] if self._obstacle is not None else []
        pairs = [(one, other) for k, one in enumerate(shapes) for other in shapes[:k]]
        return sum(one.intersects(other) for one, other in pairs)

    def _outline(self, x: float, y: float, yaw: float) -> shapely.Polygon:
        half, c, s = 0.5 * self.vehicle.body.width_m, math.cos(yaw), math.sin(yaw)
        corners = [(-self.rear_m, -half), (self.front_m, -half), (self.front_m, half), (-self.rear_m, half)]
        return shapely.Polygon([(x + c * u - s * v, y + s * u + c * v) for u, v in corners])
