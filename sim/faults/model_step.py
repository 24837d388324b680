"""One transition of the model checker: faults, deliveries, then ticks in order of name, and what the oracle sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.protocol import keys
from fleet.protocol.records import Adopt, Drop
from fleet.protocol.wire import KIND_OF, Body, Entry, Proposal, Vote, encode_body, seal
from sim.faults import reading
from sim.faults.case import SESSION, ZONE
from sim.faults.engine import CHARTER
from sim.faults.model import BEGIN_MS, LIAR, NOTHING, STEP_MS, Choice, State
from sim.faults.model_vehicle import Said, Turn
from sim.faults.plans import approach, departing
from sim.faults.tubes import meet

if TYPE_CHECKING:
    from sim.faults.model_check import Checker

RESTART_STEPS = 3


class Step:
    """One transition: faults, deliveries, then ticks in order of name."""

    def __init__(self, checker: Checker, state: State, choice: Choice) -> None:
        self._checker = checker
        self._vehicles = checker.vehicles
        self._state = state
        self._choice = choice
        self.now_ms = BEGIN_MS + state.step * STEP_MS
        self._oracle = state.oracle.copy()
        self._cores = list(state.cores)
        self._logs = list(state.logs)
        self._held = list(state.held)
        self._back = list(state.back)
        self._air: list[tuple[int, int, int]] = []

    def run(self) -> State:
        """What follows."""
        lost = {(a, b) for what, a, b in self._choice if what == "lose"}
        late = {(a, b) for what, a, b in self._choice if what == "hold"}
        for what, a, b in self._choice:
            if what == "crash":
                self._crash(a)
            elif what == "lie":
                self._lie(a, b)
        heard: list[list[int]] = [[] for _ in self._cores]
        for a, b, raw in self._state.air:
            if (a, b) not in late and (a, b) not in lost and not self._split(a, b):
                heard[b].append(raw)
        turns = [self._turn(index, tuple(heard[index])) for index in range(len(self._cores))]
        answers = [iter(turn.delivered) if turn is not None else None for turn in turns]
        for a, b, raw in self._state.air:
            answer = answers[b]
            if (a, b) in late:
                self._air.append((a, b, raw))
            elif answer is not None and (a, b) not in lost and not self._split(a, b):
                self._hear_all(b, next(answer))
        for index, turn in enumerate(turns):
            if turn is not None:
                self._hear_all(index, turn.ticked)
                self._settle(index, turn)
        return State(
            self._state.step + 1, self._state.budget - len(self._choice), tuple(self._cores), tuple(self._back),
            tuple(self._air), tuple(self._logs), tuple(self._held), self._oracle,
        )  # fmt: skip

    def _turn(self, index: int, heard: tuple[int, ...]) -> Turn | None:
        """None: it is down."""
        state, step = self._state, self._state.step
        if self._cores[index] == NOTHING:
            if not self._back[index] or step < self._back[index]:
                return None
            self._back[index] = 0
        sight = self._vehicles.sight(index, step, state.held)
        return self._vehicles.turn(index, step, self._cores[index], self._logs[index], self._held[index], heard, sight)

    def _settle(self, index: int, turn: Turn) -> None:
        self._cores[index], self._held[index] = turn.core, turn.held
        for raw in turn.written:
            self._logs[index] = self._vehicles.logs.of((self._logs[index], raw))

    def _split(self, a: int, b: int) -> bool:
        return self._state.step < self._checker.model.split and (a == 0) != (b == 0)

    def _hear_all(self, index: int, said: tuple[Said, ...]) -> None:
        """The oracle takes note of what a vehicle does, in its order."""
        name = self._checker.names[index]
        for one in said:
            for raw in one.sent:
                self._hear(self._vehicles.datagrams[raw], name)
                self._air += [(index, to, raw) for to in range(len(self._cores)) if to != index]
            for effect in one.effects:
                self._apply(name, effect)

    def _apply(self, name: str, effect: Adopt | Drop) -> None:
        live, promises = self._oracle.live, self._oracle.promises
        if isinstance(effect, Drop):
            live.pop(name, None)
            return
        proposal = promises.proposals[effect.proposal_hash]
        unsigned = [m for m in proposal.members if m != LIAR and (effect.proposal_hash, m) not in promises.votes]
        if unsigned:
            self._fail(f"S3: {name} adopts without {unsigned}")
        tubes = self._checker.tubes
        for other, plan in live.items():
            if other != name and meet(tubes.of(effect.plan), tubes.of(plan)) is not None:
                self._fail(f"S1: {name} and {other} hold one place")
        live[name] = effect.plan

    def _hear(self, raw: bytes, name: str) -> None:
        """The oracle reads what is sent (promises.py)."""
        message = self._checker.read(raw)
        if message is None or message.sender not in (name, LIAR):
            return
        kind, body, promises = message.kind, message.body, self._oracle.promises
        if kind == reading.INTENT:
            promises.intent(message.sender, stamp_ms=body[2], live=body[15], dead=body[16])
        elif kind == reading.PROPOSAL:
            promises.proposal(message.digest, body)
        elif kind == reading.RELEASE:
            for proposal in body[0]:
                promises.dead(proposal, message.sender)
        elif kind == reading.REJECT:
            promises.dead(body[0], message.sender)
        elif kind == reading.VOTE and message.sender == name:
            for text in promises.vote(name, body[0], message.signature, self.now_ms):
                self._fail(f"S2: {text}")

    def _fail(self, text: str) -> None:
        self._checker.found.violations.append(f"step {self._state.step}, {self._choice}: {text}")

    def _crash(self, index: int) -> None:
        self._cores[index] = NOTHING
        self._back[index] = self._state.step + RESTART_STEPS
        held = self._held[index]
        if held != NOTHING and self.now_ms < self._vehicles.times(held)[0] - 500:
            self._oracle.live.pop(self._checker.names[index], None)
            self._held[index] = NOTHING

    def _lie(self, a: int, b: int) -> None:
        """Two proposals for one place, one told to each of two vehicles, each signed by the liar."""
        checker, now = self._checker, self.now_ms
        members = tuple(sorted([*checker.names, LIAR]))
        for victim in (a, b):
            name = checker.names[victim]
            plan = departing(approach(0, BEGIN_MS, -1000, 0), now + 400)
            lease = int(checker.roads.uses(plan)[-1][2]) + 300
            proposal = Proposal(LIAR, victim, now, now + 400, members, (Entry(name, plan, lease),), CHARTER, bytes(8))
            raw = self._seal(proposal)
            vote = self._seal(Vote(reading.read(self._vehicles.datagrams[raw]).digest, True))  # type: ignore[union-attr]
            for to in range(len(self._cores)):
                self._air.append((-1, to, vote))
                if to == victim or to not in (a, b):
                    self._air.append((-1, to, raw))

    def _seal(self, body: Body) -> int:
        """The number of a datagram of the liar's."""
        kind, payload = KIND_OF[type(body)], encode_body(body)
        covered = keys.statement(kind.name.lower(), ZONE, SESSION, LIAR, payload)
        raw = seal(kind, ZONE, SESSION, LIAR, payload, self._checker.signers[LIAR].sign(covered))
        self._hear(raw, "")
        return self._vehicles.datagrams.of(raw)
