"""Mechanisms that need no account: arrival, emergency, the longest queue, and the honour system as their foil."""

from __future__ import annotations

from collections.abc import Callable

from fleet.mechanism.interface import URGENCY_MAX, Choice, Claim, Due, Evidence, Meter, Situation, by_arrival

_ALWAYS = frozenset({"bounded_work", "determinism", "anonymity", "monotonicity", "starvation_bound"})
_FREE = _ALWAYS | {"conservation", "no_deficit", "no_whitewash_gain"}
"""Of whatever has no accounts: nothing is paid, and a new name starts with nothing that an old one has not."""


class WithoutDues:
    """Nobody owes anything."""

    accounts = False

    def dues(self, situation: Situation, first: str, meter: Meter) -> tuple[Due, ...]:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        return ()


class FirstComeMechanism(WithoutDues):
    """Who announced itself first goes first."""

    name = "first_come"
    summary = "who announced itself first goes first"
    promises = _FREE | {"no_misreport_gain", "no_overbid_gain"}
    limits: tuple[str, ...] = (
        "urgency counts for nothing: an ambulance waits its turn",
        "an earlier arrival that others believe pays",
    )

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        meter.spend(len(situation.claims))
        return by_arrival(situation)


class EmergencyOnly(WithoutDues):
    """Vehicles with a checked emergency credential first, all others by arrival."""

    name = "emergency_only"
    summary = "vehicles with a checked emergency credential first, then by arrival"
    promises = _FREE | {"no_misreport_gain", "no_overbid_gain"}
    limits: tuple[str, ...] = (
        "urgency without a credential counts for nothing",
        "who issues credentials decides who is urgent",
    )

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        return ranked(situation, meter, lambda claim: URGENCY_MAX if claim.evidence is Evidence.EMERGENCY else 0)


class MaxPressure(WithoutDues):
    """The approach with the longest queue first (after Varaiya 2013: its pressure, exits being free)."""

    name = "max_pressure"
    summary = "the approach with the longest queue first, then by arrival"
    promises = _FREE | {"no_misreport_gain", "no_overbid_gain"}
    limits: tuple[str, ...] = (
        "queues are counted without their exits: pressure downstream is not known here",
        "a short approach waits for long ones; only the starvation bound helps it",
    )

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        longest = max((claim.queue for claim in situation.claims), default=1)
        return ranked(situation, meter, lambda claim: URGENCY_MAX * claim.queue // max(1, longest))


class Stated(WithoutDues):
    """Every claim of urgency is believed and costs nothing: what there is without a mechanism."""

    name = "stated"
    summary = "foil: believes every claim of urgency for nothing, as if there were no mechanism"
    promises = _FREE
    limits: tuple[str, ...] = (
        "everybody gains by claiming the most, and then claims say nothing: shown, never recommended",
    )

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        return ranked(situation, meter, lambda claim: claim.urgency_milli)


def ranked(situation: Situation, meter: Meter, weight: Callable[[Claim], int]) -> Choice:
    """By weight, the greatest first, then by arrival; the weights are the choice's own."""
    meter.spend(len(situation.claims))
    weighed = [(-weight(claim), k) for k, claim in enumerate(situation.claims)]
    weighed.sort()
    order = tuple(situation.claims[k].vehicle for _, k in weighed)
    return Choice(order, tuple(-negative for negative, _ in weighed))
