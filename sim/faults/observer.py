"""The omniscient observer: checks S1 to S6, S10 and rules P2 to P5 after every event that can break one.

It looks at emitted bytes, durable bytes, applied effects and places of bodies, never into a core. What it
checks is worked out from these alone, by code that the judge, the planner and the core do not share
(reading.py, tubes.py). An event that emits nothing, applies nothing and moves nobody past a point can
break nothing that was whole, so nothing is checked then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.protocol.ports import Verifier
from fleet.protocol.records import Adopt, Contradiction, Drop
from sim.faults import reading
from sim.faults.body import Body
from sim.faults.case import START_MS
from sim.faults.framing import Framing
from sim.faults.promises import Promises
from sim.faults.reading import CERTIFICATE, INTENT, PROPOSAL, REJECT, RELEASE, VOTE, Read
from sim.faults.tubes import FOREVER, Tubes, meet

if TYPE_CHECKING:
    from sim.faults.engine import Engine
    from sim.faults.node import Node

_SEEN_MS = (0, 100, 220, 330, 450)
"""A body that was in the way at all these times before a vehicle went past its point of no return was there to see;
one that has left meanwhile is not in the way any more."""
_LIAR_MM = 4_000
"""A liar's body this far past the line is where no announcement of its has it."""
_SPEED_MPS, _ACCEL_MPS2 = 12.5, 6.5
"""What no vehicle here can exceed."""
_JUMP_MM = 400.0
_CLOCK_MS = 200
"""Within this time a clock that has jumped must have ended all signing (rule P12)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken property."""

    t_ms: int
    rule: str
    text: str


@dataclass(slots=True)
class Live:
    """A tube in use: adopted, not given back."""

    proposal: bytes
    lease_end_ms: int
    uses: dict[int, tuple[float, float]]
    error_ms: float
    """Of the holder's clock at adoption."""
    orphaned: bool = False
    """Its node has crashed with the body beyond the point of no return."""
    asleep: bool = False
    """Its process is stopped before the point of no return: it does not pass that before it has looked again."""


class Observer:
    """All safety checks of one run."""

    def __init__(self, engine: Engine, verifier: Verifier) -> None:
        self._engine = engine
        self._verifier = verifier
        self.tubes = Tubes(engine.case.paths)
        self.promises = Promises(self.tubes, engine.case.eps_ms)
        self.framing = Framing()
        self.live: dict[str, Live] = {}
        self._past: set[str] = set()
        self._clock_broken_ms: dict[str, int] = {}

    def fail(self, rule: str, text: str) -> None:
        """Note a violation."""
        self._engine.out.violations.append(Violation(self._engine.now_ms - START_MS, rule, text))

    # Emitted bytes.

    def sent(self, node: Node, raw: bytes) -> None:
        """An honest node sends ``raw``; what it only passes on has another sender."""
        message = reading.read(raw)
        if message is None:
            self.fail("X1", f"{node.name} sends what is no message")
        elif message.sender == node.name:
            self._listen(message, raw)
            if node.name not in self._clock_broken_ms:
                for text in self.framing.says(message):
                    self.fail("X3", text)
            if message.kind == VOTE:
                self._vote(node, message, raw)
            elif message.kind == CERTIFICATE:
                self._certificate(node.name, message)
            elif message.kind in (INTENT, RELEASE):
                self._words(node, message)

    def overheard(self, raw: bytes) -> None:
        """A liar sends ``raw``: its word counts against it, and its proposals exist."""
        message = reading.read(raw)
        if message is not None and message.zone == "soak" and message.session == 1:
            self._listen(message, raw)

    def _listen(self, message: Read, raw: bytes) -> None:
        kind, body = message.kind, message.body
        if kind == INTENT:
            self.promises.intent(message.sender, stamp_ms=body[2], live=body[15], dead=body[16])
        elif kind == PROPOSAL:
            self.promises.proposal(message.digest, body)
            self.framing.proposals.setdefault(message.digest, raw)
        elif kind == RELEASE:
            for proposal in body[0]:
                self.promises.dead(proposal, message.sender)
        elif kind == REJECT:
            self.promises.dead(body[0], message.sender)

    def _vote(self, node: Node, message: Read, raw: bytes) -> None:
        """P2: on disk first. P3, S2: nothing that meets a promise still alive. Never after decide_by."""
        proposal_hash = message.body[0]
        if not node.disk.holds(raw):
            self.fail("P2", f"{node.name} sends a vote that is not on its disk")
        proposal = self.promises.proposals.get(proposal_hash)
        if proposal is None:
            self.fail("S3", f"{node.name} votes for a proposal that nobody sent")
            return
        now = int(self._engine.now_ms + node.error_ms())
        if node.name not in proposal.members:
            self.fail("S3", f"{node.name} votes although it is no member")
        if now > proposal.decide_by_ms:
            self.fail("P3", f"{node.name} votes {now - proposal.decide_by_ms} ms after decide_by")
        for text in self.promises.vote(node.name, proposal_hash, message.signature, now):
            if not self._excused(node.name):
                self.fail("S2", text)

    def _certificate(self, sender: str, message: Read) -> None:
        """S3: every signature that an honest node passes on was given."""
        proposal_hash, votes = message.body
        proposal = self.promises.proposals.get(proposal_hash)
        if proposal is None:
            self.fail("S3", f"{sender} certifies a proposal that nobody sent")
            return
        for position, signature in votes:
            member = proposal.members[position]
            if not self._given(member, proposal_hash, signature):
                self.fail("S3", f"{sender} passes on a signature that {member} never gave")

    def _given(self, member: str, proposal_hash: bytes, signature: bytes) -> bool:
        if member in self._engine.nodes:
            return self.promises.votes.get((proposal_hash, member)) == signature
        payload = b"\x92\xc4\x20" + proposal_hash + b"\xc3"
        return self._verifier.verify(member, reading.statement(VOTE, "soak", 1, member, payload), signature)

    def _words(self, node: Node, message: Read) -> None:
        """P6: inside, nobody says that its tube is dead."""
        held, body = self.live.get(node.name), node.body
        if held is None or body is None or not body.inside(self._engine.now_ms):
            return
        if message.kind == INTENT:
            denied = held.proposal not in message.body[15]
        else:
            denied = held.proposal in message.body[0]
        if denied:
            self.fail("P6", f"{node.name} gives its tube back inside the shared area")

    # Applied effects.

    def adopted(self, node: Node, effect: Adopt) -> None:
        """S3, P4 and S1 for a tube that comes into use."""
        engine, name = self._engine, node.name
        now, error_ms = engine.now_ms, node.error_ms()
        proposal = self.promises.proposals.get(effect.proposal_hash)
        if proposal is None or proposal.batch.get(name) != (effect.plan, effect.lease_end_ms):
            self.fail("S3", f"{name} adopts what no proposal gives it")
            return
        unsigned = [
            m for m in proposal.members if m in engine.nodes and (effect.proposal_hash, m) not in self.promises.votes
        ]
        if unsigned or name not in proposal.members:
            self.fail("S3", f"{name} adopts without the signature of {', '.join(unsigned) or name}")
        uses = self.tubes.of(effect.plan)
        last = max((end for _, end in uses.values()), default=FOREVER)
        if last > effect.lease_end_ms - engine.case.eps_ms:
            self.fail("P4", f"{name} would leave {last - effect.lease_end_ms:.0f} ms after its lease")
        if now + error_ms > proposal.decide_by_ms + 1:
            self.fail("P4", f"{name} adopts {now + error_ms - proposal.decide_by_ms:.0f} ms after decide_by")
        self._can_drive(node, effect.plan)
        mine = Live(effect.proposal_hash, effect.lease_end_ms, uses, error_ms)
        self._alone(name, mine)
        self.live[name] = mine

    def _alone(self, name: str, mine: Live) -> None:
        """S1: nobody else who may use its tube has one that meets that of ``name``."""
        for other, theirs in self.live.items():
            if other == name or theirs.asleep:
                continue
            resource = meet(mine.uses, theirs.uses, mine.error_ms - theirs.error_ms)
            if resource is not None and not self._excused(name, other):
                self.fail("S1", f"{name} and {other} hold resource {resource} at one time")

    def _can_drive(self, node: Node, plan: bytes) -> None:
        """P1: what is adopted goes on from where the body is, within the vehicle's limits."""
        body, now = node.body, self._engine.now_ms
        speed, accel = self.tubes.demands(plan)
        if speed > _SPEED_MPS or accel > _ACCEL_MPS2:
            self.fail("P1", f"{node.name} adopts a plan of {speed:.1f} m/s and {accel:.1f} m/s^2")
        jump = 0.0 if body is None else self.tubes.place(plan, now + node.error_ms()) - body.at(now)[0]
        if abs(jump) > _JUMP_MM and not self._excused(node.name):
            self.fail("P1", f"{node.name} adopts a plan that is {jump:.0f} mm from where it is")

    def dropped(self, node: Node, effect: Drop) -> None:
        """S6: beyond the point of no return only clearing ends a commitment."""
        held, body = self.live.get(node.name), node.body
        if held is None or held.proposal != effect.proposal_hash or body is None:
            return
        del self.live[node.name]
        s, _ = body.at(self._engine.now_ms)
        if s < body.clear_mm - 1 and (effect.reason == "cleared" or s > 0.0 or node.name in self._past):
            self.fail("S6", f"{node.name} gives its tube back ({effect.reason}) at {s:.0f} of {body.clear_mm} mm")

    def accused(self, node: Node, proof: Contradiction) -> None:
        """X3: a proof that a core hands out is against a liar, and convinces others; nobody honest is ever framed."""
        vehicle = proof.vehicle
        if vehicle in self._engine.nodes and vehicle not in self._clock_broken_ms:
            self.fail("X3", f"{node.name} holds a proof against {vehicle}, who kept the rules")
        convicted = self.framing.convicts(proof)
        if convicted != vehicle:
            self.fail("X3", f"{node.name}'s proof against {vehicle} convicts {convicted or 'nobody'}")

    def end(self) -> None:
        """P14: at the end of the run no core does without somebody honest."""
        for name, node in self._engine.nodes.items():
            core = node.core
            for vehicle in core.quarantined if core is not None else ():
                if vehicle in self._engine.nodes and vehicle not in self._clock_broken_ms:
                    self.fail("P14", f"{name} has quarantined {vehicle}, who kept the rules")

    def crashed(self, node: Node) -> None:
        """The tube of a node that was let pass stays in use until its body is clear."""
        held, body = self.live.get(node.name), node.body
        if held is not None and node.passed and body is not None and body.at(self._engine.now_ms)[0] < body.clear_mm:
            held.orphaned = True
        elif held is not None:
            del self.live[node.name]

    def resumed(self, node: Node) -> None:
        """A restarted node goes on with the tube that its body has been driving."""
        held = self.live.get(node.name)
        if held is not None:
            held.orphaned = False

    def slept(self, node: Node) -> None:
        """The process is stopped: its tube counts again once it runs, or its kernel has let it pass."""
        held = self.live.get(node.name)
        if held is not None and not node.passed:
            held.asleep = True

    def ticked(self, node: Node) -> None:
        """A stopped process that runs again has looked around: what it still holds counts."""
        held = self.live.get(node.name)
        if held is not None and held.asleep:
            held.asleep = False
            self._alone(node.name, held)

    # Bodies.

    def let_pass(self, node: Node) -> None:
        """P10: nobody goes past its point of no return before a body that is visibly in the way."""
        body, engine = node.body, self._engine
        if body is None or not node.passed or node.name in self._past:
            return
        self.ticked(node)
        for other in engine.bodies:
            new = engine.now_ms < other.since_ms + max(_SEEN_MS)
            agreed = other.name in engine.nodes and not node.sight.active
            if other is body or new or agreed or body.resources.isdisjoint(other.resources):
                continue
            lies = other.name in engine.liars
            seen = (engine.now_ms - ago for ago in _SEEN_MS)
            if all(other.is_threat(t) and (not lies or other.at(t)[0] > _LIAR_MM) for t in seen):
                rule = "P9" if other.name in engine.nodes else "P10"
                self.fail(rule, f"{node.name} goes although {other.name} is in the way")

    def passed(self, body: Body, node: Node | None, what: str, resource: int) -> None:
        """A body passes a point of its path."""
        name = body.name
        held = self.live.get(name)
        if node is not None and what == "no_return":
            self._past.add(name)
            shown = self._engine.now_ms + node.error_ms()
            if node.sight.active:
                return
            if held is None or shown >= held.lease_end_ms - self._engine.case.eps_ms:
                self.fail("P5", f"{name} passes its point of no return without a live commitment")
        elif what == "enter":
            self._contact(body, node, resource)
        elif what == "exit" and node is not None and held is not None:
            late_ms = self._engine.now_ms + node.error_ms() - held.lease_end_ms
            if late_ms > 0 and not self._excused(name):
                self.fail("P4", f"{name} leaves resource {resource} {late_ms:.0f} ms after its lease")
        elif what == "clear":
            self._past.discard(name)
            if held is not None and held.orphaned:
                del self.live[name]

    def _contact(self, body: Body, node: Node | None, resource: int) -> None:
        """S10: two honest bodies are never in one resource at one time."""
        engine = self._engine
        for other in engine.bodies:
            if other is body or resource not in other.uses(engine.now_ms):
                continue
            if node is None or other.name not in engine.nodes:
                engine.out.contacts += 1
            elif not self._excused(body.name, other.name):
                self.fail("S10", f"{body.name} meets {other.name} in resource {resource}")

    # Clocks beyond their bound.

    def clock_broken(self, node: Node) -> None:
        self._clock_broken_ms[node.name] = self._engine.now_ms

    def _excused(self, *names: str) -> bool:
        """Whether one of ``names`` has just had its clock jump and may not have noticed yet."""
        broken = self._clock_broken_ms
        return any(self._engine.now_ms - broken.get(name, -FOREVER) <= _CLOCK_MS for name in names)
