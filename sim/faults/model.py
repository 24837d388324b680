"""What the model checker explores: the model, what was found, and one state of it."""

from __future__ import annotations

from dataclasses import dataclass, field

STEP_MS = 100
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


@dataclass(slots=True)
class State:
    """One state; ``cores`` and ``oracle`` are pickles (frozen.py)."""

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


Choice = tuple[tuple[str, int, int], ...]
"""Faults of one step: (what, vehicle or link, other end)."""
