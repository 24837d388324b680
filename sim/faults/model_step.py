"""One transition of the model checker: faults, deliveries, then ticks in order of name, and what the oracle sees."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fleet.protocol import keys, limits
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Drop, Local
from fleet.protocol.restore import restore
from fleet.protocol.table import Phase
from fleet.protocol.wire import KIND_OF, Body, Entry, Proposal, Vote, encode_body, seal
from sim.faults import reading
from sim.faults.body import MOVING
from sim.faults.case import SESSION, ZONE
from sim.faults.engine import CHARTER
from sim.faults.frozen import thaw
from sim.faults.model import BEGIN_MS, LIAR, STEP_MS, Choice, State
from sim.faults.plans import approach, departing
from sim.faults.tubes import meet

if TYPE_CHECKING:
    from sim.faults.model_check import Checker

RESTART_STEPS = 3


class Step:
    """One transition: faults, deliveries, then ticks in order of name."""

    def __init__(self, checker: Checker, state: State, choice: Choice) -> None:
        self._checker = checker
        self._state = state
        self._choice = choice
        self.now_ms = BEGIN_MS + state.step * STEP_MS
        self._promises, self._live = thaw(state.oracle)
        self._disks = [list(disk) for disk in state.disks]
        self._held = list(state.held)
        self._back = list(state.back)
        self._air: list[tuple[int, int, bytes]] = []
        self._cores: list[Core | None] = [thaw(core) if core else None for core in state.cores]

    def run(self) -> tuple[State, bytes]:
        """What follows, and its digest."""
        lost = {(a, b) for what, a, b in self._choice if what == "lose"}
        held = {(a, b) for what, a, b in self._choice if what == "hold"}
        for what, a, b in self._choice:
            if what == "crash":
                self._crash(a)
            elif what == "lie":
                self._lie(a, b)
        for index in range(len(self._cores)):
            if self._cores[index] is None and self._back[index] and self._state.step >= self._back[index]:
                self._restart(index)
        for a, b, raw in self._state.air:
            if (a, b) in held:
                self._air.append((a, b, raw))
            elif (a, b) not in lost and not self._split(a, b):
                self._deliver(b, raw)
        for index, core in enumerate(self._cores):
            if core is not None:
                self._tick(index, core)
        freeze = self._checker.freezer.freeze
        cores = tuple([b"" if core is None else freeze(core) for core in self._cores])
        following = State(
            self._state.step + 1, self._state.budget - len(self._choice), cores, tuple(self._back), tuple(self._air),
            tuple(map(tuple, self._disks)), tuple(self._held), freeze((self._promises, self._live)),
        )  # fmt: skip
        return following, self._digest(following)

    def _digest(self, state: State) -> bytes:
        promises = self._promises
        memory = (sorted(promises.votes), sorted(promises._dead), sorted(self._live))
        text = repr((state.step, state.budget, state.back, state.air, state.disks, state.held, memory))
        whole = hashlib.blake2b(text.encode(), digest_size=16)
        for core in state.cores:
            whole.update(core)
            whole.update(b"|")
        return whole.digest()

    def _split(self, a: int, b: int) -> bool:
        return self._state.step < self._checker.model.split and (a == 0) != (b == 0)

    def _deliver(self, index: int, raw: bytes) -> None:
        core = self._cores[index]
        if core is not None:
            core.step(raw, self.now_ms)
            self._carry_out(index, core)

    def _tick(self, index: int, core: Core) -> None:
        now = self.now_ms
        if not core._zone:
            core.engage(ZONE, SESSION, now)
            if core.commitment is not None and self._held[index] is None:
                core.release("restarted", now)
                self._carry_out(index, core)
        start, end = self._times(self._held[index])
        threats, waiting = self._look(index, core) if self._checker.model.eyes else ((), ())
        if self._held[index] is not None and threats and now < start - 500:
            core.release(f"silent:{threats[0]}", now)
            self._carry_out(index, core)
        held = self._held[index]
        core.tick(
            Local(
                now, Phase.WAITING, "p0", BEGIN_MS + index, now, self._driven(index, held),
                wants_commit=held is None and (not waiting or self._has_moved(index)),
                pnr_passed=held is not None and now >= start - 500, cleared=held is not None and now >= end,
                perceived=threats, blocking=tuple([f"silent:{name}" for name in threats]),
            )
        )  # fmt: skip
        self._carry_out(index, core)

    def _was_here(self, index: int) -> bool:
        """Whether this vehicle had come into sight before this step."""
        late = self._checker.model.late
        return index != len(self._checker.names) - 1 or self._state.step > late

    def _times(self, held: tuple[bytes, int, bytes] | None) -> tuple[float, float]:
        """When the shared place is entered and left."""
        uses = self._checker.roads.uses(held[0]) if held is not None else ()
        return (uses[0][1], uses[-1][2]) if uses else (0.0, 0.0)

    def _driven(self, index: int, held: tuple[bytes, int, bytes] | None) -> bytes:
        if held is not None:
            return held[0]
        if self._checker.model.moving and index == 0:
            return approach(0, BEGIN_MS, -50_000, 9_000)
        return approach(0, BEGIN_MS, -1000, 0)

    def _has_moved(self, index: int) -> bool:
        """Rule P8: it has moved in everybody's sight for long enough to leave out somebody who stands."""
        return self._checker.model.moving and index == 0 and self._state.step * STEP_MS >= limits.SHOWN_MS

    def _look(self, index: int, core: Core) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(silent bodies that move or are inside, silent ones that stand), as they were one step ago."""
        checker, now, then = self._checker, self.now_ms, self.now_ms - STEP_MS
        heard = core.heard(now)
        known = core.known_tubes(now)
        threats, waiting = [], []
        for k, name in enumerate(checker.names):
            absent = not self._was_here(k)
            held = self._state.held[k]
            if k == index or absent or (held is not None and then >= self._times(held)[1]):
                continue
            raw = self._driven(k, held)
            s, v = checker.roads.own(raw).at(then)
            if v <= MOVING and s <= 0.0:
                if name not in heard:
                    waiting.append(name)
                continue
            new = now - BEGIN_MS <= limits.NEWCOMER_MS
            told = name in heard and (heard[name].plan == raw or any(t.plan == raw for t in known if t.vehicle == name))
            if not told or not (new or core.is_heard_by(name, now)):
                threats.append(name)
        return tuple(threats), tuple(waiting)

    def _carry_out(self, index: int, core: Core) -> None:
        name = self._checker.names[index]
        while ready := core.ready():
            self._disks[index] += ready.to_persist
            for raw in ready.to_send:
                self._hear(raw, name)
                self._air += [(index, to, raw) for to in range(len(self._cores)) if to != index]
            for effect in ready.to_apply:
                self._apply(index, name, effect)
            core.advance(ready)

    def _apply(self, index: int, name: str, effect: Adopt | Drop) -> None:
        if isinstance(effect, Drop):
            self._held[index] = None
            self._live.pop(name, None)
            return
        proposal = self._promises.proposals[effect.proposal_hash]
        unsigned = [m for m in proposal.members if m != LIAR and (effect.proposal_hash, m) not in self._promises.votes]
        if unsigned:
            self._fail(f"S3: {name} adopts without {unsigned}")
        tubes = self._checker.tubes
        for other, plan in self._live.items():
            if other != name and meet(tubes.of(effect.plan), tubes.of(plan)) is not None:
                self._fail(f"S1: {name} and {other} hold one place")
        self._live[name] = effect.plan
        self._held[index] = (effect.plan, effect.lease_end_ms, effect.proposal_hash)

    def _hear(self, raw: bytes, name: str) -> None:
        """The oracle reads what is sent (promises.py)."""
        message = reading.read(raw)
        if message is None or message.sender not in (name, LIAR):
            return
        kind, body, promises = message.kind, message.body, self._promises
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
        self._cores[index] = None
        self._back[index] = self._state.step + RESTART_STEPS
        held = self._held[index]
        if held is not None and self.now_ms < self._times(held)[0] - 500:
            self._live.pop(self._checker.names[index], None)
            self._held[index] = None

    def _restart(self, index: int) -> None:
        """With what the log says (rule P11); one that comes late has none."""
        core = self._checker.core(index)
        if self._was_here(index):
            core.restore(restore(self._disks[index], self._checker.names[index], self.now_ms, core.eps_ms))
        self._back[index] = 0
        self._cores[index] = core

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
            vote = self._seal(Vote(reading.read(raw).digest, True))  # type: ignore[union-attr]
            for to in range(len(self._cores)):
                self._air.append((-1, to, vote))
                if to == victim or to not in (a, b):
                    self._air.append((-1, to, raw))

    def _seal(self, body: Body) -> bytes:
        kind, payload = KIND_OF[type(body)], encode_body(body)
        covered = keys.statement(kind.name.lower(), ZONE, SESSION, LIAR, payload)
        raw = seal(kind, ZONE, SESSION, LIAR, payload, self._checker.signers[LIAR].sign(covered))
        self._hear(raw, "")
        return raw
