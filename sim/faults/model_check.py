"""Explicit-state exploration of the real core: every placement of up to so many faults within a horizon.

Logical time: all vehicles tick every ``STEP_MS``; what one sends in a step arrives in the next. In every
step an adversary may spend faults: lose all that is on one directed link, hold it for a step (which
reorders it with what follows), crash a vehicle (it restarts ``RESTART_STEPS`` later, with what its disk
says), or let a liar tell two vehicles two stories. All subsets of faults within the budget are tried in all
steps; faults of one step commute, so each subset is tried in one order only (the reduction that sleep sets
would find). States are merged by a digest of everything that can influence what follows: cores, messages
under way, disks, bodies and what the oracle remembers; what one vehicle does in a step is worked out once
for all states in which it knows, hears and sees the same (model_vehicle.py). Time is part of the state, so no
state is merged with one of another step, the exploration is finite, and depth first finds the same states as
breadth first in little memory.

``fleet soak --model STATES`` explores the models of :data:`RELEASE`, so many states in all.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import cache

from fleet.protocol import ports
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.records import Identity, Tuning
from sim.faults import reading
from sim.faults.engine import BODY, CHARTER, MAP
from sim.faults.frozen import Freezer
from sim.faults.model import LIAR, NOTHING, PATHS, Choice, Found, Model, Oracle, State
from sim.faults.model_step import Step
from sim.faults.model_vehicle import Vehicles
from sim.faults.plans import Roads
from sim.faults.promises import Promises
from sim.faults.signing import StubSigner, StubVerifier
from sim.faults.stub_planning import Judge, Planner
from sim.faults.tubes import Tubes

RELEASE = (
    Model(2, 8, 14), Model(2, 5, 16, liar=True), Model(2, 7, 14, late=2), Model(2, 4, 24, split=22, moving=True),
    Model(3, 5, 12), Model(3, 4, 12, liar=True), Model(3, 3, 24, split=22, moving=True), Model(4, 4, 10, holds=False),
)  # fmt: skip
"""For a long exploration, each with an equal share of the states."""


class NoChance:
    """In place of the core's generator: back-off without jitter."""

    def __call__(self, stop: int, /) -> int:
        return stop // 2


class Checker:
    """Depth first over all states of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = [f"v{index}" for index in range(model.vehicles)]
        everybody = [*self.names, LIAR] if model.liar else self.names
        self.roads = Roads(PATHS)
        self.tubes = Tubes(PATHS)
        self.signers = {name: StubSigner(name) for name in everybody}
        codec = Codec(StubVerifier(everybody), 1 << 16)
        judge, planner, draw = Judge(self.roads, 10, True), Planner(self.roads), NoChance()
        self._ports = {n: ports.Ports(judge, planner, self.signers[n], codec, draw) for n in self.names}
        self.freezer = Freezer(codec, (NoChance,))
        self.vehicles = Vehicles(self)
        self.read = cache(reading.read)
        self.found = Found()

    def run(self, states_max: int = 10**9) -> Found:
        """Explore; stops early at ``states_max`` states or ten violations."""
        stack = [self._first()]
        seen: set[bytes] = set()
        found = self.found
        while stack and found.states < states_max and len(found.violations) < 10:
            state = stack.pop()
            found.states += 1
            found.committed += any(held != NOTHING for held in state.held)
            if state.step >= self.model.steps:
                continue
            new = []
            for choice in self._choices(state):
                following = Step(self, state, choice).run()
                digest = following.digest()
                found.transitions += 1
                if digest in seen:
                    found.merged += 1
                else:
                    seen.add(digest)
                    new.append(following)
            stack += reversed(new)  # without a fault first: where it ends early, late faults have been tried
        return found

    def core(self, index: int) -> Core:
        """Of vehicle ``index``, new."""
        name = self.names[index]
        return Core(Identity(name, BODY, CHARTER, MAP), self._ports[name], Tuning())

    def _first(self) -> State:
        count = self.model.vehicles
        cores = [self.vehicles.cores.of(self.freezer.freeze(self.core(index))) for index in range(count)]
        back = [0] * count
        if self.model.late:
            cores[-1], back[-1] = NOTHING, self.model.late
        empty, oracle = (NOTHING,) * count, Oracle(Promises(self.tubes, 10), {})
        return State(0, self.model.faults, tuple(cores), tuple(back), (), empty, empty, oracle)

    def _choices(self, state: State) -> Iterator[Choice]:
        """All sets of faults of this step within the budget, each in one order."""
        model = self.model
        possible: list[tuple[str, int, int]] = []
        for link in sorted({(a, b) for a, b, _ in state.air}):
            possible.append(("lose", *link))
            if model.holds:
                possible.append(("hold", *link))
        if model.crashes:
            up = [index for index, core in enumerate(state.cores) if core != NOTHING]
            possible += [("crash", index, 0) for index in up if state.step]
        if model.liar:
            possible += [("lie", a, b) for a in range(len(self.names)) for b in range(a)]

        def pick(first: int, left: int) -> Iterator[Choice]:
            yield ()
            if left == 0:
                return
            for index in range(first, len(possible)):
                for rest in pick(index + 1, left - 1):
                    yield (possible[index], *rest)

        yield from pick(0, state.budget)


def explore(states: int, workers: int, say: Callable[[str], None]) -> int:
    """Explore :data:`RELEASE`, and say what was found; 3: something is unsafe."""
    status, total, cpu_s = 0, 0, 0.0
    jobs = [(model, max(1, states // len(RELEASE))) for model in RELEASE]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for model, found, took_s in pool.imap(_explore_one, jobs):
            total, cpu_s = total + found.states, cpu_s + took_s
            say(
                f"{model}: {found.states} states, {found.transitions} transitions, {found.merged} merged, "
                f"{found.committed} with a tube held, {len(found.violations)} violations"
            )
            for text in found.violations:
                say(f"  {text}")
                status = 3
    rate = total / max(1e-9, cpu_s)
    say(
        f"{total} states, {rate:.0f} states/s of a core; at this rate 50,000,000 states take "
        f"{5e7 / rate / 7200.0:.1f} h on two cores"
    )
    return status


def _explore_one(job: tuple[Model, int]) -> tuple[Model, Found, float]:
    began = time.process_time()
    found = Checker(job[0]).run(job[1])
    return job[0], found, time.process_time() - began
