"""A lottery that nobody can steer: lots are hashes of what vehicles signed, and anybody can draw them again.

The lot of a vehicle depends on its enrolled name, the zone, the fleet's session and the ten seconds in which it
arrived, and on nothing else that it says: names are fixed at enrolment, the arrival is in every one of its signed
intents and was heard by others. A better lot therefore costs at least a wait for the next ten seconds.
"""

from __future__ import annotations

import hashlib

from fleet.mechanism.interface import URGENCY_MAX, Choice, Meter, Situation
from fleet.mechanism.orders import WithoutDues, ranked

SLOT_MS = 10_000
"""Arrivals within one slot have one lot: longer than any crossing takes, so that waiting for another seldom pays."""
_DOMAIN = b"ACCORD/lot/v1\0"


def lot(zone_id: str, session: int, vehicle: str, arrived_ms: int) -> int:
    """0 to ``URGENCY_MAX``, uniform over names; the greatest goes first."""
    text = f"{zone_id}\0{session}\0{vehicle}\0{arrived_ms // SLOT_MS}".encode()
    return int.from_bytes(hashlib.sha256(_DOMAIN + text).digest()[:8], "big") % (URGENCY_MAX + 1)


class Lottery(WithoutDues):
    """Who has the greatest lot goes first."""

    name = "lottery"
    summary = "lots drawn from what vehicles signed, verifiable by anybody"
    promises = frozenset(
        "bounded_work determinism anonymity monotonicity starvation_bound conservation no_deficit no_misreport_gain "
        "no_overbid_gain no_whitewash_gain".split()
    )
    limits: tuple[str, ...] = (
        "anonymity is that of a lottery: equal chances, not equal turns",
        "a vehicle may wait for the next ten seconds to have another lot, at the price of the wait",
        "urgency counts for nothing",
    )

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        zone, session = situation.zone_id, situation.session
        return ranked(situation, meter, lambda claim: lot(zone, session, claim.vehicle, claim.arrived_ms))
