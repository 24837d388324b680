"""What the model checker explores: the model, what was found, and one state of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from sim.faults.promises import Promises

STEP_MS = 100
BEGIN_MS = 1_000_000
LIAR = "x"
NOTHING = -1
"""In place of a number: no core, no tube, an empty log."""
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
    split: int = 0
    """For so many steps from the beginning nothing gets through between the first vehicle and the others."""
    moving: bool = False
    """The first vehicle comes up to the line all the time, so that it may leave out one that stands (rule P8)."""


@dataclass(slots=True)
class Found:
    """What the exploration saw."""

    states: int = 0
    transitions: int = 0
    merged: int = 0
    committed: int = 0
    """States in which some vehicle holds a tube."""
    violations: list[str] = field(default_factory=list)


class Oracle:
    """What the checks remember: promises (promises.py), and the plans of those who hold a tube."""

    __slots__ = ("live", "promises")

    def __init__(self, promises: Promises, live: dict[str, bytes]) -> None:
        self.promises = promises
        self.live = live

    def copy(self) -> Oracle:
        return Oracle(self.promises.copy(), dict(self.live))

    def memory(self) -> tuple[object, ...]:
        """All of it that can influence what follows."""
        return sorted(self.promises.votes), sorted(self.promises.dead_tubes), sorted(self.live)


@dataclass(frozen=True, slots=True)
class State:
    """One state; cores, datagrams, logs and tubes by their numbers (model_vehicle.py)."""

    step: int
    budget: int
    cores: tuple[int, ...]
    """:data:`NOTHING` where the vehicle is down or not here yet."""
    back: tuple[int, ...]
    """Step at which a vehicle that is down starts again; 0: it is up."""
    air: tuple[tuple[int, int, int], ...]
    """(from, to, datagram) that arrive in this step."""
    logs: tuple[int, ...]
    held: tuple[int, ...]
    oracle: Oracle

    def digest(self) -> bytes:
        """Equal for states with one future."""
        own = (self.step, self.budget, self.cores, self.back, self.air, self.logs, self.held)
        text = repr((own, self.oracle.memory()))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


Choice = tuple[tuple[str, int, int], ...]
"""Faults of one step: (what, vehicle or link, other end)."""
