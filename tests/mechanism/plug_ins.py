"""Plug-ins for the tests: one that is fair, and several that must not get through."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.mechanism.interface import Choice, Due, Meter, Situation, by_arrival
from fleet.mechanism.karma import Karma
from fleet.mechanism.orders import FirstComeMechanism, WithoutDues

EVERYTHING = frozenset(
    "bounded_work determinism anonymity monotonicity conservation no_deficit no_misreport_gain no_overbid_gain "
    "no_whitewash_gain starvation_bound".split()
)


class Fair(FirstComeMechanism):
    """First come, first served, as somebody else would write it."""

    name = "fair"


class Favours(WithoutDues):
    """Lets one name go first, and whoever claims most after it: promises everything, keeps little."""

    name = "favours"
    summary = "a bad plug-in"
    promises = EVERYTHING
    limits: tuple[str, ...] = ()

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        meter.spend(len(situation.claims))
        ranks = sorted(situation.claims, key=lambda c: (c.vehicle != "v1", -c.urgency_milli, c.arrived_ms))
        return Choice(tuple(c.vehicle for c in ranks), tuple(c.urgency_milli for c in ranks))


class Counterfeits(Karma):
    """Pays every peer the whole bid: more than was bid."""

    name = "counterfeits"

    def dues(self, situation: Situation, first: str, meter: Meter) -> tuple[Due, ...]:
        return tuple(Due(first, c.vehicle, 2) for c in situation.claims)  # to itself as well


@dataclass
class Forgets(WithoutDues):
    """Answers by how often it was asked."""

    name: str = "forgets"
    summary: str = "a bad plug-in"
    promises: frozenset[str] = EVERYTHING
    limits: tuple[str, ...] = ()
    asked: list[int] = field(default_factory=list)

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        self.asked.append(1)
        straight = by_arrival(situation)
        return straight if len(self.asked) % 2 else Choice(straight.order[::-1], straight.weight_milli)


class Endless(Fair):
    """Never answers."""

    name = "endless"

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        while True:
            pass
