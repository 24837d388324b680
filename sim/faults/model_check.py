"""Explicit-state exploration of the real core: every placement of up to so many faults within a horizon.

Logical time: all vehicles tick every ``STEP_MS``; what one sends in a step arrives in the next. In every
step an adversary may spend faults: lose all that is on one directed link, hold it for a step (which
reorders it with what follows), crash a vehicle (it restarts ``RESTART_STEPS`` later, silent until what
its disk says is over), or let a liar tell two vehicles two stories. All subsets of faults within the
budget are tried in all steps; faults of one step commute, so each subset is tried in one order only
(the reduction that sleep sets would find). States are merged by a digest of everything that can
influence what follows: cores, messages under way, disks, bodies and what the oracle remembers. Time is
part of the state, so no state is merged with one of another step, and the exploration is finite.

Cores are copied through pickles in which immutable values (messages, intents, tubes) stay shared: a
copy costs about a tenth of copy.deepcopy and, unlike running the choices again, does not grow with depth.
"""

from __future__ import annotations

import enum
import hashlib
import io
import pickle
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fleet.protocol import keys, ports
from fleet.protocol.codec import Codec, Opened
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Commitment, Drop, Identity, LiveTube, Local, Stats, Tuning
from fleet.protocol.table import Phase
from fleet.protocol.wire import KIND_OF, Body, Entry, Intent, Message, Proposal, VehicleBody, Vote, encode_body, seal
from sim.faults import reading
from sim.faults.case import SESSION, ZONE
from sim.faults.engine import BODY, CHARTER, MAP
from sim.faults.plans import Roads, approach, departing
from sim.faults.promises import Promises
from sim.faults.signing import StubSigner, StubVerifier
from sim.faults.stub_planning import Judge, Planner
from sim.faults.tubes import Tubes, meet

STEP_MS = 100
RESTART_STEPS = 3
BEGIN_MS = 1_000_000
LIAR = "x"
PATHS = (((0, 500, 3500),),)
"""One resource for all: every two tubes that overlap in time conflict."""


@dataclass(frozen=True, slots=True)
class Model:
    """What to explore."""

    vehicles: int
    faults: int
    """Budget of lost or held links, crashes and lies together."""
    steps: int
    crashes: bool = True
    liar: bool = False
    late: int = 0
    """The last vehicle engages only at this step (membership change)."""
    holds: bool = True
    eyes: bool = True
    """A vehicle that is not heard is seen, and nothing is signed (rule P1); without, radio is all there is."""


@dataclass(slots=True)
class Found:
    """What the exploration saw."""

    states: int = 0
    transitions: int = 0
    merged: int = 0
    committed: int = 0
    """States in which some vehicle holds a tube."""
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class State:
    """One state; ``cores`` and ``oracle`` are pickles."""

    step: int
    budget: int
    cores: tuple[bytes, ...]
    """Empty where the vehicle is down or not here yet."""
    back: tuple[int, ...]
    """Step at which a vehicle that is down starts again; 0: it is up."""
    air: tuple[tuple[int, int, bytes], ...]
    """(from, to, datagram) that arrive in this step."""
    disks: tuple[tuple[bytes, ...], ...]
    held: tuple[tuple[bytes, int, bytes] | None, ...]
    """(plan, lease end, proposal) of each."""
    oracle: bytes


class NoChance:
    """In place of the core's generator: back-off without jitter."""

    def __call__(self, stop: int, /) -> int:
        return stop // 2


_SHARED_TYPES = (
    Message, Intent, Proposal, LiveTube, Commitment, VehicleBody, Tuning, Identity, Stats, ports.Ports, Codec, Local,
    Judge, Planner, StubSigner, NoChance, Opened, Tubes,
)  # fmt: skip
_shared: dict[int, Any] = {}


def _keep(value: Any) -> tuple[Any, tuple[int]]:
    _shared[id(value)] = value
    return _kept, (id(value),)


def _kept(number: int) -> Any:
    return _shared[number]


_DISPATCH = dict.fromkeys(_SHARED_TYPES, _keep)


def _freeze(value: object) -> bytes:
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5)
    pickler.dispatch_table = _DISPATCH
    pickler.dump(value)
    return file.getvalue()


def canonical(value: Any) -> Any:
    """A value of plain tuples that is equal for equal behaviour: caches, statistics and ports are left out."""
    if value is None or isinstance(value, (int, str, bytes, enum.Enum)):
        return value
    if isinstance(value, Message):
        return value.raw
    if isinstance(value, Opened):
        return value.message.raw if value.message is not None else b""
    if isinstance(value, (tuple, list, deque)):
        return tuple([canonical(item) for item in value])
    if isinstance(value, dict):
        return tuple([(canonical(key), canonical(item)) for key, item in value.items()])
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(value))
    if isinstance(value, (Stats, ports.Ports, Codec, StubSigner, NoChance, Tuning, Identity, VehicleBody)):
        return ()
    if isinstance(value, (Intent, Proposal)):
        return repr(value)
    names = getattr(value, "__slots__", None) or sorted(vars(value))
    return tuple([canonical(getattr(value, name)) for name in names if name not in ("_memo", "stats", "ports")])


class Checker:
    """Breadth-first over all states of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = [f"v{index}" for index in range(model.vehicles)]
        everybody = [*self.names, LIAR] if model.liar else self.names
        self.roads = Roads(PATHS)
        self._codec = Codec(StubVerifier(everybody))
        self._judge = Judge(self.roads, 10, True)
        self._planner = Planner(self.roads)
        self._signers = {name: StubSigner(name) for name in everybody}
        self._draw = NoChance()
        self._tubes = Tubes(PATHS)
        self.found = Found()

    def run(self, states_max: int = 10**7) -> Found:
        """Explore; stops early at ``states_max`` states or ten violations."""
        queue = deque([self._first()])
        seen = {self._digest(queue[0])}
        found = self.found
        while queue and found.states < states_max and len(found.violations) < 10:
            state = queue.popleft()
            found.states += 1
            found.committed += any(state.held)
            if state.step >= self.model.steps:
                continue
            for choice in self._choices(state):
                following = self._after(state, choice)
                found.transitions += 1
                digest = self._digest(following)
                if digest in seen:
                    found.merged += 1
                else:
                    seen.add(digest)
                    queue.append(following)
        _shared.clear()
        return found

    # States.

    def _first(self) -> State:
        count = self.model.vehicles
        cores = [_freeze(self._core(index)) for index in range(count)]
        back = [0] * count
        if self.model.late:
            cores[-1], back[-1] = b"", self.model.late
        oracle = _freeze((Promises(self._tubes, 10), {}))
        return State(
            0, self.model.faults, tuple(cores), tuple(back), (), ((),) * count, (None,) * count, oracle
        )  # fmt: skip

    def _core(self, index: int) -> Core:
        name = self.names[index]
        given = ports.Ports(self._judge, self._planner, self._signers[name], self._codec, self._draw)
        return Core(Identity(name, BODY, CHARTER, MAP), given, Tuning())

    def _digest(self, state: State) -> bytes:
        cores = [canonical(pickle.loads(core)) if core else None for core in state.cores]
        promises, live = pickle.loads(state.oracle)
        memory = (sorted(promises.votes), sorted(promises._dead), sorted(live))
        text = repr((state.step, state.budget, cores, state.back, state.air, state.disks, state.held, memory))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    # Choices of the adversary.

    def _choices(self, state: State) -> Iterator[tuple[tuple[str, int, int], ...]]:
        """All sets of faults of this step within the budget, each in one order."""
        possible: list[tuple[str, int, int]] = []
        for link in sorted({(a, b) for a, b, _ in state.air}):
            possible.append(("lose", *link))
            if self.model.holds:
                possible.append(("hold", *link))
        if self.model.crashes:
            possible += [("crash", index, 0) for index, core in enumerate(state.cores) if core and state.step]
        if self.model.liar:
            possible += [("lie", a, b) for a in range(len(self.names)) for b in range(a)]

        def pick(first: int, left: int) -> Iterator[tuple[tuple[str, int, int], ...]]:
            yield ()
            if left == 0:
                return
            for index in range(first, len(possible)):
                for rest in pick(index + 1, left - 1):
                    yield (possible[index], *rest)

        yield from pick(0, state.budget)

    def _after(self, state: State, choice: tuple[tuple[str, int, int], ...]) -> State:
        return Step(self, state, choice).run()


class Step:
    """One transition: faults, deliveries, then ticks in order of name."""

    def __init__(self, checker: Checker, state: State, choice: tuple[tuple[str, int, int], ...]) -> None:
        self._checker = checker
        self._state = state
        self._choice = choice
        self.now_ms = BEGIN_MS + state.step * STEP_MS
        self._promises, self._live = pickle.loads(state.oracle)
        self._disks = [list(disk) for disk in state.disks]
        self._held = list(state.held)
        self._back = list(state.back)
        self._air: list[tuple[int, int, bytes]] = []
        self._cores: list[Core | None] = [pickle.loads(core) if core else None for core in state.cores]

    def run(self) -> State:
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
            elif (a, b) not in lost:
                self._deliver(b, raw)
        for index, core in enumerate(self._cores):
            if core is not None:
                self._tick(index, core)
        oracle = _freeze((self._promises, self._live))
        cores = tuple(b"" if core is None else _freeze(core) for core in self._cores)
        spent = len(self._choice)
        return State(
            self._state.step + 1, self._state.budget - spent, cores, tuple(self._back), tuple(self._air),
            tuple(map(tuple, self._disks)), tuple(self._held), oracle,
        )  # fmt: skip

    def _deliver(self, index: int, raw: bytes) -> None:
        core = self._cores[index]
        if core is not None:
            core.step(raw, self.now_ms)
            self._carry_out(index, core)

    def _tick(self, index: int, core: Core) -> None:
        held = self._held[index]
        if not core._zone:
            core.engage(ZONE, SESSION, self.now_ms)
        roads = self._checker.roads
        raw = approach(0, BEGIN_MS, -1000, 0) if held is None else held[0]
        uses = roads.uses(raw)
        start, end = (uses[0][1], uses[-1][2]) if held is not None else (0.0, 0.0)
        cleared = held is not None and self.now_ms >= end
        core.tick(
            Local(
                self.now_ms, Phase.WAITING, "p0", BEGIN_MS + index, self.now_ms, raw, wants_commit=held is None,
                pnr_passed=held is not None and self.now_ms >= start - 500, cleared=cleared,
                blocking=self._unheard(index, core) if self._checker.model.eyes else (),
            )
        )  # fmt: skip
        self._carry_out(index, core)

    def _unheard(self, index: int, core: Core) -> tuple[str, ...]:
        """Bodies that are here and silent; one that is not here yet cannot be seen."""
        heard = core.heard(self.now_ms)
        here = [self._checker.names[k] for k in range(len(self._cores)) if k != index and self._cores[k] is not None]
        return tuple(f"unheard:{name}" for name in here if name not in heard)

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
        tubes = self._checker._tubes
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
        if held is not None and self.now_ms < self._checker.roads.uses(held[0])[0][1] - 500:
            self._live.pop(self._checker.names[index], None)
            self._held[index] = None

    def _restart(self, index: int) -> None:
        """Silent until the latest lease that the disk shows as promised."""
        ends: dict[bytes, int] = {}
        latest = 0
        for record in self._disks[index]:
            message = reading.read(record)
            if message is not None and message.kind == reading.PROPOSAL:
                ends[message.digest] = max(lease for _, _, lease in message.body[5])
            elif message is not None and message.kind == reading.VOTE:
                latest = max(latest, ends.get(message.body[0], 0))
        if self.now_ms > latest + 20 and self._held[index] is None:
            self._back[index] = 0
            self._cores[index] = self._checker._core(index)

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
        raw = seal(kind, ZONE, SESSION, LIAR, payload, self._checker._signers[LIAR].sign(covered))
        self._hear(raw, "")
        return raw
