"""What a mechanism is asked and what it answers: who goes first, with which weight, and what is owed afterwards.

A mechanism is a pure function of claims that everybody has heard: no clock, no chance of its own. It decides in a
bounded number of steps that it counts itself (:class:`Meter`), never by the time it takes; whatever goes wrong with it,
``fleet/mechanism/guard.py`` answers with first come, first served. It decides nothing about safety.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

URGENCY_MAX = 1000
"""Urgency is said in thousandths: this is as urgent as can be."""
URGENCY_WEIGHT = 9
"""A second of a vehicle of full urgency counts as ten of one without: the population of the karma literature
(urgency 1 or 10)."""
OFFICE = "@office"
"""Receives what is paid to nobody in particular; no vehicle can be enrolled under a name with an @."""
CLAIMS_MAX = 32
"""As many as a vehicle orders at once; those who came later wait behind them."""


class Evidence(IntEnum):
    """What stands behind a claim of urgency, once it has been checked."""

    NONE = 0
    TICKET = 1
    """A dispatcher's signature: somebody answers for the urgency."""
    EMERGENCY = 2
    """A credential of the authority for emergency vehicles."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One vehicle that waits for its turn, as everybody hears it."""

    vehicle: str
    arrived_ms: int
    """When it announced itself for the zone."""
    approach: str
    """Where it comes from; nobody overtakes inside an approach."""
    urgency_milli: int = 0
    """What it says, 0 to ``URGENCY_MAX``; to a mechanism with accounts this is its bid."""
    evidence: Evidence = Evidence.NONE
    queue: int = 1
    """How many wait on its approach, itself included."""
    balance: int = 0
    """What it can spend; 0 without accounts."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everybody who waits at a zone now. Claims are in order of arrival, then name."""

    zone_id: str
    session: int
    now_ms: int
    claims: tuple[Claim, ...]

    @staticmethod
    def of(zone_id: str, session: int, now_ms: int, claims: list[Claim]) -> Situation:
        """The first ``CLAIMS_MAX`` of ``claims``, in their order."""
        ordered = sorted(claims, key=lambda claim: (claim.arrived_ms, claim.vehicle))
        return Situation(zone_id, session, now_ms, tuple(ordered[:CLAIMS_MAX]))


@dataclass(frozen=True, slots=True)
class Choice:
    """Who goes first, for planners that plan in an order, and weights, for planners that weigh."""

    order: tuple[str, ...]
    """Everybody, first to last."""
    weight_milli: tuple[int, ...]
    """Of each in ``order``: urgency that the welfare counts, 0 to ``URGENCY_MAX``."""
    fallback: str = ""
    """Why this is first come, first served instead of the mechanism's choice; empty: it is not."""


@dataclass(frozen=True, slots=True)
class Due:
    """What one owes another when it has crossed. Units of karma, or for VCG of a millisecond's delay."""

    payer: str
    payee: str
    units: int


class OverBudget(BaseException):
    """A decision took more steps than it may. No ``Exception``: a mechanism that catches those must not catch this."""


class Meter:
    """Counts the steps of one decision."""

    def __init__(self, steps_max: int) -> None:
        self.steps_max = steps_max
        self.steps = 0

    def spend(self, steps: int = 1) -> None:
        """Call this at least once in every turn of a loop; raises :class:`OverBudget`."""
        self.steps += steps
        if self.steps > self.steps_max:
            raise OverBudget(f"{self.steps} steps; a decision has at most {self.steps_max}")


class Mechanism(Protocol):
    """One way to say who goes first. ``fleet mechanism verify`` checks whatever it promises."""

    name: str
    summary: str
    """One line for lists."""
    promises: frozenset[str]
    """Properties claimed; names: ``fleet.mechanism.properties.PROPERTIES``."""
    limits: tuple[str, ...]
    """What is not promised, in words, for the report."""
    accounts: bool
    """Whether claims are paid for from balances."""

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """Order and weights for everybody in ``situation``."""
        ...

    def dues(self, situation: Situation, first: str, meter: Meter) -> tuple[Due, ...]:
        """What ``first`` owes for having gone before the others; settled when it has crossed."""
        ...


def by_arrival(situation: Situation, fallback: str = "") -> Choice:
    """First come, first served."""
    return Choice(tuple(claim.vehicle for claim in situation.claims), (0,) * len(situation.claims), fallback)
